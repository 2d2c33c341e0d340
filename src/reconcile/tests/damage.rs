//! State that is damaged, lost, or somebody else's: said with its cure, or mended.

use super::*;

#[test]
fn a_newer_ledger_is_refused_and_nothing_is_touched() {
    let mut tree = Tree::with(&["a.corp"]);
    let text = tree.text("var/lib/regtrust/ledger.json").unwrap();
    let newer = text.replacen("\"format\":1", "\"format\":2,\"more\":true", 1);
    tree.write("var/lib/regtrust/ledger.json", &newer);
    tree.declare(&[]);
    let (message, _) = said(tree.try_apply());
    let expected = "`/var/lib/regtrust/ledger.json` has format 2, and this regtrust knows 1: it was \
                    written by a newer version; use that one";
    assert_eq!(message, expected);
    assert!(tree.has_ca("a.corp"));
    assert_eq!(tree.text("var/lib/regtrust/ledger.json"), Some(newer));
}

#[test]
fn a_damaged_state_file_is_named_with_its_cure() {
    for (file, cure) in [
        ("ledger.json", "restore it from a backup, or move it away"),
        ("pin.json", "`regtrust rollback --release` follows"),
    ] {
        let tree = Tree::with(&["a.corp"]);
        tree.write(&format!("{STATE}/{file}"), "{\"format\":1");
        let (message, hint) = said(tree.survey());
        assert_eq!(message, format!("`/{STATE}/{file}` is damaged"));
        assert!(hint.unwrap().starts_with(cure), "{file}");
    }
}

#[test]
fn a_damaged_pin_is_released_by_its_own_cure() {
    let mut tree = Tree::with(&["a.corp"]);
    tree.write("var/lib/regtrust/pin.json", "{");
    tree.options.pin = PinChange::Release;
    tree.apply();
    assert_eq!(tree.text("var/lib/regtrust/pin.json"), None);
}

/// The files say what is ours no more, but they are what is wanted, so nothing is in the way.
#[test]
fn a_lost_ledger_is_begun_anew_beside_the_old_generations() {
    let mut tree = Tree::with(&["a.corp"]);
    tree.remove("var/lib/regtrust/ledger.json");
    let survey = tree.apply();
    assert_eq!((tree.generations(), survey.plan.ledger.generation), (vec![1, 2], 2));
    assert!(survey.plan.conflicts.is_empty() && survey.plan.ledger.files.is_empty());
    tree.options.adopt = [survey.effective.entries.into_keys().next().unwrap()].into();
    assert_eq!(tree.apply().plan.ledger.files.len(), 1);
}

#[test]
fn the_record_of_what_is_in_force_is_written_again_when_it_is_lost() {
    let mut tree = Tree::with(&["a.corp"]);
    tree.remove(&Tree::generation(1));
    assert_eq!(tree.apply().plan.ledger.generation, 2);
    assert_eq!(tree.generations(), [2]);
    assert!(!tree.apply().has_changes());
}

#[test]
fn what_is_held_by_a_lost_record_is_an_error_with_a_cure() {
    let mut tree = Tree::with(&["a.corp"]);
    tree.remove(&Tree::generation(1));
    let right = tree.text(DECLARATIONS).unwrap();
    tree.write(DECLARATIONS, "[[");
    let (message, hint) = said(tree.try_apply());
    let expected = "a declaration or the policy cannot be used, and what is in force meanwhile is \
                    not known: `/var/lib/regtrust/generations/1.json` is missing";
    assert_eq!(message, expected);
    assert!(hint.unwrap().starts_with("correct what `regtrust lint` reports"));
    assert!(tree.has_ca("a.corp"));
    tree.write(DECLARATIONS, &right);
    tree.apply();
    tree.write(DECLARATIONS, "[[");
    tree.apply();
    assert!(tree.has_ca("a.corp"), "the record was written anew");
}

#[test]
fn a_pin_to_a_lost_generation_can_be_released() {
    let mut tree = Tree::with(&["a.corp"]);
    tree.declare(&["a.corp", "b.corp"]);
    tree.apply();
    tree.pin(1);
    tree.apply();
    tree.remove(&Tree::generation(1));
    let (message, hint) = said(tree.survey());
    assert_eq!(message, "the node is pinned to generation 1, which is not kept any more");
    let cure = "`regtrust rollback --release` follows the declarations again";
    assert_eq!(hint.as_deref(), Some(cure));
    tree.options.pin = PinChange::Release;
    tree.apply();
    assert!(tree.has_ca("b.corp"));
}

#[test]
fn a_damaged_generation_keeps_nothing_from_being_changed_or_forgotten() {
    let mut tree = Tree::with(&["a.corp"]);
    tree.write(&Tree::generation(1), "{");
    for number in 0..=crate::generation::KEPT {
        tree.declare(&[&format!("r{number}.corp")]);
        tree.apply();
    }
    assert!(!tree.has_ca("a.corp") && !tree.generations().contains(&1));
}

#[test]
fn a_generation_with_an_impossible_number_is_no_trouble() {
    let mut tree = Tree::with(&["a.corp"]);
    tree.write(&Tree::generation(u64::MAX - 5), "{}");
    tree.declare(&["b.corp"]);
    tree.apply();
    assert!(tree.has_ca("b.corp"));
}

#[test]
fn an_altered_blob_is_not_restored() {
    let mut tree = Tree::with(&["a.corp"]);
    let record = tree.text(&Tree::generation(1)).unwrap();
    let other = crate::plan::fixtures::CA_B.replace('\n', "\\n");
    let start = record.find("-----BEGIN").unwrap();
    let end =
        record.find("-----END CERTIFICATE-----\\n").unwrap() + "-----END CERTIFICATE-----\\n".len();
    tree.write(&Tree::generation(1), &format!("{}{other}{}", &record[..start], &record[end..]));
    tree.write(DECLARATIONS, "[[");
    let (message, hint) = said(tree.try_apply());
    assert_eq!(message, "generation 1 cannot be restored");
    assert!(hint.is_some() && tree.has_ca("a.corp"));
}
