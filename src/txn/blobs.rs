//! Contents by digest, each in a file of its own that can be erased: key material above all, which
//! must not outlive the last generation that needs it.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;

use crate::content::{Content, Sha256Hex};
use crate::node::root::{NodeRoot, RootError};
use crate::path::NodePath;
use crate::txn::disk::{self, DiskError, failed};
use crate::txn::lock::{self, StateLock};

const DIRECTORY: &str = "blobs";
const STAGED_SUFFIX: &str = ".tmp";

#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error("`{path}` is not there")]
    Missing { path: NodePath },
    #[error("`{path}` is damaged: its content has another digest than its name")]
    Damaged { path: NodePath },
    /// The change may need any of them to be finished.
    #[error("nothing can be erased from `{path}` while a change is interrupted")]
    Interrupted { path: NodePath },
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Root(#[from] RootError),
}

/// Reads a blob. It comes back as [`Content::Secret`] whatever it was, which is safe: whoever knows
/// that it is a certificate may take its bytes.
pub fn read(root: &NodeRoot, digest: &Sha256Hex) -> Result<Content, BlobError> {
    let path = path_of(digest);
    let missing = || BlobError::Missing { path: path.clone() };
    let directory = root.directory(&directory_path())?.ok_or_else(missing)?;
    let bytes =
        disk::read_named(directory.as_fd(), &digest.to_string(), &path)?.ok_or_else(missing)?;
    if Sha256Hex::of(&bytes) != *digest {
        return Err(BlobError::Damaged { path });
    }
    Ok(Content::Secret(Arc::new(bytes)))
}

/// Keeps contents, durably. One that is there already is not written again.
pub fn store<'a>(
    root: &NodeRoot,
    lock: &StateLock,
    contents: impl IntoIterator<Item = &'a Content>,
) -> Result<(), BlobError> {
    let mut contents = contents.into_iter().peekable();
    if contents.peek().is_none() {
        return Ok(());
    }
    let directory = open_or_make(lock)?;
    for content in contents {
        let digest = content.digest();
        match read(root, &digest) {
            Ok(_) => {}
            Err(BlobError::Missing { .. } | BlobError::Damaged { .. }) => {
                write(directory.as_fd(), &digest, content)?;
            }
            Err(error) => return Err(error),
        }
    }
    // Also when all were there: whoever wrote them may have died before this.
    Ok(disk::sync(directory.as_fd(), &directory_path())?)
}

/// Removes every blob but these, durably, and what an interrupted [`store`] left.
pub fn erase_except(
    root: &NodeRoot,
    lock: &StateLock,
    keep: &BTreeSet<Sha256Hex>,
) -> Result<(), BlobError> {
    let path = directory_path();
    if super::is_interrupted(root)? {
        return Err(BlobError::Interrupted { path });
    }
    let keep: BTreeSet<String> = keep.iter().map(ToString::to_string).collect();
    erase(lock, |name| !keep.contains(name))
}

/// Removes what an interrupted [`store`] left.
pub(super) fn erase_staged(lock: &StateLock) -> Result<(), BlobError> {
    erase(lock, |name| name.ends_with(STAGED_SUFFIX))
}

fn erase(lock: &StateLock, goes: impl Fn(&str) -> bool) -> Result<(), BlobError> {
    let path = directory_path();
    let Some(directory) = disk::open_directory(lock.state(), DIRECTORY, &path)? else {
        return Ok(());
    };
    let mut erased = false;
    for name in disk::all_names(directory.as_fd(), &path)? {
        let name = name.to_string_lossy();
        if goes(&name) {
            erased |= disk::remove_tree(directory.as_fd(), &name, &path)?;
        }
    }
    if erased {
        disk::sync(directory.as_fd(), &path)?;
    }
    Ok(())
}

fn write(
    directory: BorrowedFd<'_>,
    digest: &Sha256Hex,
    content: &Content,
) -> Result<(), DiskError> {
    let path = path_of(digest);
    let staged = format!(".{digest}{STAGED_SUFFIX}");
    let written = disk::create(directory, &staged, content.bytes(), &path)
        .and_then(|file| disk::sync(file.as_fd(), &path))
        .and_then(|()| {
            rustix::fs::renameat(directory, &staged, directory, digest.to_string())
                .map_err(failed("publish", &path))
        });
    if written.is_err() {
        // Half a key is key material too. Should this fail as well, the next `recover` tries again.
        let _ = disk::remove_tree(directory, &staged, &path);
    }
    written
}

fn open_or_make(lock: &StateLock) -> Result<OwnedFd, DiskError> {
    let path = directory_path();
    if disk::make_directory(lock.state(), DIRECTORY, 0o700, &path)? {
        disk::sync(lock.state(), &lock::state_directory())?;
    }
    disk::open_directory(lock.state(), DIRECTORY, &path)?
        .ok_or_else(|| failed("open the directory", &path)(Errno::NOENT))
}

fn directory_path() -> NodePath {
    lock::state_directory().join(DIRECTORY)
}

fn path_of(digest: &Sha256Hex) -> NodePath {
    directory_path().join(&digest.to_string())
}
