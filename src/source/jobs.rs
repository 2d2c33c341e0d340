//! Reads the node's own rules of what a job is.

use super::settings::believed;
use crate::jobs::{Rules, parse_rules};
use crate::node::root::NodeRoot;
use crate::node_path;
use crate::path::NodePath;
use crate::trust::problem::Problem;

pub fn path() -> NodePath {
    node_path!("etc/regtrust/jobs.toml")
}

/// The rules of the node; the built-in ones alone only if there certainly is no file.
///
/// # Errors
/// With everything that is wrong. A file that others may write could call every job idle.
pub fn read(root: &NodeRoot) -> Result<Rules, Vec<Problem>> {
    let file = path();
    let text = believed(root, &file)?;
    parse_rules(text.as_deref(), &file.to_string())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "makes trees to read")]

    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn rules_are_the_administrators_word_or_none_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let root = NodeRoot::open(directory.path()).unwrap();
        let built_in = read(&root).unwrap();
        let file = directory.path().join("etc/regtrust/jobs.toml");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "unlabelled = \"busy\"\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert_ne!(read(&root).unwrap(), built_in);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        let problems = read(&root).unwrap_err();
        assert!(problems[0].message.starts_with("is not believed: "), "{problems:?}");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&file, "unlabeled = 1\n").unwrap();
        let problems = read(&root).unwrap_err();
        assert_eq!(problems[0].location.to_string(), "/etc/regtrust/jobs.toml:1:1");
    }
}
