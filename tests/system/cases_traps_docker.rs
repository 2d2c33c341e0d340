//! What lies in docker's certs.d and beside it, and what dockerd makes of that.
//!
//! | fact | shown by |
//! |---|---|
//! | a certificate without its key, or a key without its certificate, fails every pull | [`half_a_client_pair_fails_every_pull`] |
//! | so does a directory, or a link to nothing, that is called `.crt` | [`a_crt_that_is_no_file_fails_every_pull`] |
//! | a file that holds no certificate is passed over in silence | [`what_is_no_certificate_helps_nobody_and_is_not_written`] |
//! | an insecure registry's certificates are not read at all, by name and by range | [`a_registry_that_somebody_made_insecure_is_not_verified`], [`a_range_that_somebody_made_insecure_covers_names`] |
//! | docker reads nothing of containerd's, and the other way round | [`each_runtime_reads_its_own_directory`] |
//! | what is withdrawn leaves no empty directory | [`directories_go_with_the_last_file_that_was_made_in_them`] |

use crate::case::{Case, case};
use crate::lab::registry::Registry;
use crate::lab::{Authority, Declaration, Node, Puller, Setup, UNKNOWN, Witness};

pub(crate) const CASES: &[Case] = &[
    case!(half_a_client_pair_fails_every_pull),
    case!(a_crt_that_is_no_file_fails_every_pull),
    case!(Kubernetes what_is_no_certificate_helps_nobody_and_is_not_written),
    case!(a_registry_that_somebody_made_insecure_is_not_verified),
    case!(a_range_that_somebody_made_insecure_covers_names),
    case!(Kubernetes each_runtime_reads_its_own_directory),
    case!(Kubernetes directories_go_with_the_last_file_that_was_made_in_them),
];

const NOTHING: [&str; 0] = [];
const CERTS: &str = "/etc/docker/certs.d";
const DAEMON_JSON: &str = "/etc/docker/daemon.json";

fn registry<'a>(node: &'a Node, authority: &Authority) -> Registry<'a> {
    let host = node.host();
    Setup::tls(authority.server(&[&host.name])).at(&host).start(node)
}

/// Puts what `obstruct` does into a registry's directory, and sees that it breaks pulls which
/// worked, that regtrust says so instead of writing beside it, and that its removal is all it
/// takes.
fn fails_every_pull(node: &Node, words: &str, obstruct: impl Fn(&str)) {
    let authority = Authority::new("corp");
    let registry = registry(node, &authority);
    let image = registry.image("app");
    let directory = format!("{CERTS}/{}", registry.name());
    node.write(&format!("{directory}/by-hand.crt"), &authority.root);
    Puller::Docker.works(node, &image);
    obstruct(&directory);
    Puller::Docker.fails(node, &image, words);

    node.declare("corp", &Declaration::ca(&registry.name(), &authority.root).only("docker"));
    let (code, survey) = node.regtrust_exits(&["apply"]);
    assert_eq!((code, survey.paths()), (1, vec![]), "{}", survey.text);
    assert!(survey.is_blocked_by("docker fails every pull"), "{}", survey.text);
    node.remove(&directory);
    assert_eq!(node.apply().paths(), [format!("{directory}/ca.crt")]);
    Puller::Docker.works(node, &image);
    node.withdraw("corp");
    node.apply();
    assert!(!node.exists(&directory));
    node.remove(CERTS);
}

fn half_a_client_pair_fails_every_pull(node: &Node) {
    let client = Authority::new("clients").client("node");
    fails_every_pull(node, "half.key", |directory| {
        node.write(&format!("{directory}/half.cert"), &client.chain);
    });
    fails_every_pull(node, "half.key", |directory| {
        node.write(&format!("{directory}/half.key"), &client.key);
    });
}

fn a_crt_that_is_no_file_fails_every_pull(node: &Node) {
    fails_every_pull(node, "is a directory", |directory| {
        node.sh(&format!("mkdir {directory}/folder.crt"));
    });
    fails_every_pull(node, "no such file or directory", |directory| {
        node.sh(&format!("ln -s gone.pem {directory}/dangling.crt"));
    });
}

/// Where `.crt` files alone count, containerd fails the pull instead.
fn what_is_no_certificate_helps_nobody_and_is_not_written(node: &Node) {
    let authority = Authority::new("corp");
    let registry = registry(node, &authority);
    let (image, name) = (registry.image("app"), registry.name());
    let junk = "-----BEGIN NONSENSE-----\n";
    for (puller, directory, words) in [
        (Puller::Docker, CERTS, UNKNOWN),
        (Puller::Containerd, "/etc/containerd/certs.d", "unable to load CA cert"),
    ] {
        node.write(&format!("{directory}/{name}/junk.crt"), junk);
        puller.fails(node, &image, words);
        node.remove(&format!("{directory}/{name}"));
    }
    node.declare("corp", &Declaration::ca(&name, junk));
    let output = node.run(["regtrust", "apply"]);
    assert_eq!(output.code, 78, "{}{}", output.stdout, output.stderr);
    assert!(!node.exists(&format!("{CERTS}/{name}")));

    node.declare("corp", &Declaration::ca(&name, &authority.root).only("docker"));
    node.write(&format!("{CERTS}/{name}/junk.crt"), junk);
    assert_eq!(node.apply().due(), NOTHING);
    Puller::Docker.works(node, &image);
    node.remove(&format!("{CERTS}/{name}/junk.crt"));
}

fn made_insecure(node: &Node, element: &str) {
    node.write(DAEMON_JSON, format!("{{\"insecure-registries\": [{element}]}}"));
    node.reload_by_hand();
}

fn a_registry_that_somebody_made_insecure_is_not_verified(node: &Node) {
    let registry = registry(node, &Authority::new("theirs"));
    let (image, name) = (registry.image("app"), registry.name());
    let declared = Declaration::ca(&name, &Authority::new("declared").root).only("docker");
    Puller::Docker.fails(node, &image, UNKNOWN);
    made_insecure(node, &format!("\"{name}\""));
    Puller::Docker.works(node, &image);

    node.declare("corp", &declared);
    let (code, survey) = node.regtrust_exits(&["apply"]);
    assert_eq!((code, survey.paths()), (1, vec![]), "{}", survey.text);
    assert!(survey.is_blocked_by("docker verifies nothing"), "{}", survey.text);
    node.write(&format!("{CERTS}/{name}/ca.crt"), &Authority::new("by hand").root);
    Puller::Docker.works(node, &image);
    node.remove(CERTS);

    made_insecure(node, "");
    assert_eq!(node.apply().paths(), [format!("{CERTS}/{name}/ca.crt")]);
    Puller::Docker.fails(node, &image, UNKNOWN);
    node.remove(DAEMON_JSON);
}

/// docker looks the name up at every pull, so regtrust cannot know and only says so.
fn a_range_that_somebody_made_insecure_covers_names(node: &Node) {
    let registry = registry(node, &Authority::new("theirs"));
    let (image, name) = (registry.image("app"), registry.name());
    node.declare("corp", &Declaration::ca(&name, &Authority::new("declared").root).only("docker"));
    node.apply();
    Puller::Docker.fails(node, &image, UNKNOWN);
    made_insecure(node, "\"10.99.0.0/16\"");
    Puller::Docker.works(node, &image);
    assert!(node.plan().notes("docker does not verify this registry while its name resolves into"));
    made_insecure(node, "");
    Puller::Docker.fails(node, &image, UNKNOWN);
    node.remove(DAEMON_JSON);
}

fn each_runtime_reads_its_own_directory(node: &Node) {
    let authority = Authority::new("corp");
    let before = Witness::of(node);
    for (runtime, reads, other) in [
        ("docker", Puller::Docker, Puller::Containerd),
        ("containerd", Puller::Containerd, Puller::Docker),
    ] {
        let registry = registry(node, &authority);
        let image = registry.image("app");
        node.declare("corp", &Declaration::ca(&registry.name(), &authority.root).only(runtime));
        assert_eq!(node.apply().due(), NOTHING);
        reads.works(node, &image);
        other.fails(node, &image, UNKNOWN);
    }
    assert_eq!(Witness::of(node), before);
}

/// An empty directory of a registry hides `_default` from it.
fn directories_go_with_the_last_file_that_was_made_in_them(node: &Node) {
    let tree = || node.sh("find /etc/docker /etc/containerd | sort");
    let (before, authority) = (tree(), Authority::new("corp"));
    let name = node.host().name;
    node.declare("nothing", &Declaration::of(&name, "system"));
    node.apply();
    assert_eq!(tree(), before, "a registry that needs no file needs no directory");
    let client = authority.client("node");
    node.declare("corp", &Declaration::ca(&node.host().name, &authority.root).client(&client));
    assert_eq!(node.apply().paths().len(), 7);
    node.withdraw("corp");
    assert_eq!(node.apply().paths().len(), 7);
    assert_eq!(tree(), before);
}
