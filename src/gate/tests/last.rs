//! The last look before a restart, and the first ones after it.

use super::*;

/// Nobody was sent away and no other node waited, so it need not rest as if they had; but what
/// begins again and again is not looked at again and again.
#[test]
fn a_turn_that_nobody_felt_is_tried_again_soon_and_then_later() {
    let mut scene = Scene::alone();
    scene.has_hold = true;
    let mut now = 0;
    for pause in [5, 10, 20, 40] {
        assert_eq!(scene.at(now), Some(Act::Look));
        assert_eq!(scene.hears(now, &free()), None);
        assert_eq!(scene.hears(now + 30, &free()), Some(Act::Hold));
        let nothing = Heard::Held(HoldAnswer::Nothing);
        assert_eq!(scene.hears(now + 30, &nothing), Some(Act::Listen));
        assert_eq!(scene.hears(now + 30, &Heard::Listens(Ok(()))), None);
        assert_eq!(scene.hears(now + 45, &job()), None);
        assert_eq!(scene.gate.state, State::Steady, "nothing is held, so nothing is given back");
        assert_eq!(scene.at(now + 45), None);
        assert_eq!(scene.keeper(), Some(Gatekeeper::Rest));
        let rested = scene.wake.unwrap().duration_since(at(now + 45)).as_secs();
        assert!((pause..=pause + pause / 4).contains(&rested), "{rested} instead of {pause}");
        now += 45 + rested;
    }
}

/// What a look may have missed is looked for again, and not for ever.
#[test]
fn what_begins_between_the_look_and_the_restart_is_looked_for() {
    let stale = Heard::Looked(Box::new(Look { is_stale: true, ..Look::default() }));
    let mut scene = Scene::new().settled();
    assert_eq!(scene.hears(47, &stale), Some(Act::Look));
    assert_eq!(scene.hears(48, &free()), LEAVE);
    let mut scene = Scene::new().settled();
    assert_eq!(scene.hears(47, &stale), Some(Act::Look));
    assert_eq!(scene.hears(48, &job()), Some(Act::Unhold));
    let mut scene = Scene::new().settled();
    assert_eq!(scene.hears(76, &stale), Some(Act::Look));
    assert_eq!(scene.hears(77, &stale), Some(Act::Unhold));
    assert_eq!(scene.keeper(), Some(Gatekeeper::Busy));
    let mut scene = Scene::in_state(State::Settling { since: at(0) });
    assert_eq!(scene.hears(5, &Heard::Stirred), Some(Act::Look), "before it would be time");
    assert_eq!(scene.hears(5, &free()), None);
    assert_eq!(scene.wake, Some(at(15)));
    assert_eq!(scene.hears(6, &Heard::Stirred), Some(Act::Look));
    assert_eq!(scene.hears(6, &job()), Some(Act::Unhold), "others need not wait for the end of it");
}

/// A runtime that does not start again is worse than one that waits.
#[test]
fn what_would_go_wrong_is_not_begun() {
    let look = |fitness| Heard::Looked(Box::new(Look { fitness, ..Look::default() }));
    let not_now = look(Fitness::NotNow("packages are being installed".to_owned()));
    let never = look(Fitness::Never("daemon.json is no JSON".to_owned()));
    for heard in [&not_now, &never] {
        let mut scene = Scene::new().settled();
        assert_eq!(scene.hears(47, heard), Some(Act::Unhold));
        assert_eq!(scene.keeper(), Some(Gatekeeper::Check));
    }
    for (heard, order) in [(&not_now, LEAVE), (&never, None)] {
        let mut scene = Scene::new();
        scene.asked = Asked::Now;
        assert_eq!(scene.at(0), Some(Act::Look));
        assert_eq!(
            scene.hears(0, heard),
            order,
            "an operator can want the one, and nobody the other"
        );
    }
}

#[test]
fn where_nobody_hears_what_begins_nothing_is_restarted() {
    let mut scene = Scene::in_state(State::Settling { since: at(0) });
    let deaf = Heard::Listens(Err("no answer".to_owned()));
    assert_eq!(scene.hears(0, &deaf), Some(Act::Unhold));
    assert_eq!(scene.keeper(), Some(Gatekeeper::Unknown));
    scene = Scene::in_state(State::Settling { since: at(0) });
    scene.asked = Asked::Now;
    assert_eq!(scene.hears(0, &deaf), Some(Act::Look), "an operator waits for nobody");
}

fn alive(units: &[&str]) -> Alive {
    let units = units.iter().map(|unit| (*unit).to_owned()).collect();
    Alive { units, ..Alive::default() }
}

/// A restart that is over, and before which a unit was active.
fn counting() -> Scene {
    let mut scene = Scene::new().settled();
    let run = Some("a".to_owned());
    let look = Look { run, alive: Some(alive(&["shop.service"])), ..Look::default() };
    assert_eq!(scene.hears(47, &Heard::Looked(Box::new(look))), LEAVE);
    assert_eq!(scene.hears(50, &Heard::Restarted(RestartEnd::Done)), None);
    scene.need = None;
    assert_eq!(scene.at(70), Some(Act::Examine));
    assert_eq!(scene.hears(70, &runs("b")), Some(Act::Count));
    scene
}

#[test]
fn what_ran_before_has_to_run_again() {
    let mut scene = counting();
    assert_eq!(scene.hears(70, &Heard::Counted(Ok(alive(&[])))), None);
    let words = "it waits for all to run again that ran before: shop.service is not active";
    assert_eq!(scene.block.as_ref().unwrap().words, words);
    assert!(scene.gate.lock, "the next node would pay the same");
    assert_eq!(scene.at(75), Some(Act::Examine));
    assert_eq!(scene.hears(75, &runs("b")), Some(Act::Count));
    assert_eq!(scene.hears(75, &Heard::Counted(Ok(alive(&["shop.service"])))), Some(Act::Unhold));
    assert_eq!((scene.released(76), scene.gate.lost.as_ref()), (End::Succeeded, None));
    assert_eq!(scene.gate.ran, None);
}

#[test]
fn what_a_restart_has_cost_is_said_until_the_next_one() {
    for counted in [Ok(alive(&[])), Err("no answer".to_owned())] {
        let mut scene = counting();
        assert_eq!(scene.hears(129, &Heard::Counted(counted.clone())), None);
        assert_eq!(scene.hears(130, &Heard::Counted(counted)), Some(Act::Unhold));
        assert_eq!(scene.released(131), End::Failed, "the fleet is told that it went wrong");
        assert_eq!(scene.gate.lost.as_ref().unwrap().what.len(), 1);
        let mut next = counting();
        next.gate.lost = scene.gate.lost;
        _ = next.hears(70, &Heard::Counted(Ok(alive(&["shop.service"]))));
        assert_eq!(next.gate.lost, None);
    }
}

/// Somebody may have begun since it was asked.
#[test]
fn an_answer_that_was_long_on_its_way_is_not_believed() {
    let asked = as_of(at(47), &free());
    assert_eq!(Scene::new().settled().hears_late(57, &asked), LEAVE);
    let mut scene = Scene::new().settled();
    assert_eq!(scene.hears_late(58, &asked), Some(Act::Unhold));
    assert_eq!(scene.keeper(), Some(Gatekeeper::Unknown));
    let mut scene = Scene::new().settled();
    scene.asked = Asked::Now;
    assert_eq!(scene.hears_late(58, &asked), LEAVE, "an operator waits for nobody");
}
