//! Every call, every role, every transport.

use std::collections::BTreeSet;

use http::uri::PathAndQuery;
use regtrust::api::access::RULES;
use regtrust::identity::Role;
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::client::{Manner, is_denied, unix};
use crate::daemon::Daemon;
use crate::pki::{ADMIN, Pki};

/// Written out once more, and not taken from the table that is tested.
const NODE: [(&str, Role); 18] = [
    ("Apply", Role::Admin),
    ("Plan", Role::Reader),
    ("Confirm", Role::Admin),
    ("GetStatus", Role::Reader),
    ("WatchStatus", Role::Reader),
    ("GetDesired", Role::Reader),
    ("Explain", Role::Reader),
    ("Check", Role::Operator),
    ("Reconcile", Role::Operator),
    ("Rollback", Role::Operator),
    ("ListGenerations", Role::Reader),
    ("Pause", Role::Operator),
    ("Resume", Role::Operator),
    ("Restart", Role::Operator),
    ("HoldJob", Role::Operator),
    ("ListLocks", Role::Reader),
    ("Unlock", Role::Admin),
    ("ResolveAttempts", Role::Admin),
];
const OTHERS: [&str; 3] = [
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
];
const STREAMS: [&str; 4] = ["WatchStatus", "HoldJob", "Watch", "ServerReflectionInfo"];

fn expected() -> Vec<(String, Role)> {
    let node = NODE.iter().map(|(name, role)| (format!("/regtrust.v1.Node/{name}"), *role));
    node.chain(OTHERS.iter().map(|path| ((*path).to_owned(), Role::Reader))).collect()
}

/// Calls with an empty request, and waits for the first answer.
pub(crate) async fn call(channel: &Channel, path: &str) -> Result<(), Status> {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let target: PathAndQuery = path.parse().unwrap();
    let codec = ProstCodec::<(), ()>::default();
    if STREAMS.iter().any(|name| path.ends_with(&format!("/{name}"))) {
        let requests = Request::new(tokio_stream::once(()));
        let mut answers = grpc.streaming(requests, target, codec).await?.into_inner();
        answers.message().await?.ok_or_else(|| Status::internal("no answer"))
    } else {
        grpc.unary(Request::new(()), target, codec).await.map(|_| ())
    }
}

async fn check_row(daemon: &Daemon, channel: &Channel, role: Option<Role>, what: &str) -> usize {
    let mut cells = 0;
    for (path, needed) in expected() {
        let before = daemon.node.calls();
        let outcome = call(channel, &path).await;
        let reached = daemon.node.calls() - before;
        let is_node = path.starts_with("/regtrust");
        let cell = format!("{what}, {role:?}, {path}: {outcome:?}");
        if role.is_some_and(|role| role >= needed) {
            // An empty question is answered by reflection as what it is.
            let empty = matches!(&outcome, Err(status) if status.code() == Code::InvalidArgument);
            assert!(outcome.is_ok() || empty && path.contains("reflection"), "{cell}");
            assert_eq!(reached, usize::from(is_node), "{cell}");
        } else {
            assert!(matches!(&outcome, Err(status) if is_denied(status)), "{cell}");
            assert_eq!(reached, 0, "refused, and reached the service: {cell}");
        }
        cells += 1;
    }
    cells
}

fn grant(who: &str, role: Option<Role>) -> String {
    role.map_or(String::new(), |role| format!("[[access]]\nrole = \"{role}\"\n{who}\n"))
}

#[tokio::test]
async fn every_call_every_role_every_transport() {
    const ROLES: [Option<Role>; 4] =
        [None, Some(Role::Reader), Some(Role::Operator), Some(Role::Admin)];
    let me = rustix::process::geteuid().as_raw();
    let pki = Pki::new();
    let mut cells = 0;
    for role in ROLES {
        let by_certificate = grant(&format!("san = \"{ADMIN}\""), role);
        // Root has a role always, so it is somebody else who has none; see `sockets`.
        let people = if role.is_none() && me == 0 {
            by_certificate
        } else {
            by_certificate + &grant(&format!("uid = {me}"), role)
        };
        let daemon = Daemon::remote(&people, &pki, true).await;
        let manner = Manner::new(&pki.root.certificate, Some(&pki.admin()));
        let tcp = manner.channel(daemon.port).await.unwrap();
        cells += check_row(&daemon, &tcp, role, "TCP").await;
        if role.is_some() || me != 0 {
            let admin = unix(&daemon.admin_socket()).await;
            cells += check_row(&daemon, &admin, role, "admin socket").await;
            let read = unix(&daemon.read_socket()).await;
            let most = role.map(|_| Role::Reader);
            cells += check_row(&daemon, &read, most, "read socket").await;
        } else {
            for path in [daemon.admin_socket(), daemon.read_socket()] {
                let stranger = crate::sockets::as_user(4321, &path).await;
                cells += check_row(&daemon, &stranger, None, "socket of another user").await;
            }
        }
    }
    println!("{cells} cells");
    assert_eq!(cells, 21 * 4 * 3);
    let ruled: BTreeSet<_> = RULES.iter().map(|rule| (rule.path.to_owned(), rule.role)).collect();
    assert_eq!(ruled, expected().into_iter().collect());
}

#[tokio::test]
async fn the_owner_comes_from_the_certificate_and_from_nothing_else() {
    use regtrust::api::v1::GetStatusRequest;
    use regtrust::api::v1::node_client::NodeClient;

    let pki = Pki::new();
    let people = "[[access]]\nrole = \"reader\"\nsan = \"spiffe://corp.example/*\"\n\
                  [[owner]]\nname = \"zadig\"\nhosts = [\"*\"]\nsan = \"spiffe://corp.example/zadig\"\n";
    let daemon = Daemon::remote(people, &pki, false).await;
    for (san, owner) in
        [("spiffe://corp.example/zadig", "zadig"), ("spiffe://corp.example/zadig2", "none")]
    {
        let manner = Manner::new(&pki.root.certificate, Some(&pki.named(san)));
        let mut client = NodeClient::new(manner.channel(daemon.port).await.unwrap());
        let mut request = Request::new(GetStatusRequest {});
        // What a request says of itself is nobody's word.
        for header in ["seen-owner", "x-forwarded-user", "authorization"] {
            request.metadata_mut().insert(header, "zadig".parse().unwrap());
        }
        let response = client.get_status(request).await.unwrap();
        assert_eq!(response.metadata().get("seen-owner").unwrap(), owner);
        assert_eq!(response.metadata().get("seen").unwrap(), san);
    }
}

#[tokio::test]
async fn a_call_that_does_not_exist_reaches_nothing() {
    let daemon = Daemon::local("").await;
    let channel = unix(&daemon.admin_socket()).await;
    for path in ["/regtrust.v1.Node/Nope", "/x.Y/Z", "/regtrust.v1.Node/apply"] {
        let status = call(&channel, path).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented, "{path}");
        assert_eq!(crate::client::reason(&status), "UNKNOWN_CALL");
    }
    assert_eq!(daemon.node.calls(), 0);
}
