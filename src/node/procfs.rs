//! The node's procfs.

use std::io;

use rustix::io::Errno;

use super::root::{NodeRoot, RootError};
use crate::node_path;

/// A file of a process. `None`: there is no such process (any more).
pub(crate) fn of(root: &NodeRoot, pid: u32, file: &str) -> Result<Option<String>, RootError> {
    let gone = |source: &io::Error| source.raw_os_error() == Some(Errno::SRCH.raw_os_error());
    match root.read(&node_path!("proc").join(&format!("{pid}/{file}"))) {
        Ok(bytes) => Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())),
        Err(RootError::Io { source, .. }) if gone(&source) => Ok(None),
        Err(error) => Err(error),
    }
}
