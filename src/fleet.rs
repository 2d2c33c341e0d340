//! The fleet's lock: so that a change that needs a restart never restarts everywhere at once.
//!
//! The lock itself is somebody else's: etcd, or a server that speaks the FleetLock protocol. Here is
//! what the gate asks of either.
//!
//! What neither can do is stop a node that holds a slot and cannot be heard any more. So a slot says
//! that others wait for us, and never that nobody else is at work: whoever needs that needs a fence
//! around what is being changed, and a restart of this node's own runtime is nobody else's.

use std::fmt::Debug;
use std::sync::Arc;

use jiff::Timestamp;

use self::etcd::Semaphore;
use self::fleetlock::Client;
use self::reach::Reach;
use crate::agent::Answer;
use crate::effect::chain;
use crate::node::root::NodeRoot;
use crate::node_path;
use crate::path::NodePath;
use crate::settings::{Engine, Fleet, NodeId};

mod etcd;
mod fleetlock;
mod node;
mod reach;
mod standing;
mod trouble;

pub use node::{Node, NodeError, node_id};
pub use standing::Entry;
pub use trouble::Trouble;

/// A counting lock that the nodes of a group share.
pub trait FleetLock: Send + Sync + Debug {
    /// Takes a slot, or says why there is none.
    ///
    /// Asked again for the same claim it answers whether that claim holds *now*, from the lock and
    /// not from memory: so it is asked once more right before the restart.
    fn take<'a>(&'a self, claim: &'a Claim) -> Answer<'a, Taken>;

    /// Gives the slot back, and says what came of it. Asked again, or for a claim that holds
    /// nothing, it succeeds.
    fn free<'a>(&'a self, claim: &'a Claim, end: Outcome) -> Answer<'a, Result<(), Refused>>;
}

/// Why this node wants a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What is to be restarted, such as `containerd`. It is the same for every attempt at that, so
    /// that a daemon which crashed finds its slot again, and a later success resolves what an earlier
    /// attempt left behind.
    pub id: String,
    /// For people: what they read who wonder what the fleet waits for.
    pub reason: String,
    pub since: Timestamp,
}

/// What came of asking for a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is ours, as sure as the lock can say it.
    Granted,
    /// All slots are taken, by these. Normal: try again later.
    Busy { holders: String },
    /// Too many nodes took a slot and were never heard to succeed. Only an operator, or those
    /// nodes' success, lets the group go on.
    Stopped { why: String },
    /// The lock did not answer. **The slot may be ours all the same**: ask again, or free it.
    Unavailable { why: String },
    /// Asking again changes nothing until somebody mends the settings or the lock.
    Misconfigured { why: String },
}

/// What became of what the slot was taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was restarted.
    NotTried,
    Succeeded,
    /// It was tried, and the node is not as it should be.
    Failed,
}

/// Why a slot could not be given back. It has to be tried again until it can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Refused {
    pub why: String,
}

/// The lock of the settings, reached for this node.
#[derive(Debug)]
pub struct Lock {
    node: Node,
    group: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Etcd(Semaphore),
    FleetLock(Client),
    /// Why it cannot be asked by this node. It grants nothing, so that nobody restarts unasked.
    Unusable(String),
}

/// Who holds a slot of a group, and who took one and was never heard to succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    pub slots: u32,
    pub max_unresolved: u32,
    /// Why no further node may begin.
    pub stopped: Option<String>,
    pub holders: Vec<Entry>,
    pub unresolved: Vec<Entry>,
}

/// Why an operator's question was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    #[error("the FleetLock protocol has no way to {0}")]
    Unknown(&'static str),
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

impl Lock {
    /// For the node at `root`, with what the settings name in `files`. Nothing is asked yet, and one
    /// that can never be asked says so when it is.
    pub fn of(root: &NodeRoot, files: &Arc<NodeRoot>, fleet: &Fleet) -> Self {
        match this_node(root, fleet.id) {
            Ok(node) => Self::with(Arc::clone(files), fleet, node),
            Err(why) => {
                let node = Node { id: String::new(), host: String::new() };
                Self { node, group: fleet.group.clone(), kind: Kind::Unusable(why) }
            }
        }
    }

    /// For a node whose name is known.
    pub fn with(files_of: Arc<NodeRoot>, fleet: &Fleet, node: Node) -> Self {
        let Fleet { engine, group, timeout, files, credentials, .. } = fleet.clone();
        let limit = timeout.unsigned_abs();
        let reach = Reach { root: files_of, files, credentials };
        let kind = match engine {
            Engine::Etcd(etcd) => {
                Kind::Etcd(Semaphore::new(node.clone(), &group, &etcd, reach, limit))
            }
            Engine::FleetLock(base) => {
                Kind::FleetLock(Client::new(node.clone(), group.clone(), base, reach, limit))
            }
        };
        Self { node, group, kind }
    }

    pub fn node(&self) -> &Node {
        &self.node
    }

    pub fn group(&self) -> &str {
        &self.group
    }

    pub async fn list(&self) -> Result<Listing, AskError> {
        match &self.kind {
            Kind::Etcd(semaphore) => Ok(semaphore.list().await?),
            Kind::FleetLock(_) => Err(AskError::Unknown("tell who holds the lock")),
            Kind::Unusable(why) => Err(Trouble::Misconfigured(why.clone()).into()),
        }
    }

    /// Takes the slots of a node away from it, by its id or its name, and says which those were.
    pub async fn unlock(&self, node: &str) -> Result<Vec<Entry>, AskError> {
        match &self.kind {
            Kind::Etcd(semaphore) => Ok(semaphore.unlock(node).await?),
            Kind::FleetLock(client) => {
                client.release(node).await?;
                Ok(Vec::new())
            }
            Kind::Unusable(why) => Err(Trouble::Misconfigured(why.clone()).into()),
        }
    }

    /// Forgets the attempts that a node, or with `None` any node, has left unresolved, and says which
    /// those were. What is being tried right now is none of them.
    pub async fn resolve(&self, node: Option<&str>) -> Result<Vec<Entry>, AskError> {
        match &self.kind {
            Kind::Etcd(semaphore) => Ok(semaphore.resolve(node).await?),
            Kind::FleetLock(_) => Err(AskError::Unknown("tell a failure from a lock that is held")),
            Kind::Unusable(why) => Err(Trouble::Misconfigured(why.clone()).into()),
        }
    }
}

impl FleetLock for Lock {
    fn take<'a>(&'a self, claim: &'a Claim) -> Answer<'a, Taken> {
        Box::pin(async move {
            match &self.kind {
                Kind::Etcd(semaphore) => semaphore.take(claim).await,
                Kind::FleetLock(client) => client.take(claim).await,
                Kind::Unusable(why) => Taken::Misconfigured { why: why.clone() },
            }
        })
    }

    fn free<'a>(&'a self, claim: &'a Claim, end: Outcome) -> Answer<'a, Result<(), Refused>> {
        Box::pin(async move {
            match &self.kind {
                Kind::Etcd(semaphore) => semaphore.free(claim, end).await,
                Kind::FleetLock(client) => client.free(claim, end).await,
                // Nothing was ever taken.
                Kind::Unusable(_) => Ok(()),
            }
        })
    }
}

fn this_node(root: &NodeRoot, kind: NodeId) -> Result<Node, String> {
    let read = |path: &NodePath| {
        let bytes = root.read(path).map_err(|error| chain(&error))?;
        Ok::<_, String>(bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim_end().to_owned()))
    };
    let machine = read(&node_path!("etc/machine-id"))?.unwrap_or_default();
    let id = node_id(&machine, kind).map_err(|error| error.to_string())?;
    let running = read(&node_path!("proc/sys/kernel/hostname"))?;
    let host = match running {
        Some(host) => Some(host),
        None => read(&node_path!("etc/hostname"))?,
    };
    let host = host.filter(|host| !host.is_empty()).unwrap_or_else(|| id.clone());
    Ok(Node { id, host })
}
