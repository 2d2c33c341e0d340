//! What a runtime's unit is doing, for its gate.

use super::bus::{Bus, BusError, Standing};
use super::chain;
use crate::gate::Unit;
use crate::node::root::NodeRoot;
use crate::trust::entry::Runtime;

/// Asks systemd. That it cannot be asked is no word about the unit.
pub async fn examine(root: &NodeRoot, runtime: Runtime) -> Unit {
    match standing(root, runtime).await {
        Ok(unit) => unit,
        Err(error) => Unit::Changing(format!("how {runtime} is is not known: {}", chain(&error))),
    }
}

async fn standing(root: &NodeRoot, runtime: Runtime) -> Result<Unit, BusError> {
    let bus = Bus::connect(root).await?;
    let standing = bus.standing(runtime).await?;
    // One that is running and about to be restarted shows its old number until it is.
    if bus.has_job(runtime).await? {
        return Ok(Unit::Changing(format!("systemd is at work on {runtime}")));
    }
    Ok(match standing {
        Standing::Active(active) => Unit::Runs(active.run()),
        Standing::Absent | Standing::Stopped => Unit::Stopped,
        Standing::Failed => Unit::Down(format!("{runtime} has failed")),
        Standing::Busy(state) => Unit::Changing(format!("{runtime} is `{state}`")),
    })
}
