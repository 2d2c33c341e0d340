use jiff::Timestamp;

use super::*;
use crate::content::{Content, Sha256Hex};
use crate::observed::{Found, Running, Version};
use crate::trust::certificate::{CaBundle, CaCertificate, ClientPair};
use crate::trust::entry::{Capability, Mirror, Origin};

mod obstacles;
mod wanted;

fn bundle(seed: u8) -> CaBundle {
    let letter = char::from(b'A' + seed);
    let text: String = std::iter::repeat_n(letter, 64).collect();
    CaBundle::unchecked(vec![CaCertificate {
        fingerprint: Sha256Hex::of(&[seed]),
        spki: Sha256Hex::of(&[seed]),
        subject: format!("CN={seed}"),
        not_before: Timestamp::UNIX_EPOCH,
        not_after: Timestamp::UNIX_EPOCH,
        is_authority: true,
        rsa_bits: None,
        has_name_constraints: false,
        is_self_issued: true,
        has_server_names: false,
        pem: format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n").into(),
    }])
}

fn client() -> ClientPair {
    ClientPair {
        fingerprint: Sha256Hex::of(b"client"),
        not_after: Timestamp::UNIX_EPOCH,
        certificate: Content::plain("CERT"),
        key: Content::secret(b"KEY".to_vec()),
    }
}

fn entry(host: &str, trust: Trust) -> Entry {
    Entry {
        host: RegistryHost::unchecked(host),
        trust,
        client: None,
        system_store: false,
        reason: None,
        until: None,
        runtimes: None,
        mirrors: vec![],
        fallback: true,
        origin: Origin { owner: "local".into(), file: "a.toml".into(), line: 1 },
    }
}

fn mirror(host: &str, path: &str, trust: Trust) -> Mirror {
    Mirror {
        host: RegistryHost::unchecked(host),
        path: path.to_owned(),
        trust,
        capabilities: [Capability::Pull, Capability::Resolve].into(),
    }
}

fn containerd(version: Option<Version>) -> Containerd {
    let cri = CriUse::Used("a test".to_owned());
    Containerd { version, running: Running::Unknown, cri, imports: vec![] }
}

/// Below `etc/containerd/certs.d`: a directory for a path that ends in a slash, else a file.
fn node(paths: &[(&str, &[u8])]) -> Files {
    let mut files = Files::default();
    for (path, bytes) in paths {
        let full = NodePath::new(&format!("etc/containerd/certs.d/{path}")).unwrap();
        let directory = if path.ends_with('/') { full.clone() } else { full.parent().unwrap() };
        files.insert(&directory, Found::Directory);
        files.list(&directory, None);
        if !path.ends_with('/') {
            files.list(&directory, [full.file_name()]);
            let content = Content::plain(bytes);
            files.insert(&full, Found::File { content, mode: 0o644, immutable: false });
        }
    }
    files
}

fn hosts_dir() -> NodePath {
    node_path!("etc/containerd/certs.d")
}

fn own(paths: &[&str]) -> BTreeMap<NodePath, OwnedFile> {
    let file =
        OwnedFile { target: Target::ContainerdHosts, sha256: Sha256Hex::of(b""), mode: 0o644 };
    paths.iter().map(|path| (hosts_dir().join(path), file.clone())).collect()
}

fn plan(entry: &Entry, files: &Files) -> Wants {
    let containerd = containerd(Some(Version::new(1, 7, 24)));
    want(&[entry], &containerd, &hosts_dir(), files, &BTreeMap::new())
}

fn only(host: &str) -> Item {
    Item { host: RegistryHost::unchecked(host), on: Believer::Containerd }
}
