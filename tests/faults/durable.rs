//! A process dies when everything is in place and only the tidying is left; then the next one meets
//! an error while it tidies. What is in place must stay: somebody may have been told of it.

use std::path::Path;
use std::sync::Arc;

use crate::fault::{End, Fault, Kind, meet};
use crate::node;
use crate::oracle::{Aimed, Stood, differences, judge};
use crate::scenario::Scenario;
use crate::strace;
use crate::sweep::{faults, trace};
use crate::tree::{self, Tree};
use crate::workers;

/// So many calls before the end of an apply: the tidying is among them.
const LAST: usize = 60;
/// Nodes that were cut off at different moments of it.
const NODES: usize = 6;
/// What a person is told by an apply that took something back.
const TAKEN_BACK: &str = "what it did was taken back first";

#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) nodes: usize,
    pub(crate) injected: usize,
    pub(crate) failures: Vec<String>,
}

pub(crate) fn sweep(scenario: &Scenario) -> Seen {
    let nodes = cut_off(scenario);
    let mut seen = Seen { nodes: nodes.len(), ..Seen::default() };
    for start in &nodes {
        let calls = trace(start);
        let errors = faults(calls.iter().filter(|call| call.is_mutating()), &[Kind::Error("EIO")]);
        let verdicts =
            workers::each(&errors, |directory, fault| try_one(scenario, start, fault, directory));
        for verdict in verdicts.into_iter().flatten() {
            seen.injected += 1;
            seen.failures.extend(verdict.err());
        }
    }
    seen
}

/// Where everything is as it should be afterwards, and a journal.
fn cut_off(scenario: &Scenario) -> Vec<Arc<Tree>> {
    let calls = trace(&scenario.before);
    let kills = faults(calls.iter().filter(|call| call.is_mutating()), &[Kind::Kill]);
    let last = &kills[kills.len().saturating_sub(LAST)..];
    let cut = workers::each(last, |directory, kill| {
        let root = directory.join("node");
        tree::write(&scenario.before, &root);
        let end = meet(&[kill], &directory.join("log"), &node::regtrust(&root, &["apply"]));
        let has_journal = root.join("var/lib/regtrust/journal.json").exists();
        let tree = tree::read(&root);
        (end == End::Killed && has_journal && is_in_place(scenario, &tree)).then(|| Arc::new(tree))
    });
    let cut: Vec<_> = cut.into_iter().flatten().collect();
    let apart = cut.len().div_ceil(NODES).max(1);
    cut.into_iter().step_by(apart).collect()
}

fn is_in_place(scenario: &Scenario, found: &Tree) -> bool {
    let mut found = found.clone();
    let is_target = |path: &Path| {
        [&scenario.before, &scenario.after].iter().any(|side| side.contains_key(path))
    };
    found.retain(|path, _| is_target(path));
    differences(found, &scenario.after, true).is_empty()
}

/// `None`: the call is not made a second time in the same order.
fn try_one(
    scenario: &Scenario,
    start: &Tree,
    fault: &Fault,
    directory: &Path,
) -> Option<Result<(), String>> {
    let root = directory.join("node");
    tree::write(start, &root);
    let log = directory.join("log");
    let expression = fault.expression();
    let trace = format!("trace={}", fault.call.name);
    let options = ["-e", &trace, "-e", &expression];
    let output =
        strace::command(&log, &options, &node::regtrust(&root, &["apply"])).output().unwrap();
    let met = std::fs::read_to_string(&log).unwrap_or_default().contains("(INJECTED)");
    let code = output.status.code().filter(|_| met)?;
    if String::from_utf8_lossy(&output.stdout).contains(TAKEN_BACK) {
        return Some(Err(format!("{}: {fault}: it was taken back", scenario.name)));
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Some(match judge(scenario, &root, &End::Exited { code, said }, Aimed::AtChanging) {
        Ok(Stood::New) => Ok(()),
        Ok(stood) => Err(format!("{}: {fault}: {stood:?}", scenario.name)),
        Err(wrong) => Err(format!("{}: {fault}: {wrong}", scenario.name)),
    })
}
