//! Makes what is to become visible, beside where it will be, durably and unseen; and clears it away.
//!
//! What is staged is a dot-file that ends in `.tmp`: dockerd takes whatever ends in `.crt`, `.cert`
//! or `.key` for an answer, even half of one.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd};

use crate::node::root::NodeRoot;
use crate::path::NodePath;
use crate::txn::disk;
use crate::txn::error::TxnError;
use crate::txn::journal::{Edit, Image, Journal, Side, Unit};
use crate::txn::metadata::{Metadata, dress};
use crate::txn::shape::{self, Opened, Shape};

/// One unit on its way to one side.
#[derive(Clone, Copy)]
pub(super) struct Work<'t> {
    pub(super) root: &'t NodeRoot,
    pub(super) journal: &'t Journal,
    pub(super) unit: &'t Unit,
    pub(super) pending: &'t [&'t Edit],
    pub(super) side: Side,
}

impl Work<'_> {
    /// Stages everything and returns how the unit will change.
    pub(super) fn stage(&self) -> Result<Shape, TxnError> {
        let Some(directory) = &self.unit.directory else {
            self.stage_files()?;
            return Ok(Shape::Files);
        };
        let opened = shape::open(self.root, &directory.path)?;
        let present = opened.directory.as_ref().map(AsFd::as_fd);
        let shape = shape::choose(directory, present, self.pending, self.side)?;
        match shape {
            Shape::Files => self.stage_files()?,
            Shape::Place | Shape::Exchange => self.stage_directory(&opened, &directory.path)?,
            Shape::Withdraw => {
                if let Some(parent) = &opened.parent {
                    disk::remove_tree(parent.as_fd(), &self.staged_directory(), &directory.path)?;
                }
            }
        }
        Ok(shape)
    }

    pub(super) fn stage_files(&self) -> Result<(), TxnError> {
        for edit in self.pending {
            let directory =
                shape::open_for(self.root, self.unit, edit)?.ok_or_else(|| stale(edit))?;
            let staged = self.staged_file(edit);
            match edit.image(self.side) {
                None => {
                    disk::remove_tree(directory.as_fd(), &staged, &edit.path)?;
                }
                Some(image) if !self.can_reuse_file(directory.as_fd(), edit)? => {
                    self.write(directory.as_fd(), &staged, edit, image, Some(directory.as_fd()))?;
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Going back, what was there before is still there, under the staged name: the very same file.
    ///
    /// Going forward nothing that is found is believed: whoever staged it may have died before it
    /// was durable.
    fn can_reuse_file(&self, directory: BorrowedFd<'_>, edit: &Edit) -> Result<bool, TxnError> {
        let staged = self.staged_file(edit);
        Ok(self.side == Side::Old
            && shape::holds_side(Some(directory), &staged, self.journal, edit, self.side)?)
    }

    fn stage_directory(&self, opened: &Opened, path: &NodePath) -> Result<(), TxnError> {
        let vanished = || TxnError::Stale { path: path.clone() };
        let parent = opened.parent.as_ref().ok_or_else(vanished)?.as_fd();
        let present = opened.directory.as_ref().map(AsFd::as_fd);
        if self.side == Side::Old && self.can_reuse_directory(parent, present, path)? {
            return Ok(());
        }
        let staged = disk::create_directory(parent, &self.staged_directory(), path)?;
        if let Some(present) = present {
            for name in shape::carried(present, self.pending, path)? {
                disk::carry(present, staged.as_fd(), &name, path)?;
            }
            for edit in self.lingering() {
                let name = CString::new(edit.path.file_name()).map_err(|_| stale(edit))?;
                disk::carry(present, staged.as_fd(), &name, path)?;
            }
        }
        for edit in self.pending {
            if let Some(image) = edit.image(self.side) {
                self.write(staged.as_fd(), edit.path.file_name(), edit, image, present)?;
            }
        }
        let metadata = Metadata { mode: None, owner: None, default_mode: 0o755 };
        dress(staged.as_fd(), metadata, present, path)?;
        Ok(disk::sync(staged.as_fd(), path)?)
    }

    fn can_reuse_directory(
        &self,
        parent: BorrowedFd<'_>,
        present: Option<BorrowedFd<'_>>,
        path: &NodePath,
    ) -> Result<bool, TxnError> {
        let Some(staged) = disk::open_directory(parent, self.staged_directory(), path)? else {
            return Ok(false);
        };
        self.is_version(staged.as_fd(), present, path, self.side)
    }

    /// Whether `version` has the pending files as on `side`, and else what `other` has.
    pub(super) fn is_version(
        &self,
        version: BorrowedFd<'_>,
        other: Option<BorrowedFd<'_>>,
        path: &NodePath,
        side: Side,
    ) -> Result<bool, TxnError> {
        for edit in self.pending {
            if !shape::has_content(Some(version), self.journal, edit, side)? {
                return Ok(false);
            }
        }
        let mine = shape::carried(version, self.pending, path)?;
        let Some(other) = other else { return Ok(mine.is_empty()) };
        if mine != shape::carried(other, self.pending, path)? {
            return Ok(false);
        }
        for name in &mine {
            let here = disk::examine(version, name.as_c_str(), path)?;
            let there = disk::examine(other, name.as_c_str(), path)?;
            if !here.zip(there).is_some_and(|(here, there)| here.is_same(&there)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes one file with the metadata of the one it replaces, which lies in `old`.
    fn write(
        &self,
        directory: BorrowedFd<'_>,
        name: &str,
        edit: &Edit,
        image: &Image,
        old: Option<BorrowedFd<'_>>,
    ) -> Result<(), TxnError> {
        let bytes = self.journal.content(image)?.bytes();
        let file = disk::create(directory, name, bytes, &edit.path)?;
        let like = match old {
            Some(old) if edit.image(self.side.other()).is_some() => {
                disk::open_file(old, edit.path.file_name(), &edit.path)?
            }
            _ => None,
        };
        let metadata = Metadata { mode: image.mode, owner: image.owner, default_mode: 0o644 };
        dress(file.as_fd(), metadata, like.as_ref().map(AsFd::as_fd), &edit.path)?;
        Ok(disk::sync(file.as_fd(), &edit.path)?)
    }

    /// Removes what is staged, and returns the directories from which something went.
    pub(super) fn discard(&self) -> Result<Vec<Option<NodePath>>, TxnError> {
        let mut cleared = Vec::new();
        let mut shared = None;
        if let Some(directory) = &self.unit.directory {
            let path = &directory.path;
            let opened = shape::open(self.root, path)?;
            if let Some(parent) = &opened.parent
                && disk::remove_tree(parent.as_fd(), &self.staged_directory(), path)?
            {
                cleared.push(path.parent());
            }
            shared = opened.directory;
        }
        for edit in &self.unit.edits {
            let own = match &self.unit.directory {
                None => self.root.parent(&edit.path)?,
                Some(_) => None,
            };
            let Some(directory) = own.as_ref().or(shared.as_ref()) else { continue };
            let staged = self.staged_file(edit);
            for name in [&staged, &aside(&staged)] {
                if disk::remove_tree(directory.as_fd(), name, &edit.path)? {
                    cleared.push(edit.path.parent());
                }
            }
        }
        Ok(cleared)
    }

    pub(super) fn staged_directory(&self) -> String {
        format!("{}{}-{}.tmp", super::STAGED_PREFIX, self.journal.id, self.unit.number)
    }

    pub(super) fn staged_file(&self, edit: &Edit) -> String {
        let (unit, edit) = (self.unit.number, edit.number);
        format!("{}{}-{unit}-{edit}.tmp", super::STAGED_PREFIX, self.journal.id)
    }
}

/// The third name that an exchange by links needs.
pub(super) fn aside(staged: &str) -> String {
    format!("{}.aside.tmp", staged.trim_end_matches(".tmp"))
}

fn stale(edit: &Edit) -> TxnError {
    TxnError::Stale { path: edit.path.clone() }
}
