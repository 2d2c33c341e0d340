//! A conflict concerns its items alone: they keep what they have, and the rest goes on.

use crate::content::Content;
use crate::observed::Found;
use crate::plan::fixtures::*;
use crate::plan::{ItemState, Plan};
use crate::target::Believer;
use crate::trust::entry::{Entry, Trust};

const A: &str = "etc/docker/certs.d/a.corp";

fn state(plan: &Plan, host: &str) -> ItemState {
    plan.items[&item(host, Believer::Docker)]
}

#[test]
fn a_foreign_file_blocks_its_registry_and_no_other() {
    let mut node = Node::with_docker("26.1.5");
    node.put("etc/docker/certs.d/a.corp/ca.crt", "somebody's");
    node.declare(with_ca("a.corp"));
    node.declare(with_ca("b.corp"));
    let plan = node.apply();
    assert_eq!((state(&plan, "a.corp"), state(&plan, "b.corp")), (BLOCKED, WRITTEN));
    assert_eq!(edits(&plan), ["create /etc/docker/certs.d/b.corp/ca.crt"]);
}

const BLOCKED: ItemState = ItemState::Blocked;
const WRITTEN: ItemState = ItemState::Written;

#[test]
fn one_file_in_the_way_blocks_the_whole_registry() {
    let mut node = Node::with_docker("26.1.5");
    node.put("etc/docker/certs.d/a.corp/client.key", "somebody's");
    node.put("etc/docker/certs.d/a.corp/client.cert", "somebody's");
    node.declare(Entry { client: Some(client()), ..with_ca("a.corp") });
    let plan = node.plan();
    assert_eq!(edits(&plan), [""; 0], "a CA beside half of a pair is another registry's trust");
}

#[test]
fn a_blocked_registry_keeps_every_file_it_has() {
    let mut node = Node::with_docker("26.1.5");
    node.declare(Entry { client: Some(client()), ..with_ca("a.corp") });
    node.apply();
    // The new CA cannot be written, so the old one and the pair stay.
    node.alter("etc/docker/certs.d/a.corp/ca.crt", |_, immutable| *immutable = true);
    node.declare(entry("a.corp", ca(CA_B)));
    let plan = node.apply();
    assert_eq!((state(&plan, "a.corp"), edits(&plan)), (BLOCKED, vec![]));
    assert_eq!(node.owned(), ["ca.crt", "client.cert", "client.key"].map(|n| format!("/{A}/{n}")));
}

#[test]
fn withdrawal_is_not_held_by_what_blocked_the_registry() {
    let mut node = Node::with_docker("26.1.5");
    node.declare(Entry { client: Some(client()), ..with_ca("a.corp") });
    node.apply();
    node.put("etc/docker/certs.d/a.corp/stray.key", "somebody's");
    assert_eq!(state(&node.plan(), "a.corp"), BLOCKED);
    node.withdraw("a.corp");
    assert_eq!(edits(&node.apply()).len(), 3);
    assert_eq!(node.owned(), [""; 0]);
}

/// The CA is blocked, so the registry keeps what it had, which was `insecure`.
#[test]
fn a_blocked_registry_keeps_its_element_in_daemon_json() {
    let mut node = Node::with_docker("26.1.5");
    node.declare(insecure("a.corp"));
    node.apply();
    let before = node.text(DAEMON);
    node.put("etc/docker/certs.d/a.corp/ca.crt", "somebody's");
    node.declare(with_ca("a.corp"));
    let plan = node.apply();
    assert_eq!((state(&plan, "a.corp"), edits(&plan)), (BLOCKED, vec![]));
    assert_eq!(node.text(DAEMON), before);
    node.remove("etc/docker/certs.d/a.corp/ca.crt");
    let plan = node.apply();
    assert_eq!(state(&plan, "a.corp"), WRITTEN);
    assert_eq!(node.text(DAEMON).unwrap(), "{\n  \"insecure-registries\": []\n}\n");
}

#[test]
fn a_blocked_registry_gets_no_new_element() {
    let mut node = Node::with_docker("28.5.2");
    node.put("etc/docker/certs.d/a.corp/hosts.toml", "[host.\"https://m.corp\"]\n");
    node.declare(insecure("a.corp"));
    node.declare(insecure("b.corp"));
    let plan = node.apply();
    assert_eq!((state(&plan, "a.corp"), state(&plan, "b.corp")), (BLOCKED, WRITTEN));
    assert!(!node.text(DAEMON).unwrap().contains("a.corp"));
}

#[test]
fn the_mirrors_of_a_blocked_docker_hub_stay_with_everything_they_need() {
    let mut node = Node::with_docker("26.1.5");
    let mirrors = [("m.corp", ca(CA)), ("n.corp", Trust::Http)];
    node.declare(hub(&mirrors));
    node.apply();
    let before = (node.text(DAEMON), node.owned());
    node.put("etc/docker/certs.d/o.corp/ca.crt", "somebody's");
    node.declare(hub(&[("o.corp", ca(CA_B))]));
    let plan = node.apply();
    assert_eq!((state(&plan, "docker.io"), edits(&plan)), (BLOCKED, vec![]));
    assert_eq!((node.text(DAEMON), node.owned()), before);
}

#[test]
fn a_withdrawn_registry_loses_its_element_while_another_is_blocked() {
    let mut node = Node::with_docker("26.1.5");
    for host in ["a.corp", "b.corp"] {
        node.declare(insecure(host));
    }
    node.apply();
    node.put("etc/docker/certs.d/a.corp/ca.crt", "somebody's");
    node.declare(with_ca("a.corp"));
    node.withdraw("b.corp");
    node.apply();
    let text = node.text(DAEMON).unwrap();
    assert!(text.contains("a.corp") && !text.contains("b.corp"), "{text}");
}

#[test]
fn a_file_that_a_free_registry_needs_is_written_whoever_else_is_blocked() {
    let mut node = Node::with_docker("26.1.5");
    node.declare(hub(&[("m.corp", ca(CA))]));
    node.declare(with_ca("m.corp"));
    node.put(DAEMON, "{");
    let plan = node.apply();
    assert_eq!((state(&plan, "docker.io"), state(&plan, "m.corp")), (BLOCKED, WRITTEN));
    assert_eq!(edits(&plan), ["create /etc/docker/certs.d/m.corp/ca.crt"]);
}

#[test]
fn a_daemon_json_that_cannot_be_edited_blocks_only_those_who_need_it() {
    let holding =
        |text: &[u8]| Found::File { content: Content::plain(text), mode: 0o644, immutable: false };
    for found in [
        holding(b"{"),
        holding(b"\xff"),
        holding(b"{\"insecure-registries\": \"a.corp\"}"),
        Found::Symlink { to: "/srv/daemon.json".to_owned() },
        Found::Directory,
        Found::Unreadable { error: "input/output error".to_owned() },
        Found::File { content: Content::plain("{}"), mode: 0o644, immutable: true },
    ] {
        let mut node = Node::with_docker("26.1.5");
        node.place(DAEMON, found.clone());
        node.declare(insecure("a.corp"));
        node.declare(with_ca("b.corp"));
        let plan = node.plan();
        assert_eq!(
            (state(&plan, "a.corp"), state(&plan, "b.corp")),
            (BLOCKED, WRITTEN),
            "{found:?}"
        );
        assert_eq!(edits(&plan), ["create /etc/docker/certs.d/b.corp/ca.crt"], "{found:?}");
    }
}

#[test]
fn an_immutable_file_of_a_withdrawn_registry_stays_ours_until_it_can_go() {
    let mut node = Node::with_docker("26.1.5");
    node.declare(with_ca("a.corp"));
    node.apply();
    node.alter("etc/docker/certs.d/a.corp/ca.crt", |_, immutable| *immutable = true);
    node.withdraw("a.corp");
    let plan = node.apply();
    assert_eq!(plan.conflicts[0].cure, "chattr -i -a /etc/docker/certs.d/a.corp/ca.crt");
    assert_eq!(plan.conflicts[0].items, [item("a.corp", Believer::Docker)].into());
    assert_eq!(node.owned(), ["/etc/docker/certs.d/a.corp/ca.crt"]);
    assert!(node.has(A));
    node.alter("etc/docker/certs.d/a.corp/ca.crt", |_, immutable| *immutable = false);
    assert_eq!(edits(&node.apply()), ["remove /etc/docker/certs.d/a.corp/ca.crt"]);
}

/// What is in a directory that cannot be read is not gone: it is in force, and it is ours.
#[test]
fn files_in_a_directory_that_cannot_be_read_stay_ours() {
    let mut node = Node::with_docker("26.1.5");
    node.declare(with_ca("a.corp"));
    node.apply();
    node.remove("etc/docker/certs.d/a.corp/ca.crt");
    let readable =
        node.observed.files.get(&crate::path::NodePath::new(A).unwrap()).unwrap().clone();
    node.place(A, Found::Unreadable { error: "input/output error".to_owned() });
    node.withdraw("a.corp");
    let plan = node.apply();
    assert_eq!(node.owned(), ["/etc/docker/certs.d/a.corp/ca.crt"]);
    assert!(node.ledger.directories.contains(A));
    let message = "trust was withdrawn, but the file cannot be read: input/output error";
    assert_eq!(plan.conflicts[0].message, message);
    node.place(A, readable);
    node.put("etc/docker/certs.d/a.corp/ca.crt", CA);
    node.apply();
    assert!(!node.has("etc/docker/certs.d"));
}

#[test]
fn a_registry_whose_name_no_longer_parses_is_withdrawn_like_any_other() {
    let mut node = Node::with_docker("26.1.5");
    node.declare(Entry {
        host: crate::trust::host::RegistryHost::unchecked("BAD_host"),
        ..with_ca("a.corp")
    });
    node.apply();
    assert_eq!(node.owned(), ["/etc/docker/certs.d/BAD_host/ca.crt"]);
    node.entries.clear();
    node.alter("etc/docker/certs.d/BAD_host/ca.crt", |_, immutable| *immutable = true);
    let plan = node.apply();
    assert_eq!((plan.conflicts.len(), plan.conflicts[0].items.len()), (1, 0));
    node.alter("etc/docker/certs.d/BAD_host/ca.crt", |_, immutable| *immutable = false);
    node.apply();
    assert!(!node.has("etc/docker/certs.d"));
}

#[test]
fn docker_that_was_removed_leaves_nothing_of_ours_behind() {
    let mut node = Node::with_docker("26.1.5");
    let before = node.tree();
    node.declare(insecure("a.corp"));
    node.declare(Entry { client: Some(client()), ..with_ca("b.corp") });
    node.apply();
    node.observed.docker = None;
    let plan = node.apply();
    assert!(plan.items.is_empty() && plan.due.is_empty());
    assert_eq!(node.tree(), before, "nobody has the old list in memory, so one step is enough");
}
