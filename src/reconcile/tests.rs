//! Whole runs on small trees: what is remembered, what is recovered from, and what is refused.
#![expect(clippy::disallowed_methods, reason = "makes trees to run on")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use jiff::SignedDuration;

use super::*;
use crate::node::detect::Overrides;
use crate::trust::effective::Standing;

mod damage;
mod generations;
mod pushed;

const CA: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/certs/ca.pem"));
const CERTIFICATE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/certs/client.pem"));
const KEY: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/certs/client.key"));
const DECLARATIONS: &str = "etc/regtrust/registries.d/a.toml";
const STATE: &str = "var/lib/regtrust";

/// A tree with docker in it, where nothing runs.
struct Tree {
    directory: tempfile::TempDir,
    root: NodeRoot,
    options: Options,
}

impl Tree {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = NodeRoot::open(directory.path()).unwrap();
        let options = Options {
            overrides: Overrides { docker: "26.1.5".parse().ok(), ..Overrides::default() },
            ..Options::new(false, "2026-06-01T10:00:00Z".parse().unwrap())
        };
        let tree = Self { directory, root, options };
        tree.write("usr/bin/dockerd", "");
        tree.write("etc/regtrust/registries.d/ca.pem", CA);
        tree.write("etc/regtrust/registries.d/client.pem", CERTIFICATE);
        tree.write("etc/regtrust/registries.d/client.key", KEY);
        tree
    }

    /// With these hosts declared and applied.
    fn with(hosts: &[&str]) -> Self {
        let mut tree = Self::new();
        tree.declare(hosts);
        tree.apply();
        tree
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.directory.path().join(path)).unwrap();
    }

    fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.directory.path().join(path)).ok()
    }

    fn declare(&self, hosts: &[&str]) {
        let one = |host: &&str| {
            format!("[[registry]]\nhost = \"{host}\"\ntrust = \"ca\"\nca_file = \"ca.pem\"\n")
        };
        self.write(DECLARATIONS, &hosts.iter().map(one).collect::<String>());
    }

    /// Every run is a minute after the one before.
    fn try_apply(&mut self) -> Result<Applied, ReconcileError> {
        let applied = apply(&self.root, &self.options);
        self.options.now = self.options.now.checked_add(SignedDuration::from_mins(1)).unwrap();
        self.options.pin = PinChange::Keep;
        applied
    }

    fn apply(&mut self) -> Survey {
        self.try_apply().unwrap().survey
    }

    fn survey(&self) -> Result<Survey, ReconcileError> {
        survey(&self.root, &self.options)
    }

    fn pin(&mut self, generation: u64) {
        self.options.pin = PinChange::Set(Pin {
            format: crate::generation::FORMAT,
            generation,
            at: self.options.now,
            until: self.options.now.checked_add(SignedDuration::from_hours(24)).unwrap(),
            reason: None,
        });
    }

    fn generations(&self) -> Vec<u64> {
        state::generation_numbers(&self.root).unwrap()
    }

    fn generation(number: u64) -> String {
        format!("{STATE}/generations/{number}.json")
    }

    fn has_ca(&self, host: &str) -> bool {
        self.text(&format!("etc/docker/certs.d/{host}/ca.crt")).is_some()
    }

    fn keys(&self) -> usize {
        let blobs = self.directory.path().join(STATE).join("blobs");
        fs::read_dir(blobs).map_or(0, Iterator::count)
    }
}

/// The error as people read it, with its causes and its cure.
fn said<T: std::fmt::Debug>(result: Result<T, ReconcileError>) -> (String, Option<String>) {
    let error = result.unwrap_err();
    let hint = match &error {
        ReconcileError::State(error) => error.hint(),
        ReconcileError::History(error) => error.hint(),
        _ => None,
    };
    (error.to_string(), hint)
}

#[test]
fn a_node_with_nothing_to_do_gets_no_state() {
    let mut tree = Tree::new();
    tree.apply();
    assert!(!tree.directory.path().join("var").exists());
}

#[test]
fn a_second_apply_changes_nothing_anywhere() {
    let mut tree = Tree::with(&["a.corp"]);
    let ledger = tree.text("var/lib/regtrust/ledger.json");
    let survey = tree.apply();
    assert!(!survey.has_changes() && survey.plan.is_empty());
    assert_eq!((tree.text("var/lib/regtrust/ledger.json"), tree.generations()), (ledger, vec![1]));
}

#[test]
fn withdrawing_everything_leaves_the_state_and_nothing_else() {
    let mut tree = Tree::with(&["a.corp"]);
    assert!(tree.has_ca("a.corp"));
    tree.declare(&[]);
    tree.apply();
    assert!(!tree.directory.path().join("etc/docker").exists());
    assert_eq!(tree.generations(), [1, 2]);
}

/// Only the exchange of the directory as a whole meets it, so the preflight has to find it.
#[test]
fn what_the_preflight_finds_blocks_one_registry_and_the_rest_is_applied() {
    let mut tree = Tree::with(&["a.corp"]);
    tree.write("etc/docker/certs.d/a.corp/sub/README", "somebody's");
    let pair = "client_cert_file = \"client.pem\"\nclient_key_file = \"client.key\"\n";
    tree.declare(&["b.corp", "a.corp"]);
    let text = tree.text(DECLARATIONS).unwrap() + pair;
    tree.write(DECLARATIONS, &text);
    let survey = tree.apply();
    let conflicts: Vec<_> = survey.plan.conflicts.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(conflicts, ["/etc/docker/certs.d/a.corp"]);
    assert!(tree.has_ca("a.corp") && tree.has_ca("b.corp"));
    assert_eq!(tree.text("etc/docker/certs.d/a.corp/client.key"), None);
}

#[test]
fn a_typo_after_a_pin_takes_nothing_away() {
    let mut tree = Tree::with(&["a.corp"]);
    tree.declare(&["a.corp", "b.corp"]);
    tree.apply();
    let declared = tree.text(DECLARATIONS).unwrap();
    tree.remove(DECLARATIONS);
    tree.write("etc/regtrust/registries.d/moved.toml", &declared);
    tree.pin(1);
    tree.apply();
    assert!(tree.has_ca("a.corp") && !tree.has_ca("b.corp"));
    tree.write("etc/regtrust/registries.d/moved.toml", "[[");
    let survey = tree.apply();
    assert!(tree.has_ca("a.corp"));
    let standing: Vec<_> = survey.effective.standing.into_values().collect();
    assert!(matches!(&standing[..], [Standing::Held(_)]), "{standing:?}");
}

#[test]
fn a_policy_that_cannot_be_read_holds_the_node_and_lets_trust_go() {
    let mut tree = Tree::with(&["a.corp", "b.corp"]);
    tree.write("etc/regtrust/policy.toml", "alow = []");
    tree.declare(&["b.corp", "c.corp"]);
    tree.apply();
    let in_place = ["a.corp", "b.corp", "c.corp"].map(|host| tree.has_ca(host));
    assert_eq!(in_place, [false, true, false]);
}
