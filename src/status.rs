//! How a node stands, as everybody is told it. Pure: made from what a run saw and decided, what is
//! being done about it, and what the runtimes have answered.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::gate::Lost;
use crate::generation::Pin;
use crate::observed::{Observed, Running, Version};
use crate::owners::{OwnerName, Owners};
use crate::plan::ItemState;
use crate::plan::effect::{Due, Effect};
use crate::reconcile::Survey;
use crate::target::{Conflict, Item, Note};
use crate::trust::certificate::CaBundle;
use crate::trust::effective::Standing;
use crate::trust::entry::{Entry, Runtime, Trust};
use crate::trust::host::RegistryHost;
use crate::trust::problem::{Problem, Severity};
use crate::verify::Proof;

mod restarts;
mod words;

#[cfg(test)]
mod tests;

pub use restarts::{Job, Pause, Restart};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Phase {
    /// Everything that is wanted and possible is in force.
    Settled,
    /// Something is being written or brought into force.
    #[default]
    Working,
    /// On disk; a reload or a restart waits for its moment.
    Pending,
    /// Somebody must look.
    Degraded,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeStatus {
    /// Grows with every change of anything below.
    pub sequence: u64,
    pub at: Timestamp,
    pub phase: Phase,
    /// One sentence: what an operator wants to know first.
    pub summary: String,
    pub generation: u64,
    /// In the order of their hosts.
    pub registries: Vec<Registry>,
    pub due: Vec<Waiting>,
    pub conflicts: Vec<Conflict>,
    pub problems: Vec<Problem>,
    pub notes: Vec<Note>,
    pub drift: Vec<Drifted>,
    pub runtimes: Vec<RuntimeState>,
    pub owners: Vec<OwnerState>,
    pub pin: Option<Pin>,
    pub pause: Option<Pause>,
    pub jobs: Vec<Job>,
    pub restarts: Vec<Restart>,
    pub tally: Tally,
}

/// What has happened since the daemon started. Only ever grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub effects: BTreeMap<(Effect, Ended), u64>,
    /// Files written or removed.
    pub files: u64,
    /// What others had changed and was put right.
    pub repairs: u64,
    /// Runs in which nothing could be changed.
    pub failed_runs: u64,
}

/// How an effect ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ended {
    Done,
    Failed,
    /// It could not be tried: no bus, still starting, shutting down.
    Impossible,
}

impl Ended {
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Impossible => "impossible",
        }
    }
}

impl Tally {
    pub fn run(&mut self, survey: &Survey) {
        let plan = &survey.plan;
        let repairs = plan.drift.iter().filter(|drift| drift.repaired).count();
        self.files = self.files.saturating_add(plan.changes.edits().count() as u64);
        self.repairs = self.repairs.saturating_add(repairs as u64);
    }

    pub fn failed_run(&mut self) {
        self.failed_runs = self.failed_runs.saturating_add(1);
    }

    pub fn effect(&mut self, effect: Effect, ended: Ended) {
        let times = self.effects.entry((effect, ended)).or_default();
        *times = times.saturating_add(1);
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Registry {
    pub host: RegistryHost,
    pub standing: Standing,
    /// Of the entry that is in force; `None`: none is.
    pub owner: Option<String>,
    pub trust: Option<&'static str>,
    pub until: Option<Timestamp>,
    pub reason: Option<String>,
    /// When the first certificate of its CA ends, or of the CA of one of its mirrors.
    pub ca_ends: Option<Timestamp>,
    /// When the certificate ends that the runtimes show to it.
    pub client_ends: Option<Timestamp>,
    pub items: Vec<ItemStatus>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ItemStatus {
    pub item: Item,
    pub state: State,
    pub proof: Option<Proof>,
}

/// Each with why, where that is a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    InForce,
    Waiting(String),
    Blocked(String),
    Inexpressible(String),
    Rejected(String),
}

/// An effect that is due, and why it has not been done yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub due: Due,
    pub because: String,
}

/// What somebody else did to a file of ours, and when that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drifted {
    pub path: String,
    pub message: String,
    pub repaired: bool,
    pub at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeState {
    pub runtime: Runtime,
    pub version: Option<Version>,
    pub running: Running,
    /// What went wrong when it was last reloaded or restarted.
    pub trouble: Option<String>,
    /// What its last restart has cost.
    pub lost: Option<Lost>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerState {
    pub name: String,
    pub revision: u64,
    pub rank: usize,
    pub registries: usize,
    pub on_trial: bool,
    pub trial_ends: Option<Timestamp>,
}

/// What is being done, beside what the survey decided.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Why each effect has not been done yet.
    pub waiting: BTreeMap<Effect, String>,
    pub working: bool,
    pub trouble: BTreeMap<Effect, String>,
    pub proofs: BTreeMap<Item, Proof>,
    pub pause: Option<Pause>,
    pub jobs: Vec<Job>,
    pub restarts: Vec<Restart>,
    /// What restarts have cost.
    pub lost: BTreeMap<Runtime, Lost>,
    pub tally: Tally,
    /// Newest first.
    pub drift: Vec<Drifted>,
    /// The node could not be looked at or written.
    pub failure: Option<String>,
}

impl NodeStatus {
    /// What a run saw and decided, while nothing is being done about it.
    pub fn of(survey: &Survey, owners: &Owners, now: Timestamp) -> Self {
        let plan = &survey.plan;
        Self {
            at: now,
            generation: plan.ledger.generation,
            registries: registries(survey),
            due: plan
                .due
                .iter()
                .map(|due| Waiting { due: due.clone(), because: String::new() })
                .collect(),
            conflicts: plan.conflicts.clone(),
            problems: survey.sources.problems().cloned().collect(),
            notes: plan.notes.clone(),
            runtimes: runtimes(&survey.observed),
            owners: owner_states(survey, owners),
            pin: survey.pin.clone(),
            ..Self::default()
        }
    }

    /// The same node with what is being done now.
    #[must_use]
    pub fn with(&self, progress: &Progress) -> Self {
        let mut status = self.clone();
        for waiting in &mut status.due {
            waiting.because = because(&waiting.due, progress);
        }
        for item in status.registries.iter_mut().flat_map(|registry| &mut registry.items) {
            item.proof = progress.proofs.get(&item.item).cloned();
        }
        for runtime in &mut status.runtimes {
            runtime.lost = progress.lost.get(&runtime.runtime).cloned();
            let lost = || Some(runtime.lost.as_ref()?.words(runtime.runtime));
            runtime.trouble = trouble(runtime.runtime, progress).or_else(lost);
        }
        status.pause.clone_from(&progress.pause);
        status.jobs.clone_from(&progress.jobs);
        status.restarts.clone_from(&progress.restarts);
        status.tally.clone_from(&progress.tally);
        status.drift.clone_from(&progress.drift);
        status.judge(progress);
        status
    }

    fn judge(&mut self, progress: &Progress) {
        self.phase = words::phase(self, progress);
        self.summary = words::summary(self, progress);
    }

    pub fn registry(&self, host: &RegistryHost) -> Option<&Registry> {
        let at = self.registries.binary_search_by(|registry| registry.host.cmp(host)).ok()?;
        self.registries.get(at)
    }

    pub fn errors(&self) -> usize {
        self.problems.iter().filter(|problem| problem.severity == Severity::Error).count()
    }
}

impl Registry {
    pub fn is_waiting(&self) -> bool {
        self.items.iter().any(|item| matches!(item.state, State::Waiting(_)))
    }
}

fn registries(survey: &Survey) -> Vec<Registry> {
    let mut items: BTreeMap<&RegistryHost, Vec<ItemStatus>> = BTreeMap::new();
    for (item, state) in &survey.plan.items {
        let status =
            ItemStatus { item: item.clone(), state: state_of(item, *state, survey), proof: None };
        items.entry(&item.host).or_default().push(status);
    }
    let registry = |(host, standing): (&RegistryHost, &Standing)| {
        let entry = survey.effective.entries.get(host);
        Registry {
            host: host.clone(),
            standing: standing.clone(),
            owner: entry.map(|entry| entry.origin.owner.to_string()),
            trust: entry.map(|entry| entry.trust.word()),
            until: entry.and_then(|entry| entry.until),
            reason: entry.and_then(|entry| entry.reason.clone()),
            ca_ends: entry.and_then(|entry| ca_ends(entry)),
            client_ends: entry.and_then(|entry| Some(entry.client.as_ref()?.not_after)),
            items: items.remove(host).unwrap_or_default(),
        }
    };
    survey.effective.standing.iter().map(registry).collect()
}

fn ca_ends(entry: &Entry) -> Option<Timestamp> {
    let mirrors = entry.mirrors.iter().map(|mirror| &mirror.trust);
    let bundles = std::iter::once(&entry.trust).chain(mirrors).filter_map(Trust::ca);
    let certificates = bundles.flat_map(CaBundle::certificates);
    certificates.map(|certificate| certificate.not_after).min()
}

fn state_of(item: &Item, state: ItemState, survey: &Survey) -> State {
    let plan = &survey.plan;
    let note = || {
        let about = plan.notes.iter().filter(|note| note.items.contains(item));
        about.map(|note| note.message.clone()).next_back().unwrap_or_default()
    };
    match state {
        ItemState::Inexpressible => State::Inexpressible(note()),
        ItemState::Rejected => State::Rejected(rejection(item, survey)),
        ItemState::Blocked => {
            let conflict = plan.conflicts.iter().find(|one| one.items.contains(item));
            State::Blocked(conflict.map(words::conflict).unwrap_or_default())
        }
        ItemState::Written => match plan.due.iter().find(|due| due.items.contains(item)) {
            None => State::InForce,
            Some(due) => State::Waiting(format!("to {}", due.effect)),
        },
    }
}

fn rejection(item: &Item, survey: &Survey) -> String {
    let rejected = survey.plan.ledger.rejected.iter().find(|one| one.item == *item);
    rejected.map(|one| one.why.clone()).unwrap_or_default()
}

fn because(due: &Due, progress: &Progress) -> String {
    let doing = progress.waiting.get(&due.effect).map(String::as_str);
    due.withheld.or(doing).unwrap_or("it is next").to_owned()
}

fn runtimes(observed: &Observed) -> Vec<RuntimeState> {
    let state = |runtime, version, running| RuntimeState {
        runtime,
        version,
        running,
        trouble: None,
        lost: None,
    };
    let docker = observed.docker.as_ref();
    let docker = docker.map(|one| state(Runtime::Docker, one.version, one.running));
    let containerd = observed.containerd.as_ref();
    let containerd = containerd.map(|one| state(Runtime::Containerd, one.version, one.running));
    docker.into_iter().chain(containerd).collect()
}

fn trouble(runtime: Runtime, progress: &Progress) -> Option<String> {
    let effects: &[Effect] = match runtime {
        Runtime::Docker => &[Effect::ReloadDocker, Effect::RestartDocker],
        Runtime::Containerd => &[Effect::RestartContainerd],
    };
    effects.iter().find_map(|effect| progress.trouble.get(effect)).cloned()
}

fn owner_states(survey: &Survey, owners: &Owners) -> Vec<OwnerState> {
    let local = OwnerName::local();
    let known = owners.iter().map(|owner| &owner.name).filter(|name| **name != local);
    let names: BTreeSet<_> = known.chain(survey.pushed.sets.keys()).collect();
    let state = |name| {
        let set = survey.pushed.sets.get(name);
        let trial = set.and_then(|set| set.trial.as_ref());
        OwnerState {
            name: name.to_string(),
            revision: set.map_or(0, |set| set.revision),
            // One that is declared no more comes after all.
            rank: owners.rank(name).map_or(usize::MAX, |rank| rank + 1),
            registries: set.map_or(0, |set| set.entries.len()),
            on_trial: trial.is_some(),
            trial_ends: trial.and_then(crate::pushed::Trial::ends),
        }
    };
    let mut states: Vec<OwnerState> = names.into_iter().map(state).collect();
    states.sort_by_key(|state| state.rank);
    states
}
