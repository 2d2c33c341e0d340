//! Callers of regtrustd on a node: a control plane in another language, and one that waits.

use std::time::{Duration, Instant};

use regtrust::api::v1::item_status::State;
use regtrust::api::v1::{ApplyRequest, ApplyResponse, Registry, Trust, Verdict, WaitFor};

use crate::case::{Case, case};
use crate::lab::daemon::{Daemon, connect};
use crate::lab::wait::block_on;
use crate::lab::{Authority, Node, Setup, Witness, python};

pub(crate) const CASES: &[Case] = &[
    case!(Kubernetes a_control_plane_in_python_does_all_that_the_contract_says),
    case!(Kubernetes an_answer_comes_as_late_as_it_was_asked_for),
];

const SOCKET: &str = "/run/regtrust/admin.sock";

fn a_control_plane_in_python_does_all_that_the_contract_says(node: &Node) {
    let before = Witness::of(node);
    let _daemon = Daemon::start(node);
    let authority = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(authority.path(), Authority::new("corp").root).unwrap();
    let socket = node.outside(SOCKET).display().to_string();
    let authority = authority.path().display().to_string();
    let said = python::run("control_plane.py", &[&socket, "{generated}", &authority]);
    eprintln!("{}: {}", node.suite, said.trim());
    let after = Witness::of(node);
    assert_eq!((after.docker.pid, after.containerd), (before.docker.pid, before.containerd));
}

/// Prints how long each answer takes; what is in it is what counts here.
fn an_answer_comes_as_late_as_it_was_asked_for(node: &Node) {
    let daemon = Daemon::start(node);
    let authority = Authority::new("corp");
    let host = node.host();
    let secure = Setup::tls(authority.server(&[&host.name])).at(&host).start(node);
    let registry = Registry {
        host: secure.name(),
        trust: Trust::Ca.into(),
        ca: authority.root.clone(),
        ..Registry::default()
    };
    let mut times = Vec::new();
    for wait_for in [WaitFor::Durable, WaitFor::InForce, WaitFor::Verified] {
        let (took, answer) = apply(node, vec![registry.clone()], wait_for);
        times.push(took);
        let items = &answer.registries[0].items;
        assert_eq!(items.len(), 2, "{wait_for:?}: {answer:?}");
        for item in items.iter().filter(|_| wait_for != WaitFor::Durable) {
            assert_eq!(item.state(), State::InForce, "{wait_for:?}: {answer:?}");
        }
        for item in items.iter().filter(|_| wait_for == WaitFor::Verified) {
            let verdict = item.proof.as_ref().map(regtrust::api::v1::Proof::verdict);
            assert_eq!(verdict, Some(Verdict::Trusted), "{answer:?}");
        }
        apply(node, vec![], WaitFor::Durable);
        daemon.settled();
    }
    eprintln!(
        "{}: a CA: durable {:?}, in force {:?}, verified {:?} after the request",
        node.suite, times[0], times[1], times[2]
    );
}

/// How long until the answer, and the answer.
fn apply(node: &Node, registries: Vec<Registry>, wait_for: WaitFor) -> (Duration, ApplyResponse) {
    block_on(async {
        let mut client = connect(node).await.expect("regtrustd listens");
        let wait_for = wait_for.into();
        let request = ApplyRequest { registries, wait_for, ..ApplyRequest::default() };
        let began = Instant::now();
        let answer = client.apply(request).await.expect("it is applied").into_inner();
        (began.elapsed(), answer)
    })
}
