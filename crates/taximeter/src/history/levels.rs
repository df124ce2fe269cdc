//! Which sums answer for a period: days in its middle, hours around them, minutes at its ends, as far as these are kept.

use chrono::{DateTime, TimeDelta, Utc};
use taximeter_persistence::store::Level;

use super::Period;

/// Since when the sums of minutes, of hours and of days are whole; none where all are there.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reach(pub(super) [Option<DateTime<Utc>>; 3]);

/// What is removed while somebody asks is not asked for.
const SLACK: TimeDelta = TimeDelta::hours(2);

impl Reach {
    /// The finest sums that reach back to the beginning of a period; or, where it has none, to that of its last day.
    pub(super) fn finest(self, period: Period) -> Level {
        let last_day = || period.until.map(|until| down(until, Level::Day));
        let Some(from) = period.since.or_else(last_day) else { return Level::Day };
        let reaches = |level: &Level| {
            let since = self.0[*level as usize];
            since.is_none_or(|since| from.signed_duration_since(since) >= SLACK)
        };
        [Level::Minute, Level::Hour].into_iter().find(reaches).unwrap_or(Level::Day)
    }

    /// The same period from the beginning of a window to the end of one, whose sums are kept for it and for the one
    /// before.
    pub(super) fn whole(self, period: Period) -> Period {
        let before = period.previous().and_then(|before| before.since);
        let level = self.finest(Period { since: before.or(period.since), ..period });
        let since = period.since.map(|since| down(since, level));
        up_to(Period { since, until: period.until }, level)
    }

    /// The parts of a period in their order, each with the sums that answer for it: the longest ones that fit.
    pub(super) fn pieces(self, period: Period, each: Option<Level>) -> Vec<(Period, Level)> {
        let finest = self.finest(period);
        let longest = each.unwrap_or(Level::Day);
        let mut pieces = vec![(period, finest)];
        for level in [Level::Hour, Level::Day] {
            if level > finest && level <= longest {
                pieces = pieces.into_iter().flat_map(|piece| split(piece, level)).collect();
            }
        }
        pieces
    }
}

fn up_to(period: Period, level: Level) -> Period {
    let up = |at: DateTime<Utc>| {
        let begun = down(at, level);
        if begun == at { at } else { begun + TimeDelta::seconds(level.seconds()) }
    };
    Period { since: period.since, until: period.until.map(up) }
}

/// A part whose middle is made of longer windows, where it has such.
fn split((period, below): (Period, Level), level: Level) -> Vec<(Period, Level)> {
    let first = period.since.map(|since| up_to(Period { since: None, until: Some(since) }, level));
    let first = first.and_then(|first| first.until);
    let last = period.until.map(|until| down(until, level));
    let has_middle = match (first, last) {
        (Some(first), Some(last)) => first < last,
        _ => true,
    };
    // Only the part between the others, which is the longest, is taken apart again.
    if !has_middle || (level == Level::Day && below == Level::Minute) {
        return vec![(period, below)];
    }
    let piece = |since, until, level| (Period { since, until }, level);
    let mut pieces = Vec::new();
    if period.since != first {
        pieces.push(piece(period.since, first, below));
    }
    pieces.push(piece(first, last, level));
    if period.until != last {
        pieces.push(piece(last, period.until, below));
    }
    pieces
}

fn down(at: DateTime<Utc>, level: Level) -> DateTime<Utc> {
    DateTime::from_timestamp(level.start(at.timestamp()), 0).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// A store whose sums of minutes are there for three days, and those of hours for a hundred.
    fn reach() -> Reach {
        Reach([Some(at("2026-11-23T12:00:00Z")), Some(at("2026-08-18T12:00:00Z")), None])
    }

    fn shown(since: &str, until: &str, each: Option<Level>) -> Vec<String> {
        let period = Period { since: Some(at(since)), until: Some(at(until)) };
        let pieces = reach().pieces(period, each);
        // They follow one another without a gap.
        assert!(pieces.windows(2).all(|two| two[0].0.until == two[1].0.since));
        assert_eq!(
            (pieces[0].0.since, pieces[pieces.len() - 1].0.until),
            (period.since, period.until)
        );
        pieces.iter().map(|(period, level)| format!("{level:?} {period}")).collect()
    }

    #[test]
    fn minutes_are_at_the_ends_and_longer_sums_between() {
        assert_eq!(
            shown("2026-11-25T11:57:00Z", "2026-11-26T11:58:00Z", None),
            [
                "Minute 2026-11-25 11:57 – 2026-11-25 12:00 UTC",
                "Hour 2026-11-25 12:00 – 2026-11-26 11:00 UTC",
                "Minute 2026-11-26 11:00 – 2026-11-26 11:58 UTC",
            ]
        );
        assert_eq!(
            shown("2026-11-01T07:00:00Z", "2026-11-26T12:00:00Z", None),
            [
                "Hour 2026-11-01 07:00 – 2026-11-02 00:00 UTC",
                "Day 2026-11-02 00:00 – 2026-11-26 00:00 UTC",
                "Hour 2026-11-26 00:00 – 2026-11-26 12:00 UTC",
            ]
        );
        assert_eq!(
            shown("2026-11-01T07:00:00Z", "2026-11-26T12:00:00Z", Some(Level::Hour)).len(),
            1
        );
        assert_eq!(shown("2026-11-26T11:10:00Z", "2026-11-26T11:58:00Z", None).len(), 1);
    }

    #[test]
    fn a_period_is_taken_to_the_windows_that_are_kept() {
        let shown = |reach: Reach, since: Option<&str>| {
            let until = Some(at("2026-11-26T11:58:00Z"));
            reach.whole(Period { since: since.map(at), until }).to_string()
        };
        let day = Some("2026-11-25T11:57:00Z");
        assert_eq!(shown(reach(), day), "2026-11-25 11:57 – 2026-11-26 11:58 UTC");
        let two_days = Some("2026-11-24T11:57:00Z"); // the one before reaches too far for minutes
        assert_eq!(shown(reach(), two_days), "2026-11-24 11:00 – 2026-11-26 12:00 UTC");
        let months = Some("2026-06-01T11:57:00Z");
        assert_eq!(shown(reach(), months), "2026-06-01 00:00 – 2026-11-27 00:00 UTC");
        // Where minutes are kept for longer, or nothing was removed yet, they answer for longer.
        let everything = Reach::default();
        assert_eq!(shown(everything, months), "2026-06-01 11:57 – 2026-11-26 11:58 UTC");
        assert_eq!(shown(everything, None), "until 2026-11-26 11:58 UTC");
        let hours_alone = Reach([Some(at("2026-11-26T11:00:00Z")), None, None]);
        assert_eq!(shown(hours_alone, day), "2026-11-25 11:00 – 2026-11-26 12:00 UTC");
    }

    #[test]
    fn what_has_no_beginning_ends_when_it_is_asked_to() {
        let period = Period { since: None, until: Some(at("2026-11-26T11:58:00Z")) };
        let pieces = reach().pieces(period, None);
        let shown: Vec<_> = pieces.iter().map(|(p, level)| format!("{level:?} {p}")).collect();
        assert_eq!(
            shown,
            [
                "Day until 2026-11-26 00:00 UTC",
                "Hour 2026-11-26 00:00 – 2026-11-26 11:00 UTC",
                "Minute 2026-11-26 11:00 – 2026-11-26 11:58 UTC",
            ]
        );
        assert_eq!(reach().pieces(Period::ALL, None), [(Period::ALL, Level::Day)]);
    }
}
