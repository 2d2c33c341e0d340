use super::*;
use crate::trust::entry::Trust;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + 60 * minute).unwrap()
}

fn owner() -> OwnerName {
    OwnerName::parse("zadig").unwrap()
}

fn entry(host: &str) -> Arc<Entry> {
    Arc::new(Entry {
        host: host.parse().unwrap(),
        trust: Trust::System,
        client: None,
        system_store: false,
        reason: None,
        until: None,
        runtimes: None,
        mirrors: vec![],
        fallback: true,
        origin: origin(&owner()),
    })
}

#[derive(Default)]
struct Node(BTreeMap<OwnerName, PushedSet>);

impl Node {
    fn push(&mut self, push: &Push, minute: i64) -> Result<(), PushError> {
        self.0 = Pushed::after(self.0.clone(), Some(push), at(minute))?.sets;
        Ok(())
    }

    fn apply(
        &mut self,
        hosts: &[&str],
        expected: Option<u64>,
        try_for: Option<u32>,
        minute: i64,
    ) -> Result<u64, PushError> {
        let entries = hosts.iter().map(|host| entry(host)).collect();
        self.push(&Push::Replace { owner: owner(), entries, expected, try_for }, minute)?;
        Ok(self.set().revision)
    }

    fn wait(&mut self, minute: i64) {
        self.0 = Pushed::after(self.0.clone(), None, at(minute)).unwrap().sets;
    }

    fn set(&self) -> &PushedSet {
        &self.0[&owner()]
    }

    fn hosts(&self) -> Vec<&str> {
        self.set().entries.iter().map(|entry| entry.host.as_str()).collect()
    }
}

#[test]
fn the_same_set_in_another_order_keeps_its_revision() {
    let mut node = Node::default();
    assert_eq!(node.apply(&["b.corp", "a.corp"], Some(0), None, 0), Ok(1));
    let before = node.set().clone();
    assert_eq!(node.apply(&["a.corp", "b.corp"], Some(1), None, 5), Ok(1));
    assert_eq!(*node.set(), before, "not even its time changes");
    assert_eq!(node.apply(&["a.corp"], None, None, 6), Ok(2));
    assert_eq!(node.hosts(), ["a.corp"]);
}

#[test]
fn a_client_that_has_not_seen_the_last_change_changes_nothing() {
    let mut node = Node::default();
    node.apply(&["a.corp"], None, None, 0).unwrap();
    for expected in [0, 2] {
        let refused = node.apply(&[], Some(expected), None, 1);
        assert_eq!(refused, Err(PushError::Revision { owner: owner(), expected, found: 1 }));
    }
    assert_eq!(node.hosts(), ["a.corp"]);
}

#[test]
fn a_trial_is_taken_back_after_its_time_in_force_and_not_before() {
    let mut node = Node::default();
    node.apply(&["a.corp"], None, None, 0).unwrap();
    node.apply(&["b.corp"], None, Some(120), 1).unwrap();
    node.wait(1000);
    assert_eq!(node.hosts(), ["b.corp"], "it never was in force, so its clock stands still");
    node.push(&Push::InForce, 1000).unwrap();
    node.push(&Push::InForce, 1001).unwrap();
    node.wait(1001);
    assert_eq!(node.hosts(), ["b.corp"]);
    node.wait(1002);
    assert_eq!((node.hosts(), node.set().revision), (vec!["a.corp"], 3));
    assert_eq!(node.set().trial, None);
}

#[test]
fn a_confirmed_trial_stays() {
    let mut node = Node::default();
    node.apply(&["b.corp"], None, Some(60), 0).unwrap();
    let wrong = Push::Confirm { owner: owner(), revision: 2 };
    assert_eq!(node.push(&wrong, 0), Err(PushError::NoTrial { owner: owner(), revision: 2 }));
    node.push(&Push::Confirm { owner: owner(), revision: 1 }, 0).unwrap();
    node.push(&Push::InForce, 0).unwrap();
    node.wait(1000);
    assert_eq!(node.hosts(), ["b.corp"]);
    let again = Push::Confirm { owner: owner(), revision: 1 };
    assert_eq!(node.push(&again, 1), Err(PushError::NoTrial { owner: owner(), revision: 1 }));
}

/// What was never confirmed is nothing to go back to.
#[test]
fn a_trial_upon_a_trial_goes_back_to_what_was_confirmed() {
    let mut node = Node::default();
    node.apply(&["a.corp"], None, None, 0).unwrap();
    node.apply(&["b.corp"], None, Some(60), 1).unwrap();
    node.apply(&["c.corp"], None, Some(60), 2).unwrap();
    node.push(&Push::InForce, 3).unwrap();
    node.wait(4);
    assert_eq!(node.hosts(), ["a.corp"]);
}

#[test]
fn the_same_set_again_without_a_trial_confirms_it() {
    let mut node = Node::default();
    node.apply(&["b.corp"], None, Some(60), 0).unwrap();
    assert_eq!(node.apply(&["b.corp"], None, None, 0), Ok(1));
    assert_eq!(node.set().trial, None);
}
