//! Files that we share with administrators: daemon.json and containerd's config.toml. We own keys
//! and elements in them, never the file.

use std::collections::{BTreeMap, BTreeSet};

use super::change::FileEdit;
use super::directories;
use super::effect;
use super::files::Drift;
use super::wants::AllWants;
use super::{Situation, refusal};
use crate::content::Content;
use crate::ledger::{Changed, ConfigOwned, DaemonOwned, Ledger, Loads};
use crate::observed::Found;
use crate::path::NodePath;
use crate::target::{Conflict, Item, Note, Target};

mod config;
mod daemon;

#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) edits: Vec<FileEdit>,
    /// Shared files that will exist: their directories are needed.
    pub(super) kept: Vec<NodePath>,
    pub(super) docker_daemon: DaemonOwned,
    pub(super) containerd_config: Option<ConfigOwned>,
    pub(super) changed: BTreeMap<Loads, Changed>,
    pub(super) conflicts: Vec<Conflict>,
    pub(super) notes: Vec<Note>,
    pub(super) drift: Vec<Drift>,
    /// Who waits for what is written into them now.
    pub(super) pending: BTreeSet<Item>,
}

pub(super) fn settle(
    situation: &Situation<'_>,
    ledger: &Ledger,
    wants: &AllWants,
    blocked: &BTreeSet<Item>,
) -> Shared {
    let mut changed = ledger.changed.clone();
    // What a restart has made a daemon read stays here and counts for nothing. To forget it would be
    // a change of the ledger, and `plan` would find something to do after every restart.
    changed.retain(|loads, _| !situation.acknowledged.contains(loads));
    let mut shared = Shared { changed, ..Shared::default() };
    daemon::settle(situation, ledger, wants, blocked, &mut shared);
    config::settle(situation, ledger, wants, blocked, &mut shared);
    shared
}

/// Why a shared file cannot be edited, with the cure; `Ok(None)`: it is not there.
fn editable<'a>(
    situation: &'a Situation<'_>,
    path: &NodePath,
) -> Result<Option<&'a str>, (String, String)> {
    if let Some((at, (reason, cure))) = refusal(path, situation.refused) {
        let reason = if at == path { reason.clone() } else { format!("`{at}` {reason}") };
        return Err((reason, cure.clone()));
    }
    if let Some(problem) = directories::in_the_way(path, &situation.observed.files) {
        return Err(problem);
    }
    let (message, cure) = match situation.observed.files.get(path) {
        None => return Ok(None),
        Some(Found::File { content, .. }) => match std::str::from_utf8(content.bytes()) {
            Ok(text) => return Ok(Some(text)),
            Err(_) => ("the file is not UTF-8".to_owned(), "repair it".to_owned()),
        },
        Some(Found::Symlink { to }) => (
            format!("it is a symbolic link to `{to}`, which something else probably manages"),
            "replace the link by a file, or make the change where the link's target is managed"
                .to_owned(),
        ),
        Some(Found::Unreadable { error }) => {
            (format!("it cannot be read: {error}"), "make it readable for regtrust".to_owned())
        }
        Some(Found::Directory | Found::Other) => {
            ("it is no regular file".to_owned(), "remove it".to_owned())
        }
    };
    Err((message, cure))
}

impl Shared {
    /// Notes that a daemon has to load something. Who waited for an earlier change that it has not
    /// read either is still waiting.
    fn note_unread(&mut self, loads: Loads, situation: &Situation<'_>, mut change: Changed) {
        if !loads.has_listener(situation.observed) {
            return;
        }
        if effect::unread(&self.changed, situation.observed).contains(&loads)
            && let Some(before) = self.changed.get_mut(&loads)
        {
            change.items.append(&mut before.items);
            change.narrowed.append(&mut before.narrowed);
        }
        self.changed.insert(loads, change);
    }

    fn conflict(
        &mut self,
        target: Target,
        path: &NodePath,
        items: BTreeSet<Item>,
        (message, cure): (String, String),
    ) {
        self.conflicts.push(Conflict { target, path: path.to_string(), items, message, cure });
    }

    /// Adds the edit if the text differs. `false`: the file is immutable, which is a conflict.
    fn edit(
        &mut self,
        situation: &Situation<'_>,
        target: Target,
        path: &NodePath,
        after: Option<&str>,
    ) -> Result<bool, (String, String)> {
        let found = situation.observed.files.get(path);
        let before = situation.observed.files.content(path);
        if after.is_some() {
            self.kept.push(path.clone());
        }
        if before.map(Content::bytes) == after.map(str::as_bytes) {
            return Ok(false);
        }
        if let Some(Found::File { immutable: true, .. }) = found {
            let why = "the file is immutable (chattr +i or +a), so it cannot be replaced";
            return Err((why.to_owned(), format!("chattr -i -a {path}")));
        }
        self.edits.push(FileEdit {
            target: Some(target),
            path: path.clone(),
            before: before.cloned(),
            after: after.map(Content::plain),
            mode: None,
        });
        Ok(true)
    }
}
