//! The units that systemd stops, and starts again, together with a runtime's.

use std::collections::BTreeSet;

use super::bus::{Bus, BusError, answer, unit_of};
use crate::trust::entry::Runtime;

impl Bus {
    /// Those of them that are active.
    pub async fn dependents(&self, runtime: Runtime) -> Result<BTreeSet<String>, BusError> {
        let operation = "say what depends on a unit";
        let unit = self.unit(unit_of(runtime)).await?;
        let mut names: BTreeSet<String> = BTreeSet::new();
        // Each of these passes a stop on; what only wants the unit stays as it is.
        names.extend(answer(operation, unit.required_by()).await?);
        names.extend(answer(operation, unit.bound_by()).await?);
        names.extend(answer(operation, unit.consists_of()).await?);
        let mut active = BTreeSet::new();
        for name in names {
            let state = answer(operation, self.unit(&name).await?.active_state()).await?;
            if state == "active" {
                active.insert(name);
            }
        }
        Ok(active)
    }
}
