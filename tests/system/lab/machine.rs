//! Whether this machine can boot nodes at all.

use std::process::Command;

/// Programs that are used on this machine, and the Debian packages that bring them.
const PROGRAMS: &[(&str, &str)] = &[
    ("mmdebstrap", "mmdebstrap"),
    ("systemd-nspawn", "systemd-container"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("unshare", "util-linux"),
];

/// Why not, in one line.
pub(crate) fn obstacle() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("booting nodes needs root".to_owned());
    }
    let missing = PROGRAMS.iter().find(|(program, _)| !is_installed(program));
    if let Some((program, package)) = missing {
        return Some(format!("`{program}` is missing: `make tools` installs {package}"));
    }
    let unshare = Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "--mount-proc", "mount", "-t", "tmpfs", "lab", "/mnt"])
        .output();
    match unshare {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!(
            "this machine lets nobody make mount namespaces: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Some(format!("`unshare`: {error}")),
    }
}

fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}
