//! A tree of files as a value: everything about it that a node would notice.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use rustix::fs::XattrFlags;

use crate::node::ATTRIBUTE;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// `None`: a directory.
    pub(crate) bytes: Option<Vec<u8>>,
    pub(crate) mode: u32,
    owner: (u32, u32),
    /// The one that [`crate::node::lived_in`] sets, to see that it is kept.
    attribute: Option<Vec<u8>>,
}

pub(crate) type Tree = BTreeMap<PathBuf, Entry>;

/// Reads everything below a directory.
pub(crate) fn read(root: &Path) -> Tree {
    let mut tree = Tree::new();
    read_into(root, root, &mut tree);
    tree
}

fn read_into(root: &Path, directory: &Path, tree: &mut Tree) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().to_owned();
        let is_directory = metadata.is_dir();
        let entry = Entry {
            bytes: (!is_directory).then(|| fs::read(&path).unwrap()),
            mode: metadata.mode() & 0o7777,
            owner: (metadata.uid(), metadata.gid()),
            attribute: attribute(&path),
        };
        tree.insert(name, entry);
        if is_directory {
            read_into(root, &path, tree);
        }
    }
}

fn attribute(path: &Path) -> Option<Vec<u8>> {
    let mut value = [0; 64];
    let size = rustix::fs::getxattr(path, ATTRIBUTE, &mut value[..]).ok()?;
    Some(value[..size].to_vec())
}

/// Makes a directory hold this tree and nothing else.
pub(crate) fn write(tree: &Tree, root: &Path) {
    if root.exists() {
        fs::remove_dir_all(root).unwrap();
    }
    fs::create_dir_all(root).unwrap();
    let own = fs::metadata(root).unwrap();
    for (name, entry) in tree {
        let path = root.join(name);
        match &entry.bytes {
            None => fs::create_dir(&path).unwrap(),
            Some(bytes) => fs::write(&path, bytes).unwrap(),
        }
        if entry.owner != (own.uid(), own.gid()) {
            chown(&path, Some(entry.owner.0), Some(entry.owner.1)).unwrap();
        }
        if let Some(value) = &entry.attribute {
            rustix::fs::setxattr(&path, ATTRIBUTE, value, XattrFlags::empty()).unwrap();
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(entry.mode)).unwrap();
    }
}

/// What makes one tree another, in words.
pub(crate) fn difference(found: &Tree, expected: &Tree) -> Vec<String> {
    let mut said = Vec::new();
    for (name, entry) in expected {
        let name = name.display();
        match found.get(Path::new(&name.to_string())) {
            None => said.push(format!("{name} is missing")),
            Some(is) if is.bytes != entry.bytes => said.push(format!("{name} has other bytes")),
            Some(is) if is != entry => said.push(format!("{name} has another mode or owner")),
            Some(_) => {}
        }
    }
    let extra = found.keys().filter(|name| !expected.contains_key(*name));
    said.extend(extra.map(|name| format!("{} is too much", name.display())));
    said
}
