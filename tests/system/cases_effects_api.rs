//! Effects and questions on real nodes, through the library: as the daemon does them, with the
//! node's root seen from outside, which is how a container sees its host.

use std::collections::BTreeSet;
use std::sync::Arc;

use regtrust::content::Sha256Hex;
use regtrust::effect::{Effects as _, Outcome, Systemd};
use regtrust::node::root::NodeRoot;
use regtrust::observed::CaLayout;
use regtrust::plan::work::{CaToolRun, DaemonShows, IfDown, Work};
use regtrust::runtime::changes::Calm;

use crate::case::{Case, case};
use crate::lab::wait::{block_on, eventually};
use crate::lab::{Authority, Node, Witness};

pub(crate) const CASES: &[Case] = &[
    case!(a_reload_is_acknowledged_by_dockerd_itself),
    case!(a_reload_that_dockerd_rejects_has_failed_and_dockerd_lives),
    case!(Fresh a_docker_that_is_starting_is_waited_for_and_then_reloaded),
    case!(Fresh a_stopped_docker_is_neither_reloaded_nor_restarted_nor_started),
    case!(Fresh docker_is_restarted_as_often_as_it_takes),
    case!(Fresh a_docker_that_does_not_come_back_has_failed_and_can_be_revived),
    case!(Fresh containerd_restarts_below_running_containers),
    case!(Fresh a_containerd_without_its_cri_has_failed),
    case!(Fresh the_ca_tool_is_run_until_its_bundle_is_good),
    case!(Fresh a_ca_tool_that_fails_is_reported),
    case!(Fresh the_ca_tool_waits_for_a_package_manager),
    case!(Fresh without_a_bus_nothing_is_tried),
];

pub(crate) const DAEMON: &str = "/etc/docker/daemon.json";
const CONFIG: &str = "/etc/containerd/config.toml";
const TOOL: &str = "/usr/sbin/update-ca-certificates";

pub(crate) fn root(node: &Node) -> Arc<NodeRoot> {
    Arc::new(NodeRoot::open(&node.outside("")).unwrap())
}

pub(crate) fn perform(node: &Node, work: &Work) -> Outcome {
    let systemd = Systemd::of(root(node));
    block_on(systemd.perform(work, &Calm::default()))
}

fn reload(node: &Node, insecure: &[&str], no_longer: &[&str]) -> Outcome {
    perform(node, &Work::ReloadDocker(shows(insecure, no_longer)))
}

fn shows(insecure: &[&str], no_longer: &[&str]) -> DaemonShows {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    DaemonShows {
        insecure: set(insecure),
        no_longer_insecure: set(no_longer),
        ..DaemonShows::default()
    }
}

fn restart_docker(if_down: IfDown) -> Work {
    Work::RestartDocker(if_down, DaemonShows::default())
}

fn failure(outcome: Outcome) -> (String, bool) {
    match outcome {
        Outcome::Failed { message, healthy } => (message, healthy),
        other => panic!("expected a failure, got {other:?}"),
    }
}

fn a_reload_is_acknowledged_by_dockerd_itself(node: &Node) {
    let before = Witness::of(node);
    node.write(DAEMON, r#"{"insecure-registries": ["a.lab:5000", "b.lab"]}"#);
    assert_eq!(reload(node, &["a.lab:5000", "b.lab"], &[]), Outcome::Done);

    // What is not in the file dockerd cannot show: nobody may call that done.
    let (message, healthy) = failure(reload(node, &["c.lab"], &[]));
    assert!(healthy && message.contains("does not show as insecure `c.lab`"), "{message}");

    node.write(DAEMON, r#"{"insecure-registries": []}"#);
    assert_eq!(reload(node, &[], &["a.lab:5000", "b.lab"]), Outcome::Done);
    // dockerd takes a missing key for "no change".
    node.write(DAEMON, r#"{"insecure-registries": ["a.lab:5000"]}"#);
    assert_eq!(reload(node, &["a.lab:5000"], &[]), Outcome::Done);
    node.write(DAEMON, "{}");
    let (message, healthy) = failure(reload(node, &[], &["a.lab:5000"]));
    assert!(healthy && message.contains("still shows as insecure `a.lab:5000`"), "{message}");

    let mirrors = BTreeSet::from(["https://m.lab".to_owned()]);
    let shows = DaemonShows { mirrors, ..DaemonShows::default() };
    node.write(DAEMON, r#"{"registry-mirrors": ["https://m.lab"], "insecure-registries": []}"#);
    assert_eq!(perform(node, &Work::ReloadDocker(shows)), Outcome::Done);

    let after = Witness::of(node);
    assert_eq!(after.docker.pid, before.docker.pid);
    assert_eq!(after.containerd, before.containerd);
    node.write(DAEMON, r#"{"registry-mirrors": [], "insecure-registries": []}"#);
    assert_eq!(reload(node, &[], &[]), Outcome::Done);
    node.remove(DAEMON);
}

fn a_reload_that_dockerd_rejects_has_failed_and_dockerd_lives(node: &Node) {
    let before = Witness::of(node);
    for broken in ["{", r#"{"insecure-registries": ["a.lab"], "no-such-key": 1}"#] {
        node.write(DAEMON, broken);
        let (message, healthy) = failure(reload(node, &["a.lab"], &[]));
        assert!(healthy, "{message}");
        assert!(message.contains("did not take the new daemon.json"), "{message}");
        assert!(message.contains("`a.lab`"), "{message}");
    }
    node.remove(DAEMON);
    assert_eq!(Witness::of(node).docker.pid, before.docker.pid);
}

fn a_docker_that_is_starting_is_waited_for_and_then_reloaded(node: &Node) {
    // Before dockerd has said that it is ready, SIGHUP kills it. systemd calls it "activating" for
    // a little longer here.
    let slow = "[Service]\nExecStartPost=/bin/sleep 4\n";
    node.write("/etc/systemd/system/docker.service.d/slow.conf", slow);
    node.sh("systemctl daemon-reload; systemctl restart --no-block docker");
    eventually("docker is starting", || {
        (Witness::state(node, "docker.service") == "activating").then_some(())
    });
    node.write(DAEMON, r#"{"insecure-registries": ["a.lab"]}"#);
    assert_eq!(reload(node, &["a.lab"], &[]), Outcome::Done);
    assert_eq!(Witness::state(node, "docker.service"), "active");
}

fn a_stopped_docker_is_neither_reloaded_nor_restarted_nor_started(node: &Node) {
    // The socket stays: who connects to it starts docker again.
    node.sh("systemctl stop docker.service; systemctl is-active docker.socket");
    assert_eq!(reload(node, &[], &[]), Outcome::NotRunning);
    for if_down in [IfDown::Leave, IfDown::Revive] {
        assert_eq!(perform(node, &restart_docker(if_down)), Outcome::NotRunning);
    }
    let host = "a.lab".parse().unwrap();
    let answers = super::cases_verdicts::ask_docker(node, host);
    assert!(answers.contains("does not run"), "{answers}");
    assert_eq!(Witness::state(node, "docker.service"), "inactive");

    node.sh("systemctl stop containerd.service");
    let restart = perform(node, &Work::RestartContainerd(IfDown::Revive));
    assert_eq!(restart, Outcome::NotRunning);
    node.sh("systemctl mask --runtime containerd.service");
    let restart = perform(node, &Work::RestartContainerd(IfDown::Leave));
    assert_eq!(restart, Outcome::NotRunning);
}

fn docker_is_restarted_as_often_as_it_takes(node: &Node) {
    node.write(DAEMON, r#"{"insecure-registries": ["a.lab"]}"#);
    let work = Work::RestartDocker(IfDown::Leave, shows(&["a.lab"], &[]));
    // systemd starts docker three times in a minute and then no more.
    for number in 1..=5 {
        let before = Witness::of(node);
        assert_eq!(perform(node, &work), Outcome::Done, "restart {number}");
        let after = Witness::of(node);
        assert_ne!(after.docker.invocation, before.docker.invocation);
        assert_eq!(after.containerd, before.containerd);
    }
    assert_eq!(Witness::state(node, "docker.socket"), "active");
    let absent = Work::RestartDocker(IfDown::Leave, shows(&["b.lab"], &[]));
    let (message, healthy) = failure(perform(node, &absent));
    assert!(healthy && message.contains("`b.lab`"), "{message}");
}

fn a_docker_that_does_not_come_back_has_failed_and_can_be_revived(node: &Node) {
    node.write(DAEMON, r#"{"no-such-key": 1}"#);
    let (message, healthy) = failure(perform(node, &restart_docker(IfDown::Leave)));
    assert!(!healthy && message.contains("docker did not"), "{message}");
    eventually("systemd has given docker up", || {
        (Witness::state(node, "docker.service") == "failed").then_some(())
    });
    assert_eq!(perform(node, &restart_docker(IfDown::Leave)), Outcome::NotRunning);
    node.remove(DAEMON);
    assert_eq!(perform(node, &restart_docker(IfDown::Revive)), Outcome::Done);
    assert_eq!(Witness::state(node, "docker.socket"), "active");
}

fn containerd_restarts_below_running_containers(node: &Node) {
    node.start_container("customer");
    let before = Witness::of(node);
    assert_eq!(perform(node, &Work::RestartContainerd(IfDown::Leave)), Outcome::Done);
    let after = Witness::of(node);
    assert_ne!(after.containerd.invocation, before.containerd.invocation);
    assert_eq!((after.containers, after.docker), (before.containers, before.docker));

    let good = node.read(CONFIG).unwrap();
    node.write(CONFIG, "version = \"none\"\n[");
    let (message, healthy) = failure(perform(node, &Work::RestartContainerd(IfDown::Leave)));
    assert!(!healthy && message.contains("containerd did not come back"), "{message}");
    node.write(CONFIG, good);
    assert_eq!(perform(node, &Work::RestartContainerd(IfDown::Revive)), Outcome::Done);
    let revived = Witness::of(node);
    assert_eq!(perform(node, &Work::RestartContainerd(IfDown::Revive)), Outcome::Done);
    assert_eq!(Witness::of(node), revived, "one that works is not taken down again");
}

fn a_containerd_without_its_cri_has_failed(node: &Node) {
    let good = node.read(CONFIG).unwrap();
    let registry = "plugins.\"io.containerd.grpc.v1.cri\".registry";
    let both = format!(
        "{good}\n[{registry}]\nconfig_path = \"/etc/containerd/certs.d\"\n\
         [{registry}.mirrors.\"a.lab\"]\nendpoint = [\"http://a.lab\"]\n"
    );
    node.write(CONFIG, both);
    let (message, healthy) = failure(perform(node, &Work::RestartContainerd(IfDown::Leave)));
    assert_eq!(Witness::state(node, "containerd.service"), "active", "systemd sees nothing");
    assert!(!healthy && message.contains("CRI plugin failed"), "{message}");
    assert!(message.contains("`mirrors` cannot be set"), "{message}");

    // Whose CRI is switched off does not miss it.
    node.write(CONFIG, "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n");
    assert_eq!(perform(node, &Work::RestartContainerd(IfDown::Leave)), Outcome::Done);
}

/// A CA under the name of ours in the directory that the tool reads.
fn anchor(node: &Node, pem: &str) -> String {
    let fingerprint = fingerprints(pem).pop_first().unwrap();
    node.write(&format!("/usr/local/share/ca-certificates/regtrust-{fingerprint}.crt"), pem);
    fingerprint
}

fn fingerprints(pem: &str) -> BTreeSet<String> {
    let found = regtrust::target::system_ca::fingerprints(pem.as_bytes());
    found.iter().map(Sha256Hex::short).collect()
}

fn bundle(node: &Node) -> BTreeSet<String> {
    fingerprints(&node.read(&CaLayout::Debian.bundle().to_string()).unwrap())
}

fn run_of(wanted: &[&String], lingering: &[&String]) -> Work {
    let set = |names: &[&String]| names.iter().map(|name| (*name).clone()).collect();
    let more = if lingering.is_empty() { vec![] } else { vec!["--fresh".to_owned()] };
    Work::RunCaTool(CaToolRun {
        layout: CaLayout::Debian,
        argv: [vec![TOOL.to_owned()], more].concat(),
        bundle: CaLayout::Debian.bundle(),
        wanted: set(wanted),
        lingering: set(lingering),
    })
}

const SPOILED_ONCE: &str = r#"#!/bin/sh
echo run >> /run/runs
[ -e /run/spoiled ] && exec /usr/sbin/update-ca-certificates.good "$@"
touch /run/spoiled
bundle=/etc/ssl/certs/ca-certificates.crt
head -n 60 $bundle > $bundle.new; mv $bundle.new $bundle
"#;

const SPOILED_LATE: &str = r"
sleep 3
cd /etc/ssl/certs
head -n 60 ca-certificates.crt > spoiled
mv spoiled ca-certificates.crt
touch /run/spoiled-late
";

fn the_ca_tool_is_run_until_its_bundle_is_good(node: &Node) {
    let before = bundle(node);
    let corp = anchor(node, &Authority::new("corp").root);
    assert_eq!(perform(node, &run_of(&[&corp], &[])), Outcome::Done);
    let with_corp = bundle(node);
    assert_eq!(with_corp.difference(&before).collect::<Vec<_>>(), [&corp]);

    // What a run beside another one leaves behind, while both exit with 0.
    let other = anchor(node, &Authority::new("other").root);
    node.sh(&format!("mv {TOOL} {TOOL}.good"));
    node.write(TOOL, SPOILED_ONCE);
    node.sh(&format!("chmod 755 {TOOL}"));
    assert_eq!(perform(node, &run_of(&[&corp, &other], &[])), Outcome::Done);
    assert!(bundle(node).is_superset(&with_corp) && bundle(node).contains(&other));
    assert_eq!(node.read("/run/runs").unwrap(), "run\nrun\n", "spoiled, mended");
    node.sh(&format!("mv {TOOL}.good {TOOL}"));

    // And real ones. All three of ours may have met one of theirs; it heals once they are over.
    let meddle = format!("for i in 1 2 3 4; do {TOOL} >/dev/null 2>&1 || :; sleep 0.2; done");
    node.sh(&format!("systemd-run --quiet --collect --unit=meddler sh -c '{meddle}'"));
    let beside = perform(node, &run_of(&[&corp, &other], &[]));
    eventually("the other runs are over", || {
        (Witness::state(node, "meddler.service") != "active").then_some(())
    });
    assert_eq!(perform(node, &run_of(&[&corp, &other], &[])), Outcome::Done, "after {beside:?}");
    assert!(bundle(node).is_superset(&with_corp) && bundle(node).contains(&other));

    // One that a regtrustd began which was killed meanwhile: what it leaves is what the next one finds.
    node.write("/root/spoil", SPOILED_LATE);
    node.sh("systemd-run --quiet --collect --no-block --unit=regtrust-ca-tool sh /root/spoil");
    assert_eq!(perform(node, &run_of(&[&corp, &other], &[])), Outcome::Done);
    assert_eq!(node.read("/run/spoiled-late").as_deref(), Some(""), "it has been waited for");
    assert!(bundle(node).is_superset(&with_corp) && bundle(node).contains(&other));

    node.remove(&format!("/usr/local/share/ca-certificates/regtrust-{corp}.crt"));
    assert_eq!(perform(node, &run_of(&[&other], &[&corp])), Outcome::Done);
    assert!(!bundle(node).contains(&corp) && bundle(node).is_superset(&before));
    let units = node.sh("systemctl list-units --all --no-legend 'regtrust-ca-tool*'");
    assert_eq!(units, "", "no unit stays behind");
}

fn a_ca_tool_that_fails_is_reported(node: &Node) {
    let corp = anchor(node, &Authority::new("corp").root);
    node.sh(&format!("mv {TOOL} {TOOL}.good"));
    let (message, healthy) = failure(perform(node, &run_of(&[&corp], &[])));
    assert!(healthy && message.contains("is not installed"), "{message}");

    for (script, words) in [
        ("#!/bin/sh\nexit 3\n", "exit code 3"),
        ("#!/bin/sh\nexit 0\n", "still lacks the certificate"),
        // What a run beside another one leaves behind.
        ("#!/bin/sh\ncat /usr/local/share/ca-certificates/*.crt > $OUT\n", "has lost"),
    ] {
        let script = script.replace("$OUT", &CaLayout::Debian.bundle().to_string());
        node.write(TOOL, script);
        node.sh(&format!("chmod 755 {TOOL}; {TOOL}.good > /dev/null"));
        if words.contains("lacks") {
            node.sh("head -n 40 /etc/ssl/certs/ca-certificates.crt > /srv/b; \
                     cat /srv/b > /etc/ssl/certs/ca-certificates.crt");
        }
        let outcome = perform(node, &run_of(&[&corp], &[]));
        if words == "has lost" {
            // Once is suspicious and tried again; the same once more is what the sources make.
            assert_eq!(outcome, Outcome::Done);
            continue;
        }
        let (message, healthy) = failure(outcome);
        assert!(healthy && message.contains(words), "{message}");
    }
}

/// Locks as dpkg does: a record lock, which `flock` knows nothing of.
const HOLD: &str = r#"
use Fcntl qw(:DEFAULT F_SETLK F_WRLCK SEEK_SET);
open(my $file, "+<", "/var/lib/dpkg/lock-frontend") or die;
my $lock = pack("s s x4 q q i x4", F_WRLCK, SEEK_SET, 0, 0, 0);
fcntl($file, F_SETLK, $lock) or die;
open(my $held, ">", "/run/held") or die;
sleep 6;
"#;

fn the_ca_tool_waits_for_a_package_manager(node: &Node) {
    let corp = anchor(node, &Authority::new("corp").root);
    node.write("/srv/hold.pl", HOLD);
    node.sh("touch /var/lib/dpkg/lock-frontend");
    node.sh("systemd-run --quiet --collect --unit=packages perl /srv/hold.pl");
    eventually("the lock is held", || node.exists("/run/held").then_some(()));
    assert_eq!(perform(node, &run_of(&[&corp], &[])), Outcome::Done);
    assert_ne!(Witness::state(node, "packages.service"), "active", "it was waited for");
    assert!(bundle(node).contains(&corp));
}

fn without_a_bus_nothing_is_tried(node: &Node) {
    let before = Witness::of(node);
    node.sh("mv /run/dbus/system_bus_socket /run/dbus/elsewhere");
    let outcome = perform(node, &restart_docker(IfDown::Leave));
    node.sh("mv /run/dbus/elsewhere /run/dbus/system_bus_socket");
    let Outcome::Impossible { message } = outcome else { panic!("{outcome:?}") };
    assert!(message.contains("system_bus_socket` does not exist"), "{message}");
    assert_eq!(Witness::of(node), before);
}
