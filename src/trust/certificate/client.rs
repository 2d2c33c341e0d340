//! A client's certificate and key, checked to belong together.
//!
//! Docker refuses every pull from a registry whose pair it cannot load, so a pair that does not fit
//! must never be written.

use jiff::Timestamp;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};

use super::chain::{self, Link};
use super::error::CertError;
use super::pem::{self, Kind};
use super::{Advice, ClientPair, Parsed, judge};
use crate::content::Content;

impl ClientPair {
    /// Reads and judges a client's certificate, with its chain, and its key.
    pub fn parse(
        certificate: &[u8],
        key: &[u8],
        now: Timestamp,
    ) -> Result<Parsed<Self>, CertError> {
        let (links, stray) = chain::read(certificate)?;
        for link in &links {
            judge::check_soundness(&link.facts).map_err(|fault| link.refused(fault))?;
        }
        let key = read_key(key)?;
        let leaf = check_belongs(&links, &key)?;
        judge::check_client(&leaf.facts).map_err(|fault| leaf.refused(fault))?;
        chain::check_some_valid(std::slice::from_ref(leaf), now)?;
        let mut warnings: Vec<Advice> = stray.into_iter().collect();
        for link in &links {
            warnings.extend(judge::advice(&link.which(), &link.facts, now));
        }
        Ok(Parsed { value: Self::of(&links, leaf, &key), warnings })
    }

    /// Reads back what an earlier [`ClientPair`] held, and judges neither dates nor strength.
    pub fn from_stored(certificate: &[u8], key: &[u8]) -> Result<Self, CertError> {
        let (links, _) = chain::read(certificate)?;
        let key = read_key(key)?;
        let leaf = check_belongs(&links, &key)?;
        Ok(Self::of(&links, leaf, &key))
    }

    fn of(links: &[Link], leaf: &Link, key: &pem::Block) -> Self {
        Self {
            fingerprint: leaf.facts.fingerprint,
            not_after: leaf.facts.not_after,
            certificate: Content::plain(links.iter().map(|link| &*link.pem).collect::<String>()),
            key: Content::secret(pem::write(&key.label, &key.der).into_bytes()),
        }
    }
}

/// Reads the only private key of a PEM text.
fn read_key(text: &[u8]) -> Result<pem::Block, CertError> {
    chain::check_size(text)?;
    let mut keys = Vec::new();
    for block in pem::read(text)?.blocks {
        match (block.kind, block.label.as_str()) {
            (Kind::Pkcs1Key | Kind::Pkcs8Key | Kind::Sec1Key, _) if block.has_headers => {
                return Err(CertError::EncryptedKey);
            }
            (Kind::Pkcs1Key | Kind::Pkcs8Key | Kind::Sec1Key, _) => keys.push(block),
            (_, "ENCRYPTED PRIVATE KEY") => return Err(CertError::EncryptedKey),
            (_, "OPENSSH PRIVATE KEY") => return Err(CertError::OpensshKey),
            // `openssl ecparam -genkey` writes the curve's name before the key, which names it too.
            (_, "EC PARAMETERS") => {}
            _ => return Err(CertError::NotAKey { label: block.label, line: block.line }),
        }
    }
    match (keys.pop(), keys.is_empty()) {
        (None, _) => Err(CertError::NoKey),
        (Some(key), true) => Ok(key),
        (Some(_), false) => Err(CertError::SeveralKeys),
    }
}

/// Returns the client's own certificate, which is the first, if the key is its.
fn check_belongs<'a>(links: &'a [Link], key: &pem::Block) -> Result<&'a Link, CertError> {
    let public = public_key(key)?;
    let owner = links.iter().find(|link| link.facts.spki == public);
    match (owner, links.first()) {
        (Some(owner), _) if owner.number == 1 => Ok(owner),
        (Some(owner), _) => Err(CertError::WrongOrder(owner.which())),
        (None, Some(leaf)) => Err(CertError::OtherKey(leaf.which())),
        (None, None) => Err(pem::PemError::NoBlock.into()),
    }
}

/// The DER of the SubjectPublicKeyInfo that belongs to a private key.
fn public_key(key: &pem::Block) -> Result<Vec<u8>, CertError> {
    let der = key.der.as_slice();
    // Borrowed, so that this leaves no further copy of the key behind unwiped.
    let private = match key.kind {
        Kind::Pkcs1Key => PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(der)),
        Kind::Sec1Key => PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(der)),
        _ => PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der)),
    };
    let signer = any_supported_type(&private).map_err(|_| CertError::UnusableKey)?;
    signer.public_key().map(|public| public.to_vec()).ok_or(CertError::UnusableKey)
}
