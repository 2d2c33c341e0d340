//! Reads the node's own files: declarations, the certificates they name, and the policy.
//!
//! A file in `/etc` masks one of the same name in `/run`, and that one in `/usr/lib`; a link to
//! `/dev/null` or an empty file masks and declares nothing. Further directories, such as a mounted
//! ConfigMap, mask nothing. All files together are sorted by name, whatever directory
//! they are in, and of two that declare a host the later one wins.
//!
//! A program in a container that has the node mounted finds those further directories in its own
//! tree, and its messages say so: `container:/config/a.toml`.
//!
//! What cannot be read is never taken for what is not there: a directory behind a link to a volume
//! that is not mounted yet would otherwise withdraw every registry at boot.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::node::root::NodeRoot;
use crate::path::NodePath;
use crate::trust::certificate_cache::CertificateCache;
use crate::trust::declaration::{Declarations, Draft, Loaded};
use crate::trust::desired::DesiredState;
use crate::trust::findings::{Findings, Place};
use crate::trust::policy::Policy;
use crate::trust::problem::Problem;
use crate::trust::toml_reader::Lines;

pub(super) mod directory;
pub(super) mod exposure;
mod files;
mod policy;
mod tree;

#[cfg(test)]
mod tests;

use directory::Candidate;
use files::References;
use tree::Tree;

pub use policy::read_policy;

/// From the weakest to the strongest.
const DIRECTORIES: [&str; 3] =
    ["usr/lib/regtrust/registries.d", "run/regtrust/registries.d", "etc/regtrust/registries.d"];

/// A ConfigMap is swapped at once, but it is read file by file; this often the reading is repeated
/// when a swap came between.
const ATTEMPTS: usize = 5;

/// A directory of declarations that somebody named, beside the standard ones.
#[derive(Clone, Debug)]
pub struct Directory {
    pub path: NodePath,
    /// The tree it is in, if that is not the node's.
    pub outside: Option<Arc<NodeRoot>>,
}

impl From<NodePath> for Directory {
    fn from(path: NodePath) -> Self {
        Self { path, outside: None }
    }
}

/// What the node's own files say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    pub desired: DesiredState,
    pub policy: Policy,
}

impl Sources {
    /// Everything that is wrong with the declarations and the policy.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.policy.problems().iter().chain(&self.desired.problems)
    }
}

/// Reads everything beneath `root`; `extra` are further directories with declarations.
pub fn read(root: &NodeRoot, extra: &[Directory], now: Timestamp) -> Sources {
    Sources { desired: read_declarations(root, extra, now), policy: read_policy(root) }
}

/// The declarations of the usual directories and of `extra`.
pub fn read_declarations(root: &NodeRoot, extra: &[Directory], now: Timestamp) -> DesiredState {
    DesiredState::merge(declared(root, extra, now), now)
}

/// The same, file by file in their order.
pub(super) fn declared(root: &NodeRoot, extra: &[Directory], now: Timestamp) -> Vec<Declarations> {
    let directories: Vec<NodePath> =
        DIRECTORIES.iter().map(|path| NodePath::constant(path)).collect();
    steadily(&|| directory::scan(Tree::node(root), &directories, extra), now)
}

/// The declarations of one directory, or of one file whatever it is called.
pub fn read_path(root: &NodeRoot, path: &NodePath, now: Timestamp) -> DesiredState {
    let is_directory = matches!(root.directory(path), Ok(Some(_)));
    let directory = [Directory::from(path.clone())];
    let scan = || {
        if is_directory {
            directory::scan(Tree::node(root), &[], &directory)
        } else {
            directory::Scan::of_file(Tree::node(root), path)
        }
    };
    DesiredState::merge(steadily(&scan, now), now)
}

/// Repeats the reading until no directory was swapped meanwhile, so that a declaration and its
/// certificate are of the same age.
fn steadily<'r>(scan: &dyn Fn() -> directory::Scan<'r>, now: Timestamp) -> Vec<Declarations> {
    let mut attempt = 1;
    loop {
        let scan = scan();
        let files = read_files(&scan.candidates, now);
        let swapped: Vec<_> = scan.swapped().collect();
        if swapped.is_empty() || attempt == ATTEMPTS {
            let unsteady = swapped
                .into_iter()
                .map(|(tree, path)| tree.named(broken(path, "changes all the time")));
            return unsteady.chain(scan.problems.iter().cloned()).chain(files).collect();
        }
        attempt += 1;
    }
}

fn read_files(candidates: &[Candidate<'_>], now: Timestamp) -> Vec<Declarations> {
    let drafts: Vec<_> = candidates.iter().map(|candidate| (candidate, draft(candidate))).collect();
    let (loaded, mut files) = load(&drafts);
    let mut certificates = CertificateCache::new(now);
    let nothing = Loaded::new();
    for (candidate, draft) in drafts {
        let Candidate { tree, path, .. } = candidate;
        let loaded = loaded.get(&tree.is_outside).unwrap_or(&nothing);
        let mut file =
            draft.map_or_else(|broken| broken, |draft| draft.complete(loaded, &mut certificates));
        file.problems.extend(tree.exposure.warning(tree.root, path));
        if file.broken {
            files.extend(candidate.masked.iter().map(masked_by_broken));
        }
        files.push(tree.named(file));
    }
    files
}

/// What the drafts refer to, each file of each tree once. A path means another file in each.
fn load(
    drafts: &[(&Candidate<'_>, Result<Draft, Declarations>)],
) -> (BTreeMap<bool, Loaded>, Vec<Declarations>) {
    let mut references: BTreeMap<bool, (Tree<'_>, References)> = BTreeMap::new();
    for (candidate, draft) in drafts {
        let Ok(draft) = draft else { continue };
        let tree = candidate.tree;
        let known = references.entry(tree.is_outside).or_insert((tree, References::default()));
        known.1.add(draft.references());
    }
    let (mut loaded, mut warnings) = (BTreeMap::new(), Vec::new());
    for (is_outside, (tree, references)) in references {
        let (contents, of_tree) = references.load(tree);
        loaded.insert(is_outside, contents);
        warnings.extend(of_tree);
    }
    (loaded, warnings)
}

fn draft(candidate: &Candidate<'_>) -> Result<Draft, Declarations> {
    let path = &candidate.path;
    if candidate.is_mask {
        return Err(Declarations { file: path.to_string(), ..Declarations::default() });
    }
    match candidate.tree.root.read(path) {
        Ok(Some(bytes)) => Draft::parse(as_text(&bytes, path)?, path),
        Ok(None) => Err(broken(path, "is not there, or is a link to nothing")),
        Err(error) => Err(broken(path, &format!("cannot be read: {}", error.reason()))),
    }
}

/// What the masked file once declared is not to be withdrawn because what masks it has a mistake.
fn masked_by_broken(path: &NodePath) -> Declarations {
    Declarations { file: path.to_string(), broken: true, ..Declarations::default() }
}

fn broken(path: &NodePath, message: &str) -> Declarations {
    let mut findings = Findings::new(path.to_string());
    *findings.error(Place::default(), "", message) =
        Some("what it declared stays in force until it can be read".to_owned());
    Declarations::broken(findings)
}

fn as_text<'b>(bytes: &'b [u8], path: &NodePath) -> Result<&'b str, Declarations> {
    str::from_utf8(bytes).map_err(|error| {
        let mut findings = Findings::new(path.to_string());
        *findings.error(not_utf8(bytes, &error), "", "is not UTF-8") =
            Some("save it as UTF-8".to_owned());
        Declarations::broken(findings)
    })
}

/// Where the text stops being UTF-8.
fn not_utf8(bytes: &[u8], error: &std::str::Utf8Error) -> Place {
    let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
    let valid = str::from_utf8(valid).unwrap_or_default();
    Lines::new(valid).place(valid.len())
}
