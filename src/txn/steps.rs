//! A transaction as a list of steps.
//!
//! The list is a value, so a test can perform the first *n* of them and see what recovery makes of
//! the rest; nothing in here knows that it is tested. The order is what makes it safe:
//!
//! 1. key material, then the journal, durable: from here on a crash is finished by [`recover`];
//! 2. everything staged and synced, unseen: a full disk is noticed before anything is visible;
//! 3. everything swapped: renames, so the runtimes see a mixture for as short as can be;
//! 4. the directories synced, each once: from here on the change is durable, and not undone any more;
//! 5. what only those need who were reading meanwhile, and what lay there before, cleared away, the
//!    directories synced again, the journal removed.
//!
//! [`recover`]: super::recover

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;

use crate::node::root::NodeRoot;
use crate::path::NodePath;
use crate::txn::disk::{self, failed};
use crate::txn::error::TxnError;
use crate::txn::journal::{self, Edit, Journal, Side, Unit};
use crate::txn::lock::{self, StateLock};
use crate::txn::shape::{self, Shape};
use crate::txn::stage::Work;
use crate::txn::{blobs, journal::JournalError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'j> {
    KeepSecrets,
    StageJournal,
    PublishJournal,
    MakeDirectory(&'j NodePath),
    Stage(&'j Unit),
    Swap(&'j Unit),
    SyncSwapped,
    Retire,
    Discard(&'j Unit),
    RemoveDirectory(&'j NodePath),
    SyncCleared,
    RemoveJournal,
    /// Takes a unit back to what it was, if it is not that already.
    Return(&'j Unit),
}

pub(super) struct Transaction<'j> {
    root: &'j NodeRoot,
    lock: &'j StateLock,
    journal: &'j Journal,
    /// The journal's bytes, if it is not on disk yet.
    text: Option<Vec<u8>>,
    /// What is not at its new side yet, by unit.
    pending: BTreeMap<usize, Vec<&'j Edit>>,
    staged: BTreeMap<usize, Shape>,
    /// Directories to sync; `None` is the root.
    swapped: BTreeSet<Option<NodePath>>,
    cleared: BTreeSet<Option<NodePath>>,
}

impl<'j> Transaction<'j> {
    /// A new one, whose targets are all as its journal says they were.
    pub(super) fn begin(
        root: &'j NodeRoot,
        lock: &'j StateLock,
        journal: &'j mut Journal,
    ) -> Result<Self, JournalError> {
        let text = journal.print()?;
        let journal: &'j Journal = journal;
        let all = |unit: &'j Unit| (unit.number, unit.edits.iter().collect());
        let pending = journal.units.iter().map(all).collect();
        Ok(Self::with(root, lock, journal, pending, Some(text)))
    }

    /// One that was interrupted. If a target is neither old nor new, nothing may be touched.
    pub(super) fn resume(
        root: &'j NodeRoot,
        lock: &'j StateLock,
        journal: &'j Journal,
    ) -> Result<Self, TxnError> {
        let mut pending = BTreeMap::new();
        let mut paths = Vec::new();
        for unit in &journal.units {
            let standing = shape::standing(root, journal, unit, Side::New)?;
            paths.extend(standing.disputed);
            if !standing.pending.is_empty() {
                pending.insert(unit.number, standing.pending);
            }
        }
        if !paths.is_empty() {
            return Err(TxnError::Disputed { paths });
        }
        let mut resumed = Self::with(root, lock, journal, pending, None);
        // What was swapped before the crash may have reached the cache only.
        for unit in &journal.units {
            let directory = unit.directory.iter().map(|directory| directory.path.parent());
            resumed.swapped.extend(directory);
            resumed.swapped.extend(unit.edits.iter().map(|edit| edit.path.parent()));
        }
        Ok(resumed)
    }

    /// Removes what is staged for a change that was given up, and leaves every target as it is.
    pub(super) fn abandon(
        root: &'j NodeRoot,
        lock: &'j StateLock,
        journal: &'j Journal,
    ) -> Result<(), TxnError> {
        let mut given_up = Self::with(root, lock, journal, BTreeMap::new(), None);
        given_up.perform_all(journal.units.iter().map(Step::Discard).chain([Step::SyncCleared]))
    }

    fn with(
        root: &'j NodeRoot,
        lock: &'j StateLock,
        journal: &'j Journal,
        pending: BTreeMap<usize, Vec<&'j Edit>>,
        text: Option<Vec<u8>>,
    ) -> Self {
        let (swapped, cleared) = (BTreeSet::new(), BTreeSet::new());
        Self { root, lock, journal, text, pending, staged: BTreeMap::new(), swapped, cleared }
    }

    /// Everything, or nothing.
    pub(super) fn run(mut self) -> Result<(), TxnError> {
        // Resumed with every target at its new side, this is tidying, and whoever asked for the change
        // may have been told that it is there. Undoing it because a directory cannot be synced would
        // take back what the next start can still finish, for the journal stays.
        let is_in_place = self.text.is_none() && self.pending.is_empty();
        match self.perform_all(self.forward()) {
            Ok(()) => self.perform_all(self.finish()).map_err(unfinished),
            Err(cause) if is_in_place => Err(unfinished(cause)),
            Err(cause) => match self.perform_all(self.backward()) {
                Ok(()) => Err(cause),
                Err(undo) => Err(TxnError::NotUndone { source: cause.into(), undo: undo.into() }),
            },
        }
    }

    /// Up to where the change is durable.
    pub(super) fn forward(&self) -> impl Iterator<Item = Step<'j>> + use<'j> {
        let journal = self.journal;
        let written = self.text.is_none();
        let record = [Step::KeepSecrets, Step::StageJournal, Step::PublishJournal];
        let pending: Vec<&'j Unit> =
            journal.units.iter().filter(|unit| self.pending.contains_key(&unit.number)).collect();
        record
            .into_iter()
            .filter(move |_| !written)
            .chain(journal.make_directories.iter().map(Step::MakeDirectory))
            .chain(pending.clone().into_iter().map(Step::Stage))
            .chain(pending.into_iter().map(Step::Swap))
            .chain([Step::SyncSwapped])
    }

    /// From there to where nothing but the change is left.
    pub(super) fn finish(&self) -> impl Iterator<Item = Step<'j>> + use<'j> {
        let journal = self.journal;
        // Where a whole directory appeared, nothing lay before. With 10,000 new registries, looking
        // for it would be tens of thousands of system calls for nothing.
        let appeared = |unit: &&Unit| self.staged.get(&unit.number) == Some(&Shape::Place);
        let replaced: Vec<&'j Unit> = journal.units.iter().filter(|unit| !appeared(unit)).collect();
        std::iter::once(Step::Retire)
            .chain(replaced.into_iter().map(Step::Discard))
            .chain(journal.remove_directories.iter().map(Step::RemoveDirectory))
            .chain([Step::SyncCleared, Step::RemoveJournal])
    }

    /// From anywhere before that back to where it began.
    pub(super) fn backward(&self) -> impl Iterator<Item = Step<'j>> + use<'j> {
        let journal = self.journal;
        let returns = journal.units.iter().rev().map(Step::Return);
        returns
            .chain([Step::SyncSwapped])
            .chain(journal.units.iter().map(Step::Discard))
            .chain(journal.make_directories.iter().rev().map(Step::RemoveDirectory))
            .chain([Step::SyncCleared, Step::RemoveJournal])
    }

    fn perform_all(&mut self, steps: impl Iterator<Item = Step<'j>>) -> Result<(), TxnError> {
        let mut steps = steps;
        steps.try_for_each(|step| self.perform(step))
    }

    pub(super) fn perform(&mut self, step: Step<'j>) -> Result<(), TxnError> {
        match step {
            Step::KeepSecrets => Ok(blobs::store(self.root, self.lock, self.journal.secrets())?),
            Step::StageJournal => self.stage_journal(),
            Step::PublishJournal => self.publish_journal(),
            Step::MakeDirectory(path) => self.make_directory(path),
            Step::Stage(unit) => self.stage(unit),
            Step::Swap(unit) => self.swap(unit),
            Step::SyncSwapped => sync_all(self.root, &self.swapped),
            Step::Retire => self.retire(),
            Step::Discard(unit) => self.discard(unit),
            Step::RemoveDirectory(path) => self.remove_directory(path),
            Step::SyncCleared => sync_all(self.root, &self.cleared),
            Step::RemoveJournal => self.remove_journal(),
            Step::Return(unit) => self.take_back(unit),
        }
    }

    fn stage_journal(&self) -> Result<(), TxnError> {
        let text = self.text.as_deref().unwrap_or_default();
        let path = journal::path();
        let file = disk::create(self.lock.state(), journal::STAGED_NAME, text, &path)?;
        Ok(disk::sync(file.as_fd(), &path)?)
    }

    fn publish_journal(&self) -> Result<(), TxnError> {
        let state = self.lock.state();
        rustix::fs::renameat(state, journal::STAGED_NAME, state, journal::NAME)
            .map_err(failed("publish", &journal::path()))?;
        Ok(disk::sync(state, &lock::state_directory())?)
    }

    fn make_directory(&mut self, path: &NodePath) -> Result<(), TxnError> {
        let vanished = || TxnError::Stale { path: path.clone() };
        let parent = self.root.parent(path)?.ok_or_else(vanished)?;
        let made = disk::make_directory(parent.as_fd(), path.file_name(), 0o755, path)?;
        if !made && self.text.is_none() {
            disk::finish_directory(parent.as_fd(), path.file_name(), 0o755, path)?;
        }
        self.swapped.insert(path.parent());
        Ok(())
    }

    fn stage(&mut self, unit: &'j Unit) -> Result<(), TxnError> {
        let shape = self.work(unit, Side::New).stage()?;
        self.staged.insert(unit.number, shape);
        Ok(())
    }

    fn swap(&mut self, unit: &'j Unit) -> Result<(), TxnError> {
        let Some(shape) = self.staged.get(&unit.number).copied() else { return Ok(()) };
        let mut touched = std::mem::take(&mut self.swapped);
        let swapped = self.work(unit, Side::New).swap(shape, &mut touched);
        self.swapped = touched;
        swapped
    }

    /// A target that is neither old nor new is somebody's edit since: it stays, the rest goes back.
    fn take_back(&mut self, unit: &'j Unit) -> Result<(), TxnError> {
        let standing = shape::standing(self.root, self.journal, unit, Side::Old)?;
        if standing.pending.is_empty() {
            return Ok(());
        }
        let work = Work {
            root: self.root,
            journal: self.journal,
            unit,
            pending: &standing.pending,
            side: Side::Old,
        };
        let shape = work.stage()?;
        work.swap(shape, &mut self.swapped)
    }

    /// Removes what is left in directories for those who were reading their old hosts.toml.
    fn retire(&mut self) -> Result<(), TxnError> {
        let units = self.journal.units.iter();
        let work: Vec<_> = units
            .map(|unit| self.work(unit, Side::New))
            .filter(|work| work.lingering().next().is_some())
            .collect();
        if !work.is_empty() {
            std::thread::sleep(shape::READERS_NEED);
        }
        work.iter().try_for_each(Work::retire)
    }

    fn discard(&mut self, unit: &'j Unit) -> Result<(), TxnError> {
        let cleared = self.work(unit, Side::New).discard()?;
        self.cleared.extend(cleared);
        Ok(())
    }

    fn remove_directory(&mut self, path: &NodePath) -> Result<(), TxnError> {
        let Some(parent) = self.root.parent(path)? else { return Ok(()) };
        if disk::remove_empty(parent.as_fd(), path.file_name(), path)? {
            self.cleared.insert(path.parent());
        }
        Ok(())
    }

    fn remove_journal(&self) -> Result<(), TxnError> {
        let path = journal::path();
        for name in [journal::STAGED_NAME, journal::NAME] {
            disk::remove_tree(self.lock.state(), name, &path)?;
        }
        Ok(disk::sync(self.lock.state(), &lock::state_directory())?)
    }

    fn work(&self, unit: &'j Unit, side: Side) -> Work<'_> {
        let pending = self.pending.get(&unit.number).map(Vec::as_slice).unwrap_or_default();
        Work { root: self.root, journal: self.journal, unit, pending, side }
    }
}

fn unfinished(cause: TxnError) -> TxnError {
    TxnError::Unfinished { source: cause.into() }
}

/// A directory that is gone has nothing to lose: the one that held it is in the set as well.
fn sync_all(root: &NodeRoot, directories: &BTreeSet<Option<NodePath>>) -> Result<(), TxnError> {
    for path in directories {
        match path {
            None => rustix::fs::fsync(root).map_err(failed("sync", &lock::state_directory()))?,
            Some(path) => {
                if let Some(directory) = root.directory(path)? {
                    disk::sync(directory.as_fd(), path)?;
                }
            }
        }
    }
    Ok(())
}
