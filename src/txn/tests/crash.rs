//! Every step × recovery × recovery cut short.

use super::*;
use crate::txn::steps::{Step, Transaction};
use crate::txn::{Recovery, TxnError, is_interrupted};

/// A node with one target of every kind, and the changes to all of them.
pub(super) fn scenario(node: &Node) -> Changes {
    node.put("etc/docker/daemon.json", "{}", 0o640);
    node.put("etc/gone.d/gone.conf", "gone", 0o644);
    for (name, content) in [("client.cert", "c1"), ("client.key", "k1"), ("theirs.crt", "T")] {
        node.put(&format!("etc/docker/certs.d/pair.corp/{name}"), content, 0o600);
    }
    for name in ["one.corp/ca.crt", "old.corp/ca.crt", "old.corp/x.key", "less.corp/theirs.crt"] {
        node.put(&format!("etc/docker/certs.d/{name}"), "old", 0o644);
    }
    node.put("etc/docker/certs.d/less.corp/client.cert", "c", 0o644);
    node.put("etc/docker/certs.d/less.corp/client.key", "k", 0o600);
    let certs = |host: &str| format!("etc/docker/certs.d/{host}");
    let pair = [
        ("ca.crt", None, Some("CA")),
        ("client.cert", Some("c1"), Some("c2")),
        ("client.key", Some("k1"), Some("k2")),
    ];
    let new = [("ca.crt", None, Some("CA")), ("client.cert", None, Some("c"))];
    let old = [("ca.crt", Some("old"), None), ("x.key", Some("old"), None)];
    let less = [("client.cert", Some("c"), None), ("client.key", Some("k"), None)];
    Changes {
        make_directories: vec![path("etc/containerd"), path("etc/containerd/certs.d")],
        units: vec![
            file(edit("etc/docker/daemon.json", Some("{}"), Some("{\"a\":1}"))),
            file(edit("etc/new.conf", None, Some("new"))),
            file(edit("etc/gone.d/gone.conf", Some("gone"), None)),
            registry(&certs("pair.corp"), &pair),
            registry(&certs("new.corp"), &new),
            registry(&certs("one.corp"), &[("ca.crt", Some("old"), Some("CA"))]),
            registry(&certs("old.corp"), &old),
            registry(&certs("less.corp"), &less),
            registry("etc/containerd/certs.d/a", &[("hosts.toml", None, Some("server"))]),
            file(with_mode(0o600, edit("var/lib/regtrust/ledger.json", None, Some("{}")))),
        ],
        remove_directories: vec![path("etc/gone.d")],
    }
}

/// A node that crashed after so many steps.
fn crashed_after(survived: usize) -> (Node, Contents, Contents) {
    let node = Node::new();
    let changes = scenario(&node);
    let old = node.contents();
    let new = applied(old.clone(), &changes);
    let mut journal = node.journal(&changes);
    let mut txn = Transaction::begin(&node.root, &node.lock, &mut journal).unwrap();
    for step in txn.forward().chain(txn.finish()).take(survived) {
        txn.perform(step).unwrap();
    }
    (node, old, new)
}

fn steps() -> Vec<String> {
    let node = Node::new();
    let mut journal = node.journal(&scenario(&node));
    let txn = Transaction::begin(&node.root, &node.lock, &mut journal).unwrap();
    txn.forward().chain(txn.finish()).map(|step| format!("{step:?}")).collect()
}

/// How many steps it takes until a crash is rolled forward.
fn published() -> usize {
    steps().iter().position(|step| step == "PublishJournal").unwrap() + 1
}

#[test]
fn a_crash_after_any_step_leaves_all_of_it_or_none_of_it() {
    for survived in 0..=steps().len() {
        let (node, old, new) = crashed_after(survived);
        let when = format!("after {survived} steps");
        let finished = survived >= published();
        let waits = finished && survived < steps().len();
        assert_eq!(is_interrupted(&node.root).unwrap(), waits, "{when}");

        let recovery = node.recover().unwrap();

        assert_eq!(matches!(recovery, Recovery::Completed), waits, "{when}: {recovery:?}");
        assert_eq!(node.contents(), if finished { new } else { old }, "{when}");
        assert_eq!(node.at("etc/gone.d").exists(), !finished, "{when}");
        node.assert_clean(&when);
        assert!(matches!(node.recover().unwrap(), Recovery::Nothing), "{when}");
    }
}

#[test]
fn a_recovery_that_crashes_after_any_step_is_finished_by_the_next() {
    for survived in published()..steps().len() {
        for recovered in 0.. {
            let (node, _, new) = crashed_after(survived);
            let when = format!("after {survived} steps and {recovered} of recovery");
            let journal = crate::txn::read_journal(&node.root, &node.lock).unwrap().unwrap();
            let mut txn = Transaction::resume(&node.root, &node.lock, &journal).unwrap();
            let all: Vec<_> = txn.forward().chain(txn.finish()).collect();
            for step in all.iter().take(recovered) {
                txn.perform(*step).unwrap();
            }

            node.recover().unwrap();

            assert_eq!(node.contents(), new, "{when}");
            node.assert_clean(&when);
            if recovered == all.len() {
                break;
            }
        }
    }
}

#[test]
fn an_error_after_any_step_brings_back_the_very_same_files() {
    let node = Node::new();
    let changes = scenario(&node);
    let before = node.tree();
    let mut journal = node.journal(&changes);
    let mut journals = vec![journal.clone(); steps().len()];
    let count = Transaction::begin(&node.root, &node.lock, &mut journal).unwrap().forward().count();
    for (survived, journal) in journals.iter_mut().enumerate().take(count + 1) {
        let mut txn = Transaction::begin(&node.root, &node.lock, journal).unwrap();
        for step in txn.forward().take(survived) {
            txn.perform(step).unwrap();
        }
        for step in txn.backward() {
            txn.perform(step).unwrap();
        }
        assert_eq!(node.tree(), before, "taken back after {survived} steps");
        node.assert_clean(&format!("taken back after {survived} steps"));
    }
}

#[test]
fn a_directory_that_was_empty_is_empty_again_when_the_change_is_taken_back() {
    let one = [("a.crt", None, Some("a"))];
    let two = [("a.crt", None, Some("a")), ("b.crt", None, Some("b"))];
    for edits in [&one[..], &two[..]] {
        let node = Node::new();
        fs::create_dir_all(node.at("etc/certs.d/a.corp")).unwrap();
        let before = node.tree();
        let mut journal = node.journal(&changes([registry("etc/certs.d/a.corp", edits)]));
        let mut txn = Transaction::begin(&node.root, &node.lock, &mut journal).unwrap();
        for step in txn.forward().chain(txn.backward()) {
            txn.perform(step).unwrap();
        }
        assert_eq!(node.tree(), before);
    }
}

#[test]
fn a_crash_while_taking_back_is_rolled_forward_until_the_journal_is_gone() {
    let undo = 10 + 1 + 10 + 2 + 2;
    for survived in 0..=undo {
        let node = Node::new();
        let changes = scenario(&node);
        let old = node.contents();
        let new = applied(old.clone(), &changes);
        let mut journal = node.journal(&changes);
        let mut txn = Transaction::begin(&node.root, &node.lock, &mut journal).unwrap();
        for step in txn.forward() {
            txn.perform(step).unwrap();
        }
        assert_eq!(txn.backward().count(), undo);
        for step in txn.backward().take(survived) {
            txn.perform(step).unwrap();
        }

        node.recover().unwrap();

        let expected = if survived == undo { old } else { new };
        assert_eq!(node.contents(), expected, "after {survived} steps back");
        node.assert_clean(&format!("after {survived} steps back"));
    }
}

#[test]
fn what_was_there_is_brought_back_from_the_journal_if_it_has_to_be() {
    let node = Node::new();
    let changes = scenario(&node);
    let old = node.contents();
    let mut journal = node.journal(&changes);
    let mut txn = Transaction::begin(&node.root, &node.lock, &mut journal).unwrap();
    for step in txn.forward() {
        txn.perform(step).unwrap();
    }
    for step in txn.finish().filter(|step| matches!(step, Step::Discard(_))) {
        txn.perform(step).unwrap();
    }
    for step in txn.backward() {
        txn.perform(step).unwrap();
    }
    assert_eq!(node.contents(), old);
    let mode = |name: &str| node.tree().get(name).unwrap().mode & 0o7777;
    assert_eq!(mode("etc/docker/daemon.json"), 0o640);
    assert_eq!(mode("etc/docker/certs.d/pair.corp/client.key"), 0o600);
    node.assert_clean("taken back from the journal");
}

#[test]
fn a_target_that_is_neither_old_nor_new_stops_recovery_before_it_touches_anything() {
    let (node, ..) = crashed_after(published());
    node.put("etc/docker/daemon.json", "somebody's", 0o644);
    let before = node.tree();

    let error = node.recover().unwrap_err();

    assert!(
        matches!(&error, TxnError::Disputed { paths } if *paths == [path("etc/docker/daemon.json")])
    );
    assert_eq!(
        error.to_string(),
        "`/etc/docker/daemon.json` is neither what the interrupted change found nor what it makes"
    );
    assert_eq!(
        error.hint().unwrap(),
        "put back the earlier content of `/etc/docker/daemon.json`, or rename \
         `/var/lib/regtrust/journal.json` to `journal.abandoned` to keep every file as it is now, \
         and run regtrust again: it finishes the change, or clears away what it had prepared for it"
    );
    assert_eq!(node.tree(), before);
    assert!(is_interrupted(&node.root).unwrap(), "the journal is kept");

    node.put("etc/docker/daemon.json", "{}", 0o644);
    assert!(matches!(node.recover().unwrap(), Recovery::Completed));
}

#[test]
fn a_disputed_change_that_is_given_up_leaves_the_node_as_it_is_and_nothing_of_ours() {
    for survived in published()..steps().len() {
        let (node, ..) = crashed_after(survived);
        node.put("etc/docker/daemon.json", "somebody's", 0o644);
        assert!(matches!(node.recover().unwrap_err(), TxnError::Disputed { .. }));
        let before = node.contents();
        let kept = before.into_iter().filter(|(name, _)| !name.contains(".regtrust-")).collect();

        let state = node.at("var/lib/regtrust");
        fs::rename(state.join("journal.json"), state.join("journal.abandoned")).unwrap();
        assert!(matches!(node.recover().unwrap(), Recovery::Nothing));

        let (found, kept): (Contents, Contents) = (node.contents(), kept);
        assert_eq!(found, kept, "after {survived} steps");
        node.assert_clean(&format!("given up after {survived} steps"));
        assert!(!state.join("journal.abandoned").exists());
    }
}

#[test]
fn a_recovery_that_cannot_complete_the_change_takes_it_back() {
    let (node, old, _) = crashed_after(published());
    fs::rename(node.at("etc/docker/certs.d/pair.corp"), node.at("etc/aside")).unwrap();
    fs::create_dir_all(node.at("etc/docker/certs.d/pair.corp/sub")).unwrap();
    for name in ["client.cert", "client.key", "theirs.crt"] {
        fs::rename(
            node.at(&format!("etc/aside/{name}")),
            node.at(&format!("etc/docker/certs.d/pair.corp/{name}")),
        )
        .unwrap();
    }

    let recovery = node.recover().unwrap();

    assert!(matches!(recovery, Recovery::Undone { cause: TxnError::Disk(_) }), "{recovery:?}");
    assert_eq!(node.contents(), old);
    assert!(!node.at("etc/containerd").exists(), "directories we made go again");
    node.assert_clean("taken back by recovery");
}

#[test]
fn an_interrupted_change_is_finished_before_another_begins() {
    let (node, ..) = crashed_after(published());
    let error = node.commit(&changes([file(edit("etc/b", None, Some("b")))])).unwrap_err();
    assert!(matches!(error, TxnError::Interrupted));
    assert_eq!(node.has("etc/b"), None);
}

type Spoil<'a> = &'a dyn Fn(&str) -> String;

#[test]
fn a_journal_that_is_newer_or_damaged_is_refused() {
    let newer = |text: &str| text.replacen("\"format\":1", "\"format\":2,\"more\":[]", 1);
    let flipped = |text: &str| text.replacen("etc/new.conf", "etc/mew.conf", 1);
    let cut = |text: &str| text.get(..text.len() / 2).unwrap().to_owned();
    let cases: [(Spoil<'_>, &str); 3] = [
        (&newer, "has format 2, this program reads up to 1"),
        (&flipped, "is damaged: its checksum is another; refusing to guess what was applied"),
        (&cut, "is unreadable; refusing to guess what was applied"),
    ];
    for (spoil, message) in cases {
        let (node, ..) = crashed_after(published());
        let before = node.tree();
        let text = node.has("var/lib/regtrust/journal.json").unwrap();
        node.put("var/lib/regtrust/journal.json", &spoil(&text), 0o600);

        let error = node.recover().unwrap_err();

        let expected = format!("the journal `/var/lib/regtrust/journal.json` {message}");
        assert_eq!(error.to_string(), expected);
        assert_eq!(node.tree(), before);
        assert!(is_interrupted(&node.root).unwrap(), "the journal is kept");
    }
}

/// Making a directory and giving it its mode are two calls.
#[test]
fn a_directory_that_was_cut_off_before_it_had_its_mode_gets_it() {
    let (node, _, new) = crashed_after(published());
    let made = node.at("etc/containerd");
    fs::create_dir(&made).unwrap();
    fs::set_permissions(&made, fs::Permissions::from_mode(0o700)).unwrap();

    node.recover().unwrap();

    for path in ["etc/containerd", "etc/containerd/certs.d"] {
        assert_eq!(fs::metadata(node.at(path)).unwrap().mode() & 0o7777, 0o755, "{path}");
    }
    assert_eq!(node.contents(), new);
}

#[test]
fn a_directory_that_somebody_uses_meanwhile_keeps_its_mode() {
    let (node, ..) = crashed_after(published());
    node.put("etc/containerd/theirs", "x", 0o600);
    let made = node.at("etc/containerd");
    fs::set_permissions(&made, fs::Permissions::from_mode(0o700)).unwrap();

    node.recover().unwrap();

    assert_eq!(fs::metadata(&made).unwrap().mode() & 0o7777, 0o700);
}
