//! What openat2 does with `RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS`, one component at a time, for
//! where it cannot be called.
//!
//! The kernel never follows a link here and never sees a `..`: links are read and their text is
//! taken apart, `..` goes back along the handles that we came by, and an absolute link begins again
//! at the root. So no rename and no swapped link can lead out, whenever it happens.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, PROC_SUPER_MAGIC};
use rustix::io::{Errno, retry_on_intr};

/// As many as the kernel follows.
const LINKS: u32 = 40;

const STEP: OFlags =
    OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

pub(super) fn walk(root: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut walk = Walk { root, trail: Vec::new(), rest: Vec::new(), links: 0 };
    walk.push(path.as_bytes());
    while let Some(part) = walk.rest.pop() {
        if part == b".." {
            walk.trail.pop();
        } else if let Some(end) = walk.enter(&part, flags)? {
            return Ok(end);
        }
    }
    // A link said `..` or `/`: the end is where we stand.
    open(walk.at(), b".", flags)
}

struct Walk<'a> {
    root: BorrowedFd<'a>,
    /// The directories from the root to where we stand.
    trail: Vec<OwnedFd>,
    /// The components still to come, the next one last.
    rest: Vec<Vec<u8>>,
    links: u32,
}

impl Walk<'_> {
    fn at(&self) -> BorrowedFd<'_> {
        self.trail.last().map_or(self.root, AsFd::as_fd)
    }

    fn push(&mut self, path: &[u8]) {
        let parts = path.split(|&byte| byte == b'/').rev();
        let parts = parts.filter(|part| !part.is_empty() && *part != b".");
        self.rest.extend(parts.map(<[u8]>::to_vec));
    }

    /// One component on. `Some`: it was the last one.
    fn enter(&mut self, part: &[u8], flags: OFlags) -> Result<Option<OwnedFd>, Errno> {
        let last = self.rest.is_empty();
        let how = if last { flags | OFlags::NOFOLLOW } else { STEP };
        match open(self.at(), part, how) {
            Ok(entry) => match link_itself(&entry, how) {
                Some(target) => self.follow(&target)?,
                None if last => return Ok(Some(entry)),
                None => self.trail.push(entry),
            },
            Err(refused @ (Errno::LOOP | Errno::NOTDIR)) => {
                let target = rustix::fs::readlinkat(self.at(), part, Vec::new());
                self.follow(&target.map_err(|_| refused)?)?;
            }
            Err(errno) => return Err(errno),
        }
        Ok(None)
    }

    fn follow(&mut self, target: &CString) -> Result<(), Errno> {
        self.links += 1;
        // procfs's links can be more than their text says (`/proc/1/root`). None of them lies on a
        // path that we read.
        if self.links > LINKS || rustix::fs::fstatfs(self.at())?.f_type == PROC_SUPER_MAGIC {
            return Err(Errno::LOOP);
        }
        if target.as_bytes().starts_with(b"/") {
            self.trail.clear();
        }
        self.push(target.as_bytes());
        Ok(())
    }
}

/// `O_PATH` with `O_NOFOLLOW` opens a link instead of refusing it.
fn link_itself(entry: &OwnedFd, how: OFlags) -> Option<CString> {
    let could_be_link = how.contains(OFlags::PATH) && !how.contains(OFlags::DIRECTORY);
    could_be_link.then(|| rustix::fs::readlinkat(entry, "", Vec::new()).ok()).flatten()
}

fn open(at: BorrowedFd<'_>, part: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    retry_on_intr(|| rustix::fs::openat(at, part, flags, Mode::empty()))
}
