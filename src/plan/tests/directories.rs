//! Which directories are made, removed and kept.

use crate::ledger::Loads;
use crate::observed::Found;
use crate::plan::fixtures::*;
use crate::trust::entry::Entry;

const REGISTRY: &str = "etc/docker/certs.d/a.corp";

#[test]
fn withdrawal_leaves_the_tree_as_it_was() {
    let client = |entry: Entry| Entry { client: Some(client()), ..entry };
    for (what, entry) in [
        ("a CA", with_ca("a.corp")),
        ("a CA and a client pair", client(with_ca("a.corp"))),
        ("in the system store", in_store("a.corp", CA)),
        ("a mirror", hub(&[("m.corp", ca(CA))])),
    ] {
        let mut node = Node::with_docker("26.1.5");
        node.add_containerd("1.7.24");
        let before = node.tree();
        let host = entry.host.as_str().to_owned();
        node.declare(entry);
        node.apply();
        assert_ne!(node.tree(), before, "{what}");
        node.withdraw(&host);
        node.apply();
        // The list of mirrors goes in two steps.
        node.acknowledged.insert(Loads::DockerDaemon);
        node.apply();
        assert_eq!(node.tree(), before, "{what}");
        assert_eq!(node.ledger.directories.len() + node.ledger.files.len(), 0, "{what}");
    }
}

#[test]
fn directories_are_made_parents_first_and_a_registrys_own_by_its_unit() {
    let mut node = Node::with_docker("26.1.5");
    node.declare(with_ca("a.corp"));
    let plan = node.plan();
    assert_eq!(format!("{:?}", plan.changes.make_directories), "[/etc/docker/certs.d]");
    let unit = &plan.changes.units[0];
    assert_eq!(unit.directory.as_ref().unwrap().as_str(), REGISTRY);
    assert!(!unit.keep, "made by us, so it goes with its last file");
}

#[test]
fn an_empty_directory_that_was_there_stays() {
    let mut node = Node::with_docker("26.1.5");
    node.make(REGISTRY);
    let before = node.tree();
    node.declare(with_ca("a.corp"));
    assert!(node.apply().changes.units[0].keep);
    node.withdraw("a.corp");
    assert!(node.apply().changes.units[0].keep);
    assert_eq!(node.tree(), before);
}

#[test]
fn a_parent_that_two_registries_share_goes_with_the_last_of_them() {
    let mut node = Node::with_docker("26.1.5");
    node.declare(with_ca("a.corp"));
    node.declare(with_ca("b.corp"));
    node.apply();
    node.withdraw("a.corp");
    assert_eq!(node.apply().changes.remove_directories, []);
    assert!(node.has("etc/docker/certs.d") && !node.has(REGISTRY));
    node.withdraw("b.corp");
    let plan = node.apply();
    assert_eq!(format!("{:?}", plan.changes.remove_directories), "[/etc/docker/certs.d]");
    assert!(!node.has("etc/docker/certs.d") && node.has("etc/docker"));
}

#[test]
fn a_directory_of_ours_with_somebody_elses_file_in_it_is_theirs_from_then_on() {
    let mut node = Node::with_docker("26.1.5");
    node.declare(with_ca("a.corp"));
    node.apply();
    node.put("etc/docker/certs.d/a.corp/README", "hello");
    node.withdraw("a.corp");
    node.apply();
    assert_eq!(node.owned(), [""; 0]);
    assert!(node.has(REGISTRY) && node.has("etc/docker/certs.d"));
    assert!(node.ledger.directories.is_empty());
    assert!(node.plan().is_empty());
}

#[test]
fn a_directory_that_somebody_emptied_goes_with_the_withdrawal() {
    let mut node = Node::with_docker("26.1.5");
    node.declare(with_ca("a.corp"));
    node.apply();
    node.remove("etc/docker/certs.d/a.corp/ca.crt");
    node.withdraw("a.corp");
    let plan = node.apply();
    let gone = "[/etc/docker/certs.d/a.corp, /etc/docker/certs.d]";
    assert_eq!(format!("{:?}", plan.changes.remove_directories), gone);
    assert!(!node.has("etc/docker/certs.d"), "containerd would look into an empty directory");
}

#[test]
fn a_directory_made_for_daemon_json_goes_with_it() {
    let mut node = Node::with_docker("26.1.5");
    node.remove("etc/docker");
    node.observed.files.unlist(&crate::node_path!("etc/docker"));
    let before = node.tree();
    node.declare(insecure("a.corp"));
    let plan = node.apply();
    assert_eq!(format!("{:?}", plan.changes.make_directories), "[/etc/docker]");
    node.withdraw("a.corp");
    assert_eq!(node.apply().changes.remove_directories, []);
    assert_eq!(node.text(DAEMON).unwrap(), "{\n  \"insecure-registries\": []\n}\n");
    node.acknowledged.insert(Loads::DockerDaemon);
    node.apply();
    assert_eq!(node.tree(), before);
}

#[test]
fn a_directory_made_for_config_toml_stays_while_the_file_cannot_be_edited() {
    let mut node = Node::with_containerd("1.7.24");
    node.remove("etc/containerd");
    node.observed.files.unlist(&crate::node_path!("etc/containerd"));
    let before = node.tree();
    node.declare(with_ca("a.corp"));
    node.apply();
    node.withdraw("a.corp");
    node.alter(CONFIG, |_, immutable| *immutable = true);
    let plan = node.apply();
    assert_eq!(conflicts(&plan).len(), 1);
    assert!(node.ledger.directories.contains("etc/containerd"), "{:?}", node.ledger.directories);
    node.alter(CONFIG, |_, immutable| *immutable = false);
    node.apply();
    assert_eq!(node.tree(), before);
}

#[test]
fn a_file_is_never_written_through_a_linked_registry_directory() {
    let mut node = Node::with_docker("26.1.5");
    node.make("etc/docker/certs.d");
    node.place(REGISTRY, Found::Symlink { to: "/srv/certs".to_owned() });
    node.declare(with_ca("a.corp"));
    let plan = node.plan();
    assert_eq!(edits(&plan), [""; 0]);
    let message = "the registry's directory is a symbolic link to `/srv/certs`";
    assert_eq!(conflicts(&plan), [format!("/{REGISTRY}: {message}")]);
}
