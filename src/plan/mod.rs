//! Decides what must change on the node. Pure: reads nothing, writes nothing, cannot fail.
//!
//! A [`Plan`] is complete: the edits with both sides of every file, who needs them, what is in the
//! way, what it costs, and the ledger as it will be. `plan` prints this value, `apply` runs it, and
//! nothing is decided again afterwards.

pub mod adopt;
mod cautions;
pub mod change;
pub mod diff;
pub mod directories;
pub mod effect;
pub mod files;
mod hunks;
pub mod rejected;
pub mod shared;
mod store;
pub mod wants;
pub mod work;

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use self::change::Changes;
use self::effect::Due;
use self::files::Drift;
use self::rejected::Rejection;
use self::shared::Shared;
use self::store::ToolDue;
use self::wants::AllWants;
use crate::ledger::{Ledger, Loads, Rejected};
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
    pub entries: &'a BTreeMap<RegistryHost, Arc<Entry>>,
    pub observed: &'a Observed,
    pub ledger: &'a Ledger,
    /// Hosts whose hand-made configuration is handed over to us.
    pub adopt: &'a BTreeSet<RegistryHost>,
    /// What an operator says the running daemons have loaded since the last apply.
    pub acknowledged: &'a BTreeSet<Loads>,
    /// The starts of the fingerprints of what a run of the CA tool that is under way has read, perhaps.
    pub entering_store: &'a BTreeSet<String>,
    /// What a runtime has just rejected.
    pub rejection: &'a Rejection,
    /// Whether everything that was ever rejected is to be tried again.
    pub retry: bool,
    /// What the node's policy lets be done to a runtime.
    pub restart: RestartLimit,
    /// Whether docker's `live-restore` is to be on because of us; `None`: as it is.
    pub live_restore: Option<bool>,
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
    /// The runtime did not take it, so it was taken back; a note tells why.
    Rejected,
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
    /// Why the CA tool is due, if it is.
    ca_tool: Option<ToolDue>,
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
    let mut ledger = adopt::adopted(situation);
    let rejected = rejected::settle(situation, &ledger);
    if rejected != ledger.rejected {
        ledger.to_mut().rejected = rejected;
    }
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
    assemble(situation, &ledger, wants, &blocked, shared)
}

fn assemble(
    situation: &Situation<'_>,
    ledger: &Ledger,
    wants: AllWants,
    blocked: &BTreeSet<Item>,
    shared: Shared,
) -> Plan {
    let taken_over = adopt::taken_over(situation.ledger, ledger);
    let observed = situation.observed;
    let mut wanted: Vec<&WantedFile> =
        wants.files.iter().filter(|file| !file.items.are_among(blocked)).collect();
    wanted.sort_by(|one, other| one.path.cmp(&other.path));
    let mut protected = files::protected(&wants.files, blocked, ledger);
    protected.extend(store::kept(situation, ledger));
    let mut outcome = files::settle(&wanted, &protected, situation, ledger);
    outcome.edits.extend(shared.edits);

    let owned = outcome.owned(ledger);
    let kept = owned.keys().chain(&shared.kept);
    let (changes, directories) =
        directories::arrange(outcome.edits, &observed.files, kept, &ledger.directories);
    let mut ledger = Ledger {
        files: owned,
        directories,
        docker_daemon: shared.docker_daemon,
        containerd_config: shared.containerd_config,
        changed: shared.changed,
        ..ledger.clone()
    };
    let ca_tool = store::settle(situation, &changes, &mut ledger);

    let mut conflicts = wants.conflicts;
    conflicts.extend(outcome.conflicts);
    conflicts.extend(shared.conflicts);
    conflicts.extend(store::unreadable(situation, &ledger));
    conflicts.sort();
    conflicts.dedup();
    let due = effect::due(&ledger.changed, ca_tool.as_ref(), situation);
    let cautions = [
        cautions::remembered_by_builds(&changes, observed),
        cautions::authorization_plugins(&due, observed),
    ];
    let notes = wants.notes.into_iter().chain(shared.notes).chain(cautions.into_iter().flatten());
    let mut pending = pending(&changes, &wanted);
    pending.extend(shared.pending);
    Plan {
        pending,
        taken_over,
        due,
        items: states(wants.items, blocked, &wants.inexpressible, &ledger.rejected),
        notes: gathered(notes.chain(rejected::notes(&ledger.rejected))),
        drift: outcome.drift.into_iter().chain(shared.drift).collect(),
        ca_tool,
        changes,
        conflicts,
        ledger,
    }
}

/// What holds for many registries is said once.
fn gathered(notes: impl Iterator<Item = Note>) -> Vec<Note> {
    let mut items: BTreeMap<String, Vec<Item>> = BTreeMap::new();
    for note in notes {
        items.entry(note.message).or_default().extend(note.items);
    }
    // Each set at once: thousands of items, one by one, would each be searched for.
    let note = |(message, items): (String, Vec<Item>)| Note {
        items: items.into_iter().collect(),
        message,
    };
    items.into_iter().map(note).collect()
}

/// Who waits for the files that are written.
fn pending(changes: &Changes, wanted: &[&WantedFile]) -> BTreeSet<Item> {
    let file = |path: &NodePath| wanted.binary_search_by(|file| file.path.cmp(path)).ok();
    let files = changes.edits().filter_map(|edit| wanted.get(file(&edit.path)?));
    files.flat_map(|file| file.items.iter().cloned()).collect()
}

fn blocked_by(conflicts: &[Conflict]) -> BTreeSet<Item> {
    conflicts.iter().flat_map(|conflict| conflict.items.iter().cloned()).collect()
}

/// What the preflight met, as conflicts of all the items that need something written there.
fn refusals(situation: &Situation<'_>, wanted: &[WantedFile], ledger: &Ledger) -> Vec<Conflict> {
    if situation.refused.is_empty() {
        return Vec::new();
    }
    let mut nearby = situation.observed.files.nearby();
    let mut conflicts: BTreeMap<&NodePath, Conflict> = BTreeMap::new();
    for file in wanted {
        if files::is_in_place(file, &mut nearby, ledger.files.get(&file.path)) {
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
    items: Vec<Item>,
    blocked: &BTreeSet<Item>,
    inexpressible: &BTreeSet<Item>,
    rejected: &[Rejected],
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
    let state = |item: Item| {
        let state = state(&item);
        (item, state)
    };
    let rejected = rejected.iter().map(|one| (one.item.clone(), ItemState::Rejected));
    items.into_iter().map(state).chain(rejected).collect()
}
