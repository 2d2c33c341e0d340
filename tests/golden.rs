//! Trees as they lie on nodes, what `regtrust` says about them, what it makes of them, and that it
//! takes back every byte.
//!
//! A case is a directory `tests/golden/TARGET/CASE`:
//!
//! | name | holds |
//! |---|---|
//! | `before/` | the node's files, declarations in `etc/regtrust/registries.d` included |
//! | `node` | what else the node has, one preset in a line: see `tests/common/node.rs` |
//! | `modes` | `0600 etc/docker/daemon.json`; a path that ends in `/` is made |
//! | `immutable` | paths that get `chattr +i` |
//! | `args` | further words for every command |
//! | `steps` | commands to run in place of `plan` and `apply`: see [`perform`] |
//! | `plan.txt` | the exit code and output of `plan`, or of every step |
//! | `after/`, `after.modes` | what the tree is then, and modes that are not 0644 and 0755 |
//! | `withdrawn` | how the tree differs from `before` at the end, where it should: adoption |
//!
//! After its commands, every case is planned again (no file to change), applied again (nothing is
//! touched, not even in the state directory), withdrawn, and compared with what it was before.
//! `BLESS=1` writes `plan.txt`, `after` and `withdrawn` anew, for a person to read.
#![expect(clippy::disallowed_methods, reason = "makes the trees, and runs the program on them")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends at the first surprise")]

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "common/node.rs"]
mod node;
#[path = "common/tree.rs"]
mod tree;

use node::{CONFIGURATION, DECLARATIONS, Node, STATE};
use tree::{Kind, Tree};

macro_rules! targets {
    ($($test:ident => $directory:literal),* $(,)?) => {
        $(#[test]
        fn $test() {
            run_all($directory);
        })*

        #[test]
        fn every_directory_of_cases_has_a_test() {
            let mut known = vec![$($directory.to_owned()),*];
            known.sort();
            assert_eq!(names(&cases()), known);
        }
    };
}

targets! {
    docker_certs => "docker-certs",
    docker_daemon => "docker-daemon",
    containerd_config => "containerd-config",
    containerd_hosts => "containerd-hosts",
    system_store => "system-store",
    whole_node => "node",
    live_node => "live",
}

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Runs all cases of a target, so that one run shows everything that is wrong.
fn run_all(target: &str) {
    let only = std::env::var("CASE").unwrap_or_default();
    let mut failures = String::new();
    let directory = cases().join(target);
    let names: Vec<_> = names(&directory).into_iter().filter(|name| name.contains(&only)).collect();
    for name in &names {
        let case = Case { name: format!("{target}/{name}"), directory: directory.join(name) };
        for problem in case.run() {
            _ = writeln!(failures, "{}: {problem}", case.name);
        }
    }
    say(&format!("golden: {target}: {} cases", names.len()));
    assert!(failures.is_empty(), "\n{failures}\nBLESS=1 writes what is so now");
}

/// Past the capture of output, because how much was tested is worth seeing when all is well too.
fn say(line: &str) {
    _ = writeln!(std::io::stderr(), "{line}");
}

struct Case {
    name: String,
    directory: PathBuf,
}

impl Case {
    fn file(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.directory.join(name)).ok()
    }

    fn lines(&self, name: &str) -> Vec<String> {
        self.file(name).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    fn run(&self) -> Vec<String> {
        let node = self.lay_out();
        let Some(_immutable) = Immutable::make(&node, &self.lines("immutable")) else {
            say(&format!("golden: {}: SKIPPED, no file can be made immutable here", self.name));
            return Vec::new();
        };
        let before = tree::read(node.root(), &[CONFIGURATION, STATE]);
        let args = self.file("args").unwrap_or_default();
        let mut args: Vec<&str> = args.split_whitespace().collect();
        let said = self.act(&node, &args);
        let mut problems = self.check_text("plan.txt", &said);
        problems.extend(self.check_after(&node));
        problems.extend(check_settled(&node, &args));
        if let Some(at) = args.iter().position(|word| *word == "--declarations") {
            args.drain(at..at + 2);
        }
        withdraw(&node);
        for line in ["apply", "apply --acknowledge docker-reload"] {
            run(&node, line.split(' ').chain(args.iter().copied()));
        }
        let left = tree::differences(&before, &tree::read(node.root(), &[CONFIGURATION, STATE]));
        let left = lines(left);
        match self.file("withdrawn") {
            Some(_) => problems.extend(self.check_text("withdrawn", &left)),
            None if left.is_empty() => {}
            None => problems.push(format!("is not as it was before:\n{left}")),
        }
        problems
    }

    fn lay_out(&self) -> Node {
        let node = Node::beneath(&std::env::temp_dir(), &self.file("node").unwrap_or_default());
        node::copy(&self.directory.join("before"), node.root());
        for line in self.lines("modes") {
            let (mode, path) = line.split_once(' ').unwrap();
            if path.ends_with('/') {
                fs::create_dir_all(node.path(path)).unwrap();
            }
            node::set_mode(&node.path(path), u32::from_str_radix(mode, 8).unwrap());
        }
        node
    }

    /// Runs what the case is about, and returns what was said.
    fn act(&self, node: &Node, args: &[&str]) -> String {
        let steps = self.lines("steps");
        if steps.is_empty() {
            let said = run(node, ["plan"].into_iter().chain(args.iter().copied()));
            run(node, ["apply"].into_iter().chain(args.iter().copied()));
            return transcript(&said);
        }
        steps.iter().map(|step| perform(step, node, args)).collect::<Vec<_>>().join("\n")
    }

    fn check_text(&self, name: &str, now: &str) -> Vec<String> {
        if is_blessing() {
            fs::write(self.directory.join(name), now).unwrap();
        }
        let expected = self.file(name).unwrap_or_default();
        if expected == now { Vec::new() } else { vec![format!("{name} differs; it is now\n{now}")] }
    }

    fn check_after(&self, node: &Node) -> Vec<String> {
        let mut now = tree::read(node.root(), &[CONFIGURATION, STATE]);
        let before = self.directory.join("before");
        let is_fixture =
            |path: &str| fs::symlink_metadata(before.join(path)).is_ok_and(|found| !found.is_dir());
        now.retain(|path, _| !node.made.contains(path) || is_fixture(path));
        let mut problems = self.check_text("after.modes", &unusual(&now));
        let after = self.directory.join("after");
        if is_blessing() {
            write(&after, &now);
        }
        let expected = if after.is_dir() { tree::read(&after, &[]) } else { Tree::new() };
        problems.extend(tree::differences(&contents(expected), &contents(now)));
        problems
    }
}

/// `rm PATH`, `cp FROM TO` and `withdraw`, which removes all declarations; anything else is a
/// command of the program.
fn perform(step: &str, node: &Node, args: &[&str]) -> String {
    let words: Vec<&str> = step.split_whitespace().collect();
    let mut said = format!("$ {step}\n");
    match words[..] {
        ["rm", path] => fs::remove_file(node.path(path)).unwrap(),
        ["cp", from, to] => drop(fs::copy(node.path(from), node.path(to)).unwrap()),
        ["withdraw"] => withdraw(node),
        _ => said += &transcript(&run(node, words.iter().chain(args).copied())),
    }
    said
}

/// A second look finds nothing to change, and a second apply touches nothing.
fn check_settled(node: &Node, args: &[&str]) -> Vec<String> {
    let mut problems = Vec::new();
    let plan = run(node, ["plan"].into_iter().chain(args.iter().copied()));
    if !plan.stdout.contains("no file to change") {
        problems.push(format!("a plan after the apply finds more to do:\n{}", transcript(&plan)));
    }
    let first = tree::read(node.root(), &[]);
    let apply = run(node, ["apply"].into_iter().chain(args.iter().copied()));
    if plan.code != apply.code && plan.code != 2 {
        problems.push(format!("plan ends with {}, and apply with {}", plan.code, apply.code));
    }
    let touched = tree::touched(&first, &tree::read(node.root(), &[]));
    if !touched.is_empty() {
        problems.push(format!("a second apply touches {touched:?}"));
    }
    problems
}

fn withdraw(node: &Node) {
    fs::remove_dir_all(node.path(DECLARATIONS)).unwrap();
    fs::create_dir(node.path(DECLARATIONS)).unwrap();
}

struct Said {
    code: i32,
    stdout: String,
    stderr: String,
}

fn run<'a>(node: &Node, words: impl IntoIterator<Item = &'a str>) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_regtrust"));
    command.arg(if node.live { "--host-root" } else { "--root" }).arg(node.root());
    let output = command.args(words).env_remove("RUST_LOG").output().unwrap();
    let text = |bytes: &[u8]| {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(!text.contains("PRIVATE KEY"), "a key is shown: {text}");
        without_today(&text.replace(node.root().to_str().unwrap(), "ROOT"))
    };
    Said {
        code: output.status.code().unwrap(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

/// The text with `NOW` in place of every time of today (or of yesterday, at midnight).
fn without_today(text: &str) -> String {
    let now = jiff::Timestamp::now();
    let mut text = text.to_owned();
    for hours in [0, 24] {
        let day = (now - jiff::SignedDuration::from_hours(hours)).strftime("%F").to_string();
        while let Some(start) = text.find(&day) {
            let rest = &text[start + day.len()..];
            let clock =
                rest.trim_start_matches(|c: char| "T :.Z".contains(c) || c.is_ascii_digit());
            let clock = clock.strip_prefix("UTC").unwrap_or(clock);
            text = format!("{}NOW{clock}", &text[..start]);
        }
    }
    text
}

fn transcript(said: &Said) -> String {
    let talk = lines(said.stderr.lines().map(|line| format!("stderr: {line}")));
    format!("exit {}\n{}{talk}", said.code, said.stdout)
}

fn lines(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().map(|line| line + "\n").collect()
}

fn is_blessing() -> bool {
    std::env::var_os("BLESS").is_some()
}

/// Directories without anything in them, which git does not keep, and modes that are not the usual.
fn unusual(tree: &Tree) -> String {
    let line = |(path, node): (&String, &tree::Node)| {
        let below = format!("{path}/");
        let is_directory = node.kind == Kind::Directory;
        let is_empty = is_directory && !tree.keys().any(|other| other.starts_with(&below));
        let usual = match node.kind {
            Kind::Directory => 0o755,
            Kind::Link(_) => 0o777,
            _ => 0o644,
        };
        let slash = if is_directory { "/" } else { "" };
        (is_empty || node.mode != usual).then(|| format!("{:04o} {path}{slash}\n", node.mode))
    };
    tree.iter().filter_map(line).collect()
}

/// Without directories and modes, which a checkout does not keep.
fn contents(mut tree: Tree) -> Tree {
    tree.retain(|_, node| node.kind != Kind::Directory);
    for node in tree.values_mut() {
        (node.mode, node.owner) = (0, (0, 0));
    }
    tree
}

fn write(directory: &Path, tree: &Tree) {
    _ = fs::remove_dir_all(directory);
    for (path, node) in tree {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match &node.kind {
            Kind::File(bytes) => fs::write(path, bytes).unwrap(),
            Kind::Link(to) => {
                let to = std::str::from_utf8(to).unwrap();
                std::os::unix::fs::symlink(to, path).unwrap();
            }
            Kind::Directory | Kind::Other => {}
        }
    }
}

/// Files with `chattr +i`, until it is dropped: the tree could not be removed otherwise.
struct Immutable(Vec<PathBuf>);

impl Immutable {
    /// `None`: not root, or a filesystem that has no such flag.
    fn make(node: &Node, paths: &[String]) -> Option<Self> {
        let made = Self(paths.iter().map(|path| node.path(path)).collect());
        made.0.iter().all(|path| chattr("+i", path)).then_some(made)
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        for path in &self.0 {
            chattr("-i", path);
        }
    }
}

fn chattr(flag: &str, path: &Path) -> bool {
    let output = Command::new("chattr").arg(flag).arg(path).output();
    output.is_ok_and(|output| output.status.success())
}
