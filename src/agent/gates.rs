//! The gates of this node's runtimes: what each is told, what it wants done, and what everybody is
//! told about it. Deciding is `gate`'s alone.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;

use super::run::Agent;
use crate::blocking::blocking;
use crate::gate::{Act, Asked, Block, Door, Facts, Gate, Gatekeeper, Heard, State, Step, step};
use crate::node::root::NodeRoot;
use crate::plan::effect::Effect;
use crate::reconcile;
use crate::runtime::changes::{Calm, Changes};
use crate::state;
use crate::trust::entry::Runtime;
use crate::window::Opening;

mod acts;
mod answers;
mod told;

/// How much of a window has to be left: a restart, until the runtime has proved that it works, with
/// the five minutes that docker's start may take.
const ROOM: SignedDuration = SignedDuration::from_mins(10);

/// What could not be written down is tried again.
const ONCE_MORE: SignedDuration = SignedDuration::from_secs(30);

/// Transitions at one moment. There are never as many in a row without an act.
const STEPS: usize = 8;
/// docker's containers run on containerd.
const RUNTIMES: [Runtime; 2] = [Runtime::Containerd, Runtime::Docker];

const TOOL_FIRST: &str = "the CA tool has to run first";

/// What was heard, and what more will be.
type Answered = (Heard, Option<Changes>);

#[derive(Debug, Default)]
pub(super) struct Gates {
    of: BTreeMap<Runtime, Keeper>,
    running: JoinSet<(Runtime, Answered)>,
    seed: u64,
}

/// One runtime's.
#[derive(Debug, Default)]
struct Keeper {
    gate: Gate,
    /// What a crash would find.
    written: Gate,
    at_work: Option<Act>,
    heard: Option<Heard>,
    /// While it settles.
    ear: Option<Changes>,
    /// Whether nothing has begun since the last look.
    calm: Calm,
    block: Option<Block>,
    wake: Option<Timestamp>,
    /// When the last look began, until an order has followed from it.
    looked: Option<Timestamp>,
    /// What it was told when it last had nothing to do.
    told: Option<Told>,
}

/// What may change while a gate waits.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    is_needed: bool,
    stop: Option<String>,
    asked: Asked,
    window: Door,
}

pub(super) fn effect_of(runtime: Runtime) -> Effect {
    match runtime {
        Runtime::Docker => Effect::RestartDocker,
        Runtime::Containerd => Effect::RestartContainerd,
    }
}

pub(super) fn runtime_of(effect: Effect) -> Option<Runtime> {
    match effect {
        Effect::RestartDocker => Some(Runtime::Docker),
        Effect::RestartContainerd => Some(Runtime::Containerd),
        Effect::RunCaTool(_) | Effect::ReloadDocker => None,
    }
}

impl Gates {
    /// As the last daemon left them. A file that says nothing understandable may hide a lock that is
    /// held, so then everything is given back.
    pub(super) fn read(root: &NodeRoot, seed: u64) -> Self {
        let mut gates = Self { seed, ..Self::default() };
        for runtime in RUNTIMES {
            let written = match state::read_kept::<Gate>(root, &state::restart_path(runtime)) {
                Ok(gate) => gate.unwrap_or_default(),
                Err(error) => {
                    let error = crate::effect::chain(&error);
                    tracing::error!(error, "what was held is not known, and is given back");
                    Gate::unknown()
                }
            };
            let gate = written.clone().recovered();
            let wake = Some(Timestamp::MIN);
            gates.of.insert(runtime, Keeper { gate, written, wake, ..Keeper::default() });
        }
        gates
    }

    /// Something may have changed for the better: nobody waits for the next look.
    pub(super) fn nudge(&mut self) {
        let waiting = |kept: &&mut Keeper| matches!(kept.gate.state, State::Waiting { .. });
        self.of.values_mut().filter(waiting).for_each(|kept| kept.wake = Some(Timestamp::MIN));
    }

    /// An operator wants what has failed tried again.
    pub(super) fn retry(&mut self) {
        for kept in self.of.values_mut() {
            kept.gate.rest_until = None;
            // Whoever tries again has read what there is to be read.
            kept.gate.lost = None;
            kept.wake = Some(Timestamp::MIN);
        }
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        let waiting = self.of.values().filter(|kept| kept.at_work.is_none());
        waiting.filter_map(|kept| kept.wake).min()
    }

    /// Whether a restart is so near that it is worth waiting for.
    pub(super) fn is_working(&self) -> bool {
        self.of.values().any(|kept| match kept.gate.state {
            State::Locking
            | State::Holding
            | State::Settling { .. }
            | State::Restarting { .. }
            | State::RollingBack { .. } => true,
            State::Waiting { .. } => kept.block.is_none(),
            State::Steady
            | State::Soaking { .. }
            | State::Releasing { .. }
            | State::Failed { .. } => false,
        })
    }
}

impl Keeper {
    fn come_to(&mut self, runtime: Runtime, step: Step, told: Told) {
        let (from, to) = (self.gate.state.word(), step.gate.state.word());
        if from != to {
            tracing::info!(%runtime, from, to, "restart");
        }
        if let Some(lost) = &step.gate.lost
            && self.gate.lost.as_ref() != Some(lost)
        {
            tracing::error!(%runtime, lost = lost.words(runtime), "a restart has cost something");
        }
        // What the last look saw stands until the next one has ended.
        if step.act.is_none() || from != to {
            self.block = step.block;
        }
        self.gate = step.gate;
        self.wake = step.wake;
        self.told = Some(told);
        // Until systemd has been told it may still be called off.
        if !matches!(self.gate.state, State::Settling { .. } | State::Restarting { .. }) {
            self.ear = None;
        }
    }
}

impl Agent {
    /// Lets each gate go as far as it can at this moment, and the first once more after the others.
    pub(super) async fn turn_gates(&mut self, now: Timestamp) {
        for runtime in RUNTIMES.into_iter().chain(RUNTIMES) {
            for _ in 0..STEPS {
                if !self.turn_gate(runtime, now).await {
                    break;
                }
            }
        }
    }

    /// `false`: there is nothing more to do now.
    async fn turn_gate(&mut self, runtime: Runtime, now: Timestamp) -> bool {
        let need = self.effects.needed_since(effect_of(runtime), now);
        let told = self.told_to(runtime, need.is_some(), now);
        let Some(kept) = self.gates.of.get_mut(&runtime) else { return false };
        let is_due = kept.heard.is_some() || kept.wake.is_some_and(|wake| wake <= now);
        if kept.at_work.is_some() || !(is_due || kept.told.as_ref() != Some(&told)) {
            return false;
        }
        let heard = kept.heard.take().unwrap_or(Heard::Nothing);
        let habits = &self.outfit.habits;
        let facts = Facts {
            now,
            runtime,
            rules: &habits.restart,
            need,
            stop: told.stop.as_deref(),
            asked: told.asked,
            window: &told.window,
            has_lock: self.outfit.fleet.is_some(),
            has_hold: self.outfit.hold.is_some(),
            seed: self.gates.seed,
        };
        let step = step(&kept.gate, &heard, &facts);
        if matches!(step.act, Some(Act::Restart(_))) && self.effects.is_working() {
            // One effect at a time. Its end wakes us, and then everything is looked at again.
            kept.told = None;
            return false;
        }
        let after = step.gate.clone();
        if let Err(why) = self.write_gate(runtime, after).await {
            return self.cannot_write(runtime, &why, now);
        }
        let is_free = matches!(&heard, Heard::Looked(look) if look.occupancy.is_free());
        if told.asked == Asked::Now || !is_free {
            // Whoever restarts over somebody's work is not held back by more of it.
            self.gates.disturb(runtime);
        }
        if let Some(block) = step.block.as_ref().filter(|one| one.keeper == Gatekeeper::Check) {
            // An operator who waits for it is not kept waiting until it is mended.
            self.effects.report(effect_of(runtime), false, &block.words);
        }
        let act = step.act;
        let Some(kept) = self.gates.of.get_mut(&runtime) else { return false };
        kept.come_to(runtime, step, told);
        // That it is overdue is told then, whatever it waits for.
        let deadline =
            kept.gate.deadline(&self.outfit.habits.restart).filter(|deadline| now < *deadline);
        kept.wake = kept.wake.into_iter().chain(deadline.filter(|_| act.is_none())).min();
        match act {
            Some(act) => {
                kept.at_work = Some(act);
                self.begin_act(runtime, act);
                false
            }
            None => kept.wake.is_some_and(|wake| wake <= now),
        }
    }

    fn cannot_write(&mut self, runtime: Runtime, why: &str, now: Timestamp) -> bool {
        tracing::error!(%runtime, error = why, "how the restart stands cannot be written down");
        if let Some(kept) = self.gates.of.get_mut(&runtime) {
            kept.block = Some(Block::unwritten(why));
            kept.wake = now.checked_add(ONCE_MORE).ok();
            kept.told = None;
        }
        false
    }

    /// Before anything is done that follows from it. What a crash would make the same of is not
    /// written again, so that a node that is busy for days does not write for days.
    async fn write_gate(&mut self, runtime: Runtime, gate: Gate) -> Result<(), String> {
        let Some(kept) = self.gates.of.get(&runtime) else { return Ok(()) };
        if kept.written.clone().recovered() == gate.clone().recovered() {
            return Ok(());
        }
        let bytes =
            serde_json::to_vec(&state::Kept::new(&gate)).map_err(|error| error.to_string())?;
        let written = self.keep(state::restart_path(runtime), Some(bytes)).await;
        written.map_err(|error| crate::effect::chain(&error))?;
        if let Some(kept) = self.gates.of.get_mut(&runtime) {
            kept.written = gate;
        }
        Ok(())
    }

    pub(super) async fn keep(
        &self,
        path: crate::path::NodePath,
        bytes: Option<Vec<u8>>,
    ) -> Result<(), reconcile::ReconcileError> {
        let root = std::sync::Arc::clone(&self.outfit.root);
        blocking(move || reconcile::keep(&root, &path, bytes)).await
    }

    fn told_to(&self, runtime: Runtime, is_needed: bool, now: Timestamp) -> Told {
        let is_asked = self.effects.is_asked(effect_of(runtime));
        let asked = if is_asked { Asked::Now } else { Asked::No };
        // Where nobody needs it, nobody goes through the calendar of a year.
        let opening = is_needed.then(|| self.outfit.habits.windows.at(now, ROOM));
        let window = match opening {
            None | Some(Opening::Open { .. }) => Door::Open,
            Some(Opening::Closed { opens, why }) => Door::Shut { why, opens },
        };
        Told { is_needed, stop: self.stop(runtime, asked), asked, window }
    }

    /// Why nobody may even prepare it.
    fn stop(&self, runtime: Runtime, asked: Asked) -> Option<String> {
        let others = self.gates.of.iter().filter(|(other, _)| **other != runtime);
        let mut others = others.filter(|(_, kept)| kept.gate.state.is_under_way());
        if let Some((other, _)) = others.next() {
            return Some(format!("{other} comes first, and is not done"));
        }
        // A daemon that is restarted before it has loads the old roots for good.
        if self.effects.has_tool() {
            return Some(TOOL_FIRST.to_owned());
        }
        if asked == Asked::Now {
            return None;
        }
        if let Some(pause) = &self.pause {
            return Some(pause.words());
        }
        let waits = !self.outfit.habits.restart_when_idle;
        waits.then(|| "it waits for `regtrust restart`".to_owned())
    }

    /// What was heard. To what was seen come the jobs that have said themselves that they run: those of
    /// this moment, for between the look and now another one may have.
    pub(super) fn gate_heard(&mut self, runtime: Runtime, heard: Heard) {
        let leases = self.leases();
        let Some(kept) = self.gates.of.get(&runtime) else { return };
        let heard = match heard {
            // The look that is at work tells by itself whether it is stale.
            Heard::Stirred if kept.at_work.is_some() => return,
            Heard::Looked(mut look) => {
                look.occupancy = look.occupancy.join(leases);
                look.is_stale = !kept.calm.holds();
                Heard::Looked(look)
            }
            other => other,
        };
        self.gates.hears(runtime, heard);
    }
}
