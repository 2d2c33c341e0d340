//! When runtimes may be restarted: windows on the calendar and the clock of a place. Pure.
//!
//! A window is what a clock on the wall there *shows*, and no stretch of time that begins at one
//! instant and lasts so many hours. Both are the same but for the two nights of a year in which the
//! clock is set: there people mean the clock ("not after five, the day shift is in"), and this is
//! the reading that never lets a restart happen at an hour that they did not write. So a window in
//! an hour that is skipped does not open that night, and one in an hour that is repeated opens in
//! both. Whoever finds that too clever writes windows in UTC, which is the default.

use std::collections::BTreeSet;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

mod days;
#[cfg(test)]
mod tests;

pub use days::{Dates, Days, Which};

/// How far ahead is looked first, and then, because a window may be on one day of the year.
const NEAR: SignedDuration = SignedDuration::from_hours(9 * 24);
const FAR: SignedDuration = SignedDuration::from_hours(FAR_DAYS * 24);
const FAR_DAYS: i64 = 400;

/// All `[[window]]` of the settings: open is what one of them opens. Without any, always.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Windows(Vec<Window>);

/// One `[[window]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    pub days: Days,
    /// If there are any: only on these of `days`.
    pub dates: Vec<Dates>,
    pub not_dates: Vec<Dates>,
    pub start: Time,
    /// On the clock; of whole minutes, and of [`LONGEST`] at most.
    pub length: SignedDuration,
    pub timezone: TimeZone,
}

pub const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// `None`: for longer than anybody has to plan.
    Open { until: Option<Timestamp> },
    /// `opens`: when there is next as much room as was asked for. `None`: not within a year.
    Closed { opens: Option<Timestamp>, why: String },
}

impl Windows {
    pub fn new(windows: Vec<Window>) -> Self {
        Self(windows)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether something that takes `room` may begin now. Time that is left in a window is not
    /// enough: what begins in its last minute ends outside it.
    pub fn at(&self, now: Timestamp, room: SignedDuration) -> Opening {
        if self.0.is_empty() {
            return Opening::Open { until: None };
        }
        let until = |horizon| now.saturating_add(horizon).unwrap_or(Timestamp::MAX);
        let near = self.stretch(now, until(NEAR), room).filter(|stretch| stretch.until.is_some());
        match near.or_else(|| self.stretch(now, until(FAR), room)) {
            Some(Stretch { from, until }) if from == now => Opening::Open { until },
            Some(Stretch { from, .. }) => {
                Opening::Closed { opens: Some(from), why: self.why(now, room, Some(from)) }
            }
            None => Opening::Closed { opens: None, why: self.why(now, room, None) },
        }
    }

    /// The first stretch before `horizon` that is open for as long as `room`.
    fn stretch(&self, now: Timestamp, horizon: Timestamp, room: SignedDuration) -> Option<Stretch> {
        let mut since = self.is_open(now).then_some(now);
        for edge in self.edges(now, horizon) {
            match (since, self.is_open(edge)) {
                (Some(from), false) if edge.duration_since(from) >= room => {
                    return Some(Stretch { from, until: Some(edge) });
                }
                (Some(_), false) => since = None,
                (None, true) => since = Some(edge),
                (Some(_), true) | (None, false) => {}
            }
        }
        let from = since?;
        (horizon.duration_since(from) >= room).then_some(Stretch { from, until: None })
    }

    fn is_open(&self, now: Timestamp) -> bool {
        self.0.iter().any(|window| window.shows(window.timezone.to_datetime(now)))
    }

    /// Every instant after `now` and up to `horizon` at which a window could open or close.
    fn edges(&self, now: Timestamp, horizon: Timestamp) -> BTreeSet<Timestamp> {
        let mut edges = BTreeSet::new();
        for Window { timezone, .. } in &self.0 {
            let set = timezone.following(now).map(|set| set.timestamp());
            edges.extend(set.take_while(|at| *at <= horizon));
        }
        let walls = self.0.iter().flat_map(|window| {
            let walls = window.walls(now, horizon);
            walls.into_iter().flat_map(|wall| instants(&window.timezone, wall))
        });
        edges.extend(walls.filter(|at| now < *at && *at <= horizon));
        edges
    }

    fn why(&self, now: Timestamp, room: SignedDuration, opens: Option<Timestamp>) -> String {
        let reason = if self.is_open(now) {
            format!("too little is left of the window for what may take {room:#}")
        } else {
            "it is outside the windows".to_owned()
        };
        match opens {
            Some(opens) => format!("{reason}; the next one opens {}", self.shown(opens)),
            None => format!("{reason}, and none of the next {FAR_DAYS} days has room for it"),
        }
    }

    /// An opening, on the clock of the window that opens.
    fn shown(&self, at: Timestamp) -> String {
        let zone = |window: &Window| window.timezone.clone();
        let opens = |window: &&Window| window.shows(window.timezone.to_datetime(at));
        let zone = self.0.iter().find(opens).map_or(TimeZone::UTC, zone);
        at.to_zoned(zone).strftime("%a %Y-%m-%d %H:%M %Q").to_string()
    }
}

struct Stretch {
    from: Timestamp,
    until: Option<Timestamp>,
}

impl Window {
    /// Whether the window is open while a clock of its place shows this.
    fn shows(&self, wall: DateTime) -> bool {
        if self.is_closed_on(wall.date()) {
            return false;
        }
        let mut date = Some(wall.date());
        for _ in 0..=self.nights() {
            let Some(begins) = date else { break };
            if self.begins_on(begins) {
                let (opens, closes) = self.spell(begins);
                if opens <= wall && wall < closes {
                    return true;
                }
            }
            date = begins.yesterday().ok();
        }
        false
    }

    /// How many days after the one it begins on it can be open.
    fn nights(&self) -> i64 {
        let start = i64::from(self.start.hour()) * 60 + i64::from(self.start.minute());
        (start + self.length.as_mins() - 1).div_euclid(24 * 60)
    }

    fn begins_on(&self, date: Date) -> bool {
        self.days.has(date.weekday())
            && (self.dates.is_empty() || self.dates.iter().any(|dates| dates.has(date)))
            && !self.is_closed_on(date)
    }

    fn is_closed_on(&self, date: Date) -> bool {
        self.not_dates.iter().any(|dates| dates.has(date))
    }

    fn spell(&self, begins: Date) -> (DateTime, DateTime) {
        let opens = begins.to_datetime(self.start);
        (opens, opens.saturating_add(self.length))
    }

    /// What the clock shows where the window could open or close, on the days around the time asked
    /// about.
    fn walls(&self, now: Timestamp, horizon: Timestamp) -> Vec<DateTime> {
        let shown = |at: Timestamp| self.timezone.to_datetime(at).date();
        let day = SignedDuration::from_hours(24);
        let mut walls = Vec::new();
        let (mut date, last) = (shown(now).saturating_sub(LONGEST + day), shown(horizon));
        while date <= last {
            if self.begins_on(date) {
                let (opens, closes) = self.spell(date);
                walls.extend([opens, closes]);
            }
            let Ok(tomorrow) = date.tomorrow() else { break };
            if self.is_closed_on(date) {
                walls.extend([date, tomorrow].map(|date| date.to_datetime(Time::midnight())));
            }
            date = tomorrow;
        }
        walls
    }
}

/// When a clock shows this: once, in an hour that is repeated twice, in one that is skipped never.
fn instants(timezone: &TimeZone, wall: DateTime) -> Vec<Timestamp> {
    let offsets = match timezone.to_ambiguous_timestamp(wall).offset() {
        AmbiguousOffset::Unambiguous { offset } => vec![offset],
        AmbiguousOffset::Fold { before, after } => vec![before, after],
        // What the window does is done at the jump over this hour, which is an edge itself.
        AmbiguousOffset::Gap { .. } => Vec::new(),
    };
    offsets.into_iter().filter_map(|offset| offset.to_timestamp(wall).ok()).collect()
}
