//! regtrustd as a unit on the node: files that are dropped in are in force by themselves.

use std::time::{Duration, Instant};

use regtrust::api::v1::item_status::State;
use regtrust::api::v1::{NodeStatus, Phase, Runtime, RuntimeStatus, Verdict};

use crate::case::{Case, case};
use crate::lab::daemon::{Daemon, items, registry};
use crate::lab::wait::eventually;
use crate::lab::{Authority, Declaration, Node, Puller, Setup, Witness};

pub(crate) const CASES: &[Case] = &[
    case!(Kubernetes what_is_dropped_in_is_in_force_by_itself),
    case!(Kubernetes a_reload_that_dockerd_refuses_takes_its_items_back),
    case!(Fresh a_containerd_that_does_not_come_back_is_revived_without_us),
    case!(Kubernetes a_ca_tool_that_fails_takes_its_items_back),
    case!(Kubernetes without_a_bus_only_what_needs_it_waits),
    case!(Fresh a_runtime_that_is_stopped_or_started_is_noticed),
];

const DAEMON: &str = "/etc/docker/daemon.json";
const TOOL: &str = "/usr/sbin/update-ca-certificates";
/// Long enough for what repeats itself without end to do so often.
const A_WHILE: Duration = Duration::from_secs(12);
/// With a pause of 5, 10, 20… seconds after each failure.
const EFFECTS_IN_A_WHILE: usize = 3;

fn what_is_dropped_in_is_in_force_by_itself(node: &Node) {
    let (secure, plain) = (node.host(), Setup::plain().start(node));
    let authority = Authority::new("corp");
    let secure = Setup::tls(authority.server(&[&secure.name])).at(&secure).start(node);
    let (image, plain_image) = (secure.image("app"), plain.image("app"));

    let daemon = Daemon::install(node);
    let began = Instant::now();
    daemon.systemctl("start");
    eprintln!("{}: ready {:?} after the request", node.suite, began.elapsed());
    assert_eq!(daemon.shows("StatusText"), "no registry is declared");
    let before = Witness::of(node);
    for puller in [Puller::Docker, Puller::Containerd] {
        puller.pull(node, &image).expect_err("nothing is trusted by itself");
    }

    let began = Instant::now();
    node.declare("corp", &Declaration::ca(&secure.name(), &authority.root));
    daemon.in_force(&secure.name());
    eprintln!("{}: a CA is in force {:?} after its file", node.suite, began.elapsed());
    for puller in [Puller::Docker, Puller::Containerd] {
        puller.pull(node, &image).unwrap_or_else(|words| panic!("{puller:?}: {words}"));
    }
    assert_eq!(Witness::of(node), before, "nothing was reloaded for it");
    let both_trust = |host: &str| {
        daemon.until(&format!("both runtimes have said that they trust {host}"), |status| {
            let items = items(status, host, State::InForce);
            items.len() == 2
                && items.iter().all(|item| {
                    item.proof.as_ref().is_some_and(|proof| proof.verdict() == Verdict::Trusted)
                })
        });
    };
    both_trust(&secure.name());

    node.declare("plain", &Declaration::of(&plain.name(), "insecure"));
    daemon.in_force(&plain.name());
    for puller in [Puller::Docker, Puller::Containerd] {
        puller.pull(node, &plain_image).unwrap_or_else(|words| panic!("{puller:?}: {words}"));
    }
    let after = Witness::of(node);
    assert_eq!(after.docker.pid, before.docker.pid);
    assert_eq!(after.containerd, before.containerd);
    assert_eq!(after.docker.hangups, before.docker.hangups + 1, "one reload");
    assert_eq!(daemon.shows("StatusText"), "2 registries in force");
    // By HTTP, where HTTPS was asked first, and by HTTPS, where HTTP would come next.
    both_trust(&plain.name());
    node.declare("corp", &Declaration::of(&secure.name(), "insecure"));
    both_trust(&secure.name());

    node.withdraw("corp");
    node.withdraw("plain");
    daemon.until("nothing is declared any more", |status| {
        status.registries.is_empty() && status.phase() == Phase::Settled
    });
    for image in [&image, &plain_image] {
        for puller in [Puller::Docker, Puller::Containerd] {
            puller.pull(node, image).expect_err("it is not trusted any more");
        }
    }
    eventually("systemd is told", || {
        (daemon.shows("StatusText") == "no registry is declared").then_some(())
    });
    assert!(!node.exists(DAEMON), "it was not there before");
    let last = Witness::of(node);
    assert_eq!((last.docker.pid, last.containerd), (before.docker.pid, before.containerd));
}

/// Nothing may be tried without end.
fn is_calm(node: &Node, daemon: &Daemon<'_>) {
    let before = daemon.effects();
    std::thread::sleep(A_WHILE);
    let more = daemon.effects() - before;
    eprintln!("{}: {before} effects, and {more} more in {A_WHILE:?}", node.suite);
    assert!(more <= EFFECTS_IN_A_WHILE, "{more} effects in {A_WHILE:?}");
}

fn rejected(daemon: &Daemon<'_>, host: &str) -> (String, String) {
    let status = daemon.until(&format!("{host} was taken back"), |status| {
        !items(status, host, State::Rejected).is_empty() && status.phase() == Phase::Degraded
    });
    let [item] = items(&status, host, State::Rejected).try_into().expect("one item");
    (item.because, status.summary)
}

fn a_reload_that_dockerd_refuses_takes_its_items_back(node: &Node) {
    let authority = Authority::new("corp");
    let host = node.host();
    let secure = Setup::tls(authority.server(&[&host.name])).at(&host).start(node);
    let image = secure.image("app");
    let theirs =
        "{\n  \"debug\": false,\n  \"no-such-key\": 1,\n  \"max-concurrent-downloads\": 3\n}\n";
    let before = Witness::of(node);
    node.write(DAEMON, theirs);
    let daemon = Daemon::start(node);

    node.declare("corp", &Declaration::ca(&secure.name(), &authority.root));
    node.declare("plain", &Declaration::of("plain.corp:5000", "insecure"));
    let (because, summary) = rejected(&daemon, "plain.corp:5000");
    assert!(because.contains("did not take the new daemon.json"), "{because}");
    assert!(summary.contains("taken back"), "{summary}");
    daemon.in_force(&secure.name());
    Puller::Docker.pull(node, &image).unwrap();
    Puller::Containerd.pull(node, &image).unwrap();
    let contained = items(&daemon.status(), "plain.corp:5000", State::InForce);
    assert_eq!(contained.len(), 1, "containerd has taken it");
    is_calm(node, &daemon);
    // The empty list stays until dockerd has taken it: without it dockerd would keep what it has.
    let left = node.read(DAEMON).unwrap();
    assert!(!left.contains("plain.corp") && left.contains("no-such-key"), "{left}");
    assert_eq!(Witness::of(node).docker.pid, before.docker.pid);

    // Once what was wrong has been put right, one word is enough.
    node.sh(&format!("sed -i /no-such-key/d {DAEMON}"));
    daemon.systemctl("reload");
    daemon.in_force("plain.corp:5000");
    daemon.settled();
    node.withdraw("corp");
    node.withdraw("plain");
    daemon.until("nothing is declared any more", |status| {
        status.registries.is_empty() && status.phase() == Phase::Settled
    });
    node.remove(DAEMON);
    assert_eq!(Witness::of(node).docker.pid, before.docker.pid);
}

fn a_containerd_that_does_not_come_back_is_revived_without_us(node: &Node) {
    // It refuses to start with what regtrust puts into its configuration.
    let refuses =
        "[Service]\nExecStartPre=/bin/sh -c '! grep -q certs.d /etc/containerd/config.toml'\n";
    node.write("/etc/systemd/system/containerd.service.d/refuses.conf", refuses);
    let config = node.read("/etc/containerd/config.toml").unwrap();
    let authority = Authority::new("corp");
    let host = node.host();
    let secure = Setup::tls(authority.server(&[&host.name])).at(&host).start(node);
    let image = secure.image("app");
    let before = Witness::of(node);
    let daemon = Daemon::start(node);

    let both = Declaration::ca(&secure.name(), &authority.root);
    node.declare("corp", &both.line("runtimes = [\"docker\", \"containerd\"]"));
    let (because, _) = rejected(&daemon, &secure.name());
    assert!(because.contains("containerd did not come back"), "{because}");
    eventually("containerd runs again", || {
        (Witness::state(node, "containerd.service") == "active").then_some(())
    });
    daemon.until("it is known to be healthy again", |status| {
        status.due.is_empty() && registry(status, &secure.name()).is_some()
    });
    assert_eq!(node.read("/etc/containerd/config.toml"), Some(config));
    // dockerd takes its time until it looks for containerd again.
    eventually("dockerd pulls again", || Puller::Docker.pull(node, &image).ok());
    is_calm(node, &daemon);
    let after = Witness::of(node);
    assert_eq!(after.docker.pid, before.docker.pid);
    assert_eq!(after.containerd.state, "active");
}

fn a_ca_tool_that_fails_takes_its_items_back(node: &Node) {
    node.sh(&format!(
        "mv {TOOL} {TOOL}.good; printf '#!/bin/sh\\nexit 3\\n' > {TOOL}; chmod 755 {TOOL}"
    ));
    let (authority, other) = (Authority::new("corp"), Authority::new("other"));
    let before = Witness::of(node);
    let daemon = Daemon::start(node);
    let wide = Declaration::ca("wide.corp", &authority.root).line("system_store = true");
    node.declare("wide", &wide);
    node.declare("corp", &Declaration::ca("narrow.corp", &other.root));
    daemon.until("it was taken back", |status| {
        status.phase() == Phase::Degraded && status.summary.contains("1 item taken back")
    });
    daemon.in_force("narrow.corp");
    eventually("its certificate is gone from the anchors", || {
        node.sh("find /usr/local/share/ca-certificates -name 'regtrust-*'").is_empty().then_some(())
    });
    is_calm(node, &daemon);
    node.sh(&format!("mv {TOOL}.good {TOOL}"));
    assert_eq!(
        Witness::of(node),
        before,
        "no runtime is restarted for a store that has not changed"
    );
}

fn without_a_bus_only_what_needs_it_waits(node: &Node) {
    let authority = Authority::new("corp");
    let before = Witness::of(node);
    let daemon = Daemon::start(node);
    node.sh("mv /run/dbus/system_bus_socket /run/dbus/elsewhere");
    node.declare("corp", &Declaration::ca("narrow.corp", &authority.root));
    node.declare("plain", &Declaration::of("plain.corp:5000", "insecure"));
    daemon.in_force("narrow.corp");
    let status = daemon.until("the reload says why it waits", |status| {
        status.due.iter().any(|due| due.waiting_for.contains("system_bus_socket"))
    });
    assert_eq!(items(&status, "plain.corp:5000", State::Waiting).len(), 1, "docker's");
    assert_eq!(items(&status, "plain.corp:5000", State::InForce).len(), 1, "containerd's");
    assert_eq!(status.phase(), Phase::Pending);
    assert!(status.summary.contains("1 waiting"), "{}", status.summary);
    is_calm(node, &daemon);
    node.sh("mv /run/dbus/elsewhere /run/dbus/system_bus_socket");
    daemon.in_force("plain.corp:5000");
    daemon.settled();
    assert_eq!(Witness::of(node).docker.pid, before.docker.pid);
    node.withdraw("plain");
    daemon.until("it is gone", |status| registry(status, "plain.corp:5000").is_none());
    daemon.settled();
}

/// No file of ours or theirs changes then, so nothing else would make the daemon look.
fn a_runtime_that_is_stopped_or_started_is_noticed(node: &Node) {
    // What stays when containerd dies, and keeps its control group.
    node.start_container("stays");
    let daemon = Daemon::start(node);
    let state = |status: &NodeStatus, runtime: Runtime| {
        let known = status.runtimes.iter().find(|one| one.runtime() == runtime);
        known.cloned().unwrap_or_else(RuntimeStatus::default)
    };
    for (runtime, stop, start) in [
        (
            Runtime::Docker,
            "stop docker.socket docker.service",
            "start docker.socket docker.service",
        ),
        (Runtime::Containerd, "stop docker.socket docker.service containerd", "start containerd"),
    ] {
        let before = state(&daemon.status(), runtime);
        assert!(before.is_running, "{before:?}");
        let began = Instant::now();
        node.sh(&format!("systemctl {stop}"));
        daemon.until("it is stopped", |status| !state(status, runtime).is_running);
        node.sh(&format!("systemctl {start}"));
        daemon.until("it runs again", |status| state(status, runtime).is_running);
        eprintln!("{}: {runtime:?} stopped and started, {:?}", node.suite, began.elapsed());
        // Another run of it, with nothing between that could be seen.
        let before = state(&daemon.status(), runtime);
        daemon.until("some seconds later", |_| age(node, &before) > 2);
        node.sh(&format!("systemctl kill --kill-whom=main --signal=KILL {}", word(runtime)));
        daemon.until("it is another run", |status| {
            let now = state(status, runtime);
            now.is_running && now.since != before.since
        });
    }
}

fn word(runtime: Runtime) -> &'static str {
    if runtime == Runtime::Docker { "docker" } else { "containerd" }
}

/// In seconds: the kernel tells the start of a process no better.
fn age(node: &Node, status: &RuntimeStatus) -> i64 {
    let now: i64 = node.sh("date +%s").trim().parse().expect("seconds");
    now - status.since.as_ref().map_or(now, |since| since.seconds)
}
