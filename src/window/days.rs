//! Days of the week, and days of the calendar.

use jiff::civil::{Date, Weekday};

/// Days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days(u8);

impl Days {
    pub const ALL: Self = Self(0b111_1111);
    pub const WEEKDAYS: Self = Self(0b001_1111);
    pub const WEEKEND: Self = Self(0b110_0000);
    pub const NONE: Self = Self(0);

    pub fn only(day: Weekday) -> Self {
        Self(1 << day.to_monday_zero_offset())
    }

    #[must_use]
    pub fn and(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    pub fn has(self, day: Weekday) -> bool {
        self.0 & Self::only(day).0 != 0
    }
}

/// One element of `dates` or `not_dates`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dates {
    /// `2026-12-24`, or `2026-12-24..2027-01-06`; both ends belong to it.
    Range { first: Date, last: Date },
    /// `12-25`: every year.
    Yearly { month: i8, day: i8 },
    /// `first sat`, `last fri`: of every month.
    Monthly { which: Which, day: Weekday },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Counted from 1.
    Nth(i8),
    Last,
}

impl Dates {
    pub(super) fn has(self, date: Date) -> bool {
        match self {
            Self::Range { first, last } => first <= date && date <= last,
            Self::Yearly { month, day } => date.month() == month && date.day() == day,
            Self::Monthly { which, day } => {
                let is_it = match which {
                    Which::Nth(nth) => (date.day() - 1) / 7 + 1 == nth,
                    Which::Last => date.day() + 7 > date.days_in_month(),
                };
                is_it && date.weekday() == day
            }
        }
    }
}
