use proptest::prelude::*;

use super::*;
use crate::trust::certificate::CaBundle;
use crate::trust::entry::{Capability, Mirror, Origin, Trust};

macro_rules! ca {
    ($name:literal) => {
        Trust::Ca(
            CaBundle::from_stored(include_bytes!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/fixtures/certs/",
                $name
            )))
            .unwrap(),
        )
    };
}

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

fn entry(host: &str, trust: Trust) -> Entry {
    Entry {
        host: host.parse().unwrap(),
        trust,
        client: None,
        system_store: false,
        reason: None,
        until: None,
        runtimes: None,
        mirrors: Vec::new(),
        fallback: true,
        origin: Origin { owner: "local".into(), file: "/x.toml".into(), line: 1 },
    }
}

fn with_mirror(host: &str, trust: Trust) -> Entry {
    let mirror = Mirror {
        host: host.parse().unwrap(),
        path: String::new(),
        trust,
        capabilities: [Capability::Pull].into(),
    };
    Entry { mirrors: vec![mirror], ..entry("a.corp", Trust::System) }
}

fn until(entry: Entry, until: &str) -> Entry {
    Entry { until: Some(until.parse().unwrap()), ..entry }
}

fn in_store(entry: Entry) -> Entry {
    Entry { system_store: true, ..entry }
}

/// The rules against an entry, under a policy that begins with an empty line.
fn against(policy: &str, entry: &Entry) -> Vec<&'static str> {
    let policy = parse_policy(&format!("\n{policy}"), "/p").unwrap();
    let refusals = policy.judge(entry, now()).err().unwrap_or_default();
    for refusal in &refusals {
        assert_eq!((refusal.location.file.as_str(), refusal.location.line), ("/p", Some(2)));
        assert!(refusal.cure.is_some(), "{refusal:?}");
    }
    refusals.into_iter().map(|refusal| refusal.rule).collect()
}

#[test]
fn each_rule_refuses_what_it_names_and_nothing_else() {
    let spki = match ca!("ca.pem") {
        Trust::Ca(bundle) => bundle.certificates()[0].spki.to_string(),
        other => panic!("{other:?}"),
    };
    let pin = format!("ca_spki_sha256 = [\"{spki}\"]");
    let reasoned = |entry: Entry| Entry { reason: Some("lab".to_owned()), ..entry };
    let insecure = || entry("a.corp", Trust::Insecure);
    let soon = "2026-06-30T00:00:00Z";
    for (policy, entry, rules) in [
        ("", in_store(entry("a.corp", ca!("ca.pem"))), vec![]),
        ("", with_mirror("m.io", Trust::Http), vec![]),
        ("allow = [\"*.corp\"]", entry("a.corp", Trust::System), vec![]),
        ("allow = [\"*.corp\"]", entry("a.corp:443", Trust::System), vec!["allow"]),
        ("allow = []", entry("a.corp", Trust::System), vec!["allow"]),
        ("deny = [\"a.corp\"]", entry("a.corp:443", Trust::System), vec!["deny"]),
        ("deny = [\"b.corp\"]", entry("a.corp", Trust::System), vec![]),
        ("deny = [\"m.io\"]", with_mirror("m.io:443", Trust::System), vec!["deny"]),
        ("allow = [\"a.corp\"]", with_mirror("m.io", Trust::System), vec!["allow"]),
        ("mirrors = [\"*.io\"]", with_mirror("m.io", Trust::System), vec![]),
        ("mirrors = [\"*.io\"]", with_mirror("m.com", Trust::System), vec!["mirrors"]),
        ("insecure = false", entry("a.corp", Trust::System), vec![]),
        ("insecure = false", entry("a.corp", Trust::Http), vec!["insecure"]),
        ("insecure = false", entry("a.corp", Trust::SkipVerify), vec!["insecure"]),
        ("insecure = false", insecure(), vec!["insecure"]),
        ("insecure = false", with_mirror("m.io", Trust::Http), vec!["insecure"]),
        ("insecure = true", insecure(), vec![]),
        ("insecure = [\"a.corp\"]", insecure(), vec![]),
        ("insecure = [\"a.corp\"]", with_mirror("m.io", Trust::Http), vec!["insecure"]),
        ("insecure_needs = [\"until\", \"reason\"]", insecure(), vec!["insecure_needs"; 2]),
        ("insecure_needs = [\"reason\"]", with_mirror("m.io", Trust::Http), vec!["insecure_needs"]),
        ("insecure_needs = [\"reason\"]", reasoned(insecure()), vec![]),
        ("insecure_needs = [\"reason\"]", entry("a.corp", Trust::System), vec![]),
        ("max_lifetime = \"29d\"", until(insecure(), soon), vec![]),
        ("max_lifetime = \"28d\"", until(insecure(), soon), vec!["max_lifetime"]),
        ("max_lifetime = \"52w\"", insecure(), vec!["max_lifetime"]),
        ("max_lifetime = \"1h\"", entry("a.corp", Trust::System), vec![]),
        ("system_store = false", in_store(entry("a.corp", ca!("ca.pem"))), vec!["system_store"]),
        ("system_store = false", entry("a.corp", ca!("ca.pem")), vec![]),
        (&pin, entry("a.corp", ca!("ca.pem")), vec![]),
        (&pin, entry("a.corp", ca!("ca-b.pem")), vec!["ca_spki_sha256"]),
        (&pin, with_mirror("m.io", ca!("ca-b.pem")), vec!["ca_spki_sha256"]),
        (&pin, entry("a.corp", Trust::System), vec![]),
        ("min_rsa_bits = 3072", entry("a.corp", ca!("ca.pem")), vec!["min_rsa_bits"]),
        ("min_rsa_bits = 2048", entry("a.corp", ca!("ca.pem")), vec![]),
        ("min_rsa_bits = 3072", entry("a.corp", ca!("ca-p256.pem")), vec![]),
        ("name_constraints = \"always\"", entry("a.corp", ca!("ca.pem")), vec!["name_constraints"]),
        ("name_constraints = \"always\"", entry("a.corp", ca!("ca-name-constraints.pem")), vec![]),
        ("name_constraints = \"always\"", entry("a.corp", ca!("server-self.pem")), vec![]),
        ("name_constraints = \"system-store\"", entry("a.corp", ca!("ca.pem")), vec![]),
        (
            "name_constraints = \"system-store\"",
            in_store(entry("a.corp", ca!("ca.pem"))),
            vec!["name_constraints"],
        ),
    ] {
        assert_eq!(against(policy, &entry), rules, "{policy}: {entry:?}");
    }
}

#[test]
fn a_refusal_says_what_would_help() {
    let policy = parse_policy("max_lifetime = \"2d\"\ninsecure = [\"b.corp\"]", "/p").unwrap();
    let entry = until(entry("a.corp", Trust::Http), "2027-01-01T00:00:00Z");
    let shown: Vec<String> = policy
        .judge(&entry, now())
        .unwrap_err()
        .into_iter()
        .map(|one| {
            format!("{} {}: {} ({})", one.location, one.rule, one.message, one.cure.unwrap())
        })
        .collect();
    assert_eq!(
        shown,
        [
            "/p:2:12 insecure: `a.corp` may not be unverified (`trust = \"http\"`) (use \"ca\" or \
             \"system\", or add `a.corp` to `insecure`)",
            "/p:1:16 max_lifetime: an entry that is not verified until 2027-01-01T00:00:00Z lasts \
             too long (set `until` to 2026-06-03T00:00:00Z or before)",
        ]
    );
}

#[test]
fn every_problem_of_a_policy_is_found() {
    for (text, problem) in [
        ("insecur = false", "/p:1:1: unknown key `insecur` (did you mean `insecure`?)"),
        ("require_signed = true", "/p:1:1: unknown key `require_signed` (known keys: `allow`, "),
        ("insecure = \"a.corp\"", "/p:1:1: insecure: expected `true`, `false` or a list of hosts"),
        ("insecure = [1]", "/p:1:13: insecure: expected a string, found an integer"),
        ("allow = \"*\"", "/p:1:9: allow: expected a list of strings, found a string"),
        ("allow = [\"a b\"]", "/p:1:10: allow: registry host `a b`"),
        ("deny = [\"*/x\"]", "/p:1:9: deny: a host pattern cannot contain `/`"),
        ("insecure_needs = [\"untill\"]", "`untill` means nothing here (did you mean `until`?)"),
        ("max_lifetime = \"1 month\"", "/p:1:16: max_lifetime: `1 month` is no length of time"),
        ("max_lifetime = \"-1d\"", "/p:1:16: max_lifetime: `-1d` is no length of time"),
        ("max_lifetime = \"0d\"", "/p:1:16: max_lifetime: `0d` is no length of time"),
        ("max_lifetime = 90", "/p:1:16: max_lifetime: expected a string, found an integer"),
        ("ca_spki_sha256 = [\"12\"]", "/p:1:19: ca_spki_sha256: `12`: expected a SHA-256"),
        ("min_rsa_bits = 512", "/p:1:16: min_rsa_bits: 512 is no length of an RSA key"),
        ("name_constraints = \"alwys\"", "name_constraints: `alwys` means nothing here (did you"),
        ("restart = \"no\"", "/p:1:11: restart: `no` means nothing here (one of: `allowed`, "),
        ("restart = false", "/p:1:11: restart: expected a string, found a boolean"),
        ("restart", "/p:1:8: not TOML: "),
        ("restart = \"never\"\nrestart = \"allowed\"", "/p:2:1: not TOML: duplicate key"),
    ] {
        let problems = parse_policy(text, "/p").expect_err(text);
        let [found] = problems.as_slice() else { panic!("{text}: {problems:?}") };
        assert!(found.to_string().contains(problem), "{text}: {found}");
    }
    assert_eq!(parse_policy("a = 1\nallow = 2\nrestart = 3", "/p").unwrap_err().len(), 3);
}

#[test]
fn a_broken_policy_refuses_everything_and_restarts_nothing() {
    let problems = parse_policy("allow = [\"*\"]\nunknown = 1", "/p").unwrap_err();
    let policy = Policy::broken(problems.clone());
    assert_eq!((policy.is_broken(), policy.problems()), (true, problems.as_slice()));
    assert_eq!(policy.restart(), RestartLimit::Never);
    let refusals = policy.judge(&entry("a.corp", Trust::System), now()).unwrap_err();
    assert_eq!(
        refusals,
        [Refusal {
            rule: "policy",
            location: problems[0].location.clone(),
            message: "the node's policy cannot be obeyed: unknown key `unknown`".to_owned(),
            cure: Some("correct the policy file; until then nothing new is believed".to_owned()),
        }]
    );
    assert!(Policy::broken(Vec::new()).judge(&entry("a.corp", Trust::System), now()).is_err());
}

#[test]
fn restarts_are_limited_as_the_policy_says() {
    assert_eq!(Policy::without_file().restart(), RestartLimit::Allowed);
    for (word, limit) in [
        ("allowed", RestartLimit::Allowed),
        ("reload-only", RestartLimit::ReloadOnly),
        ("never", RestartLimit::Never),
    ] {
        let policy = parse_policy(&format!("restart = \"{word}\""), "/p").unwrap();
        assert_eq!(policy.restart(), limit);
    }
    assert!(RestartLimit::Never < RestartLimit::ReloadOnly);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic_or_refuse_without_a_reason(
        text in "((allow|deny|insecure|restart|min_rsa_bits|max_lifetime) = (\\[\"\\PC{0,9}\"\\]|\"\\PC{0,9}\"|[0-9]{1,20}|true)\n){0,4}|\\PC{0,80}"
    ) {
        if let Err(problems) = parse_policy(&text, "/p") {
            prop_assert!(!problems.is_empty());
        }
    }

    #[test]
    fn a_rule_more_never_allows_more(
        rules in prop::sample::subsequence(vec![
            "allow = [\"*.corp\"]", "deny = [\"b.*\"]", "mirrors = []", "insecure = [\"a.corp\"]",
            "insecure_needs = [\"reason\"]", "max_lifetime = \"1d\"", "system_store = false",
            "ca_spki_sha256 = []", "min_rsa_bits = 4096", "name_constraints = \"always\"",
        ], 1..=10),
        dropped in any::<prop::sample::Index>(),
        host in prop::sample::select(vec!["a.corp", "b.corp:5000", "c.io"]),
        trust in prop::sample::select(vec![Trust::System, Trust::Http, ca!("ca.pem")]),
        mirror in any::<bool>(),
    ) {
        let entry = if mirror { with_mirror(host, trust) } else { entry(host, trust) };
        let mut fewer = rules.clone();
        fewer.remove(dropped.index(rules.len()));
        let allows = |rules: &[&str]| {
            parse_policy(&rules.join("\n"), "/p").unwrap().judge(&entry, now()).is_ok()
        };
        prop_assert!(allows(&fewer) || !allows(&rules), "{rules:?} allows what {fewer:?} does not");
    }
}

#[test]
fn a_rule_that_lets_an_entry_pass_is_named() {
    let permits = |policy: &str, entry: &Entry| -> Vec<String> {
        let policy = parse_policy(policy, "/p").unwrap();
        assert_eq!(policy.judge(entry, now()), Ok(()));
        let permit = |one: &Permit| format!("{} {}: {}", one.rule, one.location, one.message);
        policy.permits(entry).iter().map(permit).collect()
    };
    let http = entry("a.corp", Trust::Http);
    let mirrored = with_mirror("m.corp", Trust::Insecure);
    for (policy, entry, expected) in [
        ("", &http, vec![]),
        ("deny = [\"b.corp\"]", &http, vec![]),
        (
            "allow = [\"b.corp\", \"*.corp\"]",
            &http,
            vec!["allow /p:1:9: `a.corp` matches `*.corp`"],
        ),
        (
            "insecure = true",
            &http,
            vec!["insecure /p:1:12: `a.corp` may go unverified, as any may"],
        ),
        (
            "insecure = [\"a.*\"]",
            &http,
            vec!["insecure /p:1:12: `a.corp` may go unverified: it matches `a.*`"],
        ),
        ("insecure = false", &entry("a.corp", Trust::System), vec![]),
        (
            "mirrors = [\"m.*\"]\ninsecure = [\"m.corp\"]",
            &mirrored,
            vec![
                "mirrors /p:1:11: `m.corp` matches `m.*`",
                "insecure /p:2:12: `m.corp` may go unverified: it matches `m.corp`",
            ],
        ),
        (
            "allow = [\"*.corp\"]",
            &mirrored,
            vec![
                "allow /p:1:9: `a.corp` matches `*.corp`",
                "allow /p:1:9: `m.corp` matches `*.corp`",
            ],
        ),
        (
            "system_store = true",
            &in_store(entry("a.corp", ca!("ca.pem"))),
            vec!["system_store /p:1:16: a CA may be trusted machine-wide"],
        ),
    ] {
        assert_eq!(permits(policy, entry), expected, "{policy}");
    }
}
