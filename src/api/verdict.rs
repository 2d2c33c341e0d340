//! What a runtime answered, in the words of the contract.

use super::v1;
use crate::verify::Verdict;

pub(super) fn word(verdict: Verdict) -> v1::Verdict {
    match verdict {
        Verdict::Trusted => v1::Verdict::Trusted,
        Verdict::TrustedUnauthorised => v1::Verdict::TrustedUnauthorised,
        Verdict::UnknownAuthority => v1::Verdict::UnknownAuthority,
        Verdict::NameMismatch => v1::Verdict::NameMismatch,
        Verdict::Expired => v1::Verdict::Expired,
        Verdict::HttpOnHttpsPort => v1::Verdict::HttpOnHttpsPort,
        Verdict::HttpsOnHttpPort => v1::Verdict::HttpsOnHttpPort,
        Verdict::ClientCertificate => v1::Verdict::ClientCertificate,
        Verdict::Dns => v1::Verdict::Dns,
        Verdict::Refused => v1::Verdict::Refused,
        Verdict::Timeout => v1::Verdict::Timeout,
        Verdict::NotARegistry => v1::Verdict::NotARegistry,
        Verdict::Other => v1::Verdict::Other,
        Verdict::NotAsked => v1::Verdict::NotAsked,
    }
}
