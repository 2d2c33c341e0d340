//! Whatever lies on a node, whatever is declared and in whatever order: what is foreign survives,
//! a second apply touches nothing, and when everything is withdrawn, every byte and every mode is
//! as if regtrust had never been there.
//!
//! The model is a second tree on which only the administrator works. `REGTRUST_SOAK=N` runs N cases.
#![expect(clippy::disallowed_methods, reason = "makes the trees, and plays their administrator")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends at the first surprise")]

use std::fs;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use regtrust::generation::{self, Pin};
use regtrust::ledger::Loads;
use regtrust::node::root::NodeRoot;
use regtrust::reconcile::{self, Options, PinChange, Survey};

#[path = "roundtrip/declare.rs"]
mod declare;
#[path = "roundtrip/foreign.rs"]
mod foreign;
#[path = "common/node.rs"]
mod node;
#[path = "common/tree.rs"]
mod tree;

use foreign::{Before, Edit, Foreign};
use node::{CONFIGURATION, DECLARATIONS, Node, STATE};
use tree::{Kind, Tree};

const DAEMON: &str = "etc/docker/daemon.json";
const CONFIG: &str = "etc/containerd/config.toml";

#[derive(Clone, Debug)]
enum Step {
    /// These are the declarations now.
    Declare(String),
    Edit(Edit),
    /// Daemons have loaded what there is.
    Acknowledge,
    /// To one of the generations so far, and back.
    Rollback(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => declare::declarations().prop_map(Step::Declare),
        3 => foreign::edit().prop_map(Step::Edit),
        1 => Just(Step::Acknowledge),
        1 => any::<prop::sample::Index>().prop_map(Step::Rollback),
    ]
}

fn config() -> ProptestConfig {
    let soak = std::env::var("REGTRUST_SOAK").ok();
    ProptestConfig {
        cases: soak.map_or(64, |cases| cases.parse().ok().filter(|n| *n > 1).unwrap_or(2000)),
        max_shrink_iters: 100,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("seeds"))),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_node_is_as_if_regtrust_had_never_been_there(
        before in foreign::before(),
        first in declare::declarations(),
        steps in proptest::collection::vec(step(), 0..5),
    ) {
        let world = World::new(&before);
        world.declare(&first);
        for step in &steps {
            match step {
                Step::Declare(text) => world.declare(text),
                Step::Edit(edit) => world.edit(edit),
                Step::Acknowledge => drop(world.apply(PinChange::Keep, true)),
                Step::Rollback(index) => world.rollback(*index),
            }
        }
        world.withdraw();
    }
}

/// A node, and the same node without regtrust.
struct World {
    real: Node,
    shadow: Node,
    root: NodeRoot,
}

impl World {
    fn new(before: &Before) -> Self {
        let make = || {
            let node = Node::beneath(&place(), &before.presets);
            for (path, text) in [(DAEMON, &before.daemon), (CONFIG, &before.config)] {
                if let Some(text) = text {
                    put(&node, path, text, 0o640);
                }
            }
            before.files.iter().for_each(|file| put(&node, &file.path, file.text, file.mode));
            node
        };
        let real = make();
        let root = NodeRoot::open(real.root()).unwrap();
        Self { real, shadow: make(), root }
    }

    fn options(&self, pin: PinChange, acknowledged: bool) -> Options {
        let all = [
            Loads::DockerDaemon,
            Loads::ContainerdConfig,
            Loads::DockerRoots,
            Loads::ContainerdRoots,
        ];
        Options {
            acknowledged: all.into_iter().filter(|_| acknowledged).collect(),
            pin,
            ..Options::new(self.real.live, Timestamp::now())
        }
    }

    /// Applies, and checks what must hold after every apply.
    fn apply(&self, pin: PinChange, acknowledged: bool) -> Survey {
        let applied = reconcile::apply(&self.root, &self.options(pin, acknowledged)).unwrap();
        let first = tree::read(self.real.root(), &[]);
        let again = reconcile::survey(&self.root, &self.options(PinChange::Keep, false)).unwrap();
        assert!(!again.has_changes(), "after an apply there is more to do: {:#?}", again.plan);
        reconcile::apply(&self.root, &self.options(PinChange::Keep, false)).unwrap();
        let touched = tree::touched(&first, &tree::read(self.real.root(), &[]));
        assert!(touched.is_empty(), "a second apply touches {touched:?}");
        self.check_foreign();
        applied.survey
    }

    fn check_foreign(&self) {
        let real = foreign_part(&self.real);
        for (path, theirs) in foreign_part(&self.shadow) {
            let now = real.get(&path).unwrap_or_else(|| panic!("`{path}` is gone"));
            if path == DAEMON || path == CONFIG {
                check_shared(&path, theirs.text(), now.text());
                assert_eq!(theirs.mode, now.mode, "{path}");
            } else {
                let same = (&theirs.kind, theirs.mode, theirs.owner);
                assert_eq!(same, (&now.kind, now.mode, now.owner), "{path}");
            }
        }
    }

    fn declare(&self, text: &str) {
        put(&self.real, &format!("{DECLARATIONS}/all.toml"), text, 0o644);
        let survey = self.apply(PinChange::Keep, false);
        let problems: Vec<_> = survey.sources.problems().collect();
        let is_error = |severity| severity == regtrust::trust::problem::Severity::Error;
        assert!(!problems.iter().any(|p| is_error(p.severity)), "{problems:#?} in\n{text}");
    }

    /// The same on both trees; only what is there for the administrator to edit.
    fn edit(&self, edit: &Edit) {
        match edit {
            Edit::Add(Foreign { path, text, mode }) => {
                if !exists(&self.real, path) {
                    put(&self.real, path, text, *mode);
                    put(&self.shadow, path, text, *mode);
                }
            }
            Edit::Daemon(value) => self.rewrite(DAEMON, |text| {
                text.replacen("\"log-level\": \"", &format!("\"log-level\": \"{value}"), 1)
            }),
            Edit::Config(number) => {
                self.rewrite(CONFIG, |text| format!("# edited for the {number}th time\n{text}"));
            }
        }
        self.apply(PinChange::Keep, false);
    }

    fn rewrite(&self, path: &str, edit: impl Fn(&str) -> String) {
        if exists(&self.shadow, path) {
            for node in [&self.real, &self.shadow] {
                let text = fs::read_to_string(node.path(path)).unwrap();
                fs::write(node.path(path), edit(&text)).unwrap();
            }
        }
    }

    fn rollback(&self, to: prop::sample::Index) {
        let survey = self.apply(PinChange::Keep, false);
        let generation = survey.plan.ledger.generation;
        let before = meaning(foreign_part(&self.real));
        let now = Timestamp::now();
        let pin = Pin {
            format: generation::FORMAT,
            generation: to.index(usize::try_from(generation + 1).unwrap()) as u64,
            at: now,
            until: now + SignedDuration::from_hours(1),
            reason: None,
        };
        self.apply(PinChange::Set(pin), false);
        let survey = self.apply(PinChange::Release, false);
        assert_eq!(survey.pin, None);
        let left = tree::differences(&before, &meaning(foreign_part(&self.real)));
        // What somebody put beside our files may be in the way of new ones.
        let is_free = survey.plan.conflicts.is_empty();
        assert!(left.is_empty() || !is_free, "released, and not as it was:\n{}", left.join("\n"));
    }

    fn withdraw(&self) {
        fs::remove_file(self.real.path(&format!("{DECLARATIONS}/all.toml"))).unwrap();
        self.apply(PinChange::Keep, false);
        let ledger = self.apply(PinChange::Keep, true).plan.ledger;
        let left = tree::differences(&foreign_part(&self.shadow), &foreign_part(&self.real));
        assert!(left.is_empty(), "withdrawn, and not as it was:\n{}", left.join("\n"));
        assert!(ledger.files.is_empty(), "{:?}", ledger.files);
        assert!(ledger.directories.is_empty(), "{:?}", ledger.directories);
        assert!(ledger.docker_daemon.arrays.is_empty(), "{:?}", ledger.docker_daemon);
        assert_eq!(ledger.containerd_config, None);
    }
}

impl tree::Node {
    fn text(&self) -> &str {
        let Kind::File(bytes) = &self.kind else { panic!("no file") };
        std::str::from_utf8(bytes).unwrap()
    }
}

/// Of a file that we share, everything but our part is as it was: other lines of config.toml, and
/// other members of daemon.json, with the elements of their lists.
fn check_shared(path: &str, theirs: &str, now: &str) {
    if path == CONFIG {
        let mut now = now.lines();
        let kept =
            theirs.lines().filter(|line| !line.contains("config_path") && !line.contains('{'));
        for line in kept {
            assert!(now.any(|other| other == line), "`{line}` is gone or elsewhere in {path}");
        }
        return;
    }
    let (Some(theirs), Some(now)) = (object(theirs), object(now)) else {
        assert!(theirs == now || theirs.trim().is_empty(), "{now}");
        return;
    };
    for (key, value) in &theirs {
        match (key.as_str(), value.as_array()) {
            ("insecure-registries" | "registry-mirrors", list) => {
                let now: Vec<_> = now[key].as_array().into_iter().flatten().collect();
                let kept: Vec<_> = list.into_iter().flatten().collect();
                assert_eq!(now.get(..kept.len()), Some(&kept[..]), "{key}");
            }
            _ => assert_eq!(value, &now[key], "{key}"),
        }
    }
}

fn object(text: &str) -> Option<serde_json::Map<String, serde_json::Value>> {
    serde_json::from_str(text.trim_start_matches('\u{feff}')).ok()
}

/// A tree in which the order of elements in daemon.json and of lines in config.toml does not count:
/// what is pinned away and comes back may come back elsewhere.
fn meaning(mut tree: Tree) -> Tree {
    if let Some(daemon) = tree.get_mut(DAEMON)
        && let Some(mut object) = object(daemon.text())
    {
        for value in object.values_mut().filter_map(serde_json::Value::as_array_mut) {
            value.sort_by_key(ToString::to_string);
        }
        daemon.kind = Kind::File(serde_json::to_vec(&object).unwrap());
    }
    if let Some(config) = tree.get_mut(CONFIG) {
        let mut lines: Vec<&str> = config.text().lines().collect();
        lines.sort_unstable();
        config.kind = Kind::File(lines.join("\n").into_bytes());
    }
    tree
}

/// Memory, where there is such a place: nothing here asks whether a disk would keep it.
fn place() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

/// Everything but what is regtrust's alone.
fn foreign_part(node: &Node) -> Tree {
    tree::read(node.root(), &[CONFIGURATION, STATE])
}

fn put(node: &Node, path: &str, text: &str, mode: u32) {
    let full = node.path(path);
    if path.ends_with('/') {
        fs::create_dir_all(&full).unwrap();
        return node::set_mode(&full, mode | 0o100);
    }
    fs::create_dir_all(full.parent().unwrap()).unwrap();
    fs::write(&full, text).unwrap();
    node::set_mode(&full, mode);
}

fn exists(node: &Node, path: &str) -> bool {
    fs::symlink_metadata(node.path(path)).is_ok()
}
