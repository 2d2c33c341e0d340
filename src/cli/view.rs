//! What `--json` prints. Field names are part of the contract; key material is never in it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::content::{Content, Sha256Hex};
use crate::plan::ItemState;
use crate::plan::change::FileEdit;
use crate::plan::diff;
use crate::plan::effect::Due;
use crate::plan::files::Drift;
use crate::reconcile::{Applied, Survey};
use crate::target::{Conflict, Note, Target};
use crate::trust::effective::Standing;
use crate::trust::host::RegistryHost;
use crate::trust::problem::Problem;
use crate::txn::Recovery;

#[derive(Debug, Serialize)]
pub(super) struct SurveyView<'a> {
    /// Once everything is applied; `generation_before` is in force until then.
    generation: u64,
    generation_before: u64,
    pinned_to: Option<u64>,
    pinned_until: Option<jiff::Timestamp>,
    pinned_because: Option<&'a str>,
    interrupted: bool,
    /// What `apply` did about an earlier one that had been cut short.
    recovered: Option<&'static str>,
    registries: BTreeMap<&'a RegistryHost, RegistryView<'a>>,
    changes: Vec<EditView>,
    make_directories: Vec<String>,
    remove_directories: Vec<String>,
    effects: &'a [Due],
    conflicts: &'a [Conflict],
    notes: &'a [Note],
    drift: &'a [Drift],
    problems: Vec<&'a Problem>,
    runtimes: BTreeMap<&'static str, RuntimeView>,
    unmanaged: &'a [crate::observed::Unmanaged],
}

#[derive(Debug, Serialize)]
struct RegistryView<'a> {
    #[serde(flatten)]
    standing: &'a Standing,
    trust: Option<&'static str>,
    declared_in: Option<String>,
    until: Option<jiff::Timestamp>,
    reason: Option<&'a str>,
    on: BTreeMap<String, ItemState>,
    /// Where files have to be written before that is so.
    not_yet_on: Vec<String>,
}

#[derive(Debug, Serialize)]
struct EditView {
    path: String,
    target: Option<Target>,
    action: &'static str,
    mode: Option<String>,
    before_sha256: Option<Sha256Hex>,
    after_sha256: Option<Sha256Hex>,
    diff: Vec<String>,
}

#[derive(Debug, Serialize)]
struct RuntimeView {
    version: Option<String>,
}

impl<'a> SurveyView<'a> {
    pub(super) fn of_applied(applied: &'a Applied) -> Self {
        let recovered = match applied.recovery {
            Recovery::Nothing => None,
            Recovery::Completed => Some("completed"),
            Recovery::Undone { .. } => Some("undone"),
        };
        Self { recovered, ..Self::of(&applied.survey) }
    }

    pub(super) fn of(survey: &'a Survey) -> Self {
        let paths =
            |paths: &[crate::path::NodePath]| paths.iter().map(ToString::to_string).collect();
        let plan = &survey.plan;
        Self {
            generation: plan.ledger.generation,
            generation_before: survey.ledger.generation,
            pinned_to: survey.pin.as_ref().map(|pin| pin.generation),
            pinned_until: survey.pin.as_ref().map(|pin| pin.until),
            pinned_because: survey.pin.as_ref().and_then(|pin| pin.reason.as_deref()),
            interrupted: survey.is_interrupted,
            recovered: None,
            registries: registries(survey),
            changes: plan.changes.edits().map(EditView::of).collect(),
            make_directories: paths(&plan.changes.make_directories),
            remove_directories: paths(&plan.changes.remove_directories),
            effects: &plan.due,
            conflicts: &plan.conflicts,
            notes: &plan.notes,
            drift: &plan.drift,
            problems: survey.sources.problems().collect(),
            runtimes: runtimes(survey),
            unmanaged: &survey.observed.unmanaged,
        }
    }
}

fn registries(survey: &Survey) -> BTreeMap<&RegistryHost, RegistryView<'_>> {
    let mut registries: BTreeMap<&RegistryHost, RegistryView<'_>> = BTreeMap::new();
    for (host, standing) in &survey.effective.standing {
        let entry = survey.effective.entries.get(host);
        registries.insert(
            host,
            RegistryView {
                standing,
                trust: entry.map(|entry| entry.trust.word()),
                declared_in: entry.map(|entry| entry.origin.to_string()),
                until: entry.and_then(|entry| entry.until),
                reason: entry.and_then(|entry| entry.reason.as_deref()),
                on: BTreeMap::new(),
                not_yet_on: Vec::new(),
            },
        );
    }
    for (item, state) in &survey.plan.items {
        if let Some(view) = registries.get_mut(&item.host) {
            view.on.insert(item.on.to_string(), *state);
            if survey.plan.pending.contains(item) {
                view.not_yet_on.push(item.on.to_string());
            }
        }
    }
    registries
}

fn runtimes(survey: &Survey) -> BTreeMap<&'static str, RuntimeView> {
    let observed = &survey.observed;
    let docker = observed.docker.as_ref().map(|docker| ("docker", docker.version));
    let containerd =
        observed.containerd.as_ref().map(|containerd| ("containerd", containerd.version));
    let view = |(name, version): (_, Option<crate::observed::Version>)| {
        (name, RuntimeView { version: version.map(|version| version.to_string()) })
    };
    docker.into_iter().chain(containerd).map(view).collect()
}

impl EditView {
    fn of(edit: &FileEdit) -> Self {
        let action = match (&edit.before, &edit.after) {
            (None, _) => "create",
            (Some(_), Some(_)) => "replace",
            (Some(_), None) => "remove",
        };
        Self {
            path: edit.path.to_string(),
            target: edit.target,
            action,
            mode: edit.mode.map(|mode| format!("{mode:04o}")),
            before_sha256: edit.before.as_ref().map(Content::digest),
            after_sha256: edit.after.as_ref().map(Content::digest),
            diff: diff::file(edit).into_iter().map(|line| line.text).collect(),
        }
    }
}
