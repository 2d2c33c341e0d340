//! What the transport itself answers, in the words of the contract.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::access::Rule;
use crate::identity::{Identity, Role};

pub(super) const DOMAIN: &str = "regtrust";

pub(super) fn refusal(code: Code, reason: &str, message: String, cure: &str) -> Status {
    let metadata = HashMap::from([("cure".to_owned(), cure.to_owned())]);
    let details = ErrorDetails::with_error_info(reason, DOMAIN, metadata);
    Status::with_error_details(code, message, details)
}

pub(super) fn stranger(identity: &Identity) -> Status {
    let message = format!("{identity} has no role on this node");
    let cure = "let the node's operator add an `[[access]]` to /etc/regtrust/regtrustd.toml";
    refusal(Code::PermissionDenied, "ROLE_TOO_LOW", message, cure)
}

pub(super) fn role_too_low(identity: &Identity, has: Role, rule: Rule) -> Status {
    let call = rule.path.rsplit('/').next().unwrap_or(rule.path);
    let message =
        format!("`{call}` needs the role `{}`, and {identity} has `{has}` here", rule.role);
    let cure = "use the admin socket or another certificate, or let the node's operator change the \
                role in /etc/regtrust/regtrustd.toml";
    refusal(Code::PermissionDenied, "ROLE_TOO_LOW", message, cure)
}

pub(super) fn unknown_call() -> Status {
    let message = "this regtrustd has no such call".to_owned();
    refusal(Code::Unimplemented, "UNKNOWN_CALL", message, "compare the versions of both sides")
}

pub(super) fn too_large(largest: usize) -> Status {
    let message = format!("the request is larger than {largest} bytes");
    refusal(Code::InvalidArgument, "INVALID_REQUEST", message, "send less at once")
}

pub(super) fn cut_off() -> Status {
    let message = "the request ended before it was complete".to_owned();
    refusal(Code::InvalidArgument, "INVALID_REQUEST", message, "send it again")
}

pub(super) fn too_slow(what: &str) -> Status {
    let message = format!("{what} took too long");
    refusal(Code::DeadlineExceeded, "TOO_SLOW", message, "try again")
}

pub(super) fn busy(why: &str) -> Status {
    refusal(Code::Unavailable, "BUSY", why.to_owned(), "try again a little later")
}
