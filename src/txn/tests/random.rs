//! Random trees, random changes, a random crash, and one more while recovering from it.

use proptest::prelude::*;

use super::*;
use crate::txn::steps::Transaction;

/// What one of our files is before and after.
type Fate = (Option<u8>, Option<u8>);

fn fate() -> impl Strategy<Value = Fate> {
    let content = || prop::option::of(0_u8..3);
    (content(), content())
}

/// The fates of the files of one directory, and whether somebody else has a file there.
fn host() -> impl Strategy<Value = (Vec<Fate>, bool)> {
    (prop::collection::vec(fate(), 3), any::<bool>())
}

fn text(content: Option<u8>) -> Option<String> {
    content.map(|content| format!("content {content}"))
}

fn fated(node: &Node, name: &str, (before, after): Fate) -> FileEdit {
    let (before, after) = (text(before), text(after));
    if let Some(before) = &before {
        node.put(name, before, 0o644);
    }
    edit(name, before.as_deref(), after.as_deref())
}

fn prepare(node: &Node, hosts: &[(Vec<Fate>, bool)], singles: &[Fate]) -> Changes {
    node.put("etc/certs.d/there", "x", 0o644);
    let mut units = Vec::new();
    for (number, (fates, foreign)) in hosts.iter().enumerate() {
        let host = format!("etc/certs.d/host{number}");
        if *foreign {
            node.put(&format!("{host}/theirs.crt"), "theirs", 0o600);
        }
        let name = |file: usize| format!("{host}/{}", ["ca.crt", "c.cert", "c.key"][file]);
        let edits = fates.iter().enumerate().map(|(at, fate)| fated(node, &name(at), *fate));
        units.push(Unit { directory: Some(path(&host)), edits: edits.collect(), keep: false });
    }
    let single = |(number, fate): (usize, &Fate)| fated(node, &format!("etc/{number}.conf"), *fate);
    units.extend(singles.iter().enumerate().map(single).map(file));
    changes(units)
}

/// Performs the share `cut` of all steps, out of 100, and forgets the rest.
fn crash(mut txn: Transaction<'_>, cut: usize) {
    let steps: Vec<_> = txn.forward().chain(txn.finish()).collect();
    let survived = steps.len() * cut / 100;
    for step in steps.into_iter().take(survived) {
        txn.perform(step).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_crashes_all_is_old_or_all_is_new(
        hosts in prop::collection::vec(host(), 1..5),
        singles in prop::collection::vec(fate(), 0..4),
        cut in 0..=100_usize,
        cut_again in 0..=100_usize,
    ) {
        let node = Node::new();
        let changes = prepare(&node, &hosts, &singles);
        let old = node.contents();
        let new = applied(old.clone(), &changes);
        let mut journal = node.journal(&changes);
        crash(Transaction::begin(&node.root, &node.lock, &mut journal).unwrap(), cut);
        let published = crate::txn::is_interrupted(&node.root).unwrap();
        if published {
            let journal = crate::txn::read_journal(&node.root, &node.lock).unwrap().unwrap();
            crash(Transaction::resume(&node.root, &node.lock, &journal).unwrap(), cut_again);
        }

        node.recover().unwrap();

        let found = node.contents();
        prop_assert!(found == new || !published && found == old);
        node.assert_clean("recovered");
        for (name, is) in node.tree() {
            let used = found.keys().any(|file| file.starts_with(&name));
            prop_assert!(is.bytes.is_some() || used, "{} is empty", name);
        }
    }
}
