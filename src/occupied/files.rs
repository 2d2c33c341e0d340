//! Files in `/run/regtrust/busy.d` that somebody holds locked with `flock`.
//!
//! The kernel lets go of such a lock when the last process that has it ends, however it ends, so no
//! job can forget to say that it is over.

use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::fs::{FileType, FlockOperation, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use crate::effect::chain;
use crate::jobs::{Occupancy, Occupant, Source, Unknown};
use crate::node::root::{NodeRoot, list};
use crate::node_path;
use crate::trust::printable::printable;

/// More were made by a mistake, or to keep us here.
const MOST: usize = 1024;
const LONGEST_NAME: usize = 80;

pub(super) fn look(root: &NodeRoot) -> Occupancy {
    let path = node_path!("run/regtrust/busy.d");
    let unknown = |why: String| Occupancy::unknown(Source::Files, why);
    let directory = match root.directory(&path) {
        Ok(Some(directory)) => directory,
        Ok(None) => return Occupancy::default(),
        Err(error) => return unknown(chain(&error)),
    };
    let listing = match list(&directory) {
        Ok(listing) => listing,
        Err(errno) => return unknown(format!("cannot list `{path}`: {errno}")),
    };
    if let Some(reason) = listing.reason() {
        return unknown(format!("`{path}`: {reason}"));
    }
    if listing.names.len() > MOST {
        return unknown(format!("`{path}` holds more than {MOST} files"));
    }
    let mut occupancy = Occupancy::default();
    for name in listing.names {
        let shown = printable(&name, LONGEST_NAME);
        match is_held(directory.as_fd(), &name) {
            Ok(false) => {}
            Ok(true) => occupancy.occupants.push(Occupant {
                source: Source::Files,
                what: "job".to_owned(),
                name: shown,
                since: None,
            }),
            Err(why) => {
                let why = format!("`{path}/{shown}` {why}");
                occupancy.unknown.push(Unknown { source: Source::Files, why });
            }
        }
    }
    occupancy
}

/// Whether anybody has the file locked, shared or not.
///
/// The only sure way to know is to take the lock for a moment. `/proc/locks` does not do: it leaves
/// out a lock whose taker has ended, and with `exec 9>file; flock 9` that is each one that a shell
/// holds.
fn is_held(directory: BorrowedFd<'_>, name: &str) -> Result<bool, String> {
    let open = |flags: OFlags| {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        retry_on_intr(|| rustix::fs::openat(directory, name, flags, Mode::empty()))
    };
    // What it is comes first: to open some devices is to do something with them.
    for flags in [OFlags::PATH, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY] {
        let file = match open(flags) {
            Ok(file) => file,
            // Its job is over, and tidy.
            Err(Errno::NOENT) => return Ok(false),
            Err(errno) => return Err(format!("cannot be opened: {errno}")),
        };
        let kind = rustix::fs::fstat(&file).map(|stat| FileType::from_raw_mode(stat.st_mode));
        if kind != Ok(FileType::RegularFile) {
            return Err("is not a regular file".to_owned());
        }
        if flags != OFlags::PATH {
            let lock = || rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
            return match retry_on_intr(lock) {
                // And it is free again as soon as the file is closed, here.
                Ok(()) => Ok(false),
                Err(Errno::WOULDBLOCK) => Ok(true),
                Err(errno) => Err(format!("cannot be locked: {errno}")),
            };
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "makes a tree to look at")]
    #![expect(clippy::disallowed_types, reason = "holds files locked, as a job does")]

    use std::fs::{self, File};
    use std::path::Path;

    use super::*;

    fn node() -> (tempfile::TempDir, std::path::PathBuf, NodeRoot) {
        let directory = tempfile::tempdir().unwrap();
        let busy = directory.path().join("run/regtrust/busy.d");
        fs::create_dir_all(&busy).unwrap();
        let root = NodeRoot::open(directory.path()).unwrap();
        (directory, busy, root)
    }

    fn lock(path: &Path, how: FlockOperation) -> File {
        let file = File::create(path).unwrap();
        rustix::fs::flock(&file, how).unwrap();
        file
    }

    #[test]
    fn a_locked_file_is_a_job_until_the_lock_is_gone() {
        let (_directory, busy, root) = node();
        assert_eq!(look(&root), Occupancy::default());
        fs::write(busy.join("left-over"), "").unwrap();
        let one = lock(&busy.join("build-7"), FlockOperation::LockExclusive);
        let shared = lock(&busy.join("tests"), FlockOperation::LockShared);
        let found = look(&root);
        let names: Vec<_> = found.occupants.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["job `build-7`", "job `tests`"]);
        assert_eq!(found.unknown, []);
        // A lock belongs to the open file, and goes with its last handle.
        let copy = one.try_clone().unwrap();
        drop((one, shared));
        assert_eq!(look(&root).occupants.len(), 1);
        drop(copy);
        assert_eq!(look(&root), Occupancy::default());
        let free = lock(&busy.join("build-7"), FlockOperation::NonBlockingLockExclusive);
        drop(free);
    }

    #[test]
    fn what_is_no_file_is_not_opened_and_not_passed_over() {
        let (directory, busy, root) = node();
        let elsewhere = lock(&directory.path().join("elsewhere"), FlockOperation::LockExclusive);
        std::os::unix::fs::symlink("../../../elsewhere", busy.join("link")).unwrap();
        std::os::unix::fs::symlink("/dev/null", busy.join("null")).unwrap();
        nix::unistd::mkfifo(&busy.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::create_dir(busy.join("directory")).unwrap();
        let found = look(&root);
        assert_eq!(found.occupants, []);
        let whys: Vec<_> = found.unknown.iter().map(|one| one.why.as_str()).collect();
        let path = node_path!("run/regtrust/busy.d");
        for (why, name) in whys.iter().zip(["directory", "link", "null", "pipe"]) {
            assert_eq!(*why, format!("`{path}/{name}` is not a regular file"));
        }
        assert_eq!(whys.len(), 4);
        drop(elsewhere);
    }

    #[test]
    fn a_directory_that_cannot_be_gone_through_is_not_an_empty_one() {
        let (_directory, busy, root) = node();
        for number in 0..=MOST {
            fs::write(busy.join(number.to_string()), "").unwrap();
        }
        assert!(!look(&root).is_free());
        fs::remove_dir_all(&busy).unwrap();
        assert!(look(&root).is_free());
        fs::write(&busy, "").unwrap();
        assert!(look(&root).is_free(), "what is no directory holds no file");
    }
}
