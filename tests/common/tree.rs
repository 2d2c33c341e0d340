//! A directory tree as a value, so that two moments can be compared.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File(Vec<u8>),
    Link(Vec<u8>),
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    /// Inode, mtime and ctime in nanoseconds: what differs when something was written at all.
    pub(crate) stamp: (u64, i128, i128),
}

/// Everything below a directory, by relative path.
pub(crate) type Tree = BTreeMap<String, Node>;

/// Reads all of it but what lies below the paths in `without`.
pub(crate) fn read(root: &Path, without: &[&str]) -> Tree {
    let mut tree = Tree::new();
    add(root, "", without, &mut tree);
    tree
}

fn add(root: &Path, below: &str, without: &[&str], tree: &mut Tree) {
    for entry in fs::read_dir(root.join(below)).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        if without.contains(&path.as_str()) {
            continue;
        }
        let node = node(&root.join(&path));
        let is_directory = node.kind == Kind::Directory;
        tree.insert(path.clone(), node);
        if is_directory {
            add(root, &path, without, tree);
        }
    }
}

fn node(path: &Path) -> Node {
    let metadata = fs::symlink_metadata(path).unwrap();
    let kind = if metadata.is_dir() {
        Kind::Directory
    } else if metadata.is_symlink() {
        Kind::Link(fs::read_link(path).unwrap().as_os_str().as_bytes().to_vec())
    } else if metadata.is_file() {
        Kind::File(fs::read(path).unwrap())
    } else {
        Kind::Other
    };
    let nanoseconds =
        |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    Node {
        kind,
        mode: metadata.mode() & 0o7777,
        owner: (metadata.uid(), metadata.gid()),
        stamp: (
            metadata.ino(),
            nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        ),
    }
}

/// What an administrator would call a difference: presence, kind, bytes, link targets, mode, owner.
pub(crate) fn differences(before: &Tree, after: &Tree) -> Vec<String> {
    let gone = before.keys().filter(|path| !after.contains_key(*path));
    let mut all: Vec<String> = gone.map(|path| format!("- {path}")).collect();
    for (path, now) in after {
        let Some(then) = before.get(path) else {
            all.push(format!("+ {path}"));
            continue;
        };
        if then.kind != now.kind {
            all.push(format!("~ {path}{}", texts(&then.kind, &now.kind)));
        }
        if then.mode != now.mode {
            all.push(format!("mode {:04o} {:04o} {path}", then.mode, now.mode));
        }
        if then.owner != now.owner {
            all.push(format!("owner {:?} {:?} {path}", then.owner, now.owner));
        }
    }
    all
}

fn texts(then: &Kind, now: &Kind) -> String {
    let text = |kind: &Kind| match kind {
        Kind::File(bytes) | Kind::Link(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
        other => format!("{other:?}"),
    };
    format!("\n    then {}\n    now  {}", text(then), text(now))
}

/// What was so much as touched, be it with the same bytes.
pub(crate) fn touched(before: &Tree, after: &Tree) -> Vec<String> {
    let mut all = differences(before, after);
    let same =
        after.iter().filter(|(path, now)| before.get(*path).is_some_and(|then| then != *now));
    all.extend(same.map(|(path, _)| format!("touched {path}")));
    all
}
