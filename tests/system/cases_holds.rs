//! Programs in `hold.d` and `release.d`: what is held is released, whatever happens in between.

use crate::case::{Case, case};
use crate::lab::archive::Member;
use crate::lab::daemon::Daemon;
use crate::lab::wait::eventually;
use crate::lab::{Authority, Declaration, Node, Witness};

pub(crate) const CASES: &[Case] = &[
    case!(Fresh new_work_is_kept_away_while_a_runtime_restarts),
    case!(Fresh a_hook_that_says_busy_calls_the_restart_off),
    case!(Fresh a_hook_that_others_could_write_is_not_run),
];

const HOLD: &str = "/etc/regtrust/hold.d/10-runner";
const RELEASE: &str = "/etc/regtrust/release.d/10-runner";
/// What the hooks have written, each with the run of containerd that it saw.
const LOG: &str = "/var/log/hooks";

fn hook(node: &Node, path: &str, commands: &str) {
    let text = format!(
        "#!/bin/sh\nlog() {{ echo \"$1 $(systemctl show -P InvocationID containerd)\" >> {LOG}; }}\n\
         {commands}\n"
    );
    node.unpack(&[Member::file(path, 0o755, text.as_bytes())]);
    node.sh(&format!("chmod 755 /etc/regtrust /etc/regtrust/*.d; touch {LOG}"));
}

/// containerd has to be restarted for this, and nothing else has.
fn declare(node: &Node) {
    let authority = Authority::new("corp");
    node.declare("corp", &Declaration::ca("r.corp", &authority.root).only("containerd"));
}

fn log(node: &Node) -> Vec<String> {
    node.read(LOG).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn new_work_is_kept_away_while_a_runtime_restarts(node: &Node) {
    let daemon = Daemon::start(node);
    hook(node, HOLD, "log \"first, for $REGTRUST_REASON:\"");
    hook(node, "/etc/regtrust/hold.d/20-more", "log second");
    hook(node, RELEASE, "log released");
    let before = Witness::of(node);
    declare(node);
    eventually("new work is let in again", || {
        log(node).last().is_some_and(|line| line.starts_with("released")).then_some(())
    });
    daemon.settled();
    let after = Witness::of(node);
    let (old, new) = (&before.containerd.invocation, &after.containerd.invocation);
    assert_ne!(old, new);
    let expected = [
        format!("first, for containerd is about to be restarted: {old}"),
        format!("second {old}"),
        format!("released {new}"),
    ];
    assert_eq!(log(node), expected);
}

fn a_hook_that_says_busy_calls_the_restart_off(node: &Node) {
    let daemon = Daemon::start(node);
    hook(node, HOLD, "log busy; exit 75");
    hook(node, RELEASE, "log released");
    let before = Witness::of(node);
    declare(node);
    daemon.until("the hook's word is told", |status| {
        status.due.iter().any(|due| due.waiting_for.contains("10-runner` says busy"))
    });
    eventually("what was held half is released", || (log(node).len() == 2).then_some(()));
    assert_eq!(Witness::of(node), before, "nothing was restarted");
}

fn a_hook_that_others_could_write_is_not_run(node: &Node) {
    let daemon = Daemon::start(node);
    hook(node, HOLD, "log held");
    let before = Witness::of(node);
    node.sh(&format!("chmod 777 {HOLD}"));
    declare(node);
    daemon.until("it is said which file is not believed", |status| {
        status.due.iter().any(|due| {
            due.waiting_for.contains("10-runner` is not run: it can be changed by everybody")
        })
    });
    assert_eq!(Witness::of(node), before, "nothing was restarted");
    assert_eq!(log(node), [""; 0]);
}
