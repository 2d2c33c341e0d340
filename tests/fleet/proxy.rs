//! A connection that breaks off at any byte of the answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Passes on what a member says until so many bytes have come; then nobody hears any more of it.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    left: Arc<AtomicUsize>,
    _connections: JoinSet<()>,
}

pub(crate) const ALL: usize = usize::MAX >> 1;

impl Proxy {
    pub(crate) async fn to(address: &str, bytes: usize) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let left = Arc::new(AtomicUsize::new(bytes));
        let (address, rest) = (address.to_owned(), Arc::clone(&left));
        let mut connections = JoinSet::new();
        connections.spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                // One at a time, as conversations are.
                _ = serve(client, &address, &rest).await;
            }
        });
        Self { port, left, _connections: connections }
    }

    /// How many bytes have come through since it was to pass on [`ALL`].
    pub(crate) fn passed(&self) -> usize {
        ALL - self.left.load(Ordering::SeqCst)
    }

    pub(crate) fn heal(&self) {
        self.left.store(ALL, Ordering::SeqCst);
    }
}

async fn serve(client: TcpStream, address: &str, left: &AtomicUsize) -> std::io::Result<()> {
    if left.load(Ordering::SeqCst) == 0 {
        return Ok(());
    }
    let server = TcpStream::connect((address, 2379)).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async { tokio::io::copy(&mut from_client, &mut to_server).await.map(drop) };
    let down = async {
        let mut buffer = [0; 4096];
        loop {
            let count = from_server.read(&mut buffer).await?;
            let allowed = count.min(left.load(Ordering::SeqCst));
            to_client.write_all(&buffer[..allowed]).await?;
            left.fetch_sub(allowed, Ordering::SeqCst);
            if count == 0 || allowed < count {
                left.store(
                    if count == 0 { left.load(Ordering::SeqCst) } else { 0 },
                    Ordering::SeqCst,
                );
                return Ok(());
            }
        }
    };
    tokio::select! {
        done = up => done,
        done = down => done,
    }
}
