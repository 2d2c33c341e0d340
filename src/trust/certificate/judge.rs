//! Whether a certificate can do what it is given for, by the rules of Go's verifier, because that
//! is what runs in every runtime.

use jiff::{SignedDuration, Timestamp};

use super::Advice;
use super::algorithm::{Key, Signature};
use super::x509::{Facts, Oddity};

/// Long enough for a person to see the warning and get a new certificate.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

const SMALLEST_RSA: usize = 2048;
/// Go refuses longer ones in TLS, because checking them is a way to keep it busy.
const LARGEST_RSA: usize = 8192;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertFault {
    #[error("is of X.509 version {0} and cannot say that it is a CA")]
    Version(u32),
    #[error("is signed with {0}, which anybody can forge")]
    BrokenSignature(&'static str),
    #[error("is signed with SHA-1, which the runtimes no longer accept")]
    Sha1,
    #[error("is signed with an algorithm that the runtimes do not know ({0})")]
    UnsupportedSignature(String),
    #[error("has an RSA key of {0} bits, and at least 2048 are needed")]
    ShortKey(usize),
    #[error("has an RSA key of {0} bits, and the runtimes refuse more than 8192")]
    LongKey(usize),
    #[error("has a key of a kind that the runtimes do not know ({0})")]
    UnsupportedKey(String),
    #[error("has a malformed public key")]
    MalformedKey,
    #[error("{0}, so the runtimes would leave it out")]
    Odd(Oddity),
    #[error("is a CA whose key usage forbids it to sign certificates")]
    MayNotSign,
    #[error("is a CA whose extended key usage excludes servers")]
    NotForServers,
    #[error("is a client's certificate, and a CA is needed")]
    IsClient,
    #[error("is not a CA, and its extended key usage does not allow it to be a server either")]
    NotAServer,
    #[error("is not a CA, and without a subjectAltName the runtimes refuse it as a server's")]
    NoServerNames,
    #[error("may not be used by clients, its extended key usage says")]
    NotAClient,
}

impl CertFault {
    pub(super) fn cure(&self) -> &'static str {
        match self {
            Self::NoServerNames => {
                "have the server's certificate issued with a subjectAltName, and give its CA here"
            }
            Self::IsClient | Self::NotAServer => {
                "give the certificate of the CA that issued the registry's certificate"
            }
            Self::NotAClient => "have one issued for clients (extendedKeyUsage = clientAuth)",
            _ => "have it issued anew, with SHA-256 and a P-256 or RSA 2048 key if in doubt",
        }
    }
}

/// What must be true of every certificate that is written anywhere.
pub(super) fn check_soundness(facts: &Facts) -> Result<(), CertFault> {
    match &facts.key {
        Key::Rsa { bits } if *bits < SMALLEST_RSA => return Err(CertFault::ShortKey(*bits)),
        Key::Rsa { bits } if *bits > LARGEST_RSA => return Err(CertFault::LongKey(*bits)),
        Key::Unsupported(name) => return Err(CertFault::UnsupportedKey(name.clone())),
        Key::Malformed => return Err(CertFault::MalformedKey),
        Key::Rsa { .. } | Key::Modern => {}
    }
    match &facts.signature {
        Signature::Broken(name) => return Err(CertFault::BrokenSignature(name)),
        // Nobody checks a root's signature on itself: it is believed for being in the bundle.
        _ if facts.is_self_issued => {}
        Signature::Sha1 => return Err(CertFault::Sha1),
        Signature::Unsupported(name) => return Err(CertFault::UnsupportedSignature(name.clone())),
        Signature::Sound => {}
    }
    facts.oddity.clone().map_or(Ok(()), |oddity| Err(CertFault::Odd(oddity)))
}

/// What must be true of a certificate that a registry's is to be checked against.
pub(super) fn check_trust(facts: &Facts) -> Result<(), CertFault> {
    check_soundness(facts)?;
    if facts.version < 3 {
        return Err(CertFault::Version(facts.version));
    }
    if facts.is_authority { check_authority(facts) } else { check_pinned(facts) }
}

/// Go wants the server's usage of every certificate of a chain, the root's too.
fn check_authority(facts: &Facts) -> Result<(), CertFault> {
    if facts.may_sign_certificates == Some(false) {
        return Err(CertFault::MayNotSign);
    }
    if facts.usage.server { Ok(()) } else { Err(CertFault::NotForServers) }
}

/// A server's own certificate is believed when the server shows exactly that one.
fn check_pinned(facts: &Facts) -> Result<(), CertFault> {
    match (facts.usage.server, facts.usage.client) {
        (false, true) => Err(CertFault::IsClient),
        (false, false) => Err(CertFault::NotAServer),
        (true, _) if !facts.has_server_names => Err(CertFault::NoServerNames),
        (true, _) => Ok(()),
    }
}

pub(super) fn check_client(facts: &Facts) -> Result<(), CertFault> {
    if facts.usage.client { Ok(()) } else { Err(CertFault::NotAClient) }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Validity {
    Valid,
    EndsSoon,
    Ended,
    NotYet,
}

pub(super) fn validity(facts: &Facts, now: Timestamp) -> Validity {
    if now < facts.not_before {
        Validity::NotYet
    } else if now > facts.not_after {
        Validity::Ended
    } else if facts.not_after.duration_since(now) < SOON {
        Validity::EndsSoon
    } else {
        Validity::Valid
    }
}

/// For people, to whom a fraction of a second says nothing beside years.
pub(super) fn in_seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// When a certificate is not valid, in words; nothing when it is.
pub(super) fn dates(which: &str, facts: &Facts, now: Timestamp) -> Option<String> {
    match validity(facts, now) {
        Validity::Valid => None,
        Validity::EndsSoon => Some(format!("{which} expires at {}", facts.not_after)),
        Validity::Ended => Some(format!("{which} expired at {}", facts.not_after)),
        Validity::NotYet => Some(format!("{which} is not valid before {}", facts.not_before)),
    }
}

/// What somebody should know about a certificate that is nevertheless written.
pub(super) fn advice(which: &str, facts: &Facts, now: Timestamp) -> Vec<Advice> {
    let mut advice = Vec::new();
    let mut add = |message: String, cure: &str| {
        advice.push(Advice { message, cure: cure.to_owned() });
    };
    if let Some(dates) = dates(which, facts, now) {
        add(format!("{dates}; it is now {}", in_seconds(now)), date_cure(validity(facts, now)));
    }
    if facts.signature != Signature::Sound {
        add(
            format!("{which} is signed by itself with an outdated algorithm, which nobody checks"),
            "replace it when the CA is renewed",
        );
    }
    advice
}

/// A server's own certificate works until the day it is renewed, and then nothing does.
pub(super) fn pin_advice(which: &str, facts: &Facts) -> Option<Advice> {
    if facts.is_authority {
        return None;
    }
    let (what, cure) = if facts.is_self_issued {
        ("a self-signed server certificate", "let a CA of your own sign the server's certificate")
    } else {
        ("a server certificate that another CA issued", "give the certificate of that CA instead")
    };
    let message = format!(
        "{which} is {what}, not a CA: exactly this certificate is trusted, and pulls fail when the \
         registry's is renewed"
    );
    Some(Advice { message, cure: cure.to_owned() })
}

fn date_cure(validity: Validity) -> &'static str {
    match validity {
        Validity::NotYet => "check the node's clock, or wait",
        Validity::Ended => "remove it, or give its successor",
        Validity::EndsSoon | Validity::Valid => "give its successor beside it before that day",
    }
}
