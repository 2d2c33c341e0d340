#![expect(clippy::disallowed_methods, reason = "makes trees to read")]

use std::fs;
use std::os::unix::fs::symlink;

use jiff::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::observed::{CriUse, Flag, Running};

mod runtimes;

/// A node with these files. A name with a slash at its end is a directory, and ` -> ` makes a link.
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
        let (path, target) = path.split_once(" -> ").unwrap_or((path, ""));
        let full = self.tree.path().join(path);
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        if !target.is_empty() {
            symlink(target, full).unwrap();
        } else if path.ends_with('/') {
            fs::create_dir_all(full).unwrap();
        } else {
            fs::write(full, text).unwrap();
        }
    }

    fn detect(&self) -> Detected {
        detect(&self.root, false, &Overrides::default()).unwrap()
    }

    fn live(&self) -> Detected {
        detect(&self.root, true, &Overrides::default()).unwrap()
    }
}

fn since(milliseconds: i64) -> Running {
    Running::Since(Timestamp::from_millisecond(milliseconds).unwrap())
}

#[test]
fn an_empty_tree_has_nothing() {
    let nothing = Detected {
        docker: None,
        containerd: None,
        host_directories: BTreeSet::new(),
        cri_is_disabled: false,
        ca_layout: None,
        unmanaged: Vec::new(),
    };
    assert_eq!(Node::with(&[]).detect(), nothing);
    assert_eq!(Node::with(&[]).live(), nothing);
}

#[test]
fn a_ca_layout_needs_its_tool() {
    let debian = ("etc/os-release -> ../usr/lib/os-release", "");
    let release = ("usr/lib/os-release", "ID=debian\n");
    let tool = ("usr/sbin/update-ca-certificates", "#!/bin/sh\n");
    let trust = ("usr/bin/update-ca-trust", "#!/bin/sh\n");
    let anchors = ("etc/pki/ca-trust/source/anchors/", "");
    for (files, expected) in [
        (vec![debian, release, tool], Some(CaLayout::Debian)),
        (vec![debian, release], None),
        (vec![debian, release, trust, anchors], Some(CaLayout::Redhat)),
        (vec![debian, release, tool, trust, anchors], Some(CaLayout::Debian)),
        (vec![release, tool], Some(CaLayout::Debian)),
        (vec![("etc/os-release", "ID=alpine\n"), tool], Some(CaLayout::Alpine)),
        (vec![("etc/os-release", "ID=arch\n"), trust], Some(CaLayout::Arch)),
        (
            vec![("etc/os-release", "ID=sles\n"), tool, ("etc/pki/trust/anchors/", "")],
            Some(CaLayout::Suse),
        ),
        (vec![tool, ("var/lib/dpkg/status", "")], Some(CaLayout::Debian)),
        (vec![tool, ("lib/apk/db/installed", "")], Some(CaLayout::Alpine)),
        (vec![trust, ("etc/ca-certificates/trust-source/anchors/", "")], Some(CaLayout::Arch)),
        (vec![tool], None),
        (vec![("etc/os-release", "ID=nixos\n")], None),
    ] {
        assert_eq!(Node::with(&files).detect().ca_layout, expected, "{files:?}");
    }
}

#[test]
fn what_is_not_managed_is_named_with_its_cure() {
    for (files, expected) in [
        (vec!["snap/docker/current/"], vec![("docker from a snap", "/snap/docker/current")]),
        (vec!["var/snap/docker/common/"], vec![("docker from a snap", "/var/snap/docker")]),
        (
            vec!["home/ann/.config/systemd/user/docker.service", "home/bob/.config/"],
            vec![("rootless docker of `ann`", "/home/ann/.config/systemd/user/docker.service")],
        ),
        (
            vec!["root/.config/docker/daemon.json"],
            vec![("rootless docker of `root`", "/root/.config/docker/daemon.json")],
        ),
        (
            vec!["var/lib/rancher/rke2/agent/", "etc/rancher/k3s/k3s.yaml"],
            vec![
                ("containerd of k3s", "/etc/rancher/k3s"),
                ("containerd of rke2", "/var/lib/rancher/rke2"),
            ],
        ),
        (
            vec!["home/eve/.config -> .config"],
            vec![(
                "rootless docker of `eve`, perhaps (Too many levels of symbolic links (os error 40))",
                "/home/eve",
            )],
        ),
    ] {
        let files: Vec<_> = files.into_iter().map(|file| (file, "")).collect();
        let found = Node::with(&files).detect().unmanaged;
        let shown: Vec<_> = found.iter().map(|one| (&*one.what, &*one.path)).collect();
        assert_eq!(shown, expected);
        assert!(found.iter().all(|one| !one.cure.is_empty()));
    }
}

#[test]
fn who_cannot_see_a_home_still_sees_the_rootless_docker_that_runs() {
    let mut files = vec![
        ("proc/1/comm", "systemd\n"),
        ("proc/1/cgroup", "0::/init.scope\n"),
        ("proc/9/comm", "dockerd\n"),
        ("proc/9/stat", "9 (dockerd) S 1 9 9 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 500 0 0"),
        (
            "proc/9/cgroup",
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/docker.service\n",
        ),
    ];
    let found = Node::with(&files).live().unmanaged;
    let [one] = &found[..] else { panic!("{found:?}") };
    assert_eq!((&*one.what, &*one.path), ("rootless docker of user 1000", "/run/user/1000"));
    // A home that can be seen says more.
    files.push(("home/ann/.config/docker/daemon.json", "{}"));
    let found = Node::with(&files).live().unmanaged;
    let [one] = &found[..] else { panic!("{found:?}") };
    assert_eq!(one.what, "rootless docker of `ann`");
    // The node's own docker is none.
    files.truncate(4);
    files.push(("proc/9/cgroup", "0::/system.slice/docker.service\n"));
    assert_eq!(Node::with(&files).live().unmanaged, []);
}

#[test]
fn imports_are_followed_in_the_order_in_which_they_are_merged() {
    let node = Node::with(&[
        (
            "etc/containerd/config.toml",
            "imports = [\"/etc/containerd/conf.d/*.toml\", \"local.toml\", \"/gone.toml\", \
             \"/none/*.toml\", \"config.toml\"]\n[plugins.a.registry]\nconfig_path = \"/hosts/a\"\n",
        ),
        (
            "etc/containerd/conf.d/20.toml",
            "disabled_plugins = [\"cri\"]\n[plugins.b.registry]\nconfig_path = \"/hosts/b\"\n",
        ),
        ("etc/containerd/conf.d/10.toml", "imports = [\"nested.toml\", \"20.toml\"]\n"),
        ("etc/containerd/conf.d/.hidden.toml", ""),
        ("etc/containerd/conf.d/readme.md", ""),
        ("etc/containerd/conf.d/nested.toml -> /elsewhere/nested", ""),
        ("elsewhere/nested", "[plugins.c.registry]\nconfig_path = \"/hosts/c\"\n"),
        ("etc/containerd/local.toml", "this is no TOML"),
        ("usr/bin/containerd", ""),
    ]);
    let detected = node.detect();
    let imports = detected.containerd.unwrap().imports;
    assert_eq!(
        imports.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "/etc/containerd/conf.d/.hidden.toml",
            "/etc/containerd/conf.d/10.toml",
            "/etc/containerd/conf.d/20.toml",
            "/etc/containerd/conf.d/nested.toml",
            "/etc/containerd/local.toml",
            "/gone.toml",
        ]
    );
    let directories = ["hosts/a", "hosts/b", "hosts/c"].map(|path| NodePath::new(path).unwrap());
    assert_eq!(detected.host_directories, BTreeSet::from(directories));
    assert!(detected.cri_is_disabled);
}
