//! Real trees, real crashes (a transaction that is dropped between two steps), no doubles.
#![expect(clippy::disallowed_methods, reason = "makes trees and looks at them from outside")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::journal::Journal;
use super::lock::StateLock;
use super::preflight::survey;
use crate::content::Content;
use crate::node::root::NodeRoot;
use crate::path::NodePath;
use crate::plan::change::{Changes, FileEdit, Unit};

mod concurrent;
mod crash;
mod keeps;
mod lingering;
mod mounts;
mod overlay;
mod random;
mod refuses;
mod secrets;

/// What a path is: everything that a transaction must either keep or bring back.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Is {
    bytes: Option<String>,
    mode: u32,
    inode: u64,
}

type Tree = BTreeMap<String, Is>;
type Contents = BTreeMap<String, String>;

struct Node {
    directory: TempDir,
    root: NodeRoot,
    lock: StateLock,
}

impl Node {
    /// In memory where there is such a place: thousands of crashes would wear a disk for nothing.
    fn new() -> Self {
        Self::over(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap())
    }

    fn on_disk() -> Self {
        Self::over(tempfile::tempdir().unwrap())
    }

    fn over(directory: TempDir) -> Self {
        let root = NodeRoot::open(directory.path()).unwrap();
        let lock = StateLock::exclusive(&root, Duration::ZERO).unwrap();
        Self { directory, root, lock }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn put(&self, path: &str, content: &str, mode: u32) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn has(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.at(path)).ok()
    }

    fn commit(&self, changes: &Changes) -> Result<(), super::TxnError> {
        super::commit(&self.root, &self.lock, changes)
    }

    fn recover(&self) -> Result<super::Recovery, super::TxnError> {
        super::recover(&self.root, &self.lock)
    }

    /// The journal that `changes` would have; nothing may be in their way.
    fn journal(&self, changes: &Changes) -> Journal {
        let survey = survey(&self.root, changes).unwrap();
        assert_eq!(survey.refusals, []);
        survey.journal
    }

    /// The node but the state directory, which is ours.
    fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        walk(self.directory.path(), &mut |path, metadata| {
            let name = path.strip_prefix(self.directory.path()).unwrap().display().to_string();
            let bytes = metadata.is_file().then(|| fs::read_to_string(path).unwrap());
            tree.insert(name, Is { bytes, mode: metadata.mode(), inode: metadata.ino() });
        });
        tree.retain(|name, _| name != "var" && !name.starts_with("var/lib"));
        tree
    }

    /// What its files hold, and nothing of which directories there are.
    fn contents(&self) -> Contents {
        let held = |(name, is): (String, Is)| is.bytes.map(|bytes| (name, bytes));
        self.tree().into_iter().filter_map(held).collect()
    }

    /// Nothing of ours may be left: neither staged nor in the state directory.
    fn assert_clean(&self, when: &str) {
        walk(self.directory.path(), &mut |path, _| {
            let name = path.file_name().unwrap().to_string_lossy();
            assert!(!name.contains(".regtrust-") && !name.ends_with(".tmp"), "{when}: {name}");
        });
        assert!(!self.at("var/lib/regtrust/journal.json").exists(), "{when}: the journal is left");
    }
}

fn walk(directory: &Path, see: &mut impl FnMut(&Path, &fs::Metadata)) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        see(&path, &metadata);
        if metadata.is_dir() {
            walk(&path, see);
        }
    }
}

fn path(path: &str) -> NodePath {
    NodePath::new(path).unwrap()
}

fn edit(name: &str, before: Option<&str>, after: Option<&str>) -> FileEdit {
    FileEdit {
        target: None,
        path: path(name),
        before: before.map(Content::plain),
        after: after.map(Content::plain),
        mode: None,
    }
}

fn with_mode(mode: u32, edit: FileEdit) -> FileEdit {
    FileEdit { mode: Some(mode), ..edit }
}

fn file(edit: FileEdit) -> Unit {
    Unit { directory: None, edits: vec![edit], keep: false }
}

/// A registry's directory; the edits name files in it.
fn registry(directory: &str, edits: &[(&str, Option<&str>, Option<&str>)]) -> Unit {
    let edits = edits
        .iter()
        .map(|(name, before, after)| edit(&format!("{directory}/{name}"), *before, *after))
        .collect();
    Unit { directory: Some(path(directory)), edits, keep: false }
}

fn changes(units: impl IntoIterator<Item = Unit>) -> Changes {
    Changes { units: units.into_iter().collect(), ..Changes::default() }
}

/// What the files will hold.
fn applied(mut contents: Contents, changes: &Changes) -> Contents {
    for edit in changes.edits() {
        let name = edit.path.as_str().to_owned();
        match &edit.after {
            Some(content) => {
                contents.insert(name, String::from_utf8(content.bytes().to_vec()).unwrap())
            }
            None => contents.remove(&name),
        };
    }
    contents.retain(|name, _| !name.starts_with("var/lib"));
    contents
}
