//! The node's last word: `/etc/regtrust/policy.toml`. Pure.
//!
//! It can only narrow what anybody asks for, local files included, and no API can write it. What it
//! does not mention is allowed; without the file everything is. A file that cannot be understood
//! as a whole refuses everything: an unknown key may be a restriction that is misspelt.
//!
//! It judges what is to be believed, never its withdrawal: taking trust away always works.
//!
//! ```toml
//! allow = ["*.corp", "*.corp:*"]    # registries that may be declared
//! deny = ["*.example"]              # … and those that may not, as mirrors neither
//! mirrors = ["mirror.corp"]         # hosts that may be mirrors; without it, those of `allow`
//! insecure = ["lab.corp:5000"]      # who may be "http", "skip-verify" or "insecure"; or true, false
//! insecure_needs = ["until", "reason"]
//! max_lifetime = "90d"              # how far away the `until` of such an exception may be
//! system_store = false              # whether a CA may become one of the whole machine
//! ca_spki_sha256 = ["9f86d081…"]    # the only keys that CAs may have
//! min_rsa_bits = 3072               # of CAs
//! name_constraints = "system-store" # which CAs must have them: "never", "system-store", "always"
//! restart = "reload-only"           # of runtimes: "allowed", "reload-only", "never"
//! ```
//!
//! Host patterns: see [`Pattern`].

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::entry::Entry;
use super::findings::{At, Findings, Place};
use super::problem::{Location, Problem};
use crate::content::Sha256Hex;
use crate::path::NodePath;

mod judge;
mod parse;
mod pattern;
mod permit;

#[cfg(test)]
mod tests;

pub use parse::parse_policy;
pub use pattern::Pattern;
pub use permit::Permit;

/// There is no way to make one that allows more than its file says: a file with a problem has no
/// rules, and what has no rules refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy(State);

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Rules(Box<Rules>),
    Broken(Vec<Problem>),
}

/// Why an entry is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The key in the policy: `insecure`, `mirrors`.
    pub rule: &'static str,
    /// Where the rule stands.
    pub location: Location,
    pub message: String,
    pub cure: Option<String>,
}

/// What may be done to a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartLimit {
    /// Nothing: what needs a reload or a restart waits for somebody else's.
    Never,
    /// It may be told to read its configuration again, which stops nothing.
    ReloadOnly,
    /// It may be restarted, when its moment has come.
    Allowed,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rules {
    file: String,
    allow: Option<At<Vec<Pattern>>>,
    deny: Option<At<Vec<Pattern>>>,
    mirrors: Option<At<Vec<Pattern>>>,
    insecure: Option<At<Insecure>>,
    insecure_needs: Option<At<BTreeSet<Need>>>,
    max_lifetime: Option<At<SignedDuration>>,
    system_store: Option<At<bool>>,
    ca_spki_sha256: Option<At<BTreeSet<Sha256Hex>>>,
    min_rsa_bits: Option<At<usize>>,
    name_constraints: Option<At<Constrained>>,
    restart: Option<RestartLimit>,
}

/// Who may go unverified.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Insecure {
    Anyone,
    Nobody,
    Only(Vec<Pattern>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    Until,
    Reason,
}

/// Whose CA must say for which names it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Constrained {
    Nobody,
    SystemStore,
    Everybody,
}

impl Policy {
    /// For a node without a policy file, and for nothing else.
    pub fn without_file() -> Self {
        Self(State::Rules(Box::default()))
    }

    /// Refuses everything.
    pub fn broken(problems: Vec<Problem>) -> Self {
        Self(State::Broken(problems))
    }

    /// Refuses everything, because the file is there and cannot be read or must not be believed.
    pub fn unreadable(file: &NodePath, message: &str, cure: Option<String>) -> Self {
        let mut findings = Findings::new(file.to_string());
        *findings.error(Place::default(), "", message) = cure;
        Self::broken(findings.into_problems(None))
    }

    /// What is wrong with the file. If there is anything, everything is refused.
    pub fn problems(&self) -> &[Problem] {
        match &self.0 {
            State::Rules(_) => &[],
            State::Broken(problems) => problems,
        }
    }

    pub fn is_broken(&self) -> bool {
        matches!(self.0, State::Broken(_))
    }

    /// Whether `entry` may be believed on this node; if not, every rule against it.
    pub fn judge(&self, entry: &Entry, now: Timestamp) -> Result<(), Vec<Refusal>> {
        let refusals = match &self.0 {
            State::Rules(rules) => judge::refusals(rules, entry, now),
            State::Broken(problems) => vec![refuse_everything(problems)],
        };
        if refusals.is_empty() { Ok(()) } else { Err(refusals) }
    }

    pub fn restart(&self) -> RestartLimit {
        match &self.0 {
            State::Rules(rules) => rules.restart.unwrap_or(RestartLimit::Allowed),
            State::Broken(_) => RestartLimit::Never,
        }
    }
}

fn refuse_everything(problems: &[Problem]) -> Refusal {
    let first = problems.first();
    let why = first.map(|problem| match &problem.field {
        Some(field) => format!(": {field}: {}", problem.message),
        None => format!(": {}", problem.message),
    });
    Refusal {
        rule: "policy",
        location: first.map(|problem| problem.location.clone()).unwrap_or_default(),
        message: format!("the node's policy cannot be obeyed{}", why.unwrap_or_default()),
        cure: Some("correct the policy file; until then nothing new is believed".to_owned()),
    }
}
