//! The example of a control plane, and the settings that its page shows, as a reader would use them.
#![expect(clippy::disallowed_methods, reason = "does what a reader does")]
#![expect(clippy::print_stderr, reason = "says what was not run")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends at the first surprise"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

#[path = "common/venv.rs"]
mod venv;

const PAGE: &str = "docs/control-plane.md";
const CA: &str = "tests/fixtures/certs/ca.pem";
/// What the page tells its reader to install.
const PACKAGES: [&str; 3] = ["grpcio", "grpcio-tools", "googleapis-common-protos"];

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The blocks of one language on the page.
fn blocks(language: &str) -> Vec<String> {
    let text = fs::read_to_string(here().join(PAGE)).unwrap();
    let begin = format!("```{language}\n");
    text.split(&begin).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_settings_on_the_page_are_understood() {
    let blocks = blocks("toml");
    assert_eq!(blocks.len(), 2);
    for text in blocks {
        let parsed = regtrust::settings::parse_settings(&text, "/etc/regtrust/regtrustd.toml");
        assert!(parsed.is_ok(), "{text}: {parsed:?}");
    }
}

/// A daemon on a tree of its own, with the page's first settings.
struct Daemon {
    process: Child,
    directory: tempfile::TempDir,
}

impl Daemon {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["etc/regtrust", "etc/docker", "usr/bin"] {
            fs::create_dir_all(directory.path().join(name)).unwrap();
        }
        fs::write(directory.path().join("usr/bin/dockerd"), "").unwrap();
        // The tests need not be root's.
        let user = rustix::process::getuid().as_raw();
        let settings = blocks("toml")[0].replace("uid = 0", &format!("uid = {user}"))
            + &format!("[[access]]\nrole = \"admin\"\nuid = {user}\n");
        fs::write(directory.path().join("etc/regtrust/regtrustd.toml"), settings).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_regtrustd"))
            .arg("--root")
            .arg(directory.path())
            .spawn()
            .unwrap();
        let daemon = Self { process, directory };
        let since = Instant::now();
        while std::os::unix::net::UnixStream::connect(daemon.socket()).is_err() {
            assert!(since.elapsed() < Duration::from_mins(1), "regtrustd does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        daemon
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("run/regtrust/admin.sock")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.process.kill().expect("it is ours");
        self.process.wait().expect("it ends");
    }
}

fn has_venv() -> bool {
    let ask = Command::new("python3").args(["-c", "import venv, ensurepip"]).output();
    ask.is_ok_and(|output| output.status.success())
}

#[test]
fn the_example_in_python_does_what_the_page_says() {
    if !has_venv() {
        assert!(std::env::var("CI").is_err(), "Python's venv is missing");
        eprintln!("THE EXAMPLE WAS NOT RUN: Python's venv is missing");
        return;
    }
    let python = venv::python("example", &PACKAGES);
    let generated = tempfile::tempdir().unwrap();
    // As on the page, but for the place.
    venv::said(
        Command::new(&python)
            .current_dir(here())
            .args(["-m", "grpc_tools.protoc", "-I", "proto", "regtrust/v1/regtrust.proto"])
            .arg(format!("--python_out={}", generated.path().display()))
            .arg(format!("--grpc_python_out={}", generated.path().display())),
    );
    let daemon = Daemon::start();
    let address = format!("unix:{}", daemon.socket().display());
    let run = |registries: &[&str]| -> Output {
        let named = registries.iter().flat_map(|registry| ["--registry", registry]);
        Command::new(&python)
            .current_dir(here())
            .env("PYTHONPATH", generated.path())
            .arg("docs/examples/python/control_plane.py")
            .args(["--ca", CA])
            .args(named)
            .arg(&address)
            .output()
            .unwrap()
    };
    let said = |output: &Output| {
        String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr)
    };
    // The words that the page shows, twice the same.
    let promised = "revision 1, 1 registry in force";
    assert!(blocks("console").concat().contains(promised));
    for _ in 0..2 {
        let output = run(&["harbor.corp:8443"]);
        assert!(output.status.success() && said(&output).contains(promised), "{}", said(&output));
    }
    let certificate = daemon.directory.path().join("etc/docker/certs.d/harbor.corp:8443/ca.crt");
    assert!(certificate.exists());

    let output = run(&["harbor.corp:8443", "not a host"]);
    let words = said(&output);
    assert!(!output.status.success());
    assert!(
        words.contains("INVALID_DECLARATION") && words.contains("registries[1].host"),
        "{words}"
    );
    assert!(certificate.exists(), "of a set with a mistake nothing is applied");

    let output = run(&[]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(!certificate.exists());
}
