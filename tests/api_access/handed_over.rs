//! Sockets that systemd makes. The test stands for systemd, and starts itself again as the daemon.

use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use regtrust::api::access::Access;
use regtrust::api::listen::{Inherited, Listeners};
use regtrust::api::{Doors, Inside, Metrics, routes, serve};
use regtrust::node::root::NodeRoot;
use regtrust::settings::{Listen, parse_settings};
use rustix::io::FdFlags;
use tokio::sync::watch;

use crate::client::{Outcome, status, unix};
use crate::yes::Yes;

const FIRST: i32 = 500;
const ROOT: &str = "REGTRUST_TEST_ROOT";

/// Gives a socket the next number that the daemon expects, and lets it be inherited.
fn hand_over(socket: impl AsFd, at: i32) -> OwnedFd {
    let handed = rustix::io::fcntl_dupfd_cloexec(socket, FIRST + at).unwrap();
    assert_eq!(std::os::fd::AsRawFd::as_raw_fd(&handed), FIRST + at);
    rustix::io::fcntl_setfd(&handed, FdFlags::empty()).unwrap();
    handed
}

fn daemon(root: &Path, names: &str, sockets: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "handed_over::a_daemon_of_the_test_below", "--ignored", "--nocapture"])
        .env(ROOT, root)
        .env("LISTEN_FDS", sockets.to_string())
        .env("LISTEN_FDS_FIRST_FD", FIRST.to_string())
        .env("LISTEN_FDNAMES", names)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
#[ignore = "is started by `sockets_may_be_handed_over`"]
async fn a_daemon_of_the_test_below() {
    let root = NodeRoot::open(Path::new(&std::env::var(ROOT).unwrap())).unwrap();
    let inherited = Inherited::take(std::env::var("LISTEN_FDNAMES").ok().as_deref()).unwrap();
    let listeners = Listeners::open(&root, &Listen::default(), inherited).await.unwrap();
    let settings =
        parse_settings("[[access]]\nrole = \"reader\"\nsocket = \"read\"", "/d").unwrap();
    let access = watch::Sender::new(Arc::new(Access::new(&settings)));
    let stop = watch::Sender::new(false);
    let (services, _health) = routes(Yes::default(), Yes::default().alive()).await.unwrap();
    let doors = Doors { listeners, tls: None };
    let inside = Inside { routes: services, metrics: Metrics::new(String::new) };
    serve(doors, access.subscribe(), inside, stop.subscribe()).await;
}

#[tokio::test]
async fn sockets_may_be_handed_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    // The order is not the one in which they are named anywhere else.
    let read = UnixListener::bind(path("r.sock")).unwrap();
    let tcp = TcpListener::bind("[::1]:0").or_else(|_| TcpListener::bind("127.0.0.1:0")).unwrap();
    let admin = UnixListener::bind(path("a.sock")).unwrap();
    let handed = [hand_over(&read, 0), hand_over(&tcp, 1), hand_over(&admin, 2)];

    let mut child = daemon(directory.path(), "read:tcp:admin", 3);
    let call = |name: &'static str| {
        let path = path(name);
        async move { status(unix(&path).await).await }
    };
    if rustix::process::geteuid().is_root() {
        assert_eq!(call("a.sock").await, Outcome::Answered("admin".into()));
    }
    assert_eq!(call("r.sock").await, Outcome::Answered("reader".into()));
    assert!(!path("run").exists(), "it made sockets of its own");
    child.kill().unwrap();
    child.wait().unwrap();

    // What is meant by a socket has to be said, and said once.
    for names in ["", "read:tcp", "read:tcp:regtrust.socket", "read:tcp:read", "tcp:read:admin"] {
        let mut child = daemon(directory.path(), names, 3);
        let ended = tokio::task::spawn_blocking(move || {
            for _ in 0..100 {
                if let Some(status) = child.try_wait().unwrap() {
                    return Some(status);
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            child.kill().unwrap();
            child.wait().unwrap();
            None
        });
        let ended = ended.await.unwrap();
        assert!(ended.is_some_and(|status| !status.success()), "{names}: {ended:?}");
    }
    drop(handed);
}
