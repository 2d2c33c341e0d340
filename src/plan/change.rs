//! The changes that a plan asks for and a transaction makes: the only thing that crosses from
//! deciding to acting.

use crate::content::Content;
use crate::path::NodePath;
use crate::target::Target;

/// One file, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEdit {
    /// `None` for regtrust's own state.
    pub target: Option<Target>,
    pub path: NodePath,
    /// What the plan saw; `None`: nothing. The transaction refuses if it is no longer so.
    pub before: Option<Content>,
    /// `None`: the file goes.
    pub after: Option<Content>,
    /// The mode to give. `None` keeps what an existing file has, and gives a new one 0644.
    pub mode: Option<u32>,
}

/// Edits that must become visible at one instant.
///
/// A registry's directory is one unit: no order of writing a client certificate and its key is safe
/// (dockerd fails every pull while one is there without the other), and an empty directory, or one
/// with a CA and no hosts.toml yet, already hides `_default` from containerd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The directory that is exchanged as a whole. `None`: a single file beside other people's.
    pub directory: Option<NodePath>,
    pub edits: Vec<FileEdit>,
    /// The directory was not made by us and stays, empty or not.
    pub keep: bool,
}

/// Everything one transaction does, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Directories to make, parents first, mode 0755. Never a unit's own directory.
    pub make_directories: Vec<NodePath>,
    pub units: Vec<Unit>,
    /// Directories to remove, deepest first. One that is not empty stays and is no error.
    pub remove_directories: Vec<NodePath>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.make_directories.is_empty()
            && self.units.is_empty()
            && self.remove_directories.is_empty()
    }

    pub fn edits(&self) -> impl Iterator<Item = &FileEdit> {
        self.units.iter().flat_map(|unit| &unit.edits)
    }
}
