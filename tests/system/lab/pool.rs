//! Nodes for cases: one that is there and clean, else a new one.
//!
//! A boot costs two seconds, so a node serves many cases; but no case may find what another left.
//! What is compared is what the cases are about: if every configuration file is as it was after the
//! boot, byte for byte, and no daemon was restarted or signalled, the next case cannot tell. Else
//! the node is thrown away. So a case that withdraws what it declared is also fast.

use std::sync::Mutex;

use super::image::Suite;
use super::node::Node;
use super::witness::Witness;

/// Directories in which a case leaves its traces.
const WATCHED: &str = "/etc/docker /etc/containerd /etc/containers /etc/regtrust /etc/rancher \
    /etc/ssl /etc/ca-certificates.conf /etc/systemd /etc/default /usr/local/share \
    /var/lib/kubelet /root /usr/lib/regtrust /run/regtrust";

/// Fewer names than this are not enough for another case.
const NAMES_FOR_A_CASE: u32 = 20;

#[derive(Debug)]
struct Idle {
    node: Node,
    clean: Trace,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Trace {
    files: String,
    daemons: Witness,
}

static IDLE: Mutex<Vec<Idle>> = Mutex::new(Vec::new());

/// Runs `case` on a node on which nothing has happened yet.
pub(crate) fn on_a_clean_node(suite: Suite, case: impl FnOnce(&Node)) {
    let Idle { node, clean } = take(suite).unwrap_or_else(|| {
        let node = Node::boot(suite);
        let clean = trace(&node);
        Idle { node, clean }
    });
    super::report::with_last_words(&node, || case(&node));
    // A ledger that owns nothing is regtrust's memory of the case, and nobody else reads it.
    node.remove("/var/lib/regtrust");
    if trace(&node) == clean && node.hosts_left() >= NAMES_FOR_A_CASE {
        IDLE.lock().expect("no case runs under the lock").push(Idle { node, clean });
    }
}

/// Runs `case` on a node that was booted for it: what restarts daemons needs no clean-up.
pub(crate) fn on_a_fresh_node(suite: Suite, case: impl FnOnce(&Node)) {
    let node = Node::boot(suite);
    super::report::with_last_words(&node, || case(&node));
}

/// Powers the idle nodes off.
pub(crate) fn drain() {
    IDLE.lock().expect("no case runs under the lock").clear();
}

fn take(suite: Suite) -> Option<Idle> {
    let mut idle = IDLE.lock().expect("no case runs under the lock");
    let position = idle.iter().position(|idle| idle.node.suite == suite)?;
    Some(idle.swap_remove(position))
}

fn trace(node: &Node) -> Trace {
    let script = format!(
        "find {WATCHED} -printf '%p %y %m %u %g %l\\n' 2>/dev/null | sort || true; \
         find {WATCHED} -type f -print0 2>/dev/null | sort --zero-terminated | \
         xargs --null --no-run-if-empty sha256sum"
    );
    Trace { files: node.sh(&script), daemons: Witness::of(node) }
}
