//! Runs programs under strace and reads what they asked of the kernel.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Output};

/// Calls that change a file system, or make a change durable, by how their names begin. Opening is
/// judged by its flags.
const MUTATING: [&str; 24] = [
    "chmod",
    "chown",
    "copy_file_range",
    "creat",
    "fallocate",
    "fchmod",
    "fchown",
    "fdatasync",
    "fremovexattr",
    "fsetxattr",
    "fsync",
    "ftruncate",
    "lchown",
    "link",
    "mkdir",
    "mknod",
    "pwrite",
    "rename",
    "rmdir",
    "sendfile",
    "sync",
    "truncate",
    "unlink",
    "write",
];
const RARE: [&str; 8] = [
    "futimesat",
    "lremovexattr",
    "lsetxattr",
    "removexattr",
    "setxattr",
    "splice",
    "symlink",
    "utime",
];

/// One system call that a program made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// The thread that made it.
    pub(crate) by: u32,
    pub(crate) name: String,
    /// Among that thread's calls of this name, from 1: how strace counts too.
    pub(crate) number: usize,
    pub(crate) arguments: String,
}

impl Call {
    /// Whether it changes a file, or would: standard output and error are no files of the node.
    pub(crate) fn is_mutating(&self) -> bool {
        let begins = |prefix: &&str| self.name.starts_with(*prefix);
        if self.name.starts_with("open") {
            let writes = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"];
            return writes.iter().any(|flag| self.arguments.contains(flag));
        }
        !self.is_speech() && (MUTATING.iter().any(begins) || RARE.iter().any(begins))
    }

    /// Writing to standard output or error.
    pub(crate) fn is_speech(&self) -> bool {
        self.name.starts_with("write")
            && matches!(self.arguments.as_bytes(), [b'1' | b'2', b',', ..])
    }
}

/// Whether these tests can run. Where they must run, that they cannot is a failure.
pub(crate) fn is_available() -> bool {
    let works = Command::new("strace").args(["-f", "-qq", "-o", "/dev/null", "true"]).output();
    if works.is_ok_and(|output| output.status.success()) {
        return true;
    }
    let cure = "strace is missing or may not trace here: `apt-get install strace`; in a container \
                also `--cap-add=SYS_PTRACE`";
    let is_root = is_root();
    let is_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!is_root && !is_ci, "{cure}");
    say(&format!("SKIPPED a test: {cure}"));
    false
}

pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Says a line past the test harness, which keeps what passing tests print to itself.
pub(crate) fn say(line: &str) {
    // A closed standard error is no reason to fail.
    drop(writeln!(std::io::stderr(), "{line}"));
}

/// strace with these options around a program, writing to `log`.
///
/// Without `--seccomp-bpf`, which is faster: strace 6.1 then counts no calls for `signal=`, and the
/// N-th is never reached.
pub(crate) fn command(log: &Path, options: &[&str], program: &[&OsStr]) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o"]).arg(log).args(options).args(program);
    strace
}

/// All calls of a program, in order, from the one on that opens `root`.
pub(crate) fn calls(
    log: &Path,
    root: &Path,
    options: &[&str],
    program: &[&OsStr],
) -> (Output, Vec<Call>) {
    let output = command(log, options, program).output().unwrap();
    let text = fs::read_to_string(log).unwrap();
    let quoted = format!("{:?}", root.display().to_string());
    let opens = |call: &Call| call.name.starts_with("open") && call.arguments.contains(&quoted);
    let calls = parse(&text);
    let first = calls.iter().position(opens).expect("it never opened the root");
    (output, calls[first..].to_vec())
}

/// Reads lines such as `812 openat(3, "etc", O_RDONLY) = 4`.
fn parse(log: &str) -> Vec<Call> {
    let mut numbers = std::collections::BTreeMap::<(u32, String), usize>::new();
    let mut calls = Vec::new();
    for line in log.lines() {
        let Some((by, rest)) = line.split_once(' ') else { continue };
        let Some((name, arguments)) = rest.trim_start().split_once('(') else { continue };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if !name.bytes().all(is_name) {
            continue;
        }
        let by = by.parse().expect("strace -f begins each line with the thread");
        let number = numbers.entry((by, name.to_owned())).or_default();
        *number += 1;
        let arguments = arguments.to_owned();
        calls.push(Call { by, name: name.to_owned(), number: *number, arguments });
    }
    calls
}
