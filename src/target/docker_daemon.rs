//! Docker's daemon.json: `insecure-registries`, `registry-mirrors` for Docker Hub, and, where the
//! administrator wants it, `live-restore`.
//!
//! These keys are read again on SIGHUP. The file belongs to the administrator: only elements of ours
//! in the two lists, the lists themselves where there was none, and a `live-restore` where there was
//! none ever differ.
//!
//! Taking trust away has a trap. dockerd treats a missing key as "no change", so deleting ours, or
//! the whole file, and reloading leaves every registry in it insecure until a restart. A list that
//! loses its last element is therefore first written as `[]`, and taken out, restoring the bytes as
//! they were, once dockerd has acknowledged that: see [`Ending`].
//!
//! Another trap is a flag. dockerd does not start when `--insecure-registry` is given and the key
//! is in the file as well, be it with the same value, so the key is then not ours to write.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::ledger::DaemonOwned;
use crate::node_path;
use crate::observed::{Docker, Running};
use crate::path::NodePath;
use crate::target::{Conflict, Item, Note};

mod adopt;
mod foreign;
mod grammar;
mod json_edit;
mod layout;
mod lists;
pub mod live_restore;
mod merge;
mod merge_error;
pub(super) mod mirrors;
mod want;

pub use adopt::adoptable;
pub(super) use foreign::{Cover, Foreign};
pub use lists::{authorization_plugins, lists};
pub use merge::{Merged, merge};
pub use merge_error::MergeError;
pub(super) use want::resolves;
pub use want::want;

/// A list in daemon.json that may differ because of us. There is no third.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    InsecureRegistries,
    RegistryMirrors,
}

impl Key {
    pub const ALL: [Self; 2] = [Self::InsecureRegistries, Self::RegistryMirrors];

    pub fn name(self) -> &'static str {
        match self {
            Self::InsecureRegistries => "insecure-registries",
            Self::RegistryMirrors => "registry-mirrors",
        }
    }

    /// The flag of dockerd that says the same, without dashes.
    pub fn flag(self) -> &'static str {
        match self {
            Self::InsecureRegistries => "insecure-registry",
            Self::RegistryMirrors => "registry-mirror",
        }
    }

    /// The host that an element names, as docker compares it.
    pub fn host(self, element: &str) -> String {
        match self {
            Self::InsecureRegistries => grammar::without_scheme(element).to_owned(),
            Self::RegistryMirrors => mirrors::host_of(element),
        }
    }

    /// What two elements that docker treats alike have in common.
    ///
    /// An insecure registry may carry a scheme, which docker strips. Its case counts: docker
    /// compares the rest with the reference letter by letter.
    pub(crate) fn identity(self, element: &str) -> String {
        match self {
            Self::InsecureRegistries => grammar::without_scheme(element).to_owned(),
            Self::RegistryMirrors => mirrors::identity(element),
        }
    }

    /// Docker tries mirrors in order; for insecure registries there is none.
    fn is_ordered(self) -> bool {
        self == Self::RegistryMirrors
    }

    fn ordered(self, elements: &[String]) -> Vec<String> {
        let mut elements = elements.to_vec();
        if !self.is_ordered() {
            elements.sort_unstable();
        }
        elements
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a list of ours ends when its last element goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// As `[]`, which a running dockerd needs to read before it forgets what it loaded.
    #[default]
    KeepEmpty,
    /// By taking the key out and restoring the bytes.
    Restore,
}

impl Ending {
    /// `acknowledged`: the running dockerd has loaded the file as it is.
    pub fn of(key: Key, docker: &Docker, owned: &DaemonOwned, acknowledged: bool) -> Self {
        let array = owned.arrays.get(key.name());
        let stands_empty = array.is_some_and(|array| array.elements.is_empty());
        // With the flag and the key, dockerd would not start again: any value is worse than none.
        let is_flagged = docker.flag(key.flag()).next().is_some();
        if docker.running == Running::No || is_flagged || (acknowledged && stands_empty) {
            Self::Restore
        } else {
            Self::KeepEmpty
        }
    }
}

/// What is to stand under one key because of us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Goal {
    pub elements: Vec<String>,
    pub ending: Ending,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Goals {
    pub insecure: Goal,
    pub mirrors: Goal,
    pub live_restore: live_restore::Goal,
}

impl Goals {
    pub fn of(&self, key: Key) -> &Goal {
        match key {
            Key::InsecureRegistries => &self.insecure,
            Key::RegistryMirrors => &self.mirrors,
        }
    }
}

/// What the entries need in daemon.json.
///
/// Every element is one that all versions of docker take, but for a mirror's path, which is there
/// only if the running version takes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DaemonWants {
    pub insecure: BTreeMap<String, BTreeSet<Item>>,
    /// In the order in which docker is to try them.
    pub mirrors: Vec<(String, BTreeSet<Item>)>,
    pub conflicts: Vec<Conflict>,
    pub notes: Vec<Note>,
    /// Items for which docker has no words at all, neither here nor in certs.d. Each has a note.
    pub inexpressible: BTreeSet<Item>,
}

/// Where dockerd reads its configuration unless it is told otherwise.
pub fn path() -> NodePath {
    node_path!("etc/docker/daemon.json")
}

/// What dockerd was told: the value of `--config-file`, and the file that sets the flag.
///
/// Such a file is read, because what it says about registries decides what certs.d is worth, but
/// not written: whoever moved it manages it.
pub fn moved_config(docker: &Docker) -> Option<(String, String)> {
    let flag = docker.flag("config-file").last()?;
    let is_default = NodePath::new(&flag.value).is_ok_and(|moved| moved == path());
    (!is_default).then(|| (flag.value.clone(), flag.source.clone()))
}

#[cfg(test)]
pub(super) mod fixtures;
#[cfg(test)]
mod tests;
