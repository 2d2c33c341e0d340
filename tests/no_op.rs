//! What has nothing to do writes nothing: seen from the kernel, not from the program's own words.
#![expect(clippy::disallowed_methods, reason = "makes trees and looks at them from outside")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

#[path = "common/calls.rs"]
mod calls;
#[path = "faults/node.rs"]
mod node;
#[path = "faults/strace.rs"]
mod strace;

const REGISTRIES: usize = 50;

/// Commands that only look, with the exit codes that they may end with: 0, or 2 for "there is
/// something to do".
const LOOKING: [&[&str]; 8] = [
    &["plan"],
    &["plan", "--json"],
    &["status"],
    &["status", "--json"],
    &["explain", "r2.corp"],
    &["lint"],
    &["history"],
    &["adopt", "--dry-run", "r2.corp"],
];

/// What shows that somebody touched a file.
#[derive(Debug, PartialEq, Eq)]
struct Trace {
    device_and_inode: (u64, u64),
    mode_links_size: (u32, u64, u64),
    written: (i64, i64),
    /// The last change of anything about it, which nobody can set back.
    changed: (i64, i64),
}

fn traces(root: &Path) -> BTreeMap<PathBuf, Trace> {
    let mut traces = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let is = fs::symlink_metadata(&path).unwrap();
        if is.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let trace = Trace {
            device_and_inode: (is.dev(), is.ino()),
            mode_links_size: (is.mode(), is.nlink(), is.size()),
            written: (is.mtime(), is.mtime_nsec()),
            changed: (is.ctime(), is.ctime_nsec()),
        };
        traces.insert(path, trace);
    }
    traces
}

struct Node {
    scratch: TempDir,
    root: PathBuf,
}

impl Node {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join("node");
        node::lived_in(&root);
        let certificates =
            [("ca.pem", "ca.pem"), ("client.pem", "client.pem"), ("client.key", "client.key")];
        node::declare(&root, &registries(), &certificates);
        Self { scratch, root }
    }

    /// Runs a command and returns the calls by which it changed, or tried to change, any file.
    fn mutations(&self, command: &[&str], exits: &[i32]) -> Vec<String> {
        let log = self.scratch.path().join("log");
        let program = node::regtrust(&self.root, command);
        let (output, calls) = strace::calls(&log, &self.root, &[], &program);
        let code = output.status.code().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(exits.contains(&code), "{command:?} ended with {code}: {said}");
        let mutating = calls.iter().filter(|call| call.is_mutating());
        mutating.map(|call| format!("{}({}", call.name, call.arguments)).collect()
    }

    fn leaves_no_trace(&self, command: &[&str], exits: &[i32]) {
        let before = traces(&self.root);
        assert_eq!(self.mutations(command, exits), Vec::<String>::new(), "{command:?}");
        assert!(before == traces(&self.root), "{command:?} touched something");
    }
}

/// Of every kind.
fn registries() -> String {
    let mut registries = String::new();
    for number in 0..REGISTRIES {
        let host = format!("r{number}.corp");
        let how = match number % 5 {
            0 => "trust = \"http\"",
            1 => "trust = \"ca\"\nca_file = \"ca.pem\"\nsystem_store = true",
            2 => {
                "trust = \"ca\"\nca_file = \"ca.pem\"\nclient_cert_file = \"client.pem\"\n\
                  client_key_file = \"client.key\""
            }
            3 => "trust = \"insecure\"",
            _ => {
                "trust = \"ca\"\nca_file = \"ca.pem\"\n[[registry.mirror]]\n\
                  url = \"https://mirror.corp/v2/proxy\"\ntrust = \"ca\"\nca_file = \"ca.pem\""
            }
        };
        write!(registries, "[[registry]]\nhost = \"{host}\"\n{how}\n\n").unwrap();
    }
    registries
}

#[test]
fn a_second_apply_writes_nothing() {
    if !strace::is_available() {
        return;
    }
    let node = Node::new();
    let first = node.mutations(&["apply"], &[0]);
    assert!(first.len() > REGISTRIES, "the first is seen to write: {first:?}");
    node.leaves_no_trace(&["apply"], &[0]);
    node.leaves_no_trace(&["apply", "--json"], &[0]);
}

#[test]
fn a_second_apply_writes_nothing_where_something_is_blocked() {
    if !strace::is_available() {
        return;
    }
    let node = Node::new();
    node::put(&node.root, "etc/docker/certs.d/r1.corp/ca.crt", "somebody's");
    assert!(!node.mutations(&["apply"], &[1]).is_empty());
    node.leaves_no_trace(&["apply"], &[1]);
}

#[test]
fn an_apply_with_nothing_declared_makes_no_state() {
    if !strace::is_available() {
        return;
    }
    let node = Node::new();
    node::withdraw(&node.root);
    node.leaves_no_trace(&["apply"], &[0]);
}

#[test]
fn an_apply_after_the_withdrawal_of_everything_writes_nothing() {
    if !strace::is_available() {
        return;
    }
    let node = Node::new();
    assert!(node::run(&node.root, &["apply"]).status.success());
    node::withdraw(&node.root);
    assert!(!node.mutations(&["apply"], &[0]).is_empty());
    node.leaves_no_trace(&["apply"], &[0]);
}

#[test]
fn looking_leaves_no_trace_before_the_first_apply() {
    if !strace::is_available() {
        return;
    }
    let node = Node::new();
    for command in LOOKING {
        node.leaves_no_trace(command, &[0, 2]);
    }
}

#[test]
fn looking_leaves_no_trace_afterwards() {
    if !strace::is_available() {
        return;
    }
    let node = Node::new();
    assert!(node::run(&node.root, &["apply"]).status.success());
    for command in LOOKING {
        node.leaves_no_trace(command, &[0, 2]);
    }
}
