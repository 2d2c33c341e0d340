//! A node on an overlay whose registries lie in the lower layer, where no directory can be moved.

use std::path::Path;

use rustix::fs::{CWD, RenameFlags};

use super::crash::scenario;
use super::mounts::{inside_if, mount};
use super::*;
use crate::txn::journal::Side;
use crate::txn::stage::Work;
use crate::txn::steps::{Step, Transaction};
use crate::txn::swap::in_order;
use crate::txn::{Recovery, TxnError};

const PAIR: &str = "etc/docker/certs.d/pair.corp";

pub(super) fn inside(test: &str, size: usize) -> Option<PathBuf> {
    let possible = "mount -t tmpfs regtrust \"$1\" && cd \"$1\" && mkdir l u w m && \
                    mount -t overlay -o lowerdir=l,upperdir=u,workdir=w,redirect_dir=off overlay m";
    inside_if(possible, test, size)
}

/// What `prepare` puts on the node is the lower layer.
pub(super) fn overlaid(base: &Path, prepare: impl Fn(&Node) -> Changes) -> (Node, Changes) {
    let baked = Node::over(tempfile::tempdir_in(base).unwrap());
    let changes = prepare(&baked);
    let lower = baked.directory.keep();
    let (upper, work) = (tempfile::tempdir_in(base).unwrap(), tempfile::tempdir_in(base).unwrap());
    let merged = tempfile::tempdir_in(base).unwrap();
    let layers = format!(
        "lowerdir={},upperdir={},workdir={},redirect_dir=off",
        lower.display(),
        upper.keep().display(),
        work.keep().display()
    );
    mount(&["-t", "overlay", "-o", &layers, "overlay", &merged.path().display().to_string()]);
    (Node::over(merged), changes)
}

fn all_steps<'j>(txn: &Transaction<'j>) -> Vec<Step<'j>> {
    txn.forward().chain(txn.finish()).collect()
}

fn with_modes(node: &Node) -> BTreeMap<String, (Option<String>, u32)> {
    node.tree().into_iter().map(|(name, is)| (name, (is.bytes, is.mode))).collect()
}

#[test]
fn what_lies_in_a_lower_layer_can_be_rotated_and_withdrawn() {
    let name = "overlay::what_lies_in_a_lower_layer_can_be_rotated_and_withdrawn";
    let Some(base) = inside(name, 64) else { return };
    let (node, changes) = overlaid(&base, scenario);
    fs::create_dir(node.at("etc/other")).unwrap();
    let exchange = rustix::fs::renameat_with(
        CWD,
        node.at(PAIR),
        CWD,
        node.at("etc/other"),
        RenameFlags::EXCHANGE,
    );
    assert_eq!(exchange, Err(rustix::io::Errno::XDEV), "else nothing is tried here");
    let expected = applied(node.contents(), &changes);

    node.commit(&changes).unwrap();

    assert_eq!(node.contents(), expected);
    assert!(!node.at("etc/docker/certs.d/old.corp").exists(), "an empty one would still count");
    assert!(!node.at("etc/gone.d").exists());
    let mode = |name: &str| node.tree().get(&format!("{PAIR}/{name}")).unwrap().mode & 0o7777;
    assert_eq!([mode("ca.crt"), mode("client.key"), mode("theirs.crt")], [0o644, 0o600, 0o600]);
    node.assert_clean("after the change");
}

#[test]
fn a_crash_there_after_any_step_leaves_all_of_it_or_none_of_it() {
    let name = "overlay::a_crash_there_after_any_step_leaves_all_of_it_or_none_of_it";
    let Some(base) = inside(name, 256) else { return };
    for survived in 0.. {
        let (node, changes) = overlaid(&base, scenario);
        let old = node.contents();
        let new = applied(old.clone(), &changes);
        let mut journal = node.journal(&changes);
        let mut txn = Transaction::begin(&node.root, &node.lock, &mut journal).unwrap();
        let steps = all_steps(&txn);
        let published = steps.iter().position(|step| *step == Step::PublishJournal).unwrap();
        let when = format!("after {survived} of {} steps", steps.len());
        for step in steps.iter().take(survived) {
            txn.perform(*step).unwrap();
        }

        node.recover().unwrap();

        assert_eq!(node.contents(), if survived > published { new } else { old }, "{when}");
        let withdrawn = !node.at("etc/docker/certs.d/old.corp").exists();
        assert_eq!(withdrawn, survived > published, "{when}");
        node.assert_clean(&when);
        assert!(matches!(node.recover().unwrap(), Recovery::Nothing), "{when}");
        if survived == steps.len() {
            break;
        }
    }
}

#[test]
fn an_error_there_after_any_step_takes_everything_back() {
    let name = "overlay::an_error_there_after_any_step_takes_everything_back";
    let Some(base) = inside(name, 256) else { return };
    for survived in 0.. {
        let (node, changes) = overlaid(&base, scenario);
        let before = with_modes(&node);
        let mut journal = node.journal(&changes);
        let mut txn = Transaction::begin(&node.root, &node.lock, &mut journal).unwrap();
        let steps: Vec<_> = txn.forward().collect();
        for step in steps.iter().take(survived) {
            txn.perform(*step).unwrap();
        }
        for step in txn.backward() {
            txn.perform(step).unwrap();
        }
        assert_eq!(with_modes(&node), before, "taken back after {survived} steps");
        node.assert_clean(&format!("taken back after {survived} steps"));
        if survived == steps.len() {
            break;
        }
    }
}

/// Stages the unit's files and changes the first so many, as happens within one step there.
fn change_files(node: &Node, journal: &Journal, unit: usize, count: usize) {
    let unit = &journal.units[unit];
    let pending: Vec<_> = unit.edits.iter().collect();
    let (root, side) = (&node.root, Side::New);
    let work = Work { root, journal, unit, pending: &pending, side };
    work.stage_files().unwrap();
    for edit in in_order(&pending, side).into_iter().take(count) {
        work.swap_file(edit).unwrap();
    }
}

/// With directories that can be moved as well: who changed the files does not matter.
fn a_crash_between_files(nodes: &dyn Fn() -> (Node, Changes)) {
    for unit in [3, 6, 7] {
        for count in 0..=3 {
            for undone in [false, true] {
                let (node, changes) = nodes();
                let (old, before) = (node.contents(), with_modes(&node));
                let new = applied(old.clone(), &changes);
                let when = format!("unit {unit}, {count} files changed");
                let mut journal = node.journal(&changes);
                let mut txn = Transaction::begin(&node.root, &node.lock, &mut journal).unwrap();
                let first_swap = |step: &Step<'_>| matches!(step, Step::Swap(_));
                for step in txn.forward().take_while(|step| !first_swap(step)) {
                    txn.perform(step).unwrap();
                }
                let written = crate::txn::read_journal(&node.root, &node.lock).unwrap().unwrap();
                change_files(&node, &written, unit, count);
                if undone {
                    for step in txn.backward() {
                        txn.perform(step).unwrap();
                    }
                    assert_eq!(with_modes(&node), before, "{when}");
                } else {
                    assert!(matches!(node.recover().unwrap(), Recovery::Completed), "{when}");
                    assert_eq!(node.contents(), new, "{when}");
                    assert!(!node.at("etc/docker/certs.d/old.corp").exists(), "{when}");
                }
                node.assert_clean(&when);
            }
        }
    }
}

#[test]
fn a_crash_between_two_files_of_a_directory_is_finished_or_taken_back() {
    a_crash_between_files(&|| {
        let node = Node::new();
        let changes = scenario(&node);
        (node, changes)
    });
}

#[test]
fn a_crash_between_two_files_in_a_lower_layer_is_finished_or_taken_back() {
    let name = "overlay::a_crash_between_two_files_in_a_lower_layer_is_finished_or_taken_back";
    let Some(base) = inside(name, 256) else { return };
    a_crash_between_files(&|| overlaid(&base, scenario));
}

#[test]
fn an_edit_at_the_last_instant_is_not_lost_there_either() {
    let name = "overlay::an_edit_at_the_last_instant_is_not_lost_there_either";
    let Some(base) = inside(name, 64) else { return };
    let (node, changes) = overlaid(&base, scenario);
    let mut expected = node.contents();
    expected.insert(format!("{PAIR}/client.key"), "somebody's".to_owned());
    let mut journal = node.journal(&changes);
    let mut txn = Transaction::begin(&node.root, &node.lock, &mut journal).unwrap();
    let mut error = None;
    for step in txn.forward() {
        if matches!(step, Step::Swap(unit) if unit.number == 3) {
            node.put(&format!("{PAIR}/client.key"), "somebody's", 0o600);
        }
        error = txn.perform(step).err();
        if error.is_some() {
            break;
        }
    }
    assert!(matches!(error, Some(TxnError::Stale { .. })), "{error:?}");
    for step in txn.backward() {
        txn.perform(step).unwrap();
    }
    assert_eq!(node.contents(), expected);
    node.assert_clean("after the edit");
}

#[test]
fn settings_come_after_what_they_name_and_go_before_it_and_a_pair_stays_together() {
    let node = Node::new();
    let files = [
        ("ca.crt", Some("a"), Some("b")),
        ("client.cert", Some("a"), Some("b")),
        ("client.key", Some("a"), Some("b")),
        ("hosts.toml", Some("a"), Some("b")),
        ("mirror-1.pem", None, Some("b")),
        ("old.cert", Some("a"), None),
        ("old.key", Some("a"), None),
        ("z.crt", Some("a"), None),
    ];
    for (name, before, _) in files {
        if let Some(before) = before {
            node.put(&format!("etc/certs.d/h/{name}"), before, 0o600);
        }
    }
    let journal = node.journal(&changes([registry("etc/certs.d/h", &files)]));
    let edits: Vec<_> = journal.units[0].edits.iter().collect();
    let names = |side| in_order(&edits, side).into_iter().map(|edit| edit.path.file_name());
    let forward = "ca.crt mirror-1.pem client.cert client.key hosts.toml old.cert old.key z.crt";
    let backward = "ca.crt z.crt client.cert client.key old.cert old.key hosts.toml mirror-1.pem";
    assert_eq!(names(Side::New).collect::<Vec<_>>().join(" "), forward);
    assert_eq!(names(Side::Old).collect::<Vec<_>>().join(" "), backward);
}
