//! What containerd is writing into its content store, which is how a pull looks from outside.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::grpc::{CallError, call_in};
use crate::effect::bus::Active;
use crate::jobs::{Occupant, Source};
use crate::node::root::NodeRoot;
use crate::trust::entry::Runtime;

/// A client of containerd has a namespace of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    Kubernetes,
    /// dockerd, where it keeps its images in containerd.
    Docker,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ListStatusesRequest {}

#[derive(Clone, PartialEq, prost::Message)]
struct ListStatusesResponse {
    #[prost(message, repeated, tag = "1")]
    statuses: Vec<Status>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(message, optional, tag = "1")]
    started_at: Option<prost_types::Timestamp>,
    #[prost(message, optional, tag = "2")]
    updated_at: Option<prost_types::Timestamp>,
    #[prost(string, tag = "3")]
    reference: String,
}

/// What has not grown for so long belongs to a pull that was given up: containerd keeps it for a
/// day, for the next attempt to go on from. One that is only slow grows now and then.
const GROWS: SignedDuration = SignedDuration::from_mins(1);

/// The pulls in progress.
pub(super) async fn pulls(
    root: &Arc<NodeRoot>,
    active: &Active,
    client: Client,
    now: Timestamp,
    limit: Duration,
) -> Result<Vec<Occupant>, CallError> {
    const METHOD: &str = "/containerd.services.content.v1.Content/ListStatuses";
    if active.runtime() != Runtime::Containerd {
        return Ok(Vec::new());
    }
    let namespace = match client {
        Client::Kubernetes => "k8s.io",
        Client::Docker => "moby",
    };
    let answer: ListStatusesResponse =
        call_in(root, namespace, METHOD, ListStatusesRequest {}, limit).await?;
    Ok(answer.statuses.iter().filter(|status| status.grows(now)).map(Status::occupant).collect())
}

impl Status {
    fn grows(&self, now: Timestamp) -> bool {
        self.updated_at.and_then(moment).is_none_or(|at| now.duration_since(at) < GROWS)
    }

    fn occupant(&self) -> Occupant {
        // `layer-sha256:…`, `manifest-sha256:…`: nobody can tell of which image.
        let digest = self.reference.split_once("sha256:").map(|(_, digest)| digest);
        let short = digest.and_then(|digest| digest.get(..12));
        Occupant {
            source: Source::Pulls,
            what: "image pull".to_owned(),
            name: short.unwrap_or(&self.reference).to_owned(),
            since: self.started_at.and_then(moment),
        }
    }
}

pub(super) fn moment(at: prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(at.seconds, at.nanos).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(updated: Option<i64>) -> Status {
        let at = |seconds| prost_types::Timestamp { seconds, nanos: 0 };
        Status {
            started_at: Some(at(10)),
            updated_at: updated.map(at),
            reference: "layer-sha256:0123456789abcdef".to_owned(),
        }
    }

    #[test]
    fn a_pull_that_was_given_up_is_none() {
        let now = Timestamp::from_second(1000).unwrap();
        for (updated, grows) in [(Some(1000), true), (Some(941), true), (Some(940), false)] {
            assert_eq!(status(updated).grows(now), grows, "{updated:?}");
        }
        assert!(status(None).grows(now), "nobody knows");
        assert!(status(Some(1060)).grows(now), "a clock that was set back");
        assert_eq!(status(None).occupant().name, "0123456789ab");
    }
}
