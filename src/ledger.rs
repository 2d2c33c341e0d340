//! What regtrust put on the node, and therefore may change and must take back. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::content::Sha256Hex;
use crate::path::NodePath;
use crate::target::Target;

/// The state directory's format. A newer one is refused, not guessed.
pub const FORMAT: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    pub format: u32,
    /// Counts what was in force. 0: nothing ever was.
    pub generation: u64,
    /// Of the entries in that generation, so that an unchanged set is known without reading it.
    pub entries: Option<Sha256Hex>,
    /// Client keys that are kept for a rollback, by digest, with the last generation that needs
    /// each: when that one is forgotten, the key is erased.
    pub keys: BTreeMap<Sha256Hex, u64>,
    /// Files that are ours as a whole.
    pub files: BTreeMap<NodePath, OwnedFile>,
    /// Directories that were not there before us. Removed when they are empty again.
    pub directories: BTreeSet<NodePath>,
    /// The fingerprints (their beginnings) of authorities that we took out of the system store and
    /// that its bundle may still have, until the distribution's tool has run.
    pub leaving_store: BTreeSet<String>,
    /// What is ours inside daemon.json.
    pub docker_daemon: DaemonOwned,
    /// What is ours inside containerd's config.toml.
    pub containerd_config: Option<ConfigOwned>,
    /// When a file was last changed that a running daemon must be told about. What is due follows
    /// from comparing this with when that daemon started or acknowledged: it is not a to-do list,
    /// so somebody else's restart satisfies it too.
    pub changed: BTreeMap<Loads, Changed>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            format: FORMAT,
            generation: 0,
            entries: None,
            keys: BTreeMap::new(),
            files: BTreeMap::new(),
            directories: BTreeSet::new(),
            leaving_store: BTreeSet::new(),
            docker_daemon: DaemonOwned::default(),
            containerd_config: None,
            changed: BTreeMap::new(),
        }
    }
}

impl Ledger {
    /// Whether the system store has, or lately had, anything of ours.
    pub fn uses_system_store(&self) -> bool {
        !self.leaving_store.is_empty()
            || self.files.values().any(|file| file.target == Target::SystemCa)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnedFile {
    pub target: Target,
    /// What we wrote. Anything else there now is somebody's edit.
    pub sha256: Sha256Hex,
    pub mode: u32,
}

/// What is ours in daemon.json: whole keys that were not there, and elements of arrays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DaemonOwned {
    /// The file was not there before us; it goes when nothing but ours is left in it.
    pub created_file: bool,
    /// The file was there and held this white space only, or nothing.
    pub blank_file: Option<String>,
    /// The object had no member and no white space before us: `{}`. Without this, `{}` and
    /// `{\n}` could not be told apart when the last key is taken out again.
    pub opened_object: bool,
    /// By key: `insecure-registries`, `registry-mirrors`.
    pub arrays: BTreeMap<String, ArrayOwned>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArrayOwned {
    /// The key was not there before us. It may outlive its elements as `[]`: see
    /// `target::docker_daemon`.
    pub created_key: bool,
    /// The key was there and held `null`.
    pub was_null: bool,
    pub elements: BTreeSet<String>,
}

/// What is ours in containerd's config.toml: one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigOwned {
    /// The file was not there before us.
    pub created_file: bool,
    /// The value we set.
    pub config_path: String,
    /// The exact text of the value that stood there: containerd's own default dump has `""`.
    pub replaced: Option<String>,
    /// The exact text that was inserted, where no value was replaced. Taking it out again restores
    /// the file.
    pub inserted: Option<String>,
}

/// What a running daemon has loaded and does not read again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loads {
    /// daemon.json's registry keys, by dockerd; a reload is enough.
    DockerDaemon,
    /// config.toml, by containerd.
    ContainerdConfig,
    /// The system's roots, by dockerd.
    DockerRoots,
    /// The system's roots, by containerd.
    ContainerdRoots,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changed {
    pub at: Timestamp,
    /// Why, in the words the plan used.
    pub reason: String,
}
