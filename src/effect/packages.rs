//! Whether a package manager is at work.
//!
//! Its locks are only looked at and not taken: one that finds them taken fails instead of waiting.

use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::node::root::{Handle, NodeRoot};
use crate::node_path;

/// A lock that cannot be looked at is taken for one that nobody holds: what comes of a package
/// manager at work is looked at in any case, and a node without one has no locks.
pub(super) fn is_at_work(root: &NodeRoot) -> bool {
    let locks = [
        node_path!("var/lib/dpkg/lock-frontend"),
        node_path!("var/lib/dpkg/lock"),
        node_path!("usr/lib/sysimage/rpm/.rpm.lock"),
        node_path!("var/lib/rpm/.rpm.lock"),
    ];
    locks.iter().any(|path| {
        root.handle(path, Handle::Content).ok().flatten().is_some_and(|file| is_locked(&file))
    })
}

fn is_locked(file: &OwnedFd) -> bool {
    let mut lock = libc::flock {
        l_type: i16::try_from(libc::F_WRLCK).unwrap_or_default(),
        l_whence: i16::try_from(libc::SEEK_SET).unwrap_or_default(),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    // Answers with the lock that would be in the way, or with none.
    let asked = fcntl(file, FcntlArg::F_GETLK(&mut lock));
    asked.is_ok() && i32::from(lock.l_type) != libc::F_UNLCK
}
