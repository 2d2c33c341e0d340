//! Who is at work on a node without a container engine: a restart waits for each of them, and for its
//! window, and begins when nothing is in the way any more.

use std::time::Duration;

use regtrust::api::v1::NodeStatus;

use crate::case::{Case, case};
use crate::lab::daemon::Daemon;
use crate::lab::wait::eventually;
use crate::lab::{Authority, Declaration, Node, Witness};

pub(crate) const CASES: &[Case] = &[
    case!(Kubernetes a_restart_waits_for_a_locked_file_an_inhibitor_and_a_runner),
    case!(Kubernetes a_restart_waits_for_its_window),
    case!(Kubernetes what_lies_in_busy_d_and_is_no_file_is_said_and_not_opened),
];

const SETTINGS: &str = "/etc/regtrust/regtrustd.toml";

/// A CA of the whole machine: the tool adds it at once, and neither runtime believes it before its
/// restart.
fn declare(node: &Node) {
    let authority = Authority::new("corp");
    let wide = Declaration::ca("wide.corp", &authority.root).line("system_store = true");
    node.declare("wide", &wide);
}

/// Both runtimes wait, for all of these.
fn waits(daemon: &Daemon<'_>, words: &[&str]) -> NodeStatus {
    daemon.until(&format!("both wait for {words:?}"), |status| {
        status.due.len() == 2
            && status.due.iter().all(|due| words.iter().all(|word| due.waiting_for.contains(word)))
    })
}

/// Runs until it is stopped.
fn begin(node: &Node, unit: &str, command: &str) {
    node.sh(&format!("systemd-run --quiet --collect --unit={unit} {command}"));
}

fn restarted(node: &Node, daemon: &Daemon<'_>, before: &Witness) {
    daemon.settled();
    let after = Witness::of(node);
    assert_ne!(after.docker.invocation, before.docker.invocation);
    assert_ne!(after.containerd.invocation, before.containerd.invocation);
    // Not how long docker takes to end and to start.
    let moments = [("containerd", "ActiveEnter"), ("docker", "ActiveExit")].map(|(unit, what)| {
        let show = format!("systemctl show --property={what}TimestampMonotonic --value {unit}");
        node.sh(&show).trim().parse::<u64>().expect("microseconds")
    });
    let apart = Duration::from_micros(moments[0].abs_diff(moments[1]));
    assert!(apart < WITHOUT_A_PAUSE, "{apart:?}: the second was not told that the first was done");
}

/// What nobody is told of is looked at every half minute.
const WITHOUT_A_PAUSE: Duration = Duration::from_secs(20);

/// What the case did is undone, which takes the same restarts again.
fn tidy(node: &Node, daemon: &Daemon<'_>) {
    node.withdraw("wide");
    daemon.until("nothing is declared any more", |status| status.registries.is_empty());
    daemon.settled_at_once();
}

fn a_restart_waits_for_a_locked_file_an_inhibitor_and_a_runner(node: &Node) {
    let daemon = Daemon::start(node);
    node.sh("mkdir -p /run/regtrust/busy.d; : > /run/regtrust/busy.d/left-over");
    begin(node, "job", "flock /run/regtrust/busy.d/build-7 sleep infinity");
    begin(
        node,
        "inhibitor",
        "systemd-inhibit --what=shutdown --who=ci --why=build-8 sleep infinity",
    );
    node.sh("cp /bin/sleep /usr/local/bin/Runner.Worker");
    begin(node, "runner", "/usr/local/bin/Runner.Worker infinity");
    // A runner that waits for jobs has started none.
    node.sh("cp /bin/sleep /usr/local/bin/gitlab-runner");
    begin(node, "gitlab", "/usr/local/bin/gitlab-runner infinity");
    eventually("all of them run", || {
        let taken = "! flock --nonblock /run/regtrust/busy.d/build-7 true";
        let is_so =
            node.run(["sh", "-c", &format!("systemd-inhibit --list | grep build-8 && {taken}")]);
        (is_so.code == 0).then_some(())
    });
    let before = Witness::of(node);
    declare(node);
    let jobs = ["job `build-7`", "shutdown inhibitor `ci: build-8`", "GitHub job `process "];
    let status = waits(&daemon, &jobs);
    assert!(!status.due[0].waiting_for.contains("left-over"), "nobody holds it");
    assert!(status.due[0].waiting_for.contains("(since "), "{}", status.due[0].waiting_for);
    node.sh("systemctl stop job");
    waits(&daemon, &jobs[1..]);
    node.sh("systemctl stop inhibitor");
    waits(&daemon, &jobs[2..]);
    assert_eq!(Witness::of(node), before, "nothing was restarted meanwhile");
    node.sh("systemctl stop runner");
    restarted(node, &daemon, &before);
    tidy(node, &daemon);
    node.sh("systemctl stop gitlab; rm /usr/local/bin/Runner.Worker /usr/local/bin/gitlab-runner");
}

fn a_restart_waits_for_its_window(node: &Node) {
    let daemon = Daemon::start(node);
    let settings = node.read(SETTINGS).expect("settings");
    let past = "[[window]]\ndates = [\"2020-01-01\"]\nstart = \"01:00\"\nend = \"05:00\"\n";
    node.write(SETTINGS, format!("{settings}{past}"));
    daemon.systemctl("reload");
    eventually("the settings are read", || {
        node.journal("regtrustd.service").contains("the settings were read again").then_some(())
    });
    let before = Witness::of(node);
    declare(node);
    waits(&daemon, &["outside the windows", "none of the next 400 days"]);
    assert_eq!(Witness::of(node), before);
    node.write(SETTINGS, settings);
    daemon.systemctl("reload");
    restarted(node, &daemon, &before);
    tidy(node, &daemon);
}

/// Whoever may write there can make a restart wait, which a locked file does as well, and nothing
/// else.
fn what_lies_in_busy_d_and_is_no_file_is_said_and_not_opened(node: &Node) {
    let daemon = Daemon::start(node);
    node.sh("mkdir -p /run/regtrust/busy.d; cd /run/regtrust/busy.d; mkfifo pipe; \
         ln -s /etc/shadow link; mkdir directory");
    let before = Witness::of(node);
    declare(node);
    let path = "/run/regtrust/busy.d";
    let words = ["pipe", "link", "directory"].map(|name| {
        format!("which jobs hold a file in busy.d is not known: `{path}/{name}` is not")
    });
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    waits(&daemon, &words);
    assert_eq!(Witness::of(node), before);
    node.sh("rm -rf /run/regtrust/busy.d");
    restarted(node, &daemon, &before);
    tidy(node, &daemon);
}
