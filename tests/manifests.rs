//! The Kubernetes manifests, as `kubectl` renders them: that Kubernetes knows every field of them, and
//! that a pod gets no right but those that were decided.
//!
//! That a pod with these rights does its work is shown by `tests/system/cases_image.rs`.
#![expect(clippy::disallowed_methods, reason = "asks kubectl and Python")]
#![expect(clippy::print_stderr, reason = "says what was not checked")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends at the first surprise"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

#[path = "common/kustomize.rs"]
mod kustomize;
#[path = "common/venv.rs"]
mod venv;

use kustomize::{objects, render};

/// The oldest that has every field that is used, and the newest that the package knows.
const KUBERNETES: [&str; 2] = ["1.30", "1.37"];

/// Whether there is nothing to look at on this machine, which is said aloud.
fn skipped() -> bool {
    let obstacle = kustomize::obstacle();
    if let Some(why) = obstacle {
        assert!(std::env::var("CI").is_err(), "{why}");
        eprintln!("MANIFESTS NOT CHECKED: {why}");
    }
    obstacle.is_some()
}

fn overlays() -> Vec<PathBuf> {
    let overlays = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/kubernetes/overlays");
    let mut found: Vec<PathBuf> = std::fs::read_dir(overlays)
        .expect("overlays")
        .map(|entry| entry.expect("one").path())
        .collect();
    found.sort();
    found
}

/// The DaemonSet's pod.
fn pod(objects: &[Value]) -> &Value {
    let is_it = |object: &&Value| object["kind"] == "DaemonSet";
    &objects.iter().find(is_it).expect("a DaemonSet")["spec"]["template"]["spec"]
}

/// Every overlay by its name, with its objects.
fn rendered() -> BTreeMap<String, Vec<Value>> {
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    overlays().into_iter().map(|path| (name(&path), objects(&render(&path)))).collect()
}

#[test]
fn kubernetes_knows_every_field_of_every_overlay() {
    if skipped() {
        return;
    }
    for overlay in overlays() {
        let yaml = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(yaml.path(), render(&overlay)).unwrap();
        for version in KUBERNETES {
            let validate = kustomize::interpreter().with_file_name("kubernetes-validate");
            let arguments = ["--strict", "--quiet", "-k", version];
            let output = Command::new(validate).args(arguments).arg(yaml.path()).output().unwrap();
            let words = String::from_utf8_lossy(&output.stderr).into_owned()
                + &String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{} on {version}: {words}", overlay.display());
        }
    }
}

/// Whatever an overlay adds, this stays.
#[test]
fn no_overlay_gives_the_pod_more_than_was_decided() {
    if skipped() {
        return;
    }
    for (name, objects) in rendered() {
        let pod = pod(&objects);
        for share in ["hostNetwork", "hostPID", "hostIPC", "automountServiceAccountToken"] {
            assert_eq!(pod[share], json!(false), "{name}: {share}");
        }
        assert_eq!(pod["initContainers"], Value::Null, "{name}");
        let containers = pod["containers"].as_array().unwrap();
        assert_eq!(containers.len(), 1, "{name}");
        let security = &containers[0]["securityContext"];
        let expected = json!({
            "runAsUser": 0,
            "runAsGroup": 0,
            "privileged": false,
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"], "add": ["CHOWN", "DAC_OVERRIDE", "FOWNER"] },
        });
        assert_eq!(*security, expected, "{name}");
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{name}");
        assert!(containers[0]["resources"]["limits"]["memory"].is_string(), "{name}");
        for kind in ["Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"] {
            let has_it = objects.iter().any(|object| object["kind"] == kind);
            assert!(!has_it, "{name}: regtrustd does not speak to the API server");
        }
    }
}

/// What a pod can write on the node, in all overlays together.
const WRITABLE: [&str; 6] = [
    "/etc/containerd",
    "/etc/docker",
    "/run/regtrust",
    "/run/regtrust-read",
    "/usr/local/share/ca-certificates",
    "/var/lib/regtrust",
];

#[test]
fn mounts_are_directories_at_their_own_place_and_writable_only_where_it_writes() {
    if skipped() {
        return;
    }
    let mut writable = BTreeSet::new();
    for (name, objects) in rendered() {
        let pod = pod(&objects);
        let volumes = pod["volumes"].as_array().unwrap();
        for mount in pod["containers"][0]["volumeMounts"].as_array().unwrap() {
            let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]);
            let volume = volume.unwrap_or_else(|| panic!("{name}: {mount} has no volume"));
            let at = mount["mountPath"].as_str().unwrap();
            let Some(path) = volume["hostPath"]["path"].as_str() else {
                assert!(at.starts_with("/config/"), "{name}: {at}");
                assert_eq!(mount["readOnly"], json!(true), "{name}: {at}");
                continue;
            };
            // Else a path would mean one thing in a message and another on the node.
            assert_eq!(at, format!("/host{path}"), "{name}");
            let kind = volume["hostPath"]["type"].as_str().unwrap();
            // A file that is replaced stays the old one in a pod; this one is for ever.
            let is_lasting = kind == "File" && path == "/etc/machine-id";
            assert!(
                is_lasting || ["Directory", "DirectoryOrCreate"].contains(&kind),
                "{name}: {path} is a {kind}"
            );
            if mount["readOnly"] != json!(true) {
                writable.insert(path.to_owned());
            }
        }
    }
    assert!(writable.iter().all(|path| WRITABLE.contains(&path.as_str())), "{writable:?}");
    assert!(writable.len() >= 5, "{writable:?}");
}

/// Policies only ever add up, so each is one more who may be called or may call.
#[test]
fn nobody_may_call_or_be_called_but_whom_a_component_is_for() {
    if skipped() {
        return;
    }
    let ports = |policies: &[&Value], direction: &str| {
        let rules = policies.iter().filter_map(|policy| policy["spec"][direction].as_array());
        let ports = rules.flatten().flat_map(|rule| rule["ports"].as_array().unwrap());
        let mut ports: Vec<u64> = ports.map(|port| port["port"].as_u64().unwrap()).collect();
        ports.sort_unstable();
        ports
    };
    for (name, objects) in rendered() {
        let is_policy = |object: &&Value| object["kind"] == "NetworkPolicy";
        let policies: Vec<&Value> = objects.iter().filter(is_policy).collect();
        let closed = json!({ "podSelector": {}, "policyTypes": ["Ingress", "Egress"] });
        assert!(policies.iter().any(|policy| policy["spec"] == closed), "{name}");
        let (in_, out): (&[u64], &[u64]) = match name.as_str() {
            "control-plane" => (&[7443], &[]),
            "etcd-lock" => (&[], &[53, 53, 2379]),
            _ => (&[], &[]),
        };
        assert_eq!(
            (&*ports(&policies, "ingress"), &*ports(&policies, "egress")),
            (in_, out),
            "{name}"
        );
    }
}

/// A probe that no program answers keeps the pod from ever being ready.
#[test]
fn probes_run_a_command_that_the_image_has() {
    if skipped() {
        return;
    }
    for (name, objects) in rendered() {
        let container = &pod(&objects)["containers"][0];
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            let command = container[probe]["exec"]["command"].as_array().unwrap();
            let words: Vec<&str> = command.iter().map(|word| word.as_str().unwrap()).collect();
            assert_eq!(words[..2], ["/regtrust", "--host-root=/host"], "{name}: {probe}");
            let status = Command::new(env!("CARGO_BIN_EXE_regtrust"))
                .args(&words[1..])
                .arg("--help")
                .stdout(std::process::Stdio::null())
                .status();
            assert!(status.unwrap().success(), "{name}: {words:?}");
        }
    }
}

/// The settings and declarations that the manifests bring are read by the program itself.
#[test]
fn what_the_config_maps_hold_is_understood() {
    if skipped() {
        return;
    }
    let mut settings = 0;
    for (name, objects) in rendered() {
        for object in objects.iter().filter(|object| object["kind"] == "ConfigMap") {
            let Some(text) = object["data"]["regtrustd.toml"].as_str() else { continue };
            let parsed = regtrust::settings::parse_settings(text, "/regtrustd.toml");
            assert!(parsed.is_ok(), "{name}: {parsed:?}");
            settings += 1;
        }
    }
    assert!(settings >= 5, "{settings}");
}

#[test]
fn the_image_that_is_deployed_is_the_one_that_is_built() {
    if skipped() {
        return;
    }
    let built = concat!("localhost/regtrust:", env!("CARGO_PKG_VERSION"));
    for (name, objects) in rendered() {
        assert_eq!(pod(&objects)["containers"][0]["image"], built, "{name}");
    }
}
