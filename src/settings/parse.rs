//! From text to settings, all of them or none.

use jiff::SignedDuration;

use super::fleet::fleet;
use super::listen::listen;
use super::people::{accesses, owners, warn_about};
use super::restart::restart;
use super::windows::windows;
use super::{Drift, Restarts, Settings};
use crate::owners::Owners;
use crate::trust::findings::{At, Findings, Quoted};
use crate::trust::problem::Problem;
use crate::trust::toml_reader::{Field, Fields, Source, word};

const KEYS: [&str; 8] =
    ["drift", "restarts", "fleet_lock", "listen", "access", "owner", "window", "restart"];

const DRIFT: [(&str, Drift); 2] = [("repair", Drift::Repair), ("report", Drift::Report)];
const RESTARTS: [(&str, Restarts); 2] =
    [("when-idle", Restarts::WhenIdle), ("on-request", Restarts::OnRequest)];

/// Understands the text of `regtrustd.toml`.
///
/// # Errors
/// With every problem, if there is an error among them.
pub fn parse_settings(text: &str, file: &str) -> Result<Settings, Vec<Problem>> {
    let mut findings = Findings::new(file);
    let settings =
        Source::parse(text, &mut findings).map(|source| settings(&source.fields(), &mut findings));
    match settings {
        Some(settings) if findings.first_error().is_none() => {
            Ok(Settings { warnings: findings.into_problems(None), ..settings })
        }
        _ => Err(findings.into_problems(None)),
    }
}

fn settings(fields: &Fields<'_>, findings: &mut Findings) -> Settings {
    fields.refuse_unknown(&KEYS, findings);
    let access = accesses(fields, findings);
    let owners = owners(fields, findings);
    let listen = listen(fields, findings);
    warn_about(&access, listen.tcp.is_some(), findings);
    Settings {
        drift: one_word(fields, "drift", &DRIFT, findings).unwrap_or_default(),
        restarts: one_word(fields, "restarts", &RESTARTS, findings).unwrap_or_default(),
        fleet: fleet(fields, findings),
        listen,
        access: access.into_iter().map(|at| at.value).collect(),
        owners: Owners::new(owners.into_iter().map(|at| at.value).collect()),
        windows: windows(fields, findings),
        restart: restart(fields, findings),
        warnings: Vec::new(),
    }
}

/// What a key holds. A bad one is `None`, which is right only because its error is in `findings`
/// already and nothing of the file will be used.
pub(super) fn given<T>(field: Field<T>) -> Option<T> {
    match field {
        Field::Given(at) => Some(at.value),
        Field::Absent | Field::Bad => None,
    }
}

pub(super) fn one_word<T: Copy>(
    fields: &Fields<'_>,
    key: &str,
    words: &[(&str, T)],
    findings: &mut Findings,
) -> Option<T> {
    let field = fields.name(key);
    given(fields.string(key, findings).and_then(|at| word(at, &field, words, findings)))
}

/// Reports a key that has to be there and is not.
pub(super) fn required<T>(
    fields: &Fields<'_>,
    key: &str,
    field: Field<T>,
    findings: &mut Findings,
) -> Option<T> {
    if field.is_absent() {
        findings.error(fields.place(), &fields.name(key), "is required");
    }
    given(field)
}

/// Between what a duration may be.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) least: SignedDuration,
    pub(super) most: SignedDuration,
}

/// A duration as people write it: `"90s"`, `"2h 30m"`.
pub(super) fn duration(
    fields: &Fields<'_>,
    key: &str,
    bounds: Bounds,
    findings: &mut Findings,
) -> Option<SignedDuration> {
    let field = fields.string(key, findings).and_then(|at| {
        let duration = at.value.parse::<SignedDuration>().ok();
        let (message, cure) = match duration {
            Some(value) if (bounds.least..=bounds.most).contains(&value) => {
                return Some(At { value, place: at.place });
            }
            Some(_) => (
                format!("{} is out of bounds", Quoted(at.value)),
                format!("choose from {:#} to {:#}", bounds.least, bounds.most),
            ),
            None => (
                format!("{} is no duration", Quoted(at.value)),
                "write it like \"30s\", \"5m\" or \"2h 30m\"".to_owned(),
            ),
        };
        *findings.error(at.place, &fields.name(key), message) = Some(cure);
        None
    });
    given(field)
}
