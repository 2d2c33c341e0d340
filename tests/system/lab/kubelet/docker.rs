//! The same container in docker, with docker's own policy instead of kubelet to start it again.

use super::super::manifest::Manifest;
use super::super::node::{Node, Output};
use super::Bind;

const NAME: &str = "regtrustd";

pub(super) struct Docker<'n> {
    node: &'n Node,
}

impl<'n> Docker<'n> {
    pub(super) fn run(node: &'n Node, manifest: &Manifest, binds: &[Bind]) -> Self {
        node.run(command(manifest, binds)).verdict().expect("docker runs it");
        Self { node }
    }

    pub(super) fn exec(&self, command: &[String]) -> Result<Output, String> {
        let words = ["docker", "exec", NAME].map(str::to_owned);
        let output = self.node.run(words.iter().chain(command));
        // What docker says itself, and not the program.
        let is_dockers = ["Error response from daemon", "Cannot connect to the Docker daemon"];
        if is_dockers.iter().any(|words| output.stderr.contains(words)) {
            return Err(output.stderr);
        }
        Ok(output)
    }

    pub(super) fn process(&self) -> u32 {
        let inspect = format!("docker inspect --format '{{{{.State.Pid}}}}' {NAME}");
        self.node.sh(&inspect).trim().parse().expect("a process id")
    }

    pub(super) fn log(&self) -> String {
        self.node.sh(&format!("docker logs {NAME} 2>&1"))
    }

    pub(super) fn stop(self, grace: u32) {
        self.node.sh(&format!("docker stop --time {grace} {NAME} && docker rm {NAME}"));
    }
}

fn command(manifest: &Manifest, binds: &[Bind]) -> Vec<String> {
    let container = manifest.container();
    let security = &container.security_context;
    let mut words = ["docker", "run", "--detach"].map(str::to_owned).to_vec();
    let mut option = |name: &str, value: &str| words.push(format!("--{name}={value}"));
    option("name", NAME);
    // As a DaemonSet's pods always are.
    option("restart", "always");
    option("network", "none");
    option("user", &format!("{}:{}", security.run_as_user, security.run_as_group));
    option("read-only", &security.read_only_root_filesystem.to_string());
    security.capabilities.drop.iter().for_each(|one| option("cap-drop", one));
    security.capabilities.add.iter().for_each(|one| option("cap-add", one));
    let stays_so = !security.allow_privilege_escalation;
    option("security-opt", &format!("no-new-privileges={stays_so}"));
    // Of seccomp docker has a profile of its own unless it is told otherwise: `RuntimeDefault`.
    option("security-opt", "apparmor=unconfined");
    let kind = &manifest.pod.security_context.se_linux_options.kind;
    option("security-opt", &format!("label=type:{kind}"));
    option("stop-timeout", &manifest.grace().to_string());
    manifest.labels.iter().for_each(|(key, value)| option("label", &format!("{key}={value}")));
    for bind in binds {
        let mode = if bind.read_only { "ro" } else { "rw" };
        let follows = if bind.follows { ",rslave" } else { "" };
        option("volume", &format!("{}:{}:{mode}{follows}", bind.from, bind.to));
    }
    words.push(container.image.clone());
    words.extend(container.args.iter().cloned());
    words
}
