//! An effect with everything that is needed to do it and to see that it was done. Pure.

use std::collections::BTreeSet;

use super::Plan;
use super::effect::{Due, Effect};
use super::store;
use crate::ledger::Ledger;
use crate::observed::CaLayout;
use crate::path::NodePath;
use crate::target::docker_daemon::{self, Key};
use crate::target::system_ca;

/// What is handed from the plan to `effect`, which decides nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    RunCaTool(CaToolRun),
    ReloadDocker(DaemonShows),
    RestartContainerd(IfDown),
    RestartDocker(IfDown, DaemonShows),
}

/// What to do about a daemon that does not run. It reads its files when it starts, so usually there
/// is nothing to do, and starting what an operator stopped would be wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IfDown {
    #[default]
    Leave,
    /// It failed in an earlier restart of ours, whose cause has been withdrawn since. Without this
    /// nobody would ever start it again: "never start what does not run" would make our own failure
    /// permanent. One that was *stopped* in the meantime stays stopped all the same.
    Revive,
}

/// One run of the distribution's CA tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaToolRun {
    pub layout: CaLayout,
    pub argv: Vec<String>,
    /// What the tool writes and programs read.
    pub bundle: NodePath,
    /// The starts of the fingerprints of all certificates of ours that belong in the bundle.
    pub wanted: BTreeSet<String>,
    /// Of those that belong in it no longer.
    pub lingering: BTreeSet<String>,
}

/// What a dockerd that has loaded our daemon.json shows of it. Other people's elements are no part:
/// how dockerd normalises what they wrote is its own affair.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DaemonShows {
    /// Hosts that are ours in `insecure-registries`.
    pub insecure: BTreeSet<String>,
    /// Hosts that were, and that nobody else's element names.
    pub no_longer_insecure: BTreeSet<String>,
    pub mirrors: BTreeSet<String>,
    pub no_longer_mirrors: BTreeSet<String>,
    /// What we wrote under `live-restore`, if we did.
    pub live_restore: Option<bool>,
}

/// What a running dockerd says about its registries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    pub insecure: BTreeSet<String>,
    pub mirrors: BTreeSet<String>,
    pub live_restore: bool,
}

impl Work {
    pub fn effect(&self) -> Effect {
        match self {
            Self::RunCaTool(run) => Effect::RunCaTool(run.layout),
            Self::ReloadDocker(_) => Effect::ReloadDocker,
            Self::RestartContainerd(_) => Effect::RestartContainerd,
            Self::RestartDocker(..) => Effect::RestartDocker,
        }
    }

    /// The same, for a daemon that an earlier attempt of ours left down.
    #[must_use]
    pub fn reviving(self) -> Self {
        match self {
            Self::RestartContainerd(_) => Self::RestartContainerd(IfDown::Revive),
            Self::RestartDocker(_, shows) => Self::RestartDocker(IfDown::Revive, shows),
            other => other,
        }
    }
}

impl Plan {
    /// What performing `due` takes. `None`: it is not of this plan.
    ///
    /// `before` is the ledger that the plan was made from: what left it must have left dockerd too.
    pub fn work(&self, due: &Due, before: &Ledger) -> Option<Work> {
        Some(match due.effect {
            Effect::RunCaTool(layout) => Work::RunCaTool(self.ca_tool_run(layout)?),
            Effect::ReloadDocker => Work::ReloadDocker(self.daemon_shows(before)),
            Effect::RestartContainerd => Work::RestartContainerd(IfDown::Leave),
            Effect::RestartDocker => Work::RestartDocker(IfDown::Leave, self.daemon_shows(before)),
        })
    }

    fn ca_tool_run(&self, layout: CaLayout) -> Option<CaToolRun> {
        let due = self.ca_tool.as_ref().filter(|due| due.layout == layout)?;
        let argv = due.need.argv(system_ca::tool(layout));
        Some(CaToolRun {
            layout,
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            bundle: layout.bundle(),
            wanted: store::wanted(&self.ledger),
            lingering: due.need.lingering.clone(),
        })
    }

    fn daemon_shows(&self, before: &Ledger) -> DaemonShows {
        DaemonShows {
            insecure: elements(&self.ledger, Key::InsecureRegistries),
            no_longer_insecure: self.gone(before, Key::InsecureRegistries),
            mirrors: elements(&self.ledger, Key::RegistryMirrors),
            no_longer_mirrors: self.gone(before, Key::RegistryMirrors),
            live_restore: self.ledger.docker_daemon.live_restore,
        }
    }

    fn gone(&self, before: &Ledger, key: Key) -> BTreeSet<String> {
        let mut gone = elements(before, key);
        let path = docker_daemon::path();
        let file = self.changes.edits().find(|edit| edit.path == path);
        let text = file.and_then(|edit| edit.after.as_ref()).map(crate::content::Content::bytes);
        let text = text.map(String::from_utf8_lossy);
        let stay = docker_daemon::lists(text.as_deref()).remove(&key).unwrap_or_default();
        for element in elements(&self.ledger, key).into_iter().chain(stay) {
            gone.remove(&key.identity(&element));
        }
        gone
    }
}

/// As dockerd shows them.
fn elements(ledger: &Ledger, key: Key) -> BTreeSet<String> {
    let array = ledger.docker_daemon.arrays.get(key.name());
    let elements = array.into_iter().flat_map(|array| &array.elements);
    elements.map(|element| key.identity(element)).collect()
}

impl DaemonShows {
    /// Where `shown` differs from what it should be, in words. `None`: nowhere.
    pub fn difference(&self, shown: &Shown) -> Option<String> {
        let mirrors: BTreeSet<String> =
            shown.mirrors.iter().map(|mirror| Key::RegistryMirrors.identity(mirror)).collect();
        let mut words = Vec::new();
        let mut say = |elements: BTreeSet<&String>, what: &str| {
            if let Some(first) = elements.first() {
                let more = match elements.len() - 1 {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                words.push(format!("{what} `{first}`{more}"));
            }
        };
        say(self.insecure.difference(&shown.insecure).collect(), "it does not show as insecure");
        say(
            self.no_longer_insecure.intersection(&shown.insecure).collect(),
            "it still shows as insecure",
        );
        say(self.mirrors.difference(&mirrors).collect(), "it does not show the mirror");
        say(self.no_longer_mirrors.intersection(&mirrors).collect(), "it still shows the mirror");
        match (self.live_restore, shown.live_restore) {
            (Some(true), false) => words.push("it shows no live-restore".to_owned()),
            (Some(false), true) => words.push("it still shows live-restore".to_owned()),
            _ => {}
        }
        (!words.is_empty()).then(|| words.join("; "))
    }
}
