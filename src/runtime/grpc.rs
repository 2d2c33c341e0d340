//! One call to containerd's socket: CRI and containerd's own services are all there.

use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use tonic::client::Grpc;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;
use tower::service_fn;

use crate::effect::chain;
use crate::node::root::NodeRoot;
use crate::node_path;
use crate::path::NodePath;
use crate::runtime::socket;

/// As much as kubelet takes. Lists of pods have all their annotations.
const LARGEST_ANSWER: usize = 16 << 20;

fn socket_path() -> NodePath {
    node_path!("run/containerd/containerd.sock")
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error("cannot reach containerd: {0}")]
    Unreachable(String),
    #[error("containerd did not answer `{method}` within {seconds} s")]
    Silent { method: &'static str, seconds: u64 },
    #[error("containerd has no `{0}`")]
    Unimplemented(&'static str),
    /// containerd's own words.
    #[error("{0}")]
    Said(String),
}

/// Asks a service that knows no namespaces.
pub(super) async fn call<Q, A>(
    root: &Arc<NodeRoot>,
    method: &'static str,
    request: Q,
    limit: Duration,
) -> Result<A, CallError>
where
    Q: prost::Message + 'static,
    A: prost::Message + Default + 'static,
{
    send(root, method, tonic::Request::new(request), limit).await
}

/// Asks about what is in one of containerd's namespaces, of which every client has its own.
pub(super) async fn call_in<Q, A>(
    root: &Arc<NodeRoot>,
    namespace: &'static str,
    method: &'static str,
    request: Q,
    limit: Duration,
) -> Result<A, CallError>
where
    Q: prost::Message + 'static,
    A: prost::Message + Default + 'static,
{
    let mut request = tonic::Request::new(request);
    let namespace = MetadataValue::from_static(namespace);
    request.metadata_mut().insert("containerd-namespace", namespace);
    send(root, method, request, limit).await
}

async fn send<Q, A>(
    root: &Arc<NodeRoot>,
    method: &'static str,
    request: tonic::Request<Q>,
    limit: Duration,
) -> Result<A, CallError>
where
    Q: prost::Message + 'static,
    A: prost::Message + Default + 'static,
{
    let answer = async {
        let mut client = Grpc::new(connect(root).await?).max_decoding_message_size(LARGEST_ANSWER);
        client.ready().await.map_err(unreachable)?;
        let path = PathAndQuery::from_static(method);
        let response = client.unary(request, path, ProstCodec::<Q, A>::default()).await;
        response.map(tonic::Response::into_inner).map_err(|status| match status.code() {
            tonic::Code::Unimplemented => CallError::Unimplemented(method),
            tonic::Code::Unavailable => CallError::Unreachable(status.message().to_owned()),
            _ => CallError::Said(status.message().to_owned()),
        })
    };
    let silent = CallError::Silent { method, seconds: limit.as_secs() };
    tokio::time::timeout(limit, answer).await.unwrap_or(Err(silent))
}

pub(super) async fn connect(root: &Arc<NodeRoot>) -> Result<Channel, CallError> {
    let root = Arc::clone(root);
    let connector = service_fn(move |_| {
        let root = Arc::clone(&root);
        async move { socket::connect(&root, &socket_path()).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://containerd");
    endpoint.connect_with_connector(connector).await.map_err(unreachable)
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` wants")]
fn unreachable(error: tonic::transport::Error) -> CallError {
    CallError::Unreachable(chain(&error))
}
