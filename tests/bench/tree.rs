//! Node trees with many registries: docker 26.1.5, and containerd 1.7.24 below a kubelet.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Where the CAs of the registries come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Authorities {
    /// A company has a few, and a new registry gets its certificate from one of them.
    Shared,
    /// Every registry was set up by somebody else.
    Distinct,
}

/// Entries to a declaration file.
const PER_FILE: usize = 50;

const SHARED: [&str; 5] =
    ["ca.pem", "ca-b.pem", "ca-p256.pem", "ca-p384.pem", "ca-intermediate.pem"];

const NODE: [(&str, &str); 6] = [
    ("usr/bin/dockerd", ""),
    ("usr/bin/containerd", ""),
    ("usr/sbin/update-ca-certificates", ""),
    ("etc/os-release", "ID=debian\nVERSION_ID=\"13\"\n"),
    (
        "var/lib/kubelet/config.yaml",
        "containerRuntimeEndpoint: unix:///run/containerd/containerd.sock\n",
    ),
    (
        "var/lib/dpkg/status",
        "Package: docker.io\nStatus: install ok installed\nVersion: 26.1.5+dfsg1-9+b7\n\n\
         Package: containerd\nStatus: install ok installed\nVersion: 1.7.24~ds1-6+b4\n\n",
    ),
];

const DAEMON_JSON: &str = "{\n    \"log-driver\": \"journald\",\n    \"live-restore\": true,\n    \
                           \"insecure-registries\": [\"10.20.0.0/16\", \"old.corp\"]\n}\n";

const CONFIG_TOML: &str = "version = 2\n\n[plugins.\"io.containerd.grpc.v1.cri\"]\n  \
                           sandbox_image = \"registry.k8s.io/pause:3.9\"\n";

/// Makes a tree that declares `registries` and on which nothing was applied yet.
pub(crate) fn make(root: &Path, registries: usize, authorities: Authorities) {
    for (path, text) in NODE {
        put(&root.join(path), text);
    }
    put(&root.join("etc/docker/daemon.json"), DAEMON_JSON);
    put(&root.join("etc/containerd/config.toml"), CONFIG_TOML);
    let declarations = root.join("etc/regtrust/registries.d");
    for name in SHARED.into_iter().chain(["client.pem", "client.key"]) {
        put(&declarations.join("certs").join(name), &fixture(name));
    }
    if authorities == Authorities::Distinct {
        for (number, pem) in distinct(registries).enumerate() {
            put(&declarations.join(format!("certs/own-{number:05}.pem")), &pem);
        }
    }
    let all: Vec<usize> = (0..registries).collect();
    for (file, numbers) in all.chunks(PER_FILE).enumerate() {
        let text: String = numbers.iter().map(|number| entry(*number, authorities)).collect();
        put(&declarations.join(format!("{file:04}.toml")), &text);
    }
}

/// Most registries have a private CA; some a mirror, a client certificate, or no TLS to speak of.
fn entry(number: usize, authorities: Authorities) -> String {
    let ca = match authorities {
        Authorities::Shared => format!("certs/{}", SHARED[number % SHARED.len()]),
        Authorities::Distinct => format!("certs/own-{number:05}.pem"),
    };
    let ca = format!("trust = \"ca\"\nca_file = \"{ca}\"\n");
    let mut text = format!("[[registry]]\nhost = \"team-{number:05}.registry.corp:8443\"\n");
    match number % 20 {
        17 => text += "trust = \"insecure\"\nreason = \"a lab registry, OPS-4711\"\n",
        18 => text += "trust = \"http\"\nreason = \"behind the mesh, OPS-4712\"\n",
        19 => {
            text +=
                "client_cert_file = \"certs/client.pem\"\nclient_key_file = \"certs/client.key\"\n"
        }
        _ => {}
    }
    if !matches!(number % 20, 17 | 18) {
        text += &ca;
    }
    if matches!(number % 20, 5 | 10 | 15) {
        let mirror = number % 7;
        // Writing to a string cannot fail.
        _ = write!(
            text,
            "[[registry.mirror]]\nurl = \"https://mirror-{mirror}.corp/v2/team-{number:05}\"\n"
        );
        text += "trust = \"ca\"\nca_file = \"certs/ca.pem\"\n";
    }
    text.push('\n');
    text
}

/// Certificates that differ in their signature alone, which nobody checks in a trust anchor.
fn distinct(count: usize) -> impl Iterator<Item = String> {
    let pem = fixture("ca.pem");
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(base64).expect("ca.pem is PEM");
    (0..count).map(move |number| {
        let mut der = der.clone();
        let signature = der.len() - 8;
        der[signature..].copy_from_slice(&(number as u64).to_be_bytes());
        let base64 = STANDARD.encode(der);
        let lines = base64.as_bytes().chunks(64).map(String::from_utf8_lossy);
        let body: String = lines.map(|line| format!("{line}\n")).collect();
        format!("-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n")
    })
}

pub(crate) fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/certs").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a file lies in a directory"))
        .expect("make a directory");
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// A file that regtrust keeps on the node, relative to the tree.
#[derive(Clone, Debug)]
pub(crate) struct Managed {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
}

/// Every file that regtrust wrote for a runtime, in the order of their paths.
pub(crate) fn managed(root: &Path) -> Vec<Managed> {
    let mut paths = Vec::new();
    for directory in ["etc/docker", "etc/containerd"] {
        walk(&root.join(directory), &mut paths);
    }
    paths.sort();
    let read = |path: PathBuf| {
        let bytes = fs::read(&path).expect("read what was written");
        let path = path.strip_prefix(root).expect("it lies in the tree").to_owned();
        Managed { path, bytes }
    };
    paths.into_iter().map(read).collect()
}

fn walk(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("list a directory") {
        let entry = entry.expect("list a directory");
        if entry.file_type().expect("examine an entry").is_dir() {
            walk(&entry.path(), files);
        } else {
            files.push(entry.path());
        }
    }
}
