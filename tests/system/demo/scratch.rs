//! What can be shown where no node can be booted: regtrust on a directory with a node's files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use super::stage::{Stage, says, tell};
use crate::lab::Authority;

const FILES: &[(&str, &str)] = &[
    ("usr/bin/dockerd", ""),
    ("usr/bin/containerd", ""),
    ("usr/sbin/update-ca-certificates", ""),
    ("var/lib/kubelet/config.yaml", ""),
    ("etc/os-release", "ID=debian\n"),
    (
        "var/lib/dpkg/status",
        "Package: docker.io\nStatus: install ok installed\nVersion: 26.1.5+dfsg1-9\n\n\
         Package: containerd\nStatus: install ok installed\nVersion: 1.7.24~ds1-6\n",
    ),
    (
        "etc/docker/daemon.json",
        "{\n    \"log-driver\": \"journald\",\n    \"insecure-registries\": [\"old.corp:5000\"]\n}\n",
    ),
    (
        "etc/containerd/config.toml",
        "version = 2\n\n[plugins]\n  # set by the platform team; kubelet depends on it\n  \
         [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\n    \
         SystemdCgroup = true\n",
    ),
];

const DECLARATIONS: &str = "etc/regtrust/registries.d";

const DECLARATION: &str = r#"[[registry]]
host = "harbor.corp:8443"
trust = "ca"
ca_file = "harbor-ca.pem"

[[registry]]
host = "plain.corp:5080"
trust = "http"
"#;

pub(super) fn show(stage: &mut Stage, why: &str) -> ExitCode {
    stage.warn(&format!("No node can be booted here: {why}."));
    tell(
        "So this is not the demo, but as much of it as goes without one: regtrust on a directory \
         with the files of a node. Nothing is pulled, because no docker and no containerd run.",
    );
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path();
    for (path, text) in FILES {
        write(root, path, text);
    }
    let shared = || ["etc/docker", "etc/containerd"].map(|path| contents(&root.join(path)));
    let before = shared();

    stage.chapter("What is declared");
    write(root, &format!("{DECLARATIONS}/corp.toml"), DECLARATION);
    write(root, &format!("{DECLARATIONS}/harbor-ca.pem"), &Authority::new("Corp").root);
    says(DECLARATION);

    stage.chapter("What it would change, and what it would cost");
    regtrust(stage, root, "plan", 2);
    stage.chapter("One apply");
    regtrust(stage, root, "apply", 0);
    stage.chapter("The withdrawal");
    fs::remove_dir_all(root.join(DECLARATIONS)).expect("the declarations go");
    write(root, &format!("{DECLARATIONS}/none.toml"), "");
    regtrust(stage, root, "apply", 0);
    assert_eq!(shared(), before);
    tell("Every file below etc/docker and etc/containerd is again what it was.");
    ExitCode::SUCCESS
}

fn regtrust(stage: &Stage, root: &Path, command: &str, expected: i32) {
    stage.prompt(&format!("regtrust --root NODE {command}"));
    let colour = if stage.has_colour() { "always" } else { "never" };
    let mut regtrust = Command::new(env!("CARGO_BIN_EXE_regtrust"));
    regtrust.args(["--color", colour, "--root"]).arg(root).arg(command);
    let output = regtrust.output().expect("regtrust starts");
    says(&String::from_utf8_lossy(&output.stdout));
    says(&String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(expected));
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("a file is in a directory")).expect("a directory");
    fs::write(path, text).expect("a file");
}

/// All files below, with their contents.
fn contents(directory: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        found.push((path.clone(), fs::read(&path).ok()));
        if path.is_dir() {
            found.extend(contents(&path));
        }
    }
    found.sort();
    found
}
