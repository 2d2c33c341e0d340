//! daemon.json: which elements should be ours, and when an emptied key may go.

use std::collections::{BTreeMap, BTreeSet};

use super::{Shared, editable};
use crate::ledger::{Changed, DaemonOwned, Ledger, Loads};
use crate::plan::files::Drift;
use crate::plan::wants::AllWants;
use crate::plan::{Situation, effect};
use crate::target::docker_daemon::{self, DaemonWants, Ending, Goal, Goals, Key, live_restore};
use crate::target::{Believer, Item, Target};

const INSECURE: Key = Key::InsecureRegistries;
const MIRRORS: Key = Key::RegistryMirrors;

/// The elements under each key that is in the file.
type Lists = BTreeMap<Key, Vec<String>>;

pub(super) fn settle(
    situation: &Situation<'_>,
    ledger: &Ledger,
    wants: &AllWants,
    blocked: &BTreeSet<Item>,
    shared: &mut Shared,
) {
    let owned = &ledger.docker_daemon;
    shared.docker_daemon = owned.clone();
    let path = docker_daemon::path();
    let current = editable(situation, &path);
    let before = docker_daemon::lists(current.as_ref().ok().copied().flatten());
    let held = held(owned, blocked, &before);
    let goal = |key: Key| Goal {
        elements: elements(key, &wants.daemon, blocked, &held),
        ending: ending(key, situation, owned, shared),
    };
    let goals = Goals {
        insecure: goal(INSECURE),
        mirrors: goal(MIRRORS),
        live_restore: switch(situation, owned, shared),
    };
    let is_ours = !owned.is_nothing() || owned.created_file;
    let wants_nothing = Key::ALL.iter().all(|key| goals.of(*key).elements.is_empty())
        && goals.live_restore != live_restore::Goal::On;
    if wants_nothing && !is_ours {
        return;
    }
    let said = live_restore::says(current.as_ref().ok().copied().flatten());
    let done = current.and_then(|current| {
        let merged = docker_daemon::merge(current, owned, &goals)
            .map_err(|error| (error.to_string(), error.cure()))?;
        shared.edit(situation, Target::DockerDaemon, &path, merged.text.as_deref())?;
        Ok(merged)
    });
    match done {
        Ok(merged) => {
            let after = docker_daemon::lists(merged.text.as_deref());
            shared.drift.extend(drift(owned, &before, &after));
            let added = added(&wants.daemon, &before, &after);
            let narrowed = narrowed(&wants.items, &before, &after);
            shared.pending.extend(added.iter().chain(&narrowed).cloned());
            note_change(situation, (&before, &after), added, narrowed, shared);
            note_switch(situation, said, live_restore::says(merged.text.as_deref()), shared);
            shared.docker_daemon = merged.owned;
        }
        Err(why) => {
            shared.kept.push(path.clone());
            let needing = free(&wants.daemon, blocked).flat_map(|(_, _, items)| items).collect();
            shared.conflict(Target::DockerDaemon, &path, needing, why);
        }
    }
}

/// What is wanted, with who wants it and is not blocked.
fn free<'a>(
    wants: &'a DaemonWants,
    blocked: &'a BTreeSet<Item>,
) -> impl Iterator<Item = (Key, &'a str, BTreeSet<Item>)> {
    all(wants).filter_map(|(key, element, items)| {
        let free: BTreeSet<Item> = items.difference(blocked).cloned().collect();
        (!free.is_empty()).then_some((key, element, free))
    })
}

fn all(wants: &DaemonWants) -> impl Iterator<Item = (Key, &str, &BTreeSet<Item>)> {
    let insecure = wants.insecure.iter();
    let insecure = insecure.map(|(name, items)| (INSECURE, name.as_str(), items));
    let mirrors = wants.mirrors.iter();
    insecure.chain(mirrors.map(|(url, items)| (MIRRORS, url.as_str(), items)))
}

/// What is ours and belongs to a registry that is blocked, whatever is wanted for it now: it gets
/// nothing new and loses nothing. Docker Hub has all mirrors, and they have to stay reachable.
fn held(owned: &DaemonOwned, blocked: &BTreeSet<Item>, before: &Lists) -> Lists {
    let on_docker = || blocked.iter().filter(|item| item.on == Believer::Docker);
    let mut hosts: BTreeSet<String> = on_docker().map(|item| item.host.to_string()).collect();
    let mut held = Lists::new();
    if on_docker().any(|item| item.host.is_docker_hub()) {
        let mirrors = ours(MIRRORS, owned, before);
        hosts.extend(mirrors.iter().map(|url| MIRRORS.host(url)));
        held.insert(MIRRORS, mirrors);
    }
    let mut insecure = ours(INSECURE, owned, before);
    insecure.retain(|element| hosts.contains(&INSECURE.host(element)));
    held.insert(INSECURE, insecure);
    held
}

/// Our elements, in the order of the file, because docker tries mirrors in that order.
fn ours(key: Key, owned: &DaemonOwned, before: &Lists) -> Vec<String> {
    let Some(array) = owned.arrays.get(key.name()) else { return Vec::new() };
    let mut rest = array.elements.clone();
    let in_file = before.get(&key).into_iter().flatten();
    let mut ours: Vec<String> = in_file.filter(|element| rest.remove(*element)).cloned().collect();
    ours.extend(rest);
    ours
}

fn elements(key: Key, wants: &DaemonWants, blocked: &BTreeSet<Item>, held: &Lists) -> Vec<String> {
    let mut elements = held.get(&key).cloned().unwrap_or_default();
    let known: BTreeSet<String> = elements.iter().cloned().collect();
    let wanted = free(wants, blocked).filter(|(of, _, _)| *of == key);
    let wanted = wanted.map(|(_, element, _)| element).filter(|element| !known.contains(*element));
    elements.extend(wanted.map(str::to_owned));
    elements
}

/// What is to become of `live-restore`. Where that cannot be told it stays as it is.
fn switch(situation: &Situation<'_>, owned: &DaemonOwned, shared: &Shared) -> live_restore::Goal {
    let observed = situation.observed;
    let is_wanted = situation.live_restore.unwrap_or(owned.live_restore == Some(true));
    let unread = effect::unread(&shared.changed, observed);
    let is_read = !unread.contains(&Loads::DockerDaemon);
    live_restore::Goal::of(is_wanted, observed.docker.as_ref(), &observed.files, owned, is_read)
}

/// One that goes is none of dockerd's business: it keeps what it has, which was `false` by then.
fn note_switch(
    situation: &Situation<'_>,
    before: Option<bool>,
    after: Option<bool>,
    shared: &mut Shared,
) {
    let Some(now) = after.filter(|_| before != after) else { return };
    let reason = format!("`live-restore` is {now}");
    // Another change of the same file waits for the same reload.
    let reason = match shared.changed.get(&Loads::DockerDaemon) {
        Some(other) if other.at == situation.now => format!("{}; {reason}", other.reason),
        _ => reason,
    };
    let change = Changed::new(situation.now, reason, BTreeSet::new());
    shared.note_unread(Loads::DockerDaemon, situation, change);
}

fn ending(key: Key, situation: &Situation<'_>, owned: &DaemonOwned, shared: &Shared) -> Ending {
    let unread = effect::unread(&shared.changed, situation.observed);
    let is_read = !unread.contains(&Loads::DockerDaemon);
    match &situation.observed.docker {
        Some(docker) => Ending::of(key, docker, owned, is_read),
        // Docker is gone from the node, so nobody has the old list in memory.
        None => Ending::Restore,
    }
}

fn pairs(lists: &Lists) -> BTreeSet<(Key, &str)> {
    lists.iter().flat_map(|(key, list)| list.iter().map(|one| (*key, one.as_str()))).collect()
}

/// Elements of ours that somebody took out and that are put back.
fn drift(owned: &DaemonOwned, before: &Lists, after: &Lists) -> Option<Drift> {
    let (before, after) = (pairs(before), pairs(after));
    let is_put_back = |key: &Key| {
        let ours = owned.arrays.get(key.name()).map(|array| &array.elements);
        let mut ours = ours.into_iter().flatten().map(|element| (*key, element.as_str()));
        ours.any(|pair| !before.contains(&pair) && after.contains(&pair))
    };
    Key::ALL.iter().any(is_put_back).then(|| Drift {
        path: docker_daemon::path().to_string(),
        message: "elements of regtrust's were removed by somebody".to_owned(),
        repaired: true,
    })
}

/// Who gets an element that is not in the file yet.
fn added(wants: &DaemonWants, before: &Lists, after: &Lists) -> BTreeSet<Item> {
    let (before, after) = (pairs(before), pairs(after));
    all(wants)
        .map(|(key, element, items)| ((key, element), items))
        .filter(|(pair, _)| after.contains(pair) && !before.contains(pair))
        .flat_map(|(_, items)| items.iter().cloned())
        .collect()
}

/// Who loses an element and is declared all the same: until dockerd has read that, it is trusted as
/// it was. Docker Hub loses its mirrors, and what they are trusted with.
fn narrowed(items: &[Item], before: &Lists, after: &Lists) -> BTreeSet<Item> {
    let (was, is) = (pairs(before), pairs(after));
    let gone: BTreeSet<(Key, String)> =
        was.difference(&is).map(|(key, element)| (*key, key.host(element))).collect();
    if gone.is_empty() {
        return BTreeSet::new();
    }
    let lists = [before, after].into_iter().filter_map(|lists| lists.get(&MIRRORS)).flatten();
    let mirrors: BTreeSet<String> = lists.map(|url| MIRRORS.host(url)).collect();
    let concerns_hub = gone.iter().any(|(key, host)| *key == MIRRORS || mirrors.contains(host));
    let is_concerned = |item: &&Item| {
        let is_gone = || gone.contains(&(INSECURE, item.host.to_string()));
        item.on == Believer::Docker && (is_gone() || concerns_hub && item.host.is_docker_hub())
    };
    items.iter().filter(is_concerned).cloned().collect()
}

/// What counts is what dockerd makes of the file, not whose elements they are. A key that goes is
/// none of its business: it keeps what it has, and that was an empty list by then.
fn note_change(
    situation: &Situation<'_>,
    (before, after): (&Lists, &Lists),
    added: BTreeSet<Item>,
    narrowed: BTreeSet<Item>,
    shared: &mut Shared,
) {
    let reasons: Vec<String> = after
        .iter()
        .filter(|(key, list)| before.get(key) != Some(list))
        .map(|(key, list)| reason(*key, before.get(key).map_or(&[], Vec::as_slice), list))
        .collect();
    if !reasons.is_empty() {
        let change = Changed::new(situation.now, reasons.join("; "), added);
        shared.note_unread(Loads::DockerDaemon, situation, Changed { narrowed, ..change });
    }
}

fn reason(key: Key, before: &[String], after: &[String]) -> String {
    let (old, new): (BTreeSet<&String>, BTreeSet<&String>) =
        (before.iter().collect(), after.iter().collect());
    let changed: Vec<&str> = old.symmetric_difference(&new).map(|one| one.as_str()).collect();
    match changed.len() {
        0 if after.is_empty() => format!("`{key}` is an empty list again"),
        0 => format!("`{key}` has another order"),
        1..=3 => format!("`{key}` changed for {}", changed.join(", ")),
        many => format!("`{key}` changed for {many} registries"),
    }
}
