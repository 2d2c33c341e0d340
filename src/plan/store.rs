//! The system store's consequences: the distribution's tool, and the daemons that have loaded the
//! old roots for good.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::Situation;
use super::change::{Changes, FileEdit};
use super::effect::Effect;
use crate::ledger::{Changed, Ledger, Loads};
use crate::observed::{CaLayout, CriUse, Found, Observed};
use crate::path::NodePath;
use crate::target::system_ca::{self, CaToolNeed};
use crate::target::{Believer, Conflict, Item, Target};
use crate::trust::certificate::CaBundle;

/// The tool that has to run, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ToolDue {
    pub(super) layout: CaLayout,
    pub(super) need: CaToolNeed,
    /// What will have to be loaded after it: a daemon that was restarted before is restarted in
    /// vain.
    pub(super) unread: BTreeSet<Loads>,
    /// Who waits for it.
    pub(super) items: BTreeSet<Item>,
}

/// The registries whose CA is for the store, and is one of those meant.
fn in_store(situation: &Situation<'_>, is_meant: impl Fn(&str) -> bool) -> BTreeSet<Item> {
    let entries = situation.entries.values().filter(|entry| entry.system_store);
    let meant = entries.filter(|entry| {
        let certificates = entry.trust.ca().into_iter().flat_map(CaBundle::certificates);
        certificates.into_iter().any(|one| is_meant(&one.fingerprint.short()))
    });
    meant.map(|entry| Item { host: entry.host.clone(), on: Believer::System }).collect()
}

/// Derives from the bundle whether the tool is due once `changes` are made, and brings the ledger
/// up to date with that.
///
/// Daemons load the bundle and not what it is made from. So it is the bundle's change that they have
/// yet to read, and one that never came about, because a CA was withdrawn before the tool ran, is
/// nothing to them.
pub(super) fn settle(
    situation: &Situation<'_>,
    changes: &Changes,
    ledger: &mut Ledger,
) -> Option<ToolDue> {
    let anchors = |edit: &&FileEdit| edit.target == Some(Target::SystemCa);
    let is_changed =
        changes.edits().filter(anchors).any(|edit| edit.before.as_ref() != edit.after.as_ref());
    for edit in changes.edits().filter(anchors).filter(|edit| edit.after.is_none()) {
        ledger.leaving_store.extend(fingerprint(&edit.path));
    }
    if !ledger.uses_system_store() {
        ledger.store_changed = None;
        return None;
    }
    let layout = situation.observed.ca_layout?;
    let files = &situation.observed.files;
    // What somebody else adds as well stays in the bundle, however often the tool runs.
    let theirs = system_ca::added_by_others(layout, files, &situation.ledger.files);
    ledger.leaving_store.retain(|fingerprint| !theirs.contains(fingerprint));
    let need = need(files.get(&layout.bundle()), ledger);
    // What has left the bundle needs no remembering, unless a run is still to bring it there.
    ledger.leaving_store.retain(|fingerprint| {
        need.lingering.contains(fingerprint) || situation.entering_store.contains(fingerprint)
    });
    let written = written_since(situation);
    if let Some(at) = written {
        note_unread_roots(at, situation, ledger);
    }
    if !need.is_due() {
        ledger.store_changed = None;
        return None;
    }
    if is_changed {
        ledger.store_changed = Some(situation.now);
    }
    // A tool that has run and left its work undone will do so again: the distribution distrusts the
    // CA, or trusts it by itself. No restart helps with that.
    let awaits_tool = ledger.store_changed.is_some() && (is_changed || written.is_none());
    let unread = if awaits_tool { readers(situation.observed).collect() } else { BTreeSet::new() };
    let items = in_store(situation, |fingerprint| need.missing.contains(fingerprint));
    Some(ToolDue { layout, need, unread, items })
}

/// When the bundle was written, if that was after our files in the store had changed.
///
/// Not every file system counts in less than seconds. Of two changes in the same one either may
/// have been first, and one restart too many is better than a CA that is believed to be loaded.
fn written_since(situation: &Situation<'_>) -> Option<Timestamp> {
    let changed = situation.ledger.store_changed?;
    // A clock that was set back must not make a restart due until it has caught up.
    let written = situation.observed.bundle_written?.min(situation.now);
    (written.as_second() >= changed.as_second()).then_some(written)
}

/// Whether the tool has to run cannot be told from a bundle that cannot be read, and that is to be
/// said: else "nothing failed" would be believed.
pub(super) fn unreadable(situation: &Situation<'_>, ledger: &Ledger) -> Option<Conflict> {
    let path = situation.observed.ca_layout?.bundle();
    let Found::Unreadable { error } = situation.observed.files.get(&path)? else { return None };
    ledger.uses_system_store().then(|| Conflict {
        target: Target::SystemCa,
        path: path.to_string(),
        items: BTreeSet::new(),
        message: format!("it cannot be read, so what it still has is not known: {error}"),
        cure: "make it readable for regtrust".to_owned(),
    })
}

/// A bundle that is there and cannot be read may lack anything and may still have anything.
fn need(bundle: Option<&Found>, ledger: &Ledger) -> CaToolNeed {
    let (wanted, leaving) = (wanted(ledger), &ledger.leaving_store);
    match bundle {
        None => system_ca::missing_from_bundle(None, &wanted, leaving),
        Some(Found::File { content, .. }) => {
            system_ca::missing_from_bundle(Some(content.bytes()), &wanted, leaving)
        }
        Some(_) => CaToolNeed {
            lingering: leaving.difference(&wanted).cloned().collect(),
            missing: wanted,
        },
    }
}

/// Our files in a store whose layout is not known at the moment: what entries still ask for stays.
pub(super) fn kept(situation: &Situation<'_>, ledger: &Ledger) -> BTreeSet<NodePath> {
    if situation.observed.ca_layout.is_some() {
        return BTreeSet::new();
    }
    let bundles = situation.entries.values().filter(|entry| entry.system_store);
    let certificates =
        bundles.filter_map(|entry| entry.trust.ca()).flat_map(CaBundle::certificates);
    let asked_for: BTreeSet<String> =
        certificates.map(|certificate| certificate.fingerprint.short()).collect();
    let is_asked_for = |path: &&NodePath| fingerprint(path).is_some_and(|f| asked_for.contains(&f));
    let ours = ledger.files.iter().filter(|(_, file)| file.target == Target::SystemCa);
    ours.map(|(path, _)| path).filter(is_asked_for).cloned().collect()
}

pub(super) fn wanted(ledger: &Ledger) -> BTreeSet<String> {
    let anchors = ledger.files.iter().filter(|(_, file)| file.target == Target::SystemCa);
    anchors.filter_map(|(path, _)| fingerprint(path)).collect()
}

fn fingerprint(path: &NodePath) -> Option<String> {
    system_ca::fingerprint_in(path).map(str::to_owned)
}

fn note_unread_roots(at: Timestamp, situation: &Situation<'_>, ledger: &mut Ledger) {
    for loads in readers(situation.observed) {
        let is_acknowledged = situation.acknowledged.contains(&loads);
        if !is_acknowledged {
            let items = in_store(situation, |_| true);
            ledger.changed.insert(loads, Changed::new(at, reason_to_load(loads), items));
        }
    }
}

fn reason_to_load(loads: Loads) -> String {
    let daemon = if loads == Loads::DockerRoots { "dockerd" } else { "containerd" };
    format!("the system's CA store changes, and {daemon} loads it once, at its first use")
}

fn readers(observed: &Observed) -> impl Iterator<Item = Loads> {
    let roots = [Loads::DockerRoots, Loads::ContainerdRoots];
    roots.into_iter().filter(|loads| is_read_by(*loads, observed))
}

fn is_read_by(loads: Loads, observed: &Observed) -> bool {
    // A containerd that only runs containers for docker verifies no registry.
    let pulls = loads != Loads::ContainerdRoots
        || observed.containerd.as_ref().is_some_and(|one| one.cri != CriUse::NotSeen);
    pulls && loads.has_listener(observed)
}

impl ToolDue {
    /// What has to be done after it, and why.
    pub(super) fn restarts(&self) -> impl Iterator<Item = (Effect, String)> {
        self.unread.iter().map(|loads| (loads.effect(), reason_to_load(*loads)))
    }

    pub(super) fn command(&self) -> String {
        self.need.argv(system_ca::tool(self.layout)).join(" ")
    }

    pub(super) fn reason(&self) -> String {
        let count = |set: &BTreeSet<String>, what: &str| match set.len() {
            0 => None,
            1 => Some(format!("1 certificate {what}")),
            many => Some(format!("{many} certificates {what}")),
        };
        let missing = count(&self.need.missing, "not yet in the system's bundle");
        let lingering = count(&self.need.lingering, "still in it that should be gone");
        missing.into_iter().chain(lingering).collect::<Vec<_>>().join(", ")
    }
}
