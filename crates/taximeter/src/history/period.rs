//! Stretches of time, as people write them: `24h`, `2026-11-01..2026-11-08`, `48h..24h`.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::Serialize;
use taximeter_analysis::Window;
use thiserror::Error;

/// From a first moment to one that is not in it any more. None is the beginning, or the end, of all.
///
/// ```
/// use taximeter::history::Period;
///
/// let now = "2026-11-23T18:00:30Z".parse()?;
/// let day = Period::read("24h", now)?;
/// assert_eq!(day.to_string(), "2026-11-22 18:00 – 2026-11-23 18:01 UTC"); // whole minutes
/// assert_eq!(Period::read("2026-11-01..2026-11-08", now)?.previous().unwrap().to_string(),
///     "2026-10-25 00:00 – 2026-11-01 00:00 UTC");
/// let error = Period::read("yesterday", now).unwrap_err().to_string();
/// assert!(error.contains("yesterday") && error.contains("24h"), "{error}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Period {
    /// The first moment.
    pub since: Option<DateTime<Utc>>,
    /// The moment after the last.
    pub until: Option<DateTime<Utc>>,
}

/// A text that is no moment or period.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "reading {text:?} as a {what}: expected a time ago (90s, 30m, 24h, 7d, 2w), a day (2026-11-23), a moment \
     (2026-11-23T12:00:00Z), `now` or `all`{}", if *.period { ", or two of them with .. between, such as 48h..24h" } else { "" }
)]
pub struct PeriodError {
    text: String,
    what: &'static str,
    period: bool,
}

impl Period {
    /// All of time.
    pub const ALL: Self = Self { since: None, until: None };

    /// From one moment to another, both taken to whole minutes: the first down, the last up.
    pub fn new(since: Option<DateTime<Utc>>, until: Option<DateTime<Utc>>) -> Self {
        let up = |at: DateTime<Utc>| {
            let down = minute(at);
            if down == at { at } else { down + TimeDelta::minutes(1) }
        };
        Self { since: since.map(minute), until: until.map(up) }
    }

    /// A period as people write it: `24h` is the last day, `2026-11-23` that day, `A..B` from the one to the other, where
    /// either may be left out, and `all` everything.
    ///
    /// # Errors
    /// Where the text is none of these.
    pub fn read(text: &str, now: DateTime<Utc>) -> Result<Self, PeriodError> {
        let wrong = |mut error: PeriodError| {
            (error.what, error.period) = ("period", true);
            error
        };
        let side = |text: &str| match text {
            "" => Ok(None),
            text => Self::moment(text, now).map_err(wrong),
        };
        if let Some((since, until)) = text.split_once("..") {
            return Ok(Self::new(side(since)?, side(until)?));
        }
        if let Ok(day) = text.parse::<NaiveDate>() {
            let begin = midnight(day);
            return Ok(Self::new(Some(begin), begin.checked_add_signed(TimeDelta::days(1))));
        }
        let since = Self::moment(text, now).map_err(wrong)?;
        Ok(if since.is_some() { Self::new(since, Some(after(now))) } else { Self::ALL })
    }

    /// One moment: `now`, a time ago, a day's midnight or RFC 3339; none for `all`.
    ///
    /// # Errors
    /// Where the text is none of these.
    pub fn moment(text: &str, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, PeriodError> {
        if text == "all" {
            return Ok(None);
        }
        if text == "now" {
            return Ok(Some(after(now)));
        }
        if let Ok(window) = text.parse::<Window>() {
            // What no calendar reaches back to is before everything.
            let ago = TimeDelta::from_std(window.length()).ok();
            return Ok(ago.and_then(|ago| now.checked_sub_signed(ago)));
        }
        if let Ok(day) = text.parse::<NaiveDate>() {
            return Ok(Some(midnight(day)));
        }
        let shown = || text.chars().take(64).collect();
        let wrong = |_| PeriodError { text: shown(), what: "moment", period: false };
        text.parse().map(Some).map_err(wrong)
    }

    /// The period of the same length before it; none where it has no beginning or no end.
    pub fn previous(self) -> Option<Self> {
        let (since, until) = (self.since?, self.until?);
        let length = until.signed_duration_since(since);
        Some(Self { since: Some(since.checked_sub_signed(length)?), until: Some(since) })
    }

    /// How long it is; none where it has no beginning or no end.
    pub fn length(self) -> Option<TimeDelta> {
        Some(self.until?.signed_duration_since(self.since?))
    }

    /// The operations that began in it.
    pub(super) fn query(self) -> taximeter_persistence::store::Query {
        let mut query = taximeter_persistence::store::Query::default();
        (query.since, query.until) = (self.since, self.until);
        query
    }
}

fn minute(at: DateTime<Utc>) -> DateTime<Utc> {
    let seconds = at.timestamp();
    DateTime::from_timestamp(seconds - seconds.rem_euclid(60), 0).unwrap_or(at)
}

/// The first moment that is not `now` or before.
fn after(now: DateTime<Utc>) -> DateTime<Utc> {
    now.checked_add_signed(TimeDelta::nanoseconds(1)).unwrap_or(now)
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(chrono::NaiveTime::MIN).and_utc()
}

impl std::fmt::Display for Period {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = |at: DateTime<Utc>| at.format("%F %H:%M").to_string();
        match (self.since, self.until) {
            (None, None) => f.write_str("all time"),
            (Some(since), None) => write!(f, "since {} UTC", at(since)),
            (None, Some(until)) => write!(f, "until {} UTC", at(until)),
            (Some(since), Some(until)) => write!(f, "{} – {} UTC", at(since), at(until)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_read() {
        let now = "2026-11-23T18:00:30Z".parse().unwrap();
        for (text, shown) in [
            ("all", "all time"),
            ("2026-11-23", "2026-11-23 00:00 – 2026-11-24 00:00 UTC"),
            ("48h..24h", "2026-11-21 18:00 – 2026-11-22 18:01 UTC"),
            ("2026-11-01..", "since 2026-11-01 00:00 UTC"),
            ("..2026-11-01T12:00:00Z", "until 2026-11-01 12:00 UTC"),
            ("1h..now", "2026-11-23 17:00 – 2026-11-23 18:01 UTC"),
        ] {
            assert_eq!(Period::read(text, now).unwrap().to_string(), shown, "{text}");
        }
        for text in ["", "a..b", "24", "2026-13-01", "-1h", "now..then"] {
            let read = Period::read(text, now);
            assert!(read.is_err(), "{text}: {read:?}");
        }
    }
}
