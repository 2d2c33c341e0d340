//! An answer that is to come later: when a change is in force, or when it is proved.

use std::sync::Arc;

use super::errors::{self, Fails, Failure};
use super::v1::WaitFor;
use crate::agent::{Handle, Request, Unavailable};
use crate::status::NodeStatus;
use crate::trust::host::RegistryHost;

/// The status once `hosts` have come as far as asked. What is blocked or was rejected waits for
/// nothing more, and the answer says so.
pub(super) async fn until(
    agent: &Handle,
    status: Arc<NodeStatus>,
    hosts: &[RegistryHost],
    wait_for: WaitFor,
) -> Fails<Arc<NodeStatus>> {
    if wait_for == WaitFor::Durable {
        return Ok(status);
    }
    let mut statuses = agent.status.clone();
    let is_there = |status: &Arc<NodeStatus>| !is_waiting(status, hosts);
    let ended = |_| Failure::from(errors::unavailable(Unavailable::Ended));
    let status = Arc::clone(&*statuses.wait_for(is_there).await.map_err(ended)?);
    // To ask about no registry would be to ask about all.
    if wait_for == WaitFor::InForce || hosts.is_empty() {
        return Ok(status);
    }
    let hosts = hosts.iter().cloned().collect();
    let asked = agent.ask(|reply| Request::Check { hosts, reply }).await;
    asked.map_err(|error| Failure::from(errors::unavailable(error)))
}

fn is_waiting(status: &NodeStatus, hosts: &[RegistryHost]) -> bool {
    hosts.iter().filter_map(|host| status.registry(host)).any(crate::status::Registry::is_waiting)
}
