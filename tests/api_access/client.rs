//! Clients, honest and otherwise.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use regtrust::api::v1::GetStatusRequest;
use regtrust::api::v1::node_client::NodeClient;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme, SupportedProtocolVersion};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::service_fn;

use crate::pki::Shown;

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

fn endpoint() -> Endpoint {
    Endpoint::from_static("http://node").connect_timeout(PATIENCE)
}

pub(crate) async fn unix(path: &Path) -> Channel {
    let path = path.to_owned();
    let connect = service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    endpoint().connect_with_connector(connect).await.unwrap()
}

/// Shows whatever it was given, whether or not it fits.
#[derive(Debug)]
struct Shows(Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }
    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

const ONLY_TLS_1_3: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
pub(crate) const ONLY_TLS_1_2: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];

/// How a TLS client behaves.
#[derive(Clone)]
pub(crate) struct Manner {
    pub(crate) root: CertificateDer<'static>,
    pub(crate) shown: Option<Arc<CertifiedKey>>,
    pub(crate) versions: &'static [&'static SupportedProtocolVersion],
    pub(crate) alpn: Vec<Vec<u8>>,
}

impl Manner {
    pub(crate) fn new(root: &CertificateDer<'static>, shown: Option<&Shown>) -> Self {
        let shown = shown.map(|shown| {
            let provider = rustls::crypto::ring::default_provider();
            let key = shown.key.serialize_der().try_into().unwrap();
            let key = provider.key_provider.load_private_key(key).unwrap();
            Arc::new(CertifiedKey::new(shown.chain.clone(), key))
        });
        Self { root: root.clone(), shown, versions: ONLY_TLS_1_3, alpn: vec![b"h2".to_vec()] }
    }

    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::new(Shows(self.shown.clone())));
        config.alpn_protocols.clone_from(&self.alpn);
        Arc::new(config)
    }

    pub(crate) async fn connect(&self, port: u16) -> std::io::Result<TlsStream<TcpStream>> {
        connect(self.config(), port).await
    }

    pub(crate) async fn channel(&self, port: u16) -> Result<Channel, tonic::transport::Error> {
        let manner = self.clone();
        let connect = service_fn(move |_| {
            let manner = manner.clone();
            async move { manner.connect(port).await.map(TokioIo::new) }
        });
        endpoint().connect_with_connector(connect).await
    }
}

pub(crate) async fn connect(
    config: Arc<ClientConfig>,
    port: u16,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    // As gRPC clients do; else every call waits for an acknowledgement.
    stream.set_nodelay(true)?;
    let name = ServerName::try_from("node.corp").unwrap();
    TlsConnector::from(config).connect(name, stream).await
}

/// What came of a call of `GetStatus`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With the role that the service saw.
    Answered(String),
    /// There is a connection, and nothing may be done on it.
    Denied,
    /// There is no connection.
    NoConnection,
}

pub(crate) async fn over_tls(manner: &Manner, port: u16) -> Outcome {
    match tokio::time::timeout(PATIENCE, manner.channel(port)).await.unwrap() {
        Ok(channel) => status(channel).await,
        Err(_) => Outcome::NoConnection,
    }
}

pub(crate) async fn status(channel: Channel) -> Outcome {
    let mut client = NodeClient::new(channel);
    let call = client.get_status(GetStatusRequest {});
    match tokio::time::timeout(PATIENCE, call).await.unwrap() {
        Ok(response) => {
            let role = response.metadata().get("seen-role").unwrap().to_str().unwrap();
            Outcome::Answered(role.to_owned())
        }
        Err(status) if is_denied(&status) => Outcome::Denied,
        // TLS 1.3 lets a client send before the server has looked at its certificate.
        Err(status) if matches!(status.code(), Code::Unknown | Code::Unavailable) => {
            assert!(status.get_details_error_info().is_none(), "{status:?}");
            Outcome::NoConnection
        }
        Err(status) => panic!("{status:?}"),
    }
}

pub(crate) fn reason(status: &Status) -> String {
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("{status:?}"));
    assert_eq!(info.domain, "regtrust");
    assert!(!info.metadata["cure"].is_empty());
    info.reason
}

pub(crate) fn is_denied(status: &Status) -> bool {
    status.code() == Code::PermissionDenied && reason(status) == "ROLE_TOO_LOW"
}
