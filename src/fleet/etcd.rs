//! A counting lock kept in etcd v3: no server of ours, and nothing that a majority has not agreed to.
//!
//! A slot is a key with a lease that its holder keeps alive; see `standing` for what stands beside it.
//! It is taken by one transaction that holds only if nobody has written in the group since it was
//! looked at, so two nodes that see the same free slot never both get it. Deletions since then do not
//! stand in the way: they only make room.
//!
//! **An answer that never came** says nothing about whether the transaction was done. So every
//! conversation begins by reading what is there: the slot that its forerunner took without hearing
//! of it is found, and kept.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::{Arc, Mutex as Cell, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use self::members::Members;
use self::session::{Change, Session};
use super::node::Node;
use super::reach::Reach;
use super::standing::{Entry, Layout, Limits, Record, Room, Standing};
use super::trouble::Trouble;
use super::{Claim, Listing, Outcome, Refused, Taken};
use crate::settings::Etcd;

mod members;
mod session;
mod wire;

/// Before looking again when somebody else was faster; at most, and at random.
const LONGEST_WAIT: Duration = Duration::from_millis(60);

#[derive(Debug)]
pub(super) struct Semaphore {
    node: Node,
    layout: Layout,
    limits: Limits,
    ttl: Duration,
    members: Arc<Members>,
    /// What may be ours, by claim. Locked while a claim is talked about: two conversations about the
    /// same slot would not know of each other's lease.
    held: Mutex<BTreeMap<String, Holding>>,
}

#[derive(Debug, Default)]
struct Holding {
    leases: Leases,
    keeper: Option<Keeper>,
}

/// Every lease under which a claim was or may have been written; the last one is in use.
#[derive(Clone, Debug, Default)]
struct Leases(Arc<Cell<Vec<i64>>>);

impl Leases {
    fn all(&self) -> Vec<i64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, lease: i64) {
        let mut leases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        leases.retain(|known| *known != lease);
        leases.push(lease);
    }
}

/// Keeps a lease alive while it exists.
#[derive(Debug)]
struct Keeper {
    lease: i64,
    task: AbortHandle,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Semaphore {
    pub(super) fn new(node: Node, group: &str, etcd: &Etcd, reach: Reach, limit: Duration) -> Self {
        Self {
            node,
            layout: Layout::of(group),
            limits: Limits { slots: etcd.slots, unresolved: etcd.max_unresolved },
            ttl: etcd.ttl.unsigned_abs(),
            members: Arc::new(Members::new(reach, etcd.endpoints.clone(), limit)),
            held: Mutex::default(),
        }
    }

    pub(super) async fn take(&self, claim: &Claim) -> Taken {
        let mut held = self.held.lock().await;
        let holding = held.entry(claim.id.clone()).or_default();
        let leases = holding.leases.clone();
        let talk = |session| Box::pin(self.take_by(session, claim, leases.clone())) as _;
        let taken = match self.members.ask(talk).await {
            Ok(taken) => taken,
            Err(Trouble::Unavailable(why)) => Taken::Unavailable { why },
            Err(Trouble::Misconfigured(why)) => Taken::Misconfigured { why },
        };
        match &taken {
            Taken::Granted => self.keep(&claim.id, holding),
            // What was held before is lost. Its leases are remembered, because the attempt that was
            // written with it is still to be taken back.
            Taken::Busy { .. } | Taken::Stopped { .. } => holding.keeper = None,
            Taken::Unavailable { .. } | Taken::Misconfigured { .. } => {}
        }
        taken
    }

    async fn take_by(
        &self,
        session: Session,
        claim: &Claim,
        leases: Leases,
    ) -> Result<Taken, Trouble> {
        loop {
            let standing = session.standing(&self.layout).await?;
            if let Some(own) = standing.holder(&self.node.id, &claim.id) {
                if own.host != self.node.host {
                    return Ok(Taken::Misconfigured { why: twins(own) });
                }
                if session.keep(own.lease).await? {
                    leases.add(own.lease);
                    return Ok(Taken::Granted);
                }
                // Its lease ran out between the two answers, and it is about to go.
            } else {
                match standing.room(&self.node.id, self.limits) {
                    Room::Busy { holders } => return Ok(Taken::Busy { holders }),
                    Room::Stopped { why } => return Ok(Taken::Stopped { why }),
                    Room::Free => {}
                }
                let lease = self.lease(&session, &leases).await?;
                let changes = self.changes(&standing, claim, lease);
                if session.write(&self.layout, standing.revision, changes).await? {
                    return Ok(Taken::Granted);
                }
            }
            sleep(LONGEST_WAIT.mul_f64(chance())).await;
        }
    }

    /// A lease with its whole time before it.
    async fn lease(&self, session: &Session, leases: &Leases) -> Result<i64, Trouble> {
        if let Some(lease) = leases.all().last().copied()
            && session.keep(lease).await?
        {
            return Ok(lease);
        }
        let lease = session.grant(self.ttl.as_secs().try_into().unwrap_or(i64::MAX)).await?;
        leases.add(lease);
        Ok(lease)
    }

    /// The slot, and the attempt with it: whoever dies right after this has left both.
    fn changes(&self, standing: &Standing, claim: &Claim, lease: i64) -> Vec<Change> {
        let mut changes = vec![Change::Put {
            key: self.layout.holder(&self.node.id, &claim.id),
            value: Record::holder(&self.node, claim, self.limits.slots),
            lease,
        }];
        // An earlier one stays as it is: that this time nothing was tried must not excuse it.
        if standing.attempt(&self.node.id, &claim.id).is_none() {
            changes.push(Change::Put {
                key: self.layout.attempt(&self.node.id, &claim.id),
                value: Record::attempt(&self.node, claim, lease),
                lease: 0,
            });
        }
        changes
    }

    fn keep(&self, what: &str, holding: &mut Holding) {
        let Some(lease) = holding.leases.all().last().copied() else { return };
        if holding.keeper.as_ref().is_some_and(|keeper| keeper.lease == lease) {
            return;
        }
        let kept = keep_alive(Arc::clone(&self.members), lease, self.ttl, what.to_owned());
        holding.keeper = Some(Keeper { lease, task: tokio::spawn(kept).abort_handle() });
    }

    pub(super) async fn free(&self, claim: &Claim, end: Outcome) -> Result<(), Refused> {
        let mut held = self.held.lock().await;
        let holding = held.entry(claim.id.clone()).or_default();
        // Whatever comes of the rest, the slot ends with its lease.
        holding.keeper = None;
        let leases = holding.leases.clone();
        let talk = |session| Box::pin(self.free_by(session, claim, end, leases.clone())) as _;
        match self.members.ask(talk).await {
            Ok(()) => _ = held.remove(&claim.id),
            Err(trouble) => return Err(Refused { why: trouble.to_string() }),
        }
        Ok(())
    }

    async fn free_by(
        &self,
        session: Session,
        claim: &Claim,
        end: Outcome,
        leases: Leases,
    ) -> Result<(), Trouble> {
        let (node, what) = (self.node.id.as_str(), claim.id.as_str());
        let standing = session.standing(&self.layout).await?;
        let own = standing.holder(node, what).filter(|own| own.host == self.node.host);
        if let Some(own) = own {
            leases.add(own.lease);
        }
        let attempt = self.layout.attempt(node, what);
        let is_over = standing.attempt(node, what).is_some_and(|attempt| match end {
            Outcome::Succeeded => true,
            Outcome::NotTried => leases.all().contains(&attempt.lease),
            Outcome::Failed => false,
        });
        // First, because an attempt without its slot is one that has failed, and others may look.
        if is_over {
            session.delete(attempt.clone()).await?;
        }
        // The slot's key goes with its lease.
        for lease in leases.all() {
            session.revoke(lease).await?;
        }
        // The answer that never came may be that of a transaction that was done only now. Without
        // its lease there will be no more of them.
        let is_late = own.is_none() && !leases.all().is_empty() && end != Outcome::Failed;
        if is_late && standing.attempt(node, what).is_none() {
            session.delete(attempt).await?;
        }
        Ok(())
    }

    pub(super) async fn list(&self) -> Result<Listing, Trouble> {
        let standing = self.members.ask(|session| Box::pin(self.look(session))).await?;
        Ok(Listing {
            slots: self.limits.slots,
            max_unresolved: self.limits.unresolved,
            stopped: standing.stopped(None, self.limits),
            unresolved: standing.unresolved().cloned().collect(),
            holders: standing.holders,
        })
    }

    async fn look(&self, session: Session) -> Result<Standing, Trouble> {
        session.standing(&self.layout).await
    }

    /// Takes the slots of a node away from it. What it was trying stays unresolved.
    pub(super) async fn unlock(&self, node: &str) -> Result<Vec<Entry>, Trouble> {
        self.members.ask(|session| Box::pin(self.unlock_by(session, node))).await
    }

    async fn unlock_by(&self, session: Session, node: &str) -> Result<Vec<Entry>, Trouble> {
        let standing = session.standing(&self.layout).await?;
        let meant = |one: &&Entry| one.node == node || one.host == node;
        let found: Vec<Entry> = standing.holders.iter().filter(meant).cloned().collect();
        for one in &found {
            // The holder hears of it when it next asks for more time.
            session.revoke(one.lease).await?;
            // What somebody wrote by hand may have none.
            session.delete(self.layout.holder(&one.node, &one.what)).await?;
        }
        Ok(found)
    }

    /// Forgets attempts that nobody is making any more: of one node, or of all.
    pub(super) async fn resolve(&self, node: Option<&str>) -> Result<Vec<Entry>, Trouble> {
        self.members.ask(|session| Box::pin(self.resolve_by(session, node))).await
    }

    async fn resolve_by(
        &self,
        session: Session,
        node: Option<&str>,
    ) -> Result<Vec<Entry>, Trouble> {
        loop {
            let standing = session.standing(&self.layout).await?;
            let meant = |one: &&Entry| node.is_none_or(|node| one.node == node || one.host == node);
            let found: Vec<&Entry> = standing.unresolved().filter(meant).collect();
            let key = |one: &&Entry| self.layout.attempt(&one.node, &one.what);
            let changes: Vec<_> =
                found.iter().map(|one| Change::Delete { key: key(one) }).collect();
            if found.is_empty() || session.write(&self.layout, standing.revision, changes).await? {
                return Ok(found.into_iter().cloned().collect());
            }
        }
    }
}

async fn keep_alive(members: Arc<Members>, lease: i64, ttl: Duration, what: String) {
    let mut is_doubtful = false;
    loop {
        sleep(ttl / 3).await;
        let kept = members.ask(|session| Box::pin(async move { session.keep(lease).await }) as _);
        match kept.await {
            Ok(true) => is_doubtful = false,
            Ok(false) => {
                return tracing::warn!(%what, "the fleet's slot was lost: its lease has ended");
            }
            Err(trouble) => {
                if !is_doubtful {
                    tracing::warn!(%what, %trouble, "the fleet's slot cannot be kept at the moment");
                }
                is_doubtful = true;
            }
        }
    }
}

fn twins(own: &Entry) -> String {
    format!(
        "`{}` holds the slot under this node's own id: the two machines were cloned with one \
         /etc/machine-id, and each needs its own",
        own.host
    )
}

/// From 0 to 1. Nodes that were refused together must not come again together.
fn chance() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(random >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}
