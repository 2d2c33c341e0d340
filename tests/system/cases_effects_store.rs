//! The system's CA store: the distribution's tool makes the bundle, and a Go program loads that once,
//! at its first use, and for good. So the tool comes first and each daemon's restart after it, for
//! a CA that comes and for one that goes.

use crate::case::{Case, case};
use crate::lab::registry::Registry;
use crate::lab::{Authority, Declaration, Node, Puller, Setup, UNKNOWN, Witness};

pub(crate) const CASES: &[Case] = &[
    case!(Kubernetes a_ca_takes_the_tool_and_then_each_daemons_restart_to_enter_the_store_and_to_leave_it),
    case!(Kubernetes a_ca_that_never_entered_the_store_leaves_nothing_due),
    case!(Kubernetes what_the_tool_did_is_read_from_its_bundle),
    case!(a_store_is_no_business_of_a_containerd_that_nobody_pulls_through),
];

const NOTHING: [&str; 0] = [];
const ALL: [&str; 3] = ["run-ca-tool", "restart-containerd", "restart-docker"];
const RESTARTS: [&str; 2] = ["restart-containerd", "restart-docker"];
const BOTH: [Puller; 2] = [Puller::Docker, Puller::Containerd];

/// A registry that no entry names, so only the store can make anybody trust it.
fn unnamed<'a>(node: &'a Node, authority: &Authority) -> Registry<'a> {
    let host = node.host();
    Setup::tls(authority.server(&[&host.name])).at(&host).start(node)
}

fn in_store(authority: &Authority) -> Declaration {
    Declaration::ca("elsewhere.lab", &authority.root).line("system_store = true")
}

#[track_caller]
fn both_fail(node: &Node, image: &str) {
    for puller in BOTH {
        puller.fails(node, image, UNKNOWN);
    }
}

#[track_caller]
fn both_work(node: &Node, image: &str) {
    for puller in BOTH {
        puller.works(node, image);
    }
}

fn a_ca_takes_the_tool_and_then_each_daemons_restart_to_enter_the_store_and_to_leave_it(
    node: &Node,
) {
    let authority = Authority::new("corp");
    let registry = unnamed(node, &authority);
    let image = registry.image("app");
    both_fail(node, &image);
    node.declare("corp", &in_store(&authority));
    enters(node, &image);
    node.withdraw("corp");
    leaves(node, &image);
}

fn enters(node: &Node, image: &str) {
    let survey = node.apply();
    assert_eq!(survey.due(), ALL);
    both_fail(node, image);

    node.restart_by_hand("containerd docker");
    both_fail(node, image);
    assert_eq!(node.plan().due(), ALL, "they have loaded what was there, and that was the old");

    let before = Witness::of(node);
    node.perform(survey.effect("run-ca-tool"));
    assert_eq!(Witness::of(node), before, "no daemon notices");
    both_fail(node, image);
    assert_eq!(node.plan().due(), RESTARTS);
    assert_eq!(node.apply().due(), RESTARTS);

    node.reload_by_hand();
    both_fail(node, image);
    node.perform(survey.effect("restart-docker"));
    Puller::Docker.works(node, image);
    Puller::Containerd.fails(node, image, UNKNOWN);
    assert_eq!(node.plan().due(), ["restart-containerd"]);
    node.perform(survey.effect("restart-containerd"));
    both_work(node, image);
    assert_eq!(node.plan().due(), NOTHING);
    assert_eq!(node.apply().due(), NOTHING);
}

fn leaves(node: &Node, image: &str) {
    let survey = node.apply();
    assert_eq!(survey.due(), ALL);
    both_work(node, image);
    node.restart_by_hand("containerd docker");
    both_work(node, image);
    assert_eq!(node.plan().due(), ALL, "the bundle still had it when they started");

    node.perform(survey.effect("run-ca-tool"));
    both_work(node, image);
    assert_eq!(node.apply().due(), RESTARTS);
    node.perform(&[survey.effect("restart-containerd"), survey.effect("restart-docker")].concat());
    both_fail(node, image);
    assert_eq!(node.plan().due(), NOTHING);
    let left = node.sh("find /etc/ssl/certs /usr/local/share -name '*regtrust*'");
    assert_eq!(left, "", "the tool leaves no dead link behind");
}

fn a_ca_that_never_entered_the_store_leaves_nothing_due(node: &Node) {
    let authority = Authority::new("corp");
    let registry = unnamed(node, &authority);
    let image = registry.image("app");
    both_fail(node, &image);
    let before = Witness::of(node);
    node.declare("corp", &in_store(&authority));
    assert_eq!(node.apply().due(), ALL);
    node.withdraw("corp");
    assert_eq!(node.apply().due(), NOTHING);
    both_fail(node, &image);
    assert_eq!(Witness::of(node), before);
}

/// Two runs of Debian's tool at a time make a bundle of a few certificates, and both say that all
/// went well.
fn what_the_tool_did_is_read_from_its_bundle(node: &Node) {
    let authority = Authority::new("corp");
    let bundle = "/etc/ssl/certs/ca-certificates.crt";
    let without = node.read(bundle).unwrap();
    node.declare("corp", &in_store(&authority));
    let survey = node.apply();
    node.perform(survey.effect("run-ca-tool"));
    assert_eq!(node.plan().due(), RESTARTS);
    node.write(bundle, &without);
    let survey = node.apply();
    assert_eq!(survey.due(), ALL);
    node.perform(survey.effect("run-ca-tool"));
    assert_eq!(node.apply().due(), RESTARTS);
}

/// A containerd that only runs docker's containers verifies no registry.
fn a_store_is_no_business_of_a_containerd_that_nobody_pulls_through(node: &Node) {
    let authority = Authority::new("corp");
    let registry = unnamed(node, &authority);
    let image = registry.image("app");
    let docker = Puller::Docker;
    docker.fails(node, &image, UNKNOWN);
    let before = Witness::of(node);
    node.declare("corp", &in_store(&authority));
    let survey = node.apply();
    assert_eq!(survey.due(), ["run-ca-tool", "restart-docker"]);
    node.perform(&survey.effects);
    docker.works(node, &image);
    assert_eq!(Witness::of(node).containerd, before.containerd);
    assert_eq!(node.plan().due(), NOTHING);
}
