//! The loop itself: one request, one finished effect or one moment after another.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::drift::{self, Repairs};
use super::gates::Gates;
use super::perform::Effects;
use super::prove::Proofs;
use super::{Handle, Outfit, Request, WAITING_ROOM, pause, time};
use crate::blocking::{blocking, joined};
use crate::owners::Owners;
use crate::path::NodePath;
use crate::plan::rejected::Rejection;
use crate::pushed::Push;
use crate::reconcile::{self, Options, ReconcileError, Survey};
use crate::status::{Job, NodeStatus, Pause, Progress, Tally};

#[derive(Debug)]
pub struct Agent {
    pub(super) outfit: Outfit,
    requests: mpsc::Receiver<Request>,
    /// Where something may change that concerns us.
    places: watch::Sender<BTreeSet<NodePath>>,
    status: watch::Sender<Arc<NodeStatus>>,
    pub(super) effects: Effects,
    pub(super) gates: Gates,
    pub(super) proofs: Proofs,
    repairs: Repairs,
    pub(super) pause: Option<Pause>,
    pub(super) jobs: BTreeMap<u64, Job>,
    ended_jobs: JoinSet<u64>,
    next_job: u64,
    /// What the last run saw, without its files.
    seen: Option<Seen>,
    failure: Option<Failure>,
    pub(super) tally: Tally,
}

/// What outlives a run. The survey itself has the content of every file and goes at once.
#[derive(Debug)]
struct Seen {
    status: NodeStatus,
    /// When something ends by itself.
    next: Option<Timestamp>,
    /// Whether the clock of a trial has yet to be started.
    has_trial: bool,
}

/// Why nothing can be changed, such as a full disk.
#[derive(Debug)]
struct Failure {
    words: String,
    /// When it is tried again. A moment and no span: what wakes the loop meanwhile, the watchdog
    /// for one, must not put it off for ever.
    again: Timestamp,
}

impl Failure {
    fn at(now: Timestamp, error: &ReconcileError) -> Self {
        const AGAIN: SignedDuration = SignedDuration::from_secs(30);
        Self { words: crate::effect::chain(error), again: now.checked_add(AGAIN).unwrap_or(now) }
    }
}

/// What a run is to do beside looking.
#[derive(Debug, Default)]
pub(super) struct Order {
    pub(super) push: Option<Push>,
    pub(super) pin: Option<reconcile::PinChange>,
    pub(super) rejection: Option<Rejection>,
    pub(super) acknowledged: BTreeSet<crate::ledger::Loads>,
    pub(super) retry: bool,
}

impl Agent {
    pub fn new(outfit: Outfit, places: watch::Sender<BTreeSet<NodePath>>) -> (Self, Handle) {
        let (sender, requests) = mpsc::channel(WAITING_ROOM);
        let (status, reader) = watch::channel(Arc::default());
        let agent = Self {
            effects: Effects::new(only_named(&outfit.habits)),
            gates: gates(&outfit),
            proofs: Proofs::default(),
            repairs: Repairs::default(),
            places,
            requests,
            status,
            pause: pause::read(&outfit.root),
            jobs: BTreeMap::new(),
            ended_jobs: JoinSet::new(),
            next_job: 0,
            seen: None,
            failure: None,
            tally: Tally::default(),
            outfit,
        };
        (agent, Handle { requests: sender, status: reader })
    }

    /// The first look, after which files are as they should be. The runtimes may still have to load
    /// them.
    pub async fn begin(&mut self) {
        _ = self.run(Order::default()).await;
        self.go_on().await;
    }

    /// Works until everybody who could ask is gone, or `stop` is.
    ///
    /// An effect that is being performed is left to systemd: it is derived again at the next start.
    pub async fn work(mut self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        loop {
            let wake = self.next_moment();
            tokio::select! {
                biased;
                () = &mut stop => return,
                Some(ended) = self.effects.finished() => self.ended(ended).await,
                Some((runtime, heard)) = self.gates.finished() => self.gate_heard(runtime, heard),
                Some(proof) = self.proofs.finished() => self.proved(proof),
                Some(job) = ended(&mut self.ended_jobs) => {
                    self.jobs.remove(&job);
                    self.gates.nudge();
                }
                () = sleep(wake) => {
                    _ = self.run(Order::default()).await;
                }
                request = self.requests.recv() => match request {
                    None => return,
                    Some(request) => self.obey(request).await,
                },
            }
            self.go_on().await;
        }
    }

    /// What follows from how things stand now: the next effect, the next proof, the clocks of
    /// trials, and what everybody is told.
    async fn go_on(&mut self) {
        let now = time::now();
        if self.pause.as_ref().is_some_and(|pause| pause.until <= now) {
            self.pause = None;
        }
        self.begin_effect(now);
        self.turn_gates(now).await;
        let has_trial = self.seen.as_ref().is_some_and(|seen| seen.has_trial);
        if has_trial && self.effects.is_idle() && self.failure.is_none() {
            _ = self.run(Order { push: Some(Push::InForce), ..Order::default() }).await;
        }
        self.tell();
        // Only now: what is asked about is what everybody has been told is in force.
        self.begin_proofs();
        self.proofs.answer(&self.told());
    }

    /// One run, from looking to files that are durable.
    pub(super) async fn run(&mut self, order: Order) -> Result<(), ReconcileError> {
        let now = time::now();
        let refused = if self.outfit.habits.repair {
            self.repairs.refused(now)
        } else {
            self.left_as_it_is().await
        };
        let options = self.options(order, refused, now);
        let root = Arc::clone(&self.outfit.root);
        let applied = blocking(move || reconcile::apply(&root, &options)).await;
        match applied {
            Ok(applied) => {
                self.failure = None;
                self.take_in(&applied.survey, now);
                Ok(())
            }
            // The request was wrong and not the node.
            Err(error @ (ReconcileError::Push(_) | ReconcileError::Owner { .. })) => Err(error),
            Err(error) => {
                let failure = Failure::at(time::now(), &error);
                tracing::error!(error = failure.words, "nothing was changed");
                self.tally.failed_run();
                self.failure = Some(failure);
                Err(error)
            }
        }
    }

    fn options(
        &self,
        order: Order,
        refused: BTreeMap<NodePath, (String, String)>,
        now: Timestamp,
    ) -> Options {
        Options {
            push: order.push,
            pin: order.pin.unwrap_or_default(),
            rejection: order.rejection.unwrap_or_default(),
            acknowledged: order.acknowledged,
            entering_store: self.effects.entering_store(),
            retry: order.retry,
            refused,
            live_restore: Some(self.outfit.habits.restart.live_restore),
            now,
            ..self.outfit.options.clone()
        }
    }

    /// Where drift is only to be reported: what has drifted now.
    async fn left_as_it_is(&self) -> BTreeMap<NodePath, (String, String)> {
        match self.survey(None).await {
            Ok(survey) => drift::reported(&survey.plan.drift),
            // The run itself meets the same error and says so.
            Err(_) => BTreeMap::new(),
        }
    }

    pub(super) async fn survey(&self, push: Option<Push>) -> Result<Survey, ReconcileError> {
        let options =
            self.options(Order { push, ..Order::default() }, BTreeMap::new(), time::now());
        let root = Arc::clone(&self.outfit.root);
        blocking(move || reconcile::survey(&root, &options)).await
    }

    fn take_in(&mut self, survey: &Survey, now: Timestamp) {
        log(survey);
        self.tally.run(survey);
        self.repairs.note(&survey.plan.drift, now);
        let places = survey.places(&self.outfit.options);
        // Also when they are the same: a directory may have been replaced by another.
        self.places.send_replace(places);
        self.effects.plan(survey);
        self.proofs.note(survey);
        let mut trials = survey.pushed.sets.values().filter_map(|set| set.trial.as_ref());
        let has_trial = trials.any(|trial| trial.since.is_none());
        let nobody = Owners::default();
        let owners = self.outfit.options.owners.as_ref().unwrap_or(&nobody);
        let status = NodeStatus::of(survey, owners, now);
        self.seen = Some(Seen { status, next: survey.next_end(), has_trial });
    }

    async fn obey(&mut self, request: Request) {
        match request {
            Request::Alive { reply } => _ = reply.send(()),
            Request::Look => _ = self.run(Order::default()).await,
            Request::Settings { owners, habits } => {
                self.outfit.options.owners = owners;
                self.outfit.habits = habits;
                self.repairs.forget();
                self.effects.release();
                self.gates.nudge();
                _ = self.run(Order::default()).await;
            }
            Request::Retry { reply } => {
                self.repairs.forget();
                self.effects.retry();
                self.gates.retry();
                let done = self.run(Order { retry: true, ..Order::default() }).await;
                self.answer(reply, done).await;
            }
            Request::Push { push, reply } => {
                let done = self.run(Order { push: Some(push), ..Order::default() }).await;
                self.answer(reply, done).await;
            }
            Request::Pin { pin, reply } => {
                let done = self.run(Order { pin: Some(pin), ..Order::default() }).await;
                self.answer(reply, done).await;
            }
            // Whoever asked may be gone, and then nobody needs the answer.
            Request::Plan { push, reply } => _ = reply.send(self.survey(push).await.map(Box::new)),
            Request::Perform { effects, reply } => self.effects.ask(effects, reply),
            Request::Interrupts { effects, reply } => self.tell_interrupted(&effects, reply),
            Request::Check { hosts, reply } => {
                let status = self.told();
                self.proofs.ask(&hosts, &status, reply);
            }
            Request::Pause { pause, reply } => {
                let done = self.pause_until(pause).await;
                self.answer(reply, done).await;
            }
            Request::Hold { job, ended, reply } => self.hold(job, ended, reply),
        }
    }

    async fn answer(
        &mut self,
        reply: super::Reply<Arc<NodeStatus>>,
        done: Result<(), ReconcileError>,
    ) {
        self.go_on().await;
        _ = reply.send(done.map(|()| self.told()));
    }

    fn hold(&mut self, job: Job, ended: oneshot::Receiver<()>, reply: oneshot::Sender<()>) {
        let number = self.next_job;
        self.next_job = number.wrapping_add(1);
        self.jobs.insert(number, job);
        self.ended_jobs.spawn(async move {
            // Either way the sender is gone.
            _ = ended.await;
            number
        });
        _ = reply.send(());
    }

    pub(super) fn told(&self) -> Arc<NodeStatus> {
        Arc::clone(&self.status.borrow())
    }

    /// Publishes how the node stands, if that is news.
    fn tell(&mut self) {
        let progress = self.progress();
        let before = self.told();
        let mut status = match &self.seen {
            Some(seen) => seen.status.with(&progress),
            None => NodeStatus::default().with(&progress),
        };
        status.sequence = before.sequence;
        status.at = before.at;
        if status == *before {
            return;
        }
        status.sequence = before.sequence.saturating_add(1);
        status.at = time::now();
        self.status.send_replace(Arc::new(status));
    }

    fn progress(&self) -> Progress {
        Progress {
            waiting: self.waiting(),
            working: self.effects.is_working() || self.gates.is_working() || self.seen.is_none(),
            trouble: self.effects.trouble().into_iter().chain(self.gates.trouble()).collect(),
            proofs: self.proofs.known(),
            pause: self.pause.clone(),
            jobs: self.jobs.values().cloned().collect(),
            restarts: self.restarts(),
            lost: self.gates.cost(),
            tally: self.tally.clone(),
            drift: self.repairs.lately(),
            failure: self.failure.as_ref().map(|failure| failure.words.clone()),
        }
    }

    pub(super) fn next_moment(&self) -> Option<std::time::Duration> {
        let now = time::now();
        // While nothing can be changed, what has ended stays, and would wake us again at once.
        let look = match (&self.failure, &self.seen) {
            (Some(failure), _) => Some(failure.again),
            (None, Some(seen)) => seen.next.into_iter().chain(self.repairs.next()).min(),
            (None, None) => None,
        };
        let pause = self.pause.as_ref().map(|pause| pause.until);
        let moments = [look, pause, self.effects.next(), self.gates.next()];
        moments.into_iter().flatten().min().map(|then| time::until(then, now))
    }
}

/// Where nothing is performed there is no gate: one that is never turned would wait for its turn for
/// ever, and wake us without end.
fn gates(outfit: &Outfit) -> Gates {
    if outfit.habits.perform { Gates::read(&outfit.root, outfit.seed) } else { Gates::default() }
}

fn only_named(habits: &super::Habits) -> Option<&'static str> {
    (!habits.perform).then_some("this is a tree and no running node, so effects are only named")
}

/// What the node did is worth a line; that there was nothing to do is not.
fn log(survey: &Survey) {
    let files = survey.plan.changes.edits().count();
    let generation = survey.plan.ledger.generation;
    if files == 0 {
        tracing::debug!(generation, "nothing to change");
        return;
    }
    tracing::info!(generation, files, conflicts = survey.plan.conflicts.len(), "changed files");
    for drift in &survey.plan.drift {
        tracing::warn!(path = drift.path, repaired = drift.repaired, "{}", drift.message);
    }
}

async fn sleep(wake: Option<std::time::Duration>) {
    match wake {
        None => pending().await,
        Some(wake) => tokio::time::sleep(wake).await,
    }
}

/// The next job that is over. With none, `None` disables the branch.
async fn ended(jobs: &mut JoinSet<u64>) -> Option<u64> {
    Some(joined(jobs.join_next().await?).await)
}
