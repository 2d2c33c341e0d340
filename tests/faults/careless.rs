//! Programs that change the same files in the ways that people usually do it, to be broken by the
//! same sweep. If it found nothing wrong with these, it could not find anything.
//!
//! They run in a thread of this very test program. The calls that they are judged by are made by no
//! other thread of it, so that strace, which counts for each thread, hits only them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};

use crate::fault::{BASIC, End, meet};
use crate::oracle::{Aimed, judge};
use crate::scenario::Scenario;
use crate::strace;
use crate::sweep::faults;
use crate::tree::{self, Entry, Tree};
use crate::workers;

/// The test that is the program.
pub(crate) const PROGRAM: &str = "a_careless_program";

pub(crate) const PROTOCOLS: [&str; 3] = ["in-place", "rename", "rename-and-sync"];

/// Brings `root` to `new` by one of the protocols.
pub(crate) fn run(protocol: &str, root: &Path, new: &Tree) {
    let old = tree::read(root);
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let careless = Careless {
        root: rustix::fs::open(root, flags, Mode::empty()).unwrap(),
        renames: protocol != "in-place",
        syncs: protocol == "rename-and-sync",
    };
    let differs = |(path, entry): &(&PathBuf, &Entry)| old.get(*path) != Some(entry);
    for (path, entry) in new.iter().filter(differs) {
        match &entry.bytes {
            None => {
                let mode = Mode::from_raw_mode(entry.mode);
                rustix::fs::mkdirat(&careless.root, path, mode).unwrap();
            }
            Some(bytes) => careless.put(path, bytes, Mode::from_raw_mode(entry.mode)),
        }
    }
}

struct Careless {
    root: OwnedFd,
    renames: bool,
    syncs: bool,
}

impl Careless {
    fn put(&self, path: &Path, bytes: &[u8], mode: Mode) {
        let staged = PathBuf::from(format!("{}.tmp", path.display()));
        let target = if self.renames { &staged } else { path };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
        let file = self.open(target, flags, mode);
        assert_eq!(rustix::io::pwrite(&file, bytes, 0).unwrap(), bytes.len());
        if self.syncs {
            rustix::fs::fsync(&file).unwrap();
        }
        if self.renames {
            rustix::fs::renameat(&self.root, &staged, &self.root, path).unwrap();
        }
        if self.syncs {
            let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
            let directory = self.open(path.parent().unwrap(), flags, Mode::empty());
            rustix::fs::fsync(directory).unwrap();
        }
    }

    fn open(&self, path: &Path, flags: OFlags, mode: Mode) -> OwnedFd {
        let within = ResolveFlags::empty();
        rustix::fs::openat2(self.root.as_fd(), path, flags, mode, within).unwrap()
    }
}

/// What the sweep made of a protocol.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) faults: usize,
    /// Judged to be no survivors.
    pub(crate) caught: usize,
    /// Of these: each file is old or new, but not all the same.
    pub(crate) mixed: usize,
    /// Of these: some file is neither.
    pub(crate) torn: usize,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { faults, caught, mixed, torn } = self;
        write!(f, "{caught} of {faults} faults caught ({mixed} mixed, {torn} torn)")
    }
}

/// Injects a death and an error at every call of a protocol that changes a file, and judges the node as regtrust's is judged.
pub(crate) fn sweep(scenario: &Scenario, protocol: &str) -> Seen {
    let scratch = workers::scratch();
    let (root, new) = (scratch.path().join("node"), scratch.path().join("new"));
    tree::write(&scenario.before, &root);
    tree::write(&scenario.after, &new);
    let program = program(protocol, &root, &new);
    let program: Vec<&OsStr> = program.iter().map(AsRef::as_ref).collect();
    let (output, calls) = strace::calls(&scratch.path().join("log"), &root, &[], &program);
    assert!(output.status.success(), "{output:?}");
    let end = End::Exited { code: 0, said: String::new() };
    judge(scenario, &root, &end, Aimed::AtChanging).expect("it is right when nothing fails");

    let opened = calls[0].by;
    let own = calls.iter().filter(|call| call.by == opened && call.is_mutating());
    let verdicts = workers::each(&faults(own, &BASIC), |directory, fault| {
        let root = directory.join("node");
        tree::write(&scenario.before, &root);
        let program = self::program(protocol, &root, &new);
        let program: Vec<&OsStr> = program.iter().map(AsRef::as_ref).collect();
        let end = meet(&[fault], &directory.join("log"), &program);
        assert_ne!(end, End::NotReached, "{fault}");
        clear_staged(&root);
        let (mixed, torn) = standing(scenario, &tree::read(&root));
        (judge(scenario, &root, &end, Aimed::AtChanging).is_err(), mixed, torn)
    });
    let mut seen = Seen { faults: verdicts.len(), ..Seen::default() };
    for (caught, mixed, torn) in verdicts {
        seen.caught += usize::from(caught);
        seen.mixed += usize::from(caught && mixed);
        seen.torn += usize::from(caught && torn);
    }
    seen
}

fn program(protocol: &str, root: &Path, new: &Path) -> Vec<std::ffi::OsString> {
    let test = std::env::current_exe().unwrap();
    // The test harness takes what follows for more names of tests, of which there are none.
    let arguments = [PROGRAM, "--exact", "--ignored", "--nocapture", protocol];
    let mut program = vec![test.into_os_string()];
    program.extend(arguments.map(Into::into));
    program.extend([root.into(), new.into()]);
    program
}

/// What is left beside the targets is not held against a protocol.
fn clear_staged(root: &Path) {
    for path in tree::read(root).keys().filter(|path| path.extension() == Some(OsStr::new("tmp"))) {
        std::fs::remove_file(root.join(path)).unwrap();
    }
}

/// Whether the files are a mixture of old and new, and whether one is neither.
fn standing(scenario: &Scenario, found: &Tree) -> (bool, bool) {
    let (old, new) = (&scenario.before, &scenario.after);
    let files: BTreeSet<&PathBuf> = old.keys().chain(new.keys()).collect();
    let differ = files.into_iter().filter(|path| {
        let is_file = |tree: &Tree| tree.get(*path).is_some_and(|entry| entry.bytes.is_some());
        old.get(*path) != new.get(*path) && (is_file(old) || is_file(new))
    });
    let states = differ.map(|path| {
        let is = found.get(path);
        (is == old.get(path), is == new.get(path))
    });
    let states: Vec<(bool, bool)> = states.collect();
    let torn = states.contains(&(false, false));
    (!torn && states.contains(&(true, false)) && states.contains(&(false, true)), torn)
}
