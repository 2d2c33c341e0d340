//! Failures as people and scripts meet them: what happened, why, what to do, and an exit code.

use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;

use super::visible::visible;
use crate::reconcile::{HistoryError, ReconcileError};
use crate::txn::lock::LockError;

/// Exit codes are part of the contract: units list 64 and 78 so that systemd does not retry what
/// only an operator can mend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Done,
    /// Something is blocked by a conflict or by the policy; the rest was done.
    Blocked,
    /// There is something to do.
    ToDo,
    Usage,
    /// Only a daemon can do it, and none is at work.
    Unavailable,
    Io,
    /// Try again later.
    Busy,
    /// The caller's role does not allow it.
    Denied,
    /// A declaration or the policy is wrong; the rest was done.
    Config,
    /// That of the job that the node was held for.
    Job(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Blocked => 1,
            Exit::ToDo => 2,
            Exit::Usage => 64,
            Exit::Unavailable => 69,
            Exit::Io => 74,
            Exit::Busy => 75,
            Exit::Denied => 77,
            Exit::Config => 78,
            Exit::Job(code) => code,
        })
    }
}

#[derive(Debug)]
pub(super) struct Failure {
    exit: Exit,
    error: Box<dyn Error>,
    cure: Option<String>,
}

impl Failure {
    pub(super) fn usage(message: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, error: message.into().into(), cure: Some(cure.into()) }
    }

    /// What came of asking a daemon.
    pub(super) fn called(exit: Exit, message: impl Into<String>, cure: Option<String>) -> Self {
        Self { exit, error: message.into().into(), cure }
    }

    pub(super) fn io(error: impl Error + 'static) -> Self {
        Self { exit: Exit::Io, error: Box::new(error), cure: None }
    }

    pub(super) fn process(error: nix::Error) -> Self {
        let message = format!("cannot keep this process from leaving a core file: {error}");
        Self { exit: Exit::Io, error: message.into(), cure: None }
    }

    pub(super) fn output(error: &std::io::Error) -> Self {
        let message = format!("cannot write to standard output: {error}");
        Self { exit: Exit::Io, error: message.into(), cure: None }
    }

    pub(super) fn exit(&self) -> Exit {
        self.exit
    }

    /// One cause per line, then the cure.
    pub(super) fn report(&self) -> String {
        let mut report = format!("regtrust: {}", visible(&self.error.to_string()));
        let mut source = self.error.source();
        while let Some(cause) = source {
            _ = write!(
                report,
                "
  because: {}",
                visible(&cause.to_string())
            );
            source = cause.source();
        }
        if let Some(cure) = &self.cure {
            _ = write!(
                report,
                "
  cure: {}",
                visible(cure)
            );
        }
        report
    }
}

impl From<ReconcileError> for Failure {
    fn from(error: ReconcileError) -> Self {
        let exit = match &error {
            ReconcileError::Lock(LockError::Taken { .. } | LockError::Daemon { .. })
            | ReconcileError::Unsettled => Exit::Busy,
            ReconcileError::History(HistoryError::Unknown { .. }) => Exit::Usage,
            _ => Exit::Io,
        };
        let cure = match &error {
            ReconcileError::Lock(error) => error.hint(),
            ReconcileError::Transaction(error) => error.hint(),
            ReconcileError::State(error) => error.hint(),
            ReconcileError::History(error) => error.hint(),
            _ => None,
        };
        Self { exit, error: Box::new(error), cure }
    }
}
