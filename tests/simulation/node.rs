//! One node: a daemon that may crash, a disk, a runtime under systemd, and jobs that come and go.

use jiff::{SignedDuration, Timestamp};
use regtrust::gate::{
    Act, Alive, Asked, Door, Facts, Gate, Heard, HoldAnswer, Look, RestartEnd, Rules, Unit, step,
};
use regtrust::jobs::{Occupancy, Occupant, Source};
use regtrust::trust::entry::Runtime;

use crate::Kind;
use crate::chance::Chance;
use crate::lock::Lock;

#[derive(Debug)]
pub(crate) struct Node {
    number: usize,
    kind: Kind,
    /// What the daemon knows, and what it has written.
    gate: Gate,
    disk: String,
    heard: Heard,
    /// What systemd does, whatever becomes of the daemon: the run of the runtime, since when, and
    /// until when it is on its way to this run.
    run: u32,
    run_since: Timestamp,
    /// The last restart by an order of ours.
    restarting: Option<(Timestamp, Timestamp)>,
    /// Work is kept away.
    is_held: bool,
    /// The job that runs, or the next one: from when to when.
    job: (Timestamp, Timestamp),
    published: Timestamp,
    /// Until when it is off.
    off_until: Timestamp,
    pub(crate) restarts: usize,
    pub(crate) crashes: usize,
}

/// What a node meets when it is its turn.
pub(crate) struct Turn<'a> {
    pub(crate) now: Timestamp,
    pub(crate) rules: &'a Rules,
    pub(crate) door: &'a Door,
    pub(crate) lock: &'a mut Lock,
}

/// How far a step had come when the daemon, or the whole machine, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Crash {
    Unwritten,
    Written,
    Acted,
}

fn seconds(chance: &mut Chance, least: usize, most: usize) -> SignedDuration {
    let seconds = least + chance.below(most - least + 1);
    SignedDuration::from_secs(i64::try_from(seconds).unwrap())
}

impl Node {
    pub(crate) fn new(number: usize, kind: Kind, now: Timestamp, chance: &mut Chance) -> Self {
        let gate = Gate::default();
        Self {
            number,
            kind,
            disk: serde_json::to_string(&gate).unwrap(),
            gate,
            heard: Heard::Nothing,
            run: 1,
            run_since: now - SignedDuration::from_hours(100),
            restarting: None,
            is_held: false,
            job: (now - seconds(chance, 0, 600), now + seconds(chance, 0, 3600)),
            published: now,
            off_until: now,
            restarts: 0,
            crashes: 0,
        }
    }

    pub(crate) fn is_restarting(&self, now: Timestamp) -> bool {
        self.restarting.is_some_and(|(from, until)| from <= now && now < until)
    }

    fn need(&self) -> Option<Timestamp> {
        (self.run_since <= self.published).then_some(self.published)
    }

    pub(crate) fn is_done(&self, now: Timestamp) -> bool {
        self.need().is_none()
            && !self.is_held
            && !self.is_restarting(now)
            && !self.gate.lock
            && !self.gate.hold
            && !self.gate.state.is_under_way()
    }

    /// One step of the daemon, or its end. `None`: it has nothing to do any more.
    pub(crate) fn go_on(
        &mut self,
        turn: Turn<'_>,
        chance: &mut Chance,
    ) -> Result<Option<Timestamp>, String> {
        let Turn { now, rules, door, lock } = turn;
        if now < self.off_until {
            return Ok(Some(self.off_until));
        }
        self.work_goes_on(now, chance);
        let heard = std::mem::replace(&mut self.heard, Heard::Nothing);
        let facts = Facts {
            now,
            runtime: Runtime::Containerd,
            rules,
            need: self.need(),
            stop: None,
            asked: Asked::No,
            window: door,
            has_lock: true,
            has_hold: true,
            seed: u64::try_from(self.number).unwrap().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 7,
        };
        let next = step(&self.gate, &heard, &facts);
        // Most crashes come where they could do harm.
        let rarity = if self.gate.state.is_under_way() { 120 } else { 4000 };
        let crash = match chance.below(rarity) {
            0 | 1 => Some(Crash::Unwritten),
            2 | 3 => Some(Crash::Written),
            4 | 5 => Some(Crash::Acted),
            _ => None,
        };
        if crash == Some(Crash::Unwritten) {
            return Ok(Some(self.crash(now, chance)));
        }
        self.gate = next.gate;
        if self.kind != Kind::WritesTooLate || crash.is_none() {
            self.disk = serde_json::to_string(&self.gate).unwrap();
        }
        if crash == Some(Crash::Written) {
            return Ok(Some(self.crash(now, chance)));
        }
        let Some(act) = next.act else {
            if self.is_done(now) {
                return Ok(None);
            }
            // Nothing else happens on a node that has no moment to wait for.
            let at_latest = now + SignedDuration::from_mins(1);
            return Ok(Some(next.wake.map_or(at_latest, |wake| wake.max(now))));
        };
        if matches!((act, door), (Act::Restart(_), Door::Shut { .. })) {
            return Err(format!("at {now} a restart outside its window: {self:?}"));
        }
        let (heard, took) = self.act(act, now, lock, chance)?;
        if crash == Some(Crash::Acted) {
            return Ok(Some(self.crash(now, chance)));
        }
        self.heard = heard;
        Ok(Some(now + took))
    }

    /// The daemon ends and begins again, or the whole machine does.
    fn crash(&mut self, now: Timestamp, chance: &mut Chance) -> Timestamp {
        self.crashes += 1;
        let written: Gate = serde_json::from_str(&self.disk).unwrap();
        self.gate = written.recovered();
        self.heard = Heard::Nothing;
        if chance.below(20) > 0 {
            return now + seconds(chance, 1, 90);
        }
        self.off_until = now + seconds(chance, 60, 600);
        self.run += 1;
        self.run_since = self.off_until;
        self.restarting = None;
        self.job = (self.off_until, self.off_until);
        self.off_until
    }

    /// A job that has ended is followed by another one, unless work is kept away.
    fn work_goes_on(&mut self, now: Timestamp, chance: &mut Chance) {
        if self.job.1 <= now && !self.is_held {
            let from = now + seconds(chance, 30, 900);
            self.job = (from, from + seconds(chance, 10, 1800));
        } else if now < self.job.0 && self.is_held {
            // It would have begun: it goes elsewhere.
            self.job = (now, now);
        }
    }

    fn is_at_work(&self, now: Timestamp) -> bool {
        self.job.0 <= now && now < self.job.1
    }

    fn act(
        &mut self,
        act: Act,
        now: Timestamp,
        lock: &mut Lock,
        chance: &mut Chance,
    ) -> Result<(Heard, SignedDuration), String> {
        let moment = seconds(chance, 0, 2);
        Ok(match act {
            Act::Look => {
                let run = (!self.is_restarting(now)).then(|| self.run.to_string());
                let occupancy = self.occupancy(now);
                let seen = Look { since: now, occupancy, run, ..Look::default() };
                (Heard::Looked(Box::new(seen)), SignedDuration::ZERO)
            }
            Act::Lock => (Heard::Locked(lock.take(self.number, chance)), moment),
            Act::Hold => {
                self.is_held = true;
                self.work_goes_on(now, chance);
                let answer = match chance.below(50) {
                    0 => HoldAnswer::Failed("a hook failed".to_owned()),
                    1 => HoldAnswer::Busy("a hook says so".to_owned()),
                    _ => HoldAnswer::Held,
                };
                (Heard::Held(answer), seconds(chance, 1, 5))
            }
            Act::Listen => (Heard::Listens(Ok(())), SignedDuration::ZERO),
            Act::Restart(_) => return self.restart(now, chance),
            Act::Examine => (Heard::Examined(self.unit(now)), SignedDuration::ZERO),
            Act::Count => (Heard::Counted(Ok(Alive::default())), SignedDuration::ZERO),
            Act::Unhold => {
                if chance.below(50) == 0 {
                    return Ok((Heard::Unheld(Err("a hook failed".to_owned())), moment));
                }
                self.is_held = false;
                (Heard::Unheld(Ok(())), moment)
            }
            Act::Unlock(_) => (Heard::Unlocked(lock.free(self.number, chance)), moment),
        })
    }

    fn occupancy(&self, now: Timestamp) -> Occupancy {
        if !self.is_at_work(now) {
            return Occupancy::default();
        }
        let job = Occupant {
            source: Source::Docker,
            what: "Zadig job".to_owned(),
            name: "build".to_owned(),
            since: Some(self.job.0),
        };
        Occupancy { occupants: vec![job], unknown: Vec::new() }
    }

    fn unit(&self, now: Timestamp) -> Unit {
        if self.is_restarting(now) {
            return Unit::Changing("it is `deactivating`".to_owned());
        }
        Unit::Runs(self.run.to_string())
    }

    fn restart(
        &mut self,
        now: Timestamp,
        chance: &mut Chance,
    ) -> Result<(Heard, SignedDuration), String> {
        if self.is_at_work(now) {
            return Err(format!("at {now} a restart interrupts a job: {self:?}"));
        }
        if chance.below(50) == 0 {
            let why = "systemd is busy".to_owned();
            return Ok((Heard::Restarted(RestartEnd::NotBegun(why)), SignedDuration::ZERO));
        }
        // Long, so that the slots are full of it.
        let took = seconds(chance, 60, 300);
        self.restarts += 1;
        self.restarting = Some((now, now + took));
        if chance.below(50) == 0 {
            // It came back as it was.
            let why = "it did not come back in time".to_owned();
            let failed = RestartEnd::Failed { why, healthy: true, withdrawn: false };
            return Ok((Heard::Restarted(failed), took));
        }
        self.run += 1;
        self.run_since = now;
        Ok((Heard::Restarted(RestartEnd::Done), took))
    }
}
