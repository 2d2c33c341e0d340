//! What changes on the node while a daemon is at work.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use nix::sys::signal::Signal;
use tonic::Code;

use crate::common::Node;
use crate::live::{Daemon, assert_refused, node, set, settings, until_file};

const DAEMON: &str = "etc/docker/daemon.json";
const LAB: &str =
    "[[registry]]\nhost = \"lab.corp:5000\"\ntrust = \"http\"\nruntimes = [\"docker\"]\n";
/// Of one change. What is promised is a second; a busy machine gets more, but less than it takes where
/// nothing is watched and all is looked at every half minute.
const SOON: Duration = Duration::from_secs(15);

#[tokio::test]
async fn a_file_that_comes_and_goes_is_noticed_at_once() {
    let node = node();
    let _daemon = Daemon::start(&node).await;
    for round in 0..3 {
        node.declare(LAB);
        let came = until_file(&node, DAEMON, true).await;
        node.remove("etc/regtrust/registries.d/node.toml");
        let went = until_file(&node, DAEMON, false).await;
        println!("round {round}: noticed after {came:?} and {went:?}");
        assert!(came < SOON && went < SOON, "{came:?} {went:?}");
    }
}

#[tokio::test]
async fn a_directory_that_appears_later_is_noticed() {
    let node = node();
    node.remove("etc/regtrust/registries.d");
    let _daemon = Daemon::start(&node).await;
    node.directory("etc/regtrust/registries.d");
    tokio::time::sleep(Duration::from_millis(100)).await;
    node.declare(LAB);
    let came = until_file(&node, DAEMON, true).await;
    assert!(came < SOON, "{came:?}");
}

#[tokio::test]
async fn a_config_map_that_is_swapped_is_noticed() {
    let node = node();
    let volume = |name: &str, host: &str| {
        node.file(&format!("config/{name}/a.toml"), LAB.replace("lab.corp", host));
    };
    volume("..1", "one.corp");
    symlink("..1", node.path("config/..data")).unwrap();
    symlink("..data/a.toml", node.path("config/a.toml")).unwrap();
    let daemon = Daemon::with(&node, &["--declarations", "/config"]).await;
    daemon.until(|status| status.registries.iter().any(|one| one.host == "one.corp:5000")).await;
    volume("..2", "two.corp");
    symlink("..2", node.path("config/..new")).unwrap();
    fs::rename(node.path("config/..new"), node.path("config/..data")).unwrap();
    let status = daemon.until(|status| status.registries[0].host == "two.corp:5000").await;
    assert_eq!(status.registries.len(), 1);
    assert!(node.text(DAEMON).contains("two.corp:5000"));
}

#[tokio::test]
async fn a_docker_that_is_installed_later_is_configured() {
    let node = Node::bare();
    node.directory("usr/bin").declare(LAB);
    let daemon = Daemon::start(&node).await;
    assert!(daemon.status().await.runtimes.is_empty());
    assert!(!node.has(DAEMON));
    node.file("usr/bin/dockerd", "");
    until_file(&node, DAEMON, true).await;
    daemon.until(|status| status.runtimes.len() == 1).await;
}

#[tokio::test]
async fn what_somebody_did_to_our_file_is_put_right() {
    let node = node();
    node.declare(LAB);
    let _daemon = Daemon::start(&node).await;
    until_file(&node, DAEMON, true).await;
    let ours = node.text(DAEMON);
    node.remove(DAEMON);
    until_file(&node, DAEMON, true).await;
    assert_eq!(node.text(DAEMON), ours);
}

#[tokio::test]
async fn settings_are_read_again_and_bad_ones_change_nothing() {
    let node = node();
    let daemon = Daemon::start(&node).await;
    let mut client = daemon.client().await;
    let other = set(&["a.example"]);
    let refused = client.apply(other.clone()).await.unwrap_err();
    assert_refused(&refused, Code::PermissionDenied, "NOT_YOUR_HOST");

    node.file("etc/regtrust/regtrustd.toml", "[[access]]\nrole = \"king\"\n");
    daemon.signal(Signal::SIGHUP);
    let mut waited = 0;
    while !daemon.log().contains("the settings stay as they were") {
        assert!(waited < 1000, "{}", daemon.log());
        waited += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    client.apply(set(&["a.corp"])).await.unwrap();

    node.file("etc/regtrust/regtrustd.toml", settings("\"*.corp\", \"*.example\""));
    daemon.signal(Signal::SIGHUP);
    let mut waited = 0;
    while daemon.client().await.apply(other.clone()).await.is_err() {
        assert!(waited < 1000, "{}", daemon.log());
        waited += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
