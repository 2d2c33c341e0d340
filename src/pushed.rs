//! What an owner has applied over the API, as it is kept. Pure.
//!
//! Certificates are kept by digest and keys as blobs, as in a generation. What was accepted once is
//! not judged again when it is read back: a CA that has expired since must not make the set
//! unreadable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::content::{Content, Sha256Hex};
use crate::node_path;
use crate::owners::OwnerName;
use crate::path::NodePath;
use crate::trust::entry::{Entry, Origin};
use crate::trust::stored::{self, Blobs, StoredEntry};

pub const FORMAT: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushedSet {
    pub format: u32,
    pub owner: OwnerName,
    /// Grows with every change of the set, also when a trial is taken back: a client that expects
    /// the revision it applied has to notice.
    pub revision: u64,
    pub at: Timestamp,
    /// By host.
    pub entries: Vec<StoredEntry>,
    /// PEM by digest, of the entries and of those that a trial would bring back.
    pub certificates: BTreeMap<Sha256Hex, String>,
    pub trial: Option<Trial>,
}

/// A revision that is taken back unless it is confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// What comes back.
    pub before: Vec<StoredEntry>,
    pub seconds: u32,
    /// When it came into force; until then the clock stands still.
    pub since: Option<Timestamp>,
}

impl Trial {
    pub fn ends(&self) -> Option<Timestamp> {
        self.since?.checked_add(SignedDuration::from_secs(i64::from(self.seconds))).ok()
    }
}

/// What is asked of an owner's set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Push {
    /// Everything that the owner wants from now on.
    Replace {
        owner: OwnerName,
        entries: Vec<Arc<Entry>>,
        /// The revision that must be there. `Some(0)`: none yet.
        expected: Option<u64>,
        /// Seconds after which it is taken back, unless confirmed.
        try_for: Option<u32>,
    },
    Confirm {
        owner: OwnerName,
        revision: u64,
    },
    /// Everything that is due has been done, so the clocks of trials start.
    InForce,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    #[error("the revision of `{owner}` is {found}, not {expected}: somebody has applied since")]
    Revision { owner: OwnerName, expected: u64, found: u64 },
    #[error("no trial of revision {revision} of `{owner}` is running")]
    NoTrial { owner: OwnerName, revision: u64 },
}

/// The set of one owner once it has been asked for something, and the blobs that it needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    pub sets: BTreeMap<OwnerName, PushedSet>,
    /// Keys that are not in their files yet.
    pub new_keys: Blobs,
}

impl Pushed {
    /// Does what is asked, and takes back what was on trial for too long.
    pub fn after(
        sets: BTreeMap<OwnerName, PushedSet>,
        push: Option<&Push>,
        now: Timestamp,
    ) -> Result<Self, PushError> {
        let mut pushed = Self { sets, new_keys: Blobs::new() };
        for set in pushed.sets.values_mut() {
            set.end_trial(now);
        }
        match push {
            None => {}
            Some(Push::Replace { owner, entries, expected, try_for }) => {
                pushed.replace(owner, entries, *expected, *try_for, now)?;
            }
            Some(Push::Confirm { owner, revision }) => pushed.confirm(owner, *revision)?,
            Some(Push::InForce) => {
                let trials = pushed.sets.values_mut().filter_map(|set| set.trial.as_mut());
                trials.for_each(|trial| trial.since = trial.since.or(Some(now)));
            }
        }
        Ok(pushed)
    }

    fn replace(
        &mut self,
        owner: &OwnerName,
        entries: &[Arc<Entry>],
        expected: Option<u64>,
        try_for: Option<u32>,
        now: Timestamp,
    ) -> Result<(), PushError> {
        let found = self.sets.get(owner).map_or(0, |set| set.revision);
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(PushError::Revision { owner: owner.clone(), expected, found });
        }
        let (entries, mut blobs) = store(owner, entries);
        let before = self.sets.get(owner);
        let is_same = before.is_some_and(|set| set.entries == entries);
        // The same set again without a trial says that it is meant.
        if is_same && (try_for.is_some() || before.is_none_or(|set| set.trial.is_none())) {
            return Ok(());
        }
        let trial = try_for.map(|seconds| Trial {
            before: before.map(PushedSet::confirmed).unwrap_or_default().to_vec(),
            seconds,
            since: None,
        });
        let mut certificates = before.map(|set| set.certificates.clone()).unwrap_or_default();
        self.new_keys = blobs.extract_if(.., |_, content| content.is_secret()).collect();
        let text = |content: &Content| String::from_utf8_lossy(content.bytes()).into_owned();
        certificates.extend(blobs.iter().map(|(digest, content)| (*digest, text(content))));
        let mut set = PushedSet {
            format: FORMAT,
            owner: owner.clone(),
            revision: if is_same { found } else { found.saturating_add(1) },
            at: now,
            entries,
            certificates,
            trial,
        };
        set.forget_certificates();
        self.sets.insert(owner.clone(), set);
        Ok(())
    }

    fn confirm(&mut self, owner: &OwnerName, revision: u64) -> Result<(), PushError> {
        let set = self.sets.get_mut(owner).filter(|set| set.revision == revision);
        let Some(set) = set.filter(|set| set.trial.is_some()) else {
            return Err(PushError::NoTrial { owner: owner.clone(), revision });
        };
        set.trial = None;
        set.forget_certificates();
        Ok(())
    }

    /// When the next trial is over.
    pub fn next_end(&self) -> Option<Timestamp> {
        self.sets.values().filter_map(|set| set.trial.as_ref()?.ends()).min()
    }
}

fn store(owner: &OwnerName, entries: &[Arc<Entry>]) -> (Vec<StoredEntry>, Blobs) {
    let mut blobs = Blobs::new();
    let origin = origin(owner);
    let mut entries: Vec<StoredEntry> = entries
        .iter()
        .map(|entry| StoredEntry { origin: origin.clone(), ..stored::store(entry, &mut blobs) })
        .collect();
    // The order in which a client lists them means nothing, and another order is no change.
    entries.sort_by(|a, b| a.host.cmp(&b.host));
    (entries, blobs)
}

/// Where entries come from that an owner has applied.
pub fn origin(owner: &OwnerName) -> Origin {
    Origin { owner: owner.as_str().into(), file: path(owner).to_string().into(), line: 0 }
}

pub fn directory() -> NodePath {
    node_path!("var/lib/regtrust/owners")
}

pub fn path(owner: &OwnerName) -> NodePath {
    directory().join(&format!("{owner}.json"))
}

impl PushedSet {
    /// What holds whatever becomes of a trial.
    fn confirmed(&self) -> &[StoredEntry] {
        self.trial.as_ref().map_or(&self.entries, |trial| &trial.before)
    }

    fn end_trial(&mut self, now: Timestamp) {
        if let Some(trial) = self.trial.take_if(|trial| trial.ends().is_some_and(|end| end <= now))
        {
            self.entries = trial.before;
            self.revision = self.revision.saturating_add(1);
            self.at = now;
            self.forget_certificates();
        }
    }

    fn forget_certificates(&mut self) {
        let needed = self.needed();
        self.certificates.retain(|digest, _| needed.contains(digest));
    }

    fn needed(&self) -> BTreeSet<Sha256Hex> {
        let before = self.trial.iter().flat_map(|trial| &trial.before);
        self.entries.iter().chain(before).flat_map(StoredEntry::blobs).collect()
    }

    /// The keys it needs, now or when a trial ends.
    pub fn keys(&self) -> BTreeSet<Sha256Hex> {
        let before = self.trial.iter().flat_map(|trial| &trial.before);
        let pairs = self.entries.iter().chain(before).filter_map(|entry| entry.client.as_ref());
        pairs.map(|pair| pair.key).collect()
    }
}

#[cfg(test)]
mod tests;
