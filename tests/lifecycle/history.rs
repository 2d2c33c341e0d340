//! Generations, rollbacks and pins.

use crate::common::{Node, fixture_text};
use crate::{declare_ca, docker_ca, drop_in};

const PIN: &str = "var/lib/regtrust/pin.json";

/// Generation 1: one CA. 2: another. 3: a second registry.
fn three_generations() -> Node {
    let node = Node::new();
    declare_ca(&node, "harbor.corp", "ca.pem");
    node.run(["apply"]).exits(0);
    declare_ca(&node, "harbor.corp", "ca-b.pem");
    node.run(["apply"]).exits(0);
    declare_ca(&node, "second.corp", "ca.pem");
    node.run(["apply"]).exits(0);
    node
}

fn numbers(node: &Node) -> Vec<u64> {
    let list = node.run(["history", "--json"]).exits(0).json();
    list.as_array().unwrap().iter().map(|one| one["number"].as_u64().unwrap()).collect()
}

#[test]
fn history_tells_what_changed_and_what_is_in_force() {
    let node = three_generations();
    node.run(["history"]).exits(0).says("+harbor.corp").says("~harbor.corp").says("+second.corp");
    assert_eq!(numbers(&node), [3, 2, 1]);
    let list = node.run(["history", "--json"]).json();
    assert_eq!(list[0]["in_force"], true);
    assert_eq!(list[0]["registries"], 2);
    assert_eq!(list[1]["in_force"], false);
    node.run(["apply"]).exits(0);
    assert_eq!(numbers(&node), [3, 2, 1], "an apply that changes nothing is no generation");
    Node::new().run(["history"]).exits(0).says("nothing was ever in force");
}

#[test]
fn a_rollback_pins_visibly_until_it_is_released() {
    let node = three_generations();
    node.run(["rollback", "1", "--for", "2h", "--reason", "it broke"])
        .exits(0)
        .says("Pinned to generation 1");
    assert_eq!(node.text(&docker_ca("harbor.corp")), fixture_text("ca.pem"));
    assert!(!node.has(&docker_ca("second.corp")), "it was not there in generation 1");
    node.run(["status"]).exits(0).says("pinned to generation 1").says("it broke");
    assert_eq!(node.run(["plan", "--json"]).exits(0).json()["pinned_to"], 1);
    assert_eq!(node.run(["plan", "--json"]).standing("harbor.corp"), "pinned");
    assert_eq!(node.run(["plan", "--json"]).standing("second.corp"), "pinned-out");
    node.run(["history"]).exits(0).says("(pinned to 1)");

    // What is declared meanwhile waits, and is told to wait.
    declare_ca(&node, "third.corp", "ca.pem");
    node.run(["apply"]).exits(0).says("Pinned to generation 1").says("rollback --release");
    assert!(!node.has(&docker_ca("third.corp")));
    node.run(["explain", "third.corp"]).exits(0).says("not in generation 1");

    node.run(["rollback", "--release"]).exits(0);
    assert!(!node.has(PIN));
    assert_eq!(node.text(&docker_ca("harbor.corp")), fixture_text("ca-b.pem"));
    assert_eq!(node.names("etc/docker/certs.d"), ["harbor.corp", "second.corp", "third.corp"]);
}

#[test]
fn what_was_withdrawn_does_not_come_back_with_a_rollback() {
    let node = three_generations();
    node.remove(&drop_in("harbor.corp")).run(["apply"]).exits(0);
    node.run(["rollback", "2"]).exits(0);
    assert!(!node.has("etc/docker/certs.d"), "{:?}", node.names("etc/docker/certs.d"));
    assert_eq!(node.run(["status", "--json"]).standing("harbor.corp"), "absent");
    // Also what is withdrawn during the pin.
    let node = three_generations();
    node.run(["rollback", "1"]).exits(0);
    assert!(node.has(&docker_ca("harbor.corp")));
    node.remove(&drop_in("harbor.corp")).run(["apply"]).exits(0);
    assert!(!node.has(&docker_ca("harbor.corp")));
}

#[test]
fn a_rollback_is_judged_by_todays_policy() {
    let node = three_generations();
    node.policy("deny = [\"harbor.corp\"]\n").run(["rollback", "1"]).exits(1).says("refused");
    assert!(!node.has(&docker_ca("harbor.corp")));
}

#[test]
fn a_pin_ends_by_itself() {
    let node = three_generations();
    node.run(["rollback", "1", "--for", "1m"]).exits(0);
    let mut pin: serde_json::Value = serde_json::from_str(&node.text(PIN)).unwrap();
    pin["until"] = "2020-01-01T00:00:00Z".into();
    node.file(PIN, pin.to_string());
    node.run(["plan"]).exits(2).never_says("inned");
    node.run(["apply"]).exits(0);
    assert_eq!(node.text(&docker_ca("harbor.corp")), fixture_text("ca-b.pem"));
    assert!(!node.has(PIN));
}

#[test]
fn a_generation_that_is_not_kept_cannot_be_rolled_back_to() {
    let node = three_generations();
    let before = node.snapshot();
    node.run(["rollback", "99"]).exits(64).says("generation 99 is not kept");
    for number in 0..20 {
        declare_ca(&node, &format!("r{number}.corp"), "ca.pem");
        node.run(["apply"]).exits(0);
    }
    assert_eq!(numbers(&node).len(), 20);
    node.run(["rollback", "1"]).exits(64).says("`regtrust history` lists those that are");
    assert!(before.iter().all(|(path, _)| node.snapshot().contains_key(path)));
}

/// Number 0 is the node before regtrust.
#[test]
fn a_rollback_to_nothing_takes_everything_off_for_a_while() {
    let node = Node::new();
    let before = node.snapshot();
    declare_ca(&node, "harbor.corp", "ca.pem");
    node.run(["apply"]).exits(0);
    node.run(["rollback", "0"]).exits(0);
    let after = node.snapshot();
    assert!(before.iter().all(|(path, lies)| after.get(path) == Some(lies)));
    assert!(!node.has("etc/docker"));
    node.run(["rollback", "--release"]).exits(0);
    assert!(node.has(&docker_ca("harbor.corp")));
}
