//! The manifests as Kubernetes gets them: what `kubectl kustomize` makes of an overlay.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::venv::{python, said};

/// The schemas of Kubernetes' own types, and a reader of YAML with them.
const PACKAGES: [&str; 1] = ["kubernetes-validate"];

const AS_JSON: &str = "import json, sys, yaml\n\
    print(json.dumps([one for one in yaml.safe_load_all(sys.stdin) if one]))";

pub(crate) fn interpreter() -> PathBuf {
    python("kubernetes", &PACKAGES)
}

/// Why the manifests cannot be rendered here, in one line.
pub(crate) fn obstacle() -> Option<&'static str> {
    let kubectl = Command::new("kubectl").args(["version", "--client"]).output();
    let is_here = kubectl.is_ok_and(|output| output.status.success());
    (!is_here).then_some("`kubectl` is missing, which renders the manifests")
}

/// The YAML that `kubectl apply -k` would send.
pub(crate) fn render(overlay: &Path) -> String {
    said(Command::new("kubectl").arg("kustomize").arg(overlay))
}

/// The same, read.
pub(crate) fn objects(yaml: &str) -> Vec<Value> {
    use std::io::Write as _;
    use std::process::Stdio;
    let mut child = Command::new(interpreter())
        .args(["-c", AS_JSON])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    child.stdin.take().expect("a pipe").write_all(yaml.as_bytes()).expect("Python reads");
    let output = child.wait_with_output().expect("Python ends");
    serde_json::from_slice(&output.stdout).expect("JSON")
}
