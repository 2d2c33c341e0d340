//! Where a unit stands, and the way from there to where it shall be.
//!
//! Both are read off the node each time and never remembered, so going forward, going back and
//! going on after a crash are the same code, and a crash anywhere in it needs no case of its own.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::fs::FileType;

use crate::node::root::NodeRoot;
use crate::path::NodePath;
use crate::txn::disk::{self, DiskError};
use crate::txn::error::TxnError;
use crate::txn::journal::{Directory, Edit, Journal, Side, Unit};

/// How a unit changes. A directory that cannot be moved changes file by file after all: see `swap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Each file by itself, in a directory that stays.
    Files,
    /// The directory appears, complete.
    Place,
    /// The directory is exchanged for one that holds its other entries as well, by hard links.
    Exchange,
    /// The directory goes as a whole: nothing would be left in it.
    Withdraw,
}

/// A unit's own directory and the one that holds it, as far as they exist.
pub(super) struct Opened {
    pub(super) parent: Option<OwnedFd>,
    pub(super) directory: Option<OwnedFd>,
}

pub(super) fn open(root: &NodeRoot, path: &NodePath) -> Result<Opened, TxnError> {
    let parent = root.parent(path)?;
    let directory = match &parent {
        Some(parent) => disk::open_directory(parent.as_fd(), path.file_name(), path)?,
        None => None,
    };
    Ok(Opened { parent, directory })
}

/// The directory that holds an edit's file. `None`: it is not there.
pub(super) fn open_for(
    root: &NodeRoot,
    unit: &Unit,
    edit: &Edit,
) -> Result<Option<OwnedFd>, TxnError> {
    match &unit.directory {
        Some(directory) => Ok(open(root, &directory.path)?.directory),
        None => Ok(root.parent(&edit.path)?),
    }
}

#[derive(Default)]
pub(super) struct Standing<'j> {
    /// At the other side still.
    pub(super) pending: Vec<&'j Edit>,
    /// At neither: somebody else's edit.
    pub(super) disputed: Vec<NodePath>,
}

/// Which edits of a unit are not at `side`.
pub(super) fn standing<'j>(
    root: &NodeRoot,
    journal: &'j Journal,
    unit: &'j Unit,
    side: Side,
) -> Result<Standing<'j>, TxnError> {
    let mut standing = Standing::default();
    let shared = match &unit.directory {
        None => None,
        Some(directory) => match open(root, &directory.path) {
            Ok(opened) => opened.directory,
            Err(TxnError::Disk(DiskError::NotADirectory { path })) => {
                standing.disputed.push(path);
                return Ok(standing);
            }
            Err(error) => return Err(error),
        },
    };
    for edit in &unit.edits {
        let own = if unit.directory.is_none() { root.parent(&edit.path)? } else { None };
        let directory = own.as_ref().or(shared.as_ref()).map(AsFd::as_fd);
        if is_at(directory, journal, edit, side)? {
            continue;
        }
        if edit.changes_only_the_mode() && has_content(directory, journal, edit, side)?
            || is_at(directory, journal, edit, side.other())?
        {
            standing.pending.push(edit);
        } else {
            standing.disputed.push(edit.path.clone());
        }
    }
    Ok(standing)
}

fn is_at(
    directory: Option<BorrowedFd<'_>>,
    journal: &Journal,
    edit: &Edit,
    side: Side,
) -> Result<bool, TxnError> {
    if !has_content(directory, journal, edit, side)? {
        return Ok(false);
    }
    let mode = edit.image(side).and_then(|image| image.mode);
    match (directory, mode) {
        (Some(directory), Some(mode)) if edit.changes_only_the_mode() => {
            let entry = disk::examine(directory, edit.path.file_name(), &edit.path)?;
            Ok(entry.is_some_and(|entry| entry.mode() == mode))
        }
        _ => Ok(true),
    }
}

/// Whether the file of `edit` has the bytes it has on `side`.
pub(super) fn has_content(
    directory: Option<BorrowedFd<'_>>,
    journal: &Journal,
    edit: &Edit,
    side: Side,
) -> Result<bool, TxnError> {
    holds_side(directory, edit.path.file_name(), journal, edit, side)
}

/// The same for a file under another name, such as a staged one.
pub(super) fn holds_side(
    directory: Option<BorrowedFd<'_>>,
    name: &str,
    journal: &Journal,
    edit: &Edit,
    side: Side,
) -> Result<bool, TxnError> {
    let content = edit.image(side).map(|image| journal.content(image)).transpose()?;
    match directory {
        None => Ok(content.is_none()),
        Some(directory) => {
            let bytes = content.map(crate::content::Content::bytes);
            Ok(disk::holds(directory, name, bytes, &edit.path)?)
        }
    }
}

/// Chooses the way to `side` for the edits of a directory that are pending.
pub(super) fn choose(
    directory: &Directory,
    present: Option<BorrowedFd<'_>>,
    pending: &[&Edit],
    side: Side,
) -> Result<Shape, TxnError> {
    let Some(present) = present else { return Ok(Shape::Place) };
    let carried = carried(present, pending, &directory.path)?;
    let stays = match side {
        Side::Old => directory.existed,
        Side::New => directory.existed && directory.keep,
    };
    let arrives = pending.iter().any(|edit| edit.image(side).is_some());
    if carried.is_empty() && !arrives && !stays {
        return Ok(Shape::Withdraw);
    }
    if let [_] = pending {
        return Ok(Shape::Files);
    }
    // A sub-directory that somebody made must not be what keeps a withdrawn CA trusted. Files that
    // only go can go one by one: at worst a pull from a registry that is being withdrawn fails.
    if !arrives && obstacle(present, &carried, &directory.path)?.is_some() {
        return Ok(Shape::Files);
    }
    Ok(Shape::Exchange)
}

/// How long a file outlives the hosts.toml that named it. containerd reads the one and then, by their
/// paths, the others, which takes it a fraction of a millisecond, unless it has to wait for a processor.
pub(super) const READERS_NEED: Duration = Duration::from_millis(50);

/// What goes from a directory whose hosts.toml changes. It is kept for a while, because a pull that has
/// read the old hosts.toml a moment before still looks for the CA that it names, and fails without.
pub(super) fn lingering<'e, 'j>(
    pending: &'e [&'j Edit],
    side: Side,
) -> impl Iterator<Item = &'j Edit> + use<'e, 'j> {
    let stays = |edit: &&Edit| edit.path.file_name() == "hosts.toml" && edit.image(side).is_some();
    let is_read_in_parts = side == Side::New && pending.iter().any(stays);
    let goes = move |edit: &&Edit| is_read_in_parts && edit.image(side).is_none();
    pending.iter().copied().filter(goes)
}

/// The names in a directory that are not changed.
pub(super) fn carried(
    directory: BorrowedFd<'_>,
    changed: &[&Edit],
    path: &NodePath,
) -> Result<Vec<CString>, DiskError> {
    let mut names = disk::names(directory, path)?;
    names.retain(|name| {
        changed.iter().all(|edit| edit.path.file_name().as_bytes() != name.to_bytes())
    });
    Ok(names)
}

/// What keeps an entry from being carried over to a new version of its directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Obstacle {
    pub(super) name: String,
    pub(super) is: &'static str,
}

/// The first entry that cannot get a second name.
pub(super) fn obstacle(
    directory: BorrowedFd<'_>,
    names: &[CString],
    path: &NodePath,
) -> Result<Option<Obstacle>, DiskError> {
    for name in names {
        let Some(entry) = disk::examine(directory, name.as_c_str(), path)? else { continue };
        let is = if entry.is_mount_point() {
            "a mount point"
        } else if entry.kind() == FileType::Directory {
            "a directory"
        } else if entry.is_immutable() {
            "immutable"
        } else {
            continue;
        };
        return Ok(Some(Obstacle { name: name.to_string_lossy().into_owned(), is }));
    }
    Ok(None)
}
