//! What is not in the store: what its meters lost, left out or still held, by their own counts.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use taximeter_models::Name;
use taximeter_persistence::StoreError;
use taximeter_persistence::store::Note;

use super::{History, Period};
use crate::noted::{Counted, KEY, hour};

/// What the meters of a store lost within a period, by their own counts; they note these with every flush, and every few
/// seconds while operations end.
///
/// A period begins with a whole hour here. What was imported was never lost.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Losses {
    /// Meters that were heard of.
    pub meters: u64,
    /// Operations that they started.
    pub offered: u64,
    /// Operations that they stored.
    pub stored: u64,
    /// Operations that ended and are not in the store.
    pub lost: u64,
    /// The same by reason, such as `queue_full`.
    pub lost_by_reason: BTreeMap<Name, u64>,
    /// Operations that were open or queued when their meter was last heard of. They are lost if it was killed then.
    pub in_flight: u64,
    /// What was left out of operations that are there, or cut: `late_parts`, `truncated`, `invalid_usages` and so on.
    pub left_out: BTreeMap<Name, u64>,
    /// When the store last refused a batch, and what it said.
    pub last_error: Option<(DateTime<Utc>, String)>,
}

const REASON: &str = "dropped_";
/// Counts of what is not lost, but there or on its way.
const OTHERS: [&str; 6] = ["offered", "stored", "queued", "open", "abandoned", "redacted"];

impl Losses {
    /// The reasons with their numbers, the most frequent first: `12 queue_full, 3 disk_full`.
    pub fn reasons(&self) -> String {
        let mut reasons: Vec<_> = self.lost_by_reason.iter().collect();
        reasons.sort_by_key(|(reason, number)| (std::cmp::Reverse(**number), *reason));
        let words: Vec<_> =
            reasons.iter().map(|(reason, number)| format!("{number} {reason}")).collect();
        words.join(", ")
    }

    /// What to do against the most frequent reason; none where nothing was lost.
    pub fn what_to_do(&self) -> Option<&'static str> {
        let (reason, _) = self.lost_by_reason.iter().max_by_key(|(_, number)| **number)?;
        Some(match &**reason {
            "queue_full" => "raise queued_records and queued_bytes, or take a faster disk",
            "too_large" => "record less in one operation, or raise queued_bytes",
            "too_many_open" => "end operations, or raise the limits of the meter",
            "sampled" => "raise queued_records: sampling begins where the queue is half full",
            "after_shutdown" => "shut the meter down after the last operation has ended",
            "fork" => "make a meter of its own in a forked child",
            "disk_full" => "free some room, or limit the store by keep.bytes and keep.operations",
            "io_error" => "see what the store said: taximeter doctor",
            _ => "see what the program wrote to its log",
        })
    }

    fn add(&mut self, counted: &Counted, before: Option<&Counted>) {
        self.meters += 1;
        let since = |name: &Name| before.and_then(|before| before.counts.get(name)).copied();
        for (name, count) in &counted.counts {
            let new = count.saturating_sub(since(name).unwrap_or_default());
            match &**name {
                "offered" => self.offered += new,
                "stored" => self.stored += new,
                "queued" | "open" => self.in_flight += count,
                name if OTHERS.contains(&name) || new == 0 => {}
                other => match other.strip_prefix(REASON) {
                    Some(reason) => {
                        self.lost += new;
                        *self.lost_by_reason.entry(reason.into()).or_default() += new;
                    }
                    None => *self.left_out.entry(name.clone()).or_default() += new,
                },
            }
        }
        let errors = [self.last_error.take(), counted.last_error.clone()];
        self.last_error = errors.into_iter().flatten().max();
    }
}

impl History {
    /// What the meters of this store lost within a period, to the hour.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn losses(&self, period: Period) -> Result<Losses, StoreError> {
        let mut losses = Losses::default();
        // Of each meter the last note before the period, and the last one in it.
        let before = period.since.map(|since| self.noted_before(since)).transpose()?;
        let before = before.unwrap_or_default();
        let last = match period.until {
            Some(until) => self.noted_before(until)?,
            None => by_meter(self.store.last_notes(KEY, None)?),
        };
        for (meter, note) in last {
            if period.since.is_some_and(|since| note.at < since) {
                continue;
            }
            // A note of a newer version may say other things; these are no losses that could be told.
            let read = |note: &Note| serde_json::from_value::<Counted>(note.value.clone()).ok();
            if let Some(counted) = read(&note) {
                losses.add(&counted, before.get(&meter).and_then(read).as_ref());
            }
        }
        if let (Some(since), Some((at, _))) = (period.since, &losses.last_error)
            && *at < since
        {
            losses.last_error = None;
        }
        Ok(losses)
    }

    /// The last note of each meter before a moment. How many others there are does not matter.
    fn noted_before(&self, at: DateTime<Utc>) -> Result<BTreeMap<String, Note>, StoreError> {
        let upto = |at| self.store.last_notes(KEY, Some(&hour(at))).map(by_meter);
        let (mut before, of_the_hour): (BTreeMap<_, _>, BTreeMap<_, _>) =
            upto(at)?.into_iter().partition(|(_, note)| note.at < at);
        if !of_the_hour.is_empty() {
            let an_hour_ago = at.checked_sub_signed(TimeDelta::hours(1)).unwrap_or(at);
            let earlier = upto(an_hour_ago)?.into_iter();
            before.extend(earlier.filter(|(meter, _)| of_the_hour.contains_key(meter)));
        }
        Ok(before)
    }
}

fn by_meter(notes: Vec<Note>) -> BTreeMap<String, Note> {
    let meter = |note: &Note| note.key.rsplit_once('/').map(|(meter, _)| meter.to_owned());
    notes.into_iter().filter_map(|note| Some((meter(&note)?, note))).collect()
}
