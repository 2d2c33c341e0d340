//! containerd's `config_path`: set once, where hosts are written, and then never again.

use std::collections::BTreeSet;

use super::{Shared, editable};
use crate::ledger::{Changed, ConfigOwned, Ledger, Loads};
use crate::path::NodePath;
use crate::plan::Situation;
use crate::plan::files::Drift;
use crate::plan::wants::AllWants;
use crate::target::containerd_config::{self, ConfigState, HostsDir, MergeError};
use crate::target::{Believer, Item, Note, Target};

pub(super) fn settle(
    situation: &Situation<'_>,
    ledger: &Ledger,
    wants: &AllWants,
    blocked: &BTreeSet<Item>,
    shared: &mut Shared,
) {
    let owned = ledger.containerd_config.as_ref();
    let path = containerd_config::config_file();
    let needing = wants.free_on(Believer::Containerd, blocked);
    let conflicts = shared.conflicts.len();
    let directory = match (&wants.config, needing.is_empty()) {
        (None, _) | (_, true) => None,
        (Some(state), false) => want(state, &needing, shared),
    };
    // Blocked items keep what they have, and that may hang on the key.
    let is_held = shared.conflicts.len() > conflicts
        || wants.items.iter().any(|item| item.on == Believer::Containerd && blocked.contains(item));
    let directory = directory.or_else(|| owned.filter(|_| is_held).map(|o| o.config_path.clone()));
    shared.containerd_config = owned.cloned();
    if owned.is_none() && directory.is_none() {
        return;
    }
    let version = situation.observed.containerd.as_ref().and_then(|containerd| containerd.version);
    let done = editable(situation, &path).and_then(|current| {
        let merged = containerd_config::merge(current, owned, directory.as_deref(), version)
            .map_err(|error| (causes(&error), cure(&error)))?;
        let is_edited =
            shared.edit(situation, Target::ContainerdConfig, &path, merged.text.as_deref())?;
        Ok((is_edited, merged.owned))
    });
    match done {
        Ok((is_edited, now_owned)) => {
            if is_edited && directory.is_some() {
                note_change(situation, &path, &needing, shared);
                shared.drift.extend(drift(owned, directory.as_deref(), &path));
                shared.pending.extend(needing);
            }
            shared.containerd_config = now_owned;
        }
        Err(why) => keep_and_report(&path, owned, needing, why, shared),
    }
}

/// The directory to set as `config_path`; `None` where none is to be set by us.
fn want(state: &ConfigState, needing: &BTreeSet<Item>, shared: &mut Shared) -> Option<String> {
    let notes = state.notes.iter().cloned();
    shared.notes.extend(notes.map(|message| Note { items: needing.clone(), message }));
    match &state.hosts {
        HostsDir::Ours { directory } => Some(directory.to_string()),
        HostsDir::Unset => Some(containerd_config::default_hosts_dir().to_string()),
        HostsDir::Theirs { .. } | HostsDir::ByHand | HostsDir::Off => None,
        HostsDir::Conflict { path, message, cure } => {
            let why = (message.clone(), cure.clone());
            shared.conflict(Target::ContainerdConfig, path, needing.clone(), why);
            None
        }
    }
}

/// Only called where the key is set. Taking it away needs nothing: a loaded `config_path` over an
/// empty directory changes no pull, and a later entry finds it still loaded.
fn note_change(
    situation: &Situation<'_>,
    path: &NodePath,
    needing: &BTreeSet<Item>,
    shared: &mut Shared,
) {
    let reason = format!("`config_path` in {path} is read when containerd starts");
    let change = Changed::new(situation.now, reason, needing.clone());
    shared.note_unread(Loads::ContainerdConfig, situation, change);
}

/// The value that we set is not there any more, and is set again.
fn drift(owned: Option<&ConfigOwned>, set: Option<&str>, path: &NodePath) -> Option<Drift> {
    let is_the_same = owned.is_some_and(|owned| Some(&*owned.config_path) == set);
    is_the_same.then(|| Drift {
        path: path.to_string(),
        message: "`config_path` was removed by somebody".to_owned(),
        repaired: true,
    })
}

/// What a parser said is part of the reason: it has the line.
fn causes(error: &MergeError) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

fn cure(error: &MergeError) -> String {
    match error {
        MergeError::Syntax(_) => "correct it; containerd does not start with it as it is",
        MergeError::Foreign { .. } => "remove the key, or let regtrust write where it points",
        MergeError::Unversioned => "bring it to version 2, as `containerd config migrate` does",
        MergeError::NotATable { .. } | MergeError::Unfit { .. } => {
            "write the registry's settings as a table of their own, then try again"
        }
    }
    .to_owned()
}

fn keep_and_report(
    path: &NodePath,
    owned: Option<&ConfigOwned>,
    items: BTreeSet<Item>,
    why: (String, String),
    shared: &mut Shared,
) {
    shared.containerd_config = owned.cloned();
    // The file stays, and so do the directories that were made for it.
    shared.kept.push(path.clone());
    shared.conflict(Target::ContainerdConfig, path, items, why);
}
