use super::*;
use crate::trust::declaration::LOCAL;
use crate::trust::entry::Trust;
use crate::trust::findings::{Findings, Place};

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

fn host(name: &str) -> RegistryHost {
    name.parse().unwrap()
}

fn entry(name: &str, file: &str, trust: Trust) -> Entry {
    Entry {
        host: host(name),
        trust,
        client: None,
        system_store: false,
        reason: None,
        until: None,
        runtimes: None,
        mirrors: Vec::new(),
        fallback: true,
        origin: Origin { owner: LOCAL.into(), file: file.into(), line: 3 },
    }
}

fn until(entry: Entry, until: &str) -> Entry {
    Entry { until: Some(until.parse().unwrap()), ..entry }
}

fn file(name: &str, entries: &[Entry]) -> Declarations {
    let entries = entries.iter().cloned().map(Arc::new).collect();
    Declarations { file: name.into(), entries, ..Declarations::default() }
}

fn broken(name: &str) -> Declarations {
    let mut findings = Findings::new(name);
    findings.error(Place::default(), "", "is broken");
    Declarations::broken(findings)
}

fn unusable(name: &str, file: &str) -> Declarations {
    let mut findings = Findings::new(file);
    findings.error(Place { line: 5, column: 1 }, "trust", "is missing");
    let problems = findings.into_problems(Some(&host(name)));
    let origin = Origin { owner: LOCAL.into(), file: file.into(), line: 5 };
    let one = Unusable { host: host(name), origin, problem: problems[0].clone() };
    Declarations { file: file.into(), unusable: vec![one], problems, ..Declarations::default() }
}

fn messages(state: &DesiredState) -> Vec<String> {
    state.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn the_later_file_wins_the_whole_entry_and_says_so() {
    let (early, late) =
        (entry("a.corp", "/10", Trust::Http), entry("a.corp", "/20", Trust::System));
    let other = entry("b.corp", "/10", Trust::System);
    let state = DesiredState::merge(
        vec![file("/10", &[early, other.clone()]), file("/20", std::slice::from_ref(&late))],
        now(),
    );
    assert_eq!(
        state.entries,
        [(host("a.corp"), late.into()), (host("b.corp"), other.into())].into()
    );
    assert_eq!(
        messages(&state),
        [
            "/10:3: host: `a.corp` is declared in `/20:3` too, which wins: its name is later (remove \
          one of the two)"
        ]
    );
    assert_eq!(state.problems[0].severity, Severity::Warning);
}

#[test]
fn an_exception_that_has_ended_gives_way() {
    let base = entry("a.corp", "/10", Trust::System);
    let exception = entry("a.corp", "/90", Trust::Insecure);
    for (end, in_force, message) in [
        ("2026-05-31T23:59:59Z", &base, "until: ended at 2026-05-31T23:59:59Z, so it is not"),
        ("2026-06-01T00:00:00Z", &base, "until: ended at 2026-06-01T00:00:00Z, so it is not"),
        ("2026-06-01T00:00:01Z", &exception, "until: ends at 2026-06-01T00:00:01Z, and is removed"),
        ("2026-06-08T00:00:00Z", &exception, "until: ends at 2026-06-08T00:00:00Z, and is removed"),
    ] {
        let exception = until(exception.clone(), end);
        let files = vec![file("/10", std::slice::from_ref(&base)), file("/90", &[exception])];
        let state = DesiredState::merge(files, now());
        assert_eq!(state.entries[&host("a.corp")].origin, in_force.origin, "{end}");
        assert_eq!(state.ended, BTreeMap::new());
        assert!(messages(&state).iter().any(|one| one.contains(message)), "{state:?}");
    }
    let ended = until(exception.clone(), "2026-05-01T00:00:00Z");
    let state = DesiredState::merge(vec![file("/90", std::slice::from_ref(&ended))], now());
    assert_eq!((state.entries.len(), state.ended), (0, [(host("a.corp"), ended.into())].into()));
    let far = until(exception, "2026-06-08T00:00:01Z");
    assert_eq!(DesiredState::merge(vec![file("/90", &[far])], now()).problems, []);
}

#[test]
fn a_mistake_in_the_winning_file_does_not_bring_the_losing_one_into_force() {
    let base = entry("a.corp", "/10", Trust::Insecure);
    let early = file("/10", std::slice::from_ref(&base));
    let state = DesiredState::merge(vec![early.clone(), unusable("a.corp", "/90")], now());
    assert_eq!(state.entries, BTreeMap::new());
    assert_eq!(state.unusable[&host("a.corp")].origin.file, "/90".into());

    let state = DesiredState::merge(vec![unusable("a.corp", "/05"), early], now());
    assert_eq!(*state.entries[&host("a.corp")], base);
    assert_eq!(state.unusable, BTreeMap::new());
}

#[test]
fn only_what_cannot_be_told_keeps_an_entry_in_force() {
    let in_force = entry("a.corp", "/d/50", Trust::System);
    let elsewhere = |name: &str| file(name, &[entry("a.corp", name, Trust::Http)]);
    let kept = |files: Vec<Declarations>, in_force: &Entry| {
        DesiredState::merge(files, now()).keeps(in_force, now()).map(|keep| match keep {
            Keep::Unusable(problem) => problem.message.clone(),
            Keep::Broken(file) => file.to_owned(),
        })
    };
    for (why, files, expected) in [
        ("it is gone", vec![], None),
        ("its file is gone from it", vec![file("/d/50", &[])], None),
        ("it is declared", vec![elsewhere("/d/50")], None),
        ("its declaration has a mistake", vec![unusable("a.corp", "/d/50")], Some("is missing")),
        (
            "its declaration elsewhere has a mistake",
            vec![unusable("a.corp", "/e")],
            Some("is missing"),
        ),
        ("another entry has a mistake", vec![unusable("b.corp", "/d/50")], None),
        ("its file is broken", vec![broken("/d/50")], Some("/d/50")),
        ("another file is broken", vec![broken("/d/5")], None),
        ("its directory is unreadable", vec![broken("/d")], Some("/d")),
        (
            "an earlier file would take over",
            vec![elsewhere("/d/10"), broken("/d/50")],
            Some("/d/50"),
        ),
        ("a later file wins anyway", vec![broken("/d/50"), elsewhere("/d/90")], None),
    ] {
        assert_eq!(kept(files, &in_force).as_deref(), expected, "{why}");
    }

    let partly = Declarations { broken: true, ..elsewhere("/d/50") };
    assert_eq!(kept(vec![partly], &in_force), None, "it is there, whatever else the file says");
    let ended = until(in_force.clone(), "2026-06-01T00:00:00Z");
    assert_eq!(kept(vec![broken("/d/50")], &ended), None, "a broken file does not prolong it");
    let over = until(in_force.clone(), "2026-05-01T00:00:00Z");
    let partly =
        |name: &str| Declarations { broken: true, ..file(name, std::slice::from_ref(&over)) };
    assert_eq!(kept(vec![partly("/d/50")], &in_force), None, "its end was brought forward");
    let mut pushed = in_force;
    pushed.origin = crate::pushed::origin(&crate::owners::OwnerName::parse("fleet").unwrap());
    let own = pushed.origin.file.clone();
    assert_eq!(kept(vec![broken(&own)], &pushed), Some(own.to_string()), "its own set is damaged");
    assert_eq!(kept(vec![broken("/d/50")], &pushed), None, "files say nothing of other owners");
}
