//! Nodes for cases: one that is there and clean, else a new one.
//!
//! A boot costs two seconds, so a node serves many cases; but no case may find what another left.
//! So everything that a case declared is withdrawn. If every configuration file is then as it was
//! after the boot, byte for byte, which is what the product promises, and no daemon was restarted,
//! the next case cannot tell that there was one before it. Else the node is thrown away.

use std::sync::Mutex;

use super::image::Suite;
use super::machine;
use super::node::{Node, Outfit};
use super::witness::Witness;

/// Directories in which a case leaves its traces.
const WATCHED: &str = "/etc/docker /etc/containerd /etc/containers /etc/regtrust /etc/rancher \
    /etc/ssl /etc/ca-certificates.conf /etc/systemd /etc/default /usr/local/share \
    /var/lib/kubelet /root /usr/lib/regtrust /run/regtrust";

/// What buildx writes down about every build.
const DIARY: &str = "/root/.docker/buildx";

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
pub(crate) fn on_a_clean_node(suite: Suite, outfit: Outfit, case: impl FnOnce(&Node)) {
    let Idle { node, clean } = take(suite, outfit).unwrap_or_else(|| {
        make_room(Some(suite));
        let node = Node::boot(suite, outfit);
        let clean = trace(&node);
        Idle { node, clean }
    });
    super::report::with_last_words(&node, || case(&node));
    if tidy(&node) && trace(&node) == clean && node.hosts_left() >= NAMES_FOR_A_CASE {
        IDLE.lock().expect("no case runs under the lock").push(Idle { node, clean });
    }
}

/// Runs `case` on a node that was booted for it: what restarts daemons needs no clean-up.
pub(crate) fn on_a_fresh_node(suite: Suite, case: impl FnOnce(&Node)) {
    make_room(None);
    let node = Node::boot(suite, Outfit::Packaged);
    super::report::with_last_words(&node, || case(&node));
}

/// Powers idle nodes off: all of another suite than `current`, for cases that share nodes come by suite;
/// and of the others as many as it takes for the machine to have room for one more, see [`machine::room`].
fn make_room(current: Option<Suite>) {
    let mut idle = IDLE.lock().expect("no case runs under the lock");
    let (mut kept, mut served): (Vec<Idle>, Vec<Idle>) =
        idle.drain(..).partition(|idle| current.is_none_or(|suite| idle.node.suite == suite));
    let too_many = (Node::count() + 1).saturating_sub(served.len() + machine::room());
    served.extend(kept.drain(..too_many.min(kept.len())));
    *idle = kept;
    drop(idle);
    // Only now, because it takes its time until a node is gone.
    drop(served);
}

/// Powers the idle nodes off.
pub(crate) fn drain() {
    IDLE.lock().expect("no case runs under the lock").clear();
}

fn take(suite: Suite, outfit: Outfit) -> Option<Idle> {
    let mut idle = IDLE.lock().expect("no case runs under the lock");
    let wanted = |idle: &Idle| idle.node.suite == suite && idle.node.outfit == outfit;
    let position = idle.iter().position(wanted)?;
    Some(idle.swap_remove(position))
}

/// Takes back what was declared. `false`: that is not possible without a restart.
fn tidy(node: &Node) -> bool {
    node.sh("rm -rf /etc/regtrust/* && mkdir -p /etc/regtrust/registries.d");
    let (code, survey) = node.regtrust_exits(&["apply"]);
    let needs_more = survey.due().iter().any(|effect| *effect != "reload-docker");
    if code != 0 || needs_more {
        return false;
    }
    node.perform(&survey.effects);
    // A ledger that owns nothing is regtrust's memory of the case, and nobody else reads it.
    node.remove("/etc/regtrust /var/lib/regtrust");
    true
}

fn trace(node: &Node) -> Trace {
    let script = format!(
        "rm -rf {DIARY} && rmdir --ignore-fail-on-non-empty /root/.docker 2>/dev/null || true; \
         find {WATCHED} -printf '%p %y %m %u %g %l\\n' 2>/dev/null | sort || true; \
         find {WATCHED} -type f -print0 2>/dev/null | sort --zero-terminated | \
         xargs --null --no-run-if-empty sha256sum"
    );
    let mut daemons = Witness::of(node);
    // A reload that took the last name away again has left no trace in dockerd.
    daemons.docker.hangups = 0;
    Trace { files: node.sh(&script), daemons }
}
