//! From declarations to files: the only module that knows the order of things.
//!
//! lock → finish what was interrupted → load → decide what should be in force → observe → plan →
//! preflight → commit → erase keys that nothing needs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::generation::Pin;
use crate::ledger::Ledger;
use crate::node::observe::{ObserveError, Query, observe};
use crate::node::root::{NodeRoot, RootError};
use crate::node_path;
use crate::observed::Observed;
use crate::owners::OwnerName;
use crate::path::NodePath;
use crate::plan::{Plan, Situation, plan};
use crate::pushed::{Push, PushError, Pushed};
use crate::source;
use crate::source::dropin::Sources;
use crate::source::pushed::Stock;
use crate::state::{self, StateError, Stored};
use crate::target::docker_daemon;
use crate::trust::certificate::CaBundle;
use crate::trust::effective::{Effective, effective};
use crate::trust::host::RegistryHost;
use crate::txn::blobs::BlobError;
use crate::txn::lock::{LockError, StateLock};
use crate::txn::{self, Recovery, Refusal, TxnError};

mod history;
mod keep;
mod options;
mod record;

pub use history::{HistoryError, earlier};
pub use keep::keep;
pub use options::{Options, PinChange};
use record::{Before, Records};

/// How long a command waits for another one to finish.
const PATIENCE: Duration = Duration::from_secs(10);

/// Times a plan is made again because the preflight found something in the way. Each time at least
/// one more item is blocked, so more would mean that the node changes faster than we look.
const ATTEMPTS: usize = 4;

/// Where declarations, runtimes and their configuration come and go.
const PLACES: [&str; 12] = [
    "usr/lib/regtrust/registries.d",
    "run/regtrust/registries.d",
    "etc/regtrust/registries.d",
    "etc/regtrust",
    "etc/docker",
    "etc/docker/certs.d",
    "etc/containerd",
    "etc/containerd/certs.d",
    "etc/default",
    "usr/bin",
    "usr/sbin",
    "usr/local/bin",
];

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
    #[error(transparent)]
    Push(#[from] PushError),
    #[error("what `{owner}` has applied before cannot be read: {why}")]
    Owner { owner: OwnerName, why: String },
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
    /// What owners have applied, with this run's push.
    pub pushed: Pushed,
    pub plan: Plan,
    /// A change that was cut short and will be finished first. What was planned may then differ.
    pub is_interrupted: bool,
    records: Records,
}

impl Survey {
    /// Whether nothing on the node has to change. What regtrust would only write down for itself,
    /// such as that a registry is declared and blocked, is nothing to do for anybody.
    pub fn is_settled(&self) -> bool {
        self.plan.is_empty() && !self.is_interrupted
    }

    /// When something ends by itself: an entry, a pin, a trial.
    pub fn next_end(&self) -> Option<Timestamp> {
        let entries = self.effective.entries.values().filter_map(|entry| entry.until);
        let pin = self.pin.as_ref().map(|pin| pin.until);
        entries.chain(pin).chain(self.pushed.next_end()).min()
    }

    /// Directories in which a change may concern us, there or not.
    pub fn places(&self, options: &Options) -> BTreeSet<NodePath> {
        let extra = options.declarations.iter().filter(|directory| directory.outside.is_none());
        let extra = extra.map(|directory| directory.path.clone());
        let ours = self.plan.ledger.files.keys().filter_map(NodePath::parent);
        let store = self.observed.ca_layout.filter(|_| self.plan.ledger.uses_system_store());
        let store =
            store.into_iter().flat_map(|layout| [Some(layout.anchors()), layout.bundle().parent()]);
        let known = PLACES.iter().map(|path| NodePath::constant(path));
        known.chain(extra).chain(ours).chain(store.flatten()).chain(self.signs_of_life()).collect()
    }

    /// Where it is seen that a runtime of this node starts, stops or dies, which changes no file of
    /// ours: without them it would stand in the status as running until one changes.
    ///
    /// The control group comes and goes with the service and tells of its first and last process. But
    /// what the runtime left running, such as containers, keeps it; then the sockets that the next run
    /// makes tell.
    fn signs_of_life(&self) -> impl Iterator<Item = NodePath> {
        let docker = self.observed.docker.as_ref().map(|_| "docker");
        let containerd = self.observed.containerd.as_ref().map(|_| "containerd");
        let slice = node_path!("sys/fs/cgroup/system.slice");
        let run = node_path!("run");
        let names = docker.into_iter().chain(containerd);
        names.flat_map(move |name| [slice.join(&format!("{name}.service")), run.join(name)])
    }

    /// Files of ours that exist for a registry, and those that the next apply makes.
    pub fn files_of(&self, host: &RegistryHost) -> Vec<String> {
        let ca = self.effective.entries.get(host).and_then(|entry| entry.trust.ca());
        let certificates = ca.into_iter().flat_map(CaBundle::certificates);
        let authorities: Vec<String> =
            certificates.map(|certificate| certificate.fingerprint.short()).collect();
        let is_about = |path: &&NodePath| {
            path.parent().is_some_and(|parent| parent.file_name() == host.as_str())
                || authorities.iter().any(|authority| path.file_name().contains(authority))
        };
        let ledger = &self.plan.ledger;
        let files = ledger.files.keys().filter(is_about).map(ToString::to_string);
        let elements = ledger.docker_daemon.arrays.iter();
        let named = elements.filter(|(_, array)| array.elements.contains(host.as_str()));
        let named = named.map(|(key, _)| format!("{} (`{key}`)", docker_daemon::path()));
        files.chain(named).collect()
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
    look(root, options, &options.refused)
}

/// Looks, decides, and makes it so.
pub fn apply(root: &NodeRoot, options: &Options) -> Result<Applied, ReconcileError> {
    if let Some(survey) = nothing_at_all(root, options)? {
        return Ok(Applied { survey, recovery: Recovery::Nothing });
    }
    let lock = StateLock::exclusive(root, PATIENCE)?;
    let recovery = txn::recover(root, &lock)?;
    let survey = settle(root, &lock, options)?;
    record::erase_keys(root, &lock, &survey)?;
    Ok(Applied { survey, recovery })
}

/// Plans and commits; what stands in the way becomes a conflict and the rest goes on.
fn settle(root: &NodeRoot, lock: &StateLock, options: &Options) -> Result<Survey, ReconcileError> {
    let mut refused = options.refused.clone();
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
    let survey = look(root, options, &options.refused)?;
    Ok((!survey.has_changes()).then_some(survey))
}

fn look(
    root: &NodeRoot,
    options: &Options,
    refused: &BTreeMap<NodePath, (String, String)>,
) -> Result<Survey, ReconcileError> {
    let stock = source::pushed::read(root)?;
    let pushed = push(&stock, options)?;
    let owners = options.owners.as_ref();
    let sources = source::read(root, &options.declarations, (&stock, &pushed), owners, options.now);
    let (ledger, stored) = match state::read_ledger(root)? {
        Some(Stored { value, bytes }) => (value, Some(bytes)),
        None => (Ledger::default(), None),
    };
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
        entering_store: &options.entering_store,
        rejection: &options.rejection,
        retry: options.retry,
        refused,
        restart: sources.policy.restart(),
        live_restore: options.live_restore,
        now: options.now,
    });
    let mut survey = Survey {
        records: Records::default(),
        is_interrupted: txn::is_interrupted(root)?,
        pin: pins.now.clone(),
        pushed,
        sources,
        effective,
        observed,
        ledger,
        plan,
    };
    let before = Before {
        pins,
        ledger: stored.map(|bytes| record::StoredLedger { ledger: &survey.ledger, bytes }),
        pushed: stock,
    };
    let decided = (&survey.effective, &survey.pushed);
    survey.records = Records::of(root, &mut survey.plan, decided, options, before)?;
    Ok(survey)
}

/// What owners want once this run's push is done. One whose set is damaged cannot be told what it
/// would replace.
fn push(stock: &Stock, options: &Options) -> Result<Pushed, ReconcileError> {
    if let Some(Push::Replace { owner, .. } | Push::Confirm { owner, .. }) = &options.push
        && let Some(damage) = stock.damage(owner)
    {
        return Err(ReconcileError::Owner { owner: owner.clone(), why: damage.to_string() });
    }
    Ok(Pushed::after(stock.sets(), options.push.as_ref(), options.now)?)
}

/// Looks at what is wanted, and at what is ours and may have to go.
fn look_at_node(
    root: &NodeRoot,
    options: &Options,
    effective: &Effective,
    ledger: &Ledger,
) -> Result<Observed, ObserveError> {
    let mut hosts: BTreeSet<&RegistryHost> = effective.entries.keys().collect();
    for entry in effective.entries.values() {
        hosts.extend(entry.mirrors.iter().map(|mirror| &mirror.host));
    }
    observe(
        root,
        &Query {
            live: options.live,
            overrides: options.overrides,
            hosts: &hosts,
            owned: &ledger.files,
            swarm: options.live_restore == Some(true)
                || ledger.docker_daemon.live_restore.is_some(),
            bundle: effective.entries.values().any(|entry| entry.system_store)
                || ledger.uses_system_store(),
        },
    )
}

#[cfg(test)]
mod tests;
