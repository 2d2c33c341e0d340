//! What the machine is told, and what it wants done.

use jiff::Timestamp;

use super::{Alive, End, Invocation, Rules};
use crate::jobs::Occupancy;
use crate::plan::work::IfDown;
use crate::trust::entry::Runtime;

/// Everything that is known beside what the last act brought.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    pub now: Timestamp,
    pub runtime: Runtime,
    pub rules: &'a Rules,
    /// Since when a restart has been needed; `None`: none is.
    pub need: Option<Timestamp>,
    /// Why nobody may even prepare it: a pause, `on-request`, the CA tool, another runtime's turn.
    pub stop: Option<&'a str>,
    /// An operator wants it at once: no window, nobody's work and no other node is waited for.
    pub asked: Asked,
    pub window: &'a Door,
    /// Whether the fleet has a lock at all.
    pub has_lock: bool,
    /// Whether there is a way to keep new work away.
    pub has_hold: bool,
    /// Differs from node to node, and not from run to run.
    pub seed: u64,
}

/// Whether an operator wants it at once, whatever runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    No,
    Now,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    Open,
    Shut { why: String, opens: Option<Timestamp> },
}

/// What to do. The state that comes with it is to be written down first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Look who works here, and which run of the unit it is.
    Look,
    /// Take the fleet's lock, again if it was taken before.
    Lock,
    /// Keep new work away.
    Hold,
    /// Listen for work that begins, from now until the restart.
    Listen,
    /// Restart the runtime; what to do about one that does not run.
    Restart(IfDown),
    /// See whether the runtime runs, and which run of the unit it is.
    Examine,
    /// See what of [`super::Gate::ran`] still runs.
    Count,
    /// Let new work in again.
    Unhold,
    /// Give the lock back, and say how it ended.
    Unlock(End),
}

/// What an act brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing was asked; a moment has come, or something else has changed.
    Nothing,
    Looked(Box<Look>),
    Locked(LockAnswer),
    Held(HoldAnswer),
    Listens(Result<(), String>),
    /// Something has begun, or one that was listened to can tell no more.
    Stirred,
    Restarted(RestartEnd),
    Examined(Unit),
    Counted(Result<Alive, String>),
    Unheld(Result<(), String>),
    Unlocked(Result<(), String>),
}

/// What a look at the node has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// When it began to be asked who works here: whoever has begun since may not be in the answer.
    pub since: Timestamp,
    pub occupancy: Occupancy,
    /// `None`: the runtime does not run, or is on its way to another state.
    pub run: Option<Invocation>,
    /// Whether the lock is still ours, where it was taken: a lease may have run out.
    pub lock: Option<LockAnswer>,
    /// Something has begun since it began, which it may have missed.
    pub is_stale: bool,
    /// Whether a restart would go well.
    pub fitness: Fitness,
    /// What runs, where a restart may follow. `None`: nobody could tell, and then nobody can tell
    /// afterwards what it has cost.
    pub alive: Option<Alive>,
}

/// Whether a restart would do what it is meant to, whoever works here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fitness {
    #[default]
    Fit,
    /// Something else is at work, or more would come of it than is meant. An operator who wants it at
    /// once may have it.
    NotNow(String),
    /// The runtime would not start again.
    Never(String),
}

impl Fitness {
    /// Why not, for one who waits and for one who does not.
    pub(super) fn fault(&self, asked: Asked) -> Option<&str> {
        match (self, asked) {
            (Self::Fit, _) | (Self::NotNow(_), Asked::Now) => None,
            (Self::NotNow(why), Asked::No) | (Self::Never(why), _) => Some(why),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockAnswer {
    Granted,
    /// Others have it. It is not held.
    Busy(String),
    /// Nobody knows whether it is held now.
    Unavailable(String),
    /// It will not be granted until somebody has looked. It is not held.
    Refused(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldAnswer {
    Held,
    /// There is nothing that could keep work away, so nothing is held.
    Nothing,
    Busy(String),
    Failed(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestartEnd {
    Done,
    /// It was not begun: nothing to restart, or nobody who could.
    NotBegun(String),
    Failed {
        why: String,
        /// Whether the runtime answers now.
        healthy: bool,
        /// What asked for the restart has been withdrawn, so another one takes it back.
        withdrawn: bool,
    },
}

/// What a runtime's unit is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    Runs(Invocation),
    /// On its way to another state, or nobody could tell.
    Changing(String),
    /// Somebody has stopped it.
    Stopped,
    /// It failed.
    Down(String),
}
