//! What a runtime did not take is taken back and left out until something changes.

use std::collections::BTreeSet;

use crate::observed::Running;
use crate::plan::fixtures::*;
use crate::plan::rejected::Rejection;
use crate::plan::{ItemState, Plan};
use crate::target::{Believer, Item};
use crate::trust::entry::Trust;

const RELOAD: &str = "systemctl reload docker";

fn insecure(host: &str) -> crate::trust::entry::Entry {
    entry(host, Trust::Insecure)
}

fn on_docker(plan: &Plan, host: &str) -> ItemState {
    plan.items[&item(host, Believer::Docker)]
}

fn reject(node: &mut Node, plan: &Plan) {
    let items: BTreeSet<Item> = plan.due.iter().flat_map(|due| due.items.clone()).collect();
    node.rejection = Rejection { items, why: "it would not".to_owned() };
}

/// docker with one insecure registry in force, and a second one that it has rejected.
fn rejected() -> Node {
    let mut node = Node::with_docker("26.1.5");
    node.declare(insecure("good.corp"));
    node.apply();
    node.docker().running = Running::Since(at("10:30"));
    node.now = at("11:00");
    node.declare(insecure("bad.corp"));
    let plan = node.apply();
    assert_eq!(plan.due[0].items, [item("bad.corp", Believer::Docker)].into());
    reject(&mut node, &plan);
    let plan = node.apply();
    assert_eq!(on_docker(&plan, "bad.corp"), ItemState::Rejected);
    assert_eq!(on_docker(&plan, "good.corp"), ItemState::Written);
    assert_eq!(due(&plan), [RELOAD], "what it may have taken in part has to go again");
    assert!(!node.text(DAEMON).unwrap().contains("bad.corp"));
    assert!(node.text(DAEMON).unwrap().contains("good.corp"));
    node.docker().running = Running::Since(node.now);
    node.now = at("12:00");
    node
}

#[test]
fn it_is_not_tried_again_while_nothing_changes() {
    let mut node = rejected();
    assert!(node.plan().is_empty());
    assert!(node.plan().notes.iter().any(|note| note.message.ends_with("changes: it would not")));
    node.declare(insecure("third.corp"));
    let plan = node.apply();
    assert_eq!(on_docker(&plan, "bad.corp"), ItemState::Rejected, "ours is nobody's change");
    assert_eq!(on_docker(&plan, "third.corp"), ItemState::Written);
}

#[test]
fn it_is_tried_again_when_anything_of_it_changes() {
    type Change = (&'static str, fn(&mut Node));
    let changes: [Change; 4] = [
        ("the entry", |node| {
            let mut entry = insecure("bad.corp");
            entry.reason = Some("really".to_owned());
            node.declare(entry);
        }),
        ("docker", |node| node.docker().version = "27.0.0".parse().ok()),
        ("the administrator's part", |node| {
            let text = node.text(DAEMON).unwrap();
            node.put(DAEMON, &text.replacen('{', "{\n  \"debug\": true,", 1));
        }),
        ("on request", |node| node.retry = true),
    ];
    for (what, change) in changes {
        let mut node = rejected();
        change(&mut node);
        assert_eq!(on_docker(&node.apply(), "bad.corp"), ItemState::Written, "{what}");
        assert!(node.text(DAEMON).unwrap().contains("bad.corp"), "{what}");
        assert!(node.ledger.rejected.is_empty(), "{what}");
    }
}

#[test]
fn a_rejection_goes_with_its_entry() {
    let mut node = rejected();
    node.withdraw("bad.corp");
    node.apply();
    assert!(node.ledger.rejected.is_empty());
}

/// Who waited for a reload that did not come is still waiting when the next change joins it.
#[test]
fn two_changes_before_one_reload_are_rejected_together() {
    let mut node = Node::with_docker("26.1.5");
    node.declare(insecure("a.corp"));
    node.apply();
    node.declare(insecure("b.corp"));
    let plan = node.apply();
    let waiting = ["a.corp", "b.corp"].map(|host| item(host, Believer::Docker));
    assert_eq!(plan.due[0].items, waiting.into());
    reject(&mut node, &plan);
    node.apply();
    let text = node.text(DAEMON).unwrap();
    assert!(!text.contains("a.corp") && !text.contains("b.corp"), "{text}");
}

#[test]
fn a_rejected_config_path_is_taken_out_and_its_hosts_with_it() {
    let mut node = Node::with_containerd("1.7.24");
    node.put(CONFIG, "version = 2\n");
    node.declare(entry("a.corp", Trust::Insecure));
    let plan = node.apply();
    assert!(node.text(CONFIG).unwrap().contains("config_path"));
    reject(&mut node, &plan);
    let plan = node.apply();
    assert_eq!(plan.items[&item("a.corp", Believer::Containerd)], ItemState::Rejected);
    assert_eq!(node.text(CONFIG).unwrap(), "version = 2\n");
    assert!(plan.notes.iter().all(|note| !note.message.starts_with("nothing is written")));
}
