//! What docker and containerd say about registries of every kind, and what is made of it.

use std::collections::BTreeSet;

use regtrust::effect::Outcome;
use regtrust::plan::work::{DaemonShows, Work};
use regtrust::trust::entry::Runtime;
use regtrust::trust::host::RegistryHost;
use regtrust::verify::ask::{Answer, ask};
use regtrust::verify::classify::Verdict;

use crate::case::{Case, case};
use crate::cases_effects_api::{DAEMON, perform, root};
use crate::lab::wait::{block_on, eventually};
use crate::lab::{Authority, Node, Setup, Suite, Witness};

pub(crate) const CASES: &[Case] = &[
    case!(Kubernetes a_registry_is_believed_or_the_reason_is_named),
    case!(Kubernetes where_nothing_answers_the_reason_is_named),
    case!(Kubernetes without_tls_a_question_takes_the_way_that_a_pull_takes),
    case!(Kubernetes what_was_declared_wrongly_is_named),
];

fn answers(node: &Node, hosts: &[&str]) -> Vec<Answer> {
    let both = [Runtime::Docker, Runtime::Containerd];
    let host = |host: &&str| -> RegistryHost { host.parse().unwrap() };
    let questions = hosts.iter().map(host).flat_map(|host| both.map(|one| (host.clone(), one)));
    block_on(ask(&root(node), questions))
}

/// What docker says about one registry, or why it was not asked.
pub(crate) fn ask_docker(node: &Node, host: RegistryHost) -> String {
    let answers = block_on(ask(&root(node), [(host, Runtime::Docker)]));
    assert_eq!(answers[0].verdict, Verdict::NotAsked, "{answers:?}");
    answers[0].said.clone()
}

/// Asserts one verdict of both runtimes.
fn expect(node: &Node, host: &str, verdict: Verdict) {
    for answer in answers(node, &[host]) {
        assert_eq!(answer.verdict, verdict, "{answer:?}");
        let is_fine = verdict == Verdict::Trusted;
        assert_eq!(answer.cure.is_empty(), is_fine, "{answer:?}");
    }
}

/// Makes both runtimes believe an authority for a registry, without regtrust.
fn trust(node: &Node, host: &str, root: &str) {
    node.write(&format!("/etc/docker/certs.d/{host}/ca.crt"), root);
    node.write(&format!("/etc/containerd/certs.d/{host}/ca.crt"), root);
}

fn forget(node: &Node) {
    node.remove("/etc/docker/certs.d /etc/containerd/certs.d");
}

fn a_registry_is_believed_or_the_reason_is_named(node: &Node) {
    let corp = Authority::new("corp");
    let [good, login, stranger, other, expired, client] = std::array::from_fn(|_| node.host());
    let before = Witness::of(node);
    let tls = |name: &str| Setup::tls(corp.server(&[name]));
    let _registries = [
        tls(&good.name).at(&good).start(node),
        tls(&login.name).with_login("ann", "s3cret").at(&login).start(node),
        tls(&stranger.name).at(&stranger).start(node),
        tls("elsewhere.lab").at(&other).start(node),
        Setup::tls(corp.expired_server(&[&expired.name])).at(&expired).start(node),
        tls(&client.name).demanding_clients_of(&corp.root).at(&client).start(node),
    ];
    for host in [&good, &login, &other, &expired, &client] {
        trust(node, &host.name, &corp.root);
    }
    expect(node, &good.name, Verdict::Trusted);
    expect(node, &login.name, Verdict::TrustedUnauthorised);
    expect(node, &stranger.name, Verdict::UnknownAuthority);
    expect(node, &other.name, Verdict::NameMismatch);
    expect(node, &expired.name, Verdict::Expired);
    expect(node, &client.name, Verdict::ClientCertificate);

    let all = [&good, &login, &stranger, &other, &expired, &client].map(|host| &*host.name);
    assert_eq!(answers(node, &all).len(), 12, "several at a time");
    assert_eq!(Witness::of(node), before, "a question disturbs nothing");
    forget(node);
}

fn where_nothing_answers_the_reason_is_named(node: &Node) {
    let [nobody, silent] = std::array::from_fn(|_| node.host());
    expect(node, &nobody.name, Verdict::Refused);
    expect(node, "no-such-name.invalid", Verdict::Dns);
    node.sh(&format!("iptables -I INPUT -d {} -p tcp --dport 443 -j DROP", silent.address));
    expect(node, &silent.name, Verdict::Timeout);
    node.sh(&format!("iptables -D INPUT -d {} -p tcp --dport 443 -j DROP", silent.address));
}

fn what_was_declared_wrongly_is_named(node: &Node) {
    let plain = Setup::plain().start(node);
    expect(node, &plain.name(), Verdict::HttpOnHttpsPort);

    // docker always tries TLS first, so only containerd can get this one wrong.
    let host = node.host();
    let corp = Authority::new("corp");
    let _tls = Setup::tls(corp.server(&[&host.name])).at(&host).on_port(8443).start(node);
    let name = format!("{}:8443", host.name);
    let toml = format!("server = \"http://{name}\"\n[host]\n");
    node.write(&format!("/etc/containerd/certs.d/{name}/hosts.toml"), toml);
    let asked = [(name.parse().unwrap(), Runtime::Containerd)];
    let answer = block_on(ask(&root(node), asked)).remove(0);
    // containerd 1.6 says nothing but "400 Bad Request", which can also mean something else.
    let expected = match node.suite {
        Suite::Bookworm => Verdict::NotARegistry,
        Suite::Trixie | Suite::Forky => Verdict::HttpsOnHttpPort,
    };
    assert_eq!(answer.verdict, expected, "{answer:?}");
    assert!(answer.cure.contains("HTTPS"), "{answer:?}");

    // Half a client pair: docker says so itself, before it asks anybody.
    let host = node.host();
    let _tls = Setup::tls(corp.server(&[&host.name])).at(&host).start(node);
    trust(node, &host.name, &corp.root);
    let client = corp.client("node");
    node.write(&format!("/etc/docker/certs.d/{}/client.cert", host.name), &client.chain);
    let answer = answers(node, &[&host.name]).remove(0);
    assert_eq!(answer.verdict, Verdict::ClientCertificate, "{answer:?}");

    forget(node);
}

fn without_tls_a_question_takes_the_way_that_a_pull_takes(node: &Node) {
    let plain = Setup::plain().start(node);
    let web = node.host();
    node.sh("mkdir -p /srv/www && echo hello > /srv/www/index.html");
    let serve = format!("busybox httpd -f -p {}:5081 -h /srv/www", web.address);
    node.sh(&format!("systemd-run --quiet --collect --unit=web {serve}"));
    eventually("it listens", || node.listens(&web.address, 5081).then_some(()));
    let web = format!("{}:5081", web.name);
    expect(node, &plain.name(), Verdict::HttpOnHttpsPort);
    expect(node, &web, Verdict::HttpOnHttpsPort);

    for name in [&plain.name(), &web] {
        let toml = format!("server = \"http://{name}\"\n[host]\n");
        node.write(&format!("/etc/containerd/certs.d/{name}/hosts.toml"), toml);
    }
    let insecure = BTreeSet::from([plain.name(), web.clone()]);
    let list: Vec<String> = insecure.iter().map(|name| format!("{name:?}")).collect();
    node.write(DAEMON, format!("{{\"insecure-registries\": [{}]}}", list.join(", ")));
    let shows = DaemonShows { insecure, ..DaemonShows::default() };
    assert_eq!(perform(node, &Work::ReloadDocker(shows)), Outcome::Done);
    expect(node, &plain.name(), Verdict::Trusted);
    // A web server that is no registry.
    for answer in answers(node, &[&web]) {
        let expected = match answer.runtime {
            Runtime::Docker => Verdict::NotARegistry,
            // It asks for headers alone, and 404 is what a registry would say.
            Runtime::Containerd => Verdict::Trusted,
        };
        assert_eq!(answer.verdict, expected, "{answer:?}");
    }

    node.sh("systemctl stop web");
    node.write(DAEMON, "{\"insecure-registries\": []}");
    assert_eq!(perform(node, &Work::ReloadDocker(DaemonShows::default())), Outcome::Done);
    node.remove(DAEMON);
    forget(node);
}
