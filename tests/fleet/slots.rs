//! One member: what is taken, found again, listed and given back.

use regtrust::fleet::{FleetLock as _, Outcome, Taken};

use crate::etcd::{Cluster, etcd_of, is_available};
use crate::{claim, claimed, free, names, take};

#[tokio::test]
async fn a_slot_is_taken_listed_found_again_and_given_back() {
    if !is_available() {
        return;
    }
    let cluster = Cluster::one();
    let fleet = cluster.fleet();
    let (a, b) = (cluster.lock("a", &fleet), cluster.lock("b", &fleet));
    let want = claimed("containerd", "config_path");
    take(&a, &want).await;
    take(&a, &want).await;
    let listing = b.list().await.unwrap();
    let [holder] = listing.holders.as_slice() else { panic!("{listing:?}") };
    assert_eq!((holder.node.as_str(), holder.host.as_str()), ("a", "host-a"));
    assert_eq!((holder.what.as_str(), holder.reason.as_str()), ("containerd", "config_path"));
    assert_eq!(holder.since, Some(want.since));
    assert_eq!(listing.unresolved, [], "it is still at work");
    let Taken::Busy { holders } = b.take(&want).await else { panic!("two hold one slot") };
    assert_eq!(holders, "host-a (containerd since 2027-01-15 08:00:00 UTC)");
    free(&a, &want, Outcome::Succeeded).await;
    free(&a, &want, Outcome::Succeeded).await;
    take(&b, &want).await;
    free(&b, &want, Outcome::Succeeded).await;
    let listing = a.list().await.unwrap();
    assert_eq!(names(&listing), (vec![], vec![]));
    assert_eq!(listing.stopped, None);
}

#[tokio::test]
async fn groups_and_claims_do_not_meet() {
    if !is_available() {
        return;
    }
    let cluster = Cluster::one();
    let fleet = cluster.fleet();
    let mut other = fleet.clone();
    other.group = "ci.x".to_owned();
    let (a, b) = (cluster.lock("a", &fleet), cluster.lock("b", &other));
    take(&a, &claim("docker")).await;
    take(&b, &claim("docker")).await;
    // One node in the middle of two restarts takes one place.
    take(&a, &claim("containerd")).await;
    free(&a, &claim("docker"), Outcome::Succeeded).await;
    assert_eq!(names(&a.list().await.unwrap()).0, ["a"], "the other claim still holds");
    free(&a, &claim("containerd"), Outcome::Succeeded).await;
    assert_eq!(names(&a.list().await.unwrap()), (vec![], vec![]));
    assert_eq!(names(&b.list().await.unwrap()).0, ["b"]);
}

#[tokio::test]
async fn another_number_of_slots_counts_at_once() {
    if !is_available() {
        return;
    }
    let cluster = Cluster::one();
    let mut fleet = cluster.fleet();
    etcd_of(&mut fleet).slots = 2;
    let [a, b, c] = ["a", "b", "c"].map(|name| cluster.lock(name, &fleet));
    take(&a, &claim("docker")).await;
    take(&b, &claim("docker")).await;
    assert!(matches!(c.take(&claim("docker")).await, Taken::Busy { .. }));
    etcd_of(&mut fleet).slots = 3;
    let c = cluster.lock("c", &fleet);
    let busy = c.take(&claim("docker")).await;
    assert!(matches!(busy, Taken::Busy { .. }), "who holds was promised two: {busy:?}");
    free(&a, &claim("docker"), Outcome::Succeeded).await;
    free(&b, &claim("docker"), Outcome::Succeeded).await;
    for name in ["c", "d", "e"] {
        // Dropped and still held: the lease has its time.
        take(&cluster.lock(name, &fleet), &claim("docker")).await;
    }
    assert!(matches!(a.take(&claim("docker")).await, Taken::Busy { .. }));
}

#[tokio::test]
async fn what_was_not_tried_leaves_nothing_and_excuses_nothing() {
    if !is_available() {
        return;
    }
    let cluster = Cluster::one();
    let fleet = cluster.fleet();
    let (a, b) = (cluster.lock("a", &fleet), cluster.lock("b", &fleet));
    let want = claim("docker");
    take(&a, &want).await;
    free(&a, &want, Outcome::NotTried).await;
    assert_eq!(names(&a.list().await.unwrap()), (vec![], vec![]));
    take(&a, &want).await;
    free(&a, &want, Outcome::Failed).await;
    let listing = a.list().await.unwrap();
    assert_eq!(names(&listing), (vec![], vec!["a"]));
    assert!(listing.stopped.is_some());
    take(&a, &want).await;
    free(&a, &want, Outcome::NotTried).await;
    assert_eq!(names(&a.list().await.unwrap()), (vec![], vec!["a"]), "it has failed before");
    let Taken::Stopped { why } = b.take(&want).await else { panic!("the change walks on") };
    assert!(why.contains("host-a (docker since"), "{why}");
    take(&a, &want).await;
    free(&a, &want, Outcome::Succeeded).await;
    take(&b, &want).await;
}

#[tokio::test]
async fn machines_with_one_id_are_told_so() {
    if !is_available() {
        return;
    }
    let cluster = Cluster::one();
    let fleet = cluster.fleet();
    let (a, b) = (cluster.lock("a", &fleet), cluster.lock("b", &fleet));
    take(&a, &claim("docker")).await;
    let node = regtrust::fleet::Node { id: "a".to_owned(), host: "clone".to_owned() };
    let root = regtrust::node::root::NodeRoot::open(cluster.directory.path()).unwrap();
    let clone = regtrust::fleet::Lock::with(std::sync::Arc::new(root), &fleet, node);
    let Taken::Misconfigured { why } = clone.take(&claim("docker")).await else { panic!() };
    assert!(why.contains("`host-a`") && why.contains("machine-id"), "{why}");
    free(&clone, &claim("docker"), Outcome::NotTried).await;
    assert_eq!(names(&b.list().await.unwrap()).0, ["a"], "the clone freed what was not its own");
}
