//! A Python on this machine with what a control plane's authors install: `pip install grpcio`.

use std::path::{Path, PathBuf};
use std::process::Command;

const PACKAGES: [&str; 3] = ["grpcio", "grpcio-tools", "googleapis-common-protos"];
const DEFINITIONS: &str = "regtrust/v1/regtrust.proto";

/// Runs a script of `tests/system/python` with code generated from our definitions, whose place is
/// `{generated}` among the arguments. Returns what it printed; it must end well.
pub(crate) fn run(script: &str, arguments: &[&str]) -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    let python = install(&home);
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

/// Once for all runs of the tests. Whoever is second waits for the first.
fn install(home: &Path) -> PathBuf {
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = ONE.lock().expect("nobody panics while installing");
    let python = home.join("venv/bin/python");
    let done = home.join("installed");
    if !done.exists() {
        said(Command::new("python3").args(["-m", "venv", "--clear"]).arg(home.join("venv")));
        said(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES));
        std::fs::write(done, "").expect("a mark");
    }
    python
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}:\n{words}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
