//! What the node's own files and the owners want, taken together. Pure.
//!
//! For one host the whole entry of the owner that comes first wins, and among the files that of the
//! later name; nothing is mixed. An entry
//! whose `until` has passed declares nothing any more, so an exception in a later file that has
//! ended gives way to the entry below it.
//!
//! A mistake must not take trust away: a registry that stops being trusted because of a typo in a
//! file stops every pull from it. So besides what is wanted this says what cannot be told, and
//! [`DesiredState::keeps`] is the answer for each entry that is in force.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::declaration::{Declarations, Unusable};
use super::entry::{Entry, Origin};
use super::host::RegistryHost;
use super::problem::{Location, Problem, Severity};

/// How long before its end an entry is warned about.
const WARN_BEFORE: SignedDuration = SignedDuration::from_hours(7 * 24);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DesiredState {
    pub entries: BTreeMap<RegistryHost, Arc<Entry>>,
    /// Entries whose `until` has passed, where nothing else declares the host.
    pub ended: BTreeMap<RegistryHost, Arc<Entry>>,
    /// Hosts whose winning entry has a mistake.
    pub unusable: BTreeMap<RegistryHost, Unusable>,
    /// Who declares a host as well and comes after the winner, the last one first.
    pub losers: BTreeMap<RegistryHost, Vec<Origin>>,
    /// Files and directories that are unreadable, in whole or in part.
    pub broken_files: BTreeSet<String>,
    /// Of all files, in their order.
    pub problems: Vec<Problem>,
    /// How the files follow each other; a later one wins.
    ranks: BTreeMap<String, usize>,
}

/// Why an entry that is in force is to be left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep<'a> {
    /// Its declaration has this error now.
    Unusable(&'a Problem),
    /// The file it came from, or a directory above, cannot be understood now.
    Broken(&'a str),
}

enum Claim {
    Entry(Arc<Entry>),
    Unusable(Box<Unusable>),
}

impl Claim {
    fn origin(&self) -> &Origin {
        match self {
            Self::Entry(entry) => &entry.origin,
            Self::Unusable(unusable) => &unusable.origin,
        }
    }
}

impl DesiredState {
    /// Takes the files and the sets of owners in their order; of two that declare a host, the later
    /// one wins.
    pub fn merge(files: Vec<Declarations>, now: Timestamp) -> Self {
        let mut state = Self::default();
        let mut claims = BTreeMap::new();
        for (rank, file) in files.into_iter().enumerate() {
            state.add(file, rank, now, &mut claims);
        }
        let mut entries = Vec::with_capacity(claims.len());
        for (host, claim) in claims {
            state.ended.remove(&host);
            match claim {
                Claim::Entry(entry) => {
                    state.problems.extend(ends_soon(&entry, now));
                    entries.push((host, entry));
                }
                Claim::Unusable(unusable) => {
                    state.unusable.insert(host, *unusable);
                }
            }
        }
        state.entries = entries.into_iter().collect();
        state
    }

    fn add(
        &mut self,
        file: Declarations,
        rank: usize,
        now: Timestamp,
        claims: &mut BTreeMap<RegistryHost, Claim>,
    ) {
        self.problems.extend(file.problems);
        if file.broken {
            self.broken_files.insert(file.file.clone());
        }
        self.ranks.insert(file.file, rank);
        let (over, current): (Vec<_>, Vec<_>) =
            file.entries.into_iter().partition(|entry| entry.has_ended(now));
        for entry in over {
            self.problems.push(ended(&entry));
            self.ended.insert(entry.host.clone(), entry);
        }
        let entries = current.into_iter().map(|entry| (entry.host.clone(), Claim::Entry(entry)));
        let unusable =
            file.unusable.into_iter().map(|one| (one.host.clone(), Claim::Unusable(one.into())));
        for (host, claim) in entries.chain(unusable) {
            let winner = claim.origin().clone();
            if let Some(loser) = claims.insert(host.clone(), claim) {
                self.losers.entry(host.clone()).or_default().push(loser.origin().clone());
                self.problems.push(overridden(host, loser.origin(), &winner));
            }
        }
    }

    /// Whether an entry that is in force has to stay as it is, because what the files want in its
    /// place cannot be told. An `until` that has passed is not a mistake: it ends the entry anyway.
    pub fn keeps(&self, in_force: &Entry, now: Timestamp) -> Option<Keep<'_>> {
        if in_force.has_ended(now) {
            return None;
        }
        if let Some(unusable) = self.unusable.get(&in_force.host) {
            return Some(Keep::Unusable(&unusable.problem));
        }
        let from = &in_force.origin.file;
        // Its own file says that it has ended, whatever else that file says.
        if self.ended.get(&in_force.host).is_some_and(|ended| ended.origin.file == *from) {
            return None;
        }
        let broken = self.broken_files.iter().find(|broken| contains(broken, from))?;
        let rank = |file: &str| self.ranks.get(file).copied();
        // A file that would win over the broken one, whatever that one was meant to say.
        let overruled = self.entries.get(&in_force.host).is_some_and(|entry| {
            rank(from).zip(rank(&entry.origin.file)).is_some_and(|(was, is)| was < is)
        });
        // The broken part of the file was another one: this entry is there, perhaps changed.
        let still_there =
            self.entries.get(&in_force.host).is_some_and(|entry| entry.origin.file == *from);
        (!overruled && !still_there).then_some(Keep::Broken(broken))
    }
}

fn contains(broken: &str, file: &str) -> bool {
    file.strip_prefix(broken).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn ended(entry: &Entry) -> Problem {
    let message = format!("ended at {}, so it is not applied", until(entry));
    warning(entry.host.clone(), &entry.origin, "until", message, "remove the entry, or renew it")
}

fn ends_soon(entry: &Entry, now: Timestamp) -> Option<Problem> {
    let soon = entry.until?.duration_since(now) <= WARN_BEFORE;
    let message = format!("ends at {}, and is removed then", until(entry));
    let cure = "renew it if it is still needed";
    soon.then(|| warning(entry.host.clone(), &entry.origin, "until", message, cure))
}

fn until(entry: &Entry) -> String {
    entry.until.map(|until| until.to_string()).unwrap_or_default()
}

fn overridden(host: RegistryHost, loser: &Origin, winner: &Origin) -> Problem {
    if loser.owner == winner.owner {
        let message =
            format!("`{host}` is declared in `{winner}` too, which wins: its name is later");
        return warning(host, loser, "host", message, "remove one of the two");
    }
    let message = format!("`{host}` is declared by {winner} too, which comes first on this node");
    warning(host, loser, "host", message, "agree on one of the two")
}

fn warning(
    host: RegistryHost,
    origin: &Origin,
    field: &str,
    message: String,
    cure: &str,
) -> Problem {
    Problem {
        severity: Severity::Warning,
        location: Location {
            file: origin.file.to_string(),
            line: (origin.line > 0).then_some(origin.line),
            column: None,
        },
        host: Some(host),
        field: Some(field.to_owned()),
        message,
        cure: Some(cure.to_owned()),
    }
}

#[cfg(test)]
mod tests;
