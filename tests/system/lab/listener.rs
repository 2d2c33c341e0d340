//! Servers of this program on a node's own network.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread;

use nix::sched::{CloneFlags, setns};

use super::node::Node;

/// Hands each connection to `serve`, in a thread of its own that is on the node's network as well.
/// They end with the test, or when a connection has.
pub(super) fn listen(
    node: &Node,
    address: &str,
    port: u16,
    serve: impl Fn(TcpStream) + Send + Sync + 'static,
) {
    let namespace = File::open(format!("/proc/{}/ns/net", node.init())).expect("a node's network");
    let (address, serve) = (address.to_owned(), Arc::new(serve));
    let (ready, is_ready) = mpsc::channel();
    // A thread of its own, for it changes its network; those that it starts inherit that.
    thread::spawn(move || {
        setns(namespace, CloneFlags::CLONE_NEWNET).expect("the node's network");
        let listener = TcpListener::bind((address.as_str(), port)).expect("a free port");
        ready.send(()).expect("somebody waits");
        for client in listener.incoming().map_while(Result::ok) {
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(client));
        }
    });
    is_ready.recv().expect("it listens");
}
