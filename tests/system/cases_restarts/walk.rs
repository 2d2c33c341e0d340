//! One after the other, everybody who can work on a node: each is waited for by name, also when nobody
//! else works here, and ends as it would have without us. Then both runtimes are restarted, once.

use std::collections::BTreeMap;
use std::thread::{self, ScopedJoinHandle};
use std::time::Instant;

use super::{CONTAINERD, DOCKER, configured, declare, flocked, held_by, is_done, starts};
use crate::lab::daemon::Daemon;
use crate::lab::held::Held;
use crate::lab::lease::Lease;
use crate::lab::pods::{self, Pod};
use crate::lab::{Declaration, Node, cri, engine};

const JOB: &str = "GitLab job `42 in job`";
const POD_JOB: &str = "Zadig job `build-7 in ci/build-7-x`";
/// Of which image, nobody can tell.
const PULL: &str = "image pull `";
const BUILD: &str = "image build `";
const COMMAND: &str = "command in container `shop`";
const POD_COMMAND: &str = "command in container `web of ci/web`";
const FILE: &str = "job `lab-file`";
const LEASE: &str = "job `workflow-42 of ";

/// What each one sleeps, which tells its process from others'. Nobody waits so long: [`Stage::end`].
const OF_JOB: u32 = 1_000_002;
const OF_BUILD: u32 = 1_000_003;
const OF_COMMAND: u32 = 1_000_004;
const OF_POD_COMMAND: u32 = 1_000_005;
/// Of a pod that nobody has to wait for.
const OF_WEB: u32 = 1_000_006;

struct Stage<'n> {
    node: &'n Node,
    daemon: Daemon<'n>,
}

/// What nobody may disturb.
#[derive(Debug, PartialEq, Eq)]
struct Untouched {
    /// The processes of a container and of a pod that live through all this.
    services: [String; 2],
    /// Every other service, with its process and systemd's number of the run.
    units: BTreeMap<String, String>,
}

pub(super) fn whoever_works_here_is_waited_for_by_name(node: &Node) {
    pods::allow(node);
    let (_registry, held, image) = Held::image(node);
    let web = Pod::start(node, "web", &[("app", "web")]);
    let web_container = web.run("web", &format!("exec /bin/busybox sleep {OF_WEB}"));
    node.start_container("shop");
    // What survives a restart of dockerd is nobody's reason to wait.
    node.write("/etc/docker/daemon.json", "{\"live-restore\": true}");
    node.reload_by_hand();
    let stage = Stage { node, daemon: configured(node, "soak = \"0s\"\n") };
    node.declare("held", &Declaration::of(&held.name(), "http"));
    stage.daemon.in_force(&held.name());
    let before = (Untouched::of(node), [DOCKER, CONTAINERD].map(|unit| starts(node, unit)));

    let last = thread::scope(|scope| {
        let job = scope.spawn(|| stage.runs_job());
        let pod =
            Pod::start(node, "build-7-x", &[("s-type", "zadig-build"), ("s-name", "build-7")]);
        pod.run("worker", "exec /bin/busybox sleep 1000000");
        declare(node);
        stage.waits_for(&[JOB], &[JOB, POD_JOB]);
        let pull = scope.spawn(|| engine::pull(node, &image));
        let pod_pull = scope.spawn(|| cri::pull(node, &image).map(drop));
        stage.waits_for(&[JOB, PULL], &[JOB, POD_JOB, PULL]);
        stage.end(OF_JOB, job);
        drop(pod);
        stage.waits_for(&[PULL], &[PULL]);

        let build = scope.spawn(|| stage.builds());
        let pod_command = scope.spawn(|| web.exec(&web_container, &sleeping(OF_POD_COMMAND)));
        stage.waits_for(&[BUILD, PULL], &[POD_COMMAND, PULL]);
        held.let_go();
        for pull in [pull, pod_pull] {
            pull.join().expect("a pull").expect("the pull works");
        }
        stage.waits_for(&[BUILD], &[POD_COMMAND]);

        let command = scope.spawn(|| stage.runs_command());
        stage.waits_for(&[BUILD, COMMAND], &[POD_COMMAND]);
        stage.end(OF_BUILD, build);
        stage.waits_for(&[COMMAND], &[POD_COMMAND]);
        flocked(node, "lab-file");
        stage.waits_for(&[COMMAND, FILE], &[POD_COMMAND, FILE]);
        stage.end(OF_POD_COMMAND, pod_command);
        stage.end(OF_COMMAND, command);
        stage.waits_for(&[FILE], &[FILE]);

        let lease = Lease::hold(node, "workflow-42");
        stage.waits_for(&[FILE, LEASE], &[FILE, LEASE]);
        node.sh("systemctl stop lab-file");
        stage.waits_for(&[LEASE], &[LEASE]);
        lease
    });
    let meanwhile = (Untouched::of(node), [DOCKER, CONTAINERD].map(|unit| starts(node, unit)));
    assert_eq!(meanwhile, before, "nothing was restarted so far");
    let ended = Instant::now();
    drop(last);
    stage.daemon.until("both are restarted", is_done);
    eprintln!("{}: both were restarted {:?} after the last job", node.suite, ended.elapsed());
    let after = (Untouched::of(node), [DOCKER, CONTAINERD].map(|unit| starts(node, unit)));
    assert_eq!(after, (before.0, before.1.map(|starts| starts + 1)));
}

impl Stage<'_> {
    fn waits_for(&self, docker: &[&str], containerd: &[&str]) {
        held_by(&self.daemon, &[("docker", docker), ("containerd", containerd)]);
    }

    fn runs_job(&self) -> Result<(), String> {
        let labels = ["managed=true", "job.id=42"];
        let [managed, id] = labels.map(|label| format!("com.gitlab.gitlab-runner.{label}"));
        let run = ["docker", "run", "--name", "job", "--network", "none", "--label", &managed];
        let rest = ["--label", &id, "lab-box:1", "/bin/busybox", "sh", "-c", &sleeping(OF_JOB)];
        self.node.run(run.into_iter().chain(rest)).verdict().map(drop)
    }

    fn builds(&self) -> Result<(), String> {
        let step = serde_json::json!(["/bin/busybox", "sh", "-c", sleeping(OF_BUILD)]);
        self.node.write("/root/Dockerfile", format!("FROM lab-box:1\nRUN {step}\n"));
        let build = "DOCKER_BUILDKIT=1 docker build --network none - </root/Dockerfile";
        self.node.run(["sh", "-c", build]).verdict().map(drop)
    }

    fn runs_command(&self) -> Result<(), String> {
        let command = sleeping(OF_COMMAND);
        let exec = ["docker", "exec", "shop", "/bin/busybox", "sh", "-c", &command];
        self.node.run(exec).verdict().map(drop)
    }

    /// Lets one come to its own end, which has to be a good one.
    fn end(&self, sleep: u32, work: ScopedJoinHandle<'_, Result<(), String>>) {
        self.node.sh(&format!("pkill --full '^/bin/busybox sleep {sleep}$'"));
        work.join().expect("work").expect("it was not interrupted");
    }
}

/// What ends well when its sleep ends in any way.
fn sleeping(seconds: u32) -> String {
    format!("/bin/busybox sleep {seconds}; true")
}

impl Untouched {
    fn of(node: &Node) -> Self {
        let process = |seconds: u32| {
            let words = format!("^/bin/busybox sleep {seconds}$");
            let output = node.run(["pgrep", "--full", &words]);
            output.stdout.trim().to_owned()
        };
        let shown = node.sh(
            "systemctl show --property=Id,MainPID,InvocationID \
             $(systemctl list-units --type=service --state=active,reloading --plain --no-legend | cut -d' ' -f1)",
        );
        let units = shown.split("\n\n").filter_map(|unit| {
            let id = unit.lines().find_map(|line| line.strip_prefix("Id="))?;
            let mut lines: Vec<&str> = unit.lines().collect();
            lines.sort_unstable();
            Some((id.to_owned(), lines.join(" ")))
        });
        // The last of them ends by itself when it has had nothing to do for a while.
        let others = [DOCKER, CONTAINERD, "netavark-dhcp-proxy.service"];
        let is_other = |(id, _): &(String, String)| !others.contains(&id.as_str());
        Self { services: [1_000_000, OF_WEB].map(process), units: units.filter(is_other).collect() }
    }
}
