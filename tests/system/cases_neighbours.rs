//! What else is on a node: containers that run, and what an administrator wrote.

use crate::case::{Case, case};
use crate::lab::{Authority, Declaration, Node, Puller, Setup, Witness};

pub(crate) const CASES: &[Case] = &[
    case!(Fresh what_was_applied_is_in_force_after_a_reboot_and_nothing_is_due),
    case!(Fresh a_container_lives_through_everything_that_a_plan_names),
    case!(what_an_administrator_wrote_is_a_conflict_and_stays),
    case!(Kubernetes a_mirror_is_asked_first_and_the_registry_if_it_has_nothing),
    case!(Kubernetes without_a_fallback_the_registry_itself_is_not_asked),
];

fn a_container_lives_through_everything_that_a_plan_names(node: &Node) {
    node.start_container("customer");
    let before = Witness::of(node);
    let registry = Setup::plain().start(node);
    let image = registry.image("app");
    node.declare(
        "plain",
        &Declaration::of(&registry.name(), "http").line("runtimes = [\"docker\", \"containerd\"]"),
    );
    let survey = node.apply();
    assert_eq!(survey.due(), ["reload-docker", "restart-containerd"]);
    node.perform(&survey.effects);
    Puller::Docker.pull(node, &image).unwrap();
    Puller::Containerd.pull(node, &image).unwrap();

    let after = Witness::of(node);
    assert_eq!(after.containers, before.containers, "the same process");
    assert_eq!(
        after.docker.pid, before.docker.pid,
        "containerd is not restarted for docker's sake"
    );
    assert_ne!(after.containerd.pid, before.containerd.pid);
    assert_eq!(node.plan().due(), [] as [&str; 0]);
}

fn what_was_applied_is_in_force_after_a_reboot_and_nothing_is_due(node: &Node) {
    let host = node.host();
    let setup = || Setup::plain().at(&host);
    let registry = setup().start(node);
    let image = registry.image("app");
    let both = "runtimes = [\"docker\", \"containerd\"]";
    node.declare("plain", &Declaration::of(&registry.name(), "http").line(both));
    assert_eq!(node.apply().due(), ["reload-docker", "restart-containerd"]);

    node.reboot();
    let _registry = setup().start(node);
    assert_eq!(node.plan().due(), [] as [&str; 0], "both have started since");
    Puller::Docker.pull(node, &image).unwrap();
    Puller::Containerd.pull(node, &image).unwrap();
}

fn what_an_administrator_wrote_is_a_conflict_and_stays(node: &Node) {
    let host = node.host();
    let [theirs, declared] = ["theirs", "declared"].map(Authority::new);
    let registry = Setup::tls(theirs.server(&[&host.name])).at(&host).start(node);
    let image = registry.image("app");
    let directory = format!("/etc/docker/certs.d/{}", registry.name());
    let path = format!("{directory}/ca.crt");
    node.write(&path, &theirs.root);
    Puller::Docker.pull(node, &image).unwrap();

    node.declare("corp", &Declaration::ca(&registry.name(), &declared.root).only("docker"));
    let (code, survey) = node.regtrust_exits(&["apply"]);
    assert_eq!((code, survey.conflicts.len()), (1, 1), "{}", survey.text);
    assert_eq!(node.read(&path).as_deref(), Some(&*theirs.root));
    Puller::Docker.pull(node, &image).unwrap();

    node.remove(&directory);
    assert_eq!(node.apply().paths(), [&*path]);
    Puller::Docker.pull(node, &image).expect_err("the declared CA is another one");
    node.withdraw("corp");
    node.apply();
    assert!(!node.exists(&directory));
    node.remove("/etc/docker/certs.d");
}

fn a_mirror_is_asked_first_and_the_registry_if_it_has_nothing(node: &Node) {
    let registry = Setup::plain().start(node);
    let image = registry.image("app");
    for (setup, is_served_by_it) in [(Setup::plain(), true), (Setup::plain().empty(), false)] {
        let mirror = setup.start(node);
        let asked = registry.requests();
        node.declare("corp", &mirrored(&registry.name(), &mirror.name(), true));
        assert_eq!(node.apply().due(), [] as [&str; 0]);
        Puller::Containerd.pull(node, &image).unwrap();
        assert_ne!(mirror.requests(), 0);
        assert_eq!(registry.requests() == asked, is_served_by_it);
    }
}

fn without_a_fallback_the_registry_itself_is_not_asked(node: &Node) {
    let (registry, mirror) = (Setup::plain().start(node), Setup::plain().empty().start(node));
    let image = registry.image("app");
    node.declare("corp", &mirrored(&registry.name(), &mirror.name(), false));
    node.apply();
    Puller::Containerd.pull(node, &image).unwrap_err();
    assert_eq!(registry.requests(), 0);
    node.declare("corp", &mirrored(&registry.name(), &mirror.name(), true));
    node.apply();
    Puller::Containerd.pull(node, &image).unwrap();
    assert_ne!(registry.requests(), 0);
}

fn mirrored(host: &str, mirror: &str, fallback: bool) -> Declaration {
    Declaration::of(host, "http")
        .only("containerd")
        .line(&format!("fallback = {fallback}"))
        .line(&format!("[[registry.mirror]]\nurl = \"http://{mirror}\"\ntrust = \"http\""))
}
