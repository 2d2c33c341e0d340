//! `regtrust locks`, through a daemon and from etcd.

use regtrust::fleet::Outcome;

use crate::etcd::{Cluster, is_available};
use crate::live::{Daemon, node};
use crate::{claimed, free, take};

const MACHINE: &str = "1c09ca98649c4c7abc779cd04c96812e\n";

#[tokio::test]
async fn an_operator_sees_what_stops_the_fleet_and_lets_it_go_on() {
    if !is_available() {
        return;
    }
    let cluster = Cluster::one();
    let fleet = cluster.fleet();
    let a = cluster.lock("a", &fleet);
    let want = claimed("docker", "a CA for \u{1b}[31mall");
    take(&a, &want).await;

    let node = node();
    let settings = std::fs::read_to_string(node.path("etc/regtrust/regtrustd.toml")).unwrap();
    let lock = format!(
        "{settings}[fleet_lock]\nengine = \"etcd\"\ngroup = \"ci\"\n\
         endpoints = [\"http://{}:2379\"]\n",
        cluster.members[0].address
    );
    node.file("etc/regtrust/regtrustd.toml", lock).file("etc/machine-id", MACHINE);
    let daemon = Daemon::start(&node).await;
    let run = |arguments: &[&str]| {
        let outcome = node.run([&["locks"], arguments].concat());
        assert_eq!(outcome.hostile_character(), None, "{arguments:?}");
        outcome
    };
    let list = run(&[]).exits(0);
    list.says("Group ci: 1 of 1 slots taken").says("host-a: a CA for").says("(docker)");
    let json = run(&["--json"]).exits(0).stdout;
    let listing: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(listing["holders"][0]["node"], "a");
    assert_eq!(listing["group"], "ci");
    assert_eq!(listing["stopped"], "");
    run(&["unlock", "nobody"]).exits(0).says("`nobody` holds no slot");
    run(&["unlock", "host-a"]).exits(0).says("host-a");
    let stopped = run(&[]).exits(1);
    stopped.says("0 of 1 slots taken").says("never heard to succeed: host-a");
    run(&["resolve", "host-b"]).exits(0).says("nothing is unresolved");
    run(&["resolve"]).exits(0).says("Forgotten").says("host-a");
    run(&[]).exits(0).says("0 of 1 slots taken");
    free(&a, &want, Outcome::NotTried).await;
    drop(cluster);
    run(&[]).exits(75).says("cure: see whether its servers are well");
    drop(daemon);
}
