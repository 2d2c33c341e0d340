//! regtrustd on a node, as its unit starts it, and a caller of its API.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use regtrust::api::v1::item_status::State;
use regtrust::api::v1::node_client::NodeClient;
use regtrust::api::v1::{
    GetStatusRequest, ItemStatus, NodeStatus, Phase, RegistryStatus, RestartRequest,
    WatchStatusRequest,
};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use super::node::Node;
use super::wait::{DEADLINE, block_on, runtime};

const PROGRAM: &str = "/usr/bin/regtrustd";
/// Where the packages put them.
const UNITS: &str = "/usr/lib/systemd/system";
/// Where an operator changes them, and so may a case.
const DROP_INS: &str = "/etc/systemd/system/regtrustd.service.d";
const SERVICE: &str = "regtrustd.service";
/// Root may also declare, for every registry. Nothing more is waited for, and a runtime that has come
/// back is watched for a moment only: what fails here fails at once. The table comes last, so that a
/// case may add to it.
const SETTINGS: &str = "[[owner]]\nname = \"lab\"\nuid = 0\nhosts = [\"*\"]\n\n\
    [restart]\ngather = \"0s\"\nsoak = \"1s\"\n";

/// Runs until it is dropped; then nothing of it is left.
pub(crate) struct Daemon<'n> {
    node: &'n Node,
}

impl<'n> Daemon<'n> {
    /// Installs the program and its unit, and starts it: ready when this returns.
    pub(crate) fn start(node: &'n Node) -> Self {
        let daemon = Self::install(node);
        daemon.systemctl("start");
        daemon
    }

    pub(crate) fn install(node: &'n Node) -> Self {
        for unit in [
            "regtrustd.service",
            "regtrustd.socket",
            "regtrustd-read.socket",
            "regtrustd-tcp.socket",
        ] {
            node.write(&format!("{UNITS}/{unit}"), shipped(unit));
        }
        node.write("/etc/regtrust/regtrustd.toml", SETTINGS);
        let program = daemon_program();
        node.bring(&program, PROGRAM);
        node.sh("mkdir -p /etc/regtrust/registries.d; systemctl daemon-reload");
        Self { node }
    }

    /// Changes the unit with a drop-in that is shipped beside it.
    pub(crate) fn drop_in(&self, name: &str) {
        self.node.write(&format!("{DROP_INS}/{name}"), shipped(name));
        self.node.sh("systemctl daemon-reload");
    }

    pub(crate) fn systemctl(&self, verb: &str) {
        self.node.sh(&format!("systemctl {verb} {SERVICE}"));
    }

    /// One property of the unit, such as `MainPID`.
    pub(crate) fn shows(&self, property: &str) -> String {
        let show = format!("systemctl show --property={property} --value {SERVICE}");
        self.node.sh(&show).trim().to_owned()
    }

    /// How often an effect has begun since the node booted.
    pub(crate) fn effects(&self) -> usize {
        let journal = self.node.journal(SERVICE);
        journal.lines().filter(|line| line.contains("begins")).count()
    }

    pub(crate) fn status(&self) -> NodeStatus {
        self.try_status().expect("regtrustd answers")
    }

    pub(crate) fn try_status(&self) -> Option<NodeStatus> {
        block_on(async {
            let mut client = connect(self.node).await.ok()?;
            let answer = client.get_status(GetStatusRequest {}).await.ok()?;
            Some(answer.into_inner())
        })
    }

    /// Waits for a status that is as it should be; when it never is, the last one is shown.
    ///
    /// It listens: a daemon that is asked ten times a second by every case would have most of the machine.
    pub(crate) fn until(&self, what: &str, is: impl Fn(&NodeStatus) -> bool) -> NodeStatus {
        /// What is waited for may depend on more than the status.
        const AGAIN: Duration = Duration::from_millis(200);
        let (runtime, began) = (runtime(), Instant::now());
        let (mut last, mut told) = (None, None);
        while began.elapsed() < DEADLINE {
            let heard = runtime.block_on(async {
                if told.is_none() {
                    told = Some(timeout(DEADLINE, self.watch()).await.ok()??);
                }
                newest(told.as_mut()?, AGAIN).await
            });
            match heard {
                Some(Some(status)) => last = Some((true, status)),
                Some(None) => {}
                // It is not there, or not any more, and nothing that it has said before is so now.
                None => {
                    told = None;
                    last = last.map(|(_, status)| (false, status));
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            if let Some((true, status)) = &last
                && is(status)
            {
                return status.clone();
            }
        }
        panic!("never: {what}. The last status: {:#?}", last.map(|(_, status)| status));
    }

    async fn watch(&self) -> Option<Streaming<NodeStatus>> {
        let mut client = connect(self.node).await.ok()?;
        Some(client.watch_status(WatchStatusRequest {}).await.ok()?.into_inner())
    }

    pub(crate) fn settled(&self) -> NodeStatus {
        self.until("everything is in force", |status| status.phase() == Phase::Settled)
    }

    /// The same, with an operator who orders what only the time between two restarts holds back.
    pub(crate) fn settled_at_once(&self) -> NodeStatus {
        self.until("everything is in force", |status| {
            self.hurry(status);
            status.phase() == Phase::Settled
        })
    }

    /// Orders the restarts that wait for nothing but the time since the last one.
    pub(crate) fn hurry(&self, status: &NodeStatus) {
        let waits = status.due.iter().filter(|due| due.waiting_for.contains(", and again at "));
        let effects: Vec<i32> = waits.map(|due| due.effect).collect();
        if !effects.is_empty() {
            block_on(async {
                // A daemon that is killed meanwhile gives no answer; what matters is the status.
                let mut client = connect(self.node).await.ok()?;
                client.restart(RestartRequest { effects, only_look: false }).await.ok()
            });
        }
    }

    /// Waits until a registry is in force on every runtime of its.
    pub(crate) fn in_force(&self, host: &str) -> NodeStatus {
        let is_in_force = |status: &NodeStatus| {
            let items = &registry(status, host).map(|one| one.items.clone()).unwrap_or_default();
            !items.is_empty() && items.iter().all(|item| item.state() == State::InForce)
        };
        self.until(&format!("{host} is in force"), is_in_force)
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        // A panic may be on its way, and the node is thrown away then.
        let tidy = format!(
            "systemctl disable --now {SERVICE} regtrustd.socket regtrustd-read.socket regtrustd-tcp.socket; rm -rf {UNITS}/regtrustd* {DROP_INS} {PROGRAM} /run/regtrust \
             /run/regtrust-read; systemctl daemon-reload"
        );
        _ = self.node.run(["sh", "-c", &tidy]);
    }
}

pub(crate) fn registry<'s>(status: &'s NodeStatus, host: &str) -> Option<&'s RegistryStatus> {
    status.registries.iter().find(|registry| registry.host == host)
}

/// A registry's items in a state.
pub(crate) fn items(status: &NodeStatus, host: &str, state: State) -> Vec<ItemStatus> {
    let items = registry(status, host).map(|one| one.items.clone()).unwrap_or_default();
    items.into_iter().filter(|item| item.state() == state).collect()
}

/// The last of what has been said, waiting a little for the first. `None`: nothing more will be;
/// `Some(None)`: nothing was.
async fn newest(told: &mut Streaming<NodeStatus>, wait: Duration) -> Option<Option<NodeStatus>> {
    let mut newest = None;
    let mut wait = wait;
    while let Ok(heard) = timeout(wait, told.message()).await {
        newest = Some(heard.ok()??);
        wait = Duration::ZERO;
    }
    Some(newest)
}

pub(crate) async fn connect(node: &Node) -> Result<NodeClient<Channel>, tonic::transport::Error> {
    connect_to(socket(node)).await
}

/// The administrator's.
pub(super) fn socket(node: &Node) -> PathBuf {
    node.outside("/run/regtrust/admin.sock")
}

pub(super) async fn connect_to(
    socket: PathBuf,
) -> Result<NodeClient<Channel>, tonic::transport::Error> {
    let connector = tower::service_fn(move |_| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://node").connect_with_connector(connector).await?;
    Ok(NodeClient::new(channel))
}

/// A file of `systemd/`.
pub(crate) fn shipped(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name);
    std::fs::read(path).expect("a file that is shipped")
}

/// `REGTRUST_DAEMON`: another build of it, such as the released one.
fn daemon_program() -> PathBuf {
    let given = std::env::var_os("REGTRUST_DAEMON").map(PathBuf::from);
    given.unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_regtrustd")))
}

/// A process of the node, as this machine numbers it.
pub(crate) fn here(node: &Node, process: &str) -> i32 {
    let space = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/pid")).ok();
    let nodes = space(&node.init().to_string());
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let found = names.filter(|name| name.parse::<i32>().is_ok()).find(|name| {
        let status = std::fs::read_to_string(format!("/proc/{name}/status")).unwrap_or_default();
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        numbers.and_then(|line| line.split_whitespace().last()) == Some(process)
            && status.starts_with("Name:\tregtrustd\n")
            && space(name) == nodes
    });
    found.and_then(|name| name.parse().ok()).expect("regtrustd runs")
}
