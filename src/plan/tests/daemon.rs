//! daemon.json: the two steps of an ending, what needs a reload, and what somebody else did to it.

use std::collections::BTreeSet;

use crate::ledger::{Changed, Loads};
use crate::observed::{Flag, Found, Running};
use crate::plan::fixtures::*;
use crate::target::Believer;
use crate::target::docker_daemon::live_restore;
use crate::trust::entry::Trust;

const RELOAD: &str = "systemctl reload docker";
const EMPTY: &str = "{\n  \"insecure-registries\": []\n}\n";

fn elements(node: &Node) -> Vec<String> {
    let text = node.text(DAEMON);
    let lists = crate::target::docker_daemon::lists(text.as_deref());
    lists.into_values().flatten().collect()
}

#[test]
fn the_last_element_goes_in_two_steps_with_an_acknowledgement_between() {
    let mut node = Node::with_docker("26.1.5");
    let before = node.tree();
    node.declare(insecure("a.corp"));
    assert_eq!(due(&node.apply()), [RELOAD]);
    node.acknowledged.insert(Loads::DockerDaemon);
    assert_eq!(due(&node.apply()), [""; 0]);
    node.withdraw("a.corp");
    assert_eq!(due(&node.apply()), [RELOAD]);
    assert_eq!(node.text(DAEMON).unwrap(), EMPTY);
    assert!(node.plan().changes.is_empty(), "dockerd still has the old list in memory");
    node.acknowledged.insert(Loads::DockerDaemon);
    assert_eq!(due(&node.apply()), [""; 0]);
    assert_eq!(node.tree(), before);
    assert!(node.plan().is_empty());
}

#[test]
fn somebody_elses_restart_is_an_acknowledgement_too() {
    let mut node = Node::with_docker("26.1.5");
    let before = node.tree();
    node.declare(insecure("a.corp"));
    node.apply();
    node.withdraw("a.corp");
    node.apply();
    node.docker().running = Running::Since(node.now);
    node.apply();
    assert_eq!(node.tree(), before);
}

/// Taken out at once it would stay on: to a key that is missing dockerd says "no change".
#[test]
fn live_restore_is_switched_on_and_off_by_reloads_and_then_taken_out() {
    let mut node = Node::with_docker("26.1.5");
    node.observed.files.insert(&live_restore::data_root(), Found::Directory);
    let before = node.tree();
    node.live_restore = Some(true);
    assert_eq!(due(&node.apply()), [RELOAD]);
    assert_eq!(node.text(DAEMON).unwrap(), "{\n  \"live-restore\": true\n}\n");
    node.acknowledged.insert(Loads::DockerDaemon);
    assert_eq!(due(&node.apply()), [""; 0]);
    node.live_restore = None;
    assert!(node.plan().is_empty(), "where the settings cannot be read it stays");
    node.live_restore = Some(false);
    assert_eq!(due(&node.apply()), [RELOAD]);
    assert_eq!(node.text(DAEMON).unwrap(), "{\n  \"live-restore\": false\n}\n");
    assert!(node.plan().changes.is_empty(), "dockerd still keeps them");
    node.acknowledged.insert(Loads::DockerDaemon);
    assert_eq!(due(&node.apply()), [""; 0]);
    assert_eq!(node.tree(), before);
    assert!(node.plan().is_empty());
}

#[test]
fn a_restart_does_not_take_the_place_of_the_reload_that_keeps_containers() {
    let mut node = Node::with_docker("26.1.5");
    node.declare(insecure("a.corp"));
    node.apply();
    let at = node.now;
    let roots = Changed::new(at, "roots".to_owned(), [].into());
    node.ledger.changed.insert(Loads::DockerRoots, roots);
    assert_eq!(due(&node.plan()), ["systemctl restart docker"]);
    node.live_restore = Some(true);
    assert_eq!(due(&node.plan()), [RELOAD, "systemctl restart docker"]);
}

#[test]
fn a_daemon_that_does_not_run_needs_one_step_and_no_reload() {
    let mut node = Node::with_docker("26.1.5");
    node.docker().running = Running::No;
    let before = node.tree();
    node.declare(insecure("a.corp"));
    assert_eq!(due(&node.apply()), [""; 0]);
    node.withdraw("a.corp");
    assert_eq!(due(&node.apply()), [""; 0]);
    assert_eq!(node.tree(), before);
}

#[test]
fn an_entry_that_comes_back_between_the_two_steps_starts_anew() {
    let mut node = Node::with_docker("26.1.5");
    let before = node.tree();
    node.declare(insecure("a.corp"));
    node.apply();
    node.withdraw("a.corp");
    node.apply();
    node.declare(insecure("b.corp"));
    assert_eq!(due(&node.apply()), [RELOAD]);
    assert_eq!(elements(&node), ["b.corp"]);
    node.withdraw("b.corp");
    node.apply();
    node.acknowledged.insert(Loads::DockerDaemon);
    node.apply();
    assert_eq!(node.tree(), before);
}

/// One list goes for good and the other is put right at the same time: dockerd must hear of it.
#[test]
fn a_list_that_goes_does_not_hide_the_change_of_the_other() {
    let mut node = Node::with_docker("26.1.5");
    node.declare(insecure("a.corp"));
    node.declare(hub(&[("m.corp", Trust::System)]));
    node.apply();
    node.withdraw("a.corp");
    node.apply();
    node.acknowledged.insert(Loads::DockerDaemon);
    node.put(DAEMON, "{\n  \"insecure-registries\": [],\n  \"registry-mirrors\": []\n}\n");
    let plan = node.apply();
    assert_eq!(elements(&node), ["https://m.corp"]);
    assert_eq!(due(&plan), [RELOAD]);
    assert_eq!(plan.drift[0].message, "elements of regtrust's were removed by somebody");
    assert!(plan.pending.contains(&item("docker.io", Believer::Docker)));
}

#[test]
fn another_order_of_mirrors_is_a_change_and_nobodys_drift() {
    let mut node = Node::with_docker("26.1.5");
    let (m, n) = (("m.corp", Trust::System), ("n.corp", Trust::System));
    node.declare(hub(&[m.clone(), n.clone()]));
    node.apply();
    node.acknowledged.insert(Loads::DockerDaemon);
    node.declare(hub(&[n, m]));
    let plan = node.apply();
    assert_eq!(elements(&node), ["https://n.corp", "https://m.corp"]);
    assert_eq!((due(&plan), &plan.drift), (vec![RELOAD], &vec![]));
}

#[test]
fn what_dockerd_reads_alike_needs_no_reload() {
    let mut node = Node::with_docker("26.1.5");
    node.put(DAEMON, "{\"insecure-registries\": [\"https://a.corp\"]}");
    node.declare(insecure("a.corp"));
    let plan = node.apply();
    assert_eq!((edits(&plan), due(&plan)), (vec![], vec![]));
    assert_eq!(node.ledger.docker_daemon, crate::ledger::DaemonOwned::default());
}

#[test]
fn every_change_of_the_elements_is_told_with_its_reason() {
    let mut node = Node::with_docker("26.1.5");
    for host in ["a.corp", "b.corp", "c.corp", "d.corp"] {
        node.declare(insecure(host));
    }
    let reasons = |plan: &crate::plan::Plan| plan.due[0].reasons.first().unwrap().clone();
    assert_eq!(reasons(&node.apply()), "`insecure-registries` changed for 4 registries");
    node.withdraw("b.corp");
    assert_eq!(reasons(&node.apply()), "`insecure-registries` changed for b.corp");
    node.put(DAEMON, "{}");
    assert_eq!(reasons(&node.apply()), "`insecure-registries` changed for a.corp, c.corp, d.corp");
}

#[test]
fn a_key_that_somebody_deleted_in_the_middle_of_an_ending_is_emptied_again() {
    let mut node = Node::with_docker("26.1.5");
    let before = node.tree();
    node.declare(insecure("a.corp"));
    node.apply();
    node.withdraw("a.corp");
    node.apply();
    node.remove(DAEMON);
    let plan = node.apply();
    assert_eq!(node.text(DAEMON).unwrap(), EMPTY, "a missing key is no change to dockerd");
    assert_eq!(
        plan.due[0].reasons.first().unwrap(),
        "`insecure-registries` is an empty list again"
    );
    node.acknowledged.insert(Loads::DockerDaemon);
    node.apply();
    assert_eq!(node.tree(), before);
}

#[test]
fn a_flag_that_came_later_takes_our_key_out_at_once() {
    let mut node = Node::with_docker("26.1.5");
    let before = node.tree();
    node.declare(insecure("a.corp"));
    node.apply();
    let (name, value) = ("insecure-registry".to_owned(), "a.corp".to_owned());
    node.docker().flags = vec![Flag { name, value, source: "/etc/default/docker".to_owned() }];
    let plan = node.apply();
    assert_eq!(node.tree(), before, "dockerd would not start with the flag and the key");
    assert_eq!(conflicts(&plan), [""; 0]);
}

#[test]
fn two_registries_that_need_one_element_keep_it_until_the_last_goes() {
    let mut node = Node::with_docker("26.1.5");
    node.declare(insecure("m.corp"));
    node.declare(hub(&[("m.corp", Trust::Insecure)]));
    node.apply();
    node.withdraw("m.corp");
    node.apply();
    assert!(elements(&node).contains(&"m.corp".to_owned()));
    node.withdraw("docker.io");
    node.apply();
    assert_eq!(elements(&node), [""; 0]);
}

#[test]
fn somebody_elses_elements_and_keys_survive_everything() {
    let mut node = Node::with_docker("26.1.5");
    let theirs =
        "{\n    \"debug\": true,\n    \"insecure-registries\": [\"x.corp\", \"a.corp\"]\n}";
    node.put(DAEMON, theirs);
    node.declare(insecure("a.corp"));
    node.declare(insecure("b.corp"));
    node.apply();
    assert_eq!(elements(&node), ["x.corp", "a.corp", "b.corp"]);
    node.withdraw("a.corp");
    node.withdraw("b.corp");
    let plan = node.apply();
    assert_eq!((node.text(DAEMON).unwrap(), due(&plan)), (theirs.to_owned(), vec![RELOAD]));
}

/// TLS without verification, else plain HTTP: on each runtime that takes two addresses.
#[test]
fn an_insecure_mirror_means_the_same_on_every_runtime() {
    let mut node = Node::with_docker("26.1.5");
    node.add_containerd("1.7.24");
    node.declare(hub(&[("m.corp", Trust::Insecure)]));
    node.apply();
    assert_eq!(elements(&node), ["m.corp", "https://m.corp", "http://m.corp"]);
    let hosts = node.text("etc/containerd/certs.d/docker.io/hosts.toml").unwrap();
    let tls = hosts.find("[host.\"https://m.corp\"]").unwrap();
    let plain = hosts.find("[host.\"http://m.corp\"]").unwrap();
    assert!(tls < plain && hosts.contains("skip_verify = true"), "{hosts}");
    assert!(node.plan().changes.is_empty());
}

/// Else it would be called in force while dockerd goes on without verifying.
#[test]
fn who_is_to_be_verified_from_now_on_waits_for_the_reload() {
    for after in [with_ca("a.corp"), entry("a.corp", Trust::System)] {
        let mut node = Node::with_docker("26.1.5");
        node.declare(insecure("a.corp"));
        node.declare(insecure("b.corp"));
        node.apply();
        node.acknowledged.insert(Loads::DockerDaemon);
        node.apply();
        node.declare(after);
        let plan = node.apply();
        let narrowed = BTreeSet::from([item("a.corp", Believer::Docker)]);
        assert_eq!(plan.pending, narrowed);
        // There is nothing to withdraw from it if dockerd fails to reload.
        assert_eq!((&plan.due[0].items, plan.due[0].gaining.len()), (&narrowed, 0));
        assert_eq!(node.plan().due[0].items, narrowed, "as long as it has not");
        node.declare(insecure("c.corp"));
        let both = node.apply().due.swap_remove(0);
        let gaining = BTreeSet::from([item("c.corp", Believer::Docker)]);
        assert_eq!((both.items, both.gaining), (&narrowed | &gaining, gaining));
    }
}

#[test]
fn docker_hub_waits_for_the_reload_that_takes_its_mirror_or_has_it_verified() {
    let with = |trust: Trust| hub(&[("m.corp", trust)]);
    let docker_hub = BTreeSet::from([item("docker.io", Believer::Docker)]);
    for after in [with(Trust::System), hub(&[])] {
        let mut node = Node::with_docker("26.1.5");
        node.declare(with(Trust::Insecure));
        node.apply();
        node.acknowledged.insert(Loads::DockerDaemon);
        node.apply();
        node.declare(after);
        let plan = node.apply();
        assert_eq!((&plan.due[0].items, &plan.pending), (&docker_hub, &docker_hub));
    }
}
