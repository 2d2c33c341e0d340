//! A client of containerd's CRI, speaking to it as kubelet does.
//!
//! `ctr` would not do: it ignores `config_path`. The messages are the few fields of
//! `runtime.v1.ImageService` that a pull needs, under the numbers that CRI's definition gives them.

use std::path::PathBuf;

use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;
use tower::service_fn;

use super::node::{LIMIT, Node};

#[derive(Clone, PartialEq, prost::Message)]
struct ImageSpec {
    #[prost(string, tag = "1")]
    image: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct AuthConfig {
    #[prost(string, tag = "1")]
    username: String,
    #[prost(string, tag = "2")]
    password: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PullImageRequest {
    #[prost(message, optional, tag = "1")]
    image: Option<ImageSpec>,
    #[prost(message, optional, tag = "2")]
    auth: Option<AuthConfig>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PullImageResponse {
    #[prost(string, tag = "1")]
    image_ref: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RemoveImageRequest {
    #[prost(message, optional, tag = "1")]
    image: Option<ImageSpec>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Nothing {}

/// Pulls as kubelet does; an error is containerd's own words.
pub(crate) fn pull(node: &Node, reference: &str) -> Result<String, String> {
    pull_as(node, reference, None)
}

/// Pulls with the user and password of a pull secret.
pub(crate) fn pull_as(
    node: &Node,
    reference: &str,
    login: Option<(&str, &str)>,
) -> Result<String, String> {
    let auth = login.map(|(user, password)| AuthConfig {
        username: user.to_owned(),
        password: password.to_owned(),
    });
    let request = PullImageRequest { image: Some(spec(reference)), auth };
    call::<_, PullImageResponse>(node, "PullImage", request).map(|response| response.image_ref)
}

/// Forgets an image, so that the next pull is one. It is no error when it is not there.
pub(crate) fn remove(node: &Node, reference: &str) {
    let request = RemoveImageRequest { image: Some(spec(reference)) };
    call::<_, Nothing>(node, "RemoveImage", request).expect("containerd removes an image");
}

fn spec(reference: &str) -> ImageSpec {
    ImageSpec { image: reference.to_owned() }
}

fn call<Q, A>(node: &Node, method: &str, request: Q) -> Result<A, String>
where
    Q: prost::Message + 'static,
    A: prost::Message + Default + 'static,
{
    // The socket as this machine sees it: the client is not on the node, and need not be.
    let socket = format!("/proc/{}/root/run/containerd/containerd.sock", node.init());
    let method = format!("/runtime.v1.ImageService/{method}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let mut client = tonic::client::Grpc::new(connect(PathBuf::from(socket)).await?);
        client.ready().await.map_err(|error| error.to_string())?;
        let path = PathAndQuery::try_from(method).expect("a path");
        let request = tonic::Request::new(request);
        let response = client.unary(request, path, ProstCodec::<Q, A>::default()).await;
        response.map(tonic::Response::into_inner).map_err(|status| status.message().to_owned())
    })
}

async fn connect(socket: PathBuf) -> Result<Channel, String> {
    let connector = service_fn(move |_| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://containerd").timeout(LIMIT);
    let channel = endpoint.connect_with_connector(connector).await;
    channel.map_err(|error| format!("containerd's socket: {error:?}"))
}
