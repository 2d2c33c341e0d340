//! A registry behind a private CA, and one without TLS: on docker and on containerd through CRI.

use crate::case::{Case, case};
use crate::lab::registry::Registry;
use crate::lab::{Authority, Declaration, Node, Puller, Setup, Suite, Witness};

pub(crate) const CASES: &[Case] = &[
    case!(docker_trusts_a_private_ca_at_once_and_no_longer),
    case!(Fresh containerd_trusts_a_private_ca_after_the_one_restart_for_its_config_path),
    case!(Kubernetes containerd_pulls_without_tls_at_once),
    case!(Kubernetes containerd_skips_verification_at_once),
    case!(docker_pulls_without_tls_after_a_reload_and_not_before),
    case!(podman_trusts_what_docker_was_told),
    case!(buildkit_trusts_a_private_ca_at_once).on(&[Suite::Trixie, Suite::Forky]),
    case!(Fresh an_old_buildkit_sees_a_new_directory_after_a_restart_as_the_plan_notes)
        .on(&[Suite::Bookworm]),
];

const NOTHING: [&str; 0] = [];

/// A registry behind a CA of its own, and its declaration for one runtime.
fn behind_a_private_ca<'a>(node: &'a Node, runtime: &str) -> (Registry<'a>, Declaration) {
    let host = node.host();
    let authority = Authority::new("corp");
    let registry = Setup::tls(authority.server(&[&host.name])).at(&host).start(node);
    let declaration = Declaration::ca(&registry.name(), &authority.root).only(runtime);
    (registry, declaration)
}

fn docker_trusts_a_private_ca_at_once_and_no_longer(node: &Node) {
    let (registry, declaration) = behind_a_private_ca(node, "docker");
    let image = registry.image("app");
    let before = Witness::of(node);
    let words = Puller::Docker.pull(node, &image).unwrap_err();
    assert!(words.contains("x509: certificate signed by unknown authority"), "{words}");

    node.declare("corp", &declaration);
    let certificate = format!("/etc/docker/certs.d/{}/ca.crt", registry.name());
    let survey = node.apply();
    assert_eq!((survey.paths(), survey.due()), (vec![&*certificate], vec![]));
    Puller::Docker.pull(node, &image).unwrap();

    node.withdraw("corp");
    let survey = node.apply();
    assert_eq!((survey.paths(), survey.due()), (vec![&*certificate], vec![]));
    let words = Puller::Docker.pull(node, &image).unwrap_err();
    assert!(words.contains("x509: certificate signed by unknown authority"), "{words}");
    assert_eq!(Witness::of(node), before, "trust by certs.d disturbs nothing");
}

fn containerd_trusts_a_private_ca_after_the_one_restart_for_its_config_path(node: &Node) {
    let (registry, declaration) = behind_a_private_ca(node, "containerd");
    let (second, second_declaration) = behind_a_private_ca(node, "containerd");
    let image = registry.image("app");
    let words = Puller::Containerd.pull(node, &image).unwrap_err();
    assert!(words.contains("x509: certificate signed by unknown authority"), "{words}");

    node.declare("corp", &declaration);
    let survey = node.apply();
    assert_eq!(survey.due(), ["restart-containerd"]);
    let words = Puller::Containerd.pull(node, &image).unwrap_err();
    assert!(words.contains("x509"), "it needs the restart that the plan names: {words}");
    node.perform(&survey.effects);
    Puller::Containerd.pull(node, &image).unwrap();
    assert_eq!(node.plan().due(), NOTHING);

    let settled = Witness::of(node);
    let image = second.image("app");
    let words = Puller::Containerd.pull(node, &image).unwrap_err();
    assert!(words.contains("x509"), "{words}");
    node.declare("second", &second_declaration);
    assert_eq!(node.apply().due(), NOTHING);
    Puller::Containerd.pull(node, &image).unwrap();

    node.withdraw("second");
    assert_eq!(node.apply().due(), NOTHING);
    let words = Puller::Containerd.pull(node, &image).unwrap_err();
    assert!(words.contains("x509"), "{words}");
    assert_eq!(Witness::of(node), settled, "hosts.toml disturbs nothing once it is read");
}

/// Up to 1.7 containerd passes a hosts.toml without a `host` table over in silence. A `ca.crt` beside
/// it then works by accident; this does not.
fn containerd_pulls_without_tls_at_once(node: &Node) {
    let registry = Setup::plain().start(node);
    containerd_goes_by_the_declaration(node, &registry, "http", "HTTP response to HTTPS client");
}

fn containerd_skips_verification_at_once(node: &Node) {
    let host = node.host();
    let authority = Authority::new("corp");
    let registry = Setup::tls(authority.server(&["other.lab"])).at(&host).start(node);
    containerd_goes_by_the_declaration(node, &registry, "skip-verify", "x509");
}

fn containerd_goes_by_the_declaration(
    node: &Node,
    registry: &Registry<'_>,
    trust: &str,
    without: &str,
) {
    let image = registry.image("app");
    let before = Witness::of(node);
    for _ in 0..2 {
        let words = Puller::Containerd.pull(node, &image).unwrap_err();
        assert!(words.contains(without), "{words}");
        node.declare("corp", &Declaration::of(&registry.name(), trust).only("containerd"));
        assert_eq!(node.apply().due(), NOTHING);
        Puller::Containerd.pull(node, &image).unwrap();
        node.withdraw("corp");
        assert_eq!(node.apply().due(), NOTHING);
    }
    assert_eq!(Witness::of(node), before);
}

fn docker_pulls_without_tls_after_a_reload_and_not_before(node: &Node) {
    let registry = Setup::plain().start(node);
    let image = registry.image("app");
    let words = Puller::Docker.pull(node, &image).unwrap_err();
    assert!(words.contains("server gave HTTP response to HTTPS client"), "{words}");

    let host = registry.name();
    node.declare("plain", &Declaration::of(&host, "http").only("docker"));
    let before = Witness::of(node);
    let survey = node.apply();
    assert_eq!(survey.due(), ["reload-docker"]);
    let words = Puller::Docker.pull(node, &image).unwrap_err();
    assert!(words.contains("HTTP response"), "it needs the reload that the plan names: {words}");
    node.perform(&survey.effects);
    Puller::Docker.pull(node, &image).unwrap();
    assert_eq!(node.plan().due(), NOTHING);

    node.withdraw("plain");
    let survey = node.apply();
    assert_eq!(survey.due(), ["reload-docker"]);
    Puller::Docker.pull(node, &image).expect("a running dockerd forgets nothing by itself");
    node.perform(&survey.effects);
    let words = Puller::Docker.pull(node, &image).unwrap_err();
    assert!(words.contains("server gave HTTP response to HTTPS client"), "{words}");

    let mut after = before.clone();
    after.docker.hangups = before.docker.hangups + 2;
    assert_eq!(Witness::of(node), after, "two reloads, and nothing else");
}

/// Podman reads docker's certs.d where it has none of its own for the registry.
fn podman_trusts_what_docker_was_told(node: &Node) {
    let (registry, declaration) = behind_a_private_ca(node, "docker");
    let image = registry.image("app");
    let words = Puller::Podman.pull(node, &image).unwrap_err();
    assert!(words.contains("x509: certificate signed by unknown authority"), "{words}");
    node.declare("corp", &declaration);
    assert_eq!(node.apply().due(), NOTHING);
    Puller::Podman.pull(node, &image).unwrap();
    node.withdraw("corp");
    node.apply();
    Puller::Podman.pull(node, &image).unwrap_err();
}

/// BuildKit remembers how it once resolved a repository, so each build here has its own.
fn buildkit_trusts_a_private_ca_at_once(node: &Node) {
    let (registry, declaration) = behind_a_private_ca(node, "docker");
    let words = Puller::BuildKit.pull(node, &registry.image("before")).unwrap_err();
    assert!(words.contains("x509: certificate signed by unknown authority"), "{words}");
    let before = Witness::of(node);
    node.declare("corp", &declaration);
    assert_eq!(node.apply().due(), NOTHING);
    Puller::BuildKit.pull(node, &registry.image("with")).unwrap();
    node.withdraw("corp");
    assert_eq!(node.apply().due(), NOTHING);
    Puller::BuildKit.pull(node, &registry.image("after")).unwrap_err();
    assert_eq!(Witness::of(node), before);
}

/// docker 20.10 gives BuildKit the list of directories in certs.d once, when it starts.
fn an_old_buildkit_sees_a_new_directory_after_a_restart_as_the_plan_notes(node: &Node) {
    let (registry, declaration) = behind_a_private_ca(node, "docker");
    let image = registry.image("app");
    Puller::BuildKit.pull(node, &image).unwrap_err();
    node.declare("corp", &declaration);
    let survey = node.apply();
    assert!(survey.notes("only after a restart of dockerd"), "{}", survey.text);
    assert_eq!(survey.due(), NOTHING, "pulls do not need it, and containers would die of it");
    Puller::Docker.pull(node, &image).unwrap();
    let words = Puller::BuildKit.pull(node, &image).unwrap_err();
    assert!(words.contains("x509"), "{words}");
    node.sh("systemctl restart docker");
    Puller::BuildKit.pull(node, &image).unwrap();
}
