//! containerd: whether it is here, its version, who pulls through it, and what it imports.

use std::collections::{BTreeSet, VecDeque};

use super::expand::expand;
use super::packages::{self, Package};
use super::processes::Processes;
use super::service::{Unit, unit};
use super::{Overrides, any, containerd_config, text};
use crate::node::parse::containerd::{Config, clean};
use crate::node::parse::kubelet;
use crate::node::root::{NodeRoot, RootError};
use crate::node_path;
use crate::observed::{Containerd, CriUse, Running, Version};
use crate::path::NodePath;

const PROGRAMS: [&str; 2] = ["usr/bin/containerd", "usr/local/bin/containerd"];

const KUBELETS: [&str; 4] =
    ["usr/bin/kubelet", "usr/local/bin/kubelet", "usr/sbin/kubelet", "opt/bin/kubelet"];

const PACKAGE: Package<'_> = Package {
    debian: &["containerd", "containerd.io", "moby-containerd"],
    alpine: &["containerd"],
    arch: &["containerd"],
};

pub(super) fn detect(
    root: &NodeRoot,
    processes: Option<&Processes>,
    overrides: &Overrides,
    configuration: &Configuration,
) -> Result<Option<Containerd>, RootError> {
    let here = overrides.containerd.is_some()
        || any(root, &PROGRAMS)?
        || matches!(unit(root, "containerd.service")?, Unit::Service(_))
        || root.exists(&node_path!("run/containerd/containerd.sock"))?;
    if !here {
        return Ok(None);
    }
    let version = match overrides.containerd {
        Some(version) => Some(version),
        None => version(root)?,
    };
    let running = processes.map_or(Running::No, |processes| {
        processes.of_service(|name| name == "containerd", "containerd.service")
    });
    let cri = match overrides.cri {
        Some(true) => CriUse::Used("the configuration says so".to_owned()),
        Some(false) => CriUse::NotSeen,
        None => cri(root)?,
    };
    Ok(Some(Containerd { version, running, cri, imports: configuration.imports.clone() }))
}

/// The package's version, unless a `containerd` in `/usr/local` may be what runs instead.
fn version(root: &NodeRoot) -> Result<Option<Version>, RootError> {
    if root.exists(&node_path!("usr/local/bin/containerd"))? {
        return Ok(None);
    }
    packages::version(root, &PACKAGE)
}

fn cri(root: &NodeRoot) -> Result<CriUse, RootError> {
    let sandboxes = node_path!("var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes");
    if holds_anything(root, &sandboxes)? {
        return Ok(CriUse::Used("containerd has pod sandboxes".to_owned()));
    }
    Ok(match kubelet(root)? {
        Some(why) if !kubelet_uses_another(root)? => CriUse::Used(why.to_owned()),
        _ => CriUse::NotSeen,
    })
}

/// What shows a kubelet. k3s and RKE2 have one inside, which pulls through their own containerd.
fn kubelet(root: &NodeRoot) -> Result<Option<&'static str>, RootError> {
    if any(root, &KUBELETS)? {
        return Ok(Some("kubelet is installed"));
    }
    if matches!(unit(root, "kubelet.service")?, Unit::Service(_)) {
        return Ok(Some("there is a kubelet.service"));
    }
    if root.exists(&node_path!("etc/kubernetes/kubelet.conf"))? {
        return Ok(Some("there is a /etc/kubernetes/kubelet.conf"));
    }
    let inside = any(root, &["var/lib/rancher/k3s", "var/lib/rancher/rke2"])?;
    if !inside && holds_anything(root, &node_path!("var/lib/kubelet"))? {
        return Ok(Some("kubelet has left its files in /var/lib/kubelet"));
    }
    Ok(None)
}

/// Whether kubelet is told to use cri-dockerd or CRI-O. A restart of containerd would then bring
/// nothing, and under a running dockerd it is not free: the end of a container may go unnoticed.
fn kubelet_uses_another(root: &NodeRoot) -> Result<bool, RootError> {
    // The flag wins over the file.
    for path in ["var/lib/kubelet/kubeadm-flags.env", "var/lib/kubelet/config.yaml"] {
        let text = text(root, &NodePath::constant(path))?.unwrap_or_default();
        if let Some(endpoint) = kubelet::runtime_endpoint(&text) {
            return Ok(!endpoint.contains("containerd"));
        }
    }
    Ok(false)
}

fn holds_anything(root: &NodeRoot, directory: &NodePath) -> Result<bool, RootError> {
    let listing = root.listing(directory)?.unwrap_or_default();
    Ok(!(listing.names.is_empty() && listing.not_utf8.is_empty()))
}

/// config.toml and everything it imports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Configuration {
    /// In the order in which they are merged.
    pub(super) imports: Vec<NodePath>,
    pub(super) host_directories: BTreeSet<NodePath>,
    pub(super) cri_is_disabled: bool,
}

impl Configuration {
    /// Follows imports as containerd does: a file's own imports come after all that were named
    /// before, and a file counts once.
    pub(super) fn read(root: &NodeRoot) -> Result<Self, RootError> {
        let mut all = Self::default();
        let mut seen = BTreeSet::from([containerd_config()]);
        let mut pending = VecDeque::from([containerd_config()]);
        while let Some(path) = pending.pop_front() {
            // What cannot be read is reported where it is observed.
            let Ok(Some(text)) = text(root, &path) else { continue };
            let config = Config::read(&text);
            all.host_directories.extend(config.host_directories);
            all.cri_is_disabled |= config.cri_is_disabled;
            for import in &config.imports {
                for file in resolve(root, &path, import)? {
                    if seen.insert(file.clone()) {
                        all.imports.push(file.clone());
                        pending.push_back(file);
                    }
                }
            }
        }
        Ok(all)
    }
}

/// Only `*` makes containerd look for files; any other path is taken as it is, there or not.
fn resolve(root: &NodeRoot, from: &NodePath, import: &str) -> Result<Vec<NodePath>, RootError> {
    match clean(import, from.parent().as_ref()) {
        Some(pattern) if import.contains('*') => expand(root, &pattern),
        path => Ok(path.into_iter().collect()),
    }
}
