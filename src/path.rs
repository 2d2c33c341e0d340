//! Names of things on the node, relative to its root.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text;

/// A path beneath the node's root, such as `etc/docker/daemon.json`.
///
/// It has no leading slash and no `.`, `..` or empty component, so it cannot leave the root by its
/// spelling; that no *link* leads out of it is the business of `node::root`, which opens it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodePath(Arc<str>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is not a plain path beneath the root")]
pub struct PathError {
    path: String,
}

impl NodePath {
    /// Accepts `/etc/docker` and `etc/docker` alike; a trailing slash is dropped.
    pub fn new(path: &str) -> Result<Self, PathError> {
        let trimmed = path.trim_matches('/');
        if is_plain(trimmed) {
            Ok(Self(trimmed.into()))
        } else {
            Err(PathError { path: path.to_owned() })
        }
    }

    /// Appends one component or several.
    ///
    /// Only for parts that a type or a constant of ours vouches for.
    #[must_use]
    pub fn join(&self, part: &str) -> Self {
        debug_assert!(Self::new(part).is_ok(), "{part:?} is not a plain component");
        Self([&*self.0, "/", part].concat().into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same text, for whoever keeps it beyond the path.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.into()))
    }

    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// The directory, `""` for the root itself, and the name in it.
    pub fn split(&self) -> (&str, &str) {
        self.0.rsplit_once('/').unwrap_or(("", &self.0))
    }

    pub fn is_beneath(&self, directory: &Self) -> bool {
        self.0.strip_prefix(directory.as_str()).is_some_and(|rest| rest.starts_with('/'))
    }
}

/// No component is empty, `.` or `..`, and none has a NUL. In one pass, because a ledger has five
/// paths for each registry.
fn is_plain(path: &str) -> bool {
    let (mut length, mut is_dots) = (0, true);
    for byte in path.bytes() {
        match byte {
            b'/' if is_dots && length <= 2 => return false,
            b'/' => (length, is_dots) = (0, true),
            0 => return false,
            other => {
                length += 1;
                is_dots &= other == b'.';
            }
        }
    }
    !(is_dots && length <= 2)
}

/// For constants of this program, which a test has read; never for input.
#[macro_export]
macro_rules! node_path {
    ($path:literal) => {
        $crate::path::NodePath::constant($path)
    };
}

impl NodePath {
    #[doc(hidden)]
    pub fn constant(path: &'static str) -> Self {
        debug_assert!(Self::new(path).is_ok(), "{path:?} is not a plain path");
        Self(path.into())
    }
}

impl fmt::Display for NodePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0)
    }
}

impl fmt::Debug for NodePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0)
    }
}

impl Borrow<str> for NodePath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for NodePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for NodePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer, Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_exist() {
        for path in ["etc/docker", "/etc/docker", "/etc/docker/", "a", "...", ".a/..b/c..", "a/..."]
        {
            assert!(NodePath::new(path).is_ok(), "{path}");
        }
        for path in
            ["", "/", ".", "..", "a/../b", "a//b", "./a", "../a", "a/.", "a/..", "a\0b", "a/\0"]
        {
            assert!(NodePath::new(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn beneath_means_inside_not_beside() {
        let certs = node_path!("etc/docker/certs.d");
        assert!(node_path!("etc/docker/certs.d/a").is_beneath(&certs));
        assert!(!node_path!("etc/docker/certs.d-old/a").is_beneath(&certs));
        assert!(!certs.is_beneath(&certs));
    }
}
