//! CRI's containers, as it lists them and describes one.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use super::Cri;
use crate::runtime::grpc::{CallError, call};

#[derive(Clone, PartialEq, prost::Message)]
struct ListContainersRequest {}

#[derive(Clone, PartialEq, prost::Message)]
struct ListContainersResponse {
    #[prost(message, repeated, tag = "1")]
    containers: Vec<Listed>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Listed {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(string, tag = "2")]
    pub(super) sandbox: String,
    #[prost(message, optional, tag = "3")]
    pub(super) metadata: Option<Metadata>,
    #[prost(int32, tag = "6")]
    pub(super) state: i32,
    #[prost(int64, tag = "7")]
    pub(super) created_at: i64,
    #[prost(map = "string, string", tag = "8")]
    pub(super) labels: HashMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Metadata {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ContainerStatusRequest {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ContainerStatusResponse {
    #[prost(message, optional, tag = "1")]
    status: Option<ContainerStatus>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ContainerStatus {
    #[prost(int64, tag = "6")]
    pub(super) finished_at: i64,
    #[prost(int32, tag = "7")]
    pub(super) exit_code: i32,
}

pub(super) const CREATED: i32 = 0;
pub(super) const RUNNING: i32 = 1;
pub(super) const EXITED: i32 = 2;

impl Cri {
    pub(super) async fn containers(&self, limit: Duration) -> Result<Vec<Listed>, CallError> {
        const METHOD: &str = "/runtime.v1.RuntimeService/ListContainers";
        let answer: ListContainersResponse =
            call(&self.root, METHOD, ListContainersRequest {}, limit).await?;
        Ok(answer.containers)
    }

    pub(super) async fn container_status(
        &self,
        id: &str,
        limit: Duration,
    ) -> Result<ContainerStatus, CallError> {
        const METHOD: &str = "/runtime.v1.RuntimeService/ContainerStatus";
        let request = ContainerStatusRequest { id: id.to_owned() };
        let answer: ContainerStatusResponse = call(&self.root, METHOD, request, limit).await?;
        Ok(answer.status.unwrap_or_default())
    }
}

/// CRI counts nanoseconds, and says 0 for never.
pub(super) fn moment(nanoseconds: i64) -> Option<Timestamp> {
    if nanoseconds == 0 {
        return None;
    }
    Timestamp::from_nanosecond(i128::from(nanoseconds)).ok()
}
