//! Who a client certificate is for. Pure.
//!
//! That its issuer is believed, that it is valid now, not revoked and no CA itself, and that the
//! client holds the key is TLS's business. What is left is what TLS libraries are generous about.

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use crate::content::Sha256Hex;
use crate::identity::{Identity, SpiffeError, SpiffeId};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CertificateFault {
    #[error("the client certificate cannot be read")]
    Unreadable,
    /// The TLS library takes a certificate without this extension for one that may do everything.
    #[error("the client certificate's extended key usage does not name clientAuth")]
    Usage,
    #[error("the client certificate's key usage does not allow digital signatures")]
    Signature,
    #[error("the client certificate names nobody: it has no URI among its alternative names")]
    Nobody,
    /// Which of them is meant would depend on the order in which somebody reads them.
    #[error("the client certificate has more than one URI among its alternative names")]
    Several,
    /// The TLS library looks at basic constraints alone.
    #[error("an intermediate certificate's key usage does not allow it to sign certificates")]
    Issuer,
    #[error("the client certificate's URI is no SPIFFE ID: {0}")]
    Name(SpiffeError),
}

pub(super) fn identify(der: &[u8]) -> Result<Identity, CertificateFault> {
    use CertificateFault as Fault;

    let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| Fault::Unreadable)?;
    if !rest.is_empty() {
        return Err(Fault::Unreadable);
    }
    let usage = certificate.extended_key_usage().map_err(|_| Fault::Unreadable)?;
    if !usage.is_some_and(|usage| usage.value.client_auth) {
        return Err(Fault::Usage);
    }
    let key_usage = certificate.key_usage().map_err(|_| Fault::Unreadable)?;
    if key_usage.is_some_and(|usage| !usage.value.digital_signature()) {
        return Err(Fault::Signature);
    }
    let san = name(&certificate)?;
    Ok(Identity::Certificate { san, fingerprint: Sha256Hex::of(der) })
}

/// Checks one of the certificates that the client shows beside its own.
pub(super) fn check_issuer(der: &[u8]) -> Result<(), CertificateFault> {
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|_| CertificateFault::Unreadable)?;
    let usage = certificate.key_usage().map_err(|_| CertificateFault::Unreadable)?;
    if usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
        return Err(CertificateFault::Issuer);
    }
    Ok(())
}

fn name(certificate: &X509Certificate<'_>) -> Result<SpiffeId, CertificateFault> {
    let names = certificate
        .subject_alternative_name()
        .map_err(|_| CertificateFault::Unreadable)?
        .ok_or(CertificateFault::Nobody)?;
    let mut uris = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let uri = uris.next().ok_or(CertificateFault::Nobody)?;
    if uris.next().is_some() {
        return Err(CertificateFault::Several);
    }
    SpiffeId::parse(uri).map_err(CertificateFault::Name)
}
