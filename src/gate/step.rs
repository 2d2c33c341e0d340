//! The transitions.

use jiff::{SignedDuration, Timestamp};

use super::aftermath::{failed, restarting, rolling_back, soaking};
use super::release::{call_off, release, releasing, rest};
use super::wait::{Block, Gatekeeper, calls_off, in_the_way};
use super::{
    Act, Asked, End, Facts, Gate, Heard, HoldAnswer, LockAnswer, Look, OnDeadline, State, after,
};
use crate::jobs::Occupancy;
use crate::plan::work::IfDown;
use crate::trust::entry::Runtime;

/// How often a node is looked at while somebody works on it, at first and at last.
const LOOKS: [SignedDuration; 2] = [SignedDuration::from_secs(1), SignedDuration::from_secs(10)];
/// How often something is asked again that has not answered as it should.
const AGAIN: SignedDuration = SignedDuration::from_secs(5);
/// What was asked longer ago says nothing about now. A runtime that takes so long to tell who works on
/// it would otherwise be restarted under whoever has begun meanwhile.
const FRESH: SignedDuration = SignedDuration::from_secs(10);
/// How long it is looked again because something has begun during the last look.
const RESTLESS: SignedDuration = SignedDuration::from_secs(30);
/// After a lock that others have: short, for a slot may be free for a moment only.
const FIRST_QUEUE: i64 = 15;
const LAST_QUEUE: i64 = 300;

/// How the gate stands now, and what is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub gate: Gate,
    pub act: Option<Act>,
    /// Without an act: when to come again, unless something changes before.
    pub wake: Option<Timestamp>,
    /// Why nothing is done.
    pub block: Option<Block>,
}

/// One transition. `heard` is what the act of the last step brought.
///
/// Called again with [`Heard::Nothing`] it says the same act again, so one whose answer was lost in
/// a crash is asked for a second time: each of them may be.
pub fn step(gate: &Gate, heard: &Heard, facts: &Facts<'_>) -> Step {
    let mut gate = gate.clone();
    gate.forget_old(facts.now);
    match gate.state.clone() {
        State::Steady => steady(gate, facts),
        State::Waiting { free_since } => waiting(gate, heard, facts, free_since),
        State::Locking => locking(gate, heard, facts),
        State::Holding => holding(gate, heard, facts),
        State::Settling { since } => settling(gate, heard, facts, since),
        State::Restarting { before } => restarting(gate, heard, facts, before.as_ref()),
        State::RollingBack { .. } => rolling_back(gate, heard, facts),
        State::Soaking { since, end } => soaking(gate, heard, facts, (since, end)),
        State::Releasing { end } => releasing(gate, heard, facts, end),
        State::Failed { why, since, tries } => failed(gate, heard, facts, (why, since, tries)),
    }
}

pub(super) fn stay(gate: Gate, block: Option<Block>, wake: Option<Timestamp>) -> Step {
    Step { gate, act: None, wake, block }
}

pub(super) fn blocked(gate: Gate, block: Block) -> Step {
    let wake = block.until;
    stay(gate, Some(block), wake)
}

pub(super) fn act(gate: Gate, act: Act) -> Step {
    Step { gate, act: Some(act), wake: None, block: None }
}

/// The same, where it is asked a second time and not at once.
pub(super) fn again(gate: Gate, block: Block, facts: &Facts<'_>) -> Step {
    blocked(gate, block.until(after(facts.now, AGAIN)))
}

fn steady(mut gate: Gate, facts: &Facts<'_>) -> Step {
    match facts.need {
        None => {
            gate.needed = None;
            gate.rest_until = None;
            gate.called_off = 0;
            stay(gate, None, None)
        }
        Some(since) => {
            // The first of several changes that one restart loads: that one has waited longest.
            gate.needed = Some(gate.needed.unwrap_or(since).min(since));
            gate.state = State::Waiting { free_since: None };
            waiting(gate, &Heard::Nothing, facts, None)
        }
    }
}

fn waiting(
    mut gate: Gate,
    heard: &Heard,
    facts: &Facts<'_>,
    free_since: Option<Timestamp>,
) -> Step {
    let Some(need) = facts.need else {
        // Somebody else has restarted it, or what needed it has been withdrawn.
        gate.state = State::Steady;
        return steady(gate, facts);
    };
    gate.needed = Some(gate.needed.unwrap_or(need).min(need));
    if let (Asked::Now, None) = (facts.asked, facts.stop) {
        return match heard {
            Heard::Looked(look) => match look.fitness.fault(facts.asked) {
                Some(why) => call_off(gate, Block::new(Gatekeeper::Check, why), facts),
                None => restart(gate, look, facts),
            },
            _ => act(gate, Act::Look),
        };
    }
    if let Some(block) = in_the_way(&gate, facts) {
        // Nobody looks meanwhile, so nobody knows that it stays free.
        gate.state = State::Waiting { free_since: None };
        return blocked(gate, block);
    }
    let Heard::Looked(look) = heard else { return act(gate, Act::Look) };
    if let Some(block) = busy(&gate, &look.occupancy, facts) {
        gate.state = State::Waiting { free_since: None };
        return if drains(&gate, facts) {
            begin(gate, facts)
        } else {
            let next = next_look(gate.needed.unwrap_or(need), facts);
            blocked(gate, block.until(next))
        };
    }
    let since = free_since.unwrap_or(facts.now);
    let quiet = after(since, facts.rules.quiet_period);
    if facts.now < quiet {
        gate.state = State::Waiting { free_since: Some(since) };
        let words = "nobody works here; it waits whether that stays so";
        let next = quiet.min(next_look(since, facts));
        return blocked(gate, Block::new(Gatekeeper::Busy, words).until(next));
    }
    begin(gate, facts)
}

/// Who has waited for minutes can wait for seconds more, and who has only begun to wait is often let
/// in soon.
fn next_look(since: Timestamp, facts: &Facts<'_>) -> Timestamp {
    let [first, last] = LOOKS;
    after(facts.now, (facts.now.duration_since(since) / 4).clamp(first, last))
}

/// Why it is not free. Nobody knowing is no reason to begin, unless the administrator has said so
/// for this long a wait.
fn busy(gate: &Gate, occupancy: &Occupancy, facts: &Facts<'_>) -> Option<Block> {
    if occupancy.is_free() || forces(gate, facts) {
        return None;
    }
    let keeper =
        if occupancy.occupants.is_empty() { Gatekeeper::Unknown } else { Gatekeeper::Busy };
    Some(Block::new(keeper, occupancy.words()))
}

fn late(gate: &Gate, asked: Timestamp, facts: &Facts<'_>) -> Option<Block> {
    let took = facts.now.duration_since(asked);
    if took <= FRESH || forces(gate, facts) {
        return None;
    }
    let words = format!(
        "it took {} s to tell who works here, and somebody may have begun meanwhile",
        took.as_secs()
    );
    Some(Block::new(Gatekeeper::Unknown, words))
}

fn forces(gate: &Gate, facts: &Facts<'_>) -> bool {
    facts.rules.on_deadline == OnDeadline::Force
        && gate.is_overdue(facts.rules, facts.now)
        && (facts.runtime != Runtime::Docker || facts.rules.force_docker)
}

fn drains(gate: &Gate, facts: &Facts<'_>) -> bool {
    facts.rules.on_deadline == OnDeadline::Drain && gate.is_overdue(facts.rules, facts.now)
}

fn begin(mut gate: Gate, facts: &Facts<'_>) -> Step {
    if facts.has_lock {
        gate.state = State::Locking;
        gate.lock = true;
        return act(gate, Act::Lock);
    }
    hold(gate, facts)
}

fn hold(mut gate: Gate, facts: &Facts<'_>) -> Step {
    if facts.has_hold {
        gate.state = State::Holding;
        gate.hold = true;
        return act(gate, Act::Hold);
    }
    settle(gate, facts)
}

fn settle(mut gate: Gate, facts: &Facts<'_>) -> Step {
    gate.state = State::Settling { since: facts.now };
    act(gate, Act::Listen)
}

fn locking(mut gate: Gate, heard: &Heard, facts: &Facts<'_>) -> Step {
    // Asked again where no answer came: the lock of one node may be taken twice.
    let Heard::Locked(answer) = heard else {
        return match turn_is_over(facts) {
            Some(block) => call_off(gate, block, facts),
            None => act(gate, Act::Lock),
        };
    };
    match answer {
        LockAnswer::Granted => match turn_is_over(facts) {
            Some(block) => call_off(gate, block, facts),
            None => hold(gate, facts),
        },
        LockAnswer::Busy(holders) => {
            gate.lock = false;
            let words = format!("the fleet's lock is held by {holders}");
            queue(gate, Block::new(Gatekeeper::Lock, words), facts)
        }
        LockAnswer::Refused(why) => {
            gate.lock = false;
            gate.called_off = gate.called_off.max(8);
            let words = format!("the fleet's lock is not granted: {why}");
            queue(gate, Block::new(Gatekeeper::Lock, words), facts)
        }
        // It may have been granted, and the answer lost.
        LockAnswer::Unavailable(why) => {
            let words = format!("whether the fleet's lock is held is not known: {why}");
            gate.rest_until = Some(rest(&mut gate.called_off, facts, FIRST_QUEUE, LAST_QUEUE));
            release(gate, End::NotTried, Some(Block::new(Gatekeeper::Lock, words)))
        }
    }
}

/// Waits again, holding nothing, and comes back soon: jobs may begin meanwhile, so all is looked at
/// once more.
fn queue(mut gate: Gate, block: Block, facts: &Facts<'_>) -> Step {
    let until = rest(&mut gate.called_off, facts, FIRST_QUEUE, LAST_QUEUE);
    gate.rest_until = Some(until);
    gate.because = Some(block.words.clone());
    gate.state = State::Waiting { free_since: None };
    blocked(gate, block.until(until))
}

fn holding(mut gate: Gate, heard: &Heard, facts: &Facts<'_>) -> Step {
    if let Some(block) = turn_is_over(facts) {
        return call_off(gate, block, facts);
    }
    match heard {
        Heard::Held(HoldAnswer::Held) => settle(gate, facts),
        Heard::Held(HoldAnswer::Nothing) => {
            gate.hold = false;
            settle(gate, facts)
        }
        Heard::Held(HoldAnswer::Busy(why)) => {
            call_off(gate, Block::new(Gatekeeper::Hold, why), facts)
        }
        Heard::Held(HoldAnswer::Failed(why)) => {
            let words = format!("new work cannot be kept away: {why}");
            call_off(gate, Block::new(Gatekeeper::Hold, words), facts)
        }
        _ => act(gate, Act::Hold),
    }
}

fn settling(gate: Gate, heard: &Heard, facts: &Facts<'_>, since: Timestamp) -> Step {
    if let Some(block) = turn_is_over(facts) {
        return call_off(gate, block, facts);
    }
    let is_asked = facts.asked == Asked::Now;
    let ready = after(since, facts.rules.settle);
    let look = match heard {
        Heard::Looked(look) => look,
        Heard::Listens(Err(why)) if !is_asked => {
            let words = format!("work that begins cannot be heard: {why}");
            return call_off(gate, Block::new(Gatekeeper::Unknown, words), facts);
        }
        Heard::Stirred => return act(gate, Act::Look),
        _ if facts.now < ready && !is_asked => return stay(gate, None, Some(ready)),
        _ => return act(gate, Act::Look),
    };
    if let Some(answer) = &look.lock
        && *answer != LockAnswer::Granted
    {
        let words = "the fleet's lock was lost before the restart";
        return call_off(gate, Block::new(Gatekeeper::Lock, words), facts);
    }
    if let Some(why) = look.fitness.fault(facts.asked) {
        return call_off(gate, Block::new(Gatekeeper::Check, why), facts);
    }
    let block = busy(&gate, &look.occupancy, facts).or_else(|| late(&gate, look.since, facts));
    let Some(block) = block.filter(|_| !is_asked) else {
        return if is_asked || forces(&gate, facts) {
            restart(gate, look, facts)
        } else if facts.now < ready {
            stay(gate, None, Some(ready))
        } else if !look.is_stale {
            restart(gate, look, facts)
        } else if facts.now < after(ready, RESTLESS) {
            act(gate, Act::Look)
        } else {
            let words = "work begins here faster than it can be looked at";
            call_off(gate, Block::new(Gatekeeper::Busy, words), facts)
        };
    };
    if drains(&gate, facts) && facts.now < after(since, facts.rules.drain_timeout) {
        return blocked(gate, block.until(next_look(since, facts)));
    }
    call_off(gate, block, facts)
}

/// Why a turn that has begun must not go on.
fn turn_is_over(facts: &Facts<'_>) -> Option<Block> {
    if facts.need.is_none() {
        return Some(Block::new(Gatekeeper::Order, "nothing needs it any more"));
    }
    calls_off(facts)
}

/// The only way to a restart from which something could be interrupted.
fn restart(mut gate: Gate, look: &Look, facts: &Facts<'_>) -> Step {
    gate.state = State::Restarting { before: look.run.clone() };
    gate.ran.clone_from(&look.alive);
    gate.restarts.push(facts.now);
    act(gate, Act::Restart(IfDown::Leave))
}
