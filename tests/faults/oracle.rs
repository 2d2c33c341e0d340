//! What a node must be after a fault: all of a change or nothing of it, and able to go on.

use std::path::Path;
use std::time::Duration;

use regtrust::node::root::NodeRoot;
use regtrust::txn::lock::StateLock;
use regtrust::txn::{self, Recovery};
use serde_json::Value;

use crate::fault::End;
use crate::node;
use crate::scenario::{STATE, Scenario, is_harmless};
use crate::tree::{self, Tree, difference};

/// Whether the fault was in the way of changing the node, or of learning about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aimed {
    AtChanging,
    /// What cannot be read is reported, and concerns its registries alone: the rest of the change
    /// is made, so that the node is then neither old nor new, but says so.
    AtLooking,
}

/// Where the node stood once what was interrupted was finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stood {
    Old,
    New,
    /// In a smaller change that was reported as such.
    Between,
}

const GENERATIONS: &str = "var/lib/regtrust/generations";

/// Exit codes of an apply that did a part and said so: something blocked, a declaration unusable.
const REPORTED: [i32; 2] = [1, 78];

/// Judges the node that `end` left at `root`, and leads it through the next start, the next apply
/// and the withdrawal of everything. An error says what was wrong.
pub(crate) fn judge(
    scenario: &Scenario,
    root: &Path,
    end: &End,
    aimed: Aimed,
) -> Result<Stood, String> {
    let partial = match end {
        End::Exited { code: 0, .. } => {
            said(&differences(tree::read(root), &scenario.after, true), "it claimed success")?;
            false
        }
        End::Exited { code, .. } => aimed == Aimed::AtLooking && REPORTED.contains(code),
        End::Killed | End::NotReached => false,
    };
    recover(root)?;
    let stood = stands(scenario, &tree::read(root), partial)?;
    apply(root, &scenario.after, !partial, "the next apply")?;
    node::withdraw(root);
    apply(root, &scenario.withdrawn, !partial, "the withdrawal")?;
    Ok(stood)
}

/// What the next start does first, and nothing more.
fn recover(root: &Path) -> Result<(), String> {
    let root = NodeRoot::open(root).map_err(|error| error.to_string())?;
    let lock = StateLock::exclusive(&root, Duration::ZERO).map_err(|error| error.to_string())?;
    match txn::recover(&root, &lock) {
        Ok(Recovery::Nothing | Recovery::Completed) => Ok(()),
        Ok(Recovery::Undone { cause }) => Err(format!("recovery undid the change: {cause}")),
        Err(error) => Err(format!("recovery: {error}")),
    }
}

fn stands(scenario: &Scenario, found: &Tree, partial: bool) -> Result<Stood, String> {
    let from = |side: &Tree| {
        let mut found = found.clone();
        found.retain(|path, _| side.contains_key(path) || !is_harmless(path));
        differences(found, side, true)
    };
    let (old, new) = (from(&scenario.before), from(&scenario.after));
    match (old.is_empty(), new.is_empty()) {
        (true, _) => Ok(Stood::Old),
        (_, true) => Ok(Stood::New),
        _ if partial => Ok(Stood::Between),
        _ => Err(format!(
            "neither old ({}) nor new ({}) after recovery",
            old.join(", "),
            new.join(", ")
        )),
    }
}

fn apply(root: &Path, expected: &Tree, counts: bool, what: &str) -> Result<(), String> {
    let output = node::run(root, &["apply"]);
    if !output.status.success() {
        return Err(format!("{what}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    said(&differences(tree::read(root), expected, counts), what)
}

fn said(wrong: &[String], when: &str) -> Result<(), String> {
    if wrong.is_empty() { Ok(()) } else { Err(format!("{when}: {}", wrong.join(", "))) }
}

/// `counts`: as many generations as there are must be the same too.
pub(crate) fn differences(found: Tree, expected: &Tree, counts: bool) -> Vec<String> {
    difference(&comparable(found, counts), &comparable(expected.clone(), counts))
}

/// Without the times at which something changed or came into force; and, where a smaller change was
/// one of several generations, without their numbers.
fn comparable(mut tree: Tree, counts: bool) -> Tree {
    tree.retain(|path, _| {
        counts || !path.starts_with(GENERATIONS) || path == Path::new(GENERATIONS)
    });
    for (path, entry) in &mut tree {
        let is_record = path.starts_with(STATE) && path.extension().is_some_and(|is| is == "json");
        if let Some(bytes) = entry.bytes.as_mut().filter(|_| is_record) {
            let Ok(mut json) = serde_json::from_slice(bytes) else { continue };
            mask(&mut json, counts);
            *bytes = json.to_string().into_bytes();
        }
    }
    tree
}

fn mask(json: &mut Value, counts: bool) {
    let Value::Object(members) = json else { return };
    for (name, value) in members {
        match (name.as_str(), counts) {
            ("at" | "store_changed", _) | ("generation", false) => *value = Value::Null,
            // Of each key, the number of the last generation that needs it.
            ("keys", false) => value.as_object_mut().unwrap().values_mut().for_each(|last| {
                *last = Value::Null;
            }),
            _ => mask(value, counts),
        }
    }
}
