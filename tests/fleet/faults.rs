//! A store that is full, callers that are not let in, and certificates.

use std::fs;
use std::path::Path;

use jiff::SignedDuration;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use regtrust::fleet::{FleetLock as _, Outcome, Taken};
use regtrust::node_path;
use regtrust::settings::{Credentials, Fleet};
use serde_json::json;

use crate::etcd::{Cluster, Member, addresses, is_available, lock};
use crate::gateway::{encoded, post};
use crate::{claim, free, names, take};

fn hurried(mut fleet: Fleet) -> Fleet {
    fleet.timeout = SignedDuration::from_secs(2);
    fleet
}

#[tokio::test]
async fn a_full_store_grants_nothing_and_still_takes_back() {
    if !is_available() {
        return;
    }
    let cluster = Cluster::with(1, &["--quota-backend-bytes", "2097152"], "http");
    let fleet = cluster.fleet();
    let a = cluster.lock("a", &fleet);
    let want = claim("docker");
    take(&a, &want).await;
    let address = &cluster.members[0].address;
    let value = encoded(&"x".repeat(200_000));
    for at in 0.. {
        let body = json!({ "key": encoded(&format!("rubbish{at}")), "value": value });
        let (status, answer) = post(address, "kv/put", &body).await;
        if status != 200 {
            assert!(answer.contains("space exceeded"), "{answer}");
            break;
        }
    }
    take(&a, &want).await;
    let b = cluster.lock("b", &hurried(fleet));
    assert!(matches!(b.take(&want).await, Taken::Busy { .. }));
    free(&a, &want, Outcome::Succeeded).await;
    assert_eq!(names(&b.list().await.unwrap()), (vec![], vec![]));
    let Taken::Unavailable { why } = b.take(&want).await else { panic!("where was it written?") };
    assert!(why.contains("takes no more writes") && why.contains("defragment"), "{why}");
    free(&b, &want, Outcome::NotTried).await;
    assert_eq!(names(&b.list().await.unwrap()), (vec![], vec![]));
}

#[tokio::test]
async fn whoever_is_not_let_in_is_told_so_at_once() {
    if !is_available() {
        return;
    }
    let cluster = Cluster::one();
    let mut fleet = cluster.fleet();
    cluster.lock("a", &fleet).list().await.unwrap();
    let address = &cluster.members[0].address;
    let permission = json!({ "permType": "READWRITE", "key": encoded("regtrust/v1/ci/"),
        "range_end": encoded("regtrust/v1/ci0") });
    for (path, body) in [
        ("auth/user/add", json!({ "name": "root", "password": "r" })),
        ("auth/user/grant", json!({ "user": "root", "role": "root" })),
        ("auth/user/add", json!({ "name": "node", "password": "hunter2" })),
        ("auth/role/add", json!({ "name": "locks" })),
        ("auth/role/grant", json!({ "name": "locks", "perm": permission })),
        ("auth/user/grant", json!({ "user": "node", "role": "locks" })),
        ("auth/enable", json!({})),
    ] {
        let (status, answer) = post(address, path, &body).await;
        let is_made = path == "auth/user/grant" && answer.contains("role name not found");
        assert!(status == 200 || is_made, "{path}: {answer}");
    }
    let want = claim("docker");
    fs::create_dir(cluster.directory.path().join("etc")).unwrap();
    let write = |password: &str| {
        fs::write(cluster.directory.path().join("etc/password"), password).unwrap();
    };
    let refused = cluster.lock("a", &fleet).take(&want).await;
    assert!(matches!(refused, Taken::Misconfigured { .. }), "{refused:?}");
    let file = node_path!("etc/password");
    fleet.credentials = Some(Credentials::Password { username: "node".to_owned(), file });
    let a = cluster.lock("a", &fleet);
    let Taken::Misconfigured { why } = a.take(&want).await else { panic!("without a file") };
    assert!(why.contains("`/etc/password` is not there"), "{why}");
    write("hunter3\n");
    let Taken::Misconfigured { why } = a.take(&want).await else { panic!("let in") };
    assert!(why.contains("invalid user ID or password") && !why.contains("hunter"), "{why}");
    write("hunter2\n");
    take(&a, &want).await;
    free(&a, &want, Outcome::Succeeded).await;
    assert_eq!(names(&a.list().await.unwrap()), (vec![], vec![]));
    fleet.group = "others".to_owned();
    let Taken::Misconfigured { why } = cluster.lock("a", &fleet).take(&want).await else {
        panic!("let into another group")
    };
    assert!(why.contains("permission denied"), "{why}");
}

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(parameters, key) }
    }

    fn issue(&self, directory: &Path, name: &str, address: &str) {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::default();
        parameters.subject_alt_names = vec![SanType::IpAddress(address.parse().unwrap())];
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        fs::write(directory.join(format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(directory.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

#[tokio::test]
async fn both_ends_show_certificates() {
    if !is_available() {
        return;
    }
    let address = addresses(1).remove(0);
    let directory = tempfile::tempdir().unwrap();
    let etc = directory.path().join("etc");
    fs::create_dir(&etc).unwrap();
    let (ours, another) = (Authority::new(), Authority::new());
    ours.issue(&etc, "server", &address);
    ours.issue(&etc, "client", "127.0.0.1");
    fs::write(etc.join("ca.pem"), &ours.pem).unwrap();
    fs::write(etc.join("other.pem"), &another.pem).unwrap();
    let file = |name: &str| etc.join(name).to_str().unwrap().to_owned();
    let (certificate, key, ca) = (file("server.pem"), file("server.key"), file("ca.pem"));
    let extra = ["--cert-file", &certificate, "--key-file", &key, "--client-cert-auth"];
    let extra = [extra.as_slice(), &["--trusted-ca-file", &ca]].concat();
    let cluster = Cluster::start(vec![Member::new(address, Vec::new())], &extra, "https");
    let mut fleet = cluster.fleet();
    let pair = (node_path!("etc/client.pem"), node_path!("etc/client.key"));
    fleet.files.pair = Some(pair.clone());
    let want = claim("docker");
    take(&lock(&directory, "a", &fleet), &want).await;

    let mut fleet = hurried(fleet);
    fleet.files.ca = Some(node_path!("etc/other.pem"));
    let Taken::Unavailable { why } = lock(&directory, "b", &fleet).take(&want).await else {
        panic!("a server of another authority is believed")
    };
    assert!(why.contains("certificate"), "{why}");
    fleet.files.ca = Some(node_path!("etc/ca.pem"));
    fleet.files.pair = None;
    let told = lock(&directory, "b", &fleet).take(&want).await;
    assert!(matches!(told, Taken::Unavailable { .. }), "{told:?}");
    fleet.files.pair = Some((pair.0, node_path!("etc/server.key")));
    let told = lock(&directory, "b", &fleet).take(&want).await;
    assert!(matches!(told, Taken::Misconfigured { .. }), "{told:?}");
}
