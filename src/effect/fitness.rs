//! Whether a restart would do what it is meant to, and no more.
//!
//! A runtime keeps running with a configuration that it would not start with, for as long as nobody
//! restarts it: somebody's half-finished edit is a trap that must not be ours to spring.

use std::sync::Arc;
use std::time::Duration;

use super::bus::{Active, Bus, BusError, JobEnd, Standing};
use super::one_shot::{Ended, OneShot};
use super::{chain, packages};
use crate::blocking::blocking;
use crate::gate::Fitness;
use crate::node::procfs;
use crate::node::root::NodeRoot;
use crate::observed::Version;
use crate::runtime::cri::Cri;
use crate::runtime::docker::Engine;
use crate::runtime::grpc::CallError;
use crate::target::docker_daemon;
use crate::trust::entry::Runtime;

/// A program that only reads its configuration takes milliseconds.
const READING: Duration = Duration::from_secs(20);
const ANSWER: Duration = Duration::from_secs(5);
const UNIT: &str = "regtrust-check.service";

/// These lose the addresses of their pods when they are restarted, so that kubelet makes every pod
/// anew: containerd/containerd#7843.
const LOSES_PODS: std::ops::RangeInclusive<Version> =
    Version::new(1, 6, 9)..=Version::new(1, 6, 13);
/// The first docker with `--validate`.
const VALIDATES: Version = Version::new(23, 0, 0);

/// Looks at it. What cannot be told is no yes.
pub async fn fitness(root: &Arc<NodeRoot>, runtime: Runtime) -> Fitness {
    let tree = Arc::clone(root);
    if blocking(move || packages::is_at_work(&tree)).await {
        return Fitness::NotNow("packages are being installed".to_owned());
    }
    match of_running(root, runtime).await {
        Ok(fitness) => fitness,
        Err(why) => {
            Fitness::NotNow(format!("whether {runtime} would start again is not known: {why}"))
        }
    }
}

async fn of_running(root: &Arc<NodeRoot>, runtime: Runtime) -> Result<Fitness, String> {
    let told = |error: BusError| chain(&error);
    let bus = Bus::connect(root).await.map_err(told)?;
    // One that does not run is not restarted.
    let Standing::Active(active) = bus.standing(runtime).await.map_err(told)? else {
        return Ok(Fitness::Fit);
    };
    let version = version(root, &active).await?;
    if runtime == Runtime::Containerd && version.is_some_and(|one| LOSES_PODS.contains(&one)) {
        let words = "containerd 1.6.9 to 1.6.13 lose all pods when they are restarted: upgrade it";
        return Ok(Fitness::NotNow(words.to_owned()));
    }
    let pid = bus.process(runtime).await.map_err(told)?;
    let command = procfs::of(root, pid, "cmdline").map_err(|error| chain(&error))?;
    let command = command.unwrap_or_default();
    let mut argv: Vec<&str> = command.split_terminator('\0').collect();
    if !argv.first().is_some_and(|program| program.starts_with('/')) {
        return Err("the command that it was started with cannot be seen".to_owned());
    }
    match runtime {
        Runtime::Containerd => argv.extend(["config", "dump"]),
        Runtime::Docker if version.is_some_and(|one| one >= VALIDATES) => argv.push("--validate"),
        Runtime::Docker => return Ok(file_of_docker(root, &argv)),
    }
    read_by_program(&bus, runtime, argv).await
}

/// `None`: it has none, or one that nobody understands.
async fn version(root: &Arc<NodeRoot>, active: &Active) -> Result<Option<Version>, String> {
    if let Some(engine) = Engine::of(root, active) {
        let info = engine.info().await.map_err(|error| chain(&error))?;
        return Ok(info.version.parse().ok());
    }
    let Some(cri) = Cri::of(root, active) else { return Ok(None) };
    match cri.version(ANSWER).await {
        Ok(version) => Ok(version.parse().ok()),
        // Without CRI there are no pods.
        Err(CallError::Unimplemented(_)) => Ok(None),
        Err(error) => Err(chain(&error)),
    }
}

/// Lets the runtime's own program read the configuration, with the flags that it runs with: a key
/// that is a flag as well is refused, too.
async fn read_by_program(bus: &Bus, runtime: Runtime, argv: Vec<&str>) -> Result<Fitness, String> {
    let shot = OneShot {
        operation: "have a configuration read",
        unit: UNIT,
        description: format!("See for regtrust whether {runtime} would start again"),
        argv,
        environment: Vec::new(),
        // containerd prints all of it, with the passwords of registries.
        is_quiet: true,
        limit: READING,
        patience: READING + ANSWER,
    };
    let Ended { job, status, result } = bus.run_once(&shot).await.map_err(|error| chain(&error))?;
    match job {
        JobEnd::Done => Ok(Fitness::Fit),
        JobEnd::Not(_) if result == "exit-code" => Ok(Fitness::Never(format!(
            "{runtime} would not start again, its configuration is not valid (exit code {status}); \
             `journalctl -u {UNIT}` has its reason"
        ))),
        JobEnd::Not(end) => Err(format!("the program that reads it ended with `{end}`")),
        JobEnd::Unfinished => Err("the program that reads it has not ended".to_owned()),
    }
}

/// docker 20.10 cannot be asked, and dies of a file that is no JSON.
fn file_of_docker(root: &NodeRoot, argv: &[&str]) -> Fitness {
    if argv.iter().any(|word| word.starts_with("--config-file")) {
        return Fitness::Fit;
    }
    let path = docker_daemon::path();
    let fault = match root.read(&path) {
        Ok(None) => return Fitness::Fit,
        Ok(Some(bytes)) => {
            match serde_json::from_slice::<serde_json::Map<_, serde_json::Value>>(&bytes) {
                Ok(_) => return Fitness::Fit,
                Err(error) => error.to_string(),
            }
        }
        Err(error) => chain(&error),
    };
    Fitness::Never(format!("docker would not start again, `{path}` is not valid: {fault}"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "makes a tree to look at")]

    use super::*;

    #[test]
    fn a_file_that_docker_would_die_of_is_known_before() {
        for (text, fits) in [
            (None, true),
            (Some("{}"), true),
            (Some("{\"debug\": true}\n"), true),
            (Some(""), false),
            (Some("[]"), false),
            (Some("{\"debug\": tru"), false),
        ] {
            let tree = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(tree.path().join("etc/docker")).unwrap();
            if let Some(text) = text {
                std::fs::write(tree.path().join("etc/docker/daemon.json"), text).unwrap();
            }
            let root = NodeRoot::open(tree.path()).unwrap();
            let argv = ["/usr/sbin/dockerd", "-H", "fd://"];
            assert_eq!(file_of_docker(&root, &argv) == Fitness::Fit, fits, "{text:?}");
            let moved = ["/usr/sbin/dockerd", "--config-file=/srv/docker.json"];
            assert_eq!(file_of_docker(&root, &moved), Fitness::Fit, "it reads another");
        }
    }
}
