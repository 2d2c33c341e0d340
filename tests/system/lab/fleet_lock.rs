//! A fleet's lock on the node's own network: the `FleetLock` protocol, as airlock speaks it, with a slot
//! for everybody.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::listener::listen;
use super::node::Node;

const PORT: u16 = 8787;

/// What regtrustd is told of it.
pub(crate) const SETTINGS: &str =
    "[fleet_lock]\nengine = \"fleetlock\"\nurl = \"http://127.0.0.1:8787\"\n";

#[derive(Debug, Default)]
struct State {
    /// The bodies of their requests, which have their names.
    holders: BTreeSet<String>,
    /// Does what it is asked for, and does not answer.
    is_silent: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
        result
    }
}

#[derive(Debug)]
pub(crate) struct FleetLock(Arc<Shared>);

impl FleetLock {
    pub(crate) fn start(node: &Node) -> Self {
        let shared = Arc::new(Shared::default());
        let served = Arc::clone(&shared);
        // Whoever asks may be killed meanwhile, and nobody is there to be answered.
        listen(node, "127.0.0.1", PORT, move |client| _ = serve(client, &served));
        Self(shared)
    }

    /// From now on a lock is taken, and nobody hears of it.
    pub(crate) fn falls_silent(&self) {
        self.0.change(|state| state.is_silent = true);
    }

    pub(crate) fn speaks(&self) {
        self.0.change(|state| state.is_silent = false);
    }

    pub(crate) fn is_held(&self) -> bool {
        self.0.change(|state| !state.holders.is_empty())
    }
}

impl Drop for FleetLock {
    fn drop(&mut self) {
        self.speaks();
    }
}

fn serve(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let (mut what, mut length) = (String::new(), 0);
    reader.read_line(&mut what)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let header = line.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or_default();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let who = String::from_utf8_lossy(&body).into_owned();
    let takes = what.contains("/v1/pre-reboot ");
    shared
        .change(|state| if takes { state.holders.insert(who) } else { state.holders.remove(&who) });
    let state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
    drop(shared.changed.wait_while(state, |state| takes && state.is_silent));
    client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
}
