//! Docker: whether it is here, its version, its flags, and whether it runs.

use super::packages::{self, Package};
use super::processes::Processes;
use super::service::{Unit, unit};
use super::{Overrides, any, text, unmanaged};
use crate::node::parse::containerd::clean;
use crate::node::parse::environment;
use crate::node::parse::flags;
use crate::node::parse::unit::Word;
use crate::node::root::{NodeRoot, RootError};
use crate::node_path;
use crate::observed::{Docker, Flag, Found, Running, Version};
use crate::path::NodePath;

const PROGRAMS: [&str; 5] =
    ["usr/bin/dockerd", "usr/local/bin/dockerd", "usr/sbin/dockerd", "bin/dockerd", "sbin/dockerd"];

const PACKAGE: Package<'_> = Package {
    debian: &["docker.io", "docker-ce", "moby-engine"],
    alpine: &["docker-engine", "docker"],
    arch: &["docker"],
};

pub(super) fn detect(
    root: &NodeRoot,
    processes: Option<&Processes>,
    overrides: &Overrides,
) -> Result<Option<Docker>, RootError> {
    let unit = unit(root, "docker.service")?;
    let here = overrides.docker.is_some()
        || matches!(unit, Unit::Service(_))
        || any(root, &PROGRAMS)?
        || has_socket(root)?;
    if !here {
        return Ok(None);
    }
    let flags = flags(root, &unit)?;
    let version = match overrides.docker {
        Some(version) => Some(version),
        None => version(root)?,
    };
    let running = running(root, processes, &flags)?;
    Ok(Some(Docker { version, running, flags }))
}

/// podman-docker links `/run/docker.sock` to podman's socket, and docker from a snap makes one
/// there; neither reads `/etc/docker`.
fn has_socket(root: &NodeRoot) -> Result<bool, RootError> {
    let socket = root.look(&node_path!("run/docker.sock"))? == Some(Found::Other);
    Ok(socket && !unmanaged::has_snap(root)?)
}

/// The package's version, unless a `dockerd` in `/usr/local` may be what runs instead.
fn version(root: &NodeRoot) -> Result<Option<Version>, RootError> {
    if root.exists(&node_path!("usr/local/bin/dockerd"))? {
        return Ok(None);
    }
    packages::version(root, &PACKAGE)
}

/// Where there is a unit, nothing else counts; the scripts of other init systems source a file.
fn flags(root: &NodeRoot, unit: &Unit) -> Result<Vec<Flag>, RootError> {
    match unit {
        Unit::Service(service) => Ok(flags::flags(&service.command().unwrap_or_default())),
        Unit::Masked => Ok(Vec::new()),
        Unit::Absent => {
            for path in [node_path!("etc/conf.d/docker"), node_path!("etc/default/docker")] {
                if let Some(text) = text(root, &path)? {
                    return Ok(flags::flags(&sourced(&text, &path)));
                }
            }
            Ok(Vec::new())
        }
    }
}

/// `DOCKER_OPTS`, as the scripts split it.
fn sourced(text: &str, path: &NodePath) -> Vec<Word> {
    let variables = environment::from_shell(text);
    let options = variables.get("DOCKER_OPTS").map(String::as_str).unwrap_or_default();
    let words = shlex::split(options)
        .unwrap_or_else(|| options.split_whitespace().map(str::to_owned).collect());
    words.into_iter().map(|text| Word { text, source: path.to_string() }).collect()
}

fn running(
    root: &NodeRoot,
    processes: Option<&Processes>,
    flags: &[Flag],
) -> Result<Running, RootError> {
    let Some(processes) = processes else { return Ok(Running::No) };
    // RHEL 7's is called dockerd-current.
    let dockerd = |name: &str| name.starts_with("docker") && !name.starts_with("docker-");
    let by_service = processes.of_service(dockerd, "docker.service");
    let flag = flags.iter().rfind(|flag| flag.name == "pidfile");
    let path = flag.and_then(|flag| clean(&flag.value, None));
    let pid_file = text(root, &path.unwrap_or(node_path!("run/docker.pid")))?;
    Ok(match (by_service, pid_file) {
        (Running::Since(start), _) => Running::Since(start),
        (other, None) => other,
        // A file that names no dockerd was left by one that was killed, or counts in a namespace
        // that we do not see.
        (_, Some(pid)) => {
            let running = pid.trim().parse().ok().and_then(|pid| processes.of_pid(pid, dockerd));
            running.unwrap_or(Running::Unknown)
        }
    })
}
