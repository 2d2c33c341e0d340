//! The system store's consequences: the distribution's tool, and the daemons that have loaded the
//! old roots for good.

use std::collections::BTreeSet;

use super::Situation;
use super::change::Changes;
use crate::content::Content;
use crate::ledger::{Changed, Ledger, Loads};
use crate::observed::{CaLayout, CriUse, Observed};
use crate::path::NodePath;
use crate::target::Target;
use crate::target::system_ca::{self, CaToolNeed};

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
    let anchors = |edit: &&super::change::FileEdit| edit.target == Some(Target::SystemCa);
    let is_changed = changes.edits().any(|edit| anchors(&edit));
    for edit in changes.edits().filter(anchors).filter(|edit| edit.after.is_none()) {
        ledger.leaving_store.extend(fingerprint(&edit.path));
    }
    if !ledger.uses_system_store() {
        return None;
    }
    let layout = situation.observed.ca_layout?;
    let bundle = situation.observed.files.content(&system_ca::bundle(layout));
    let need = system_ca::missing_from_bundle(
        bundle.map(Content::bytes),
        &wanted(ledger),
        &ledger.leaving_store,
    );
    // What has left the bundle needs no remembering.
    ledger.leaving_store.clone_from(&need.lingering);
    if is_changed {
        note_unread_roots(situation, ledger);
    }
    need.is_due().then_some(ToolDue { layout, need })
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
