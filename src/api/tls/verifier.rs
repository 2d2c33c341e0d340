//! Which client certificates are believed.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme};

use super::files::{Material, TlsError};
use crate::api::certificate;

/// The library's verifier, and what it is generous about; see `certificate`. A certificate that
/// names nobody is refused here, so that its owner is told by TLS and no HTTP is spoken with it.
#[derive(Debug)]
pub(super) struct Verifier {
    chain: Arc<dyn ClientCertVerifier>,
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

impl Verifier {
    pub(super) fn new(material: &Material) -> Result<Self, TlsError> {
        let roots = Arc::new(material.client_roots()?);
        let chain = WebPkiClientVerifier::builder_with_provider(roots, provider())
            .with_crls(material.crls()?)
            // A list that is never renewed is how a revocation is kept from a node.
            .enforce_revocation_expiration()
            .build()
            .map_err(TlsError::Clients)?;
        Ok(Self { chain })
    }

    pub(super) fn believes(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> bool {
        self.verify_client_cert(leaf, rest, now).is_ok()
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chain.verify_client_cert(leaf, rest, now)?;
        let refused = |fault| {
            let other = OtherError(Arc::new(fault));
            Error::InvalidCertificate(rustls::CertificateError::Other(other))
        };
        certificate::identify(leaf).map_err(refused)?;
        rest.iter().try_for_each(|issuer| certificate::check_issuer(issuer)).map_err(refused)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
