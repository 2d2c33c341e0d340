//! Holders that die without a word, and those who come back.

use std::time::Duration;

use regtrust::fleet::{FleetLock as _, Lock, Outcome, Taken};
use tokio::time::sleep;

use crate::etcd::{Cluster, etcd_of, is_available};
use crate::{claim, free, names, take};

/// Until etcd has noticed that nobody keeps that node's slot alive.
async fn until_gone(watcher: &Lock, node: &str) {
    while names(&watcher.list().await.unwrap()).0.contains(&node) {
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_bad_change_does_not_walk_through_the_fleet() {
    if !is_available() {
        return;
    }
    let cluster = Cluster::one();
    let mut fleet = cluster.fleet();
    etcd_of(&mut fleet).max_unresolved = 2;
    let watcher = cluster.lock("watcher", &fleet);
    let want = claim("docker");
    for name in ["a", "b"] {
        take(&cluster.lock(name, &fleet), &want).await;
        // Its lock was dropped with the node.
        until_gone(&watcher, name).await;
    }
    let listing = watcher.list().await.unwrap();
    assert_eq!(names(&listing), (vec![], vec!["a", "b"]));
    assert!(listing.stopped.unwrap().starts_with("2 nodes took a slot and were never heard"));
    let Taken::Stopped { why } = watcher.take(&want).await else { panic!("a third one dies") };
    assert!(why.contains("host-a") && why.contains("host-b"), "{why}");
    // One of them is mended, and that is what starts the others again.
    let a = cluster.lock("a", &fleet);
    take(&a, &want).await;
    free(&a, &want, Outcome::Succeeded).await;
    take(&watcher, &want).await;
}

#[tokio::test]
async fn a_daemon_that_comes_back_finds_its_slot_and_keeps_it() {
    if !is_available() {
        return;
    }
    let cluster = Cluster::one();
    let mut fleet = cluster.fleet();
    etcd_of(&mut fleet).slots = 2;
    let want = claim("docker");
    take(&cluster.lock("a", &fleet), &want).await;
    let again = cluster.lock("a", &fleet);
    take(&again, &want).await;
    // What dies later is gone, and what is kept alive is not: two terms long.
    for _ in 0..2 {
        take(&cluster.lock("b", &fleet), &want).await;
        until_gone(&again, "b").await;
        assert_eq!(names(&again.list().await.unwrap()).0, ["a"]);
    }
    free(&again, &want, Outcome::NotTried).await;
    assert_eq!(names(&again.list().await.unwrap()), (vec![], vec!["b"]));
}

#[tokio::test]
async fn a_slot_that_was_lost_is_not_granted_again_when_another_has_it() {
    if !is_available() {
        return;
    }
    let cluster = Cluster::one();
    let fleet = cluster.fleet();
    let (a, b) = (cluster.lock("a", &fleet), cluster.lock("b", &fleet));
    let want = claim("docker");
    take(&a, &want).await;
    let taken = b.unlock("host-a").await.unwrap();
    assert_eq!(taken.iter().map(|entry| entry.node.as_str()).collect::<Vec<_>>(), ["a"]);
    assert_eq!(names(&b.list().await.unwrap()), (vec![], vec!["a"]));
    assert!(matches!(b.take(&want).await, Taken::Stopped { .. }), "a may have broken");
    let resolved = b.resolve(None).await.unwrap();
    assert_eq!(resolved.iter().map(|entry| entry.node.as_str()).collect::<Vec<_>>(), ["a"]);
    take(&b, &want).await;
    // What is asked right before the restart.
    let told = a.take(&want).await;
    assert!(matches!(told, Taken::Busy { .. }), "{told:?}");
    free(&a, &want, Outcome::NotTried).await;
    assert_eq!(names(&b.list().await.unwrap()), (vec!["b"], vec![]));
}
