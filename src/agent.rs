//! The daemon's one loop: looks, writes, brings into force, proves, and tells.
//!
//! One thing at a time is written, and one effect at a time is performed; a change is durable and
//! answered while an earlier one still waits for its restart. Nothing that is pending is kept here:
//! what is due follows from the disk and the runtimes, so a crash loses no step.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use crate::effect::Effects;
use crate::fleet::FleetLock;
use crate::gate::{Alive, Fitness, Rules, Unit};
use crate::hold::NewWork;
use crate::jobs::Occupancy;
use crate::node::root::NodeRoot;
use crate::owners::Owners;
use crate::plan::effect::Effect;
use crate::pushed::Push;
use crate::reconcile::{Options, PinChange, ReconcileError, Survey};
use crate::runtime::changes::Changes;
use crate::status::{Job, NodeStatus, Pause};
use crate::target::Item;
use crate::trust::entry::Runtime;
use crate::trust::host::RegistryHost;
use crate::verify::Proof;
use crate::window::Windows;

mod drift;
mod gates;
mod pause;
mod perform;
mod prove;
mod run;
mod time;

#[cfg(test)]
mod tests;

pub use run::Agent;

/// How many requests may wait. More are told to come back: a queue would only hide that the node
/// cannot keep up.
const WAITING_ROOM: usize = 64;

pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the agent asks of the runtimes.
pub trait Runtimes: Send + Sync + Debug {
    /// What an effect would interrupt.
    fn occupancy(&self, effect: Effect) -> Answer<'_, Occupancy>;

    /// What the runtime's unit is doing, and which run of it that is.
    fn examine(&self, runtime: Runtime) -> Answer<'_, Unit>;

    /// Whether a restart of it would go well.
    fn fitness(&self, _: Runtime) -> Answer<'_, Fitness> {
        Box::pin(async { Fitness::Fit })
    }

    /// What runs on the runtime and with it, and what has become of what is `known` to have run.
    fn alive<'a>(&'a self, runtime: Runtime, known: &'a Alive)
    -> Answer<'a, Result<Alive, String>>;

    /// Tells when something begins that would be interrupted.
    fn changes(&self) -> Answer<'_, Result<Changes, String>> {
        Box::pin(async { Ok(Changes::untold()) })
    }

    /// Whether the runtime trusts the registry.
    fn ask<'a>(&'a self, item: &'a Item) -> Answer<'a, Proof>;
}

/// Everything the agent works with.
#[derive(Debug)]
pub struct Outfit {
    pub root: Arc<NodeRoot>,
    /// Without a push, a pin change and the like: what holds for every run.
    pub options: Options,
    pub effects: Arc<dyn Effects>,
    pub runtimes: Arc<dyn Runtimes>,
    /// The fleet's lock, if it has one.
    pub fleet: Option<Arc<dyn FleetLock>>,
    /// How new work is kept away, if it can be.
    pub hold: Option<Arc<dyn NewWork>>,
    /// Differs from node to node and is always the same on this one, so that nodes which hear of a
    /// change together each have a moment of their own.
    pub seed: u64,
    pub habits: Habits,
}

/// What the administrator has chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Habits {
    /// Whether what somebody did to our files is put right.
    pub repair: bool,
    /// Whether restarts are done without being asked for, when nothing runs.
    pub restart_when_idle: bool,
    /// When restarts may begin without being asked for.
    pub windows: Windows,
    /// What a restart waits for, and how long.
    pub restart: Rules,
    /// Whether effects are performed at all. In a tree that is no node they are only named.
    pub perform: bool,
}

/// What others ask of the agent.
#[derive(Debug)]
pub enum Request {
    /// Whether the agent does not hang.
    Alive {
        reply: oneshot::Sender<()>,
    },
    /// Look again: something may have changed. Says nothing about what.
    Look,
    /// The settings have been read again.
    Settings {
        owners: Option<Owners>,
        habits: Habits,
    },
    /// Look again, and try again what was rejected or has failed.
    Retry {
        reply: Reply<Arc<NodeStatus>>,
    },
    Push {
        push: Push,
        reply: Reply<Arc<NodeStatus>>,
    },
    Pin {
        pin: PinChange,
        reply: Reply<Arc<NodeStatus>>,
    },
    /// What would change; with a push that is not done.
    Plan {
        push: Option<Push>,
        reply: Reply<Box<Survey>>,
    },
    /// Perform what is due, now. Empty: all of it.
    Perform {
        effects: BTreeSet<Effect>,
        reply: oneshot::Sender<Vec<Performed>>,
    },
    /// Whom the restarts that are due would interrupt. Empty: all of them.
    Interrupts {
        effects: BTreeSet<Effect>,
        reply: oneshot::Sender<Vec<Interruption>>,
    },
    /// Ask the runtimes. Empty: about everything in force.
    Check {
        hosts: BTreeSet<RegistryHost>,
        reply: oneshot::Sender<Arc<NodeStatus>>,
    },
    /// `None` ends a pause.
    Pause {
        pause: Option<Pause>,
        reply: Reply<Arc<NodeStatus>>,
    },
    /// A job runs until the sender of `ended` is gone.
    Hold {
        job: Job,
        ended: oneshot::Receiver<()>,
        reply: oneshot::Sender<()>,
    },
}

pub type Reply<T> = oneshot::Sender<Result<T, ReconcileError>>;

/// What became of an effect that somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Performed {
    pub effect: Effect,
    pub succeeded: bool,
    pub message: String,
}

/// Somebody whom an effect would interrupt, or that this cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interruption {
    pub effect: Effect,
    pub words: String,
}

/// The agent has ended, or has too much to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    #[error("regtrustd is shutting down")]
    Ended,
    #[error("too many requests are waiting")]
    Full,
}

/// How to reach a running agent.
#[derive(Clone, Debug)]
pub struct Handle {
    requests: mpsc::Sender<Request>,
    pub status: watch::Receiver<Arc<NodeStatus>>,
}

impl Handle {
    /// Asks, and waits for the answer.
    pub async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.tell(request(reply))?;
        answer.await.map_err(|_| Unavailable::Ended)
    }

    /// Whether the agent answers. One that writes or looks at the moment answers a little later.
    pub async fn is_alive(&self) -> bool {
        self.ask(|reply| Request::Alive { reply }).await.is_ok()
    }

    pub fn tell(&self, request: Request) -> Result<(), Unavailable> {
        self.requests.try_send(request).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Unavailable::Full,
            mpsc::error::TrySendError::Closed(_) => Unavailable::Ended,
        })
    }
}
