//! When a runtime is restarted: every gate open at the same moment, or not at all. Pure.
//!
//! ```text
//!            needed             free, in the window          granted          kept away
//!   Steady ─────────▶ Waiting ───────────────▶ Locking ─────────▶ Holding ──────────▶ Settling
//!     ▲                 ▲  ▲     (no lock, no hooks: straight to Settling)               │
//!     │                 │  └── busy, refused ──┘   │ failed            │ a job, or shut  │ all open
//!     │                 │                          ▼                   ▼                 ▼
//!     └── nothing left ─┴───────────────────── Releasing ◀── Soaking ◀──────────── Restarting
//!                                                  ▲            ▲                       │ went wrong
//!                                                  └── Failed ◀─┴────── RollingBack ◀───┘
//! ```
//!
//! [`step()`] is given how one runtime's gate stands, what has just been heard, and everything else
//! that is known, and says how it stands then and what is to be done. Whoever does it writes the new
//! state down first: after a crash at any point the file says what *may* be held, and giving back
//! what was not held harms nobody.
//!
//! The order of the gates is that of what they cost others. Looking costs nothing, so it comes first
//! and often. The fleet's lock is never held while a job is waited for, or one busy node would keep
//! all the others from their turn; and new work is kept away last, or all nodes would stand idle
//! while they queue for one slot. What was true before the lock and the hold is asked again after
//! them, because only then is it still true when the restart comes.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

mod aftermath;
mod alive;
mod facts;
mod release;
mod rules;
mod step;
mod wait;

#[cfg(test)]
mod tests;

pub use alive::{Alive, Being, Container, Lost};
pub use facts::{
    Act, Asked, Door, Facts, Fitness, Heard, HoldAnswer, LockAnswer, Look, RestartEnd, Unit,
};
pub use rules::{OnDeadline, Rules};
pub use step::{Step, step};
pub use wait::{Block, Gatekeeper};

/// systemd's number for one run of a unit, in hexadecimal.
pub type Invocation = String;

/// Where the restart of a runtime stands. Each has the name under which it is written down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum State {
    /// No restart is needed.
    #[default]
    Steady,
    /// One is needed, and nothing is held.
    Waiting {
        /// Since when every look has found nobody at work.
        free_since: Option<Timestamp>,
    },
    /// The fleet's lock has been asked for.
    Locking,
    /// New work is being kept away.
    Holding,
    /// What began before that has time to be seen.
    Settling { since: Timestamp },
    /// The order has been given, or was about to be.
    Restarting {
        /// The run that is to end. `None`: it did not run.
        before: Option<Invocation>,
    },
    /// What did not work has been taken back, which needs another restart.
    RollingBack { why: String },
    /// It runs again, and is watched for a while.
    Soaking { since: Timestamp, end: End },
    /// What is held is given back, for as long as it takes.
    Releasing { end: End },
    /// It does not run and could not be brought back. Everything stays held: that is what keeps the
    /// same change from walking through the fleet.
    Failed { why: String, since: Timestamp, tries: u32 },
}

impl State {
    /// A label of metrics, so it never changes.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Waiting { .. } => "waiting",
            Self::Locking => "locking",
            Self::Holding => "holding",
            Self::Settling { .. } => "settling",
            Self::Restarting { .. } => "restarting",
            Self::RollingBack { .. } => "rolling-back",
            Self::Soaking { .. } => "soaking",
            Self::Releasing { .. } => "releasing",
            Self::Failed { .. } => "failed",
        }
    }

    /// Every word there is.
    pub const WORDS: [&str; 10] = [
        "steady",
        "waiting",
        "locking",
        "holding",
        "settling",
        "restarting",
        "rolling-back",
        "soaking",
        "releasing",
        "failed",
    ];

    /// Whether the node's turn has come, so that no other runtime of it may begin.
    pub fn is_under_way(&self) -> bool {
        !matches!(self, Self::Steady | Self::Waiting { .. })
    }
}

/// How a turn ended, as the fleet is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// Called off before the restart.
    NotTried,
    Succeeded,
    /// It went wrong, whether or not it could be taken back.
    Failed,
}

/// How the restart of one runtime stands: what is written down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    pub state: State,
    /// Since when the restart has been needed: when what needs it was published.
    pub needed: Option<Timestamp>,
    /// The fleet's lock may be held. Written before it is asked for, and taken back only when the
    /// lock itself has said that it is free.
    #[serde(default)]
    pub lock: bool,
    /// New work may be kept away. The same.
    #[serde(default)]
    pub hold: bool,
    /// When this runtime was restarted, in the last day.
    #[serde(default)]
    pub restarts: Vec<Timestamp>,
    /// Turns in a row that came to nothing.
    #[serde(default)]
    pub called_off: u32,
    /// After such a turn the others come first.
    #[serde(default)]
    pub rest_until: Option<Timestamp>,
    /// Why the last one came to nothing: the wait is longer than anybody remembers it.
    #[serde(default)]
    pub because: Option<String>,
    /// What ran when the order was given, and has to run after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ran: Option<Alive>,
    /// What of that the last restart has cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Lost>,
}

impl Gate {
    /// How it stands for a daemon that has just started. What was under way without a restart is
    /// called off: jobs may have begun while nobody looked.
    #[must_use]
    pub fn recovered(mut self) -> Self {
        self.state = match self.state {
            State::Locking | State::Holding | State::Settling { .. } => {
                State::Releasing { end: End::NotTried }
            }
            State::Waiting { .. } => State::Waiting { free_since: None },
            state @ (State::Steady
            | State::Restarting { .. }
            | State::RollingBack { .. }
            | State::Soaking { .. }
            | State::Releasing { .. }
            | State::Failed { .. }) => state,
        };
        self
    }

    /// For a file that cannot be understood: nobody knows what is held, so all of it is given back.
    pub fn unknown() -> Self {
        Self {
            state: State::Releasing { end: End::NotTried },
            lock: true,
            hold: true,
            ..Self::default()
        }
    }

    pub fn deadline(&self, rules: &Rules) -> Option<Timestamp> {
        self.needed?.checked_add(rules.deadline?).ok()
    }

    pub fn is_overdue(&self, rules: &Rules, now: Timestamp) -> bool {
        self.deadline(rules).is_some_and(|deadline| deadline <= now)
    }

    /// Forgets restarts that no rule counts any more.
    fn forget_old(&mut self, now: Timestamp) {
        self.restarts.retain(|at| now.duration_since(*at) < rules::DAY);
    }
}

fn after(moment: Timestamp, span: SignedDuration) -> Timestamp {
    moment.checked_add(span).unwrap_or(Timestamp::MAX)
}
