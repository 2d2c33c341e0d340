//! From open doors to closed ones.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle, JoinSet};

use super::{BUG, Failure, Place, outside, signals, watching};
use crate::agent::{Agent, Habits, Handle, Outfit, Request};
use crate::api::access::Access;
use crate::api::listen::{Inherited, Listeners};
use crate::api::tls::Tls;
use crate::api::{Alive, Doors, Inside, Metrics, Service, routes, serve};
use crate::blocking::blocking;
use crate::effect;
use crate::fleet::{FleetLock, Lock};
use crate::hold::Hooks;
use crate::metrics;
use crate::owners::Owners;
use crate::reconcile::Options;
use crate::settings::{Drift, Fleet, Restarts, Settings};

#[derive(Debug)]
pub(super) struct Life {
    place: Arc<Place>,
    /// The lock that is asked while this daemon lives.
    fleet: Option<Fleet>,
    agent: Handle,
    stop: watch::Sender<bool>,
    owners: watch::Sender<Option<Owners>>,
    access: watch::Sender<Arc<Access>>,
    /// The agent, and those who serve. None of them ends before it is told to.
    at_work: JoinSet<()>,
    /// It never ends by itself.
    watcher: JoinHandle<()>,
}

impl Life {
    /// Opens the sockets, brings the files up to date, and only then says that it is ready: whoever
    /// starts after regtrustd finds them as they should be.
    pub(super) async fn begin(place: Place, settings: &Settings) -> Result<Self, Failure> {
        let inherited = inherited()?;
        let listeners = Listeners::open(&place.root, &settings.listen, inherited);
        let listeners = listeners.await.map_err(|error| Failure::io(&error))?;
        let tls = match &settings.listen.tcp {
            Some(tcp) => Some(Tls::open(Arc::clone(&place.settings.tree), tcp.clone()).await),
            None => None,
        };
        let lock = settings.fleet.as_ref();
        let lock = lock.map(|fleet| Arc::new(Lock::of(&place.root, &place.settings.tree, fleet)));
        let (places, wanted) = watch::channel(BTreeSet::new());
        let outfit = outfit(&place, settings, lock.clone());
        let (mut agent, handle) = Agent::new(outfit, places);
        agent.begin().await;

        let (stop, stopped) = watch::channel(false);
        let (owners, known) = watch::channel(Some(settings.owners.clone()));
        let (access, who) = watch::channel(Arc::new(Access::new(settings)));
        let service = Service {
            agent: handle.clone(),
            root: Arc::clone(&place.root),
            owners: known,
            lock,
            now: outside::now,
        };
        let (routes, health) =
            routes(service, alive(&handle)).await.map_err(|error| Failure::io(&error))?;
        let inside = Inside { routes, metrics: numbers(handle.clone(), tls.clone()) };
        let place = Arc::new(place);
        let mut at_work = JoinSet::new();
        at_work.spawn(agent.work(signals::until(stopped.clone())));
        at_work.spawn(serve(Doors { listeners, tls }, who, inside, stopped));
        let watcher = tokio::spawn(watching::watch(Arc::clone(&place), handle.clone(), wanted));
        // It serves for as long as it lives.
        drop(health);
        let fleet = settings.fleet.clone();
        Ok(Self { place, fleet, agent: handle, stop, owners, access, at_work, watcher })
    }

    /// Until SIGTERM or SIGINT, or until a bug has ended what should go on.
    pub(super) async fn live(mut self) -> Result<(), Failure> {
        let mut signals = signals::Signals::listen().map_err(|error| Failure::io(&error))?;
        let pulse = signals::Pulse::wanted().map_err(|error| Failure::io(&error))?;
        tell(&[NotifyState::Ready]);
        let mut status = self.agent.status.clone();
        status.mark_changed();
        let end = loop {
            tokio::select! {
                // Sockets that accept and answer nothing are worse than none: every client waits,
                // and the service manager, which would start a new daemon, takes this one for well.
                Some(ended) = self.at_work.join_next() => break Err(bug(ended)),
                Some(signal) = signals.next() => match signal {
                    signals::Told::Stop => break Ok(()),
                    signals::Told::Reload => self.reload().await,
                },
                // The agent is the one that must not hang: it is the one that is asked.
                () = signals::beat(pulse.as_ref()) => {
                    if self.agent.is_alive().await {
                        tell(&[NotifyState::Watchdog]);
                    }
                }
                Ok(()) = status.changed() => {
                    let summary = status.borrow_and_update().summary.clone();
                    tell(&[NotifyState::Status(&summary)]);
                }
            }
        };
        self.end().await;
        end
    }

    /// Settings with a mistake change nothing, and are said.
    async fn reload(&mut self) {
        tell(&[NotifyState::Reloading]);
        let place = Arc::clone(&self.place);
        let read = blocking(move || place.settings.read()).await;
        match read {
            Ok(settings) => self.take_over(&settings),
            Err(problems) => {
                for problem in problems {
                    tracing::error!("the settings stay as they were: {problem}");
                }
            }
        }
        // Who sends a SIGHUP wants everything looked at again.
        _ = self.agent.ask(|reply| Request::Retry { reply }).await;
        tell(&[NotifyState::Ready]);
    }

    fn take_over(&self, settings: &Settings) {
        // A slot that is held belongs to the lock that it was taken from.
        if settings.fleet != self.fleet {
            tracing::warn!("`[fleet_lock]` has changed, which counts when regtrustd starts again");
        }
        self.access.send_replace(Arc::new(Access::new(settings)));
        self.owners.send_replace(Some(settings.owners.clone()));
        let told = self.agent.tell(Request::Settings {
            owners: Some(settings.owners.clone()),
            habits: habits(settings, self.place.live),
        });
        match told {
            Ok(()) => tracing::info!("the settings were read again"),
            Err(error) => tracing::error!(%error, "the settings were not taken over"),
        }
    }

    /// What is being written is finished; an effect goes on without us, and is derived again.
    async fn end(mut self) {
        const PATIENCE: Duration = Duration::from_secs(20);
        tell(&[NotifyState::Stopping]);
        self.stop.send_replace(true);
        self.watcher.abort();
        let ended = async {
            while let Some(ended) = self.at_work.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(%error, "ended in a panic");
                }
            }
        };
        if tokio::time::timeout(PATIENCE, ended).await.is_err() {
            tracing::warn!("something did not end in time, and is left as it is");
        }
    }
}

fn bug(ended: Result<(), JoinError>) -> Failure {
    let message = match ended {
        Ok(()) => "a part of regtrustd ended that should not; this is a bug".to_owned(),
        Err(error) => format!("a part of regtrustd ended in a panic; this is a bug: {error}"),
    };
    Failure { code: BUG, message }
}

/// What a probe hears: the agent is the one that must not hang.
fn alive(agent: &Handle) -> Alive {
    let agent = agent.clone();
    Arc::new(move || {
        let agent = agent.clone();
        Box::pin(async move { agent.is_alive().await })
    })
}

fn numbers(agent: Handle, tls: Option<Arc<Tls>>) -> Metrics {
    let since = outside::now();
    Metrics::new(move || {
        let api = tls.as_ref().map(|tls| {
            let ends = tls.ends();
            metrics::Api {
                certificate_ends: ends.certificate,
                list_ends: ends.list,
                in_trouble: tls.trouble().borrow().is_some(),
            }
        });
        let status = Arc::clone(&agent.status.borrow());
        metrics::page(&status, api, since)
    })
}

fn inherited() -> Result<Inherited, Failure> {
    Inherited::take(outside::socket_names().as_deref()).map_err(|error| Failure::io(&error))
}

fn outfit(place: &Place, settings: &Settings, lock: Option<Arc<Lock>>) -> Outfit {
    Outfit {
        root: Arc::clone(&place.root),
        options: Options {
            declarations: place.declarations.clone(),
            owners: Some(settings.owners.clone()),
            ..Options::new(place.live, outside::now())
        },
        effects: Arc::new(effect::Systemd::of(Arc::clone(&place.root))),
        runtimes: Arc::new(outside::Asking::of(Arc::clone(&place.root))),
        fleet: lock.map(|lock| lock as Arc<dyn FleetLock>),
        hold: Some(Arc::new(Hooks::of(Arc::clone(&place.root)))),
        seed: outside::seed(&place.root),
        habits: habits(settings, place.live),
    }
}

fn habits(settings: &Settings, live: bool) -> Habits {
    Habits {
        repair: settings.drift == Drift::Repair,
        restart_when_idle: settings.restarts == Restarts::WhenIdle,
        windows: settings.windows.clone(),
        restart: settings.restart.clone(),
        perform: live,
    }
}

/// Without a service manager nobody listens, and that is no error.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager was not told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::SettingsFile;
    use crate::node::root::NodeRoot;
    use crate::source;

    /// It left sockets behind that took every call and answered none, for as long as nobody looked.
    #[tokio::test]
    async fn a_daemon_whose_agent_panics_ends_so_that_it_is_started_again() {
        let directory = tempfile::tempdir().unwrap();
        let root = Arc::new(NodeRoot::open(directory.path()).unwrap());
        let base = directory.path().to_owned();
        let settings = SettingsFile { tree: Arc::clone(&root), path: source::settings::path() };
        let place = Place { base, root, live: false, declarations: vec![], settings };
        let place = Arc::new(place);
        let settings = Settings::default();
        let (places, _) = watch::channel(BTreeSet::new());
        let (agent, handle) = Agent::new(outfit(&place, &settings, None), places);
        let mut at_work = JoinSet::new();
        at_work.spawn(async move {
            let _agent = agent;
            panic!("an index out of bounds");
        });
        let life = Life {
            place,
            fleet: None,
            agent: handle,
            stop: watch::channel(false).0,
            owners: watch::channel(None).0,
            access: watch::channel(Arc::new(Access::new(&settings))).0,
            at_work,
            watcher: tokio::spawn(std::future::pending()),
        };
        let ended = tokio::time::timeout(Duration::from_secs(30), life.live()).await;
        let failure = ended.expect("it ends").unwrap_err();
        assert_eq!(failure.code, BUG);
        assert!(failure.message.contains("an index out of bounds"), "{}", failure.message);
    }
}
