//! Which files count.

use std::collections::BTreeMap;

use super::{Directory, Tree, broken, files};
use crate::node::root::{Listing, NodeRoot};
use crate::observed::Found;
use crate::path::NodePath;
use crate::trust::declaration::Declarations;
use crate::trust::findings::{Findings, Place};

/// The link that a kubelet swaps when a ConfigMap or a Secret changes.
const SWAPPED: &str = "..data";

/// A file that counts, and those of its name that therefore do not.
#[derive(Debug)]
pub(super) struct Candidate<'r> {
    pub(super) tree: Tree<'r>,
    pub(super) path: NodePath,
    pub(super) masked: Vec<NodePath>,
    /// A link to `/dev/null`.
    pub(super) is_mask: bool,
}

#[derive(Debug, Default)]
pub(super) struct Scan<'r> {
    /// By name, then from the weakest directory to the strongest.
    pub(super) candidates: Vec<Candidate<'r>>,
    /// Of the directories themselves.
    pub(super) problems: Vec<Declarations>,
    /// What each directory was, where it is one that is swapped.
    versions: Vec<(Tree<'r>, NodePath, String)>,
}

impl<'r> Scan<'r> {
    pub(super) fn of_file(tree: Tree<'r>, path: &NodePath) -> Self {
        let candidate = Candidate { tree, path: path.clone(), masked: Vec::new(), is_mask: false };
        Self { candidates: vec![candidate], ..Self::default() }
    }

    /// The directories that are no longer what they were.
    pub(super) fn swapped(&self) -> impl Iterator<Item = (Tree<'r>, &NodePath)> {
        let is_same = |(tree, path, was): &&(Tree<'_>, NodePath, String)| {
            version(*tree, path).as_ref() == Some(was)
        };
        self.versions.iter().filter(move |one| !is_same(one)).map(|(tree, path, _)| (*tree, path))
    }

    /// The names of the declarations in a directory.
    fn list(&mut self, tree: Tree<'r>, directory: &NodePath) -> Option<Vec<Box<str>>> {
        // Before the names are read, or a swap in between would go unnoticed.
        let version = version(tree, directory);
        match tree.root.listing(directory) {
            Ok(Some(Listing { mut names, not_utf8 })) => {
                if let Some(version) = version {
                    self.versions.push((tree, directory.clone(), version));
                } else if let Some(warning) = tree.exposure.warning(tree.root, directory) {
                    let (file, problems) = (directory.to_string(), vec![warning]);
                    let warnings = Declarations { file, problems, ..Declarations::default() };
                    self.problems.push(tree.named(warnings));
                }
                let unnameable = unnameable(directory, &not_utf8);
                self.problems.extend(unnameable.into_iter().map(|one| tree.named(one)));
                names.retain(|name| !name.starts_with('.') && has_extension(name));
                return Some(names);
            }
            Ok(None) => {
                let fault = files::absence(tree.root, directory).err()?;
                self.problems.push(tree.named(broken(directory, &fault)));
            }
            Err(error) => {
                let message = format!("cannot be listed: {}", error.reason());
                self.problems.push(tree.named(broken(directory, &message)));
            }
        }
        None
    }
}

/// Files whose name cannot be said, and so cannot be told from another.
fn unnameable(directory: &NodePath, names: &[String]) -> Vec<Declarations> {
    let ours = names.iter().filter(|name| has_extension(name));
    ours.map(|name| {
        let mut findings = Findings::new(format!("{directory}/{name}"));
        *findings.error(Place::default(), "", "has a name that is not UTF-8") =
            Some("rename it".to_owned());
        Declarations::broken(findings)
    })
    .collect()
}

fn has_extension(name: &str) -> bool {
    name.strip_suffix(".toml").is_some_and(|stem| !stem.is_empty())
}

fn version(tree: Tree<'_>, directory: &NodePath) -> Option<String> {
    swapped_version(tree.root, directory)
}

/// What the link says of a directory that is swapped as a whole. `None`: it is none.
pub(in crate::source) fn swapped_version(root: &NodeRoot, directory: &NodePath) -> Option<String> {
    match root.look(&directory.join(SWAPPED)) {
        Ok(Some(Found::Symlink { to })) => Some(to),
        _ => None,
    }
}

/// Lists `standard`, in which a file masks those of its name in the directories before, and
/// `extra`, which are there because somebody said so: one that is not is a problem.
pub(super) fn scan<'r>(node: Tree<'r>, standard: &[NodePath], extra: &'r [Directory]) -> Scan<'r> {
    let mut scan = Scan::default();
    let mut by_name: BTreeMap<(Box<str>, usize), Candidate<'r>> = BTreeMap::new();
    for directory in standard {
        for name in scan.list(node, directory).unwrap_or_default() {
            let path = directory.join(&name);
            let weaker = by_name.remove(&(name.clone(), 0));
            let masked =
                weaker.into_iter().flat_map(|one| one.masked.into_iter().chain([one.path]));
            let is_mask = is_mask(node, &path);
            let candidate = Candidate { tree: node, masked: masked.collect(), is_mask, path };
            by_name.insert((name, 0), candidate);
        }
    }
    for (rank, Directory { path: directory, outside }) in (1..).zip(extra) {
        let tree = outside.as_deref().map_or(node, Tree::outside);
        let problems = scan.problems.len();
        let names = scan.list(tree, directory);
        if names.is_none() && scan.problems.len() == problems {
            scan.problems.push(tree.named(broken(directory, "is not there")));
        }
        for name in names.unwrap_or_default() {
            let path = directory.join(&name);
            let candidate = Candidate { tree, path, masked: Vec::new(), is_mask: false };
            by_name.insert((name, rank), candidate);
        }
    }
    scan.candidates = by_name.into_values().collect();
    scan
}

fn is_mask(tree: Tree<'_>, path: &NodePath) -> bool {
    matches!(tree.root.look(path), Ok(Some(Found::Symlink { to })) if to == "/dev/null")
}
