//! Asks everybody on the node what a restart would interrupt.
//!
//! Each is asked for itself and within a bound. One that does not answer is an unknown, which counts
//! as busy, and hides nothing of what the others know.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::content::{self, Client};
use super::cri::Cri;
use super::docker::{Doing, Engine};
use super::grpc::CallError;
use crate::effect::bus::{Active, Bus, BusError, Standing, unit_of};
use crate::effect::chain;
use crate::jobs::{Occupancy, Occupant, Restart, Seen, Source, Unknown, judge};
use crate::node::root::NodeRoot;
use crate::path::NodePath;
use crate::plan::effect::Effect;
use crate::source;
use crate::trust::entry::Runtime;

/// For one question. A runtime has the answers in its memory.
const ANSWER: Duration = Duration::from_secs(10);

/// For docker's containers, of which each is asked about.
const CONTAINERS: Duration = Duration::from_mins(1);

/// What would be interrupted by an effect.
///
/// Where docker's unit requires containerd's, as its own packages did for years, systemd restarts it
/// too, and with it goes what a restart of docker interrupts.
pub async fn occupancy(root: &Arc<NodeRoot>, effect: Effect, now: Timestamp) -> Occupancy {
    let own = of_one(root, effect, now).await;
    if effect != Effect::RestartContainerd {
        return own;
    }
    match takes_docker_along(root).await {
        Ok(false) => own,
        Ok(true) => own.join(of_one(root, Effect::RestartDocker, now).await),
        Err(error) => own.join(Occupancy::unknown(Source::Docker, chain(&error))),
    }
}

async fn takes_docker_along(root: &NodeRoot) -> Result<bool, BusError> {
    let bus = Bus::connect(root).await?;
    Ok(bus.dependents(Runtime::Containerd).await?.contains(unit_of(Runtime::Docker)))
}

async fn of_one(root: &Arc<NodeRoot>, effect: Effect, now: Timestamp) -> Occupancy {
    if matches!(effect, Effect::RunCaTool(_) | Effect::ReloadDocker) {
        return Occupancy::default();
    }
    let rules = match source::jobs::read(root) {
        Ok(rules) => rules,
        Err(problems) => {
            let why = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            return Occupancy::unknown(Source::Rules, why);
        }
    };
    let mut looking = Looking { root, now, seen: Seen::default(), unknown: Vec::new() };
    let restart = looking.look(effect).await;
    let occupants = judge(&looking.seen, restart, &rules, now);
    Occupancy { occupants, unknown: looking.unknown }.join(Occupancy::default())
}

struct Looking<'a> {
    root: &'a Arc<NodeRoot>,
    now: Timestamp,
    seen: Seen,
    unknown: Vec<Unknown>,
}

impl Looking<'_> {
    /// Looks at all that an effect concerns, and says what the effect does to containers.
    async fn look(&mut self, effect: Effect) -> Restart {
        let is_containerd = effect == Effect::RestartContainerd;
        // As long as nothing says otherwise.
        let mut restart = if is_containerd { Restart::Containerd } else { Restart::DockerKills };
        let bus = match Bus::connect(self.root).await {
            Ok(bus) => bus,
            Err(error) => {
                let source = if is_containerd { Source::Cri } else { Source::Docker };
                self.unknown(source, chain(&error));
                return restart;
            }
        };
        let docker = self.active(&bus, Runtime::Docker, Source::Docker).await;
        let docker = docker.and_then(|active| Engine::of(self.root, &active));
        let containerd = self.active(&bus, Runtime::Containerd, Source::Cri).await;
        if let Some(engine) = docker
            && let Some(doing) = self.docker(&engine).await
        {
            if !is_containerd && doing.live_restore {
                restart = Restart::DockerKeeps;
            }
            // Also what dockerd pulls into a store of its own: at its end it asks containerd for a
            // lease, and fails where containerd is away ("error creating lease").
            self.docker_pulls(&doing, containerd.as_ref()).await;
            // What dockerd builds in a store of its own goes without containerd.
            if !is_containerd || doing.containerd_store {
                self.builds(&engine).await;
            }
            self.seen.containers = doing.containers;
            // docker's restart is not felt by pods of containerd, and cri-dockerd's are docker's.
            self.seen.pods.extend(doing.pods);
        }
        if let (true, Some(active)) = (is_containerd, containerd) {
            self.pods(&active).await;
            self.pulls(&active, Client::Kubernetes).await;
        }
        restart
    }

    fn unknown(&mut self, source: Source, why: String) {
        self.unknown.push(Unknown { source, why });
    }

    /// `None`: it does not run, so that nothing of it can be interrupted; or that is not known.
    async fn active(&mut self, bus: &Bus, runtime: Runtime, source: Source) -> Option<Active> {
        match bus.standing(runtime).await {
            Ok(Standing::Active(active)) => return Some(active),
            Ok(Standing::Absent | Standing::Stopped | Standing::Failed) => {}
            Ok(Standing::Busy(state)) => {
                self.unknown(source, format!("{} is `{state}`", unit_of(runtime)));
            }
            Err(error) => self.unknown(source, chain(&error)),
        }
        None
    }

    async fn docker(&mut self, engine: &Engine) -> Option<Doing> {
        match tokio::time::timeout(CONTAINERS, engine.doing()).await {
            Ok(Ok(doing)) => return Some(doing),
            Ok(Err(error)) => self.unknown(Source::Docker, chain(&error)),
            Err(_) => {
                let why = format!("docker did not answer within {} s", CONTAINERS.as_secs());
                self.unknown(Source::Docker, why);
            }
        }
        None
    }

    async fn docker_pulls(&mut self, doing: &Doing, containerd: Option<&Active>) {
        if doing.containerd_store {
            if let Some(active) = containerd {
                self.pulls(active, Client::Docker).await;
            } else {
                let why = "docker has its images in a containerd of its own".to_owned();
                self.unknown(Source::Pulls, why);
            }
            return;
        }
        match fetched(self.root, &doing.data_root) {
            Ok(pulls) => self.seen.transfers.extend(pulls),
            Err(why) => self.unknown(Source::Pulls, why),
        }
    }

    async fn builds(&mut self, engine: &Engine) {
        match engine.builds(ANSWER).await {
            Ok(builds) => self.seen.transfers.extend(builds),
            Err(why) => self.unknown(Source::Builds, why),
        }
    }

    async fn pods(&mut self, active: &Active) {
        let Some(cri) = Cri::of(self.root, active) else { return };
        match cri.pods(ANSWER).await {
            Ok(pods) => self.seen.pods.extend(pods),
            // It is switched off, as docker's own packages do: no pod can be there.
            Err(CallError::Unimplemented(_)) => {}
            Err(error) => self.unknown(Source::Cri, chain(&error)),
        }
    }

    async fn pulls(&mut self, active: &Active, client: Client) {
        match content::pulls(self.root, active, client, self.now, ANSWER).await {
            Ok(pulls) => self.seen.transfers.extend(pulls),
            Err(error) => self.unknown(Source::Pulls, chain(&error)),
        }
    }
}

/// What a dockerd with an image store of its own is fetching: it writes each layer into a file, which
/// it removes when the layer is unpacked, and what an earlier dockerd left it removes at its start.
fn fetched(root: &NodeRoot, data_root: &str) -> Result<Vec<Occupant>, String> {
    const LAYER: &str = "GetImageBlob";
    let data = NodePath::new(data_root).map_err(|error| error.to_string())?;
    if !root.is_directory(&data).map_err(|error| chain(&error))? {
        return Err(format!("`{data}`, where docker keeps its images, cannot be seen"));
    }
    let names = root.names(&data.join("tmp")).map_err(|error| chain(&error))?;
    let layers = names.unwrap_or_default().into_iter().filter(|name| name.starts_with(LAYER));
    let occupant = |name: String| Occupant {
        source: Source::Pulls,
        what: "image pull".to_owned(),
        name,
        since: None,
    };
    Ok(layers.map(occupant).collect())
}
