//! What is due, derived from what changed and what the daemons have loaded.

use crate::ledger::{Changed, Loads};
use crate::observed::Running;
use crate::plan::effect::Due;
use crate::plan::fixtures::*;
use crate::target::Note;
use crate::trust::policy::RestartLimit;

const RELOAD: &str = "systemctl reload docker";
const RESTART: &str = "systemctl restart docker";

/// docker with everything due that it can have.
fn overdue(loads: &[Loads]) -> Node {
    let mut node = Node::with_docker("26.1.5");
    for one in loads {
        let changed = Changed::new(at("10:00"), format!("{one:?}"), [].into());
        node.ledger.changed.insert(*one, changed);
    }
    node
}

#[test]
fn a_daemon_that_started_in_the_same_second_is_asked_again() {
    for (running, expected) in [
        (Running::No, vec![]),
        (Running::Unknown, vec![RELOAD]),
        (Running::Since(at("09:59")), vec![RELOAD]),
        (Running::Since(at("10:00")), vec![RELOAD]),
        (Running::Since(at("10:01")), vec![]),
    ] {
        let mut node = overdue(&[Loads::DockerDaemon]);
        node.docker().running = running;
        let plan = node.apply();
        assert_eq!(due(&plan), expected, "{running:?}");
    }
}

#[test]
fn a_restart_makes_a_reload_needless() {
    let plan = overdue(&[Loads::DockerDaemon, Loads::DockerRoots]).plan();
    assert_eq!(due(&plan), [RESTART]);
    let reasons: Vec<_> = plan.due[0].reasons.iter().map(String::as_str).collect();
    assert_eq!(reasons, ["DockerDaemon", "DockerRoots"]);
}

/// Else an insecure registry that a reload would bring into force waits for a restart that the
/// policy leaves to somebody else.
#[test]
fn a_restart_that_is_withheld_takes_no_reload_with_it() {
    let mut node = overdue(&[Loads::DockerDaemon, Loads::DockerRoots]);
    node.restart = RestartLimit::ReloadOnly;
    let plan = node.plan();
    assert_eq!(due(&plan), [RELOAD, RESTART]);
    let withheld: Vec<bool> = plan.due.iter().map(|due: &Due| due.withheld.is_some()).collect();
    assert_eq!(withheld, [false, true]);
    node.restart = RestartLimit::Never;
    assert!(node.plan().due.iter().all(|due| due.withheld.is_some()));
}

#[test]
fn a_daemon_that_is_gone_has_nothing_due() {
    let mut node = overdue(&[Loads::DockerDaemon, Loads::ContainerdConfig]);
    node.observed.docker = None;
    assert!(node.apply().due.is_empty());
}

#[test]
fn an_acknowledgement_is_for_what_it_names_and_not_for_what_changes_now() {
    let mut node = overdue(&[Loads::DockerDaemon, Loads::DockerRoots]);
    node.acknowledged.insert(Loads::DockerRoots);
    assert_eq!(due(&node.plan()), [RELOAD]);
    node.acknowledged = [Loads::DockerDaemon, Loads::DockerRoots].into();
    node.declare(insecure("a.corp"));
    assert_eq!(due(&node.plan()), [RELOAD], "it was reloaded before this change");
}

#[test]
fn one_sentence_for_many_registries_is_one_note() {
    let mut node = Node::with_docker("20.10.24");
    for number in 0..50 {
        node.declare(insecure(&format!("r{number}.corp")));
    }
    let notes = node.plan().notes;
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert_eq!(notes[0].items.len(), 50);
    let mut sorted = notes.clone();
    sorted.sort_by(|a: &Note, b: &Note| a.message.cmp(&b.message));
    assert_eq!(notes, sorted, "in an order that does not change from plan to plan");
}

#[test]
fn equal_situations_give_equal_plans() {
    let mut node = Node::with_docker("26.1.5");
    node.add_containerd("1.7.24");
    node.declare(insecure("a.corp"));
    node.declare(in_store("b.corp", CA));
    node.declare(hub(&[("m.corp", ca(CA_B))]));
    assert_eq!(node.plan(), node.plan());
}
