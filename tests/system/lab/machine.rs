//! Whether this machine can boot nodes at all.

use std::process::Command;

/// Programs that are used on this machine, and the Debian packages that bring them.
const PROGRAMS: &[(&str, &str)] = &[
    ("mmdebstrap", "mmdebstrap"),
    ("systemd-nspawn", "systemd-container"),
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

/// How many nodes this machine can have at a time.
///
/// A node watches files with up to 11 inotify instances, of which the kernel gives 128 to all of one
/// user's programs unless it is told otherwise. Without one, systemd does not boot, and containerd
/// runs without its CRI. A quarter is left to whatever else runs here.
pub(crate) fn room() -> usize {
    const FOR_A_NODE: usize = 11;
    instances().map_or(usize::MAX, |instances| instances / 4 * 3 / FOR_A_NODE)
}

/// Of which the kernel keeps count.
const INSTANCES: &str = "/proc/sys/fs/inotify/max_user_instances";

fn instances() -> Option<usize> {
    std::fs::read_to_string(INSTANCES).ok()?.trim().parse().ok()
}

/// Has the kernel give more of them, as many distributions do, because with few the tests wait for
/// each other. Until the next boot, and said; where it may not be done there is less room.
pub(crate) fn make_room() {
    const ENOUGH: usize = 512;
    if let Some(few) = instances().filter(|few| *few < ENOUGH)
        && std::fs::write(INSTANCES, ENOUGH.to_string()).is_ok()
    {
        eprintln!("{INSTANCES} is {ENOUGH} until the next boot, and was {few}");
    }
}

/// How many cases to run at a time. A case mostly waits: for daemons that start, and for a clock that
/// has whole seconds. Each has a node, and another may lie idle for it: see [`super::pool`].
pub(crate) fn cases_at_a_time() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    (4 * processors).min(room() / 2).max(1)
}

fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}
