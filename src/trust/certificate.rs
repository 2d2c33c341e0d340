//! Certificates: parsed, judged, and re-encoded before any runtime sees them.
//!
//! This is the only judgement there is. The distributions' CA tools copy anything, a private key
//! included, into a bundle that everybody reads; docker and containerd silently leave out what
//! they cannot parse, and the first to hear of it is whoever's pull fails.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::content::{Content, Sha256Hex};

mod algorithm;
mod chain;
mod client;
mod describe;
mod error;
mod judge;
mod pem;
#[cfg(test)]
mod tests;
mod x509;

pub use describe::describe;
pub use error::CertError;
pub use judge::CertFault;
pub use pem::PemError;
pub use x509::Oddity;

/// What was read, and what somebody should know about it all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed<T> {
    pub value: T,
    pub warnings: Vec<Advice>,
}

/// Something about an accepted input that a person should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// One line, printable.
    pub message: String,
    pub cure: String,
}

/// One certificate that may stand in a CA bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not a state")]
pub struct CaCertificate {
    /// SHA-256 of the DER, what `openssl x509 -fingerprint -sha256` shows.
    pub fingerprint: Sha256Hex,
    /// SHA-256 of the SubjectPublicKeyInfo, which survives a renewal with the same key.
    pub spki: Sha256Hex,
    /// One printable line; control characters are escaped.
    pub subject: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// `false`: a server's own certificate, which Go believes when it meets exactly that one.
    pub is_authority: bool,
    /// Issuer and subject are one name. That the signature fits is not checked, as nobody does.
    pub is_self_issued: bool,
    /// It has a subjectAltName for servers. A CA with one usually *is* the registry's certificate:
    /// `openssl req -x509` makes such, and Go believes it when it meets exactly that one.
    pub has_server_names: bool,
    /// Bits of an RSA key; `None` for elliptic curves.
    pub rsa_bits: Option<usize>,
    pub has_name_constraints: bool,
    /// Exactly one PEM block, re-encoded from the DER, ending in a newline.
    pub pem: Arc<str>,
}

/// At least one certificate. Bytes never travel raw: what is written is re-encoded from the DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaBundle {
    certificates: Arc<[CaCertificate]>,
    content: Content,
}

impl CaBundle {
    /// Reads and judges what a person gave as the CA of a registry.
    pub fn parse(pem: &[u8], now: Timestamp) -> Result<Parsed<Self>, CertError> {
        let (links, stray) = chain::read(pem)?;
        for link in &links {
            judge::check_trust(&link.facts).map_err(|fault| link.refused(fault))?;
        }
        chain::check_some_valid(&links, now)?;
        let mut warnings: Vec<Advice> = stray.into_iter().collect();
        for link in &links {
            warnings.extend(judge::advice(&link.which(), &link.facts, now));
            warnings.extend(judge::pin_advice(&link.which(), &link.facts));
        }
        let (links, repeated) = without_repetitions(links);
        warnings.extend(repeated);
        Ok(Parsed { value: Self::of(links), warnings })
    }

    /// Reads back what [`CaBundle::content`] gave, and judges nothing.
    ///
    /// It was judged when it was accepted. A certificate that has expired since, or a rule that
    /// has become stricter, must not make an earlier generation unreadable.
    pub fn from_stored(pem: &[u8]) -> Result<Self, CertError> {
        chain::read(pem).map(|(links, _)| Self::of(links))
    }

    fn of(links: Vec<chain::Link>) -> Self {
        let content = Content::plain(links.iter().map(|link| &*link.pem).collect::<String>());
        Self { certificates: links.into_iter().map(CaCertificate::from).collect(), content }
    }

    pub fn certificates(&self) -> &[CaCertificate] {
        &self.certificates
    }

    /// The PEM to write: one block after another, nothing between them.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Whether all may stand in the system's store, where a server's certificate must not: there
    /// it would be one that every program on the node believes.
    pub fn contains_only_authorities(&self) -> bool {
        self.certificates.iter().all(|certificate| certificate.is_authority)
    }
}

/// Every certificate once, where it stood first, and what was left out.
fn without_repetitions(links: Vec<chain::Link>) -> (Vec<chain::Link>, Vec<Advice>) {
    let mut first = BTreeMap::new();
    let (mut once, mut repeated) = (Vec::new(), Vec::new());
    for link in links {
        if let Some(number) = first.get(&link.facts.fingerprint) {
            let message = format!("{} is the same as certificate {number}", link.which());
            repeated.push(Advice { message, cure: "leave it out; it is written once".to_owned() });
        } else {
            first.insert(link.facts.fingerprint, link.number);
            once.push(link);
        }
    }
    (once, repeated)
}

impl From<chain::Link> for CaCertificate {
    fn from(link: chain::Link) -> Self {
        let facts = link.facts;
        Self {
            fingerprint: facts.fingerprint,
            spki: Sha256Hex::of(&facts.spki),
            subject: facts.subject,
            not_before: facts.not_before,
            not_after: facts.not_after,
            is_authority: facts.is_authority,
            is_self_issued: facts.is_self_issued,
            has_server_names: facts.has_server_names,
            rsa_bits: match facts.key {
                algorithm::Key::Rsa { bits } => Some(bits),
                _ => None,
            },
            has_name_constraints: facts.has_name_constraints,
            pem: link.pem.into(),
        }
    }
}

/// A client certificate and its key, which are known to belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientPair {
    pub fingerprint: Sha256Hex,
    pub not_after: Timestamp,
    /// PEM of the certificate and its chain.
    pub certificate: Content,
    /// PEM of the key; always [`Content::Secret`].
    pub key: Content,
}

#[cfg(test)]
impl CaBundle {
    pub(crate) fn unchecked(certificates: Vec<CaCertificate>) -> Self {
        let pem: String = certificates.iter().map(|certificate| &*certificate.pem).collect();
        Self { certificates: certificates.into(), content: Content::plain(pem) }
    }
}
