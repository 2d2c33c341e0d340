//! Answers that never come: whatever was done without our hearing of it is found, and taken back.

use jiff::SignedDuration;
use regtrust::fleet::{FleetLock as _, Outcome, Taken};
use regtrust::settings::{Address, Fleet};

use crate::etcd::{Cluster, etcd_of, is_available};
use crate::proxy::{ALL, Proxy};
use crate::{claim, free, names, take};

fn through(fleet: &Fleet, proxy: &Proxy, and_direct: bool) -> Fleet {
    let mut fleet = fleet.clone();
    let (host, path) = ("127.0.0.1".to_owned(), "/".to_owned());
    let by_proxy = Address { tls: false, host, port: proxy.port, path };
    let endpoints = &mut etcd_of(&mut fleet).endpoints;
    if and_direct {
        endpoints.insert(0, by_proxy);
    } else {
        *endpoints = vec![by_proxy];
    }
    fleet
}

/// How many bytes the answers to one `take` have.
async fn length(cluster: &Cluster, fleet: &Fleet) -> usize {
    let proxy = Proxy::to(&cluster.members[0].address, ALL).await;
    let lock = cluster.lock("measure", &through(fleet, &proxy, false));
    take(&lock, &claim("docker")).await;
    let length = proxy.passed();
    free(&lock, &claim("docker"), Outcome::Succeeded).await;
    length
}

#[tokio::test]
async fn an_answer_cut_off_anywhere_is_made_up_for_by_the_next_member() {
    if !is_available() {
        return;
    }
    let cluster = Cluster::one();
    let fleet = cluster.fleet();
    let length = length(&cluster, &fleet).await;
    let watcher = cluster.lock("watcher", &fleet);
    let (mut cuts, step) = (0, length / 40 + 1);
    for cut in (0..length + step).step_by(step) {
        let proxy = Proxy::to(&cluster.members[0].address, cut).await;
        let name = format!("n{cut}");
        let lock = cluster.lock(&name, &through(&fleet, &proxy, true));
        take(&lock, &claim("docker")).await;
        let listing = watcher.list().await.unwrap();
        assert_eq!(names(&listing), (vec![name.as_str()], vec![]), "cut at {cut}");
        free(&lock, &claim("docker"), Outcome::Succeeded).await;
        assert_eq!(names(&watcher.list().await.unwrap()), (vec![], vec![]), "cut at {cut}");
        cuts += 1;
    }
    println!("{cuts} cuts in {length} bytes");
    assert!(cuts > 30, "only {cuts}");
}

#[tokio::test]
async fn a_slot_that_nobody_heard_of_is_kept_or_taken_back_and_never_forgotten() {
    if !is_available() {
        return;
    }
    let cluster = Cluster::one();
    let fleet = cluster.fleet();
    let length = length(&cluster, &fleet).await;
    let watcher = cluster.lock("watcher", &fleet);
    let mut unheard = 0;
    for (at, cut) in (0..length).step_by(length / 8).enumerate() {
        let proxy = Proxy::to(&cluster.members[0].address, cut).await;
        let mut fleet = through(&fleet, &proxy, false);
        fleet.timeout = SignedDuration::from_secs(1);
        let name = format!("n{cut}");
        let lock = cluster.lock(&name, &fleet);
        let told = lock.take(&claim("docker")).await;
        assert!(matches!(told, Taken::Unavailable { .. }), "cut at {cut}: {told:?}");
        unheard += watcher.list().await.unwrap().holders.len();
        assert!(lock.free(&claim("docker"), Outcome::NotTried).await.is_err(), "cut at {cut}");
        proxy.heal();
        if at % 2 == 0 {
            take(&lock, &claim("docker")).await;
            assert_eq!(names(&watcher.list().await.unwrap()).0, [name.as_str()]);
        }
        free(&lock, &claim("docker"), Outcome::NotTried).await;
        assert_eq!(names(&watcher.list().await.unwrap()), (vec![], vec![]), "cut at {cut}");
    }
    println!("{unheard} slots were taken by nodes that did not hear of it");
    assert!(unheard > 0, "no cut fell between the transaction and its answer");
}
