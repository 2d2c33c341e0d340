//! A handle on the node's root, and the only way a path is opened.
//!
//! Every path is resolved beneath the handle, so that neither a link on the node (`/etc/docker` ->
//! `/data/docker`, which must mean the *node's* `/data` when the node is mounted at `/host`) nor one
//! that somebody swaps in while we work leads out of it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{Access, AtFlags, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::{Errno, retry_on_intr};

use crate::observed::Found;
use crate::path::NodePath;

mod look;
#[cfg(test)]
mod tests;
mod walk;

pub use look::{LARGEST_FILE, Listing, Looker, list, names_in};

/// How often a resolution that raced with renames is tried again before it is done step by step.
/// Without an end, whoever may rename a directory on the way could keep us here for ever.
const RACES: u32 = 32;

#[derive(Debug)]
pub struct NodeRoot {
    directory: OwnedFd,
    path: PathBuf,
}

/// What a [`NodeRoot::handle`] is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handle {
    /// It stands for the path and nothing is opened, so it is right for a socket.
    Name,
    /// It can be read and synced.
    Content,
}

#[derive(Debug, thiserror::Error)]
pub enum RootError {
    #[error("cannot open the root `{path}`")]
    Open { path: String, source: io::Error },
    #[error("cannot {operation} `{path}`")]
    Io { operation: &'static str, path: NodePath, source: io::Error },
    #[error("`{path}` is larger than {LARGEST_FILE} bytes")]
    TooLarge { path: NodePath },
    /// A pipe, a device, a directory: reading it might block, or never end.
    #[error("`{path}` is not a regular file")]
    NotAFile { path: NodePath },
    /// Left out, it would look as if it were not there, and a directory that holds it as empty.
    #[error("`{directory}` holds `{name}`, whose name is not UTF-8; rename it")]
    Name { directory: NodePath, name: String },
}

impl RootError {
    /// Why, without the path: for [`Found::Unreadable`], which stands beside the path.
    pub fn reason(&self) -> String {
        match self {
            Self::Open { source, .. } | Self::Io { source, .. } => source.to_string(),
            Self::TooLarge { .. } => format!("larger than {LARGEST_FILE} bytes"),
            Self::NotAFile { .. } => "not a regular file".to_owned(),
            Self::Name { name, .. } => look::name_reason(name),
        }
    }
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
    ///
    /// What cannot be read at the path itself is [`Found::Unreadable`]; an error means that the
    /// directory it lies in cannot be opened.
    pub fn look(&self, path: &NodePath) -> Result<Option<Found>, RootError> {
        let parent = self.parent(path)?;
        Ok(parent.and_then(|parent| Looker::default().look(parent.as_fd(), path.file_name())))
    }

    /// Whether anything is at `path`, through links; nothing is opened for reading, so this is right
    /// for a program of 100 MB and for a device.
    pub fn exists(&self, path: &NodePath) -> Result<bool, RootError> {
        let opened = absent_is_none(self.resolve(path, OFlags::PATH | OFlags::CLOEXEC));
        Ok(opened.map_err(io_error("examine", path))?.is_some())
    }

    /// Whether a directory is at `path`, through links. What is in it need not be readable.
    pub fn is_directory(&self, path: &NodePath) -> Result<bool, RootError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = absent_is_none(self.resolve(path, flags));
        Ok(opened.map_err(io_error("examine", path))?.is_some())
    }

    /// Reads a file through links, as a program on the node would. `None`: it is not there.
    ///
    /// For what others provide (declarations in a mounted ConfigMap, `/etc/os-release`), never for
    /// a file that we are about to replace.
    pub fn read(&self, path: &NodePath) -> Result<Option<Vec<u8>>, RootError> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        match absent_is_none(self.resolve(path, flags)).map_err(io_error("open", path))? {
            None => Ok(None),
            Some(file) => look::read_regular(file.as_fd(), path).map(Some),
        }
    }

    /// A handle on what lies at `path`, through links, for what a handle is enough for: connecting
    /// to a socket by it, syncing it, asking who locked it. `None`: it is not there.
    pub fn handle(&self, path: &NodePath, purpose: Handle) -> Result<Option<OwnedFd>, RootError> {
        let flags = match purpose {
            Handle::Name => OFlags::PATH,
            Handle::Content => OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
        };
        absent_is_none(self.resolve(path, flags | OFlags::CLOEXEC)).map_err(io_error("open", path))
    }

    /// Who owns what lies at `path`, through links, and who may change it. `None`: it is not there.
    pub fn stat(&self, path: &NodePath) -> Result<Option<Stat>, RootError> {
        let opened = absent_is_none(self.resolve(path, OFlags::PATH | OFlags::CLOEXEC));
        let opened = opened.map_err(io_error("examine", path))?;
        opened.map(|at| rustix::fs::fstat(at).map_err(io_error("examine", path))).transpose()
    }

    /// When the content of what lies at `path` was last written, through links. `None`: it is not
    /// there.
    pub fn modified(&self, path: &NodePath) -> Result<Option<Timestamp>, RootError> {
        let Some(stat) = self.stat(path)? else { return Ok(None) };
        // A time that no calendar has was set by somebody, and says nothing.
        let nanoseconds = i32::try_from(stat.st_mtime_nsec).unwrap_or_default();
        Ok(Timestamp::new(stat.st_mtime, nanoseconds).ok())
    }

    /// The names in a directory, sorted. `None`: it is not there.
    pub fn names(&self, path: &NodePath) -> Result<Option<Vec<String>>, RootError> {
        self.listing(path)?.map(|listing| listing.into_names(path)).transpose()
    }

    /// The names in a directory, those that are not UTF-8 apart. `None`: it is not there.
    pub fn listing(&self, path: &NodePath) -> Result<Option<Listing>, RootError> {
        match self.directory(path)? {
            None => Ok(None),
            Some(directory) => list(&directory).map(Some).map_err(io_error("list", path)),
        }
    }

    fn resolve(&self, path: &NodePath, flags: OFlags) -> Result<OwnedFd, Errno> {
        let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let open =
            || rustix::fs::openat2(&self.directory, path.as_str(), flags, Mode::empty(), within);
        for _ in 0..RACES {
            match retry_on_intr(open) {
                // A rename elsewhere raced with `..` in a link; the kernel asks for another try.
                Err(Errno::AGAIN) => {}
                // Kernels before 5.6; units with `RestrictSUIDSGID=`, whose filter cannot look
                // behind openat2's pointer; seccomp profiles older than the call, which say EPERM.
                Err(Errno::NOSYS | Errno::PERM) => break,
                other => return other,
            }
        }
        walk::walk(self.directory.as_fd(), path.as_str(), flags)
    }
}

impl AsFd for NodeRoot {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// Whether entries can be made in a directory: neither its mode nor a read-only mount forbids it.
pub fn is_writable(directory: BorrowedFd<'_>) -> bool {
    rustix::fs::accessat(directory, ".", Access::WRITE_OK, AtFlags::empty()).is_ok()
}

fn absent_is_none<T>(result: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn io_error(operation: &'static str, path: &NodePath) -> impl FnOnce(Errno) -> RootError {
    move |errno| RootError::Io { operation, path: path.clone(), source: errno.into() }
}
