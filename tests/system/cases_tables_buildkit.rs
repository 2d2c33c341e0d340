//! `docker build` with BuildKit, which pulls base images by code of its own.
//!
//! | fact | docker 20.10 | 26.1, 28.5 | shown by |
//! |---|---|---|---|
//! | a CA in a new directory of certs.d | restart | nothing | `an_old_buildkit_sees_a_new_directory_after_a_restart_as_the_plan_notes`, `buildkit_trusts_a_private_ca_at_once` |
//! | a CA in a directory that was there when dockerd started | nothing | nothing | [`an_old_buildkit_reads_a_directory_that_it_saw_at_its_start`] |
//! | an insecure registry | restart, and only an element with a scheme | reload | [`an_old_buildkit_knows_an_insecure_registry_by_its_scheme_alone`], [`buildkit_pulls_without_tls_after_a_reload`] |
//! | how a repository was resolved is remembered for minutes | until a restart | until a restart | [`buildkit_remembers_a_repository_until_dockerd_restarts`] |
//! | mirrors of Docker Hub | restart | reload | `cases_tables_hub` |

use crate::case::{Case, case};
use crate::lab::{Authority, Declaration, Node, PLAIN, Puller, Setup, Suite, UNKNOWN, Witness};

pub(crate) const CASES: &[Case] = &[
    case!(Fresh an_old_buildkit_reads_a_directory_that_it_saw_at_its_start).on(OLD),
    case!(Fresh an_old_buildkit_knows_an_insecure_registry_by_its_scheme_alone).on(OLD),
    case!(buildkit_pulls_without_tls_after_a_reload).on(NEW),
    case!(Fresh buildkit_remembers_a_repository_until_dockerd_restarts),
];

const OLD: &[Suite] = &[Suite::Bookworm];
const NEW: &[Suite] = &[Suite::Trixie, Suite::Forky];
const NOTHING: [&str; 0] = [];

fn an_old_buildkit_reads_a_directory_that_it_saw_at_its_start(node: &Node) {
    let host = node.host();
    let authority = Authority::new("corp");
    let registry = Setup::tls(authority.server(&[&host.name])).at(&host).start(node);
    let [refused, trusted] = ["refused", "trusted"].map(|name| registry.image(name));
    node.sh(&format!("mkdir -p /etc/docker/certs.d/{}", registry.name()));
    node.restart_by_hand("docker");
    Puller::BuildKit.fails(node, &refused, UNKNOWN);
    node.declare("corp", &Declaration::ca(&registry.name(), &authority.root).only("docker"));
    let before = Witness::of(node);
    let survey = node.apply();
    assert_eq!(survey.due(), NOTHING);
    assert!(!survey.notes("only after a restart of dockerd"), "{}", survey.text);
    Puller::BuildKit.works(node, &trusted);
    assert_eq!(Witness::of(node), before);
}

/// It takes an element as a URL, and in `host:port` there is no host then.
fn an_old_buildkit_knows_an_insecure_registry_by_its_scheme_alone(node: &Node) {
    let registry = Setup::plain().start(node);
    let image = registry.image("app");
    node.declare("plain", &Declaration::of(&registry.name(), "http").only("docker"));
    let survey = node.apply();
    assert!(survey.notes("needs a restart, and an element with a scheme"), "{}", survey.text);
    node.perform(&survey.effects);
    Puller::Docker.works(node, &image);
    Puller::BuildKit.fails(node, &image, PLAIN);
    node.restart_by_hand("docker");
    Puller::BuildKit.fails(node, &image, PLAIN);

    let with_scheme = format!("{{\"insecure-registries\": [\"http://{}\"]}}", registry.name());
    node.write("/etc/docker/daemon.json", with_scheme);
    node.reload_by_hand();
    Puller::BuildKit.fails(node, &image, PLAIN);
    node.restart_by_hand("docker");
    Puller::BuildKit.works(node, &image);
}

fn buildkit_pulls_without_tls_after_a_reload(node: &Node) {
    let registry = Setup::plain().start(node);
    let image = |name: &str| registry.image(name);
    Puller::BuildKit.fails(node, &image("before"), PLAIN);
    node.declare("plain", &Declaration::of(&registry.name(), "http").only("docker"));
    let survey = node.apply();
    assert_eq!(survey.due(), ["reload-docker"]);
    assert!(!survey.notes("BuildKit does not see this"), "{}", survey.text);
    Puller::BuildKit.fails(node, &image("between"), PLAIN);
    node.perform(&survey.effects);
    Puller::BuildKit.works(node, &image("with"));
    node.withdraw("plain");
    let survey = node.apply();
    Puller::BuildKit.works(node, &image("still"));
    node.perform(&survey.effects);
    Puller::BuildKit.fails(node, &image("after"), PLAIN);
}

fn buildkit_remembers_a_repository_until_dockerd_restarts(node: &Node) {
    let host = node.host();
    let authority = Authority::new("corp");
    let registry = Setup::tls(authority.server(&[&host.name])).at(&host).start(node);
    let [refused, trusted] = ["refused", "trusted"].map(|name| registry.image(name));
    // 20.10 knows only the directories that were there when it started.
    node.sh(&format!("mkdir -p /etc/docker/certs.d/{}", registry.name()));
    node.restart_by_hand("docker");
    Puller::BuildKit.fails(node, &refused, UNKNOWN);
    node.declare("corp", &Declaration::ca(&registry.name(), &authority.root).only("docker"));
    assert_eq!(node.apply().due(), NOTHING);
    Puller::BuildKit.fails(node, &refused, UNKNOWN);
    Puller::BuildKit.works(node, &trusted);

    node.withdraw("corp");
    let survey = node.apply();
    assert!(survey.notes("docker build"), "{}", survey.text);
    assert_eq!(survey.due(), NOTHING);
    Puller::BuildKit.works(node, &trusted);
    Puller::Docker.fails(node, &trusted, UNKNOWN);
    node.restart_by_hand("docker");
    Puller::BuildKit.fails(node, &trusted, UNKNOWN);
}
