//! The daemon as this command sees it: one connection to its socket, beneath the node's root.

use std::io;

use hyper_util::rt::TokioIo;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;
use tower::service_fn;

use super::failure::{Exit, Failure};
use super::session::Session;
use super::visible::visible_json;
use crate::api::v1::node_client::NodeClient;
use crate::api::{DESCRIPTORS, v1};
use crate::path::NodePath;
use crate::reconcile::ReconcileError;
use crate::runtime::socket::{SocketError, connect};
use crate::settings::Listen;
use crate::txn::lock::{DaemonLock, LockError};

pub(super) type Client = NodeClient<Channel>;

/// Ten thousand registries with their proofs are some megabytes.
const LARGEST_ANSWER: usize = 64 << 20;

#[derive(Debug)]
pub(super) struct Remote {
    runtime: Runtime,
    client: Client,
    channel: Channel,
}

impl Remote {
    /// `None`: no daemon is at work on this node, so its files may be looked at and changed here.
    pub(super) fn at_work(session: &Session) -> Result<Option<Self>, Failure> {
        match DaemonLock::none(&session.root) {
            Ok(()) => Ok(None),
            Err(LockError::Daemon { .. }) => Self::reach(session).map(Some),
            // Only root may look into the state directory; others may be allowed to ask.
            Err(error) => match Self::reach(session) {
                Ok(remote) => Ok(Some(remote)),
                Err(_) => Err(Failure::from(ReconcileError::Lock(error))),
            },
        }
    }

    /// For what only a daemon can do. A socket that systemd keeps open starts it.
    pub(super) fn reach(session: &Session) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(Failure::io)?;
        let usual = Listen::default();
        let listen = session.settings.as_ref().map_or(&usual, |settings| &settings.listen);
        let channel = runtime.block_on(async {
            let stream = match connect(&session.root, &listen.admin_socket).await {
                Ok(stream) => stream,
                // Whoever may only look is told by the other door, and else hears of the first.
                Err(error) => match connect(&session.root, &listen.read_socket).await {
                    Ok(stream) => stream,
                    Err(_) => return Err(unreachable(error, &listen.admin_socket)),
                },
            };
            channel(stream).await.map_err(Failure::io)
        })?;
        let client = NodeClient::new(channel.clone()).max_decoding_message_size(LARGEST_ANSWER);
        Ok(Self { runtime, client, channel })
    }

    /// One call.
    pub(super) fn ask<T>(
        &mut self,
        call: impl AsyncFnOnce(&mut Client) -> Result<Response<T>, Status>,
    ) -> Result<T, Failure> {
        let answer = self.runtime.block_on(call(&mut self.client));
        answer.map(Response::into_inner).map_err(|status| refused(&status))
    }

    /// Anything longer.
    pub(super) fn talk<T>(
        &mut self,
        talk: impl AsyncFnOnce(&mut Client) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.runtime.block_on(talk(&mut self.client))
    }

    /// Whether the daemon says that it serves, by the health service that every gRPC server has.
    pub(super) fn is_serving(&mut self) -> Result<bool, Failure> {
        let mut health = HealthClient::new(self.channel.clone());
        let request = HealthCheckRequest::default();
        let answer = self.runtime.block_on(health.check(request));
        let answer = answer.map_err(|status| refused(&status))?.into_inner();
        Ok(answer.status() == ServingStatus::Serving)
    }

    /// How the node stands once nothing is being done any more.
    pub(super) fn settled(&mut self) -> Result<v1::NodeStatus, Failure> {
        self.talk(async |client| {
            let mut statuses = watch(client).await?;
            loop {
                let status = next(&mut statuses).await?;
                if status.phase() != v1::Phase::Working {
                    return Ok(status);
                }
            }
        })
    }
}

type Statuses = tonic::Streaming<v1::NodeStatus>;

pub(super) async fn watch(client: &mut Client) -> Result<Statuses, Failure> {
    let answer = client.watch_status(v1::WatchStatusRequest {}).await;
    answer.map(Response::into_inner).map_err(|status| refused(&status))
}

pub(super) async fn next<T>(answers: &mut tonic::Streaming<T>) -> Result<T, Failure> {
    match answers.message().await {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(Failure::called(Exit::Busy, "regtrustd has ended the call", None)),
        Err(status) => Err(refused(&status)),
    }
}

async fn channel(stream: UnixStream) -> Result<Channel, tonic::transport::Error> {
    let mut only = Some(stream);
    let connector = service_fn(move |_| {
        let stream = only.take();
        async move {
            // Another daemon may be at work by now, which nobody has asked for anything.
            let gone = || io::Error::other("regtrustd has closed the connection");
            stream.map(TokioIo::new).ok_or_else(gone)
        }
    });
    let endpoint = Endpoint::from_static("http://regtrustd");
    endpoint.connect_with_connector(connector).await
}

fn unreachable(error: SocketError, socket: &NodePath) -> Failure {
    let is_denied = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    match error {
        SocketError::Connect { source, .. } if is_denied(&source) => {
            let message = format!("you may not call regtrustd through `{socket}`");
            Failure::called(Exit::Denied, message, Some("ask root for a role".to_owned()))
        }
        error => {
            let message = format!("regtrustd does not answer: {}", crate::effect::chain(&error));
            let cure = "start it with `systemctl start regtrustd`".to_owned();
            Failure::called(Exit::Unavailable, message, Some(cure))
        }
    }
}

/// What the daemon says, with the cure that it knows.
pub(super) fn refused(status: &Status) -> Failure {
    let Some(info) = status.get_details_error_info() else {
        // regtrustd gives every refusal a reason, so this is the connection's own end.
        let message = format!("the connection to regtrustd has ended: {}", status.message());
        return Failure::called(Exit::Busy, message, None);
    };
    let exit = match status.code() {
        Code::InvalidArgument | Code::NotFound => Exit::Usage,
        Code::PermissionDenied => Exit::Denied,
        Code::Unavailable | Code::Aborted | Code::DeadlineExceeded => Exit::Busy,
        Code::FailedPrecondition => Exit::Blocked,
        _ => Exit::Io,
    };
    let cure = info.metadata.get("cure").filter(|cure| !cure.is_empty()).cloned();
    Failure::called(exit, status.message(), cure)
}

/// An answer as one JSON document in the contract's own spelling, as other clients print it.
pub(super) fn document<M: Message>(
    name: &str,
    message: &M,
    pretty: bool,
) -> Result<String, Failure> {
    let pool = DescriptorPool::decode(DESCRIPTORS).map_err(Failure::io)?;
    let unknown = || Failure::called(Exit::Io, format!("`{name}` is not in the contract"), None);
    let descriptor =
        pool.get_message_by_name(&format!("regtrust.v1.{name}")).ok_or_else(unknown)?;
    let bytes = message.encode_to_vec();
    let message = DynamicMessage::decode(descriptor, bytes.as_slice()).map_err(Failure::io)?;
    // Also what is empty: a script should not have to know what may be missing.
    let options = SerializeOptions::new().skip_default_fields(false);
    let mut document = Vec::new();
    if pretty {
        let mut serializer = serde_json::Serializer::pretty(&mut document);
        message.serialize_with_options(&mut serializer, &options).map_err(Failure::io)?;
    } else {
        let mut serializer = serde_json::Serializer::new(&mut document);
        message.serialize_with_options(&mut serializer, &options).map_err(Failure::io)?;
    }
    Ok(visible_json(&String::from_utf8_lossy(&document)) + "\n")
}
