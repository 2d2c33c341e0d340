//! What was in force before: read only when something depends on it.

use std::collections::BTreeMap;

use super::{Options, PinChange};
use crate::content::{Content, Sha256Hex};
use crate::generation::{Generation, Pin};
use crate::node::root::NodeRoot;
use crate::source::dropin::Sources;
use crate::state::{self, StateError, Stored};
use crate::trust::effective::Earlier;
use crate::trust::stored::{RestoreError, Restorer, StoredPair};
use crate::txn::blobs::{self, BlobError};

#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error("generation {number} is not kept any more; `regtrust history` lists those that are")]
    Unknown { number: u64 },
    #[error("generation {number} cannot be restored")]
    Damaged { number: u64, source: RestoreError },
    #[error(transparent)]
    Blob(#[from] BlobError),
}

/// The pin as it was, and as it is to be.
#[derive(Debug, Default)]
pub(super) struct Pins {
    pub(super) stored: Option<Stored<Pin>>,
    pub(super) now: Option<Pin>,
}

impl Pins {
    pub(super) fn read(root: &NodeRoot, options: &Options) -> Result<Self, StateError> {
        let stored = state::read_pin(root)?;
        let now = match &options.pin {
            PinChange::Set(pin) => Some(pin.clone()),
            PinChange::Release => None,
            PinChange::Keep => stored.as_ref().map(|stored| stored.value.clone()),
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
        earlier.entries.insert(entry.host.clone(), known);
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
