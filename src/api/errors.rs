//! Why a call failed, for a program and for a person.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use super::refusal::{DOMAIN, refusal};
use crate::agent::Unavailable;
use crate::effect::chain;
use crate::owners::OwnerName;
use crate::pushed::PushError;
use crate::reconcile::{HistoryError, ReconcileError};
use crate::state::StateError;
use crate::trust::host::RegistryHost;

/// Boxed, because tonic's own is large and every call returns one.
#[derive(Debug)]
pub(super) struct Failure(Box<Status>);

pub(super) type Fails<T> = Result<T, Failure>;

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self(Box::new(status))
    }
}

impl From<Failure> for Status {
    fn from(Failure(status): Failure) -> Self {
        *status
    }
}

pub(super) fn of_run(error: &ReconcileError) -> Status {
    let (code, reason, cure) = kind(error);
    refusal(code, reason, chain(error), &cure.unwrap_or_default())
}

/// Exhaustive on purpose: a new way to fail does not compile until its code is chosen.
fn kind(error: &ReconcileError) -> (Code, &'static str, Option<String>) {
    match error {
        ReconcileError::Push(PushError::Revision { .. }) => (
            Code::Aborted,
            "REVISION_CONFLICT",
            Some("read what is applied with GetDesired, and apply again".to_owned()),
        ),
        ReconcileError::Push(PushError::NoTrial { .. }) => {
            (Code::FailedPrecondition, "NOTHING_TO_CONFIRM", None)
        }
        ReconcileError::State(error) => (Code::DataLoss, "STATE_DAMAGED", error.hint()),
        ReconcileError::Owner { .. } => (
            Code::DataLoss,
            "STATE_DAMAGED",
            Some("move the file away, and apply again".to_owned()),
        ),
        ReconcileError::History(error @ HistoryError::Unknown { .. }) => {
            (Code::NotFound, "UNKNOWN_GENERATION", error.hint())
        }
        ReconcileError::History(error) => (Code::DataLoss, "STATE_DAMAGED", error.hint()),
        ReconcileError::Lock(_) => (
            Code::Unavailable,
            "BUSY",
            Some("another regtrust is at work on this node; try again".to_owned()),
        ),
        ReconcileError::Root(_)
        | ReconcileError::Observe(_)
        | ReconcileError::Transaction(_)
        | ReconcileError::Blob(_)
        | ReconcileError::Unsettled => (Code::FailedPrecondition, "NODE_REFUSED", None),
    }
}

pub(super) fn of_state(error: &StateError) -> Status {
    refusal(Code::DataLoss, "STATE_DAMAGED", chain(error), &error.hint().unwrap_or_default())
}

pub(super) fn unavailable(error: Unavailable) -> Status {
    refusal(Code::Unavailable, "BUSY", error.to_string(), "try again a little later")
}

pub(super) fn bug(what: &str) -> Status {
    refusal(Code::Internal, "INTERNAL", what.to_owned(), "")
}

/// Every wrong field at once, so that nobody mends them one call at a time.
pub(super) fn wrong_declaration(violations: Vec<FieldViolation>) -> Status {
    wrong("INVALID_DECLARATION", violations)
}

pub(super) fn wrong_request(field: &str, message: impl Into<String>) -> Status {
    wrong("INVALID_REQUEST", vec![FieldViolation::new(field, message)])
}

fn wrong(reason: &str, violations: Vec<FieldViolation>) -> Status {
    let first = violations.first();
    let first = first.map(|one| format!("{}: {}", one.field, one.description)).unwrap_or_default();
    let message = match violations.len() {
        0 | 1 => first,
        many => format!("{first}; and {} more", many - 1),
    };
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    details.set_bad_request(violations);
    Status::with_error_details(Code::InvalidArgument, message, details)
}

pub(super) fn no_owner() -> Status {
    refusal(
        Code::PermissionDenied,
        "NO_OWNER",
        "the caller owns nothing on this node".to_owned(),
        "add an `[[owner]]` with the caller's uid or san to regtrustd.toml",
    )
}

pub(super) fn not_your_host(owner: &OwnerName, hosts: &[&RegistryHost]) -> Status {
    let hosts: Vec<String> = hosts.iter().map(|host| format!("`{host}`")).collect();
    refusal(
        Code::PermissionDenied,
        "NOT_YOUR_HOST",
        format!("`{owner}` may not speak for {} on this node", hosts.join(", ")),
        "add the hosts to the owner's `hosts` in regtrustd.toml",
    )
}

pub(super) fn nothing_due(what: &str) -> Status {
    refusal(Code::FailedPrecondition, "NOTHING_DUE", format!("{what} is not due"), "")
}
