//! What a change costs: derived from what is on disk against what the running daemons have loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use crate::ledger::{Changed, Loads};
use crate::observed::{CaLayout, Observed, Running};
use crate::target::{Item, system_ca};
use crate::trust::policy::RestartLimit;

use super::Situation;
use super::store::ToolDue;

/// Work outside the file system that brings files into force, in the order it must be done: the CA
/// tool first, because a Go process loads the system's roots once and for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case", tag = "do", content = "layout")]
pub enum Effect {
    /// Rebuild the system's bundle with the distribution's own tool.
    RunCaTool(CaLayout),
    ReloadDocker,
    RestartContainerd,
    RestartDocker,
}

impl Effect {
    /// The command that an operator would type.
    pub fn command(self) -> String {
        match self {
            Self::RunCaTool(layout) => system_ca::tool(layout).argv.join(" "),
            Self::ReloadDocker => "systemctl reload docker".to_owned(),
            Self::RestartContainerd => "systemctl restart containerd".to_owned(),
            Self::RestartDocker => "systemctl restart docker".to_owned(),
        }
    }

    /// What it does to the workloads on the node, so that nobody has to guess.
    pub fn cost(self) -> &'static str {
        match self {
            Self::RunCaTool(_) => "no daemon notices",
            Self::ReloadDocker => "no container and no pull is interrupted",
            Self::RestartContainerd => {
                "containers keep running; image pulls in progress fail and are tried again"
            }
            Self::RestartDocker => "without live-restore every container stops",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RunCaTool(_) => "rebuild the system CA store",
            Self::ReloadDocker => "reload docker",
            Self::RestartContainerd => "restart containerd",
            Self::RestartDocker => "restart docker",
        })
    }
}

/// An effect that is due, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Due {
    #[serde(flatten)]
    pub effect: Effect,
    pub command: String,
    pub reasons: BTreeSet<String>,
    /// Who waits for it.
    pub items: BTreeSet<Item>,
    /// Those of them that get something new by it: what is withdrawn if the daemon does not take it.
    #[serde(skip)]
    pub gaining: BTreeSet<Item>,
    pub cost: &'static str,
    /// Why regtrust itself would not do it here, whoever asks.
    pub withheld: Option<&'static str>,
}

fn command(effect: Effect, ca_tool: Option<&ToolDue>) -> String {
    match ca_tool {
        Some(tool) if matches!(effect, Effect::RunCaTool(_)) => tool.command(),
        _ => effect.command(),
    }
}

fn withheld(effect: Effect, limit: RestartLimit) -> Option<&'static str> {
    let needed = match effect {
        Effect::RunCaTool(_) => return None,
        Effect::ReloadDocker => RestartLimit::ReloadOnly,
        Effect::RestartContainerd | Effect::RestartDocker => RestartLimit::Allowed,
    };
    (limit < needed).then_some("this node's policy leaves it to an operator")
}

impl Loads {
    /// What makes a running daemon load it again. The match is exhaustive on purpose: something
    /// new does not compile until someone has decided what it costs the workloads on the node.
    pub fn effect(self) -> Effect {
        match self {
            // dockerd reads its registry options again on SIGHUP, in every version.
            Self::DockerDaemon => Effect::ReloadDocker,
            // containerd has no reload at all: a SIGHUP kills it.
            Self::ContainerdConfig | Self::ContainerdRoots => Effect::RestartContainerd,
            // Go loads the system's roots at the first use, once per process.
            Self::DockerRoots => Effect::RestartDocker,
        }
    }

    fn running(self, observed: &Observed) -> Running {
        let stopped = Running::No;
        match self {
            Self::DockerDaemon | Self::DockerRoots => {
                observed.docker.as_ref().map_or(stopped, |docker| docker.running)
            }
            Self::ContainerdConfig | Self::ContainerdRoots => {
                observed.containerd.as_ref().map_or(stopped, |containerd| containerd.running)
            }
        }
    }

    /// Whether a daemon runs that would have to be told. One that does not run reads everything
    /// when it starts.
    pub fn has_listener(self, observed: &Observed) -> bool {
        self.running(observed) != Running::No
    }

    /// Whether what changed at `at` is still unknown to the daemon.
    ///
    /// A daemon that started in the same second may have read either; it is asked again, because
    /// one reload too many hurts nobody and one too few is a pull that fails.
    pub fn is_unread(self, at: Timestamp, observed: &Observed) -> bool {
        match self.running(observed) {
            Running::No => false,
            Running::Since(start) => start.as_second() <= at.as_second(),
            Running::Unknown => true,
        }
    }
}

/// What the daemons have yet to load.
pub(super) fn unread(changed: &BTreeMap<Loads, Changed>, observed: &Observed) -> BTreeSet<Loads> {
    let is_unread = |(loads, change): &(&Loads, &Changed)| loads.is_unread(change.at, observed);
    changed.iter().filter(is_unread).map(|(loads, _)| *loads).collect()
}

/// When the first of these was changed that its daemon has yet to load. What somebody else's restart has
/// loaded is remembered as well, and is older: counted from that, a deadline would be over before anybody
/// has waited.
pub fn unread_since(
    changed: &BTreeMap<Loads, Timestamp>,
    observed: &Observed,
) -> Option<Timestamp> {
    let unread = changed.iter().filter(|(loads, at)| loads.is_unread(**at, observed));
    unread.map(|(_, at)| *at).min()
}

/// Each effect once, cheapest first, with every reason for it.
pub(super) fn due(
    changed: &BTreeMap<Loads, Changed>,
    ca_tool: Option<&ToolDue>,
    situation: &Situation<'_>,
) -> Vec<Due> {
    let mut causes: BTreeMap<Effect, Causes> = BTreeMap::new();
    if let Some(tool) = ca_tool {
        let cause = causes.entry(Effect::RunCaTool(tool.layout)).or_default();
        cause.reasons.insert(tool.reason());
        cause.gaining.extend(tool.items.iter().cloned());
        for (effect, reason) in tool.restarts() {
            let cause = causes.entry(effect).or_default();
            cause.reasons.insert(reason);
            cause.gaining.extend(tool.items.iter().cloned());
        }
    }
    for loads in unread(changed, situation.observed) {
        let Some(change) = changed.get(&loads) else { continue };
        let cause = causes.entry(loads.effect()).or_default();
        cause.reasons.insert(change.reason.clone());
        cause.gaining.extend(change.items.iter().cloned());
        cause.narrowed.extend(change.narrowed.iter().cloned());
    }
    // A restart loads what a reload would, but not one that is left to somebody else. Where docker is
    // to keep its containers it has to know that before.
    if withheld(Effect::RestartDocker, situation.restart).is_none()
        && situation.live_restore != Some(true)
        && causes.contains_key(&Effect::RestartDocker)
    {
        let reload = causes.remove(&Effect::ReloadDocker).unwrap_or_default();
        let restart = causes.entry(Effect::RestartDocker).or_default();
        restart.reasons.extend(reload.reasons);
        restart.gaining.extend(reload.gaining);
        restart.narrowed.extend(reload.narrowed);
    }
    let due = |(effect, Causes { reasons, gaining, narrowed }): (Effect, Causes)| Due {
        effect,
        items: gaining.union(&narrowed).cloned().collect(),
        gaining,
        command: command(effect, ca_tool),
        withheld: withheld(effect, situation.restart),
        reasons,
        cost: effect.cost(),
    };
    causes.into_iter().map(due).collect()
}

/// Why an effect is due, and for whom.
#[derive(Debug, Default)]
struct Causes {
    reasons: BTreeSet<String>,
    gaining: BTreeSet<Item>,
    narrowed: BTreeSet<Item>,
}
