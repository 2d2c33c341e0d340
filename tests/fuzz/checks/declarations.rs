//! Drop-in files, from their text to what every runtime would be given.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use regtrust::content::Content;
use regtrust::ledger::Ledger;
use regtrust::node_path;
use regtrust::observed::{Containerd, CriUse, Docker, Files, Running, Version};
use regtrust::path::NodePath;
use regtrust::target::{Item, containerd_config, containerd_hosts, docker_certs, docker_daemon};
use regtrust::trust::certificate_cache::CertificateCache;
use regtrust::trust::declaration::{Declarations, Draft};
use regtrust::trust::entry::Entry;
use regtrust::trust::stored::{self, Restorer};

use super::assert_printable;

/// 2026-06-01.
const NOW: i64 = 1_780_272_000;

pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some(declarations) = declare(text) else { return };
    for problem in &declarations.problems {
        assert_printable(problem);
    }
    let hosts: BTreeSet<_> = declarations.entries.iter().map(|entry| &entry.host).collect();
    assert_eq!(hosts.len(), declarations.entries.len(), "each host once");
    declarations.entries.iter().for_each(|entry| check_stored(entry));
    check_rendered(&declarations.entries);
}

fn declare(text: &str) -> Option<Declarations> {
    let file = node_path!("etc/regtrust/registries.d/x.toml");
    let draft = match Draft::parse(text, &file) {
        Ok(draft) => draft,
        Err(broken) => return Some(broken),
    };
    let loaded = draft.references().into_keys().map(|path| (path.clone(), load(&path)));
    let now = Timestamp::from_second(NOW).ok()?;
    Some(draft.complete(&loaded.collect(), &mut CertificateCache::new(now)))
}

fn load(path: &NodePath) -> Result<Content, String> {
    let key = include_bytes!("../../fixtures/certs/client-ec.key");
    Ok(match path.file_name() {
        "ca.pem" => Content::plain(include_bytes!("../../fixtures/certs/ca-p256.pem")),
        "server.pem" => Content::plain(include_bytes!("../../fixtures/certs/server-self.pem")),
        "client.pem" => Content::plain(include_bytes!("../../fixtures/certs/client-ec.pem")),
        "client.key" => Content::secret(key.to_vec()),
        _ => return Err("it is not there".to_owned()),
    })
}

/// A rollback gets back what was accepted.
fn check_stored(entry: &Entry) {
    let mut blobs = BTreeMap::new();
    let kept = stored::store(entry, &mut blobs);
    let blob = |digest| blobs.get(&digest).cloned();
    assert_eq!(Restorer::new(&blob).restore(&kept).as_ref(), Ok(entry));
}

/// On an empty node nothing is in the way, and each file lies where its runtime looks.
fn check_rendered(entries: &[Arc<Entry>]) {
    let entries: Vec<_> = entries.iter().map(AsRef::as_ref).collect();
    let (files, ledger) = (Files::default(), Ledger::default());
    let hosts_dir = containerd_config::default_hosts_dir();
    for version in [None, Some(Version::new(20, 10, 0)), Some(Version::new(28, 5, 2))] {
        let docker = Docker { version, running: Running::Unknown, flags: Vec::new() };
        let certs = docker_certs::want(&entries, &docker, &files, &ledger);
        let certs_d = node_path!("etc/docker/certs.d");
        assert!(certs.files.iter().all(|file| file.path.is_beneath(&certs_d)));
        docker_daemon::want(&entries, &docker, &files, &ledger.docker_daemon);
    }
    for version in [None, Some(Version::new(1, 6, 0)), Some(Version::new(2, 2, 0))] {
        let cri = CriUse::Used("kubelet".to_owned());
        let containerd =
            Containerd { version, running: Running::Unknown, cri, imports: Vec::new() };
        let wants =
            containerd_hosts::want(&entries, &containerd, &hosts_dir, &files, &ledger.files);
        assert!(wants.files.iter().all(|file| file.path.is_beneath(&hosts_dir)));
        assert_eq!(wants.conflicts, []);
        // To 1.6 an IPv6 address is no reference; else hosts.toml can say it all.
        let has_references = version.is_none_or(|version| version >= Version::new(1, 7, 0));
        let is_ipv6 = |item: &Item| item.host.ip().is_some_and(|ip| ip.is_ipv6());
        let unsaid = &wants.inexpressible;
        assert!(unsaid.iter().all(|item| !has_references && is_ipv6(item)), "{unsaid:?}");
    }
}
