//! Which effect is next, when, and what follows from how it ended.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::Performed;
use super::gates::runtime_of;
use crate::blocking::joined;
use crate::effect::Outcome;
use crate::ledger::Loads;
use crate::plan::effect::{self, Due, Effect};
use crate::plan::work::Work;
use crate::reconcile::Survey;

mod turns;

const FIRST_RETRY: i64 = 5;
const LAST_RETRY: i64 = 600;

#[derive(Debug, Default)]
pub(super) struct Effects {
    due: Vec<Planned>,
    running: JoinSet<Outcome>,
    /// Kept here and not with the work, because a run that comes meanwhile has to know of it.
    at_work: Option<Planned>,
    /// By effect: why it has not been done, and when it is tried again.
    put_off: BTreeMap<Effect, PutOff>,
    /// Daemons that an effect of ours left down. Nothing is due for one that does not run, so nobody
    /// else would start it again once what broke it has been taken back.
    down: BTreeMap<Effect, Planned>,
    /// What an operator wants at once.
    asked: Vec<Asked>,
    /// Why nothing is performed here at all.
    only_named: Option<&'static str>,
}

#[derive(Clone, Debug)]
struct Planned {
    due: Due,
    work: Work,
    /// When each thing that it loads was changed: only that is acknowledged when it is done.
    changed: BTreeMap<Loads, Timestamp>,
    /// When the first of those was changed that are not loaded yet.
    since: Option<Timestamp>,
}

#[derive(Clone, Debug)]
struct PutOff {
    because: String,
    until: Timestamp,
    attempts: u32,
    /// It was tried and went wrong, so somebody should look.
    is_trouble: bool,
}

#[derive(Debug)]
struct Asked {
    open: BTreeSet<Effect>,
    performed: Vec<Performed>,
    reply: oneshot::Sender<Vec<Performed>>,
}

/// How an effect ended.
#[derive(Debug)]
pub(super) struct Ended {
    planned: Planned,
    outcome: Outcome,
}

impl Effects {
    pub(super) fn new(only_named: Option<&'static str>) -> Self {
        Self { only_named, ..Self::default() }
    }

    pub(super) fn plan(&mut self, survey: &Survey) {
        let changed = |effect: Effect| -> BTreeMap<Loads, Timestamp> {
            let all = survey.plan.ledger.changed.iter();
            let loaded = all.filter(|(loads, _)| is_loaded_by(**loads, effect));
            loaded.map(|(loads, changed)| (*loads, changed.at)).collect()
        };
        let planned = survey.plan.due.iter().filter_map(|due| {
            let work = survey.plan.work(due, &survey.ledger)?;
            let changed = changed(due.effect);
            let since = effect::unread_since(&changed, &survey.observed);
            Some(Planned { due: due.clone(), work, changed, since })
        });
        self.due = planned.collect();
        let due: BTreeSet<Effect> = self.due.iter().map(|planned| planned.due.effect).collect();
        self.put_off.retain(|effect, _| due.contains(effect) || self.down.contains_key(effect));
        self.settle_asked(&due);
    }

    /// What somebody asked for and is due no longer has been done by somebody.
    fn settle_asked(&mut self, due: &BTreeSet<Effect>) {
        let at_work = self.at_work();
        for asked in &mut self.asked {
            asked.open.retain(|effect| due.contains(effect) || at_work == Some(*effect));
        }
        self.answer();
    }

    /// Tells those of whose effects none is open any more.
    fn answer(&mut self) {
        for asked in self.asked.extract_if(.., |asked| asked.open.is_empty()) {
            // Whoever asked may be gone.
            _ = asked.reply.send(asked.performed);
        }
    }

    pub(super) fn ask(
        &mut self,
        effects: BTreeSet<Effect>,
        reply: oneshot::Sender<Vec<Performed>>,
    ) {
        let due: BTreeSet<Effect> = self.due.iter().map(|planned| planned.due.effect).collect();
        let meant = if effects.is_empty() { due.clone() } else { effects };
        let mut open: BTreeSet<Effect> = meant.intersection(&due).copied().collect();
        let withheld = self.due.iter().filter(|planned| open.contains(&planned.due.effect));
        let withheld = withheld.filter_map(|planned| {
            let message = planned.due.withheld.or(self.only_named)?.to_owned();
            Some(Performed { effect: planned.due.effect, succeeded: false, message })
        });
        let performed: Vec<Performed> = withheld.collect();
        open.retain(|effect| performed.iter().all(|one| one.effect != *effect));
        self.put_off.retain(|effect, _| !open.contains(effect));
        self.asked.push(Asked { open, performed, reply });
        self.settle_asked(&due);
    }

    /// Everything may be tried again now, what has failed as well.
    pub(super) fn retry(&mut self) {
        self.put_off.values_mut().for_each(|one| one.until = Timestamp::MIN);
    }

    /// What was only held back may be tried now.
    pub(super) fn release(&mut self) {
        let held = self.put_off.values_mut().filter(|one| !one.is_trouble);
        held.for_each(|one| one.until = Timestamp::MIN);
    }

    /// All but restarts, which have a gate each.
    ///
    /// In the order of the plan; what has to be revived comes first, for until then nothing works.
    fn to_do(&self) -> Vec<Planned> {
        let is_due = |effect: &Effect| self.due.iter().any(|one| one.due.effect == *effect);
        let down = self.down.iter().filter(|(effect, _)| !is_due(effect));
        let due = self.due.iter().filter(|planned| !is_restart(planned.due.effect));
        down.map(|(_, planned)| planned).chain(due).cloned().collect()
    }

    pub(super) fn is_only_named(&self) -> bool {
        self.only_named.is_some()
    }

    /// Since when an effect has been due that may be done here. `None`: it is not.
    pub(super) fn needed_since(&self, effect: Effect, now: Timestamp) -> Option<Timestamp> {
        let planned = self.planned(effect).filter(|planned| planned.due.withheld.is_none())?;
        Some(planned.since.unwrap_or(now).min(now))
    }

    fn planned(&self, effect: Effect) -> Option<&Planned> {
        self.due.iter().find(|planned| planned.due.effect == effect)
    }

    /// Whether the CA tool is due, or at work.
    pub(super) fn has_tool(&self) -> bool {
        let due = self.due.iter().map(|planned| planned.due.effect);
        due.chain(self.at_work()).any(|effect| matches!(effect, Effect::RunCaTool(_)))
    }

    pub(super) fn is_asked(&self, effect: Effect) -> bool {
        self.asked.iter().any(|asked| asked.open.contains(&effect))
    }

    pub(super) async fn finished(&mut self) -> Option<Ended> {
        let outcome = joined(self.running.join_next().await?).await;
        let planned = self.at_work.take()?;
        Some(Ended { planned, outcome })
    }

    /// What a run of the CA tool that is under way may still bring into the bundle.
    pub(super) fn entering_store(&self) -> BTreeSet<String> {
        match self.at_work.as_ref().map(|planned| &planned.work) {
            Some(Work::RunCaTool(run)) => run.wanted.clone(),
            _ => BTreeSet::new(),
        }
    }

    fn at_work(&self) -> Option<Effect> {
        self.at_work.as_ref().map(|planned| planned.due.effect)
    }

    pub(super) fn is_working(&self) -> bool {
        self.at_work.is_some()
    }

    /// Whether nothing is due any more that somebody waits for.
    pub(super) fn is_idle(&self) -> bool {
        self.at_work.is_none() && self.due.iter().all(|planned| planned.due.items.is_empty())
    }

    pub(super) fn waiting(&self) -> BTreeMap<Effect, String> {
        let put_off = self.put_off.iter().map(|(effect, one)| (*effect, one.because.clone()));
        let at_work = self.at_work().map(|effect| (effect, "it is being done".to_owned()));
        put_off.chain(at_work).collect()
    }

    pub(super) fn trouble(&self) -> BTreeMap<Effect, String> {
        let trouble = self.put_off.iter().filter(|(_, one)| one.is_trouble);
        trouble.map(|(effect, one)| (*effect, one.because.clone())).collect()
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        if self.at_work.is_some() {
            return None;
        }
        let others = self.put_off.iter().filter(|(effect, _)| !is_restart(**effect));
        let until = others.map(|(_, one)| one.until);
        until.filter(|until| *until < Timestamp::MAX).min()
    }

    fn put_off(&mut self, effect: Effect, because: String, now: Timestamp) -> &mut PutOff {
        let attempts = self.put_off.get(&effect).map_or(0, |one| one.attempts).saturating_add(1);
        let put_off = PutOff {
            because,
            until: now.checked_add(pause_after(attempts)).unwrap_or(now),
            attempts,
            is_trouble: self.put_off.get(&effect).is_some_and(|one| one.is_trouble),
        };
        self.put_off.entry(effect).insert_entry(put_off).into_mut()
    }

    /// It was not even tried, so it is nobody's failure.
    fn hold(&mut self, effect: Effect, because: String, until: Timestamp) {
        let attempts = self.put_off.get(&effect).map_or(0, |one| one.attempts);
        let held = PutOff { because, until, attempts, is_trouble: false };
        self.put_off.insert(effect, held);
    }

    fn put_off_until(&self, effect: Effect, now: Timestamp) -> Option<Timestamp> {
        let one = self.put_off.get(&effect)?;
        (one.until > now).then_some(one.until)
    }

    /// It was tried and went wrong. A daemon that it left down is to be revived, and that costs
    /// nobody anything more: what asked for the effect is withdrawn by then. When a restart is tried
    /// again is for its gate to say.
    fn fail(&mut self, planned: &Planned, why: &str, healthy: bool, now: Timestamp) {
        let effect = planned.due.effect;
        self.put_off(effect, why.to_owned(), now).is_trouble = true;
        if healthy || is_restart(effect) {
            self.down.remove(&effect);
        } else {
            let mut planned = planned.clone();
            planned.due.items.clear();
            planned.due.gaining.clear();
            self.down.insert(effect, planned);
        }
    }

    pub(super) fn report(&mut self, effect: Effect, succeeded: bool, message: &str) {
        for asked in &mut self.asked {
            if asked.open.remove(&effect) {
                let message = message.to_owned();
                asked.performed.push(Performed { effect, succeeded, message });
            }
        }
        self.answer();
    }
}

fn pause_after(attempts: u32) -> SignedDuration {
    let seconds = FIRST_RETRY.checked_shl(attempts.saturating_sub(1).min(16)).unwrap_or(LAST_RETRY);
    SignedDuration::from_secs(seconds.clamp(FIRST_RETRY, LAST_RETRY))
}

fn is_loaded_by(loads: Loads, effect: Effect) -> bool {
    loads.effect() == effect || (loads == Loads::DockerDaemon && effect == Effect::RestartDocker)
}

fn is_restart(effect: Effect) -> bool {
    runtime_of(effect).is_some()
}
