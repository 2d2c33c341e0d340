//! Reads the node's policy, and refuses everything in case of doubt.

use super::exposure::{self, Exposure};
use super::files;
use crate::node::root::NodeRoot;
use crate::node_path;
use crate::path::NodePath;
use crate::trust::policy::{Policy, parse_policy};

/// The policy of the node; [`Policy::without_file`] only if there certainly is none.
///
/// A file that others may write is not the node's word but theirs, and is not believed.
pub fn read_policy(root: &NodeRoot) -> Policy {
    let file = node_path!("etc/regtrust/policy.toml");
    let bytes = match root.read(&file) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return absent(root, &file),
        Err(error) => {
            let message = format!("cannot be read: {}", error.reason());
            return Policy::unreadable(&file, &message, None);
        }
    };
    for path in file.parent().iter().chain([&file]) {
        match Exposure::of(root).fault(root, path) {
            Ok(None) => {}
            Ok(Some(fault)) => {
                let message = format!("is not believed: `{path}` {fault}");
                return Policy::unreadable(&file, &message, Some(exposure::cure(path)));
            }
            Err(reason) => {
                let message = format!("cannot be examined: {reason}");
                return Policy::unreadable(&file, &message, None);
            }
        }
    }
    match str::from_utf8(&bytes) {
        Ok(text) => parse_policy(text, &file.to_string()).unwrap_or_else(Policy::broken),
        Err(_) => Policy::unreadable(&file, "is not UTF-8", Some("save it as UTF-8".to_owned())),
    }
}

fn absent(root: &NodeRoot, file: &NodePath) -> Policy {
    match files::absence(root, file) {
        Ok(()) => Policy::without_file(),
        Err(fault) => Policy::unreadable(file, &fault, None),
    }
}
