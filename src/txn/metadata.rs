//! Mode, owner and extended attributes of what is staged.

use std::os::fd::BorrowedFd;

use rustix::fs::{Gid, Mode, Uid, XattrFlags};
use rustix::io::Errno;
use rustix::thread::CapabilitySet;

use crate::path::NodePath;
use crate::txn::disk::{self, DiskError, Entry, failed};

/// What a staged file or directory is to have; what is `None` comes from what it replaces.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metadata {
    pub(super) mode: Option<u32>,
    pub(super) owner: Option<(u32, u32)>,
    /// For something that replaces nothing.
    pub(super) default_mode: u32,
}

/// Signatures over the old bytes: on new ones they make the kernel refuse the file.
const BOUND_TO_CONTENT: [&[u8]; 2] = [b"security.ima", b"security.evm"];

/// Gives `to` its metadata, in the order in which one does not undo the other: a change of owner
/// clears mode bits, and an access list sets some.
pub(super) fn dress(
    to: BorrowedFd<'_>,
    metadata: Metadata,
    like: Option<BorrowedFd<'_>>,
    path: &NodePath,
) -> Result<(), DiskError> {
    let mut owner = metadata.owner;
    let mut mode = metadata.mode;
    if let Some(like) = like {
        let stat = rustix::fs::fstat(like).map_err(failed("examine", path))?;
        owner = owner.or(Some((stat.st_uid, stat.st_gid)));
        mode = mode.or(Some(stat.st_mode & 0o7777));
    }
    if let Some(owner) = owner {
        give(to, owner, path)?;
    }
    if let Some(like) = like {
        copy_attributes(like, to).map_err(failed("copy the extended attributes of", path))?;
    }
    let mode = Mode::from_raw_mode(mode.unwrap_or(metadata.default_mode));
    rustix::fs::fchmod(to, mode).map_err(failed("set the mode of", path))
}

/// Whether what takes the place of `entry`, which lies in `directory`, can be given its owner.
///
/// Asked before anything is touched, because the daemon is confined to what root can do without any
/// capability, and a file that changes its owner is a file that its user cannot write any more.
pub(super) fn can_keep_owner(
    entry: &Entry,
    directory: BorrowedFd<'_>,
    path: &NodePath,
) -> Result<bool, DiskError> {
    let place = disk::examine_open(directory, path)?;
    let inherits = Mode::from_raw_mode(place.mode()).contains(Mode::SGID);
    let group = if inherits { place.owner().1 } else { rustix::process::getegid().as_raw() };
    Ok(entry.owner() == (rustix::process::geteuid().as_raw(), group) || may_give_away())
}

fn may_give_away() -> bool {
    let sets = rustix::thread::capabilities(None);
    sets.is_ok_and(|sets| sets.effective.contains(CapabilitySet::CHOWN))
}

/// Only where it differs, since without `CAP_CHOWN` even a change to the same owner may be refused.
fn give(to: BorrowedFd<'_>, owner: (u32, u32), path: &NodePath) -> Result<(), DiskError> {
    let stat = rustix::fs::fstat(to).map_err(failed("examine", path))?;
    if (stat.st_uid, stat.st_gid) == owner {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
    rustix::fs::fchown(to, Some(uid), Some(gid)).map_err(failed("set the owner of", path))
}

/// Without the label of what it replaces, a confined runtime could not read the new file.
fn copy_attributes(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Errno> {
    for name in attributes(from)?.split(|byte| *byte == 0) {
        if name.is_empty() || BOUND_TO_CONTENT.contains(&name) {
            continue;
        }
        let Some(value) = attribute(from, name)? else { continue };
        // The kernel labels new files by itself, and setting even the same label needs a right.
        if attribute(to, name)?.as_ref() != Some(&value) {
            rustix::fs::fsetxattr(to, name, &value, XattrFlags::empty())?;
        }
    }
    Ok(())
}

fn attributes(of: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    let size = match rustix::fs::flistxattr_query(of) {
        Ok(0) | Err(Errno::NOTSUP) => return Ok(Vec::new()),
        Ok(size) => size,
        Err(errno) => return Err(errno),
    };
    let mut names = vec![0; size];
    let size = rustix::fs::flistxattr(of, names.as_mut_slice())?;
    names.truncate(size);
    Ok(names)
}

fn attribute(of: BorrowedFd<'_>, name: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
    let size = match rustix::fs::fgetxattr_query(of, name) {
        Ok(size) => size,
        Err(Errno::NODATA | Errno::NOTSUP) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    let mut value = vec![0; size];
    let size = rustix::fs::fgetxattr(of, name, value.as_mut_slice())?;
    value.truncate(size);
    Ok(Some(value))
}
