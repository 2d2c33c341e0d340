//! What is told of restarts, and of what holds them back.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::trust::entry::Runtime;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    pub until: Timestamp,
    pub reason: String,
    pub by: String,
}

impl Pause {
    pub fn words(&self) -> String {
        format!("paused by {} until {}: {}", self.by, self.until, self.reason)
    }
}

/// How the restart of a runtime stands that is needed or under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    pub runtime: Runtime,
    /// A word of [`crate::gate::State::WORDS`].
    pub state: &'static str,
    pub since: Option<Timestamp>,
    pub deadline: Option<Timestamp>,
    pub is_overdue: bool,
    /// Who keeps it waiting: a word of [`crate::gate::Gatekeeper::WORDS`].
    pub keeper: Option<&'static str>,
    /// The same in one sentence.
    pub because: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    pub name: String,
    pub by: String,
    pub since: Timestamp,
}
