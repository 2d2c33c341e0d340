//! Everything that has to agree on a node: files, regtrust's own records, what dockerd says of
//! itself, and the status.

use std::collections::BTreeSet;

use regtrust::api::v1::NodeStatus;
use serde_json::Value;

use crate::lab::{Node, engine};

/// Two equal ones: nobody can tell the nodes apart, except by how many changes there were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    /// With modes, owners, links and digests: a temporary file that was left shows as well.
    files: BTreeSet<String>,
    /// What the ledger calls ours.
    owned: BTreeSet<String>,
    /// Names in the state directory, without its history.
    state: BTreeSet<String>,
    insecure: BTreeSet<String>,
    status: Vec<String>,
}

const DIRECTORIES: &str =
    "/etc/docker /etc/containerd /etc/ssl/certs /usr/local/share/ca-certificates";

impl Picture {
    pub(super) fn of(node: &Node, status: &NodeStatus) -> Self {
        let files = format!(
            "find {DIRECTORIES} -printf '%p %y %m %u %g %l\\n' 2>/dev/null || true
             find {DIRECTORIES} -type f -print0 2>/dev/null | xargs --null --no-run-if-empty sha256sum"
        );
        let state = "find /var/lib/regtrust -mindepth 1 -printf '%P\\n' 2>/dev/null || true";
        Self {
            files: node.sh(&files).lines().map(str::to_owned).collect(),
            owned: owned(node),
            state: node
                .sh(state)
                .lines()
                .filter(|name| !is_history(name))
                .map(str::to_owned)
                .collect(),
            insecure: engine::insecure(node).into_iter().collect(),
            status: told(status),
        }
    }

    /// What differs, for whoever has to find out why.
    pub(super) fn difference(&self, other: &Self) -> String {
        let sets = |picture: &Self| {
            let Self { files, owned, state, insecure, status } = picture.clone();
            let status = status.into_iter().collect();
            [files, owned, state, insecure, status]
        };
        let mut lines = String::new();
        for (one, two) in sets(self).into_iter().zip(sets(other)) {
            for line in one.symmetric_difference(&two) {
                lines += if one.contains(line) { "  + " } else { "  - " };
                lines += line;
                lines += "\n";
            }
        }
        lines
    }
}

/// Generations, the keys that a rollback to one of them needs, and which restart was the last.
fn is_history(name: &str) -> bool {
    let is_number = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    let is_digest = |name: &str| name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
    match name.split_once('/') {
        Some(("generations", file)) => file.strip_suffix(".json").is_some_and(is_number),
        Some(("blobs", file)) => is_digest(file),
        Some(("restart", file)) => file.strip_suffix(".json").is_some(),
        _ => ["blobs", "restart"].contains(&name),
    }
}

fn owned(node: &Node) -> BTreeSet<String> {
    let ledger = node.read("/var/lib/regtrust/ledger.json").unwrap_or_else(|| "{}".to_owned());
    let ledger: Value = serde_json::from_str(&ledger).expect("the ledger is JSON");
    let keys = |value: &Value| {
        value.as_object().into_iter().flat_map(|map| map.keys().cloned()).collect::<Vec<_>>()
    };
    let mut owned: BTreeSet<String> = keys(&ledger["files"]).into_iter().collect();
    for part in ["directories", "docker_daemon", "containerd_config", "rejected", "leaving_store"] {
        owned.insert(format!("{part}: {}", ledger[part]));
    }
    owned
}

fn told(status: &NodeStatus) -> Vec<String> {
    let registries = status.registries.iter().map(|registry| {
        let items =
            registry.items.iter().map(|item| format!("{:?} {:?}", item.runtime(), item.state()));
        let (trust, standing) = (registry.trust(), registry.standing());
        format!("{} {trust:?} {standing:?} {:?}", registry.host, items.collect::<Vec<_>>())
    });
    let due = status.due.iter().map(|due| format!("due: {}", due.command));
    let conflicts = status.conflicts.iter().map(|one| format!("{}: {}", one.path, one.message));
    let phase = [format!("{:?}", status.phase())];
    registries.chain(due).chain(conflicts).chain(phase).collect()
}
