//! Who else could change what a node is told to trust.

use rustix::fs::Stat;

use crate::node::root::NodeRoot;
use crate::path::NodePath;
use crate::trust::findings::{Findings, Place};
use crate::trust::problem::Problem;

/// Whoever may write a declaration may let a forged registry be believed. Files are trusted if they
/// belong to root or to the owner of the tree, who for an image that a user builds is that user.
#[derive(Clone, Copy, Debug)]
pub(in crate::source) struct Exposure {
    user: u32,
    group: u32,
}

impl Exposure {
    pub(in crate::source) fn of(root: &NodeRoot) -> Self {
        rustix::fs::fstat(root).map_or(Self { user: 0, group: 0 }, |stat| Self {
            user: stat.st_uid,
            group: stat.st_gid,
        })
    }

    /// A warning, if others than its owner can change what lies at `path`.
    pub(in crate::source) fn warning(self, root: &NodeRoot, path: &NodePath) -> Option<Problem> {
        // What cannot be examined cannot be read either, and that has been said.
        let message = self.fault(root, path).ok()??;
        let mut findings = Findings::new(path.to_string());
        *findings.warning(Place::default(), "", message) = Some(cure(path));
        findings.into_problems(None).pop()
    }

    pub(in crate::source) fn fault(
        self,
        root: &NodeRoot,
        path: &NodePath,
    ) -> Result<Option<String>, String> {
        let stat = root.stat(path).map_err(|error| error.reason())?;
        Ok(stat.and_then(|stat| self.of_stat(&stat)))
    }

    fn of_stat(self, stat: &Stat) -> Option<String> {
        let Stat { st_uid: user, st_gid: group, st_mode: mode, .. } = *stat;
        if user != 0 && user != self.user {
            return Some(format!("belongs to the user {user}, who can change it"));
        }
        if mode & 0o002 != 0 {
            return Some("can be changed by everybody".to_owned());
        }
        let foreign = group != 0 && group != self.group;
        (mode & 0o020 != 0 && foreign).then(|| format!("can be changed by the group {group}"))
    }
}

pub(in crate::source) fn cure(path: &NodePath) -> String {
    format!("`chown root {path}` and `chmod go-w {path}`")
}
