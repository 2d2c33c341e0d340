//! What was in force before: read only when something depends on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Options, PinChange};
use crate::content::{Content, Sha256Hex};
use crate::generation::{Generation, Pin};
use crate::node::root::NodeRoot;
use crate::source::dropin::Sources;
use crate::state::{self, StateError};
use crate::trust::effective::Earlier;
use crate::trust::stored::{RestoreError, Restorer, StoredPair};
use crate::txn::blobs::{self, BlobError};

#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error("generation {number} is not kept any more; `regtrust history` lists those that are")]
    Unknown { number: u64 },
    /// Without the record nobody can tell what is to be held, and withdrawing it would be a guess.
    #[error(
        "a declaration or the policy cannot be used, and what is in force meanwhile is not known: \
         `{}` is missing",
        state::generation_path(*number)
    )]
    Lost { number: u64 },
    #[error("the node is pinned to generation {number}, which is not kept any more")]
    PinnedToNothing { number: u64 },
    #[error("generation {number} cannot be restored")]
    Damaged { number: u64, source: RestoreError },
    #[error(transparent)]
    Blob(#[from] BlobError),
}

impl HistoryError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::State(error) => return error.hint(),
            Self::Lost { .. } => {
                "correct what `regtrust lint` reports; the next apply then writes the record anew"
            }
            Self::PinnedToNothing { .. } => {
                "`regtrust rollback --release` follows the declarations again"
            }
            Self::Damaged { .. } => {
                "choose another one from `regtrust history`, or correct what `regtrust lint` reports"
            }
            Self::Unknown { .. } | Self::Blob(_) => return None,
        };
        Some(text.to_owned())
    }
}

/// The pin as it was, and as it is to be.
#[derive(Debug, Default)]
pub(super) struct Pins {
    /// The bytes of its file.
    pub(super) stored: Option<Vec<u8>>,
    pub(super) now: Option<Pin>,
}

impl Pins {
    pub(super) fn read(root: &NodeRoot, options: &Options) -> Result<Self, StateError> {
        let (now, stored) = match &options.pin {
            // What it says does not matter then: this is also the cure for one that is damaged.
            PinChange::Set(pin) => (Some(pin.clone()), root.read(&state::pin_path())?),
            PinChange::Release => (None, root.read(&state::pin_path())?),
            PinChange::Keep => state::read_pin(root)?.map(|pin| (pin.value, pin.bytes)).unzip(),
        };
        Ok(Self { stored, now: now.filter(|pin| pin.until > options.now) })
    }
}

/// Whether anything declared cannot be used as it stands, so that what was in force decides.
pub(super) fn is_needed(sources: &Sources) -> bool {
    !sources.desired.unusable.is_empty()
        || !sources.desired.broken_files.is_empty()
        || sources.policy.is_broken()
}

/// What is in force, for declarations that cannot be used now.
pub(super) fn in_force(root: &NodeRoot, number: u64) -> Result<Earlier, HistoryError> {
    earlier(root, number).map_err(|error| match error {
        HistoryError::Unknown { number } => HistoryError::Lost { number },
        other => other,
    })
}

/// What the node is pinned to.
pub(super) fn pinned(root: &NodeRoot, number: u64) -> Result<Earlier, HistoryError> {
    earlier(root, number).map_err(|error| match error {
        HistoryError::Unknown { number } => HistoryError::PinnedToNothing { number },
        other => other,
    })
}

/// The entries of a generation; number 0 is the node before regtrust.
pub fn earlier(root: &NodeRoot, number: u64) -> Result<Earlier, HistoryError> {
    if number == 0 {
        return Ok(Earlier::default());
    }
    let unknown = HistoryError::Unknown { number };
    let generation = state::read_generation(root, number)?.ok_or(unknown)?.value;
    let keys = keys_of(root, &generation)?;
    let find = |digest: Sha256Hex| -> Option<Content> {
        let certificate = generation.certificates.get(&digest).map(Content::plain);
        certificate.or_else(|| keys.get(&digest).cloned())
    };
    let mut earlier = Earlier { number, ..Earlier::default() };
    let mut restorer = Restorer::new(&find);
    for entry in &generation.entries {
        let known =
            restorer.restore(entry).map_err(|source| HistoryError::Damaged { number, source })?;
        earlier.entries.insert(entry.host.clone(), Arc::new(known));
    }
    Ok(earlier)
}

fn keys_of(
    root: &NodeRoot,
    generation: &Generation,
) -> Result<BTreeMap<Sha256Hex, Content>, HistoryError> {
    let pairs = generation.entries.iter().filter_map(|entry| entry.client.as_ref());
    let read = |pair: &StoredPair| Ok((pair.key, blobs::read(root, &pair.key)?));
    pairs.map(read).collect()
}
