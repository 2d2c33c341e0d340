//! One drop-in file: what it declares, and everything that is wrong with it. Pure.
//!
//! It takes two steps, because understanding the text tells which certificate files it needs, and
//! reading those is not for this module:
//!
//! 1. [`Draft::parse`] understands the text;
//! 2. the caller reads what [`Draft::references`] names, once for all files;
//! 3. [`Draft::complete`] checks each entry as a whole.
//!
//! A mistake in an entry drops that entry alone. What such a mistake must not do is take trust away
//! that is in force, so it is told apart from an entry that is gone: see [`Declarations`].

use std::collections::BTreeMap;
use std::sync::Arc;

use super::entry::{Entry, Origin};
use super::findings::Findings;
use super::host::RegistryHost;
use super::problem::Problem;
use crate::content::Content;
use crate::path::NodePath;

mod check;
mod complete;
mod draft;
mod mirror;
mod pem;
mod read;
mod words;

#[cfg(test)]
mod tests;

pub use draft::Draft;
pub use pem::Holds;

/// The owner of everything that is declared in files.
pub const LOCAL: &str = "local";

/// More is no longer a configuration that a person could answer for, and every limit is also what
/// keeps a mistake (a log file copied here) from filling the memory of the node.
pub const LARGEST_FILE: usize = 16 << 20;
pub const MOST_ENTRIES: usize = 20_000;
/// Each may cost a failed pull its time-out before the registry itself is asked.
pub const MOST_MIRRORS: usize = 8;
pub const LONGEST_REASON: usize = 500;

/// What the files that declarations refer to hold, or why that is not known.
pub type Loaded = BTreeMap<NodePath, Result<Content, String>>;

/// What one file declares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declarations {
    pub file: String,
    /// In the order of the file; each host once.
    pub entries: Vec<Arc<Entry>>,
    /// Hosts that are declared with a mistake. What is in force for them is to be left alone.
    pub unusable: Vec<Unusable>,
    /// At least a part of the file says nothing understandable, so an entry that is missing from it
    /// may be a mistake as well as a withdrawal.
    pub broken: bool,
    pub problems: Vec<Problem>,
}

/// An entry that is declared, and wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    pub host: RegistryHost,
    pub origin: Origin,
    /// The first of its errors.
    pub problem: Problem,
}

impl Declarations {
    /// A file of which nothing can be told: it cannot be read, is too large, is no TOML.
    pub fn broken(findings: Findings) -> Self {
        let file = findings.file().to_string();
        Self { file, broken: true, problems: findings.into_problems(None), ..Self::default() }
    }
}
