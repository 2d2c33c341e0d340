//! The node's policy: understood as a whole, or it refuses everything.

use jiff::Timestamp;
use regtrust::trust::entry::{Entry, Origin, Trust};
use regtrust::trust::policy::{Policy, RestartLimit, parse_policy};

use super::assert_printable;

/// 2026-06-01.
const NOW: i64 = 1_780_272_000;

pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(now) = Timestamp::from_second(NOW) else { return };
    let parsed = parse_policy(text, "/etc/regtrust/policy.toml");
    if let Err(problems) = &parsed {
        assert!(!problems.is_empty());
        problems.iter().for_each(assert_printable);
    }
    let policy = parsed.unwrap_or_else(Policy::broken);
    for host in ["a.corp", "b.a.corp:5000", "[fd00::1]:5000", "10.0.0.1", "docker.io"] {
        for trust in [Trust::System, Trust::Http] {
            let Some(entry) = entry(host, trust) else { continue };
            let judged = policy.judge(&entry, now);
            for refusal in judged.as_ref().err().into_iter().flatten() {
                assert_printable(&refusal.message);
            }
            assert!(!policy.is_broken() || judged.is_err());
        }
    }
    assert!(!policy.is_broken() || policy.restart() == RestartLimit::Never);
}

fn entry(host: &str, trust: Trust) -> Option<Entry> {
    let origin = Origin { owner: "local".into(), file: "/x.toml".into(), line: 1 };
    Some(Entry {
        host: host.parse().ok()?,
        trust,
        client: None,
        system_store: false,
        reason: None,
        until: None,
        runtimes: None,
        mirrors: Vec::new(),
        fallback: true,
        origin,
    })
}
