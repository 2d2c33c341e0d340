use super::*;
use crate::trust::declaration::{Declarations, Unusable};
use crate::trust::entry::{Origin, Trust};
use crate::trust::findings::{Findings, Place};
use crate::trust::policy::parse_policy;

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

fn host(name: &str) -> RegistryHost {
    name.parse().unwrap()
}

fn entry(name: &str, trust: Trust) -> Entry {
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
        origin: Origin { owner: "local".into(), file: "/a.toml".into(), line: 3 },
    }
}

fn until(entry: Entry, until: &str) -> Entry {
    Entry { until: Some(until.parse().unwrap()), ..entry }
}

fn file(name: &str, entries: Vec<Entry>) -> Declarations {
    let entries = entries.into_iter().map(Arc::new).collect();
    Declarations { file: name.to_owned(), entries, ..Declarations::default() }
}

fn declared(entries: Vec<Entry>) -> DesiredState {
    DesiredState::merge(vec![file("/a.toml", entries)], now())
}

/// A file with nothing that can be understood.
fn broken(name: &str) -> Declarations {
    let mut findings = Findings::new(name);
    findings.error(Place::default(), "", "is no TOML");
    Declarations::broken(findings)
}

fn unusable(name: &str) -> DesiredState {
    let mut findings = Findings::new("/a.toml");
    findings.error(Place { line: 3, column: 1 }, "trust", "is missing");
    let problem = findings.into_problems(Some(&host(name))).remove(0);
    let origin = entry(name, Trust::System).origin;
    let unusable = vec![Unusable { host: host(name), origin, problem }];
    let file = Declarations { file: "/a.toml".to_owned(), unusable, ..Declarations::default() };
    DesiredState::merge(vec![file], now())
}

fn earlier(number: u64, entries: Vec<Entry>) -> Earlier {
    let entries = entries.into_iter().map(|entry| (entry.host.clone(), Arc::new(entry))).collect();
    Earlier { number, entries }
}

fn policy(text: &str) -> Policy {
    parse_policy(text, "/p.toml").unwrap_or_else(Policy::broken)
}

fn anything() -> Policy {
    Policy::without_file()
}

/// What is in force afterwards, as `host trust`, and how each registry stands.
fn decide(
    desired: &DesiredState,
    policy: &Policy,
    in_force: &Earlier,
    pin: Option<&Earlier>,
) -> (Vec<String>, Vec<Standing>) {
    let effective = effective(desired, policy, in_force, pin, now());
    let words = effective.entries.values().map(|e| format!("{} {}", e.host, e.trust.word()));
    (words.collect(), effective.standing.into_values().collect())
}

fn nothing() -> Earlier {
    Earlier::default()
}

#[test]
fn what_is_declared_and_allowed_is_in_force() {
    let desired = declared(vec![entry("a.corp", Trust::Http), entry("b.corp", Trust::System)]);
    let (entries, standing) = decide(&desired, &anything(), &nothing(), None);
    assert_eq!(entries, ["a.corp http", "b.corp system"]);
    assert_eq!(standing, [Standing::Declared, Standing::Declared]);
}

#[test]
fn the_policy_takes_away_what_it_refuses_whatever_was_in_force() {
    let desired = declared(vec![entry("a.corp", Trust::Http)]);
    let in_force = earlier(4, vec![entry("a.corp", Trust::Http)]);
    let (entries, standing) = decide(&desired, &policy("insecure = false"), &in_force, None);
    assert_eq!(entries, [""; 0]);
    let [Standing::Refused(refusals)] = &standing[..] else { panic!("{standing:?}") };
    assert_eq!(
        (refusals[0].rule, refusals[0].location.to_string().as_str()),
        ("insecure", "/p.toml:1:12")
    );
}

#[test]
fn while_the_policy_is_broken_nothing_is_added_or_changed_and_withdrawal_works() {
    let broken = policy("alow = []");
    let in_force = earlier(
        4,
        vec![
            entry("changed.corp", Trust::System),
            entry("gone.corp", Trust::Http),
            until(entry("over.corp", Trust::Http), "2026-05-01T00:00:00Z"),
        ],
    );
    let desired = declared(vec![
        entry("changed.corp", Trust::Http),
        entry("new.corp", Trust::System),
        entry("over.corp", Trust::Http),
    ]);
    let (entries, standing) = decide(&desired, &broken, &in_force, None);
    assert_eq!(entries, ["changed.corp system"]);
    let why = "the node's policy cannot be read, so nothing is added or changed".to_owned();
    let unusable = Standing::Unusable(why.clone());
    assert_eq!(standing, [Standing::Held(why), unusable.clone(), unusable]);
}

#[test]
fn while_the_policy_is_broken_a_pin_changes_nothing() {
    let in_force = earlier(4, vec![entry("a.corp", Trust::System)]);
    let pin = earlier(2, vec![entry("a.corp", Trust::Insecure)]);
    let desired = declared(vec![entry("a.corp", Trust::System)]);
    let (entries, _) = decide(&desired, &policy("["), &in_force, Some(&pin));
    assert_eq!(entries, ["a.corp system"]);
}

#[test]
fn a_declaration_with_a_mistake_holds_what_is_in_force() {
    let in_force = earlier(4, vec![entry("a.corp", Trust::Http)]);
    let (entries, standing) = decide(&unusable("a.corp"), &anything(), &in_force, None);
    assert_eq!(
        (entries, standing),
        (vec!["a.corp http".to_owned()], vec![Standing::Held("is missing".to_owned())])
    );
    let (entries, standing) = decide(&unusable("a.corp"), &anything(), &nothing(), None);
    assert_eq!((entries, standing), (vec![], vec![Standing::Unusable("is missing".to_owned())]));
}

#[test]
fn what_is_held_is_judged_again() {
    let in_force = earlier(4, vec![entry("a.corp", Trust::Http)]);
    let strict = policy("insecure = false");
    let (entries, standing) = decide(&unusable("a.corp"), &strict, &in_force, None);
    assert_eq!(entries, [""; 0]);
    assert!(matches!(&standing[..], [Standing::Refused(_)]), "{standing:?}");

    let ended = until(entry("a.corp", Trust::Http), "2026-06-01T00:00:00Z");
    let (entries, _) = decide(&unusable("a.corp"), &anything(), &earlier(4, vec![ended]), None);
    assert_eq!(entries, [""; 0], "a mistake does not prolong an exception");
}

#[test]
fn a_file_that_cannot_be_understood_holds_what_came_from_it() {
    let mut other = entry("b.corp", Trust::Http);
    other.origin.file = "/b.toml".into();
    let in_force = earlier(4, vec![entry("a.corp", Trust::Http), other]);
    let desired = DesiredState::merge(vec![broken("/a.toml"), file("/b.toml", vec![])], now());
    let (entries, standing) = decide(&desired, &anything(), &in_force, None);
    assert_eq!(entries, ["a.corp http"], "b.corp is gone from a file that can be read");
    assert_eq!(standing, [Standing::Held("`/a.toml` cannot be understood".to_owned())]);
}

/// The later file cannot be understood, and what was in force from it is refused now. What an
/// earlier file says must not slip in under that standing.
#[test]
fn what_is_said_last_of_a_registry_counts_alone() {
    let mut weaker = entry("a.corp", Trust::System);
    weaker.origin.file = "/0.toml".into();
    let files = vec![file("/0.toml", vec![weaker]), broken("/a.toml")];
    let desired = DesiredState::merge(files, now());
    let in_force = earlier(4, vec![entry("a.corp", Trust::Http)]);
    let (entries, standing) = decide(&desired, &policy("insecure = false"), &in_force, None);
    assert!(matches!(&standing[..], [Standing::Refused(_)]), "{standing:?}");
    assert_eq!(entries, [""; 0]);
    let (entries, _) = decide(&desired, &anything(), &in_force, None);
    assert_eq!(entries, ["a.corp http"]);
}

#[test]
fn a_pin_brings_back_what_is_still_declared_as_it_was() {
    let pin = earlier(2, vec![entry("a.corp", Trust::Http), entry("gone.corp", Trust::Http)]);
    let desired = declared(vec![entry("a.corp", Trust::System), entry("new.corp", Trust::System)]);
    let (entries, standing) = decide(&desired, &anything(), &nothing(), Some(&pin));
    assert_eq!(entries, ["a.corp http"], "a withdrawal is never rolled back");
    assert_eq!(standing, [Standing::Pinned(2), Standing::PinnedOut(2)]);
}

#[test]
fn what_a_pin_brings_back_must_pass_today() {
    let over = until(entry("a.corp", Trust::Http), "2026-05-31T00:00:00Z");
    let desired = declared(vec![entry("a.corp", Trust::System)]);
    let (entries, standing) =
        decide(&desired, &anything(), &nothing(), Some(&earlier(2, vec![over])));
    let ended = Standing::Ended("2026-05-31T00:00:00Z".parse().unwrap());
    assert_eq!((entries, standing), (vec![], vec![ended]));

    let pin = earlier(2, vec![entry("a.corp", Trust::Http)]);
    let (entries, standing) = decide(&desired, &policy("insecure = false"), &nothing(), Some(&pin));
    assert_eq!(entries, [""; 0]);
    assert!(matches!(&standing[..], [Standing::Refused(_)]), "{standing:?}");
}

/// The file that declared it then may be gone; the one that declares it now decides whether it is
/// a typo that is missing it.
#[test]
fn what_a_pin_brings_back_is_declared_where_it_is_declared_now() {
    let mut old = entry("a.corp", Trust::Http);
    old.origin.file = "/old.toml".into();
    let desired = declared(vec![entry("a.corp", Trust::System)]);
    let pin = earlier(2, vec![old]);
    let effective = effective(&desired, &anything(), &nothing(), Some(&pin), now());
    let pinned = effective.entries[&host("a.corp")].clone();
    assert_eq!((&pinned.trust, &*pinned.origin.file), (&Trust::Http, "/a.toml"));

    let now_broken = DesiredState::merge(vec![broken("/a.toml")], now());
    let in_force = earlier(3, vec![Entry::clone(&pinned)]);
    assert_eq!(decide(&now_broken, &anything(), &in_force, Some(&pin)).0, ["a.corp http"]);
}

#[test]
fn an_entry_that_has_ended_says_when() {
    let end = "2026-05-01T00:00:00Z";
    let desired = declared(vec![until(entry("a.corp", Trust::Http), end)]);
    let in_force = earlier(4, vec![entry("a.corp", Trust::Http)]);
    let (entries, standing) = decide(&desired, &anything(), &in_force, None);
    assert_eq!((entries, standing), (vec![], vec![Standing::Ended(end.parse().unwrap())]));
}
