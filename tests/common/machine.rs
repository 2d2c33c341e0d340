//! A node made of files, the real binary run on it, and what may be said of the outcome.
#![expect(clippy::disallowed_methods, reason = "tests make the nodes that the product works on")]
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "each test program uses a part of it, and a test that cannot go on panics"
)]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

pub(crate) const REGTRUST: &str = env!("CARGO_BIN_EXE_regtrust");

/// Stands for a password wherever a case plants one.
pub(crate) const CANARY: &str = "canary-hunter2-7f3a";

pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/certs").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn fixture_text(name: &str) -> String {
    String::from_utf8(fixture(name)).unwrap()
}

/// A tree with docker 26.1, containerd 1.7 that a kubelet pulls through, and Debian's CA tool; next
/// to it lies `outside`, which nothing may reach.
pub(crate) struct Node {
    temporary: TempDir,
}

impl Node {
    pub(crate) fn new() -> Self {
        let node = Self::bare();
        node.file("usr/bin/dockerd", "").file("usr/bin/containerd", "");
        node.file("usr/sbin/update-ca-certificates", "").file("etc/os-release", "ID=debian\n");
        node.file("var/lib/kubelet/config.yaml", "").packages("26.1.5+dfsg1-9", "1.7.24~ds1-6");
        node
    }

    pub(crate) fn bare() -> Self {
        let node = Self { temporary: tempfile::tempdir().unwrap() };
        fs::create_dir(node.root()).unwrap();
        fs::create_dir(node.outside()).unwrap();
        fs::write(node.outside().join("precious"), "precious\n").unwrap();
        fs::create_dir_all(node.path("etc/regtrust/registries.d")).unwrap();
        node
    }

    pub(crate) fn packages(&self, docker: &str, containerd: &str) -> &Self {
        let stanza = |name, version| {
            format!("Package: {name}\nStatus: install ok installed\nVersion: {version}\n\n")
        };
        let status = stanza("docker.io", docker) + &stanza("containerd", containerd);
        self.file("var/lib/dpkg/status", status)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.temporary.path().join("tree")
    }

    pub(crate) fn outside(&self) -> PathBuf {
        self.temporary.path().join("outside")
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    pub(crate) fn directory(&self, path: &str) -> &Self {
        fs::create_dir_all(self.path(path)).unwrap();
        self
    }

    pub(crate) fn file(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    pub(crate) fn link(&self, path: &str, to: impl AsRef<Path>) -> &Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(to, path).unwrap();
        self
    }

    pub(crate) fn mode(&self, path: &str, mode: u32) -> &Self {
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    pub(crate) fn remove(&self, path: &str) -> &Self {
        let path = self.path(path);
        if path.symlink_metadata().unwrap().is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
        self
    }

    /// Writes `registries.d/node.toml`.
    pub(crate) fn declare(&self, text: &str) -> &Self {
        self.file("etc/regtrust/registries.d/node.toml", text)
    }

    pub(crate) fn policy(&self, text: &str) -> &Self {
        self.file("etc/regtrust/policy.toml", text)
    }

    /// Copies a certificate or key beside the declarations.
    pub(crate) fn certificate(&self, name: &str) -> &Self {
        self.file(&format!("etc/regtrust/registries.d/{name}"), fixture(name))
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }

    pub(crate) fn text(&self, path: &str) -> String {
        let path = self.path(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub(crate) fn mode_of(&self, path: &str) -> u32 {
        self.path(path).symlink_metadata().unwrap().mode() & 0o7777
    }

    pub(crate) fn names(&self, directory: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(directory)) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// The command on this tree as an image: nothing runs in it.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(REGTRUST);
        command.env_clear().stdin(Stdio::null()).arg("--root").arg(self.root());
        command
    }

    /// The command on this tree as a host that is up.
    pub(crate) fn live_command(&self) -> Command {
        let mut command = Command::new(REGTRUST);
        command.env_clear().stdin(Stdio::null()).arg("--host-root").arg(self.root());
        command
    }

    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Outcome {
        Outcome::of(self.command().args(arguments))
    }

    pub(crate) fn live<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Outcome {
        Outcome::of(self.live_command().args(arguments))
    }

    /// Everything in the tree and outside of it, but for regtrust's own state.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut seen = BTreeMap::new();
        collect(self.temporary.path(), &self.path("var/lib/regtrust"), &mut seen);
        seen
    }
}

/// What a host that is up has and an image has not.
impl Node {
    /// A system of systemd's that booted in November 2023; nothing of ours runs.
    pub(crate) fn boot(&self) -> &Self {
        self.file("proc/stat", format!("cpu  1 2 3\nbtime {BOOT}\n"));
        self.file("proc/1/comm", "systemd\n").file("proc/1/cgroup", "0::/init.scope\n")
    }

    /// Has `program` running as its service since `seconds` from now, in the place of one that ran.
    pub(crate) fn start(&self, program: &str, service: &str, seconds: i64) -> &Self {
        let ticks = (jiff::Timestamp::now().as_second() + seconds - BOOT) * 100;
        let pid = if program == "dockerd" { 812 } else { 613 };
        let zeros = "0 ".repeat(18);
        self.file(&format!("proc/{pid}/comm"), format!("{program}\n"));
        self.file(&format!("proc/{pid}/stat"), format!("{pid} ({program}) S {zeros}{ticks} 0 0\n"));
        self.file(&format!("proc/{pid}/cgroup"), format!("0::/system.slice/{service}\n"))
    }

    /// Seconds from now; an hour ago is `-3600`.
    pub(crate) fn start_docker(&self, seconds: i64) -> &Self {
        self.file("run/docker.pid", "812").start("dockerd", "docker.service", seconds)
    }

    pub(crate) fn start_containerd(&self, seconds: i64) -> &Self {
        self.start("containerd", "containerd.service", seconds)
    }
}

const BOOT: i64 = 1_700_000_000;

/// What lies at a path. Without the inode, rewriting the same bytes would go unnoticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lies {
    Directory { mode: u32 },
    File { mode: u32, inode: u64, size: u64, content: Vec<u8> },
    Link { to: PathBuf },
    Other { kind: &'static str, inode: u64 },
}

pub(crate) type Snapshot = BTreeMap<PathBuf, Lies>;

/// The content of larger files is represented by their size and inode.
const LARGEST_KEPT: u64 = 1 << 20;

fn collect(directory: &Path, except: &Path, seen: &mut Snapshot) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path == except {
            continue;
        }
        let meta = path.symlink_metadata().unwrap();
        let (mode, inode, size) = (meta.mode() & 0o7777, meta.ino(), meta.len());
        let kind = meta.file_type();
        let lies = if kind.is_dir() {
            collect(&path, except, seen);
            Lies::Directory { mode }
        } else if kind.is_symlink() {
            Lies::Link { to: fs::read_link(&path).unwrap() }
        } else if kind.is_file() {
            let content = if size <= LARGEST_KEPT { fs::read(&path).unwrap() } else { Vec::new() };
            Lies::File { mode, inode, size, content }
        } else if kind.is_fifo() {
            Lies::Other { kind: "pipe", inode }
        } else {
            Lies::Other { kind: "device or socket", inode }
        };
        // The state directory itself may be made.
        if !(kind.is_dir() && except.starts_with(&path)) {
            seen.insert(path, lies);
        }
    }
}

#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
        }
    }

    pub(crate) fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn says(self, fragment: &str) -> Self {
        let all = self.all();
        assert!(all.contains(fragment), "nothing says `{fragment}` in:\n{all}");
        self
    }

    #[track_caller]
    pub(crate) fn never_says(self, fragment: &str) -> Self {
        let all = self.all();
        assert!(!all.contains(fragment), "`{fragment}` is said in:\n{all}");
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}:\n{}\n{}", self.stdout, self.stderr))
    }

    /// The names of the effects that a `--json` outcome says are due.
    #[track_caller]
    pub(crate) fn effects(&self) -> Vec<String> {
        let due = self.json()["effects"].as_array().cloned().unwrap_or_default();
        due.iter().map(|due| due["do"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// How a `--json` outcome says that a registry stands.
    #[track_caller]
    pub(crate) fn standing(&self, host: &str) -> String {
        let json = self.json();
        json["registries"][host]["standing"].as_str().unwrap_or("absent").to_owned()
    }

    /// Nothing that acts on a terminal, reorders a line or hides in it.
    pub(crate) fn hostile_character(&self) -> Option<char> {
        let hidden = |c: char| {
            (c.is_control() && c != '\n' && c != '\t')
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
        };
        self.all().chars().find(|c| hidden(*c))
    }
}

/// The ends of the lines of every private key among the fixtures, but for those that a certificate
/// has too (a key holds the public one), and the canary.
pub(crate) fn secrets() -> Vec<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/certs");
    let (mut keys, mut public) = (String::new(), String::new());
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let is_key = path.extension().is_some_and(|extension| extension == "key");
        let text = if is_key { &mut keys } else { &mut public };
        *text += &String::from_utf8_lossy(&fs::read(&path).unwrap());
    }
    let body = keys.lines().filter(|line| !line.contains("-----") && line.len() >= 24);
    let ends = body.filter_map(|line| line.get(line.len() - 24..));
    let secret = ends.filter(|end| !public.contains(end)).map(str::to_owned);
    secret.chain([CANARY.to_owned()]).collect()
}

pub(crate) fn leaked(output: &str, secrets: &[String]) -> Option<String> {
    secrets.iter().find(|secret| output.contains(secret.as_str())).cloned()
}
