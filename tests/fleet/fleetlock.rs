//! The client of the `FleetLock` protocol against both servers' manners and every fault.

use std::fs;

use jiff::SignedDuration;
use regtrust::fleet::{FleetLock as _, Lock, Outcome, Taken};
use regtrust::settings::{Fleet, parse_settings};
use tempfile::TempDir;

use crate::etcd::lock;
use crate::server::{Manner, Server, response};
use crate::{claim, free, take};

fn fleet(server: &Server, rest: &str) -> Fleet {
    let text = format!(
        "[fleet_lock]\nengine = \"fleetlock\"\nurl = \"http://127.0.0.1:{}/base\"\n\
         group = \"runtime-restart\"\n{rest}",
        server.port
    );
    let mut fleet = parse_settings(&text, "/d").unwrap().fleet.unwrap();
    fleet.timeout = SignedDuration::from_secs(2);
    fleet
}

fn node(directory: &TempDir, name: &str, server: &Server) -> Lock {
    lock(directory, name, &fleet(server, ""))
}

#[tokio::test]
async fn a_request_is_what_the_protocol_wants() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(Manner::Airlock(1)).await;
    let a = node(&directory, "a", &server);
    take(&a, &claim("docker")).await;
    free(&a, &claim("docker"), Outcome::Succeeded).await;
    let calls = server.calls();
    let [lock, unlock] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!(lock.what, "POST /base/v1/pre-reboot");
    assert_eq!(unlock.what, "POST /base/v1/steady-state");
    for call in [lock, unlock] {
        assert!(call.headers.contains(&"fleet-lock-protocol: true".to_owned()), "{call:?}");
        assert!(!call.headers.iter().any(|line| line.starts_with("authorization")), "{call:?}");
        assert_eq!(call.body, r#"{"client_params":{"id":"a","group":"runtime-restart"}}"#);
    }
}

#[tokio::test]
async fn secrets_are_shown_and_read_anew() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(Manner::Airlock(1)).await;
    fs::create_dir(directory.path().join("etc")).unwrap();
    let shown = |at: usize| server.calls()[at].headers.clone();
    let write = |text: &str| fs::write(directory.path().join("etc/secret"), text).unwrap();
    let token = lock(&directory, "a", &fleet(&server, "token_file = \"/etc/secret\"\n"));
    for (at, word) in ["one", "two"].into_iter().enumerate() {
        write(&format!("{word}\n"));
        take(&token, &claim("docker")).await;
        assert!(shown(at).contains(&format!("authorization: bearer {word}")), "{:?}", shown(at));
    }
    write("hunter2\n");
    let password = "username = \"node\"\npassword_file = \"/etc/secret\"\n";
    take(&lock(&directory, "a", &fleet(&server, password)), &claim("docker")).await;
    // The test's server has made it all lower case.
    let expected = "authorization: basic bm9kztpodw50zxiy";
    assert!(shown(2).contains(&expected.to_owned()), "{:?}", shown(2));
}

#[tokio::test]
async fn both_servers_grant_refuse_and_take_back() {
    for manner in [Manner::Airlock(1), Manner::Poseidon] {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start(manner.clone()).await;
        let (a, b) = (node(&directory, "a", &server), node(&directory, "b", &server));
        take(&a, &claim("docker")).await;
        take(&a, &claim("docker")).await;
        let Taken::Busy { holders } = b.take(&claim("docker")).await else { panic!("{manner:?}") };
        assert!(holders.contains("slots") || holders.contains("held by a"), "{holders}");
        // Not being held is what was wanted.
        free(&b, &claim("docker"), Outcome::NotTried).await;
        assert_eq!(server.holders(), ["a"], "{manner:?}");
        take(&a, &claim("containerd")).await;
        free(&a, &claim("docker"), Outcome::Succeeded).await;
        assert_eq!(server.holders(), ["a"], "another claim of the node still needs it");
        free(&a, &claim("containerd"), Outcome::Failed).await;
        assert_eq!(server.holders(), ["a"], "a node that is not well stops the others");
        free(&a, &claim("containerd"), Outcome::Succeeded).await;
        assert_eq!(server.holders(), [] as [&str; 0], "{manner:?}");
        take(&b, &claim("docker")).await;
        a.unlock("b").await.unwrap();
        assert_eq!(server.holders(), [] as [&str; 0], "{manner:?}");
        assert!(a.list().await.is_err());
    }
}

/// One letter for each kind of answer, as in the table below.
fn letter(taken: &Taken) -> char {
    match taken {
        Taken::Granted => 'g',
        Taken::Busy { .. } => 'b',
        Taken::Stopped { .. } => 's',
        Taken::Unavailable { .. } => 'u',
        Taken::Misconfigured { .. } => 'm',
    }
}

#[tokio::test]
async fn every_fault_is_told_from_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let page = response("200 OK", "Content-Type: text/html\r\n", "<html>welcome</html>");
    let moved = response("307 Temporary Redirect", "Location: http://127.0.0.1:1/\r\n", "");
    let says = |text: &str| Manner::Says(text.to_owned());
    for (manner, lock, unlock) in [
        (Manner::AirlockWithoutEtcd, 'u', false),
        (Manner::DoneAndGone, 'u', false),
        (Manner::CutOff, 'g', true),
        (Manner::Silent, 'u', false),
        (Manner::Drips, 'u', false),
        (says(&page), 'm', false),
        (says(&moved), 'm', false),
        (says(&response("500 Internal Server Error", "", "")), 'u', false),
        (says(&response("423 Locked", "", "")), 'b', false),
        (says(&response("404 Not Found", "", "404 page not found\n")), 'm', false),
        (says(&response("204 No Content", "", "")), 'm', false),
        (says("not HTTP at all\r\n\r\n"), 'u', false),
    ] {
        let server = Server::start(manner.clone()).await;
        let a = node(&directory, "a", &server);
        let told = a.take(&claim("docker")).await;
        assert_eq!(letter(&told), lock, "{manner:?}: {told:?}");
        let freed = a.free(&claim("docker"), Outcome::NotTried).await;
        assert_eq!(freed.is_ok(), unlock, "{manner:?}: {freed:?}");
        assert_eq!(server.calls().len(), 2, "{manner:?}: asked again, or somewhere else");
    }
}

#[tokio::test]
async fn a_lock_that_nobody_heard_of_is_taken_back() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(Manner::DoneAndGone).await;
    let a = node(&directory, "a", &server);
    let told = a.take(&claim("docker")).await;
    assert!(matches!(told, Taken::Unavailable { .. }), "{told:?}");
    assert_eq!(server.holders(), ["a"]);
    server.becomes(Manner::AirlockWithoutEtcd);
    assert!(a.free(&claim("docker"), Outcome::NotTried).await.is_err());
    server.becomes(Manner::Airlock(1));
    take(&a, &claim("docker")).await;
    free(&a, &claim("docker"), Outcome::NotTried).await;
    assert_eq!(server.holders(), [] as [&str; 0]);
}

#[tokio::test]
async fn nobody_there_is_no_refusal() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(Manner::Silent).await;
    let gone = fleet(&server, "");
    drop(server);
    let told = lock(&directory, "a", &gone).take(&claim("docker")).await;
    assert!(matches!(told, Taken::Unavailable { .. }), "{told:?}");
}
