//! What a preflight found in the way is a conflict of everything that would be written there.

use crate::path::NodePath;
use crate::plan::fixtures::*;
use crate::plan::{ItemState, Plan};
use crate::target::Believer;
use crate::trust::entry::Entry;

fn refuse(node: &mut Node, path: &str) {
    let reason = ("lies on a read-only file system".to_owned(), "remount it".to_owned());
    node.refused.insert(NodePath::new(path).unwrap(), reason);
}

fn blocked(plan: &Plan) -> Vec<String> {
    let items = plan.items.iter().filter(|(_, state)| **state == ItemState::Blocked);
    items.map(|(item, _)| item.to_string()).collect()
}

/// One at a time would need as many plans as there are registries, and be given up after four.
#[test]
fn a_refused_directory_blocks_everything_beneath_it_at_once() {
    for path in ["etc/docker/certs.d", "etc/docker", "etc"] {
        let mut node = Node::with_docker("26.1.5");
        for host in ["a.corp", "b.corp", "c.corp", "d.corp", "e.corp"] {
            node.declare(with_ca(host));
        }
        refuse(&mut node, path);
        let plan = node.plan();
        assert_eq!(blocked(&plan).len(), 5, "{path}");
        assert_eq!(conflicts(&plan), [format!("/{path}: lies on a read-only file system")]);
        assert!(plan.changes.is_empty(), "{path}");
    }
}

#[test]
fn a_refused_store_leaves_the_runtimes_alone() {
    let mut node = Node::with_docker("26.1.5");
    for host in ["a.corp", "b.corp"] {
        node.declare(in_store(host, if host == "a.corp" { CA } else { CA_B }));
    }
    refuse(&mut node, "usr/local/share/ca-certificates");
    let plan = node.apply();
    assert_eq!(blocked(&plan), ["a.corp on system store", "b.corp on system store"]);
    assert_eq!(edits(&plan).len(), 2);
    assert_eq!(due(&plan), [""; 0]);
}

#[test]
fn what_is_in_place_is_not_blocked_by_a_disk_that_cannot_be_written() {
    let mut node = Node::with_docker("26.1.5");
    node.declare(with_ca("a.corp"));
    node.apply();
    node.declare(with_ca("b.corp"));
    refuse(&mut node, "etc/docker/certs.d");
    assert_eq!(blocked(&node.plan()), ["b.corp on docker"]);
}

#[test]
fn a_refused_shared_file_blocks_those_who_need_it_wherever_the_obstacle_is() {
    for (path, message) in [
        (DAEMON, format!("/{DAEMON}: lies on a read-only file system")),
        ("etc/docker", format!("/{DAEMON}: `/etc/docker` lies on a read-only file system")),
    ] {
        let mut node = Node::with_docker("26.1.5");
        node.declare(insecure("a.corp"));
        refuse(&mut node, path);
        let plan = node.plan();
        assert_eq!(
            (blocked(&plan), conflicts(&plan)),
            (vec!["a.corp on docker".to_owned()], vec![message])
        );
        assert!(plan.changes.is_empty());
    }
}

#[test]
fn what_cannot_be_removed_stays_ours_and_says_where_the_obstacle_is() {
    let mut node = Node::with_docker("26.1.5");
    node.declare(Entry { client: Some(client()), ..with_ca("a.corp") });
    node.apply();
    node.withdraw("a.corp");
    refuse(&mut node, "etc/docker");
    let plan = node.apply();
    let message = "trust was withdrawn, but the file cannot go: `/etc/docker` lies on a read-only \
                   file system";
    assert_eq!(plan.conflicts[0].message, message);
    assert_eq!((plan.conflicts.len(), node.owned().len()), (3, 3));
    assert!(plan.changes.is_empty());
    node.refused.clear();
    assert_eq!(edits(&node.apply()).len(), 3);
}

#[test]
fn a_plan_concerns_what_it_writes_and_everything_above_that() {
    let mut node = Node::with_docker("26.1.5");
    node.declare(with_ca("a.corp"));
    let plan = node.plan();
    for (path, concerns) in [
        ("etc/docker/certs.d/a.corp/ca.crt", true),
        ("etc/docker/certs.d", true),
        ("etc", true),
        ("etc/docker/certs.d/a.corp/ca.cr", false),
        ("var/lib/regtrust", false),
    ] {
        assert_eq!(plan.concerns(&NodePath::new(path).unwrap()), concerns, "{path}");
    }
    assert_eq!(plan.items[&item("a.corp", Believer::Docker)], ItemState::Written);
}
