//! Runs programs under strace and reads what they asked of the kernel.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Output};

use crate::calls::{Call, parse};

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
