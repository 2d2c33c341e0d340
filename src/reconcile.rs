//! From declarations to files: the only module that knows the order of things.
//!
//! lock → finish what was interrupted → load → decide what should be in force → observe → plan →
//! preflight → commit → erase keys that nothing needs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::generation::Pin;
use crate::ledger::{Ledger, Loads};
use crate::node::detect::Overrides;
use crate::node::observe::{ObserveError, Query, observe};
use crate::node::root::{NodeRoot, RootError};
use crate::observed::Observed;
use crate::path::NodePath;
use crate::plan::{Plan, Situation, plan};
use crate::source::dropin::{self, Sources};
use crate::state::{self, StateError};
use crate::trust::effective::{Effective, effective};
use crate::trust::host::RegistryHost;
use crate::txn::blobs::BlobError;
use crate::txn::lock::{LockError, StateLock};
use crate::txn::{self, Recovery, Refusal, TxnError};

mod history;
mod record;

pub use history::{HistoryError, earlier};

/// How long a command waits for another one to finish.
const PATIENCE: Duration = Duration::from_secs(10);

/// Times a plan is made again because the preflight found something in the way. Each time at least
/// one more item is blocked, so more would mean that the node changes faster than we look.
const ATTEMPTS: usize = 4;

/// What to work on, and with what knowledge.
#[derive(Clone, Debug)]
pub struct Options {
    /// `false`: an image tree or a chroot, where nothing runs.
    pub live: bool,
    pub overrides: Overrides,
    /// Directories of declarations beside the standard ones.
    pub declarations: Vec<dropin::Directory>,
    pub adopt: BTreeSet<RegistryHost>,
    pub acknowledged: BTreeSet<Loads>,
    pub pin: PinChange,
    pub now: Timestamp,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PinChange {
    #[default]
    Keep,
    Set(Pin),
    Release,
}

#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    #[error(transparent)]
    Root(#[from] RootError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error(transparent)]
    Observe(#[from] ObserveError),
    #[error(transparent)]
    Transaction(#[from] TxnError),
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error("the node keeps changing while it is being looked at; gave up after {ATTEMPTS} plans")]
    Unsettled,
}

/// Everything that was seen and decided.
#[derive(Debug)]
pub struct Survey {
    pub sources: Sources,
    pub effective: Effective,
    pub observed: Observed,
    /// The ledger before the plan.
    pub ledger: Ledger,
    pub pin: Option<Pin>,
    pub plan: Plan,
    /// A change that was cut short and will be finished first. What was planned may then differ.
    pub is_interrupted: bool,
    records: record::Records,
}

impl Survey {
    /// Whether nothing on the node has to change. What regtrust would only write down for itself,
    /// such as that a registry is declared and blocked, is nothing to do for anybody.
    pub fn is_settled(&self) -> bool {
        self.plan.is_empty() && !self.is_interrupted
    }

    /// Whether `apply` would write anything, its own records included.
    pub fn has_changes(&self) -> bool {
        !self.plan.changes.is_empty() || self.plan.ledger != self.ledger || self.records.differ()
    }
}

/// What an apply did.
#[derive(Debug)]
pub struct Applied {
    pub survey: Survey,
    pub recovery: Recovery,
}

/// Looks and decides; writes nothing.
pub fn survey(root: &NodeRoot, options: &Options) -> Result<Survey, ReconcileError> {
    let _lock = StateLock::shared(root, PATIENCE)?;
    look(root, options, &BTreeMap::new())
}

/// Looks, decides, and makes it so.
pub fn apply(root: &NodeRoot, options: &Options) -> Result<Applied, ReconcileError> {
    if let Some(survey) = nothing_at_all(root, options)? {
        return Ok(Applied { survey, recovery: Recovery::Nothing });
    }
    let lock = StateLock::exclusive(root, PATIENCE)?;
    let recovery = txn::recover(root, &lock)?;
    let survey = settle(root, &lock, options)?;
    record::erase_keys(root, &lock, &survey.plan.ledger)?;
    Ok(Applied { survey, recovery })
}

/// Plans and commits; what stands in the way becomes a conflict and the rest goes on.
fn settle(root: &NodeRoot, lock: &StateLock, options: &Options) -> Result<Survey, ReconcileError> {
    let mut refused = BTreeMap::new();
    for _ in 0..ATTEMPTS {
        let survey = look(root, options, &refused)?;
        if !survey.has_changes() {
            return Ok(survey);
        }
        let changes = record::with_state(&survey);
        let refusals = txn::preflight(root, &changes)?;
        if refusals.is_empty() {
            record::store_keys(root, lock, &survey)?;
            txn::commit(root, lock, &changes)?;
            return Ok(survey);
        }
        block(refusals, &survey.plan, &mut refused)?;
    }
    Err(ReconcileError::Unsettled)
}

/// Turns refusals into what the next plan leaves alone. What changed since we looked is nobody's
/// conflict: it is looked at again. What concerns no registry, such as a full disk, ends the apply.
fn block(
    refusals: Vec<Refusal>,
    plan: &Plan,
    refused: &mut BTreeMap<NodePath, (String, String)>,
) -> Result<(), TxnError> {
    let is_hopeless = |refusal: &Refusal| {
        let is_known = refused.contains_key(&refusal.path);
        !refusal.stale && (refusal.node_wide || is_known || !plan.concerns(&refusal.path))
    };
    if refusals.iter().any(is_hopeless) {
        return Err(TxnError::Refused(refusals));
    }
    let lasting = refusals.into_iter().filter(|refusal| !refusal.stale);
    refused.extend(lasting.map(|refusal| (refusal.path, (refusal.reason, refusal.cure))));
    Ok(())
}

/// A node where nothing is declared and nothing was ever ours gets no state directory.
///
/// What was seen then is what is reported. A second look could see something to do, such as a
/// declaration that has just come, and the report would say that it was done.
fn nothing_at_all(root: &NodeRoot, options: &Options) -> Result<Option<Survey>, ReconcileError> {
    if StateLock::shared(root, PATIENCE)?.is_some() {
        return Ok(None);
    }
    let survey = look(root, options, &BTreeMap::new())?;
    Ok((!survey.has_changes()).then_some(survey))
}

fn look(
    root: &NodeRoot,
    options: &Options,
    refused: &BTreeMap<NodePath, (String, String)>,
) -> Result<Survey, ReconcileError> {
    let sources = dropin::read(root, &options.declarations, options.now);
    let stored = state::read_ledger(root)?;
    let ledger = stored.as_ref().map(|stored| stored.value.clone()).unwrap_or_default();
    let pins = history::Pins::read(root, options)?;
    let pinned = pins.now.as_ref().map(|pin| history::pinned(root, pin.generation)).transpose()?;
    let in_force = if history::is_needed(&sources) {
        history::in_force(root, ledger.generation)?
    } else {
        crate::trust::effective::Earlier::default()
    };
    let effective =
        effective(&sources.desired, &sources.policy, &in_force, pinned.as_ref(), options.now);
    let observed = look_at_node(root, options, &effective, &ledger)?;
    let plan = plan(&Situation {
        entries: &effective.entries,
        observed: &observed,
        ledger: &ledger,
        adopt: &options.adopt,
        acknowledged: &options.acknowledged,
        refused,
        restart: sources.policy.restart(),
        now: options.now,
    });
    let mut survey = Survey {
        records: record::Records::default(),
        is_interrupted: txn::is_interrupted(root)?,
        pin: pins.now.clone(),
        sources,
        effective,
        observed,
        ledger,
        plan,
    };
    survey.records =
        record::Records::of(root, &mut survey.plan, &survey.effective, options, pins, stored)?;
    Ok(survey)
}

/// Looks at what is wanted, and at what is ours and may have to go.
fn look_at_node(
    root: &NodeRoot,
    options: &Options,
    effective: &Effective,
    ledger: &Ledger,
) -> Result<Observed, ObserveError> {
    let mut hosts: BTreeSet<RegistryHost> = effective.entries.keys().cloned().collect();
    for entry in effective.entries.values() {
        hosts.extend(entry.mirrors.iter().map(|mirror| mirror.host.clone()));
    }
    let owned = ledger.files.keys().cloned().collect();
    observe(
        root,
        &Query {
            live: options.live,
            overrides: options.overrides,
            hosts: &hosts,
            owned: &owned,
            bundle: effective.entries.values().any(|entry| entry.system_store)
                || ledger.uses_system_store(),
        },
    )
}

#[cfg(test)]
mod tests;
