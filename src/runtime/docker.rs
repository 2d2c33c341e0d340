//! A client of docker's Engine API, with the few questions that are asked.
//!
//! Paths carry no API version: versions go out of service (docker 29 refuses 1.40), while the paths
//! without one are answered by every dockerd, in its own newest version.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::effect::bus::Active;
use crate::node::root::NodeRoot;
use crate::node_path;
use crate::path::NodePath;
use crate::plan::work::Shown;
use crate::runtime::socket::{self, SocketError};
use crate::trust::entry::Runtime;

mod alive;
mod builds;
mod doing;

pub use doing::Doing;

/// `/info` has an object of about 150 bytes for every insecure registry.
const LARGEST_BODY: usize = 16 << 20;

/// For an answer that dockerd has in its memory. Generous: it may be in the middle of a pull.
const ANSWER: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("cannot reach docker")]
    Socket(#[from] SocketError),
    #[error("docker does not speak HTTP as expected")]
    Http(#[from] hyper::Error),
    #[error("docker's answer to `{path}` cannot be read")]
    Body { path: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("docker answered `{path}` with status {status}: {message}")]
    Status { path: String, status: u16, message: String },
    #[error("docker's answer to `{path}` is not what it should be")]
    Json { path: String, source: serde_json::Error },
    #[error("docker did not answer `{path}` within {seconds} s")]
    Silent { path: String, seconds: u64 },
}

const INFO: &str = "/info";

/// A running dockerd.
#[derive(Clone, Debug)]
pub struct Engine {
    root: Arc<NodeRoot>,
}

/// What dockerd says about itself.
#[derive(Debug)]
pub struct Info {
    pub version: String,
    pub shown: Shown,
    /// By its own clock.
    pub time: Timestamp,
}

/// What dockerd said when it was asked about an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub body: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawInfo {
    server_version: String,
    system_time: String,
    registry_config: Option<RawRegistries>,
    live_restore_enabled: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawRegistries {
    index_configs: Option<BTreeMap<String, RawIndex>>,
    mirrors: Option<BTreeSet<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawIndex {
    secure: bool,
}

#[derive(Deserialize)]
struct RawError {
    message: String,
}

fn json(path: &str) -> impl FnOnce(serde_json::Error) -> EngineError {
    move |source| EngineError::Json { path: path.to_owned(), source }
}

impl Engine {
    /// `None`: the evidence is about another runtime.
    pub fn of(root: &Arc<NodeRoot>, active: &Active) -> Option<Self> {
        (active.runtime() == Runtime::Docker).then(|| Self { root: Arc::clone(root) })
    }

    pub async fn ping(&self) -> Result<(), EngineError> {
        self.get("/_ping", ANSWER).await?.good("/_ping").map(drop)
    }

    pub async fn info(&self) -> Result<Info, EngineError> {
        let raw: RawInfo = self.fetch(INFO).await?;
        let time = raw.system_time.parse().map_err(|error| {
            json(INFO)(serde::de::Error::custom(format_args!("`{}`: {error}", raw.system_time)))
        })?;
        let shown = Shown { live_restore: raw.live_restore_enabled, ..shown(raw.registry_config) };
        Ok(Info { version: raw.server_version, shown, time })
    }

    async fn fetch<T: DeserializeOwned>(&self, path: &str) -> Result<T, EngineError> {
        let body = self.get(path, ANSWER).await?.good(path)?;
        serde_json::from_slice(&body).map_err(json(path))
    }

    /// What dockerd finds when it asks the registry for an image, of which nothing is fetched. The
    /// answer is dockerd's, whatever its status.
    pub async fn inspect(&self, image: &str, limit: Duration) -> Result<Reply, EngineError> {
        self.get(&format!("/distribution/{image}/json"), limit).await
    }

    /// dockerd's acknowledgements of reloads, from `since` on.
    ///
    /// `since` matters: dockerd answers before it has begun to listen to itself, and an event in
    /// between would be lost if it did not look back.
    pub async fn reloads(&self, since: Timestamp) -> Result<Events, EngineError> {
        // {"type":["daemon"],"event":["reload"]}
        const FILTERS: &str =
            "%7B%22type%22%3A%5B%22daemon%22%5D%2C%22event%22%3A%5B%22reload%22%5D%7D";
        self.events(since, FILTERS).await
    }

    /// What begins, from `since` on. Not the commands in containers: dockerd's own looks at how they
    /// are would be among them, by the second.
    pub(super) async fn beginnings(&self, since: Timestamp) -> Result<Events, EngineError> {
        // {"event":["create","start"]}
        const FILTERS: &str = "%7B%22event%22%3A%5B%22create%22%2C%22start%22%5D%7D";
        self.events(since, FILTERS).await
    }

    async fn events(&self, since: Timestamp, filters: &str) -> Result<Events, EngineError> {
        let (seconds, nanoseconds) = (since.as_second(), since.subsec_nanosecond());
        let path = format!("/events?since={seconds}.{nanoseconds:09}&filters={filters}");
        let (response, connection) = within(ANSWER, &path, self.request(&path)).await?;
        let status = response.status().as_u16();
        let body = response.into_body();
        if status != 200 {
            let body = within(ANSWER, &path, whole(&path, body)).await?;
            let message = Reply { status, body }.message();
            return Err(EngineError::Status { path, status, message });
        }
        Ok(Events { body, _connection: connection })
    }

    async fn get(&self, path: &str, limit: Duration) -> Result<Reply, EngineError> {
        let answer = async {
            let (response, _connection) = self.request(path).await?;
            let status = response.status().as_u16();
            Ok(Reply { status, body: whole(path, response.into_body()).await? })
        };
        within(limit, path, answer).await
    }

    async fn request(&self, path: &str) -> Result<(Response<Incoming>, Connection), EngineError> {
        let stream = socket::connect(&self.root, &socket_path()).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // What goes wrong on the way is told to whoever waits for the answer.
        let task = tokio::spawn(async move { drop(connection.await) });
        let connection = Connection(task.abort_handle());
        let request = Request::get(path).header("Host", "docker").body(Empty::<Bytes>::new());
        let request = request.map_err(|error| EngineError::Body {
            path: path.to_owned(),
            source: Box::new(error),
        })?;
        Ok((sender.send_request(request).await?, connection))
    }
}

fn socket_path() -> NodePath {
    node_path!("run/docker.sock")
}

fn shown(registries: Option<RawRegistries>) -> Shown {
    let Some(registries) = registries else { return Shown::default() };
    let hosts = registries.index_configs.unwrap_or_default().into_iter();
    Shown {
        insecure: hosts.filter(|(_, index)| !index.secure).map(|(host, _)| host).collect(),
        mirrors: registries.mirrors.unwrap_or_default(),
        ..Shown::default()
    }
}

async fn within<T>(
    limit: Duration,
    path: &str,
    answer: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    let silent = || EngineError::Silent { path: path.to_owned(), seconds: limit.as_secs() };
    timeout(limit, answer).await.unwrap_or_else(|_| Err(silent()))
}

async fn whole(path: &str, body: Incoming) -> Result<Vec<u8>, EngineError> {
    let collected = Limited::new(body, LARGEST_BODY).collect().await;
    let unreadable = |source| EngineError::Body { path: path.to_owned(), source };
    Ok(collected.map_err(unreadable)?.to_bytes().to_vec())
}

impl Reply {
    /// dockerd's own words, if this is an error.
    pub fn message(&self) -> String {
        match serde_json::from_slice(&self.body) {
            Ok(RawError { message }) => message,
            Err(_) => String::from_utf8_lossy(&self.body).into_owned(),
        }
    }

    fn good(self, path: &str) -> Result<Vec<u8>, EngineError> {
        if self.status == 200 {
            return Ok(self.body);
        }
        let message = self.message();
        Err(EngineError::Status { path: path.to_owned(), status: self.status, message })
    }
}

/// Ends with whoever waits for it: dockerd then stops working on the answer.
struct Connection(AbortHandle);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A stream of events, of which only the fact counts that there is one.
pub struct Events {
    body: Incoming,
    _connection: Connection,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}

impl Events {
    /// Waits for an event. `false`: the stream ended, because dockerd did.
    pub async fn next(&mut self) -> bool {
        // dockerd filters, and sends nothing else: the first byte is an event's.
        while let Some(Ok(frame)) = self.body.frame().await {
            if frame.data_ref().is_some_and(|data| !data.is_empty()) {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dockerd_shows_is_read_from_its_own_words() {
        // 20.10.24, 28.5.2: `Mirrors` is null when there is none.
        let text = r#"{"ServerVersion":"28.5.2","LiveRestoreEnabled":true,"SystemTime":"2026-11-21T09:40:00.123456789Z",
            "RegistryConfig":{"InsecureRegistryCIDRs":["127.0.0.0/8"],"IndexConfigs":{
            "docker.io":{"Name":"docker.io","Mirrors":[],"Secure":true,"Official":true},
            "a.corp:5000":{"Name":"a.corp:5000","Mirrors":[],"Secure":false,"Official":false}},
            "Mirrors":null}}"#;
        let raw: RawInfo = serde_json::from_str(text).unwrap();
        let shown = shown(raw.registry_config);
        assert_eq!(shown.insecure, BTreeSet::from(["a.corp:5000".to_owned()]));
        assert!(shown.mirrors.is_empty());
    }

    #[test]
    fn an_error_is_dockers_message_or_all_there_is() {
        let message = |body: &str| Reply { status: 500, body: body.into() }.message();
        assert_eq!(message(r#"{"message":"no"}"#), "no");
        assert_eq!(message("404 page not found\n"), "404 page not found\n");
    }
}
