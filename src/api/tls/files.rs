//! The files: server certificate and key, the CA of the clients, its revocation list.

use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::VerifierBuilderError;
use x509_parser::prelude::{ASN1Time, CertificateRevocationList, FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use crate::node::root::{NodeRoot, RootError};
use crate::path::NodePath;
use crate::settings::Tcp;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error(transparent)]
    Root(#[from] RootError),
    #[error("`{path}` is not there")]
    Missing { path: NodePath },
    /// Without the parser's words, which may quote a key.
    #[error("`{path}` holds no usable {what}")]
    Content { path: NodePath, what: &'static str },
    #[error("the client CA or its revocation list cannot be used")]
    Clients(#[source] VerifierBuilderError),
    #[error("the server's certificate and key cannot be used")]
    Refused(#[source] rustls::Error),
}

/// What the files hold.
#[derive(PartialEq, Eq)]
pub(super) struct Material {
    files: Tcp,
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    client_ca: Vec<u8>,
    crl: Option<Vec<u8>>,
}

/// Until when the files are good; `None` where there is none, or no such date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// The server's certificate, or one that issued it.
    pub certificate: Option<Timestamp>,
    /// The first of the revocation lists.
    pub list: Option<Timestamp>,
}

impl std::fmt::Debug for Material {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Material").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Material {
    pub(super) fn read(root: &NodeRoot, files: &Tcp) -> Result<Self, TlsError> {
        let read = |path: &NodePath| {
            root.read(path)?.ok_or_else(|| TlsError::Missing { path: path.clone() })
        };
        Ok(Self {
            certificate: read(&files.certificate_file)?,
            key: Zeroizing::new(read(&files.key_file)?),
            client_ca: read(&files.client_ca_file)?,
            crl: files.crl_file.as_ref().map(read).transpose()?,
            files: files.clone(),
        })
    }

    pub(super) fn server(
        &self,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
        let chain = all(&self.certificate, &self.files.certificate_file, "certificate")?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| TlsError::Content {
            path: self.files.key_file.clone(),
            what: "private key",
        })?;
        Ok((chain, key))
    }

    pub(super) fn client_roots(&self) -> Result<RootCertStore, TlsError> {
        let path = &self.files.client_ca_file;
        let mut roots = RootCertStore::empty();
        for certificate in all(&self.client_ca, path, "certificate")? {
            let refused = |_| TlsError::Content { path: path.clone(), what: "CA certificate" };
            roots.add(certificate).map_err(refused)?;
        }
        Ok(roots)
    }

    /// rustls has accepted them by now; what cannot be read here has no date to warn of.
    pub(super) fn ends(&self) -> Ends {
        let of_certificate = |der: &CertificateDer<'_>| {
            let (_, certificate) = X509Certificate::from_der(der).ok()?;
            moment(certificate.validity().not_after)
        };
        let of_list = |der: &CertificateRevocationListDer<'_>| {
            let (_, list) = CertificateRevocationList::from_der(der).ok()?;
            moment(list.next_update()?)
        };
        let chain = all(&self.certificate, &self.files.certificate_file, "certificate");
        let chain: Vec<CertificateDer<'static>> = chain.unwrap_or_default();
        let lists = self.crls().unwrap_or_default();
        Ends {
            certificate: chain.iter().filter_map(of_certificate).min(),
            list: lists.iter().filter_map(of_list).min(),
        }
    }

    /// The lists of every CA of a chain, one after the other.
    pub(super) fn crls(&self) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
        match (&self.crl, &self.files.crl_file) {
            (Some(bytes), Some(path)) => all(bytes, path, "revocation list"),
            _ => Ok(Vec::new()),
        }
    }
}

fn moment(time: ASN1Time) -> Option<Timestamp> {
    Timestamp::from_second(time.timestamp()).ok()
}

/// Every object of a file; at least one, because an empty list of anything here believes or
/// revokes something else than what was meant.
fn all<T: PemObject>(
    bytes: &[u8],
    path: &NodePath,
    what: &'static str,
) -> Result<Vec<T>, TlsError> {
    let content = || TlsError::Content { path: path.clone(), what };
    let objects: Result<Vec<T>, pem::Error> = T::pem_slice_iter(bytes).collect();
    let objects = objects.map_err(|_| content())?;
    if objects.is_empty() { Err(content()) } else { Ok(objects) }
}
