//! What scripts and people rely on: exit codes, the names in `--json`, help, colour, and which of
//! the two outputs says what.
#![expect(clippy::disallowed_methods, reason = "a test runs the program")]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test ends at the first surprise")]

#[path = "common/machine.rs"]
mod common;

use std::process::{Command, Stdio};

use common::{Node, Outcome, REGTRUST};
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use serde_json::Value;

const LAB: &str =
    "[[registry]]\nhost = \"lab.corp:5000\"\ntrust = \"http\"\nruntimes = [\"docker\"]\n";

const COMMANDS: [&str; 16] = [
    "plan",
    "apply",
    "status",
    "explain",
    "lint",
    "adopt",
    "history",
    "rollback",
    "completions",
    "man",
    "check",
    "confirm",
    "pause",
    "resume",
    "restart",
    "hold",
];

fn regtrust(arguments: &[&str]) -> Outcome {
    Outcome::of(Command::new(REGTRUST).env_clear().stdin(Stdio::null()).args(arguments))
}

fn node_with(declaration: &str) -> Node {
    let node = Node::new();
    node.declare(declaration);
    node
}

/// A node on which `lab.corp:5000` is in force.
fn applied() -> Node {
    let node = node_with(LAB);
    node.run(["apply"]).exits(0);
    node
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table is as long as its cases are many")]
fn exit_codes_are_a_contract() {
    let conflict = || {
        let node = node_with(LAB);
        node.file("etc/docker/daemon.json", "{");
        node
    };
    let refused = || {
        let node = node_with(LAB);
        node.policy("insecure = false\n");
        node
    };
    let damaged = || {
        let node = node_with(LAB);
        node.file("var/lib/regtrust/ledger.json", "{");
        node
    };
    let wrong = || node_with("[[registry]]\nhost = \"a b\"\n");
    let both = || {
        let node = conflict();
        node.file("etc/regtrust/registries.d/wrong.toml", "[[registry]\n");
        node
    };
    let table: Vec<(i32, Node, &[&str])> = vec![
        (0, Node::new(), &["plan"]),
        (0, Node::new(), &["apply"]),
        (0, Node::new(), &["status"]),
        (0, Node::new(), &["lint"]),
        (0, Node::new(), &["history"]),
        (0, Node::new(), &["explain", "lab.corp"]),
        (0, Node::new(), &["rollback", "--release"]),
        (2, node_with(LAB), &["plan"]),
        (2, node_with(LAB), &["status"]),
        (0, node_with(LAB), &["apply"]),
        (0, applied(), &["plan"]),
        (0, applied(), &["status"]),
        (0, applied(), &["apply"]),
        (1, conflict(), &["apply"]),
        (1, refused(), &["apply"]),
        (78, wrong(), &["lint"]),
        (78, wrong(), &["apply"]),
        (78, wrong(), &["plan"]),
        (78, both(), &["apply"]),
        (64, applied(), &["rollback", "7"]),
        (64, applied(), &["rollback"]),
        (64, applied(), &["rollback", "1", "--release"]),
        (64, applied(), &["rollback", "1", "--for", "31d"]),
        (64, applied(), &["adopt", "other.corp"]),
        (64, applied(), &["adopt"]),
        (64, applied(), &["explain", "a b"]),
        (64, applied(), &["explain"]),
        (64, applied(), &["plan", "--frobnicate"]),
        (64, applied(), &["frobnicate"]),
        (64, applied(), &["apply", "--acknowledge", "everything"]),
        (64, applied(), &["plan", "--docker-version", "latest"]),
        (64, applied(), &["plan", "--declarations", "../etc"]),
        (74, damaged(), &["apply"]),
        (74, damaged(), &["plan"]),
        (74, damaged(), &["history"]),
    ];
    for (code, node, arguments) in &table {
        let outcome = node.run(arguments.iter());
        assert_eq!(outcome.code, *code, "{arguments:?}\n{}", outcome.all());
        let json = node.run(arguments.iter().copied().chain(["--json"]));
        let same = if arguments == &["apply"] && *code == 0 { 0 } else { *code };
        assert_eq!(json.code, same, "{arguments:?} --json\n{}", json.all());
    }
    println!("{} exit codes", table.len());
}

#[test]
fn a_taken_lock_is_temporary() {
    let node = applied();
    let lock = node.path("var/lib/regtrust/lock");
    let held = rustix::fs::open(&lock, OFlags::RDONLY, Mode::empty()).unwrap();
    flock(&held, FlockOperation::LockExclusive).unwrap();
    let outcome = node.run(["status"]).exits(75);
    assert!(outcome.stdout.is_empty(), "{}", outcome.stdout);
    assert!(outcome.stderr.starts_with("regtrust: another regtrust process"), "{}", outcome.stderr);
}

#[test]
fn a_root_that_cannot_be_opened_is_named() {
    for arguments in [["--root", "/nowhere/at/all"], ["--host-root", "/nowhere/at/all"]] {
        let outcome = regtrust(&[&arguments[..], &["plan"]].concat()).exits(74);
        assert!(outcome.stdout.is_empty());
        assert_eq!(
            outcome.stderr,
            "regtrust: cannot open the root `/nowhere/at/all`\n  because: No such file or directory \
             (os error 2)\n"
        );
    }
    let node = Node::new();
    node.file("a-file", "");
    let file = node.path("a-file");
    regtrust(&["--root", file.to_str().unwrap(), "plan"]).exits(74).says("Not a directory");
    regtrust(&["--root", "/", "--host-root", "/", "plan"]).exits(64).says("cannot be used with");
    regtrust(&["plan", "--root"]).exits(64).says("a value is required");
    regtrust(&[]).exits(64).says("Usage:");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table is as long as its cases are many")]
fn the_names_in_json_are_a_contract() {
    let node = Node::new();
    node.boot().start_docker(-3600).certificate("ca.pem").declare(&format!(
        "{LAB}[[registry]]\nhost = \"harbor.corp\"\ntrust = \"ca\"\nca_file = \"ca.pem\"\n"
    ));
    node.file("etc/docker/certs.d/harbor.corp/ca.crt", "mine\n");
    let plan = node.live(["plan", "--json"]).exits(2).json();
    let survey = [
        "generation",
        "generation_before",
        "pinned_to",
        "pinned_until",
        "pinned_because",
        "interrupted",
        "recovered",
        "registries",
        "changes",
        "make_directories",
        "remove_directories",
        "effects",
        "conflicts",
        "notes",
        "drift",
        "problems",
        "runtimes",
        "unmanaged",
    ];
    assert_eq!(keys(&plan), survey);
    assert_eq!(
        keys(&plan["registries"]["lab.corp:5000"]),
        ["standing", "trust", "declared_in", "until", "reason", "on", "not_yet_on"]
    );
    assert_eq!(
        keys(&plan["changes"][0]),
        ["path", "target", "action", "mode", "before_sha256", "after_sha256", "diff"]
    );
    assert_eq!(
        keys(&plan["effects"][0]),
        ["do", "command", "reasons", "items", "cost", "withheld"]
    );
    assert_eq!(keys(&plan["conflicts"][0]), ["target", "path", "items", "message", "cure"]);
    assert_eq!(keys(&plan["conflicts"][0]["items"][0]), ["host", "on"]);
    assert_eq!(keys(&plan["notes"][0]), ["items", "message"]);
    assert_eq!(plan["runtimes"]["docker"]["version"], "26.1.5");
    assert_eq!(keys(&node.live(["status", "--json"]).json()), survey);
    assert_eq!(keys(&node.live(["apply", "--json"]).exits(1).json()), survey);

    let explained = node.live(["explain", "harbor.corp", "--json"]).json();
    assert_eq!(
        keys(&explained),
        [
            "host",
            "standing",
            "trust",
            "declared_in",
            "from_generation",
            "until",
            "reason",
            "allowed_by",
            "certificates",
            "on",
            "files",
            "effects",
            "conflicts",
            "notes",
            "problems"
        ]
    );
    let generation = &node.live(["history", "--json"]).json()[0];
    assert_eq!(
        keys(generation),
        ["number", "at", "in_force", "registries", "rolled_back_to", "summary"]
    );
    assert_eq!(keys(&generation["summary"]), ["added", "changed", "withdrawn"]);

    let lint = node_with("[[registry]]\nhost = \"a b\"\n").run(["lint", "--json"]).exits(78).json();
    assert_eq!(keys(&lint), ["registries", "problems"]);
    assert_eq!(
        keys(&lint["problems"][0]),
        ["severity", "location", "host", "field", "message", "cure"]
    );
    assert_eq!(keys(&lint["problems"][0]["location"]), ["file", "line", "column"]);
}

#[test]
fn every_command_explains_itself() {
    let general = regtrust(&["--help"]).exits(0);
    assert!(general.stderr.is_empty());
    for command in COMMANDS {
        assert!(general.stdout.contains(&format!("\n  {command} ")), "{command} is not listed");
        let help = regtrust(&[command, "--help"]).exits(0).stdout;
        // Every one says whether it writes, and how it ends.
        let says = |word: &str| help.to_lowercase().contains(word);
        assert!(says("write"), "{command} does not say what it writes:\n{help}");
        assert!(says("exit"), "{command} does not say how it exits:\n{help}");
        assert_eq!(regtrust(&["help", command]).exits(0).stdout, help);
    }
    for code in ["0 ", "1 ", "2 ", "64 ", "74 ", "75 ", "78 "] {
        assert!(general.stdout.contains(code), "{code}");
    }
    regtrust(&["--version"]).exits(0).says(concat!("regtrust ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = regtrust(&["completions", shell]).exits(0).stdout;
        for command in COMMANDS {
            assert!(script.contains(command), "{shell} {command}");
        }
    }
    regtrust(&["completions", "sh"]).exits(64).says("possible values");
}

#[test]
fn colour_is_only_for_terminals_and_on_request() {
    let node = node_with(LAB);
    for arguments in
        [&["plan"][..], &["plan", "--color", "never"], &["plan", "--json", "--color", "always"]]
    {
        assert_eq!(node.run(arguments).hostile_character(), None, "{arguments:?}");
    }
    assert!(node.run(["plan", "--color", "always"]).stdout.contains("\u{1b}[32m+"));
    // `script` is a terminal.
    let on_terminal = |variable: &str| {
        let line = format!("{REGTRUST} --root {} plan", node.root().display());
        let mut script = Command::new("script");
        script.env_clear().env("PATH", "/usr/bin:/bin").env("TERM", "xterm").env(variable, "1");
        script.args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).output()
    };
    let (Ok(with), Ok(without)) = (on_terminal("NOTHING"), on_terminal("NO_COLOR")) else {
        println!("no `script` here, so no terminal");
        return;
    };
    assert!(String::from_utf8_lossy(&with.stdout).contains("\u{1b}[32m"));
    assert!(!String::from_utf8_lossy(&without.stdout).contains("\u{1b}[32m"));
}

#[test]
fn stdout_is_data_and_stderr_is_talk() {
    let node = node_with(LAB);
    for arguments in [
        &["plan"][..],
        &["apply"],
        &["status"],
        &["history"],
        &["lint"],
        &["explain", "lab.corp:5000"],
    ] {
        let outcome = node.run(arguments);
        assert!(!outcome.stdout.is_empty() && outcome.stderr.is_empty(), "{arguments:?}");
        node.run(arguments.iter().copied().chain(["--json"])).json();
    }
    for arguments in [
        &["rollback", "7"][..],
        &["explain", "a b"],
        &["plan", "--frobnicate"],
        &["adopt", "x.corp"],
    ] {
        let outcome = node.run(arguments);
        assert!(outcome.stdout.is_empty() && !outcome.stderr.is_empty(), "{arguments:?}");
    }
}

/// `regtrust plan | head` must end quietly, as other programs do.
#[test]
fn a_reader_that_goes_away_is_no_crash() {
    let node = node_with(LAB);
    let table: [(i32, &[&str]); 5] = [
        (0, &["--help"]),
        (2, &["plan"]),
        (2, &["plan", "--json"]),
        (0, &["completions", "bash"]),
        (64, &["plan", "--frobnicate"]),
    ];
    for (code, arguments) in table {
        let mut command = node.command();
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        assert_eq!(child.wait().unwrap().code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn lint_takes_files_that_are_not_yet_on_a_node() {
    let node = Node::new();
    node.file("new/good.toml", LAB).file("new/bad.toml", "[[registry]]\nhost = \"a b\"\n");
    let path = |name: &str| node.path(&format!("new/{name}")).to_str().unwrap().to_owned();
    regtrust(&["lint", &path("good.toml")]).exits(0).says("1 registries declared; all right");
    regtrust(&["lint", &path("bad.toml")]).exits(78).says("bad.toml:2:8: host");
    regtrust(&["lint", &path("")]).exits(78).says("1 registries declared; not all of it is right");
    regtrust(&["lint", &path("nowhere.toml")]).exits(78).says("is not there");
}

#[test]
fn lint_reads_what_the_daemon_would_read() {
    let node = Node::new();
    node.file("etc/regtrust/jobs.toml", "unlabeled = 1\n");
    node.run(["lint"]).exits(78).says("/etc/regtrust/jobs.toml:1:1");
    node.file("etc/regtrust/jobs.toml", "").file("etc/regtrust/regtrustd.toml", "[restart]\nx = 1");
    node.run(["lint"]).exits(78).says("/etc/regtrust/regtrustd.toml:2:1");
}
