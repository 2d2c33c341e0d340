//! Runners of CI that run on the node itself and not in a container.
//!
//! Their jobs are processes and have no label; what can be seen is who runs them. Some runners have
//! a program of its own for a job, others start the job's commands themselves. GitHub's waits for
//! jobs in one process and may begin one at any time, so that an idle one counts as well, unless
//! `hold.d` has a hook: then it is the hook's business to stop it, or to say that it is busy.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::effect::chain;
use crate::hold;
use crate::jobs::{Occupancy, Occupant, Source};
use crate::node::parse::process;
use crate::node::procfs;
use crate::node::root::{NodeRoot, RootError};
use crate::node_path;

/// What of a runner is a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counts {
    /// The process itself.
    Itself,
    /// The process itself, where nobody keeps jobs from it.
    UnlessHeld,
    /// What it has started.
    Children,
}

/// By the name of its process, of which the kernel keeps 15 bytes.
const RUNNERS: [(&str, &str, Counts); 8] = [
    ("Runner.Worker", "GitHub job", Counts::Itself),
    ("Runner.Listener", "GitHub runner", Counts::UnlessHeld),
    ("gitlab-runner", "GitLab job", Counts::Children),
    ("act_runner", "Gitea job", Counts::Children),
    ("forgejo-runner", "Forgejo job", Counts::Children),
    ("woodpecker-agen", "Woodpecker job", Counts::Children),
    ("drone-runner-ex", "Drone job", Counts::Children),
    ("buildkite-agent", "Buildkite job", Counts::Children),
];

#[derive(Clone, Debug, PartialEq, Eq)]
struct Process {
    pid: u32,
    parent: u32,
    name: String,
    since: Option<Timestamp>,
}

pub(super) fn look(root: &NodeRoot) -> Occupancy {
    match scan(root) {
        Ok(Some(processes)) => {
            Occupancy { occupants: jobs(&processes, hold::has_hooks(root)), unknown: Vec::new() }
        }
        Ok(None) => {
            let why = "the processes of this node cannot be seen (is its /proc mounted?)";
            Occupancy::unknown(Source::Processes, why)
        }
        Err(error) => Occupancy::unknown(Source::Processes, chain(&error)),
    }
}

/// The runners, and whatever could be a child of one. `None`: this is not the node's procfs.
fn scan(root: &NodeRoot) -> Result<Option<Vec<Process>>, RootError> {
    let Some(init) = procfs::of(root, 1, "cgroup")? else { return Ok(None) };
    let pids: Vec<u32> = root
        .listing(&node_path!("proc"))?
        .unwrap_or_default()
        .names
        .iter()
        .filter_map(|name| name.parse().ok())
        .collect();
    let mut runners = BTreeSet::new();
    for pid in &pids {
        if let Some(name) = procfs::of(root, *pid, "comm")?
            && RUNNERS.iter().any(|(known, ..)| name.trim_end_matches('\n') == *known)
            && let Some(cgroup) = procfs::of(root, *pid, "cgroup")?
            // What runs in a container is told by its engine, with the container's labels.
            && !process::is_contained(&cgroup, &init)
        {
            runners.insert(*pid);
        }
    }
    if runners.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let boot = root.read(&node_path!("proc/stat"))?;
    let boot = boot.and_then(|text| process::boot(&String::from_utf8_lossy(&text)));
    let mut processes = Vec::new();
    for pid in pids {
        // What has ended and waits for its parent to notice does nothing any more.
        let Some(text) = procfs::of(root, pid, "stat")? else { continue };
        let Some(stat) = process::stat(&text).filter(|stat| !stat.is_dead) else { continue };
        if runners.contains(&pid) || runners.contains(&stat.parent) {
            processes.push(Process {
                pid,
                parent: stat.parent,
                name: if runners.contains(&pid) { stat.name.to_owned() } else { String::new() },
                since: boot.and_then(|boot| process::started(boot, stat.started)),
            });
        }
    }
    Ok(Some(processes))
}

fn jobs(processes: &[Process], is_held: bool) -> Vec<Occupant> {
    let mut jobs = Vec::new();
    for runner in processes {
        let known = RUNNERS.iter().find(|(name, ..)| *name == runner.name);
        let Some((_, what, counts)) = known else { continue };
        let mut add = |process: &Process| {
            jobs.push(Occupant {
                source: Source::Processes,
                what: (*what).to_owned(),
                name: format!("process {}", process.pid),
                since: process.since,
            });
        };
        match counts {
            Counts::UnlessHeld if is_held => {}
            Counts::Itself | Counts::UnlessHeld => add(runner),
            Counts::Children => {
                processes.iter().filter(|child| child.parent == runner.pid).for_each(add);
            }
        }
    }
    jobs
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "makes a procfs to look at")]

    use std::fs;
    use std::path::Path;

    use super::*;

    fn run(root: &Path, pid: u32, parent: u32, name: &str, state: char, cgroup: &str) {
        let directory = root.join(format!("proc/{pid}"));
        fs::create_dir_all(&directory).unwrap();
        let zeros = "0 ".repeat(17);
        let stat = format!("{pid} ({name}) {state} {parent} {zeros}100 0 0\n");
        for (file, text) in
            [("stat", stat), ("comm", format!("{name}\n")), ("cgroup", cgroup.to_owned())]
        {
            fs::write(directory.join(file), text).unwrap();
        }
    }

    const SERVICE: &str = "0::/system.slice/runner.service\n";

    fn seen(make: impl FnOnce(&Path)) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        run(at, 1, 0, "systemd", 'S', "0::/init.scope\n");
        fs::write(at.join("proc/stat"), "btime 1700000000\n").unwrap();
        make(at);
        let found = look(&NodeRoot::open(at).unwrap());
        assert_eq!(found.unknown, []);
        found.occupants.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_job_is_a_process_that_a_runner_has_started() {
        let since = "(since 2023-11-14 22:13 UTC)";
        let jobs = seen(|at| {
            run(at, 20, 1, "gitlab-runner", 'S', SERVICE);
            run(at, 21, 20, "bash", 'S', SERVICE);
            run(at, 22, 21, "make", 'R', SERVICE);
            run(at, 23, 20, "bash", 'Z', SERVICE);
            run(at, 30, 1, "act_runner", 'S', SERVICE);
            run(at, 40, 1, "Runner.Worker", 'S', SERVICE);
        });
        let expected = ["GitLab job `process 21`", "GitHub job `process 40`"];
        assert_eq!(jobs, expected.map(|job| format!("{job} {since}")));
    }

    #[test]
    fn an_idle_runner_counts_unless_a_hook_can_keep_jobs_from_it() {
        let idle = |at: &Path| run(at, 20, 1, "Runner.Listener", 'S', SERVICE);
        assert_eq!(seen(idle).len(), 1);
        let with_a_hook = seen(|at| {
            idle(at);
            run(at, 21, 20, "Runner.Worker", 'S', SERVICE);
            fs::create_dir_all(at.join("etc/regtrust/hold.d")).unwrap();
            fs::write(at.join("etc/regtrust/hold.d/10-runner"), "").unwrap();
        });
        assert_eq!(with_a_hook.len(), 1, "its job is one: {with_a_hook:?}");
    }

    #[test]
    fn what_runs_in_a_container_is_told_by_its_engine() {
        let jobs = seen(|at| {
            run(at, 20, 1, "Runner.Worker", 'S', "0::/system.slice/docker-4f.scope\n");
            run(
                at,
                21,
                1,
                "Runner.Worker",
                'S',
                "0::/kubepods.slice/kubepods-pod1.slice/x.scope\n",
            );
        });
        assert_eq!(jobs, [""; 0]);
    }

    #[test]
    fn a_node_whose_processes_cannot_be_seen_is_not_idle() {
        let directory = tempfile::tempdir().unwrap();
        assert!(!look(&NodeRoot::open(directory.path()).unwrap()).is_free());
    }
}
