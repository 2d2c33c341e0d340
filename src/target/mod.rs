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
    pub items: BTreeSet<Item>,
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
