//! What trust becomes on each runtime: one file per thing that is configured. Pure: text in, text
//! out.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::path::NodePath;
use crate::trust::entry::Runtime;
use crate::trust::host::RegistryHost;

pub mod containerd_config;
pub mod containerd_hosts;
pub mod docker_certs;
pub mod docker_daemon;
pub mod system_ca;

/// The places trust is configured, and nothing else this program may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    DockerCerts,
    DockerDaemon,
    ContainerdHosts,
    ContainerdConfig,
    SystemCa,
}

/// Who is to believe a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Believer {
    Docker,
    Containerd,
    /// Every program on the node.
    System,
}

impl From<Runtime> for Believer {
    fn from(runtime: Runtime) -> Self {
        match runtime {
            Runtime::Docker => Self::Docker,
            Runtime::Containerd => Self::Containerd,
        }
    }
}

impl fmt::Display for Believer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::System => "system store",
        })
    }
}

/// One registry on one runtime. It is in force or it is not; what goes wrong concerns it alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Item {
    pub host: RegistryHost,
    pub on: Believer,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.host, self.on)
    }
}

/// A file that is ours as a whole, as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedFile {
    pub target: Target,
    pub path: NodePath,
    pub content: Content,
    pub mode: u32,
    /// Who needs it. Several items may share one, such as a CA in the system store.
    pub items: Items,
}

/// Items in order, each once. Nearly all of thirty thousand files have a single one, which a set
/// would keep in a tree with room for eleven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Items(Kept);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kept {
    One(Item),
    /// Never one.
    Others(Vec<Item>),
}

impl Default for Items {
    fn default() -> Self {
        Self(Kept::Others(Vec::new()))
    }
}

impl Items {
    pub fn insert(&mut self, item: Item) {
        let Err(at) = self.as_slice().binary_search(&item) else { return };
        match &mut self.0 {
            Kept::Others(all) if all.is_empty() => self.0 = Kept::One(item),
            Kept::Others(all) => all.insert(at, item),
            Kept::One(one) => {
                let mut both = vec![one.clone()];
                both.insert(at, item);
                self.0 = Kept::Others(both);
            }
        }
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Item> {
        self.as_slice().iter()
    }

    fn as_slice(&self) -> &[Item] {
        match &self.0 {
            Kept::One(item) => std::slice::from_ref(item),
            Kept::Others(all) => all,
        }
    }

    pub fn are_among(&self, others: &BTreeSet<Item>) -> bool {
        self.iter().all(|item| others.contains(item))
    }

    pub fn to_set(&self) -> BTreeSet<Item> {
        self.iter().cloned().collect()
    }
}

impl From<Item> for Items {
    fn from(item: Item) -> Self {
        Self(Kept::One(item))
    }
}

impl FromIterator<Item> for Items {
    fn from_iter<I: IntoIterator<Item = Item>>(items: I) -> Self {
        let mut all = Self::default();
        all.extend(items);
        all
    }
}

impl Extend<Item> for Items {
    fn extend<I: IntoIterator<Item = Item>>(&mut self, items: I) {
        items.into_iter().for_each(|item| self.insert(item));
    }
}

impl IntoIterator for Items {
    type Item = Item;
    type IntoIter = std::vec::IntoIter<Item>;

    fn into_iter(self) -> Self::IntoIter {
        match self.0 {
            Kept::One(item) => vec![item].into_iter(),
            Kept::Others(all) => all.into_iter(),
        }
    }
}

impl<'a> IntoIterator for &'a Items {
    type Item = &'a Item;
    type IntoIter = std::slice::Iter<'a, Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Something in the way. The items it names are left as they are; the rest goes on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Conflict {
    pub target: Target,
    pub path: String,
    pub items: BTreeSet<Item>,
    /// What is there, and what it would do.
    pub message: String,
    pub cure: String,
}

/// Something worth knowing about what will be, or cannot be, in force.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Note {
    pub items: BTreeSet<Item>,
    pub message: String,
}

/// What a target makes of the entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    pub files: Vec<WantedFile>,
    pub conflicts: Vec<Conflict>,
    pub notes: Vec<Note>,
    /// Items that the runtime cannot express, with nothing written for them. Each has a note.
    pub inexpressible: BTreeSet<Item>,
    /// Items that need no file of ours, because somebody else's says the same already.
    pub satisfied: BTreeSet<Item>,
}

impl Wants {
    pub fn conflict(
        &mut self,
        target: Target,
        path: &NodePath,
        item: &Item,
        message: impl Into<String>,
        cure: impl Into<String>,
    ) {
        self.conflicts.push(Conflict {
            target,
            path: path.to_string(),
            items: BTreeSet::from([item.clone()]),
            message: message.into(),
            cure: cure.into(),
        });
    }

    pub fn note(&mut self, item: &Item, message: impl Into<String>) {
        self.notes.push(Note { items: BTreeSet::from([item.clone()]), message: message.into() });
    }
}
