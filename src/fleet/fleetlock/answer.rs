//! What a server's answer means. Pure.
//!
//! The two servers that people run agree on 200 and on little else; each has its own way to say that
//! the lock is taken, and airlock says the same when its etcd is down.

use serde::Deserialize;

use crate::fleet::Taken;
use crate::fleet::trouble::Trouble;

/// How much of a server's words is passed on.
const LONGEST_WORDS: usize = 300;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) status: u16,
    /// Something for people, from a server that does not know what it was asked.
    pub(super) is_page: bool,
    /// Where it would have us go.
    pub(super) location: Option<String>,
    pub(super) body: Vec<u8>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Error {
    kind: String,
    value: String,
}

pub(super) fn taken(answered: &Answered) -> Taken {
    if is_done(answered) {
        return Taken::Granted;
    }
    let error = answered.error();
    let says_slots = error.value.contains("slots");
    match (answered.status, error.kind.as_str()) {
        (423, _) => busy(answered),
        (500, "failed_lock" | "failed_lock_semaphore_full") if says_slots => busy(answered),
        _ => match trouble(answered) {
            Trouble::Unavailable(why) => Taken::Unavailable { why },
            Trouble::Misconfigured(why) => Taken::Misconfigured { why },
        },
    }
}

/// Who they are only poseidon says.
fn busy(answered: &Answered) -> Taken {
    Taken::Busy { holders: format!("others ({})", answered.words()) }
}

pub(super) fn freed(answered: &Answered) -> Result<(), Trouble> {
    // poseidon's word for "somebody else holds it": so we do not, which is what was wanted.
    let is_anothers = answered.status == 423 && answered.error().kind == "lock_held";
    if is_done(answered) || is_anothers { Ok(()) } else { Err(trouble(answered)) }
}

/// 200 and nothing else. A page of HTML is the answer of something that is no FleetLock server, such
/// as the front page of a proxy, which would grant the lock to everybody for ever.
fn is_done(answered: &Answered) -> bool {
    answered.status == 200 && !answered.is_page
}

fn trouble(answered: &Answered) -> Trouble {
    let status = answered.status;
    match status {
        300..=399 => {
            let to = answered.location.as_deref().map(|to| format!(" to `{}`", shortened(to)));
            let to = to.unwrap_or_default();
            Trouble::Misconfigured(format!("redirects{to}; `url` has to name the server itself"))
        }
        // Both pass by themselves.
        408 | 429 | 500..=599 => Trouble::Unavailable(answered.words()),
        401 | 403 => Trouble::Misconfigured(format!("refuses this node: {}", answered.words())),
        100..=299 => Trouble::Misconfigured(format!("answered {status} with no FleetLock answer")),
        _ => Trouble::Misconfigured(answered.words()),
    }
}

impl Answered {
    /// Whatever type the server says it is: airlock calls its JSON plain text.
    fn error(&self) -> Error {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The server's own.
    fn words(&self) -> String {
        let Error { kind, value } = self.error();
        let said = match (kind.as_str(), value.as_str()) {
            ("", "") if self.is_page => String::new(),
            ("", "") => String::from_utf8_lossy(&self.body).into_owned(),
            ("", value) => value.to_owned(),
            (kind, "") => kind.to_owned(),
            (kind, value) => format!("{kind}: {value}"),
        };
        let said = shortened(&said);
        if said.is_empty() { format!("answered {}", self.status) } else { said }
    }
}

/// On one line, and not too long: it stands in status and in the journal.
fn shortened(text: &str) -> String {
    let line: String = text.trim().chars().take(LONGEST_WORDS).collect();
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &str) -> Answered {
        Answered { status, body: body.into(), ..Answered::default() }
    }

    fn error(kind: &str, value: &str) -> String {
        serde_json::json!({ "kind": kind, "value": value }).to_string()
    }

    /// One letter for each kind of answer.
    fn letter(taken: &Taken) -> char {
        match taken {
            Taken::Granted => 'g',
            Taken::Busy { .. } => 'b',
            Taken::Stopped { .. } => 's',
            Taken::Unavailable { .. } => 'u',
            Taken::Misconfigured { .. } => 'm',
        }
    }

    #[test]
    fn each_servers_words_are_understood() {
        let full = error("failed_lock", "all 1 semaphore slots currently locked");
        let broken = error("failed_lock", "context deadline exceeded");
        let held = error("lock_held", "reboot lease held by 9765cc");
        for (status, body, lock, unlock) in [
            (200, "", 'g', true),
            (200, "OK", 'g', true),
            (200, "<html>", 'g', true),
            // airlock
            (500, full.as_str(), 'b', false),
            (500, &error("failed_lock_semaphore_full", "all 3 slots"), 'b', false),
            (500, &broken, 'u', false),
            (400, &error("unknown_group", "unknown group"), 'm', false),
            (400, &error("invalid_client_identity", ""), 'm', false),
            // poseidon
            (423, &held, 'b', true),
            (423, "", 'b', false),
            (500, &error("internal_error", "slots"), 'u', false),
            (405, &error("method_not_allowed", ""), 'm', false),
            // anybody
            (201, "", 'm', false),
            (204, "", 'm', false),
            (301, "", 'm', false),
            (401, "", 'm', false),
            (404, "404 page not found", 'm', false),
            (408, "", 'u', false),
            (429, "", 'u', false),
            (502, "<html>", 'u', false),
            (503, "", 'u', false),
        ] {
            let answered = answered(status, body);
            assert_eq!(letter(&taken(&answered)), lock, "lock: {status} {body}");
            assert_eq!(freed(&answered).is_ok(), unlock, "unlock: {status} {body}");
        }
    }

    #[test]
    fn a_page_for_people_grants_nothing() {
        let page = Answered { is_page: true, ..answered(200, "<html>welcome") };
        let why = "answered 200 with no FleetLock answer".to_owned();
        assert_eq!(taken(&page), Taken::Misconfigured { why });
        assert!(freed(&page).is_err());
    }

    #[test]
    fn what_a_server_says_is_one_short_line() {
        let long = answered(503, &format!("a\nb\x1b[31m{}", "x".repeat(9999)));
        let Taken::Unavailable { why } = taken(&long) else { panic!() };
        assert!(why.starts_with("a b [31mxx") && why.len() <= LONGEST_WORDS, "{why}");
        let moved = Answered { location: Some("https://b/\n".to_owned()), ..answered(302, "") };
        let why = "redirects to `https://b/`; `url` has to name the server itself".to_owned();
        assert_eq!(taken(&moved), Taken::Misconfigured { why });
    }
}
