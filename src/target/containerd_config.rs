//! containerd's config.toml: the one key, `config_path`, that makes CRI read registry settings.
//!
//! Everything else is somebody else's, and a wrong edit takes the kubelet's runtime down: containerd
//! stays up and only its CRI plugin fails to load. So [`examine()`] first says what the present
//! configuration means to the containerd that reads it, and [`merge()`] edits only where that is
//! "nothing is set".

mod examine;
mod merge;
mod registry;
mod splice;
#[cfg(test)]
mod tests;
mod tree;

pub use examine::{ConfigState, HostsDir, examine};
pub use merge::{MergeError, Merged, merge};

use crate::node_path;
use crate::observed::Version;
use crate::path::NodePath;
use tree::Tree;

/// Where `config_path` points when regtrust sets it.
pub fn default_hosts_dir() -> NodePath {
    node_path!("etc/containerd/certs.d")
}

pub fn config_file() -> NodePath {
    node_path!("etc/containerd/config.toml")
}

/// A file that does not say its version is read as this, and then plugins go by other names.
const LEGACY_VERSION: i64 = 1;

/// The default of containerd 2.2 and later. Its pulls go through the transfer service, which takes
/// the list as the name of one directory, and finds nothing.
const DEFAULT_LIST: &str = "/etc/containerd/certs.d:/etc/docker/certs.d";

/// `None`: the file does not say.
fn version_of(file: &Tree) -> Option<i64> {
    file.get(&["version"]).and_then(Tree::integer)
}

fn plugin(version: i64) -> &'static str {
    if version >= 3 { "io.containerd.cri.v1.images" } else { "io.containerd.grpc.v1.cri" }
}

fn config_path_key(version: i64) -> [&'static str; 4] {
    ["plugins", plugin(version), "registry", "config_path"]
}

/// Whether `value` is what a dump of the defaults says, and so nobody's decision.
fn is_a_default(value: &str, containerd: Option<Version>) -> bool {
    let has_list = containerd.is_some_and(|version| version >= Version::new(2, 2, 0));
    value.is_empty() || (has_list && value == DEFAULT_LIST)
}

/// The newest version of config.toml that containerd reads.
fn newest_version(containerd: Option<Version>) -> i64 {
    match containerd {
        Some(version) if version < Version::new(2, 0, 0) => 2,
        Some(version) if version < Version::new(2, 3, 0) => 3,
        _ => 4,
    }
}
