//! Reads what owners have applied over the API and turns it into declarations. Writing it is part
//! of a transaction, like every other file of regtrust's own.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::content::{Content, Sha256Hex};
use crate::node::root::NodeRoot;
use crate::owners::{Owner, OwnerName, Owners};
use crate::pushed::{self, Pushed, PushedSet};
use crate::state::{self, StateError, Stored};
use crate::trust::declaration::{Declarations, Unusable};
use crate::trust::findings::{Findings, Place};
use crate::trust::problem::{Location, Problem, Severity};
use crate::trust::stored::{Restorer, StoredEntry};
use crate::txn::blobs;

/// The sets as they are on disk.
#[derive(Debug, Default)]
pub struct Stock {
    pub stored: BTreeMap<OwnerName, Stored<PushedSet>>,
    /// Sets that cannot be read, and why.
    damaged: BTreeMap<OwnerName, StateError>,
}

/// # Errors
/// If it cannot be told which sets there are.
pub fn read(root: &NodeRoot) -> Result<Stock, StateError> {
    let mut stock = Stock::default();
    for owner in state::owner_names(root)? {
        match state::read_pushed(root, &owner) {
            Ok(Some(set)) => _ = stock.stored.insert(owner, set),
            Ok(None) => {}
            Err(error) => _ = stock.damaged.insert(owner, error),
        }
    }
    Ok(stock)
}

impl Stock {
    pub fn sets(&self) -> BTreeMap<OwnerName, PushedSet> {
        self.stored.iter().map(|(owner, stored)| (owner.clone(), stored.value.clone())).collect()
    }

    pub fn is_damaged(&self) -> bool {
        !self.damaged.is_empty()
    }

    pub fn damage(&self, owner: &OwnerName) -> Option<&StateError> {
        self.damaged.get(owner)
    }

    /// What cannot be understood, so that what is in force from it stays; and what nobody may want
    /// any more, because its owner is no longer declared.
    pub(super) fn unusable(&self, owners: Option<&Owners>) -> Vec<Declarations> {
        let Some(owners) = owners else {
            let message = "who owns what is not known while regtrustd.toml cannot be understood";
            return vec![broken(&pushed::directory().to_string(), message)];
        };
        let is_declared = |owner: &&OwnerName| owners.get(owner).is_some();
        let damaged = self.damaged.iter().filter(|(owner, _)| is_declared(owner));
        let damaged = damaged
            .map(|(owner, error)| broken(&pushed::path(owner).to_string(), &error.to_string()));
        let orphans = self.stored.iter().filter(|(owner, _)| !is_declared(owner));
        damaged.chain(orphans.filter_map(|(owner, set)| orphaned(owner, &set.value))).collect()
    }
}

/// The sets of these owners, in the reverse of their order.
pub(super) fn declarations(
    root: &NodeRoot,
    owners: &[Owner],
    pushed: &Pushed,
) -> Vec<Declarations> {
    let find = |digest: Sha256Hex| -> Option<Content> {
        let new = || pushed.new_keys.get(&digest).cloned();
        let text = |set: &PushedSet| set.certificates.get(&digest).map(Content::plain);
        let certificate = pushed.sets.values().find_map(text);
        certificate.or_else(new).or_else(|| blobs::read(root, &digest).ok())
    };
    let mut restorer = Restorer::new(&find);
    let sets = owners.iter().rev().filter_map(|owner| Some((owner, pushed.sets.get(&owner.name)?)));
    sets.map(|(owner, set)| declared(owner, set, &mut restorer)).collect()
}

fn declared(owner: &Owner, set: &PushedSet, restorer: &mut Restorer<'_>) -> Declarations {
    let file = pushed::path(&owner.name).to_string();
    let mut declarations = Declarations { file, ..Declarations::default() };
    for entry in &set.entries {
        if !owner.may_speak_for(&entry.host) {
            declarations.problems.push(not_theirs(owner, entry));
            continue;
        }
        match restorer.restore(entry) {
            Ok(entry) => declarations.entries.push(Arc::new(entry)),
            Err(error) => {
                let problem = problem(entry, error.to_string(), "apply it again");
                declarations.problems.push(problem.clone());
                declarations.unusable.push(Unusable {
                    host: entry.host.clone(),
                    origin: entry.origin.clone(),
                    problem,
                });
            }
        }
    }
    declarations
}

fn not_theirs(owner: &Owner, entry: &StoredEntry) -> Problem {
    let message = format!("`{}` may not speak for `{}` on this node", owner.name, entry.host);
    problem(entry, message, "add the host to the owner's `hosts` in regtrustd.toml")
}

fn problem(entry: &StoredEntry, message: String, cure: &str) -> Problem {
    Problem {
        severity: Severity::Error,
        location: Location { file: entry.origin.file.to_string(), line: None, column: None },
        host: Some(entry.host.clone()),
        field: None,
        message,
        cure: Some(cure.to_owned()),
    }
}

/// Taking an owner out of the settings is a statement: what it wanted is withdrawn.
fn orphaned(owner: &OwnerName, set: &PushedSet) -> Option<Declarations> {
    let count = set.entries.len();
    let mut findings = Findings::new(pushed::path(owner).to_string());
    let message = format!(
        "`{owner}` is not an owner on this node any more, so its {count} registries are not applied"
    );
    *findings.warning(Place::default(), "", message) =
        Some(format!("declare `{owner}` in regtrustd.toml again, or remove the file"));
    let file = findings.file().to_string();
    let problems = findings.into_problems(None);
    (count > 0).then(|| Declarations { file, problems, ..Declarations::default() })
}

fn broken(file: &str, message: &str) -> Declarations {
    let mut findings = Findings::new(file);
    *findings.error(Place::default(), "", message) =
        Some("what was applied stays in force until it can be read".to_owned());
    Declarations::broken(findings)
}
