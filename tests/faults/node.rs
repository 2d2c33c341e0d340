//! A node with docker, containerd under a kubelet, and Debian's CA store, as files.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Command, Output};

use rustix::fs::XattrFlags;

/// An extended attribute of daemon.json, to see that it is kept.
pub(crate) const ATTRIBUTE: &str = "user.regtrust-test";

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_regtrust");
pub(crate) const DECLARATIONS: &str = "etc/regtrust/registries.d";

const PACKAGES: &str = "\
Package: docker.io
Status: install ok installed
Version: 26.1.5+dfsg1-9

Package: containerd
Status: install ok installed
Version: 1.7.24~ds1-6
";

/// Somebody's settings, as they would lie on a node that is in use.
const DAEMON: &str =
    "{\n  \"log-driver\": \"journald\",\n  \"insecure-registries\": [\"old.corp\"]\n}\n";
const CONFIG: &str = "version = 2\n# keep\n[plugins.\"io.containerd.grpc.v1.cri\"]\n  \
                      sandbox_image = \"pause:3.9\"\n";

/// Makes an empty directory a node with nothing but its programs.
pub(crate) fn bare(root: &Path) {
    for directory in
        [DECLARATIONS, "usr/local/share/ca-certificates", "etc/docker", "etc/containerd"]
    {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    put(root, "etc/os-release", "ID=debian\n");
    put(root, "usr/bin/dockerd", "");
    put(root, "usr/bin/containerd", "");
    put(root, "usr/sbin/update-ca-certificates", "#!/bin/sh\n");
    put(root, "var/lib/dpkg/status", PACKAGES);
    put(root, "var/lib/kubelet/config.yaml", "kind: KubeletConfiguration\n");
}

/// The same with what administrators and other tools have put there.
pub(crate) fn lived_in(root: &Path) {
    bare(root);
    put(root, "etc/docker/daemon.json", DAEMON);
    put(root, "etc/containerd/config.toml", CONFIG);
    put(root, "etc/docker/certs.d/harbor.corp:8443/theirs.txt", "somebody's\n");
    put(root, "etc/docker/certs.d/other.corp/ca.crt", "somebody's\n");
    put(root, "etc/containerd/certs.d/other.corp/hosts.toml", "server = \"https://other.corp\"\n");
    put(root, "usr/local/share/ca-certificates/theirs.crt", &fixture("ca-p256.pem"));
    let daemon = root.join("etc/docker/daemon.json");
    fs::set_permissions(&daemon, fs::Permissions::from_mode(0o640)).unwrap();
    if crate::strace::is_root() {
        chown(&daemon, Some(1234), Some(1234)).unwrap();
    }
    // Not every file system has them; where there are none there is nothing to keep.
    let _ = rustix::fs::setxattr(&daemon, ATTRIBUTE, b"kept", XattrFlags::empty());
}

pub(crate) fn put(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Declares these registries, and nothing else. `{certificates}` are fixtures to put beside them.
pub(crate) fn declare(root: &Path, registries: &str, certificates: &[(&str, &str)]) {
    withdraw(root);
    put(root, &format!("{DECLARATIONS}/corp.toml"), registries);
    for (name, of) in certificates {
        let path = format!("{DECLARATIONS}/{name}");
        put(root, &path, &fixture(of));
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// Takes all declarations away.
pub(crate) fn withdraw(root: &Path) {
    for entry in fs::read_dir(root.join(DECLARATIONS)).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
}

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/certs").join(name);
    fs::read_to_string(path).unwrap()
}

/// The program and its arguments, for this node.
pub(crate) fn regtrust<'a>(root: &'a Path, command: &'a [&str]) -> Vec<&'a OsStr> {
    let node = [OsStr::new(PROGRAM), OsStr::new("--root"), root.as_os_str()];
    node.into_iter().chain(command.iter().map(OsStr::new)).collect()
}

/// Runs regtrust on this node, undisturbed.
pub(crate) fn run(root: &Path, command: &[&str]) -> Output {
    Command::new(PROGRAM).arg("--root").arg(root).args(command).output().unwrap()
}
