//! The fleet's lock, as an operator asks about it.

use std::sync::Arc;

use tonic::{Code, Status};

use super::errors::{Fails, Failure};
use super::refusal::refusal;
use super::{asked, present, v1};
use crate::fleet::{AskError, Entry, Lock, Trouble};

pub(super) async fn list(lock: Option<&Arc<Lock>>) -> Fails<v1::ListLocksResponse> {
    let lock = known(lock)?;
    let listing = lock.list().await.map_err(|error| refused(&error))?;
    Ok(v1::ListLocksResponse {
        group: lock.group().to_owned(),
        node: lock.node().id.clone(),
        slots: listing.slots,
        max_unresolved: listing.max_unresolved,
        stopped: listing.stopped.unwrap_or_default(),
        holders: slots(&listing.holders),
        unresolved: slots(&listing.unresolved),
    })
}

pub(super) async fn unlock(lock: Option<&Arc<Lock>>, node: &str) -> Fails<v1::UnlockResponse> {
    let lock = known(lock)?;
    let node = asked::node(node)?;
    let released = lock.unlock(node).await.map_err(|error| refused(&error))?;
    tracing::warn!(node, slots = released.len(), "took a node's slots of the fleet's lock away");
    Ok(v1::UnlockResponse { released: slots(&released) })
}

pub(super) async fn resolve(
    lock: Option<&Arc<Lock>>,
    node: &str,
) -> Fails<v1::ResolveAttemptsResponse> {
    let lock = known(lock)?;
    let node = if node.is_empty() { None } else { Some(asked::node(node)?) };
    let resolved = lock.resolve(node).await.map_err(|error| refused(&error))?;
    tracing::warn!(
        node,
        attempts = resolved.len(),
        "the fleet's unresolved attempts were forgotten"
    );
    Ok(v1::ResolveAttemptsResponse { resolved: slots(&resolved) })
}

fn known(lock: Option<&Arc<Lock>>) -> Fails<&Lock> {
    let none = || {
        let message = "the settings of this node name no lock that a fleet shares".to_owned();
        let cure = "add `[fleet_lock]` to /etc/regtrust/regtrustd.toml";
        Failure::from(refusal(Code::FailedPrecondition, "NO_FLEET_LOCK", message, cure))
    };
    lock.map(Arc::as_ref).ok_or_else(none)
}

fn refused(error: &AskError) -> Failure {
    Failure::from(status(error))
}

fn status(error: &AskError) -> Status {
    let (code, reason, cure) = match error {
        AskError::Unknown(_) => {
            (Code::FailedPrecondition, "FLEET_LOCK_REFUSED", "use the tools of its server")
        }
        AskError::Trouble(Trouble::Misconfigured(_)) => {
            (Code::FailedPrecondition, "FLEET_LOCK_REFUSED", "mend `[fleet_lock]` or its server")
        }
        AskError::Trouble(Trouble::Unavailable(_)) => {
            (Code::Unavailable, "FLEET_LOCK_UNAVAILABLE", "see whether its servers are well")
        }
    };
    refusal(code, reason, error.to_string(), cure)
}

fn slots(entries: &[Entry]) -> Vec<v1::FleetSlot> {
    entries.iter().map(slot).collect()
}

fn slot(entry: &Entry) -> v1::FleetSlot {
    v1::FleetSlot {
        node: entry.node.clone(),
        host: entry.host.clone(),
        what: entry.what.clone(),
        reason: entry.reason.clone(),
        since: entry.since.map(present::time),
    }
}
