//! Ways to do it wrong that look right.
//!
//! Three of them have a patch in `tests/breaks` that does it wrong, and `make soak` demands of each
//! that a case sees it. The third's stands among those about trust, because right is what it shows:
//! `containerd_pulls_without_tls_at_once`.

use serde_json::Value;

use crate::case::{Case, case};
use crate::lab::{Authority, Declaration, Node, Puller, Setup, Suite, cri};

pub(crate) const CASES: &[Case] = &[
    case!(Fresh setting_config_path_resets_nothing_that_a_kubelet_needs),
    case!(what_is_withdrawn_from_daemon_json_is_forgotten_at_the_next_reload),
];

/// As an installer of Kubernetes writes it.
const OF_AN_INSTALLER: &str = r#"version = 2

[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    sandbox_image = "registry.corp/pause:3.9"
    [plugins."io.containerd.grpc.v1.cri".cni]
      bin_dir = "/usr/lib/cni"
      conf_dir = "/etc/cni/net.d"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = true
"#;

/// containerd 1.x does not merge an imported file into a plugin's settings but puts it in their
/// place. With `config_path` in a drop-in, `SystemdCgroup` is `false` after the restart, and the
/// sandbox image containerd's own: the kubelet's pods then die one after the other.
fn setting_config_path_resets_nothing_that_a_kubelet_needs(node: &Node) {
    let host = node.host();
    let authority = Authority::new("corp");
    let registry = Setup::tls(authority.server(&[&host.name])).at(&host).start(node);
    let image = registry.image("app");
    node.write(CONFIG, OF_AN_INSTALLER);
    node.sh("systemctl restart containerd");
    let mut expected = cri::settings(node);
    needs_are_met(node, &expected);

    node.declare("corp", &Declaration::ca(&registry.name(), &authority.root).only("containerd"));
    let survey = node.apply();
    assert_eq!(survey.due(), ["restart-containerd"]);
    node.perform(&survey.effects);
    let settings = cri::settings(node);
    needs_are_met(node, &settings);
    if let Some(config_path) = expected.pointer_mut("/registry/configPath") {
        *config_path = "/etc/containerd/certs.d".into();
    }
    assert_eq!(settings, expected, "and nothing else has changed");
    Puller::Containerd.pull(node, &image).unwrap();

    node.withdraw("corp");
    node.apply();
    assert_eq!(node.read(CONFIG).as_deref(), Some(OF_AN_INSTALLER));
}

const CONFIG: &str = "/etc/containerd/config.toml";

fn needs_are_met(node: &Node, settings: &Value) {
    let of_runc = "/containerd/runtimes/runc/options/SystemdCgroup";
    assert_eq!(settings.pointer(of_runc), Some(&true.into()), "{settings:#}");
    // 2.x keeps it with the images, whose settings CRI does not tell.
    if node.suite == Suite::Forky {
        let dump = node.sh("containerd config dump");
        assert!(dump.contains("sandbox = 'registry.corp/pause:3.9'"), "{dump}");
    } else {
        let expected = Value::from("registry.corp/pause:3.9");
        assert_eq!(settings.get("sandboxImage"), Some(&expected), "{settings:#}");
    }
}

/// dockerd takes a key that is not there for "no change": with `insecure-registries` deleted instead
/// of emptied it goes on trusting, whatever the file says.
fn what_is_withdrawn_from_daemon_json_is_forgotten_at_the_next_reload(node: &Node) {
    let registry = Setup::plain().start(node);
    let image = registry.image("app");
    node.declare("plain", &Declaration::of(&registry.name(), "http").only("docker"));
    node.perform(&node.apply().effects);
    Puller::Docker.pull(node, &image).unwrap();

    node.withdraw("plain");
    node.apply();
    // Whatever the plan says: this is about dockerd and the file.
    node.reload_docker("systemctl reload docker");
    let words =
        Puller::Docker.pull(node, &image).expect_err("dockerd should not trust it any more");
    assert!(words.contains("server gave HTTP response to HTTPS client"), "{words}");
}
