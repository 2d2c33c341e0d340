//! What a node's daemons and containers were doing, to be compared with what they do later.

use std::collections::BTreeMap;

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

impl Witness {
    pub(crate) fn of(node: &Node) -> Self {
        Self {
            docker: Daemon::of(node, "docker.service"),
            containerd: Daemon::of(node, "containerd.service"),
            containers: containers(node),
        }
    }
}

impl Witness {
    /// What systemd calls the state of a unit.
    pub(crate) fn state(node: &Node, unit: &str) -> String {
        let show = format!("systemctl show --property=ActiveState --value {unit}");
        node.sh(&show).trim().to_owned()
    }
}

impl Daemon {
    fn of(node: &Node, unit: &str) -> Self {
        let properties =
            node.sh(&format!("systemctl show --property=ActiveState,MainPID,InvocationID {unit}"));
        let property = |name: &str| {
            let line = properties.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.strip_prefix('=')).unwrap_or_default().to_owned()
        };
        Self {
            state: property("ActiveState"),
            pid: property("MainPID").parse().expect("a process id"),
            invocation: property("InvocationID"),
            hangups: node.journal(unit).matches("Got signal to reload configuration").count(),
        }
    }
}

fn containers(node: &Node) -> BTreeMap<String, u32> {
    let script = "docker ps --quiet | xargs --no-run-if-empty \
        docker inspect --format '{{.Name}} {{.State.Pid}}'";
    let pair = |line: &str| {
        let (name, pid) = line.trim_start_matches('/').split_once(' ')?;
        Some((name.to_owned(), pid.parse().ok()?))
    };
    node.sh(script).lines().filter_map(pair).collect()
}
