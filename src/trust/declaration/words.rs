//! The closed lists of a declaration.

use super::draft::TrustWord;
use crate::trust::entry::{Capability, Runtime};

pub(super) const TRUST: [(&str, TrustWord); 5] = [
    ("system", TrustWord::System),
    ("ca", TrustWord::Ca),
    ("skip-verify", TrustWord::SkipVerify),
    ("http", TrustWord::Http),
    ("insecure", TrustWord::Insecure),
];

pub(super) const RUNTIMES: [(&str, Runtime); 2] =
    [("docker", Runtime::Docker), ("containerd", Runtime::Containerd)];

pub(super) const CAPABILITIES: [(&str, Capability); 3] =
    [("pull", Capability::Pull), ("resolve", Capability::Resolve), ("push", Capability::Push)];

impl TrustWord {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Ca => "ca",
            Self::SkipVerify => "skip-verify",
            Self::Http => "http",
            Self::Insecure => "insecure",
        }
    }
}
