//! docker's reload.
//!
//! `systemctl reload docker` is `kill -HUP`: it succeeds before dockerd has looked at the file, and
//! whether or not dockerd takes it. dockerd says that it took it in an event, and only then.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::bus::{Active, Bus, BusError, JobEnd, MODE, Standing, unit_of};
use super::systemd::Systemd;
use super::{Outcome, chain};
use crate::plan::work::DaemonShows;
use crate::runtime::docker::{Engine, Events, Info};
use crate::trust::entry::Runtime;

/// A dockerd that is starting must not be signalled: before it has set up its handler, SIGHUP kills
/// it. It may start many containers before it is ready, so after this long we come back later.
const READY: Duration = Duration::from_secs(30);

/// The job only sends a signal.
const JOB: Duration = Duration::from_secs(30);

/// dockerd reloads within milliseconds.
const EVENT: Duration = Duration::from_secs(10);

/// dockerd 25 to 28 tells of a reload just before it puts it in force (`Reload` in daemon/reload.go), so
/// what it shows at that moment may be what was: on a busy node it was seen to be, and a registry would
/// have been taken back that docker had accepted.
const IN_FORCE: Duration = Duration::from_secs(5);

/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(20);

/// How long a dockerd that died of the reload may take to be started again by systemd.
const AGAIN: Duration = Duration::from_secs(30);

impl Systemd {
    pub(super) async fn reload_docker(
        &self,
        bus: &Bus,
        shows: &DaemonShows,
    ) -> Result<Outcome, BusError> {
        let active = match bus.settled(Runtime::Docker, READY).await? {
            Standing::Active(active) => active,
            Standing::Absent | Standing::Stopped | Standing::Failed => {
                return Ok(Outcome::NotRunning);
            }
            Standing::Busy(state) => {
                return Ok(Outcome::impossible(format!("docker is still `{state}`")));
            }
        };
        let Some(engine) = Engine::of(&self.root, &active) else { return Ok(Outcome::NotRunning) };
        // Listening before the signal: an event has no history once dockerd is gone.
        let listen = async {
            let before = engine.info().await?;
            let reloads = engine.reloads(before.time).await?;
            Ok::<_, crate::runtime::docker::EngineError>(reloads)
        };
        let reloads = match listen.await {
            Ok(reloads) => reloads,
            Err(error) => return Ok(Outcome::impossible(chain(&error))),
        };
        let begin = bus.manager.reload_unit(unit_of(Runtime::Docker), MODE);
        match bus.job("reload docker", JOB, begin).await {
            // Not begun: refused, or no answer to the question.
            Err(error @ (BusError::Call { .. } | BusError::Socket(_))) => Err(error),
            // From here on a signal may have been sent, so the event decides.
            Err(_) | Ok(JobEnd::Done | JobEnd::Unfinished) => {
                acknowledged(bus, &engine, &active, reloads, shows).await
            }
            Ok(JobEnd::Not(result)) if result == "skipped" => Ok(Outcome::NotRunning),
            Ok(JobEnd::Not(result)) => {
                let message = format!("systemd's job to reload docker ended with `{result}`");
                Ok(Outcome::failed(message, engine.ping().await.is_ok()))
            }
        }
    }
}

async fn acknowledged(
    bus: &Bus,
    engine: &Engine,
    active: &Active,
    mut reloads: Events,
    shows: &DaemonShows,
) -> Result<Outcome, BusError> {
    match timeout(EVENT, reloads.next()).await {
        Ok(true) => Ok(match lasting(IN_FORCE, || difference(engine, shows)).await {
            Ok(None) => Outcome::Done,
            Ok(Some(difference)) => {
                Outcome::failed(format!("docker has reloaded, but {difference}"), true)
            }
            Err(message) => Outcome::failed(message, false),
        }),
        Ok(false) => died(bus, active, shows, engine).await,
        Err(_) => {
            // What 20.10 applied in part is withdrawn like everything else.
            let now = match difference(engine, shows).await {
                Ok(None) => "what it shows of its registries tells no more".to_owned(),
                Ok(Some(difference)) => difference,
                Err(message) => return Ok(Outcome::failed(message, false)),
            };
            let seconds = EVENT.as_secs();
            Ok(Outcome::failed(
                format!(
                    "docker did not take the new daemon.json: it said nothing of a reload within \
                     {seconds} s, and {now}; `journalctl -u docker` has its reason"
                ),
                true,
            ))
        }
    }
}

/// dockerd ended while it reloaded: an authorization plugin that it cannot reach does that. systemd
/// starts it again, and it reads the file then.
async fn died(
    bus: &Bus,
    active: &Active,
    shows: &DaemonShows,
    engine: &Engine,
) -> Result<Outcome, BusError> {
    // dockerd closes its connections before systemd learns that it is gone.
    sleep(Duration::from_secs(1)).await;
    let again = match bus.settled(Runtime::Docker, AGAIN).await? {
        Standing::Active(again) => again,
        other => {
            let state = format!("docker ended when it was told to reload, and is now {other:?}");
            return Ok(Outcome::failed(state, false));
        }
    };
    let message = if again.is_same_run(active) {
        "docker ended the connection on which it was to acknowledge the reload".to_owned()
    } else {
        match difference(engine, shows).await {
            Ok(None) => {
                tracing::warn!("docker ended when it was told to reload; systemd started it again");
                return Ok(Outcome::Done);
            }
            Ok(Some(difference)) => format!("docker was started again, but {difference}"),
            Err(message) => return Ok(Outcome::failed(message, false)),
        }
    };
    Ok(Outcome::failed(message, engine.ping().await.is_ok()))
}

/// A difference that dockerd does not put right while it may be about to.
async fn lasting<F>(limit: Duration, look: impl Fn() -> F) -> Result<Option<String>, String>
where
    F: Future<Output = Result<Option<String>, String>>,
{
    let began = Instant::now();
    loop {
        let difference = look().await?;
        if difference.is_none() || began.elapsed() >= limit {
            return Ok(difference);
        }
        sleep(LOOK).await;
    }
}

/// What dockerd shows that it should not, or does not show that it should.
pub(super) async fn difference(
    engine: &Engine,
    shows: &DaemonShows,
) -> Result<Option<String>, String> {
    let info: Info = engine.info().await.map_err(|error| chain(&error))?;
    Ok(shows.difference(&info.shown))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// What comes of it, and after how many looks.
    async fn looking(limit: Duration, shows_wrong: usize) -> (Option<String>, usize) {
        let looks = Cell::new(0);
        let look = || {
            looks.set(looks.get() + 1);
            let wrong =
                (looks.get() <= shows_wrong).then(|| "it does not show `a.corp`".to_owned());
            std::future::ready(Ok(wrong))
        };
        (lasting(limit, look).await.unwrap(), looks.get())
    }

    /// dockerd 26 has told of the reload and shows what was; a moment later it shows what is.
    #[tokio::test]
    async fn what_dockerd_shows_at_once_is_not_its_last_word() {
        assert_eq!(looking(IN_FORCE, 0).await, (None, 1));
        assert_eq!(looking(IN_FORCE, 3).await, (None, 4));
        let (difference, looks) = looking(LOOK * 2, usize::MAX).await;
        assert_eq!(difference.as_deref(), Some("it does not show `a.corp`"));
        assert!((2..=3).contains(&looks), "{looks}");
    }
}
