//! Looks at every target before anything is touched, and writes down what it saw for the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::FileType;

use crate::content::Content;
use crate::node::root::NodeRoot;
use crate::path::NodePath;
use crate::plan::change::{self, Changes, FileEdit};
use crate::txn::disk::{self, DiskError, Entry};
use crate::txn::error::{Refusal, TxnError};
use crate::txn::journal::{Directory, Edit, Image, Journal, Side, Unit};
use crate::txn::lock;
use crate::txn::metadata::can_keep_owner;
use crate::txn::places::{MORE_POWER, Places};
use crate::txn::shape::{self, Shape};

/// What was seen: what is in the way, and else the transaction to make.
pub(super) struct Survey {
    pub(super) refusals: Vec<Refusal>,
    pub(super) journal: Journal,
}

pub(super) fn survey(root: &NodeRoot, changes: &Changes) -> Result<Survey, TxnError> {
    let mut surveyor = Surveyor {
        root,
        places: Places::new(root),
        named: BTreeSet::new(),
        contents: BTreeMap::new(),
        refusals: Vec::new(),
    };
    let mut make_directories = Vec::new();
    for path in &changes.make_directories {
        if surveyor.is_to_be_made(path)? {
            make_directories.push(path.clone());
        }
    }
    let mut units = Vec::new();
    for (number, unit) in changes.units.iter().enumerate() {
        units.extend(surveyor.unit(number, unit)?);
    }
    // Before those that hold them.
    let mut remove_directories: Vec<_> = units.iter().filter_map(Unit::emptied).cloned().collect();
    for path in &changes.remove_directories {
        if root.directory(path)?.is_some() {
            remove_directories.push(path.clone());
        }
    }
    surveyor.places.journal(&lock::state_directory(), &units, &surveyor.contents)?;
    let mut refusals = surveyor.refusals;
    refusals.extend(surveyor.places.refusals());
    refusals.sort();
    let journal = Journal {
        id: String::new(),
        make_directories,
        units,
        remove_directories,
        contents: surveyor.contents,
    };
    Ok(Survey { refusals, journal })
}

struct Surveyor<'a> {
    root: &'a NodeRoot,
    places: Places<'a>,
    named: BTreeSet<&'a NodePath>,
    contents: BTreeMap<crate::content::Sha256Hex, Content>,
    refusals: Vec<Refusal>,
}

impl<'a> Surveyor<'a> {
    fn is_to_be_made(&mut self, path: &NodePath) -> Result<bool, TxnError> {
        if self.root.directory(path)?.is_some() {
            return Ok(false);
        }
        if let Some(parent) = self.root.parent(path)?
            && let Some(entry) = disk::examine(parent.as_fd(), path.file_name(), path)?
        {
            self.refuse(path, in_place_of_directory(&entry), AWAY);
            return Ok(false);
        }
        self.places.entry(path.parent().as_ref(), path, 0)?;
        self.places.will_exist(path);
        Ok(true)
    }

    /// Returns what the journal needs. `None`: nothing would change.
    fn unit(&mut self, number: usize, unit: &'a change::Unit) -> Result<Option<Unit>, TxnError> {
        let Some(path) = &unit.directory else {
            let mut edits = Vec::new();
            for edit in &unit.edits {
                let parent = self.root.parent(&edit.path)?;
                self.places.entry(edit.path.parent().as_ref(), &edit.path, size_of(edit))?;
                edits.extend(self.edit(edits.len(), parent.as_ref().map(AsFd::as_fd), edit)?);
            }
            return Ok((!edits.is_empty()).then_some(Unit { number, directory: None, edits }));
        };
        let opened = match shape::open(self.root, path) {
            Ok(opened) => opened,
            Err(TxnError::Disk(DiskError::NotADirectory { path })) => {
                self.refuse_no_directory(&path)?;
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        self.places.entry(path.parent().as_ref(), path, 0)?;
        let present = opened.directory.as_ref().map(AsFd::as_fd);
        if present.is_some() {
            self.places.entry(Some(path), path, 0)?;
        }
        let mut edits = Vec::new();
        for edit in &unit.edits {
            if edit.path.parent().as_ref() != Some(path) {
                self.refuse(&edit.path, format!("does not lie in `{path}`"), BUG);
            }
            self.places.bytes(path.parent().as_ref(), size_of(edit));
            edits.extend(self.edit(edits.len(), present, edit)?);
        }
        let directory =
            Directory { path: path.clone(), existed: present.is_some(), keep: unit.keep };
        if let Some(present) = present {
            self.whole_directory(&directory, present, &edits)?;
        }
        let unit = Unit { number, directory: Some(directory), edits };
        Ok((!unit.edits.is_empty()).then_some(unit))
    }

    /// Checks what an exchange of the directory needs.
    fn whole_directory(
        &mut self,
        directory: &Directory,
        present: BorrowedFd<'_>,
        edits: &[Edit],
    ) -> Result<(), TxnError> {
        let path = &directory.path;
        if disk::examine_open(present, path)?.is_mount_point() {
            self.refuse(path, MOUNT_POINT.to_owned(), MOUNT_ABOVE);
        }
        let edits: Vec<&Edit> = edits.iter().collect();
        if shape::choose(directory, Some(present), &edits, Side::New)? != Shape::Exchange {
            return Ok(());
        }
        let carried = shape::carried(present, &edits, path)?;
        if let Some(found) = shape::obstacle(present, &carried, path)? {
            let reason = format!(
                "must be exchanged as a whole, but `{}` in it is {}, which cannot be carried over",
                found.name, found.is
            );
            self.refuse(path, reason, "move it elsewhere");
        }
        let entry = disk::examine_open(present, path)?;
        if let Some(parent) = self.root.parent(path)?
            && !can_keep_owner(&entry, parent.as_fd(), path)?
        {
            self.refuse_owner(path, &entry);
        }
        Ok(())
    }

    fn edit(
        &mut self,
        number: usize,
        directory: Option<BorrowedFd<'_>>,
        edit: &'a FileEdit,
    ) -> Result<Option<Edit>, TxnError> {
        if !self.named.insert(&edit.path) {
            self.refuse(&edit.path, "is changed twice".to_owned(), BUG);
            return Ok(None);
        }
        let found = match directory {
            Some(directory) => disk::examine(directory, edit.path.file_name(), &edit.path)?,
            None => None,
        };
        if let Some((directory, entry)) = directory.zip(found.as_ref())
            && let Some((reason, cure)) = unfit(directory, entry, &edit.path)
        {
            self.refuse(&edit.path, reason, &cure);
            return Ok(None);
        }
        if let Some((directory, entry)) = directory.zip(found.as_ref())
            && edit.after.is_some()
            && !can_keep_owner(entry, directory, &edit.path)?
        {
            self.refuse_owner(&edit.path, entry);
            return Ok(None);
        }
        if !is_as_planned(directory, found.as_ref(), edit)? {
            self.refusals.push(Refusal::stale(&edit.path, "changed since the plan was made"));
            return Ok(None);
        }
        let same =
            edit.before.as_ref().map(Content::bytes) == edit.after.as_ref().map(Content::bytes);
        let mode = found.as_ref().map(Entry::mode);
        if same && (edit.after.is_none() || edit.mode.is_none() || edit.mode == mode) {
            return Ok(None);
        }
        let owner = found.as_ref().map(Entry::owner);
        Ok(Some(Edit {
            number,
            path: edit.path.clone(),
            before: edit.before.as_ref().map(|content| self.image(edit, content, mode, owner)),
            after: edit.after.as_ref().map(|content| self.image(edit, content, edit.mode, None)),
        }))
    }

    fn image(
        &mut self,
        edit: &FileEdit,
        content: &Content,
        mode: Option<u32>,
        owner: Option<(u32, u32)>,
    ) -> Image {
        let sha256 = content.digest();
        let secret = must_be_secret(&edit.path, content);
        let known = self.contents.get(&sha256).is_some_and(|known| known.is_secret() || !secret);
        if !known {
            let kept = if secret { concealed(content) } else { content.clone() };
            self.contents.insert(sha256, kept);
        }
        Image { sha256, mode, owner }
    }

    fn refuse_no_directory(&mut self, path: &NodePath) -> Result<(), TxnError> {
        if let Some(parent) = self.root.parent(path)?
            && let Some(entry) = disk::examine(parent.as_fd(), path.file_name(), path)?
        {
            self.refuse(path, in_place_of_directory(&entry), AWAY);
        }
        Ok(())
    }

    fn refuse_owner(&mut self, path: &NodePath, entry: &Entry) {
        let (user, group) = entry.owner();
        let reason = format!(
            "belongs to user {user} and group {group}, and this process may not give a file to them"
        );
        self.refuse(path, reason, &format!("give it to root, or {MORE_POWER}"));
    }

    fn refuse(&mut self, path: &NodePath, reason: String, cure: &str) {
        self.refusals.push(Refusal::new(path, reason, cure));
    }
}

fn is_as_planned(
    directory: Option<BorrowedFd<'_>>,
    found: Option<&Entry>,
    edit: &FileEdit,
) -> Result<bool, TxnError> {
    let (Some(directory), Some(entry)) = (directory, found) else {
        return Ok(edit.before.is_none());
    };
    let Some(before) = &edit.before else { return Ok(false) };
    Ok(entry.size() == before.bytes().len() as u64
        && disk::holds(directory, edit.path.file_name(), Some(before.bytes()), &edit.path)?)
}

const AWAY: &str = "move it out of the way";
const BUG: &str = "this is a defect of regtrust; please report it";
const MOUNT_POINT: &str = "is a mount point, so nothing can take its place";
const MOUNT_ABOVE: &str = "mount the directory that holds it instead";

fn in_place_of_directory(entry: &Entry) -> String {
    match entry.kind() {
        FileType::Symlink => "is a symbolic link where a directory must be".to_owned(),
        _ => "is not a directory".to_owned(),
    }
}

/// Why a target cannot be replaced, and what to do about it.
fn unfit(directory: BorrowedFd<'_>, entry: &Entry, path: &NodePath) -> Option<(String, String)> {
    let away = |reason: &str| Some((reason.to_owned(), AWAY.to_owned()));
    match entry.kind() {
        FileType::RegularFile => {}
        FileType::Symlink => {
            let to = rustix::fs::readlinkat(directory, path.file_name(), Vec::new());
            let to = to.map(|to| to.to_string_lossy().into_owned()).unwrap_or_default();
            let reason =
                format!("is a symbolic link to `{to}`, which another tool probably manages");
            return Some((reason, "put a regular file in place of the link".to_owned()));
        }
        FileType::Directory => return away("is a directory"),
        _ => return away("is not a regular file"),
    }
    if entry.is_mount_point() {
        return Some((MOUNT_POINT.to_owned(), MOUNT_ABOVE.to_owned()));
    }
    if entry.is_immutable() {
        let reason = "is immutable or append-only".to_owned();
        return Some((reason, format!("`chattr -i -a {path}`, unless that is on purpose")));
    }
    None
}

/// The plan read an administrator's key as it reads any file; here it becomes what it is.
///
/// By name, and by what it holds: dockerd takes a `.cert` that ends in a private key as well.
fn must_be_secret(path: &NodePath, content: &Content) -> bool {
    const MARK: &[u8] = b"PRIVATE KEY-----";
    content.is_secret()
        || path.file_name().rsplit_once('.').is_some_and(|(_, extension)| extension == "key")
        || content.bytes().windows(MARK.len()).any(|window| window == MARK)
}

fn concealed(content: &Content) -> Content {
    match content {
        Content::Secret(_) => content.clone(),
        Content::Plain(_) => Content::secret(content.bytes().to_vec()),
    }
}

fn size_of(edit: &FileEdit) -> usize {
    edit.after.as_ref().map_or(0, |content| content.bytes().len())
}
