//! regtrustd's unit as it is shipped: what it keeps the daemon from, and that the daemon works so.

use regtrust::api::v1::item_status::State;
use regtrust::api::v1::{NodeStatus, Phase};

use crate::case::{Case, case};
use crate::lab::daemon::{Daemon, items, shipped};
use crate::lab::wait::eventually;
use crate::lab::{Authority, Declaration, Node, Puller, Setup, Suite, UNKNOWN};

pub(crate) const CASES: &[Case] = &[
    case!(Clean the_daemon_has_no_power_but_its_files),
    case!(without_a_daemon_the_other_unit_applies_what_is_declared),
    case!(Kubernetes without_a_network_it_works_and_is_still_called).on(&[Suite::Trixie]),
    case!(Clean what_belongs_to_somebody_else_is_left_until_it_may_be_kept).on(&[Suite::Trixie]),
];

const DAEMON: &str = "/etc/docker/daemon.json";

/// The kernel's word, and not the unit's: each directive is tried.
fn the_daemon_has_no_power_but_its_files(node: &Node) {
    let daemon = Daemon::start(node);
    let pid = daemon.shows("MainPID");
    let status = node.read(&format!("/proc/{pid}/status")).unwrap();
    let says = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        line.trim().to_owned()
    };
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(says(set), "0000000000000000", "{set}");
    }
    assert_eq!((&*says("NoNewPrivs:"), &*says("Seccomp:")), ("1", "2"));
    assert_eq!(says("Umask:"), "0077");

    // Its view of the file system, from outside, with a root that may do everything.
    let its = |path: &str| format!("/proc/{pid}/root{path}");
    let tries = |words: &[&str]| node.run(words.iter().copied());
    // systemd leaves what ExecPaths= names writable unless it is told otherwise.
    for mount in node.sh(&format!("cut -d' ' -f5,6 /proc/{pid}/mountinfo")).lines() {
        let (place, options) = mount.split_once(' ').unwrap();
        if place.starts_with("/usr") && place != "/usr/local/share" {
            assert!(options.split(',').any(|option| option == "ro"), "{mount}");
        }
    }
    for path in [
        "/usr/bin",
        "/usr/lib",
        "/usr/lib64",
        "/var/lib/docker",
        "/boot",
        "/etc/systemd",
        "/etc/cron.d",
    ] {
        if node.exists(path) {
            let output = tries(&["touch", &its(&format!("{path}/regtrust-was-here"))]);
            assert!(output.stderr.contains("Read-only file system"), "{path}: {}", output.stderr);
        }
    }
    for path in ["/etc/docker", "/etc/containerd", "/var/lib/regtrust", "/usr/local/share"] {
        let file = its(&format!("{path}/regtrust-was-here"));
        node.sh(&format!("touch {file} && rm {file}"));
    }
    for program in ["/bin/sh", "/usr/bin/docker", "/usr/bin/kill", "/usr/bin/regtrust"] {
        let output = tries(&[&its(program), "--version"]);
        assert_eq!(output.code, 126, "{program} can be executed: {}", output.stdout);
    }
    assert_eq!(tries(&["ls", "-A", &its("/root")]).stdout, "");
    assert_eq!(node.sh(&format!("stat --format=%a {}", its("/etc/shadow"))).trim(), "0");
    // `kill` is outside of it, so a reload works.
    daemon.systemctl("reload");
    assert_eq!(daemon.shows("MainPID"), pid);
}

/// In the same sandbox, without a network and a bus.
fn without_a_daemon_the_other_unit_applies_what_is_declared(node: &Node) {
    const UNIT: &str = "/usr/lib/systemd/system/regtrust-apply.service";
    let authority = Authority::new("corp");
    let host = node.host();
    let registry = Setup::tls(authority.server(&[&host.name])).at(&host).start(node);
    let image = registry.image("app");
    node.write(UNIT, shipped("regtrust-apply.service"));
    let apply = || node.sh("systemctl daemon-reload && systemctl start regtrust-apply");

    node.declare("corp", &Declaration::ca(&registry.name(), &authority.root).only("docker"));
    apply();
    Puller::Docker.works(node, &image);
    // One that is wrong keeps nothing else from being applied, and is no reason to hold a boot up.
    node.declare("wrong", &"[[registry]]\nhost = 7\n");
    node.withdraw("corp");
    apply();
    Puller::Docker.fails(node, &image, UNKNOWN);
    assert!(node.journal("regtrust-apply").contains("wrong.toml:2"));
    node.sh(&format!("rm {UNIT} && systemctl daemon-reload"));
}

fn without_a_network_it_works_and_is_still_called(node: &Node) {
    let authority = Authority::new("corp");
    let host = node.host();
    let registry = Setup::tls(authority.server(&[&host.name])).at(&host).start(node);
    let image = registry.image("app");

    let daemon = Daemon::install(node);
    daemon.drop_in("no-network.conf");
    let server = authority.server(&["node.lab"]);
    node.write("/etc/regtrust/tls/tls.crt", &server.chain);
    node.write("/etc/regtrust/tls/tls.key", &server.key);
    node.write("/etc/regtrust/tls/ca.crt", &authority.root);
    node.sh("chmod 600 /etc/regtrust/tls/tls.key && cat >> /etc/regtrust/regtrustd.toml <<'END'\n\
         [listen.tcp]\naddress = \"0.0.0.0:7443\"\n\
         certificate_file = \"/etc/regtrust/tls/tls.crt\"\nkey_file = \"/etc/regtrust/tls/tls.key\"\n\
         client_ca_file = \"/etc/regtrust/tls/ca.crt\"\nEND");
    node.sh("systemctl enable regtrustd-tcp.socket 2>&1");
    daemon.systemctl("start");
    let pid = daemon.shows("MainPID");
    let networks = node.sh(&format!("readlink /proc/1/ns/net /proc/{pid}/ns/net"));
    let [node_net, its_net] = networks.lines().collect::<Vec<_>>()[..] else {
        panic!("{networks}")
    };
    assert_ne!(node_net, its_net);

    // Somebody outside is answered all the same, through the socket that systemd made.
    eventually("its certificate is shown to whoever calls", || {
        let call = "openssl s_client -connect 127.0.0.1:7443 -alpn h2 </dev/null 2>&1 || true";
        node.sh(call).contains("BEGIN CERTIFICATE").then_some(())
    });
    node.declare("corp", &Declaration::ca(&registry.name(), &authority.root));
    daemon.in_force(&registry.name());
    for puller in [Puller::Docker, Puller::Containerd] {
        puller.pull(node, &image).unwrap_or_else(|words| panic!("{puller:?}: {words}"));
    }
    // Stopped means stopped: nobody starts it again by calling.
    daemon.systemctl("stop");
    node.run(["sh", "-c", "openssl s_client -connect 127.0.0.1:7443 </dev/null"]);
    assert_eq!(daemon.shows("ActiveState"), "inactive");
    daemon.systemctl("start");
    node.withdraw("corp");
    daemon.until("it is gone", |status| {
        status.registries.is_empty() && status.phase() == Phase::Settled
    });
}

fn what_belongs_to_somebody_else_is_left_until_it_may_be_kept(node: &Node) {
    let theirs = "{\n  \"max-concurrent-downloads\": 3\n}\n";
    node.write(DAEMON, theirs);
    node.sh(&format!("chown 1234:4321 {DAEMON}; chmod 664 {DAEMON}"));
    let daemon = Daemon::start(node);
    node.declare("plain", &Declaration::of("plain.corp:5000", "insecure"));
    let refused = |status: &NodeStatus| {
        let blocked = items(status, "plain.corp:5000", State::Blocked);
        blocked.iter().any(|item| item.because.contains("belongs to user 1234"))
    };
    let status = daemon.until("the owner is said to be in the way", refused);
    assert_eq!(status.phase(), Phase::Degraded, "{}", status.summary);
    assert_eq!(node.read(DAEMON).as_deref(), Some(theirs));

    daemon.drop_in("foreign-owners.conf");
    daemon.systemctl("restart");
    daemon.in_force("plain.corp:5000");
    assert!(node.read(DAEMON).unwrap().contains("plain.corp:5000"));
    assert_eq!(node.sh(&format!("stat --format=%u:%g:%a {DAEMON}")).trim(), "1234:4321:664");
    node.withdraw("plain");
    daemon.until("it is gone", |status| {
        status.registries.is_empty() && status.phase() == Phase::Settled
    });
    assert_eq!(node.read(DAEMON).as_deref(), Some(theirs));
    node.remove(DAEMON);
}
