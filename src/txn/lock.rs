//! Who owns the state directory: one process at a time, whatever it is called.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::node::root::{NodeRoot, RootError};
use crate::node_path;
use crate::path::NodePath;
use crate::txn::disk::{self, DiskError, failed};

const NAME: &str = "lock";
const DAEMON: &str = "daemon.lock";

/// How often a lock that is taken is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// How often a daemon tries. A command that looks for it holds the lock for microseconds.
const LOOKS: u32 = 10;

pub fn state_directory() -> NodePath {
    node_path!("var/lib/regtrust")
}

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("another regtrust process{} owns `{path}`", named(*.pid))]
    Taken { path: NodePath, pid: Option<u32> },
    #[error("regtrustd{} is at work on this node", named(*.pid))]
    Daemon { pid: Option<u32> },
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Root(#[from] RootError),
}

impl LockError {
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Taken { pid: Some(pid), .. } => {
                Some(format!("wait until process {pid} is done, or stop it"))
            }
            Self::Taken { pid: None, path } => {
                let lock = path.join(NAME);
                Some(format!("wait until it is done; `fuser {lock}` shows which one it is"))
            }
            Self::Daemon { .. } => Some(
                "it applies what is declared by itself; `regtrust status` shows how far it is"
                    .to_owned(),
            ),
            Self::Disk(_) | Self::Root(_) => None,
        }
    }
}

/// The right to change the node and the state directory. It ends when this is dropped, or with the
/// process, however it dies.
#[derive(Debug)]
pub struct StateLock {
    state: OwnedFd,
    _held: OwnedFd,
}

/// The sign that a daemon is at work on this node, for as long as it lives. Beside the lock that it
/// takes for each change, so that commands which only look need not wait for it.
#[derive(Debug)]
pub struct DaemonLock {
    _held: OwnedFd,
}

impl DaemonLock {
    /// # Errors
    /// [`LockError::Taken`] by the daemon that is at work already.
    pub fn take(root: &NodeRoot) -> Result<Self, LockError> {
        let path = state_directory();
        let state = match root.directory(&path)? {
            Some(state) => state,
            None => make_state(root, &path)?,
        };
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&state, DAEMON, flags, Mode::RUSR | Mode::WUSR)
            .map_err(failed("make", &path.join(DAEMON)))?;
        for _ in 0..LOOKS {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { _held: file }),
                // Perhaps only by a command that looks whether a daemon is at work.
                Err(Errno::WOULDBLOCK | Errno::INTR) => thread::sleep(PAUSE),
                Err(errno) => return Err(failed("lock", &path.join(DAEMON))(errno).into()),
            }
        }
        Err(LockError::Daemon { pid: holder(root, file.as_fd()) })
    }

    /// Fails if a daemon is at work. Makes nothing.
    pub fn none(root: &NodeRoot) -> Result<(), LockError> {
        let path = state_directory();
        let Some(state) = root.directory(&path)? else { return Ok(()) };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&state, DAEMON, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(failed("open", &path.join(DAEMON))(errno).into()),
        };
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(()),
            Err(Errno::WOULDBLOCK) => Err(LockError::Daemon { pid: holder(root, file.as_fd()) }),
            Err(errno) => Err(failed("lock", &path.join(DAEMON))(errno).into()),
        }
    }
}

/// The assurance that nobody changes the state directory while it is read.
pub struct ReadLock {
    /// `None`: the directory is there and nobody ever locked it.
    _held: Option<OwnedFd>,
}

impl fmt::Debug for ReadLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadLock")
    }
}

impl StateLock {
    /// Makes the state directory if there is none, and takes it.
    ///
    /// Where both exist nothing is written, so that a run which finds nothing to do leaves no trace.
    /// `patience` bounds the wait; zero tries once.
    pub fn exclusive(root: &NodeRoot, patience: Duration) -> Result<Self, LockError> {
        let path = state_directory();
        let state = match root.directory(&path)? {
            Some(state) => state,
            None => make_state(root, &path)?,
        };
        close_to_others(state.as_fd(), &path)?;
        let take = || take(root, state.as_fd(), FlockOperation::NonBlockingLockExclusive, patience);
        let mut held = take()?;
        if held.is_none() {
            make_lock_file(state.as_fd(), &path)?;
            held = take()?;
        }
        let held = held.ok_or(LockError::Taken { path, pid: None })?;
        Ok(Self { state, _held: held })
    }

    /// For what only reads. Creates and writes nothing. `None`: there is no state directory.
    pub fn shared(root: &NodeRoot, patience: Duration) -> Result<Option<ReadLock>, LockError> {
        let Some(state) = root.directory(&state_directory())? else { return Ok(None) };
        let held = take(root, state.as_fd(), FlockOperation::NonBlockingLockShared, patience)?;
        Ok(Some(ReadLock { _held: held }))
    }

    /// The state directory.
    pub(super) fn state(&self) -> BorrowedFd<'_> {
        self.state.as_fd()
    }
}

/// Locks the lock file. `None`: there is none.
fn take(
    root: &NodeRoot,
    state: BorrowedFd<'_>,
    operation: FlockOperation,
    patience: Duration,
) -> Result<Option<OwnedFd>, LockError> {
    let path = state_directory();
    let mut left = patience;
    loop {
        let Some(file) = open_lock_file(state, &path)? else { return Ok(None) };
        match rustix::fs::flock(&file, operation) {
            Ok(()) if is_linked(file.as_fd(), &path)? => return Ok(Some(file)),
            // Whoever held it removed it: a lock on a file without a name locks nobody out.
            Ok(()) | Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) if left.is_zero() => {
                let pid = holder(root, file.as_fd());
                return Err(LockError::Taken { path, pid });
            }
            Err(Errno::WOULDBLOCK) => {
                thread::sleep(PAUSE.min(left));
                left = left.saturating_sub(PAUSE);
            }
            Err(errno) => return Err(failed("lock", &path.join(NAME))(errno).into()),
        }
    }
}

fn open_lock_file(state: BorrowedFd<'_>, path: &NodePath) -> Result<Option<OwnedFd>, DiskError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    match rustix::fs::openat(state, NAME, flags, Mode::empty()) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(failed("open", &path.join(NAME))(errno)),
    }
}

fn make_lock_file(state: BorrowedFd<'_>, path: &NodePath) -> Result<(), DiskError> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(state, NAME, flags, Mode::RUSR | Mode::WUSR)
        .map_err(failed("make", &path.join(NAME)))?;
    disk::sync(state, path)
}

fn is_linked(file: BorrowedFd<'_>, path: &NodePath) -> Result<bool, DiskError> {
    let stat = rustix::fs::fstat(file).map_err(failed("examine", &path.join(NAME)))?;
    Ok(stat.st_nlink > 0)
}

fn make_state(root: &NodeRoot, path: &NodePath) -> Result<OwnedFd, LockError> {
    if let Some(parent) = path.parent() {
        make_with_parents(root, &parent, 0o755)?;
    }
    make_with_parents(root, path, 0o700)?;
    let vanished = || failed("open the directory", path)(Errno::NOENT);
    Ok(root.directory(path)?.ok_or_else(vanished)?)
}

/// Makes a directory and those above it, each durably before the next.
fn make_with_parents(root: &NodeRoot, path: &NodePath, mode: u32) -> Result<(), LockError> {
    if root.directory(path)?.is_some() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_with_parents(root, &parent, 0o755)?;
    }
    let vanished = || failed("open the directory of", path)(Errno::NOENT);
    let parent = root.parent(path)?.ok_or_else(vanished)?;
    if disk::make_directory(parent.as_fd(), path.file_name(), mode, path)? {
        disk::sync(parent.as_fd(), &path.parent().unwrap_or_else(|| path.clone()))?;
    }
    Ok(())
}

/// The journal may hold an administrator's whole daemon.json, proxy passwords included. A packager
/// or a `mkdir` may have made the directory before us.
fn close_to_others(state: BorrowedFd<'_>, path: &NodePath) -> Result<(), DiskError> {
    let open_to = Mode::from_raw_mode(disk::examine_open(state, path)?.mode());
    if !open_to.intersects(Mode::RWXG | Mode::RWXO) {
        return Ok(());
    }
    rustix::fs::fchmod(state, Mode::RWXU).map_err(failed("set the mode of", path))?;
    disk::sync(state, path)
}

/// Who holds the lock, from the kernel's table. Nothing is written into the lock file for this: a
/// run that finds nothing to do would have to write it too.
fn holder(root: &NodeRoot, file: BorrowedFd<'_>) -> Option<u32> {
    let stat = rustix::fs::fstat(file).ok()?;
    let table = root.read(&node_path!("proc/locks")).ok()??;
    let (major, minor) = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
    let inode = format!("{major:02x}:{minor:02x}:{}", stat.st_ino);
    String::from_utf8(table).ok()?.lines().find_map(|line| pid_of(line, &inode))
}

/// `1: FLOCK  ADVISORY  WRITE 812 fe:00:1234 0 EOF`; a waiter has `->` as its second field.
fn pid_of(line: &str, inode: &str) -> Option<u32> {
    let mut fields = line.split_whitespace().skip(1);
    if fields.next()? != "FLOCK" {
        return None;
    }
    let mut fields = fields.skip(2);
    let pid = fields.next()?.parse().ok()?;
    (fields.next()? == inode && pid != 0).then_some(pid)
}

fn named(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

#[cfg(test)]
mod tests;
