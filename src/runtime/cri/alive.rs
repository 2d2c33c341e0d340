//! Which of CRI's containers run, and how those have ended that do not.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Cri;
use super::containers::{CREATED, Listed, RUNNING, moment};
use crate::gate::{Alive, Being, Container};
use crate::runtime::grpc::CallError;
use crate::trust::entry::Runtime;

impl Cri {
    /// The containers that have not ended, and those of `known`, by id.
    pub async fn alive(
        &self,
        known: &Alive,
        limit: Duration,
    ) -> Result<BTreeMap<String, Container>, CallError> {
        let mut containers = BTreeMap::new();
        for listed in self.containers(limit).await? {
            let being = match listed.state {
                CREATED => Being::Made { since: moment(listed.created_at) },
                RUNNING => Being::Running { start: None },
                // kubelet keeps what has ended for a while, and nobody has asked about it.
                _ if !known.containers.contains_key(&listed.id) => continue,
                _ => {
                    let status = self.container_status(&listed.id, limit).await?;
                    Being::Ended { code: status.exit_code.into() }
                }
            };
            let name = listed.name();
            let (of, outlives, comes_back) = (Runtime::Containerd, true, false);
            let container = Container { name, of, outlives, comes_back, being };
            containers.insert(listed.id, container);
        }
        Ok(containers)
    }
}

impl Listed {
    /// As kubelet labels it: `container of namespace/pod`.
    fn name(&self) -> String {
        let label = |key| self.labels.get(key).map_or("?", String::as_str);
        let name = self.metadata.as_ref().map_or(self.id.as_str(), |one| one.name.as_str());
        let (namespace, pod) =
            (label("io.kubernetes.pod.namespace"), label("io.kubernetes.pod.name"));
        format!("{name} of {namespace}/{pod}")
    }
}
