//! Which programs of a directory are run.

use rustix::fs::{AtFlags, FileType, Stat};

use crate::effect::chain;
use crate::node::root::{NodeRoot, RootError};
use crate::path::NodePath;

/// What editors and package managers leave beside a file.
const LEFT_OVER: [&str; 7] =
    ["~", ".dpkg-old", ".dpkg-new", ".dpkg-dist", ".rpmsave", ".rpmnew", ".rpmorig"];

pub(super) fn is_hook(name: &str) -> bool {
    !name.starts_with('.') && !LEFT_OVER.iter().any(|end| name.ends_with(end))
}

/// The programs in the order of their names.
///
/// # Errors
/// If one of them, or the directory, is not what root alone has put there. To leave it out would
/// hold half of what the administrator wants held, and say that all of it is.
pub(super) fn hooks(root: &NodeRoot, path: &NodePath) -> Result<Vec<NodePath>, String> {
    let told = |error: RootError| chain(&error);
    let Some(directory) = root.directory(path).map_err(told)? else { return Ok(Vec::new()) };
    let mut above = path.parent();
    while let Some(parent) = above {
        let stat = root.stat(&parent).map_err(told)?;
        if let Some(fault) = stat.as_ref().and_then(exposed) {
            return Err(format!("`{parent}` {fault}"));
        }
        above = parent.parent();
    }
    let stat = |name: &str| {
        let stat = rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW);
        stat.map_err(|errno| format!("cannot examine `{}`: {errno}", path.join(name)))
    };
    let own = rustix::fs::fstat(&directory).map_err(|errno| format!("`{path}`: {errno}"))?;
    if let Some(fault) = exposed(&own) {
        return Err(format!("`{path}` {fault}"));
    }
    let mut hooks = Vec::new();
    for name in root.names(path).map_err(told)?.unwrap_or_default() {
        if is_hook(&name) {
            let hook = path.join(&name);
            if let Some(fault) = fault(&stat(&name)?) {
                return Err(format!("`{hook}` is not run: it {fault}"));
            }
            hooks.push(hook);
        }
    }
    Ok(hooks)
}

/// Why a file is no hook.
fn fault(stat: &Stat) -> Option<String> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Some("is not a regular file".to_owned());
    }
    if let Some(fault) = exposed(stat) {
        return Some(fault);
    }
    (stat.st_mode & 0o100 == 0).then(|| "is not executable".to_owned())
}

/// Who else could write it.
fn exposed(stat: &Stat) -> Option<String> {
    if stat.st_uid != 0 {
        return Some(format!("belongs to the user {}", stat.st_uid));
    }
    if stat.st_mode & 0o002 != 0 {
        return Some("can be changed by everybody".to_owned());
    }
    let by_group = stat.st_mode & 0o020 != 0 && stat.st_gid != 0;
    by_group.then(|| format!("can be changed by the group {}", stat.st_gid))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "makes trees with hooks")]

    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::node_path;

    #[test]
    fn leftovers_are_no_hooks() {
        for name in ["10-runner", "drain.sh", "a.d"] {
            assert!(is_hook(name), "{name}");
        }
        for name in [".keep", "10-runner~", "10-runner.dpkg-old", ".10-runner.swp", "x.rpmnew"] {
            assert!(!is_hook(name), "{name}");
        }
    }

    #[test]
    fn only_roots_own_programs_are_run() {
        let stat = |user: u32, group: u32, mode: u32| {
            let mut stat = rustix::fs::stat("/").unwrap();
            (stat.st_uid, stat.st_gid, stat.st_mode) = (user, group, mode);
            fault(&stat)
        };
        for (user, group, mode, expected) in [
            (0, 0, 0o100_755, None),
            (0, 0, 0o100_775, None),
            (0, 990, 0o100_755, None),
            (0, 990, 0o100_775, Some("can be changed by the group 990")),
            (0, 0, 0o100_757, Some("can be changed by everybody")),
            (990, 0, 0o100_755, Some("belongs to the user 990")),
            (0, 0, 0o100_644, Some("is not executable")),
            (0, 0, 0o120_777, Some("is not a regular file")),
            (0, 0, 0o040_755, Some("is not a regular file")),
        ] {
            assert_eq!(stat(user, group, mode).as_deref(), expected, "{user} {group} {mode:o}");
        }
    }

    #[test]
    fn hooks_are_run_in_order_and_one_that_is_not_believed_stops_all() {
        let directory = tempfile::tempdir().unwrap();
        let hooks_at = directory.path().join("etc/regtrust/hold.d");
        fs::create_dir_all(&hooks_at).unwrap();
        let root = NodeRoot::open(directory.path()).unwrap();
        let path = node_path!("etc/regtrust/hold.d");
        assert_eq!(hooks(&root, &node_path!("etc/regtrust/none.d")), Ok(vec![]));
        if !rustix::process::geteuid().is_root() {
            assert!(hooks(&root, &path).unwrap_err().contains("belongs to the user"));
            return;
        }
        for (name, mode) in [("20-b", 0o755), ("10-a", 0o700), ("10-a~", 0o666), ("9", 0o755)] {
            fs::write(hooks_at.join(name), "").unwrap();
            fs::set_permissions(hooks_at.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        let found = hooks(&root, &path).unwrap();
        let names: Vec<_> = found.iter().map(NodePath::file_name).collect();
        assert_eq!(names, ["10-a", "20-b", "9"]);
        fs::set_permissions(&hooks_at, fs::Permissions::from_mode(0o777)).unwrap();
        let fault = hooks(&root, &path).unwrap_err();
        assert_eq!(fault, format!("`{path}` can be changed by everybody"));
    }
}
