//! regtrustd killed in every state of a restart, on a node with a fleet's lock and hooks that keep new
//! work away: nothing stays held that should not, and nothing is restarted twice.
//!
//! Each state is made to last: by a job, a lock that does not answer, hooks that wait for a file. So
//! the kill always hits, and it is known what was held at that moment.

use regtrust::api::v1::{NodeStatus, Phase};
use regtrust::gate::State;
use serde_json::Value;

use super::{
    CONTAINERD, DOCKER, configured, declare, flocked, hooks, is_done, last_hook, logged, starts,
};
use crate::lab::daemon::{Daemon, registry};
use crate::lab::fleet_lock::{self, FleetLock};
use crate::lab::wait::eventually;
use crate::lab::{Authority, Declaration, Node};

/// A restart that goes as it should, or one that does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Good,
    Bad,
}

/// On which way the daemon is killed in a state. One that is not here fails both cases, so that
/// nobody forgets it.
fn course(state: &str) -> Course {
    match state {
        "steady" | "waiting" | "locking" | "holding" | "settling" | "restarting" | "soaking"
        | "releasing" => Course::Good,
        "rolling-back" | "failed" => Course::Bad,
        other => panic!("in `{other}` nobody kills the daemon"),
    }
}

fn states(of: Course) -> impl Iterator<Item = &'static str> {
    State::WORDS.into_iter().filter(move |state| course(state) == of)
}

struct Scene<'n> {
    node: &'n Node,
    daemon: Daemon<'n>,
    lock: FleetLock,
    runtime: &'static str,
}

pub(super) fn a_daemon_that_is_killed_in_any_state_leaves_nothing_held(node: &Node) {
    let scene = Scene::set(node, "docker");
    let before = [DOCKER, CONTAINERD].map(|unit| starts(node, unit));
    for state in states(Course::Good) {
        match state {
            "steady" => {
                scene.kill();
                flocked(node, "lab-steady");
                declare(node);
                scene.nothing_is_held(state);
            }
            "restarting" => {
                scene.free();
                scene.kill_in(state);
                node.sh("touch /run/release-waits");
            }
            "soaking" => scene.kill_in(state),
            "releasing" => {
                scene.kill_in(state);
                node.sh("rm /run/release-waits");
                scene.nothing_is_held(state);
            }
            _ => scene.calls_off(state),
        }
    }
    scene.daemon.until("it is done", is_done);
    let after = [DOCKER, CONTAINERD].map(|unit| starts(node, unit));
    assert_eq!(after, [before[0] + 1, before[1]], "once, however often it was killed");
}

/// containerd does not start with what it is to load, and then with nothing at all.
pub(super) fn a_daemon_that_is_killed_while_a_restart_goes_wrong_mends_it(node: &Node) {
    // The first time at once, and later not before it may.
    let refuses = "if [ -e /run/refused ]; then while [ -e /run/start-waits ]; do sleep 0.1; done; fi; \
                   touch /run/refused; [ ! -e /run/refuse ]";
    let drop_in = format!("[Service]\nRestart=no\nExecStartPre=/bin/sh -c '{refuses}'\n");
    node.write("/etc/systemd/system/containerd.service.d/refuses.conf", drop_in);
    node.sh("systemctl daemon-reload; touch /run/refuse /run/start-waits");
    let config = node.read("/etc/containerd/config.toml");
    let scene = Scene::set(node, "containerd");
    let authority = Authority::new("corp");
    node.declare("corp", &Declaration::ca("r.corp", &authority.root).only("containerd"));
    for state in states(Course::Bad) {
        scene.kill_in(state);
        assert!(scene.lock.is_held(), "what went wrong here must not go on to the next node");
        assert_eq!(last_hook(node), "hold");
        node.sh("rm -f /run/start-waits");
    }
    node.sh("rm /run/refuse");
    let status = scene.daemon.until("it is known to be healthy again", |status| {
        let is_known = registry(status, "r.corp").is_some();
        is_known && status.due.is_empty() && status.restarts.is_empty()
    });
    assert_eq!(status.phase(), Phase::Degraded, "somebody has to look");
    assert_eq!(node.read("/etc/containerd/config.toml"), config, "what asked for it is withdrawn");
    assert_eq!(last_hook(node), "release");
    assert!(scene.lock.is_held(), "nobody follows a node that failed");
    assert_eq!(logged(node, "restart", "TO", "restarting"), 1);
}

impl<'n> Scene<'n> {
    fn set(node: &'n Node, runtime: &'static str) -> Self {
        let lock = FleetLock::start(node);
        let wait = |name: &str| format!("while [ -e /run/{name}-waits ]; do sleep 0.1; done");
        hooks(node, [&wait("hold"), &wait("release")]);
        // Longer than it takes to see such a state and to start a job in it, on a busy machine as well.
        let rules = "settle = \"10s\"\nsoak = \"10s\"\n";
        let daemon = configured(node, &format!("{rules}{}", fleet_lock::SETTINGS));
        Self { node, daemon, lock, runtime }
    }

    fn is_in(&self, state: &str) -> bool {
        let is_so = |status: NodeStatus| status.restarts.iter().any(|one| one.state == state);
        self.daemon.try_status().is_some_and(is_so)
    }

    fn comes_to(&self, state: &str) {
        eventually(state, || self.is_in(state).then_some(()));
    }

    /// Returns when systemd has started another one.
    fn kill(&self) {
        let pid = self.daemon.shows("MainPID");
        self.node.sh("systemctl kill --signal=SIGKILL regtrustd");
        eventually("another daemon", || {
            let now = self.daemon.shows("MainPID");
            (now != "0" && now != pid).then_some(())
        });
    }

    fn kill_in(&self, state: &str) {
        self.comes_to(state);
        self.kill();
    }

    /// The jobs of this node end.
    fn free(&self) {
        self.node.sh("systemctl stop 'lab-*'");
        self.daemon.systemctl("reload");
    }

    /// Kills it on the way to a restart. When it is back a job runs, so that nothing that was held is
    /// held anew.
    fn calls_off(&self, state: &str) {
        match state {
            "locking" => self.lock.falls_silent(),
            "holding" => _ = self.node.sh("touch /run/hold-waits"),
            _ => {}
        }
        if state != "waiting" {
            self.free();
        }
        self.comes_to(state);
        flocked(self.node, &format!("lab-{state}"));
        self.kill();
        self.lock.speaks();
        self.node.sh("rm -f /run/hold-waits");
        self.nothing_is_held(state);
        self.comes_to("waiting");
    }

    /// Nothing of ours keeps anybody away, here or in the fleet, and no crash would find that it does.
    fn nothing_is_held(&self, after: &str) {
        eventually(&format!("after a kill in `{after}` nothing is held"), || {
            let path = format!("/var/lib/regtrust/restart/{}.json", self.runtime);
            let text = self.node.read(&path).unwrap_or_else(|| "null".to_owned());
            let written: Value = serde_json::from_str(&text).ok()?;
            let is_written = |key: &str| find(&written, key).is_some_and(|held| *held == true);
            let is_held = is_written("lock") || is_written("hold") || self.lock.is_held();
            (!is_held && last_hook(self.node) != "hold").then_some(())
        });
    }
}

/// A member of this name, however deep.
fn find<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    let members = value.as_object()?;
    members.get(key).or_else(|| members.values().find_map(|member| find(member, key)))
}
