//! Which files count.

use std::collections::BTreeMap;

use super::exposure::Exposure;
use super::{broken, files};
use crate::node::root::{Listing, NodeRoot};
use crate::observed::Found;
use crate::path::NodePath;
use crate::trust::declaration::Declarations;
use crate::trust::findings::{Findings, Place};

/// The link that a kubelet swaps when a ConfigMap or a Secret changes.
const SWAPPED: &str = "..data";

/// A file that counts, and those of its name that therefore do not.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) path: NodePath,
    pub(super) masked: Vec<NodePath>,
    /// A link to `/dev/null`.
    pub(super) is_mask: bool,
}

#[derive(Debug, Default)]
pub(super) struct Scan {
    /// By name, then from the weakest directory to the strongest.
    pub(super) candidates: Vec<Candidate>,
    /// Of the directories themselves.
    pub(super) problems: Vec<Declarations>,
    /// What each directory was, where it is one that is swapped.
    versions: BTreeMap<NodePath, String>,
}

impl Scan {
    pub(super) fn of_file(path: &NodePath) -> Self {
        let candidate = Candidate { path: path.clone(), masked: Vec::new(), is_mask: false };
        Self { candidates: vec![candidate], ..Self::default() }
    }

    /// The directories that are no longer what they were.
    pub(super) fn swapped<'a>(&'a self, root: &'a NodeRoot) -> impl Iterator<Item = &'a NodePath> {
        let same = |(path, was): &(&NodePath, &String)| version(root, path).as_ref() == Some(*was);
        self.versions.iter().filter(move |one| !same(one)).map(|(path, _)| path)
    }

    /// The names of the declarations in a directory.
    fn list(&mut self, root: &NodeRoot, directory: &NodePath) -> Option<Vec<String>> {
        // Before the names are read, or a swap in between would go unnoticed.
        let version = version(root, directory);
        match root.listing(directory) {
            Ok(Some(Listing { mut names, not_utf8 })) => {
                if let Some(version) = version {
                    self.versions.insert(directory.clone(), version);
                } else if let Some(warning) = Exposure::of(root).warning(root, directory) {
                    let (file, problems) = (directory.to_string(), vec![warning]);
                    self.problems.push(Declarations { file, problems, ..Declarations::default() });
                }
                self.problems.extend(unnameable(directory, &not_utf8));
                names.retain(|name| !name.starts_with('.') && has_extension(name));
                return Some(names);
            }
            Ok(None) => {
                let fault = files::absence(root, directory).err()?;
                self.problems.push(broken(directory, &fault));
            }
            Err(error) => {
                let message = format!("cannot be listed: {}", error.reason());
                self.problems.push(broken(directory, &message));
            }
        }
        None
    }
}

/// Files whose name cannot be said, and so cannot be told from another.
fn unnameable(directory: &NodePath, names: &[String]) -> Vec<Declarations> {
    let ours = names.iter().filter(|name| has_extension(name));
    ours.map(|name| {
        let mut findings = Findings::new(&format!("{directory}/{name}"));
        *findings.error(Place::default(), "", "has a name that is not UTF-8") =
            Some("rename it".to_owned());
        Declarations::broken(findings)
    })
    .collect()
}

fn has_extension(name: &str) -> bool {
    name.strip_suffix(".toml").is_some_and(|stem| !stem.is_empty())
}

fn version(root: &NodeRoot, directory: &NodePath) -> Option<String> {
    match root.look(&directory.join(SWAPPED)) {
        Ok(Some(Found::Symlink { to })) => Some(to),
        _ => None,
    }
}

/// Lists `standard`, in which a file masks those of its name in the directories before, and
/// `extra`, which are there because somebody said so: one that is not is a problem.
pub(super) fn scan(root: &NodeRoot, standard: &[NodePath], extra: &[NodePath]) -> Scan {
    let mut scan = Scan::default();
    let mut by_name: BTreeMap<(String, usize), Candidate> = BTreeMap::new();
    for directory in standard {
        for name in scan.list(root, directory).unwrap_or_default() {
            let path = directory.join(&name);
            let weaker = by_name.remove(&(name.clone(), 0));
            let masked =
                weaker.into_iter().flat_map(|one| one.masked.into_iter().chain([one.path]));
            let candidate =
                Candidate { masked: masked.collect(), is_mask: is_mask(root, &path), path };
            by_name.insert((name, 0), candidate);
        }
    }
    for (rank, directory) in (1..).zip(extra) {
        let problems = scan.problems.len();
        let names = scan.list(root, directory);
        if names.is_none() && scan.problems.len() == problems {
            scan.problems.push(broken(directory, "is not there"));
        }
        for name in names.unwrap_or_default() {
            let path = directory.join(&name);
            by_name.insert((name, rank), Candidate { path, masked: Vec::new(), is_mask: false });
        }
    }
    scan.candidates = by_name.into_values().collect();
    scan
}

fn is_mask(root: &NodeRoot, path: &NodePath) -> bool {
    matches!(root.look(path), Ok(Some(Found::Symlink { to })) if to == "/dev/null")
}
