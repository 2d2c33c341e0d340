//! What runs on a runtime: asked before a restart of it, and again after.

use std::sync::Arc;
use std::time::Duration;

use super::cri::Cri;
use super::docker::Engine;
use super::grpc::CallError;
use crate::effect::bus::{Bus, BusError, Standing, unit_of};
use crate::effect::chain;
use crate::gate::Alive;
use crate::node::root::NodeRoot;
use crate::trust::entry::Runtime;

/// For all of a runtime's containers, of which docker is asked about each.
const CONTAINERS: Duration = Duration::from_mins(1);

/// What runs, and what has become of those that are `known` to have run.
///
/// # Errors
/// If it cannot be told, in words for an operator: what nobody answered for is not taken for gone.
pub async fn alive(root: &Arc<NodeRoot>, runtime: Runtime, known: &Alive) -> Result<Alive, String> {
    let told = |error: BusError| chain(&error);
    let bus = Bus::connect(root).await.map_err(told)?;
    let units = bus.dependents(runtime).await.map_err(told)?;
    let docker_too = runtime == Runtime::Docker || units.contains(unit_of(Runtime::Docker));
    let mut alive = Alive { units, ..Alive::default() };
    // docker's containers run on containerd.
    for of in [Runtime::Docker, Runtime::Containerd] {
        if of == Runtime::Containerd && runtime == Runtime::Docker {
            continue;
        }
        let active = match bus.standing(of).await.map_err(told)? {
            Standing::Active(active) => active,
            Standing::Absent | Standing::Stopped | Standing::Failed | Standing::Busy(_)
                if known.has(of) =>
            {
                return Err(format!("{} does not run", unit_of(of)));
            }
            Standing::Busy(state) => return Err(format!("{} is `{state}`", unit_of(of))),
            Standing::Absent | Standing::Stopped | Standing::Failed => continue,
        };
        let asked = async {
            if let Some(engine) = Engine::of(root, &active) {
                let containers = engine.alive(known, docker_too).await;
                alive.containers.extend(containers.map_err(|error| chain(&error))?);
            } else if let Some(cri) = Cri::of(root, &active) {
                match cri.alive(known, CONTAINERS).await {
                    Ok(containers) => alive.containers.extend(containers),
                    // It is switched off, as docker's own packages do.
                    Err(CallError::Unimplemented(_)) => {}
                    Err(error) => return Err(chain(&error)),
                }
            }
            Ok(())
        };
        let silent = || format!("{of} did not answer within {} s", CONTAINERS.as_secs());
        tokio::time::timeout(CONTAINERS, asked).await.map_err(|_| silent())??;
    }
    Ok(alive)
}
