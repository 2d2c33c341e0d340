//! A registry that stops in the middle of a layer, for as long as a case wants a pull to last.
//!
//! It stands before another and hands bytes on, without knowing what they are: so it does with TLS
//! what it does without.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use super::listener::listen;
use super::node::{Host, Node};
use super::registry::{Registry, Setup};

/// So much of a connection goes through: manifests do, and the one layer does not.
const LET_THROUGH: usize = 256 << 10;

const PORT: u16 = 5081;

#[derive(Debug, Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.opened.notify_all();
    }

    fn wait(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.opened.wait_while(open, |open| !*open));
    }
}

/// Holds what is pulled through it until it is dropped or told to let go.
pub(crate) struct Held {
    gate: Arc<Gate>,
    host: Host,
}

impl Held {
    /// An image whose pull does not end before it may, and the registry that has it.
    pub(crate) fn image(node: &Node) -> (Registry<'_>, Self, String) {
        let registry = Setup::plain().start(node);
        let image = registry.image("held");
        let held = Self::before(node, &registry.host, 5080);
        let image = image.replace(&registry.name(), &held.name());
        (registry, held, image)
    }

    /// Stands before the registry at `host` and `port` of the node.
    fn before(node: &Node, host: &Host, port: u16) -> Self {
        let gate = Arc::new(Gate::default());
        let (address, behind) = (host.address.clone(), Arc::clone(&gate));
        listen(node, &host.address, PORT, move |client| {
            let Ok(server) = TcpStream::connect((address.as_str(), port)) else { return };
            // Whoever pulls may give up.
            _ = hand_on(client, server, &behind);
        });
        Self { gate, host: host.clone() }
    }

    /// As references spell it.
    pub(crate) fn name(&self) -> String {
        format!("{}:{PORT}", self.host.name)
    }

    /// From now on everything goes through.
    pub(crate) fn let_go(&self) {
        self.gate.open();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gate.open();
    }
}

fn hand_on(mut client: TcpStream, mut server: TcpStream, gate: &Gate) -> io::Result<()> {
    let (mut asking, mut asked) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        _ = io::copy(&mut asking, &mut asked);
        _ = asked.shutdown(std::net::Shutdown::Write);
    });
    let mut through = 0;
    let mut piece = [0; 16 << 10];
    loop {
        let length = server.read(&mut piece)?;
        if length == 0 {
            return client.shutdown(std::net::Shutdown::Both);
        }
        client.write_all(&piece[..length])?;
        through += length;
        if through > LET_THROUGH {
            gate.wait();
        }
    }
}
