use super::*;

const LIMITS: Limits = Limits { slots: 2, unresolved: 2 };

fn standing(holders: &[&str], attempts: &[&str]) -> Standing {
    let layout = Layout::of("ci");
    let claim = Claim {
        id: "docker".to_owned(),
        reason: "a CA".to_owned(),
        since: "2027-01-31T12:03:00Z".parse().unwrap(),
    };
    let mut standing = Standing::default();
    for id in holders {
        let node = Node { id: (*id).to_owned(), host: format!("host-{id}") };
        let value = Record::holder(&node, &claim, 2);
        standing.add(&layout, &layout.holder(id, "docker"), &value, 7);
    }
    for id in attempts {
        let node = Node { id: (*id).to_owned(), host: format!("host-{id}") };
        let value = Record::attempt(&node, &claim, 7);
        standing.add(&layout, &layout.attempt(id, "docker"), &value, 0);
    }
    standing
}

#[test]
fn there_is_room_while_fewer_hold_than_may() {
    assert_eq!(standing(&[], &[]).room("a", LIMITS), Room::Free);
    assert_eq!(standing(&["b"], &["b"]).room("a", LIMITS), Room::Free);
    let full = standing(&["b", "c"], &["b", "c"]);
    let holders = "host-b (docker since 2027-01-31 12:03:00 UTC), \
                   host-c (docker since 2027-01-31 12:03:00 UTC)";
    assert_eq!(full.room("a", LIMITS), Room::Busy { holders: holders.to_owned() });
    assert_eq!(full.room("b", LIMITS), Room::Free, "who holds one already takes no other's");
}

#[test]
fn whoever_holds_and_never_succeeds_stops_the_group() {
    let one = standing(&[], &["b"]);
    assert_eq!(one.room("a", LIMITS), Room::Free);
    let strict = Limits { unresolved: 1, ..LIMITS };
    let why = "a node took a slot and was never heard to succeed: \
               host-b (docker since 2027-01-31 12:03:00 UTC)";
    assert_eq!(one.room("a", strict), Room::Stopped { why: why.to_owned() });
    assert_eq!(one.room("b", strict), Room::Free, "it may try again: no further node breaks");
    let two = standing(&[], &["b", "c"]);
    assert!(matches!(two.room("a", LIMITS), Room::Stopped { .. }));
    let at_work = standing(&["b"], &["b", "c"]);
    assert_eq!(at_work.room("a", LIMITS), Room::Free, "an attempt under way may yet succeed");
}

#[test]
fn the_strictest_of_those_concerned_counts() {
    let more = Limits { slots: 5, ..LIMITS };
    assert!(matches!(standing(&["b", "c"], &[]).room("a", more), Room::Busy { .. }));
    let fewer = Limits { slots: 1, ..LIMITS };
    let Room::Busy { holders } = standing(&["b"], &[]).room("a", fewer) else { panic!() };
    assert!(holders.starts_with("host-b "), "{holders}");
}

#[test]
fn what_cannot_be_read_holds_its_slot_all_the_same() {
    let layout = Layout::of("ci");
    let mut standing = Standing::default();
    standing.add(&layout, b"regtrust/v1/ci/holders/b/docker", b"\xff{", 7);
    standing.add(&layout, b"regtrust/v1/ci/holders/c/docker", b"", 7);
    standing.add(&layout, b"regtrust/v1/ci/what/ever", b"", 0);
    assert_eq!(standing.holders.len(), 2);
    let Room::Busy { holders } = standing.room("a", LIMITS) else { panic!() };
    assert_eq!(holders, "b (docker), c (docker)");
}

#[test]
fn many_are_counted_and_not_all_named() {
    let many = standing(&[], &["b", "c", "d", "e", "f"]);
    let Room::Stopped { why } = many.room("a", LIMITS) else { panic!() };
    assert!(why.starts_with("5 nodes took a slot and were never heard to succeed: host-b "));
    assert!(why.ends_with(" and 2 more"), "{why}");
}

#[test]
fn a_groups_keys_are_nobody_elses() {
    let (first, end) = Layout::of("ci").range();
    let is_in = |key: Vec<u8>| key >= first && key < end;
    assert!(is_in(Layout::of("ci").holder("a", "docker")));
    for group in ["c", "ci.x", "ci-x", "ci0", "cia", "CI"] {
        assert!(!is_in(Layout::of(group).holder("a", "docker")), "{group}");
    }
}
