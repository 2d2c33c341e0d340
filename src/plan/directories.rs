//! Directories: which to make, which of ours to remove, and which edits belong to one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::change::{Changes, FileEdit, Unit};
use crate::observed::{Files, Found};
use crate::path::NodePath;
use crate::sorted::reaches;

/// Groups `edits` into units and adds the directories they need; and says which directories are
/// ours afterwards.
///
/// `before` are those that were ours; `kept` are the paths that will exist and are ours.
pub(super) fn arrange<'p>(
    edits: Vec<FileEdit>,
    files: &Files,
    kept: impl Iterator<Item = &'p NodePath>,
    before: &Arc<BTreeSet<NodePath>>,
) -> (Changes, Arc<BTreeSet<NodePath>>) {
    let mut make = BTreeSet::new();
    let mut units: BTreeMap<NodePath, Vec<FileEdit>> = BTreeMap::new();
    let mut singles = Vec::new();
    for edit in edits {
        if edit.after.is_some() {
            make.extend(missing_parents(&edit.path, files));
        }
        match edit.target.and_then(|target| target.unit_directory(&edit.path)) {
            Some(directory) => units.entry(directory).or_default().push(edit),
            None => singles.push(Unit { directory: None, edits: vec![edit], keep: false }),
        }
    }
    let mut ours = Arc::clone(before);
    if !make.is_empty() {
        Arc::make_mut(&mut ours).extend(make.iter().cloned());
    }
    let gone = not_needed(&ours, &all_ancestors(kept));
    for directory in &gone {
        Arc::make_mut(&mut ours).remove(directory);
    }
    // Without the units' own directories: those appear and vanish with their contents.
    let in_unit = |directory: &NodePath| units.contains_key(directory);
    let make_directories = make.iter().filter(|path| !in_unit(path)).cloned().collect();
    let remove_directories = gone.iter().rev().filter(|path| !in_unit(path)).cloned().collect();
    let unit = |(directory, edits): (NodePath, Vec<FileEdit>)| {
        let keep = !ours.contains(&directory) && !gone.contains(&directory);
        Unit { keep, directory: Some(directory), edits }
    };
    let units = singles.into_iter().chain(units.into_iter().map(unit)).collect();
    (Changes { make_directories, units, remove_directories }, ours)
}

/// Both are in order.
fn not_needed(directories: &BTreeSet<NodePath>, needed: &[&str]) -> BTreeSet<NodePath> {
    let mut needed = needed.iter().copied().peekable();
    let is_needed = |directory: &&NodePath| reaches(&mut needed, directory.as_str());
    let mut is_needed = is_needed;
    directories.iter().filter(|directory| !is_needed(directory)).cloned().collect()
}

fn missing_parents(path: &NodePath, files: &Files) -> impl Iterator<Item = NodePath> {
    ancestors(path).into_iter().filter(|directory| files.get(directory).is_none())
}

/// The directories above all of `paths`, in order. It climbs level by level: thousands of files have
/// few directories, and those have the same ones above them.
fn all_ancestors<'p>(paths: impl Iterator<Item = &'p NodePath>) -> Vec<&'p str> {
    let mut level = above(paths.map(NodePath::as_str));
    let mut all = Vec::new();
    while !level.is_empty() {
        let next = above(level.iter().copied());
        all.append(&mut level);
        level = next;
    }
    in_order(all)
}

fn above<'p>(paths: impl Iterator<Item = &'p str>) -> Vec<&'p str> {
    let mut above: Vec<&str> = Vec::new();
    for path in paths {
        let parent = path.rsplit_once('/').map(|(parent, _)| parent);
        above.extend(parent.filter(|parent| above.last() != Some(parent)));
    }
    in_order(above)
}

/// Each once.
#[expect(
    clippy::stable_sort_primitive,
    reason = "they are a few runs in order each, which this sort merges and the other does not see"
)]
fn in_order(mut paths: Vec<&str>) -> Vec<&str> {
    paths.sort();
    paths.dedup();
    paths
}

fn ancestors(path: &NodePath) -> Vec<NodePath> {
    std::iter::successors(path.parent(), NodePath::parent).collect()
}

/// What stands where a directory on the way to `path` has to be, with the cure.
///
/// A link that leads to a directory is one; one that leads nowhere would be met again by every
/// attempt to make what it stands for.
pub(super) fn in_the_way(path: &NodePath, files: &Files) -> Option<(String, String)> {
    ancestors(path).into_iter().rev().find_map(|directory| {
        let what = match files.get(&directory) {
            None | Some(Found::Directory) => return None,
            Some(Found::Symlink { to }) => {
                format!("`{directory}` is a symbolic link to `{to}`, which is no directory here")
            }
            Some(Found::Unreadable { error }) => format!("`{directory}`: {error}"),
            Some(Found::File { .. } | Found::Other) => format!("`{directory}` is no directory"),
        };
        Some((what, format!("put a directory in place of {directory}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node_path;

    #[test]
    fn what_stands_in_place_of_a_directory_is_named() {
        let path = node_path!("etc/docker/daemon.json");
        for (found, named) in [
            (None, None),
            (Some(Found::Directory), None),
            (Some(Found::Other), Some("`/etc/docker` is no directory")),
            (
                Some(Found::Symlink { to: "/gone".to_owned() }),
                Some("`/etc/docker` is a symbolic link to `/gone`, which is no directory here"),
            ),
        ] {
            let mut files = Files::default();
            files.insert(&node_path!("etc"), Found::Directory);
            if let Some(found) = found {
                files.insert(&node_path!("etc/docker"), found);
            }
            let message = in_the_way(&path, &files).map(|(message, _)| message);
            assert_eq!(message.as_deref(), named);
        }
    }
}
