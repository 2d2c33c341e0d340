//! Entries of open directories: looked at, made, moved, removed.
//!
//! Everything here takes a directory's descriptor and one name in it, and follows no link.
#![expect(clippy::disallowed_types, reason = "writes to the node, beneath the root handle")]

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RenameFlags, Statx, StatxAttributes, StatxFlags,
};
use rustix::io::Errno;
use rustix::path::Arg;
use zeroize::Zeroizing;

use crate::path::NodePath;

#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    #[error("cannot {operation} `{path}`")]
    Io { operation: &'static str, path: NodePath, source: io::Error },
    #[error("`{path}` is not a directory")]
    NotADirectory { path: NodePath },
    /// What is in it is then changed file by file, so this is seen of a new directory only.
    #[error("the file system of `{path}` cannot move this directory")]
    Unmovable { path: NodePath, source: io::Error },
}

pub(super) fn failed(
    operation: &'static str,
    path: &NodePath,
) -> impl FnOnce(Errno) -> DiskError + use<> {
    let path = path.clone();
    move |errno| DiskError::Io { operation, path, source: errno.into() }
}

/// What is at a name.
pub(super) struct Entry {
    stat: Statx,
}

impl Entry {
    pub(super) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.stx_mode.into())
    }

    pub(super) fn mode(&self) -> u32 {
        u32::from(self.stat.stx_mode) & 0o7777
    }

    pub(super) fn owner(&self) -> (u32, u32) {
        (self.stat.stx_uid, self.stat.stx_gid)
    }

    pub(super) fn size(&self) -> u64 {
        self.stat.stx_size
    }

    /// `chattr +i` or `+a`: even root's rename over it, and a hard link to it, are refused.
    pub(super) fn is_immutable(&self) -> bool {
        self.stat.stx_attributes.intersects(StatxAttributes::IMMUTABLE | StatxAttributes::APPEND)
    }

    /// Such as a file that a container runtime mounted over another: renaming it is `EBUSY`.
    pub(super) fn is_mount_point(&self) -> bool {
        self.stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
    }

    pub(super) fn device(&self) -> (u32, u32) {
        (self.stat.stx_dev_major, self.stat.stx_dev_minor)
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.device() == other.device() && self.stat.stx_ino == other.stat.stx_ino
    }
}

pub(super) fn examine<P: Arg>(
    directory: BorrowedFd<'_>,
    name: P,
    path: &NodePath,
) -> Result<Option<Entry>, DiskError> {
    let wanted = StatxFlags::BASIC_STATS;
    match rustix::fs::statx(directory, name, AtFlags::SYMLINK_NOFOLLOW, wanted) {
        Ok(stat) => Ok(Some(Entry { stat })),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(failed("examine", path)(errno)),
    }
}

/// The directory itself.
pub(super) fn examine_open(directory: BorrowedFd<'_>, path: &NodePath) -> Result<Entry, DiskError> {
    rustix::fs::statx(directory, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)
        .map(|stat| Entry { stat })
        .map_err(failed("examine", path))
}

/// Whether `name` is a regular file with exactly these bytes; with `None`: whether nothing is there.
pub(super) fn holds(
    directory: BorrowedFd<'_>,
    name: &str,
    expected: Option<&[u8]>,
    path: &NodePath,
) -> Result<bool, DiskError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::openat(directory, name, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(expected.is_none()),
        Err(Errno::LOOP | Errno::NXIO) => return Ok(false),
        Err(errno) => return Err(failed("open", path)(errno)),
    };
    let Some(expected) = expected else { return Ok(false) };
    let stat = rustix::fs::fstat(&file).map_err(failed("examine", path))?;
    let size = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || size != expected.len() {
        return Ok(false);
    }
    Ok(*read(file, size, path)? == expected)
}

/// Reads at most `size` bytes and one, so that a file which grew is seen to have grown.
///
/// The buffer is as large as it will ever be from the start: one that grows leaves unwiped copies
/// of a key behind.
pub(super) fn read(
    file: File,
    size: usize,
    path: &NodePath,
) -> Result<Zeroizing<Vec<u8>>, DiskError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(size.saturating_add(64)));
    file.take(size as u64 + 1).read_to_end(&mut bytes).map_err(|source| DiskError::Io {
        operation: "read",
        path: path.clone(),
        source,
    })?;
    Ok(bytes)
}

/// Reads a file of ours, however large. `None`: there is none.
pub(super) fn read_named(
    directory: BorrowedFd<'_>,
    name: &str,
    path: &NodePath,
) -> Result<Option<Zeroizing<Vec<u8>>>, DiskError> {
    let Some(file) = open_file(directory, name, path)? else { return Ok(None) };
    let stat = rustix::fs::fstat(&file).map_err(failed("examine", path))?;
    read(file.into(), usize::try_from(stat.st_size).unwrap_or_default(), path).map(Some)
}

/// The names in a directory, sorted, without `.`, `..` and what we stage.
pub(super) fn names(directory: BorrowedFd<'_>, path: &NodePath) -> Result<Vec<CString>, DiskError> {
    let mut names = all_names(directory, path)?;
    names.retain(|name| !name.to_bytes().starts_with(super::STAGED_PREFIX.as_bytes()));
    Ok(names)
}

pub(super) fn all_names(
    directory: BorrowedFd<'_>,
    path: &NodePath,
) -> Result<Vec<CString>, DiskError> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory).map_err(failed("list", path))? {
        let entry = entry.map_err(failed("list", path))?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Opens a directory that must be one itself. `None`: nothing is there.
pub(super) fn open_directory<P: Arg>(
    parent: BorrowedFd<'_>,
    name: P,
    path: &NodePath,
) -> Result<Option<OwnedFd>, DiskError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(parent, name, flags, Mode::empty()) {
        Ok(directory) => Ok(Some(directory)),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::NOTDIR | Errno::LOOP) => Err(DiskError::NotADirectory { path: path.clone() }),
        Err(errno) => Err(failed("open the directory", path)(errno)),
    }
}

/// Opens a file to take its metadata from. `None`: there is none.
pub(super) fn open_file(
    directory: BorrowedFd<'_>,
    name: &str,
    path: &NodePath,
) -> Result<Option<OwnedFd>, DiskError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    match rustix::fs::openat(directory, name, flags, Mode::empty()) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(failed("open", path)(errno)),
    }
}

/// Makes an empty directory that nobody else may enter yet, in place of a leftover of ours.
pub(super) fn create_directory(
    parent: BorrowedFd<'_>,
    name: &str,
    path: &NodePath,
) -> Result<OwnedFd, DiskError> {
    let mut made = rustix::fs::mkdirat(parent, name, Mode::RWXU);
    if matches!(made, Err(Errno::EXIST)) {
        remove_tree(parent, name, path)?;
        made = rustix::fs::mkdirat(parent, name, Mode::RWXU);
    }
    made.map_err(failed("stage", path))?;
    open_directory(parent, name, path)?.ok_or_else(|| failed("stage", path)(Errno::NOENT))
}

/// Makes a file that only its owner can read yet, and fills it.
///
/// What lies at the name is a leftover of ours, since no one else uses such names: it goes.
pub(super) fn create(
    directory: BorrowedFd<'_>,
    name: &str,
    bytes: &[u8],
    path: &NodePath,
) -> Result<OwnedFd, DiskError> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let owner_only = Mode::RUSR | Mode::WUSR;
    let mut opened = rustix::fs::openat(directory, name, flags, owner_only);
    if matches!(opened, Err(Errno::EXIST)) {
        remove_tree(directory, name, path)?;
        opened = rustix::fs::openat(directory, name, flags, owner_only);
    }
    let mut file = File::from(opened.map_err(failed("stage", path))?);
    // A full disk may take part of the bytes and report nothing until the next call.
    file.write_all(bytes).map_err(|source| DiskError::Io {
        operation: "write",
        path: path.clone(),
        source,
    })?;
    Ok(file.into())
}

pub(super) fn sync(file: BorrowedFd<'_>, path: &NodePath) -> Result<(), DiskError> {
    rustix::fs::fsync(file).map_err(failed("sync", path))
}

/// Removes a file, or a directory that holds no directories. `false`: nothing was there.
pub(super) fn remove_tree(
    directory: BorrowedFd<'_>,
    name: &str,
    path: &NodePath,
) -> Result<bool, DiskError> {
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) => return Ok(true),
        Err(Errno::NOENT) => return Ok(false),
        Err(Errno::ISDIR) => {}
        Err(errno) => return Err(failed("remove what was staged for", path)(errno)),
    }
    let clear = failed("clear away the old state of", path);
    if let Some(tree) = open_directory(directory, name, path)? {
        for name in all_names(tree.as_fd(), path)? {
            rustix::fs::unlinkat(&tree, &name, AtFlags::empty())
                .map_err(failed("clear away the old state of", path))?;
        }
    }
    rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR).map_err(clear)?;
    Ok(true)
}

/// Removes a directory if nothing is in it. `false`: it stays, or was not there.
pub(super) fn remove_empty(
    parent: BorrowedFd<'_>,
    name: &str,
    path: &NodePath,
) -> Result<bool, DiskError> {
    match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) => Ok(true),
        // Not empty, not there, a link, a mount point: not ours to remove.
        Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT | Errno::NOTDIR | Errno::BUSY) => {
            Ok(false)
        }
        Err(errno) => Err(failed("remove the directory", path)(errno)),
    }
}

/// Makes a directory with this mode, whatever the umask says. `false`: something is there already.
pub(super) fn make_directory(
    parent: BorrowedFd<'_>,
    name: &str,
    mode: u32,
    path: &NodePath,
) -> Result<bool, DiskError> {
    match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
        Ok(()) => {}
        Err(Errno::EXIST) => return Ok(false),
        Err(errno) => return Err(failed("make the directory", path)(errno)),
    }
    set_mode(parent, name, mode, path)?;
    Ok(true)
}

/// Gives a directory its mode that an interrupted [`make_directory`] could not give it any more.
/// Left with the first one, nobody but root would ever see what is in it.
pub(super) fn finish_directory(
    parent: BorrowedFd<'_>,
    name: &str,
    mode: u32,
    path: &NodePath,
) -> Result<(), DiskError> {
    let Some(directory) = open_directory(parent, name, path)? else { return Ok(()) };
    let is_ours = examine_open(directory.as_fd(), path)?.mode() == Mode::RWXU.as_raw_mode();
    if is_ours && all_names(directory.as_fd(), path)?.is_empty() {
        set_mode(parent, name, mode, path)?;
    }
    Ok(())
}

fn set_mode(
    parent: BorrowedFd<'_>,
    name: &str,
    mode: u32,
    path: &NodePath,
) -> Result<(), DiskError> {
    let Some(directory) = open_directory(parent, name, path)? else { return Ok(()) };
    rustix::fs::fchmod(&directory, Mode::from_raw_mode(mode))
        .map_err(failed("set the mode of", path))
}

/// Renames within one directory, over nothing.
pub(super) fn rename_to_nothing(
    directory: BorrowedFd<'_>,
    from: &str,
    to: &str,
) -> Result<(), Errno> {
    match rustix::fs::renameat_with(directory, from, directory, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) => rename_by_link(directory, from, to),
        done => done,
    }
}

/// For file systems without `RENAME_NOREPLACE`: a link is refused where something is, and a
/// directory, which has no links, is renamed over an empty one at worst.
pub(super) fn rename_by_link(directory: BorrowedFd<'_>, from: &str, to: &str) -> Result<(), Errno> {
    match rustix::fs::linkat(directory, from, directory, to, AtFlags::empty()) {
        Ok(()) => rustix::fs::unlinkat(directory, from, AtFlags::empty()),
        Err(Errno::PERM | Errno::ISDIR) => {
            match rustix::fs::statat(directory, to, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => rustix::fs::renameat(directory, from, directory, to),
                Ok(_) => Err(Errno::EXIST),
                Err(errno) => Err(errno),
            }
        }
        Err(errno) => Err(errno),
    }
}

/// Exchanges what two names in one directory stand for, at one instant.
pub(super) fn exchange(directory: BorrowedFd<'_>, a: &str, b: &str) -> Result<(), Errno> {
    rustix::fs::renameat_with(directory, a, directory, b, RenameFlags::EXCHANGE)
}

/// For file systems without `RENAME_EXCHANGE`: `b` changes at one instant, `a` a moment later.
///
/// Only for files, since a directory has no links. `aside` is a third name of ours.
pub(super) fn exchange_by_links(
    directory: BorrowedFd<'_>,
    a: &str,
    b: &str,
    aside: &str,
) -> Result<(), Errno> {
    let mut linked = rustix::fs::linkat(directory, b, directory, aside, AtFlags::empty());
    if matches!(linked, Err(Errno::EXIST)) {
        // Left by a crash between these three lines.
        rustix::fs::unlinkat(directory, aside, AtFlags::empty())?;
        linked = rustix::fs::linkat(directory, b, directory, aside, AtFlags::empty());
    }
    linked?;
    rustix::fs::renameat(directory, a, directory, b)?;
    rustix::fs::renameat(directory, aside, directory, a)
}

/// Gives `to` in `target` the entry `name` of `source` as well. A link is linked, not followed.
pub(super) fn carry(
    source: BorrowedFd<'_>,
    target: BorrowedFd<'_>,
    name: &CStr,
    path: &NodePath,
) -> Result<(), DiskError> {
    rustix::fs::linkat(source, name, target, name, AtFlags::empty())
        .map_err(failed("carry over an entry of", path))
}
