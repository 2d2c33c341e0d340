use super::*;
use crate::settings::parse_settings;

fn windows(text: &str) -> Windows {
    parse_settings(text, "/d").unwrap_or_else(|problems| panic!("{text}: {problems:?}")).windows
}

/// What is said at an instant: `until …`, `opens …: why`.
fn said(text: &str, now: &str, minutes: i64) -> String {
    let opening = windows(text).at(now.parse().unwrap(), SignedDuration::from_mins(minutes));
    match opening {
        Opening::Open { until: Some(until) } => format!("until {until}"),
        Opening::Open { until: None } => "open".to_owned(),
        Opening::Closed { opens: Some(opens), why } => format!("opens {opens}: {why}"),
        Opening::Closed { opens: None, why } => format!("never: {why}"),
    }
}

const NIGHT: &str = "[[window]]\ndays = [\"fri\"]\nstart = \"22:00\"\nend = \"05:00\"\n";

#[test]
fn without_windows_a_restart_may_begin_at_any_time() {
    assert_eq!(said("", "2026-11-21T12:00:00Z", 60), "open");
    let always = "[[window]]\nstart = \"00:00\"\nend = \"24:00\"\n";
    assert_eq!(said(always, "2026-11-21T12:00:00Z", 60), "open");
}

#[test]
fn a_night_belongs_to_the_day_it_begins_on() {
    assert_eq!(said(NIGHT, "2026-11-21T04:59:59Z", 0), "until 2026-11-21T05:00:00Z", "saturday");
    let opens = "opens 2026-11-27T22:00:00Z: it is outside the windows; \
                 the next one opens Fri 2026-11-27 22:00 UTC";
    assert_eq!(said(NIGHT, "2026-11-21T05:00:00Z", 0), opens);
    assert_eq!(said(NIGHT, "2026-11-27T04:00:00Z", 0), opens, "thursday's night is not friday's");
}

#[test]
fn a_restart_needs_room() {
    assert_eq!(said(NIGHT, "2026-11-21T04:50:00Z", 10), "until 2026-11-21T05:00:00Z");
    assert_eq!(
        said(NIGHT, "2026-11-21T04:50:01Z", 10),
        "opens 2026-11-27T22:00:00Z: too little is left of the window for what may take 10m; \
         the next one opens Fri 2026-11-27 22:00 UTC"
    );
    assert_eq!(
        said(NIGHT, "2026-11-21T04:50:00Z", 8 * 60),
        "never: too little is left of the window for what may take 8h, \
         and none of the next 400 days has room for it"
    );
    let two =
        format!("{NIGHT}[[window]]\ndays = [\"sat\"]\nstart = \"05:00\"\nduration = \"2h\"\n");
    assert_eq!(
        said(&two, "2026-11-21T04:50:00Z", 60),
        "until 2026-11-21T07:00:00Z",
        "one after it"
    );
}

#[test]
fn a_clock_that_is_set_is_read_and_not_counted() {
    let berlin = |start: &str, end: &str| {
        format!("[[window]]\ntimezone = \"Europe/Berlin\"\nstart = \"{start}\"\nend = \"{end}\"\n")
    };
    let opens = |text: &str| text.split(": ").next().unwrap().to_owned();
    // From 02:00 to 03:00 on the 29th of March, which is 01:00 UTC.
    let skipped = berlin("02:10", "02:40");
    assert_eq!(opens(&said(&skipped, "2026-03-28T12:00:00Z", 0)), "opens 2026-03-30T00:10:00Z");
    let into = berlin("02:30", "04:00");
    assert_eq!(opens(&said(&into, "2026-03-28T12:00:00Z", 0)), "opens 2026-03-29T01:00:00Z");
    assert_eq!(said(&into, "2026-03-29T01:00:00Z", 0), "until 2026-03-29T02:00:00Z");
    // From 03:00 to 02:00 on the 25th of October, which is 01:00 UTC too.
    let repeated = berlin("02:10", "02:40");
    assert_eq!(said(&repeated, "2026-10-25T00:10:00Z", 0), "until 2026-10-25T00:40:00Z");
    assert_eq!(opens(&said(&repeated, "2026-10-25T00:40:00Z", 0)), "opens 2026-10-25T01:10:00Z");
    assert_eq!(
        said(&berlin("22:00", "05:00"), "2026-10-24T20:00:00Z", 8 * 60),
        "until 2026-10-25T04:00:00Z"
    );
}

#[test]
fn dates_choose_among_the_days_and_a_holiday_closes_all_of_itself() {
    let patch = "[[window]]\ndays = [\"tue\"]\ndates = [\"second tue\"]\nstart = \"01:00\"\nend = \"03:00\"\n";
    let opens = |text: &str, now| said(text, now, 0).split(": ").next().unwrap().to_owned();
    assert_eq!(opens(patch, "2026-11-21T00:00:00Z"), "opens 2026-12-08T01:00:00Z");
    let last = "[[window]]\ndates = [\"last fri\"]\nstart = \"01:00\"\nend = \"03:00\"\n";
    assert_eq!(opens(last, "2026-11-21T00:00:00Z"), "opens 2026-11-27T01:00:00Z");
    let yearly = "[[window]]\ndates = [\"12-25\"]\nstart = \"01:00\"\nend = \"03:00\"\n";
    assert_eq!(opens(yearly, "2026-12-26T00:00:00Z"), "opens 2027-12-25T01:00:00Z");
    let once = "[[window]]\ndates = [\"2026-11-22\"]\nstart = \"01:00\"\nend = \"03:00\"\n";
    assert_eq!(opens(once, "2026-11-21T00:00:00Z"), "opens 2026-11-22T01:00:00Z");
    assert_eq!(opens(once, "2026-11-22T03:00:00Z"), "never");

    let nights = "[[window]]\nstart = \"22:00\"\nend = \"05:00\"\nnot_dates = [\"12-25\"]\n";
    assert_eq!(said(nights, "2026-12-24T23:00:00Z", 0), "until 2026-12-25T00:00:00Z");
    assert_eq!(opens(nights, "2026-12-25T00:00:00Z"), "opens 2026-12-26T22:00:00Z");
}

#[test]
fn the_ends_of_time_are_no_surprise() {
    for now in [Timestamp::MIN, Timestamp::MAX] {
        assert!(!matches!(windows(NIGHT).at(now, SignedDuration::MAX), Opening::Open { .. }));
    }
}
