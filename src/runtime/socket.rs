//! Connections to sockets beneath the node's root.

use std::io;
use std::os::fd::AsRawFd as _;

use tokio::net::UnixStream;

use crate::node::root::{Handle, NodeRoot, RootError};
use crate::path::NodePath;

#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("`{path}` does not exist")]
    Absent { path: NodePath },
    #[error(transparent)]
    Root(#[from] RootError),
    #[error("cannot connect to `{path}`")]
    Connect { path: NodePath, source: io::Error },
}

/// Connects to the socket at `path`.
///
/// By a handle and not by name, so that no link leads out of the root, and because an address has
/// room for 108 bytes only, which a root somewhere deep in a tree exceeds.
pub async fn connect(root: &NodeRoot, path: &NodePath) -> Result<UnixStream, SocketError> {
    let absent = || SocketError::Absent { path: path.clone() };
    let socket = root.handle(path, Handle::Name)?.ok_or_else(absent)?;
    let name = format!("/proc/self/fd/{}", socket.as_raw_fd());
    let connected = UnixStream::connect(name).await;
    connected.map_err(|source| SocketError::Connect { path: path.clone(), source })
}
