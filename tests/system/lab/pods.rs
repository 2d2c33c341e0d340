//! Pods, as kubelet would start them.

use super::cri::call;
use super::image::Suite;
use super::node::{LIMIT, Node};
use super::runtime_v1::{
    ContainerConfig, ContainerMetadata, CreateContainerRequest, ExecSyncRequest, Image,
    LinuxSandbox, Named, Namespaces, Nothing, OF_NODE, RunPodSandboxRequest, SandboxConfig,
    SandboxMetadata, SandboxSecurity,
};

/// A pod on the node's own network, so that it needs no network plugin.
pub(crate) struct Pod<'a> {
    node: &'a Node,
    config: SandboxConfig,
    sandbox: String,
}

impl<'a> Pod<'a> {
    /// Starts an empty one.
    pub(crate) fn start(node: &'a Node, name: &str, labels: &[(&str, &str)]) -> Self {
        import(node);
        let pairs = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let namespaces = Namespaces { network: OF_NODE, ..Namespaces::default() };
        let security =
            SandboxSecurity { namespaces: Some(namespaces), ..SandboxSecurity::default() };
        let config = SandboxConfig {
            metadata: Some(SandboxMetadata {
                name: name.to_owned(),
                uid: format!("uid-{name}"),
                namespace: "ci".to_owned(),
            }),
            labels: pairs.collect(),
            linux: Some(LinuxSandbox { security: Some(security) }),
            ..SandboxConfig::default()
        };
        let request = RunPodSandboxRequest { config: Some(config.clone()) };
        let answer: Named =
            call(node, "RuntimeService/RunPodSandbox", &request).expect("a sandbox starts");
        Self { node, config, sandbox: answer.id }
    }

    /// Makes a container in it, which does not run yet.
    pub(crate) fn create(&self, name: &str, script: &str) -> String {
        let config = ContainerConfig {
            metadata: Some(ContainerMetadata { name: name.to_owned() }),
            image: Some(Image { image: pause(self.node) }),
            command: ["/bin/busybox", "sh", "-c", script].map(str::to_owned).to_vec(),
            ..ContainerConfig::default()
        };
        let request = CreateContainerRequest {
            sandbox: self.sandbox.clone(),
            config: Some(config),
            of: Some(self.config.clone()),
        };
        let answer: Named = call(self.node, "RuntimeService/CreateContainer", &request)
            .expect("a container is made");
        answer.id
    }

    pub(crate) fn run(&self, name: &str, script: &str) -> String {
        let id = self.create(name, script);
        self.ask("StartContainer", &id);
        id
    }

    /// Runs a command in a container of it, to its end; an error is containerd's own words.
    pub(crate) fn exec(&self, container: &str, script: &str) -> Result<(), String> {
        let request = ExecSyncRequest {
            container: container.to_owned(),
            command: ["/bin/busybox", "sh", "-c", script].map(str::to_owned).to_vec(),
        };
        let answer: Result<Nothing, String> = call(self.node, "RuntimeService/ExecSync", &request);
        answer.map(drop)
    }

    pub(crate) fn stop_container(&self, id: &str) {
        self.ask("StopContainer", id);
    }

    fn ask(&self, what: &str, id: &str) {
        let request = Named { id: id.to_owned() };
        let answer: Result<Nothing, String> =
            call(self.node, &format!("RuntimeService/{what}"), &request);
        answer.expect("containerd does as it is told");
    }
}

impl Drop for Pod<'_> {
    fn drop(&mut self) {
        let request = Named { id: self.sandbox.clone() };
        for what in ["StopPodSandbox", "RemovePodSandbox"] {
            // A panic may be on its way, and the node is thrown away then.
            _ = call::<_, Nothing>(self.node, &format!("RuntimeService/{what}"), &request);
        }
    }
}

/// Lets pods start on a node of the lab, which is itself in a container: it must not put processes
/// of its own before others of the machine, and may have no controller to weigh them with.
pub(crate) fn allow(node: &Node) {
    const RUNC: &str = r#"#!/bin/sh
next=""
for word in "$@"; do
    [ "$next" = --bundle ] && sed -i 's/"cpu":{[^}]*}/"cpu":{}/' "$word/config.json"
    next=$word
done
exec /usr/sbin/runc.packaged "$@"
"#;
    // The package's file is of version 2 on every generation.
    let table = "[plugins.\"io.containerd.grpc.v1.cri\"]";
    let path = "/etc/containerd/config.toml";
    let text = node.read(path).expect("the package's configuration");
    let (before, after) = text.split_once(table).expect("its table for CRI");
    let text = format!("{before}\n{table}\n  restrict_oom_score_adj = true\n{after}");
    node.write(path, text);
    node.write("/usr/sbin/runc.lab", RUNC);
    node.sh("cd /usr/sbin && chmod +x runc.lab && mv runc runc.packaged && mv runc.lab runc");
    node.restart_by_hand("containerd");
}

/// Lets pods have networks of their own, which reach the node and nobody else. Without a plugin for that
/// containerd starts only pods on the node's own network.
pub(crate) fn give_networks(node: &Node) {
    let network = serde_json::json!({
        "cniVersion": "0.4.0",
        "name": "lab",
        "plugins": [{
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": true,
            "ipam": { "type": "host-local", "subnet": "10.98.0.0/24" },
        }],
    });
    node.write("/etc/cni/net.d/10-lab.conflist", network.to_string());
}

/// What containerd holds a sandbox open with.
fn pause(node: &Node) -> String {
    // Up to 1.7, and from 2.0 on.
    let key = if node.suite == Suite::Forky { "sandbox" } else { "sandbox_image" };
    let dump = node.sh("containerd config dump");
    let line =
        dump.lines().find_map(|line| line.trim().strip_prefix(key)?.trim().strip_prefix('='));
    line.expect("containerd names its image").trim().trim_matches(['"', '\'']).to_owned()
}

/// Puts that image there under its name: no node of the lab could pull it.
pub(super) fn import(node: &Node) {
    let name = pause(node);
    let archive = super::picture::pause_archive(node.suite);
    let change = r#"CMD ["/bin/busybox","sleep","1000000"]"#;
    let import = ["docker", "import", "--change", change, "-", &name];
    node.run_with(import, &archive, LIMIT).verdict().expect("an image is imported");
    node.sh(&format!(
        "docker save {name} | ctr --namespace k8s.io images import --all-platforms -"
    ));
}
