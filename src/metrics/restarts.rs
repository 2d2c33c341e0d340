//! Restarts that are needed or under way.

use super::{Family, Samples, gauge, runtime, sample};
use crate::gate::{Gatekeeper, State};
use crate::status::Restart;

pub(super) fn families(restarts: &[Restart]) -> Vec<(Family, Samples)> {
    let states = |restart: &Restart| -> Samples {
        let state = |word| {
            let labels = [("runtime", runtime(restart.runtime.into())), ("state", word)];
            sample(&labels, restart.state == word)
        };
        State::WORDS.map(state).to_vec()
    };
    let keepers = |restart: &Restart| -> Samples {
        let keeper = |word| {
            let labels = [("runtime", runtime(restart.runtime.into())), ("reason", word)];
            sample(&labels, restart.keeper == Some(word))
        };
        Gatekeeper::WORDS.map(keeper).to_vec()
    };
    let of = |restart: &Restart| [("runtime", runtime(restart.runtime.into()))];
    let since = |restart: &Restart| Some(sample(&of(restart), restart.since?.as_second()));
    let deadline = |restart: &Restart| Some(sample(&of(restart), restart.deadline?.as_second()));
    vec![
        (
            gauge("regtrust_restart_state", "1 for how the restart of a runtime stands."),
            restarts.iter().flat_map(states).collect(),
        ),
        (
            gauge("regtrust_restart_blocked", "1 for what a restart waits for."),
            restarts.iter().flat_map(keepers).collect(),
        ),
        (
            gauge("regtrust_restart_need_timestamp_seconds", "Since when a restart is needed."),
            restarts.iter().filter_map(since).collect(),
        ),
        (
            gauge("regtrust_restart_deadline_timestamp_seconds", "How long it may wait."),
            restarts.iter().filter_map(deadline).collect(),
        ),
        (
            gauge("regtrust_restart_overdue", "1 for a restart that waits past its deadline."),
            restarts.iter().map(|one| sample(&of(one), one.is_overdue)).collect(),
        ),
    ]
}
