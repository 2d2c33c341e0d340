//! Certificates: parsed, judged, and re-encoded before any runtime sees them.

use std::sync::Arc;

use jiff::Timestamp;

use crate::content::{Content, Sha256Hex};

/// One certificate that may stand in a CA bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    pub fn certificates(&self) -> &[CaCertificate] {
        &self.certificates
    }

    /// The PEM to write: one block after another, nothing between them.
    pub fn content(&self) -> &Content {
        &self.content
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
