//! Decides what must change on the node. Pure: reads nothing, writes nothing, cannot fail.
//!
//! A [`Plan`] is complete: the edits with both sides of every file, who needs them, what is in the
//! way, what it costs, and the ledger as it will be. `plan` prints this value, `apply` runs it, and
//! nothing is decided again afterwards.

pub mod adopt;
pub mod change;
pub mod diff;
pub mod directories;
pub mod effect;
pub mod files;
pub mod shared;
mod store;
pub mod wants;

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use self::change::Changes;
use self::effect::Due;
use self::files::Drift;
use self::shared::Shared;
use self::wants::AllWants;
use crate::ledger::{Ledger, Loads};
use crate::observed::Observed;
use crate::path::NodePath;
use crate::target::{Conflict, Item, Note, WantedFile};
use crate::trust::entry::Entry;
use crate::trust::host::RegistryHost;
use crate::trust::policy::RestartLimit;

/// Everything a plan depends on. Equal situations give equal plans.
#[derive(Debug)]
pub struct Situation<'a> {
    /// What should be in force, after policy, ends and pins.
    pub entries: &'a BTreeMap<RegistryHost, Entry>,
    pub observed: &'a Observed,
    pub ledger: &'a Ledger,
    /// Hosts whose hand-made configuration is handed over to us.
    pub adopt: &'a BTreeSet<RegistryHost>,
    /// What an operator says the running daemons have loaded since the last apply.
    pub acknowledged: &'a BTreeSet<Loads>,
    /// What the node's policy lets be done to a runtime.
    pub restart: RestartLimit,
    /// Paths that a preflight found in the way, with the reason and the cure.
    pub refused: &'a BTreeMap<NodePath, (String, String)>,
    pub now: Timestamp,
}

/// What becomes of one registry on one runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemState {
    /// Everything it needs is on disk once the plan is applied.
    Written,
    /// A conflict is in its way; what was in force before stays.
    Blocked,
    /// The runtime has no way to say it; a note tells why.
    Inexpressible,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub changes: Changes,
    /// The ledger after the changes.
    pub ledger: Ledger,
    pub items: BTreeMap<Item, ItemState>,
    pub conflicts: Vec<Conflict>,
    pub notes: Vec<Note>,
    pub drift: Vec<Drift>,
    pub due: Vec<Due>,
    /// Items for which files are written by this very plan.
    pub pending: BTreeSet<Item>,
    /// What somebody made by hand and becomes ours on request.
    pub taken_over: Vec<String>,
}

impl Plan {
    /// Whether there is nothing to write and nothing to bring into force.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.due.is_empty()
    }

    /// Whether an edit for a registry would touch `path`, or something beneath it.
    pub fn concerns(&self, path: &NodePath) -> bool {
        self.changes.edits().any(|edit| edit.path == *path || edit.path.is_beneath(path))
    }
}

/// What the preflight found in the way of `file`: at the path itself, or at a directory above.
fn refusal<'a>(
    file: &NodePath,
    refused: &'a BTreeMap<NodePath, (String, String)>,
) -> Option<(&'a NodePath, &'a (String, String))> {
    if refused.is_empty() {
        return None;
    }
    std::iter::successors(Some(file.clone()), NodePath::parent)
        .find_map(|path| refused.get_key_value(&path))
}

/// Compares what should be in force with what is.
pub fn plan(situation: &Situation<'_>) -> Plan {
    let ledger = adopt::adopted(situation);
    let mut wants = wants::gather(situation, &ledger);
    let mut blocked: BTreeSet<Item> = blocked_by(&wants.conflicts);
    let mut obstacles = files::obstacles(&wants.files, &situation.observed.files, &ledger);
    blocked.extend(blocked_by(&obstacles));
    // A target that has said what is wrong with a path has said it better.
    let is_said = |one: &Conflict| {
        let same = |said: &Conflict| (said.target, &said.path) == (one.target, &one.path);
        wants.conflicts.iter().any(same)
    };
    obstacles.retain(|obstacle| !is_said(obstacle));
    wants.conflicts.extend(obstacles);
    wants.conflicts.extend(refusals(situation, &wants.files, &ledger));
    blocked.extend(blocked_by(&wants.conflicts));

    let shared = shared::settle(situation, &ledger, &wants, &blocked);
    blocked.extend(blocked_by(&shared.conflicts));
    assemble(situation, ledger, wants, &blocked, shared)
}

fn assemble(
    situation: &Situation<'_>,
    mut ledger: Ledger,
    wants: AllWants,
    blocked: &BTreeSet<Item>,
    shared: Shared,
) -> Plan {
    let taken_over = adopt::taken_over(situation.ledger, &ledger);
    let observed = situation.observed;
    let wanted: BTreeMap<NodePath, &WantedFile> = wants
        .files
        .iter()
        .filter(|file| !file.items.is_subset(blocked))
        .map(|file| (file.path.clone(), file))
        .collect();
    let mut protected = files::protected(&wants.files, blocked, &ledger);
    protected.extend(store::kept(situation, &ledger));
    let mut outcome = files::settle(&wanted, &protected, situation, &ledger);
    outcome.edits.extend(shared.edits);

    let mut kept: BTreeSet<NodePath> = outcome.owned.keys().cloned().collect();
    kept.extend(shared.kept);
    let changes =
        directories::arrange(outcome.edits, &observed.files, &kept, &mut ledger.directories);
    ledger.files = outcome.owned;
    ledger.docker_daemon = shared.docker_daemon;
    ledger.containerd_config = shared.containerd_config;
    ledger.changed = shared.changed;
    let ca_tool = store::settle(situation, &changes, &mut ledger);

    let mut conflicts = wants.conflicts;
    conflicts.extend(outcome.conflicts);
    conflicts.extend(shared.conflicts);
    conflicts.extend(store::unreadable(situation, &ledger));
    conflicts.sort();
    conflicts.dedup();
    let mut pending = pending(&changes, &wanted);
    pending.extend(shared.pending);
    Plan {
        pending,
        taken_over,
        due: effect::due(&ledger.changed, ca_tool.as_ref(), situation),
        items: states(wants.items, blocked, &wants.inexpressible),
        notes: gathered(wants.notes.into_iter().chain(shared.notes)),
        drift: outcome.drift.into_iter().chain(shared.drift).collect(),
        changes,
        conflicts,
        ledger,
    }
}

/// What holds for many registries is said once.
fn gathered(notes: impl Iterator<Item = Note>) -> Vec<Note> {
    let mut items: BTreeMap<String, BTreeSet<Item>> = BTreeMap::new();
    for note in notes {
        items.entry(note.message).or_default().extend(note.items);
    }
    items.into_iter().map(|(message, items)| Note { items, message }).collect()
}

/// Who waits for the files that are written.
fn pending(changes: &Changes, wanted: &BTreeMap<NodePath, &WantedFile>) -> BTreeSet<Item> {
    let files = changes.edits().filter_map(|edit| wanted.get(&edit.path));
    files.flat_map(|file| file.items.iter().cloned()).collect()
}

fn blocked_by(conflicts: &[Conflict]) -> BTreeSet<Item> {
    conflicts.iter().flat_map(|conflict| conflict.items.iter().cloned()).collect()
}

/// What the preflight met, as conflicts of all the items that need something written there.
fn refusals(situation: &Situation<'_>, wanted: &[WantedFile], ledger: &Ledger) -> Vec<Conflict> {
    let files = &situation.observed.files;
    let mut conflicts: BTreeMap<&NodePath, Conflict> = BTreeMap::new();
    for file in wanted {
        if files::is_in_place(file, files, ledger.files.get(&file.path)) {
            continue;
        }
        let Some((path, (message, cure))) = refusal(&file.path, situation.refused) else {
            continue;
        };
        let conflict = conflicts.entry(path).or_insert_with(|| Conflict {
            target: file.target,
            path: path.to_string(),
            items: BTreeSet::new(),
            message: message.clone(),
            cure: cure.clone(),
        });
        conflict.items.extend(file.items.iter().cloned());
    }
    conflicts.into_values().collect()
}

fn states(
    items: BTreeSet<Item>,
    blocked: &BTreeSet<Item>,
    inexpressible: &BTreeSet<Item>,
) -> BTreeMap<Item, ItemState> {
    let state = |item: &Item| {
        if blocked.contains(item) {
            ItemState::Blocked
        } else if inexpressible.contains(item) {
            ItemState::Inexpressible
        } else {
            ItemState::Written
        }
    };
    items.into_iter().map(|item| (item.clone(), state(&item))).collect()
}
