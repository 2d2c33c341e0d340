//! Never a fight with another tool: what somebody changes again and again is left to them.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use crate::path::NodePath;
use crate::plan::files::Drift;
use crate::status::Drifted;

/// This often a path is put right in a row; then somebody else means it.
const PATIENCE: usize = 4;
const WITHIN: SignedDuration = SignedDuration::from_mins(10);
/// How long it is left alone before it is tried once more.
const LEFT_FOR: SignedDuration = SignedDuration::from_mins(30);
/// So many paths are told of. Who does the same to a thousand files is found with fewer.
const TOLD: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Repairs {
    done: BTreeMap<NodePath, VecDeque<Timestamp>>,
    left: BTreeMap<NodePath, Timestamp>,
    /// Newest first. What was put right is gone from the node with the next look, and somebody wants
    /// to know of it in the morning.
    lately: VecDeque<Drifted>,
}

impl Repairs {
    /// Takes note of what was put right.
    pub(super) fn note(&mut self, drift: &[Drift], now: Timestamp) {
        for one in drift {
            self.tell(one, now);
        }
        for path in drift.iter().filter(|one| one.repaired).filter_map(path_of) {
            let times = self.done.entry(path.clone()).or_default();
            times.push_back(now);
            times.retain(|time| now.duration_since(*time) < WITHIN);
            if times.len() >= PATIENCE {
                self.done.remove(&path);
                self.left.insert(path, now);
            }
        }
    }

    fn tell(&mut self, drift: &Drift, now: Timestamp) {
        let Drift { path, message, repaired } = drift.clone();
        if let Some(known) = self.lately.iter().find(|one| one.path == path)
            && (known.repaired, repaired) == (false, false)
            && known.message == message
        {
            // It is as it was the last time, which is no news.
            return;
        }
        self.lately.retain(|one| one.path != path);
        self.lately.push_front(Drifted { path, message, repaired, at: now });
        self.lately.truncate(TOLD);
    }

    pub(super) fn lately(&self) -> Vec<Drifted> {
        self.lately.iter().cloned().collect()
    }

    /// What is left alone at the moment, as a preflight would refuse it.
    pub(super) fn refused(&mut self, now: Timestamp) -> BTreeMap<NodePath, (String, String)> {
        self.left.retain(|_, since| now.duration_since(*since) < LEFT_FOR);
        let refusal = |path: &NodePath| {
            let message = format!(
                "somebody changed it {PATIENCE} times within {} minutes, so it is left to them",
                WITHIN.as_mins()
            );
            let cure = "find the other tool that writes it, and leave the registry to one of you";
            (path.clone(), (message, cure.to_owned()))
        };
        self.left.keys().map(refusal).collect()
    }

    /// When something that is left alone is tried again.
    pub(super) fn next(&self) -> Option<Timestamp> {
        let first = self.left.values().min()?;
        first.checked_add(LEFT_FOR).ok()
    }

    /// How often what was put right; not that it was.
    pub(super) fn forget(&mut self) {
        self.done.clear();
        self.left.clear();
    }
}

/// As a refusal of everything that somebody changed, where that is only to be reported.
pub(super) fn reported(drift: &[Drift]) -> BTreeMap<NodePath, (String, String)> {
    let refusal = |one: &Drift| {
        let message = format!("{}, and `drift = \"report\"` leaves it so", one.message);
        Some((path_of(one)?, (message, "put it right by hand, or set `drift = \"repair\"`".into())))
    };
    drift.iter().filter_map(refusal).collect()
}

fn path_of(drift: &Drift) -> Option<NodePath> {
    NodePath::new(&drift.path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + 60 * minute).unwrap()
    }

    #[test]
    fn a_fight_ends_and_is_tried_again_after_a_while() {
        let drift = [Drift {
            path: "/etc/docker/certs.d/a/ca.crt".to_owned(),
            message: "changed".to_owned(),
            repaired: true,
        }];
        let mut repairs = Repairs::default();
        for minute in 0..3 {
            repairs.note(&drift, at(minute));
            assert!(repairs.refused(at(minute)).is_empty());
        }
        repairs.note(&drift, at(3));
        assert_eq!(repairs.refused(at(3)).len(), 1);
        assert_eq!(repairs.next(), Some(at(33)));
        assert!(repairs.refused(at(33)).is_empty());
    }

    #[test]
    fn now_and_then_is_no_fight() {
        let drift = [Drift { path: "/a".to_owned(), message: String::new(), repaired: true }];
        let mut repairs = Repairs::default();
        for round in 0..20 {
            repairs.note(&drift, at(round * 4));
            assert!(repairs.refused(at(round * 4)).is_empty(), "{round}");
        }
    }
}
