//! Who reads hosts.toml reads afterwards what it names.

use super::overlay::{inside, overlaid};
use super::*;
use crate::txn::Recovery;
use crate::txn::steps::{Step, Transaction};

const DIRECTORY: &str = "etc/containerd/certs.d/harbor.corp";

/// A registry that gets another mirror.
fn scenario(node: &Node) -> Changes {
    for (name, content) in [("hosts.toml", "old"), ("mirror-1.pem", "1"), ("theirs", "T")] {
        node.put(&format!("{DIRECTORY}/{name}"), content, 0o644);
    }
    let edits = [
        ("hosts.toml", Some("old"), Some("new")),
        ("mirror-1.pem", Some("1"), None),
        ("mirror-2.pem", None, Some("2")),
    ];
    Changes { units: vec![registry(DIRECTORY, &edits)], ..Changes::default() }
}

#[test]
fn what_the_old_hosts_toml_names_is_there_for_a_while_beside_the_new_one() {
    let node = Node::new();
    let changes = scenario(&node);
    it_is_there_for_a_while(&node, &changes);
}

#[test]
fn the_same_where_a_directory_changes_file_by_file() {
    let name = "lingering::the_same_where_a_directory_changes_file_by_file";
    let Some(base) = inside(name, 64) else { return };
    let (node, changes) = overlaid(&base, scenario);
    it_is_there_for_a_while(&node, &changes);
    node.recover().unwrap();
    node.assert_clean("file by file");
}

fn it_is_there_for_a_while(node: &Node, changes: &Changes) {
    let mut journal = node.journal(changes);
    let mut txn = Transaction::begin(&node.root, &node.lock, &mut journal).unwrap();
    let has = |name: &str| node.has(&format!("{DIRECTORY}/{name}"));
    let forward: Vec<_> = txn.forward().collect();
    for step in forward {
        txn.perform(step).unwrap();
        assert_eq!(has("mirror-1.pem").as_deref(), Some("1"), "{step:?}");
    }
    assert_eq!(has("hosts.toml").as_deref(), Some("new"));
    assert_eq!(has("mirror-2.pem").as_deref(), Some("2"));

    let began = std::time::Instant::now();
    txn.perform(Step::Retire).unwrap();
    assert_eq!(has("mirror-1.pem"), None);
    assert!(began.elapsed() >= crate::txn::shape::READERS_NEED);
}

#[test]
fn what_somebody_makes_theirs_meanwhile_stays_theirs() {
    for theirs in [Some("edited"), None] {
        let node = Node::new();
        let changes = scenario(&node);
        let mut journal = node.journal(&changes);
        let mut txn = Transaction::begin(&node.root, &node.lock, &mut journal).unwrap();
        let forward: Vec<_> = txn.forward().collect();
        for step in forward {
            txn.perform(step).unwrap();
        }
        let path = format!("{DIRECTORY}/mirror-1.pem");
        fs::remove_file(node.at(&path)).unwrap();
        if let Some(theirs) = theirs {
            node.put(&path, theirs, 0o644);
        }
        let finish: Vec<_> = txn.finish().collect();
        for step in finish {
            txn.perform(step).unwrap();
        }
        assert_eq!(node.has(&path).as_deref(), theirs);
        assert_eq!(node.has(&format!("{DIRECTORY}/hosts.toml")).as_deref(), Some("new"));
        assert!(matches!(node.recover().unwrap(), Recovery::Nothing));
        node.assert_clean("after somebody's edit");
    }
}

/// Nobody waits who has nothing to wait for: an edit goes, but no hosts.toml stays that was read.
#[test]
fn only_what_is_read_in_parts_takes_a_while() {
    let node = Node::new();
    let certs = "etc/docker/certs.d/harbor.corp";
    node.put(&format!("{certs}/ca.crt"), "1", 0o644);
    node.put(&format!("{certs}/theirs.crt"), "T", 0o644);
    node.put(&format!("{DIRECTORY}/hosts.toml"), "old", 0o644);
    node.put(&format!("{DIRECTORY}/ca.crt"), "1", 0o644);
    let units = vec![
        registry(certs, &[("ca.crt", Some("1"), None), ("client.cert", None, Some("C"))]),
        registry(DIRECTORY, &[("hosts.toml", Some("old"), None), ("ca.crt", Some("1"), None)]),
    ];
    let mut journal = node.journal(&Changes { units, ..Changes::default() });
    let mut txn = Transaction::begin(&node.root, &node.lock, &mut journal).unwrap();
    let forward: Vec<_> = txn.forward().collect();
    for step in forward {
        txn.perform(step).unwrap();
    }
    assert_eq!(node.has(&format!("{certs}/ca.crt")), None);
    assert_eq!(node.has(&format!("{DIRECTORY}/ca.crt")), None);
    // The best of a few, because a busy machine may take its time over any of them.
    let took = (0..5).map(|_| {
        let began = std::time::Instant::now();
        txn.perform(Step::Retire).unwrap();
        began.elapsed()
    });
    assert!(took.min().unwrap() < crate::txn::shape::READERS_NEED);
}

#[test]
fn a_crash_meanwhile_leaves_all_of_it_or_none_of_it() {
    for survived in 0.. {
        let node = Node::new();
        let changes = scenario(&node);
        let old = node.contents();
        let new = applied(old.clone(), &changes);
        let mut journal = node.journal(&changes);
        let mut txn = Transaction::begin(&node.root, &node.lock, &mut journal).unwrap();
        let steps: Vec<_> = txn.forward().chain(txn.finish()).collect();
        for step in steps.iter().take(survived) {
            txn.perform(*step).unwrap();
        }
        let published = steps.iter().position(|step| *step == Step::PublishJournal).unwrap();

        node.recover().unwrap();

        let when = format!("after {survived} steps");
        assert_eq!(node.contents(), if survived > published { new } else { old }, "{when}");
        node.assert_clean(&when);
        if survived == steps.len() {
            break;
        }
    }
}

#[test]
fn it_goes_back_to_what_it_was() {
    let node = Node::new();
    let changes = scenario(&node);
    let old = node.tree();
    let mut journal = node.journal(&changes);
    let mut txn = Transaction::begin(&node.root, &node.lock, &mut journal).unwrap();
    let forward: Vec<_> = txn.forward().collect();
    for step in forward {
        txn.perform(step).unwrap();
    }
    let backward: Vec<_> = txn.backward().collect();
    for step in backward {
        txn.perform(step).unwrap();
    }
    let bytes =
        |tree: Tree| tree.into_iter().map(|(name, is)| (name, is.bytes)).collect::<Vec<_>>();
    assert_eq!(bytes(node.tree()), bytes(old));
    node.assert_clean("after going back");
}
