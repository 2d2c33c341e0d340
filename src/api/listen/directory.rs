//! The directory of a socket.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::Mode;
use rustix::io::Errno;

use super::{ADMIN_MODE, ListenError, failed};
use crate::node::root::NodeRoot;
use crate::path::NodePath;

/// Opens the directory that `socket` is to be in, and makes it where it is missing: closed for the
/// admin socket, open for one that others are to reach.
pub(super) fn open(root: &NodeRoot, socket: &NodePath, mode: Mode) -> Result<OwnedFd, ListenError> {
    let Some(path) = socket.parent() else {
        return Err(ListenError::Exposed { path: socket.clone() });
    };
    let open_to_all = Mode::from_raw_mode(0o755);
    let mode = if mode == ADMIN_MODE { Mode::RWXU } else { open_to_all };
    let directory = make(root, &path, mode)?;
    check(&directory, &path)?;
    Ok(directory)
}

fn make(root: &NodeRoot, path: &NodePath, mode: Mode) -> Result<OwnedFd, ListenError> {
    if let Some(directory) = root.directory(path)? {
        return Ok(directory);
    }
    let outcome = match path.parent() {
        Some(parent) => {
            // What lies above is for everybody to walk through, as `/run` is.
            let parent = make(root, &parent, Mode::from_raw_mode(0o755))?;
            make_in(parent.as_fd(), path, mode)
        }
        None => make_in(root.as_fd(), path, mode),
    };
    outcome.map_err(io::Error::from).map_err(failed("create", path))?;
    root.directory(path)?.ok_or_else(|| failed("open", path)(io::ErrorKind::NotFound.into()))
}

fn make_in(parent: std::os::fd::BorrowedFd<'_>, path: &NodePath, mode: Mode) -> Result<(), Errno> {
    match rustix::fs::mkdirat(parent, path.file_name(), mode) {
        // Somebody was faster; what it made is examined like any other.
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn check(directory: &OwnedFd, path: &NodePath) -> Result<(), ListenError> {
    let stat = rustix::fs::fstat(directory).map_err(io::Error::from);
    let stat = stat.map_err(failed("examine", path))?;
    let mode = Mode::from_raw_mode(stat.st_mode);
    let is_ours = stat.st_uid == 0 || stat.st_uid == rustix::process::geteuid().as_raw();
    if !is_ours || mode.intersects(Mode::WGRP | Mode::WOTH) {
        return Err(ListenError::Exposed { path: path.clone() });
    }
    Ok(())
}
