//! regtrustd as the service manager starts it, and what it tells it.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use regtrust::api::v1::node_client::NodeClient;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use super::tree::{self, Authorities};

/// For what takes milliseconds. The shipped unit has the same watchdog as [`WATCHDOG`].
const PATIENCE: Duration = Duration::from_mins(1);
pub(crate) const WATCHDOG: Duration = Duration::from_mins(1);

pub(crate) struct Served {
    child: Child,
    tree: PathBuf,
    /// From the start of the process to `READY=1`.
    pub(crate) ready: Duration,
    /// How often the watchdog was told that all is well.
    pub(crate) beats: Arc<AtomicUsize>,
}

/// A tree that declares registries in files; whoever runs this may also apply what they like.
pub(crate) fn make(tree: &Path, registries: usize) {
    tree::make(tree, registries, Authorities::Shared);
    let me = rustix::process::geteuid().as_raw();
    let settings = format!(
        "[[access]]\nrole = \"admin\"\nuid = {me}\n\n[[owner]]\nname = \"plane\"\nuid = {me}\n\
         hosts = [\"*.example:5000\"]\n"
    );
    fs::write(tree.join("etc/regtrust/regtrustd.toml"), settings).expect("write the settings");
}

impl Served {
    pub(crate) fn start(scratch: &Path, tree: &Path) -> Self {
        let address = scratch.join("notify");
        _ = fs::remove_file(&address);
        let manager = UnixDatagram::bind(&address).expect("be the service manager");
        let beats = Arc::new(AtomicUsize::new(0));
        let (is_ready, told) = mpsc::channel();
        let counted = Arc::clone(&beats);
        std::thread::spawn(move || listen(&manager, &is_ready, &counted));
        let mut command = Command::new(env!("CARGO_BIN_EXE_regtrustd"));
        command.env_clear().env("NOTIFY_SOCKET", &address).stdin(Stdio::null());
        command.env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
        command.env("REGTRUST_LOG", "warn").arg("--root").arg(tree);
        let begin = Instant::now();
        let child = command.spawn().expect("start regtrustd");
        let then: Instant = told.recv_timeout(PATIENCE).expect("regtrustd becomes ready");
        Self { child, tree: tree.to_owned(), ready: then.duration_since(begin), beats }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) async fn client(&self) -> NodeClient<Channel> {
        let path = self.tree.join("run/regtrust/admin.sock");
        let connect = service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        let channel = Endpoint::from_static("http://node").connect_with_connector(connect).await;
        NodeClient::new(channel.expect("call regtrustd"))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // As the service manager would, and not `kill`: a tree that is used again has no stale
        // socket then.
        let pid = i32::try_from(self.child.id()).map(Pid::from_raw);
        _ = pid.map(|pid| kill(pid, Signal::SIGTERM));
        _ = self.child.wait();
    }
}

/// Reads everything, as a service manager does: a socket that is full would stop the daemon. Ends
/// with the message by which the daemon says that it does.
fn listen(manager: &UnixDatagram, is_ready: &mpsc::Sender<Instant>, beats: &AtomicUsize) {
    let mut message = [0; 4096];
    while let Ok(length) = manager.recv(&mut message) {
        let told = String::from_utf8_lossy(&message[..length]);
        if told.contains("READY=1") {
            // Only the first is waited for.
            _ = is_ready.send(Instant::now());
        }
        beats.fetch_add(usize::from(told.contains("WATCHDOG=1")), Ordering::Relaxed);
        if told.contains("STOPPING=1") {
            return;
        }
    }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("start the runtime")
}
