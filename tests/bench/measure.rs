//! One case, measured: applies and looks of regtrust and the bare calls, by turns.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use tempfile::TempDir;

use super::bare;
use super::tree::{self, Authorities, Managed};

/// Tells this program to be the parent of one other, and to read files.
pub(crate) const RUN: &str = "--run-one";
pub(crate) const READ: &str = "--read-bare";

#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) registries: usize,
    pub(crate) authorities: Authorities,
    /// How often a new tree is applied to.
    pub(crate) applies: usize,
    /// How often a tree is applied to on which nothing is left to do.
    pub(crate) looks: usize,
}

/// What something took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    pub(crate) elapsed: Duration,
    /// In the program and in the kernel for it: other programs' work is not in it.
    pub(crate) processor: Duration,
}

impl Took {
    pub(crate) fn of(work: impl FnOnce()) -> Self {
        let (start, before) = (Instant::now(), processor(UsageWho::RUSAGE_SELF));
        work();
        let elapsed = start.elapsed();
        Self { elapsed, processor: processor(UsageWho::RUSAGE_SELF).saturating_sub(before) }
    }
}

fn processor(who: UsageWho) -> Duration {
    let usage = getrusage(who).expect("ask for the usage");
    let time = usage.user_time() + usage.system_time();
    Duration::from_micros(time.num_microseconds().try_into().expect("time goes forward"))
}

/// regtrust and the bare calls, measured one right after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) regtrust: Took,
    pub(crate) bare: Took,
}

#[derive(Debug)]
pub(crate) struct Figures {
    /// On the node because of regtrust.
    pub(crate) files: usize,
    pub(crate) applies: Vec<Pair>,
    pub(crate) looks: Vec<Pair>,
    /// The peaks of resident memory, in KiB.
    pub(crate) apply_memory: u64,
    pub(crate) look_memory: u64,
}

impl Figures {
    pub(crate) fn measure(case: &Case, directory: &Path) -> Self {
        let scratch = TempDir::new_in(directory).expect("make a scratch directory");
        let tree = scratch.path().join("tree");
        tree::make(&tree, case.registries, case.authorities);
        settle();
        let first = One::apply(&tree);
        let managed = tree::managed(&tree);
        assert!(managed.len() > case.registries, "the first apply wrote too little");
        let mut figures = Self {
            files: managed.len(),
            applies: Vec::new(),
            looks: Vec::new(),
            apply_memory: first.memory,
            look_memory: 0,
        };
        figures.apply(case, scratch.path(), &managed, first.took);
        figures.look(case, scratch.path(), &tree, &managed);
        figures
    }

    /// The first apply was made already; the bare calls go first every second time.
    fn apply(&mut self, case: &Case, scratch: &Path, managed: &[Managed], first: Took) {
        let write = || {
            let target = scratch.join("bare");
            fs::create_dir(&target).expect("make a directory");
            settle();
            let took = bare::write(&target, managed);
            fs::remove_dir_all(target).expect("clear a tree away");
            took
        };
        self.applies.push(Pair { regtrust: first, bare: write() });
        let apply = || {
            let tree = scratch.join("another");
            tree::make(&tree, case.registries, case.authorities);
            settle();
            let took = One::apply(&tree).took;
            fs::remove_dir_all(tree).expect("clear a tree away");
            took
        };
        for turn in 1..case.applies {
            self.applies.push(by_turns(turn, apply, write));
        }
    }

    fn look(&mut self, case: &Case, scratch: &Path, tree: &Path, managed: &[Managed]) {
        let list = scratch.join("list");
        let path = |file: &Managed| format!("{}\n", tree.join(&file.path).display());
        fs::write(&list, managed.iter().map(path).collect::<String>()).expect("write a list");
        settle();
        let before = stamps(tree, managed);
        // Once for the caches.
        self.look_memory = One::apply(tree).memory;
        let look = || One::apply(tree).took;
        let read = || One::read(&list).took;
        for turn in 0..case.looks {
            self.looks.push(by_turns(turn, look, read));
        }
        assert!(before == stamps(tree, managed), "an apply with nothing to do wrote a file");
    }
}

fn by_turns(turn: usize, regtrust: impl FnOnce() -> Took, bare: impl FnOnce() -> Took) -> Pair {
    if turn.is_multiple_of(2) {
        let regtrust = regtrust();
        Pair { regtrust, bare: bare() }
    } else {
        let bare = bare();
        Pair { regtrust: regtrust(), bare }
    }
}

/// Lets the disk come to rest, so that nobody pays for what was written before.
fn settle() {
    rustix::fs::sync();
}

/// When each file was last written, by inode: a file that was replaced has another one.
fn stamps(tree: &Path, managed: &[Managed]) -> Vec<(u64, i64, i64)> {
    use std::os::unix::fs::MetadataExt as _;
    let stamp = |file: &Managed| {
        let of = fs::metadata(tree.join(&file.path)).expect("examine a file");
        (of.ino(), of.mtime(), of.mtime_nsec())
    };
    managed.iter().map(stamp).collect()
}

/// One whole process. To be fair to both sides: starting any takes as long as reading some hundred
/// files.
struct One {
    took: Took,
    memory: u64,
}

impl One {
    fn apply(tree: &Path) -> Self {
        let tree = tree.to_str().expect("a path of ours");
        Self::run(&[env!("CARGO_BIN_EXE_regtrust"), "--root", tree, "apply"])
    }

    fn read(list: &Path) -> Self {
        let this = std::env::current_exe().expect("find this program");
        let this = this.to_str().expect("a path of ours");
        Self::run(&[this, READ, list.to_str().expect("a path of ours")])
    }

    /// Through another process, because the kernel tells only the largest of all children's peaks.
    fn run(command: &[&str]) -> Self {
        let this = std::env::current_exe().expect("find this program");
        let output = Command::new(this)
            .arg(RUN)
            .args(command)
            .stderr(Stdio::inherit())
            .output()
            .expect("start this program");
        assert!(output.status.success(), "{command:?}: {}", output.status);
        let text = String::from_utf8(output.stdout).expect("three numbers");
        let mut numbers = text.split_whitespace().map(|number| number.parse().expect("a number"));
        let mut next = || numbers.next().expect("three numbers");
        let mut time = || Duration::from_nanos(next());
        let took = Took { elapsed: time(), processor: time() };
        Self { took, memory: next() }
    }
}

/// Runs one command and prints its nanoseconds, those of a processor, and its peak of memory in KiB.
pub(crate) fn run(program: &str, arguments: &[String]) -> ExitCode {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status().expect("start the program");
    let elapsed = start.elapsed();
    let children = UsageWho::RUSAGE_CHILDREN;
    let memory = getrusage(children).expect("ask for the usage").max_rss();
    println!("{} {} {memory}", elapsed.as_nanos(), processor(children).as_nanos());
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
