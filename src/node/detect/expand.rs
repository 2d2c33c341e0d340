//! Paths with `*` in them.

use crate::node::parse::containerd::clean;
use crate::node::parse::glob;
use crate::node::root::{NodeRoot, RootError};
use crate::path::NodePath;

/// What exists at a pattern, in lexical order, every directory by itself, as Go's `filepath.Glob`.
///
/// A name that is not UTF-8 matches nothing: it could not be said which file that is.
pub(super) fn expand(root: &NodeRoot, pattern: &NodePath) -> Result<Vec<NodePath>, RootError> {
    let mut found: Vec<Option<NodePath>> = vec![None];
    for part in pattern.as_str().split('/') {
        let mut next = Vec::new();
        for directory in found {
            next.extend(step(root, directory.as_ref(), part)?);
        }
        found = next;
    }
    let mut existing = Vec::new();
    for path in found.into_iter().flatten() {
        if root.exists(&path)? {
            existing.push(path);
        }
    }
    Ok(existing)
}

fn step(
    root: &NodeRoot,
    directory: Option<&NodePath>,
    part: &str,
) -> Result<Vec<Option<NodePath>>, RootError> {
    if !part.contains(['*', '?', '[', '\\']) {
        return Ok(vec![clean(part, directory)]);
    }
    let listing = match directory {
        Some(directory) => root.listing(directory)?.unwrap_or_default(),
        // No program keeps what we look for beside `/etc`.
        None => return Ok(Vec::new()),
    };
    let matching = listing.names.iter().filter(|name| glob::matches(part, name));
    Ok(matching.map(|name| clean(name, directory)).collect())
}
