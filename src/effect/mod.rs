//! Brings files into force: does what the plan named, through systemd, and makes sure that it was
//! done. Decides nothing.
//!
//! systemd's word is not enough anywhere. For docker's reload its "done" means that a signal was
//! sent, for a restart that the process once said "ready", for the CA tool that it exited with 0,
//! which it does as well after two runs at the same time have destroyed each other's bundle. So
//! each effect ends with a look at what was to come of it.

use std::fmt::Debug;
use std::pin::Pin;

use crate::plan::work::Work;
use crate::runtime::changes::Calm;

pub mod bus;
pub mod ca_tool;
mod dependents;
pub mod examine;
pub mod fitness;
mod healthy;
pub mod hook;
pub mod logind;
mod manager;
mod one_shot;
mod packages;
mod reload;
mod restart;
pub mod systemd;

pub use systemd::Systemd;

/// What became of an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, and acknowledged by the runtime itself.
    Done,
    /// The unit does not run, so it reads its files when it starts, or there is none. Nothing was
    /// started.
    NotRunning,
    /// The runtime refused it, or did not come back healthy; what asked for it is to be withdrawn.
    /// `healthy`: the runtime answers now.
    Failed { message: String, healthy: bool },
    /// It could not be tried: no bus, access denied, still starting, shutting down. Nothing was
    /// changed; later.
    Impossible { message: String },
}

impl Outcome {
    fn failed(message: impl Into<String>, healthy: bool) -> Self {
        Self::Failed { message: message.into(), healthy }
    }

    fn impossible(message: impl Into<String>) -> Self {
        Self::Impossible { message: message.into() }
    }
}

/// The one seam of the program where a test may put something else.
pub trait Effects: Send + Sync + Debug {
    /// `calm`: a restart is called off at the last moment if it does not hold.
    fn perform<'a>(
        &'a self,
        work: &'a Work,
        calm: &'a Calm,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Several libraries repeat their cause in their own words.
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line
}
