//! Whether a runtime that has just been restarted works.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::bus::Active;
use super::chain;
use crate::node::root::NodeRoot;
use crate::runtime::containerd::{Containerd, CriPlugin};
use crate::runtime::cri::Cri;
use crate::runtime::docker::Engine;
use crate::runtime::grpc::CallError;
use crate::trust::entry::Runtime;

/// A runtime says "ready" to systemd before the last of its services answers.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

const ANSWER: Duration = Duration::from_secs(5);

/// Why a runtime does not work.
enum Ill {
    /// It may yet.
    Perhaps(String),
    /// It has said so itself.
    Surely(String),
}

/// `Err`: why it does not work, in words for an operator.
pub(super) async fn check(root: &Arc<NodeRoot>, active: &Active) -> Result<(), String> {
    let mut last = String::new();
    for _ in 0..TRIES {
        match once(root, active).await {
            Ok(()) => return Ok(()),
            Err(Ill::Surely(why)) => return Err(why),
            Err(Ill::Perhaps(why)) => last = why,
        }
        sleep(PAUSE).await;
    }
    Err(last)
}

async fn once(root: &Arc<NodeRoot>, active: &Active) -> Result<(), Ill> {
    match active.runtime() {
        Runtime::Docker => docker(root, active).await,
        Runtime::Containerd => containerd(root, active).await,
    }
}

async fn docker(root: &Arc<NodeRoot>, active: &Active) -> Result<(), Ill> {
    let Some(engine) = Engine::of(root, active) else { return Ok(()) };
    engine.ping().await.map_err(|error| Ill::Perhaps(chain(&error)))?;
    engine.info().await.map(drop).map_err(|error| Ill::Perhaps(chain(&error)))
}

async fn containerd(root: &Arc<NodeRoot>, active: &Active) -> Result<(), Ill> {
    let perhaps = |error: CallError| Ill::Perhaps(chain(&error));
    let clients = Containerd::of(root, active).zip(Cri::of(root, active));
    let Some((containerd, cri)) = clients else { return Ok(()) };
    match containerd.cri_plugin(ANSWER).await.map_err(perhaps)? {
        CriPlugin::Failed(why) => {
            return Err(Ill::Surely(format!("containerd runs, but its CRI plugin failed: {why}")));
        }
        CriPlugin::Disabled => return Ok(()),
        CriPlugin::Loaded => {}
    }
    cri.version(ANSWER).await.map_err(perhaps)?;
    cri.ready(ANSWER).await.map_err(perhaps)
}
