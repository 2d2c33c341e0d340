use jiff::SignedDuration;

use super::*;
use crate::settings::parse_settings;

const DOCKER: Believer = Believer::Docker;

#[tokio::test]
async fn a_change_is_loaded_once_and_then_proved() {
    let scene = Scene::with_docker().await;
    let answer = scene.push(vec![insecure("a.corp")], None).await;
    assert_eq!(answer.owners[0].revision, 1);
    let status = scene.settled().await;
    assert_eq!(scene.performed(), [Effect::ReloadDocker]);
    assert_eq!(state(&status, "a.corp", DOCKER), Some(State::InForce));
    assert_eq!(status.summary, "1 registry in force");
    let proved = |status: &NodeStatus| status.registries[0].items[0].proof.is_some();
    scene.until("proved", proved).await;
    scene.push(vec![insecure("a.corp")], None).await;
    assert_eq!(scene.performed().len(), 1, "the same set again is nothing to do");
}

#[tokio::test]
async fn what_the_runtime_reads_by_itself_needs_nothing() {
    let scene = Scene::with_docker().await;
    let status = scene.push(vec![with_ca("a.corp")], None).await;
    assert_eq!(state(&status, "a.corp", DOCKER), Some(State::InForce));
    scene.settled().await;
    assert_eq!(scene.performed(), []);
}

/// An acknowledgement means durable and never waits for a runtime.
#[tokio::test]
async fn an_answer_does_not_wait_for_a_runtime_that_hangs() {
    let scene = Scene::with_docker().await;
    let gate = scene.close_gate();
    let status = scene.push(vec![insecure("a.corp")], None).await;
    assert!(matches!(state(&status, "a.corp", DOCKER), Some(State::Waiting(_))));
    let status = scene.push(vec![insecure("a.corp"), with_ca("b.corp")], None).await;
    assert_eq!(state(&status, "b.corp", DOCKER), Some(State::InForce));
    gate.add_permits(9);
    scene.settled().await;
}

/// A reload that began before a change may not have seen it.
#[tokio::test]
async fn a_change_during_a_reload_needs_another_one() {
    let scene = Scene::with_docker().await;
    let gate = scene.close_gate();
    scene.push(vec![insecure("a.corp")], None).await;
    scene.push(vec![insecure("a.corp"), insecure("b.corp")], None).await;
    gate.add_permits(9);
    scene.settled().await;
    assert_eq!(scene.performed(), [Effect::ReloadDocker; 2]);
}

#[tokio::test]
async fn what_a_runtime_refuses_is_taken_back_and_the_rest_stays() {
    let scene = Scene::with_docker().await;
    scene.push(vec![insecure("good.corp")], None).await;
    scene.settled().await;
    scene.next_outcomes([failed("it does not show `bad.corp`")]);
    scene.push(vec![insecure("good.corp"), insecure("bad.corp"), with_ca("c.corp")], None).await;
    let is_rejected = |status: &NodeStatus| {
        matches!(state(status, "bad.corp", DOCKER), Some(State::Rejected(_)))
            && status.due.is_empty()
    };
    let status = scene.until("rejected", is_rejected).await;
    assert_eq!(status.phase, Phase::Degraded);
    assert!(status.summary.starts_with("1 item taken back, a runtime did not take it"));
    assert_eq!(state(&status, "good.corp", DOCKER), Some(State::InForce));
    assert_eq!(state(&status, "c.corp", DOCKER), Some(State::InForce));
    let text = scene.text(DAEMON).unwrap();
    assert!(text.contains("good.corp") && !text.contains("bad.corp"), "{text}");
    assert_eq!(scene.performed(), [Effect::ReloadDocker; 3], "one of them took it back");
    scene.push(vec![insecure("good.corp"), insecure("bad.corp"), with_ca("c.corp")], None).await;
    assert_eq!(scene.performed().len(), 3, "nothing loops");
    scene.look().await;
    scene.settled().await;
    assert!(scene.text(DAEMON).unwrap().contains("bad.corp"), "on request it is tried again");
}

/// There is nothing of ours to take back then: somebody else has broken the configuration.
#[tokio::test]
async fn a_withdrawal_that_fails_is_tried_again_later_and_said() {
    let scene = Scene::with_docker().await;
    scene.push(vec![insecure("a.corp")], None).await;
    scene.settled().await;
    scene.next_outcomes([failed("daemon.json is broken")]);
    scene.push(vec![], None).await;
    let has_trouble = |status: &NodeStatus| status.phase == Phase::Degraded;
    let status = scene.until("in trouble", has_trouble).await;
    assert_eq!(status.runtimes[0].trouble.as_deref(), Some("daemon.json is broken"));
    scene.settled().await;
    assert_eq!(scene.performed().len(), 3, "on, failed, and again");
}

#[tokio::test]
async fn without_systemd_what_needs_no_effect_is_in_force() {
    let scene = Scene::with_docker().await;
    let nobody = Outcome::Impossible { message: "no bus".to_owned() };
    scene.next_outcomes(vec![nobody; 100]);
    scene.push(vec![insecure("a.corp"), with_ca("b.corp")], None).await;
    let is_told = |status: &NodeStatus| status.due.iter().any(|one| one.because == "no bus");
    let status = scene.until("told", is_told).await;
    assert_eq!(status.phase, Phase::Pending);
    assert_eq!(state(&status, "b.corp", DOCKER), Some(State::InForce));
    assert!(matches!(state(&status, "a.corp", DOCKER), Some(State::Waiting(_))));
}

#[tokio::test]
async fn a_pause_holds_effects_back_until_it_ends() {
    let scene = Scene::with_docker().await;
    let pause = |pause| scene.handle.ask(|reply| Request::Pause { pause, reply });
    let until = time::now().checked_add(SignedDuration::from_hours(1)).unwrap();
    let by = "ann".to_owned();
    pause(Some(Pause { until, reason: "release".to_owned(), by })).await.unwrap().unwrap();
    let status = scene.push(vec![insecure("a.corp")], None).await;
    assert!(status.due[0].because.starts_with("paused by ann until "), "{status:?}");
    assert_eq!(scene.performed(), []);
    pause(None).await.unwrap().unwrap();
    scene.settled().await;
    assert_eq!(scene.performed(), [Effect::ReloadDocker]);
}

#[tokio::test]
async fn a_restart_waits_for_the_job_and_for_whoever_runs_here() {
    let scene = Scene::begin(&[("containerd", "containerd")]).await;
    let (end, ended) = oneshot::channel();
    let job = Job { name: "w/1".to_owned(), by: "zadig".to_owned(), since: time::now() };
    scene.handle.ask(|reply| Request::Hold { job, ended, reply }).await.unwrap();
    *scene.world.occupants.lock().unwrap() = vec![container("c1")];
    scene.push(vec![with_ca("a.corp")], None).await;
    let is_held = |status: &NodeStatus| {
        let mut waiting = status.due.iter();
        let both = "it would interrupt container `c1`, job `w/1 of zadig` (since ";
        waiting.any(|one| one.because.starts_with(both))
    };
    scene.until("held", is_held).await;
    drop(end);
    let is_busy = |status: &NodeStatus| {
        status.due.iter().any(|one| one.because == "it would interrupt container `c1`")
    };
    let status = scene.until("busy", is_busy).await;
    assert_eq!((status.jobs.len(), scene.performed()), (0, vec![]));

    let effects = BTreeSet::new();
    let performed = scene.handle.ask(|reply| Request::Perform { effects, reply }).await.unwrap();
    assert_eq!(performed.len(), 1);
    assert!(performed[0].succeeded);
    scene.settled().await;
    assert_eq!(scene.performed(), [Effect::RestartContainerd]);
    let effects = [Effect::RestartDocker].into();
    let performed = scene.handle.ask(|reply| Request::Perform { effects, reply }).await.unwrap();
    assert_eq!(performed, [], "nothing of the kind is due");
}

#[tokio::test]
async fn a_restart_waits_for_its_window_and_a_reload_does_not() {
    let scene = Scene::begin(&[("containerd", "containerd"), ("dockerd", "docker")]).await;
    let past = "[[window]]\ndates = [\"2020-01-01\"]\nstart = \"01:00\"\nend = \"05:00\"";
    let closed = parse_settings(past, "/d").unwrap().windows;
    let owners = options().owners;
    let settings = |windows: Windows| {
        let (owners, habits) = (owners.clone(), habits(windows));
        scene.handle.tell(Request::Settings { owners, habits }).unwrap();
    };
    settings(closed);
    scene.push(vec![with_ca("a.corp"), insecure("b.corp")], None).await;
    let is_reloaded = |status: &NodeStatus| {
        status.due.len() == 1 && status.due[0].because.starts_with("it is outside the windows")
    };
    scene.until("reloaded", is_reloaded).await;
    assert_eq!(scene.performed(), [Effect::ReloadDocker]);
    settings(Windows::default());
    scene.settled().await;
    assert_eq!(scene.performed(), [Effect::ReloadDocker, Effect::RestartContainerd]);
}

#[tokio::test]
async fn a_trial_counts_from_when_it_is_in_force() {
    let scene = Scene::with_docker().await;
    let gate = scene.close_gate();
    let status = scene.push(vec![insecure("a.corp")], Some(1)).await;
    assert!(status.owners[0].on_trial && status.owners[0].trial_ends.is_none());
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(scene.text(DAEMON).unwrap().contains("a.corp"));
    gate.add_permits(9);
    scene.until("counting", |status| status.owners[0].trial_ends.is_some()).await;
    scene.until("taken back", |status| !status.owners[0].on_trial).await;
    let status = scene.settled().await;
    assert_eq!(status.owners[0].revision, 2);
    assert!(!scene.text(DAEMON).unwrap_or_default().contains("a.corp"));
}

#[tokio::test]
async fn what_somebody_changed_is_put_right_until_it_is_a_fight() {
    const PATH: &str = "etc/docker/certs.d/a.corp/ca.crt";
    let scene = Scene::with_docker().await;
    scene.push(vec![with_ca("a.corp")], None).await;
    for _ in 0..4 {
        write(scene.directory.path(), PATH, "theirs");
        scene.handle.tell(Request::Look).unwrap();
        let path = scene.directory.path().join(PATH);
        let right = async {
            while fs::read_to_string(&path).unwrap_or_default() == "theirs" {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, right).await.expect("put right");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    write(scene.directory.path(), PATH, "theirs");
    scene.handle.tell(Request::Look).unwrap();
    let status = scene.until("left", |status| !status.conflicts.is_empty()).await;
    assert!(status.conflicts[0].message.starts_with("somebody changed it 4 times"));
    assert_eq!(scene.text(PATH).as_deref(), Some("theirs"));
}

/// Needs are derived, so what a crash left undone is done by the next one.
#[tokio::test]
async fn a_new_agent_finishes_what_the_last_one_could_not() {
    let mut scene = Scene::with_docker().await;
    let _gate = scene.close_gate();
    scene.push(vec![insecure("a.corp")], None).await;
    scene.work.abort();
    let directory = std::mem::replace(&mut scene.directory, tempfile::tempdir().unwrap());
    let next = Scene::on(directory).await;
    next.settled().await;
    assert_eq!(next.performed(), [Effect::ReloadDocker]);
}

/// Nothing is due for a daemon that does not run, so nobody else would start it again.
#[tokio::test]
async fn a_daemon_that_we_left_down_is_revived_once_its_cause_is_gone() {
    let scene = Scene::begin(&[("containerd", "containerd")]).await;
    scene.next_outcomes([Outcome::Failed { message: "it died".to_owned(), healthy: false }]);
    scene.push(vec![with_ca("a.corp")], None).await;
    let is_rejected = |status: &NodeStatus| {
        matches!(state(status, "a.corp", Believer::Containerd), Some(State::Rejected(_)))
            && status.due.is_empty()
            && status.runtimes[0].trouble.is_none()
    };
    scene.until("rejected", is_rejected).await;
    assert_eq!(scene.performed(), [Effect::RestartContainerd; 2]);
    assert_eq!(*scene.world.revived.lock().unwrap(), [false, true]);
    assert!(!scene.text("etc/containerd/config.toml").unwrap_or_default().contains("config_path"));
}

/// dockerd refuses a broken daemon.json with or without what was taken back, and each time it was
/// reloaded again at once.
#[tokio::test]
async fn what_fails_for_good_is_not_repeated_at_once() {
    let scene = Scene::with_docker().await;
    scene.next_outcomes((0..1000).map(|_| failed("no such key")));
    scene.push(vec![insecure("bad.corp")], None).await;
    let taken_back = |status: &NodeStatus| {
        matches!(state(status, "bad.corp", DOCKER), Some(State::Rejected(_)))
            && scene.performed().len() == 2
            && status.phase == Phase::Degraded
    };
    scene.until("taken back, which fails as well", taken_back).await;
    scene.push(vec![], None).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(scene.performed().len() <= 3, "{} reloads", scene.performed().len());
}
