//! Docker Hub: the one registry that docker mirrors, and the one whose certificates it keeps apart.
//!
//! | fact | shown by |
//! |---|---|
//! | mirrors come and go with a reload | [`docker_hub_is_mirrored_after_a_reload_and_no_longer_after_another`] |
//! | docker asks Docker Hub when a mirror fails, whatever `fallback` says | [`docker_hub_itself_is_asked_when_the_mirror_has_nothing`] |
//! | a mirror without TLS is insecure as well before 28, and from 28 on its address is enough | [`a_mirror_without_tls_is_one`] |
//! | BuildKit before 25 has the mirrors that were there when dockerd started | [`an_old_buildkit_has_a_new_mirror_after_a_restart`] |
//! | a mirror's CA is looked up under the mirror's name by a pull, and by BuildKit from 28 on under Docker Hub's | [`a_mirrors_ca_is_read_under_two_names`] |
//! | a pull reads no certificates for Docker Hub itself, and BuildKit does from 28 on | [`docker_hubs_own_ca_is_read_by_newer_buildkits_alone`] |
//! | from 28 on BuildKit verifies Docker Hub no better than its mirrors | [`an_insecure_mirror_would_leave_docker_hub_unverified`] |
//! | containerd keeps Docker Hub under `docker.io`, and does without it where `fallback = false` | [`containerd_asks_docker_hubs_mirror`] |

use crate::case::{Case, case};
use crate::lab::certificates::Identity;
use crate::lab::registry::Registry;
use crate::lab::{Authority, Declaration, Host, Node, Puller, Setup, Suite, UNKNOWN, Witness};

pub(crate) const CASES: &[Case] = &[
    case!(docker_hub_is_mirrored_after_a_reload_and_no_longer_after_another),
    case!(Fresh docker_hub_itself_is_asked_when_the_mirror_has_nothing),
    case!(a_mirror_without_tls_is_one),
    case!(buildkit_has_a_new_mirror_after_a_reload).on(&[Suite::Trixie, Suite::Forky]),
    case!(Fresh an_old_buildkit_has_a_new_mirror_after_a_restart).on(&[Suite::Bookworm]),
    case!(a_mirrors_ca_is_read_under_two_names).on(&[Suite::Forky]),
    case!(docker_hubs_own_ca_is_read_by_newer_buildkits_alone),
    case!(an_insecure_mirror_would_leave_docker_hub_unverified).on(&[Suite::Trixie, Suite::Forky]),
    case!(Kubernetes containerd_asks_docker_hubs_mirror),
];

const NOTHING: [&str; 0] = [];
const DAEMON_JSON: &str = "/etc/docker/daemon.json";

/// Docker Hub as this node sees it, with a certificate that nothing on the node knows.
fn hub(node: &Node) -> (Registry<'_>, Authority) {
    let (host, authority) = (Host::docker_hub(), Authority::new("hub"));
    let registry = Setup::tls(authority.server(&[&host.name])).at(&host).start(node);
    (registry, authority)
}

/// An image of Docker Hub, which its mirrors have under the same name.
fn image(node: &Node, name: &str) -> String {
    let repository = format!("library/{name}");
    node.store_image(&repository, "");
    format!("docker.io/{repository}:1")
}

fn mirrored(mirror: &str, trust: &str, runtime: &str) -> Declaration {
    Declaration::of("docker.io", "system").only(runtime).line(&format!(
        "fallback = false\n[[registry.mirror]]\nurl = \"{mirror}\"\ntrust = \"{trust}\""
    ))
}

fn mirrored_by_tls(mirror: &Registry<'_>, ca: &str, runtime: &str) -> Declaration {
    let url = format!("https://{}", mirror.name());
    mirrored(&url, "ca", runtime).line(&format!("ca = '''{ca}'''"))
}

fn identity(host: &Host) -> (Authority, Identity) {
    let authority = Authority::new("mirror");
    let server = authority.server(&[&host.name]);
    (authority, server)
}

fn docker_hub_is_mirrored_after_a_reload_and_no_longer_after_another(node: &Node) {
    let (_hub, _) = hub(node);
    let host = node.host();
    let (authority, server) = identity(&host);
    let mirror = Setup::tls(server).at(&host).start(node);
    let (docker, image, before) = (Puller::Docker, image(node, "mirrored"), Witness::of(node));
    docker.fails(node, &image, UNKNOWN);

    node.declare("hub", &mirrored_by_tls(&mirror, &authority.root, "docker"));
    let survey = node.apply();
    assert_eq!(survey.due(), ["reload-docker"]);
    docker.fails(node, &image, UNKNOWN);
    assert_eq!(mirror.requests(), 0, "dockerd does not know of it yet");
    node.perform(&survey.effects);
    docker.works(node, &image);
    assert_ne!(mirror.requests(), 0);

    node.withdraw("hub");
    let survey = node.apply();
    assert_eq!(survey.due(), ["reload-docker"]);
    docker.fails(node, &image, UNKNOWN);
    node.perform(&survey.effects);
    docker.fails(node, &image, UNKNOWN);
    let mut after = before.clone();
    after.docker.hangups += 2;
    assert_eq!(Witness::of(node), after);
}

fn docker_hub_itself_is_asked_when_the_mirror_has_nothing(node: &Node) {
    let (hub, authority) = hub(node);
    node.write("/usr/local/share/ca-certificates/hub.crt", &authority.root);
    node.sh("update-ca-certificates && systemctl restart docker");
    let (docker, image) = (Puller::Docker, image(node, "asked"));
    docker.works(node, &image);

    for (setup, has_it) in [(Setup::plain(), true), (Setup::plain().empty(), false)] {
        let mirror = setup.start(node);
        let asked = hub.requests();
        let url = format!("http://{}", mirror.name());
        node.declare("hub", &mirrored(&url, "http", "docker"));
        let survey = node.apply();
        assert!(survey.notes("docker asks Docker Hub itself when a mirror fails"));
        node.perform(&survey.effects);
        docker.works(node, &image);
        assert_ne!(mirror.requests(), 0);
        assert_eq!(hub.requests() == asked, has_it);
    }
}

fn a_mirror_without_tls_is_one(node: &Node) {
    let (_hub, _) = hub(node);
    let mirror = Setup::plain().start(node);
    let (docker, image) = (Puller::Docker, image(node, "plain"));
    docker.fails(node, &image, UNKNOWN);
    node.declare("hub", &mirrored(&format!("http://{}", mirror.name()), "http", "docker"));
    let survey = node.apply();
    assert_eq!(survey.due(), ["reload-docker"]);
    node.perform(&survey.effects);
    docker.works(node, &image);
    assert_ne!(mirror.requests(), 0);
    let is_listed = node.read(DAEMON_JSON).unwrap().contains("insecure-registries");
    assert_eq!(is_listed, node.suite != Suite::Forky, "there it would concern Docker Hub too");
}

fn buildkit_has_a_new_mirror_after_a_reload(node: &Node) {
    let (_hub, _) = hub(node);
    let mirror = Setup::plain().start(node);
    let [before, between, after] =
        ["b-before", "b-between", "b-after"].map(|name| image(node, name));
    Puller::BuildKit.fails(node, &before, UNKNOWN);
    node.declare("hub", &mirrored(&format!("http://{}", mirror.name()), "http", "docker"));
    let survey = node.apply();
    Puller::BuildKit.fails(node, &between, UNKNOWN);
    node.perform(&survey.effects);
    Puller::BuildKit.works(node, &after);
    assert_ne!(mirror.requests(), 0);
}

/// The mirror has TLS, because to this BuildKit no `host:port` is insecure.
fn an_old_buildkit_has_a_new_mirror_after_a_restart(node: &Node) {
    let (_hub, _) = hub(node);
    let host = node.host();
    let (authority, server) = identity(&host);
    let mirror = Setup::tls(server).at(&host).start(node);
    let [reloaded, restarted] = ["reloaded", "restarted"].map(|name| image(node, name));
    node.declare("hub", &mirrored_by_tls(&mirror, &authority.root, "docker"));
    let survey = node.apply();
    assert_eq!(survey.due(), ["reload-docker"], "pulls do not need more");
    node.perform(&survey.effects);
    Puller::Docker.works(node, &reloaded);
    let asked = mirror.requests();
    Puller::BuildKit.fails(node, &reloaded, UNKNOWN);
    assert_eq!(mirror.requests(), asked);
    node.restart_by_hand("docker");
    Puller::BuildKit.works(node, &restarted);
    assert_ne!(mirror.requests(), asked);
}

fn a_mirrors_ca_is_read_under_two_names(node: &Node) {
    let (_hub, _) = hub(node);
    let host = node.host();
    let (authority, server) = identity(&host);
    let mirror = Setup::tls(server).at(&host).start(node);
    let image = |name: &str| image(node, &format!("two-names-{name}"));
    node.declare("hub", &mirrored_by_tls(&mirror, &authority.root, "docker"));
    let survey = node.apply();
    node.perform(&survey.effects);
    Puller::Docker.works(node, &image("pull"));
    Puller::BuildKit.works(node, &image("build"));

    let directory = "/etc/docker/certs.d";
    for (lost, without) in [("docker.io", Puller::BuildKit), (&*mirror.name(), Puller::Docker)] {
        node.remove(&format!("{directory}/{lost}"));
        let other = if without == Puller::Docker { Puller::BuildKit } else { Puller::Docker };
        other.works(node, &image(&format!("with-{lost}").replace('.', "-")));
        without.fails(node, &image(&format!("without-{lost}").replace('.', "-")), UNKNOWN);
        assert_eq!(node.apply().paths(), [format!("{directory}/{lost}/ca.crt")]);
    }
}

fn docker_hubs_own_ca_is_read_by_newer_buildkits_alone(node: &Node) {
    let (_hub, authority) = hub(node);
    let [pulled, built] = ["own-pulled", "own-built"].map(|name| image(node, name));
    node.declare("hub", &Declaration::ca("docker.io", &authority.root).only("docker"));
    let survey = node.apply();
    assert_eq!(survey.due(), NOTHING);
    Puller::Docker.fails(node, &pulled, UNKNOWN);
    if node.suite == Suite::Forky {
        assert!(survey.notes("the classic pull path does not"), "{}", survey.text);
        Puller::BuildKit.works(node, &built);
    } else {
        assert!(survey.notes("docker before 28 reads no certificates"), "{}", survey.text);
        assert_eq!(survey.paths(), NOTHING);
        Puller::BuildKit.fails(node, &built, UNKNOWN);
    }
}

fn an_insecure_mirror_would_leave_docker_hub_unverified(node: &Node) {
    let (hub, _) = hub(node);
    let host = node.host();
    let mirror = Setup::tls(identity(&host).1).at(&host).empty().start(node);
    let (before, after) = (image(node, "hole-before"), image(node, "hole-after"));
    Puller::BuildKit.fails(node, &before, UNKNOWN);

    let url = format!("https://{}", mirror.name());
    node.declare("hub", &mirrored(&url, "insecure", "docker"));
    let (code, survey) = node.regtrust_exits(&["apply"]);
    let shares = node.suite == Suite::Forky;
    assert_eq!((code, survey.conflicts.len()), if shares { (1, 1) } else { (0, 0) });
    assert_eq!(node.exists(DAEMON_JSON), !shares);
    node.withdraw("hub");
    node.apply();

    let name = mirror.name();
    node.write(
        DAEMON_JSON,
        format!("{{\"registry-mirrors\": [\"{url}\"], \"insecure-registries\": [\"{name}\"]}}"),
    );
    node.reload_by_hand();
    let unverified = Puller::BuildKit.pull(node, &after).is_ok();
    assert_eq!(unverified, shares, "whether Docker Hub's unknown certificate was accepted");
    assert_eq!(hub.requests() > 0, shares);
    node.write(DAEMON_JSON, "{\"registry-mirrors\": [], \"insecure-registries\": []}");
    node.reload_by_hand();
    node.remove(DAEMON_JSON);
}

fn containerd_asks_docker_hubs_mirror(node: &Node) {
    let (_hub, _) = hub(node);
    let (containerd, image) = (Puller::Containerd, image(node, "containerd"));
    containerd.fails(node, &image, UNKNOWN);
    let before = Witness::of(node);
    for (setup, has_it) in [(Setup::plain(), true), (Setup::plain().empty(), false)] {
        let mirror = setup.start(node);
        let url = format!("http://{}", mirror.name());
        node.declare("hub", &mirrored(&url, "http", "containerd"));
        let survey = node.apply();
        assert_eq!(survey.paths(), ["/etc/containerd/certs.d/docker.io/hosts.toml"]);
        assert_eq!(survey.due(), NOTHING);
        match containerd.pull(node, &image) {
            Ok(()) => assert!(has_it),
            Err(words) => assert!(!has_it && !words.contains("x509"), "{words}"),
        }
        assert_ne!(mirror.requests(), 0);
    }
    node.withdraw("hub");
    node.apply();
    containerd.fails(node, &image, UNKNOWN);
    assert_eq!(Witness::of(node), before);
}
