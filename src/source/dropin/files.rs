//! Reading what declarations refer to, each file once.

use std::collections::BTreeMap;

use super::Tree;
use crate::content::Content;
use crate::node::root::NodeRoot;
use crate::path::NodePath;
use crate::trust::declaration::{Declarations, Holds, Loaded};

#[derive(Debug, Default)]
pub(super) struct References(BTreeMap<NodePath, Holds>);

impl References {
    pub(super) fn add(&mut self, references: BTreeMap<NodePath, Holds>) {
        for (path, holds) in references {
            let known = self.0.entry(path).or_insert(holds);
            *known = holds.max(*known);
        }
    }

    /// Reads every file, and reports those that others could change.
    pub(super) fn load(self, tree: Tree<'_>) -> (Loaded, Vec<Declarations>) {
        let mut warnings = Vec::new();
        for path in self.0.keys() {
            let problems: Vec<_> = tree.exposure.warning(tree.root, path).into_iter().collect();
            if !problems.is_empty() {
                let file = path.to_string();
                let warning = Declarations { file, problems, ..Declarations::default() };
                warnings.push(tree.named(warning));
            }
        }
        let load = |(path, holds)| {
            let content = load(tree.root, &path, holds);
            (path, content)
        };
        (self.0.into_iter().map(load).collect(), warnings)
    }
}

fn load(root: &NodeRoot, path: &NodePath, holds: Holds) -> Result<Content, String> {
    let bytes = root.read(path).map_err(|error| error.reason())?;
    let bytes = bytes.ok_or_else(|| "it is not there".to_owned())?;
    Ok(match holds {
        Holds::Certificates => Content::plain(bytes),
        Holds::Key => Content::secret(bytes),
    })
}

/// Whether what cannot be found at `path` really is not there, and not behind a link that leads
/// nowhere or a file in place of a directory.
///
/// # Errors
/// With what is in the way.
pub(super) fn absence(root: &NodeRoot, path: &NodePath) -> Result<(), String> {
    let mut way: Vec<NodePath> =
        std::iter::successors(Some(path.clone()), NodePath::parent).collect();
    way.reverse();
    for step in way {
        if root.look(&step).map_err(|error| error.reason())?.is_none() {
            return Ok(());
        }
        if root.directory(&step).map_err(|error| error.reason())?.is_none() {
            return Err(format!("`{step}` leads nowhere, or is no directory"));
        }
    }
    Ok(())
}
