use super::*;
use crate::content::Content;
use crate::ledger::ConfigOwned;
use crate::observed::{Containerd, CriUse, Files, Found, Running};

mod examine;
mod merge;

const DIR: &str = "/etc/containerd/certs.d";
const DEFAULT_1_7: &str = include_str!("fixtures/default-1.7.toml");
const DEFAULT_2_1: &str = include_str!("fixtures/default-2.1.toml");
const DEBIAN: &str = include_str!("fixtures/debian.toml");
const DOCKER_COM: &str = include_str!("fixtures/docker-com.toml");
const KUBEADM: &str = include_str!("fixtures/kubeadm.toml");

const V1_7: Option<Version> = Some(Version::new(1, 7, 24));
const V2_1: Option<Version> = Some(Version::new(2, 1, 9));
const V2_2: Option<Version> = Some(Version::new(2, 2, 0));

fn ours(replaced: Option<&str>, inserted: Option<&str>) -> ConfigOwned {
    ConfigOwned {
        created_file: false,
        config_path: DIR.to_owned(),
        replaced: replaced.map(str::to_owned),
        inserted: inserted.map(str::to_owned),
    }
}

fn file(text: &str) -> Found {
    Found::File { content: Content::plain(text), mode: 0o644, immutable: false }
}

fn containerd(version: Option<Version>, imports: &[&str]) -> Containerd {
    Containerd {
        version,
        running: Running::Unknown,
        cri: CriUse::Used("a test".to_owned()),
        imports: imports.iter().map(|path| NodePath::new(path).unwrap()).collect(),
    }
}

fn files(main: &str, others: &[(&str, &str)]) -> Files {
    let mut files = Files::default();
    files.insert(&config_file(), file(main));
    for (path, text) in others {
        files.insert(&NodePath::new(path).unwrap(), file(text));
    }
    files
}
