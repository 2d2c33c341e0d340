//! What runs on this node and would be interrupted. Pure.
//!
//! Many can tell a part of it: docker, CRI, systemd, files that somebody holds locked. What they say
//! is joined here, and one that cannot tell is taken for a yes: a restart on a guess kills the job
//! that the guess overlooked.

use std::fmt;

use jiff::Timestamp;

mod judge;
mod parse;
mod rules;
mod seen;
mod selector;

#[cfg(test)]
mod tests;

pub use judge::judge;
pub use parse::parse_rules;
pub use rules::{Class, On, Pattern, Restart, Rule, Rules, Subject, Unlabelled, Verdict};
pub use seen::{Container, Member, Phase, Pod, Seen};
pub use selector::{Labels, Selector};

/// Who told us, or should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    Docker,
    Cri,
    Pulls,
    Builds,
    Execs,
    Processes,
    Inhibitors,
    Files,
    Leases,
    /// The node's own file of rules.
    Rules,
}

impl Source {
    /// A label of metrics, so it never changes.
    pub fn word(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Cri => "cri",
            Self::Pulls => "pulls",
            Self::Builds => "builds",
            Self::Execs => "execs",
            Self::Processes => "processes",
            Self::Inhibitors => "inhibitors",
            Self::Files => "files",
            Self::Leases => "leases",
            Self::Rules => "rules",
        }
    }

    fn question(self) -> &'static str {
        match self {
            Self::Docker => "which containers docker runs",
            Self::Cri => "which pods run",
            Self::Pulls => "whether an image is being pulled",
            Self::Builds => "whether an image is being built",
            Self::Execs => "whether somebody works inside a container",
            Self::Processes => "which runners are at work",
            Self::Inhibitors => "whether somebody holds a shutdown back",
            Self::Files => "which jobs hold a file in busy.d",
            Self::Leases => "which jobs have said that they run",
            Self::Rules => "what a job is",
        }
    }
}

/// Something that would be interrupted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Occupant {
    pub source: Source,
    /// In people's words: `Zadig job`, `container`, `image pull`.
    pub what: String,
    pub name: String,
    pub since: Option<Timestamp>,
}

impl fmt::Display for Occupant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.what, self.name)?;
        match self.since {
            Some(since) => write!(f, " (since {})", since.strftime("%Y-%m-%d %H:%M UTC")),
            None => Ok(()),
        }
    }
}

/// One who could not tell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unknown {
    pub source: Source,
    pub why: String,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not known: {}", self.source.question(), self.why)
    }
}

/// All that is known of what would be interrupted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    pub occupants: Vec<Occupant>,
    pub unknown: Vec<Unknown>,
}

/// More names than this tell nobody anything.
const NAMED: usize = 3;

impl Occupancy {
    pub fn unknown(source: Source, why: impl Into<String>) -> Self {
        Self { occupants: Vec::new(), unknown: vec![Unknown { source, why: why.into() }] }
    }

    pub fn is_free(&self) -> bool {
        self.occupants.is_empty() && self.unknown.is_empty()
    }

    /// Both, as one. What two have told in the same words is there once.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        self.occupants.extend(other.occupants);
        self.occupants.sort();
        self.occupants.dedup();
        self.unknown.extend(other.unknown);
        self.unknown.sort();
        self.unknown.dedup();
        self
    }

    /// Why it is not free, in one sentence; empty if it is.
    pub fn words(&self) -> String {
        let mut sentence = String::new();
        if !self.occupants.is_empty() {
            let mut names: Vec<String> =
                self.occupants.iter().take(NAMED).map(ToString::to_string).collect();
            let more = self.occupants.len().saturating_sub(NAMED);
            if more > 0 {
                names.push(format!("{more} more"));
            }
            sentence = format!("it would interrupt {}", names.join(", "));
        }
        for unknown in &self.unknown {
            if !sentence.is_empty() {
                sentence.push_str("; ");
            }
            sentence.push_str(&unknown.to_string());
        }
        sentence
    }
}
