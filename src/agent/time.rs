//! The agent's clock.
#![expect(clippy::disallowed_methods, reason = "the daemon reads the clock here and nowhere else")]

use std::time::Duration;

use jiff::Timestamp;

pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

/// How long until `then`; nothing if it has passed. Never so long that a clock that is set forward
/// would keep an entry in force for hours after its end.
pub(super) fn until(then: Timestamp, now: Timestamp) -> Duration {
    const LONGEST: Duration = Duration::from_hours(1);
    Duration::try_from(then.duration_since(now)).unwrap_or_default().min(LONGEST)
}
