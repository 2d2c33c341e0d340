//! What a run is told.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::generation::Pin;
use crate::ledger::Loads;
use crate::node::detect::Overrides;
use crate::owners::Owners;
use crate::path::NodePath;
use crate::plan::rejected::Rejection;
use crate::pushed::Push;
use crate::source::dropin;
use crate::trust::host::RegistryHost;

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
    /// The starts of the fingerprints of what a run of the CA tool may still bring into the bundle.
    pub entering_store: BTreeSet<String>,
    /// What a runtime did not take the last time.
    pub rejection: Rejection,
    /// Tries again what was ever rejected.
    pub retry: bool,
    /// Paths that are left alone, with the reason and the cure.
    pub refused: BTreeMap<NodePath, (String, String)>,
    pub pin: PinChange,
    /// Who may apply over the API; `None`: that cannot be told, so what they applied stays.
    pub owners: Option<Owners>,
    pub push: Option<Push>,
    /// Whether docker's `live-restore` is to be on because of us; `None`: that cannot be told, so what
    /// there is of ours stays.
    pub live_restore: Option<bool>,
    pub now: Timestamp,
}

impl Options {
    /// A plain look at the declarations: nothing pushed, adopted, pinned or acknowledged.
    pub fn new(live: bool, now: Timestamp) -> Self {
        Self {
            live,
            overrides: Overrides::default(),
            declarations: Vec::new(),
            adopt: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            entering_store: BTreeSet::new(),
            rejection: Rejection::default(),
            retry: false,
            refused: BTreeMap::new(),
            pin: PinChange::Keep,
            owners: Some(Owners::default()),
            push: None,
            live_restore: None,
            now,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PinChange {
    #[default]
    Keep,
    Set(Pin),
    Release,
}
