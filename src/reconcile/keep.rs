//! What the daemon writes down about itself beside the ledger, by the same way as everything else.

use super::{PATIENCE, ReconcileError};
use crate::content::Content;
use crate::node::root::NodeRoot;
use crate::path::NodePath;
use crate::plan::change::{Changes, FileEdit, Unit};
use crate::state;
use crate::txn::lock::StateLock;
use crate::txn::{self, TxnError};

/// Makes a state file say this, or be gone. `Ok` means that it is durable; the same bytes again
/// write nothing.
pub fn keep(
    root: &NodeRoot,
    path: &NodePath,
    after: Option<Vec<u8>>,
) -> Result<(), ReconcileError> {
    let lock = StateLock::exclusive(root, PATIENCE)?;
    txn::recover(root, &lock)?;
    let before = root.read(path)?;
    if before == after {
        return Ok(());
    }
    let mut changes = Changes::default();
    if path.is_beneath(&state::restarts_path()) {
        changes.make_directories.push(state::restarts_path());
    }
    let edit = FileEdit {
        target: None,
        path: path.clone(),
        before: before.map(Content::plain),
        after: after.map(Content::plain),
        mode: Some(0o600),
    };
    changes.units.push(Unit { directory: None, edits: vec![edit], keep: false });
    let refusals = txn::preflight(root, &changes)?;
    if !refusals.is_empty() {
        return Err(TxnError::Refused(refusals).into());
    }
    Ok(txn::commit(root, &lock, &changes)?)
}
