//! What changes while connections are open.

use std::time::Duration;

use rcgen::SerialNumber;
use regtrust::api::v1::node_client::NodeClient;
use regtrust::api::v1::{GetStatusRequest, NodeStatus, WatchStatusRequest};
use rustls::pki_types::CertificateDer;
use tokio::time::{sleep, timeout};
use tonic::Streaming;
use tonic::transport::Channel;

use crate::client::{Manner, Outcome, over_tls, unix};
use crate::daemon::Daemon;
use crate::pki::{ADMIN, Ca, ONCALL, Pki};

const PEOPLE: &str = "[[access]]\nrole = \"admin\"\nsan = \"spiffe://corp.example/regtrust/admin\"\n\
                      [[access]]\nrole = \"reader\"\nsan = \"spiffe://corp.example/oncall/*\"\n";

/// A connection with a stream that goes on until somebody ends it.
struct Watching {
    client: NodeClient<Channel>,
    stream: Streaming<NodeStatus>,
}

impl Watching {
    async fn on(channel: Channel) -> Self {
        let mut client = NodeClient::new(channel);
        let mut stream = client.watch_status(WatchStatusRequest {}).await.unwrap().into_inner();
        assert!(stream.message().await.unwrap().is_some());
        Self { client, stream }
    }

    async fn over_tls(daemon: &Daemon, manner: &Manner) -> Self {
        Self::on(manner.channel(daemon.port).await.unwrap()).await
    }

    async fn ends_within(&mut self, limit: Duration) {
        let end = timeout(limit, self.stream.message()).await;
        assert!(matches!(end, Ok(Err(_))), "it goes on: {end:?}");
    }

    async fn goes_on(&mut self) {
        let more = timeout(Duration::from_millis(300), self.stream.message()).await;
        assert!(more.is_err(), "it ended: {more:?}");
        self.client.get_status(GetStatusRequest {}).await.unwrap();
    }
}

fn manner(pki: &Pki, san: &str, serial: u64) -> Manner {
    let shown = pki.root.client(|leaf| {
        leaf.subject_alt_names = vec![crate::pki::uri(san)];
        leaf.serial_number = Some(SerialNumber::from(serial));
    });
    Manner::new(&pki.root.certificate, Some(&shown))
}

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_revoked_certificate_ends_its_live_connections_and_no_others() {
    let pki = Pki::new();
    let daemon = Daemon::remote(PEOPLE, &pki, true).await;
    let (good, bad) = (manner(&pki, ADMIN, 1), manner(&pki, ADMIN, 2));
    let mut stays = Watching::over_tls(&daemon, &good).await;
    let mut goes = Watching::over_tls(&daemon, &bad).await;
    daemon.write("crl.pem", &pki.crl(&[2]));
    daemon.tls.as_ref().unwrap().look().await;
    goes.ends_within(SOON).await;
    stays.goes_on().await;
    assert_eq!(over_tls(&bad, daemon.port).await, Outcome::NoConnection);
    assert_eq!(daemon.node.streams(), 1, "the service still works for who is gone");
}

#[tokio::test]
async fn a_revocation_is_seen_without_being_told() {
    let pki = Pki::new();
    let daemon = Daemon::remote(PEOPLE, &pki, true).await;
    let mut goes = Watching::over_tls(&daemon, &manner(&pki, ADMIN, 2)).await;
    daemon.write("crl.pem", &pki.crl(&[2]));
    goes.ends_within(Duration::from_secs(8)).await;
}

#[tokio::test]
async fn a_name_taken_out_of_the_settings_ends_its_live_connections() {
    let pki = Pki::new();
    let daemon = Daemon::remote(PEOPLE, &pki, false).await;
    let mut admin = Watching::over_tls(&daemon, &manner(&pki, ADMIN, 1)).await;
    let mut oncall = Watching::over_tls(&daemon, &manner(&pki, ONCALL, 2)).await;
    daemon.change_access(
        "[[access]]\nrole = \"admin\"\nsan = \"spiffe://corp.example/regtrust/admin\"\n",
    );
    oncall.ends_within(SOON).await;
    admin.goes_on().await;
    // Less than before is not the same either: what was opened as an admin must not go on.
    daemon.change_access(
        "[[access]]\nrole = \"reader\"\nsan = \"spiffe://corp.example/regtrust/admin\"\n",
    );
    admin.ends_within(SOON).await;
    let again = over_tls(&manner(&pki, ADMIN, 1), daemon.port).await;
    assert_eq!(again, Outcome::Answered("reader".into()));
}

#[tokio::test]
async fn a_user_taken_out_of_the_settings_loses_its_live_connection() {
    let uid = rustix::process::geteuid().as_raw();
    let daemon = Daemon::local(&format!("[[access]]\nrole = \"operator\"\nuid = {uid}")).await;
    let mut watching = Watching::on(unix(&daemon.admin_socket()).await).await;
    daemon.change_access("[[access]]\nrole = \"operator\"\nuid = 4321");
    watching.ends_within(SOON).await;
}

#[tokio::test]
async fn a_certificate_that_expires_ends_its_connection() {
    let pki = Pki::new();
    let daemon = Daemon::remote(PEOPLE, &pki, false).await;
    let shown = pki.root.client(|leaf| {
        // The library that makes it counts whole seconds.
        let now = jiff::Timestamp::now().as_second();
        leaf.not_after =
            rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(now.unsigned_abs() + 6);
    });
    let mut goes =
        Watching::over_tls(&daemon, &Manner::new(&pki.root.certificate, Some(&shown))).await;
    goes.ends_within(Duration::from_secs(20)).await;
}

async fn shown_by(daemon: &Daemon, manner: &Manner) -> Option<CertificateDer<'static>> {
    let stream = manner.connect(daemon.port).await.ok()?;
    Some(stream.get_ref().1.peer_certificates().unwrap()[0].clone())
}

#[tokio::test]
async fn certificates_are_renewed_without_a_restart() {
    let pki = Pki::new();
    let daemon = Daemon::remote(PEOPLE, &pki, false).await;
    let client = manner(&pki, ADMIN, 1);
    let mut watching = Watching::over_tls(&daemon, &client).await;
    let before = shown_by(&daemon, &client).await.unwrap();

    let renewed = pki.server();
    daemon.write_server(&renewed);
    // Nobody says so; a handshake looks at most once a second.
    sleep(Duration::from_millis(1_100)).await;
    let after = shown_by(&daemon, &client).await.unwrap();
    assert_eq!(after, renewed.chain[0]);
    assert_ne!(after, before);
    watching.goes_on().await;

    // Half of a renewal is no reason to serve nobody.
    daemon.write("server.key", "-----BEGIN PRIVATE KEY-----\nhunter2\n");
    let tls = daemon.tls.as_ref().unwrap();
    tls.look().await;
    let trouble = tls.trouble().borrow().clone().unwrap();
    assert_eq!(trouble, "`/tls/server.key` holds no usable private key");
    daemon.write("server.key", &pki.server().key.serialize_pem());
    tls.look().await;
    let trouble = tls.trouble().borrow().clone().unwrap();
    assert!(trouble.contains("certificate and key cannot be used"), "{trouble}");
    assert_eq!(shown_by(&daemon, &client).await.unwrap(), renewed.chain[0]);
    watching.goes_on().await;
    daemon.write_server(&renewed);
    tls.look().await;
    assert_eq!(*tls.trouble().borrow(), None);
}

#[tokio::test]
async fn another_client_ca_ends_what_the_old_one_issued() {
    let pki = Pki::new();
    let daemon = Daemon::remote(PEOPLE, &pki, false).await;
    let mut watching = Watching::over_tls(&daemon, &manner(&pki, ADMIN, 1)).await;
    let other = Pki { root: Ca::root("other") };
    daemon.write("ca.crt", &(pki.root_pem() + &other.root_pem()));
    daemon.tls.as_ref().unwrap().look().await;
    watching.goes_on().await;
    let new = Manner { root: pki.root.certificate.clone(), ..manner(&other, ADMIN, 1) };
    assert_eq!(over_tls(&new, daemon.port).await, Outcome::Answered("admin".into()));
    daemon.write("ca.crt", &other.root_pem());
    daemon.tls.as_ref().unwrap().look().await;
    watching.ends_within(SOON).await;
    assert_eq!(over_tls(&manner(&pki, ADMIN, 1), daemon.port).await, Outcome::NoConnection);
}

#[tokio::test]
async fn a_stop_waits_for_calls_and_not_for_streams() {
    let daemon = Daemon::local("").await;
    let channel = unix(&daemon.admin_socket()).await;
    let mut watching = Watching::on(channel.clone()).await;
    let slow = tokio::spawn(async move {
        let host = "sleep-500".to_owned();
        NodeClient::new(channel).explain(regtrust::api::v1::ExplainRequest { host }).await
    });
    sleep(Duration::from_millis(100)).await;
    let node = daemon.node.clone();
    daemon.stop().await;
    assert!(slow.await.unwrap().is_ok(), "a call under way was cut off");
    watching.ends_within(SOON).await;
    assert_eq!(node.streams(), 0);
}

/// A session that is taken up again is believed without its certificate being looked at.
#[tokio::test]
async fn no_session_is_taken_up_again() {
    use rustls::HandshakeKind;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let pki = Pki::new();
    let daemon = Daemon::remote(PEOPLE, &pki, false).await;
    let config = manner(&pki, ADMIN, 1).config();
    for _ in 0..3 {
        let mut stream = crate::client::connect(config.clone(), daemon.port).await.unwrap();
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
        // A ticket comes with the first bytes after the handshake.
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut bytes = [0; 64];
        assert!(stream.read(&mut bytes).await.unwrap() > 0);
    }
}
