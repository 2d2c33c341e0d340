//! What registries do with certificates, and what declaring their CA changes about it.

use crate::case::{Case, case};
use crate::lab::certificates::Identity;
use crate::lab::{
    Authority, Declaration, Node, Puller, Setup, Suite, Witness, cri, self_signed_server,
};

pub(crate) const CASES: &[Case] = &[
    case!(Kubernetes a_registry_that_demands_a_client_certificate_gets_it),
    case!(Kubernetes a_login_reaches_a_registry_that_is_trusted),
    case!(Kubernetes a_ca_makes_no_expired_certificate_good),
    case!(Kubernetes a_ca_makes_no_other_name_good),
    case!(Kubernetes a_self_signed_server_certificate_is_trusted_for_its_registry),
    case!(Kubernetes a_self_signed_server_certificate_that_is_no_ca_is_trusted_all_the_same),
    case!(Kubernetes a_port_is_part_of_the_name),
    case!(Kubernetes a_rotated_ca_is_trusted_at_once_and_the_old_one_no_longer),
];

const BOTH: [Puller; 2] = [Puller::Docker, Puller::Containerd];

fn declare_at_once(node: &Node, declaration: &Declaration) {
    node.declare("corp", declaration);
    let survey = node.apply();
    assert_eq!(survey.due(), [] as [&str; 0], "{}", survey.text);
}

fn fails_with(node: &Node, image: &str, expected: &str) {
    for puller in BOTH {
        let words = puller.pull(node, image).unwrap_err();
        assert!(words.contains(expected), "{puller:?}: {words}");
    }
}

fn works(node: &Node, image: &str) {
    for puller in BOTH {
        puller.pull(node, image).unwrap_or_else(|words| panic!("{puller:?}: {words}"));
    }
}

fn a_registry_that_demands_a_client_certificate_gets_it(node: &Node) {
    let host = node.host();
    let authority = Authority::new("corp");
    let server = authority.server(&[&host.name]);
    let setup = Setup::tls(server).demanding_clients_of(&authority.root);
    let registry = setup.at(&host).start(node);
    let image = registry.image("app");
    let settled = Witness::of(node);

    let ca = Declaration::ca(&registry.name(), &authority.root);
    declare_at_once(node, &ca);
    let refused =
        if node.suite == Suite::Bookworm { "bad certificate" } else { "certificate required" };
    fails_with(node, &image, refused);
    declare_at_once(node, &ca.clone().client(&authority.client("node")));
    works(node, &image);
    declare_at_once(node, &ca);
    fails_with(node, &image, refused);
    assert_eq!(Witness::of(node), settled);
}

/// Whether a pull is allowed is no business of regtrust's; that the question is asked over a
/// connection that can be trusted is.
fn a_login_reaches_a_registry_that_is_trusted(node: &Node) {
    let host = node.host();
    let authority = Authority::new("corp");
    let setup = Setup::tls(authority.server(&[&host.name])).with_login("ann", "secret");
    let registry = setup.at(&host).start(node);
    let (image, name) = (registry.image("app"), registry.name());
    let login = format!("echo secret | docker login --username ann --password-stdin {name}");
    let words = node.run(["sh", "-c", &login]).verdict().unwrap_err();
    assert!(words.contains("x509"), "{words}");

    declare_at_once(node, &Declaration::ca(&name, &authority.root));
    Puller::Docker.pull(node, &image).unwrap_err();
    node.sh(&login);
    Puller::Docker.pull(node, &image).unwrap();
    let words = cri::pull(node, &image).unwrap_err();
    assert!(words.contains("authorization failed") || words.contains("401"), "{words}");
    cri::pull_as(node, &image, Some(("ann", "secret"))).unwrap();
}

fn a_ca_makes_no_expired_certificate_good(node: &Node) {
    a_ca_does_not_help(node, "certificate has expired", |authority, name| {
        authority.expired_server(&[name])
    });
}

fn a_ca_makes_no_other_name_good(node: &Node) {
    a_ca_does_not_help(node, "certificate is valid for other.lab, not", |authority, _| {
        authority.server(&["other.lab"])
    });
}

fn a_ca_does_not_help(node: &Node, words: &str, server: impl Fn(&Authority, &str) -> Identity) {
    let host = node.host();
    let authority = Authority::new("corp");
    let registry = Setup::tls(server(&authority, &host.name)).at(&host).start(node);
    let image = registry.image("app");
    declare_at_once(node, &Declaration::ca(&registry.name(), &authority.root));
    fails_with(node, &image, words);

    registry.stop();
    let registry = Setup::tls(authority.server(&[&host.name])).at(&host).start(node);
    works(node, &image);
    assert_ne!(registry.requests(), 0);
}

fn a_self_signed_server_certificate_is_trusted_for_its_registry(node: &Node) {
    a_self_signed_certificate_works(node, true);
}

fn a_self_signed_server_certificate_that_is_no_ca_is_trusted_all_the_same(node: &Node) {
    a_self_signed_certificate_works(node, false);
}

fn a_self_signed_certificate_works(node: &Node, is_ca: bool) {
    let host = node.host();
    let server = self_signed_server(&[&host.name], is_ca);
    let registry = Setup::tls(server.clone()).at(&host).start(node);
    let image = registry.image("app");
    fails_with(node, &image, "x509: certificate signed by unknown authority");
    declare_at_once(node, &Declaration::ca(&registry.name(), &server.chain));
    works(node, &image);
}

/// docker and containerd look a registry up as the reference spells it.
fn a_port_is_part_of_the_name(node: &Node) {
    let host = node.host();
    let authority = Authority::new("corp");
    let setup = || Setup::tls(authority.server(&[&host.name])).at(&host);
    let (usual, other) = (setup().start(node), setup().on_port(8443).start(node));
    let (usual_image, other_image) = (usual.image("app"), other.image("app"));
    declare_at_once(node, &Declaration::ca(&other.name(), &authority.root));
    works(node, &other_image);
    fails_with(node, &usual_image, "x509");
}

fn a_rotated_ca_is_trusted_at_once_and_the_old_one_no_longer(node: &Node) {
    let host = node.host();
    let [old, new] = ["old", "new"].map(Authority::new);
    let registry = Setup::tls(old.server(&[&host.name])).at(&host).start(node);
    let (image, name) = (registry.image("app"), registry.name());
    let declaration = |ca: &str| Declaration::ca(&name, ca);
    declare_at_once(node, &declaration(&old.root));
    works(node, &image);

    // In between both are declared, so that no pull fails while the server changes.
    declare_at_once(node, &declaration(&format!("{}{}", old.root, new.root)));
    works(node, &image);
    registry.stop();
    let _registry = Setup::tls(new.server(&[&host.name])).at(&host).start(node);
    works(node, &image);
    declare_at_once(node, &declaration(&new.root));
    works(node, &image);
    declare_at_once(node, &declaration(&old.root));
    fails_with(node, &image, "x509");
}
