//! What is due, and until when.

use crate::common::{Node, fixture_text};
use crate::{LAB, declare_ca, drop_in};

const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";

#[test]
fn an_image_that_was_baked_boots_with_nothing_due_and_nothing_left_over() {
    let node = Node::new();
    node.certificate("ca.pem").file(BUNDLE, fixture_text("ca-b.pem")).declare(&format!(
        "{LAB}[[registry]]\nhost = \"harbor.corp\"\ntrust = \"ca\"\nca_file = \"ca.pem\"\n"
    ));
    node.run(["plan"]).exits(2).says("nothing has to be reloaded or restarted");
    node.run(["apply"]).exits(0).never_says("Still due").never_says("restart");
    let baked = node.snapshot();
    let state = node.names("var/lib/regtrust");
    assert_eq!(state, ["generations", "ledger.json", "lock"]);

    node.boot().start_docker(5).start_containerd(5);
    assert_eq!(node.live(["plan", "--json"]).exits(0).effects(), [""; 0]);
    node.live(["plan"]).exits(0).says("no file to change");
    node.live(["status"]).exits(0).says("in place");
    node.live(["apply"]).exits(0).says("Nothing to do; generation 1 is in force");
    let booted = node.snapshot();
    assert!(baked.iter().all(|(path, lies)| booted.get(path) == Some(lies)));
    assert_eq!(node.names("var/lib/regtrust"), state);
}

/// dockerd forgets nothing when a key vanishes from daemon.json, so the last element leaves an empty
/// list behind until dockerd has read that.
#[test]
fn the_last_insecure_registry_goes_in_two_steps() {
    for (before, acknowledged) in [
        (None, true),
        (None, false),
        (Some("{\n\t\"debug\" : true\n}"), true),
        (Some("{\"debug\":true}\r\n"), false),
        (Some("{}"), true),
        (Some(""), true),
    ] {
        let node = Node::new();
        node.boot().start_docker(-3600);
        if let Some(before) = before {
            node.file("etc/docker/daemon.json", before);
        }
        node.declare(LAB);
        node.live(["apply"]).exits(0).says("reload docker: systemctl reload docker");
        node.live(["apply", "--acknowledge", "docker-reload"]).exits(0).never_says("Still due");
        node.remove(&drop_in("node"));

        let removed = node.live(["apply", "--json"]).exits(0);
        assert_eq!(removed.effects(), ["reload-docker"], "{before:?}");
        let emptied = node.text("etc/docker/daemon.json");
        let json: serde_json::Value = serde_json::from_str(&emptied).unwrap();
        assert_eq!(json["insecure-registries"], serde_json::json!([]), "{before:?}");

        let again = node.live(["apply", "--json"]).exits(0);
        assert_eq!(again.effects(), ["reload-docker"], "{before:?}");
        assert_eq!(node.text("etc/docker/daemon.json"), emptied, "{before:?}");

        let last = if acknowledged {
            node.live(["apply", "--json", "--acknowledge", "docker-reload"])
        } else {
            node.start_docker(5).live(["apply", "--json"])
        };
        assert_eq!(last.exits(0).effects(), [""; 0], "{before:?}");
        match before {
            Some(before) => assert_eq!(node.text("etc/docker/daemon.json"), before),
            None => assert!(!node.has("etc/docker")),
        }
        node.live(["plan"]).exits(0);
    }
}

#[test]
fn a_reload_is_due_until_docker_was_started_later() {
    let node = Node::new();
    node.boot().start_docker(-3600).declare(LAB);
    assert_eq!(node.live(["plan", "--json"]).exits(2).effects(), ["reload-docker"]);
    assert_eq!(node.live(["apply", "--json"]).effects(), ["reload-docker"]);
    node.live(["plan"]).exits(2).says("reload docker").says("no container and no pull");
    node.live(["status"]).exits(2).says("Still due");
    node.start_docker(5);
    assert_eq!(node.live(["plan", "--json"]).exits(0).effects(), [""; 0]);
    node.live(["status"]).exits(0);
}

/// Its first sight of `config_path` costs containerd a restart; a second registry costs nothing.
#[test]
fn containerd_is_restarted_once_for_all_registries() {
    let node = Node::new();
    node.boot().start_containerd(-3600).remove("usr/bin/dockerd");
    declare_ca(&node, "harbor.corp", "ca.pem");
    assert_eq!(node.live(["apply", "--json"]).exits(0).effects(), ["restart-containerd"]);
    assert_eq!(node.live(["apply", "--json"]).exits(0).effects(), ["restart-containerd"]);
    node.live(["plan"]).exits(2).says("containers keep running");
    node.start_containerd(5);
    assert_eq!(node.live(["apply", "--json"]).exits(0).effects(), [""; 0]);
    declare_ca(&node, "other.corp", "ca-b.pem");
    assert_eq!(node.live(["apply", "--json"]).exits(0).effects(), [""; 0]);
    node.remove(&drop_in("harbor.corp")).remove(&drop_in("other.corp"));
    assert_eq!(node.live(["apply", "--json"]).exits(0).effects(), [""; 0]);
    assert!(!node.has("etc/containerd"), "{:?}", node.names("etc/containerd"));
}

#[test]
fn a_ca_for_the_whole_machine_needs_the_tool_and_then_restarts() {
    let node = Node::new();
    let (ca, other) = (fixture_text("ca.pem"), fixture_text("ca-b.pem"));
    node.boot().start_docker(-3600).start_containerd(-3600).file(BUNDLE, &other);
    node.file("etc/containerd/config.toml", "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"/etc/containerd/certs.d\"\n");
    node.certificate("ca.pem").declare(
        "[[registry]]\nhost = \"harbor.corp\"\ntrust = \"ca\"\nca_file = \"ca.pem\"\n\
         system_store = true\n",
    );
    let due = ["run-ca-tool", "restart-containerd", "restart-docker"];
    assert_eq!(node.live(["plan", "--json"]).exits(2).effects(), due);
    assert_eq!(node.live(["apply", "--json"]).exits(0).effects(), due);
    node.live(["status"])
        .exits(2)
        .says("update-ca-certificates")
        .says("not yet in the system's bundle");
    let anchors = node.names("usr/local/share/ca-certificates");
    assert_eq!(anchors.len(), 1, "{anchors:?}");
    assert_eq!(node.text(&format!("usr/local/share/ca-certificates/{}", anchors[0])), ca);

    node.file(BUNDLE, format!("{other}{ca}"));
    assert_eq!(node.live(["status", "--json"]).effects(), due[1..]);
    node.start_containerd(5);
    assert_eq!(node.live(["status", "--json"]).effects(), due[2..]);
    node.start_docker(5);
    assert_eq!(node.live(["status", "--json"]).exits(0).effects(), [""; 0]);

    node.start_docker(-60).start_containerd(-60).remove(&drop_in("node"));
    assert_eq!(node.live(["apply", "--json"]).exits(0).effects(), due);
    node.live(["status"]).exits(2).says("still in it that should be gone");
    assert!(node.names("usr/local/share/ca-certificates").is_empty());
    node.file(BUNDLE, &other).start_docker(5).start_containerd(5);
    assert_eq!(node.live(["apply", "--json"]).exits(0).effects(), [""; 0]);
    node.live(["plan"]).exits(0);
}

#[test]
fn the_policy_leaves_restarts_to_an_operator_who_is_told() {
    let node = Node::new();
    node.boot().start_docker(-3600).declare(LAB).policy("restart = \"never\"\n");
    node.live(["apply"]).exits(0).says("reload docker").says("leaves it to an operator");
}

/// No pid file, no systemd, and procfs of another namespace: it may run.
#[test]
fn what_cannot_be_seen_is_taken_to_run() {
    let node = Node::new();
    node.declare(LAB);
    assert_eq!(node.live(["apply", "--json"]).exits(0).effects(), ["reload-docker"]);
    let acknowledged = node.live(["apply", "--json", "--acknowledge", "docker-reload"]);
    assert_eq!(acknowledged.exits(0).effects(), [""; 0]);
}
