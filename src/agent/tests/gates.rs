//! Restarts with everything that they wait for, and what a crash leaves of them.

use super::*;
use crate::fleet::{Claim, Outcome as Attempt, Refused, Taken};
use crate::gate::{End, Gate, State as Stands};
use crate::hold::Held;
use crate::state::{Kept, pause_path, restart_path};

impl FleetLock for World {
    fn take<'a>(&'a self, claim: &'a Claim) -> Answer<'a, Taken> {
        self.note(format!("take {}", claim.id));
        Box::pin(async { Taken::Granted })
    }

    fn free<'a>(&'a self, claim: &'a Claim, end: Attempt) -> Answer<'a, Result<(), Refused>> {
        self.note(format!("free {} {end:?}", claim.id));
        Box::pin(async { Ok(()) })
    }
}

impl NewWork for World {
    fn hold<'a>(&'a self, _: &'a str) -> Answer<'a, Held> {
        self.note("hold");
        self.occupants.lock().unwrap().extend(self.late.lock().unwrap().take());
        Box::pin(async { Held::Held })
    }

    fn release(&self) -> Answer<'_, Result<(), String>> {
        self.note("release");
        Box::pin(async { Ok(()) })
    }
}

const CONTAINERD: [(&str, &str); 1] = [("containerd", "containerd")];

/// An agent of a fleet, on a node of which something is known already.
async fn of_a_fleet(directory: tempfile::TempDir, world: &Arc<World>) -> Scene {
    Scene::with(directory, |outfit| {
        outfit.effects = Arc::clone(world) as Arc<dyn Effects>;
        outfit.runtimes = Arc::clone(world) as Arc<dyn Runtimes>;
        outfit.fleet = Some(Arc::clone(world) as Arc<dyn FleetLock>);
        outfit.hold = Some(Arc::clone(world) as Arc<dyn NewWork>);
    })
    .await
}

fn turns(world: &World) -> Vec<String> {
    world.turns.lock().unwrap().clone()
}

fn stored(scene: &Scene) -> Gate {
    let root = NodeRoot::open(scene.directory.path()).unwrap();
    crate::state::read_kept(&root, &restart_path(Runtime::Containerd)).unwrap().unwrap_or_default()
}

/// Waits until nothing is needed, done or held any more.
async fn at_rest(scene: &Scene) {
    let is_steady = |status: &NodeStatus| status.due.is_empty() && status.restarts.is_empty();
    scene.until("at rest", is_steady).await;
}

#[tokio::test]
async fn a_restart_takes_the_lock_keeps_new_work_away_and_gives_both_back() {
    let world = Arc::new(World::default());
    let scene = of_a_fleet(tree(&CONTAINERD), &world).await;
    scene.push(vec![with_ca("a.corp")], None).await;
    at_rest(&scene).await;
    let way = ["take containerd", "hold", "take containerd", "restart containerd", "release"];
    assert_eq!(turns(&world)[..5], way);
    assert_eq!(turns(&world)[5..], ["free containerd Succeeded"]);
    let gate = stored(&scene);
    assert_eq!((gate.state, gate.lock, gate.hold), (Stands::Steady, false, false));
    assert_eq!(gate.restarts.len(), 1, "for its distance to the next one");
}

#[tokio::test]
async fn a_job_that_begins_behind_the_first_look_calls_the_restart_off() {
    let world = Arc::new(World::default());
    let scene = of_a_fleet(tree(&CONTAINERD), &world).await;
    *world.late.lock().unwrap() = Some(container("build-7"));
    scene.push(vec![with_ca("a.corp")], None).await;
    let is_resting = |status: &NodeStatus| {
        status.restarts.iter().any(|one| one.keeper == Some("rest") && one.since.is_some())
    };
    let status = scene.until("called off", is_resting).await;
    assert_eq!(status.due.len(), 1);
    let way = ["take containerd", "hold", "take containerd", "release"];
    assert_eq!(turns(&world)[..4], way);
    assert_eq!(turns(&world)[4..], ["free containerd NotTried"]);
}

#[tokio::test]
async fn what_a_restart_has_cost_is_told_until_somebody_has_seen_it() {
    let units = [vec!["shop.service".to_owned()], vec![]];
    let world = Arc::new(World::default());
    world.alive.lock().unwrap().extend(units);
    let scene = of_a_fleet(tree(&CONTAINERD), &world).await;
    scene.push(vec![with_ca("a.corp")], None).await;
    let is_told = |status: &NodeStatus| status.runtimes[1].lost.is_some();
    let status = scene.until("told", is_told).await;
    assert_eq!(status.phase, Phase::Degraded);
    assert!(status.summary.contains(", shop.service is not active"), "{}", status.summary);
    at_rest(&scene).await;
    assert!(turns(&world).contains(&"free containerd Failed".to_owned()), "{:?}", turns(&world));
    scene.look().await;
    let status = scene.until("seen", |status| status.runtimes[1].lost.is_none()).await;
    assert_eq!(status.phase, Phase::Settled);
}

#[tokio::test]
async fn several_changes_that_need_one_restart_cost_one() {
    let scene = Scene::with(tree(&CONTAINERD), |outfit| {
        outfit.habits.restart.settle = jiff::SignedDuration::from_millis(500);
    })
    .await;
    *scene.world.occupants.lock().unwrap() = vec![container("c1")];
    for host in ["a.corp", "b.corp", "c.corp"] {
        scene.push(vec![with_ca(host)], None).await;
    }
    scene.world.occupants.lock().unwrap().clear();
    scene.look().await;
    at_rest(&scene).await;
    assert_eq!(scene.performed(), [Effect::RestartContainerd]);
}

/// The last thing that happens to the first is not heard by the one that waits for it.
#[tokio::test]
async fn the_turn_of_the_next_runtime_comes_when_that_of_the_first_ends() {
    let directory = tree(&[("dockerd", "docker"), ("containerd", "containerd")]);
    let first = Stands::Soaking { since: time::now(), end: End::Succeeded };
    let first = Kept::new(Gate { state: first, ..Gate::default() });
    let path = restart_path(Runtime::Docker).to_string();
    write(directory.path(), &path[1..], &serde_json::to_string(&first).unwrap());
    let scene = Scene::with(directory, |outfit| {
        outfit.habits.restart.soak = jiff::SignedDuration::from_millis(500);
    })
    .await;
    let status = scene.push(vec![with_ca("a.corp")], None).await;
    assert_eq!(status.due[0].because, "docker comes first, and is not done");
    at_rest(&scene).await;
    assert_eq!(scene.performed(), [Effect::RestartContainerd]);
}

#[tokio::test]
async fn a_pause_outlives_the_agent_that_was_told_of_it() {
    let mut scene = Scene::with_docker().await;
    let until = time::now().checked_add(jiff::SignedDuration::from_hours(1)).unwrap();
    let pause = Pause { until, reason: "release".to_owned(), by: "ann".to_owned() };
    let told = pause.clone();
    let asked = scene.handle.ask(|reply| Request::Pause { pause: Some(told), reply });
    asked.await.unwrap().unwrap();
    scene.work.abort();
    let directory = std::mem::replace(&mut scene.directory, tempfile::tempdir().unwrap());
    let next = Scene::on(directory).await;
    let status = next.push(vec![insecure("a.corp")], None).await;
    assert_eq!(status.pause, Some(pause));
    assert!(status.due[0].because.starts_with("paused by ann until "), "{status:?}");
    assert_eq!(next.performed(), []);
    let asked = next.handle.ask(|reply| Request::Pause { pause: None, reply });
    asked.await.unwrap().unwrap();
    next.settled().await;
    assert_eq!(next.performed(), [Effect::ReloadDocker]);
    assert_eq!(next.text(&pause_path().to_string()[1..]), None);
}

/// Killed in any state, at any side of its act, with the restart done or not. The words are those
/// of the state type, so one that is new is not forgotten here.
#[tokio::test]
async fn whatever_a_dead_agent_held_is_given_back_by_the_next_one() {
    let now = time::now();
    let why = "it died".to_owned();
    let states = [
        Stands::Steady,
        Stands::Waiting { free_since: Some(now) },
        Stands::Locking,
        Stands::Holding,
        Stands::Settling { since: now },
        Stands::Restarting { before: Some("0".to_owned()) },
        Stands::RollingBack { why: why.clone() },
        Stands::Soaking { since: now, end: End::Succeeded },
        Stands::Releasing { end: End::NotTried },
        Stands::Failed { why, since: now, tries: 0 },
    ];
    assert_eq!(states.each_ref().map(Stands::word), Stands::WORDS);
    for state in states {
        for was_restarted in [false, true] {
            let name = state.word();
            let is_held = state.is_under_way();
            let directory = tree(&CONTAINERD);
            let (lock, hold) = (is_held, is_held);
            let gate = Gate { state: state.clone(), lock, hold, ..Gate::default() };
            let text = serde_json::to_string(&Kept::new(gate)).unwrap();
            let path = &restart_path(Runtime::Containerd).to_string()[1..];
            write(directory.path(), path, &text);
            let world = Arc::new(World::default());
            if was_restarted {
                // Its number is that of the orders there have been.
                world.performed.lock().unwrap().push(Effect::RestartContainerd);
            }
            let scene = of_a_fleet(directory, &world).await;
            at_rest(&scene).await;
            let gate = stored(&scene);
            assert_eq!(
                (gate.lock, gate.hold, gate.state),
                (false, false, Stands::Steady),
                "{name}"
            );
            let done = turns(&world);
            let freed = done.iter().filter(|turn| turn.starts_with("free")).count();
            let released = done.iter().filter(|turn| *turn == "release").count();
            assert_eq!((freed, released), (usize::from(is_held), usize::from(is_held)), "{name}");
            assert!(!done.iter().any(|turn| turn.starts_with("restart")), "{name}: {done:?}");
        }
    }
}

/// An idle daemon sleeps, on a node and in a tree where nothing is performed alike.
#[tokio::test]
async fn with_nothing_to_do_nothing_wakes_the_agent() {
    for perform in [true, false] {
        let directory = tree(&[("dockerd", "docker")]);
        let mut outfit = outfit(&directory, &Arc::new(World::default()));
        outfit.habits.perform = perform;
        let (mut agent, _handle) = Agent::new(outfit, watch::channel(BTreeSet::new()).0);
        agent.begin().await;
        assert_eq!(agent.next_moment(), None, "perform: {perform}");
    }
}
