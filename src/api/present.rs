//! How a node stands, in the words of the contract.

use std::collections::BTreeSet;

use jiff::Timestamp;

use self::registry::registry;
use super::v1;
use crate::agent::{Interruption, Performed};
use crate::content::Content;
use crate::generation::{Generation, Pin};
use crate::owners::OwnerName;
use crate::plan::change::FileEdit;
use crate::plan::diff;
use crate::plan::effect::{Due, Effect};
use crate::reconcile::Survey;
use crate::status::{self, NodeStatus, Registry};
use crate::target::{Conflict, Item, Note};
use crate::trust::entry::{Origin, Runtime};
use crate::trust::host::RegistryHost;
use crate::trust::problem::{Problem, Severity};

mod registry;

pub(super) fn node_status(status: &NodeStatus) -> v1::NodeStatus {
    v1::NodeStatus {
        sequence: status.sequence,
        at: Some(time(status.at)),
        summary: status.summary.clone(),
        phase: phase(status.phase).into(),
        generation: status.generation,
        registries: status.registries.iter().map(registry).collect(),
        due: status.due.iter().map(waiting).collect(),
        conflicts: status.conflicts.iter().map(conflict).collect(),
        problems: status.problems.iter().map(problem).collect(),
        runtimes: status.runtimes.iter().map(runtime_status).collect(),
        owners: status.owners.iter().map(owner).collect(),
        pin: status.pin.as_ref().map(pin),
        pause: status.pause.as_ref().map(pause),
        jobs: status.jobs.iter().map(job).collect(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        notes: status.notes.iter().map(note).collect(),
        drift: status.drift.iter().map(drift).collect(),
        restarts: status.restarts.iter().map(restart).collect(),
    }
}

fn note(note: &Note) -> v1::Note {
    v1::Note { message: note.message.clone(), hosts: hosts(&note.items) }
}

fn hosts(items: &BTreeSet<Item>) -> Vec<String> {
    let hosts: BTreeSet<_> = items.iter().map(|item| &item.host).collect();
    hosts.into_iter().map(ToString::to_string).collect()
}

fn drift(drift: &status::Drifted) -> v1::Drift {
    v1::Drift {
        path: drift.path.clone(),
        message: drift.message.clone(),
        repaired: drift.repaired,
        at: Some(time(drift.at)),
    }
}

fn phase(phase: status::Phase) -> v1::Phase {
    match phase {
        status::Phase::Settled => v1::Phase::Settled,
        status::Phase::Working => v1::Phase::Working,
        status::Phase::Pending => v1::Phase::Pending,
        status::Phase::Degraded => v1::Phase::Degraded,
    }
}

fn waiting(waiting: &status::Waiting) -> v1::Due {
    v1::Due { waiting_for: waiting.because.clone(), ..due(&waiting.due) }
}

pub(super) fn due(due: &Due) -> v1::Due {
    v1::Due {
        effect: effect(due.effect).into(),
        command: due.command.clone(),
        reasons: due.reasons.iter().cloned().collect(),
        cost: due.cost.to_owned(),
        waiting_for: due.withheld.unwrap_or_default().to_owned(),
    }
}

pub(super) fn effect(effect: Effect) -> v1::Effect {
    match effect {
        Effect::RunCaTool(_) => v1::Effect::RunCaTool,
        Effect::ReloadDocker => v1::Effect::ReloadDocker,
        Effect::RestartContainerd => v1::Effect::RestartContainerd,
        Effect::RestartDocker => v1::Effect::RestartDocker,
    }
}

pub(super) fn conflict(conflict: &Conflict) -> v1::Conflict {
    v1::Conflict {
        path: conflict.path.clone(),
        message: conflict.message.clone(),
        cure: conflict.cure.clone(),
        hosts: hosts(&conflict.items),
    }
}

pub(super) fn problem(problem: &Problem) -> v1::Problem {
    v1::Problem {
        location: problem.location.to_string(),
        host: problem.host.as_ref().map(ToString::to_string).unwrap_or_default(),
        field: problem.field.clone().unwrap_or_default(),
        message: problem.message.clone(),
        cure: problem.cure.clone().unwrap_or_default(),
        is_error: problem.severity == Severity::Error,
    }
}

fn runtime_status(state: &status::RuntimeState) -> v1::RuntimeStatus {
    use crate::observed::Running;
    let since = match state.running {
        Running::Since(since) => Some(time(since)),
        Running::No | Running::Unknown => None,
    };
    v1::RuntimeStatus {
        runtime: runtime(state.runtime),
        version: state.version.map(|version| version.to_string()).unwrap_or_default(),
        is_running: state.running != Running::No,
        since,
        trouble: state.trouble.clone().unwrap_or_default(),
    }
}

pub(super) fn runtime(runtime: Runtime) -> i32 {
    match runtime {
        Runtime::Docker => v1::Runtime::Docker.into(),
        Runtime::Containerd => v1::Runtime::Containerd.into(),
    }
}

fn owner(owner: &status::OwnerState) -> v1::OwnerStatus {
    v1::OwnerStatus {
        name: owner.name.clone(),
        revision: owner.revision,
        rank: u32::try_from(owner.rank).unwrap_or(u32::MAX),
        registries: u32::try_from(owner.registries).unwrap_or(u32::MAX),
        trial_ends: owner.trial_ends.map(time),
        on_trial: owner.on_trial,
    }
}

pub(super) fn pin(pin: &Pin) -> v1::Pin {
    v1::Pin {
        generation: pin.generation,
        until: Some(time(pin.until)),
        reason: pin.reason.clone().unwrap_or_default(),
    }
}

pub(super) fn pause(pause: &status::Pause) -> v1::PauseStatus {
    v1::PauseStatus {
        until: Some(time(pause.until)),
        reason: pause.reason.clone(),
        by: pause.by.clone(),
    }
}

fn restart(restart: &status::Restart) -> v1::RestartStatus {
    v1::RestartStatus {
        runtime: runtime(restart.runtime),
        state: restart.state.to_owned(),
        since: restart.since.map(time),
        deadline: restart.deadline.map(time),
        is_overdue: restart.is_overdue,
        keeper: restart.keeper.unwrap_or_default().to_owned(),
        because: restart.because.clone(),
    }
}

pub(super) fn interruption(interruption: &Interruption) -> v1::Interruption {
    v1::Interruption {
        effect: effect(interruption.effect).into(),
        message: interruption.words.clone(),
    }
}

fn job(job: &status::Job) -> v1::JobStatus {
    v1::JobStatus { name: job.name.clone(), by: job.by.clone(), since: Some(time(job.since)) }
}

pub(super) fn time(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }
}

pub(super) fn generation(generation: &Generation, in_force: u64) -> v1::Generation {
    v1::Generation {
        number: generation.number,
        at: Some(time(generation.at)),
        summary: generation.summary.line(),
        in_force: generation.number == in_force,
    }
}

/// A plan, as `Apply` would run it.
pub(super) fn plan(survey: &Survey, status: &NodeStatus) -> v1::PlanResponse {
    let plan = &survey.plan;
    let lines: Vec<String> = diff::lines(&plan.changes).into_iter().map(|line| line.text).collect();
    v1::PlanResponse {
        edits: plan.changes.edits().map(edit).collect(),
        due: plan.due.iter().map(due).collect(),
        conflicts: plan.conflicts.iter().map(conflict).collect(),
        notes: plan.notes.iter().map(|note| note.message.clone()).collect(),
        registries: status.registries.iter().map(registry).collect(),
        problems: survey.sources.problems().map(problem).collect(),
        text: lines.join("\n"),
    }
}

fn edit(edit: &FileEdit) -> v1::FileEdit {
    use v1::file_edit::Change;
    let change = match (&edit.before, &edit.after) {
        (None, _) => Change::Create,
        (Some(_), Some(_)) => Change::Modify,
        (Some(_), None) => Change::Remove,
    };
    let is_secret = |side: &Option<Content>| side.as_ref().is_some_and(Content::is_secret);
    let lines = diff::file(edit).into_iter().map(|line| line.text);
    let diff = if is_secret(&edit.before) || is_secret(&edit.after) {
        String::new()
    } else {
        lines.collect::<Vec<_>>().join("\n")
    };
    v1::FileEdit { path: edit.path.to_string(), change: change.into(), diff }
}

/// The answer to an apply: the caller's registries in its order, and what concerns them.
pub(super) fn applied(
    status: &NodeStatus,
    owner: &OwnerName,
    hosts: &[RegistryHost],
    warnings: &[Problem],
) -> v1::ApplyResponse {
    let own = status.owners.iter().find(|state| state.name == owner.as_str());
    let concerns = |conflict: &&Conflict| {
        conflict.items.is_empty() || conflict.items.iter().any(|item| hosts.contains(&item.host))
    };
    v1::ApplyResponse {
        revision: own.map_or(0, |own| own.revision),
        generation: status.generation,
        registries: hosts.iter().map(|host| of_owner(status, host, owner)).collect(),
        due: status.due.iter().map(waiting).collect(),
        conflicts: status.conflicts.iter().filter(concerns).map(conflict).collect(),
        warnings: warnings.iter().map(problem).collect(),
    }
}

/// How a registry stands for one that wants it: perhaps somebody else has it.
fn of_owner(status: &NodeStatus, host: &RegistryHost, owner: &OwnerName) -> v1::RegistryStatus {
    let Some(found) = status.registry(host) else {
        return v1::RegistryStatus { host: host.to_string(), ..v1::RegistryStatus::default() };
    };
    let mut answer = registry(found);
    if let Some(winner) = found.owner.as_ref().filter(|winner| *winner != owner.as_str()) {
        answer.standing = v1::Standing::Overruled.into();
        answer.because = format!("`{winner}` declares it too, and comes first on this node");
    }
    answer
}

pub(super) fn checked(status: &NodeStatus, hosts: &BTreeSet<RegistryHost>) -> v1::CheckResponse {
    let is_meant = |one: &&Registry| hosts.is_empty() || hosts.contains(&one.host);
    let registries = status.registries.iter().filter(is_meant).map(registry).collect();
    v1::CheckResponse { registries }
}

pub(super) fn rolled_back(status: &NodeStatus) -> v1::RollbackResponse {
    v1::RollbackResponse {
        generation: status.generation,
        pin: status.pin.as_ref().map(pin),
        due: status.due.iter().map(waiting).collect(),
    }
}

pub(super) fn performed(performed: &Performed) -> v1::Performed {
    v1::Performed {
        effect: effect(performed.effect).into(),
        succeeded: performed.succeeded,
        message: performed.message.clone(),
    }
}

pub(super) fn explained(
    survey: &Survey,
    status: &NodeStatus,
    host: &RegistryHost,
) -> v1::ExplainResponse {
    let plan = &survey.plan;
    let is_about = |items: &BTreeSet<Item>| items.iter().any(|item| item.host == *host);
    let conflicts = plan.conflicts.iter().filter(|one| is_about(&one.items));
    let notes = plan.notes.iter().filter(|note| is_about(&note.items));
    let about = status.due.iter().filter(|one| is_about(&one.due.items));
    v1::ExplainResponse {
        declarations: declarations(survey, host),
        status: status.registry(host).map(registry),
        files: survey.files_of(host),
        due: about.map(waiting).collect(),
        conflicts: conflicts.map(conflict).collect(),
        notes: notes.map(|note| note.message.clone()).collect(),
    }
}

fn declarations(survey: &Survey, host: &RegistryHost) -> Vec<v1::Declaration> {
    let desired = &survey.sources.desired;
    let declared = |origin: &Origin, wins| v1::Declaration {
        owner: origin.owner.to_string(),
        location: origin.to_string(),
        wins,
    };
    let entry = desired.entries.get(host).map(|entry| &entry.origin);
    let winner = entry.or_else(|| desired.unusable.get(host).map(|unusable| &unusable.origin));
    let losers = desired.losers.get(host).into_iter().flatten().rev();
    let winner = winner.map(|origin| declared(origin, true));
    winner.into_iter().chain(losers.map(|origin| declared(origin, false))).collect()
}
