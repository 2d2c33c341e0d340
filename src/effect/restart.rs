//! Restarts of docker and containerd.

use std::time::Duration;

use tokio::time::sleep;

use super::bus::{Active, Bus, BusError, JobEnd, MODE, Standing, unit_of};
use super::systemd::Systemd;
use super::{Outcome, chain, healthy, reload};
use crate::plan::work::{DaemonShows, IfDown};
use crate::runtime::changes::Calm;
use crate::runtime::docker::Engine;
use crate::trust::entry::Runtime;

/// A runtime on its way to another state is waited for this long. Longer than `RestartSec=` of
/// either, so that one that systemd is about to start again is not called stopped.
const READY: Duration = Duration::from_secs(30);

/// Stopping takes up to systemd's 90 s, and docker has no limit for starting: it waits for the
/// containers that it restarts.
const JOB: Duration = Duration::from_mins(4);

/// A runtime that dies of its new configuration does so at once or, because of work that it begins
/// after it said "ready", soon.
const SETTLE: Duration = Duration::from_secs(2);

/// What is to be restarted.
pub(super) struct Restart<'a> {
    pub(super) runtime: Runtime,
    pub(super) if_down: IfDown,
    /// What a dockerd shows that has loaded its file.
    pub(super) shows: Option<&'a DaemonShows>,
    pub(super) calm: &'a Calm,
}

impl Systemd {
    pub(super) async fn restart(
        &self,
        bus: &Bus,
        order: &Restart<'_>,
    ) -> Result<Outcome, BusError> {
        let &Restart { runtime, if_down, shows, calm } = order;
        let standing = bus.settled(runtime, READY).await?;
        // One that systemd has started again by itself, after the cause was withdrawn, is not
        // taken down a second time.
        if let (Standing::Active(active), IfDown::Revive) = (&standing, if_down)
            && self.works(active, shows).await.is_ok()
        {
            return Ok(Outcome::Done);
        }
        let before = match (standing, if_down) {
            (Standing::Active(before), _) => Some(before),
            (Standing::Failed, IfDown::Revive) => None,
            (Standing::Absent | Standing::Stopped | Standing::Failed, _) => {
                return Ok(Outcome::NotRunning);
            }
            (Standing::Busy(state), _) => {
                return Ok(Outcome::impossible(format!("{runtime} is still `{state}`")));
            }
        };
        let begun = match &before {
            // Here and not earlier: from here on only systemd stands between us and the signal.
            Some(_) if !calm.holds() => {
                return Ok(Outcome::impossible("work has begun here at the last moment"));
            }
            Some(_) => {
                // Started too often within a minute it would stay down; and where regtrustd runs in a
                // container of it, nobody is left then who could start it again.
                lift_limit(bus, unit_of(runtime)).await;
                let begin = bus.manager.restart_unit(unit_of(runtime), MODE);
                bus.job("restart a unit", JOB, begin).await
            }
            None => start_again(bus, runtime).await,
        };
        let end = match begun {
            Err(error @ (BusError::Call { .. } | BusError::Socket(_))) => return Err(error),
            // It was begun, and what became of it is seen below.
            Err(_) => JobEnd::Unfinished,
            // An operator's `stop`, or a shutdown, that came after us.
            Ok(JobEnd::Not(result)) if result == "canceled" => {
                return Ok(Outcome::impossible(format!(
                    "somebody else's order to systemd took the place of the restart of {runtime}"
                )));
            }
            Ok(end) => end,
        };
        Ok(match self.came_back(bus, runtime, before.as_ref(), end, shows).await {
            Ok(()) => Outcome::Done,
            Err((message, healthy)) => Outcome::Failed { message, healthy },
        })
    }

    async fn came_back(
        &self,
        bus: &Bus,
        runtime: Runtime,
        before: Option<&Active>,
        end: JobEnd,
        shows: Option<&DaemonShows>,
    ) -> Result<(), (String, bool)> {
        let ill = |message: String| (message, false);
        let lost = |error: BusError| ill(chain(&error));
        if end != JobEnd::Done {
            heal(bus, runtime, &end).await?;
        }
        let Standing::Active(after) = bus.standing(runtime).await.map_err(lost)? else {
            return Err(ill(format!("{runtime} did not come back")));
        };
        if before.is_some_and(|before| before.is_same_run(&after)) {
            // Somebody else's job took the place of ours.
            return Err((format!("systemd did not restart {runtime}"), true));
        }
        sleep(SETTLE).await;
        match bus.standing(runtime).await.map_err(lost)? {
            Standing::Active(still) if still.is_same_run(&after) => {}
            _ => return Err(ill(format!("{runtime} came back and ended again"))),
        }
        self.works(&after, shows).await
    }

    /// Whether a runtime that is active does what it is there for. `Err`: why not, and whether it
    /// answers all the same.
    async fn works(
        &self,
        active: &Active,
        shows: Option<&DaemonShows>,
    ) -> Result<(), (String, bool)> {
        let ill = |message: String| (message, false);
        healthy::check(&self.root, active).await.map_err(ill)?;
        if let (Some(shows), Some(engine)) = (shows, Engine::of(&self.root, active)) {
            let difference = reload::difference(&engine, shows).await.map_err(ill)?;
            if let Some(difference) = difference {
                return Err((format!("docker was restarted, but {difference}"), true));
            }
        }
        Ok(())
    }
}

/// After a job that did not end well: if only systemd's limit on starts was in the way, starts the
/// runtime all the same, once. systemd has stopped it by then and would leave it so.
async fn heal(bus: &Bus, runtime: Runtime, end: &JobEnd) -> Result<(), (String, bool)> {
    let JobEnd::Not(result) = end else {
        let minutes = JOB.as_secs() / 60;
        return Err((format!("{runtime} was not restarted within {minutes} minutes"), false));
    };
    let reason = bus.result(unit_of(runtime)).await.unwrap_or_default();
    if reason != "start-limit-hit" {
        let reason = if reason.is_empty() { String::new() } else { format!(" (`{reason}`)") };
        return Err((
            format!(
                "{runtime} did not come back: systemd's job ended with `{result}`{reason}; \
                 `journalctl -u {runtime}` has its reason"
            ),
            false,
        ));
    }
    match start_again(bus, runtime).await {
        Ok(JobEnd::Done) => Ok(()),
        Ok(_) => Err((
            format!("{runtime} did not start, also after systemd's limit on starts was lifted"),
            false,
        )),
        Err(error) => Err((chain(&error), false)),
    }
}

/// Forgets how often systemd has started a unit. What crashes at each start meets the limit again.
async fn lift_limit(bus: &Bus, unit: &str) {
    // A unit that is not loaded has nothing to be reset.
    if let Err(error) = bus.manager.reset_failed_unit(unit).await {
        tracing::debug!(unit, %error, "nothing to reset");
    }
}

/// Starts what failed. The limit on starts is lifted first, on docker's socket too: it fails with
/// the service, and the service requires it.
async fn start_again(bus: &Bus, runtime: Runtime) -> Result<JobEnd, BusError> {
    let socket = (runtime == Runtime::Docker).then_some("docker.socket");
    for unit in [Some(unit_of(runtime)), socket].into_iter().flatten() {
        lift_limit(bus, unit).await;
    }
    if let Some(socket) = socket {
        let end = bus.start(socket, READY).await?;
        if end != JobEnd::Done {
            tracing::debug!(socket, ?end, "the socket did not start");
        }
    }
    bus.start(unit_of(runtime), JOB).await
}
