//! Traps of containerd's directories of registries. It answers no mistake there with an error.
//!
//! | fact | shown by |
//! |---|---|
//! | a SIGHUP is containerd's death, and systemd has no reload for it | [`a_signal_kills_containerd_so_that_no_plan_has_one`] |
//! | `host_port_` is looked for before `host:port`, and hides it even when it is empty | [`a_directory_with_underscores_hides_ours`] |
//! | a registry's own directory hides `_default`, even when it is empty | [`a_registrys_own_directory_hides_default_until_it_is_gone`] |
//! | certificates beside a hosts.toml are not read | [`a_hosts_toml_of_somebody_else_is_left_and_hides_what_lies_beside_it`] |
//! | up to 1.7 a hosts.toml without a `host` table is passed over in silence | [`a_hosts_toml_without_hosts_is_read_by_newer_ones_only`] |
//! | a mistake in a hosts.toml is no error to the puller; the file does not count | [`a_hosts_toml_that_cannot_be_read_is_no_error_and_no_help`] |
//! | what hosts.toml names and is not there fails the pull | [`a_ca_that_was_lost_fails_the_pull_and_is_put_back`] |
//! | a mirror's CA is not the registry's own, and a mirror that has nothing is passed over | [`a_mirror_and_its_registry_have_each_its_own_ca`] |
//! | `skip_verify` never falls back to plain HTTP, so `insecure` is two hosts | [`insecure_is_tls_without_verification_and_plain_http`] |

use crate::case::{Case, case};
use crate::lab::registry::Registry;
use crate::lab::wait::eventually;
use crate::lab::{Authority, Declaration, Node, PLAIN, Puller, Setup, Suite, UNKNOWN, Witness};

pub(crate) const CASES: &[Case] = &[
    case!(Kubernetes a_signal_kills_containerd_so_that_no_plan_has_one),
    case!(Kubernetes a_directory_with_underscores_hides_ours),
    case!(Kubernetes a_registrys_own_directory_hides_default_until_it_is_gone),
    case!(Kubernetes a_hosts_toml_of_somebody_else_is_left_and_hides_what_lies_beside_it),
    case!(Kubernetes a_hosts_toml_without_hosts_is_read_by_newer_ones_only),
    case!(Kubernetes a_hosts_toml_that_cannot_be_read_is_no_error_and_no_help),
    case!(Kubernetes a_ca_that_was_lost_fails_the_pull_and_is_put_back),
    case!(Kubernetes insecure_is_tls_without_verification_and_plain_http),
    case!(Kubernetes a_mirror_and_its_registry_have_each_its_own_ca),
];

const NOTHING: [&str; 0] = [];
const CERTS: &str = "/etc/containerd/certs.d";
const CONTAINERD: Puller = Puller::Containerd;

fn registry<'a>(node: &'a Node, authority: &Authority) -> Registry<'a> {
    let host = node.host();
    Setup::tls(authority.server(&[&host.name])).at(&host).start(node)
}

fn a_signal_kills_containerd_so_that_no_plan_has_one(node: &Node) {
    let reload = node.run(["systemctl", "reload", "containerd"]).verdict().unwrap_err();
    assert!(reload.contains("not applicable"), "{reload}");
    let before = Witness::of(node).containerd;
    node.sh(&format!("kill -HUP {}", before.pid));
    eventually("containerd is gone", || {
        let alive = node.run(["kill", "-0", &before.pid.to_string()]).code == 0;
        (!alive).then_some(())
    });
    assert_ne!(
        Witness::of(node).containerd,
        before,
        "systemd has nothing left but to start another"
    );
}

fn a_directory_with_underscores_hides_ours(node: &Node) {
    let host = node.host();
    let authority = Authority::new("corp");
    let setup = Setup::tls(authority.server(&[&host.name])).at(&host).on_port(8443);
    let registry = setup.start(node);
    let image = registry.image("app");
    let alias = format!("{CERTS}/{}_8443_", host.name);
    node.sh(&format!("mkdir -p {alias}"));
    node.declare("corp", &Declaration::ca(&registry.name(), &authority.root).only("containerd"));
    let (code, survey) = node.regtrust_exits(&["apply"]);
    assert_eq!((code, survey.paths()), (1, vec![]), "{}", survey.text);
    assert!(survey.is_blocked_by("looks into"), "{}", survey.text);

    node.sh(&format!("rmdir {alias}"));
    node.apply();
    CONTAINERD.works(node, &image);
    node.sh(&format!("mkdir {alias}"));
    CONTAINERD.fails(node, &image, UNKNOWN);
    node.sh(&format!("rmdir {alias}"));
    CONTAINERD.works(node, &image);
}

fn a_registrys_own_directory_hides_default_until_it_is_gone(node: &Node) {
    let registry = registry(node, &Authority::new("theirs"));
    let (image, name) = (registry.image("app"), registry.name());
    let default = format!("{CERTS}/_default");
    // The `server` of the default is the registry that is asked for, as long as it names none.
    node.write(&format!("{default}/hosts.toml"), "skip_verify = true\n[host]\n");
    CONTAINERD.works(node, &image);

    let declared = Declaration::ca(&name, &Authority::new("declared").root).only("containerd");
    node.declare("corp", &declared);
    let survey = node.apply();
    assert!(survey.notes("takes the place of what"), "{}", survey.text);
    CONTAINERD.fails(node, &image, UNKNOWN);
    node.withdraw("corp");
    assert_eq!(node.apply().due(), NOTHING);
    CONTAINERD.works(node, &image);
    let own = format!("{CERTS}/{name}");
    node.sh(&format!("mkdir {own}"));
    CONTAINERD.fails(node, &image, UNKNOWN);
    node.remove(&format!("{own} {default}"));
}

fn a_hosts_toml_of_somebody_else_is_left_and_hides_what_lies_beside_it(node: &Node) {
    let authority = Authority::new("corp");
    let registry = registry(node, &authority);
    let (image, name) = (registry.image("app"), registry.name());
    let (directory, theirs) =
        (format!("{CERTS}/{name}"), format!("server = \"https://{name}\"\n[host]\n"));
    node.write(&format!("{directory}/by-hand.crt"), &authority.root);
    CONTAINERD.works(node, &image);
    node.write(&format!("{directory}/hosts.toml"), &theirs);
    CONTAINERD.fails(node, &image, UNKNOWN);

    node.declare("corp", &Declaration::ca(&name, &authority.root).only("containerd"));
    let (code, survey) = node.regtrust_exits(&["apply"]);
    assert_eq!((code, survey.paths()), (1, vec![]), "{}", survey.text);
    assert!(survey.is_blocked_by("is there and means something else"), "{}", survey.text);
    assert_eq!(node.read(&format!("{directory}/hosts.toml")), Some(theirs));
    node.remove(&directory);
    assert_eq!(node.apply().due(), NOTHING);
    CONTAINERD.works(node, &image);
}

/// A `.crt` beside it would help then, so the file says what a `.crt` cannot.
fn a_hosts_toml_without_hosts_is_read_by_newer_ones_only(node: &Node) {
    let registry = Setup::plain().start(node);
    let (image, name) = (registry.image("app"), registry.name());
    let path = format!("{CERTS}/{name}/hosts.toml");
    let bare = format!("server = \"http://{name}\"\n");
    node.write(&path, &bare);
    if node.suite == Suite::Forky {
        CONTAINERD.works(node, &image);
    } else {
        CONTAINERD.fails(node, &image, PLAIN);
    }
    node.write(&path, format!("{bare}[host]\n"));
    CONTAINERD.works(node, &image);
    node.remove(&format!("{CERTS}/{name}"));

    node.declare("plain", &Declaration::of(&name, "http").only("containerd"));
    node.apply();
    let ours = node.read(&path).unwrap();
    assert!(ours.lines().any(|line| line == "[host]"), "{ours}");
    CONTAINERD.works(node, &image);
}

/// Certificates beside it count then, and an empty file is none.
fn a_hosts_toml_that_cannot_be_read_is_no_error_and_no_help(node: &Node) {
    let authority = Authority::new("corp");
    let registry = registry(node, &authority);
    let (image, name) = (registry.image("app"), registry.name());
    let directory = format!("{CERTS}/{name}");
    let path = format!("{directory}/hosts.toml");
    let good = format!("server = \"https://{name}\"\nskip_verify = true\n[host]\n");
    node.write(&path, &good);
    CONTAINERD.works(node, &image);
    let capability = "[host.\"https://m.lab\"]\ncapabilities = [\"everything\"]\n";
    for mistake in ["[host\n", capability] {
        node.write(&path, format!("{good}{mistake}"));
        CONTAINERD.fails(node, &image, UNKNOWN);
    }
    node.write(&format!("{directory}/by-hand.crt"), &authority.root);
    for nothing in ["", "[host\n"] {
        node.write(&path, nothing);
        CONTAINERD.works(node, &image);
    }
    node.declare("corp", &Declaration::of(&name, "skip-verify").only("containerd"));
    let (code, survey) = node.regtrust_exits(&["apply"]);
    assert_eq!((code, survey.paths()), (1, vec![]), "{}", survey.text);
    node.remove(&directory);
    node.apply();
    CONTAINERD.works(node, &image);
}

fn a_ca_that_was_lost_fails_the_pull_and_is_put_back(node: &Node) {
    let authority = Authority::new("corp");
    let registry = registry(node, &authority);
    let image = registry.image("app");
    node.declare("corp", &Declaration::ca(&registry.name(), &authority.root).only("containerd"));
    node.apply();
    CONTAINERD.works(node, &image);
    let path = format!("{CERTS}/{}/ca.crt", registry.name());
    node.remove(&path);
    CONTAINERD.fails(node, &image, "unable to read CA cert");
    assert_eq!(node.apply().paths(), [path]);
    CONTAINERD.works(node, &image);
}

fn insecure_is_tls_without_verification_and_plain_http(node: &Node) {
    let host = node.host();
    let setup =
        || Setup::tls(Authority::new("corp").server(&["other.lab"])).at(&host).on_port(8443);
    let registry = setup().start(node);
    let (image, name) = (registry.image("app"), registry.name());
    let before = Witness::of(node);
    CONTAINERD.fails(node, &image, "x509");
    node.declare("corp", &Declaration::of(&name, "insecure").only("containerd"));
    assert_eq!(node.apply().due(), NOTHING);
    CONTAINERD.works(node, &image);
    registry.stop();
    let registry = Setup::plain().at(&host).on_port(8443).start(node);
    CONTAINERD.works(node, &image);

    node.declare("corp", &Declaration::of(&name, "skip-verify").only("containerd"));
    node.apply();
    CONTAINERD.fails(node, &image, PLAIN);
    registry.stop();
    let _registry = setup().start(node);
    CONTAINERD.works(node, &image);
    node.withdraw("corp");
    node.apply();
    CONTAINERD.fails(node, &image, "x509");
    assert_eq!(Witness::of(node), before);
}

/// A mirror that has nothing is passed over, and then it is the registry's own CA that counts.
fn a_mirror_and_its_registry_have_each_its_own_ca(node: &Node) {
    let [ours, theirs] = ["registry", "mirror"].map(Authority::new);
    let server = registry(node, &ours);
    let host = node.host();
    let setup = || Setup::tls(theirs.server(&[&host.name])).at(&host);
    let mirror = setup().empty().start(node);
    let image = server.image("app");
    let table = format!(
        "[[registry.mirror]]\nurl = \"https://{}\"\ntrust = \"ca\"\nca = '''{}'''",
        mirror.name(),
        theirs.root
    );
    let declared = Declaration::ca(&server.name(), &ours.root).only("containerd");
    node.declare("corp", &declared.clone().line(&table));
    assert_eq!(node.apply().due(), NOTHING);
    CONTAINERD.works(node, &image);
    assert!(mirror.requests() > 0 && server.requests() > 0);
    mirror.stop();

    let _mirror = setup().start(node);
    let asked = server.requests();
    CONTAINERD.works(node, &image);
    assert_eq!(server.requests(), asked, "the mirror has it now");
}
