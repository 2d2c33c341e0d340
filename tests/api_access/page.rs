//! `GET /metrics`: who is shown it, and in which protocol.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::process::Uid;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::client::{Manner, PATIENCE};
use crate::daemon::{Daemon, PAGE};
use crate::pki::{ADMIN, Pki};

/// Sends it as it stands, and reads until the daemon ends the connection.
async fn said(socket: PathBuf, request: &'static str, uid: Option<u32>) -> String {
    let talk = move || {
        if let Some(uid) = uid {
            rustix::thread::set_thread_uid(Uid::from_raw(uid)).unwrap();
        }
        let mut stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // It may be closed before all of it was taken.
        _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    };
    // A thread of its own: the kernel notes who the connecting thread is.
    let (sender, answer) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || sender.send(talk()).unwrap());
    answer.await.unwrap()
}

const ASK: &str = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn a_person_with_curl_reads_it_on_the_sockets() {
    let daemon = Daemon::local("").await;
    for socket in [daemon.admin_socket(), daemon.read_socket()] {
        let answer = said(socket, ASK, None).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("content-type: text/plain; version=0.0.4"), "{answer}");
        assert!(answer.ends_with(PAGE), "{answer}");
    }
    assert_eq!(daemon.node.calls(), 0);
}

#[tokio::test]
async fn nothing_else_is_understood_there() {
    let daemon = Daemon::local("").await;
    for request in [
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /metrics/../regtrust.v1.Node/GetStatus HTTP/1.1\r\n\r\n",
        "POST /regtrust.v1.Node/Apply HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        "get /metrics HTTP/1.1\r\n\r\n",
    ] {
        assert_eq!(said(daemon.admin_socket(), request, None).await, "", "{request}");
    }
    let garbage = said(daemon.admin_socket(), "GET /metrics nonsense\r\n\r\n", None).await;
    assert!(garbage.is_empty() || garbage.starts_with("HTTP/1.1 400"), "{garbage}");
    // A second request on the same connection is not answered.
    let two = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\nGET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = said(daemon.admin_socket(), two, None).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "{answer}");
    assert_eq!(daemon.node.calls(), 0);
}

#[tokio::test]
async fn who_may_not_read_gets_no_empty_page() {
    if !rustix::process::geteuid().is_root() {
        println!("NOT TESTED: only root can be somebody else");
        return;
    }
    let daemon = Daemon::local("[[access]]\nrole = \"reader\"\nuid = 4321").await;
    for path in [daemon.admin_socket(), daemon.read_socket()] {
        crate::sockets::let_everybody_in(&path);
        let reader = said(path.clone(), ASK, Some(4321)).await;
        assert!(reader.ends_with(PAGE), "{reader}");
        let stranger = said(path, ASK, Some(4322)).await;
        assert!(stranger.starts_with("HTTP/1.1 403"), "{stranger}");
        assert!(!stranger.contains(PAGE), "{stranger}");
    }
}

/// As Prometheus asks.
async fn over_http2<S>(stream: S, method: &str) -> Option<(StatusCode, String)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let shaken = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.ok()?;
    tokio::spawn(connection);
    let request = Request::builder().method(method).uri("https://node.corp/metrics");
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let response = sender.send_request(request).await.ok()?;
    let code = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Some((code, String::from_utf8(body.to_vec()).unwrap()))
}

#[tokio::test]
async fn prometheus_reads_it_over_tls() {
    let pki = Pki::new();
    let people = format!("[[access]]\nrole = \"reader\"\nsan = \"{ADMIN}\"\n");
    let daemon = Daemon::remote(&people, &pki, true).await;
    let manner = Manner::new(&pki.root.certificate, Some(&pki.admin()));
    let stream = manner.connect(daemon.port).await.unwrap();
    let shown = over_http2(stream, "GET").await.unwrap();
    assert_eq!(shown, (StatusCode::OK, PAGE.to_owned()));
    let stream = manner.connect(daemon.port).await.unwrap();
    let (code, _) = over_http2(stream, "POST").await.unwrap();
    assert_eq!(code, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(daemon.node.calls(), 0);

    let nobody = Manner::new(&pki.root.certificate, None);
    // TLS 1.3 lets a client send before the server has looked at its certificate.
    if let Ok(stream) = nobody.connect(daemon.port).await {
        assert_eq!(over_http2(stream, "GET").await, None);
    }
    let ends = daemon.tls.as_ref().unwrap().ends();
    assert!(ends.certificate.is_some() && ends.list.is_some(), "{ends:?}");
}

#[tokio::test]
async fn a_certificate_without_a_role_reads_nothing() {
    let pki = Pki::new();
    let daemon = Daemon::remote("", &pki, true).await;
    let manner = Manner::new(&pki.root.certificate, Some(&pki.admin()));
    let stream = manner.connect(daemon.port).await.unwrap();
    let (code, text) = over_http2(stream, "GET").await.unwrap();
    assert_eq!(code, StatusCode::FORBIDDEN);
    assert!(!text.contains(PAGE), "{text}");
}
