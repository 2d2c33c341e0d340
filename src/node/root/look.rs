//! Reading single entries and directories through a handle that is already open.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::fs::{AtFlags, FileType, IFlags, Mode, OFlags, RawDir, StatxAttributes, StatxFlags};
use rustix::io::{Errno, retry_on_intr};

use zeroize::Zeroize as _;

use super::{RootError, io_error};
use crate::content::Content;
use crate::observed::Found;
use crate::path::NodePath;

/// No file that we read is anywhere near this; one that is was not written by a person.
pub const LARGEST_FILE: u64 = 64 << 20;

const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

/// Looks at one file after another. What it read last it remembers: thousands of registries have
/// few CAs, and one copy of each is enough.
#[derive(Default)]
pub struct Looker {
    /// Where a file is read to. No key stays in it.
    buffer: Vec<u8>,
    recent: VecDeque<Content>,
}

impl fmt::Debug for Looker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Looker").finish_non_exhaustive()
    }
}

impl Looker {
    /// More would be compared for longer than a copy takes.
    const MOST: usize = 16;

    /// What lies at a name in `directory`, not following a link.
    pub fn look(&mut self, directory: BorrowedFd<'_>, name: &str) -> Option<Found> {
        match retry_on_intr(|| rustix::fs::openat(directory, name, READ, Mode::empty())) {
            Ok(file) => Some(self.look_at(&file, name)),
            Err(Errno::NOENT | Errno::NOTDIR) => None,
            Err(Errno::LOOP) => Some(link_in(directory, name)),
            // A socket, or a device without a driver.
            Err(Errno::NXIO | Errno::NODEV) => Some(Found::Other),
            Err(errno) => Some(unreadable(errno)),
        }
    }

    fn look_at(&mut self, file: &OwnedFd, name: &str) -> Found {
        let stat = match Stat::of(file) {
            Ok(stat) => stat,
            Err(errno) => return unreadable(errno),
        };
        match stat.kind {
            FileType::RegularFile => {}
            FileType::Directory => return Found::Directory,
            _ => return Found::Other,
        }
        let (mode, immutable) = (stat.mode, stat.immutable);
        match read_sized(file.as_fd(), stat.size, &mut self.buffer) {
            Ok(()) => Found::File { content: self.content(name), mode, immutable },
            Err(error) => {
                self.buffer.zeroize();
                match error {
                    ReadError::Io(errno) => unreadable(errno),
                    ReadError::TooLarge => {
                        Found::Unreadable { error: format!("larger than {LARGEST_FILE} bytes") }
                    }
                }
            }
        }
    }

    /// By its name a key, or by its text: containerd takes a `.cert` that holds the key as well, and
    /// people keep `client.pem` beside it.
    fn content(&mut self, name: &str) -> Content {
        if name.strip_suffix(".key").is_some() {
            return Content::secret(mem::take(&mut self.buffer));
        }
        let known = self.recent.iter().position(|known| known.bytes() == self.buffer);
        if let Some(known) = known.and_then(|at| self.recent.remove(at)) {
            self.recent.push_front(known.clone());
            return known;
        }
        if holds_a_key(&self.buffer) {
            return Content::secret(mem::take(&mut self.buffer));
        }
        let content = Content::plain(&self.buffer);
        self.recent.truncate(Self::MOST - 1);
        self.recent.push_front(content.clone());
        content
    }
}

fn link_in(directory: BorrowedFd<'_>, name: &str) -> Found {
    match rustix::fs::readlinkat(directory, name, Vec::new()) {
        Ok(to) => Found::Symlink { to: to.to_string_lossy().into_owned() },
        Err(_) => Found::Unreadable { error: "it changed while it was looked at".to_owned() },
    }
}

fn unreadable(errno: Errno) -> Found {
    Found::Unreadable { error: io::Error::from(errno).to_string() }
}

/// Base64 has no dash, so a certificate costs little more than finding the few that it has.
fn holds_a_key(bytes: &[u8]) -> bool {
    const MARK: &str = "PRIVATE KEY";
    match str::from_utf8(bytes) {
        Ok(text) => text.split('-').any(|part| part.ends_with(MARK)),
        Err(_) => bytes.split(|&byte| byte == b'-').any(|part| part.ends_with(MARK.as_bytes())),
    }
}

struct Stat {
    kind: FileType,
    mode: u32,
    size: u64,
    immutable: bool,
}

impl Stat {
    fn of(file: &OwnedFd) -> Result<Self, Errno> {
        let wanted = StatxFlags::TYPE | StatxFlags::MODE | StatxFlags::SIZE;
        match rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, wanted) {
            Ok(stat) => Ok(Self {
                kind: FileType::from_raw_mode(stat.stx_mode.into()),
                mode: u32::from(stat.stx_mode) & 0o7777,
                size: stat.stx_size,
                immutable: stat
                    .stx_attributes
                    .intersects(StatxAttributes::IMMUTABLE | StatxAttributes::APPEND),
            }),
            Err(Errno::NOSYS | Errno::PERM) => Self::without_statx(file),
            Err(errno) => Err(errno),
        }
    }

    /// For kernels before 4.11 (RHEL 7's), and seccomp profiles older than the call.
    fn without_statx(file: &OwnedFd) -> Result<Self, Errno> {
        let stat = rustix::fs::fstat(file)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        // Filesystems without such flags refuse the question.
        let flags = match kind {
            FileType::RegularFile => rustix::fs::ioctl_getflags(file).unwrap_or(IFlags::empty()),
            _ => IFlags::empty(),
        };
        Ok(Self {
            kind,
            mode: stat.st_mode & 0o7777,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            immutable: flags.intersects(IFlags::IMMUTABLE | IFlags::APPEND),
        })
    }
}

pub(super) enum ReadError {
    Io(Errno),
    TooLarge,
}

/// Reads an open file, if it is a regular one.
pub(super) fn read_regular(file: BorrowedFd<'_>, path: &NodePath) -> Result<Vec<u8>, RootError> {
    let stat = rustix::fs::fstat(file).map_err(io_error("examine", path))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(RootError::NotAFile { path: path.clone() });
    }
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    let mut bytes = Vec::new();
    match read_sized(file, size, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(ReadError::Io(errno)) => Err(io_error("read", path)(errno)),
        Err(ReadError::TooLarge) => Err(RootError::TooLarge { path: path.clone() }),
    }
}

/// One read for a file that holds as much as it says: there is room for one byte more, so a read
/// that leaves it free has met the end. procfs says 0 and holds more, and a file may grow
/// meanwhile; both go on until a read returns nothing.
fn read_sized(file: BorrowedFd<'_>, size: u64, bytes: &mut Vec<u8>) -> Result<(), ReadError> {
    const MORE: usize = 4096;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let largest = usize::try_from(LARGEST_FILE).unwrap_or(usize::MAX);
    if size > largest {
        return Err(ReadError::TooLarge);
    }
    bytes.clear();
    bytes.reserve_exact(if size == 0 { MORE } else { size + 1 });
    loop {
        if bytes.len() == bytes.capacity() {
            bytes.reserve(MORE);
        }
        let read = retry_on_intr(|| rustix::io::read(file, spare_capacity(bytes)));
        let read = read.map_err(ReadError::Io)?;
        if bytes.len() > largest {
            return Err(ReadError::TooLarge);
        }
        if read == 0 || (read == size && bytes.len() == size) {
            return Ok(());
        }
    }
}

/// The names in a directory, sorted.
///
/// A name that is not UTF-8 cannot be a [`NodePath`]. It is kept apart, because the nearest UTF-8
/// text may be the name of another file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    pub names: Vec<Box<str>>,
    /// Escaped, for messages.
    pub not_utf8: Vec<String>,
}

impl Listing {
    /// The names, if all of them can be said.
    pub fn into_names(self, directory: &NodePath) -> Result<Vec<String>, RootError> {
        match self.not_utf8.into_iter().next() {
            Some(name) => Err(RootError::Name { directory: directory.clone(), name }),
            None => Ok(self.names.into_iter().map(String::from).collect()),
        }
    }

    /// Why this directory cannot be dealt with, if so: [`Found::Unreadable`]'s text.
    pub fn reason(&self) -> Option<String> {
        self.not_utf8.first().map(|name| name_reason(name))
    }
}

pub(super) fn name_reason(name: &str) -> String {
    format!("it holds `{name}`, whose name is not UTF-8; rename it")
}

/// Lists a directory whose handle has not been listed before: it remembers how far it was read.
pub fn list(directory: &OwnedFd) -> Result<Listing, Errno> {
    let mut buffer = [const { MaybeUninit::uninit() }; 8192];
    let mut entries = RawDir::new(directory, &mut buffer);
    let mut listing = Listing::default();
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        match name.to_str() {
            Ok("." | "..") => {}
            Ok(name) => listing.names.push(name.into()),
            Err(_) => listing.not_utf8.push(name.to_bytes().escape_ascii().to_string()),
        }
    }
    listing.names.sort_unstable();
    listing.not_utf8.sort_unstable();
    Ok(listing)
}

/// The names in an open directory, sorted, without `.` and `..`. One that is not UTF-8 is an error.
pub fn names_in(directory: BorrowedFd<'_>, path: &NodePath) -> Result<Vec<String>, RootError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fresh = rustix::fs::openat(directory, ".", flags, Mode::empty());
    let listing = fresh.and_then(|fresh| list(&fresh)).map_err(io_error("list", path))?;
    listing.into_names(path)
}
