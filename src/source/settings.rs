//! Reads the daemon's configuration.

use super::dropin::directory::swapped_version;
use super::dropin::exposure::Exposure;
use crate::node::root::NodeRoot;
use crate::node_path;
use crate::path::NodePath;
use crate::settings::{Settings, parse_settings};
use crate::trust::findings::{Findings, Place};
use crate::trust::problem::Problem;

pub fn path() -> NodePath {
    node_path!("etc/regtrust/regtrustd.toml")
}

/// The settings of the node; the default ones only if there certainly is no file.
///
/// # Errors
/// With everything that is wrong. A file that others may write is not the administrator's word.
pub fn read(root: &NodeRoot) -> Result<Settings, Vec<Problem>> {
    read_file(root, &path())
}

/// The same, from a file that somebody named. One that is named and is not there is a mistake:
/// whoever mounts it wants more than what holds without it.
pub fn read_file(root: &NodeRoot, file: &NodePath) -> Result<Settings, Vec<Problem>> {
    match believed(root, file)? {
        Some(text) => parse_settings(&text, &file.to_string()),
        None if *file == path() => Ok(Settings::default()),
        None => Err(unusable(file, "is not there".to_owned())),
    }
}

/// The text of a file that only the administrator can have written. `None`: there certainly is none.
pub(super) fn believed(root: &NodeRoot, file: &NodePath) -> Result<Option<String>, Vec<Problem>> {
    let bytes = match root.read(file) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(None),
        Err(error) => return Err(unusable(file, format!("cannot be read: {}", error.reason()))),
    };
    // A directory whose content is swapped as a whole is a mounted volume. Kubernetes makes it with
    // mode 0777, but nobody but kubelet reaches it, and the mount is read-only.
    let parent = file.parent().filter(|parent| swapped_version(root, parent).is_none());
    for path in parent.iter().chain([file]) {
        match Exposure::of(root).fault(root, path) {
            Ok(None) => {}
            Ok(Some(fault)) => {
                return Err(unusable(file, format!("is not believed: `{path}` {fault}")));
            }
            Err(reason) => return Err(unusable(file, format!("cannot be examined: {reason}"))),
        }
    }
    let text = String::from_utf8(bytes);
    text.map(Some).map_err(|_| unusable(file, "is not UTF-8".to_owned()))
}

fn unusable(file: &NodePath, message: String) -> Vec<Problem> {
    let mut findings = Findings::new(file.to_string());
    findings.error(Place::default(), "", message);
    findings.into_problems(None)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "makes trees to read")]

    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use crate::settings::Drift;

    /// What the file says, or what is wrong with it, with the file's mode.
    fn said(text: Option<&str>, mode: u32) -> Result<usize, String> {
        let directory = tempfile::tempdir().unwrap();
        let root = NodeRoot::open(directory.path()).unwrap();
        if let Some(text) = text {
            let file = directory.path().join("etc/regtrust/regtrustd.toml");
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, text).unwrap();
            fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
        }
        let read = read(&root).map(|settings| settings.access.len());
        read.map_err(|problems| problems[0].message.clone())
    }

    #[test]
    fn settings_are_the_administrators_word_or_none_at_all() {
        let grant = "[[access]]\nrole = \"reader\"\nuid = 7\n";
        assert_eq!(said(None, 0), Ok(0));
        assert_eq!(said(Some(grant), 0o644), Ok(1));
        assert!(said(Some("drift = 1"), 0o644).is_err());
        let exposed = said(Some(grant), 0o666).unwrap_err();
        assert!(exposed.starts_with("is not believed: "), "{exposed}");
    }

    /// As kubelet lays a ConfigMap down: the directory is everybody's by its mode.
    #[test]
    fn a_mounted_file_is_believed_if_it_is_swapped_and_missed_if_it_is_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let mounted = directory.path().join("settings");
        let version = mounted.join("..2026");
        fs::create_dir_all(&version).unwrap();
        fs::write(version.join("regtrustd.toml"), "drift = \"report\"").unwrap();
        fs::set_permissions(version.join("regtrustd.toml"), fs::Permissions::from_mode(0o644))
            .unwrap();
        fs::set_permissions(&mounted, fs::Permissions::from_mode(0o777)).unwrap();
        symlink("..data/regtrustd.toml", mounted.join("regtrustd.toml")).unwrap();
        let root = NodeRoot::open(directory.path()).unwrap();
        let read = |name: &str| {
            let path = NodePath::new("settings").unwrap().join(name);
            let read = read_file(&root, &path).map(|settings| settings.drift);
            read.map_err(|problems| problems[0].message.clone())
        };
        assert_eq!(read("regtrustd.toml"), Err("is not there".to_owned()), "a link to nothing");
        symlink("..2026", mounted.join("..data")).unwrap();
        assert_eq!(read("regtrustd.toml"), Ok(Drift::Report));
        assert_eq!(read("other.toml"), Err("is not there".to_owned()));
        fs::remove_file(mounted.join("..data")).unwrap();
        fs::rename(&version, mounted.join("..data")).unwrap();
        let exposed = read("regtrustd.toml").unwrap_err();
        assert!(exposed.starts_with("is not believed: "), "{exposed}");
    }
}
