//! A thousand nodes under one lock, for which a change is published at the same moment, and whose
//! daemons and machines crash at any point. Time is simulated; the transitions are the real ones, and
//! so are the windows and what is written to disk.
//!
//! However often something crashes, never more nodes restart at once than the lock has slots, no job
//! is interrupted, and in the end all have restarted and nothing is held. `REGTRUST_SEED` repeats a
//! run; `REGTRUST_SOAK=1` does many.
#![expect(clippy::disallowed_methods, reason = "reads how long it is to run")]
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]
#![expect(clippy::print_stdout, reason = "says with which seed it ran")]

#[path = "common/chance.rs"]
mod chance;
#[path = "simulation/lock.rs"]
mod lock;
#[path = "simulation/node.rs"]
mod node;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use chance::{Chance, seed};
use jiff::{SignedDuration, Timestamp};
use lock::Lock;
use node::{Node, Turn};
use regtrust::gate::{Door, Rules};
use regtrust::settings::parse_settings;
use regtrust::window::{Opening, Windows};

/// What the daemons of this fleet do about their disks, and the lock about its slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sound,
    /// The state is written after the act that it stands for.
    WritesTooLate,
    /// One slot more is given than there are.
    LockLies,
}

/// How the days went.
#[derive(Debug)]
struct Report {
    most_at_once: usize,
    restarts: usize,
    crashes: usize,
    took: SignedDuration,
}

struct Fleet {
    nodes: Vec<Node>,
    lock: Lock,
    windows: Windows,
    /// What the windows say, and until when.
    door: (Door, Timestamp),
    queue: BinaryHeap<Reverse<(Timestamp, usize)>>,
    now: Timestamp,
    most_at_once: usize,
}

const ROOM: SignedDuration = SignedDuration::from_mins(10);
const PUBLISHED: &str = "2026-11-20T15:00:00Z";
/// Longer than any fleet of these needs.
const PATIENCE: SignedDuration = SignedDuration::from_hours(21 * 24);

impl Fleet {
    fn new(size: usize, slots: usize, kind: Kind, chance: &mut Chance) -> Self {
        let text = "[[window]]\nstart = \"22:00\"\nend = \"05:00\"\ntimezone = \"Europe/Berlin\"\n";
        let now: Timestamp = PUBLISHED.parse().unwrap();
        let given = if kind == Kind::LockLies { slots + 1 } else { slots };
        let mut fleet = Self {
            nodes: (0..size).map(|number| Node::new(number, kind, now, chance)).collect(),
            lock: Lock::of(slots, given),
            windows: parse_settings(text, "/d").unwrap().windows,
            door: (Door::Open, Timestamp::MIN),
            queue: BinaryHeap::new(),
            now,
            most_at_once: 0,
        };
        fleet.queue.extend((0..size).map(|number| Reverse((now, number))));
        fleet
    }

    fn look_at_the_door(&mut self) {
        if self.now < self.door.1 {
            return;
        }
        self.door = match self.windows.at(self.now, ROOM) {
            Opening::Open { until } => (
                Door::Open,
                until.map_or(Timestamp::MAX, |until| until - ROOM + SignedDuration::from_secs(1)),
            ),
            Opening::Closed { opens, why } => {
                (Door::Shut { why, opens }, opens.unwrap_or(Timestamp::MAX))
            }
        };
    }

    fn run(&mut self, rules: &Rules, chance: &mut Chance) -> Result<Report, String> {
        let began = self.now;
        let mut ended = began;
        while let Some(Reverse((now, number))) = self.queue.pop() {
            self.now = now;
            if now.duration_since(began) > PATIENCE {
                let open = self.nodes.iter().filter(|node| !node.is_done(now)).count();
                return Err(format!("{open} nodes have not ended; the lock: {:?}", self.lock));
            }
            self.look_at_the_door();
            let node = &mut self.nodes[number];
            let turn = Turn { now, rules, door: &self.door.0, lock: &mut self.lock };
            let next = node.go_on(turn, chance)?;
            self.check(number)?;
            match next {
                Some(next) => self.queue.push(Reverse((next.max(now), number))),
                None => ended = now,
            }
        }
        let left: Vec<_> = self.nodes.iter().filter(|node| !node.is_done(self.now)).collect();
        if let Some(node) = left.first() {
            return Err(format!("{} nodes were left behind, such as {node:?}", left.len()));
        }
        if !self.lock.is_free() {
            return Err(format!("the lock is left behind: {:?}", self.lock));
        }
        Ok(Report {
            most_at_once: self.most_at_once,
            restarts: self.nodes.iter().map(|node| node.restarts).sum(),
            crashes: self.nodes.iter().map(|node| node.crashes).sum(),
            took: ended.duration_since(began),
        })
    }

    /// From outside, whatever the nodes believe of themselves. Only the node that has just moved can
    /// have begun to restart.
    fn check(&mut self, number: usize) -> Result<(), String> {
        let node = &self.nodes[number];
        if !node.is_restarting(self.now) {
            return Ok(());
        }
        if !self.lock.holds(number) {
            return Err(format!("at {} a node restarts without the lock: {node:?}", self.now));
        }
        let at_once = self.nodes.iter().filter(|node| node.is_restarting(self.now)).count();
        self.most_at_once = self.most_at_once.max(at_once);
        if at_once > self.lock.slots {
            return Err(format!("at {} {at_once} nodes restart at once", self.now));
        }
        Ok(())
    }
}

fn rules() -> Rules {
    Rules {
        quiet_period: SignedDuration::from_secs(30),
        settle: SignedDuration::from_secs(15),
        spread: SignedDuration::from_mins(10),
        soak: SignedDuration::from_secs(20),
        ..Rules::default()
    }
}

fn simulate(seed: u64, size: usize, slots: usize, kind: Kind) -> Result<Report, String> {
    let mut chance = Chance::from(seed);
    Fleet::new(size, slots, kind, &mut chance).run(&rules(), &mut chance)
}

#[test]
fn of_a_thousand_nodes_that_crash_never_more_restart_than_may_and_all_of_them_do() {
    let first = seed();
    let runs = if std::env::var_os("REGTRUST_SOAK").is_some() { 50 } else { 1 };
    for seed in first..first + runs {
        let report = simulate(seed, 1000, 20, Kind::Sound);
        let Report { most_at_once, restarts, crashes, took } = report.unwrap();
        println!(
            "seed {seed}: {took:#} for 1000 nodes with {crashes} crashes and {restarts} restarts, \
             {most_at_once} of them at once"
        );
        assert!((15..=20).contains(&most_at_once), "the slots are used");
        assert!(crashes > 100, "there is something to survive");
        assert!(restarts >= 800, "the others have rebooted");
    }
}

#[test]
fn one_slot_is_enough_for_a_small_fleet_to_end() {
    let first = seed();
    for seed in first..first + 10 {
        let report = simulate(seed, 30, 1, Kind::Sound);
        println!("seed {seed}");
        assert_eq!(report.unwrap().most_at_once, 1);
    }
}

/// What the simulation is worth: it finds a daemon that acts before it writes, and a lock that does
/// not count.
#[test]
fn a_daemon_that_writes_too_late_and_a_lock_that_lies_are_found() {
    let first = seed();
    println!("seed {first}");
    let found = |kind| (first..first + 20).any(|seed| simulate(seed, 200, 5, kind).is_err());
    assert!(found(Kind::WritesTooLate));
    assert!(found(Kind::LockLies));
}
