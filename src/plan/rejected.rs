//! Items that a runtime rejected, or did not come back healthy with. They are left out until
//! something changes: the entry, the runtime's version, or what others have in its configuration.
//!
//! Without that memory the next run would put the same thing there again, and a node would be
//! reloaded and taken back for ever.

use std::collections::{BTreeMap, BTreeSet};

use crate::content::Sha256Hex;
use crate::ledger::{Ledger, Rejected};
use crate::plan::Situation;
use crate::target::docker_daemon::{self, Ending, Goal, Goals, live_restore};
use crate::target::{Believer, Item, Note, containerd_config};
use crate::trust::stored::{self, Blobs};

/// What a runtime has just rejected, and its words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejection {
    pub items: BTreeSet<Item>,
    pub why: String,
}

/// Which rejections still hold, with the new ones.
pub(super) fn settle(situation: &Situation<'_>, ledger: &Ledger) -> Vec<Rejected> {
    if situation.retry || ledger.rejected.is_empty() && situation.rejection.items.is_empty() {
        return Vec::new();
    }
    let new = situation.rejection.items.iter().filter_map(|item| {
        Some(Rejected {
            item: item.clone(),
            entry: entry_digest(situation, item)?,
            circumstances: circumstances(item.on, situation, ledger),
            why: situation.rejection.why.clone(),
            at: situation.now,
        })
    });
    let mut rejected: BTreeMap<Item, Rejected> = BTreeMap::new();
    let holds = |one: &&Rejected| {
        entry_digest(situation, &one.item) == Some(one.entry)
            && circumstances(one.item.on, situation, ledger) == one.circumstances
    };
    let old = ledger.rejected.iter().filter(holds).cloned();
    rejected.extend(old.chain(new).map(|one| (one.item.clone(), one)));
    rejected.into_values().collect()
}

pub(super) fn notes(rejected: &[Rejected]) -> impl Iterator<Item = Note> {
    rejected.iter().map(|one| Note {
        items: BTreeSet::from([one.item.clone()]),
        message: format!(
            "{} did not take it, so it was taken back; it is tried again when the entry or the \
             configuration of {} changes: {}",
            one.item.on, one.item.on, one.why
        ),
    })
}

fn entry_digest(situation: &Situation<'_>, item: &Item) -> Option<Sha256Hex> {
    let mut stored = stored::store(situation.entries.get(&item.host)?, &mut Blobs::new());
    // A comment above it moves it, and is no change.
    stored.origin.line = 0;
    Some(Sha256Hex::of(&serde_json::to_vec(&stored).unwrap_or_default()))
}

/// What others have in the runtime's configuration, and which version reads it.
fn circumstances(on: Believer, situation: &Situation<'_>, ledger: &Ledger) -> Sha256Hex {
    let files = &situation.observed.files;
    let text = |path| {
        let content = files.content(&path)?;
        std::str::from_utf8(content.bytes()).ok()
    };
    let nothing = || Goal { elements: Vec::new(), ending: Ending::Restore };
    let described = match on {
        Believer::Docker => {
            let current = text(docker_daemon::path());
            let live_restore = live_restore::Goal::Gone;
            let goals = Goals { insecure: nothing(), mirrors: nothing(), live_restore };
            let theirs = docker_daemon::merge(current, &ledger.docker_daemon, &goals);
            let theirs = theirs.ok().and_then(|merged| merged.text);
            let version = situation.observed.docker.as_ref().and_then(|docker| docker.version);
            format!("{version:?} {theirs:?}")
        }
        Believer::Containerd => {
            let containerd = situation.observed.containerd.as_ref();
            let version = containerd.and_then(|containerd| containerd.version);
            let current = text(containerd_config::config_file());
            let owned = ledger.containerd_config.as_ref();
            let theirs = containerd_config::merge(current, owned, None, version);
            let theirs = theirs.ok().and_then(|merged| merged.text);
            format!("{version:?} {theirs:?}")
        }
        Believer::System => format!("{:?}", situation.observed.ca_layout),
    };
    Sha256Hex::of(described.as_bytes())
}
