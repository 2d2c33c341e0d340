//! What a node's daemons and containers were doing, to be compared with what they do later.

use std::collections::BTreeMap;

use super::engine;
use super::node::Node;

/// A daemon's life. Two equal ones mean: not restarted, not reloaded, not signalled in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Daemon {
    pub(crate) state: String,
    pub(crate) pid: u32,
    /// systemd's number for this run of the unit.
    pub(crate) invocation: String,
    /// SIGHUPs that it wrote about since the node booted.
    pub(crate) hangups: usize,
}

/// Everything on a node that an effect would disturb.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Witness {
    pub(crate) docker: Daemon,
    pub(crate) containerd: Daemon,
    /// The processes of running docker containers, by name.
    pub(crate) containers: BTreeMap<String, u32>,
}

/// In one script, because it is asked for more often than anything else. containerd has no reload that
/// it could write about.
const SCRIPT: &str = "systemctl show --property=ActiveState,MainPID,InvocationID \
        docker.service containerd.service
    journalctl --sync
    journalctl --boot --output=cat --unit=docker.service | \
        grep --count 'Got signal to reload configuration' || true";

impl Witness {
    pub(crate) fn of(node: &Node) -> Self {
        let text = node.sh(SCRIPT);
        let (docker, rest) = text.split_once("\n\n").expect("two units");
        let (containerd, hangups) = rest.trim_end().rsplit_once('\n').expect("and a number");
        let docker = Daemon::parse(docker, hangups.parse().expect("a number"));
        let containerd = Daemon::parse(containerd, 0);
        Self { docker, containerd, containers: engine::running(node) }
    }

    /// What systemd calls the state of a unit.
    pub(crate) fn state(node: &Node, unit: &str) -> String {
        let show = format!("systemctl show --property=ActiveState --value {unit}");
        node.sh(&show).trim().to_owned()
    }
}

impl Daemon {
    fn parse(properties: &str, hangups: usize) -> Self {
        let property = |name: &str| {
            let line = properties.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.strip_prefix('=')).unwrap_or_default().to_owned()
        };
        Self {
            state: property("ActiveState"),
            pid: property("MainPID").parse().expect("a process id"),
            invocation: property("InvocationID"),
            hangups,
        }
    }
}
