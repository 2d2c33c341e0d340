//! What is remembered of earlier times, and for how long.

use super::*;
use crate::generation::KEPT;

#[test]
fn a_comment_above_an_entry_makes_no_generation() {
    let mut tree = Tree::with(&["a.corp"]);
    let text = tree.text(DECLARATIONS).unwrap();
    tree.write(DECLARATIONS, &format!("# about a.corp\n\n{text}"));
    assert!(!tree.survey().unwrap().has_changes());
    tree.apply();
    assert_eq!(tree.generations(), [1]);
}

#[test]
fn a_generation_says_what_differs_from_the_one_before() {
    let mut tree = Tree::with(&["a.corp", "b.corp"]);
    tree.declare(&["b.corp", "c.corp"]);
    tree.apply();
    let line =
        |number| state::read_generation(&tree.root, number).unwrap().unwrap().value.summary.line();
    assert_eq!((line(1), line(2)), ("+a.corp +b.corp".to_owned(), "+c.corp -a.corp".to_owned()));
}

#[test]
fn the_oldest_generations_and_their_keys_are_forgotten() {
    let mut tree = Tree::new();
    tree.declare(&["key.corp"]);
    let pair = "client_cert_file = \"client.pem\"\nclient_key_file = \"client.key\"\n";
    let with_key = tree.text(DECLARATIONS).unwrap() + pair;
    tree.write(DECLARATIONS, &with_key);
    tree.apply();
    assert_eq!(tree.keys(), 1);
    for number in 2..=KEPT {
        tree.declare(&[&format!("r{number}.corp")]);
        tree.apply();
    }
    assert_eq!((tree.generations().len() as u64, tree.keys()), (KEPT, 1));
    tree.declare(&["last.corp"]);
    tree.apply();
    assert_eq!(tree.generations(), (2..=KEPT + 1).collect::<Vec<_>>());
    assert_eq!(tree.keys(), 0, "a key is erased with the last generation that needs it");
}

#[test]
fn while_the_node_is_pinned_nothing_is_forgotten() {
    let mut tree = Tree::with(&["a.corp"]);
    tree.declare(&["a.corp", "b.corp"]);
    tree.apply();
    tree.pin(1);
    tree.apply();
    for number in 0..=KEPT {
        // Withdrawals go through while the node is pinned, and each is a generation.
        tree.declare(if number % 2 == 0 { &[] } else { &["a.corp"] });
        tree.apply();
    }
    assert_eq!(tree.generations().first(), Some(&1));
    tree.options.pin = PinChange::Release;
    tree.declare(&["c.corp"]);
    tree.apply();
    assert!(!tree.generations().contains(&1));
}

#[test]
fn a_pin_ends_by_itself() {
    let mut tree = Tree::with(&["a.corp"]);
    tree.declare(&["a.corp", "b.corp"]);
    tree.apply();
    tree.pin(1);
    tree.apply();
    assert!(!tree.has_ca("b.corp") && tree.survey().unwrap().pin.is_some());
    tree.options.now = tree.options.now.checked_add(SignedDuration::from_hours(24)).unwrap();
    tree.apply();
    assert!(tree.has_ca("b.corp") && tree.survey().unwrap().pin.is_none());
    assert_eq!(tree.text("var/lib/regtrust/pin.json"), None);
}

#[test]
fn a_pin_does_not_bring_a_withdrawn_key_back() {
    let mut tree = Tree::new();
    tree.declare(&["key.corp"]);
    let pair = "client_cert_file = \"client.pem\"\nclient_key_file = \"client.key\"\n";
    let with_key = tree.text(DECLARATIONS).unwrap() + pair;
    tree.write(DECLARATIONS, &with_key);
    tree.apply();
    tree.declare(&["key.corp"]);
    tree.apply();
    let key = "etc/docker/certs.d/key.corp/client.key";
    assert_eq!(tree.text(key), None);
    tree.pin(1);
    tree.apply();
    assert_eq!(tree.text(key).as_deref().map(str::trim), Some(KEY.trim()), "still declared");
    tree.declare(&[]);
    tree.apply();
    assert_eq!(tree.text(key), None, "a withdrawal is never rolled back");
}
