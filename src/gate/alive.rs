//! What ran before a restart, and what of it the restart has cost.
//!
//! Which containers live through a restart is known before it: that is why it was let through. So
//! whatever is missing afterwards says that this was wrong on this node, and has to be heard before
//! the same restart is done on the next one.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::trust::entry::Runtime;

/// What runs on a runtime, and with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alive {
    /// By the id that they have for as long as they exist.
    pub containers: BTreeMap<String, Container>,
    /// The active units that systemd stops together with the runtime's.
    pub units: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Container {
    pub name: String,
    /// Whose it is: docker's run on containerd, and feel its restarts too.
    pub of: Runtime,
    /// Whether it lives through the restart.
    pub outlives: bool,
    /// Whether its runtime starts it again by itself.
    pub comes_back: bool,
    pub being: Being,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is", deny_unknown_fields)]
pub enum Being {
    /// It has never been started.
    Made { since: Option<Timestamp> },
    /// `start`: when it was, as its runtime writes that; CRI starts no container twice.
    Running { start: Option<String> },
    /// It has ended, or is about to be started again because it did.
    Ended { code: i64 },
}

impl Alive {
    /// What a restart that was over at `back` has cost, each in a few words.
    ///
    /// What is gone altogether was removed by somebody, and what ended with 0 had done its work: in
    /// the same seconds jobs end and kubelet tidies up, and neither is anybody's loss.
    #[must_use]
    pub fn lost(&self, after: &Self, back: Timestamp) -> Vec<String> {
        let running = self.containers.iter().filter_map(|(id, container)| match &container.being {
            Being::Running { start } => Some((id, container, start)),
            Being::Made { .. } | Being::Ended { .. } => None,
        });
        let mut lost: Vec<String> = running
            .filter_map(|(id, container, start)| {
                let fate = container.fate(start.as_ref(), &after.containers.get(id)?.being)?;
                Some(format!("container `{}` {fate}", container.name))
            })
            .collect();
        let new = after.containers.iter().filter(|(id, _)| !self.containers.contains_key(*id));
        let stuck = new.filter(|(_, container)| {
            matches!(container.being, Being::Made { since: Some(since) } if since < back)
        });
        lost.extend(
            stuck.map(|(_, one)| format!("container `{}` was made and never started", one.name)),
        );
        lost.extend(
            self.units.difference(&after.units).map(|unit| format!("{unit} is not active")),
        );
        lost
    }

    /// Whose containers are among them.
    #[must_use]
    pub fn has(&self, runtime: Runtime) -> bool {
        self.containers.values().any(|container| container.of == runtime)
    }
}

impl Container {
    /// What became of one that ran. `None`: what was to be expected.
    fn fate(&self, start: Option<&String>, now: &Being) -> Option<String> {
        if !self.outlives && !self.comes_back {
            return None;
        }
        match now {
            Being::Running { start: now } if self.outlives && now.as_ref() != start => {
                Some("was started anew".to_owned())
            }
            Being::Running { .. } => None,
            Being::Ended { code: 0 } if self.outlives => None,
            Being::Ended { code } => Some(format!("does not run (exit code {code})")),
            Being::Made { .. } => Some("does not run".to_owned()),
        }
    }
}

/// What the last restart of a runtime has cost. It stands until the next one, or until an operator
/// has seen it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lost {
    pub at: Timestamp,
    pub what: Vec<String>,
}

impl Lost {
    /// In one sentence, and no longer than a person reads.
    #[must_use]
    pub fn words(&self, runtime: Runtime) -> String {
        let at = self.at.strftime("%Y-%m-%d %H:%M:%S UTC");
        format!("since {runtime} was restarted at {at}, {}", told(&self.what))
    }
}

/// The first few, and how many more there are.
pub(super) fn told(what: &[String]) -> String {
    const TOLD: usize = 5;
    let more = what.len().saturating_sub(TOLD);
    let named = what.iter().take(TOLD).cloned().collect::<Vec<_>>().join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn running(start: &str) -> Being {
        Being::Running { start: Some(start.to_owned()) }
    }

    fn node(outlives: bool, containers: &[(&str, bool, Being)]) -> Alive {
        let container = |(id, comes_back, being): &(&str, bool, Being)| {
            let (comes_back, being) = (*comes_back, being.clone());
            let container = Container {
                name: format!("n-{id}"),
                of: Runtime::Docker,
                outlives,
                comes_back,
                being,
            };
            ((*id).to_owned(), container)
        };
        let containers = containers.iter().map(container).collect();
        Alive { containers, units: BTreeSet::new() }
    }

    /// One that ran, what became of it, and what is said of that.
    #[test]
    fn what_has_to_live_through_a_restart_and_what_has_not() {
        let same = || running("1");
        let (new, ended, done) =
            (running("2"), Being::Ended { code: 137 }, Being::Ended { code: 0 });
        for (outlives, comes_back, now, said) in [
            (true, false, Some(same()), None),
            (true, true, Some(new.clone()), Some("was started anew")),
            (true, false, Some(ended.clone()), Some("does not run (exit code 137)")),
            (true, false, Some(done.clone()), None),
            (true, false, None, None),
            (false, false, Some(ended.clone()), None),
            (false, true, Some(new), None),
            (false, true, Some(ended), Some("does not run (exit code 137)")),
            (false, true, Some(done), Some("does not run (exit code 0)")),
            (false, true, None, None),
        ] {
            let before = node(outlives, &[("a", comes_back, same())]);
            let now = now.map(|now| ("a", comes_back, now));
            let after = node(outlives, now.as_slice());
            let said = said.map(|said| format!("container `n-a` {said}"));
            let lost = before.lost(&after, at(0));
            assert_eq!(lost, said.into_iter().collect::<Vec<_>>(), "{before:?} {after:?}");
        }
    }

    #[test]
    fn what_was_between_its_making_and_its_start_is_stuck() {
        let made = |second| Being::Made { since: Some(at(second)) };
        let before = node(true, &[("old", false, made(-99))]);
        let after = node(
            true,
            &[
                ("old", false, made(-99)),
                ("stuck", false, made(-1)),
                ("next", false, made(1)),
                ("unknown", false, Being::Made { since: None }),
            ],
        );
        assert_eq!(before.lost(&after, at(0)), ["container `n-stuck` was made and never started"]);
    }

    #[test]
    fn units_that_went_with_it_have_to_be_active_again() {
        let of = |units: &[&str]| Alive {
            units: units.iter().map(|unit| (*unit).to_owned()).collect(),
            ..Alive::default()
        };
        let before = of(&["docker.service", "shop.service"]);
        let lost = before.lost(&of(&["shop.service", "new.service"]), at(0));
        assert_eq!(lost, ["docker.service is not active"]);
        let what: Vec<String> =
            (1..=7).map(|unit| format!("{unit}.service is not active")).collect();
        let words = Lost { at: at(0), what }.words(Runtime::Docker);
        assert!(
            words.starts_with("since docker was restarted at 2027-01-15 08:00:00 UTC, 1.service")
        );
        assert!(words.ends_with("5.service is not active and 2 more"), "{words}");
    }
}
