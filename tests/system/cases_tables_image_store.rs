//! docker with containerd's image store, which an administrator can switch on: it pulls by code of
//! its own, and from 28 on by containerd's, over docker's directories.
//!
//! | fact | docker 26.1 | 28.5 | shown by |
//! |---|---|---|---|
//! | certs.d is read at every pull | yes | yes | [`the_image_store_trusts_a_private_ca_at_once`] |
//! | insecure registries come with a reload | yes | yes | [`the_image_store_pulls_without_tls_after_a_reload`] |
//! | `host_port_` hides `host:port` | no | yes | [`a_directory_with_underscores_hides_ours_from_newer_image_stores`] |
//! | a hosts.toml in certs.d takes the place of what lies beside it, and of daemon.json | no | yes | [`a_hosts_toml_takes_docker_s_part_in_newer_image_stores`] |

use crate::case::{Case, case};
use crate::lab::{Authority, Declaration, Node, PLAIN, Puller, Setup, Suite, UNKNOWN, Witness};

pub(crate) const CASES: &[Case] = &[
    case!(Fresh the_image_store_trusts_a_private_ca_at_once).on(SUITES),
    case!(Fresh the_image_store_pulls_without_tls_after_a_reload).on(SUITES),
    case!(Fresh a_directory_with_underscores_hides_ours_from_newer_image_stores).on(SUITES),
    case!(Fresh a_hosts_toml_takes_docker_s_part_in_newer_image_stores).on(SUITES),
];

const SUITES: &[Suite] = &[Suite::Trixie, Suite::Forky];
const NOTHING: [&str; 0] = [];
const CERTS: &str = "/etc/docker/certs.d";
const DAEMON_JSON: &str = "/etc/docker/daemon.json";
const DOCKER: Puller = Puller::Docker;

fn switch_on(node: &Node) {
    node.write(DAEMON_JSON, "{\"features\": {\"containerd-snapshotter\": true}}");
    node.restart_by_hand("docker");
    let driver = node.sh("docker info --format '{{.DriverStatus}}'");
    assert!(driver.contains("io.containerd.snapshotter.v1"), "{driver}");
}

fn the_image_store_trusts_a_private_ca_at_once(node: &Node) {
    switch_on(node);
    let host = node.host();
    let authority = Authority::new("corp");
    let registry = Setup::tls(authority.server(&[&host.name])).at(&host).start(node);
    let image = registry.image("app");
    DOCKER.fails(node, &image, UNKNOWN);
    let before = Witness::of(node);
    node.declare("corp", &Declaration::ca(&registry.name(), &authority.root).only("docker"));
    assert_eq!(node.apply().due(), NOTHING);
    DOCKER.works(node, &image);
    node.withdraw("corp");
    assert_eq!(node.apply().due(), NOTHING);
    DOCKER.fails(node, &image, UNKNOWN);
    assert_eq!(Witness::of(node), before);
}

fn the_image_store_pulls_without_tls_after_a_reload(node: &Node) {
    switch_on(node);
    let registry = Setup::plain().start(node);
    let image = registry.image("app");
    DOCKER.fails(node, &image, PLAIN);
    node.declare("plain", &Declaration::of(&registry.name(), "http").only("docker"));
    let survey = node.apply();
    assert_eq!(survey.due(), ["reload-docker"]);
    DOCKER.fails(node, &image, PLAIN);
    node.perform(&survey.effects);
    DOCKER.works(node, &image);
    node.withdraw("plain");
    let survey = node.apply();
    node.perform(&survey.effects);
    DOCKER.fails(node, &image, PLAIN);
}

fn a_directory_with_underscores_hides_ours_from_newer_image_stores(node: &Node) {
    switch_on(node);
    let host = node.host();
    let authority = Authority::new("corp");
    let setup = Setup::tls(authority.server(&[&host.name])).at(&host).on_port(8443);
    let registry = setup.start(node);
    let image = registry.image("app");
    let alias = format!("{CERTS}/{}_8443_", host.name);
    node.declare("corp", &Declaration::ca(&registry.name(), &authority.root).only("docker"));
    node.apply();
    DOCKER.works(node, &image);
    node.sh(&format!("mkdir {alias}"));
    let (code, survey) = node.regtrust_exits(&["plan"]);
    if node.suite == Suite::Forky {
        DOCKER.fails(node, &image, UNKNOWN);
        assert_eq!(code, 1, "{}", survey.text);
        assert!(survey.is_blocked_by("look here before"), "{}", survey.text);
    } else {
        DOCKER.works(node, &image);
        assert_eq!(code, 0, "{}", survey.text);
    }
}

fn a_hosts_toml_takes_docker_s_part_in_newer_image_stores(node: &Node) {
    switch_on(node);
    let plain = Setup::plain().start(node);
    let (image, name) = (plain.image("app"), plain.name());
    node.declare("plain", &Declaration::of(&name, "http").only("docker"));
    let survey = node.apply();
    node.perform(&survey.effects);
    DOCKER.works(node, &image);
    let hosts = format!("[host.\"https://{name}\"]\ncapabilities = [\"pull\", \"resolve\"]\n");
    node.write(&format!("{CERTS}/{name}/hosts.toml"), hosts);
    let (code, survey) = node.regtrust_exits(&["plan"]);
    if node.suite == Suite::Forky {
        DOCKER.fails(node, &image, PLAIN);
        assert_eq!(code, 1, "{}", survey.text);
        assert!(survey.is_blocked_by("ignore daemon.json"), "{}", survey.text);
    } else {
        DOCKER.works(node, &image);
        assert_eq!(code, 0, "{}", survey.text);
    }
}
