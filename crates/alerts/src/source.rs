//! Where sums come from: the history itself, or for a back-test its minutes, an hour at a time and held in memory.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use taximeter::analysis::{Dimension, Sums};
use taximeter::history::{GroupSums, History, Period};
use taximeter::store::Level;
use taximeter::{Name, StoreError};

/// A history that is asked.
pub(crate) struct Source<'h> {
    pub(crate) history: &'h History,
    hours: Option<RefCell<VecDeque<Hour>>>,
}

/// The sums of the minutes of an hour.
struct Hour {
    by: Dimension,
    start: i64,
    minutes: BTreeMap<i64, Vec<(Option<Name>, Sums)>>,
}

/// So many hours are held: those of two windows and of what is between.
const MOST_HOURS: usize = 16;
/// Longer windows are asked of the history, which has sums of hours and days for them.
const LONGEST: TimeDelta = TimeDelta::hours(6);
const HOUR: i64 = 3_600;

impl<'h> Source<'h> {
    /// Asks the history each time.
    pub(crate) fn live(history: &'h History) -> Self {
        Self { history, hours: None }
    }

    /// Asks for each minute once: for who looks at a window that slides over the past.
    pub(crate) fn sliding(history: &'h History) -> Self {
        Self { history, hours: Some(RefCell::default()) }
    }

    /// The sums of each group of a period of whole minutes.
    pub(crate) fn sums(
        &self,
        by: &Dimension,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<BTreeMap<Option<Name>, Sums>, StoreError> {
        let mut groups = BTreeMap::<Option<Name>, Sums>::new();
        let Some(hours) = self.hours.as_ref().filter(|_| until - since <= LONGEST) else {
            let period = Period { since: Some(since), until: Some(until) };
            for GroupSums { key, sums, .. } in self.history.sums_by(by, period, None)? {
                groups.entry(key).or_default().merge(&sums);
            }
            return Ok(groups);
        };
        let (first, end) = (since.timestamp(), until.timestamp());
        let mut hour = first - first.rem_euclid(HOUR);
        let mut hours = hours.borrow_mut();
        while hour < end {
            let place = hours.iter().position(|one| one.start == hour && one.by == *by);
            // What was asked for last goes last.
            let found = match place.and_then(|place| hours.remove(place)) {
                Some(found) => found,
                None => self.read(by, hour)?,
            };
            let range = first.max(hour)..end.min(hour + HOUR);
            for (key, sums) in found.minutes.range(range).flat_map(|(_, minute)| minute) {
                groups.entry(key.clone()).or_default().merge(sums);
            }
            hours.push_back(found);
            if hours.len() > MOST_HOURS {
                hours.pop_front();
            }
            hour += HOUR;
        }
        Ok(groups)
    }

    fn read(&self, by: &Dimension, start: i64) -> Result<Hour, StoreError> {
        let at = |second| DateTime::from_timestamp(second, 0);
        let period = Period { since: at(start), until: at(start + HOUR) };
        let mut minutes = BTreeMap::<i64, Vec<_>>::new();
        for GroupSums { key, start, sums, .. } in
            self.history.sums_by(by, period, Some(Level::Minute))?
        {
            if let Some(start) = start {
                minutes.entry(start.timestamp()).or_default().push((key, sums));
            }
        }
        Ok(Hour { by: by.clone(), start, minutes })
    }
}
