//! An administrator's program, run by systemd.

use std::time::Duration;

use super::bus::{Bus, BusError, JobEnd};
use super::one_shot::{Ended, OneShot};

/// All hooks run in units of one name, so one that outlives a regtrustd that was killed is waited
/// for: if it still kept work away after a later hook had let it in again, nobody would ever let it
/// in.
const UNIT: &str = "regtrust-hook.service";
/// For systemd, to end a hook that takes too long, and to forget the unit of the last one.
const GRACE: Duration = Duration::from_secs(100);

/// How a hook ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookEnd {
    Done,
    /// With this exit code.
    Exited(i32),
    /// It was not run, or not to its end.
    Broken(String),
}

impl Bus {
    /// Runs a program to its end, alone.
    pub async fn run_hook(
        &self,
        program: &str,
        reason: &str,
        limit: Duration,
    ) -> Result<HookEnd, BusError> {
        let shot = OneShot {
            operation: "run a hook",
            unit: UNIT,
            description: format!("{program} for regtrust"),
            argv: vec![program],
            environment: vec![format!("REGTRUST_REASON={reason}")],
            is_quiet: false,
            limit,
            patience: limit + GRACE,
        };
        let Some(Ended { job, status, result }) = self.run_alone(&shot).await? else {
            return Ok(HookEnd::Broken("another hook has not ended".to_owned()));
        };
        Ok(match job {
            JobEnd::Done => HookEnd::Done,
            JobEnd::Not(_) if result == "exit-code" => HookEnd::Exited(status),
            JobEnd::Not(end) => {
                let how = if result.is_empty() { end } else { result };
                HookEnd::Broken(format!("`{how}`"))
            }
            JobEnd::Unfinished => HookEnd::Broken("systemd has not ended it".to_owned()),
        })
    }
}
