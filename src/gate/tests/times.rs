//! What is waited for by the clock.

use super::*;

#[test]
fn restarts_keep_their_distance_and_their_number() {
    let mut scene = Scene::alone();
    scene.rules.max_per_day = 2;
    scene.gate.restarts = vec![at(-90_000), at(-7200), at(-20)];
    assert_eq!(scene.at(0), None);
    assert_eq!((scene.keeper(), scene.wake), (Some(Gatekeeper::Budget), Some(at(10))));
    assert_eq!(scene.gate.restarts.len(), 2, "what is older than a day counts for nothing");
    assert_eq!(scene.at(10), None);
    assert_eq!(scene.wake, Some(at(86_400 - 7200)), "two within a day");
    scene.rules.max_per_day = 3;
    assert_eq!(scene.at(10), Some(Act::Look));
}

#[test]
fn nodes_that_hear_of_a_change_together_do_not_begin_together() {
    let mut scene = Scene::alone();
    scene.rules.spread = seconds(600);
    assert_eq!(scene.at(0), None);
    assert_eq!(
        (scene.keeper(), scene.wake),
        (Some(Gatekeeper::Spread), at(0).checked_add(SignedDuration::from_millis(7)).ok())
    );
    scene.need = Some(at(1));
    assert_eq!(scene.at(1), Some(Act::Look), "changes that never end do not put it off");
}

#[test]
fn what_changes_within_a_minute_costs_one_restart() {
    let mut scene = Scene::alone();
    scene.rules.gather = Rules::default().gather;
    assert_eq!(scene.at(0), None);
    assert_eq!((scene.keeper(), scene.wake), (Some(Gatekeeper::Gather), Some(at(60))));
    scene.need = Some(at(59));
    assert_eq!(scene.at(59), None);
    assert_eq!(scene.wake, Some(at(60)), "changes that never end do not put it off");
    assert_eq!(scene.at(60), Some(Act::Look));

    let mut scene = Scene::alone();
    scene.rules.gather = Rules::default().gather;
    scene.asked = Asked::Now;
    assert_eq!(scene.at(0), Some(Act::Look), "an operator who asks knows what else is to come");
}

#[test]
fn a_deadline_is_counted_from_the_first_need() {
    let mut scene = Scene::alone();
    scene.rules.deadline = Some(seconds(100));
    _ = scene.at(0);
    scene.need = Some(at(60));
    _ = scene.hears(60, &job());
    assert_eq!(scene.gate.deadline(&scene.rules), Some(at(100)));
    assert!(!scene.gate.is_overdue(&scene.rules, at(99)));
    assert!(scene.gate.is_overdue(&scene.rules, at(100)));
    assert_eq!(scene.hears(100, &job()), None, "somebody is told, and it goes on waiting");
}
