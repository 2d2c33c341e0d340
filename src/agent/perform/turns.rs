//! What the agent does about its effects: begins the next one, and draws the conclusions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::{Ended, Planned};
use crate::agent::gates::runtime_of;
use crate::agent::run::{Agent, Order};
use crate::agent::time;
use crate::effect::{Outcome, chain};
use crate::gate::{Heard, RestartEnd};
use crate::ledger::Loads;
use crate::plan::effect::{Due, Effect};
use crate::plan::rejected::Rejection;
use crate::plan::work::{DaemonShows, IfDown, Work};
use crate::runtime::changes::Calm;
use crate::status::{self, State};
use crate::target::Item;

impl Agent {
    /// Begins the next effect that nothing holds back, in the order of the plan. Restarts are begun
    /// by their gates.
    pub(in crate::agent) fn begin_effect(&mut self, now: Timestamp) {
        if self.effects.is_working() || self.effects.is_only_named() {
            return;
        }
        for planned in self.effects.to_do() {
            let effect = planned.due.effect;
            let held = self.holds_back(&planned);
            if let Some((because, until)) = held {
                self.effects.hold(effect, because, until);
            }
            if self.effects.put_off_until(effect, now).is_none() {
                let revives = self.effects.down.contains_key(&effect);
                let manner = if revives { IfDown::Revive } else { IfDown::Leave };
                return self.perform(planned, manner, None, Calm::default());
            }
        }
    }

    /// Why it is not even tried now, and until when.
    fn holds_back(&self, planned: &Planned) -> Option<(String, Timestamp)> {
        let effect = planned.due.effect;
        if let Some(withheld) = planned.due.withheld {
            return Some((withheld.to_owned(), Timestamp::MAX));
        }
        if self.effects.is_asked(effect) || self.effects.down.contains_key(&effect) {
            return None;
        }
        let pause = self.pause.as_ref()?;
        Some((pause.words(), pause.until))
    }

    /// What a gate has let through, and when the look began that it rests on. For a daemon that is to
    /// be brought up again nothing need be due.
    pub(in crate::agent) fn perform_restart(
        &mut self,
        effect: Effect,
        if_down: IfDown,
        looked: Option<Timestamp>,
        calm: Calm,
    ) {
        let planned = self.effects.planned(effect).cloned();
        let planned = planned.unwrap_or_else(|| Planned::up_again(effect));
        self.perform(planned, if_down, looked, calm);
    }

    fn perform(
        &mut self,
        planned: Planned,
        if_down: IfDown,
        looked: Option<Timestamp>,
        calm: Calm,
    ) {
        let effect = planned.due.effect;
        let work = planned.work.clone();
        let work = if if_down == IfDown::Revive { work.reviving() } else { work };
        let effects = Arc::clone(&self.outfit.effects);
        self.effects.at_work = Some(planned);
        // For whoever asks afterwards why a job was not seen.
        let looked = looked.map(tracing::field::display);
        tracing::info!(effect = %effect, looked, "begins");
        self.effects.running.spawn(async move { effects.perform(&work, &calm).await });
    }

    /// What follows: it is acknowledged, or what needed it is taken back, or it is tried later.
    pub(in crate::agent) async fn ended(&mut self, Ended { planned, outcome }: Ended) {
        let effect = planned.due.effect;
        if let Some(end) = end_of(&outcome) {
            self.tally.effect(effect, end);
        }
        let heard = Heard::Restarted(self.conclude(&planned, outcome).await);
        match runtime_of(effect) {
            Some(runtime) => self.gates.hears(runtime, heard),
            // A docker that has read its file may end nothing by its restart any more.
            None => self.gates.nudge(),
        }
    }

    async fn conclude(&mut self, planned: &Planned, outcome: Outcome) -> RestartEnd {
        let effect = planned.due.effect;
        let now = time::now();
        match outcome {
            Outcome::Done => {
                tracing::info!(effect = %effect, "done");
                self.effects.put_off.remove(&effect);
                self.effects.down.remove(&effect);
                self.effects.report(effect, true, "done");
                if let Some(runtime) = runtime_of(effect) {
                    self.proofs.doubt(runtime);
                }
                self.acknowledge(planned).await;
                RestartEnd::Done
            }
            Outcome::NotRunning => {
                let message = "it does not run, and reads its files when it starts";
                // Somebody has stopped it since, and it stays so.
                self.effects.down.remove(&effect);
                self.effects.report(effect, true, message);
                self.effects.put_off(effect, message.to_owned(), now);
                _ = self.run(Order::default()).await;
                RestartEnd::NotBegun(message.to_owned())
            }
            Outcome::Impossible { message } => {
                tracing::warn!(effect = %effect, reason = message, "could not be tried");
                self.effects.report(effect, false, &message);
                self.effects.put_off(effect, message.clone(), now);
                RestartEnd::NotBegun(message)
            }
            Outcome::Failed { message, healthy } => {
                tracing::error!(effect = %effect, reason = message, healthy, "failed");
                self.effects.report(effect, false, &message);
                let withdrawn = self.failed(planned, message.clone(), healthy, now).await;
                RestartEnd::Failed { why: message, healthy, withdrawn }
            }
        }
    }

    /// Only what had been changed when it began: a change since then may not have been seen.
    async fn acknowledge(&mut self, done: &Planned) {
        let is_as_then = |loads: &Loads| {
            let now = self.effects.due.iter().find_map(|planned| planned.changed.get(loads));
            now.is_none() || now == done.changed.get(loads)
        };
        let acknowledged = done.changed.keys().copied().filter(is_as_then).collect();
        if let Err(error) = self.run(Order { acknowledged, ..Order::default() }).await {
            // It is still due for all that the disk knows. Without a pause it would be done again at
            // once, for as long as the disk is full.
            let because = format!("it was done and could not be recorded: {}", chain(&error));
            self.effects.put_off(done.due.effect, because, time::now());
        }
    }

    /// Whether what asked for it has been taken back.
    async fn failed(
        &mut self,
        planned: &Planned,
        why: String,
        healthy: bool,
        now: Timestamp,
    ) -> bool {
        let effect = planned.due.effect;
        let items = self.still_wanted(&planned.due.gaining);
        self.effects.fail(planned, &why, healthy, now);
        // What takes something back and fails in its turn is tried later, and not for ever at once.
        if items.is_empty() {
            return false;
        }
        let rejection = Some(Rejection { items, why: why.clone() });
        let withdrawn = self.run(Order { rejection, ..Order::default() }).await.is_ok();
        if withdrawn {
            // Taking them back is itself a change that the runtime has to load, at once.
            self.effects.put_off(effect, why, now).until = now;
        }
        withdrawn
    }

    /// What has not been withdrawn or taken back yet.
    fn still_wanted(&self, items: &BTreeSet<Item>) -> BTreeSet<Item> {
        let status = self.told();
        let is_wanted = |item: &&Item| {
            let registry = status.registry(&item.host);
            let state = registry.and_then(|one| one.items.iter().find(|one| one.item == **item));
            state.is_some_and(|one| matches!(one.state, State::Waiting(_) | State::InForce))
        };
        items.iter().filter(is_wanted).cloned().collect()
    }
}

impl Planned {
    /// A restart of which only the start is missing. Nobody waits for it, and what dockerd is to show
    /// is not known any more.
    fn up_again(effect: Effect) -> Self {
        let work = if effect == Effect::RestartDocker {
            Work::RestartDocker(IfDown::Revive, DaemonShows::default())
        } else {
            Work::RestartContainerd(IfDown::Revive)
        };
        let due = Due {
            effect,
            command: effect.command(),
            reasons: BTreeSet::new(),
            items: BTreeSet::new(),
            gaining: BTreeSet::new(),
            cost: effect.cost(),
            withheld: None,
        };
        Self { due, work, changed: BTreeMap::new(), since: None }
    }
}

/// `None`: there was nothing to do.
fn end_of(outcome: &Outcome) -> Option<status::Ended> {
    match outcome {
        Outcome::NotRunning => None,
        Outcome::Done => Some(status::Ended::Done),
        Outcome::Failed { .. } => Some(status::Ended::Failed),
        Outcome::Impossible { .. } => Some(status::Ended::Impossible),
    }
}
