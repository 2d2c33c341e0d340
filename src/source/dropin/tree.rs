//! Where files are read: on the node, or beside it in the container that has the node mounted.

use std::sync::Arc;

use super::exposure::Exposure;
use crate::node::root::NodeRoot;
use crate::trust::declaration::Declarations;

#[derive(Clone, Copy, Debug)]
pub(super) struct Tree<'r> {
    pub(super) root: &'r NodeRoot,
    pub(super) exposure: Exposure,
    pub(super) is_outside: bool,
}

/// Before the path of a file that is not on the node. Without it, the container's
/// `/etc/regtrust/registries.d/a.toml` and the node's would be one file: a mistake in either would
/// hold what the other declared.
const OUTSIDE: &str = "container:";

impl<'r> Tree<'r> {
    pub(super) fn node(root: &'r NodeRoot) -> Self {
        Self { root, exposure: Exposure::of(root), is_outside: false }
    }

    pub(super) fn outside(root: &'r NodeRoot) -> Self {
        Self { is_outside: true, ..Self::node(root) }
    }

    /// The declarations under the name by which people know their file.
    pub(super) fn named(self, mut file: Declarations) -> Declarations {
        if !self.is_outside {
            return file;
        }
        let name = |path: &mut String| path.insert_str(0, OUTSIDE);
        let name_shared = |path: &mut Arc<str>| *path = format!("{OUTSIDE}{path}").into();
        name(&mut file.file);
        file.problems.iter_mut().for_each(|problem| name(&mut problem.location.file));
        for entry in &mut file.entries {
            name_shared(&mut Arc::make_mut(entry).origin.file);
        }
        for unusable in &mut file.unusable {
            name_shared(&mut unusable.origin.file);
            name(&mut unusable.problem.location.file);
        }
        file
    }
}
