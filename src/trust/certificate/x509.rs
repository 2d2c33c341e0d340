//! What a certificate says, as plain values. It reads; `judge` decides.

use jiff::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension, X509Extension};
use x509_parser::prelude::FromDer as _;
use x509_parser::time::ASN1Time;

use super::super::printable::printable;
use super::algorithm::{self, Key, Signature};
use crate::content::Sha256Hex;

const SUBJECT_SHOWN: usize = 200;

#[expect(clippy::struct_excessive_bools, reason = "independent facts, not a state")]
pub(super) struct Facts {
    pub(super) fingerprint: Sha256Hex,
    /// DER of the SubjectPublicKeyInfo.
    pub(super) spki: Vec<u8>,
    pub(super) subject: String,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    /// From 1.
    pub(super) version: u32,
    pub(super) is_authority: bool,
    /// Whether issuer and subject are the same name.
    pub(super) is_self_issued: bool,
    pub(super) key: Key,
    pub(super) signature: Signature,
    /// `None`: no key usage is stated, so all are allowed.
    pub(super) may_sign_certificates: Option<bool>,
    pub(super) usage: Usage,
    pub(super) has_server_names: bool,
    pub(super) has_name_constraints: bool,
    pub(super) oddity: Option<Oddity>,
}

/// The extended key usage. Without one, everything is allowed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) server: bool,
    pub(super) client: bool,
}

/// What makes Go refuse a certificate that is otherwise well-formed. Runtimes do not say so: they
/// leave it out of their roots.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Oddity {
    #[error("has a negative serial number")]
    NegativeSerial,
    #[error("names two different signature algorithms")]
    SignatureMismatch,
    #[error("has the same extension twice")]
    TwoOfOneExtension,
    #[error("has a malformed extension {0}")]
    MalformedExtension(String),
    #[error("has the critical extension {0}, which not every runtime understands")]
    UnknownCritical(String),
}

pub(super) enum Unreadable {
    NotACertificate,
    TrailingBytes,
}

pub(super) fn read(der: &[u8]) -> Result<Facts, Unreadable> {
    let (rest, certificate) =
        X509Certificate::from_der(der).map_err(|_| Unreadable::NotACertificate)?;
    if !rest.is_empty() {
        return Err(Unreadable::TrailingBytes);
    }
    Ok(Facts {
        fingerprint: Sha256Hex::of(der),
        spki: certificate.public_key().raw.to_vec(),
        subject: subject(&certificate),
        not_before: timestamp(certificate.validity().not_before),
        not_after: timestamp(certificate.validity().not_after),
        version: certificate.version().0.saturating_add(1),
        is_authority: certificate.is_ca(),
        is_self_issued: certificate.subject().as_raw() == certificate.issuer().as_raw(),
        key: algorithm::key(certificate.public_key()),
        signature: algorithm::signature(&certificate.signature_algorithm),
        may_sign_certificates: may_sign_certificates(&certificate),
        usage: usage(&certificate),
        has_server_names: has_server_names(&certificate),
        has_name_constraints: certificate.name_constraints().is_ok_and(|found| found.is_some()),
        oddity: oddity(&certificate),
    })
}

fn subject(certificate: &X509Certificate<'_>) -> String {
    match certificate.subject().to_string() {
        empty if empty.is_empty() => "no subject".to_owned(),
        subject => printable(&subject, SUBJECT_SHOWN),
    }
}

/// "Never" is written as the last second of the year 9999, which is beyond our calendar.
fn timestamp(time: ASN1Time) -> Timestamp {
    let seconds = time.timestamp();
    let nearest = if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_second(seconds).unwrap_or(nearest)
}

fn may_sign_certificates(certificate: &X509Certificate<'_>) -> Option<bool> {
    let usage = certificate.key_usage().ok().flatten()?;
    Some(usage.value.key_cert_sign())
}

fn usage(certificate: &X509Certificate<'_>) -> Usage {
    match certificate.extended_key_usage() {
        Ok(Some(usage)) => Usage {
            server: usage.value.any || usage.value.server_auth,
            client: usage.value.any || usage.value.client_auth,
        },
        _ => Usage { server: true, client: true },
    }
}

fn has_server_names(certificate: &X509Certificate<'_>) -> bool {
    let is_server =
        |name: &GeneralName| matches!(name, GeneralName::DNSName(_) | GeneralName::IPAddress(_));
    let names = certificate.subject_alternative_name().ok().flatten();
    names.is_some_and(|names| names.value.general_names.iter().any(is_server))
}

fn oddity(certificate: &X509Certificate<'_>) -> Option<Oddity> {
    if certificate.raw_serial().first().is_none_or(|first| first & 0x80 != 0) {
        return Some(Oddity::NegativeSerial);
    }
    if certificate.tbs_certificate.signature != certificate.signature_algorithm {
        return Some(Oddity::SignatureMismatch);
    }
    if certificate.extensions_map().is_err() {
        return Some(Oddity::TwoOfOneExtension);
    }
    certificate.extensions().iter().find_map(extension_oddity)
}

fn extension_oddity(extension: &X509Extension<'_>) -> Option<Oddity> {
    let oid = || extension.oid.to_id_string();
    let is_malformed = match extension.parsed_extension() {
        ParsedExtension::ParseError { .. } => true,
        ParsedExtension::SubjectAlternativeName(names) => {
            names.general_names.iter().any(is_malformed)
        }
        _ => false,
    };
    if is_malformed {
        Some(Oddity::MalformedExtension(oid()))
    } else if extension.critical && !is_understood(extension) {
        Some(Oddity::UnknownCritical(oid()))
    } else {
        None
    }
}

fn is_malformed(name: &GeneralName<'_>) -> bool {
    match name {
        GeneralName::IPAddress(bytes) => !matches!(bytes.len(), 4 | 16),
        GeneralName::Invalid(..) => true,
        _ => false,
    }
}

/// Whether Go, in every version that a runtime was built with, acts on this critical extension.
fn is_understood(extension: &X509Extension<'_>) -> bool {
    match extension.parsed_extension() {
        ParsedExtension::NameConstraints(constraints) => {
            let subtrees = [&constraints.permitted_subtrees, &constraints.excluded_subtrees];
            subtrees.into_iter().flatten().flatten().all(|subtree| is_constrainable(&subtree.base))
        }
        ParsedExtension::SubjectAlternativeName(names) => {
            names.general_names.iter().any(is_constrainable)
        }
        ParsedExtension::KeyUsage(_)
        | ParsedExtension::BasicConstraints(_)
        | ParsedExtension::ExtendedKeyUsage(_)
        | ParsedExtension::CertificatePolicies(_)
        | ParsedExtension::CRLDistributionPoints(_) => true,
        _ => false,
    }
}

fn is_constrainable(name: &GeneralName<'_>) -> bool {
    matches!(
        name,
        GeneralName::DNSName(_)
            | GeneralName::IPAddress(_)
            | GeneralName::RFC822Name(_)
            | GeneralName::URI(_)
    )
}
