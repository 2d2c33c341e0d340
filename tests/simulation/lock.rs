//! The fleet's lock, as a server keeps it: it counts, and its answers may be lost.

use std::collections::BTreeSet;

use regtrust::gate::LockAnswer;

use crate::chance::Chance;

#[derive(Debug)]
pub(crate) struct Lock {
    /// How many there are.
    pub(crate) slots: usize,
    /// How many are given.
    given: usize,
    holders: BTreeSet<usize>,
}

impl Lock {
    pub(crate) fn of(slots: usize, given: usize) -> Self {
        Self { slots, given, holders: BTreeSet::new() }
    }

    pub(crate) fn holds(&self, node: usize) -> bool {
        self.holders.contains(&node)
    }

    pub(crate) fn is_free(&self) -> bool {
        self.holders.is_empty()
    }

    pub(crate) fn take(&mut self, node: usize, chance: &mut Chance) -> LockAnswer {
        let fate = chance.below(40);
        if fate == 0 {
            return LockAnswer::Unavailable("the request was lost".to_owned());
        }
        let granted = self.holds(node) || self.holders.len() < self.given;
        if granted {
            self.holders.insert(node);
        }
        match fate {
            1 => LockAnswer::Unavailable("the answer was lost".to_owned()),
            _ if granted => LockAnswer::Granted,
            _ => LockAnswer::Busy(format!("{} nodes", self.holders.len())),
        }
    }

    pub(crate) fn free(&mut self, node: usize, chance: &mut Chance) -> Result<(), String> {
        let fate = chance.below(40);
        if fate == 0 {
            return Err("the request was lost".to_owned());
        }
        self.holders.remove(&node);
        if fate == 1 { Err("the answer was lost".to_owned()) } else { Ok(()) }
    }
}
