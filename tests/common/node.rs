//! A node on disk: a tree with the signs of a distribution and of runtimes.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Below it, `certs` has the test certificates; declarations name them as `../certs/ca.pem`.
pub(crate) const CONFIGURATION: &str = "etc/regtrust";
pub(crate) const DECLARATIONS: &str = "etc/regtrust/registries.d";
pub(crate) const STATE: &str = "var/lib/regtrust";

/// When the processes of a live node started, long before any test.
const BOOT: u64 = 1_700_000_000;

pub(crate) struct Node {
    directory: TempDir,
    /// What presets made, and no administrator.
    pub(crate) made: BTreeSet<String>,
    /// Something runs here.
    pub(crate) live: bool,
}

impl Node {
    /// A node with these presets, one in a line: `debian`, `docker 26.1.5`, `kubelet`, …
    pub(crate) fn beneath(parent: &Path, presets: &str) -> Self {
        let directory = tempfile::tempdir_in(parent).unwrap();
        let mut node = Self { directory, made: BTreeSet::new(), live: false };
        for path in ["etc", "run", "var/lib"] {
            node.make_directory(path);
        }
        let certificates = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/certs");
        copy(&certificates, &node.path(&format!("{CONFIGURATION}/certs")));
        for preset in presets.lines().filter(|line| !line.is_empty()) {
            node.preset(preset);
        }
        node
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root().join(below)
    }

    fn make_directory(&mut self, path: &str) {
        let parents: Vec<&str> = path.split('/').collect();
        for end in 1..=parents.len() {
            self.made.insert(parents[..end].join("/"));
        }
        fs::create_dir_all(self.path(path)).unwrap();
    }

    fn make(&mut self, path: &str, text: &str) {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.make_directory(parent);
        }
        self.made.insert(path.to_owned());
        let old = fs::read_to_string(self.path(path)).unwrap_or_default();
        fs::write(self.path(path), old + text).unwrap();
    }

    fn preset(&mut self, preset: &str) {
        let words: Vec<&str> = preset.split_whitespace().collect();
        match words[..] {
            ["debian"] => self.distribution("debian", "usr/sbin/update-ca-certificates", None),
            ["alpine"] => self.distribution("alpine", "usr/sbin/update-ca-certificates", None),
            ["fedora"] => {
                let anchors = Some("etc/pki/ca-trust/source/anchors");
                self.distribution("fedora", "usr/bin/update-ca-trust", anchors);
            }
            ["suse"] => {
                let anchors = Some("etc/pki/trust/anchors");
                self.distribution("sles", "usr/sbin/update-ca-certificates", anchors);
            }
            ["arch"] => {
                let anchors = Some("etc/ca-certificates/trust-source/anchors");
                self.distribution("arch", "usr/bin/update-ca-trust", anchors);
            }
            ["docker"] => self.make("usr/bin/dockerd", ""),
            ["docker", version] => {
                self.make("usr/bin/dockerd", "");
                self.package("docker.io", "docker-engine", "docker", version);
            }
            ["containerd"] => self.make("usr/bin/containerd", ""),
            ["containerd", version] => {
                self.make("usr/bin/containerd", "");
                self.package("containerd", "containerd", "containerd", version);
            }
            ["kubelet"] => self.make("usr/bin/kubelet", ""),
            ["running", name] => self.process(name),
            _ => panic!("no such preset: {preset}"),
        }
    }

    fn distribution(&mut self, id: &str, tool: &str, anchors: Option<&str>) {
        self.make("etc/os-release", &format!("ID={id}\n"));
        self.make(tool, "");
        self.make_directory(anchors.unwrap_or("usr/local/share/ca-certificates"));
    }

    /// In the package manager's database of the distribution that was named before.
    fn package(&mut self, debian: &str, alpine: &str, arch: &str, version: &str) {
        let release = fs::read_to_string(self.path("etc/os-release")).unwrap_or_default();
        match release.trim() {
            "ID=alpine" => {
                self.make("lib/apk/db/installed", &format!("P:{alpine}\nV:{version}-r0\n\n"));
            }
            "ID=arch" => {
                self.make(&format!("var/lib/pacman/local/{arch}-1:{version}-1/desc"), "");
            }
            _ => {
                let stanza = format!(
                    "Package: {debian}\nStatus: install ok installed\nVersion: {version}+dfsg1-1\n\n"
                );
                self.make("var/lib/dpkg/status", &stanza);
            }
        }
    }

    /// A process of the service of that name, on a node that is seen while it runs.
    fn process(&mut self, name: &str) {
        self.live = true;
        let (pid, comm) = if name == "docker" { (812, "dockerd") } else { (640, name) };
        let place = format!("proc/{pid}");
        let rest = "S 1 1 1 0 -1 1077936384 9011 0 72 0 218 140 0 0 20 0 11 0 4567 1921228800";
        for (path, text) in [
            ("proc/stat".to_owned(), format!("btime {BOOT}\n")),
            ("proc/1/cgroup".to_owned(), "0::/init.scope\n".to_owned()),
            (format!("{place}/comm"), format!("{comm}\n")),
            (format!("{place}/stat"), format!("{pid} ({comm}) {rest}\n")),
            (format!("{place}/cgroup"), format!("0::/system.slice/{name}.service\n")),
        ] {
            if !self.made.contains(&path) {
                self.make(&path, &text);
            }
        }
        if name == "docker" {
            self.make("run/docker.pid", &pid.to_string());
        }
    }
}

/// Copies a tree with its links; modes are what they are on a node, whatever a checkout made them.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            symlink(fs::read_link(source).unwrap(), target).unwrap();
        } else if kind.is_dir() {
            copy(&source, &target);
        } else {
            fs::write(&target, fs::read(source).unwrap()).unwrap();
            let is_key = target.extension().is_some_and(|extension| extension == "key");
            set_mode(&target, if is_key { 0o600 } else { 0o644 });
        }
    }
    set_mode(to, 0o755);
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
