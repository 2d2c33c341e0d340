//! What a gate wants done, each as a task of its own whose answer the loop hears.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::super::run::Agent;
use super::super::{Answer, Interruption, Runtimes};
use super::effect_of;
use crate::fleet::{Claim, FleetLock, Outcome, Taken};
use crate::gate::{
    Act, Alive, Asked, End, Fitness, Heard, HoldAnswer, LockAnswer, Look, State, Unit,
};
use crate::hold::{Held, NewWork};
use crate::plan::effect::Effect;
use crate::runtime::changes::Changes;
use crate::trust::entry::Runtime;

impl Agent {
    pub(super) fn begin_act(&mut self, runtime: Runtime, act: Act) {
        let task = match act {
            Act::Restart(if_down) => {
                let kept = self.gates.of.get_mut(&runtime);
                let last = kept.map(|kept| (kept.looked.take(), std::mem::take(&mut kept.calm)));
                let (looked, calm) = last.unwrap_or_default();
                return self.perform_restart(effect_of(runtime), if_down, looked, calm);
            }
            Act::Listen => return self.listen(runtime),
            Act::Look => self.look(runtime),
            Act::Examine => {
                let runtimes = Arc::clone(&self.outfit.runtimes);
                Box::pin(async move { Heard::Examined(runtimes.examine(runtime).await) })
            }
            Act::Count => self.count(runtime),
            Act::Lock => self.with_lock(runtime, take),
            Act::Unlock(end) => self.with_lock(runtime, move |lock, claim| free(lock, claim, end)),
            Act::Hold => self.with_hold(runtime, hold),
            Act::Unhold => self.with_hold(runtime, |hold, _| release(hold)),
        };
        self.gates.begin(runtime, async move { (task.await, None) });
    }

    fn listen(&mut self, runtime: Runtime) {
        let runtimes = Arc::clone(&self.outfit.runtimes);
        self.gates.begin(runtime, async move {
            match runtimes.changes().await {
                Ok(ear) => (Heard::Listens(Ok(())), Some(ear)),
                Err(why) => (Heard::Listens(Err(why)), None),
            }
        });
    }

    /// Looks on its own: a runtime that is slow to answer keeps nobody else waiting.
    pub(in crate::agent) fn tell_interrupted(
        &self,
        effects: &BTreeSet<Effect>,
        reply: oneshot::Sender<Vec<Interruption>>,
    ) {
        let leases = self.leases();
        let runtimes = Arc::clone(&self.outfit.runtimes);
        let all = super::RUNTIMES.map(effect_of).into_iter();
        let now = super::super::time::now();
        let is_due = |effect: &Effect| self.effects.needed_since(*effect, now).is_some();
        let is_meant = |effect: &Effect| effects.is_empty() || effects.contains(effect);
        // In a tree nothing runs that could be interrupted.
        let is_real = |_: &Effect| !self.effects.is_only_named();
        let meant: Vec<Effect> = all.filter(is_real).filter(is_due).filter(is_meant).collect();
        tokio::spawn(async move {
            let mut interruptions = Vec::new();
            for effect in meant {
                let occupancy = runtimes.occupancy(effect).await.join(leases.clone());
                if !occupancy.is_free() {
                    interruptions.push(Interruption { effect, words: occupancy.words() });
                }
            }
            // Whoever asked may be gone.
            _ = reply.send(interruptions);
        });
    }

    /// What of all that ran before the restart runs now.
    fn count(&self, runtime: Runtime) -> Answer<'static, Heard> {
        let runtimes = Arc::clone(&self.outfit.runtimes);
        let ran = self.gates.of.get(&runtime).and_then(|kept| kept.gate.ran.clone());
        let ran = ran.unwrap_or_default();
        Box::pin(async move { Heard::Counted(runtimes.alive(runtime, &ran).await) })
    }

    fn look(&mut self, runtime: Runtime) -> Answer<'static, Heard> {
        let runtimes = Arc::clone(&self.outfit.runtimes);
        if let Some(kept) = self.gates.of.get_mut(&runtime) {
            kept.calm = kept.ear.as_ref().map(Changes::calm).unwrap_or_default();
        }
        let kept = self.gates.of.get(&runtime);
        let is_last = kept.is_some_and(|kept| {
            matches!(kept.gate.state, State::Settling { .. })
                || kept.told.as_ref().is_some_and(|told| told.asked == Asked::Now)
        });
        let fleet = self.outfit.fleet.clone().filter(|_| kept.is_some_and(|kept| kept.gate.lock));
        let claim = self.claim(runtime);
        Box::pin(async move {
            // First, for a server may take its time, and who works here is to be known last.
            let lock = match fleet {
                Some(lock) => Some(taken(lock.take(&claim).await)),
                None => None,
            };
            let (alive, fitness) = if is_last {
                tokio::join!(whole(runtimes.as_ref(), runtime), runtimes.fitness(runtime))
            } else {
                (None, Fitness::Fit)
            };
            let since = super::super::time::now();
            let (occupancy, unit) =
                tokio::join!(runtimes.occupancy(effect_of(runtime)), runtimes.examine(runtime));
            let (run, fitness) = match (unit, fitness) {
                (Unit::Runs(run), fitness) => (Some(run), fitness),
                (Unit::Changing(why), Fitness::Fit) => (None, Fitness::NotNow(why)),
                (Unit::Changing(_) | Unit::Stopped | Unit::Down(_), fitness) => (None, fitness),
            };
            let is_stale = false;
            let seen = Look { since, occupancy, run, lock, is_stale, fitness, alive };
            Heard::Looked(Box::new(seen))
        })
    }

    fn claim(&self, runtime: Runtime) -> Claim {
        let needed = self.gates.of.get(&runtime).and_then(|kept| kept.gate.needed);
        Claim {
            id: runtime.to_string(),
            reason: format!("to restart {runtime}"),
            since: needed.unwrap_or_else(super::super::time::now),
        }
    }

    /// Without a lock in the settings none is held that anybody could give back.
    fn with_lock<F>(&self, runtime: Runtime, ask: F) -> Answer<'static, Heard>
    where
        F: FnOnce(Arc<dyn FleetLock>, Claim) -> Answer<'static, Heard>,
    {
        match &self.outfit.fleet {
            Some(lock) => ask(Arc::clone(lock), self.claim(runtime)),
            None => Box::pin(async { Heard::Unlocked(Ok(())) }),
        }
    }

    fn with_hold<F>(&self, runtime: Runtime, ask: F) -> Answer<'static, Heard>
    where
        F: FnOnce(Arc<dyn NewWork>, Runtime) -> Answer<'static, Heard>,
    {
        match &self.outfit.hold {
            Some(hold) => ask(Arc::clone(hold), runtime),
            None => Box::pin(async { Heard::Unheld(Ok(())) }),
        }
    }
}

async fn whole(runtimes: &dyn Runtimes, runtime: Runtime) -> Option<Alive> {
    match runtimes.alive(runtime, &Alive::default()).await {
        Ok(alive) => Some(alive),
        Err(why) => {
            tracing::warn!(%runtime, reason = why, "what a restart will have cost cannot be told");
            None
        }
    }
}

fn take(lock: Arc<dyn FleetLock>, claim: Claim) -> Answer<'static, Heard> {
    Box::pin(async move { Heard::Locked(taken(lock.take(&claim).await)) })
}

fn free(lock: Arc<dyn FleetLock>, claim: Claim, end: End) -> Answer<'static, Heard> {
    let end = match end {
        End::NotTried => Outcome::NotTried,
        End::Succeeded => Outcome::Succeeded,
        End::Failed => Outcome::Failed,
    };
    Box::pin(async move {
        let freed = lock.free(&claim, end).await;
        Heard::Unlocked(freed.map_err(|refused| refused.to_string()))
    })
}

fn hold(hold: Arc<dyn NewWork>, runtime: Runtime) -> Answer<'static, Heard> {
    Box::pin(async move {
        Heard::Held(match hold.hold(&format!("{runtime} is about to be restarted")).await {
            Held::Held => HoldAnswer::Held,
            Held::Nothing => HoldAnswer::Nothing,
            Held::Busy(why) => HoldAnswer::Busy(why),
            Held::Failed(why) => HoldAnswer::Failed(why),
        })
    })
}

fn release(hold: Arc<dyn NewWork>) -> Answer<'static, Heard> {
    Box::pin(async move { Heard::Unheld(hold.release().await) })
}

fn taken(taken: Taken) -> LockAnswer {
    match taken {
        Taken::Granted => LockAnswer::Granted,
        Taken::Busy { holders } => LockAnswer::Busy(holders),
        Taken::Unavailable { why } => LockAnswer::Unavailable(why),
        Taken::Stopped { why } | Taken::Misconfigured { why } => LockAnswer::Refused(why),
    }
}
