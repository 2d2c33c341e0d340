//! The system store's consequences: the distribution's tool, and the daemons that have loaded the
//! old roots for good.

use std::collections::BTreeSet;

use super::Situation;
use super::change::{Changes, FileEdit};
use crate::ledger::{Changed, Ledger, Loads};
use crate::observed::{CaLayout, CriUse, Found, Observed};
use crate::path::NodePath;
use crate::target::system_ca::{self, CaToolNeed};
use crate::target::{Conflict, Target};
use crate::trust::certificate::CaBundle;

/// The tool that has to run, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ToolDue {
    pub(super) layout: CaLayout,
    pub(super) need: CaToolNeed,
}

/// Derives from the bundle whether the tool is due once `changes` are made, and brings the ledger
/// up to date with that.
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
        return None;
    }
    let layout = situation.observed.ca_layout?;
    let files = &situation.observed.files;
    // What somebody else adds as well stays in the bundle, however often the tool runs.
    let theirs = system_ca::added_by_others(layout, files, &situation.ledger.files);
    ledger.leaving_store.retain(|fingerprint| !theirs.contains(fingerprint));
    let need = need(files.get(&layout.bundle()), ledger);
    // What has left the bundle needs no remembering.
    ledger.leaving_store.clone_from(&need.lingering);
    // Daemons load the bundle and not what it is made from: while that needs no change, they don't.
    if is_changed && need.is_due() {
        note_unread_roots(situation, ledger);
    }
    need.is_due().then_some(ToolDue { layout, need })
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

fn wanted(ledger: &Ledger) -> BTreeSet<String> {
    let anchors = ledger.files.iter().filter(|(_, file)| file.target == Target::SystemCa);
    anchors.filter_map(|(path, _)| fingerprint(path)).collect()
}

fn fingerprint(path: &NodePath) -> Option<String> {
    system_ca::fingerprint_in(path).map(str::to_owned)
}

fn note_unread_roots(situation: &Situation<'_>, ledger: &mut Ledger) {
    for (loads, daemon) in [(Loads::DockerRoots, "dockerd"), (Loads::ContainerdRoots, "containerd")]
    {
        if is_read_by(loads, situation.observed) {
            let reason = format!(
                "the system's CA store changes, and {daemon} loads it once, at its first use"
            );
            ledger.changed.insert(loads, Changed { at: situation.now, reason });
        }
    }
}

fn is_read_by(loads: Loads, observed: &Observed) -> bool {
    // A containerd that only runs containers for docker verifies no registry.
    let pulls = loads != Loads::ContainerdRoots
        || observed.containerd.as_ref().is_some_and(|one| one.cri != CriUse::NotSeen);
    pulls && loads.has_listener(observed)
}

impl ToolDue {
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
