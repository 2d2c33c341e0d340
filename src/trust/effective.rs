//! What should be in force, out of what is declared, what policy allows, what was in force before,
//! and a pin.
//!
//! Two rules decide the hard cases. **Taking trust away needs a positive statement**: a file that
//! was removed, an entry that is gone from a file that can be read, a time that has passed, a
//! policy that says no. A typo is none of these, so a registry whose declaration cannot be used
//! right now keeps what is in force for it. And **nothing new gets in by accident**: while a policy
//! cannot be read, nothing is added or changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::desired::{DesiredState, Keep};
use super::entry::Entry;
use super::host::RegistryHost;
use super::policy::{Policy, Refusal};

/// How one registry stands, whether or not it is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "standing", content = "because")]
pub enum Standing {
    /// As declared.
    Declared,
    /// The declaration cannot be used; what was in force stays.
    Held(String),
    /// The declaration cannot be used, and nothing was in force.
    Unusable(String),
    /// The node's policy does not allow it.
    Refused(Vec<Refusal>),
    /// Its `until` has passed.
    Ended(Timestamp),
    /// As it was in the generation that the node is pinned to.
    Pinned(u64),
    /// It is declared, but did not exist in the generation that the node is pinned to.
    PinnedOut(u64),
}

/// The entries to bring into force, and how every registry stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effective {
    pub entries: BTreeMap<RegistryHost, Arc<Entry>>,
    pub standing: BTreeMap<RegistryHost, Standing>,
}

/// Entries of an earlier time, and the number of their generation.
#[derive(Clone, Debug, Default)]
pub struct Earlier {
    pub number: u64,
    pub entries: BTreeMap<RegistryHost, Arc<Entry>>,
}

/// Decides what should be in force. `in_force` is only looked into for what cannot be used now.
pub fn effective(
    desired: &DesiredState,
    policy: &Policy,
    in_force: &Earlier,
    pin: Option<&Earlier>,
    now: Timestamp,
) -> Effective {
    let judged = desired.entries.iter().map(|(host, entry)| {
        let (standing, chosen) = choose(host, entry, policy, in_force, pin, now);
        ((host.clone(), standing), chosen.map(|entry| (host.clone(), entry)))
    });
    let (standing, chosen): (Vec<_>, Vec<_>) = judged.unzip();
    let mut effective = Effective {
        entries: chosen.into_iter().flatten().collect(),
        standing: standing.into_iter().collect(),
    };
    for (host, ended) in &desired.ended {
        let until = ended.until.unwrap_or(now);
        effective.admit(host, Standing::Ended(until), None);
    }
    for (host, unusable) in &desired.unusable {
        effective.admit(host, Standing::Unusable(unusable.problem.message.clone()), None);
    }
    for (host, entry) in &in_force.entries {
        let why = match desired.keeps(entry, now) {
            None => continue,
            Some(Keep::Unusable(problem)) => problem.message.clone(),
            Some(Keep::Broken(file)) => format!("`{file}` cannot be understood"),
        };
        effective.hold(host, why, policy, in_force, now);
    }
    effective
}

fn choose(
    host: &RegistryHost,
    declared: &Arc<Entry>,
    policy: &Policy,
    in_force: &Earlier,
    pin: Option<&Earlier>,
    now: Timestamp,
) -> (Standing, Option<Arc<Entry>>) {
    if policy.is_broken() {
        let why = "the node's policy cannot be read, so nothing is added or changed".to_owned();
        return match held(host, in_force, now) {
            Some(entry) => (Standing::Held(why), Some(entry)),
            None => (Standing::Unusable(why), None),
        };
    }
    let (standing, entry) = match pin {
        None => (Standing::Declared, Arc::clone(declared)),
        Some(pin) => match pin.entries.get(host) {
            // Only what is still declared comes back: a withdrawal is never rolled back. It is
            // declared where it is declared now, and a typo there must not take it away.
            Some(entry) => {
                let origin = declared.origin.clone();
                (Standing::Pinned(pin.number), Arc::new(Entry { origin, ..Entry::clone(entry) }))
            }
            None => return (Standing::PinnedOut(pin.number), None),
        },
    };
    if entry.has_ended(now) {
        return (Standing::Ended(entry.until.unwrap_or(now)), None);
    }
    match policy.judge(&entry, now) {
        Ok(()) => (standing, Some(entry)),
        Err(refusals) => (Standing::Refused(refusals), None),
    }
}

fn held(host: &RegistryHost, in_force: &Earlier, now: Timestamp) -> Option<Arc<Entry>> {
    in_force.entries.get(host).filter(|entry| !entry.has_ended(now)).cloned()
}

impl Effective {
    /// What is said last counts alone: an entry that was admitted before goes with its standing.
    fn admit(&mut self, host: &RegistryHost, standing: Standing, entry: Option<Arc<Entry>>) {
        self.standing.insert(host.clone(), standing);
        match entry {
            Some(entry) => _ = self.entries.insert(host.clone(), entry),
            None => _ = self.entries.remove(host),
        }
    }

    fn hold(
        &mut self,
        host: &RegistryHost,
        why: String,
        policy: &Policy,
        in_force: &Earlier,
        now: Timestamp,
    ) {
        let (standing, entry) = match held(host, in_force, now) {
            None => (Standing::Unusable(why), None),
            Some(entry) if policy.is_broken() => (Standing::Held(why), Some(entry)),
            Some(entry) => match policy.judge(&entry, now) {
                Ok(()) => (Standing::Held(why), Some(entry)),
                Err(refusals) => (Standing::Refused(refusals), None),
            },
        };
        self.admit(host, standing, entry);
    }
}

#[cfg(test)]
mod tests;
