//! The loop against a runtime that does what the test says, on a tree with real files.
#![expect(clippy::disallowed_methods, reason = "makes trees to run on")]

use std::collections::VecDeque;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::effect::Outcome;
use crate::jobs::{Occupant, Source};
use crate::node::detect::Overrides;
use crate::owners::{Owner, OwnerName};
use crate::plan::work::{IfDown, Work};
use crate::runtime::changes::Calm;
use crate::status::{Phase, State};
use crate::target::Believer;
use crate::trust::certificate_cache::CertificateCache;
use crate::trust::declaration::{Draft, Loaded};
use crate::trust::entry::Entry;
use crate::trust::policy::Pattern;
use crate::verify::Verdict;

mod bugs;
mod gates;
mod proofs;
mod scenes;

const CA: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/certs/ca.pem"));
const DAEMON: &str = "etc/docker/daemon.json";
/// Long enough for a loaded machine; what should happen happens at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// A world that answers as it is told, and otherwise says yes.
#[derive(Debug, Default)]
struct World {
    performed: Mutex<Vec<Effect>>,
    /// For each restart: whether it was to revive a daemon that is down.
    revived: Mutex<Vec<bool>>,
    outcomes: Mutex<VecDeque<Outcome>>,
    /// Instead of performing.
    panics: AtomicBool,
    occupants: Mutex<Vec<Occupant>>,
    asked: Mutex<Vec<Item>>,
    /// What questions are answered, and when; the others are answered at once that it is trusted.
    answers: Mutex<VecDeque<(Verdict, Arc<Semaphore>)>>,
    /// Closed: effects hang until it opens.
    gate: Mutex<Option<Arc<Semaphore>>>,
    /// What was held and given back, and what was restarted in between.
    turns: Mutex<Vec<String>>,
    /// The units that run: at each look those of one element, and in the end those of the last.
    alive: Mutex<VecDeque<Vec<String>>>,
    /// A job that begins when new work is kept away.
    late: Mutex<Option<Occupant>>,
}

impl Effects for World {
    fn perform<'a>(
        &'a self,
        work: &'a Work,
        _: &'a Calm,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        Box::pin(async move {
            self.performed.lock().unwrap().push(work.effect());
            self.note(work.effect().to_string());
            if let Work::RestartContainerd(if_down) | Work::RestartDocker(if_down, _) = work {
                self.revived.lock().unwrap().push(*if_down == IfDown::Revive);
            }
            let gate = self.gate.lock().unwrap().clone();
            if let Some(gate) = gate {
                gate.acquire().await.unwrap().forget();
            }
            assert!(!self.panics.load(Ordering::Relaxed), "an index out of bounds");
            self.outcomes.lock().unwrap().pop_front().unwrap_or(Outcome::Done)
        })
    }
}

impl World {
    fn note(&self, what: impl Into<String>) {
        self.turns.lock().unwrap().push(what.into());
    }
}

impl Runtimes for World {
    fn occupancy(&self, _: Effect) -> Answer<'_, Occupancy> {
        Box::pin(async {
            let occupants = self.occupants.lock().unwrap().clone();
            Occupancy { occupants, unknown: Vec::new() }
        })
    }

    fn examine(&self, _: Runtime) -> Answer<'_, Unit> {
        Box::pin(async { Unit::Runs(self.performed.lock().unwrap().len().to_string()) })
    }

    fn alive<'a>(&'a self, _: Runtime, _: &'a Alive) -> Answer<'a, Result<Alive, String>> {
        Box::pin(async {
            let mut left = self.alive.lock().unwrap();
            let units = if left.len() > 1 { left.pop_front() } else { left.front().cloned() };
            let units = units.into_iter().flatten().collect();
            Ok(Alive { units, ..Alive::default() })
        })
    }

    fn ask<'a>(&'a self, item: &'a Item) -> Answer<'a, Proof> {
        self.asked.lock().unwrap().push(item.clone());
        let answer = self.answers.lock().unwrap().pop_front();
        Box::pin(async move {
            let verdict = match answer {
                None => Verdict::Trusted,
                Some((verdict, gate)) => {
                    gate.acquire().await.unwrap().forget();
                    verdict
                }
            };
            Proof { verdict, said: String::new(), cure: String::new(), at: time::now() }
        })
    }
}

/// A node with docker 26 running, and an agent at work on it.
struct Scene {
    directory: tempfile::TempDir,
    world: Arc<World>,
    handle: Handle,
    work: JoinHandle<()>,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.work.abort();
    }
}

fn owner() -> OwnerName {
    OwnerName::parse("zadig").unwrap()
}

fn habits(windows: Windows) -> Habits {
    let second = jiff::SignedDuration::from_millis(1);
    let restart = Rules {
        gather: jiff::SignedDuration::ZERO,
        settle: second,
        soak: second,
        recovery: second,
        ..Rules::default()
    };
    Habits { repair: true, restart_when_idle: true, windows, restart, perform: true }
}

fn options() -> Options {
    let owner = Owner {
        name: owner(),
        priority: 1,
        principals: vec![],
        hosts: vec![Pattern::parse("*").unwrap()],
    };
    Options {
        overrides: Overrides {
            docker: "26.1.5".parse().ok(),
            containerd: "1.7.24".parse().ok(),
            cri: Some(true),
        },
        owners: Some(Owners::new(vec![owner])),
        ..Options::new(true, time::now())
    }
}

/// A node on which these runtimes run.
fn tree(runtimes: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let scene = |path: &str, text: &str| write(directory.path(), path, text);
    scene("proc/stat", "btime 1700000000\n");
    scene("proc/1/cgroup", "0::/init.scope\n");
    scene("proc/1/comm", "systemd\n");
    for (at, (program, unit)) in runtimes.iter().enumerate() {
        let process = 800 + at;
        scene(&format!("usr/bin/{program}"), "");
        if *unit == "docker" {
            scene("run/docker.pid", &process.to_string());
        }
        let zeros = "0 ".repeat(18);
        let stat = format!("{process} ({program}) S {zeros}100 0 0\n");
        scene(&format!("proc/{process}/stat"), &stat);
        scene(&format!("proc/{process}/comm"), &format!("{program}\n"));
        let group = format!("0::/system.slice/{unit}.service\n");
        scene(&format!("proc/{process}/cgroup"), &group);
    }
    directory
}

fn outfit(directory: &tempfile::TempDir, world: &Arc<World>) -> Outfit {
    Outfit {
        root: Arc::new(NodeRoot::open(directory.path()).unwrap()),
        options: options(),
        effects: Arc::clone(world) as Arc<dyn Effects>,
        runtimes: Arc::clone(world) as Arc<dyn Runtimes>,
        fleet: None,
        hold: None,
        seed: 0,
        habits: habits(Windows::default()),
    }
}

impl Scene {
    async fn begin(runtimes: &[(&str, &str)]) -> Self {
        Self::on(tree(runtimes)).await
    }

    async fn with_docker() -> Self {
        Self::begin(&[("dockerd", "docker")]).await
    }

    async fn on(directory: tempfile::TempDir) -> Self {
        Self::with(directory, |_| {}).await
    }

    async fn with(directory: tempfile::TempDir, equip: impl Fn(&mut Outfit)) -> Self {
        let world = Arc::new(World::default());
        let mut outfit = outfit(&directory, &world);
        equip(&mut outfit);
        let (mut agent, handle) = Agent::new(outfit, watch::channel(BTreeSet::new()).0);
        agent.begin().await;
        let work = tokio::spawn(agent.work(std::future::pending()));
        Self { directory, world, handle, work }
    }

    fn next_outcomes(&self, outcomes: impl IntoIterator<Item = Outcome>) {
        self.world.outcomes.lock().unwrap().extend(outcomes);
    }

    fn performed(&self) -> Vec<Effect> {
        self.world.performed.lock().unwrap().clone()
    }

    fn close_gate(&self) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        *self.world.gate.lock().unwrap() = Some(Arc::clone(&gate));
        gate
    }

    async fn push(&self, entries: Vec<Arc<Entry>>, try_for: Option<u32>) -> Arc<NodeStatus> {
        let push = Push::Replace { owner: owner(), entries, expected: None, try_for };
        let asked = self.handle.ask(|reply| Request::Push { push, reply });
        timeout(PATIENCE, asked).await.expect("an answer").unwrap().unwrap()
    }

    /// Waits for a status that is as it should be.
    async fn until(&self, what: &str, is: impl Fn(&NodeStatus) -> bool) -> Arc<NodeStatus> {
        let mut status = self.handle.status.clone();
        let found = timeout(PATIENCE, status.wait_for(|status| is(status))).await;
        let Ok(found) = found else {
            panic!("never {what}: {:#?}", self.handle.status.borrow());
        };
        Arc::clone(&found.unwrap())
    }

    async fn settled(&self) -> Arc<NodeStatus> {
        self.until("settled", |status| status.phase == Phase::Settled).await
    }

    fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.directory.path().join(path)).ok()
    }

    async fn look(&self) {
        let asked = self.handle.ask(|reply| Request::Retry { reply });
        timeout(PATIENCE, asked).await.expect("an answer").unwrap().unwrap();
    }
}

fn container(name: &str) -> Occupant {
    let what = "container".to_owned();
    Occupant { source: Source::Docker, what, name: name.to_owned(), since: None }
}

fn write(root: &std::path::Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn entry(host: &str, more: &str) -> Arc<Entry> {
    let text = format!("[[registry]]\nhost = \"{host}\"\n{more}\n");
    let draft = Draft::parse(&text, &crate::node_path!("pushed")).unwrap();
    let mut certificates = CertificateCache::new(time::now());
    draft.complete(&Loaded::new(), &mut certificates).entries.remove(0)
}

fn insecure(host: &str) -> Arc<Entry> {
    entry(host, "trust = \"insecure\"")
}

fn with_ca(host: &str) -> Arc<Entry> {
    entry(host, &format!("trust = \"ca\"\nca = '''\n{CA}'''"))
}

fn state(status: &NodeStatus, host: &str, on: Believer) -> Option<State> {
    let registry = status.registry(&host.parse().unwrap())?;
    registry.items.iter().find(|item| item.item.on == on).map(|item| item.state.clone())
}

fn failed(message: &str) -> Outcome {
    Outcome::Failed { message: message.to_owned(), healthy: true }
}
