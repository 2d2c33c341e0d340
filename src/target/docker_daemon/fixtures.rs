//! Entries and nodes for the tests of both docker targets.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::content::{Content, Sha256Hex};
use crate::observed::{Docker, Files, Flag, Found, Running};
use crate::path::NodePath;
use crate::target::{Believer, Conflict, Item, Note};
use crate::trust::certificate::{CaBundle, CaCertificate, ClientPair};
use crate::trust::entry::{Capability, Entry, Mirror, Origin, Trust};

pub(in crate::target) fn docker(version: &str) -> Docker {
    Docker { version: version.parse().ok(), running: Running::Unknown, flags: vec![] }
}

pub(in crate::target) fn flagged(version: &str, name: &str, value: &str) -> Docker {
    let source = "/etc/default/docker".to_owned();
    let flag = Flag { name: name.to_owned(), value: value.to_owned(), source };
    Docker { flags: vec![flag], ..docker(version) }
}

pub(in crate::target) fn entry(host: &str, trust: Trust) -> Entry {
    let origin = Origin { owner: "local".into(), file: "/f.toml".into(), line: 1 };
    Entry {
        host: host.parse().unwrap(),
        trust,
        client: None,
        system_store: false,
        reason: None,
        until: None,
        runtimes: None,
        mirrors: vec![],
        fallback: true,
        origin,
    }
}

pub(in crate::target) fn hub(mirrors: Vec<Mirror>) -> Entry {
    Entry { mirrors, ..entry("docker.io", Trust::System) }
}

pub(in crate::target) fn mirror(host: &str, path: &str, trust: Trust) -> Mirror {
    let capabilities = BTreeSet::from([Capability::Pull, Capability::Resolve]);
    Mirror { host: host.parse().unwrap(), path: path.to_owned(), trust, capabilities }
}

pub(in crate::target) fn pem(name: &str) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{name}\n-----END CERTIFICATE-----\n")
}

pub(in crate::target) fn ca(name: &str) -> Trust {
    let certificate = CaCertificate {
        fingerprint: Sha256Hex::of(name.as_bytes()),
        spki: Sha256Hex::of(name.as_bytes()),
        subject: name.to_owned(),
        not_before: Timestamp::MIN,
        not_after: Timestamp::MAX,
        is_authority: true,
        rsa_bits: None,
        has_name_constraints: false,
        is_self_issued: true,
        has_server_names: false,
        pem: pem(name).into(),
    };
    Trust::Ca(CaBundle::unchecked(vec![certificate]))
}

pub(in crate::target) fn client() -> ClientPair {
    ClientPair {
        fingerprint: Sha256Hex::of(b"client"),
        not_after: Timestamp::MAX,
        certificate: Content::plain(pem("client")),
        key: Content::secret(b"key".to_vec()),
    }
}

pub(in crate::target) fn item(host: &str) -> Item {
    Item { host: host.parse().unwrap(), on: Believer::Docker }
}

pub(in crate::target) fn on(host: &str) -> BTreeSet<Item> {
    BTreeSet::from([item(host)])
}

/// A node with these files, and every directory that they need, listed.
pub(in crate::target) fn files(contents: &[(&str, &str)]) -> Files {
    let mut files = Files::default();
    for (path, text) in contents {
        let content = Content::plain(text);
        put(&mut files, path, Found::File { content, mode: 0o644, immutable: false });
    }
    files
}

pub(in crate::target) fn put(files: &mut Files, path: &str, found: Found) {
    let mut path = NodePath::new(path).unwrap();
    files.insert(&path, found);
    while let Some(parent) = path.parent() {
        files.list(&parent, [path.file_name()]);
        path = parent;
    }
}

pub(in crate::target) fn daemon_json(text: &str) -> Files {
    files(&[("etc/docker/daemon.json", text)])
}

pub(in crate::target) fn notes(notes: &[Note]) -> Vec<&str> {
    notes.iter().map(|note| note.message.as_str()).collect()
}

pub(in crate::target) fn conflicts(conflicts: &[Conflict]) -> Vec<(&str, &str, &str)> {
    conflicts
        .iter()
        .map(|one| (one.path.as_str(), one.message.as_str(), one.cure.as_str()))
        .collect()
}
