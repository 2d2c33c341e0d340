//! A client of containerd's CRI, speaking to it as kubelet does.
//!
//! The messages are the few fields that are used, under the numbers that `runtime.v1` gives them.

use std::sync::Arc;
use std::time::Duration;

use super::grpc::{CallError, call};
use crate::effect::bus::Active;
use crate::node::root::NodeRoot;
use crate::trust::entry::Runtime;

mod alive;
mod commands;
mod containers;
mod pods;

#[derive(Clone, PartialEq, prost::Message)]
struct VersionRequest {}

#[derive(Clone, PartialEq, prost::Message)]
struct VersionResponse {
    #[prost(string, tag = "3")]
    runtime_version: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StatusRequest {}

#[derive(Clone, PartialEq, prost::Message)]
struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    status: Option<RuntimeStatus>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RuntimeStatus {
    #[prost(message, repeated, tag = "1")]
    conditions: Vec<Condition>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Condition {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(bool, tag = "2")]
    status: bool,
    #[prost(string, tag = "4")]
    message: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PullImageRequest {
    #[prost(message, optional, tag = "1")]
    image: Option<ImageSpec>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ImageSpec {
    #[prost(string, tag = "1")]
    image: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PullImageResponse {}

/// containerd's CRI.
#[derive(Clone, Debug)]
pub struct Cri {
    root: Arc<NodeRoot>,
}

impl Cri {
    /// `None`: the evidence is about another runtime.
    pub fn of(root: &Arc<NodeRoot>, active: &Active) -> Option<Self> {
        (active.runtime() == Runtime::Containerd).then(|| Self { root: Arc::clone(root) })
    }

    /// containerd's version, as CRI tells it.
    pub async fn version(&self, limit: Duration) -> Result<String, CallError> {
        const METHOD: &str = "/runtime.v1.RuntimeService/Version";
        let answer: VersionResponse = call(&self.root, METHOD, VersionRequest {}, limit).await?;
        Ok(answer.runtime_version)
    }

    /// Whether it says that it can run containers; its own words if not.
    ///
    /// Its network is another condition, and not ours: a node whose network plugin is not there yet
    /// pulls images all the same.
    pub async fn ready(&self, limit: Duration) -> Result<(), CallError> {
        const METHOD: &str = "/runtime.v1.RuntimeService/Status";
        let answer: StatusResponse = call(&self.root, METHOD, StatusRequest {}, limit).await?;
        let conditions = answer.status.unwrap_or_default().conditions;
        match conditions.into_iter().find(|condition| condition.kind == "RuntimeReady") {
            Some(condition) if condition.status => Ok(()),
            Some(condition) => Err(CallError::Said(condition.message)),
            None => Err(CallError::Said("CRI does not say whether it is ready".to_owned())),
        }
    }

    /// Asks for an image as kubelet does, without credentials.
    pub async fn pull(&self, image: &str, limit: Duration) -> Result<(), CallError> {
        const METHOD: &str = "/runtime.v1.ImageService/PullImage";
        let request = PullImageRequest { image: Some(ImageSpec { image: image.to_owned() }) };
        let _: PullImageResponse = call(&self.root, METHOD, request, limit).await?;
        Ok(())
    }
}
