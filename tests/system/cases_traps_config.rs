//! Traps of containerd's config.toml: a wrong edit takes CRI away from kubelet, and containerd runs
//! on as if nothing were.
//!
//! | fact | shown by |
//! |---|---|
//! | `config_path` beside `registry.mirrors` stops CRI from loading | [`config_path_and_mirrors_stop_cri`] |
//! | on 1.x an import's table for CRI replaces the main file's as a whole | [`an_import_replaces_cris_table_in_containerd_1`] |
//! | a file without `version = 2` has its plugins under other names | [`a_file_that_says_no_version_is_not_edited`] |
//! | from 2.1 on a list of directories is taken as the name of one | [`a_list_of_directories_is_one_name_to_newer_ones`] |
//! | from version 3 on the key is another plugin's | [`a_file_of_version_3_gets_the_key_of_version_3`] |
//! | 2.1 drops the CRI settings of a main file whose import is of a newer version | [`an_import_of_a_newer_version_drops_what_the_main_file_says`] |
//! | nobody pulls through a CRI that is disabled | [`nothing_is_due_where_cri_is_disabled`] |
//! | a `config_path` that is set already is used, whatever it is | [`a_config_path_of_somebody_else_is_where_registries_go`] |
//! | without `config_path` nothing is read, and its removal changes no pull | [`config_path_goes_as_it_came_and_nothing_is_due_for_that`] |

use crate::case::{Case, case};
use crate::lab::registry::Registry;
use crate::lab::{Authority, Declaration, Node, Puller, Setup, Suite, UNKNOWN, cri};

pub(crate) const CASES: &[Case] = &[
    case!(Fresh config_path_and_mirrors_stop_cri),
    case!(Fresh an_import_replaces_cris_table_in_containerd_1),
    case!(Fresh a_file_that_says_no_version_is_not_edited),
    case!(Fresh a_list_of_directories_is_one_name_to_newer_ones),
    case!(Fresh a_config_path_of_somebody_else_is_where_registries_go),
    case!(Fresh a_file_of_version_3_gets_the_key_of_version_3).on(&[Suite::Forky]),
    case!(Fresh an_import_of_a_newer_version_drops_what_the_main_file_says).on(&[Suite::Forky]),
    case!(Fresh nothing_is_due_where_cri_is_disabled),
    case!(Fresh config_path_goes_as_it_came_and_nothing_is_due_for_that),
];

const NOTHING: [&str; 0] = [];
const CONFIG: &str = "/etc/containerd/config.toml";
const CERTS: &str = "/etc/containerd/certs.d";
const REGISTRY: &str = "[plugins.\"io.containerd.grpc.v1.cri\".registry]\n";
const CONTAINERD: Puller = Puller::Containerd;

struct Trust<'a> {
    registry: Registry<'a>,
    image: String,
    authority: Authority,
}

/// A registry that containerd is to trust, and is told so where `config_path` leads.
fn declared(node: &Node) -> Trust<'_> {
    let host = node.host();
    let authority = Authority::new("corp");
    let registry = Setup::tls(authority.server(&[&host.name])).at(&host).start(node);
    let image = registry.image("app");
    node.declare("corp", &Declaration::ca(&registry.name(), &authority.root).only("containerd"));
    Trust { registry, image, authority }
}

impl Trust<'_> {
    /// What regtrust would write, by somebody's hand.
    fn by_hand(&self, node: &Node, directory: &str) {
        let name = self.registry.name();
        node.write(&format!("{directory}/{name}/ca.crt"), &self.authority.root);
    }
}

/// containerd with another configuration. The kernel's clock has whole seconds for starts, so
/// regtrust is asked afterwards only where nothing depends on when this was.
fn configure(node: &Node, text: &str) {
    node.write(CONFIG, text);
    node.sh("systemctl reset-failed containerd; systemctl restart containerd");
}

#[track_caller]
fn is_blocked(node: &Node, words: &str) {
    let before = node.read(CONFIG);
    let (code, survey) = node.regtrust_exits(&["apply"]);
    assert_eq!((code, survey.due()), (1, vec![]), "{}", survey.text);
    assert!(survey.is_blocked_by(words), "{}", survey.text);
    assert_eq!(node.read(CONFIG), before);
}

fn config_path_and_mirrors_stop_cri(node: &Node) {
    let plain = Setup::plain().start(node);
    let image = plain.image("app");
    let packaged = node.read(CONFIG).unwrap();
    let table = "plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors";
    let name = plain.name();
    let mirrors = format!("[{table}.\"{name}\"]\nendpoint = [\"http://{name}\"]\n");
    configure(node, &format!("{packaged}\n{mirrors}"));
    CONTAINERD.works(node, &image);
    let _trust = declared(node);
    is_blocked(node, "stops CRI from loading");
    CONTAINERD.works(node, &image);

    configure(node, &format!("{packaged}\n{REGISTRY}config_path = \"{CERTS}\"\n{mirrors}"));
    assert_eq!(node.sh("systemctl is-active containerd").trim(), "active");
    let words = cri::pull(node, &image).unwrap_err();
    assert!(words.contains("unknown service runtime.v1"), "{words}");
}

fn an_import_replaces_cris_table_in_containerd_1(node: &Node) {
    let packaged = node.read(CONFIG).unwrap();
    let import = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\"]\nenable_selinux = false\n";
    node.write("/etc/containerd/conf.d/site.toml", import);
    let importing = format!("imports = [\"/etc/containerd/conf.d/*.toml\"]\n{packaged}");
    configure(node, &importing);
    let trust = declared(node);
    if node.suite == Suite::Forky {
        let survey = node.apply();
        node.perform(&survey.effects);
        CONTAINERD.works(node, &trust.image);
        return;
    }
    is_blocked(node, "replaces the main file's as a whole");
    trust.by_hand(node, CERTS);
    let with_key = |text: &str| format!("{text}\n{REGISTRY}config_path = \"{CERTS}\"\n");
    configure(node, &with_key(&importing));
    CONTAINERD.fails(node, &trust.image, UNKNOWN);
    configure(node, &with_key(&packaged));
    CONTAINERD.works(node, &trust.image);
}

fn a_file_that_says_no_version_is_not_edited(node: &Node) {
    let trust = declared(node);
    configure(node, "oom_score = -999\n");
    is_blocked(node, "containerd then ignores plugins by their full names");
    trust.by_hand(node, CERTS);
    let unversioned = format!("{REGISTRY}config_path = \"{CERTS}\"\n");
    configure(node, &unversioned);
    CONTAINERD.fails(node, &trust.image, UNKNOWN);
    configure(node, &format!("version = 2\n{unversioned}"));
    CONTAINERD.works(node, &trust.image);
}

fn a_list_of_directories_is_one_name_to_newer_ones(node: &Node) {
    let packaged = node.read(CONFIG).unwrap();
    let trust = declared(node);
    let list = format!("{CERTS}:/etc/docker/certs.d");
    configure(node, &format!("{packaged}\n{REGISTRY}config_path = \"{list}\"\n"));
    is_blocked(node, "lists several directories");
    trust.by_hand(node, CERTS);
    if node.suite == Suite::Forky {
        CONTAINERD.fails(node, &trust.image, UNKNOWN);
    } else {
        CONTAINERD.works(node, &trust.image);
    }
}

fn a_config_path_of_somebody_else_is_where_registries_go(node: &Node) {
    let packaged = node.read(CONFIG).unwrap();
    let theirs = format!("{packaged}\n{REGISTRY}config_path = \"/etc/site/registries\"\n");
    configure(node, &theirs);
    let trust = declared(node);
    CONTAINERD.fails(node, &trust.image, UNKNOWN);
    let survey = node.apply();
    assert_eq!(survey.due(), NOTHING);
    let directory = format!("/etc/site/registries/{}", trust.registry.name());
    assert_eq!(survey.paths(), ["ca.crt", "hosts.toml"].map(|name| format!("{directory}/{name}")));
    CONTAINERD.works(node, &trust.image);
    node.withdraw("corp");
    assert_eq!(node.apply().due(), NOTHING);
    CONTAINERD.fails(node, &trust.image, UNKNOWN);
    assert_eq!(node.read(CONFIG), Some(theirs));
}

fn a_file_of_version_3_gets_the_key_of_version_3(node: &Node) {
    let trust = declared(node);
    configure(node, "version = 3\n");
    let survey = node.apply();
    assert_eq!(survey.due(), ["restart-containerd"]);
    let text = node.read(CONFIG).unwrap();
    assert!(text.contains("io.containerd.cri.v1.images"), "{text}");
    CONTAINERD.fails(node, &trust.image, UNKNOWN);
    node.perform(&survey.effects);
    CONTAINERD.works(node, &trust.image);
    node.withdraw("corp");
    node.apply();
    assert_eq!(node.read(CONFIG).as_deref(), Some("version = 3\n"));
}

fn an_import_of_a_newer_version_drops_what_the_main_file_says(node: &Node) {
    let packaged = node.read(CONFIG).unwrap();
    let path = "/etc/containerd/conf.d/site.toml";
    let import = |version| format!("version = {version}\n[debug]\nlevel = \"info\"\n");
    let importing = format!("imports = [\"{path}\"]\n{packaged}");
    node.write(path, import(3));
    configure(node, &importing);
    let trust = declared(node);
    is_blocked(node, "whose CRI settings are then dropped");
    trust.by_hand(node, CERTS);
    configure(node, &format!("{importing}\n{REGISTRY}config_path = \"{CERTS}\"\n"));
    CONTAINERD.fails(node, &trust.image, UNKNOWN);
    node.write(path, import(2));
    node.sh("systemctl restart containerd");
    CONTAINERD.works(node, &trust.image);
}

/// As docker.com's packages leave it: containerd runs docker's containers and nothing else.
fn nothing_is_due_where_cri_is_disabled(node: &Node) {
    let off = "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n";
    configure(node, off);
    node.write("/var/lib/kubelet/config.yaml", "");
    let trust = declared(node);
    let words = cri::pull(node, &trust.image).unwrap_err();
    assert!(words.contains("unknown service"), "{words}");
    let survey = node.apply();
    assert_eq!(survey.due(), NOTHING);
    assert!(survey.notes("CRI plugin is disabled"), "{}", survey.text);
    assert_eq!(node.read(CONFIG).as_deref(), Some(off));
}

fn config_path_goes_as_it_came_and_nothing_is_due_for_that(node: &Node) {
    let packaged = node.read(CONFIG);
    let trust = declared(node);
    let survey = node.apply();
    assert_eq!(survey.due(), ["restart-containerd"]);
    node.perform(&survey.effects);
    CONTAINERD.works(node, &trust.image);
    node.withdraw("corp");
    let survey = node.apply();
    assert_eq!(survey.due(), NOTHING);
    assert_eq!(node.read(CONFIG), packaged);
    CONTAINERD.fails(node, &trust.image, UNKNOWN);

    // It is still loaded, so it only has to be there again for the next start.
    let name = trust.registry.name();
    node.declare("corp", &Declaration::ca(&name, &trust.authority.root).only("containerd"));
    node.apply();
    CONTAINERD.works(node, &trust.image);
}
