//! Connections to the servers of a lock, with or without TLS, and what is shown there.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::trouble::Trouble;
use crate::blocking::blocking;
use crate::effect::chain;
use crate::node::root::NodeRoot;
use crate::path::NodePath;
use crate::settings::{Address, ClientFiles, Credentials};

/// What is spoken after TLS, as ALPN names it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Speech {
    Http1,
    Http2,
}

/// How to get to a server, and what to show there. Files are read anew for every connection: they
/// are renewed by others, and connections are few.
#[derive(Debug)]
pub(super) struct Reach {
    pub(super) root: Arc<NodeRoot>,
    pub(super) files: ClientFiles,
    pub(super) credentials: Option<Credentials>,
}

/// Never shown, and erased when it is dropped.
pub(super) enum Secret {
    Password { username: String, password: Zeroizing<String> },
    Token(Zeroizing<String>),
}

pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

pub(super) type Wire = Box<dyn Duplex>;

impl Reach {
    pub(super) async fn connect(&self, to: &Address, speech: Speech) -> Result<Wire, Trouble> {
        let config = if to.tls { Some(self.tls(speech).await?) } else { None };
        let connected = TcpStream::connect((to.host.as_str(), to.port)).await;
        let stream = connected.map_err(|error| Trouble::Unavailable(error.to_string()))?;
        stream.set_nodelay(true).map_err(|error| Trouble::Unavailable(error.to_string()))?;
        let Some(config) = config else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(to.host.clone()).map_err(|_| {
            Trouble::Misconfigured(format!("`{}` cannot stand in a certificate", to.host))
        })?;
        let shaken = TlsConnector::from(config).connect(name, stream).await;
        let stream = shaken.map_err(|error| Trouble::Unavailable(chain(&error)))?;
        Ok(Box::new(stream))
    }

    async fn tls(&self, speech: Speech) -> Result<Arc<ClientConfig>, Trouble> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = &self.files.ca {
            for certificate in certificates(&self.read(path).await?, path)? {
                // A machine's list may hold one that is not understood; the others still count.
                _ = roots.add(certificate);
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Trouble::Misconfigured(chain(&error)))?
            .with_root_certificates(roots);
        let mut config = match &self.files.pair {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain_of_ours = certificates(&self.read(certificate).await?, certificate)?;
                // Without the parser's words, which may quote the key.
                let unusable = || Trouble::Misconfigured(format!("`{key}` holds no usable key"));
                let der = PrivateKeyDer::from_pem_slice(&self.read(key).await?);
                let der = der.map_err(|_| unusable())?;
                builder.with_client_auth_cert(chain_of_ours, der).map_err(|error| {
                    let pair = format!("`{certificate}` and `{key}`");
                    Trouble::Misconfigured(format!("{pair} cannot be used: {error}"))
                })?
            }
        };
        config.alpn_protocols = match speech {
            Speech::Http1 => vec![b"http/1.1".to_vec()],
            Speech::Http2 => vec![b"h2".to_vec()],
        };
        Ok(Arc::new(config))
    }

    pub(super) async fn secret(&self) -> Result<Option<Secret>, Trouble> {
        Ok(match &self.credentials {
            None => None,
            Some(Credentials::Token { file }) => Some(Secret::Token(self.word(file).await?)),
            Some(Credentials::Password { username, file }) => Some(Secret::Password {
                username: username.clone(),
                password: self.word(file).await?,
            }),
        })
    }

    /// What a file holds, without the line's end that editors put there.
    async fn word(&self, path: &NodePath) -> Result<Zeroizing<String>, Trouble> {
        let bytes = self.read(path).await?;
        let unusable = |why: &str| Trouble::Misconfigured(format!("`{path}` {why}"));
        let text = str::from_utf8(&bytes).map_err(|_| unusable("is not UTF-8"))?;
        let word = text.trim_end_matches(['\n', '\r']);
        if word.is_empty() || word.chars().any(char::is_control) {
            return Err(unusable("does not hold one line"));
        }
        Ok(Zeroizing::new(word.to_owned()))
    }

    async fn read(&self, path: &NodePath) -> Result<Zeroizing<Vec<u8>>, Trouble> {
        let (root, file) = (Arc::clone(&self.root), path.clone());
        match blocking(move || root.read(&file)).await {
            Ok(Some(bytes)) => Ok(Zeroizing::new(bytes)),
            Ok(None) => Err(Trouble::Misconfigured(format!("`{path}` is not there"))),
            Err(error) => Err(Trouble::Misconfigured(chain(&error))),
        }
    }
}

fn certificates(bytes: &[u8], path: &NodePath) -> Result<Vec<CertificateDer<'static>>, Trouble> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    let all = all.ok().filter(|all| !all.is_empty());
    all.ok_or_else(|| Trouble::Misconfigured(format!("`{path}` holds no usable certificate")))
}
