//! Windows, from the text of the settings to what is open, against an oracle that looks at a clock on
//! the wall once a minute and knows nothing else: 48 hours around the transitions of all time zones
//! in ten years, and weeks by chance. A sample; all of them with `REGTRUST_SOAK=1`.
#![expect(clippy::disallowed_methods, reason = "reads how long it is to run")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends at the first surprise")]
#![expect(clippy::print_stdout, reason = "says with which seed it ran")]

#[path = "common/chance.rs"]
mod chance;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use chance::{Chance, seed};
use jiff::civil::{Date, DateTime};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use regtrust::settings::parse_settings;
use regtrust::window::{Opening, Windows};

const WEEK: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A window as people would write it, and as a naive reader understands it.
#[derive(Clone, Debug)]
struct Written {
    zone: String,
    days: Vec<&'static str>,
    /// Minutes of the day, and of the length.
    start: i64,
    length: i64,
    by_end: bool,
    /// Of the month: `first` is 1, `last` is 5, and the day of the week.
    only: Option<(usize, &'static str)>,
    not: Option<(Date, Date)>,
}

impl Written {
    fn text(&self) -> String {
        let mut text = format!("[[window]]\ntimezone = {:?}\ndays = {:?}\n", self.zone, self.days);
        let clock = |minutes: i64| format!("\"{:02}:{:02}\"", minutes / 60 % 24, minutes % 60);
        writeln!(text, "start = {}", clock(self.start)).unwrap();
        if self.by_end {
            writeln!(text, "end = {}", clock(self.start + self.length)).unwrap();
        } else {
            writeln!(text, "duration = \"{}m\"", self.length).unwrap();
        }
        if let Some((which, day)) = self.only {
            let which = ["first", "second", "third", "fourth", "last"][which - 1];
            writeln!(text, "dates = [\"{which} {day}\"]").unwrap();
        }
        if let Some((first, last)) = self.not {
            writeln!(text, "not_dates = [\"{first}..{last}\"]").unwrap();
        }
        text
    }

    /// The oracle.
    fn shows(&self, wall: DateTime) -> bool {
        let not = |date: Date| self.not.is_some_and(|(first, last)| first <= date && date <= last);
        let begins = |date: Date| {
            let name = WEEK[usize::try_from(date.weekday().to_monday_zero_offset()).unwrap()];
            let is_only = self.only.is_none_or(|(which, day)| {
                let same = (1..=date.days_in_month())
                    .map(|day| Date::new(date.year(), date.month(), day).unwrap())
                    .filter(|other| other.weekday() == date.weekday());
                let same: Vec<Date> = same.collect();
                let wanted = if which == 5 { same.last() } else { same.get(which - 1) };
                day == name && wanted == Some(&date)
            });
            self.days.contains(&name) && is_only && !not(date)
        };
        let today = wall.date();
        let minute = i64::from(wall.hour()) * 60 + i64::from(wall.minute());
        !not(today)
            && (0..=8).any(|back| {
                let into = minute + back * 24 * 60 - self.start;
                0 <= into && into < self.length && begins(today - back.days())
            })
    }
}

fn by_chance(chance: &mut Chance, zone: &str, near: DateTime) -> Written {
    let mut days: Vec<&str> = WEEK.into_iter().filter(|_| chance.below(3) > 0).collect();
    if days.is_empty() {
        days.push(WEEK[chance.below(7)]);
    }
    // Mostly edges where the clock is set, which is where mistakes would be.
    let hour = i64::from(near.hour()) * 60 + i64::from(near.minute());
    let start = match chance.below(3) {
        0 => i64::try_from(chance.below(24 * 60)).unwrap(),
        _ => (hour - 180 + 15 * i64::try_from(chance.below(24)).unwrap()).rem_euclid(24 * 60),
    };
    let length = match chance.below(4) {
        0 => 1 + i64::try_from(chance.below(24 * 60 - 1)).unwrap(),
        1 => 1 + i64::try_from(chance.below(7 * 24 * 60)).unwrap(),
        _ => 15 * (1 + i64::try_from(chance.below(16)).unwrap()),
    };
    let weekday = WEEK[chance.below(7)];
    let only = (chance.below(6) == 0).then(|| (1 + chance.below(5), weekday));
    let first = near.date() - 4.days() + i64::try_from(chance.below(8)).unwrap().days();
    let last = first + i64::try_from(chance.below(3)).unwrap().days();
    Written {
        zone: zone.to_owned(),
        days,
        start,
        length,
        by_end: length < 24 * 60 && chance.below(2) == 0,
        only,
        not: (chance.below(4) == 0).then_some((first, last)),
    }
}

/// What the oracle sees in each minute from `from` on.
fn seen(windows: &[Written], from: Timestamp, minutes: usize) -> Vec<bool> {
    let zones: Vec<TimeZone> = windows
        .iter()
        .map(|window| TimeZoneDatabase::bundled().get(&window.zone).unwrap())
        .collect();
    let minute = |at: usize| from + SignedDuration::from_mins(i64::try_from(at).unwrap());
    let open = |at| {
        let at = minute(at);
        windows.iter().zip(&zones).any(|(window, zone)| window.shows(zone.to_datetime(at)))
    };
    (0..minutes).map(open).collect()
}

/// What should be said in a minute, as far as can be seen: whether it is open, and the minute of the
/// next change that counts.
fn expected(open: &[bool], at: usize, room: usize) -> (bool, Option<usize>) {
    let end_of = |from: usize| (from..open.len()).find(|minute| !open[*minute]);
    let mut from = at;
    loop {
        let Some(begin) = (from..open.len()).find(|minute| open[*minute]) else {
            return (false, None);
        };
        match end_of(begin) {
            Some(end) if end - begin < room => from = end,
            // What goes on beyond what is seen may have room, or not.
            None if open.len() - begin < room => return (false, None),
            end if begin == at => return (true, end),
            _ => return (false, Some(begin)),
        }
    }
}

fn compare(windows: &Windows, text: &str, open: &[bool], from: Timestamp, at: usize, room: usize) {
    let minutes = |minutes: usize| SignedDuration::from_mins(i64::try_from(minutes).unwrap());
    let now = from + minutes(at);
    let opening = windows.at(now, minutes(room));
    let (is_open, change) = match &opening {
        Opening::Open { until } => (true, until),
        Opening::Closed { opens, .. } => (false, opens),
    };
    let end = from + minutes(open.len());
    let (should_be_open, should_change) = expected(open, at, room);
    if open[at] && !should_be_open && should_change.is_none() && is_open {
        // It reaches beyond what the oracle has looked at.
        assert!(change.is_none_or(|change| change >= end), "{text} at {now}: {opening:?}");
        return;
    }
    let context = || format!("{text}at {now} for {room} minutes: {opening:?}");
    assert_eq!(is_open, should_be_open, "{}", context());
    if let Some(minute) = should_change {
        assert_eq!(*change, Some(from + minutes(minute)), "{}", context());
    } else {
        let room = minutes(room);
        assert!(change.is_none_or(|change| change + room >= end), "{}", context());
    }
}

/// Every minute of the span is covered: from each change that is told to the next, and minutes by
/// chance with the room that a restart might need.
fn check(chance: &mut Chance, written: &[Written], from: Timestamp, minutes: usize) -> usize {
    let text: String = written.iter().map(Written::text).collect();
    let windows =
        parse_settings(&text, "/d").unwrap_or_else(|why| panic!("{text}: {why:?}")).windows;
    let open = seen(written, from, minutes);
    let mut at = 0;
    let mut changes = 0;
    while at < minutes {
        compare(&windows, &text, &open, from, at, 0);
        let Some(next) = expected_change(&open, at) else { break };
        at = next;
        changes += 1;
    }
    for _ in 0..4 {
        let (at, room) = (chance.below(minutes), [1, 5, 30, 180][chance.below(4)]);
        compare(&windows, &text, &open, from, at, room);
    }
    changes
}

fn expected_change(open: &[bool], at: usize) -> Option<usize> {
    (at..open.len()).find(|minute| open[*minute] != open[at])
}

fn day(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn is_soak() -> bool {
    std::env::var_os("REGTRUST_SOAK").is_some()
}

/// The transitions of ten years: when, and from which offset to which. Zones that share one differ in
/// their names only.
fn transitions() -> BTreeMap<(Timestamp, i32, i32), String> {
    let (first, last) = (day("2020-01-01T00:00:00Z"), day("2030-01-01T00:00:00Z"));
    let database = TimeZoneDatabase::bundled();
    let mut found = BTreeMap::new();
    for name in database.available() {
        let zone = database.get(name.as_str()).unwrap();
        for set in zone.following(first).take_while(|set| set.timestamp() < last) {
            let before = zone.to_offset(set.timestamp() - SignedDuration::from_secs(1));
            let key = (set.timestamp(), before.seconds(), set.offset().seconds());
            found.entry(key).or_insert_with(|| name.to_string());
        }
    }
    found
}

#[test]
fn around_every_transition_of_ten_years_a_clock_on_the_wall_agrees() {
    let seed = seed();
    let mut chance = Chance::from(seed);
    let all = transitions();
    let share = if is_soak() { 1 } else { 12 };
    let (mut looked, mut changes) = (0, 0);
    for ((at, _, _), zone) in &all {
        if chance.below(share) > 0 {
            continue;
        }
        let near = TimeZoneDatabase::bundled().get(zone).unwrap().to_datetime(*at);
        let written: Vec<Written> =
            (0..=chance.below(2)).map(|_| by_chance(&mut chance, zone, near)).collect();
        changes += check(&mut chance, &written, *at - SignedDuration::from_hours(24), 48 * 60);
        looked += 1;
    }
    println!("seed {seed}: {looked} of {} transitions, {changes} openings and closings", all.len());
    assert!(all.len() > 400 && looked > 20, "{looked} of {}", all.len());
}

#[test]
fn in_weeks_by_chance_in_all_time_zones_a_clock_on_the_wall_agrees() {
    let seed = seed();
    let mut chance = Chance::from(seed);
    let names: Vec<String> =
        TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect();
    let mut zones = BTreeSet::new();
    let weeks = if is_soak() { names.len() * 4 } else { 60 };
    for week in 0..weeks {
        let zone =
            if is_soak() { &names[week % names.len()] } else { &names[chance.below(names.len())] };
        let hours = i64::try_from(chance.below(10 * 365 * 24)).unwrap();
        let from = day("2020-01-01T00:00:00Z") + SignedDuration::from_hours(hours);
        let near = TimeZoneDatabase::bundled().get(zone).unwrap().to_datetime(from) + 3.days();
        let mut written = vec![by_chance(&mut chance, zone, near)];
        for _ in 0..chance.below(3) {
            let other = &names[chance.below(names.len())];
            written.push(by_chance(&mut chance, other, near));
        }
        check(&mut chance, &written, from, 7 * 24 * 60);
        zones.insert(zone.clone());
    }
    println!("seed {seed}: {weeks} weeks in {} of {} time zones", zones.len(), names.len());
    assert!(!is_soak() || zones.len() == names.len());
}

/// What is most easily got wrong, every time and not by chance.
#[test]
fn the_oracle_is_asked_about_each_minute_of_the_known_nights() {
    for (zone, from) in [
        ("Europe/Berlin", "2026-03-28T12:00:00Z"),
        ("Europe/Berlin", "2026-10-24T12:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T00:00:00Z"),
        ("America/Santiago", "2026-09-05T12:00:00Z"),
        ("Africa/Cairo", "2026-04-23T12:00:00Z"),
    ] {
        for (start, length) in [(90, 60), (150, 15), (22 * 60, 7 * 60), (0, 24 * 60), (120, 61)] {
            let window = Written {
                zone: zone.to_owned(),
                days: WEEK.to_vec(),
                start,
                length,
                by_end: false,
                only: None,
                not: None,
            };
            let text = window.text();
            let windows = parse_settings(&text, "/d").unwrap().windows;
            let open = seen(&[window], day(from), 36 * 60);
            for at in 0..24 * 60 {
                compare(&windows, &text, &open, day(from), at, [0, 30][at % 2]);
            }
        }
    }
}
