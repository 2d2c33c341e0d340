//! Which runtimes are here, how they are started, and how the system keeps its CAs.
//!
//! What cannot be known from files is `None` or `Unknown`, never a default: a wrong version would
//! pick the wrong effect for a change.

use std::collections::BTreeSet;

use super::root::{NodeRoot, RootError};
use crate::node_path;
use crate::observed::{CaLayout, Containerd, Docker, Unmanaged, Version};
use crate::path::NodePath;

mod ca;
mod containerd;
mod docker;
mod expand;
mod packages;
mod processes;
mod service;
#[cfg(test)]
mod tests;
mod unmanaged;

/// What an operator says because the node's files do not: an RPM database is not read, and a static
/// binary has no package.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Also says that docker is here.
    pub docker: Option<Version>,
    /// Also says that containerd is here.
    pub containerd: Option<Version>,
    /// Whether anything pulls through containerd's CRI.
    pub cri: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detected {
    pub docker: Option<Docker>,
    pub containerd: Option<Containerd>,
    /// The directories that `config_path` names in config.toml and its imports, whether or not
    /// containerd is here.
    pub host_directories: BTreeSet<NodePath>,
    /// `disabled_plugins` switches CRI off, so `config_path` has no reader.
    pub cri_is_disabled: bool,
    pub ca_layout: Option<CaLayout>,
    pub unmanaged: Vec<Unmanaged>,
}

/// Looks at a node. Only a `live` one is asked what runs; an image tree or a chroot has nothing
/// running, whatever a forgotten pid file says.
pub fn detect(root: &NodeRoot, live: bool, overrides: &Overrides) -> Result<Detected, RootError> {
    let processes = if live { Some(processes::Processes::scan(root)?) } else { None };
    let configuration = containerd::Configuration::read(root)?;
    Ok(Detected {
        docker: docker::detect(root, processes.as_ref(), overrides)?,
        containerd: containerd::detect(root, processes.as_ref(), overrides, &configuration)?,
        host_directories: configuration.host_directories,
        cri_is_disabled: configuration.cri_is_disabled,
        ca_layout: ca::layout(root)?,
        unmanaged: unmanaged::find(root, processes.as_ref())?,
    })
}

/// Where containerd's configuration is.
pub(super) fn containerd_config() -> NodePath {
    node_path!("etc/containerd/config.toml")
}

/// Whether any of the paths exists.
fn any(root: &NodeRoot, paths: &[&'static str]) -> Result<bool, RootError> {
    for path in paths {
        if root.exists(&NodePath::constant(path))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads a file through links as text. What is not UTF-8 in it cannot be a setting that we know.
fn text(root: &NodeRoot, path: &NodePath) -> Result<Option<String>, RootError> {
    Ok(root.read(path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}
