//! systemd on the system bus: what state a unit is in, and jobs that are waited for.

use std::fmt::Write as _;
use std::future::Future;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_stream::StreamExt as _;
use zbus::{Connection, OwnedObjectPath};

use super::manager::{ManagerProxy, ServiceProxy, UnitProxy};
use crate::node::root::NodeRoot;
use crate::node_path;
use crate::path::NodePath;
use crate::runtime::socket::{self, SocketError};
use crate::trust::entry::Runtime;

/// How long systemd may take for an answer that is no job. It answers in milliseconds unless it is
/// itself starved.
const ANSWER: Duration = Duration::from_secs(20);

/// How often a unit on its way to another state is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// A job is refused, and not forced, where it would cancel somebody else's: an operator who stops
/// docker at this moment means it, and so does a shutdown.
pub(super) const MODE: &str = "fail";

fn socket_path() -> NodePath {
    node_path!("run/dbus/system_bus_socket")
}

#[derive(Debug, thiserror::Error)]
pub enum BusError {
    #[error("cannot reach the system bus")]
    Socket(#[from] SocketError),
    #[error("systemd cannot be asked to {operation}")]
    Call { operation: &'static str, source: zbus::Error },
    #[error("systemd did not answer within {} s when it was asked to {operation}", ANSWER.as_secs())]
    Silent { operation: &'static str },
    #[error("the connection to the system bus ended while a job was waited for")]
    Lost,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobEnd {
    Done,
    /// systemd's word for it: `failed`, `canceled`, `dependency`, `skipped`, …
    Not(String),
    /// Our own deadline, because docker's start has none.
    Unfinished,
}

/// The unit of a runtime.
pub fn unit_of(runtime: Runtime) -> &'static str {
    match runtime {
        Runtime::Docker => "docker.service",
        Runtime::Containerd => "containerd.service",
    }
}

/// What a runtime's unit is doing.
#[derive(Debug)]
pub enum Standing {
    /// There is no such unit, or it is masked.
    Absent,
    Stopped,
    Failed,
    Active(Active),
    /// `activating`, `deactivating`, `reloading`, …
    Busy(String),
}

/// Evidence that systemd, when it was asked a moment ago, said that a runtime is running.
///
/// Only [`Bus`] can make one, and whoever wants to speak to a runtime needs one: a connection to
/// docker's socket starts a docker that an operator stopped.
#[derive(Debug)]
pub struct Active {
    runtime: Runtime,
    /// systemd's number for this run of the unit.
    invocation: Vec<u8>,
}

impl Active {
    pub fn runtime(&self) -> Runtime {
        self.runtime
    }

    /// The number of the run, as systemd's own tools write it.
    pub fn run(&self) -> String {
        let mut number = String::new();
        for byte in &self.invocation {
            // Writing to a string cannot fail.
            _ = write!(number, "{byte:02x}");
        }
        number
    }

    pub fn is_same_run(&self, other: &Self) -> bool {
        self.runtime == other.runtime && self.invocation == other.invocation
    }
}

/// A connection to systemd. It lives for one piece of work: connecting takes a millisecond, and so
/// nothing has to be noticed and mended when the bus is restarted, and an idle daemon is not woken
/// by other programs' signals.
#[derive(Debug)]
pub struct Bus {
    connection: Connection,
    pub(super) manager: ManagerProxy<'static>,
}

impl Bus {
    /// Connects to the system bus of the node whose root this is.
    pub async fn connect(root: &NodeRoot) -> Result<Self, BusError> {
        let operation = "talk to us";
        let stream = socket::connect(root, &socket_path()).await?.into_std();
        let stream =
            stream.map_err(|source| SocketError::Connect { path: socket_path(), source })?;
        let builder = zbus::connection::Builder::unix_stream(stream).method_timeout(ANSWER);
        let connection = answer(operation, builder.build()).await?;
        let manager = answer(operation, ManagerProxy::new(&connection)).await?;
        // Once for a connection: asked again, systemd answers with an error.
        answer(operation, manager.subscribe()).await?;
        Ok(Self { connection, manager })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Whether the node is on its way down, where every job of ours would be in the way.
    pub async fn is_stopping(&self) -> Result<bool, BusError> {
        Ok(answer("say how it is", self.manager.system_state()).await? == "stopping")
    }

    pub async fn standing(&self, runtime: Runtime) -> Result<Standing, BusError> {
        let unit = self.unit(unit_of(runtime)).await?;
        let load = answer("describe a unit", unit.load_state()).await?;
        if load != "loaded" {
            return Ok(Standing::Absent);
        }
        // The number first: if the unit restarts in between, what we hold is the old number, and
        // the difference is noticed instead of missed.
        let invocation = answer("describe a unit", unit.invocation_id()).await?;
        let state = answer("describe a unit", unit.active_state()).await?;
        Ok(match state.as_str() {
            "active" => Standing::Active(Active { runtime, invocation }),
            "inactive" => Standing::Stopped,
            "failed" => Standing::Failed,
            _ => Standing::Busy(state),
        })
    }

    /// Whether systemd is to do something with the unit, or does it.
    pub async fn has_job(&self, runtime: Runtime) -> Result<bool, BusError> {
        let unit = self.unit(unit_of(runtime)).await?;
        let (number, _) = answer("describe a unit", unit.job()).await?;
        Ok(number != 0)
    }

    /// The same, once the unit has stopped changing; [`Standing::Busy`] if it does not in time.
    pub async fn settled(&self, runtime: Runtime, limit: Duration) -> Result<Standing, BusError> {
        let settle = async {
            loop {
                match self.standing(runtime).await? {
                    Standing::Busy(_) => sleep(LOOK).await,
                    standing => return Ok(standing),
                }
            }
        };
        match timeout(limit, settle).await {
            Ok(standing) => standing,
            Err(_) => self.standing(runtime).await,
        }
    }

    /// Why a service last ended: `exit-code`, `start-limit-hit`, …
    pub(super) async fn result(&self, unit: &str) -> Result<String, BusError> {
        let service = self.service(unit).await?;
        answer("describe a service", service.result()).await
    }

    /// The exit code of a service's main process.
    pub(super) async fn exit_status(&self, unit: &str) -> Result<i32, BusError> {
        let service = self.service(unit).await?;
        answer("describe a service", service.exec_main_status()).await
    }

    /// The process of a runtime.
    pub(super) async fn process(&self, runtime: Runtime) -> Result<u32, BusError> {
        let service = self.service(unit_of(runtime)).await?;
        answer("describe a service", service.main_pid()).await
    }

    pub(super) async fn start(&self, unit: &str, limit: Duration) -> Result<JobEnd, BusError> {
        self.job("start a unit", limit, self.manager.start_unit(unit, MODE)).await
    }

    /// Begins a job and waits for its end.
    ///
    /// We listen before we ask: a job may be over before the answer to the call that began it.
    pub(super) async fn job(
        &self,
        operation: &'static str,
        limit: Duration,
        begin: impl Future<Output = zbus::Result<OwnedObjectPath>>,
    ) -> Result<JobEnd, BusError> {
        let mut removed = answer(operation, self.manager.receive_job_removed()).await?;
        let ours = answer(operation, begin).await?;
        let end = async {
            while let Some(signal) = removed.next().await {
                let call = |source| BusError::Call { operation, source };
                let job = signal.args().map_err(call)?;
                if job.job == *ours {
                    return Ok(match job.result.as_str() {
                        "done" => JobEnd::Done,
                        other => JobEnd::Not(other.to_owned()),
                    });
                }
            }
            Err(BusError::Lost)
        };
        timeout(limit, end).await.unwrap_or(Ok(JobEnd::Unfinished))
    }

    pub(super) async fn unit(&self, name: &str) -> Result<UnitProxy<'static>, BusError> {
        let path = answer("load a unit", self.manager.load_unit(name)).await?;
        let unit = UnitProxy::builder(&self.connection).path(path);
        answer("describe a unit", unit.build()).await
    }

    async fn service(&self, name: &str) -> Result<ServiceProxy<'static>, BusError> {
        let path = answer("load a unit", self.manager.load_unit(name)).await?;
        let service = ServiceProxy::builder(&self.connection).path(path);
        answer("describe a service", service.build()).await
    }
}

pub(super) async fn answer<T>(
    operation: &'static str,
    call: impl Future<Output = zbus::Result<T>>,
) -> Result<T, BusError> {
    match timeout(ANSWER, call).await {
        Ok(result) => result.map_err(|source| BusError::Call { operation, source }),
        Err(_) => Err(BusError::Silent { operation }),
    }
}
