//! Which answers of a runtime count, and for whom.

use super::*;

const HOST: &str = "a.corp";

fn of_docker(trust: &str) -> Arc<Entry> {
    let ca = if trust == "ca" { format!("ca = '''\n{CA}'''") } else { String::new() };
    entry(HOST, &format!("trust = \"{trust}\"\nruntimes = [\"docker\"]\n{ca}"))
}

impl Scene {
    /// The next question is answered like this once the gate opens.
    fn next_answer(&self, verdict: Verdict) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        self.world.answers.lock().unwrap().push_back((verdict, Arc::clone(&gate)));
        gate
    }

    async fn questions(&self, number: usize) {
        let asked = async {
            while self.world.asked.lock().unwrap().len() < number {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, asked).await.expect("the runtime is asked");
    }

    fn check(&self) -> JoinHandle<Option<Verdict>> {
        let handle = self.handle.clone();
        tokio::spawn(async move {
            let hosts = BTreeSet::from([HOST.parse().unwrap()]);
            let asked = handle.ask(|reply| Request::Check { hosts, reply });
            verdict(&timeout(PATIENCE, asked).await.expect("an answer").unwrap())
        })
    }
}

fn verdict(status: &NodeStatus) -> Option<Verdict> {
    let items = &status.registry(&HOST.parse().unwrap())?.items;
    items.first()?.proof.as_ref().map(|proof| proof.verdict)
}

/// docker may take ten seconds to say that it does not trust a registry. By then it may be trusted
/// again, and who has seen to that waits for the proof.
#[tokio::test]
async fn an_answer_about_what_has_changed_meanwhile_counts_for_nobody() {
    let scene = Scene::with_docker().await;
    let late = scene.next_answer(Verdict::UnknownAuthority);
    scene.push(vec![of_docker("ca")], None).await;
    scene.questions(1).await;
    scene.push(vec![], None).await;
    let (first, second) =
        (scene.next_answer(Verdict::Trusted), scene.next_answer(Verdict::Trusted));
    scene.push(vec![of_docker("ca")], None).await;
    let check = scene.check();
    scene.questions(3).await;
    late.add_permits(1);
    for _ in 0..20 {
        scene.look().await;
        assert_eq!(verdict(&scene.handle.status.borrow()), None);
        assert!(!check.is_finished());
    }
    first.add_permits(1);
    second.add_permits(1);
    assert_eq!(check.await.unwrap(), Some(Verdict::Trusted));
}

/// Perhaps he has just mended what was wrong.
#[tokio::test]
async fn whoever_asks_gets_the_answer_to_a_question_that_began_after_his() {
    let scene = Scene::with_docker().await;
    let before = scene.next_answer(Verdict::Refused);
    scene.push(vec![of_docker("ca")], None).await;
    scene.questions(1).await;
    let after = scene.next_answer(Verdict::Trusted);
    let check = scene.check();
    scene.questions(2).await;
    before.add_permits(1);
    scene.until("told", |status| verdict(status) == Some(Verdict::Refused)).await;
    assert!(!check.is_finished());
    after.add_permits(1);
    assert_eq!(check.await.unwrap(), Some(Verdict::Trusted));
}

/// He would wait for ever otherwise.
#[tokio::test]
async fn what_somebody_waits_for_is_asked_again_when_it_changed_meanwhile() {
    let scene = Scene::with_docker().await;
    scene.push(vec![of_docker("ca")], None).await;
    scene.until("proved", |status| verdict(status).is_some()).await;
    let stale = scene.next_answer(Verdict::Refused);
    let check = scene.check();
    scene.questions(2).await;
    let _gate = scene.close_gate();
    scene.push(vec![of_docker("insecure")], None).await;
    stale.add_permits(1);
    assert_eq!(check.await.unwrap(), Some(Verdict::Trusted));
}

#[tokio::test]
async fn who_waits_for_what_is_withdrawn_gets_his_answer() {
    let scene = Scene::with_docker().await;
    let _never = scene.next_answer(Verdict::Trusted);
    let _neither = scene.next_answer(Verdict::Trusted);
    scene.push(vec![of_docker("ca")], None).await;
    let check = scene.check();
    scene.questions(2).await;
    scene.push(vec![], None).await;
    assert_eq!(check.await.unwrap(), None);
}

/// It would be an answer about how it was before the change, and nobody would ask again.
#[tokio::test]
async fn a_change_is_asked_about_only_once_it_is_in_force() {
    let scene = Scene::with_docker().await;
    scene.push(vec![of_docker("ca")], None).await;
    scene.until("proved", |status| verdict(status).is_some()).await;
    let gate = scene.close_gate();
    scene.push(vec![of_docker("insecure")], None).await;
    scene.look().await;
    assert_eq!(scene.world.asked.lock().unwrap().len(), 1);
    gate.add_permits(9);
    scene.questions(2).await;
}

/// A question may take ten seconds to be answered that nobody answers.
#[tokio::test]
async fn an_answer_that_comes_late_is_not_the_newest() {
    let scene = Scene::with_docker().await;
    let late = scene.next_answer(Verdict::Timeout);
    scene.push(vec![of_docker("ca")], None).await;
    scene.questions(1).await;
    assert_eq!(scene.check().await.unwrap(), Some(Verdict::Trusted));
    late.add_permits(1);
    for _ in 0..20 {
        scene.look().await;
    }
    assert_eq!(verdict(&scene.handle.status.borrow()), Some(Verdict::Trusted));
}

/// No file is written for it: what was there goes.
#[tokio::test]
async fn what_is_trusted_less_is_asked_about_again() {
    let scene = Scene::with_docker().await;
    scene.push(vec![of_docker("ca")], None).await;
    scene.until("proved", |status| verdict(status) == Some(Verdict::Trusted)).await;
    let refused = scene.next_answer(Verdict::UnknownAuthority);
    scene.push(vec![of_docker("system")], None).await;
    scene.questions(2).await;
    assert_eq!(verdict(&scene.handle.status.borrow()), None, "what was said is about the CA");
    refused.add_permits(1);
    let is_told = |status: &NodeStatus| verdict(status) == Some(Verdict::UnknownAuthority);
    scene.until("told", is_told).await;
}

#[tokio::test]
async fn what_is_verified_from_now_on_is_asked_about_once_docker_knows_of_it() {
    let scene = Scene::with_docker().await;
    scene.push(vec![of_docker("insecure")], None).await;
    scene.until("proved", |status| verdict(status) == Some(Verdict::Trusted)).await;
    let gate = scene.close_gate();
    scene.push(vec![of_docker("system")], None).await;
    scene.look().await;
    let is_waiting = |status: &NodeStatus| {
        let registry = status.registry(&HOST.parse().unwrap());
        registry.is_some_and(crate::status::Registry::is_waiting)
    };
    assert!(is_waiting(&scene.handle.status.borrow()), "docker does not verify it yet");
    assert_eq!(scene.world.asked.lock().unwrap().len(), 1);
    gate.add_permits(9);
    scene.questions(2).await;
    scene.until("proved", |status| verdict(status).is_some() && !is_waiting(status)).await;
}

#[tokio::test]
async fn a_docker_that_does_not_reload_takes_nothing_from_who_is_trusted_less() {
    let scene = Scene::with_docker().await;
    scene.push(vec![of_docker("insecure")], None).await;
    scene.until("settled", |status| status.phase == Phase::Settled).await;
    let failed = Outcome::Failed { message: "no".to_owned(), healthy: true };
    scene.world.outcomes.lock().unwrap().push_back(failed);
    scene.push(vec![of_docker("ca")], None).await;
    scene.until("trouble", |status| status.phase == Phase::Degraded).await;
    let status = Arc::clone(&scene.handle.status.borrow());
    let state = &status.registry(&HOST.parse().unwrap()).unwrap().items[0].state;
    assert_eq!(*state, State::Waiting("to reload docker".to_owned()));
}
