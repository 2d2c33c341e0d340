//! Builds in progress, which BuildKit inside dockerd tells over gRPC.
//!
//! From docker 24 on it has a record of each build. Before, the only trace is that parts of its cache
//! are in use, which they are from a build's first moment to its last.

use std::time::Duration;

use http::uri::PathAndQuery;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::upgrade::Upgraded;
use hyper::{Request, upgrade};
use hyper_util::rt::TokioIo;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;

use super::Engine;
use crate::effect::chain;
use crate::jobs::{Occupant, Source};
use crate::runtime::content::moment;
use crate::runtime::socket;

#[derive(Clone, PartialEq, prost::Message)]
struct BuildHistoryRequest {
    #[prost(bool, tag = "1")]
    active_only: bool,
    /// The answer ends after what is known, instead of going on with what is still to come.
    #[prost(bool, tag = "3")]
    early_exit: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct BuildHistoryEvent {
    #[prost(message, optional, tag = "2")]
    record: Option<Record>,
}

/// Not its attributes: those have the arguments of the build, and people put passwords there.
#[derive(Clone, PartialEq, prost::Message)]
struct Record {
    #[prost(string, tag = "1")]
    reference: String,
    #[prost(message, optional, tag = "6")]
    created_at: Option<prost_types::Timestamp>,
    #[prost(message, optional, tag = "7")]
    completed_at: Option<prost_types::Timestamp>,
}

/// Without a filter: all of the cache.
#[derive(Clone, PartialEq, prost::Message)]
struct DiskUsageRequest {}

#[derive(Clone, PartialEq, prost::Message)]
struct DiskUsageResponse {
    #[prost(message, repeated, tag = "1")]
    parts: Vec<Part>,
}

/// Not its description: that has the command of a build step.
#[derive(Clone, PartialEq, prost::Message)]
struct Part {
    #[prost(bool, tag = "3")]
    in_use: bool,
}

impl Engine {
    /// The builds in progress, or why they cannot be told.
    pub async fn builds(&self, limit: Duration) -> Result<Vec<Occupant>, String> {
        let told = tokio::time::timeout(limit, self.ask_builds()).await;
        told.unwrap_or_else(|_| {
            Err(format!("BuildKit did not answer within {} s", limit.as_secs()))
        })
    }

    async fn ask_builds(&self) -> Result<Vec<Occupant>, String> {
        let engine = self.clone();
        let connector = service_fn(move |_| {
            let engine = engine.clone();
            async move { engine.upgrade().await }
        });
        let endpoint = Endpoint::from_static("http://buildkit");
        let channel = endpoint.connect_with_connector(connector).await;
        let mut client = Grpc::new(channel.map_err(|error| chain(&error))?);
        match recorded(&mut client).await {
            Err(status) if status.code() == Code::Unimplemented => in_use(&mut client).await,
            told => told,
        }
        .map_err(|status| status.message().to_owned())
    }

    /// A connection on which dockerd speaks gRPC from now on, for BuildKit.
    async fn upgrade(&self) -> Result<Upgraded, Box<dyn std::error::Error + Send + Sync>> {
        let stream = socket::connect(&self.root, &super::socket_path()).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with whoever has the upgraded connection.
        tokio::spawn(async move { drop(connection.with_upgrades().await) });
        let request = Request::post("/grpc")
            .header("Host", "docker")
            .header("Connection", "Upgrade")
            .header("Upgrade", "h2c")
            .body(Empty::<Bytes>::new())?;
        let response = sender.send_request(request).await?;
        Ok(upgrade::on(response).await?)
    }
}

async fn recorded(client: &mut Grpc<Channel>) -> Result<Vec<Occupant>, Status> {
    const METHOD: &str = "/moby.buildkit.v1.Control/ListenBuildHistory";
    client.ready().await.map_err(unreachable)?;
    let request = tonic::Request::new(BuildHistoryRequest { active_only: true, early_exit: true });
    let codec = ProstCodec::<BuildHistoryRequest, BuildHistoryEvent>::default();
    let path = PathAndQuery::from_static(METHOD);
    let mut events = client.server_streaming(request, path, codec).await?.into_inner();
    let mut active = Vec::new();
    while let Some(event) = events.message().await? {
        active.extend(event.record.and_then(Record::occupant));
    }
    Ok(active)
}

async fn in_use(client: &mut Grpc<Channel>) -> Result<Vec<Occupant>, Status> {
    const METHOD: &str = "/moby.buildkit.v1.Control/DiskUsage";
    client.ready().await.map_err(unreachable)?;
    let request = tonic::Request::new(DiskUsageRequest {});
    let codec = ProstCodec::<DiskUsageRequest, DiskUsageResponse>::default();
    let path = PathAndQuery::from_static(METHOD);
    let usage = client.unary(request, path, codec).await?.into_inner();
    let build = || Occupant {
        source: Source::Builds,
        what: "image build".to_owned(),
        name: "BuildKit".to_owned(),
        since: None,
    };
    Ok(usage.parts.iter().any(|part| part.in_use).then(build).into_iter().collect())
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` wants")]
fn unreachable(error: tonic::transport::Error) -> Status {
    Status::unavailable(chain(&error))
}

impl Record {
    fn occupant(self) -> Option<Occupant> {
        if self.completed_at.is_some() {
            return None;
        }
        let since = self.created_at.and_then(moment);
        let name = self.reference;
        Some(Occupant { source: Source::Builds, what: "image build".to_owned(), name, since })
    }
}
