//! Which sums answer for a period: days in its middle, hours around them, minutes at its ends, as far as these are kept.

use chrono::{DateTime, TimeDelta, Utc};
use taximeter_persistence::store::Level;

use super::{Period, Summed};

/// How long the sums of minutes and of hours are kept, less a little for what is on its way.
const KEPT: [(Level, TimeDelta); 2] =
    [(Level::Minute, TimeDelta::days(3)), (Level::Hour, TimeDelta::days(100))];
const SLACK: TimeDelta = TimeDelta::hours(2);

/// The finest sums that reach back to a moment.
pub(super) fn finest(since: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Level {
    let Some(since) = since else { return Level::Day };
    let reaches =
        |(_, kept): &&(Level, TimeDelta)| now.signed_duration_since(since) < *kept - SLACK;
    KEPT.iter().find(reaches).map_or(Level::Day, |(level, _)| *level)
}

/// The same period from the beginning of a window to the end of one, whose sums are kept for it and for the one before.
pub(super) fn whole(period: Period, now: DateTime<Utc>) -> Period {
    let Some(since) = period.since else { return up_to(period, Level::Minute) };
    let before = period.previous().and_then(|before| before.since).unwrap_or(since);
    let level = finest(Some(before), now);
    let since = Some(down(since, level));
    up_to(Period { since, until: period.until }, level)
}

fn up_to(period: Period, level: Level) -> Period {
    let up = |at: DateTime<Utc>| {
        let begun = down(at, level);
        if begun == at { at } else { begun + TimeDelta::seconds(level.seconds()) }
    };
    Period { since: period.since, until: period.until.map(up) }
}

/// The parts of a period in their order, each with the sums that answer for it: the longest ones that fit.
pub(super) fn pieces(
    period: Period,
    each: Option<Level>,
    now: DateTime<Utc>,
) -> Vec<(Period, Level)> {
    let finest = finest(period.since, now);
    let longest = each.unwrap_or(Level::Day);
    let mut pieces = vec![(period, finest)];
    for level in [Level::Hour, Level::Day] {
        if level > finest && level <= longest {
            pieces = pieces.into_iter().flat_map(|piece| split(piece, level)).collect();
        }
    }
    pieces
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

/// One answer for each window and key.
pub(super) fn together(mut all: Vec<Summed>) -> Vec<Summed> {
    all.sort_by(|one, other| (one.start, &one.key).cmp(&(other.start, &other.key)));
    let mut merged: Vec<Summed> = Vec::with_capacity(all.len());
    for next in all {
        match merged.last_mut() {
            Some(last) if last.start == next.start && last.key == next.key => {
                last.sums.merge(&next.sums);
            }
            _ => merged.push(next),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn shown(since: &str, until: &str, each: Option<Level>) -> Vec<String> {
        let period = Period { since: Some(at(since)), until: Some(at(until)) };
        let pieces = pieces(period, each, at("2026-11-26T12:00:00Z"));
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
        let now = at("2026-11-26T12:00:00Z");
        let shown = |since: &str| {
            whole(Period { since: Some(at(since)), until: Some(at("2026-11-26T11:58:00Z")) }, now)
                .to_string()
        };
        assert_eq!(shown("2026-11-25T11:57:00Z"), "2026-11-25 11:57 – 2026-11-26 11:58 UTC");
        assert_eq!(shown("2026-11-24T11:57:00Z"), "2026-11-24 11:00 – 2026-11-26 12:00 UTC"); // for the one before
        assert_eq!(shown("2026-06-01T11:57:00Z"), "2026-06-01 00:00 – 2026-11-27 00:00 UTC");
    }
}
