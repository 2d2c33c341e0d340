//! Peers that are slow, loud or speak something else, beside one that is neither.

use std::path::Path;
use std::time::Duration;

use regtrust::api::v1::node_client::NodeClient;
use regtrust::api::v1::{
    ApplyRequest, ExplainRequest, GetStatusRequest, Registry, WatchStatusRequest,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Request};

use crate::client::{Manner, Outcome, over_tls, reason, status, unix};
use crate::daemon::Daemon;
use crate::pki::Pki;

const PEOPLE: &str =
    "[[access]]\nrole = \"admin\"\nsan = \"spiffe://corp.example/regtrust/admin\"\n";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether the other side closes within the time.
async fn is_closed(stream: &mut (impl tokio::io::AsyncRead + Unpin), limit: Duration) -> bool {
    let all = async {
        let mut bytes = [0; 4096];
        while !matches!(stream.read(&mut bytes).await, Ok(0) | Err(_)) {}
    };
    timeout(limit, all).await.is_ok()
}

/// How long an honest call over a new connection takes.
async fn honest(daemon: &Daemon, manner: &Manner) -> Duration {
    let begin = Instant::now();
    let outcome = over_tls(manner, daemon.port).await;
    assert_eq!(outcome, Outcome::Answered("admin".into()));
    begin.elapsed()
}

#[tokio::test]
async fn a_thousand_half_open_connections_keep_nobody_out() {
    let pki = Pki::new();
    let daemon = Daemon::remote(PEOPLE, &pki, false).await;
    let manner = Manner::new(&pki.root.certificate, Some(&pki.admin()));
    let mut held = Vec::new();
    // Half of our own descriptors are enough: the daemon lives in this process too.
    for number in 0..1_000 {
        let mut stream = TcpStream::connect(("127.0.0.1", daemon.port)).await.unwrap();
        // Some say nothing, and some begin a TLS record that never ends.
        if number % 2 == 0 {
            stream.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).await.unwrap();
        }
        held.push(stream);
        if number % 100 == 99 {
            let took = honest(&daemon, &manner).await;
            assert!(took < Duration::from_secs(2), "{took:?} beside {number} half-open ones");
        }
        if held.len() > 300 {
            let mut oldest = held.remove(0);
            assert!(is_closed(&mut oldest, Duration::from_secs(1)).await, "its place was needed");
        }
    }
    assert!(is_closed(held.last_mut().unwrap(), Duration::from_secs(7)).await, "5 s are over");
    honest(&daemon, &manner).await;
}

async fn raw(path: &Path) -> UnixStream {
    UnixStream::connect(path).await.unwrap()
}

#[tokio::test]
async fn what_is_no_http_2_is_closed_at_once_and_silence_soon() {
    let daemon = Daemon::local("").await;
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
    ] {
        let mut stream = raw(&daemon.admin_socket()).await;
        stream.write_all(bytes).await.unwrap();
        assert!(is_closed(&mut stream, Duration::from_secs(2)).await, "{bytes:?}");
    }
    // A preface is not the whole of it: what follows must be frames.
    let mut stream = raw(&daemon.admin_socket()).await;
    stream.write_all(&[PREFACE, &[0xff; 64]].concat()).await.unwrap();
    assert!(is_closed(&mut stream, Duration::from_secs(2)).await);

    let begin = Instant::now();
    let mut silent = raw(&daemon.admin_socket()).await;
    let mut slow = raw(&daemon.admin_socket()).await;
    let dripping = tokio::spawn(async move {
        for byte in &PREFACE[..20] {
            if slow.write_all(&[*byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(400)).await;
        }
        is_closed(&mut slow, Duration::from_secs(1)).await
    });
    assert_eq!(status(unix(&daemon.admin_socket()).await).await, Outcome::Answered("admin".into()));
    assert!(is_closed(&mut silent, Duration::from_secs(7)).await);
    assert!(dripping.await.unwrap(), "it may drip for ever");
    assert!(begin.elapsed() > Duration::from_secs(4), "who needs a moment must have it");
}

#[tokio::test]
async fn too_much_is_refused_by_role_before_it_is_read() {
    let uid = rustix::process::geteuid().as_raw();
    let daemon = Daemon::local(&format!("[[access]]\nrole = \"admin\"\nuid = {uid}")).await;
    let admin = NodeClient::new(unix(&daemon.admin_socket()).await);
    let mut reader = NodeClient::new(unix(&daemon.read_socket()).await);
    let explain = |size: usize| ExplainRequest { host: "x".repeat(size) };
    for (size, fits) in [(60 << 10, true), (66 << 10, false), (4 << 20, false)] {
        for client in [&mut admin.clone(), &mut reader] {
            let outcome = client.explain(explain(size)).await;
            assert_eq!(outcome.is_ok(), fits, "{size}: {outcome:?}");
            if let Err(status) = outcome {
                assert_eq!(
                    (status.code(), reason(&status).as_str()),
                    (Code::InvalidArgument, "INVALID_REQUEST")
                );
            }
        }
    }
    let set = |count: usize| ApplyRequest {
        registries: vec![Registry { ca: "x".repeat(1 << 20), ..Default::default() }; count],
        ..Default::default()
    };
    assert!(admin.clone().apply(set(30)).await.is_ok(), "30 MiB of declarations fit");
    let status = admin.clone().apply(set(33)).await.unwrap_err();
    assert_eq!(reason(&status), "INVALID_REQUEST");
    let calls = daemon.node.calls();
    let status = reader.apply(set(30)).await.unwrap_err();
    assert_eq!(reason(&status), "ROLE_TOO_LOW");
    assert_eq!(daemon.node.calls(), calls);
}

#[tokio::test]
async fn large_headers_are_refused() {
    let daemon = Daemon::local("").await;
    let mut client = NodeClient::new(unix(&daemon.admin_socket()).await);
    for (size, fits) in [(8 << 10, true), (20 << 10, false), (200 << 10, false)] {
        let mut request = Request::new(GetStatusRequest {});
        request.metadata_mut().insert("x-large", "x".repeat(size).parse().unwrap());
        assert_eq!(client.get_status(request).await.is_ok(), fits, "{size}");
    }
}

#[tokio::test]
async fn one_caller_cannot_take_all_calls_or_connections() {
    let uid = rustix::process::geteuid().as_raw();
    let daemon = Daemon::local(&format!("[[access]]\nrole = \"reader\"\nuid = {uid}")).await;
    let mut seats = Vec::new();
    for _ in 0..8 {
        seats.push(unix(&daemon.admin_socket()).await);
        assert_eq!(status(seats.last().unwrap().clone()).await, Outcome::Answered("reader".into()));
    }
    let mut ninth = raw(&daemon.admin_socket()).await;
    assert!(is_closed(&mut ninth, Duration::from_secs(1)).await, "a reader has eight");
    drop(seats.pop());
    sleep(Duration::from_millis(50)).await;

    let slow = |at: usize| {
        let mut client = NodeClient::new(seats[at % seats.len()].clone());
        tokio::spawn(async move {
            client.explain(ExplainRequest { host: "sleep-1000".to_owned() }).await
        })
    };
    let calls: Vec<_> = (0..20).map(slow).collect();
    let mut answered = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(_) => answered += 1,
            Err(status) => {
                assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "BUSY"));
            }
        }
    }
    assert_eq!(answered, 8, "of one caller, over however many connections");
    assert_eq!(status(seats[0].clone()).await, Outcome::Answered("reader".into()), "and then more");

    let mut streams = Vec::new();
    for number in 0..20 {
        let mut client = NodeClient::new(seats[number % seats.len()].clone());
        streams.extend(client.watch_status(WatchStatusRequest {}).await);
    }
    assert_eq!((streams.len(), daemon.node.streams()), (16, 16));
}

#[tokio::test]
async fn a_client_that_gives_up_is_not_worked_for() {
    let daemon = Daemon::local("").await;
    let mut client = NodeClient::new(unix(&daemon.admin_socket()).await);
    let mut request = Request::new(ExplainRequest { host: "sleep-3000".to_owned() });
    request.set_timeout(Duration::from_millis(200));
    let begin = Instant::now();
    let status = client.explain(request).await.unwrap_err();
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status:?}");
    assert!(begin.elapsed() < Duration::from_secs(2));
    assert_eq!(daemon.node.calls(), 0, "it was worked for to the end");
}
