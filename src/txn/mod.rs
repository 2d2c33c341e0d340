//! Changes the node: the only code that writes to it.
//!
//! [`commit`] makes all of a plan's changes or none, whatever dies when. What it needs for that is in
//! one journal that is durable before the first target is touched; [`recover`] finishes a change
//! that a crash cut short. How the steps follow from each other is told in `steps`, how one
//! target changes without ever being seen half-way in `swap`.
//!
//! Two things no transaction can give. A runtime that opened the old directory before the exchange
//! goes on reading the old directory. And a program that reads a certificate and its key by path,
//! one after the other, may get one from before and one from after.

use std::io;

use rustix::io::Errno;

use crate::content::Content;
use crate::node::root::{NodeRoot, RootError};
use crate::plan::change::Changes;

pub mod blobs;
mod disk;
mod error;
mod journal;
pub mod lock;
mod metadata;
mod places;
mod preflight;
mod shape;
mod stage;
mod steps;
mod swap;
#[cfg(test)]
mod tests;

pub use disk::DiskError;
pub use error::{Refusal, TxnError};
pub use journal::JournalError;

use journal::Journal;
use lock::StateLock;
use steps::Transaction;

/// How the name of everything begins that is staged beside a target.
const STAGED_PREFIX: &str = ".regtrust-";

/// What [`recover`] found and did.
#[derive(Debug)]
pub enum Recovery {
    Nothing,
    /// The interrupted change is in place now.
    Completed,
    /// It could not be completed (`cause`), so the node is as it was before it.
    Undone {
        cause: TxnError,
    },
}

/// Looks for whatever would keep these changes from being made. Writes nothing.
pub fn preflight(root: &NodeRoot, changes: &Changes) -> Result<Vec<Refusal>, TxnError> {
    Ok(preflight::survey(root, changes)?.refusals)
}

/// Makes all changes or none. `Ok` means that they are durable.
///
/// After [`TxnError::Unfinished`] they are in place too, after [`TxnError::NotUndone`] it is for the
/// next [`recover`] to say; after any other error the node is as it was. Key material that was
/// replaced stays among the [`blobs`] until [`blobs::erase_except`].
pub fn commit(root: &NodeRoot, lock: &StateLock, changes: &Changes) -> Result<(), TxnError> {
    if changes.is_empty() {
        return Ok(());
    }
    if is_interrupted(root)? {
        return Err(TxnError::Interrupted);
    }
    let preflight::Survey { refusals, mut journal } = preflight::survey(root, changes)?;
    if !refusals.is_empty() {
        return Err(TxnError::Refused(refusals));
    }
    if journal.is_empty() {
        return Ok(());
    }
    Transaction::begin(root, lock, &mut journal)?.run()
}

/// Finishes what a crash cut short. To be called before anything else is read or written.
///
/// It may itself be cut short anywhere and be called again.
pub fn recover(root: &NodeRoot, lock: &StateLock) -> Result<Recovery, TxnError> {
    clear_abandoned(root, lock)?;
    let recovery = match read_journal(root, lock)? {
        None => Recovery::Nothing,
        Some(journal) => match Transaction::resume(root, lock, &journal)?.run() {
            Ok(()) => Recovery::Completed,
            Err(error @ (TxnError::NotUndone { .. } | TxnError::Unfinished { .. })) => {
                return Err(error);
            }
            Err(cause) => Recovery::Undone { cause },
        },
    };
    tidy(lock)?;
    Ok(recovery)
}

/// Whether a change was cut short and waits for [`recover`]. Writes nothing.
pub fn is_interrupted(root: &NodeRoot) -> Result<bool, RootError> {
    let Some(state) = root.directory(&lock::state_directory())? else { return Ok(false) };
    match rustix::fs::statat(&state, journal::NAME, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(RootError::Io {
            operation: "examine",
            path: journal::path(),
            source: io::Error::from(errno),
        }),
    }
}

/// An operator gave a disputed change up, as the hint of [`TxnError::Disputed`] says. What is staged
/// for it may be a key, and lies where nothing of a later change would come across it.
fn clear_abandoned(root: &NodeRoot, lock: &StateLock) -> Result<(), TxnError> {
    let path = lock::state_directory().join(journal::ABANDONED_NAME);
    let Some(text) = disk::read_named(lock.state(), journal::ABANDONED_NAME, &path)? else {
        return Ok(());
    };
    Transaction::abandon(root, lock, &parse_without_keys(&text)?)?;
    disk::remove_tree(lock.state(), journal::ABANDONED_NAME, &path)?;
    Ok(disk::sync(lock.state(), &lock::state_directory())?)
}

/// For what needs no contents.
fn parse_without_keys(text: &[u8]) -> Result<Journal, JournalError> {
    Journal::parse(text, |_| Ok(Content::secret(Vec::new())))
}

/// Reads a journal and prints it again. For the fuzz targets: what this decoder makes of a damaged
/// file decides what becomes of the node, and nothing else outside needs to call it.
#[doc(hidden)]
pub fn reprint_journal(text: &[u8]) -> Result<Vec<u8>, JournalError> {
    parse_without_keys(text)?.print()
}

fn read_journal(root: &NodeRoot, lock: &StateLock) -> Result<Option<Journal>, TxnError> {
    let path = journal::path();
    let Some(text) = disk::read_named(lock.state(), journal::NAME, &path)? else { return Ok(None) };
    Journal::parse(&text, |digest| Ok::<_, TxnError>(blobs::read(root, digest)?)).map(Some)
}

/// Removes what a crash left in the state directory before there was a journal that names it.
fn tidy(lock: &StateLock) -> Result<(), TxnError> {
    let path = lock::state_directory();
    let ours = |name: &str| name.starts_with(STAGED_PREFIX) || name == journal::STAGED_NAME;
    let mut removed = false;
    for name in disk::all_names(lock.state(), &path)? {
        let name = name.to_string_lossy();
        if ours(&name) {
            removed |= disk::remove_tree(lock.state(), &name, &path)?;
        }
    }
    if removed {
        disk::sync(lock.state(), &path)?;
    }
    Ok(blobs::erase_staged(lock)?)
}
