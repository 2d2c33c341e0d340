//! What can go wrong in a transaction, and what to do about it.

use crate::node::root::RootError;
use crate::path::NodePath;
use crate::txn::blobs::BlobError;
use crate::txn::disk::DiskError;
use crate::txn::journal::JournalError;

/// Something in the way that was seen before anything was touched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    pub path: NodePath,
    /// Completes the sentence that the path begins: "is a symbolic link to `x`".
    pub reason: String,
    pub cure: String,
    /// The node is not what the plan saw: a new plan is the cure, no person is needed.
    pub stale: bool,
    /// It is about a whole file system, such as one that is full, and not about the path.
    pub node_wide: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum TxnError {
    /// Nothing was touched.
    #[error("{}", sentences(.0))]
    Refused(Vec<Refusal>),
    /// Somebody edited it while we worked; everything was put back. Plan again, never overwrite.
    #[error("`{path}` changed while the change was being made")]
    Stale { path: NodePath },
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Root(#[from] RootError),
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Its journal would be overwritten, and with it what says how to finish it.
    #[error("an earlier change was interrupted and is not finished yet")]
    Interrupted,
    /// Rolling forward would overwrite somebody's edit, and so would rolling back.
    #[error("{} neither what the interrupted change found nor what it makes", listed(.paths))]
    Disputed { paths: Vec<NodePath> },
    /// The journal is kept, so the next `recover` takes it from here.
    #[error("the change was given up, and taking it back was cut short too ({undo})")]
    NotUndone { source: Box<TxnError>, undo: Box<TxnError> },
    /// Every target has its new content, durably; only the tidying is left to the next `recover`. After
    /// a `recover` that says so itself, what a crash kept from being durable is left to it as well.
    #[error("the change is in place, but what it left behind could not be cleared away")]
    Unfinished { source: Box<TxnError> },
}

impl TxnError {
    /// What a person can do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Refused(refusals) => Some(cures(refusals)),
            Self::Stale { .. } => Some("plan again".to_owned()),
            Self::Interrupted | Self::NotUndone { .. } | Self::Unfinished { .. } => {
                Some("run regtrust again: it finishes the interrupted change first".to_owned())
            }
            Self::Disputed { paths } => Some(format!(
                "put back the earlier content of {}, or rename `{}` to `{}` to keep every file as it \
                 is now, and run regtrust again: it finishes the change, or clears away what it had \
                 prepared for it",
                quoted(paths),
                super::journal::path(),
                super::journal::ABANDONED_NAME
            )),
            Self::Disk(_) | Self::Root(_) | Self::Blob(_) | Self::Journal(_) => None,
        }
    }

    /// Whether a new plan, and nothing else, is called for.
    pub fn is_stale(&self) -> bool {
        match self {
            Self::Refused(refusals) => refusals.iter().all(|refusal| refusal.stale),
            Self::Stale { .. } => true,
            _ => false,
        }
    }
}

fn sentences(refusals: &[Refusal]) -> String {
    let sentence = |refusal: &Refusal| format!("`{}` {}", refusal.path, refusal.reason);
    refusals.iter().map(sentence).collect::<Vec<_>>().join("; ")
}

fn cures(refusals: &[Refusal]) -> String {
    let mut cures: Vec<_> = refusals.iter().map(|refusal| refusal.cure.as_str()).collect();
    cures.dedup();
    cures.join("; ")
}

fn listed(paths: &[NodePath]) -> String {
    format!("{} {}", quoted(paths), if paths.len() == 1 { "is" } else { "are" })
}

fn quoted(paths: &[NodePath]) -> String {
    paths.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ")
}

impl Refusal {
    pub(super) fn new(path: &NodePath, reason: String, cure: &str) -> Self {
        Self { path: path.clone(), reason, cure: cure.to_owned(), stale: false, node_wide: false }
    }

    pub(super) fn node_wide(path: &NodePath, reason: String, cure: &str) -> Self {
        Self { node_wide: true, ..Self::new(path, reason, cure) }
    }

    pub(super) fn stale(path: &NodePath, reason: &str) -> Self {
        let (reason, cure) = (reason.to_owned(), "plan again".to_owned());
        Self { path: path.clone(), reason, cure, stale: true, node_wide: false }
    }
}
