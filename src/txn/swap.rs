//! Makes what is staged visible, each target at one instant.
//!
//! A directory that cannot be moved is the exception, and changes file by file. Overlay file systems
//! do not move what lies in a lower layer, which is where an image build and a node that was booted
//! from a baked image have their registries; ZFS before 2.2 and NFS exchange nothing; and a directory
//! of another quota project than its parent does not leave it. The transaction is as whole as ever
//! then. What is lost is that readers see one instant, and the order keeps what they see harmless:
//! see [`in_order`].
//!
//! What was there comes to lie under the staged name, where it is compared with what the plan saw.
//! So an edit that somebody made at the last moment is found after the exchange, not before it, and
//! put back: no window is left in which it could be lost. And undoing is renaming, which works on a
//! full disk.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;

use crate::path::NodePath;
use crate::txn::disk::{self, DiskError};
use crate::txn::error::TxnError;
use crate::txn::journal::{Edit, Side};
use crate::txn::shape::{self, Shape};
use crate::txn::stage::{Work, aside};

/// Two names in one directory: the target, and where its new or its old state lies.
struct Pair<'a> {
    directory: BorrowedFd<'a>,
    target: &'a str,
    staged: &'a str,
    /// The third name for a file; a directory has none.
    aside: Option<&'a str>,
}

/// What a target goes through.
#[derive(Clone, Copy)]
enum Turn {
    Appear,
    Change,
    Vanish,
}

impl Turn {
    fn reversed(self) -> Self {
        match self {
            Self::Appear => Self::Vanish,
            Self::Change => Self::Change,
            Self::Vanish => Self::Appear,
        }
    }
}

impl Pair<'_> {
    fn turn(&self, turn: Turn) -> Result<(), Errno> {
        match turn {
            Turn::Appear => disk::rename_to_nothing(self.directory, self.staged, self.target),
            Turn::Vanish => disk::rename_to_nothing(self.directory, self.target, self.staged),
            Turn::Change => match disk::exchange(self.directory, self.staged, self.target) {
                Err(errno @ (Errno::INVAL | Errno::NOSYS)) => match self.aside {
                    Some(aside) => {
                        disk::exchange_by_links(self.directory, self.staged, self.target, aside)
                    }
                    None => Err(errno),
                },
                done => done,
            },
        }
    }

    /// Turns, and turns back unless what came out is what was expected.
    fn turn_if(
        &self,
        turn: Turn,
        path: &NodePath,
        is_expected: impl FnOnce() -> Result<bool, TxnError>,
    ) -> Result<(), TxnError> {
        self.turn(turn).map_err(|errno| self.explain(errno, path))?;
        let verdict = is_expected();
        if matches!(verdict, Ok(true)) {
            return Ok(());
        }
        self.turn(turn.reversed()).map_err(|errno| self.explain(errno, path))?;
        verdict.and(Err(TxnError::Stale { path: path.clone() }))
    }

    fn explain(&self, errno: Errno, path: &NodePath) -> TxnError {
        match errno {
            Errno::EXIST | Errno::NOENT | Errno::NOTEMPTY => TxnError::Stale { path: path.clone() },
            Errno::INVAL | Errno::NOSYS | Errno::XDEV if self.aside.is_none() => {
                DiskError::Unmovable { path: path.clone(), source: errno.into() }.into()
            }
            errno => disk::failed("replace", path)(errno).into(),
        }
    }
}

impl Work<'_> {
    /// Makes the unit visible in the way it was staged for, or file by file where that cannot be.
    ///
    /// The directories whose entries change are added to `touched`, also when it fails half-way.
    pub(super) fn swap(
        &self,
        shape: Shape,
        touched: &mut BTreeSet<Option<NodePath>>,
    ) -> Result<(), TxnError> {
        let (directory, turn) = match (&self.unit.directory, shape) {
            (Some(directory), Shape::Place) => (&directory.path, Turn::Appear),
            (Some(directory), Shape::Exchange) => (&directory.path, Turn::Change),
            (Some(directory), Shape::Withdraw) => (&directory.path, Turn::Vanish),
            (None, _) | (_, Shape::Files) => return self.swap_files(touched),
        };
        touched.insert(directory.parent());
        match self.swap_directory(directory, turn) {
            Err(TxnError::Disk(DiskError::Unmovable { .. })) if shape != Shape::Place => {
                // Only here it is known that this is needed, so what was staged is the directory. A
                // withdrawn one is empty after this, and removed with what the journal says goes.
                self.stage_files()?;
                self.swap_files(touched)
            }
            done => done,
        }
    }

    fn swap_files(&self, touched: &mut BTreeSet<Option<NodePath>>) -> Result<(), TxnError> {
        touched.extend(self.pending.iter().map(|edit| edit.path.parent()));
        let mut edits = in_order(self.pending, self.side);
        edits.retain(|edit| self.lingering().all(|lingering| lingering.path != edit.path));
        edits.into_iter().try_for_each(|edit| self.swap_file(edit))
    }

    pub(super) fn swap_file(&self, edit: &Edit) -> Result<(), TxnError> {
        let path = &edit.path;
        let from = self.side.other();
        let turn = match (edit.image(from), edit.image(self.side)) {
            (None, None) => return Ok(()),
            (None, Some(_)) => Turn::Appear,
            (Some(_), Some(_)) => Turn::Change,
            (Some(_), None) => Turn::Vanish,
        };
        let vanished = || TxnError::Stale { path: path.clone() };
        let directory = shape::open_for(self.root, self.unit, edit)?.ok_or_else(vanished)?;
        let staged = self.staged_file(edit);
        let pair = Pair {
            directory: directory.as_fd(),
            target: path.file_name(),
            staged: &staged,
            aside: Some(&aside(&staged)),
        };
        pair.turn_if(turn, path, || {
            shape::holds_side(Some(directory.as_fd()), &staged, self.journal, edit, from)
        })
    }

    /// What is not swapped but retired, later.
    pub(super) fn lingering(&self) -> impl Iterator<Item = &Edit> {
        shape::lingering(self.pending, self.side)
    }

    /// Takes away what an exchange has kept, or what was left where a directory changed file by file.
    /// The directory is synced when this is cleared away.
    ///
    /// What somebody has made theirs meanwhile stays theirs. The change is durable, so neither could
    /// it be undone, nor would anybody be helped if it were called unfinished.
    pub(super) fn retire(&self) -> Result<(), TxnError> {
        for edit in self.lingering() {
            let directory = shape::open_for(self.root, self.unit, edit)?;
            let directory = directory.as_ref().map(AsFd::as_fd);
            if shape::has_content(directory, self.journal, edit, self.side)? {
                continue;
            }
            match self.swap_file(edit) {
                Ok(()) | Err(TxnError::Stale { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn swap_directory(&self, path: &NodePath, turn: Turn) -> Result<(), TxnError> {
        let vanished = || TxnError::Stale { path: path.clone() };
        let parent = self.root.parent(path)?.ok_or_else(vanished)?;
        let staged = self.staged_directory();
        let pair = Pair {
            directory: parent.as_fd(),
            target: path.file_name(),
            staged: &staged,
            aside: None,
        };
        pair.turn_if(turn, path, || match turn {
            Turn::Appear => Ok(true),
            Turn::Change | Turn::Vanish => self.is_untouched(parent.as_fd(), &staged, path),
        })
    }

    /// Whether the directory that was taken away is the one that was staged from: the files we
    /// change as the plan saw them, and all others the very ones that were carried over.
    fn is_untouched(
        &self,
        parent: BorrowedFd<'_>,
        staged: &str,
        path: &NodePath,
    ) -> Result<bool, TxnError> {
        let Some(old) = disk::open_directory(parent, staged, path)? else { return Ok(false) };
        let new = disk::open_directory(parent, path.file_name(), path)?;
        let new = new.as_ref().map(AsFd::as_fd);
        self.is_version(old.as_fd(), new, path, self.side.other())
    }
}

/// The order in which the files of a directory change, one after the other.
///
/// containerd takes a hosts.toml as a whole, so what it names comes before it and goes after it: a
/// CA is there before the file that needs it, and a registry that is withdrawn loses its settings
/// first. dockerd refuses every pull for as long as it finds a certificate without its key, or with
/// another's; neither order avoids that, so the two change right after each other, last of what
/// comes and first of what goes.
pub(super) fn in_order<'j>(edits: &[&'j Edit], side: Side) -> Vec<&'j Edit> {
    let rank = |edit: &Edit| {
        let (stays, name) = (edit.image(side).is_some(), edit.path.file_name());
        let extension = name.rsplit_once('.').map(|(_, extension)| extension);
        let is_of_pair = matches!(extension, Some("cert" | "key"));
        match (name, stays, is_of_pair) {
            ("hosts.toml", _, _) => 2,
            (_, true, false) => 0,
            (_, true, true) => 1,
            (_, false, true) => 3,
            (_, false, false) => 4,
        }
    };
    let mut edits = edits.to_vec();
    // Within a rank by name, which puts `a.key` behind `a.cert`.
    edits.sort_by_key(|edit| (rank(edit), edit.path.file_name()));
    edits
}
