//! A node's files, reached from outside: nothing has to be started there to read or write one.
//!
//! Paths are the node's. A link there that begins with `/` means the node's `/`, and not this
//! machine's, which the kernel sees to.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{self, AtFlags, Mode, OFlags, ResolveFlags};

use super::archive::{Member, tar};
use super::node::{LIMIT, Node};

impl Node {
    /// Puts a file onto the node, with its directories, mode 0644.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        self.unpack(&[Member::file(path, 0o644, content.as_ref())]);
    }

    /// Puts files onto the node, with their directories. What had their names before is replaced, and
    /// not written to.
    pub(crate) fn unpack(&self, members: &[Member<'_>]) {
        let root = self.root().expect("the node is there");
        let (programs, files): (Vec<Member<'_>>, Vec<Member<'_>>) =
            members.iter().partition(|member| member.mode & 0o111 != 0);
        if !programs.is_empty() {
            let unpack = ["tar", "-xf", "-", "-C", "/", "--no-same-owner"];
            let output = self.run_with(unpack, &tar(&programs), LIMIT);
            assert_eq!(output.code, 0, "{}", output.stderr);
        }
        for member in &files {
            let path = Path::new(member.path);
            put(&root, path, member).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }

    /// A path of the node, as this machine finds it. Links on the way are this machine's.
    pub(crate) fn outside(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.init()))
    }

    /// Puts a file of this machine onto the node.
    ///
    /// Another process writes it, for it may be a program. A file that is open for writing cannot be
    /// executed, and what this process has open is open for a moment in whatever it starts meanwhile.
    pub(crate) fn bring(&self, file: &Path, path: &str) {
        let mut copy = Command::new("cp");
        let copied = copy.arg("--remove-destination").arg(file).arg(self.outside(path)).status();
        assert!(copied.expect("cp starts").success(), "{} is not copied", file.display());
    }

    /// The text of a file on the node; `None` where there is none.
    pub(crate) fn read(&self, path: &str) -> Option<String> {
        let file = open(&self.root().ok()?, Path::new(path), OFlags::RDONLY).ok()?;
        let mut bytes = Vec::new();
        File::from(file).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.root().and_then(|root| open(&root, Path::new(path), OFlags::PATH)).is_ok()
    }

    fn root(&self) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        fs::open(self.outside(""), flags, Mode::empty())
    }
}

fn open(root: &OwnedFd, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let inside = path.strip_prefix("/").unwrap_or(path);
    let inside = if inside.as_os_str().is_empty() { Path::new(".") } else { inside };
    fs::openat2(root, inside, flags | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::IN_ROOT)
}

fn put(root: &OwnedFd, path: &Path, member: &Member<'_>) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let directory = directory(root, path.parent().unwrap_or(Path::new("")))?;
    match fs::unlinkat(&directory, name, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(member.mode);
    let mut file = File::from(fs::openat(&directory, name, flags, mode)?);
    fs::fchmod(&file, mode)?;
    file.write_all(member.content)
}

/// Opens a directory and makes it where it is missing.
fn directory(root: &OwnedFd, path: &Path) -> io::Result<OwnedFd> {
    let reached = open(root, path, OFlags::PATH | OFlags::DIRECTORY);
    match (reached, path.parent(), path.file_name()) {
        (Err(rustix::io::Errno::NOENT), Some(parent), Some(name)) => {
            let above = directory(root, parent)?;
            fs::mkdirat(&above, name, Mode::from_raw_mode(0o755))?;
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            Ok(fs::openat(above, name, flags, Mode::empty())?)
        }
        (reached, _, _) => Ok(reached?),
    }
}
