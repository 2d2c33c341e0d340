//! Inputs that somebody made to harm a node, or broke by accident, given to the real binary.
//!
//! Of each: the message names what is wrong, nothing but regtrust's own state is written, the exit
//! code says what kind of failure it is, no byte of it reaches the terminal as a command, and no
//! secret is told.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test makes the nodes that the product works on"
)]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test ends at the first surprise")]

#[path = "../common/machine.rs"]
mod common;

mod certificates;
mod declarations;
mod hosts;
mod policies;
mod runtimes;
mod state;
mod traps;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use common::{Node, leaked, secrets};

/// Nothing here may keep a node busy. Generous, because tests share the machine.
const LONGEST: Duration = Duration::from_secs(20);

pub(crate) struct Case {
    name: String,
    prepare: Box<dyn Fn(&Node) + Send + Sync>,
    /// What `apply` must say.
    says: String,
    apply: i32,
    lint: i32,
}

impl Case {
    /// A declaration or a policy that is wrong.
    pub(crate) fn wrong(
        name: impl Into<String>,
        says: impl Into<String>,
        prepare: impl Fn(&Node) + Send + Sync + 'static,
    ) -> Self {
        Self::new(name, says, 78, 78, prepare)
    }

    /// Something on the node is in the way of a declaration that is right.
    pub(crate) fn blocked(
        name: impl Into<String>,
        says: impl Into<String>,
        prepare: impl Fn(&Node) + Send + Sync + 'static,
    ) -> Self {
        Self::new(name, says, 1, 0, prepare)
    }

    pub(crate) fn new(
        name: impl Into<String>,
        says: impl Into<String>,
        apply: i32,
        lint: i32,
        prepare: impl Fn(&Node) + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), says: says.into(), apply, lint, prepare: Box::new(prepare) }
    }

    fn faults(&self, secrets: &[String]) -> Vec<String> {
        let node = Node::new();
        (self.prepare)(&node);
        let before = node.snapshot();
        let mut faults = Vec::new();
        for (arguments, code) in [
            (&["lint"][..], Some(self.lint)),
            (&["plan", "-vvv"], None),
            (&["plan", "--json"], None),
            (&["status"], None),
            (&["status", "--json", "-v"], None),
            (&["explain", "harbor.corp"], None),
            (&["history"], None),
            (&["apply"], Some(self.apply)),
            (&["apply", "--json"], Some(self.apply)),
        ] {
            let start = Instant::now();
            let outcome = node.run(arguments);
            let mut fault = |what: String| {
                faults.push(format!("{}: {arguments:?}: {what}\n{}", self.name, outcome.all()));
            };
            if start.elapsed() > LONGEST {
                fault(format!("took {:?}", start.elapsed()));
            }
            if !matches!(outcome.code, 0 | 1 | 2 | 64 | 74 | 75 | 78) {
                fault(format!("exits {}", outcome.code));
            }
            if let Some(code) = code.filter(|code| *code != outcome.code) {
                fault(format!("exits {} instead of {code}", outcome.code));
            }
            if arguments == ["apply"] && !outcome.all().contains(&self.says) {
                fault(format!("does not say `{}`", self.says));
            }
            if let Some(character) = outcome.hostile_character() {
                fault(format!("prints {character:?}"));
            }
            if let Some(secret) = leaked(&outcome.all(), secrets) {
                fault(format!("tells the secret `{secret}`"));
            }
        }
        if node.snapshot() != before {
            let (was, is) = (before, node.snapshot());
            let differ = is.iter().filter(|(path, lies)| was.get(*path) != Some(lies));
            let gone = was.keys().filter(|path| !is.contains_key(*path));
            let paths: Vec<_> = differ.map(|(path, _)| path).chain(gone).collect();
            faults.push(format!("{}: the node was changed: {paths:?}", self.name));
        }
        faults
    }
}

/// A declaration of one registry, for docker and plain HTTP: it needs daemon.json and nothing else.
pub(crate) const PLAIN: &str = "[[registry]]\nhost = \"harbor.corp\"\ntrust = \"http\"\n\
    runtimes = [\"docker\"]\n";

/// One that needs a directory in docker's `certs.d` and nothing else.
pub(crate) fn with_ca(node: &Node) {
    node.certificate("ca.pem").declare(
        "[[registry]]\nhost = \"harbor.corp\"\ntrust = \"ca\"\nca_file = \"ca.pem\"\n\
         runtimes = [\"docker\"]\n",
    );
}

/// One that needs containerd's `config_path` and a directory in its `certs.d`.
pub(crate) fn with_ca_for_containerd(node: &Node) {
    node.certificate("ca.pem").declare(
        "[[registry]]\nhost = \"harbor.corp\"\ntrust = \"ca\"\nca_file = \"ca.pem\"\n\
         runtimes = [\"containerd\"]\n",
    );
}

/// A string as TOML writes it.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            plain if plain.is_control() => _ = write!(quoted, "\\u{:04X}", u32::from(plain)),
            plain => quoted.push(plain),
        }
    }
    quoted + "\""
}

#[test]
fn hostile_inputs_are_refused_by_name_and_change_nothing() {
    let cases: Vec<Case> = [
        hosts::cases(),
        certificates::cases(),
        declarations::cases(),
        policies::cases(),
        runtimes::cases(),
        traps::cases(),
        state::cases(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let secrets = secrets();
    let only = std::env::var("CASE").unwrap_or_default();
    let chosen: Vec<&Case> = cases.iter().filter(|case| case.name.contains(&only)).collect();
    let faults: Vec<String> = std::thread::scope(|scope| {
        let halves: Vec<_> = chosen
            .chunks(chosen.len().div_ceil(2).max(1))
            .map(|half| {
                let secrets = &secrets;
                scope.spawn(move || {
                    half.iter().flat_map(|case| case.faults(secrets)).collect::<Vec<_>>()
                })
            })
            .collect();
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    println!("{} hostile inputs, {} faults", chosen.len(), faults.len());
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    assert!(!only.is_empty() || cases.len() >= 150, "only {} cases", cases.len());
}

/// What is in force stays in force, whatever the files that declare it turn into.
#[test]
fn a_hostile_declaration_takes_no_trust_away() {
    let cases = hosts::cases().into_iter().chain(declarations::cases());
    for case in cases {
        let node = Node::new();
        with_ca(&node);
        std::fs::rename(
            node.path("etc/regtrust/registries.d/node.toml"),
            node.path("etc/regtrust/registries.d/zz-good.toml"),
        )
        .unwrap();
        node.run(["apply"]).exits(0);
        let before = node.text("etc/docker/certs.d/harbor.corp/ca.crt");
        (case.prepare)(&node);
        node.run(["apply"]);
        assert!(node.has("etc/docker/certs.d/harbor.corp/ca.crt"), "{}", case.name);
        assert_eq!(node.text("etc/docker/certs.d/harbor.corp/ca.crt"), before, "{}", case.name);
    }
}

#[test]
fn thirty_thousand_files_of_declarations_are_read_and_each_can_be_wrong() {
    let node = Node::new();
    for number in 0..30_000 {
        let host = if number % 10_000 == 5_000 {
            "wrong host".to_owned()
        } else {
            format!("r{number}.corp")
        };
        node.file(
            &format!("etc/regtrust/registries.d/{number:05}.toml"),
            format!("[[registry]]\nhost = \"{host}\"\ntrust = \"system\"\n"),
        );
    }
    let start = Instant::now();
    node.run(["lint"]).exits(78).says("29997 registries declared").says("05000.toml:2:8: host");
    println!("30,000 files: {:?}", start.elapsed());
    assert!(start.elapsed() < 3 * LONGEST, "{:?}", start.elapsed());
}
