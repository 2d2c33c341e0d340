//! The pod in containerd, made over CRI as kubelet makes it.

use std::collections::HashMap;

use super::super::cri::call;
use super::super::manifest::Manifest;
use super::super::node::{Node, Output};
use super::super::pods;
use super::super::runtime_v1::{
    Capabilities, ContainerConfig, ContainerMetadata, ContainerSecurity, ContainerStatusRequest,
    ContainerStatusResponse, CreateContainerRequest, ExecSyncRequest, ExecSyncResponse,
    HOST_TO_CONTAINER, Image, LinuxContainer, LinuxSandbox, Mount, Named, Namespaces, Nothing,
    Number, OF_CONTAINER, OF_POD, PRIVATE, Profile, RUNTIME_DEFAULT, RunPodSandboxRequest,
    SandboxConfig, SandboxMetadata, SandboxSecurity, SeLinux, StopContainerRequest, UNCONFINED,
};
use super::Bind;

const LOGS: &str = "/var/log/pods/regtrust";
const LOG: &str = "regtrustd.log";

pub(super) struct Containerd<'n> {
    node: &'n Node,
    sandbox: String,
    container: String,
}

impl<'n> Containerd<'n> {
    pub(super) fn run(node: &'n Node, manifest: &Manifest, binds: Vec<Bind>) -> Self {
        pods::import(node);
        node.sh(&format!("mkdir -p {LOGS}"));
        let of = sandbox(manifest);
        let request = RunPodSandboxRequest { config: Some(of.clone()) };
        let sandbox: Named = call(node, "RuntimeService/RunPodSandbox", &request).expect("a pod");
        let request = CreateContainerRequest {
            sandbox: sandbox.id.clone(),
            config: Some(container(manifest, binds)),
            of: Some(of),
        };
        let container: Named =
            call(node, "RuntimeService/CreateContainer", &request).expect("a container");
        let made = Self { node, sandbox: sandbox.id, container: container.id };
        made.ask::<_, Nothing>("StartContainer", &Named { id: made.container.clone() });
        made
    }

    pub(super) fn exec(&self, command: &[String]) -> Result<Output, String> {
        let request =
            ExecSyncRequest { container: self.container.clone(), command: command.to_vec() };
        let answer: ExecSyncResponse = call(self.node, "RuntimeService/ExecSync", &request)?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (stdout, stderr) = (text(answer.stdout), text(answer.stderr));
        Ok(Output { code: answer.code, stdout, stderr })
    }

    /// containerd tells it to whoever wants to know everything.
    pub(super) fn process(&self) -> u32 {
        let request = ContainerStatusRequest { container: self.container.clone(), verbose: true };
        let answer: ContainerStatusResponse = self.ask("ContainerStatus", &request);
        let info: serde_json::Value = serde_json::from_str(&answer.info["info"]).expect("JSON");
        info["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("a process id")
    }

    pub(super) fn log(&self) -> String {
        self.node.read(&format!("{LOGS}/{LOG}")).unwrap_or_default()
    }

    pub(super) fn stop(self, grace: u32) {
        let stop = StopContainerRequest { container: self.container.clone(), grace: grace.into() };
        self.ask::<_, Nothing>("StopContainer", &stop);
        for what in ["StopPodSandbox", "RemovePodSandbox"] {
            self.ask::<_, Nothing>(what, &Named { id: self.sandbox.clone() });
        }
        self.node.remove(LOGS);
    }

    fn ask<Q, A>(&self, what: &str, request: &Q) -> A
    where
        Q: prost::Message + Clone + 'static,
        A: prost::Message + Default + 'static,
    {
        let answer = call(self.node, &format!("RuntimeService/{what}"), request);
        answer.unwrap_or_else(|words| panic!("{what}: {words}"))
    }
}

/// Each pod has a network of its own, and each of its containers processes of its own.
fn namespaces() -> Namespaces {
    Namespaces { network: OF_POD, pid: OF_CONTAINER, ipc: OF_POD }
}

fn selinux(manifest: &Manifest) -> SeLinux {
    SeLinux { kind: manifest.pod.security_context.se_linux_options.kind.clone() }
}

fn sandbox(manifest: &Manifest) -> SandboxConfig {
    let security = SandboxSecurity {
        namespaces: Some(namespaces()),
        selinux: Some(selinux(manifest)),
        seccomp: Some(Profile { kind: RUNTIME_DEFAULT }),
        apparmor: Some(Profile { kind: UNCONFINED }),
    };
    SandboxConfig {
        metadata: Some(SandboxMetadata {
            name: "regtrust-x7k2p".to_owned(),
            uid: "regtrust".to_owned(),
            namespace: "regtrust-system".to_owned(),
        }),
        logs: LOGS.to_owned(),
        labels: manifest.labels.clone().into_iter().collect(),
        annotations: HashMap::new(),
        linux: Some(LinuxSandbox { security: Some(security) }),
    }
}

fn container(manifest: &Manifest, binds: Vec<Bind>) -> ContainerConfig {
    let asked = manifest.container();
    let context = &asked.security_context;
    let security = ContainerSecurity {
        capabilities: Some(Capabilities {
            add: context.capabilities.add.clone(),
            drop: context.capabilities.drop.clone(),
        }),
        namespaces: Some(namespaces()),
        selinux: Some(selinux(manifest)),
        user: Some(Number { value: context.run_as_user.into() }),
        read_only_root: context.read_only_root_filesystem,
        no_new_privileges: !context.allow_privilege_escalation,
        group: Some(Number { value: context.run_as_group.into() }),
        seccomp: Some(Profile { kind: RUNTIME_DEFAULT }),
        apparmor: Some(Profile { kind: UNCONFINED }),
    };
    let mount = |bind: Bind| Mount {
        to: bind.to,
        from: bind.from,
        read_only: bind.read_only,
        propagation: if bind.follows { HOST_TO_CONTAINER } else { PRIVATE },
    };
    ContainerConfig {
        metadata: Some(ContainerMetadata { name: "regtrustd".to_owned() }),
        image: Some(Image { image: asked.image.clone() }),
        command: Vec::new(),
        arguments: asked.args.clone(),
        mounts: binds.into_iter().map(mount).collect(),
        log: LOG.to_owned(),
        linux: Some(LinuxContainer { security: Some(security) }),
    }
}
