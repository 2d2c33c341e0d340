//! Which faults there are, and what came of them.

use std::path::Path;
use std::sync::Arc;

use crate::calls::Call;
use crate::chance::Chance;
use crate::fault::{ALL, BASIC, COMMON, End, Fault, Kind, meet};
use crate::node;
use crate::oracle::{Aimed, Stood, judge};
use crate::sample::some_of;
use crate::scenario::Scenario;
use crate::strace;
use crate::tree::{self, Tree};
use crate::workers;

/// Calls that only look, or wait, and whose failure regtrust can notice. `close` is not among them:
/// nothing can be done about its failure, and nothing is.
const LOOKING: [&str; 18] = [
    "access",
    "faccessat",
    "faccessat2",
    "fcntl",
    "fgetxattr",
    "flistxattr",
    "flock",
    "fstat",
    "fstatfs",
    "getdents64",
    "lseek",
    "newfstatat",
    "openat",
    "openat2",
    "pread64",
    "read",
    "readlinkat",
    "statx",
];

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    kinds: &'static [Kind],
    /// Faults at calls that only look.
    looking: usize,
    /// Interrupted runs whose recovery meets a fault.
    interrupted: usize,
    /// Failing runs that meet a fault while they take back what they did.
    failing: usize,
    /// Faults in each of these.
    second: usize,
    second_kinds: &'static [Kind],
}

/// A few minutes.
pub(crate) const SAMPLE: Extent = Extent {
    kinds: &COMMON,
    looking: 120,
    interrupted: 10,
    failing: 10,
    second: 8,
    second_kinds: &COMMON,
};

/// Hours: there are a hundred places to be cut off at, and a hundred in each recovery.
pub(crate) const SOAK: Extent = Extent {
    kinds: &ALL,
    looking: usize::MAX,
    interrupted: usize::MAX,
    failing: 50,
    second: usize::MAX,
    second_kinds: &BASIC,
};

/// One run, or two, with faults in them.
pub(crate) struct Trial {
    /// Where the last run begins.
    start: Arc<Tree>,
    faults: Vec<Fault>,
    aimed: Aimed,
    /// For the report: the fault that made `start` what it is.
    earlier: Option<Fault>,
}

/// What came of the faults of one scenario.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) injected: usize,
    pub(crate) double: usize,
    pub(crate) old: usize,
    pub(crate) new: usize,
    pub(crate) between: usize,
    pub(crate) not_reached: usize,
    pub(crate) failures: Vec<String>,
}

/// Injects them all, each into a node of its own.
pub(crate) fn sweep(scenario: &Scenario, extent: Extent, chance: &mut Chance) -> Tally {
    let calls = trace(&scenario.before);
    let mut trials = singles(scenario, &calls, extent, chance);
    trials.extend(in_recovery(scenario, &calls, extent, chance));
    trials.extend(in_undoing(scenario, &calls, extent, chance));
    run(scenario, &trials)
}

/// An I/O error at every call that reads a name or a directory.
pub(crate) fn sweep_reading(scenario: &Scenario) -> Tally {
    let start = Arc::new(scenario.before.clone());
    let reads = |call: &&Call| {
        let opens = call.name.starts_with("open") && call.arguments.contains("etc");
        !call.is_mutating() && (opens || call.name == "getdents64")
    };
    let calls = trace(&scenario.before);
    let faults = faults(calls.iter().filter(reads), &[Kind::Error("EIO")]).into_iter();
    let trial = |fault| {
        let (start, faults) = (Arc::clone(&start), vec![fault]);
        Trial { start, faults, aimed: Aimed::AtLooking, earlier: None }
    };
    run(scenario, &faults.map(trial).collect::<Vec<_>>())
}

fn run(scenario: &Scenario, trials: &[Trial]) -> Tally {
    let verdicts = workers::each(trials, |directory, trial| trial.run(scenario, directory));
    let mut tally = Tally::default();
    for (trial, verdict) in trials.iter().zip(verdicts) {
        tally.count(scenario, trial, verdict);
    }
    tally
}

pub(crate) fn trace(start: &Tree) -> Vec<Call> {
    let scratch = workers::scratch();
    let root = scratch.path().join("node");
    tree::write(start, &root);
    let program = node::regtrust(&root, &["apply"]);
    strace::calls(&scratch.path().join("log"), &root, &[], &program).1
}

fn singles(scenario: &Scenario, calls: &[Call], extent: Extent, chance: &mut Chance) -> Vec<Trial> {
    let start = Arc::new(scenario.before.clone());
    let single = |fault: Fault, aimed| Trial {
        start: Arc::clone(&start),
        faults: vec![fault],
        aimed,
        earlier: None,
    };
    let changing = faults(calls.iter().filter(|call| call.is_mutating()), extent.kinds);
    let looking = |call: &&Call| {
        let looks = LOOKING.contains(&call.name.as_str()) && !call.is_mutating();
        // The standard library asks this of each handle that it closes, in debug builds only.
        (looks && !call.arguments.contains("F_GETFD")) || call.is_speech()
    };
    let looking = faults(calls.iter().filter(looking), extent.kinds);
    let looking = some_of(chance, looking, extent.looking);
    let changing = changing.into_iter().map(|fault| single(fault, Aimed::AtChanging));
    changing.chain(looking.into_iter().map(|fault| single(fault, Aimed::AtLooking))).collect()
}

pub(crate) fn faults<'c>(calls: impl Iterator<Item = &'c Call>, kinds: &[Kind]) -> Vec<Fault> {
    let with = |call: &Call, kind: &Kind| Fault { call: call.clone(), kind: *kind };
    calls.flat_map(|call| kinds.iter().map(move |kind| with(call, kind))).collect()
}

/// The process dies; then the next one meets a fault while it finishes the change.
fn in_recovery(
    scenario: &Scenario,
    calls: &[Call],
    extent: Extent,
    chance: &mut Chance,
) -> Vec<Trial> {
    let changing = calls.iter().filter(|call| call.is_mutating());
    let kills: Vec<Fault> = faults(changing, &[Kind::Kill]);
    let interrupted = workers::each(&kills, |directory, kill| {
        let root = directory.join("node");
        tree::write(&scenario.before, &root);
        let program = node::regtrust(&root, &["apply"]);
        let end = meet(&[kill], &directory.join("log"), &program);
        let is_cut = end == End::Killed && root.join("var/lib/regtrust/journal.json").exists();
        is_cut.then(|| (kill.clone(), Arc::new(tree::read(&root))))
    });
    let interrupted =
        some_of(chance, interrupted.into_iter().flatten().collect(), extent.interrupted);
    let traces = workers::each(&interrupted, |_, (_, start)| trace(start));
    let mut trials = Vec::new();
    for ((kill, start), calls) in interrupted.into_iter().zip(traces) {
        let second = faults(calls.iter().filter(|call| call.is_mutating()), extent.second_kinds);
        trials.extend(some_of(chance, second, extent.second).into_iter().map(|fault| Trial {
            start: Arc::clone(&start),
            faults: vec![fault],
            aimed: Aimed::AtChanging,
            earlier: Some(kill.clone()),
        }));
    }
    trials
}

/// A call fails; then the same process meets another fault while it takes the change back.
fn in_undoing(
    scenario: &Scenario,
    calls: &[Call],
    extent: Extent,
    chance: &mut Chance,
) -> Vec<Trial> {
    let start = Arc::new(scenario.before.clone());
    let changing = calls.iter().filter(|call| call.is_mutating());
    let first = faults(changing, &[Kind::Error("EIO"), Kind::Error("ENOSPC")]);
    let first = some_of(chance, first, extent.failing);
    let seconds = workers::each(&first, |directory, fault| {
        let root = directory.join("node");
        tree::write(&scenario.before, &root);
        let program = node::regtrust(&root, &["apply"]);
        let expression = fault.expression();
        let options = ["-e", expression.as_str()];
        let (_, calls) = strace::calls(&directory.join("log"), &root, &options, &program);
        let at = calls.iter().position(|call| call.arguments.ends_with("(INJECTED)"));
        let after = calls[at.unwrap_or(calls.len() - 1)..].iter();
        // strace keeps one fault for each name of a call.
        let other = after.filter(|call| call.is_mutating() && call.name != fault.call.name);
        faults(other, extent.second_kinds)
    });
    let mut trials = Vec::new();
    for (first, seconds) in first.iter().zip(seconds) {
        trials.extend(some_of(chance, seconds, extent.second).into_iter().map(|second| Trial {
            start: Arc::clone(&start),
            faults: vec![first.clone(), second],
            aimed: Aimed::AtChanging,
            earlier: None,
        }));
    }
    trials
}

impl Trial {
    /// `None`: a fault was not reached.
    fn run(&self, scenario: &Scenario, directory: &Path) -> Option<Result<Stood, String>> {
        let root = directory.join("node");
        tree::write(&self.start, &root);
        let faults: Vec<&Fault> = self.faults.iter().collect();
        let program = node::regtrust(&root, &["apply"]);
        let end = meet(&faults, &directory.join("log"), &program);
        if end == End::NotReached {
            return None;
        }
        let judged = judge(scenario, &root, &end, self.aimed);
        Some(judged.map_err(|wrong| match end {
            End::Exited { code, said } => format!("{wrong}\n  exit {code}: {}", said.trim()),
            End::Killed | End::NotReached => wrong,
        }))
    }

    fn is_double(&self) -> bool {
        self.faults.len() > 1 || self.earlier.is_some()
    }

    fn report(&self, scenario: &Scenario, wrong: &str) -> String {
        let faults = self.earlier.iter().chain(&self.faults);
        let faults: Vec<_> = faults.map(|fault| format!("{fault}")).collect();
        format!("{}: {}\n  {wrong}", scenario.name, faults.join("\n  then "))
    }
}

impl Tally {
    fn count(
        &mut self,
        scenario: &Scenario,
        trial: &Trial,
        verdict: Option<Result<Stood, String>>,
    ) {
        let Some(verdict) = verdict else {
            self.not_reached += 1;
            return;
        };
        self.injected += 1;
        self.double += usize::from(trial.is_double());
        match verdict {
            Ok(Stood::Old) => self.old += 1,
            Ok(Stood::New) => self.new += 1,
            Ok(Stood::Between) => self.between += 1,
            Err(wrong) => self.failures.push(trial.report(scenario, &wrong)),
        }
    }
}
