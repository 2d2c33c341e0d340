//! `[[window]]`.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Span, SpanRelativeTo};

use super::parse::{given, required};
use crate::trust::findings::{At, Findings, Quoted};
use crate::trust::toml_reader::{Field, Fields, closest, word};
use crate::window::{Dates, Days, LONGEST, Which, Window, Windows};

const KEYS: [&str; 7] = ["days", "start", "end", "duration", "timezone", "dates", "not_dates"];

const WEEK: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];
const WHICH: [(&str, Which); 5] = [
    ("first", Which::Nth(1)),
    ("second", Which::Nth(2)),
    ("third", Which::Nth(3)),
    ("fourth", Which::Nth(4)),
    ("last", Which::Last),
];
const DAY: SignedDuration = SignedDuration::from_hours(24);

pub(super) fn windows(fields: &Fields<'_>, findings: &mut Findings) -> Windows {
    let tables = given(fields.tables("window", "window", "window.", findings)).unwrap_or_default();
    Windows::new(tables.iter().filter_map(|fields| window(fields, findings)).collect())
}

fn window(fields: &Fields<'_>, findings: &mut Findings) -> Option<Window> {
    fields.refuse_unknown(&KEYS, findings);
    let days = days(fields, findings);
    let dates = dates(fields, "dates", findings);
    let not_dates = dates_or_none(fields, "not_dates", findings);
    let timezone = timezone(fields, findings);
    let start = fields.string("start", findings);
    let start = start.and_then(|at| time(at, "start", fields, findings));
    let start = required(fields, "start", start, findings);
    let length = length(fields, start, findings);
    Some(Window { days, dates, not_dates, start: start?, length: length?, timezone: timezone? })
}

fn days(fields: &Fields<'_>, findings: &mut Findings) -> Days {
    let words = WEEK.map(|(word, day)| (word, Days::only(day)));
    let words = [&words[..], &[("weekdays", Days::WEEKDAYS), ("weekend", Days::WEEKEND)]].concat();
    let field = fields.strings("days", findings);
    let Some(At { value: named, place }) = field.given() else { return Days::ALL };
    if named.is_empty() {
        findings.error(*place, &fields.name("days"), "names no day");
    }
    let name = fields.name("days");
    let days = named.iter().filter_map(|at| word(*at, &name, &words, findings));
    days.fold(Days::NONE, |days, more| days.and(more.value))
}

/// A window that lasts from `start` to `end`, or from `start` for `duration`, on the clock.
fn length(
    fields: &Fields<'_>,
    start: Option<Time>,
    findings: &mut Findings,
) -> Option<SignedDuration> {
    let end = fields.string("end", findings).and_then(|at| end(at, fields, findings));
    let duration = fields.string("duration", findings);
    let duration = duration.and_then(|at| length_of(at, fields, findings));
    match (end, duration) {
        (Field::Absent, Field::Absent) => {
            let message = "does not say how long it is";
            *findings.error(fields.place(), "window", message) =
                Some("give it an `end` or a `duration`".to_owned());
            None
        }
        (Field::Absent, duration) => given(duration),
        (end, Field::Absent) => {
            let At { value: end, place } = *end.given()?;
            let since_midnight = start?.duration_since(Time::midnight());
            if end == since_midnight {
                *findings.error(place, &fields.name("end"), "is the `start` as well") =
                    Some("`duration = \"24h\"` lasts for a whole day".to_owned());
            }
            // An end before the start is one of the next day.
            Some(if end > since_midnight { end } else { end + DAY } - since_midnight)
        }
        _ => {
            let place = fields.key("duration").unwrap_or(fields.place());
            *findings.error(place, &fields.name("duration"), "stands beside an `end`") =
                Some("keep one of them".to_owned());
            None
        }
    }
}

fn end(at: At<&str>, fields: &Fields<'_>, findings: &mut Findings) -> Option<At<SignedDuration>> {
    if at.value == "24:00" {
        return Some(at.map(|_| DAY));
    }
    let time = time(at, "end", fields, findings)?;
    Some(time.map(|time| time.duration_since(Time::midnight())))
}

fn time(at: At<&str>, key: &str, fields: &Fields<'_>, findings: &mut Findings) -> Option<At<Time>> {
    let parsed = at.value.split_once(':').and_then(|(hour, minute)| {
        Time::new(digits(hour, 2)?.try_into().ok()?, digits(minute, 2)?.try_into().ok()?, 0, 0).ok()
    });
    if parsed.is_none() {
        let message = format!("{} is no time of day", Quoted(at.value));
        *findings.error(at.place, &fields.name(key), message) =
            Some("write it like \"22:00\"".to_owned());
    }
    parsed.map(|time| at.map(|_| time))
}

fn length_of(
    at: At<&str>,
    fields: &Fields<'_>,
    findings: &mut Findings,
) -> Option<At<SignedDuration>> {
    let span: Option<Span> = at.value.parse().ok();
    let length = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    let whole = |length: &SignedDuration| *length == SignedDuration::from_mins(length.as_mins());
    let sane = |length: &SignedDuration| length.is_positive() && *length <= LONGEST;
    let length = length.filter(whole).filter(sane);
    if length.is_none() {
        let message = format!("{} is no duration of a window", Quoted(at.value));
        *findings.error(at.place, &fields.name("duration"), message) =
            Some("of whole minutes, at most 7 days, such as \"7h\" or \"90m\"".to_owned());
    }
    length.map(|length| at.map(|_| length))
}

/// From the database in this program, and not from the node's: a window means the same on every node
/// of a fleet, and a node without tzdata does not lose its settings.
fn timezone(fields: &Fields<'_>, findings: &mut Findings) -> Option<TimeZone> {
    let field = fields.string("timezone", findings);
    let Some(At { value, place }) = field.given().copied() else {
        return field.is_absent().then_some(TimeZone::UTC);
    };
    let database = TimeZoneDatabase::bundled();
    let zone = database.get(value).ok();
    if zone.is_none() {
        let names: Vec<_> = database.available().map(|name| name.to_string()).collect();
        let lower: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        let meant = closest(value, &lower);
        let meant = names.iter().find(|name| Some(&*name.to_lowercase()) == meant);
        let cure = meant.map(|meant| format!("did you mean `{meant}`?"));
        let message = format!("{} is no time zone", Quoted(value));
        *findings.error(place, &fields.name("timezone"), message) =
            Some(cure.unwrap_or_else(|| {
                "write it as the IANA does, \"Europe/Berlin\", or leave it out for UTC".to_owned()
            }));
    }
    zone
}

fn dates(fields: &Fields<'_>, key: &str, findings: &mut Findings) -> Vec<Dates> {
    let field = fields.strings(key, findings);
    if let Some(At { value, place }) = field.given()
        && value.is_empty()
    {
        findings.error(*place, &fields.name(key), "names no date");
    }
    read_dates(field, key, fields, findings)
}

fn dates_or_none(fields: &Fields<'_>, key: &str, findings: &mut Findings) -> Vec<Dates> {
    let field = fields.strings(key, findings);
    read_dates(field, key, fields, findings)
}

fn read_dates(
    field: Field<Vec<At<&str>>>,
    key: &str,
    fields: &Fields<'_>,
    findings: &mut Findings,
) -> Vec<Dates> {
    let mut read = |At { value, place }: At<&str>| {
        let dates = date_words(value);
        if dates.is_none() {
            let message = format!("{} names no date", Quoted(value));
            *findings.error(place, &fields.name(key), message) = Some(
                "write \"2026-12-24\", \"2026-12-24..2027-01-06\", \"12-25\" for every year, or \
                 \"first sat\" or \"last fri\" for every month"
                    .to_owned(),
            );
        }
        dates
    };
    given(field).unwrap_or_default().into_iter().filter_map(&mut read).collect()
}

fn date_words(text: &str) -> Option<Dates> {
    if let Some((which, day)) = text.split_once(' ') {
        let which = WHICH.iter().find(|(word, _)| *word == which)?.1;
        let day = WEEK.iter().find(|(word, _)| *word == day)?.1;
        return Some(Dates::Monthly { which, day });
    }
    if let Some((first, last)) = text.split_once("..") {
        let (first, last) = (date(first)?, date(last)?);
        return (first <= last).then_some(Dates::Range { first, last });
    }
    if let Some(date) = date(text) {
        return Some(Dates::Range { first: date, last: date });
    }
    // A leap year, or the 29th of February would be no day of any.
    let date = date(&format!("2000-{text}"))?;
    Some(Dates::Yearly { month: date.month(), day: date.day() })
}

fn date(text: &str) -> Option<Date> {
    let mut parts = text.split('-');
    let mut part = |width| parts.next().and_then(|part| digits(part, width));
    let (year, month, day) = (part(4)?, part(2)?, part(2)?);
    let date = Date::new(year, month.try_into().ok()?, day.try_into().ok()?).ok();
    date.filter(|_| parts.next().is_none())
}

/// Exactly so many digits, and no sign.
fn digits(text: &str, width: usize) -> Option<i16> {
    let all = text.len() == width && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}
