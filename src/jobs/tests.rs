mod judge;
mod parse;
mod rules;

use super::*;

fn occupant(what: &str, name: &str, since: Option<&str>) -> Occupant {
    Occupant {
        source: Source::Docker,
        what: what.to_owned(),
        name: name.to_owned(),
        since: since.map(|since| since.parse().unwrap()),
    }
}

#[test]
fn a_node_is_free_only_if_everybody_says_so() {
    assert!(Occupancy::default().is_free());
    let job = occupant("Zadig job", "build-7", None);
    assert!(!Occupancy { occupants: vec![job], unknown: vec![] }.is_free());
    assert!(!Occupancy::unknown(Source::Cri, "it does not answer").is_free());
}

#[test]
fn what_would_be_interrupted_is_named_with_its_since_and_what_is_unknown_with_its_why() {
    let one = Occupancy {
        occupants: vec![
            occupant("container", "d", None),
            occupant("container", "c", None),
            occupant("container", "b", None),
            occupant("Zadig job", "build-7", Some("2026-11-21T12:03:44Z")),
        ],
        unknown: vec![],
    };
    let told = one.clone().join(one).join(Occupancy::unknown(Source::Cri, "no answer"));
    assert_eq!(
        told.words(),
        "it would interrupt Zadig job `build-7` (since 2026-11-21 12:03 UTC), container `b`, \
         container `c`, 1 more; which pods run is not known: no answer"
    );
    assert_eq!(
        Occupancy::unknown(Source::Builds, "no answer").words(),
        "whether an image is being built is not known: no answer"
    );
    assert_eq!(Occupancy::default().words(), "");
}
