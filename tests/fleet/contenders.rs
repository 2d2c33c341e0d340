//! A hundred nodes want the same few slots at the same moment.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use regtrust::fleet::{FleetLock as _, Lock, Outcome, Taken};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::chance::{Chance, seed};
use crate::claim;
use crate::etcd::{Cluster, etcd_of, is_available};

const NODES: usize = 100;
const SLOTS: usize = 3;

static AT_WORK: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

async fn one_turn(lock: Lock, mut chance: Chance) -> usize {
    let want = claim("docker");
    let mut refusals = 0;
    loop {
        match lock.take(&want).await {
            Taken::Granted => break,
            Taken::Busy { .. } => refusals += 1,
            other => panic!("{}: {other:?}", lock.node().id),
        }
        sleep(Duration::from_millis(10 + u64::try_from(chance.below(200)).unwrap())).await;
    }
    let now = AT_WORK.fetch_add(1, Ordering::SeqCst) + 1;
    MOST.fetch_max(now, Ordering::SeqCst);
    assert!(now <= SLOTS, "{now} nodes are at work");
    sleep(Duration::from_millis(u64::try_from(chance.below(20)).unwrap())).await;
    AT_WORK.fetch_sub(1, Ordering::SeqCst);
    assert_eq!(lock.free(&want, Outcome::Succeeded).await, Ok(()));
    refusals
}

#[tokio::test]
async fn never_more_than_the_slots_and_everybody_in_the_end() {
    if !is_available() {
        return;
    }
    let seed = seed();
    println!("REGTRUST_SEED={seed}");
    let cluster = Cluster::one();
    let mut fleet = cluster.fleet();
    etcd_of(&mut fleet).slots = u32::try_from(SLOTS).unwrap();
    // None may end because a hundred nodes share one thread here.
    etcd_of(&mut fleet).ttl = jiff::SignedDuration::from_secs(60);
    fleet.timeout = jiff::SignedDuration::from_secs(60);
    // Ready, before all come at once.
    cluster.lock("first", &fleet).list().await.unwrap();
    let mut nodes = JoinSet::new();
    for at in 0..NODES {
        let lock = cluster.lock(&format!("n{at}"), &fleet);
        let chance = Chance::from(seed.wrapping_mul(1000).wrapping_add(at as u64));
        nodes.spawn(one_turn(lock, chance));
    }
    let refusals: usize = nodes.join_all().await.into_iter().sum();
    let most = MOST.load(Ordering::SeqCst);
    println!("{NODES} nodes, at most {most} at once, {refusals} refusals");
    assert_eq!(most, SLOTS, "the slots were never all in use, so nothing was contended for");
    let listing = cluster.lock("last", &fleet).list().await.unwrap();
    assert_eq!((listing.holders, listing.unresolved), (vec![], vec![]));
}
