//! Asks runtimes whether they trust registries.
//!
//! A runtime is asked for an image that cannot exist, so that nothing is fetched; it uses its own
//! trust settings, proxy and name resolution for that, as for any pull. "No such image" is the proof:
//! the registry was reached, and believed.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::classify::{Verdict, classify};
use super::cure::cure;
use super::words::presentable;
use crate::blocking::joined;
use crate::effect::bus::{Active, Bus, BusError, Standing};
use crate::effect::chain;
use crate::node::root::NodeRoot;
use crate::runtime::cri::Cri;
use crate::runtime::docker::{Engine, EngineError};
use crate::runtime::grpc::CallError;
use crate::trust::entry::Runtime;
use crate::trust::host::RegistryHost;

/// For one registry: name, connection, handshake, token, answer.
const LIMIT: Duration = Duration::from_secs(10);

/// Questions at a time. They cost a runtime little, but not nothing, and pulls come first.
const AT_ONCE: usize = 4;

/// What a runtime said about a registry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Answer {
    pub host: RegistryHost,
    pub runtime: Runtime,
    pub verdict: Verdict,
    /// Its own words, shortened, without credentials.
    pub said: String,
    /// What to do about it; empty where there is nothing to do.
    pub cure: String,
}

/// A runtime that can be asked.
#[derive(Clone, Debug)]
enum Asked {
    Docker(Engine),
    Containerd(Cri),
}

/// Asks about each registry once. The answers are sorted by registry.
pub async fn ask(
    root: &Arc<NodeRoot>,
    questions: impl IntoIterator<Item = (RegistryHost, Runtime)>,
) -> Vec<Answer> {
    let questions: BTreeSet<(RegistryHost, Runtime)> = questions.into_iter().collect();
    let docker = reach(root, Runtime::Docker, &questions).await;
    let containerd = reach(root, Runtime::Containerd, &questions).await;
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut asking = JoinSet::new();
    for (host, runtime) in questions {
        let reached = match runtime {
            Runtime::Docker => docker.clone(),
            Runtime::Containerd => containerd.clone(),
        };
        let places = Arc::clone(&places);
        asking.spawn(async move {
            let _place = places.acquire_owned().await;
            let (verdict, words) = match reached {
                Ok(asked) => asked.about(&host).await,
                Err(why) => (Verdict::NotAsked, why),
            };
            let cure = cure(verdict, &host, runtime, &words);
            Answer { host, runtime, verdict, said: presentable(&words), cure }
        });
    }
    let mut answers = Vec::new();
    while let Some(answer) = asking.join_next().await {
        answers.push(joined(answer).await);
    }
    answers.sort();
    answers
}

/// The way to a runtime, if anything is to be asked of it; else why there is none.
async fn reach(
    root: &Arc<NodeRoot>,
    runtime: Runtime,
    questions: &BTreeSet<(RegistryHost, Runtime)>,
) -> Result<Asked, String> {
    if !questions.iter().any(|(_, asked)| *asked == runtime) {
        return Err(String::new());
    }
    let active = match standing(root, runtime).await {
        Ok(Standing::Active(active)) => active,
        Ok(Standing::Absent) => return Err(format!("{runtime} is not there")),
        Ok(Standing::Stopped | Standing::Failed) => return Err(format!("{runtime} does not run")),
        Ok(Standing::Busy(state)) => return Err(format!("{runtime} is `{state}`")),
        Err(error) => return Err(chain(&error)),
    };
    let other = || format!("{runtime} cannot be asked");
    Asked::of(root, &active).ok_or_else(other)
}

async fn standing(root: &NodeRoot, runtime: Runtime) -> Result<Standing, BusError> {
    Bus::connect(root).await?.standing(runtime).await
}

impl Asked {
    fn of(root: &Arc<NodeRoot>, active: &Active) -> Option<Self> {
        match active.runtime() {
            Runtime::Docker => Engine::of(root, active).map(Self::Docker),
            Runtime::Containerd => Cri::of(root, active).map(Self::Containerd),
        }
    }

    async fn about(&self, host: &RegistryHost) -> (Verdict, String) {
        let image = format!("{host}/regtrust/probe:{}", tag_that_nobody_has());
        let (verdict, words) = match self {
            Self::Docker(engine) => of_docker(engine.inspect(&image, LIMIT).await),
            Self::Containerd(cri) => of_containerd(cri.pull(&image, LIMIT).await),
        };
        // Docker Hub denies what does not exist to whoever has not logged in.
        if host.is_docker_hub() && verdict == Verdict::TrustedUnauthorised {
            return (Verdict::Trusted, words);
        }
        (verdict, words)
    }
}

/// Another one each time. A name that could be known beforehand could be taken, on a registry where
/// anybody may push, by somebody who would like every node to fetch his image.
fn tag_that_nobody_has() -> String {
    let random = RandomState::new();
    format!("{:016x}{:016x}", random.hash_one(1), random.hash_one(2))
}

fn of_docker(reply: Result<crate::runtime::docker::Reply, EngineError>) -> (Verdict, String) {
    match reply {
        Ok(reply) if reply.status == 200 => (Verdict::Trusted, "the image exists".to_owned()),
        Ok(reply) => {
            let words = reply.message();
            (classify(&words), words)
        }
        Err(EngineError::Silent { seconds, .. }) => (Verdict::Timeout, no_answer(seconds)),
        Err(error) => (Verdict::NotAsked, chain(&error)),
    }
}

fn of_containerd(pull: Result<(), CallError>) -> (Verdict, String) {
    match pull {
        Ok(()) => (Verdict::Trusted, "the image exists".to_owned()),
        Err(CallError::Said(words)) => (classify(&words), words),
        Err(CallError::Silent { seconds, .. }) => (Verdict::Timeout, no_answer(seconds)),
        Err(CallError::Unimplemented(_)) => {
            (Verdict::NotAsked, "containerd's CRI is disabled or has failed".to_owned())
        }
        Err(error @ CallError::Unreachable(_)) => (Verdict::NotAsked, chain(&error)),
    }
}

fn no_answer(seconds: u64) -> String {
    format!("no answer within {seconds} s")
}
