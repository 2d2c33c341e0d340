//! The clock, the environment, and the runtimes as the agent asks them.
#![expect(clippy::disallowed_methods, reason = "the daemon's clock and environment, read here")]

use std::sync::Arc;

use jiff::Timestamp;

use crate::agent::{Answer, Runtimes};
use crate::content::Sha256Hex;
use crate::gate::{Alive, Fitness, Unit};
use crate::jobs::Occupancy;
use crate::node::root::NodeRoot;
use crate::node_path;
use crate::plan::effect::Effect;
use crate::runtime::changes::Changes;
use crate::target::{Believer, Item};
use crate::trust::entry::Runtime;
use crate::verify::ask::ask;
use crate::verify::{Proof, Verdict};

pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

/// A number that no two nodes share and each keeps. Without a machine id all of them have the same,
/// and only their `spread` suffers.
pub(super) fn seed(root: &NodeRoot) -> u64 {
    let id = root.read(&node_path!("etc/machine-id")).ok().flatten().unwrap_or_default();
    let digest = Sha256Hex::of(&id).to_string();
    digest.get(..16).and_then(|start| u64::from_str_radix(start, 16).ok()).unwrap_or_default()
}

/// Of the sockets that systemd has opened for us.
pub(super) fn socket_names() -> Option<String> {
    std::env::var("LISTEN_FDNAMES").ok()
}

/// The runtimes of this node, asked through their own sockets.
#[derive(Debug)]
pub(super) struct Asking {
    root: Arc<NodeRoot>,
}

impl Asking {
    pub(super) fn of(root: Arc<NodeRoot>) -> Self {
        Self { root }
    }
}

impl Runtimes for Asking {
    fn occupancy(&self, effect: Effect) -> Answer<'_, Occupancy> {
        Box::pin(async move {
            let engines = crate::runtime::busy::occupancy(&self.root, effect, now()).await;
            engines.join(crate::occupied::without_engine(&self.root).await)
        })
    }

    fn examine(&self, runtime: Runtime) -> Answer<'_, Unit> {
        Box::pin(crate::effect::examine::examine(&self.root, runtime))
    }

    fn fitness(&self, runtime: Runtime) -> Answer<'_, Fitness> {
        Box::pin(crate::effect::fitness::fitness(&self.root, runtime))
    }

    fn alive<'a>(
        &'a self,
        runtime: Runtime,
        known: &'a Alive,
    ) -> Answer<'a, Result<Alive, String>> {
        Box::pin(crate::runtime::alive::alive(&self.root, runtime, known))
    }

    fn changes(&self) -> Answer<'_, Result<Changes, String>> {
        Box::pin(crate::runtime::changes::changes(&self.root, now()))
    }

    fn ask<'a>(&'a self, item: &'a Item) -> Answer<'a, Proof> {
        Box::pin(async move {
            let runtime = match item.on {
                Believer::Docker => Runtime::Docker,
                Believer::Containerd => Runtime::Containerd,
                // Nobody that could be asked.
                Believer::System => return not_asked(),
            };
            let answers = ask(&self.root, [(item.host.clone(), runtime)]).await;
            answers.into_iter().next().map_or_else(not_asked, |answer| Proof {
                verdict: answer.verdict,
                said: answer.said,
                cure: answer.cure,
                at: now(),
            })
        })
    }
}

fn not_asked() -> Proof {
    Proof {
        verdict: Verdict::NotAsked,
        said: "the question was not asked".to_owned(),
        cure: String::new(),
        at: now(),
    }
}
