//! One connection whose caller is known, from its first byte to its end.

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::pin;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::access::{Access, Caller};
use super::crowd::Seat;
use super::gate::{Gate, House};
use super::opening::{self, Tongue};
use crate::identity::{Entrance, Identity};

/// For TLS, and again for the first bytes of HTTP/2.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(5);
/// For calls that are under way when the daemon stops.
const FAREWELL: Duration = Duration::from_secs(3);
/// For a whole page of metrics.
const READING: Duration = Duration::from_secs(30);

const STREAMS: u32 = 32;
const HEADERS: u32 = 16 << 10;
/// How much of a message may be on its way before somebody has asked for it. The library's own
/// megabytes, times every connection, would be more memory than the whole daemon has.
const STREAM_WINDOW: u32 = 128 << 10;
const CONNECTION_WINDOW: u32 = 256 << 10;
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_WAITS: Duration = Duration::from_secs(10);

/// What a connection needs to know about its caller.
#[derive(Debug)]
pub(super) struct Visitor {
    pub(super) identity: Identity,
    pub(super) entrance: Entrance,
    /// What it was allowed when it came. `None`: nothing, and it is told so.
    pub(super) caller: Option<Caller>,
    pub(super) seat: Seat,
}

/// Serves a connection until its client, `dismissed` or a stop ends it.
pub(super) async fn serve_connection<S, D>(
    stream: S,
    visitor: Visitor,
    house: Arc<House>,
    dismissed: D,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    D: Future<Output = ()>,
{
    let Visitor { identity, entrance, caller, seat } = visitor;
    let (tongue, stream) = match timeout(HANDSHAKE, opening::open(stream, tongues(entrance))).await
    {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => return tracing::debug!(%identity, %error, "connection refused"),
        Err(_) => return tracing::debug!(%identity, "the client says nothing"),
    };
    let changed = changed(Arc::clone(&house), &identity, entrance, caller);
    let gate = Arc::new(Gate::new(house, identity.clone(), entrance, Arc::clone(&seat.allowance)));
    if tongue == Tongue::Page {
        return show_page(stream, &gate, &mut stop).await;
    }
    let service = service_fn(move |request: Request<Incoming>| Arc::clone(&gate).answer(request));
    let connection = builder().serve_connection(TokioIo::new(stream), service);
    pin!(connection, dismissed, changed);
    tokio::select! {
        ended = connection.as_mut() => {
            if let Err(error) = ended {
                tracing::debug!(%identity, %error, "connection ended");
            }
        }
        // Dropping the connection ends every call on it, streams too. Saying goodbye first would
        // leave time for more calls to somebody who may make none.
        () = dismissed => tracing::info!(%identity, "connection ended: its certificate is no longer believed"),
        () = changed => tracing::info!(%identity, "connection ended: its rights have changed"),
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                _ = connection => {}
                () = sleep(FAREWELL) => {}
            }
        }
    }
}

/// HTTP/1.1 is for people and programs on this node. On the network it would be one more parser in
/// front of strangers.
fn tongues(entrance: Entrance) -> &'static [Tongue] {
    match entrance {
        Entrance::AdminSocket | Entrance::ReadSocket => &[Tongue::Http2, Tongue::Page],
        Entrance::Tcp => &[Tongue::Http2],
    }
}

/// One request, one answer, and the end.
async fn show_page<S>(stream: S, gate: &Arc<Gate>, stop: &mut watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request: Request<Incoming>| Arc::clone(gate).answer(request));
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HANDSHAKE)
        .keep_alive(false)
        .max_buf_size(HEADERS as usize);
    let shown = builder.serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        shown = timeout(READING, shown) => match shown {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "a reader of the metrics went"),
            Err(_) => tracing::debug!("a reader of the metrics was too slow"),
        },
        () = stopped(stop) => {}
    }
}

/// Ends when the daemon stops, or whoever could tell has gone.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _told = stop.wait_for(|stop| *stop).await.is_ok();
}

/// Ends when the caller's rights are no longer what they were. What it opened with the old ones
/// must not go on, and a client that connects again has the new ones.
async fn changed(
    house: Arc<House>,
    identity: &Identity,
    entrance: Entrance,
    caller: Option<Caller>,
) {
    let mut access = house.access.clone();
    let differs = |access: &Arc<Access>| access.of(identity, entrance) != caller;
    if access.wait_for(differs).await.is_err() {
        // Whoever could change them is gone, so they stay.
        std::future::pending::<()>().await;
    }
}

fn builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADERS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_WAITS);
    builder
}
