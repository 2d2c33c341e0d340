//! Declarations that change, break, end and contradict each other.

use std::thread::sleep;
use std::time::Duration;

use jiff::Timestamp;

use crate::common::{Node, fixture_text};
use crate::{LAB, declare_ca, docker_ca, drop_in};

#[test]
fn a_typo_keeps_what_is_in_force_and_removing_the_file_withdraws_it() {
    for typo in [
        "[[registry]\n",
        "[[registry]]\nhost = \"harbor.corp\"\ntrust = \"caa\"\n",
        "[[regisrty]]\n",
    ] {
        let node = Node::new();
        let before = node.snapshot();
        declare_ca(&node, "harbor.corp", "ca.pem");
        node.run(["apply"]).exits(0);
        let applied = node.snapshot();
        node.file(&drop_in("harbor.corp"), typo);
        assert_eq!(node.run(["apply", "--json"]).exits(78).standing("harbor.corp"), "held");
        node.run(["status"]).exits(78).says("held as it was");
        node.run(["explain", "harbor.corp"]).exits(0).says("held as it was");
        declare_ca(&node, "harbor.corp", "ca.pem");
        node.run(["apply"]).exits(0);
        for (path, lies) in &applied {
            if !path.ends_with("harbor.corp.toml") {
                assert_eq!(node.snapshot().get(path), Some(lies), "{}", path.display());
            }
        }
        node.file(&drop_in("harbor.corp"), typo);
        node.run(["apply"]).exits(78);
        node.remove(&drop_in("harbor.corp")).remove("etc/regtrust/registries.d/ca.pem");
        node.run(["apply"]).exits(0);
        assert_eq!(node.snapshot(), before, "{typo}");
    }
}

#[test]
fn an_empty_file_withdraws_what_it_declared() {
    let node = Node::new();
    declare_ca(&node, "harbor.corp", "ca.pem");
    node.run(["apply"]).exits(0);
    node.file(&drop_in("harbor.corp"), "");
    node.run(["apply"]).exits(0);
    assert!(!node.has("etc/docker"));
}

#[test]
fn while_the_policy_cannot_be_read_only_withdrawals_happen() {
    let node = Node::new();
    declare_ca(&node, "stays.corp", "ca.pem");
    declare_ca(&node, "changes.corp", "ca.pem");
    declare_ca(&node, "goes.corp", "ca.pem");
    node.run(["apply"]).exits(0);
    node.policy("insecrue = false\n").remove(&drop_in("goes.corp"));
    declare_ca(&node, "changes.corp", "ca-b.pem");
    declare_ca(&node, "new.corp", "ca.pem");
    let outcome = node.run(["apply", "--json"]).exits(78);
    for (host, standing) in [
        ("stays.corp", "held"),
        ("changes.corp", "held"),
        ("goes.corp", "absent"),
        ("new.corp", "unusable"),
    ] {
        assert_eq!(outcome.standing(host), standing, "{host}");
    }
    assert_eq!(node.names("etc/docker/certs.d"), ["changes.corp", "stays.corp"]);
    assert_eq!(node.text(&docker_ca("changes.corp")), fixture_text("ca.pem"));
    node.remove("etc/regtrust/policy.toml").run(["apply"]).exits(0);
    assert_eq!(node.names("etc/docker/certs.d"), ["changes.corp", "new.corp", "stays.corp"]);
    assert_eq!(node.text(&docker_ca("changes.corp")), fixture_text("ca-b.pem"));
}

#[test]
fn a_policy_that_starts_to_refuse_withdraws() {
    let node = Node::new();
    declare_ca(&node, "harbor.corp", "ca.pem");
    declare_ca(&node, "evil.example", "ca.pem");
    node.run(["apply"]).exits(0);
    node.policy("deny = [\"*.example\"]\n");
    node.run(["plan"]).exits(2).says("refused by this node's policy");
    node.run(["apply"]).exits(1).says("policy.toml:1").says("`evil.example` matches `*.example`");
    assert_eq!(node.names("etc/docker/certs.d"), ["harbor.corp"]);
    assert_eq!(node.run(["plan", "--json"]).exits(1).standing("evil.example"), "refused");
}

/// Nobody writes fractions of a second, and the product counts none.
fn in_seconds(seconds: i64) -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second() + seconds).unwrap()
}

/// By the clock that the product reads, which may be set while a test runs.
fn wait_until(end: Timestamp) {
    while Timestamp::now() <= end {
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_exception_is_reported_before_its_end_and_taken_back_after_it() {
    let node = Node::new();
    let before = node.snapshot();
    let until = in_seconds(5);
    node.declare(&format!("{LAB}until = {until}\nreason = \"old lab\"\n"));
    node.run(["apply"]).exits(0).says("ends at").says("renew it");
    node.run(["status"]).exits(0).says("until ").says("reason: old lab");
    assert!(node.has("etc/docker/daemon.json"));
    wait_until(until);
    node.run(["plan"]).exits(2).says("ended at");
    assert_eq!(node.run(["status", "--json"]).standing("lab.corp:5000"), "ended");
    node.run(["apply"]).exits(0).says("removed /etc/docker/daemon.json");
    node.remove(&drop_in("node"));
    assert_eq!(node.snapshot(), before);
    node.run(["apply"]).exits(0);
}

/// Also when nobody can read its file any more: an end is no mistake.
#[test]
fn an_exception_ends_though_its_file_is_broken() {
    let node = Node::new();
    let until = in_seconds(5);
    node.declare(&format!("{LAB}until = {until}\n"));
    node.run(["apply"]).exits(0);
    node.declare("[[registry\n");
    node.run(["apply"]).exits(78);
    wait_until(until);
    node.run(["apply"]).exits(78);
    assert!(!node.has("etc/docker/daemon.json"));
}

#[test]
fn of_two_files_the_later_one_wins_and_the_earlier_one_is_told() {
    let node = Node::new();
    for (name, ca) in [("10-base", "ca.pem"), ("20-site", "ca-b.pem")] {
        node.certificate(ca).file(
            &drop_in(name),
            format!("[[registry]]\nhost = \"harbor.corp\"\ntrust = \"ca\"\nca_file = \"{ca}\"\n"),
        );
    }
    node.run(["apply"]).exits(0).says("10-base.toml:1").says("20-site.toml:1` too, which wins");
    assert_eq!(node.text(&docker_ca("harbor.corp")), fixture_text("ca-b.pem"));
    node.run(["explain", "harbor.corp"])
        .exits(0)
        .says("declared in /etc/regtrust/registries.d/20-site.toml:1");
    node.remove(&drop_in("20-site")).run(["apply"]).exits(0);
    assert_eq!(node.text(&docker_ca("harbor.corp")), fixture_text("ca.pem"));
}

#[test]
fn a_vendors_file_can_be_masked() {
    let node = Node::new();
    node.file("usr/lib/regtrust/registries.d/vendor.toml", LAB).run(["apply"]).exits(0);
    assert!(node.has("etc/docker/daemon.json"));
    node.link(&drop_in("vendor"), "/dev/null").run(["apply"]).exits(0);
    assert!(!node.has("etc/docker/daemon.json"));
}

/// A kubelet swaps `..data`; the names beside it are links through it.
#[test]
fn a_mounted_config_map_is_a_directory_of_declarations() {
    let node = Node::new();
    let mount = "mnt/registries";
    node.file(&format!("{mount}/..v1/lab.toml"), LAB).link(&format!("{mount}/..data"), "..v1");
    node.link(&format!("{mount}/lab.toml"), "..data/lab.toml");
    let apply = ["apply", "--declarations", "/mnt/registries"];
    node.run(apply).exits(0);
    assert!(node.text("etc/docker/daemon.json").contains("lab.corp:5000"));
    node.file(&format!("{mount}/..v2/lab.toml"), LAB.replace("lab.corp", "new.corp"));
    node.remove(&format!("{mount}/..data")).link(&format!("{mount}/..data"), "..v2");
    node.run(apply).exits(0);
    let daemon = node.text("etc/docker/daemon.json");
    assert!(daemon.contains("new.corp:5000") && !daemon.contains("lab.corp"), "{daemon}");
    // A volume that is not mounted yet is no withdrawal.
    node.remove(mount).run(apply).exits(78).says("/mnt/registries: is not there");
    assert_eq!(node.text("etc/docker/daemon.json"), daemon);
}
