//! Restarts that wait for their moment, on real nodes: a CA for the whole machine needs one, and
//! what runs here decides when.

use std::time::Duration;

use regtrust::api::v1::{
    NodeStatus, PauseRequest, Phase, RestartRequest, RestartStatus, ResumeRequest, Runtime,
};

use crate::case::{Case, case};
use crate::lab::archive::Member;
use crate::lab::daemon::{Daemon, connect, registry};
use crate::lab::lease::Lease;
use crate::lab::wait::{block_on, eventually};
use crate::lab::{Authority, Declaration, Node, Suite, Witness};

mod killed;
mod race;
mod walk;

use killed::{
    a_daemon_that_is_killed_in_any_state_leaves_nothing_held,
    a_daemon_that_is_killed_while_a_restart_goes_wrong_mends_it,
};
use race::a_job_that_begins_in_the_last_moment;
use walk::whoever_works_here_is_waited_for_by_name;

pub(crate) const CASES: &[Case] = &[
    case!(Kubernetes whoever_works_here_is_waited_for_by_name),
    case!(Fresh a_job_that_begins_in_the_last_moment),
    case!(Fresh changes_that_come_together_cost_one_restart),
    case!(Fresh a_restart_waits_for_an_operator),
    case!(Fresh docker_keeps_its_containers_where_that_is_wanted),
    case!(Fresh what_would_not_start_again_is_not_restarted),
    case!(Fresh what_a_restart_has_cost_is_told),
    case!(Fresh past_its_deadline_a_restart_is_told_of_and_waits),
    case!(Fresh past_its_deadline_new_work_is_kept_away).on(&[Suite::Trixie]),
    case!(Fresh past_its_deadline_docker_is_forced_only_where_that_is_said).on(&[Suite::Forky]),
    case!(Fresh a_daemon_that_is_killed_in_any_state_leaves_nothing_held),
    case!(Fresh a_daemon_that_is_killed_while_a_restart_goes_wrong_mends_it).on(&[Suite::Bookworm]),
];

const DAEMON: &str = "/etc/docker/daemon.json";
const SETTINGS: &str = "/etc/regtrust/regtrustd.toml";
const DOCKER: &str = "docker.service";
const CONTAINERD: &str = "containerd.service";

/// A CA that everything on the machine is to trust: dockerd loads it when it starts, and never
/// again.
fn for_the_whole_machine(authority: &Authority) -> Declaration {
    Declaration::ca("elsewhere.lab", &authority.root).line("system_store = true")
}

fn declare(node: &Node) {
    node.declare("corp", &for_the_whole_machine(&Authority::new("corp")));
}

/// Starts the daemon with other rules for restarts than the lab's. Like there nothing is waited for that
/// may change as well, unless they say so.
fn configured<'n>(node: &'n Node, restart: &str) -> Daemon<'n> {
    let daemon = Daemon::install(node);
    configure(node, restart);
    daemon.systemctl("start");
    daemon
}

fn configure(node: &Node, restart: &str) {
    let settings = node.read(SETTINGS).unwrap();
    let (before, _) = settings.split_once("[restart]\n").expect("it is the last table");
    let at_once = if restart.contains("gather") { "" } else { "gather = \"0s\"\n" };
    node.write(SETTINGS, format!("{before}[restart]\n{at_once}{restart}"));
}

/// Why a restart waits; empty where it does not.
fn waiting<'s>(status: &'s NodeStatus, runtime: &str) -> &'s str {
    let command = format!("systemctl restart {runtime}");
    let mut due = status.due.iter().filter(|due| due.command == command);
    due.next().map_or("", |due| &due.waiting_for)
}

fn waits(status: &NodeStatus, words: &str) -> bool {
    waiting(status, "docker").contains(words)
}

/// Waits until exactly these keep the restarts of these runtimes waiting. Nobody is told when most of
/// those who work end, so the daemon is made to look, as an operator's `reload` does.
fn held_by(daemon: &Daemon<'_>, expected: &[(&str, &[&str])]) {
    daemon.until(&format!("what is waited for is {expected:?}"), |status| {
        let is_so = expected.iter().all(|(runtime, by)| is_held_by(status, runtime, by));
        if !is_so {
            // Each has it say its status once more.
            std::thread::sleep(Duration::from_millis(100));
            daemon.systemctl("reload");
        }
        is_so
    });
}

/// Whether the reason why a restart waits names all of these, and nobody else.
fn is_held_by(status: &NodeStatus, runtime: &str, expected: &[&str]) -> bool {
    let words = waiting(status, runtime).strip_prefix("it would interrupt ").unwrap_or_default();
    let named: Vec<&str> = words.split(", ").collect();
    let is_named = |one: &&str| named.iter().any(|name| name.starts_with(one));
    let is_expected = |name: &&str| expected.iter().any(|one| name.starts_with(one));
    expected.iter().all(is_named) && named.iter().all(is_expected)
}

fn of(status: &NodeStatus, runtime: Runtime) -> Option<&RestartStatus> {
    status.restarts.iter().find(|restart| restart.runtime() == runtime)
}

fn is_done(status: &NodeStatus) -> bool {
    status.due.is_empty() && status.phase() == Phase::Settled && !status.registries.is_empty()
}

/// Lines of the daemon's log since the node booted with this message and this field.
fn logged(node: &Node, message: &str, field: &str, value: &str) -> usize {
    let is_meant = |entry: &serde_json::Value| entry[format!("F_{field}")] == value;
    log(node, message).iter().filter(|entry| is_meant(entry)).count()
}

fn log(node: &Node, message: &str) -> Vec<serde_json::Value> {
    let journal = node.logged("--output=json --unit=regtrustd.service");
    let entries = journal.lines().map(|line| serde_json::from_str(line).unwrap());
    entries.filter(|entry: &serde_json::Value| entry["MESSAGE"] == message).collect()
}

fn orders(node: &Node) -> usize {
    logged(node, "begins", "EFFECT", "restart docker")
}

/// What systemd has said of a unit since the node booted, by the number of the message.
fn told_of(node: &Node, unit: &str, message: &str) -> Vec<serde_json::Value> {
    let lines = node.logged(&format!("--output=json UNIT={unit} MESSAGE_ID={message}"));
    lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// How often systemd has started it.
fn starts(node: &Node, unit: &str) -> usize {
    const STARTED: &str = "39f53479d3a045ac8e11786248231fbf";
    told_of(node, unit, STARTED).len()
}

/// An idle node, whose restart waits for what else may change; here for less than a minute.
fn changes_that_come_together_cost_one_restart(node: &Node) {
    let before = [DOCKER, CONTAINERD].map(|unit| starts(node, unit));
    let daemon = configured(
        node,
        "gather = \"60s\"\nminimum_interval = \"5m\"\nsettle = \"0s\"\nsoak = \"0s\"\n",
    );
    let declare = |name: &str| {
        let host = format!("{name}.lab");
        let wide = Declaration::ca(&host, &Authority::new(name).root).line("system_store = true");
        node.declare(name, &wide);
        daemon.until("the store has its CA, and there may be more", |status| {
            registry(status, &host).is_some() && waits(status, "further changes may need it too")
        });
    };
    declare("one");
    declare("two");
    // This is what containerd has to be restarted for.
    let pulled = Declaration::ca("three.lab", &Authority::new("three").root).only("containerd");
    node.declare("three", &pulled);
    daemon.until("both are due", |status| status.due.len() == 2);
    assert_eq!([DOCKER, CONTAINERD].map(|unit| starts(node, unit)), before, "none so far");
    daemon.until("it is done", is_done);
    let after = [DOCKER, CONTAINERD].map(|unit| starts(node, unit));
    assert_eq!(after, before.map(|starts| starts + 1), "one for all three");
    assert_eq!(orders(node), 1);

    let four = Declaration::ca("four.lab", &Authority::new("four").root);
    node.declare("four", &four.line("system_store = true"));
    let status = daemon.until("it keeps its distance", |status| waits(status, "it was restarted"));
    assert_eq!(of(&status, Runtime::Docker).unwrap().keeper, "budget");
    assert_eq!([DOCKER, CONTAINERD].map(|unit| starts(node, unit)), after);
    // Three starts a minute, and systemd would have left it down.
    let show = node.sh("systemctl show --property=Result,NRestarts,ActiveState docker.service");
    let mut shown: Vec<&str> = show.lines().collect();
    shown.sort_unstable();
    assert_eq!(shown, ["ActiveState=active", "NRestarts=0", "Result=success"]);
}

fn a_restart_waits_for_an_operator(node: &Node) {
    let before = Witness::of(node);
    let daemon = Daemon::start(node);
    let lease = Lease::hold(node, "workflow-42");
    declare(node);
    daemon.until("the tool has run", |status| waits(status, "job `workflow-42 of "));
    block_on(async {
        let pause = PauseRequest { pause_for: None, reason: "a release".to_owned() };
        connect(node).await.unwrap().pause(pause).await.unwrap();
    });
    drop(lease);
    daemon.until("it waits for the operator", |status| waits(status, "a release"));
    node.sh("systemctl kill --signal=SIGKILL regtrustd");
    eventually("it is there again", || {
        daemon.try_status().filter(|status| waits(status, "a release"))
    });
    assert_eq!(Witness::of(node), before, "a pause outlives the daemon that was told of it");
    block_on(async {
        connect(node).await.unwrap().resume(ResumeRequest {}).await.unwrap();
    });
    daemon.until("it is done", is_done);
    assert_ne!(Witness::of(node).docker.invocation, before.docker.invocation);
}

/// By a reload that comes before the restart, and that the end of it takes back.
fn docker_keeps_its_containers_where_that_is_wanted(node: &Node) {
    const USUAL: &str = "settle = \"0s\"\nsoak = \"0s\"\n";
    node.start_container("shop");
    let before = Witness::of(node);
    let daemon = configured(node, &format!("{USUAL}live_restore = true\n"));
    declare(node);
    daemon.until("it is done", is_done);
    let after = Witness::of(node);
    assert_ne!(after.docker.invocation, before.docker.invocation);
    assert_eq!(after.containers, before.containers, "the same process of the same container");
    assert_eq!(node.read(DAEMON).unwrap(), "{\n  \"live-restore\": true\n}\n");

    configure(node, USUAL);
    daemon.systemctl("reload");
    eventually("it is as it was", || (!node.exists(DAEMON)).then_some(()));
    let shown = node.sh("docker info --format '{{.LiveRestoreEnabled}}'");
    assert_eq!(shown.trim(), "false");
    let last = Witness::of(node);
    assert_eq!((last.docker.pid, last.containers), (after.docker.pid, before.containers));

    // With both dockerd would not start again.
    node.sh("docker swarm init --advertise-addr 127.0.0.1 --listen-addr 127.0.0.1:2377");
    configure(node, &format!("{USUAL}live_restore = true\n"));
    daemon.systemctl("reload");
    node.sh("regtrust apply");
    assert!(!node.exists(DAEMON), "a swarm is not made to end");
}

/// dockerd runs on with a file that it would end of, for as long as nobody restarts it.
fn what_would_not_start_again_is_not_restarted(node: &Node) {
    let before = Witness::of(node);
    let daemon = Daemon::start(node);
    // The oldest cannot be asked.
    let broken = if node.suite == Suite::Bookworm { "{" } else { "{\"no-such-key\": true}\n" };
    node.write(DAEMON, broken);
    declare(node);
    let why = "docker would not start again";
    daemon.until("it is said", |status| waits(status, why));
    let asked = RestartRequest::default();
    let answer =
        block_on(async { connect(node).await.unwrap().restart(asked).await.unwrap().into_inner() });
    let told: Vec<&str> = answer.performed.iter().map(|one| one.message.as_str()).collect();
    assert!(told.iter().any(|told| told.starts_with(why)), "{answer:?}");
    assert_eq!(Witness::of(node), before);

    node.write(DAEMON, "{}\n");
    node.sh("regtrust apply");
    daemon.until("it is done", is_done);
    assert_ne!(Witness::of(node).docker.invocation, before.docker.invocation);
    assert_eq!(orders(node), 1);
}

/// Goes down with docker, and does not come up a second time.
const TILL: &str = "[Unit]\nRequires=docker.service\nAfter=docker.service\n[Service]\n\
    Type=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/mkdir /run/till\n";

fn what_a_restart_has_cost_is_told(node: &Node) {
    node.write("/etc/systemd/system/till.service", TILL);
    node.sh("systemctl start till");
    let daemon = configured(node, "soak = \"1s\"\nrecovery = \"1s\"\n");
    declare(node);
    let lost = |status: &NodeStatus| {
        let docker = status.runtimes.iter().find(|one| one.runtime() == Runtime::Docker).unwrap();
        docker.trouble.clone()
    };
    let status = daemon.until("it is said what it has cost", |status| !lost(status).is_empty());
    assert!(lost(&status).starts_with("since docker was restarted at "), "{}", lost(&status));
    assert!(lost(&status).ends_with(" UTC, till.service is not active"), "{}", lost(&status));
    assert!(status.summary.contains("till.service is not active"), "{}", status.summary);
    let metrics = metrics(node);
    assert!(metrics.contains("regtrust_restart_lost{runtime=\"docker\"} 1\n"), "{metrics}");
}

fn metrics(node: &Node) -> String {
    node.sh("curl --silent --fail --unix-socket /run/regtrust/admin.sock http://localhost/metrics")
}

/// A container that nobody knows dies with dockerd, so it counts; and somebody is told.
fn past_its_deadline_a_restart_is_told_of_and_waits(node: &Node) {
    node.start_container("build-7");
    let before = Witness::of(node);
    let daemon = configured(node, "deadline = \"1s\"\nsoak = \"0s\"\n");
    declare(node);
    let status = daemon.until("it waits, and too long", |status| {
        waits(status, "container `build-7`")
            && of(status, Runtime::Docker).is_some_and(|restart| restart.is_overdue)
    });
    assert_eq!(status.phase(), Phase::Degraded);
    assert!(
        status.summary.contains("the restart of docker is overdue since"),
        "{}",
        status.summary
    );
    let metrics = metrics(node);
    assert!(metrics.contains("regtrust_restart_overdue{runtime=\"docker\"} 1\n"), "{metrics}");
    assert_eq!(Witness::of(node), before, "the job and its runtime are as they were");

    node.sh("docker rm --force build-7");
    daemon.until("it is done", is_done);
    let after = Witness::of(node);
    assert_ne!(after.docker.invocation, before.docker.invocation);
    assert_eq!(after.containerd, before.containerd, "nobody pulls through it");
    assert_eq!(orders(node), 1);
}

const HOOKS: &str = "/var/log/hooks";

/// Hooks that write down what they are told to do, and then do `more`.
fn hooks(node: &Node, more: [&str; 2]) {
    for (name, more) in ["hold", "release"].into_iter().zip(more) {
        let path = format!("/etc/regtrust/{name}.d/10-runner");
        let text = format!("#!/bin/sh\necho {name} >> {HOOKS}\n{more}\n");
        node.unpack(&[Member::file(&path, 0o755, text.as_bytes())]);
    }
    node.sh("chmod 755 /etc/regtrust /etc/regtrust/*.d");
}

/// The last that a hook was told.
fn last_hook(node: &Node) -> String {
    let all = node.read(HOOKS).unwrap_or_default();
    all.lines().last().unwrap_or_default().to_owned()
}

/// A job that holds a file locked, in a unit of this name.
fn flocked(node: &Node, unit: &str) {
    node.sh(&format!(
        "install -d -m 1777 /run/regtrust/busy.d; \
         systemd-run --quiet --collect --unit={unit} flock /run/regtrust/busy.d/{unit} sleep 1000000"
    ));
    let held = format!("! flock --nonblock /run/regtrust/busy.d/{unit} true");
    eventually("it is held", || (node.run(["sh", "-c", &held]).code == 0).then_some(()));
}

/// On a node that is always busy the wait ends no other way.
fn past_its_deadline_new_work_is_kept_away(node: &Node) {
    hooks(node, ["", ""]);
    flocked(node, "lab-job");
    let before = Witness::of(node);
    let rules = "deadline = \"1s\"\non_deadline = \"drain\"\nsoak = \"0s\"\n";
    let daemon = configured(node, rules);
    declare(node);
    daemon.until("it waits for the job, and lets no other begin", |status| {
        waits(status, "job `lab-job`")
            && of(status, Runtime::Docker).is_some_and(|restart| restart.state == "settling")
    });
    assert_eq!(last_hook(node), "hold");
    assert_eq!(Witness::of(node), before);
    node.sh("systemctl is-active lab-job; systemctl stop lab-job");
    daemon.until("it is done", is_done);
    eventually("new work is let in again", || (last_hook(node) == "release").then_some(()));
    assert_ne!(Witness::of(node).docker.invocation, before.docker.invocation);
    assert_eq!(orders(node), 1);
}

fn past_its_deadline_docker_is_forced_only_where_that_is_said(node: &Node) {
    node.start_container("build-7");
    let before = Witness::of(node);
    let force = "deadline = \"1s\"\nsoak = \"0s\"\non_deadline = \"force\"\n";
    let daemon = configured(node, force);
    declare(node);
    daemon.until("it waits, and too long", |status| {
        waits(status, "container `build-7`")
            && of(status, Runtime::Docker).is_some_and(|restart| restart.is_overdue)
    });
    assert_eq!(
        Witness::of(node),
        before,
        "containers die with docker, so this is not meant for it"
    );
    configure(node, &format!("{force}force_docker = true\n"));
    daemon.systemctl("reload");
    daemon.until("it is done", is_done);
    assert_ne!(Witness::of(node).docker.invocation, before.docker.invocation);
    let end = "docker inspect --format '{{.State.Running}} {{.State.ExitCode}}' build-7";
    assert_eq!(node.sh(end).trim(), "false 137", "it was meant to die");
}
