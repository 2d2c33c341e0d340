//! Whatever happens, in whatever order.

use proptest::prelude::*;

use super::*;

/// What the world does next. Numbers choose, so that shrinking finds the smallest story.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each happens without the others")]
struct Turn {
    pass: u8,
    answer: u8,
    shut: bool,
    stop: bool,
    need: bool,
    asked: bool,
    crash: bool,
}

/// Everybody says yes.
const KIND: Turn =
    Turn { pass: 0, answer: 4, shut: false, stop: false, need: false, asked: false, crash: false };

fn turn() -> impl Strategy<Value = Turn> {
    let often = prop::bool::weighted;
    (0..40_u8, any::<u8>(), often(0.1), often(0.1), often(0.9), often(0.05), often(0.1)).prop_map(
        |(pass, answer, shut, stop, need, asked, crash)| Turn {
            pass,
            answer,
            shut,
            stop,
            need,
            asked,
            crash,
        },
    )
}

fn answer(act: Act, turn: Turn) -> Heard {
    let why = || "no answer".to_owned();
    match (act, turn.answer % 6) {
        (Act::Look, 0) => job(),
        (Act::Look, 1) => nobody_knows(),
        (Act::Look, 3) => Heard::Looked(Box::new(Look { is_stale: true, ..Look::default() })),
        (Act::Look, 2) => {
            let run = Some("a".to_owned());
            let alive = Some(Alive { units: ["b.service".to_owned()].into(), ..Alive::default() });
            Heard::Looked(Box::new(Look { run, alive, ..Look::default() }))
        }
        (Act::Look, _) => free(),
        (Act::Lock, 0) => Heard::Locked(LockAnswer::Busy(why())),
        (Act::Lock, 1) => Heard::Locked(LockAnswer::Unavailable(why())),
        (Act::Lock, 2) => Heard::Locked(LockAnswer::Refused(why())),
        (Act::Lock, _) => Heard::Locked(LockAnswer::Granted),
        (Act::Listen, 0) => Heard::Listens(Err(why())),
        (Act::Listen, 1) => Heard::Stirred,
        (Act::Listen, _) => Heard::Listens(Ok(())),
        (Act::Hold, 0) => Heard::Held(HoldAnswer::Busy(why())),
        (Act::Hold, 1) => Heard::Held(HoldAnswer::Failed(why())),
        (Act::Hold, _) => Heard::Held(HoldAnswer::Held),
        (Act::Restart(_), 0) => Heard::Restarted(RestartEnd::NotBegun(why())),
        (Act::Restart(_), 1) => failure(true, turn.answer > 99),
        (Act::Restart(_), 2) => failure(false, turn.answer > 99),
        (Act::Restart(_), _) => Heard::Restarted(RestartEnd::Done),
        (Act::Examine, 0) => Heard::Examined(Unit::Changing(why())),
        (Act::Examine, 1) => Heard::Examined(Unit::Down(why())),
        (Act::Examine, 2) => Heard::Examined(Unit::Stopped),
        (Act::Examine, 3) => runs("a"),
        (Act::Examine, _) => runs("b"),
        (Act::Count, 0) => Heard::Counted(Err(why())),
        (Act::Count, _) => Heard::Counted(Ok(Alive::default())),
        (Act::Unhold, 0) => Heard::Unheld(Err(why())),
        (Act::Unhold, _) => Heard::Unheld(Ok(())),
        (Act::Unlock(_), 0) => Heard::Unlocked(Err(why())),
        (Act::Unlock(_), _) => Heard::Unlocked(Ok(())),
    }
}

fn is_free(heard: &Heard) -> bool {
    matches!(heard, Heard::Looked(look) if look.occupancy.is_free())
}

fn is_stale(heard: &Heard) -> bool {
    matches!(heard, Heard::Looked(look) if look.is_stale)
}

/// What must be true of every step, whoever asked for what.
fn check(scene: &Scene, before: &Gate, heard: &Heard, act: Option<Act>, now: i64) {
    let gate = &scene.gate;
    let told = || format!("{before:?}\n{heard:?}\n{gate:?}\n{act:?}");
    if !gate.state.is_under_way() {
        assert!(!gate.lock && !gate.hold, "held while nothing is done: {}", told());
    }
    let waits_for_work =
        matches!(scene.keeper(), Some(Gatekeeper::Busy | Gatekeeper::Unknown)) && act.is_none();
    assert!(!(waits_for_work && gate.lock), "the lock is held for a job: {}", told());
    match act {
        Some(Act::Lock) => assert!(gate.lock, "not written ahead: {}", told()),
        Some(Act::Hold) => assert!(gate.hold, "not written ahead: {}", told()),
        Some(Act::Restart(_)) if matches!(gate.state, State::Restarting { .. }) => {
            assert!(scene.stop.is_none() && scene.need.is_some(), "{}", told());
            if scene.asked == Asked::No {
                let open = scene.window == Door::Open && is_free(heard);
                assert!(open, "a gate is shut: {}", told());
                assert!(!is_stale(heard), "something has begun: {}", told());
                assert!(before.lock && before.hold, "nobody was kept away: {}", told());
                let near =
                    before.restarts.iter().any(|last| at(now).duration_since(*last) < seconds(30));
                assert!(!near || before.state.is_under_way(), "too soon: {}", told());
            }
        }
        Some(Act::Restart(_)) => {
            let repairs = matches!(gate.state, State::RollingBack { .. } | State::Failed { .. });
            assert!(repairs, "{}", told());
        }
        _ => {}
    }
}

/// Walks, and then lets everybody say yes: however it stands, all is given back.
fn walk(turns: &[Turn]) {
    let mut scene = Scene::new();
    let mut now = 0;
    let mut act = scene.at(now);
    for turn in turns {
        now += i64::from(turn.pass);
        scene.window = if turn.shut { shut() } else { Door::Open };
        scene.stop = turn.stop.then_some("paused");
        scene.need = turn.need.then_some(at(0));
        scene.asked = if turn.asked { Asked::Now } else { Asked::No };
        let mut heard = act.map_or(Heard::Nothing, |act| answer(act, *turn));
        if turn.crash {
            // The answer is lost, and what was written is read again.
            scene.gate = scene.gate.clone().recovered();
            heard = Heard::Nothing;
        }
        let before = scene.gate.clone();
        act = scene.hears(now, &heard);
        check(&scene, &before, &heard, act, now);
    }
    scene.need = None;
    scene.stop = None;
    scene.window = Door::Open;
    for _ in 0..50 {
        now += 700;
        let heard = act.map_or(Heard::Nothing, |act| answer(act, KIND));
        act = scene.hears(now, &heard);
    }
    assert_eq!(scene.gate.state, State::Steady);
    assert!(!scene.gate.lock && !scene.gate.hold);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nothing_is_restarted_through_a_shut_gate_and_nothing_stays_held(
        turns in prop::collection::vec(turn(), 0..80)
    ) {
        walk(&turns);
    }
}
