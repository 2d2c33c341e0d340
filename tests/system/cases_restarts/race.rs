//! A job that begins between the last look and the restart: what nobody can see in time, and how long
//! that is.
//!
//! Each round makes a restart due, lets the node become free, and starts a container at a moment
//! around the last look and the end of dockerd, all of whose containers die with it. The moments
//! follow from a seed and lie as close as the rounds before have shown. Whatever was there when the
//! last look began must never be interrupted; what came later may be, and is counted.
//!
//! `REGTRUST_SOAK` makes it long, `REGTRUST_SEED` repeats a sequence.

use std::thread;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use regtrust::api::v1::{NodeStatus, Phase};
use serde_json::{Value, json};

use super::{DOCKER, configured, declare, held_by, log, logged, told_of, waits};
use crate::chance::{Chance, seed};
use crate::lab::daemon::Daemon;
use crate::lab::lease::Lease;
use crate::lab::wait::eventually;
use crate::lab::{Node, Suite, engine};

/// On each generation; of the three together 20 in `make test`, and 200 in `make soak`.
fn rounds(suite: Suite) -> usize {
    let is_soak = std::env::var_os("REGTRUST_SOAK").is_some();
    match (is_soak, suite) {
        (false, Suite::Bookworm) => 6,
        (false, Suite::Trixie | Suite::Forky) => 7,
        (true, Suite::Bookworm) => 66,
        (true, Suite::Trixie | Suite::Forky) => 67,
    }
}

/// What lies between the last look and the order, as docs/restarts.md says: a look that took longer
/// is not believed.
const RESIDUAL: SignedDuration = SignedDuration::from_secs(10);

/// So much earlier than the last look a job may begin: enough for the earliest to be seen, which takes
/// docker a while to make.
const BEFORE: Duration = Duration::from_millis(100);
/// And so much later than dockerd was told to end.
const AFTER: Duration = Duration::from_millis(100);

const SETTLE: &str = "settle = \"300ms\"\nsoak = \"0s\"\n";

struct Race<'n> {
    node: &'n Node,
    daemon: Daemon<'n>,
    /// When the last look began and when dockerd was told to end, counted from when the node became
    /// free.
    looked: Duration,
    stopped: Duration,
}

/// A container that is started at a chosen moment.
struct Job {
    name: String,
    /// From then on docker tells of it; `None`: it was never made.
    made: Option<Timestamp>,
    began: bool,
}

/// One restart that came.
#[derive(Clone, Copy, Debug)]
struct Restart {
    looked: Timestamp,
    stopped: Timestamp,
}

#[derive(Debug, Default)]
struct Tally {
    called_off: usize,
    unharmed: usize,
    interrupted: usize,
    longest: SignedDuration,
}

pub(super) fn a_job_that_begins_in_the_last_moment(node: &Node) {
    let (seed, rounds, began) = (seed(), rounds(node.suite), Instant::now());
    let mut chance = Chance::from(seed);
    node.import_box();
    let mut race = Race::rehearse(node);
    let mut tally = Tally::default();
    for number in 0..rounds {
        let after = race.moment(&mut chance, number, rounds);
        let what = format!("{}: seed {seed}, round {number}, after {after:?}", node.suite);
        race.round(number, after, &what, &mut tally);
    }
    eprintln!(
        "{}: {rounds} jobs that begin in the last moment, seed {seed}: {} were seen in time ({} of them \
         when the order was under way), {} began after the restart, {} were interrupted; from the \
         last look to the end of docker at most {} ms; {} s",
        node.suite,
        tally.called_off,
        logged(node, "could not be tried", "EFFECT", "restart docker"),
        tally.unharmed,
        tally.interrupted,
        tally.longest.as_millis(),
        began.elapsed().as_secs()
    );
    assert!(tally.longest <= RESIDUAL, "{tally:?}");
    assert!(tally.called_off > 0, "not one began before the last look, so nothing was proved");
}

impl<'n> Race<'n> {
    /// A restart that nobody races, to know when its moments come.
    fn rehearse(node: &'n Node) -> Self {
        let daemon = configured(node, SETTLE);
        let mut race = Self { node, daemon, looked: Duration::ZERO, stopped: Duration::ZERO };
        let lease = race.need_another();
        let free = Timestamp::now();
        drop(lease);
        race.await_restart(0);
        race.learn(free, race.restarts()[0]);
        race
    }

    fn learn(&mut self, free: Timestamp, restart: Restart) {
        let since =
            |moment: Timestamp| Duration::try_from(moment.duration_since(free)).unwrap_or_default();
        (self.looked, self.stopped) = (since(restart.looked), since(restart.stopped));
    }

    /// The rounds share the time around these moments, each at a random moment of its part. The latest
    /// come first: after each of them it is better known when the earliest have to begin.
    fn moment(&self, chance: &mut Chance, number: usize, rounds: usize) -> Duration {
        // One at least has to be seen, also when this restart comes quicker than the last one.
        if number + 1 == rounds {
            return Duration::ZERO;
        }
        let from = self.looked.saturating_sub(BEFORE);
        let whole = (self.stopped + AFTER).saturating_sub(from);
        let part = whole.as_secs_f64() / f64::from(u32::try_from(rounds).unwrap());
        let within = f64::from(u32::try_from(chance.below(1000)).unwrap()) / 1000.0;
        let at = part * (f64::from(u32::try_from(rounds - 1 - number).unwrap()) + within);
        from + Duration::from_secs_f64(at)
    }

    /// Makes a restart due, unless the last one is still, that waits for a lease alone. The start
    /// limit and what the daemon remembers are as if the last one had been yesterday.
    fn need_another(&self) -> Lease {
        let is_due = !self.daemon.status().due.is_empty();
        self.daemon.systemctl("stop");
        self.node.sh(
            "rm -rf /var/lib/regtrust/restart; systemctl reset-failed docker.service docker.socket",
        );
        if !is_due {
            declare(self.node);
        }
        self.daemon.systemctl("start");
        let lease = Lease::hold(self.node, "race");
        self.node.sh("docker ps --all --quiet | xargs --no-run-if-empty docker rm --force");
        held_by(&self.daemon, &[("docker", &["job `race of "])]);
        lease
    }

    fn round(&mut self, number: usize, after: Duration, what: &str, tally: &mut Tally) {
        let before = self.restarts().len();
        let lease = self.need_another();
        let (free, job) = thread::scope(|scope| {
            let node = self.node;
            let begins = Instant::now() + LEAD;
            let job = scope.spawn(move || Job::begin(node, number, begins + after));
            until(begins);
            let free = Timestamp::now();
            drop(lease);
            (free, job.join().expect("a job"))
        });
        let is_seen = |status: &NodeStatus| {
            waits(status, &job.name) || waits(status, "work has begun here at the last moment")
        };
        eventually("the job is waited for, or docker restarted", || {
            let is_over = self.restarts().len() > before || is_seen(&self.daemon.try_status()?);
            is_over.then_some(())
        });
        // Whether it is both: seen, and interrupted all the same.
        if self.restarts().len() > before {
            self.await_restart(before);
        }
        let restart = self.restarts().get(before).copied();
        self.judge(&job, restart, what, tally);
        if let Some(restart) = restart {
            self.learn(free, restart);
        }
    }

    fn judge(&self, job: &Job, restart: Option<Restart>, what: &str, tally: &mut Tally) {
        let runs = job.runs(self.node);
        let Some(Restart { looked, stopped }) = restart else {
            assert!(job.began && runs, "{what}: nothing was restarted, and it does not run");
            tally.called_off += 1;
            return;
        };
        tally.longest = tally.longest.max(stopped.duration_since(looked));
        if job.began && runs {
            tally.unharmed += 1;
            return;
        }
        tally.interrupted += 1;
        let late = job.made.map(|made| made.duration_since(looked));
        eprintln!("{what}: interrupted; it was there {late:?} after the last look began");
        assert!(
            job.made.is_none_or(|made| made >= looked),
            "{what}: it was there before the last look, and was interrupted"
        );
    }

    fn await_restart(&self, before: usize) {
        self.daemon.until("docker is restarted", |status| {
            status.due.is_empty()
                && status.phase() == Phase::Settled
                && self.restarts().len() == before + 1
        });
    }

    /// The restarts so far: what systemd says of the end, and what the daemon said before of its last
    /// look. It may have called one off after that.
    fn restarts(&self) -> Vec<Restart> {
        const STOPPING: &str = "de5b426a63be47a7b6ac3eaac82e2f6f";
        // First what follows, or a stop could be told of whose look is not.
        let stops = told_of(self.node, DOCKER, STOPPING);
        let looks = log(self.node, "begins").into_iter().filter_map(|entry| {
            let looked = entry["F_LOOKED"].as_str()?.parse::<Timestamp>();
            Some(looked.expect("a moment"))
        });
        let looks: Vec<Timestamp> = looks.collect();
        let restart = |stopped: Timestamp| {
            let looked = looks.iter().rfind(|looked| **looked <= stopped);
            Restart { looked: *looked.expect("it looked before"), stopped }
        };
        stops.iter().map(moment).map(restart).collect()
    }
}

/// Longer than it takes to start a thread.
const LEAD: Duration = Duration::from_millis(20);

fn until(moment: Instant) {
    thread::sleep(moment.saturating_duration_since(Instant::now()));
}

fn moment(entry: &Value) -> Timestamp {
    let words = entry["__REALTIME_TIMESTAMP"].as_str().expect("a moment");
    Timestamp::from_microsecond(words.parse().expect("microseconds")).expect("a moment")
}

impl Job {
    fn begin(node: &Node, number: usize, at: Instant) -> Self {
        let name = format!("job-{number}");
        let container = json!({
            "Image": "lab-box:1",
            "Cmd": ["/bin/busybox", "sleep", "1000000"],
            // It minds nothing else, and dockerd would wait for it before it ends.
            "StopSignal": "SIGKILL",
            "HostConfig": { "NetworkMode": "none" },
        });
        until(at);
        let new = format!("/containers/create?name={name}");
        let made = engine::post(node, &new, &container.to_string()) == Ok(201);
        let made = made.then(Timestamp::now);
        let start = format!("/containers/{name}/start");
        let began = made.is_some() && engine::post(node, &start, "") == Ok(204);
        Self { name, made, began }
    }

    fn runs(&self, node: &Node) -> bool {
        let inspect = ["docker", "inspect", "--format", "{{.State.Running}}", &self.name];
        node.run(inspect).stdout.trim() == "true"
    }
}
