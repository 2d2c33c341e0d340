//! Asks every target what it makes of the entries, and sees to it that each item is accounted for.

use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet};

use super::Situation;
use crate::ledger::{Ledger, Rejected};
use crate::observed::{Containerd, CriUse, Docker, Observed};
use crate::path::NodePath;
use crate::sorted::reaches;
use crate::target::containerd_config::{self, ConfigState, HostsDir};
use crate::target::docker_daemon::{self, DaemonWants};
use crate::target::{
    Believer, Conflict, Item, Note, WantedFile, Wants, containerd_hosts, docker_certs, system_ca,
};
use crate::trust::entry::{Entry, Runtime};

#[derive(Debug, Default)]
pub(super) struct AllWants {
    pub(super) files: Vec<WantedFile>,
    pub(super) conflicts: Vec<Conflict>,
    pub(super) notes: Vec<Note>,
    pub(super) inexpressible: BTreeSet<Item>,
    /// What somebody else's files say already.
    satisfied: BTreeSet<Item>,
    /// Every registry on every runtime that is present and meant, in order, each once.
    pub(super) items: Vec<Item>,
    pub(super) daemon: DaemonWants,
    /// Where containerd's hosts live and what config.toml needs for it; `None`: nobody pulls
    /// through CRI here.
    pub(super) config: Option<ConfigState>,
}

pub(super) fn gather(situation: &Situation<'_>, ledger: &Ledger) -> AllWants {
    let observed = situation.observed;
    let entries: Vec<&Entry> = situation.entries.values().map(AsRef::as_ref).collect();
    let mut all = AllWants::default();
    if let Some(docker) = &observed.docker {
        want_docker(&entries, docker, observed, ledger, &mut all);
    }
    if let Some(containerd) = &observed.containerd {
        want_containerd(&entries, containerd, observed, ledger, &mut all);
    }
    let is_in_store =
        |entry: &&Entry| entry.system_store && !is_rejected(entry, Believer::System, ledger);
    let in_store: Vec<&Entry> = entries.into_iter().filter(is_in_store).collect();
    all.add(system_ca::want(
        &in_store,
        observed.ca_layout,
        &observed.files,
        &ledger.files,
        &ledger.leaving_store,
    ));
    all.expect(&in_store, Believer::System);
    // Each believer's are in order, so this merges them.
    all.items.sort();
    all.items.dedup();
    all.report_unread(situation.entries.values().map(AsRef::as_ref), &ledger.rejected);
    all
}

fn is_rejected(entry: &Entry, on: Believer, ledger: &Ledger) -> bool {
    ledger.rejected.iter().any(|one| one.item.on == on && one.item.host == entry.host)
}

fn want_docker(
    entries: &[&Entry],
    docker: &Docker,
    observed: &Observed,
    ledger: &Ledger,
    all: &mut AllWants,
) {
    let is_meant = |entry: &&Entry| {
        entry.is_for(Runtime::Docker) && !is_rejected(entry, Believer::Docker, ledger)
    };
    let meant: Vec<&Entry> = entries.iter().copied().filter(is_meant).collect();
    all.expect(&meant, Believer::Docker);
    all.add(docker_certs::want(&meant, docker, &observed.files, ledger));
    all.daemon = docker_daemon::want(&meant, docker, &observed.files, &ledger.docker_daemon);
    all.conflicts.append(&mut all.daemon.conflicts);
    all.notes.append(&mut all.daemon.notes);
    all.inexpressible.append(&mut all.daemon.inexpressible);
}

fn want_containerd(
    entries: &[&Entry],
    containerd: &Containerd,
    observed: &Observed,
    ledger: &Ledger,
    all: &mut AllWants,
) {
    // Where nothing pulls through CRI, hosts.toml would be read by nobody; an entry that names
    // containerd asks for it all the same.
    let state =
        containerd_config::examine(containerd, &observed.files, ledger.containerd_config.as_ref());
    let is_used = containerd.cri != CriUse::NotSeen && state.hosts != HostsDir::Off;
    let meant: Vec<&Entry> = entries
        .iter()
        .copied()
        .filter(|entry| !is_rejected(entry, Believer::Containerd, ledger))
        .filter(|entry| {
            entry.asks_for(Runtime::Containerd) || is_used && entry.is_for(Runtime::Containerd)
        })
        .collect();
    all.expect(&meant, Believer::Containerd);
    let directory = state.directory();
    all.add(containerd_hosts::want(&meant, containerd, &directory, &observed.files, &ledger.files));
    if directory == docker_certs::root() {
        all.unite();
    }
    all.config = Some(state);
}

impl AllWants {
    fn add(&mut self, wants: Wants) {
        self.files.extend(wants.files);
        self.conflicts.extend(wants.conflicts);
        self.notes.extend(wants.notes);
        self.inexpressible.extend(wants.inexpressible);
        self.satisfied.extend(wants.satisfied);
    }

    /// Makes one of the files that several targets want at one path. The first target has it where
    /// they want other bytes: written in turn, each plan would undo what the last one did.
    fn unite(&mut self) {
        let mut united: BTreeMap<NodePath, WantedFile> = BTreeMap::new();
        for file in std::mem::take(&mut self.files) {
            match united.entry(file.path.clone()) {
                Slot::Vacant(place) => _ = place.insert(file),
                Slot::Occupied(mut known) if known.get().content == file.content => {
                    known.get_mut().items.extend(file.items);
                }
                Slot::Occupied(_) => self.conflicts.push(Conflict {
                    target: file.target,
                    path: file.path.to_string(),
                    items: file.items.to_set(),
                    message: "docker needs other bytes in this file".to_owned(),
                    cure: format!(
                        "set containerd's `config_path` to a directory of its own, such as `{}`",
                        containerd_config::default_hosts_dir()
                    ),
                }),
            }
        }
        self.files = united.into_values().collect();
    }

    fn expect(&mut self, entries: &[&Entry], on: Believer) {
        let item = |entry: &&Entry| Item { host: entry.host.clone(), on };
        self.items.extend(entries.iter().map(item));
    }

    /// Otherwise "nothing to do" would read as "it is trusted". `entries` are in order.
    fn report_unread<'a>(
        &mut self,
        entries: impl Iterator<Item = &'a Entry>,
        rejected: &[Rejected],
    ) {
        let mut read = self.items.iter().map(|item| &item.host).peekable();
        let unread = entries.filter(|entry| {
            !reaches(&mut read, &entry.host)
                && !rejected.iter().any(|one| one.item.host == entry.host)
        });
        let hosts: Vec<_> = unread.map(|entry| format!("`{}`", entry.host)).collect();
        let what = match hosts.len() {
            0 => return,
            1..=3 => hosts.join(", "),
            many => format!("{many} registries"),
        };
        let message = format!(
            "nothing is written for {what}: no runtime that could read it is here, neither docker \
             nor a containerd that pulls through CRI, or its `runtimes` leaves out the one that is"
        );
        self.notes.push(Note { items: BTreeSet::new(), message });
    }

    /// Items that depend on files beneath a runtime's directory, be they ours or somebody else's,
    /// and are not blocked.
    pub(super) fn free_on(&self, on: Believer, blocked: &BTreeSet<Item>) -> BTreeSet<Item> {
        let items = self.files.iter().flat_map(|file| &file.items).chain(&self.satisfied);
        let mut free: Vec<&Item> =
            items.filter(|item| item.on == on && !blocked.contains(item)).collect();
        // One item's files stand together.
        free.dedup();
        free.into_iter().cloned().collect()
    }
}
