//! daemon.json: which elements should be ours, and when an emptied key may go.

use std::collections::{BTreeMap, BTreeSet};

use super::{Shared, editable};
use crate::ledger::{Changed, DaemonOwned, Ledger, Loads};
use crate::plan::Situation;
use crate::plan::files::Drift;
use crate::plan::wants::AllWants;
use crate::target::docker_daemon::{self, Ending, Goal, Goals, Key};
use crate::target::{Item, Target};

pub(super) fn settle(
    situation: &Situation<'_>,
    ledger: &Ledger,
    wants: &AllWants,
    blocked: &BTreeSet<Item>,
    shared: &mut Shared,
) {
    let owned = &ledger.docker_daemon;
    shared.docker_daemon = owned.clone();
    let insecure = wants.daemon.insecure.iter();
    let insecure = insecure.map(|(element, items)| (element.as_str(), items));
    let mirrors = wants.daemon.mirrors.iter().map(|(url, items)| (url.as_str(), items));
    let mut needing = BTreeSet::new();
    let goals = Goals {
        insecure: Goal {
            elements: elements(Key::InsecureRegistries, insecure, owned, blocked, &mut needing),
            ending: ending(Key::InsecureRegistries, situation, owned, shared),
        },
        mirrors: Goal {
            elements: elements(Key::RegistryMirrors, mirrors, owned, blocked, &mut needing),
            ending: ending(Key::RegistryMirrors, situation, owned, shared),
        },
    };
    let is_ours = !owned.arrays.is_empty() || owned.created_file;
    if Key::ALL.iter().all(|key| goals.of(*key).elements.is_empty()) && !is_ours {
        return;
    }
    let path = docker_daemon::path();
    let done = editable(situation, &path).and_then(|current| {
        let merged = docker_daemon::merge(current, owned, &goals)
            .map_err(|error| (error.to_string(), error.cure()))?;
        let is_edited =
            shared.edit(situation, Target::DockerDaemon, &path, merged.text.as_deref())?;
        Ok((is_edited, merged.owned))
    });
    match done {
        Ok((is_edited, now_owned)) => {
            note_change(situation, is_edited, owned, &now_owned, shared);
            shared.docker_daemon = now_owned;
        }
        Err(why) => {
            shared.kept.push(path.clone());
            shared.conflict(Target::DockerDaemon, &path, needing, why);
        }
    }
}

/// The elements to have, and who needs them. A blocked item gets nothing new and loses nothing.
fn elements<'a>(
    key: Key,
    wanted: impl Iterator<Item = (&'a str, &'a BTreeSet<Item>)>,
    owned: &DaemonOwned,
    blocked: &BTreeSet<Item>,
    needing: &mut BTreeSet<Item>,
) -> Vec<String> {
    let ours = owned.arrays.get(key.name());
    let is_ours = |element| ours.is_some_and(|array| array.elements.contains(element));
    let mut elements = Vec::new();
    for (element, items) in wanted {
        let free: BTreeSet<Item> = items.difference(blocked).cloned().collect();
        if !free.is_empty() || is_ours(element) {
            elements.push(element.to_owned());
        }
        needing.extend(free);
    }
    elements
}

fn ending(key: Key, situation: &Situation<'_>, owned: &DaemonOwned, shared: &Shared) -> Ending {
    let is_read = !shared.changed.contains_key(&Loads::DockerDaemon);
    match &situation.observed.docker {
        Some(docker) => Ending::of(key, docker, owned, is_read),
        // Docker is gone from the node, so nobody has the old list in memory.
        None => Ending::Restore,
    }
}

fn note_change(
    situation: &Situation<'_>,
    is_edited: bool,
    before: &DaemonOwned,
    after: &DaemonOwned,
    shared: &mut Shared,
) {
    if !is_edited {
        return;
    }
    let (old, new) = (before.meaning(), after.meaning());
    if old == new {
        // A key that goes after its empty list was read changes nothing that dockerd knows.
        if after.arrays.len() < before.arrays.len() {
            return;
        }
        shared.drift.push(Drift {
            path: docker_daemon::path().to_string(),
            message: "elements of regtrust's were removed by somebody".to_owned(),
            repaired: true,
        });
    }
    if Loads::DockerDaemon.has_listener(situation.observed) {
        let reason = reason(&old, &new);
        shared.changed.insert(Loads::DockerDaemon, Changed { at: situation.now, reason });
    }
}

fn reason(
    before: &BTreeMap<&str, BTreeSet<&str>>,
    after: &BTreeMap<&str, BTreeSet<&str>>,
) -> String {
    let none = BTreeSet::new();
    let keys: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    let parts = keys.into_iter().filter_map(|key| {
        let (old, new) = (before.get(key).unwrap_or(&none), after.get(key).unwrap_or(&none));
        let changed: Vec<&str> = old.symmetric_difference(new).copied().collect();
        match changed.len() {
            0 => None,
            1..=3 => Some(format!("`{key}` changed for {}", changed.join(", "))),
            many => Some(format!("`{key}` changed for {many} registries")),
        }
    });
    let reason = parts.collect::<Vec<_>>().join("; ");
    if reason.is_empty() { "regtrust's elements were put back".to_owned() } else { reason }
}

impl DaemonOwned {
    /// What dockerd makes of what is ours: the elements, by key.
    fn meaning(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        self.arrays
            .iter()
            .filter(|(_, array)| !array.elements.is_empty())
            .map(|(key, array)| (key.as_str(), array.elements.iter().map(String::as_str).collect()))
            .collect()
    }
}
