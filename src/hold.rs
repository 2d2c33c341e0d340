//! Keeps new work away from the node while a runtime is restarted, and lets it in again.
//!
//! What it takes to keep work away differs from one CI to the next: a taint, a runner's service that
//! is stopped, a label in some controller. So it is left to programs of the administrator in
//! `/etc/regtrust/hold.d` and `/etc/regtrust/release.d`, which systemd runs, one after the other in
//! the order of their names.
//!
//! They run as root and outside regtrustd's sandbox, so only what belongs to root and cannot be
//! written by others is run, up to `/etc`. Whoever can put a file there is root already.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use crate::agent::Answer;
use crate::blocking::blocking;
use crate::effect::bus::{Bus, BusError};
use crate::effect::chain;
use crate::effect::hook::HookEnd;
use crate::node::root::NodeRoot;
use crate::node_path;
use crate::path::NodePath;
use crate::trust::printable::printable;

mod directory;

/// What a hook says that would interrupt somebody if it went on: `EX_TEMPFAIL`.
const BUSY: i32 = 75;
/// One that has to wait for a job ends with [`BUSY`] instead, and is asked again later.
const LIMIT: Duration = Duration::from_mins(1);
const LONGEST_REASON: usize = 200;

/// A way to keep new work away. Each call may be repeated: after a crash nobody knows how far the
/// last one came.
pub trait NewWork: Send + Sync + Debug {
    /// `why`: for whoever wonders. What was done is undone by [`NewWork::release`] alone, also where
    /// this came only half-way.
    fn hold<'a>(&'a self, why: &'a str) -> Answer<'a, Held>;

    /// Lets new work in again. Succeeds also if nothing was held.
    fn release(&self) -> Answer<'_, Result<(), String>>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    Held,
    /// There is nobody to ask, neither to keep work away nor to let it in again.
    Nothing,
    /// Somebody says that work is going on.
    Busy(String),
    Failed(String),
}

/// Programs in two directories.
#[derive(Debug)]
pub struct Hooks {
    root: Arc<NodeRoot>,
}

impl Hooks {
    pub fn of(root: Arc<NodeRoot>) -> Self {
        Self { root }
    }

    async fn hooks(&self, directory: NodePath) -> Result<Vec<NodePath>, String> {
        let root = Arc::clone(&self.root);
        blocking(move || directory::hooks(&root, &directory)).await
    }

    async fn try_hold(&self, why: &str) -> Result<Held, String> {
        let hooks = self.hooks(hold_directory()).await?;
        // Looked at before anything is held: where these are not to be believed nobody could let work
        // in again.
        let releases = self.hooks(release_directory()).await?;
        if hooks.is_empty() {
            return Ok(if releases.is_empty() { Held::Nothing } else { Held::Held });
        }
        let bus = Bus::connect(&self.root).await.map_err(|error| chain(&error))?;
        for hook in hooks {
            match run(&bus, &hook, why).await.map_err(|error| chain(&error))? {
                HookEnd::Done => tracing::info!(hook = %hook, "keeps new work away"),
                HookEnd::Exited(BUSY) => return Ok(Held::Busy(format!("`{hook}` says busy"))),
                other => return Err(failure(&hook, other)),
            }
        }
        Ok(Held::Held)
    }

    /// All of them, also after one has failed: one runner that stays stopped is better than two.
    async fn try_release(&self) -> Result<(), String> {
        let hooks = self.hooks(release_directory()).await?;
        if hooks.is_empty() {
            return Ok(());
        }
        let bus = Bus::connect(&self.root).await.map_err(|error| chain(&error))?;
        let mut failures = Vec::new();
        for hook in hooks {
            match run(&bus, &hook, "").await {
                Ok(HookEnd::Done) => tracing::info!(hook = %hook, "lets work in again"),
                Ok(other) => failures.push(failure(&hook, other)),
                Err(error) => failures.push(format!("`{hook}`: {}", chain(&error))),
            }
        }
        if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
    }
}

impl NewWork for Hooks {
    fn hold<'a>(&'a self, why: &'a str) -> Answer<'a, Held> {
        let why = printable(why, LONGEST_REASON);
        Box::pin(async move { self.try_hold(&why).await.unwrap_or_else(Held::Failed) })
    }

    fn release(&self) -> Answer<'_, Result<(), String>> {
        Box::pin(self.try_release())
    }
}

/// Whether the administrator has a way to keep new work away. What cannot be looked at is none.
pub fn has_hooks(root: &NodeRoot) -> bool {
    root.names(&hold_directory())
        .is_ok_and(|names| names.unwrap_or_default().iter().any(|name| directory::is_hook(name)))
}

fn hold_directory() -> NodePath {
    node_path!("etc/regtrust/hold.d")
}

fn release_directory() -> NodePath {
    node_path!("etc/regtrust/release.d")
}

async fn run(bus: &Bus, hook: &NodePath, why: &str) -> Result<HookEnd, BusError> {
    bus.run_hook(&hook.to_string(), why, LIMIT).await
}

fn failure(hook: &NodePath, end: HookEnd) -> String {
    let how = match end {
        HookEnd::Done => "is done".to_owned(),
        HookEnd::Exited(status) => format!("ended with exit code {status}"),
        HookEnd::Broken(how) => format!("did not end well: {how}"),
    };
    format!("`{hook}` {how}; `journalctl -u regtrust-hook` has its reason")
}
