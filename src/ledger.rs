//! What regtrust put on the node, and therefore may change and must take back. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::content::Sha256Hex;
use crate::path::NodePath;
use crate::target::{Item, Target};
use crate::text;

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
    ///
    /// Shared, like the directories: an apply with nothing to do has the same before and after it.
    #[serde(deserialize_with = "text::map")]
    pub files: Arc<BTreeMap<NodePath, OwnedFile>>,
    /// Directories that were not there before us. Removed when they are empty again.
    #[serde(deserialize_with = "text::set")]
    pub directories: Arc<BTreeSet<NodePath>>,
    /// The fingerprints (their beginnings) of authorities that we took out of the system store and
    /// that its bundle may still have, until the distribution's tool has run.
    pub leaving_store: BTreeSet<String>,
    /// Since when files in the system store have waited for the distribution's tool. A bundle that
    /// was written later is one that daemons have yet to load; one that was not has changed
    /// nothing for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_changed: Option<Timestamp>,
    /// What is ours inside daemon.json.
    pub docker_daemon: DaemonOwned,
    /// What is ours inside containerd's config.toml.
    pub containerd_config: Option<ConfigOwned>,
    /// When a file was last changed that a running daemon must be told about. What is due follows
    /// from comparing this with when that daemon started or acknowledged: it is not a to-do list,
    /// so somebody else's restart satisfies it too.
    pub changed: BTreeMap<Loads, Changed>,
    /// What a runtime did not take, by item, so that it is not put there again and again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<Rejected>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            format: FORMAT,
            generation: 0,
            entries: None,
            keys: BTreeMap::new(),
            files: Arc::default(),
            directories: Arc::default(),
            leaving_store: BTreeSet::new(),
            store_changed: None,
            docker_daemon: DaemonOwned::default(),
            containerd_config: None,
            changed: BTreeMap::new(),
            rejected: Vec::new(),
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

/// The files of ours beneath a directory, and perhaps some of a directory whose name begins alike.
pub fn within<'a>(
    owned: &'a BTreeMap<NodePath, OwnedFile>,
    directory: &'a NodePath,
) -> impl Iterator<Item = &'a NodePath> {
    let from = (Bound::Included(directory.as_str()), Bound::Unbounded);
    let all = owned.range::<str, _>(from).map(|(path, _)| path);
    all.take_while(|path| path.as_str().starts_with(directory.as_str()))
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
    /// What we wrote under `live-restore`, which was not there before us. `false`: it is to go, once
    /// dockerd has read that it is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_restore: Option<bool>,
}

impl DaemonOwned {
    /// Whether nothing in the file is ours.
    pub fn is_nothing(&self) -> bool {
        self.arrays.is_empty() && self.live_restore.is_none()
    }
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
    /// Who got something new by it: what is to be withdrawn if the daemon does not take it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub items: BTreeSet<Item>,
    /// Who only lost something by it, and is trusted as before until the daemon takes it. There is
    /// nothing to withdraw from them: that would make them no safer.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub narrowed: BTreeSet<Item>,
}

impl Changed {
    pub fn new(at: Timestamp, reason: String, items: BTreeSet<Item>) -> Self {
        Self { at, reason, items, narrowed: BTreeSet::new() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rejected {
    pub item: Item,
    /// The entry, as it was then.
    pub entry: Sha256Hex,
    /// The runtime's version and what others had in its configuration.
    pub circumstances: Sha256Hex,
    pub why: String,
    pub at: Timestamp,
}
