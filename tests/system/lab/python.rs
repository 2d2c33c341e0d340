//! A Python on this machine with what a control plane's authors install: `pip install grpcio`.

use std::path::Path;
use std::process::Command;

use crate::venv::{python, said};

const PACKAGES: [&str; 3] = ["grpcio", "grpcio-tools", "googleapis-common-protos"];
const DEFINITIONS: &str = "regtrust/v1/regtrust.proto";

/// Runs a script of `tests/system/python` with code generated from our definitions, whose place is
/// `{generated}` among the arguments. Returns what it printed; it must end well.
pub(crate) fn run(script: &str, arguments: &[&str]) -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    let python = python("python", &PACKAGES);
    let generated = home.join("generated");
    std::fs::create_dir_all(&generated).expect("a directory");
    let proto = here.join("proto");
    said(
        Command::new(&python)
            .args(["-m", "grpc_tools.protoc", "-I"])
            .arg(&proto)
            .arg(format!("--python_out={}", generated.display()))
            .arg(format!("--grpc_python_out={}", generated.display()))
            .arg(DEFINITIONS),
    );
    let generated = generated.display().to_string();
    let arguments = arguments.iter().map(|word| word.replace("{generated}", &generated));
    said(Command::new(&python).arg(here.join("tests/system/python").join(script)).args(arguments))
}
