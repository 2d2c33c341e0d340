//! Traps of daemon.json and its reload.
//!
//! | fact | shown by |
//! |---|---|
//! | a key that goes, or the whole file, is "no change" to a reload; `[]` is one | [`a_key_that_is_deleted_changes_nothing_and_an_empty_list_does`] |
//! | dockerd does not start with a flag and the same key in the file | [`a_flag_of_dockerd_and_the_same_key_in_the_file_do_not_go_together`] |
//! | one element that dockerd does not take rejects the whole reload, and only the journal says so | [`one_bad_element_rejects_every_other`] |
//! | 20.10 takes the insecure list of a reload whose mirrors it rejects | [`a_bad_mirror_rejects_insecure_registries_too_but_not_in_an_old_docker`] |
//! | a byte order mark is read from 23 on | [`a_byte_order_mark_is_read_by_newer_dockers_only`] |
//! | an authorization plugin that does not answer makes a reload dockerd's end | [`a_reload_ends_a_dockerd_whose_authorization_plugin_is_gone`] |
//! | docker starts three times a minute, and then not again | [`a_fourth_start_in_a_minute_is_refused`] |
//! | live-restore comes with a reload and goes with a restart | [`live_restore_comes_with_a_reload_and_stays_until_a_restart`] |

use crate::case::{Case, case};
use crate::lab::wait::eventually;
use crate::lab::{Declaration, Node, PLAIN, Puller, Setup, Suite, Witness};

pub(crate) const CASES: &[Case] = &[
    // First, because dockerd waits half a minute for the plugin, and others can go on meanwhile.
    case!(Fresh a_reload_ends_a_dockerd_whose_authorization_plugin_is_gone),
    case!(a_key_that_is_deleted_changes_nothing_and_an_empty_list_does),
    case!(Fresh a_flag_of_dockerd_and_the_same_key_in_the_file_do_not_go_together),
    case!(one_bad_element_rejects_every_other),
    case!(a_bad_mirror_rejects_insecure_registries_too_but_not_in_an_old_docker),
    case!(a_byte_order_mark_is_read_by_newer_dockers_only),
    case!(Fresh live_restore_comes_with_a_reload_and_stays_until_a_restart),
    case!(Fresh a_fourth_start_in_a_minute_is_refused),
];

const DAEMON_JSON: &str = "/etc/docker/daemon.json";
const DOCKER: Puller = Puller::Docker;

/// Reloads a dockerd that is to reject it, and waits until it has said so.
fn reload_in_vain(node: &Node, words: &str) {
    let said = || node.journal("docker").matches(words).count();
    let before = said();
    node.sh("systemctl reload docker");
    eventually("dockerd says what it does not take", || (said() > before).then_some(()));
}

fn a_key_that_is_deleted_changes_nothing_and_an_empty_list_does(node: &Node) {
    let registry = Setup::plain().start(node);
    let image = registry.image("app");
    let list = |elements: &str| format!("{{\"insecure-registries\": [{elements}]}}");
    let element = format!("\"{}\"", registry.name());
    DOCKER.fails(node, &image, PLAIN);
    for forget in [Some("{}"), None] {
        node.write(DAEMON_JSON, list(&element));
        node.reload_by_hand();
        DOCKER.works(node, &image);
        match forget {
            Some(text) => node.write(DAEMON_JSON, text),
            None => node.remove(DAEMON_JSON),
        }
        node.reload_by_hand();
        DOCKER.works(node, &image);
        node.write(DAEMON_JSON, list(""));
        node.reload_by_hand();
        DOCKER.fails(node, &image, PLAIN);
    }
    node.remove(DAEMON_JSON);
}

fn a_flag_of_dockerd_and_the_same_key_in_the_file_do_not_go_together(node: &Node) {
    let registry = Setup::plain().start(node);
    let image = registry.image("app");
    node.write("/etc/default/docker", "DOCKER_OPTS=\"--insecure-registry other.lab\"\n");
    node.restart_by_hand("docker");
    node.declare("plain", &Declaration::of(&registry.name(), "http").only("docker"));
    let (code, survey) = node.regtrust_exits(&["apply"]);
    assert_eq!((code, survey.paths(), survey.due()), (1, vec![], vec![]), "{}", survey.text);
    assert!(survey.is_blocked_by("is started with `--insecure-registry`"), "{}", survey.text);
    assert!(survey.text.contains("from /etc/default/docker to daemon.json"), "{}", survey.text);
    assert!(!node.exists(DAEMON_JSON));

    let by_hand = format!("{{\"insecure-registries\": [\"{}\"]}}", registry.name());
    node.write(DAEMON_JSON, by_hand);
    reload_in_vain(node, "specified both as a flag and in the configuration file");
    DOCKER.fails(node, &image, PLAIN);
    node.sh("systemctl reset-failed docker.service docker.socket");
    assert_ne!(node.run(["systemctl", "restart", "docker"]).code, 0, "and it does not start");

    node.remove(DAEMON_JSON);
    node.write("/etc/default/docker", "");
    node.sh("systemctl reset-failed docker.service docker.socket; systemctl restart docker");
    let survey = node.apply();
    node.perform(&survey.effects);
    DOCKER.works(node, &image);
}

fn one_bad_element_rejects_every_other(node: &Node) {
    let registry = Setup::plain().start(node);
    let (image, name) = (registry.image("app"), registry.name());
    let theirs = "{\"insecure-registries\": [\"foo://x\"]}";
    node.write(DAEMON_JSON, theirs);
    node.declare("plain", &Declaration::of(&name, "http").only("docker"));
    let (code, survey) = node.regtrust_exits(&["apply"]);
    assert_eq!((code, survey.paths()), (1, vec![]), "{}", survey.text);
    assert!(survey.is_blocked_by("docker does not accept `foo://x`"), "{}", survey.text);

    node.write(DAEMON_JSON, format!("{{\"insecure-registries\": [\"{name}\", \"foo://x\"]}}"));
    reload_in_vain(node, "should not contain");
    DOCKER.fails(node, &image, PLAIN);
    node.write(DAEMON_JSON, "{}");
    let survey = node.apply();
    node.perform(&survey.effects);
    DOCKER.works(node, &image);
    node.withdraw("plain");
    let survey = node.apply();
    node.perform(&survey.effects);
    assert_eq!(node.read(DAEMON_JSON).as_deref(), Some("{}"));
    node.remove(DAEMON_JSON);
}

fn a_bad_mirror_rejects_insecure_registries_too_but_not_in_an_old_docker(node: &Node) {
    let registry = Setup::plain().start(node);
    let (image, name) = (registry.image("app"), registry.name());
    let mirror = "\"registry-mirrors\": [\"ftp://mirror.lab\"]";
    node.write(DAEMON_JSON, format!("{{{mirror}}}"));
    node.declare("plain", &Declaration::of(&name, "http").only("docker"));
    let (code, survey) = node.regtrust_exits(&["apply"]);
    assert_eq!((code, survey.paths()), (1, vec![]), "{}", survey.text);
    assert!(survey.is_blocked_by("docker does not accept `ftp://mirror.lab`"), "{}", survey.text);

    node.write(DAEMON_JSON, format!("{{\"insecure-registries\": [\"{name}\"], {mirror}}}"));
    reload_in_vain(node, "ftp");
    assert_eq!(DOCKER.pull(node, &image).is_ok(), node.suite == Suite::Bookworm);
    node.write(DAEMON_JSON, "{\"insecure-registries\": [], \"registry-mirrors\": []}");
    node.reload_by_hand();
    DOCKER.fails(node, &image, PLAIN);
    node.remove(DAEMON_JSON);
}

fn a_byte_order_mark_is_read_by_newer_dockers_only(node: &Node) {
    let registry = Setup::plain().start(node);
    let image = registry.image("app");
    let marked = "\u{feff}{}";
    node.write(DAEMON_JSON, marked);
    node.declare("plain", &Declaration::of(&registry.name(), "http").only("docker"));
    let (code, survey) = node.regtrust_exits(&["apply"]);
    if node.suite == Suite::Bookworm {
        assert_eq!((code, survey.paths()), (1, vec![]), "{}", survey.text);
        assert!(survey.is_blocked_by("byte order mark"), "{}", survey.text);
        reload_in_vain(node, "invalid character");
    } else {
        assert_eq!((code, survey.due()), (0, vec!["reload-docker"]), "{}", survey.text);
        node.perform(&survey.effects);
        DOCKER.works(node, &image);
        node.withdraw("plain");
        let survey = node.apply();
        node.perform(&survey.effects);
    }
    assert_eq!(node.read(DAEMON_JSON).as_deref(), Some(marked));
    node.remove(DAEMON_JSON);
}

/// It is the administrator's key, and what decides whether a restart of dockerd kills containers.
fn live_restore_comes_with_a_reload_and_stays_until_a_restart(node: &Node) {
    let registry = Setup::plain().start(node);
    node.write(DAEMON_JSON, "{\"live-restore\": true}");
    node.declare("plain", &Declaration::of(&registry.name(), "http").only("docker"));
    let survey = node.apply();
    node.perform(&survey.effects);
    assert!(node.read(DAEMON_JSON).unwrap().contains("\"live-restore\": true"));
    node.start_container("customer");
    let before = Witness::of(node).containers;
    assert_eq!(before.len(), 1);
    node.restart_by_hand("docker");
    assert_eq!(Witness::of(node).containers, before, "the same process");

    node.remove(DAEMON_JSON);
    node.reload_by_hand();
    let enabled = node.sh("docker info --format '{{.LiveRestoreEnabled}}'");
    assert_eq!(enabled.trim(), "true", "a key that goes is no change here either");
    node.restart_by_hand("docker");
    assert!(Witness::of(node).containers.is_empty());
}

fn a_reload_ends_a_dockerd_whose_authorization_plugin_is_gone(node: &Node) {
    let registry = Setup::plain().start(node);
    node.write(DAEMON_JSON, "{\"authorization-plugins\": [\"gone\"]}");
    node.declare("plain", &Declaration::of(&registry.name(), "http").only("docker"));
    let survey = node.apply();
    let before = Witness::of(node).docker;
    node.sh("systemctl reload docker");
    eventually("dockerd is another one or none", || {
        (Witness::of(node).docker.pid != before.pid).then_some(())
    });
    assert!(survey.notes("authorization plugin"), "{}", survey.text);
}

/// Which is why everything that asks for a restart is one effect, and why it is not done twice.
fn a_fourth_start_in_a_minute_is_refused(node: &Node) {
    let restart = || node.run(["systemctl", "restart", "docker"]).code;
    let refused = (0..4).find(|_| restart() != 0);
    assert!(refused.is_some());
    assert_eq!(Witness::of(node).docker.state, "failed");
    node.sh("systemctl reset-failed docker.service docker.socket");
    node.sh("systemctl start docker.socket docker.service");
    assert_eq!(Witness::of(node).docker.state, "active");
}
