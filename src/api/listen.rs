//! The sockets, handed over by systemd or made here.

use std::io;
use std::net::TcpListener as StdTcpListener;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::time::Duration;

use listenfd::ListenFd;
use rustix::fs::{AtFlags, FileType, Gid, Mode, Stat};
use rustix::io::Errno;
use tokio::net::{TcpListener, UnixListener, UnixSocket, UnixStream};
use tokio::time::timeout;

use crate::node::root::{NodeRoot, RootError};
use crate::path::NodePath;
use crate::settings::Listen;

mod directory;

/// Connections that the kernel keeps for us until we accept them.
const BACKLOG: u32 = 128;
/// The kernel's limit on the path of a socket, with the zero at its end.
const LONGEST_PATH: usize = 107;
const ADMIN_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
const READ_MODE: Mode = ADMIN_MODE.union(Mode::RGRP).union(Mode::WGRP);

#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error(transparent)]
    Root(#[from] RootError),
    #[error("cannot {operation} `{path}`")]
    Io { operation: &'static str, path: NodePath, source: io::Error },
    #[error("cannot listen on {address}")]
    Tcp { address: std::net::SocketAddr, source: io::Error },
    #[error("another process is listening on `{path}`")]
    Taken { path: NodePath },
    #[error("`{path}` is in the way: it is no socket")]
    InTheWay { path: NodePath },
    /// Whoever may rename entries there could put its own socket in place of ours.
    #[error("`{path}` belongs to somebody else or can be changed by others")]
    Exposed { path: NodePath },
    #[error("systemd handed over a socket named `{name}`; known are `admin`, `read` and `tcp`")]
    Name { name: String },
    #[error("systemd handed over two sockets named `{name}`")]
    Twice { name: String },
    #[error("systemd handed over something else than a listening socket as `{name}`")]
    Kind { name: String, source: io::Error },
}

fn failed(operation: &'static str, path: &NodePath) -> impl FnOnce(io::Error) -> ListenError {
    let path = path.clone();
    move |source| ListenError::Io { operation, path, source }
}

/// Sockets that systemd made and handed over.
#[derive(Debug, Default)]
pub struct Inherited {
    admin: Option<StdUnixListener>,
    read: Option<StdUnixListener>,
    tcp: Option<StdTcpListener>,
}

impl Inherited {
    /// Takes what was handed over. `names` is `LISTEN_FDNAMES`, which `FileDescriptorName=` of each
    /// socket unit sets: what is meant by a socket must not depend on the order of units.
    pub fn take(names: Option<&str>) -> Result<Self, ListenError> {
        Self::sort(ListenFd::from_env(), names)
    }

    fn sort(mut handed: ListenFd, names: Option<&str>) -> Result<Self, ListenError> {
        let mut names = names.unwrap_or_default().split(':');
        let mut inherited = Self::default();
        for index in 0..handed.len() {
            let name = names.next().unwrap_or_default().to_owned();
            let kind = |source| ListenError::Kind { name: name.clone(), source };
            let was_there = match name.as_str() {
                "admin" => {
                    let socket = handed.take_unix_listener(index).map_err(kind)?;
                    std::mem::replace(&mut inherited.admin, socket).is_some()
                }
                "read" => {
                    let socket = handed.take_unix_listener(index).map_err(kind)?;
                    std::mem::replace(&mut inherited.read, socket).is_some()
                }
                "tcp" => {
                    let socket = handed.take_tcp_listener(index).map_err(kind)?;
                    std::mem::replace(&mut inherited.tcp, socket).is_some()
                }
                _ => return Err(ListenError::Name { name }),
            };
            if was_there {
                return Err(ListenError::Twice { name });
            }
        }
        Ok(inherited)
    }
}

/// Everything that is listened on.
#[derive(Debug)]
pub struct Listeners {
    pub(super) admin: Option<Unix>,
    pub(super) read: Option<Unix>,
    pub(super) tcp: Option<TcpListener>,
}

/// A Unix socket, whose file is removed with it if we made it.
#[derive(Debug)]
pub(super) struct Unix {
    socket: UnixListener,
    _file: Option<SocketFile>,
}

impl Unix {
    pub(super) fn socket(&self) -> &UnixListener {
        &self.socket
    }
}

impl Listeners {
    /// Takes the sockets that were handed over, and makes the others.
    pub async fn open(
        root: &NodeRoot,
        listen: &Listen,
        inherited: Inherited,
    ) -> Result<Self, ListenError> {
        let admin = match inherited.admin {
            Some(socket) => adopt(socket, &listen.admin_socket)?,
            None => bind(root, &listen.admin_socket, ADMIN_MODE, None).await?,
        };
        let read = match inherited.read {
            Some(socket) => adopt(socket, &listen.read_socket)?,
            None => bind(root, &listen.read_socket, READ_MODE, listen.read_gid).await?,
        };
        let tcp = match (inherited.tcp, &listen.tcp) {
            (Some(socket), _) => Some(adopt_tcp(socket)?),
            (None, Some(tcp)) => {
                let address = tcp.address;
                let socket = TcpListener::bind(address).await;
                Some(socket.map_err(|source| ListenError::Tcp { address, source })?)
            }
            (None, None) => None,
        };
        Ok(Self { admin: Some(admin), read: Some(read), tcp })
    }

    /// Where TCP is listened on: the settings may be about any address of the machine.
    pub fn tcp_address(&self) -> Option<std::net::SocketAddr> {
        self.tcp.as_ref().and_then(|socket| socket.local_addr().ok())
    }
}

fn adopt(socket: StdUnixListener, path: &NodePath) -> Result<Unix, ListenError> {
    socket.set_nonblocking(true).map_err(failed("take over", path))?;
    let socket = UnixListener::from_std(socket).map_err(failed("take over", path))?;
    Ok(Unix { socket, _file: None })
}

fn adopt_tcp(socket: StdTcpListener) -> Result<TcpListener, ListenError> {
    let kind = |source| ListenError::Kind { name: "tcp".to_owned(), source };
    socket.set_nonblocking(true).map_err(kind)?;
    TcpListener::from_std(socket).map_err(kind)
}

/// The mode is set on the socket *before* it has a name: between `bind` and a later `chmod` anybody
/// could connect, and a mask would be the whole process's.
async fn bind(
    root: &NodeRoot,
    path: &NodePath,
    mode: Mode,
    gid: Option<u32>,
) -> Result<Unix, ListenError> {
    let directory = directory::open(root, path, mode)?;
    let address = address(root, path, &directory);
    make_way(&directory, path, &address).await?;
    let socket = UnixSocket::new_stream().map_err(failed("make", path))?;
    rustix::fs::fchmod(&socket, mode).map_err(io::Error::from).map_err(failed("make", path))?;
    socket.bind(&address).map_err(failed("listen on", path))?;
    let file = SocketFile::new(directory, path)?;
    // The process's mask has taken rights away from a group that is to have them.
    let widen = || {
        let name = path.file_name();
        if let Some(gid) = gid {
            let gid = Some(Gid::from_raw(gid));
            rustix::fs::chownat(&file.directory, name, None, gid, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        rustix::fs::chmodat(&file.directory, name, mode, AtFlags::empty())
    };
    widen().map_err(io::Error::from).map_err(failed("set the mode of", path))?;
    let socket = socket.listen(BACKLOG).map_err(failed("listen on", path))?;
    Ok(Unix { socket, _file: Some(file) })
}

/// The path that people see in `ss`, if the kernel takes one that long.
fn address(root: &NodeRoot, path: &NodePath, directory: &OwnedFd) -> String {
    let whole = root.path().join(path.as_str()).display().to_string();
    if whole.len() <= LONGEST_PATH {
        return whole;
    }
    format!("/proc/self/fd/{}/{}", directory.as_raw_fd(), path.file_name())
}

/// Removes a socket that nobody listens on any more: its daemon died.
async fn make_way(directory: &OwnedFd, path: &NodePath, address: &str) -> Result<(), ListenError> {
    let Some(stat) = look(directory, path)? else { return Ok(()) };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
        return Err(ListenError::InTheWay { path: path.clone() });
    }
    // Whoever is too busy to accept is there all the same.
    match timeout(Duration::from_secs(1), UnixStream::connect(address)).await {
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        _ => return Err(ListenError::Taken { path: path.clone() }),
    }
    rustix::fs::unlinkat(directory, path.file_name(), AtFlags::empty())
        .map_err(io::Error::from)
        .map_err(failed("remove", path))
}

fn look(directory: impl AsFd, path: &NodePath) -> Result<Option<Stat>, ListenError> {
    match rustix::fs::statat(directory, path.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(failed("examine", path)(errno.into())),
    }
}

/// The name of a socket that we made.
#[derive(Debug)]
struct SocketFile {
    directory: OwnedFd,
    path: NodePath,
    inode: (u64, u64),
}

impl SocketFile {
    fn new(directory: OwnedFd, path: &NodePath) -> Result<Self, ListenError> {
        let stat = look(&directory, path)?;
        let inode = stat.map(|stat| (stat.st_dev, stat.st_ino)).unwrap_or_default();
        Ok(Self { directory, path: path.clone(), inode })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // The next daemon may have put its own there already.
        let is_ours = look(&self.directory, &self.path)
            .is_ok_and(|stat| stat.is_some_and(|stat| (stat.st_dev, stat.st_ino) == self.inode));
        if is_ours {
            let name = self.path.file_name();
            if let Err(error) = rustix::fs::unlinkat(&self.directory, name, AtFlags::empty()) {
                tracing::warn!(path = %self.path, %error, "cannot remove the socket");
            }
        }
    }
}
