//! `[restart]`.

use jiff::SignedDuration;

use super::parse::{Bounds, duration, given, one_word};
use crate::gate::{OnDeadline, Rules};
use crate::trust::findings::{At, Findings};
use crate::trust::toml_reader::Fields;

const KEYS: [&str; 13] = [
    "gather",
    "quiet_period",
    "settle",
    "spread",
    "minimum_interval",
    "max_per_day",
    "deadline",
    "on_deadline",
    "drain_timeout",
    "force_docker",
    "soak",
    "recovery",
    "live_restore",
];
const ON_DEADLINE: [(&str, OnDeadline); 3] =
    [("alert", OnDeadline::Alert), ("drain", OnDeadline::Drain), ("force", OnDeadline::Force)];

const NONE: SignedDuration = SignedDuration::ZERO;
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);
const MONTHS: SignedDuration = SignedDuration::from_hours(90 * 24);

/// docker's unit starts three times within 60 seconds, and is then left down by systemd. With
/// restarts of ours closer than this, two of them and two starts of somebody else would be enough.
const CLOSEST: SignedDuration = SignedDuration::from_secs(20);

pub(super) fn restart(fields: &Fields<'_>, findings: &mut Findings) -> Rules {
    let usual = Rules::default();
    let Some(fields) = given(fields.table("restart", "restart.", findings)) else { return usual };
    fields.refuse_unknown(&KEYS, findings);
    let mut span = |key, least, most, usual| {
        duration(&fields, key, Bounds { least, most }, findings).unwrap_or(usual)
    };
    let rules = Rules {
        gather: span("gather", NONE, HOUR, usual.gather),
        quiet_period: span("quiet_period", NONE, DAY, usual.quiet_period),
        settle: span("settle", NONE, HOUR, usual.settle),
        spread: span("spread", NONE, DAY, usual.spread),
        minimum_interval: span("minimum_interval", CLOSEST, MONTHS, usual.minimum_interval),
        drain_timeout: span("drain_timeout", NONE, DAY, usual.drain_timeout),
        soak: span("soak", NONE, HOUR, usual.soak),
        recovery: span("recovery", NONE, HOUR, usual.recovery),
        ..usual
    };
    let on_deadline = one_word(&fields, "on_deadline", &ON_DEADLINE, findings);
    let force_docker = given(fields.boolean("force_docker", findings)).unwrap_or_default();
    let rules = Rules {
        max_per_day: number(&fields, "max_per_day", findings).unwrap_or(rules.max_per_day),
        deadline: deadline(&fields, rules.deadline, findings),
        on_deadline: on_deadline.unwrap_or_default(),
        force_docker,
        live_restore: given(fields.boolean("live_restore", findings)).unwrap_or_default(),
        ..rules
    };
    if rules.force_docker && rules.on_deadline != OnDeadline::Force {
        let place = fields.key("force_docker").unwrap_or(fields.place());
        let message = "means nothing without `on_deadline = \"force\"`";
        *findings.error(place, &fields.name("force_docker"), message) =
            Some("add that, or leave this out".to_owned());
    }
    rules
}

fn deadline(
    fields: &Fields<'_>,
    usual: Option<SignedDuration>,
    findings: &mut Findings,
) -> Option<SignedDuration> {
    // What is no word is reported below.
    if fields.word_is("deadline", "never") {
        return None;
    }
    duration(fields, "deadline", Bounds { least: NONE, most: MONTHS }, findings).or(usual)
}

fn number(fields: &Fields<'_>, key: &str, findings: &mut Findings) -> Option<u32> {
    let At { value, place } = *fields.integer(key, findings).given()?;
    match u32::try_from(value) {
        Ok(number) if number > 0 => Some(number),
        _ => {
            *findings.error(
                place,
                &fields.name(key),
                format!("{value} restarts are none at all"),
            ) = Some("`restarts = \"on-request\"` leaves them to an operator".to_owned());
            None
        }
    }
}
