//! What everybody is told about the gates.

use std::collections::BTreeMap;

use super::{Gates, Keeper, effect_of};
use crate::agent::run::Agent;
use crate::agent::time;
use crate::gate::{Gatekeeper, Lost, State};
use crate::jobs::{Occupancy, Occupant, Source};
use crate::plan::effect::Effect;
use crate::status::{Job, Restart};
use crate::trust::entry::Runtime;

impl Gates {
    pub(in crate::agent) fn trouble(&self) -> impl Iterator<Item = (Effect, String)> {
        self.of.iter().filter_map(|(runtime, kept)| {
            let trouble = match &kept.gate.state {
                State::Failed { why, .. } => why.clone(),
                State::Releasing { .. } => kept.block.as_ref()?.words.clone(),
                _ => return None,
            };
            Some((effect_of(*runtime), trouble))
        })
    }

    /// What the last restart of each runtime has cost.
    pub(in crate::agent) fn cost(&self) -> BTreeMap<Runtime, Lost> {
        let lost = |(runtime, kept): (&Runtime, &Keeper)| Some((*runtime, kept.gate.lost.clone()?));
        self.of.iter().filter_map(lost).collect()
    }
}

impl Keeper {
    fn words(&self) -> Option<String> {
        let known = self.block.as_ref().map(|block| block.words.clone());
        let doing = match self.gate.state {
            State::Steady
            | State::Waiting { .. }
            | State::Soaking { .. }
            | State::Releasing { .. }
            | State::Failed { .. } => return known,
            State::Locking => "the fleet's lock is being asked for",
            State::Holding => "new work is being kept away",
            State::Settling { .. } => {
                "it is next, unless work begins that could not be seen before"
            }
            State::Restarting { .. } | State::RollingBack { .. } => "it is being done",
        };
        Some(known.unwrap_or_else(|| doing.to_owned()))
    }
}

impl Agent {
    /// The jobs that have said themselves that they run.
    pub(super) fn leases(&self) -> Occupancy {
        let lease = |job: &Job| Occupant {
            source: Source::Leases,
            what: "job".to_owned(),
            name: format!("{} of {}", job.name, job.by),
            since: Some(job.since),
        };
        Occupancy { occupants: self.jobs.values().map(lease).collect(), unknown: Vec::new() }
    }

    /// Why each effect has not been done yet.
    pub(in crate::agent) fn waiting(&self) -> BTreeMap<Effect, String> {
        let mut waiting = self.effects.waiting();
        for (runtime, kept) in &self.gates.of {
            let effect = effect_of(*runtime);
            let Some(words) = kept.words() else { continue };
            let is_resting = kept.block.as_ref().is_some_and(|one| one.keeper == Gatekeeper::Rest);
            let said = match waiting.get(&effect).filter(|_| is_resting) {
                // What came of its last turn is known.
                Some(why) => format!("{why}; {words}"),
                None => words,
            };
            waiting.insert(effect, said);
        }
        waiting
    }

    /// How each restart stands that is needed or under way.
    pub(in crate::agent) fn restarts(&self) -> Vec<Restart> {
        let rules = &self.outfit.habits.restart;
        let kept = self.gates.of.iter().filter(|(_, kept)| kept.gate.state != State::Steady);
        let restart = |(runtime, kept): (&Runtime, &Keeper)| Restart {
            runtime: *runtime,
            state: kept.gate.state.word(),
            since: kept.gate.needed,
            deadline: kept.gate.deadline(rules),
            is_overdue: kept.gate.is_overdue(rules, time::now()),
            keeper: kept.block.as_ref().map(|block| block.keeper.word()),
            because: kept.words().unwrap_or_default(),
        };
        kept.map(restart).collect()
    }
}
