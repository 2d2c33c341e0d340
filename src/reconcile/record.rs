//! What regtrust writes about itself, in the same transaction as what it writes for others: the
//! ledger, the new generation, the pin. Without that, a crash could leave a file that nobody owns.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use serde::Serialize;

use super::history::Pins;
use super::{Options, ReconcileError, Survey};
use crate::content::{Content, Digesting, Sha256Hex};
use crate::generation::{self, Generation, Summary};
use crate::ledger::Ledger;
use crate::node::root::{NodeRoot, RootError};
use crate::path::NodePath;
use crate::plan::Plan;
use crate::plan::change::{Changes, FileEdit, Unit};
use crate::pushed::{self, Pushed, PushedSet};
use crate::source::pushed::Stock;
use crate::state::{self, StateError};
use crate::trust::effective::Effective;
use crate::trust::entry::Entry;
use crate::trust::stored::{self, StoredEntry};
use crate::txn::blobs::{self, BlobError};
use crate::txn::lock::StateLock;

/// The ledger that is stored, with the bytes of its file: an edit of it needs both sides.
#[derive(Debug)]
pub(super) struct StoredLedger<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) bytes: Vec<u8>,
}

/// regtrust's own files as they are stored.
#[derive(Debug)]
pub(super) struct Before<'a> {
    pub(super) pins: Pins,
    pub(super) ledger: Option<StoredLedger<'a>>,
    pub(super) pushed: Stock,
}

/// The edits of regtrust's own files, and the keys that have to be kept for them.
#[derive(Debug, Default)]
pub(super) struct Records {
    edits: Vec<FileEdit>,
    keys: Vec<Content>,
    /// Whether the set of entries or the pin differs, however few files that touches.
    differ: bool,
    /// Somebody's set cannot be read, and nobody knows which keys it needs.
    keeps_keys: bool,
}

impl Records {
    pub(super) fn differ(&self) -> bool {
        self.differ
    }

    /// Numbers the generation, completes the plan's ledger, and compares all of it with what is
    /// stored.
    pub(super) fn of(
        root: &NodeRoot,
        plan: &mut Plan,
        (effective, pushed): (&Effective, &Pushed),
        options: &Options,
        Before { pins, ledger: stored, pushed: stock }: Before<'_>,
    ) -> Result<Self, ReconcileError> {
        let mut records = Self::default();
        let (entries, certificates) = records.store(effective);
        let digest = digest(&entries);
        let before = stored.as_ref().map(|stored| stored.ledger);
        let kept = state::generation_numbers(root)?;
        let is_known = before.is_some_and(|ledger| {
            ledger.entries == Some(digest) && kept.contains(&ledger.generation)
        });
        if !is_known && !is_first_and_empty(before, &entries) {
            let last = kept.last().copied().unwrap_or_default();
            let generation = next(root, plan, (entries, certificates), options, (last, &pins))?;
            plan.ledger.generation = generation.number;
            plan.ledger.entries = Some(digest);
            records.remember_keys(&mut plan.ledger, &pins);
            records.write_generation(root, &generation, &kept, &pins)?;
        }
        records.write_pushed(pushed, stock);
        records.write_pin(pins);
        records.write_ledger(plan, stored);
        Ok(records)
    }

    fn store(&mut self, effective: &Effective) -> (Vec<StoredEntry>, BTreeMap<Sha256Hex, String>) {
        let mut blobs = stored::Blobs::new();
        let store = |entry: &Arc<Entry>| {
            let mut stored = stored::store(entry, &mut blobs);
            stored.origin.line = 0;
            stored
        };
        let entries = effective.entries.values().map(store).collect();
        let mut certificates = BTreeMap::new();
        for (digest, content) in blobs {
            if content.is_secret() {
                self.keys.push(content);
            } else {
                let pem = String::from_utf8_lossy(content.bytes()).into_owned();
                certificates.insert(digest, pem);
            }
        }
        (entries, certificates)
    }

    /// While the node is pinned nothing is forgotten: the pinned generation may be an old one.
    fn remember_keys(&self, ledger: &mut Ledger, pins: &Pins) {
        let newest = ledger.generation;
        ledger.keys.extend(self.keys.iter().map(|key| (key.digest(), newest)));
        ledger.keys.retain(|_, last| pins.now.is_some() || is_kept(*last, newest));
    }

    fn write_generation(
        &mut self,
        root: &NodeRoot,
        generation: &Generation,
        kept: &[u64],
        pins: &Pins,
    ) -> Result<(), RootError> {
        self.differ = true;
        self.put(state::generation_path(generation.number), None, Some(json(generation)));
        let is_forgotten =
            |number: &&u64| pins.now.is_none() && !is_kept(**number, generation.number);
        for number in kept.iter().filter(is_forgotten) {
            // Not parsed: one that is damaged must not stand in the way of every later change.
            let path = state::generation_path(*number);
            if let Some(bytes) = root.read(&path)? {
                self.put(path, Some(bytes), None);
            }
        }
        Ok(())
    }

    fn write_pin(&mut self, pins: Pins) {
        let before = pins.stored;
        let after = pins.now.as_ref().map(json);
        if before != after {
            self.differ = true;
            self.put(state::pin_path(), before, after);
        }
    }

    fn write_pushed(&mut self, pushed: &Pushed, mut stock: Stock) {
        self.keys.extend(pushed.new_keys.values().cloned());
        self.keeps_keys = stock.is_damaged();
        for (owner, set) in &pushed.sets {
            let stored = stock.stored.remove(owner);
            if stored.as_ref().is_none_or(|stored| stored.value != *set) {
                self.differ = true;
                let before = stored.map(|stored| stored.bytes);
                self.put(pushed::path(owner), before, Some(json(set)));
            }
        }
    }

    fn write_ledger(&mut self, plan: &Plan, stored: Option<StoredLedger<'_>>) {
        let is_same = match &stored {
            Some(stored) => *stored.ledger == plan.ledger,
            None => plan.ledger == Ledger::default(),
        };
        if !is_same {
            self.differ = true;
            let before = stored.map(|stored| stored.bytes);
            self.put(state::ledger_path(), before, Some(json(&plan.ledger)));
        }
    }

    fn put(&mut self, path: NodePath, before: Option<Vec<u8>>, after: Option<Vec<u8>>) {
        self.edits.push(FileEdit {
            target: None,
            path,
            before: before.map(Content::plain),
            after: after.map(Content::plain),
            mode: Some(0o600),
        });
    }
}

/// A node that never had anything, and is to have nothing, needs no record of that.
fn is_first_and_empty(before: Option<&Ledger>, entries: &[StoredEntry]) -> bool {
    entries.is_empty() && before.is_none_or(|ledger| ledger.entries.is_none())
}

/// `newest` is the last one that is there: a ledger that was lost starts from 0 again, and must not
/// be kept from writing by the generations that it does not know.
fn next(
    root: &NodeRoot,
    plan: &Plan,
    (entries, certificates): (Vec<StoredEntry>, BTreeMap<Sha256Hex, String>),
    options: &Options,
    (newest, pins): (u64, &Pins),
) -> Result<Generation, ReconcileError> {
    let last = plan.ledger.generation;
    let summary = match state::read_generation(root, last) {
        Ok(Some(before)) => Summary::between(&before.value.entries, &entries),
        Ok(None) if last == 0 => Summary::between(&[], &entries),
        // What differs is for people; that it is not known is no reason to change nothing.
        Ok(None) | Err(StateError::Damaged { .. }) => Summary::default(),
        Err(error) => return Err(error.into()),
    };
    Ok(Generation {
        format: generation::FORMAT,
        number: last.max(newest).saturating_add(1),
        at: options.now,
        summary,
        rolled_back_to: pins.now.as_ref().map(|pin| pin.generation),
        entries,
        certificates,
    })
}

/// The plan's changes and regtrust's own, as one transaction.
pub(super) fn with_state(survey: &Survey) -> Changes {
    let mut changes = survey.plan.changes.clone();
    changes.make_directories.push(state::generations_path());
    if survey.records.edits.iter().any(|edit| edit.path.is_beneath(&pushed::directory())) {
        changes.make_directories.push(pushed::directory());
    }
    let unit = |edit: &FileEdit| Unit { directory: None, edits: vec![edit.clone()], keep: false };
    changes.units.extend(survey.records.edits.iter().map(unit));
    changes
}

/// Puts the keys where the generation will refer to them. A crash afterwards leaves keys that
/// nothing needs, which the next apply erases.
pub(super) fn store_keys(
    root: &NodeRoot,
    lock: &StateLock,
    survey: &Survey,
) -> Result<(), BlobError> {
    blobs::store(root, lock, &survey.records.keys)
}

/// Erases keys that no generation needs any more. Changes nothing where there is none.
pub(super) fn erase_keys(
    root: &NodeRoot,
    lock: &StateLock,
    survey: &Survey,
) -> Result<(), BlobError> {
    if survey.records.keeps_keys {
        return Ok(());
    }
    let mut needed: BTreeSet<Sha256Hex> = survey.plan.ledger.keys.keys().copied().collect();
    needed.extend(survey.pushed.sets.values().flat_map(PushedSet::keys));
    blobs::erase_except(root, lock, &needed)
}

/// Whether a generation is still kept when `newest` is the last one.
fn is_kept(number: u64, newest: u64) -> bool {
    number.saturating_add(generation::KEPT) > newest
}

/// Of the same text that [`json`] gives, which is some megabytes for ten thousand entries and needed
/// by nobody when they are the same as before.
fn digest(entries: &[StoredEntry]) -> Sha256Hex {
    let mut text = Text(Digesting::default());
    // As for `json`: nothing in it can fail.
    _ = serde_json::to_writer(&mut text, entries);
    text.0.finish()
}

struct Text(Digesting);

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.add(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    // Maps with string keys, strings and numbers: there is nothing in these types that JSON cannot
    // say, and an empty file would be refused when it is read.
    serde_json::to_vec(value).unwrap_or_default()
}
