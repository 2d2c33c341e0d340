//! Links, pipes and devices where files and directories are expected.

use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::{Case, PLAIN, with_ca, with_ca_for_containerd};
use crate::common::Node;

fn pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap();
}

/// A tape drive that is not there, or a pipe where only root may make devices.
fn device(path: &Path) {
    let made = mknodat(CWD, path, FileType::CharacterDevice, Mode::RWXU, makedev(9, 0));
    made.unwrap_or_else(|_| pipe(path));
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = runtimes();
    cases.extend(declarations());
    cases
}

#[expect(clippy::too_many_lines, reason = "a table is as long as its cases are many")]
fn runtimes() -> Vec<Case> {
    vec![
        Case::blocked("trap: daemon.json is a link out of the tree", "symbolic link", |node| {
            node.declare(PLAIN).link("etc/docker/daemon.json", node.outside().join("precious"));
        }),
        Case::blocked("trap: daemon.json is a link with an escape", r"\u{1b}[2J\nok", |node| {
            node.declare(PLAIN).link("etc/docker/daemon.json", "/x\u{1b}[2J\nok");
        }),
        Case::blocked("trap: daemon.json is a link to itself", "symbolic link", |node| {
            node.declare(PLAIN).link("etc/docker/daemon.json", "daemon.json");
        }),
        Case::blocked("trap: daemon.json is a pipe", "no regular file", |node| {
            node.declare(PLAIN).directory("etc/docker");
            pipe(&node.path("etc/docker/daemon.json"));
        }),
        Case::blocked("trap: daemon.json is a device", "no regular file", |node| {
            node.declare(PLAIN).directory("etc/docker");
            device(&node.path("etc/docker/daemon.json"));
        }),
        Case::blocked("trap: daemon.json is a socket", "no regular file", |node| {
            node.declare(PLAIN).directory("etc/docker");
            // Its name outlives the listener.
            drop(UnixListener::bind(node.path("etc/docker/daemon.json")).unwrap());
        }),
        Case::blocked("trap: daemon.json is a directory", "no regular file", |node| {
            node.declare(PLAIN).directory("etc/docker/daemon.json");
        }),
        Case::blocked("trap: etc/docker leads out", "/etc/docker", |node| {
            node.declare(PLAIN).link("etc/docker", "../../outside");
        }),
        Case::blocked("trap: etc/docker leads out absolutely", "/etc/docker", |node| {
            node.declare(PLAIN).link("etc/docker", node.outside());
        }),
        Case::blocked("trap: etc/docker leads to itself", "/etc/docker", |node| {
            node.declare(PLAIN).link("etc/docker", "docker");
        }),
        Case::blocked("trap: etc/docker is a file", "/etc/docker", |node| {
            node.declare(PLAIN).file("etc/docker", "");
        }),
        Case::blocked("trap: certs.d leads out", "certs.d", |node| {
            with_ca(node);
            node.link("etc/docker/certs.d", "../../../outside");
        }),
        Case::blocked(
            "trap: a registry's directory leads to /etc",
            "symbolic link to `/etc`",
            |node| {
                with_ca(node);
                node.link("etc/docker/certs.d/harbor.corp", "/etc");
            },
        ),
        Case::blocked("trap: a registry's directory is a pipe", "harbor.corp", |node| {
            with_ca(node);
            node.directory("etc/docker/certs.d");
            pipe(&node.path("etc/docker/certs.d/harbor.corp"));
        }),
        Case::blocked("trap: ca.crt leads out", "symbolic link", |node| {
            with_ca(node);
            node.link("etc/docker/certs.d/harbor.corp/ca.crt", node.outside().join("precious"));
        }),
        Case::blocked("trap: a name beside ca.crt is not UTF-8", "not UTF-8", |node| {
            use std::os::unix::ffi::OsStrExt as _;
            with_ca(node);
            node.directory("etc/docker/certs.d/harbor.corp");
            let name = std::ffi::OsStr::from_bytes(b"\xff\x1b[2J.crt");
            std::fs::write(node.path("etc/docker/certs.d/harbor.corp").join(name), "x").unwrap();
        }),
        Case::blocked("trap: hosts.toml leads out", "symbolic link", |node| {
            with_ca_for_containerd(node);
            let precious = node.outside().join("precious");
            node.link("etc/containerd/certs.d/harbor.corp/hosts.toml", precious);
        }),
        Case::blocked("trap: config.toml leads out", "symbolic link", |node| {
            with_ca_for_containerd(node);
            node.link("etc/containerd/config.toml", node.outside().join("precious"));
        }),
        Case::blocked("trap: config.toml is a pipe", "is not a file", |node| {
            with_ca_for_containerd(node);
            node.directory("etc/containerd");
            pipe(&node.path("etc/containerd/config.toml"));
        }),
    ]
}

fn declarations() -> Vec<Case> {
    let drop_ins = "etc/regtrust/registries.d";
    vec![
        Case::wrong("trap: a declaration is a pipe", "not a regular file", move |node| {
            pipe(&node.path(drop_ins).join("node.toml"));
        }),
        Case::wrong("trap: a declaration is a device", "node.toml", move |node| {
            device(&node.path(drop_ins).join("node.toml"));
        }),
        Case::wrong("trap: a declaration is a directory", "not a regular file", |node| {
            node.directory("etc/regtrust/registries.d/node.toml");
        }),
        Case::wrong("trap: a declaration is a link to itself", "cannot be read", |node| {
            node.link("etc/regtrust/registries.d/node.toml", "node.toml");
        }),
        Case::wrong("trap: a declaration leads out of the tree", "a link to nothing", |node| {
            let outside = node.outside().join("node.toml");
            std::fs::write(&outside, PLAIN).unwrap();
            node.link("etc/regtrust/registries.d/node.toml", outside);
        }),
        Case::wrong("trap: a ConfigMap's link to itself", "a link to nothing", |node| {
            node.link("etc/regtrust/registries.d/..data", "..gone");
            node.link("etc/regtrust/registries.d/node.toml", "..data/node.toml");
        }),
        Case::wrong("trap: a ConfigMap in a loop", "cannot be read", |node| {
            node.link("etc/regtrust/registries.d/..data", "..data");
            node.link("etc/regtrust/registries.d/node.toml", "..data/node.toml");
        }),
        Case::wrong("trap: declarations in a loop", "registries.d", |node: &Node| {
            node.remove(drop_ins).link(drop_ins, "registries.d");
        }),
        Case::wrong("trap: declarations that lead nowhere", "leads nowhere", |node| {
            node.remove(drop_ins).link(drop_ins, "/mnt/not-yet\u{1b}[2J");
        }),
        Case::wrong("trap: declarations are a file", "is no directory", |node| {
            node.remove(drop_ins).file(drop_ins, "");
        }),
        Case::wrong("trap: a CA is a pipe", "not a regular file", |node| {
            with_ca(node);
            node.remove("etc/regtrust/registries.d/ca.pem");
            pipe(&node.path("etc/regtrust/registries.d/ca.pem"));
        }),
        Case::wrong("trap: a CA is a device", "ca.pem", |node| {
            with_ca(node);
            node.remove("etc/regtrust/registries.d/ca.pem");
            device(&node.path("etc/regtrust/registries.d/ca.pem"));
        }),
        Case::wrong("trap: a CA leads out of the tree", "it is not there", |node| {
            with_ca(node);
            node.remove("etc/regtrust/registries.d/ca.pem");
            node.link("etc/regtrust/registries.d/ca.pem", node.outside().join("precious"));
        }),
        Case::wrong("trap: a CA is a link to itself", "ca_file", |node| {
            with_ca(node);
            node.remove("etc/regtrust/registries.d/ca.pem");
            node.link("etc/regtrust/registries.d/ca.pem", "ca.pem");
        }),
    ]
}
