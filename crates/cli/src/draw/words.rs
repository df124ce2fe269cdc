//! Moments in few words.

use chrono::{DateTime, Utc};

/// A moment to the minute.
pub(crate) fn minute(at: DateTime<Utc>) -> String {
    at.format("%F %H:%M").to_string()
}

/// The day of a moment.
pub(crate) fn day(at: DateTime<Utc>) -> String {
    at.format("%F").to_string()
}
