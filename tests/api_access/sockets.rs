//! Unix sockets: their files, and other users.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper_util::rt::TokioIo;
use regtrust::api::listen::{Inherited, ListenError, Listeners};
use regtrust::node::root::NodeRoot;
use regtrust::settings::Listen;
use rustix::process::Uid;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use crate::client::{Outcome, status, unix};
use crate::daemon::Daemon;

/// As far as the file system is concerned.
pub(crate) fn let_everybody_in(path: &Path) {
    for path in path.ancestors().take(2) {
        let mode = if path.is_dir() { 0o755 } else { 0o666 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
}

/// Connects as another user, whom the file system lets in everywhere. Only root can.
pub(crate) async fn as_user(uid: u32, path: &Path) -> Channel {
    let_everybody_in(path);
    let path = path.to_owned();
    // The kernel notes who the connecting thread is.
    let connected = std::thread::spawn(move || {
        rustix::thread::set_thread_uid(Uid::from_raw(uid)).unwrap();
        UnixStream::connect(path).unwrap()
    });
    let stream = connected.join().unwrap();
    stream.set_nonblocking(true).unwrap();
    let stream = tokio::net::UnixStream::from_std(stream).unwrap();
    let mut stream = Some(TokioIo::new(stream));
    let connect = service_fn(move |_| {
        let stream = stream.take().ok_or_else(|| std::io::Error::other("only once"));
        async move { stream }
    });
    Endpoint::from_static("http://node").connect_with_connector(connect).await.unwrap()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[tokio::test]
async fn another_user_has_what_the_settings_give_it() {
    if !is_root() {
        println!("NOT TESTED: only root can be somebody else");
        return;
    }
    let daemon = Daemon::local(
        "[[access]]\nrole = \"operator\"\nuid = 4321\n[[access]]\nrole = \"reader\"\nsocket = \"read\"",
    )
    .await;
    for (uid, on_admin, on_read) in [
        (4321, Outcome::Answered("operator".into()), Outcome::Answered("reader".into())),
        (4322, Outcome::Denied, Outcome::Answered("reader".into())),
    ] {
        let channel = as_user(uid, &daemon.admin_socket()).await;
        assert_eq!(status(channel).await, on_admin, "{uid}");
        let channel = as_user(uid, &daemon.read_socket()).await;
        assert_eq!(status(channel).await, on_read, "{uid}");
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

#[tokio::test]
async fn sockets_are_closed_to_others_and_gone_with_the_daemon() {
    let daemon = Daemon::local("").await;
    let (admin, read) = (daemon.admin_socket(), daemon.read_socket());
    assert_eq!((mode(&admin), mode(&read)), (0o600, 0o660));
    assert_eq!(mode(admin.parent().unwrap()), 0o700);
    assert_eq!(mode(read.parent().unwrap()), 0o755);
    daemon.stop().await;
    assert!(!admin.exists() && !read.exists());
}

/// Watches the name while sockets are made under it, with a mask that would let everybody in.
#[tokio::test]
async fn a_socket_is_never_open_to_others_not_even_while_it_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let root = NodeRoot::open(directory.path()).unwrap();
    let name = directory.path().join("run/regtrust/admin.sock");
    let done = Arc::new(AtomicBool::new(false));
    let until = Arc::clone(&done);
    let watcher = std::thread::spawn(move || {
        let mut seen = std::collections::BTreeSet::new();
        while !until.load(Ordering::Relaxed) {
            if let Ok(metadata) = fs::symlink_metadata(&name) {
                seen.insert(metadata.mode() & 0o777);
            }
        }
        seen
    });
    for _ in 0..300 {
        let listen = Listen::default();
        drop(Listeners::open(&root, &listen, Inherited::default()).await.unwrap());
    }
    done.store(true, Ordering::Relaxed);
    let seen = watcher.join().unwrap();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0o600]);
}

async fn open(directory: &Path) -> Result<Listeners, ListenError> {
    let root = NodeRoot::open(directory).unwrap();
    Listeners::open(&root, &Listen::default(), Inherited::default()).await
}

#[tokio::test]
async fn a_socket_is_replaced_only_if_nobody_listens_on_it() {
    let directory = tempfile::tempdir().unwrap();
    let name = directory.path().join("run/regtrust/admin.sock");
    fs::create_dir_all(name.parent().unwrap()).unwrap();
    fs::set_permissions(name.parent().unwrap(), fs::Permissions::from_mode(0o700)).unwrap();

    let theirs = UnixListener::bind(&name).unwrap();
    assert!(matches!(open(directory.path()).await, Err(ListenError::Taken { .. })));
    assert!(UnixStream::connect(&name).is_ok(), "it was taken from its owner");
    drop(theirs);
    let ours = open(directory.path()).await.unwrap();
    assert!(fs::symlink_metadata(&name).unwrap().file_type().is_socket());
    drop(ours);

    fs::write(&name, "precious").unwrap();
    assert!(matches!(open(directory.path()).await, Err(ListenError::InTheWay { .. })));
    assert_eq!(fs::read(&name).unwrap(), b"precious");
}

#[tokio::test]
async fn a_directory_that_others_may_change_is_not_used() {
    let directory = tempfile::tempdir().unwrap();
    let run = directory.path().join("run/regtrust");
    fs::create_dir_all(&run).unwrap();
    for (mode, usable) in [(0o700, true), (0o755, true), (0o770, false), (0o1777, false)] {
        fs::set_permissions(&run, fs::Permissions::from_mode(mode)).unwrap();
        let opened = open(directory.path()).await;
        assert_eq!(opened.is_ok(), usable, "{mode:o}");
        assert!(usable || matches!(opened, Err(ListenError::Exposed { .. })));
    }
}

#[tokio::test]
async fn a_tree_with_a_long_name_has_sockets_too() {
    let directory = tempfile::tempdir().unwrap();
    let deep = directory.path().join("x".repeat(120));
    fs::create_dir(&deep).unwrap();
    let _listeners = open(&deep).await.unwrap();
    let socket = deep.join("run/regtrust/admin.sock");
    assert!(fs::symlink_metadata(socket).unwrap().file_type().is_socket());
}

#[tokio::test]
async fn no_socket_is_abstract() {
    let daemon = Daemon::local("").await;
    assert_eq!(status(unix(&daemon.admin_socket()).await).await, Outcome::Answered("admin".into()));
    // Nothing is abstract: it could be reached from a container in the host's network namespace.
    let abstracts = fs::read_to_string("/proc/net/unix").unwrap();
    let ours = |line: &&str| line.contains("regtrust") && line.contains(" @");
    assert_eq!(abstracts.lines().find(ours), None);
}
