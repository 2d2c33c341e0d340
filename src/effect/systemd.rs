//! Effects on the real node: through its systemd, proved by its runtimes.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::bus::{Bus, BusError};
use super::restart::Restart;
use super::{Effects, Outcome, chain};
use crate::node::root::NodeRoot;
use crate::plan::work::Work;
use crate::runtime::changes::Calm;
use crate::trust::entry::Runtime;

/// The systemd of the node whose root this is: its own `/`, or the host's seen from a container.
#[derive(Debug)]
pub struct Systemd {
    pub(super) root: Arc<NodeRoot>,
    /// One effect at a time. The CA tool destroys its bundle when it runs twice at once, and a
    /// runtime's acknowledgement must be that of our own reload. Other processes of regtrust are
    /// kept away by the lock on the state directory.
    busy: Mutex<()>,
}

impl Systemd {
    pub fn of(root: Arc<NodeRoot>) -> Self {
        Self { root, busy: Mutex::new(()) }
    }

    async fn attempt(&self, work: &Work, calm: &Calm) -> Result<Outcome, BusError> {
        let bus = Bus::connect(&self.root).await?;
        if bus.is_stopping().await? {
            return Ok(Outcome::impossible("the node is shutting down"));
        }
        match work {
            Work::RunCaTool(run) => self.run_ca_tool(&bus, run).await,
            Work::ReloadDocker(shows) => self.reload_docker(&bus, shows).await,
            Work::RestartContainerd(if_down) => {
                let (runtime, if_down) = (Runtime::Containerd, *if_down);
                self.restart(&bus, &Restart { runtime, if_down, shows: None, calm }).await
            }
            Work::RestartDocker(if_down, shows) => {
                let (runtime, if_down, shows) = (Runtime::Docker, *if_down, Some(shows));
                self.restart(&bus, &Restart { runtime, if_down, shows, calm }).await
            }
        }
    }
}

impl Effects for Systemd {
    fn perform<'a>(
        &'a self,
        work: &'a Work,
        calm: &'a Calm,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        Box::pin(async move {
            let _alone = self.busy.lock().await;
            // Every step that may leave something half done looks at its own errors; what arrives
            // here happened before anything was asked for.
            let attempt = self.attempt(work, calm).await;
            attempt.unwrap_or_else(|error| Outcome::impossible(chain(&error)))
        })
    }
}
