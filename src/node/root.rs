//! A handle on the node's root, and the only way a path is opened.
//!
//! Every path is resolved beneath the handle, so that neither a link on the node (`/etc/docker` ->
//! `/data/docker`, which must mean the *node's* `/data` when the node is mounted at `/host`) nor one
//! that somebody swaps in while we work leads out of it.
#![expect(clippy::disallowed_types, reason = "reads the node, beneath the root handle")]

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxFlags};
use rustix::io::Errno;

use crate::content::Content;
use crate::observed::Found;
use crate::path::NodePath;

/// No file that we read is anywhere near this; one that is was not written by a person.
const LARGEST_FILE: u64 = 64 << 20;

#[derive(Debug)]
pub struct NodeRoot {
    directory: OwnedFd,
    path: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum RootError {
    #[error("cannot open the root `{path}`")]
    Open { path: String, source: io::Error },
    #[error("cannot {operation} `{path}`")]
    Io { operation: &'static str, path: NodePath, source: io::Error },
    #[error("`{path}` is larger than {LARGEST_FILE} bytes")]
    TooLarge { path: NodePath },
}

impl NodeRoot {
    pub fn open(path: &Path) -> Result<Self, RootError> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| {
            RootError::Open { path: path.display().to_string(), source: errno.into() }
        })?;
        Ok(Self { directory, path: path.to_owned() })
    }

    /// Where the root lies, for messages only.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a directory; links within the root are followed. `None`: it is not there.
    pub fn directory(&self, path: &NodePath) -> Result<Option<OwnedFd>, RootError> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        absent_is_none(self.resolve(path, flags)).map_err(io_error("open", path))
    }

    /// The directory that holds `path`. `None`: it is not there.
    pub fn parent(&self, path: &NodePath) -> Result<Option<OwnedFd>, RootError> {
        match path.parent() {
            Some(parent) => self.directory(&parent),
            None => self.directory.try_clone().map(Some).map_err(|source| RootError::Io {
                operation: "open",
                path: path.clone(),
                source,
            }),
        }
    }

    /// What lies at `path`, whose last component is not followed.
    pub fn look(&self, path: &NodePath) -> Result<Option<Found>, RootError> {
        match self.parent(path)? {
            None => Ok(None),
            Some(parent) => look_in(parent.as_fd(), path),
        }
    }

    /// Reads a file through links, as a program on the node would. `None`: it is not there.
    ///
    /// For what others provide (declarations in a mounted ConfigMap, `/etc/os-release`), never for
    /// a file that we are about to replace.
    pub fn read(&self, path: &NodePath) -> Result<Option<Vec<u8>>, RootError> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        match absent_is_none(self.resolve(path, flags)).map_err(io_error("open", path))? {
            None => Ok(None),
            Some(file) => read_all(File::from(file), path).map(Some),
        }
    }

    /// The names in a directory, sorted. `None`: it is not there.
    pub fn names(&self, path: &NodePath) -> Result<Option<Vec<String>>, RootError> {
        match self.directory(path)? {
            None => Ok(None),
            Some(directory) => names_in(directory.as_fd(), path).map(Some),
        }
    }

    fn resolve(&self, path: &NodePath, flags: OFlags) -> Result<OwnedFd, Errno> {
        let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        loop {
            let opened =
                rustix::fs::openat2(&self.directory, path.as_str(), flags, Mode::empty(), within);
            match opened {
                // A rename elsewhere raced with `..` in a link; the kernel asks for another try.
                Err(Errno::AGAIN) => {}
                // Kernels before 5.6, and units with `RestrictSUIDSGID=`, whose filter cannot look
                // behind openat2's pointer. A plain open would follow links anywhere, so: walk.
                Err(Errno::NOSYS) => return self.walk(path, flags),
                other => return other,
            }
        }
    }

    /// Opens component by component and follows no link at all: stricter than openat2, never laxer.
    fn walk(&self, path: &NodePath, flags: OFlags) -> Result<OwnedFd, Errno> {
        let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut at = rustix::io::dup(&self.directory)?;
        if let Some(parent) = path.parent() {
            for part in parent.as_str().split('/') {
                at = rustix::fs::openat(&at, part, step, Mode::empty())?;
            }
        }
        rustix::fs::openat(&at, path.file_name(), flags | OFlags::NOFOLLOW, Mode::empty())
    }
}

impl AsFd for NodeRoot {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// What lies at the last component of `path` in `directory`, not following a link.
pub fn look_in(directory: BorrowedFd<'_>, path: &NodePath) -> Result<Option<Found>, RootError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    match rustix::fs::openat(directory, path.file_name(), flags, Mode::empty()) {
        Ok(file) => look_at(File::from(file), path).map(Some),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(Errno::LOOP) => {
            let to = rustix::fs::readlinkat(directory, path.file_name(), Vec::new())
                .map_err(io_error("read the link", path))?;
            Ok(Some(Found::Symlink { to: to.to_string_lossy().into_owned() }))
        }
        // A socket, or a device without a driver.
        Err(Errno::NXIO) => Ok(Some(Found::Other)),
        Err(errno) => Ok(Some(Found::Unreadable { error: io::Error::from(errno).to_string() })),
    }
}

fn look_at(file: File, path: &NodePath) -> Result<Found, RootError> {
    let wanted = StatxFlags::TYPE | StatxFlags::MODE;
    let stat = rustix::fs::statx(&file, "", AtFlags::EMPTY_PATH, wanted)
        .map_err(io_error("examine", path))?;
    match FileType::from_raw_mode(stat.stx_mode.into()) {
        FileType::RegularFile => {
            let locked =
                rustix::fs::StatxAttributes::IMMUTABLE | rustix::fs::StatxAttributes::APPEND;
            Ok(Found::File {
                content: Content::plain(read_all(file, path)?),
                mode: u32::from(stat.stx_mode) & 0o7777,
                immutable: stat.stx_attributes.intersects(locked),
            })
        }
        FileType::Directory => Ok(Found::Directory),
        _ => Ok(Found::Other),
    }
}

/// The names in an open directory, sorted, without `.` and `..`.
pub fn names_in(directory: BorrowedFd<'_>, path: &NodePath) -> Result<Vec<String>, RootError> {
    let entries = rustix::fs::Dir::read_from(directory).map_err(io_error("list", path))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(io_error("list", path))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Whether anything is at a path that no other function here could name, such as a mount's own root.
pub fn is_writable(directory: BorrowedFd<'_>) -> bool {
    rustix::fs::accessat(directory, ".", Access::WRITE_OK, AtFlags::empty()).is_ok()
}

fn read_all(file: File, path: &NodePath) -> Result<Vec<u8>, RootError> {
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(|source| RootError::Io {
        operation: "read",
        path: path.clone(),
        source,
    })?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(RootError::TooLarge { path: path.clone() });
    }
    Ok(bytes)
}

fn absent_is_none<T>(result: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn io_error(operation: &'static str, path: &NodePath) -> impl FnOnce(Errno) -> RootError {
    let path = path.clone();
    move |errno| RootError::Io { operation, path, source: errno.into() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::node_path;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "makes a tree to read")]
    fn a_link_out_of_the_root_means_the_same_path_within_it() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("passwd"), "outside").unwrap();
        let tree = tempfile::tempdir().unwrap();
        symlink(outside.path(), tree.path().join("etc")).unwrap();
        let root = NodeRoot::open(tree.path()).unwrap();

        assert_eq!(root.read(&node_path!("etc/passwd")).unwrap(), None);
        let walked = root.walk(&node_path!("etc/passwd"), OFlags::RDONLY);
        assert_eq!(walked.unwrap_err(), Errno::NOTDIR, "the walk must not follow it either");
    }
}
