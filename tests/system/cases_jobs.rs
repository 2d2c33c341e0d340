//! What runs on a node and would be interrupted, as the real runtimes tell it.
//!
//! The program's own eyes, looking at the node through its root: each case begins something, sees it,
//! ends it, and sees that nothing is left.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use regtrust::effect::{Effects as _, Outcome, Systemd};
use regtrust::jobs::{Occupancy, Source};
use regtrust::plan::effect::Effect;
use regtrust::plan::work::{DaemonShows, IfDown, Work};
use regtrust::runtime::busy;
use regtrust::runtime::changes::changes;

use crate::case::{Case, case};
use crate::cases_effects_api::root;
use crate::lab::held::Held;
use crate::lab::node::LIMIT;
use crate::lab::pods::{self, Pod};
use crate::lab::registry::Registry;
use crate::lab::wait::{block_on, eventually};
use crate::lab::{Declaration, Node, Puller, Suite, Witness, cri, engine};

pub(crate) const CASES: &[Case] = &[
    case!(containers_and_commands_in_them_are_seen_and_what_survives_does_not_count),
    // On nodes of their own: of a layer that another case has left there is nothing to pull.
    case!(Fresh a_docker_pull_is_seen_while_it_lasts),
    case!(Fresh a_pull_into_containerds_store_is_seen_while_it_lasts)
        .on(&[Suite::Trixie, Suite::Forky]),
    case!(a_docker_build_is_seen_while_it_lasts),
    case!(Fresh a_pull_through_cri_is_seen_while_it_lasts),
    case!(Fresh pods_are_seen_until_their_own_containers_have_ended),
    case!(whoever_listens_hears_of_what_begins),
    case!(Fresh restarts_interrupt_what_they_are_said_to),
    case!(Fresh docker_needs_containerd_at_the_end_of_a_pull_and_of_no_build),
    case!(Fresh rules_that_are_wrong_make_every_restart_wait),
];

/// What a restart of one runtime would interrupt now.
fn occupancy(node: &Node, effect: Effect) -> Occupancy {
    occupancy_at(node, effect, Timestamp::now())
}

fn occupancy_at(node: &Node, effect: Effect, now: Timestamp) -> Occupancy {
    block_on(busy::occupancy(&root(node), effect, now))
}

/// Its words.
fn words(node: &Node, effect: Effect) -> Vec<String> {
    let occupancy = occupancy(node, effect);
    assert_eq!(occupancy.unknown, [], "everybody can tell");
    occupancy.occupants.iter().map(|one| format!("{} {}", one.what, one.name)).collect()
}

#[track_caller]
fn is_free(node: &Node, effect: Effect) {
    assert_eq!(words(node, effect), [] as [&str; 0], "{effect}");
}

fn becomes_free(node: &Node, effect: Effect) {
    eventually("it is over", || words(node, effect).is_empty().then_some(()));
}

const BOTH: [Effect; 2] = [Effect::RestartDocker, Effect::RestartContainerd];

fn containers_and_commands_in_them_are_seen_and_what_survives_does_not_count(node: &Node) {
    for effect in BOTH {
        is_free(node, effect);
    }
    node.start_container("service");
    node.sh(
        "docker run --detach --name job --network none --label com.gitlab.gitlab-runner.managed=true \
         --label com.gitlab.gitlab-runner.job.id=42 lab-box:1 /bin/busybox sleep 1000000; \
         docker create --name later lab-box:1 /bin/busybox true",
    );
    let told = |effect| words(node, effect);
    let job = "GitLab job 42 in job";
    let later = "container that is being started later";
    assert_eq!(told(Effect::RestartDocker), ["GitLab job 42 in job", "container service", later]);
    assert_eq!(told(Effect::RestartContainerd), [job, later]);
    node.sh("docker rm later");

    // Switched on by a reload, which it survives as well.
    node.write("/etc/docker/daemon.json", "{\"live-restore\": true}");
    node.reload_by_hand();
    eventually("live-restore", || (told(Effect::RestartDocker) == [job]).then_some(()));

    node.sh("docker rm --force job");
    for effect in BOTH {
        is_free(node, effect);
    }
    node.sh("docker exec --detach service /bin/busybox sleep 1000001");
    let command = "command in container service";
    assert_eq!(told(Effect::RestartDocker), [command]);
    is_free(node, Effect::RestartContainerd);
    node.sh("pkill --full '[s]leep 1000001'");
    becomes_free(node, Effect::RestartDocker);

    // dockerd looks how a container is by running a command in it, over and over.
    node.sh("docker run --detach --name checked --network none --health-interval 1s \
         --health-cmd '/bin/busybox sleep 100000' lab-box:1 /bin/busybox sleep 1000000");
    let check = "docker inspect --format '{{len .ExecIDs}}' checked";
    eventually("a look", || (node.sh(check).trim() == "1").then_some(()));
    is_free(node, Effect::RestartDocker);
}

fn a_docker_pull_is_seen_while_it_lasts(node: &Node) {
    a_pull_by_docker_is_seen(node);
}

fn a_pull_into_containerds_store_is_seen_while_it_lasts(node: &Node) {
    node.write("/etc/docker/daemon.json", "{\"features\": {\"containerd-snapshotter\": true}}");
    node.restart_by_hand("docker");
    a_pull_by_docker_is_seen(node);
}

/// In a registry that this runtime trusts.
fn held_image<'a>(node: &'a Node, runtime: &str) -> (Registry<'a>, Held, String) {
    let (registry, held, image) = Held::image(node);
    node.declare("held", &Declaration::of(&held.name(), "http").only(runtime));
    node.perform(&node.apply().effects);
    (registry, held, image)
}

fn a_pull_by_docker_is_seen(node: &Node) {
    let (_registry, held, image) = held_image(node, "docker");
    is_free(node, Effect::RestartDocker);
    thread::scope(|scope| {
        let pull = scope.spawn(|| engine::pull(node, &image));
        for effect in BOTH {
            let occupancy = eventually("the pull is seen", || {
                let occupancy = occupancy(node, effect);
                (!occupancy.occupants.is_empty()).then_some(occupancy)
            });
            assert_eq!(occupancy.unknown, []);
            assert!(occupancy.occupants.iter().all(|one| one.source == Source::Pulls));
        }
        held.let_go();
        pull.join().expect("a pull").expect("the pull works");
    });
    for effect in BOTH {
        becomes_free(node, effect);
    }
}

fn a_docker_build_is_seen_while_it_lasts(node: &Node) {
    node.import_box();
    is_free(node, Effect::RestartDocker);
    let dockerfile = "FROM lab-box:1\nRUN [\"/bin/busybox\", \"sleep\", \"1000000\"]\n";
    node.write("/root/Dockerfile", dockerfile);
    // The classic builder has each step in a container, which it could not start without containerd.
    let classic = ("0", &BOTH[..]);
    let kit = ("1", &BOTH[..1]);
    let builders = if node.suite == Suite::Bookworm { vec![classic, kit] } else { vec![kit] };
    for (kit, by) in builders {
        node.sh(&format!(
            "systemd-run --quiet --collect --unit=lab-build --setenv=DOCKER_BUILDKIT={kit} \
             --setenv=HOME=/root sh -c 'docker build --network none - </root/Dockerfile'"
        ));
        for effect in by {
            let build = eventually("the build is seen", || {
                let mut words = words(node, *effect).into_iter();
                words.find(|one| one.starts_with("image build "))
            });
            assert!(!build.contains("sleep"), "the command may have a secret: {build}");
        }
        if by.len() == 1 {
            is_free(node, Effect::RestartContainerd);
        }
        node.sh("systemctl stop lab-build");
        for effect in BOTH {
            becomes_free(node, effect);
        }
    }
}

fn a_pull_through_cri_is_seen_while_it_lasts(node: &Node) {
    let (_registry, held, image) = held_image(node, "containerd");
    is_free(node, Effect::RestartContainerd);
    thread::scope(|scope| {
        let pull = scope.spawn(|| cri::pull(node, &image));
        let seen = eventually("the pull is seen", || {
            let words = words(node, Effect::RestartContainerd);
            words.first().cloned()
        });
        assert!(seen.starts_with("image pull "), "{seen}");
        is_free(node, Effect::RestartDocker);
        held.let_go();
        pull.join().expect("a pull").expect("the pull works");
    });
    becomes_free(node, Effect::RestartContainerd);
    Puller::Containerd.works(node, &image);
}

fn pods_are_seen_until_their_own_containers_have_ended(node: &Node) {
    pods::allow(node);
    let told = || words(node, Effect::RestartContainerd);
    let job = Pod::start(node, "build-7-x", &[("s-type", "zadig-build"), ("s-name", "build-7")]);
    let service = Pod::start(node, "web", &[("app", "web")]);
    // It has no container yet: its image may be on its way.
    assert_eq!(told(), ["Zadig job build-7 in ci/build-7-x"]);
    is_free(node, Effect::RestartDocker);
    let worker = job.run("worker", "sleep 1000000");
    job.run("istio-proxy", "sleep 1000000");
    let web = service.run("web", "sleep 1000000");
    assert_eq!(told(), ["Zadig job build-7 in ci/build-7-x"]);
    // Until it is told to go on, and much longer than a probe.
    thread::scope(|scope| {
        scope.spawn(|| service.exec(&web, "while [ ! -e /go ]; do /bin/busybox sleep 0.1; done"));
        let command = "command in container web of ci/web";
        eventually("the command is seen", || {
            (told() == ["Zadig job build-7 in ci/build-7-x", command]).then_some(())
        });
        service.exec(&web, ">/go").expect("a command runs");
    });
    assert_eq!(told(), ["Zadig job build-7 in ci/build-7-x"]);
    let waiting = service.create("second", "true");
    let starting = "container that is being started second of ci/web";
    assert_eq!(told(), ["Zadig job build-7 in ci/build-7-x", starting]);
    service.stop_container(&waiting);

    job.stop_container(&worker);
    let later = Timestamp::now().checked_add(jiff::SignedDuration::from_mins(3)).expect("a time");
    let occupancy = occupancy_at(node, Effect::RestartContainerd, later);
    assert_eq!(occupancy, Occupancy::default(), "only a sidecar runs, for three minutes now");
    drop((job, service));
    is_free(node, Effect::RestartContainerd);
}

/// Much longer than one event comes after another.
const QUIET: Duration = Duration::from_secs(1);

fn whoever_listens_hears_of_what_begins(node: &Node) {
    node.start_container("warm");
    block_on(async {
        let root = root(node);
        let mut changes = changes(&root, Timestamp::now()).await.expect("both can be heard");
        // What began right before may still be told.
        while tokio::time::timeout(QUIET, changes.next()).await.is_ok() {}
        let still = changes.calm();
        node.sh(
            "docker run --detach --name one --network none lab-box:1 /bin/busybox sleep 1000000",
        );
        let heard = tokio::time::timeout(LIMIT, changes.next()).await;
        assert_eq!((heard, still.holds()), (Ok(true), false));
        // The last moment at which a restart can be called off.
        let before = Witness::of(node);
        let restart = Work::RestartDocker(IfDown::Leave, DaemonShows::default());
        let outcome = Systemd::of(Arc::clone(&root)).perform(&restart, &still).await;
        let message = "work has begun here at the last moment".to_owned();
        assert_eq!(outcome, Outcome::Impossible { message });
        assert_eq!(Witness::of(node), before);
        // The rest of what this did, so that it is not taken for what comes next.
        while tokio::time::timeout(QUIET, changes.next()).await.is_ok() {}
        let still = changes.calm();
        node.sh("docker rm --force one");
        let heard = tokio::time::timeout(QUIET, changes.next()).await;
        assert!(heard.is_err() && still.holds(), "what ends is in nobody's way");
        node.sh("systemctl stop docker.socket docker.service");
        let silent = async { while changes.next().await {} };
        tokio::time::timeout(LIMIT, silent).await.expect("dockerd has ended");
        assert!(!still.holds(), "what docker begins now nobody would hear");
    });
}

/// In a unit that ends with whoever asked docker.
fn begin(node: &Node, unit: &str, command: &str) {
    node.sh(&format!(
        "systemd-run --quiet --unit={unit} --property=RemainAfterExit=yes --setenv=HOME=/root \
         --setenv=DOCKER_BUILDKIT=1 {command}"
    ));
}

fn begin_build(node: &Node, unit: &str, seconds: u32) {
    let step = format!("[\"/bin/busybox\", \"sleep\", \"{seconds}\"]");
    node.write(&format!("/root/{unit}"), format!("FROM lab-box:1\nRUN {step}\n"));
    begin(node, unit, &format!("sh -c 'docker build --network none - </root/{unit}'"));
}

/// How a unit stands that `begin` has begun: `running`, `exited` once it has done what it should, or
/// `failed`.
fn state(node: &Node, unit: &str) -> String {
    node.sh(&format!("systemctl show --property=SubState --value {unit}")).trim().to_owned()
}

/// The process itself, not the client who asks for it and is there before it is.
fn process(node: &Node, seconds: u32) -> String {
    let command = format!("/bin/busybox sleep {seconds}");
    node.run(["pgrep", "--full", "--exact", &command]).stdout.trim().to_owned()
}

fn await_process(node: &Node, seconds: u32) {
    eventually("it runs", || (!process(node, seconds).is_empty()).then_some(()));
}

/// What each kind of restart does to what is going on, which is what the rules rest on.
fn restarts_interrupt_what_they_are_said_to(node: &Node) {
    const ATTACHED: [&str; 3] = ["lab-run", "lab-exec", "lab-build"];
    pods::allow(node);
    node.start_container("service");
    let pod = Pod::start(node, "web", &[]);
    let web = pod.run("web", "exec /bin/busybox sleep 1000001");
    let run = "docker run --name job --network none lab-box:1 /bin/busybox sleep 1000002";
    begin(node, "lab-run", run);
    begin(node, "lab-exec", "docker exec service /bin/busybox sleep 1000003");
    begin_build(node, "lab-build", 1_000_004);
    for seconds in [1_000_002, 1_000_003, 1_000_004] {
        await_process(node, seconds);
    }
    let alive = || [1_000_000, 1_000_001].map(|seconds| process(node, seconds));
    let before = alive();
    thread::scope(|scope| {
        let exec = scope.spawn(|| pod.exec(&web, "/bin/busybox sleep 1000005"));
        await_process(node, 1_000_005);
        node.restart_by_hand("containerd");
        exec.join().expect("a command").expect_err("it went with containerd");
    });
    assert_eq!(alive(), before);
    assert_eq!(ATTACHED.map(|unit| state(node, unit)), ["running"; 3]);

    node.write("/etc/docker/daemon.json", "{\"live-restore\": true}");
    node.reload_by_hand();
    node.restart_by_hand("docker");
    assert_eq!(alive(), before);
    for unit in ATTACHED {
        eventually("it went with dockerd", || (state(node, unit) == "failed").then_some(()));
    }
}

/// Also where dockerd has a store of its own: it asks containerd for a lease when it has it all.
fn docker_needs_containerd_at_the_end_of_a_pull_and_of_no_build(node: &Node) {
    node.import_box();
    let (_registry, held, image) = held_image(node, "docker");
    thread::scope(|scope| {
        let pull = scope.spawn(|| engine::pull(node, &image));
        let is_pulled =
            || words(node, Effect::RestartDocker).iter().any(|one| one.starts_with("image pull"));
        eventually("the pull is seen", || is_pulled().then_some(()));
        begin_build(node, "lab-build", 2);
        await_process(node, 2);
        node.sh("systemctl stop containerd");
        held.let_go();
        eventually("the build works", || (state(node, "lab-build") == "exited").then_some(()));
        // A newer one may wait for it for a minute first.
        if node.suite == Suite::Forky {
            node.sh("systemctl start containerd");
            _ = pull.join().expect("a pull");
        } else {
            let words = pull.join().expect("a pull").expect_err("containerd is away");
            assert!(words.contains("error creating lease"), "{words}");
        }
    });
}

fn rules_that_are_wrong_make_every_restart_wait(node: &Node) {
    node.write("/etc/regtrust/jobs.toml", "unlabeled = 1\n");
    for effect in BOTH {
        let occupancy = occupancy(node, effect);
        let words = occupancy.words();
        assert!(
            words.starts_with("what a job is is not known: /etc/regtrust/jobs.toml:1:1"),
            "{words}"
        );
        assert!(!occupancy.is_free());
    }
}
