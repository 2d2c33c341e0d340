use super::*;
use crate::jobs::{Occupancy, Occupant, Source};
use crate::plan::work::IfDown;
use crate::trust::entry::Runtime;

mod last;
mod paths;
mod times;
mod walks;

const LEAVE: Option<Act> = Some(Act::Restart(IfDown::Leave));
const REVIVE: Option<Act> = Some(Act::Restart(IfDown::Revive));

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn seconds(number: i64) -> SignedDuration {
    SignedDuration::from_secs(number)
}

fn rules() -> Rules {
    Rules {
        gather: SignedDuration::ZERO,
        quiet_period: seconds(30),
        settle: seconds(15),
        soak: seconds(20),
        ..Rules::default()
    }
}

fn looked(occupancy: Occupancy) -> Heard {
    Heard::Looked(Box::new(Look { occupancy, run: Some("a".to_owned()), ..Look::default() }))
}

/// The same answer, asked for at another moment.
fn as_of(moment: Timestamp, heard: &Heard) -> Heard {
    let mut heard = heard.clone();
    if let Heard::Looked(look) = &mut heard {
        look.since = moment;
    }
    heard
}

fn free() -> Heard {
    looked(Occupancy::default())
}

fn job() -> Heard {
    let occupant = Occupant {
        source: Source::Docker,
        what: "Zadig job".to_owned(),
        name: "build-7".to_owned(),
        since: None,
    };
    looked(Occupancy { occupants: vec![occupant], unknown: vec![] })
}

fn nobody_knows() -> Heard {
    looked(Occupancy::unknown(Source::Cri, "no answer"))
}

fn shut() -> Door {
    Door::Shut { why: "outside its window".to_owned(), opens: Some(at(7200)) }
}

fn failure(healthy: bool, withdrawn: bool) -> Heard {
    let why = "it died".to_owned();
    Heard::Restarted(RestartEnd::Failed { why, healthy, withdrawn })
}

fn runs(run: &str) -> Heard {
    Heard::Examined(Unit::Runs(run.to_owned()))
}

/// A gate on a node with everything: jobs, windows, a lock and hooks.
struct Scene {
    gate: Gate,
    rules: Rules,
    need: Option<Timestamp>,
    stop: Option<&'static str>,
    asked: Asked,
    window: Door,
    has_lock: bool,
    has_hold: bool,
    runtime: Runtime,
    block: Option<Block>,
    wake: Option<Timestamp>,
}

impl Scene {
    fn new() -> Self {
        Self {
            gate: Gate::default(),
            rules: rules(),
            need: Some(at(0)),
            stop: None,
            asked: Asked::No,
            window: Door::Open,
            has_lock: true,
            has_hold: true,
            runtime: Runtime::Containerd,
            block: None,
            wake: None,
        }
    }

    fn alone() -> Self {
        Self { has_lock: false, has_hold: false, ..Self::new() }
    }

    fn in_state(state: State) -> Self {
        let gate = Gate { state, lock: true, hold: true, needed: Some(at(0)), ..Gate::default() };
        Self { gate, ..Self::new() }
    }

    /// Answers come at once.
    fn hears(&mut self, second: i64, heard: &Heard) -> Option<Act> {
        self.hears_late(second, &as_of(at(second), heard))
    }

    fn hears_late(&mut self, second: i64, heard: &Heard) -> Option<Act> {
        let facts = Facts {
            now: at(second),
            runtime: self.runtime,
            rules: &self.rules,
            need: self.need,
            stop: self.stop,
            asked: self.asked,
            window: &self.window,
            has_lock: self.has_lock,
            has_hold: self.has_hold,
            seed: 7,
        };
        let step = step(&self.gate, heard, &facts);
        self.gate = step.gate;
        self.block = step.block;
        self.wake = step.wake;
        step.act
    }

    fn at(&mut self, second: i64) -> Option<Act> {
        self.hears(second, &Heard::Nothing)
    }

    fn keeper(&self) -> Option<Gatekeeper> {
        self.block.as_ref().map(|block| block.keeper)
    }

    /// With the lock and the hold, and long enough after that.
    fn settled(mut self) -> Self {
        assert_eq!(self.at(0), Some(Act::Look));
        assert_eq!(self.hears(0, &free()), None);
        assert_eq!(self.at(30), Some(Act::Look));
        assert_eq!(self.hears(30, &free()), Some(Act::Lock));
        assert_eq!(self.hears(31, &Heard::Locked(LockAnswer::Granted)), Some(Act::Hold));
        assert_eq!(self.hears(32, &Heard::Held(HoldAnswer::Held)), Some(Act::Listen));
        assert_eq!(self.hears(32, &Heard::Listens(Ok(()))), None);
        assert_eq!(self.wake, Some(at(47)));
        assert_eq!(self.at(47), Some(Act::Look));
        self
    }

    fn restarting(self) -> Self {
        let mut scene = self.settled();
        assert_eq!(scene.hears(47, &free()), LEAVE);
        scene
    }

    /// Gives everything back, and says how it ended.
    fn released(&mut self, second: i64) -> End {
        let State::Releasing { end } = self.gate.state else { panic!("{:?}", self.gate) };
        assert_eq!(self.hears(second, &Heard::Unheld(Ok(()))), Some(Act::Unlock(end)));
        assert_eq!(self.hears(second, &Heard::Unlocked(Ok(()))), None);
        assert_eq!((self.gate.lock, self.gate.hold), (false, false));
        assert_eq!(self.gate.state, State::Steady);
        end
    }
}
