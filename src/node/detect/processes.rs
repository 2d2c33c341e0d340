//! Which of the engines run, and since when, from the node's procfs.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::node::parse::process::{self, Place};
use crate::node::procfs::of;
use crate::node::root::{NodeRoot, RootError};
use crate::node_path;
use crate::observed::Running;

/// The engines' processes, and how much of the node could be seen.
#[derive(Debug, Default)]
pub(super) struct Processes {
    boot: Option<Timestamp>,
    init_cgroup: String,
    /// Process 1 and every other one could be looked at, so what is not found does not run. Not so
    /// in a container without the host's procfs, or under `hidepid=`.
    complete: bool,
    engines: Vec<Engine>,
}

#[derive(Debug)]
struct Engine {
    pid: u32,
    name: String,
    /// Ticks since boot.
    started: i64,
    cgroup: String,
}

impl Processes {
    pub(super) fn scan(root: &NodeRoot) -> Result<Self, RootError> {
        let Some(init_cgroup) = of(root, 1, "cgroup")? else { return Ok(Self::default()) };
        let boot = root.read(&node_path!("proc/stat"))?;
        let mut processes = Self {
            boot: boot.and_then(|text| process::boot(&String::from_utf8_lossy(&text))),
            init_cgroup,
            complete: true,
            engines: Vec::new(),
        };
        for name in root.listing(&node_path!("proc"))?.unwrap_or_default().names {
            let Ok(pid) = name.parse() else { continue };
            match engine(root, pid) {
                Ok(engine) => processes.engines.extend(engine),
                // Ours to see, but not to read: it may be any program.
                Err(_) => processes.complete = false,
            }
        }
        Ok(processes)
    }

    /// Whether `service` runs a program of this name.
    ///
    /// The name alone would also find docker in docker, and k3s's own containerd.
    pub(super) fn of_service(&self, program: impl Fn(&str) -> bool, service: &str) -> Running {
        let mut running = if self.complete { Running::No } else { Running::Unknown };
        for engine in self.engines.iter().filter(|engine| program(&engine.name)) {
            match process::place(&engine.cgroup, &self.init_cgroup, service) {
                Place::Service => return self.since(engine),
                Place::Unclear => running = Running::Unknown,
                Place::Elsewhere => {}
            }
        }
        running
    }

    /// Whether the process that a pid file names is such a program. `None`: it is another one, or
    /// gone, or its number counts in another namespace.
    pub(super) fn of_pid(&self, pid: u32, program: impl Fn(&str) -> bool) -> Option<Running> {
        let engine = self.engines.iter().find(|engine| engine.pid == pid)?;
        program(&engine.name).then(|| self.since(engine))
    }

    /// The users who run a docker of their own.
    pub(super) fn rootless(&self) -> BTreeSet<u32> {
        let dockers = self.engines.iter().filter(|engine| engine.name == "dockerd");
        dockers.filter_map(|engine| process::user_of(&engine.cgroup)).collect()
    }

    fn since(&self, engine: &Engine) -> Running {
        let started = self.boot.and_then(|boot| process::started(boot, engine.started));
        started.map_or(Running::Unknown, Running::Since)
    }
}

fn engine(root: &NodeRoot, pid: u32) -> Result<Option<Engine>, RootError> {
    // `comm` is cheap; `stat`, for thousands of processes, is not.
    let Some(name) = of(root, pid, "comm")? else { return Ok(None) };
    let name = name.trim_end();
    if !(name.starts_with("docker") || name == "containerd") {
        return Ok(None);
    }
    let (Some(stat), Some(cgroup)) = (of(root, pid, "stat")?, of(root, pid, "cgroup")?) else {
        return Ok(None);
    };
    Ok(process::stat(&stat).map(|stat| Engine {
        pid,
        name: name.to_owned(),
        started: stat.started,
        cgroup,
    }))
}
