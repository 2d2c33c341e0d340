//! Whole files: drift, what is not ours, and what two want.

use crate::ledger::OwnedFile;
use crate::observed::Found;
use crate::plan::files::Drift;
use crate::plan::fixtures::*;
use crate::plan::{ItemState, Plan};
use crate::target::{Believer, Target};
use crate::trust::entry::{Entry, Trust};

const CA_FILE: &str = "etc/docker/certs.d/a.corp/ca.crt";
const KEY: &str = "etc/docker/certs.d/a.corp/client.key";

fn with_pair() -> Node {
    let mut node = Node::with_docker("26.1.5");
    node.declare(Entry { client: Some(client()), ..with_ca("a.corp") });
    node.apply();
    node
}

fn drift(plan: &Plan) -> Vec<(&str, &str, bool)> {
    plan.drift.iter().map(|one| (&*one.path, &*one.message, one.repaired)).collect()
}

#[test]
fn a_second_plan_is_empty() {
    assert!(with_pair().plan().is_empty());
}

#[test]
fn what_somebody_did_to_our_files_is_repaired_and_told() {
    type Deed = fn(&mut Node);
    let deeds: [(Deed, &str, &str); 4] = [
        (|node| node.put(CA_FILE, "other"), CA_FILE, "changed by somebody"),
        (|node| node.remove(CA_FILE), CA_FILE, "removed by somebody"),
        (
            |node| node.alter(CA_FILE, |mode, _| *mode = 0o600),
            CA_FILE,
            "mode 0600 set by somebody, 0644 is right",
        ),
        (
            |node| node.alter(KEY, |mode, _| *mode = 0o644),
            KEY,
            "mode 0644 set by somebody, 0600 is right",
        ),
    ];
    for (deed, path, message) in deeds {
        let mut node = with_pair();
        let right = node.tree();
        deed(&mut node);
        let plan = node.apply();
        assert_eq!(drift(&plan), [(format!("/{path}").as_str(), message, true)]);
        assert_eq!((edits(&plan).len(), due(&plan)), (1, vec![]), "{message}");
        assert_eq!(node.tree(), right, "{message}");
        assert!(node.plan().is_empty(), "{message}");
    }
}

#[test]
fn a_rotated_certificate_is_no_drift() {
    let mut node = with_pair();
    node.declare(Entry { client: Some(client()), ..entry("a.corp", ca(CA_B)) });
    let plan = node.apply();
    assert_eq!((edits(&plan), &plan.drift), (vec![format!("change /{CA_FILE}")], &vec![]));
}

#[test]
fn what_says_the_same_already_is_left_and_not_taken() {
    let mut node = Node::with_docker("26.1.5");
    node.put(CA_FILE, CA);
    node.declare(entry("a.corp", ca(&node.text(CA_FILE).unwrap())));
    let same = node.entries[&name("a.corp")].trust.ca().unwrap().content().clone();
    node.place(CA_FILE, Found::File { content: same, mode: 0o600, immutable: true });
    let plan = node.apply();
    assert_eq!(plan.items[&item("a.corp", Believer::Docker)], ItemState::Written);
    assert!(plan.is_empty() && node.owned().is_empty());
    node.withdraw("a.corp");
    assert!(node.apply().is_empty() && node.has(CA_FILE));
}

#[test]
fn what_somebody_made_of_a_withdrawn_file_is_theirs() {
    let mut node = with_pair();
    node.put(CA_FILE, "somebody's");
    node.withdraw("a.corp");
    let plan = node.apply();
    let message = "no longer needed, but somebody changed it since: left as it is, no longer \
                   regtrust's";
    assert_eq!(drift(&plan), [(format!("/{CA_FILE}").as_str(), message, false)]);
    assert!(node.has(CA_FILE) && node.owned().is_empty());
    assert!(node.plan().is_empty(), "it is told once");
}

/// docker fails every pull from a registry with half a pair, also when the registry is somebody
/// else's business by then.
#[test]
fn a_pair_of_which_somebody_changed_one_half_is_left_whole() {
    for (changed, other) in [("client.key", "client.cert"), ("client.cert", "client.key")] {
        let mut node = with_pair();
        node.put(&format!("etc/docker/certs.d/a.corp/{changed}"), "somebody's");
        node.withdraw("a.corp");
        let plan = node.apply();
        assert_eq!(edits(&plan), [format!("remove /{CA_FILE}")], "{changed}");
        assert!(node.has(&format!("etc/docker/certs.d/a.corp/{other}")), "{other}");
        assert_eq!((plan.drift.len(), node.owned().len()), (2, 0), "{changed}");
    }
}

#[test]
fn a_file_with_another_name_goes_when_nobody_wants_it_any_more() {
    let mut node = with_pair();
    node.declare(with_ca("a.corp"));
    assert_eq!(edits(&node.apply()).len(), 2);
    assert_eq!(node.owned(), [format!("/{CA_FILE}")]);
}

/// Where `config_path` is docker's own directory, both runtimes want the same file.
fn shared() -> Node {
    let mut node = Node::with_docker("26.1.5");
    node.add_containerd("1.7.24");
    let table = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\n";
    node.put(CONFIG, &format!("{table}config_path = \"/etc/docker/certs.d\"\n"));
    node
}

#[test]
fn one_file_for_two_runtimes_is_written_once_and_needed_by_both() {
    let mut node = shared();
    let before = node.tree();
    node.declare(Entry { client: Some(client()), ..with_ca("a.corp") });
    let plan = node.apply();
    assert_eq!(conflicts(&plan), [""; 0]);
    let names = ["ca.crt", "client.cert", "client.key", "hosts.toml"];
    assert_eq!(edits(&plan), names.map(|name| format!("create /etc/docker/certs.d/a.corp/{name}")));
    let both = [Believer::Docker, Believer::Containerd].map(|on| item("a.corp", on));
    assert_eq!(plan.pending, both.into());
    assert!(node.plan().is_empty());
    node.withdraw("a.corp");
    node.apply();
    assert_eq!(node.tree(), before);
}

#[test]
fn a_shared_file_stays_while_either_runtime_needs_it() {
    for removed in [Believer::Docker, Believer::Containerd] {
        let mut node = shared();
        node.declare(with_ca("a.corp"));
        node.apply();
        match removed {
            Believer::Docker => node.observed.docker = None,
            _ => node.observed.containerd = None,
        }
        node.apply();
        assert!(node.has(CA_FILE), "{removed}");
        assert!(node.plan().is_empty(), "{removed}");
    }
}

#[test]
fn a_blocked_runtime_holds_a_shared_directory_as_a_whole() {
    let mut node = shared();
    node.declare(with_ca("a.corp"));
    node.apply();
    node.alter("etc/docker/certs.d/a.corp/hosts.toml", |_, immutable| *immutable = true);
    node.declare(entry("a.corp", Trust::SkipVerify));
    let plan = node.apply();
    assert_eq!(plan.items[&item("a.corp", Believer::Containerd)], ItemState::Blocked);
    assert_eq!(edits(&plan), [""; 0], "hosts.toml names the CA: without it every pull fails");
}

#[test]
fn two_runtimes_that_need_other_bytes_in_one_file_are_a_conflict() {
    let mut node = shared();
    node.docker().version = Some("28.5.2".parse().unwrap());
    // docker 28 keeps one set of CAs for Docker Hub and its mirrors; containerd one for each.
    let mirrors = hub(&[("m.corp", ca(CA_B))]).mirrors;
    node.declare(Entry { mirrors, ..with_ca("docker.io") });
    let plan = node.plan();
    let states = plan.items.iter().map(|(item, state)| (item.on, *state)).collect::<Vec<_>>();
    let expected =
        [(Believer::Docker, ItemState::Written), (Believer::Containerd, ItemState::Blocked)];
    assert_eq!(states, expected);
    assert!(
        conflicts(&plan)[0].ends_with("docker.io/ca.crt: docker needs other bytes in this file")
    );
}

#[test]
fn adopted_files_are_changed_and_withdrawn_like_ours() {
    let mut node = Node::with_docker("26.1.5");
    node.make("etc/docker/certs.d");
    let before = node.tree();
    node.put("etc/docker/certs.d/a.corp/corp.crt", "hand-made");
    node.put(CA_FILE, "old");
    node.put("etc/docker/certs.d/a.corp/README", "keep");
    node.put("etc/docker/certs.d/b.corp/ca.crt", "not asked for");
    node.declare(with_ca("a.corp"));
    assert_eq!(node.plan().items[&item("a.corp", Believer::Docker)], ItemState::Blocked);
    node.adopt.insert(name("a.corp"));
    let plan = node.apply();
    assert_eq!(conflicts(&plan), [""; 0]);
    let gone = "remove /etc/docker/certs.d/a.corp/corp.crt".to_owned();
    assert_eq!(edits(&plan), [format!("change /{CA_FILE}"), gone]);
    assert_eq!(node.owned(), [format!("/{CA_FILE}")]);
    node.withdraw("a.corp");
    node.apply();
    assert!(node.has("etc/docker/certs.d/a.corp/README"));
    node.remove("etc/docker/certs.d/a.corp/README");
    node.remove("etc/docker/certs.d/b.corp/ca.crt");
    assert_eq!(before.get(&crate::node_path!("etc/docker/certs.d")), Some(&Found::Directory));
}

#[test]
fn adopting_takes_elements_too_and_nobody_elses() {
    let mut node = Node::with_docker("26.1.5");
    node.put(DAEMON, "\u{feff}{\"insecure-registries\": [\"https://a.corp\", \"b.corp\"]}");
    node.declare(with_ca("a.corp"));
    assert_eq!(node.plan().conflicts.len(), 1, "an insecure registry's CA is not read");
    node.adopt.insert(name("a.corp"));
    let plan = node.apply();
    assert_eq!(conflicts(&plan), [""; 0]);
    assert_eq!(node.text(DAEMON).unwrap(), "\u{feff}{\"insecure-registries\": [\"b.corp\"]}");
}

#[test]
fn adopting_what_is_blocked_changes_nothing_on_disk() {
    let mut node = Node::with_docker("26.1.5");
    node.put(CA_FILE, "hand-made");
    node.put("etc/docker/certs.d/a.corp/client.cert", "half a pair");
    node.declare(with_ca("a.corp"));
    node.alter(CA_FILE, |_, immutable| *immutable = true);
    let before = node.tree();
    node.adopt.insert(name("a.corp"));
    let plan = node.apply();
    assert_eq!(plan.items[&item("a.corp", Believer::Docker)], ItemState::Blocked);
    assert_eq!(node.tree(), before);
}

#[test]
fn a_ledger_that_knows_more_than_the_node_has_is_brought_up_to_date() {
    let mut node = Node::with_docker("26.1.5");
    let digest = crate::content::Sha256Hex::of(b"gone");
    let owned = OwnedFile { target: Target::DockerCerts, sha256: digest, mode: 0o644 };
    let path = crate::node_path!("etc/docker/certs.d/a.corp/ca.crt");
    std::sync::Arc::make_mut(&mut node.ledger.files).insert(path, owned);
    let plan = node.apply();
    assert!(plan.is_empty() && node.owned().is_empty());
    assert_eq!(plan.drift, [] as [Drift; 0]);
}
