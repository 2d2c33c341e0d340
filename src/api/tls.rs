//! TLS 1.3 with client certificates, from files that may change at any time.
//!
//! Certificates are renewed and revoked by other programs, some in place, some by swapping
//! directories, some on file systems that tell nobody. So the files' *contents* are compared: at a
//! handshake, but at most once a second; every few seconds while somebody is connected; and
//! whenever the daemon is told to look. While nobody is connected nothing wakes up.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::NoServerSessionStorage;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use crate::blocking::blocking;
use crate::node::root::NodeRoot;
use crate::settings::Tcp;

mod files;
mod verifier;

use files::Material;
pub use files::{Ends, TlsError};
use verifier::Verifier;

/// Handshakes may come by the thousand, and must not make us read files by the thousand.
const AT_MOST_EVERY: Duration = Duration::from_secs(1);
/// How long a revoked certificate's connection may go on when nobody says that the list changed.
const WHILE_CONNECTED: Duration = Duration::from_secs(5);

/// What handshakes use now.
#[derive(Debug)]
struct Current {
    material: Material,
    config: Arc<ServerConfig>,
    verifier: Arc<Verifier>,
    ends: Ends,
}

/// Keeps what handshakes use as the files say.
#[derive(Debug)]
pub struct Tls {
    root: Arc<NodeRoot>,
    files: Tcp,
    current: watch::Sender<Option<Arc<Current>>>,
    trouble: watch::Sender<Option<String>>,
    looked: Mutex<Option<Instant>>,
    /// How many connections there are.
    connected: watch::Sender<usize>,
    /// Counts the times at which every connection's certificate has to be judged again.
    rounds: watch::Sender<u64>,
}

/// Keeps the files watched while it exists.
#[derive(Debug)]
pub(super) struct Presence(Arc<Tls>);

impl Tls {
    /// Reads the files for the first time. Where they cannot be used nobody is believed until they
    /// can, and [`Tls::trouble`] says why: the rest of the daemon is needed all the same.
    pub async fn open(root: Arc<NodeRoot>, files: Tcp) -> Arc<Self> {
        let tls = Arc::new(Self {
            root,
            files,
            current: watch::Sender::new(None),
            trouble: watch::Sender::new(None),
            looked: Mutex::new(None),
            connected: watch::Sender::new(0),
            rounds: watch::Sender::new(0),
        });
        tls.look().await;
        tls
    }

    /// Why the files cannot be used as they are now. What was usable before stays in use.
    pub fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.trouble.subscribe()
    }

    /// When what handshakes use now ends.
    pub fn ends(&self) -> Ends {
        self.current.borrow().as_ref().map(|current| current.ends).unwrap_or_default()
    }

    /// Reads the files now, and judges every connection by what they say.
    pub async fn look(self: &Arc<Self>) {
        let mut looked = self.looked.lock().await;
        *looked = Some(Instant::now());
        let this = Arc::clone(self);
        let known = self.current.borrow().clone();
        let read = blocking(move || this.read(known.as_deref())).await;
        drop(looked);
        let outcome = match read {
            Ok(Some(current)) => {
                tracing::info!("the API's TLS files are in use as they are now");
                self.current.send_replace(Some(Arc::new(current)));
                None
            }
            Ok(None) => None,
            Err(error) => Some(said(&error)),
        };
        let is_news = self.trouble.send_if_modified(|trouble| {
            let is_news = *trouble != outcome;
            trouble.clone_from(&outcome);
            is_news
        });
        if let (true, Some(trouble)) = (is_news, &outcome) {
            tracing::warn!(%trouble, "the API's TLS files cannot be used");
        }
        self.rounds.send_modify(|round| *round = round.wrapping_add(1));
    }

    /// `None`: they are as they were.
    fn read(&self, known: Option<&Current>) -> Result<Option<Current>, TlsError> {
        let material = Material::read(&self.root, &self.files)?;
        if known.is_some_and(|known| known.material == material) {
            return Ok(None);
        }
        let verifier = Arc::new(Verifier::new(&material)?);
        let (chain, key) = material.server()?;
        let mut config = ServerConfig::builder_with_provider(verifier::provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(TlsError::Refused)?
            .with_client_cert_verifier(Arc::clone(&verifier) as _)
            .with_single_cert(chain, key)
            .map_err(TlsError::Refused)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        // A resumed session is believed for its certificate's sake without looking at it again, so
        // it would outlive a revocation.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        let ends = material.ends();
        Ok(Some(Current { material, config: Arc::new(config), verifier, ends }))
    }

    /// What a handshake uses that begins now. `None`: the files cannot be used.
    pub(super) async fn config(self: &Arc<Self>) -> Option<Arc<ServerConfig>> {
        let is_due = {
            let looked = self.looked.lock().await;
            looked.is_none_or(|at| at.elapsed() >= AT_MOST_EVERY)
        };
        if is_due {
            self.look().await;
        }
        self.current.borrow().as_ref().map(|current| Arc::clone(&current.config))
    }

    /// Ends when the certificate is no longer believed: expired, revoked, or its CA removed.
    pub(super) async fn disbelieved(&self, chain: &[CertificateDer<'static>]) {
        let mut rounds = self.rounds.subscribe();
        while self.believes(chain) {
            if rounds.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    fn believes(&self, chain: &[CertificateDer<'static>]) -> bool {
        let Some((leaf, rest)) = chain.split_first() else { return false };
        let current = self.current.borrow().clone();
        current.is_some_and(|current| current.verifier.believes(leaf, rest, UnixTime::now()))
    }

    pub(super) fn presence(self: &Arc<Self>) -> Presence {
        self.connected.send_modify(|connected| *connected = connected.saturating_add(1));
        Presence(Arc::clone(self))
    }

    /// Looks at the files every few seconds while somebody is connected. Never ends.
    pub(super) async fn watch(self: Arc<Self>) {
        let mut connected = self.connected.subscribe();
        while connected.wait_for(|connected| *connected > 0).await.is_ok() {
            tokio::time::sleep(WHILE_CONNECTED).await;
            self.look().await;
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.connected.send_modify(|connected| *connected = connected.saturating_sub(1));
    }
}

fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
