//! Commands that somebody runs inside containers of pods. CRI lists none; containerd knows which
//! process of a container is one.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::sleep;

use super::Cri;
use crate::runtime::grpc::{CallError, call_in};

#[derive(Clone, PartialEq, prost::Message)]
struct ListPidsRequest {
    #[prost(string, tag = "1")]
    container: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ListPidsResponse {
    #[prost(message, repeated, tag = "1")]
    processes: Vec<Process>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Process {
    #[prost(uint32, tag = "1")]
    pid: u32,
    /// Only of one that was started beside the container's own.
    #[prost(message, optional, tag = "2")]
    details: Option<prost_types::Any>,
}

/// A command that lasts so long is no probe: kubelet gives those one second, unless it is told to
/// give them more.
const LASTS: Duration = Duration::from_secs(2);

impl Cri {
    /// Those of these containers in which a command runs that lasts.
    pub(super) async fn commanded(
        &self,
        containers: &[String],
        limit: Duration,
    ) -> Result<BTreeSet<String>, CallError> {
        let mut began = Vec::new();
        for container in containers {
            let commands = self.commands(container, limit).await?;
            if !commands.is_empty() {
                began.push((container, commands));
            }
        }
        let mut lasting = BTreeSet::new();
        if began.is_empty() {
            return Ok(lasting);
        }
        sleep(LASTS).await;
        for (container, before) in began {
            if !self.commands(container, limit).await?.is_disjoint(&before) {
                lasting.insert(container.clone());
            }
        }
        Ok(lasting)
    }

    async fn commands(&self, container: &str, limit: Duration) -> Result<BTreeSet<u32>, CallError> {
        const METHOD: &str = "/containerd.services.tasks.v1.Tasks/ListPids";
        let request = ListPidsRequest { container: container.to_owned() };
        let answer: Result<ListPidsResponse, CallError> =
            call_in(&self.root, "k8s.io", METHOD, request, limit).await;
        let processes = match answer {
            Ok(answer) => answer.processes,
            // The container has ended since it was listed.
            Err(CallError::Said(_)) => return Ok(BTreeSet::new()),
            Err(error) => return Err(error),
        };
        let commands = processes.iter().filter(|process| process.details.is_some());
        Ok(commands.map(|process| process.pid).collect())
    }
}
