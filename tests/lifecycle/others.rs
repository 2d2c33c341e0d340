//! Other people, other tools, other processes, and accidents.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags, flock};

use crate::common::{Node, Outcome, REGTRUST, fixture_text};
use crate::{LAB, declare_ca, docker_ca, drop_in};

#[test]
fn what_was_made_by_hand_is_adopted_changed_and_withdrawn() {
    let node = Node::new();
    node.remove("usr/bin/containerd");
    node.file(&docker_ca("harbor.corp"), fixture_text("ca-b.pem"));
    node.file("etc/docker/certs.d/harbor.corp/README", "ask Ann\n");
    declare_ca(&node, "harbor.corp", "ca.pem");
    let before = node.snapshot();
    node.run(["apply"]).exits(1).says("is not regtrust's").says("regtrust adopt harbor.corp");
    node.run(["adopt", "harbor.corp", "--dry-run"]).exits(2).says("-certificate CN=Other Root");
    assert_eq!(node.snapshot(), before);
    node.run(["adopt", "harbor.corp"]).exits(0);
    assert_eq!(node.text(&docker_ca("harbor.corp")), fixture_text("ca.pem"));
    node.run(["adopt", "other.corp"]).exits(64).says("not declared");
    node.remove(&drop_in("harbor.corp")).run(["apply"]).exits(0);
    assert_eq!(node.names("etc/docker/certs.d/harbor.corp"), ["README"]);
}

#[test]
fn an_element_made_by_hand_is_left_alone_unless_it_is_adopted() {
    let daemon = "{\n  \"insecure-registries\": [\"lab.corp:5000\", \"ann.corp\"]\n}\n";
    let node = Node::new();
    node.file("etc/docker/daemon.json", daemon).declare(LAB).run(["apply"]).exits(0);
    node.remove(&drop_in("node")).run(["apply"]).exits(0);
    assert_eq!(node.text("etc/docker/daemon.json"), daemon, "it was never ours");
    node.declare(LAB).run(["adopt", "lab.corp:5000"]).exits(0);
    assert_eq!(node.text("etc/docker/daemon.json"), daemon);
    node.remove(&drop_in("node")).run(["apply"]).exits(0);
    let left = node.text("etc/docker/daemon.json");
    assert!(left.contains("ann.corp") && !left.contains("lab.corp"), "{left}");
}

#[test]
fn what_somebody_changed_is_put_right_while_it_is_declared() {
    let node = Node::new();
    declare_ca(&node, "harbor.corp", "ca.pem");
    node.run(["apply"]).exits(0);
    let applied = node.text(&docker_ca("harbor.corp"));
    node.file(&docker_ca("harbor.corp"), "evil\n");
    node.remove("etc/containerd/certs.d/harbor.corp/hosts.toml");
    node.run(["status"])
        .exits(2)
        .says("Changed by somebody else")
        .says("changed by somebody")
        .says("removed by somebody");
    node.run(["apply"]).exits(0).says("put right again");
    assert_eq!(node.text(&docker_ca("harbor.corp")), applied);
    node.mode(&docker_ca("harbor.corp"), 0o666)
        .run(["apply"])
        .exits(0)
        .says("mode 0666 set by somebody");
    assert_eq!(node.mode_of(&docker_ca("harbor.corp")), 0o644);
    node.run(["plan"]).exits(0);
}

#[test]
fn what_somebody_changed_is_theirs_once_it_is_withdrawn() {
    let node = Node::new();
    declare_ca(&node, "harbor.corp", "ca.pem");
    node.run(["apply"]).exits(0);
    node.file(&docker_ca("harbor.corp"), "mine now\n").remove(&drop_in("harbor.corp"));
    node.run(["apply"]).exits(0).says("left as it is, no longer regtrust's");
    assert_eq!(node.text(&docker_ca("harbor.corp")), "mine now\n");
    node.run(["apply"]).exits(0).never_says("no longer regtrust's");
    node.run(["plan"]).exits(0);
}

#[test]
fn an_edit_between_plan_and_apply_survives() {
    let node = Node::new();
    node.file("etc/docker/daemon.json", "{\n  \"debug\": true\n}\n").declare(LAB);
    node.run(["plan"]).exits(2);
    node.file("etc/docker/daemon.json", "{\n  \"debug\": false,\n  \"mtu\": 1400\n}\n");
    node.run(["apply"]).exits(0);
    node.remove(&drop_in("node"));
    node.run(["plan"]).exits(2);
    let now = node.text("etc/docker/daemon.json").replace("1400", "9000");
    node.file("etc/docker/daemon.json", now).run(["apply"]).exits(0);
    assert_eq!(node.text("etc/docker/daemon.json"), "{\n  \"debug\": false,\n  \"mtu\": 9000\n}\n");
}

#[test]
fn docker_that_is_installed_later_is_picked_up() {
    let node = Node::new();
    node.remove("usr/bin/dockerd");
    declare_ca(&node, "harbor.corp", "ca.pem");
    node.run(["apply"]).exits(0);
    assert!(!node.has("etc/docker"));
    node.run(["plan"]).exits(0);
    node.file("usr/bin/dockerd", "");
    node.run(["plan"]).exits(2).says("/etc/docker/certs.d/harbor.corp/ca.crt");
    node.run(["apply"]).exits(0);
    assert_eq!(node.text(&docker_ca("harbor.corp")), fixture_text("ca.pem"));
}

#[test]
fn what_docker_left_behind_is_still_withdrawn() {
    let node = Node::new();
    node.declare(LAB);
    declare_ca(&node, "harbor.corp", "ca.pem");
    node.run(["apply"]).exits(0);
    node.remove("usr/bin/dockerd").remove(&drop_in("node")).remove(&drop_in("harbor.corp"));
    node.run(["apply"]).exits(0);
    assert!(!node.has("etc/docker"), "{:?}", node.names("etc/docker"));
    assert!(!node.has("etc/containerd"));
    node.run(["plan"]).exits(0);
}

#[test]
fn a_second_regtrust_waits_and_then_says_who_is_at_work() {
    let node = Node::new();
    node.declare(LAB).run(["apply"]).exits(0);
    node.remove(&drop_in("node"));
    let lock = node.path("var/lib/regtrust/lock");
    let held = rustix::fs::open(&lock, OFlags::RDONLY, Mode::empty()).unwrap();
    flock(&held, FlockOperation::LockExclusive).unwrap();
    let start = Instant::now();
    let before = node.snapshot();
    node.run(["apply"])
        .exits(75)
        .says("another regtrust process")
        .says("cure: wait until it is done");
    assert!(start.elapsed() >= Duration::from_secs(5), "it waited {:?}", start.elapsed());
    assert_eq!(node.snapshot(), before);
    drop(held);
    node.run(["apply"]).exits(0);
    // Those who only read do not keep each other out.
    let shared = rustix::fs::open(&lock, OFlags::RDONLY, Mode::empty()).unwrap();
    flock(&shared, FlockOperation::LockShared).unwrap();
    node.run(["plan"]).exits(0);
    node.run(["status"]).exits(0);
}

/// Dies at the removal of the journal, when the files are in place and nobody has been told.
fn dies_at(node: &Node, call: &str, when: usize) {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o", "/dev/null", "-e", &format!("trace={call}")]);
    strace.args(["-e", &format!("inject={call}:signal=KILL:when={when}")]);
    let died = Outcome::of(strace.arg(REGTRUST).arg("--root").arg(node.root()).arg("apply"));
    assert!(died.code != 0, "{call} {when}: {}", died.all());
}

#[test]
fn an_apply_that_died_is_finished_by_the_next_and_said_so() {
    let node = Node::new();
    node.declare(LAB);
    declare_ca(&node, "harbor.corp", "ca.pem");
    dies_at(&node, "unlinkat", 1);
    assert!(node.has("var/lib/regtrust/journal.json"));
    node.run(["plan"]).exits(2).says("An earlier apply was cut short");
    node.run(["status"]).exits(2);
    assert_eq!(node.run(["status", "--json"]).json()["interrupted"], true);
    node.run(["apply"]).exits(0).says("An earlier apply had been cut short; it was finished first");
    assert!(!node.has("var/lib/regtrust/journal.json"));
    node.run(["apply"]).exits(0).says("Nothing to do").never_says("cut short");
    assert_eq!(node.text(&docker_ca("harbor.corp")), fixture_text("ca.pem"));
    assert!(node.text("etc/docker/daemon.json").contains("lab.corp:5000"));
}

/// The declaration is gone when the machine comes back: first all of the old change, then the new.
#[test]
fn a_withdrawal_after_a_crash_leaves_nothing_behind() {
    let node = Node::new();
    let before = node.snapshot();
    node.declare(LAB);
    dies_at(&node, "unlinkat", 1);
    node.remove(&drop_in("node")).run(["apply"]).exits(0);
    assert_eq!(node.snapshot(), before);
}
