//! Accepts connections, learns who they are, and hands them on.
//!
//! Accepting never waits for a connection to say something, and no error of one ends the loop: the
//! next peer must not suffer for this one.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::service::Routes;

use super::access::Access;
use super::connection::{HANDSHAKE, Visitor, serve_connection, stopped};
use super::crowd::Crowd;
use super::gate::{CALLS, House};
use super::listen::Listeners;
use super::lobby::{Lobby, Ticket};
use super::page::Metrics;
use super::peer::Credentials;
use super::tls::Tls;
use super::{certificate, tls};
use crate::identity::{Entrance, Identity};

/// After an error that the next attempt would meet again, such as no descriptor being left.
const PAUSE: Duration = Duration::from_millis(100);

/// Where callers come in, and what tells who they are.
#[derive(Debug)]
pub struct Doors {
    pub listeners: Listeners,
    /// Whoever comes in over TCP is refused without it.
    pub tls: Option<Arc<Tls>>,
}

/// What callers find behind the gate.
#[derive(Debug)]
pub struct Inside {
    pub routes: Routes,
    pub metrics: Metrics,
}

/// Serves until `stop` holds `true`, and then until what is under way is done, or 3 seconds long.
pub async fn serve(
    doors: Doors,
    access: watch::Receiver<Arc<Access>>,
    inside: Inside,
    stop: watch::Receiver<bool>,
) {
    let Doors { listeners, tls } = doors;
    let Inside { routes, metrics } = inside;
    let calls = Arc::new(Semaphore::new(CALLS));
    let house = Arc::new(House { routes, metrics, access, calls });
    let hall = |entrance| Hall {
        house: Arc::clone(&house),
        crowd: Arc::new(Crowd::default()),
        entrance,
        stop: stop.clone(),
    };
    let credentials = Credentials::observe();
    let (admin, read, tcp) = (listeners.admin, listeners.read, listeners.tcp);
    let network = async {
        match (tcp, tls) {
            (Some(listener), Some(tls)) => {
                tokio::select! {
                    () = hall(Entrance::Tcp).over_tcp(listener, &tls) => {}
                    () = Arc::clone(&tls).watch() => {}
                }
            }
            (Some(_), None) => tracing::warn!("a TCP socket was handed over, and no certificates"),
            (None, _) => {}
        }
    };
    tokio::join!(
        hall(Entrance::AdminSocket).over_unix(admin, credentials),
        hall(Entrance::ReadSocket).over_unix(read, credentials),
        network,
    );
}

/// One entrance.
#[derive(Clone)]
struct Hall {
    house: Arc<House>,
    crowd: Arc<Crowd>,
    entrance: Entrance,
    stop: watch::Receiver<bool>,
}

impl Hall {
    async fn over_unix(self, listener: Option<super::listen::Unix>, credentials: Credentials) {
        let Some(listener) = listener else { return };
        let mut connections = JoinSet::new();
        let mut stop = self.stop.clone();
        loop {
            tokio::select! {
                () = stopped(&mut stop) => break,
                Some(_) = connections.join_next() => {}
                stream = accept_unix(listener.socket()) => {
                    if let Some(visit) = self.clone().unix_visit(stream, credentials) {
                        connections.spawn(visit);
                    }
                }
            }
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }

    /// `None`: the connection is closed at once.
    fn unix_visit(
        self,
        stream: UnixStream,
        credentials: Credentials,
    ) -> Option<impl Future<Output = ()> + Send + 'static> {
        let refused = |error: super::peer::PeerError| tracing::info!(%error, "caller refused");
        let visitor = self.seat(credentials.identify(&stream).map_err(refused).ok()?)?;
        let Self { house, stop, .. } = self;
        Some(serve_connection(stream, visitor, house, std::future::pending(), stop))
    }

    /// `None`: there is no room.
    fn seat(&self, identity: Identity) -> Option<Visitor> {
        let caller = self.house.access.borrow().of(&identity, self.entrance);
        let role = caller.as_ref().map(|caller| caller.role);
        let Some(seat) = self.crowd.admit(&identity.peer(), role) else {
            tracing::info!(%identity, "caller refused: too many connections");
            return None;
        };
        if caller.is_none() {
            tracing::info!(%identity, "caller without a role");
        }
        Some(Visitor { identity, entrance: self.entrance, caller, seat })
    }

    async fn over_tcp(self, listener: TcpListener, tls: &Arc<Tls>) {
        let lobby = Arc::new(Lobby::default());
        let mut connections = JoinSet::new();
        let mut stop = self.stop.clone();
        loop {
            tokio::select! {
                () = stopped(&mut stop) => break,
                Some(_) = connections.join_next() => {}
                (stream, from) = accept_tcp(&listener) => {
                    let ticket = lobby.enter();
                    let visit = self.clone().tcp_visit(stream, from, ticket, Arc::clone(tls));
                    connections.spawn(visit);
                }
            }
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }

    async fn tcp_visit(
        self,
        stream: TcpStream,
        from: SocketAddr,
        mut ticket: Ticket,
        tls: Arc<Tls>,
    ) {
        let mut stop = self.stop.clone();
        let shaken = tokio::select! {
            shaken = timeout(HANDSHAKE, shake_hands(stream, &tls)) => shaken,
            () = ticket.shown_out() => return tracing::debug!(%from, "handshake ended: too many"),
            () = stopped(&mut stop) => return,
        };
        drop(ticket);
        let stream = match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::info!(%from, %error, "handshake failed"),
            Err(_) => return tracing::debug!(%from, "handshake took too long"),
        };
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default().to_vec();
        let identity = match chain.first().map(|leaf| certificate::identify(leaf)) {
            Some(Ok(identity)) => identity,
            Some(Err(error)) => return tracing::info!(%from, %error, "caller refused"),
            None => return tracing::info!(%from, "caller refused: no certificate"),
        };
        let Some(visitor) = self.seat(identity) else { return };
        let _presence: tls::Presence = tls.presence();
        let dismissed = tls.disbelieved(&chain);
        serve_connection(stream, visitor, self.house, dismissed, self.stop).await;
    }
}

async fn shake_hands(stream: TcpStream, tls: &Arc<Tls>) -> io::Result<TlsStream<TcpStream>> {
    stream.set_nodelay(true)?;
    let config = tls.config().await.ok_or_else(|| io::Error::other("no usable TLS files"))?;
    let stream = TlsAcceptor::from(config).accept(stream).await?;
    // A client that asked for no protocol at all gets this far.
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err(io::Error::other("the client did not ask for HTTP/2"));
    }
    Ok(stream)
}

async fn accept_unix(listener: &UnixListener) -> UnixStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => pause(&error).await,
        }
    }
}

async fn accept_tcp(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => pause(&error).await,
        }
    }
}

async fn pause(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    // These are about the connection that was not accepted; the next may be there already.
    if !matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
        tracing::warn!(%error, "cannot accept a connection; trying again");
        sleep(PAUSE).await;
    }
}
