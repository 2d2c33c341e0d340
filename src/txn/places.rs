//! The directories that will be written to: whether they can be, and whether there is room.

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Access, AtFlags};
use rustix::io::Errno;

use crate::content::{Content, Sha256Hex};
use crate::node::root::NodeRoot;
use crate::path::NodePath;
use crate::txn::disk::{self, failed};
use crate::txn::error::{Refusal, TxnError};
use crate::txn::journal::Unit;

/// Left over after the change: on a disk that is full to the last block the runtimes fail too.
const MARGIN_BYTES: u64 = 1 << 20;
const MARGIN_INODES: u64 = 64;

/// What a file or a directory takes beyond its bytes, at most: the rest of its last block.
const BLOCK: u64 = 4096;

/// What one edit takes in the journal beside its contents.
const JOURNAL_ENTRY: u64 = 512;

type Device = (u32, u32);

struct Space {
    path: NodePath,
    free_bytes: u64,
    /// `None`: this file system does not count them.
    free_inodes: Option<u64>,
    bytes: u64,
    inodes: u64,
}

pub(super) struct Places<'a> {
    root: &'a NodeRoot,
    /// Directories that the transaction makes.
    to_be_made: BTreeSet<NodePath>,
    /// Each directory that was looked at, with its device. `None` is the root.
    seen: BTreeMap<Option<NodePath>, Option<Device>>,
    spaces: BTreeMap<Device, Space>,
    refusals: Vec<Refusal>,
}

impl<'a> Places<'a> {
    pub(super) fn new(root: &'a NodeRoot) -> Self {
        Self {
            root,
            to_be_made: BTreeSet::new(),
            seen: BTreeMap::new(),
            spaces: BTreeMap::new(),
            refusals: Vec::new(),
        }
    }

    pub(super) fn will_exist(&mut self, path: &NodePath) {
        self.to_be_made.insert(path.clone());
    }

    /// Counts a new entry of `directory` that holds `bytes`.
    pub(super) fn entry(
        &mut self,
        directory: Option<&NodePath>,
        needed_for: &NodePath,
        bytes: usize,
    ) -> Result<(), TxnError> {
        self.look(directory, needed_for)?;
        self.bytes(directory, bytes);
        Ok(())
    }

    /// The same for a directory that was looked at before.
    pub(super) fn bytes(&mut self, directory: Option<&NodePath>, bytes: usize) {
        let device = self.seen.get(&directory.cloned()).copied().flatten();
        if let Some(space) = device.and_then(|device| self.spaces.get_mut(&device)) {
            space.bytes += (bytes as u64).next_multiple_of(BLOCK) + BLOCK;
            space.inodes += 1;
        }
    }

    /// Counts the journal and the blobs. A state directory that is not there is the lock's business.
    pub(super) fn journal(
        &mut self,
        state: &NodePath,
        units: &[Unit],
        contents: &BTreeMap<Sha256Hex, Content>,
    ) -> Result<(), TxnError> {
        if self.root.directory(state)?.is_none() {
            return Ok(());
        }
        self.look(Some(state), state)?;
        let edits: usize = units.iter().map(|unit| unit.edits.len()).sum();
        let stored: usize = contents.values().map(|content| content.bytes().len()).sum();
        let encoded = stored.div_ceil(3).saturating_mul(4);
        self.bytes(Some(state), encoded);
        for _ in contents.values().filter(|content| content.is_secret()) {
            self.bytes(Some(state), 0);
        }
        let Some(Some(device)) = self.seen.get(&Some(state.clone())) else { return Ok(()) };
        if let Some(space) = self.spaces.get_mut(device) {
            space.bytes += edits as u64 * JOURNAL_ENTRY;
        }
        Ok(())
    }

    pub(super) fn refusals(self) -> Vec<Refusal> {
        let mut refusals = self.refusals;
        refusals.extend(self.spaces.values().filter_map(lack));
        refusals
    }

    fn look(
        &mut self,
        directory: Option<&NodePath>,
        needed_for: &NodePath,
    ) -> Result<Option<Device>, TxnError> {
        if let Some(device) = self.seen.get(&directory.cloned()) {
            return Ok(*device);
        }
        let device = match directory {
            None => self.examine(self.root.as_fd(), needed_for)?,
            Some(path) => match self.root.directory(path)? {
                Some(open) => self.examine(open.as_fd(), path)?,
                None if self.to_be_made.contains(path) => {
                    self.look(path.parent().as_ref(), path)?
                }
                None => {
                    let refusal = Refusal::stale(path, "is not there any more");
                    self.refusals.push(refusal);
                    None
                }
            },
        };
        self.seen.insert(directory.cloned(), device);
        Ok(device)
    }

    fn examine(
        &mut self,
        directory: BorrowedFd<'_>,
        path: &NodePath,
    ) -> Result<Option<Device>, TxnError> {
        let writable = rustix::fs::accessat(directory, ".", Access::WRITE_OK, AtFlags::empty());
        let entry = disk::examine_open(directory, path)?;
        if let Some((reason, cure)) = barred(writable.err(), entry.is_immutable(), path) {
            self.refusals.push(Refusal::new(path, reason, &cure));
            return Ok(None);
        }
        let device = entry.device();
        if let btree_map::Entry::Vacant(vacant) = self.spaces.entry(device) {
            let free = rustix::fs::fstatvfs(directory).map_err(failed("examine", path))?;
            vacant.insert(Space {
                path: path.clone(),
                free_bytes: free.f_bavail.saturating_mul(free.f_frsize),
                free_inodes: (free.f_files != 0).then_some(free.f_favail),
                bytes: 0,
                inodes: 0,
            });
        }
        Ok(Some(device))
    }
}

/// What confined root needs to write where something belongs to somebody else.
pub(super) const MORE_POWER: &str =
    "install foreign-owners.conf, which comes with regtrustd.service, as its drop-in";

fn barred(refused: Option<Errno>, immutable: bool, path: &NodePath) -> Option<(String, String)> {
    let (reason, cure) = match refused {
        Some(Errno::ROFS) => (
            "lies on a file system that is read-only here",
            "remount it writable, or add it to the service's `ReadWritePaths=`".to_owned(),
        ),
        Some(_) if rustix::process::geteuid().is_root() => {
            ("belongs to somebody else", format!("give it to root, or {MORE_POWER}"))
        }
        Some(_) => ("may not be written to by this process", "run regtrust as root".to_owned()),
        None if immutable => (
            "is immutable or append-only",
            format!("`chattr -i -a {path}`, unless that is on purpose"),
        ),
        None => return None,
    };
    Some((reason.to_owned(), cure))
}

fn lack(space: &Space) -> Option<Refusal> {
    let needed = space.bytes + MARGIN_BYTES;
    if space.bytes > 0 && space.free_bytes < needed {
        let reason = format!(
            "lies on a file system with {} KiB free, and the change needs {} KiB",
            space.free_bytes / 1024,
            needed.div_ceil(1024)
        );
        return Some(Refusal::node_wide(&space.path, reason, "free some space"));
    }
    let needed = space.inodes + MARGIN_INODES;
    let free = space.free_inodes.filter(|free| space.inodes > 0 && *free < needed)?;
    let reason =
        format!("lies on a file system with {free} inodes free, and the change needs {needed}");
    Some(Refusal::node_wide(&space.path, reason, "remove some files"))
}
