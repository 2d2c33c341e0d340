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

/// In one script, because it is asked for more often than anything else.
const SCRIPT: &str = "journalctl --sync
for unit in docker containerd; do
    systemctl show --property=ActiveState,MainPID,InvocationID $unit.service
    echo Hangups=$(journalctl --boot --output=cat --unit=$unit.service | \
        grep --count 'Got signal to reload configuration')
    echo
done
docker ps --quiet | xargs --no-run-if-empty docker inspect --format '{{.Name}} {{.State.Pid}}'";

impl Witness {
    pub(crate) fn of(node: &Node) -> Self {
        let text = node.sh(SCRIPT);
        let mut parts = text.splitn(3, "\n\n");
        let mut part = || parts.next().expect("three parts");
        Self {
            docker: Daemon::parse(part()),
            containerd: Daemon::parse(part()),
            containers: containers(part()),
        }
    }

    /// What systemd calls the state of a unit.
    pub(crate) fn state(node: &Node, unit: &str) -> String {
        let show = format!("systemctl show --property=ActiveState --value {unit}");
        node.sh(&show).trim().to_owned()
    }
}

impl Daemon {
    fn parse(properties: &str) -> Self {
        let property = |name: &str| {
            let line = properties.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.strip_prefix('=')).unwrap_or_default().to_owned()
        };
        Self {
            state: property("ActiveState"),
            pid: property("MainPID").parse().expect("a process id"),
            invocation: property("InvocationID"),
            hangups: property("Hangups").parse().expect("a number"),
        }
    }
}

fn containers(lines: &str) -> BTreeMap<String, u32> {
    let pair = |line: &str| {
        let (name, pid) = line.trim_start_matches('/').split_once(' ')?;
        Some((name.to_owned(), pid.parse().ok()?))
    };
    lines.lines().filter_map(pair).collect()
}
