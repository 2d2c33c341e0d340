//! Which pods are up, and what each of their containers is doing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use jiff::Timestamp;

use super::Cri;
use super::containers::{CREATED, EXITED, Listed, RUNNING, moment};
use crate::jobs::{Labels, Member, Phase, Pod};
use crate::runtime::grpc::{CallError, call};

#[derive(Clone, PartialEq, prost::Message)]
struct ListPodSandboxRequest {}

#[derive(Clone, PartialEq, prost::Message)]
struct ListPodSandboxResponse {
    #[prost(message, repeated, tag = "1")]
    items: Vec<Sandbox>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Sandbox {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(message, optional, tag = "2")]
    metadata: Option<SandboxMetadata>,
    /// 0: ready.
    #[prost(int32, tag = "3")]
    state: i32,
    #[prost(int64, tag = "4")]
    created_at: i64,
    #[prost(map = "string, string", tag = "5")]
    labels: HashMap<String, String>,
    #[prost(map = "string, string", tag = "6")]
    annotations: HashMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SandboxMetadata {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "3")]
    namespace: String,
}

const READY: i32 = 0;

impl Cri {
    /// The pods whose sandbox is up.
    ///
    /// Labels are the sandbox's: kubelet gives containers none of their pod's. They are not asked
    /// for in the request, because CRI cannot ask whether a label is there.
    pub async fn pods(&self, limit: Duration) -> Result<Vec<Pod>, CallError> {
        const SANDBOXES: &str = "/runtime.v1.RuntimeService/ListPodSandbox";
        // Sandboxes first: one that begins in between has containers that nobody looks for, and one
        // that is listed without its containers would look like one that never got any.
        let sandboxes: ListPodSandboxResponse =
            call(&self.root, SANDBOXES, ListPodSandboxRequest {}, limit).await?;
        let mut members: BTreeMap<String, Vec<Listed>> = BTreeMap::new();
        for container in self.containers(limit).await? {
            members.entry(container.sandbox.clone()).or_default().push(container);
        }
        let mut pods = Vec::new();
        let mut running = Vec::new();
        for sandbox in sandboxes.items.into_iter().filter(|sandbox| sandbox.state == READY) {
            let containers = members.remove(&sandbox.id).unwrap_or_default();
            let is_running = |container: &&Listed| container.state == RUNNING;
            running.extend(containers.iter().filter(is_running).map(|one| one.id.clone()));
            pods.push((sandbox, containers));
        }
        let commanded = self.commanded(&running, limit).await?;
        let mut seen = Vec::with_capacity(pods.len());
        for (sandbox, containers) in pods {
            seen.push(self.pod(sandbox, containers, &commanded, limit).await?);
        }
        Ok(seen)
    }

    async fn pod(
        &self,
        sandbox: Sandbox,
        containers: Vec<Listed>,
        commanded: &BTreeSet<String>,
        limit: Duration,
    ) -> Result<Pod, CallError> {
        let mut members = Vec::with_capacity(containers.len());
        for container in containers {
            let phase = match container.state {
                CREATED => Phase::Created,
                EXITED => Phase::Exited(self.end_of(&container.id, limit).await?),
                // A state that containerd does not know either may be at work.
                _ => Phase::Running,
            };
            let name = container.metadata.unwrap_or_default().name;
            let exec = commanded.contains(&container.id);
            members.push(Member { name, phase, since: moment(container.created_at), exec });
        }
        let SandboxMetadata { name, namespace } = sandbox.metadata.unwrap_or_default();
        Ok(Pod {
            name: format!("{namespace}/{name}"),
            labels: sandbox.labels.into_iter().collect::<Labels>(),
            annotations: sandbox.annotations.into_iter().collect(),
            since: moment(sandbox.created_at),
            members,
        })
    }

    /// When a container ended. `None`: nobody knows, or it has been removed meanwhile.
    async fn end_of(&self, id: &str, limit: Duration) -> Result<Option<Timestamp>, CallError> {
        match self.container_status(id, limit).await {
            Ok(status) => Ok(moment(status.finished_at)),
            Err(CallError::Said(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
