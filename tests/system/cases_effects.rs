//! Effects, one by one: each that a plan names is necessary, and all of them together are
//! sufficient. `cases_effects_store` has those of the system store.
//!
//! | change | docker 20.10 | 26.1, 28.5 | containerd | shown by |
//! |---|---|---|---|---|
//! | CA or client pair in certs.d | nothing | nothing | – | `docker_trusts_a_private_ca_at_once_and_no_longer`, `a_registry_that_demands_a_client_certificate_gets_it` |
//! | the same for `docker build` | restart if the directory is new | nothing, but a failure is remembered | – | `cases_tables_buildkit` |
//! | insecure registry added | reload | reload | – | `docker_pulls_without_tls_after_a_reload_and_not_before` |
//! | some removed, all removed | reload, of `[]` | reload, of `[]` | – | [`insecure_registries_come_and_go_one_by_one`], `a_key_that_is_deleted_changes_nothing_and_an_empty_list_does` |
//! | mirrors of Docker Hub | reload | reload | – | `cases_tables_hub` |
//! | the system's CA store | tool, restart | tool, restart | tool, restart | `cases_effects_store` |
//! | flags of dockerd | restart, and never regtrust's | | – | `a_flag_of_dockerd_and_the_same_key_in_the_file_do_not_go_together` |
//! | hosts.toml, new directories beside it | – | – | nothing | `containerd_pulls_without_tls_at_once` |
//! | `config_path` | – | – | restart | `containerd_trusts_a_private_ca_after_the_one_restart_for_its_config_path` |
//! | SIGHUP | reload | reload | death | `a_signal_kills_containerd_so_that_no_plan_has_one` |

use crate::case::{Case, case};
use crate::lab::registry::Registry;
use crate::lab::{Authority, Declaration, Node, PLAIN, Puller, Setup, UNKNOWN, Witness};

pub(crate) const CASES: &[Case] = &[
    case!(docker_pushes_to_whom_it_pulls_from),
    case!(insecure_registries_come_and_go_one_by_one),
    case!(Fresh what_is_due_for_one_daemon_is_no_use_to_the_other),
    case!(Fresh a_restart_that_somebody_did_is_a_reload_that_nobody_needs),
    case!(Fresh a_docker_that_is_stopped_needs_no_effect),
    case!(Fresh a_containerd_that_is_stopped_needs_no_effect),
];

const NOTHING: [&str; 0] = [];
const DAEMON_JSON: &str = "/etc/docker/daemon.json";

fn without_tls<'a>(node: &'a Node, runtimes: &str) -> (Registry<'a>, Declaration) {
    let registry = Setup::plain().start(node);
    let declaration = Declaration::of(&registry.name(), "http");
    let declaration = declaration.line(&format!("runtimes = [{runtimes}]"));
    (registry, declaration)
}

fn docker_pushes_to_whom_it_pulls_from(node: &Node) {
    let host = node.host();
    let authority = Authority::new("corp");
    let registry = Setup::tls(authority.server(&[&host.name])).at(&host).start(node);
    let image = format!("{}/pushed/app:1", registry.name());
    node.sh(&format!("echo pushed > /tmp/pushed; tar -cC /tmp pushed | docker import - {image}"));
    let push = || node.run(["docker", "push", "--quiet", &image]).verdict();
    let before = Witness::of(node);
    let words = push().unwrap_err();
    assert!(words.contains(UNKNOWN), "{words}");
    node.declare("corp", &Declaration::ca(&registry.name(), &authority.root).only("docker"));
    assert_eq!(node.apply().due(), NOTHING);
    push().unwrap();
    Puller::Docker.works(node, &image);
    node.withdraw("corp");
    assert_eq!(node.apply().due(), NOTHING);
    push().unwrap_err();
    assert_eq!(Witness::of(node), before);
}

/// `insecure` means TLS without verification or no TLS, so here is one of each.
fn insecure_registries_come_and_go_one_by_one(node: &Node) {
    let host = node.host();
    let secured = Setup::tls(Authority::new("corp").server(&[&host.name])).at(&host).start(node);
    let plain = Setup::plain().start(node);
    let (unknown, open) = (secured.image("app"), plain.image("app"));
    let (docker, before) = (Puller::Docker, Witness::of(node));
    docker.fails(node, &unknown, UNKNOWN);
    docker.fails(node, &open, PLAIN);

    let declare = |name: &str, host: &str| {
        node.declare(name, &Declaration::of(host, "insecure").only("docker"));
    };
    declare("secured", &secured.name());
    declare("plain", &plain.name());
    let survey = node.apply();
    assert_eq!(survey.due(), ["reload-docker"]);
    docker.fails(node, &unknown, UNKNOWN);
    docker.fails(node, &open, PLAIN);
    node.perform(&survey.effects);
    docker.works(node, &unknown);
    docker.works(node, &open);

    node.withdraw("plain");
    let survey = node.apply();
    assert_eq!(survey.due(), ["reload-docker"]);
    docker.works(node, &open);
    node.perform(&survey.effects);
    docker.fails(node, &open, PLAIN);
    docker.works(node, &unknown);

    node.withdraw("secured");
    let survey = node.apply();
    assert_eq!(survey.due(), ["reload-docker"]);
    let text = node.read(DAEMON_JSON).unwrap();
    assert!(text.contains("\"insecure-registries\": []"), "{text}");
    docker.works(node, &unknown);
    node.perform(&survey.effects);
    docker.fails(node, &unknown, UNKNOWN);
    assert!(!node.exists(DAEMON_JSON), "dockerd has forgotten, so the file can go as it came");
    assert_eq!(node.plan().due(), NOTHING);

    let mut after = before.clone();
    after.docker.hangups += 3;
    assert_eq!(Witness::of(node), after, "three reloads, and nothing else");
}

fn what_is_due_for_one_daemon_is_no_use_to_the_other(node: &Node) {
    let (registry, declaration) = without_tls(node, "\"docker\", \"containerd\"");
    let image = registry.image("app");
    node.declare("plain", &declaration);
    let survey = node.apply();
    assert_eq!(survey.due(), ["reload-docker", "restart-containerd"]);

    node.perform(survey.effect("restart-containerd"));
    Puller::Containerd.works(node, &image);
    Puller::Docker.fails(node, &image, PLAIN);
    assert_eq!(node.plan().due(), ["reload-docker"]);
    let settled = Witness::of(node);
    node.perform(survey.effect("reload-docker"));
    Puller::Docker.works(node, &image);
    assert_eq!(node.plan().due(), NOTHING);
    assert_eq!(Witness::of(node).containerd, settled.containerd);
    assert_eq!(Witness::of(node).docker.pid, settled.docker.pid);
}

/// What is due is derived from when the daemon started, so it does not matter who restarted it.
fn a_restart_that_somebody_did_is_a_reload_that_nobody_needs(node: &Node) {
    let (registry, declaration) = without_tls(node, "\"docker\"");
    let image = registry.image("app");
    Puller::Docker.fails(node, &image, PLAIN);
    node.declare("plain", &declaration);
    assert_eq!(node.apply().due(), ["reload-docker"]);
    node.restart_by_hand("docker");
    assert_eq!(node.plan().due(), NOTHING);
    Puller::Docker.works(node, &image);

    // The same on the way back: a dockerd that starts with an empty list has nothing to forget.
    node.withdraw("plain");
    assert_eq!(node.apply().due(), ["reload-docker"]);
    node.restart_by_hand("docker");
    assert_eq!(node.apply().due(), NOTHING);
    Puller::Docker.fails(node, &image, PLAIN);
    assert!(!node.exists(DAEMON_JSON));
}

/// A reload of a unit that is not active is no reload, and one before dockerd has installed its
/// handler kills it.
fn a_docker_that_is_stopped_needs_no_effect(node: &Node) {
    let (registry, declaration) = without_tls(node, "\"docker\"");
    let image = registry.image("app");
    Puller::Docker.fails(node, &image, PLAIN);
    let stop = || node.sh("systemctl stop docker.service docker.socket");
    stop();
    assert_eq!(node.run(["systemctl", "reload", "docker"]).code, 1, "there is nothing to reload");
    node.declare("plain", &declaration);
    assert_eq!(node.apply().due(), NOTHING);
    node.sh("systemctl start docker");
    Puller::Docker.works(node, &image);
    assert_eq!(node.plan().due(), NOTHING);

    stop();
    node.withdraw("plain");
    assert_eq!(node.apply().due(), NOTHING);
    assert!(!node.exists(DAEMON_JSON), "nobody has to read an empty list first");
    node.sh("systemctl start docker");
    Puller::Docker.fails(node, &image, PLAIN);
}

fn a_containerd_that_is_stopped_needs_no_effect(node: &Node) {
    let (registry, declaration) = without_tls(node, "\"containerd\"");
    let image = registry.image("app");
    Puller::Containerd.fails(node, &image, PLAIN);
    node.sh("systemctl stop containerd");
    node.declare("plain", &declaration);
    assert_eq!(node.apply().due(), NOTHING);
    node.sh("systemctl start containerd");
    Puller::Containerd.works(node, &image);
    assert_eq!(node.plan().due(), NOTHING);
}
