//! The ways through the machine, one after the other.

use super::*;

#[test]
fn the_way_of_a_restart_on_a_node_of_a_fleet() {
    let mut scene = Scene::new().restarting();
    assert_eq!(scene.gate.state, State::Restarting { before: Some("a".to_owned()) });
    assert_eq!(scene.hears(50, &Heard::Restarted(RestartEnd::Done)), None);
    assert_eq!(scene.wake, Some(at(70)));
    scene.need = None;
    assert_eq!(scene.at(70), Some(Act::Examine));
    assert_eq!(scene.hears(70, &runs("b")), Some(Act::Unhold));
    assert_eq!(scene.released(71), End::Succeeded);
    assert_eq!(scene.at(71), None);
    assert_eq!((scene.gate.needed, scene.block), (None, None));
}

#[test]
fn a_node_that_is_alone_and_idle_restarts_at_once() {
    let mut scene = Scene::alone();
    scene.rules = Rules { gather: seconds(0), settle: seconds(1), ..Rules::default() };
    assert_eq!(scene.at(0), Some(Act::Look));
    assert_eq!(scene.hears(0, &free()), Some(Act::Listen));
    assert_eq!(scene.hears(0, &Heard::Listens(Ok(()))), None);
    assert_eq!(scene.wake, Some(at(1)));
    assert_eq!(scene.at(1), Some(Act::Look));
    assert_eq!(scene.hears(1, &free()), LEAVE);
}

#[test]
fn a_job_is_waited_for_with_nothing_held() {
    let mut scene = Scene::new();
    assert_eq!(scene.at(0), Some(Act::Look));
    assert_eq!(scene.hears(0, &job()), None);
    assert_eq!(scene.block.as_ref().unwrap().words, "it would interrupt Zadig job `build-7`");
    assert_eq!((scene.keeper(), scene.wake), (Some(Gatekeeper::Busy), Some(at(1))));
    assert_eq!((scene.gate.lock, scene.gate.hold), (false, false));
    assert_eq!(scene.at(10), Some(Act::Look));
    assert_eq!(scene.hears(10, &nobody_knows()), None);
    assert_eq!(scene.keeper(), Some(Gatekeeper::Unknown), "not knowing is no yes");
    assert_eq!(scene.at(3_600), Some(Act::Look));
    assert_eq!(scene.hears(3_600, &job()), None);
    assert_eq!(scene.wake, Some(at(3_610)), "who has waited long is in no hurry");
}

#[test]
fn quiet_begins_anew_with_every_job() {
    let mut scene = Scene::new();
    assert_eq!(scene.at(0), Some(Act::Look));
    assert_eq!(scene.hears(0, &free()), None);
    assert_eq!(scene.hears(20, &job()), None);
    assert_eq!(scene.hears(30, &free()), None);
    assert_eq!(scene.gate.state, State::Waiting { free_since: Some(at(30)) });
    assert_eq!(scene.hears(59, &free()), None);
    assert_eq!(scene.hears(60, &free()), Some(Act::Lock));
}

/// While it is shut nobody looks, so what was seen before it is worth nothing after it.
#[test]
fn quiet_begins_anew_with_every_window() {
    let mut scene = Scene::new();
    assert_eq!(scene.at(0), Some(Act::Look));
    assert_eq!(scene.hears(0, &free()), None);
    scene.window = shut();
    assert_eq!(scene.at(10), None);
    assert_eq!((scene.keeper(), scene.wake), (Some(Gatekeeper::Window), Some(at(7200))));
    scene.window = Door::Open;
    assert_eq!(scene.at(7200), Some(Act::Look));
    assert_eq!(scene.hears(7200, &free()), None);
}

#[test]
fn a_job_that_begins_after_the_hold_calls_the_turn_off() {
    let mut scene = Scene::new().settled();
    assert_eq!(scene.hears(47, &job()), Some(Act::Unhold));
    assert_eq!(scene.released(48), End::NotTried);
    assert_eq!(scene.at(48), None);
    assert_eq!(scene.keeper(), Some(Gatekeeper::Rest), "the others come first");
    assert!(scene.wake.unwrap() >= at(347));
}

#[test]
fn whatever_shuts_after_the_hold_calls_the_turn_off() {
    for (second, heard) in [(40, Heard::Nothing), (47, free())] {
        let mut scene = Scene::new().settled();
        scene.window = shut();
        assert_eq!(scene.hears(second, &heard), Some(Act::Unhold));
        let mut scene = Scene::new().settled();
        scene.stop = Some("paused");
        assert_eq!(scene.hears(second, &heard), Some(Act::Unhold));
        let mut scene = Scene::new().settled();
        scene.need = None;
        assert_eq!(scene.hears(second, &heard), Some(Act::Unhold));
        assert_eq!(scene.released(48), End::NotTried);
    }
}

#[test]
fn a_lock_that_others_have_is_asked_for_again_after_another_look() {
    let mut scene = Scene::in_state(State::Locking);
    scene.gate.hold = false;
    let busy = Heard::Locked(LockAnswer::Busy("node-2".to_owned()));
    assert_eq!(scene.hears(0, &busy), None);
    assert_eq!(scene.block.as_ref().unwrap().words, "the fleet's lock is held by node-2");
    assert!(!scene.gate.lock);
    let next = scene.wake.unwrap();
    assert!(next >= at(15) && next < at(19), "{next}");
    assert_eq!(scene.at(19), Some(Act::Look));
}

#[test]
fn a_lock_of_which_nothing_is_known_is_given_back() {
    let mut scene = Scene::in_state(State::Locking);
    scene.gate.hold = false;
    let lost = Heard::Locked(LockAnswer::Unavailable("no answer".to_owned()));
    assert_eq!(scene.hears(0, &lost), Some(Act::Unlock(End::NotTried)));
    assert_eq!(scene.hears(1, &Heard::Unlocked(Err("no answer".to_owned()))), None);
    assert!(scene.gate.lock, "for ever if need be");
    assert_eq!(scene.at(6), Some(Act::Unlock(End::NotTried)));
    assert_eq!(scene.hears(6, &Heard::Unlocked(Ok(()))), None);
    assert!(!scene.gate.lock);
}

#[test]
fn a_lock_that_was_lost_meanwhile_calls_the_turn_off() {
    let why = || "no answer".to_owned();
    for answer in [LockAnswer::Busy(why()), LockAnswer::Unavailable(why())] {
        let mut scene = Scene::new().settled();
        let run = Some("a".to_owned());
        let lock = Some(answer);
        let looked = Heard::Looked(Box::new(Look { run, lock, ..Look::default() }));
        assert_eq!(scene.hears(47, &looked), Some(Act::Unhold));
    }
}

#[test]
fn a_hook_that_refuses_calls_the_turn_off() {
    for answer in [HoldAnswer::Busy("a build".into()), HoldAnswer::Failed("exit 1".into())] {
        let mut scene = Scene::in_state(State::Holding);
        assert_eq!(scene.hears(0, &Heard::Held(answer)), Some(Act::Unhold));
        assert_eq!(scene.keeper(), Some(Gatekeeper::Hold));
        assert_eq!(scene.released(1), End::NotTried);
    }
}

#[test]
fn what_went_wrong_is_taken_back_under_the_same_lock_and_hold() {
    for (healthy, order) in [(true, LEAVE), (false, REVIVE)] {
        let mut scene = Scene::new().restarting();
        assert_eq!(scene.hears(50, &failure(healthy, true)), order);
        assert_eq!((scene.gate.lock, scene.gate.hold), (true, true));
        assert_eq!(scene.hears(55, &Heard::Restarted(RestartEnd::Done)), None);
        assert_eq!(scene.at(75), Some(Act::Examine));
        assert_eq!(scene.hears(75, &runs("c")), Some(Act::Unhold));
        assert_eq!(scene.released(76), End::Failed, "the fleet is told that the change is bad");
    }
}

#[test]
fn what_was_taken_back_and_needs_nothing_is_not_restarted_again() {
    let mut scene = Scene::new().restarting();
    scene.need = None;
    assert_eq!(scene.hears(50, &failure(true, true)), Some(Act::Unhold));
    assert_eq!(scene.released(51), End::Failed);
}

#[test]
fn a_failure_with_nothing_to_take_back_rests_before_it_is_tried_again() {
    let mut scene = Scene::new().restarting();
    assert_eq!(scene.hears(50, &failure(true, false)), Some(Act::Unhold));
    assert_eq!(scene.released(51), End::Failed);
    assert_eq!(scene.at(51), None);
    assert_eq!(scene.keeper(), Some(Gatekeeper::Rest));
}

#[test]
fn a_runtime_that_stays_down_keeps_the_lock_until_somebody_has_helped() {
    let mut scene = Scene::new().restarting();
    assert_eq!(scene.hears(50, &failure(false, true)), REVIVE);
    assert_eq!(scene.hears(55, &failure(false, false)), None);
    assert!(matches!(scene.gate.state, State::Failed { tries: 0, .. }));
    for (second, again) in [(60, 10), (70, 20), (90, 40)] {
        assert_eq!(scene.at(second), Some(Act::Examine));
        assert_eq!(scene.hears(second, &Heard::Examined(Unit::Down("failed".into()))), REVIVE);
        assert_eq!(scene.hears(second, &failure(false, false)), None);
        assert_eq!(scene.wake, Some(at(second + again)));
        assert_eq!((scene.gate.lock, scene.gate.hold), (true, true));
    }
    assert_eq!(scene.at(130), Some(Act::Examine));
    assert_eq!(scene.hears(130, &runs("z")), Some(Act::Unhold));
    assert_eq!(scene.released(131), End::Failed);
}

#[test]
fn a_runtime_that_dies_while_it_is_watched_has_failed() {
    let mut scene = Scene::in_state(State::Soaking { since: at(0), end: End::Succeeded });
    assert_eq!(scene.hears(20, &Heard::Examined(Unit::Down("core dumped".into()))), None);
    assert!(matches!(scene.gate.state, State::Failed { .. }));
    assert!(scene.gate.lock);
}

#[test]
fn an_operator_waits_for_nobody() {
    let mut scene = Scene::new();
    scene.asked = Asked::Now;
    scene.window = shut();
    scene.gate.restarts = vec![at(-1)];
    assert_eq!(scene.at(0), Some(Act::Look));
    assert_eq!(scene.hears(0, &job()), LEAVE);
    let mut scene = Scene::in_state(State::Settling { since: at(0) });
    scene.asked = Asked::Now;
    assert_eq!(scene.at(0), Some(Act::Look));
    assert_eq!(scene.hears(0, &job()), LEAVE);
    let mut scene = Scene::new();
    scene.asked = Asked::Now;
    scene.stop = Some("the CA tool has to run first");
    assert_eq!(scene.at(0), None, "a daemon that is restarted before it has loads the old roots");
}

#[test]
fn a_drain_waits_for_jobs_while_new_work_is_kept_away_and_not_for_ever() {
    let mut scene = Scene::new();
    scene.rules.deadline = Some(seconds(0));
    scene.rules.on_deadline = OnDeadline::Drain;
    scene.rules.drain_timeout = seconds(100);
    assert_eq!(scene.at(0), Some(Act::Look));
    assert_eq!(scene.hears(0, &job()), Some(Act::Lock));
    assert_eq!(scene.hears(0, &Heard::Locked(LockAnswer::Granted)), Some(Act::Hold));
    assert_eq!(scene.hears(0, &Heard::Held(HoldAnswer::Held)), Some(Act::Listen));
    assert_eq!(scene.hears(50, &job()), None);
    assert_eq!(scene.keeper(), Some(Gatekeeper::Busy));
    assert_eq!(scene.hears(60, &free()), LEAVE);
    let mut late = Scene::in_state(State::Settling { since: at(0) });
    late.rules = scene.rules;
    assert_eq!(late.hears(100, &job()), Some(Act::Unhold));
}

#[test]
fn force_is_not_meant_for_docker_unless_it_is_said_twice() {
    for (runtime, force_docker, forced) in [
        (Runtime::Containerd, false, true),
        (Runtime::Docker, false, false),
        (Runtime::Docker, true, true),
    ] {
        let mut scene = Scene::in_state(State::Settling { since: at(0) });
        scene.runtime = runtime;
        scene.rules.deadline = Some(seconds(0));
        scene.rules.on_deadline = OnDeadline::Force;
        scene.rules.force_docker = force_docker;
        assert_eq!(scene.hears(15, &job()) == LEAVE, forced, "{runtime} {force_docker}");
        scene.gate.state = State::Settling { since: at(0) };
        scene.window = shut();
        assert_ne!(scene.hears(15, &free()), LEAVE, "a window holds back force as well");
    }
}

#[test]
fn a_crash_around_the_order_restarts_nothing_twice() {
    let before = Some("a".to_owned());
    let recovered = || {
        let mut scene = Scene::in_state(State::Restarting { before: before.clone() });
        scene.gate.restarts = vec![at(0)];
        scene.gate = scene.gate.recovered();
        assert_eq!(scene.at(1), Some(Act::Examine));
        scene
    };
    let mut scene = recovered();
    assert_eq!(scene.hears(1, &Heard::Examined(Unit::Changing("activating".into()))), None);
    assert_eq!(scene.at(6), Some(Act::Examine));
    assert_eq!(scene.hears(6, &runs("b")), None, "it was given");
    assert!(matches!(scene.gate.state, State::Soaking { end: End::Succeeded, .. }));
    let mut scene = recovered();
    assert_eq!(scene.hears(1, &runs("a")), Some(Act::Unhold), "it was not");
    assert_eq!((scene.released(2), scene.gate.restarts.len()), (End::NotTried, 0));
    let mut scene = recovered();
    assert_eq!(scene.hears(1, &Heard::Examined(Unit::Down("failed".into()))), None);
    assert_eq!(scene.at(6), Some(Act::Examine));
    assert_eq!(scene.hears(6, &Heard::Examined(Unit::Down("failed".into()))), REVIVE);
}

#[test]
fn a_file_that_says_nothing_gives_everything_back() {
    let mut scene = Scene::new();
    scene.gate = Gate::unknown();
    assert_eq!(scene.at(0), Some(Act::Unhold));
    assert_eq!(scene.released(0), End::NotTried);
}

/// Every state as it is after a crash. The match is exhaustive, so a new state does not compile
/// until somebody has decided what a crash in it leaves.
#[test]
fn after_a_crash_in_any_state_everything_is_given_back() {
    let every = [
        State::Steady,
        State::Waiting { free_since: Some(at(0)) },
        State::Locking,
        State::Holding,
        State::Settling { since: at(0) },
        State::Restarting { before: Some("a".to_owned()) },
        State::RollingBack { why: "it died".to_owned() },
        State::Soaking { since: at(0), end: End::Succeeded },
        State::Releasing { end: End::NotTried },
        State::Failed { why: "it died".to_owned(), since: at(0), tries: 3 },
    ];
    assert_eq!(every.each_ref().map(State::word), State::WORDS);
    for state in every {
        let holds = match &state {
            State::Steady | State::Waiting { .. } => false,
            State::Locking
            | State::Holding
            | State::Settling { .. }
            | State::Restarting { .. }
            | State::RollingBack { .. }
            | State::Soaking { .. }
            | State::Releasing { .. }
            | State::Failed { .. } => true,
        };
        for run in ["a", "b"] {
            let (name, mut scene) = (state.word(), Scene::in_state(state.clone()));
            (scene.gate.lock, scene.gate.hold) = (holds, holds);
            scene.gate.ran =
                (!matches!(state, State::Releasing { .. }) && holds).then(Alive::default);
            let text = serde_json::to_string(&scene.gate).unwrap();
            let read: Gate = serde_json::from_str(&text).unwrap();
            assert_eq!(read, scene.gate, "{text}");
            scene.gate = read.recovered();
            scene.need = None;
            let mut restarts = 0;
            let mut act = scene.at(1000);
            for second in 1000.. {
                let heard = match act {
                    Some(Act::Examine) => runs(run),
                    Some(Act::Unhold) => Heard::Unheld(Ok(())),
                    Some(Act::Unlock(_)) => Heard::Unlocked(Ok(())),
                    Some(Act::Restart(_)) => {
                        restarts += 1;
                        Heard::Restarted(RestartEnd::Done)
                    }
                    Some(Act::Count) => Heard::Counted(Ok(Alive::default())),
                    Some(before) => panic!("{name}: {before:?}"),
                    None if scene.gate.state == State::Steady => break,
                    None => Heard::Nothing,
                };
                assert!(second < 1100, "{name} never ends: {:?}", scene.gate);
                act = scene.hears(second, &heard);
            }
            let gate = &scene.gate;
            let left = (gate.lock, gate.hold, gate.ran.as_ref(), restarts);
            assert_eq!(left, (false, false, None, 0), "{name}");
        }
    }
}
