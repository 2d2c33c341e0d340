//! The sentence that an operator reads first.

use super::{NodeStatus, Phase, Progress, State};
use crate::target::Conflict;
use crate::trust::effective::Standing;

pub(super) fn phase(status: &NodeStatus, progress: &Progress) -> Phase {
    let needs_somebody = !progress.trouble.is_empty()
        || status.restarts.iter().any(|restart| restart.is_overdue)
        || !progress.lost.is_empty()
        || !status.conflicts.is_empty()
        || status.errors() > 0
        || items(status).any(|state| matches!(state, State::Rejected(_)));
    if progress.failure.is_some() {
        return Phase::Degraded;
    }
    // Working comes first: whoever waits for a change to be done with would otherwise take the
    // conflict of somebody else's registry for the end of it. The sentence still says it.
    match (progress.working, needs_somebody, status.due.is_empty()) {
        (true, _, _) => Phase::Working,
        (false, true, _) => Phase::Degraded,
        (false, false, false) => Phase::Pending,
        (false, false, true) => Phase::Settled,
    }
}

fn items(status: &NodeStatus) -> impl Iterator<Item = &State> {
    status.registries.iter().flat_map(|registry| &registry.items).map(|item| &item.state)
}

/// The worst first, for only the first is sure to be read.
pub(super) fn summary(status: &NodeStatus, progress: &Progress) -> String {
    if let Some(failure) = &progress.failure {
        return format!("nothing can be changed: {failure}");
    }
    let (in_force, waiting) = counts(status);
    let mut parts = Vec::new();
    let rejected = items(status).filter(|state| matches!(state, State::Rejected(_))).count();
    if rejected > 0 {
        parts.push(format!("{} taken back, a runtime did not take it", things(rejected, "item")));
    }
    if let Some((effect, trouble)) = progress.trouble.iter().next() {
        parts.push(format!("could not {effect}: {trouble}"));
    }
    parts.extend(progress.lost.iter().map(|(runtime, lost)| lost.words(*runtime)));
    if !status.conflicts.is_empty() {
        parts.push(format!("{} in the way", things(status.conflicts.len(), "conflict")));
    }
    if status.errors() > 0 {
        parts.push(format!("{} in declarations or policy", things(status.errors(), "error")));
    }
    parts.push(match (in_force, waiting) {
        (0, 0) => "no registry is declared".to_owned(),
        (all, 0) => format!("{} in force", registries(all)),
        (0, waiting) => format!("{} waiting", registries(waiting)),
        (all, waiting) => format!("{} in force, {waiting} waiting", registries(all)),
    });
    let mut overdue = status.restarts.iter().filter(|restart| restart.is_overdue);
    if let Some((restart, deadline)) = overdue.find_map(|one| Some((one, one.deadline?))) {
        let deadline = deadline.strftime("%Y-%m-%d %H:%M UTC");
        parts.push(format!("the restart of {} is overdue since {deadline}", restart.runtime));
    }
    if let Some(waiting) = status.due.first() {
        parts.push(format!("{} is due: {}", waiting.due.effect, waiting.because));
    }
    if let Some(pin) = &status.pin {
        parts.push(format!("pinned to generation {}", pin.generation));
    }
    parts.join("; ")
}

/// Registries of which everything is in force, and those of which something waits.
fn counts(status: &NodeStatus) -> (usize, usize) {
    let is_wanted = |standing: &Standing| {
        matches!(standing, Standing::Declared | Standing::Held(_) | Standing::Pinned(_))
    };
    let wanted = status.registries.iter().filter(|registry| is_wanted(&registry.standing));
    let (waiting, rest): (Vec<_>, Vec<_>) = wanted.partition(|registry| registry.is_waiting());
    let is_in_force = |state: &State| *state == State::InForce;
    let in_force = rest
        .iter()
        .filter(|registry| registry.items.iter().any(|item| is_in_force(&item.state)))
        .count();
    (in_force, waiting.len())
}

fn registries(count: usize) -> String {
    if count == 1 { "1 registry".to_owned() } else { format!("{count} registries") }
}

fn things(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

pub(super) fn conflict(conflict: &Conflict) -> String {
    format!("{}: {} ({})", conflict.path, conflict.message, conflict.cure)
}
