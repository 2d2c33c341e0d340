//! One fault at one system call, and what becomes of a program that meets it.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use crate::calls::Call;
use crate::strace;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The process dies before the call does anything.
    Kill,
    /// The call fails with this error and does nothing.
    Error(&'static str),
}

/// Dying, and failing.
pub(crate) const BASIC: [Kind; 2] = [Kind::Kill, Kind::Error("EIO")];

/// What the default run injects at every call that changes a file.
pub(crate) const COMMON: [Kind; 4] =
    [Kind::Kill, Kind::Error("ENOSPC"), Kind::Error("EIO"), Kind::Error("EROFS")];

/// The long run: a quota, an interrupted call, a process that has run out of handles or memory.
pub(crate) const ALL: [Kind; 8] = [
    Kind::Kill,
    Kind::Error("ENOSPC"),
    Kind::Error("EIO"),
    Kind::Error("EROFS"),
    Kind::Error("EDQUOT"),
    Kind::Error("EINTR"),
    Kind::Error("EMFILE"),
    Kind::Error("ENOMEM"),
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) call: Call,
    pub(crate) kind: Kind,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Kill => "SIGKILL",
            Kind::Error(name) => name,
        };
        write!(
            f,
            "{kind} at {} number {}: {}",
            self.call.name, self.call.number, self.call.arguments
        )
    }
}

/// How a program ended that met its faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Killed,
    Exited {
        code: i32,
        said: String,
    },
    /// It never made the call, so this says nothing about it.
    NotReached,
}

impl Fault {
    pub(crate) fn expression(&self) -> String {
        let Call { name, number, .. } = &self.call;
        match self.kind {
            Kind::Kill => format!("inject={name}:signal=SIGKILL:when={number}"),
            Kind::Error(error) => format!("inject={name}:error={error}:when={number}"),
        }
    }
}

/// Runs a program in which these faults happen, each once. They must be at calls of different names.
pub(crate) fn meet(faults: &[&Fault], log: &Path, program: &[&OsStr]) -> End {
    let names: Vec<&str> = faults.iter().map(|fault| fault.call.name.as_str()).collect();
    let mut options = vec!["-e".to_owned(), format!("trace={}", names.join(","))];
    for fault in faults {
        options.extend(["-e".to_owned(), fault.expression()]);
    }
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let output = strace::command(log, &options, program).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let injected = fs::read_to_string(log).unwrap_or_default().matches("(INJECTED)").count();
    let errors = faults.iter().filter(|fault| fault.kind != Kind::Kill).count();
    let must_die = errors < faults.len();
    match (output.status.signal(), output.status.code()) {
        (Some(9), _) if must_die => End::Killed,
        (_, Some(code)) if !must_die && injected >= errors => End::Exited { code, said },
        (_, Some(_)) => End::NotReached,
        (signal, None) => panic!("ended by signal {signal:?}: {said}"),
    }
}
