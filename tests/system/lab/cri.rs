//! A client of containerd's CRI, speaking to it as kubelet does.
//!
//! `ctr` would not do: it ignores `config_path`. The messages are the few fields of `runtime.v1` that
//! are needed here, under the numbers that CRI's definition gives them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;
use tower::service_fn;

use super::node::{LIMIT, Node};
use super::wait::block_on;

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

#[derive(Clone, PartialEq, prost::Message)]
struct StatusRequest {
    #[prost(bool, tag = "1")]
    verbose: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StatusResponse {
    #[prost(map = "string, string", tag = "2")]
    info: HashMap<String, String>,
}

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
    call::<_, PullImageResponse>(node, "ImageService/PullImage", &request)
        .map(|response| response.image_ref)
}

/// Forgets an image, so that the next pull is one. It is no error when it is not there.
pub(crate) fn remove(node: &Node, reference: &str) {
    let request = RemoveImageRequest { image: Some(spec(reference)) };
    call::<_, Nothing>(node, "ImageService/RemoveImage", &request)
        .expect("containerd removes an image");
}

/// The settings with which the running containerd serves CRI, defaults and all.
pub(crate) fn settings(node: &Node) -> serde_json::Value {
    let request = StatusRequest { verbose: true };
    let status: StatusResponse =
        call(node, "RuntimeService/Status", &request).expect("containerd tells its status");
    let config = status.info.get("config").expect("a verbose status has the settings");
    serde_json::from_str(config).expect("containerd's settings are JSON")
}

fn spec(reference: &str) -> ImageSpec {
    ImageSpec { image: reference.to_owned() }
}

/// containerd is ready for systemd before its CRI has read what it knew. Until then CRI says so to
/// every call, and kubelet asks again.
const NOT_YET: &str = "server is not initialized yet";

pub(super) fn call<Q, A>(node: &Node, method: &str, request: &Q) -> Result<A, String>
where
    Q: prost::Message + Clone + 'static,
    A: prost::Message + Default + 'static,
{
    let since = Instant::now();
    loop {
        match call_once(node, method, request.clone()) {
            Err(words) if words.contains(NOT_YET) && since.elapsed() < LIMIT => {
                thread::sleep(Duration::from_millis(20));
            }
            answer => return answer,
        }
    }
}

fn call_once<Q, A>(node: &Node, method: &str, request: Q) -> Result<A, String>
where
    Q: prost::Message + 'static,
    A: prost::Message + Default + 'static,
{
    // The socket as this machine sees it: the client is not on the node, and need not be.
    let socket = node.outside("/run/containerd/containerd.sock");
    let method = format!("/runtime.v1.{method}");
    block_on(async {
        let mut client = tonic::client::Grpc::new(connect(socket).await?);
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
