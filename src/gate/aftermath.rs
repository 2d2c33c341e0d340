//! From the order to restart to a runtime that is believed, or given up.

use jiff::{SignedDuration, Timestamp};

use super::alive::told;
use super::release::{doubled, release, rest};
use super::step::{Step, act, again, blocked, stay};
use super::wait::{Block, Gatekeeper};
use super::{Act, Alive, Asked, End, Facts, Gate, Heard, Lost, RestartEnd, State, Unit, after};
use crate::plan::work::IfDown;

/// A restart that could not be begun, and a runtime that cannot be started, are tried again.
const FIRST_RETRY: i64 = 5;
const LAST_RETRY: i64 = 600;
/// After one that went wrong with nothing that could be taken back.
const FIRST_REST: i64 = 300;
const LAST_REST: i64 = 1200;

pub(super) fn restarting(
    mut gate: Gate,
    heard: &Heard,
    facts: &Facts<'_>,
    before: Option<&String>,
) -> Step {
    match heard {
        Heard::Restarted(end) => restarted(gate, end, facts),
        // After a crash: whether the order was given is seen by the number of the run.
        Heard::Examined(Unit::Runs(now)) if Some(now) != before => {
            soak(gate, End::Succeeded, facts)
        }
        Heard::Examined(Unit::Runs(_)) => {
            gate.restarts.pop();
            release(gate, End::NotTried, None)
        }
        Heard::Examined(Unit::Stopped) => release(gate, End::NotTried, None),
        Heard::Examined(Unit::Down(why)) => fail(gate, why, 0, facts),
        Heard::Examined(Unit::Changing(why)) => again(gate, changing(why), facts),
        _ => act(gate, Act::Examine),
    }
}

fn restarted(mut gate: Gate, end: &RestartEnd, facts: &Facts<'_>) -> Step {
    match end {
        RestartEnd::Done => soak(gate, End::Succeeded, facts),
        RestartEnd::NotBegun(why) => {
            gate.restarts.pop();
            gate.rest_until = Some(rest(&mut gate.called_off, facts, FIRST_RETRY, LAST_RETRY));
            release(gate, End::NotTried, Some(Block::new(Gatekeeper::Order, why)))
        }
        RestartEnd::Failed { why, healthy, withdrawn: true } => {
            gate.state = State::RollingBack { why: why.clone() };
            match (healthy, facts.need) {
                (false, _) => order(gate, IfDown::Revive, facts),
                (true, Some(_)) => order(gate, IfDown::Leave, facts),
                // What was taken back is read without a restart.
                (true, None) => release(gate, End::Failed, None),
            }
        }
        RestartEnd::Failed { healthy: true, .. } => {
            gate.rest_until = Some(rest(&mut gate.called_off, facts, FIRST_REST, LAST_REST));
            release(gate, End::Failed, None)
        }
        RestartEnd::Failed { why, .. } => fail(gate, why, 0, facts),
    }
}

/// Under the same lock and the same hold, and through no gate: the work here has been interrupted
/// already, and waiting would only make it longer.
pub(super) fn rolling_back(gate: Gate, heard: &Heard, facts: &Facts<'_>) -> Step {
    match heard {
        Heard::Restarted(RestartEnd::Done) => soak(gate, End::Failed, facts),
        Heard::Restarted(RestartEnd::Failed { why, healthy: false, .. }) => {
            fail(gate, why, 0, facts)
        }
        // After a crash. Whether the order was given does not matter: it is there to be seen.
        Heard::Examined(Unit::Runs(_)) if facts.need.is_some() => order(gate, IfDown::Leave, facts),
        Heard::Restarted(_) | Heard::Examined(Unit::Runs(_) | Unit::Stopped) => {
            release(gate, End::Failed, None)
        }
        Heard::Examined(Unit::Down(_)) => order(gate, IfDown::Revive, facts),
        Heard::Examined(Unit::Changing(why)) => again(gate, changing(why), facts),
        _ => act(gate, Act::Examine),
    }
}

fn soak(mut gate: Gate, end: End, facts: &Facts<'_>) -> Step {
    gate.state = State::Soaking { since: facts.now, end };
    soaking(gate, &Heard::Nothing, facts, (facts.now, end))
}

pub(super) fn soaking(
    gate: Gate,
    heard: &Heard,
    facts: &Facts<'_>,
    (since, end): (Timestamp, End),
) -> Step {
    let enough = after(since, facts.rules.soak);
    match heard {
        Heard::Examined(Unit::Runs(_)) if gate.ran.is_some() => act(gate, Act::Count),
        Heard::Counted(counted) => count(gate, counted, facts, (since, end)),
        // Whoever stops it means it, and it is theirs then.
        Heard::Examined(Unit::Runs(_) | Unit::Stopped) => release(gate, end, None),
        Heard::Examined(Unit::Down(why)) => fail(gate, why, 0, facts),
        Heard::Examined(Unit::Changing(why)) => again(gate, changing(why), facts),
        _ if facts.now < enough => stay(gate, None, Some(enough)),
        _ => act(gate, Act::Examine),
    }
}

/// Whether all that ran before runs again.
///
/// What a restart has cost is not brought back by another one, so nothing is taken back; but it
/// counts as failed, because under the fleet's lock the next node would pay the same.
fn count(
    mut gate: Gate,
    counted: &Result<Alive, String>,
    facts: &Facts<'_>,
    (since, end): (Timestamp, End),
) -> Step {
    let Some(before) = &gate.ran else { return release(gate, end, None) };
    let lost = match counted {
        Ok(now) => before.lost(now, since),
        Err(why) => vec![format!("what runs is not known: {why}")],
    };
    if lost.is_empty() {
        gate.lost = None;
        return release(gate, end, None);
    }
    let patience = facts.rules.soak.saturating_add(facts.rules.recovery);
    if facts.now < after(since, patience) {
        let words = format!("it waits for all to run again that ran before: {}", told(&lost));
        return again(gate, Block::new(Gatekeeper::Order, words), facts);
    }
    gate.lost = Some(Lost { at: since, what: lost });
    release(gate, End::Failed, None)
}

fn fail(mut gate: Gate, why: &str, tries: u32, facts: &Facts<'_>) -> Step {
    gate.state = State::Failed { why: why.to_owned(), since: facts.now, tries };
    let words = format!("it does not run: {why}");
    let next = after(facts.now, SignedDuration::from_secs(doubled(tries, FIRST_RETRY, LAST_RETRY)));
    blocked(gate, Block::new(Gatekeeper::Order, words).until(next))
}

pub(super) fn failed(
    gate: Gate,
    heard: &Heard,
    facts: &Facts<'_>,
    (why, since, tries): (String, Timestamp, u32),
) -> Step {
    let next = after(since, SignedDuration::from_secs(doubled(tries, FIRST_RETRY, LAST_RETRY)));
    let more = tries.saturating_add(1);
    match heard {
        Heard::Restarted(RestartEnd::Done) => soak(gate, End::Failed, facts),
        Heard::Restarted(RestartEnd::Failed { why, healthy: false, .. }) => {
            fail(gate, why, more, facts)
        }
        Heard::Restarted(RestartEnd::NotBegun(_)) => fail(gate, &why, more, facts),
        // Somebody has helped it up, or stopped it.
        Heard::Restarted(_) | Heard::Examined(Unit::Runs(_) | Unit::Stopped) => {
            release(gate, End::Failed, None)
        }
        Heard::Examined(Unit::Down(_)) => order(gate, IfDown::Revive, facts),
        Heard::Examined(Unit::Changing(why)) => again(gate, changing(why), facts),
        _ if facts.now < next && facts.asked == Asked::No => {
            let words = format!("it does not run: {why}");
            blocked(gate, Block::new(Gatekeeper::Order, words).until(next))
        }
        _ => act(gate, Act::Examine),
    }
}

fn changing(why: &str) -> Block {
    Block::new(Gatekeeper::Order, why)
}

/// An order that interrupts nothing that was not interrupted before.
fn order(mut gate: Gate, if_down: IfDown, facts: &Facts<'_>) -> Step {
    gate.restarts.push(facts.now);
    act(gate, Act::Restart(if_down))
}
