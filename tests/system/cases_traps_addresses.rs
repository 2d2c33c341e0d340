//! Registries that are addresses.
//!
//! | fact | shown by |
//! |---|---|
//! | an IPv6 address is no reference to docker before 25, and to containerd before 1.7 | [`an_ipv6_address_is_a_registry_where_references_have_them`] |
//! | docker verifies nothing on 127.0.0.0/8 | [`docker_verifies_no_registry_on_localhost`] |
//! | containerd 1.6 asks localhost without TLS, 1.7 and later without verification | [`containerd_has_its_own_way_with_localhost_until_it_is_told`] |

use crate::case::{Case, case};
use crate::lab::registry::Registry;
use crate::lab::{Authority, Declaration, Host, Node, Puller, Setup, Suite, UNKNOWN, Witness};

pub(crate) const CASES: &[Case] = &[
    case!(Kubernetes an_ipv6_address_is_a_registry_where_references_have_them),
    case!(docker_verifies_no_registry_on_localhost),
    case!(Kubernetes containerd_has_its_own_way_with_localhost_until_it_is_told),
];

const BOTH: [Puller; 2] = [Puller::Docker, Puller::Containerd];

fn an_ipv6_address_is_a_registry_where_references_have_them(node: &Node) {
    node.sh("ip -6 address replace fd99::1/128 dev lo");
    let host = Host { name: "[fd99::1]".to_owned(), address: "[fd99::1]".to_owned() };
    let authority = Authority::new("corp");
    let setup = Setup::tls(authority.server(&["fd99::1"])).at(&host).on_port(5443);
    let registry = setup.start(node);
    let image = registry.image("app");
    let before = Witness::of(node);
    let has_references = node.suite != Suite::Bookworm;
    let words = if has_references { UNKNOWN } else { "invalid reference format" };
    for puller in BOTH {
        puller.fails(node, &image, words);
    }
    node.declare("corp", &Declaration::ca(&registry.name(), &authority.root));
    let survey = node.apply();
    assert_eq!(survey.due(), [""; 0]);
    for (puller, words) in BOTH.iter().zip(["docker 20.10", "containerd 1.6"]) {
        if has_references {
            puller.works(node, &image);
        } else {
            assert!(survey.notes(words), "{}", survey.text);
            assert_eq!(survey.paths(), [""; 0], "nobody could read it");
        }
    }
    node.withdraw("corp");
    node.apply();
    for puller in BOTH {
        puller.fails(node, &image, words);
    }
    assert_eq!(Witness::of(node), before);
}

/// A registry on localhost, with a certificate of this authority.
fn local<'a>(node: &'a Node, authority: &Authority) -> Registry<'a> {
    let host = Host { name: "localhost".to_owned(), address: "127.0.0.1".to_owned() };
    let setup = Setup::tls(authority.server(&["localhost"])).at(&host).on_port(5443);
    setup.start(node)
}

fn docker_verifies_no_registry_on_localhost(node: &Node) {
    let registry = local(node, &Authority::new("theirs"));
    let image = registry.image("app");
    Puller::Docker.works(node, &image);
    let declared = Declaration::ca(&registry.name(), &Authority::new("declared").root);
    node.declare("corp", &declared.only("docker"));
    assert!(node.apply().notes("docker takes loopback addresses for insecure"));
    Puller::Docker.works(node, &image);
}

fn containerd_has_its_own_way_with_localhost_until_it_is_told(node: &Node) {
    let authority = Authority::new("theirs");
    let registry = local(node, &authority);
    let (containerd, image) = (Puller::Containerd, registry.image("app"));
    let asks_with_tls = node.suite != Suite::Bookworm;
    assert_eq!(containerd.pull(node, &image).is_ok(), asks_with_tls);
    let declare = |authority: &Authority| {
        let declared = Declaration::ca(&registry.name(), &authority.root);
        node.declare("corp", &declared.only("containerd"));
        assert_eq!(node.apply().due(), [""; 0]);
    };
    declare(&authority);
    containerd.works(node, &image);
    declare(&Authority::new("another"));
    containerd.fails(node, &image, UNKNOWN);
}
