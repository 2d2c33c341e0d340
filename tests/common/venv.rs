//! A Python with packages, for what the field writes in Python.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

/// The interpreter of an environment that has `packages`; made once for all runs of the tests.
pub(crate) fn python(name: &str, packages: &[&str]) -> PathBuf {
    // Whoever is second waits for the first.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().expect("nobody panics while installing");
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let python = home.join("venv/bin/python");
    let done = home.join("installed");
    // Its programs name the directory that they were made in, and that may have been moved.
    let wanted = format!("{}\n{}", home.display(), packages.join("\n"));
    let made = std::fs::read_to_string(&done).ok();
    if !python.exists() || made.as_ref() != Some(&wanted) {
        std::fs::create_dir_all(&home).expect("a directory");
        said(Command::new("python3").args(["-m", "venv", "--clear"]).arg(home.join("venv")));
        said(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(packages));
        std::fs::write(done, wanted).expect("a mark");
    }
    python
}

/// What a program printed, which must end well.
pub(crate) fn said(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}:\n{words}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
