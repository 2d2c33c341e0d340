//! What is handed to whoever performs an effect.

use std::collections::BTreeSet;

use crate::plan::Plan;
use crate::plan::fixtures::*;
use crate::plan::work::{DaemonShows, IfDown, Shown, Work};
use crate::trust::entry::Trust;

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The work of the one effect that a plan has, made from the ledger before it.
fn work(node: &Node) -> (Work, Plan) {
    let plan = node.plan();
    assert_eq!(plan.due.len(), 1, "{:?}", plan.due);
    (plan.work(&plan.due[0], &node.ledger).unwrap(), plan)
}

#[test]
fn a_reload_is_to_show_what_is_ours_and_no_longer_what_was() {
    let mut node = Node::with_docker("26.1.5");
    node.put(DAEMON, "{\"insecure-registries\": [\"theirs.corp\"]}");
    for host in ["a.corp:5000", "b.corp"] {
        node.declare(entry(host, Trust::Http));
    }
    let shows = DaemonShows { insecure: set(&["a.corp:5000", "b.corp"]), ..DaemonShows::default() };
    assert_eq!(work(&node).0, Work::ReloadDocker(shows));

    node.apply();
    node.withdraw("b.corp");
    let shows = DaemonShows {
        insecure: set(&["a.corp:5000"]),
        no_longer_insecure: set(&["b.corp"]),
        ..DaemonShows::default()
    };
    assert_eq!(work(&node).0, Work::ReloadDocker(shows));
}

#[test]
fn what_somebody_else_makes_insecure_as_well_need_not_go() {
    let mut node = Node::with_docker("26.1.5");
    node.declare(entry("a.corp", Trust::Http));
    node.apply();
    node.put(DAEMON, "{\"insecure-registries\": [\"a.corp\", \"http://a.corp\", \"b.corp\"]}");
    node.withdraw("a.corp");
    let (work, _) = work(&node);
    assert_eq!(work, Work::ReloadDocker(DaemonShows::default()));
}

#[test]
fn the_tool_is_told_what_belongs_in_the_bundle_and_what_does_not() {
    let mut node = Node::with_docker("26.1.5");
    node.put(BUNDLE, "");
    node.observed.docker = None;
    node.declare(in_store("a.corp", CA));
    node.declare(in_store("b.corp", CA_B));
    let (Work::RunCaTool(run), plan) = work(&node) else { panic!() };
    assert_eq!((run.wanted.len(), run.lingering.len()), (2, 0));
    assert_eq!(run.argv.join(" "), plan.due[0].command);

    node.apply();
    node.run_ca_tool();
    node.withdraw("a.corp");
    let (Work::RunCaTool(run), plan) = work(&node) else { panic!() };
    assert_eq!((run.wanted.len(), run.lingering.len()), (1, 1));
    assert_eq!(run.argv.join(" "), plan.due[0].command);
    assert!(run.argv.contains(&"--fresh".to_owned()));
}

#[test]
fn only_a_restart_can_revive() {
    let reload = Work::ReloadDocker(DaemonShows::default());
    assert_eq!(reload.clone().reviving(), reload);
    let restart = Work::RestartContainerd(IfDown::Leave);
    assert_eq!(restart.reviving(), Work::RestartContainerd(IfDown::Revive));
}

#[test]
fn a_difference_is_said_in_words() {
    let shows = DaemonShows {
        insecure: set(&["a.corp", "b.corp", "c.corp"]),
        no_longer_insecure: set(&["old.corp"]),
        mirrors: set(&["https://m.corp"]),
        no_longer_mirrors: set(&["https://n.corp"]),
        live_restore: None,
    };
    let seen = |insecure: &[&str], mirrors: &[&str]| Shown {
        insecure: set(insecure),
        mirrors: set(mirrors),
        live_restore: false,
    };
    let all = ["a.corp", "b.corp", "c.corp", "theirs.corp"];
    // dockerd ends a mirror with a slash.
    assert_eq!(shows.difference(&seen(&all, &["https://m.corp/", "https://t.corp/"])), None);
    assert_eq!(
        shows.difference(&seen(&["c.corp", "old.corp"], &["https://n.corp/"])).unwrap(),
        "it does not show as insecure `a.corp` and 1 more; it still shows as insecure `old.corp`; \
         it does not show the mirror `https://m.corp`; it still shows the mirror `https://n.corp`"
    );
    for (wrote, shown, said) in [
        (Some(true), false, Some("it shows no live-restore")),
        (Some(false), true, Some("it still shows live-restore")),
        (Some(true), true, None),
        (None, true, None),
    ] {
        let shows = DaemonShows { live_restore: wrote, ..DaemonShows::default() };
        let says = Shown { live_restore: shown, ..Shown::default() };
        assert_eq!(shows.difference(&says).as_deref(), said, "{wrote:?}");
    }
}
