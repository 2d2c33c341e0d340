//! A daemon at work on a tree, and how to call it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream as UnixStreamOfStd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use regtrust::api::v1::node_client::NodeClient;
use regtrust::api::v1::{self, ApplyRequest, GetStatusRequest, NodeStatus, Registry, Trust};
use tempfile::NamedTempFile;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::service_fn;

use crate::common::{Node, fixture_text};

/// For what happens at once, on a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
const ADMIN: &str = "run/regtrust/admin.sock";

pub(crate) type Client = NodeClient<Channel>;

/// Whoever runs the tests is an admin, and owns all of `.corp`.
pub(crate) fn settings(hosts: &str) -> String {
    let me = rustix::process::geteuid().as_raw();
    format!(
        "[[access]]\nrole = \"admin\"\nuid = {me}\n[[owner]]\nname = \"zadig\"\nuid = {me}\n\
         hosts = [{hosts}]\n"
    )
}

/// With docker, containerd and settings as above.
pub(crate) fn node() -> Node {
    let node = Node::new();
    node.file("etc/regtrust/regtrustd.toml", settings("\"*.corp\""));
    node
}

pub(crate) struct Daemon {
    child: Child,
    root: std::path::PathBuf,
    /// Not in the node's tree, which tests compare with what it was.
    log: NamedTempFile,
}

pub(crate) fn command(node: &Node) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_regtrustd"));
    command.env_clear().env("REGTRUST_LOG", "debug").stdin(Stdio::null());
    command.arg("--root").arg(node.root());
    command
}

impl Daemon {
    pub(crate) async fn start(node: &Node) -> Self {
        Self::with(node, &[]).await
    }

    /// Once it answers.
    pub(crate) async fn with(node: &Node, arguments: &[&str]) -> Self {
        let log = NamedTempFile::new().unwrap();
        let stderr = log.reopen().unwrap();
        let child = command(node).args(arguments).stderr(stderr).spawn().unwrap();
        let daemon = Self { child, root: node.root(), log };
        let started = Instant::now();
        while daemon.try_client().await.is_none() {
            assert!(started.elapsed() < PATIENCE, "{}", daemon.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        daemon
    }

    /// What Prometheus would be told.
    pub(crate) fn metrics(&self) -> String {
        let mut stream = UnixStreamOfStd::connect(self.root.join(ADMIN)).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        answer
    }

    async fn try_client(&self) -> Option<Client> {
        let path = self.root.join(ADMIN);
        let connect = service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        let endpoint = Endpoint::from_static("http://node");
        Some(NodeClient::new(endpoint.connect_with_connector(connect).await.ok()?))
    }

    pub(crate) async fn client(&self) -> Client {
        self.try_client().await.unwrap()
    }

    pub(crate) async fn status(&self) -> NodeStatus {
        self.client().await.get_status(GetStatusRequest {}).await.unwrap().into_inner()
    }

    /// The status once it is as it should be.
    pub(crate) async fn until(&self, is_so: impl Fn(&NodeStatus) -> bool) -> NodeStatus {
        let started = Instant::now();
        loop {
            let status = self.status().await;
            if is_so(&status) {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "{status:#?}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log.path()).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Ends it, and says how it ended.
    pub(crate) fn end(mut self, signal: Signal) -> Option<i32> {
        self.signal(signal);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended; a test that failed must leave nothing behind.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Until a file is there, or is not; how long that took.
pub(crate) async fn until_file(node: &Node, path: &str, is_there: bool) -> Duration {
    let started = Instant::now();
    while node.has(path) != is_there {
        assert!(started.elapsed() < PATIENCE, "{path} is_there={is_there}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    started.elapsed()
}

pub(crate) fn with_ca(host: &str) -> Registry {
    Registry {
        host: host.to_owned(),
        trust: Trust::Ca.into(),
        ca: fixture_text("ca.pem"),
        ..Registry::default()
    }
}

pub(crate) fn with_client(host: &str) -> Registry {
    let client = v1::ClientCertificate {
        certificate: fixture_text("client.pem"),
        key: fixture_text("client.key"),
    };
    Registry { client: Some(client), ..with_ca(host) }
}

pub(crate) fn set(hosts: &[&str]) -> ApplyRequest {
    let registries = hosts.iter().map(|host| with_ca(host)).collect();
    ApplyRequest { registries, ..ApplyRequest::default() }
}

/// Where docker finds the CA of a registry.
pub(crate) fn ca_of(host: &str) -> String {
    format!("etc/docker/certs.d/{host}/ca.crt")
}

#[track_caller]
pub(crate) fn assert_refused(status: &Status, code: Code, reason: &str) {
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("{status:?}"));
    assert_eq!((status.code(), info.reason.as_str()), (code, reason), "{status:?}");
    assert_eq!(info.domain, "regtrust");
}
