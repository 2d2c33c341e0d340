#![expect(clippy::disallowed_methods, reason = "makes trees to read")]

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use tempfile::TempDir;

use super::*;
use crate::content::{Content, Sha256Hex};
use crate::target::Target;

const DOCKER: &str = "etc/docker/certs.d";
const CONTAINERD: &str = "etc/containerd/certs.d";

struct Node {
    tree: TempDir,
    root: NodeRoot,
}

impl Node {
    fn with(files: &[(&str, &str)]) -> Self {
        let tree = tempfile::tempdir().unwrap();
        let root = NodeRoot::open(tree.path()).unwrap();
        let node = Self { tree, root };
        for (path, text) in files {
            node.put(path, text);
        }
        node
    }

    fn put(&self, path: &str, text: &str) {
        let full = self.tree.path().join(path);
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        fs::write(&full, text).unwrap();
        fs::set_permissions(full, fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn link(&self, path: &str, target: &str) {
        let full = self.tree.path().join(path);
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        symlink(target, full).unwrap();
    }

    fn files(&self, hosts: &[&str], owned: &[&str]) -> Files {
        let ours =
            OwnedFile { target: Target::DockerCerts, sha256: Sha256Hex::of(b""), mode: 0o644 };
        let owned = owned.iter().map(|path| (NodePath::new(path).unwrap(), ours.clone())).collect();
        let overrides = Overrides::default();
        let none = BTreeSet::new();
        let query = Query {
            live: false,
            overrides,
            hosts: &none,
            owned: &owned,
            bundle: false,
            swarm: false,
        };
        let detected = detect(&self.root, false, &overrides).unwrap();
        read(&self.root, &detected, hosts.iter().copied(), &query)
    }
}

fn file(text: &str) -> Found {
    Found::File { content: Content::plain(text), mode: 0o644, immutable: false }
}

fn link(to: &str) -> Found {
    Found::Symlink { to: to.to_owned() }
}

fn found<const N: usize>(all: [(&str, Found); N]) -> HashMap<NodePath, Found> {
    all.map(|(path, found)| (NodePath::new(path).unwrap(), found)).into()
}

fn listings<const N: usize>(all: [(&str, &[&str]); N]) -> HashMap<NodePath, BTreeSet<String>> {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    all.map(|(path, all)| (NodePath::new(path).unwrap(), names(all))).into()
}

#[test]
fn an_empty_tree_holds_nothing() {
    let query = Query {
        live: true,
        overrides: Overrides::default(),
        hosts: &BTreeSet::new(),
        owned: &BTreeMap::new(),
        bundle: true,
        swarm: false,
    };
    let nothing = Observed {
        bundle_written: None,
        files: Files::default(),
        docker: None,
        containerd: None,
        ca_layout: None,
        unmanaged: Vec::new(),
        live: true,
    };
    assert_eq!(observe(&Node::with(&[]).root, &query).unwrap(), nothing);
}

#[test]
fn a_registrys_directories_are_read_and_other_peoples_only_listed() {
    let node = Node::with(&[
        ("etc/docker/daemon.json", "{}"),
        ("etc/docker/certs.d/a.corp:5000/ca.crt", "CA"),
        ("etc/docker/certs.d/a.corp:5000/sub/x", "not looked into"),
        ("etc/docker/certs.d/_default/hosts.toml", "D"),
        ("etc/docker/certs.d/other.corp/ca.crt", "OTHER"),
        ("etc/containerd/certs.d/a.corp_5000_/hosts.toml", "ALIAS"),
    ]);
    node.link("etc/containerd/certs.d/a.corp:5000", "a.corp_5000_");
    node.link("etc/docker/certs.d/a.corp:5000/b.crt", "/elsewhere");

    let directory = || Found::Directory;
    let files = node.files(&["a.corp:5000", "absent.corp"], &[]);
    assert_eq!(
        (files.found(), files.listings()),
        (
            found([
                ("etc", directory()),
                ("etc/docker", directory()),
                ("etc/docker/daemon.json", file("{}")),
                (DOCKER, directory()),
                ("etc/docker/certs.d/a.corp:5000", directory()),
                ("etc/docker/certs.d/a.corp:5000/b.crt", link("/elsewhere")),
                ("etc/docker/certs.d/a.corp:5000/ca.crt", file("CA")),
                ("etc/docker/certs.d/a.corp:5000/sub", directory()),
                ("etc/docker/certs.d/_default", directory()),
                ("etc/docker/certs.d/_default/hosts.toml", file("D")),
                ("etc/containerd", directory()),
                (CONTAINERD, directory()),
                ("etc/containerd/certs.d/a.corp:5000", link("a.corp_5000_")),
                ("etc/containerd/certs.d/a.corp_5000_", directory()),
                ("etc/containerd/certs.d/a.corp_5000_/hosts.toml", file("ALIAS")),
            ]),
            listings([
                (DOCKER, &["_default", "a.corp:5000", "other.corp"]),
                ("etc/docker/certs.d/a.corp:5000", &["b.crt", "ca.crt", "sub"]),
                ("etc/docker/certs.d/_default", &["hosts.toml"]),
                (CONTAINERD, &["a.corp:5000", "a.corp_5000_"]),
                ("etc/containerd/certs.d/a.corp_5000_", &["hosts.toml"]),
            ]),
        )
    );
}

#[test]
fn every_directory_that_config_path_names_is_read() {
    let config =
        "imports = [\"more.toml\"]\n[plugins.x.registry]\nconfig_path = \"/opt/a:/opt/b\"\n";
    let more = "[plugins.y.registry]\nconfig_path = \"/opt/c\"\n";
    let node = Node::with(&[
        ("usr/bin/containerd", ""),
        ("etc/containerd/config.toml", config),
        ("etc/containerd/more.toml", more),
        ("opt/a/h/hosts.toml", "A"),
        ("opt/c/h/hosts.toml", "C"),
    ]);
    let directory = || Found::Directory;
    assert_eq!(
        node.files(&["h"], &[]).found(),
        found([
            ("etc", directory()),
            ("etc/containerd", directory()),
            ("etc/containerd/config.toml", file(config)),
            ("etc/containerd/more.toml", file(more)),
            ("opt", directory()),
            ("opt/a", directory()),
            ("opt/a/h", directory()),
            ("opt/a/h/hosts.toml", file("A")),
            ("opt/c", directory()),
            ("opt/c/h", directory()),
            ("opt/c/h/hosts.toml", file("C")),
        ])
    );
}

#[test]
fn what_is_ours_is_read_wherever_it_lies_and_once() {
    let node = Node::with(&[
        ("etc/docker/certs.d/gone.corp/ca.crt", "CA"),
        ("etc/docker/certs.d/gone.corp/foreign.crt", "X"),
        ("etc/containerd/certs.d/gone.corp/hosts.toml", "not ours, not looked at"),
        ("opt/old-hosts/h/hosts.toml", "OLD"),
    ]);
    let owned = [
        "etc/docker/certs.d/gone.corp/ca.crt",
        "etc/docker/certs.d/absent.corp/ca.crt",
        "opt/old-hosts/h/hosts.toml",
        "opt/old-hosts/h",
        "opt/absent",
    ];
    let files = node.files(&[], &owned);
    let directory = || Found::Directory;
    assert_eq!(
        files.found(),
        found([
            ("etc", directory()),
            ("etc/docker", directory()),
            (DOCKER, directory()),
            ("etc/docker/certs.d/gone.corp", directory()),
            ("etc/docker/certs.d/gone.corp/ca.crt", file("CA")),
            ("etc/docker/certs.d/gone.corp/foreign.crt", file("X")),
            ("etc/containerd", directory()),
            (CONTAINERD, directory()),
            ("opt/old-hosts/h", directory()),
            ("opt/old-hosts/h/hosts.toml", file("OLD")),
        ])
    );
}

#[test]
fn links_on_the_way_are_followed_and_at_the_end_are_not() {
    let node = Node::with(&[
        ("data/docker/real.json", "{}"),
        ("data/docker/certs.d/h/ca.crt", "CA"),
        ("data/elsewhere/ca.crt", "E"),
    ]);
    node.link("etc/docker", "/data/docker");
    node.link("data/docker/daemon.json", "real.json");
    node.link("data/docker/certs.d/linked", "/data/elsewhere");
    node.link("etc/containerd", "/nowhere");
    let directory = || Found::Directory;
    assert_eq!(
        node.files(&["h", "linked"], &["etc/docker/certs.d/linked/ca.crt"]).found(),
        found([
            ("etc", directory()),
            ("etc/docker", directory()),
            ("etc/docker/daemon.json", link("real.json")),
            (DOCKER, directory()),
            ("etc/docker/certs.d/h", directory()),
            ("etc/docker/certs.d/h/ca.crt", file("CA")),
            ("etc/docker/certs.d/linked", link("/data/elsewhere")),
            ("etc/containerd", link("/nowhere")),
        ])
    );
}

#[test]
fn the_system_store_is_listed_and_what_is_ours_in_it_read() {
    let anchors = "usr/local/share/ca-certificates";
    let node = Node::with(&[
        ("etc/os-release", "ID=debian\n"),
        ("usr/sbin/update-ca-certificates", ""),
        ("usr/local/share/ca-certificates/regtrust-1.crt", "OURS"),
        ("usr/local/share/ca-certificates/regtrust-1.crt.tmp", ""),
        ("usr/local/share/ca-certificates/corp.crt", "THEIRS"),
        ("etc/ssl/certs/ca-certificates.crt", "BUNDLE"),
    ]);
    let files = node.files(&[], &["usr/local/share/ca-certificates/regtrust-2.crt"]);
    let directory = || Found::Directory;
    let expected = found([
        ("etc", directory()),
        ("usr", directory()),
        ("usr/local", directory()),
        ("usr/local/share", directory()),
        (anchors, directory()),
        ("usr/local/share/ca-certificates/regtrust-1.crt", file("OURS")),
    ]);
    assert_eq!(files.found(), expected);
    let names: &[_] = &["corp.crt", "regtrust-1.crt", "regtrust-1.crt.tmp"];
    assert_eq!(files.listings(), listings([(anchors, names)]));

    let bundle = CaLayout::Debian.bundle();
    let time = rustix::fs::Timespec { tv_sec: 1_700_000_000, tv_nsec: 5 };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    let flags = rustix::fs::AtFlags::empty();
    rustix::fs::utimensat(&node.root, bundle.as_str(), &times, flags).unwrap();
    let written = jiff::Timestamp::new(1_700_000_000, 5).unwrap();
    let query = Query {
        live: false,
        overrides: Overrides::default(),
        hosts: &BTreeSet::new(),
        owned: &BTreeMap::new(),
        bundle: true,
        swarm: false,
    };
    let observed = observe(&node.root, &query).unwrap();
    assert_eq!(observed.ca_layout, Some(CaLayout::Debian));
    assert_eq!(observed.bundle_written, Some(written));
    let unread = observe(&node.root, &Query { bundle: false, ..query }).unwrap();
    assert_eq!(unread.bundle_written, None);
    assert_eq!(observed.files.get(&bundle), Some(&file("BUNDLE")));
    let theirs = CaLayout::Debian.anchors().join("corp.crt");
    assert_eq!(observed.files.get(&theirs), Some(&file("THEIRS")), "it may be the CA we add");
}

#[test]
fn a_directory_that_cannot_be_dealt_with_concerns_its_registry_alone() {
    let node = Node::with(&[
        ("etc/docker/certs.d/a/ca.crt", "A"),
        ("etc/docker/certs.d/b/ca.crt", "B"),
        ("etc/docker/certs.d/c", "a file"),
    ]);
    let odd = node.tree.path().join("etc/docker/certs.d/a").join(OsStr::from_bytes(b"\xff.crt"));
    fs::write(odd, "").unwrap();
    node.link(CONTAINERD, "certs.d");
    let unreadable = |error: &str| Found::Unreadable { error: error.to_owned() };
    let name = || unreadable(r"it holds `\xff.crt`, whose name is not UTF-8; rename it");
    let looped = || unreadable("Too many levels of symbolic links (os error 40)");
    let directory = || Found::Directory;
    assert_eq!(
        node.files(&["a", "b", "c"], &["etc/containerd/certs.d/ours/hosts.toml"]).found(),
        found([
            ("etc", directory()),
            ("etc/docker", directory()),
            (DOCKER, directory()),
            ("etc/docker/certs.d/a", name()),
            ("etc/docker/certs.d/b", directory()),
            ("etc/docker/certs.d/b/ca.crt", file("B")),
            ("etc/docker/certs.d/c", file("a file")),
            ("etc/containerd", directory()),
            (CONTAINERD, looped()),
            ("etc/containerd/certs.d/a", looped()),
            ("etc/containerd/certs.d/b", looped()),
            ("etc/containerd/certs.d/c", looped()),
            ("etc/containerd/certs.d/ours", looped()),
            ("etc/containerd/certs.d/_default", looped()),
        ])
    );
}

#[test]
fn a_key_is_read_as_a_secret() {
    let node = Node::with(&[("etc/docker/certs.d/h/client.key", "hunter2")]);
    let shown = format!("{:?}", node.files(&["h"], &[]));
    assert!(shown.contains("<7 secret bytes>") && !shown.contains("hunter2"), "{shown}");
}
