//! Three members, of which one or two are killed or cut off.

use std::time::Duration;

use jiff::SignedDuration;
use regtrust::fleet::{FleetLock as _, Outcome, Taken};
use tokio::time::sleep;

use crate::etcd::{Cluster, etcd_of, is_available};
use crate::network::{Network, on_a_network};
use crate::{claim, free, names, take};

#[tokio::test]
async fn one_killed_is_not_missed_and_two_are_waited_for() {
    if !is_available() {
        return;
    }
    let mut cluster = Cluster::three();
    let mut fleet = cluster.fleet();
    etcd_of(&mut fleet).ttl = SignedDuration::from_secs(30);
    let (a, b) = (cluster.lock("a", &fleet), cluster.lock("b", &fleet));
    let want = claim("docker");
    take(&a, &want).await;
    // One of them is the leader.
    for member in 0..3 {
        cluster.kill(member);
        take(&a, &want).await;
        assert!(matches!(b.take(&want).await, Taken::Busy { .. }), "without {member}");
        cluster.revive(member);
        // It has to have caught up before the next one goes.
        let mut alone = fleet.clone();
        etcd_of(&mut alone).endpoints = vec![etcd_of(&mut fleet).endpoints[member].clone()];
        assert_eq!(names(&cluster.lock("c", &alone).list().await.unwrap()).0, ["a"]);
    }
    cluster.kill(0);
    cluster.kill(1);
    let mut hurried = fleet.clone();
    hurried.timeout = SignedDuration::from_secs(3);
    let c = cluster.lock("c", &hurried);
    let told = c.take(&want).await;
    assert!(matches!(told, Taken::Unavailable { .. }), "one of three grants: {told:?}");
    assert!(c.free(&want, Outcome::NotTried).await.is_err());
    cluster.revive(0);
    free(&a, &want, Outcome::Succeeded).await;
    take(&b, &want).await;
    free(&c, &want, Outcome::NotTried).await;
    assert_eq!(names(&b.list().await.unwrap()), (vec!["b"], vec![]));
}

#[test]
fn a_member_that_is_cut_off_grants_nothing_and_a_node_cut_off_with_it_begins_nothing() {
    if is_available() {
        on_a_network(3, cut_off);
    }
}

async fn cut_off(network: Network) {
    let cluster = Cluster::start(network.members(), &[], "http");
    let mut fleet = cluster.fleet();
    fleet.timeout = SignedDuration::from_secs(8);
    etcd_of(&mut fleet).max_unresolved = 9;
    let want = claim("docker");
    let majority = cluster.lock("b", &fleet);
    majority.list().await.unwrap();

    // A node that knows one member only.
    let mut one = fleet.clone();
    etcd_of(&mut one).endpoints.truncate(1);
    let node = cluster.lock("a", &one);
    take(&node, &want).await;
    assert!(matches!(majority.take(&want).await, Taken::Busy { .. }));

    // Its member still answers it, and hears nothing of the others any more.
    network.isolate(0);
    one.timeout = SignedDuration::from_secs(2);
    let doubtful = cluster.lock("a", &one).take(&want).await;
    assert!(matches!(doubtful, Taken::Unavailable { .. }), "begun on old news: {doubtful:?}");
    // Those who are many let its lease run out, and go on.
    while !matches!(majority.take(&want).await, Taken::Granted) {
        sleep(Duration::from_millis(100)).await;
    }
    let doubtful = cluster.lock("a", &one).take(&want).await;
    assert!(matches!(doubtful, Taken::Unavailable { .. }), "two hold one slot: {doubtful:?}");
    network.join(0);
    let told = node.take(&want).await;
    assert!(matches!(told, Taken::Busy { .. }), "two hold one slot: {told:?}");
    free(&node, &want, Outcome::NotTried).await;
    free(&majority, &want, Outcome::Succeeded).await;
    assert_eq!(names(&majority.list().await.unwrap()), (vec![], vec![]));

    // One whose packets vanish costs a part of the time, and not the answer.
    network.unplug(0);
    take(&majority, &want).await;
    free(&majority, &want, Outcome::Succeeded).await;
    // Each answers, and none has a majority.
    network.plug(0);
    for member in 0..3 {
        network.isolate(member);
    }
    let mut hurried = fleet.clone();
    hurried.timeout = SignedDuration::from_secs(3);
    let told = cluster.lock("c", &hurried).take(&want).await;
    assert!(matches!(told, Taken::Unavailable { .. }), "granted by a minority: {told:?}");
}
