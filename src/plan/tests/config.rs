//! containerd's `config_path`: when it is set, and when it goes.

use crate::observed::{CriUse, Found};
use crate::plan::fixtures::*;
use crate::target::Believer;
use crate::trust::entry::{Runtime, Trust};

const RESTART: &str = "systemctl restart containerd";
const MINIMAL: &str = "version = 2\n";

fn with_config(text: &str) -> Node {
    let mut node = Node::with_containerd("1.7.24");
    node.put(CONFIG, text);
    node
}

fn config_path(node: &Node) -> bool {
    node.text(CONFIG).is_some_and(|text| text.contains("config_path"))
}

#[test]
fn the_first_registry_costs_a_restart_and_the_next_ones_nothing() {
    let mut node = with_config(MINIMAL);
    node.declare(with_ca("a.corp"));
    assert_eq!(due(&node.apply()), [RESTART]);
    assert!(config_path(&node));
    node.containerd().running = crate::observed::Running::Since(at("11:00"));
    node.now = at("12:00");
    node.declare(with_ca("b.corp"));
    assert_eq!(due(&node.apply()), [""; 0]);
}

#[test]
fn the_key_goes_with_the_last_registry_and_that_needs_no_restart() {
    let mut node = with_config(MINIMAL);
    node.declare(with_ca("a.corp"));
    node.apply();
    node.containerd().running = crate::observed::Running::Since(at("11:00"));
    node.now = at("12:00");
    node.withdraw("a.corp");
    assert_eq!(due(&node.apply()), [""; 0]);
    assert_eq!(node.text(CONFIG).unwrap(), MINIMAL);
    assert_eq!(node.ledger.containerd_config, None);
}

#[test]
fn a_registry_with_the_runtimes_own_trust_needs_no_key() {
    let mut node = with_config(MINIMAL);
    node.declare(entry("a.corp", Trust::System));
    assert!(node.plan().is_empty());
}

#[test]
fn the_key_goes_also_when_containerd_was_removed_from_the_node() {
    let mut node = with_config(MINIMAL);
    node.declare(with_ca("a.corp"));
    node.apply();
    node.observed.containerd = None;
    node.apply();
    assert_eq!(node.text(CONFIG).unwrap(), MINIMAL);
    assert_eq!(node.owned(), [""; 0]);
}

#[test]
fn without_cri_only_an_entry_that_names_containerd_sets_it() {
    let mut node = with_config(MINIMAL);
    node.containerd().cri = CriUse::NotSeen;
    node.declare(with_ca("a.corp"));
    assert!(node.plan().is_empty());
    let mut asks = with_ca("b.corp");
    asks.runtimes = Some([Runtime::Containerd].into());
    node.declare(asks);
    node.apply();
    assert!(config_path(&node));
    assert_eq!(node.owned(), ["b.corp/ca.crt", "b.corp/hosts.toml"].map(in_hosts));
}

fn in_hosts(path: &str) -> String {
    format!("/etc/containerd/certs.d/{path}")
}

/// An obstacle that appears later blocks the registries; what is in force for them hangs on the
/// key, so it must not be taken for one that nobody needs any more.
#[test]
fn a_conflict_in_config_toml_takes_nothing_away() {
    let mut node = with_config(MINIMAL);
    node.declare(with_ca("a.corp"));
    node.apply();
    let mirrors = "[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"b.corp\"]\n";
    let text = node.text(CONFIG).unwrap() + mirrors;
    node.put(CONFIG, &text);
    let plan = node.apply();
    assert_eq!(conflicts(&plan).len(), 1);
    assert_eq!(plan.items[&item("a.corp", Believer::Containerd)], crate::plan::ItemState::Blocked);
    assert_eq!(edits(&plan), [""; 0]);
    assert!(node.ledger.containerd_config.is_some());
}

#[test]
fn a_blocked_registry_keeps_the_key_that_its_files_hang_on() {
    let mut node = with_config(MINIMAL);
    node.declare(with_ca("a.corp"));
    node.apply();
    node.make(&in_hosts("a.corp")[1..]);
    let mut changed = entry("a.corp", ca(CA_B));
    changed.client = Some(client());
    node.declare(changed);
    node.put(&in_hosts("a.corp/client.cert")[1..], "somebody's");
    let plan = node.apply();
    assert!(!conflicts(&plan).is_empty());
    assert_eq!(edits(&plan), [""; 0]);
    assert!(config_path(&node));
}

/// hosts.toml files that an administrator prepared are read by nobody until `config_path` is set.
#[test]
fn an_administrators_hosts_toml_that_says_the_same_still_needs_the_key() {
    let mut node = with_config(MINIMAL);
    let theirs = "server = \"https://a.corp\"\nskip_verify = true\n[host]\n";
    node.put(&in_hosts("a.corp/hosts.toml")[1..], theirs);
    node.declare(entry("a.corp", Trust::SkipVerify));
    let plan = node.apply();
    assert_eq!(conflicts(&plan), [""; 0]);
    assert_eq!(edits(&plan), [format!("change /{CONFIG}")]);
    assert_eq!(node.owned(), [""; 0]);
    assert!(node.plan().changes.is_empty());
}

#[test]
fn a_file_that_is_no_file_is_a_conflict_of_those_who_need_it() {
    for found in [
        Found::Symlink { to: "/srv/config.toml".to_owned() },
        Found::Directory,
        Found::Unreadable { error: "input/output error".to_owned() },
    ] {
        let mut node = Node::with_containerd("1.7.24");
        node.place(CONFIG, found.clone());
        node.declare(with_ca("a.corp"));
        let plan = node.plan();
        let states: Vec<_> = plan.items.values().collect();
        assert_eq!(states, [&crate::plan::ItemState::Blocked], "{found:?}");
        assert!(edits(&plan).is_empty(), "{found:?}");
    }
}

#[test]
fn a_key_that_somebody_took_out_is_put_back_and_told() {
    let mut node = with_config(MINIMAL);
    node.declare(with_ca("a.corp"));
    node.apply();
    node.put(CONFIG, MINIMAL);
    let plan = node.apply();
    assert_eq!(due(&plan), [RESTART]);
    let drift: Vec<_> = plan.drift.iter().map(|one| (one.path.as_str(), one.repaired)).collect();
    assert_eq!(drift, [("/etc/containerd/config.toml", true)]);
    assert!(plan.pending.contains(&item("a.corp", Believer::Containerd)));
}
