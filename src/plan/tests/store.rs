//! The system store: the tool, the daemons that have loaded the old roots, and what is unknown.

use crate::ledger::Loads;
use crate::observed::{Found, Running};
use crate::plan::effect::{Effect, unread_since};
use crate::plan::fixtures::*;
use crate::plan::work::Work;
use crate::plan::{ItemState, Plan};
use crate::target::Believer;

const TOOL: &str = "/usr/sbin/update-ca-certificates";
const FRESH: &str = "/usr/sbin/update-ca-certificates --fresh";
const RESTART: &str = "systemctl restart docker";

fn with_bundle() -> Node {
    let mut node = Node::with_docker("26.1.5");
    node.put(BUNDLE, "");
    node
}

/// A CA in the store, in the bundle, and loaded by dockerd.
fn settled() -> Node {
    let mut node = with_bundle();
    node.declare(in_store("a.corp", CA));
    node.apply();
    node.run_ca_tool();
    node.docker().running = Running::Since(at("11:00"));
    node.now = at("12:00");
    node.apply();
    assert!(node.plan().is_empty());
    node
}

fn work(node: &Node, command: &str) -> Option<Work> {
    let plan = node.plan();
    let due = plan.due.iter().find(|due| due.command == command)?;
    plan.work(due, &node.ledger)
}

fn on_system(plan: &Plan) -> ItemState {
    plan.items[&item("a.corp", Believer::System)]
}

#[test]
fn the_tool_runs_before_the_daemons_that_load_its_bundle_are_restarted() {
    let mut node = with_bundle();
    node.add_containerd("1.7.24");
    node.put(CONFIG, "version = 2\n");
    node.declare(in_store("a.corp", CA));
    let plan = node.apply();
    assert_eq!(due(&plan), [TOOL, "systemctl restart containerd", RESTART]);
    node.run_ca_tool();
    assert_eq!(due(&node.plan()), ["systemctl restart containerd", RESTART]);
}

#[test]
fn withdrawal_is_due_until_the_bundle_is_without_it() {
    let mut node = settled();
    node.withdraw("a.corp");
    let plan = node.apply();
    assert_eq!(due(&plan), [FRESH, RESTART]);
    assert_eq!(node.anchors(), [""; 0]);
    assert_eq!(node.ledger.leaving_store.len(), 1);
    assert_eq!(due(&node.plan()), [FRESH, RESTART], "derived, so it survives a crash");
    node.run_ca_tool();
    node.apply();
    assert!(node.ledger.leaving_store.is_empty() && !node.ledger.uses_system_store());
}

#[test]
fn a_ca_that_two_registries_share_leaves_with_the_last_of_them() {
    let mut node = settled();
    node.declare(in_store("b.corp", CA));
    node.apply();
    node.withdraw("a.corp");
    assert!(!edits(&node.apply()).iter().any(|edit| edit.contains("regtrust-")));
    node.withdraw("b.corp");
    assert_eq!(due(&node.apply()), [FRESH, RESTART]);
}

#[test]
fn a_ca_that_comes_back_before_the_tool_ran_is_not_leaving() {
    let mut node = settled();
    node.withdraw("a.corp");
    node.apply();
    node.declare(in_store("a.corp", CA));
    let plan = node.apply();
    assert!(node.ledger.leaving_store.is_empty());
    assert_eq!(due(&plan), [""; 0], "the bundle has had it all the time");
}

/// Whether the bundle still has a CA cannot be told, so it must not be forgotten.
#[test]
fn what_left_is_remembered_while_the_bundle_cannot_be_read() {
    for found in [
        Found::Unreadable { error: "input/output error".to_owned() },
        Found::Symlink { to: "/srv/bundle.crt".to_owned() },
    ] {
        let mut node = settled();
        let bundle = node.text(BUNDLE).unwrap();
        node.place(BUNDLE, found.clone());
        node.withdraw("a.corp");
        assert_eq!(due(&node.apply()), [FRESH, RESTART], "{found:?}");
        assert_eq!(node.ledger.leaving_store.len(), 1, "{found:?}");
        node.put(BUNDLE, &bundle);
        assert_eq!(due(&node.plan()), [FRESH, RESTART], "{found:?}");
        node.run_ca_tool();
        node.apply();
        assert!(node.ledger.leaving_store.is_empty(), "{found:?}");
    }
}

/// A CA that somebody else adds already is not ours to add. Where theirs cannot be read, that is not
/// known: ours, once added, would stay for good.
#[test]
fn beside_an_anchor_that_cannot_be_read_none_is_added() {
    let theirs = "usr/local/share/ca-certificates/corp.crt";
    let mut node = with_bundle();
    node.place(theirs, Found::Unreadable { error: "read-only file system".to_owned() });
    node.declare(in_store("a.corp", CA));
    let plan = node.apply();
    assert_eq!(on_system(&plan), ItemState::Blocked);
    assert_eq!(plan.conflicts.len(), 1);
    assert_eq!(plan.conflicts[0].path, format!("/{theirs}"));
    node.put(theirs, CA);
    let plan = node.apply();
    assert_eq!((node.anchors(), plan.conflicts), (vec!["corp.crt".to_owned()], vec![]));
}

/// What is ours already stays, and goes when it is withdrawn.
#[test]
fn an_unreadable_neighbour_keeps_no_ca_of_ours_from_staying_and_going() {
    let mut node = settled();
    let neighbour = Found::Unreadable { error: "input/output error".to_owned() };
    node.place("usr/local/share/ca-certificates/corp.crt", neighbour);
    assert!(node.plan().is_empty());
    node.withdraw("a.corp");
    node.apply();
    assert_eq!(node.anchors(), ["corp.crt"]);
}

#[test]
fn a_bundle_that_was_never_made_has_nothing_lingering() {
    let mut node = settled();
    node.remove(BUNDLE);
    node.withdraw("a.corp");
    let plan = node.apply();
    assert!(node.ledger.leaving_store.is_empty());
    assert!(!due(&plan).contains(&FRESH));
}

/// The system's way to keep CAs is not known any more, and the entry is as it was.
#[test]
fn a_layout_that_cannot_be_told_takes_no_ca_away() {
    let mut node = settled();
    node.observed.ca_layout = None;
    let plan = node.apply();
    assert_eq!((on_system(&plan), edits(&plan)), (ItemState::Inexpressible, vec![]));
    assert_eq!(node.owned().len(), 2);
    node.withdraw("a.corp");
    assert_eq!(edits(&node.apply()).len(), 2, "withdrawal works all the same");
    assert_eq!(node.ledger.leaving_store.len(), 1);
    node.observed.ca_layout = Some(crate::observed::CaLayout::Debian);
    assert_eq!(due(&node.plan())[0], FRESH);
}

#[test]
fn a_mode_or_a_file_put_right_costs_no_restart_while_the_bundle_is_right() {
    let mut node = settled();
    let anchor = format!("usr/local/share/ca-certificates/{}", node.anchors()[0]);
    node.alter(&anchor, |mode, _| *mode = 0o600);
    let plan = node.apply();
    assert_eq!((plan.drift.len(), due(&plan)), (1, vec![]));
    node.remove(&anchor);
    let plan = node.apply();
    assert_eq!((plan.drift.len(), due(&plan)), (1, vec![]));
    assert!(node.has(&anchor));
}

#[test]
fn a_foreign_file_with_the_name_of_ours_is_a_conflict_of_the_system_item() {
    let anchor = format!("usr/local/share/ca-certificates/{}", settled().anchors()[0]);
    let mut fresh = with_bundle();
    fresh.put(&anchor, "somebody's");
    fresh.declare(in_store("a.corp", CA));
    let plan = fresh.apply();
    assert_eq!(on_system(&plan), ItemState::Blocked);
    assert_eq!(edits(&plan), ["create /etc/docker/certs.d/a.corp/ca.crt"]);
}

#[test]
fn an_immutable_anchor_is_a_conflict_of_no_registry_by_a_wrong_name() {
    let mut node = settled();
    let anchor = format!("usr/local/share/ca-certificates/{}", node.anchors()[0]);
    node.alter(&anchor, |_, immutable| *immutable = true);
    node.withdraw("a.corp");
    let plan = node.apply();
    assert_eq!(plan.conflicts.len(), 1);
    assert!(plan.conflicts[0].items.is_empty(), "{:?}", plan.conflicts[0].items);
    assert!(node.ledger.uses_system_store());
}

#[test]
fn roots_are_loaded_by_a_restart_and_not_by_a_reload() {
    let mut node = with_bundle();
    node.declare(in_store("a.corp", CA));
    node.apply();
    node.run_ca_tool();
    node.acknowledged.insert(Loads::DockerDaemon);
    assert_eq!(due(&node.apply()), [RESTART]);
    node.acknowledged.insert(Loads::DockerRoots);
    assert_eq!(due(&node.apply()), [""; 0]);
}

/// What it loads at its start is the old bundle, so it has read nothing.
#[test]
fn a_daemon_that_started_before_the_tool_ran_has_yet_to_load_the_bundle() {
    let mut node = with_bundle();
    node.declare(in_store("a.corp", CA));
    assert_eq!(due(&node.apply()), [TOOL, RESTART]);
    node.docker().running = Running::Since(at("10:30"));
    node.now = at("11:00");
    assert_eq!(due(&node.plan()), [TOOL, RESTART]);
    node.run_ca_tool();
    assert_eq!(due(&node.plan()), [RESTART]);
    assert_eq!(due(&node.apply()), [RESTART]);
    node.docker().running = Running::Since(at("11:30"));
    node.now = at("12:00");
    assert_eq!(due(&node.apply()), [""; 0]);
}

/// Its first `config_path` was read when somebody restarted it, and says nothing about the CA of today.
#[test]
fn a_need_is_as_old_as_what_is_not_loaded() {
    let mut node = with_bundle();
    node.add_containerd("1.7.24");
    node.put(CONFIG, "version = 2\n");
    node.declare(with_ca("a.corp"));
    let first = node.now;
    node.apply();
    let since = |node: &Node| {
        let changed = node.ledger.changed.iter();
        let of_containerd =
            changed.filter(|(loads, _)| loads.effect() == Effect::RestartContainerd);
        let changed = of_containerd.map(|(loads, change)| (*loads, change.at)).collect();
        unread_since(&changed, &node.observed)
    };
    assert_eq!(since(&node), Some(first));
    node.containerd().running = Running::Since(at("11:00"));
    assert_eq!(since(&node), None);
    node.now = at("12:00");
    node.declare(in_store("b.corp", CA));
    node.apply();
    node.run_ca_tool();
    node.apply();
    let changed: Vec<_> = node.ledger.changed.keys().collect();
    assert!(changed.contains(&&Loads::ContainerdConfig), "{changed:?}");
    assert_eq!(since(&node), node.observed.bundle_written);
}

/// The tool has read the anchor and not written its bundle yet, which is without it as if it had never
/// been anywhere.
#[test]
fn what_leaves_while_the_tool_runs_is_remembered_until_that_has_ended() {
    let mut node = with_bundle();
    node.declare(in_store("a.corp", CA));
    node.apply();
    let before = (node.text(BUNDLE).unwrap(), node.observed.bundle_written);
    node.run_ca_tool();
    let after = node.text(BUNDLE).unwrap();
    node.put(BUNDLE, &before.0);
    node.observed.bundle_written = before.1;
    let Some(Work::RunCaTool(run)) = work(&node, TOOL) else { panic!("it is due") };
    node.entering_store = run.wanted;
    node.withdraw("a.corp");
    assert_eq!(due(&node.apply()), [""; 0]);
    assert_eq!(node.ledger.leaving_store, node.entering_store);

    node.put(BUNDLE, &after);
    node.observed.bundle_written = Some(node.now);
    node.entering_store.clear();
    assert_eq!(due(&node.apply()), [FRESH]);
    node.run_ca_tool();
    node.apply();
    assert!(node.ledger.leaving_store.is_empty());
}

#[test]
fn a_bundle_that_others_write_again_later_is_no_news_to_a_daemon() {
    let mut node = settled();
    node.now = at("14:00");
    node.observed.bundle_written = Some(node.now);
    assert_eq!(due(&node.plan()), [""; 0]);
}

#[test]
fn a_ca_that_is_withdrawn_before_the_tool_ran_leaves_nothing_due() {
    let mut node = settled();
    let before = node.ledger.changed.clone();
    node.now = at("13:00");
    node.declare(in_store("b.corp", CA_B));
    assert_eq!(due(&node.apply()), [TOOL, RESTART]);
    node.withdraw("b.corp");
    assert_eq!(due(&node.apply()), [""; 0]);
    assert_eq!((node.ledger.store_changed, &node.ledger.changed), (None, &before));
}

/// An earlier change that is still to be loaded is not forgotten with a later one.
#[test]
fn a_restart_that_was_due_before_stays_due() {
    let mut node = with_bundle();
    node.declare(in_store("a.corp", CA));
    node.apply();
    node.run_ca_tool();
    assert_eq!(due(&node.apply()), [RESTART]);
    node.now = at("10:30");
    node.declare(in_store("b.corp", CA_B));
    node.apply();
    node.withdraw("b.corp");
    assert_eq!(due(&node.apply()), [RESTART]);
}

/// The distribution distrusts it, and a restart would not help.
#[test]
fn a_ca_that_the_tool_refuses_costs_one_restart_at_most() {
    let mut node = with_bundle();
    node.declare(in_store("a.corp", CA));
    node.apply();
    node.now = at("11:00");
    node.observed.bundle_written = Some(node.now);
    assert_eq!(due(&node.apply()), [TOOL, RESTART]);
    node.docker().running = Running::Since(at("11:30"));
    node.now = at("12:00");
    assert_eq!(due(&node.apply()), [TOOL]);
}

#[test]
fn a_bundle_from_the_future_makes_no_restart_due_for_ever() {
    let mut node = with_bundle();
    node.declare(in_store("a.corp", CA));
    node.apply();
    node.run_ca_tool();
    node.observed.bundle_written = Some(at("23:00"));
    node.now = at("11:00");
    assert_eq!(due(&node.apply()), [RESTART]);
    node.docker().running = Running::Since(at("11:30"));
    node.now = at("12:00");
    assert_eq!(due(&node.apply()), [""; 0]);
}
