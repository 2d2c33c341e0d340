//! The DaemonSet as `kubectl` renders it, as far as a runtime on the node hears of it.
//!
//! It is read and not copied, so that a case runs what is shipped. A field that nobody here knows ends
//! the case: without it a case would prove nothing about the pod that people run.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::kustomize::{objects, obstacle, render};

/// What kubelet and the scheduler make of a pod without a word to the runtime.
const NOT_THE_RUNTIMES: [&str; 6] = [
    "automountServiceAccountToken",
    "enableServiceLinks",
    "nodeSelector",
    "priorityClassName",
    "serviceAccountName",
    "tolerations",
];
/// The same of its container. Of its resources the runtime hears; but a node of the lab may have been given
/// no controller to limit memory with.
const NOT_THE_CONTAINERS: [&str; 3] = ["imagePullPolicy", "resources", "name"];

#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) pod: Pod,
    /// By the names of the `ConfigMap`s.
    pub(crate) maps: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pod {
    containers: Vec<Container>,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) security_context: PodSecurity,
    termination_grace_period_seconds: u32,
    #[serde(rename = "hostNetwork")]
    has_network_of_node: bool,
    #[serde(rename = "hostPID")]
    has_processes_of_node: bool,
    #[serde(rename = "hostIPC")]
    has_ipc_of_node: bool,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Container {
    pub(crate) image: String,
    pub(crate) args: Vec<String>,
    pub(crate) security_context: Security,
    pub(crate) volume_mounts: Vec<Mount>,
    pub(crate) startup_probe: Probe,
    pub(crate) readiness_probe: Probe,
    pub(crate) liveness_probe: Probe,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PodSecurity {
    seccomp_profile: Kind,
    app_armor_profile: Kind,
    pub(crate) se_linux_options: Kind,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kind {
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Security {
    pub(crate) run_as_user: u32,
    pub(crate) run_as_group: u32,
    privileged: bool,
    pub(crate) allow_privilege_escalation: bool,
    pub(crate) read_only_root_filesystem: bool,
    pub(crate) capabilities: Capabilities,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Capabilities {
    pub(crate) add: Vec<String>,
    pub(crate) drop: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Mount {
    pub(crate) name: String,
    #[serde(rename = "mountPath")]
    pub(crate) at: String,
    #[serde(default)]
    pub(crate) read_only: bool,
    #[serde(rename = "mountPropagation")]
    propagation: Option<String>,
}

impl Mount {
    /// Whether what is mounted and unmounted on the node is so in the container as well.
    pub(crate) fn follows_the_node(&self) -> bool {
        match self.propagation.as_deref() {
            None => false,
            Some("HostToContainer") => true,
            Some(other) => panic!("what is {other}?"),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Volume {
    pub(crate) name: String,
    pub(crate) host_path: Option<HostPath>,
    pub(crate) config_map: Option<ConfigMap>,
    secret: Option<Secret>,
    empty_dir: Option<Value>,
}

impl Volume {
    /// No Secret is there in the lab, so one of them has to do without.
    pub(crate) fn is_empty(&self) -> bool {
        self.empty_dir.is_some() || self.secret.as_ref().is_some_and(|secret| secret.optional)
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HostPath {
    pub(crate) path: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigMap {
    pub(crate) name: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Secret {
    #[serde(default)]
    optional: bool,
}

/// How often it is asked is kubelet's affair.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Probe {
    exec: Exec,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exec {
    command: Vec<String>,
}

impl Probe {
    pub(crate) fn command(&self) -> &[String] {
        &self.exec.command
    }
}

impl Manifest {
    /// What `kubectl apply -k` would send.
    pub(crate) fn of(overlay: &Path) -> Self {
        assert_eq!(obstacle(), None, "`make tools` installs it");
        let objects = objects(&render(overlay));
        let of_kind = |kind: &'static str| objects.iter().filter(move |one| one["kind"] == kind);
        let set = of_kind("DaemonSet").next().expect("a DaemonSet");
        let template = &set["spec"]["template"];
        let maps = of_kind("ConfigMap").map(|map| {
            let name = map["metadata"]["name"].as_str().expect("a name").to_owned();
            (name, read(&map["data"]))
        });
        let manifest = Self {
            labels: read(&template["metadata"]["labels"]),
            pod: read(&template["spec"]),
            maps: maps.collect(),
        };
        manifest.is_understood();
        manifest
    }

    fn is_understood(&self) {
        let pod = &self.pod;
        let of_node = [pod.has_network_of_node, pod.has_processes_of_node, pod.has_ipc_of_node];
        assert_eq!(of_node, [false; 3], "namespaces of the node");
        let unknown = |rest: &BTreeMap<String, Value>, known: &[&str]| {
            let others = rest.keys().filter(|key| !known.contains(&key.as_str()));
            others.cloned().collect::<Vec<_>>()
        };
        assert_eq!(unknown(&pod.rest, &NOT_THE_RUNTIMES), [] as [String; 0]);
        assert_eq!(unknown(&self.container().rest, &NOT_THE_CONTAINERS), [] as [String; 0]);
        let security = &pod.security_context;
        assert_eq!(security.seccomp_profile.kind, "RuntimeDefault");
        assert_eq!(security.app_armor_profile.kind, "Unconfined");
        assert!(!self.container().security_context.privileged);
    }

    pub(crate) fn container(&self) -> &Container {
        let [container] = &self.pod.containers[..] else { panic!("one container") };
        container
    }

    pub(crate) fn volume(&self, name: &str) -> &Volume {
        let volume = self.pod.volumes.iter().find(|volume| volume.name == name);
        volume.unwrap_or_else(|| panic!("there is no volume {name}"))
    }

    /// How long the container has to end.
    pub(crate) fn grace(&self) -> u32 {
        self.pod.termination_grace_period_seconds
    }
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error} in {value:#}"))
}
