//! Everything that is held is given back, and the others come first for a while.

use jiff::{SignedDuration, Timestamp};

use super::step::{Step, act, again, stay};
use super::wait::{Block, Gatekeeper};
use super::{Act, End, Facts, Gate, Heard, State, after};

/// After a turn that a job or a hook called off: it has taken the others' turn, or sent the node's
/// runners away for nothing, and neither is to be repeated soon.
const FIRST_REST: i64 = 300;
const LAST_REST: i64 = 1200;
/// The same where no other node waits and nobody was kept away. It has cost only a look, but work
/// that begins again and again is not to be looked at without end.
const FIRST_PAUSE: i64 = 5;
const LAST_PAUSE: i64 = 300;

pub(super) fn call_off(mut gate: Gate, block: Block, facts: &Facts<'_>) -> Step {
    let is_felt = gate.lock || gate.hold;
    let (first, last) = if is_felt { (FIRST_REST, LAST_REST) } else { (FIRST_PAUSE, LAST_PAUSE) };
    gate.rest_until = Some(rest(&mut gate.called_off, facts, first, last));
    release(gate, End::NotTried, Some(block))
}

pub(super) fn release(mut gate: Gate, end: End, block: Option<Block>) -> Step {
    gate.state = State::Releasing { end };
    gate.because = block.as_ref().map(|block| block.words.clone());
    if end == End::Succeeded {
        gate.called_off = 0;
        gate.rest_until = None;
    }
    let mut step = give_back(gate, end);
    step.block = step.block.or(block);
    step
}

/// New work first: a node whose lock is free and that still takes none would be forgotten so.
fn give_back(mut gate: Gate, end: End) -> Step {
    gate.ran = None;
    if gate.hold {
        return act(gate, Act::Unhold);
    }
    if gate.lock {
        return act(gate, Act::Unlock(end));
    }
    // Whether it is still needed is seen in the next round.
    gate.state = State::Steady;
    gate.needed = gate.needed.filter(|_| end == End::NotTried);
    stay(gate, None, Some(Timestamp::MIN))
}

pub(super) fn releasing(mut gate: Gate, heard: &Heard, facts: &Facts<'_>, end: End) -> Step {
    match heard {
        Heard::Unheld(Ok(())) => gate.hold = false,
        Heard::Unlocked(Ok(())) => gate.lock = false,
        Heard::Unheld(Err(why)) => {
            let words = format!("new work cannot be let in again: {why}");
            return again(gate, Block::new(Gatekeeper::Hold, words), facts);
        }
        Heard::Unlocked(Err(why)) => {
            let words = format!("the fleet's lock cannot be given back: {why}");
            return again(gate, Block::new(Gatekeeper::Lock, words), facts);
        }
        _ => {}
    }
    give_back(gate, end)
}

/// Until when the others come first: twice as long each time, and a different part of it for each
/// node, so that those who were turned away together do not come back together.
pub(super) fn rest(called_off: &mut u32, facts: &Facts<'_>, first: i64, last: i64) -> Timestamp {
    let seconds = doubled(*called_off, first, last);
    *called_off = called_off.saturating_add(1);
    let quarter = u64::try_from(seconds / 4).unwrap_or_default().max(1);
    let own = i64::try_from(facts.seed % quarter).unwrap_or_default();
    after(facts.now, SignedDuration::from_secs(seconds.saturating_add(own)))
}

pub(super) fn doubled(times: u32, first: i64, last: i64) -> i64 {
    first.checked_shl(times.min(16)).unwrap_or(last).clamp(first, last)
}
