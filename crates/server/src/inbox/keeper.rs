//! Storing what is whole, and letting go of what the journal needs no longer.

use std::sync::atomic::Ordering;

use chrono::{DateTime, Utc};
use taximeter::history::History;
use taximeter::otlp_in::Closed;
use taximeter::{OperationRecord, StoreError};

use super::{Shared, lock};

/// What waits to be stored, and what of the journal goes once it is.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    records: Vec<OperationRecord>,
    closed: Vec<Closed>,
    /// Whether it was said that nothing can be stored now.
    told: bool,
}

impl Keeper {
    pub(super) fn step(&mut self, shared: &Shared, now: DateTime<Utc>) {
        let floor = shared.floor();
        let mut marked = shared.receiver.take_marked(now);
        shared.history.price(&mut marked.records);
        self.records.append(&mut marked.records);
        self.closed.append(&mut marked.closed);
        shared.pending.store(self.records.len() as u64, Ordering::Relaxed);
        if self.records.is_empty() && self.closed.is_empty() {
            return;
        }
        let below = marked.oldest.map_or(floor, |oldest| oldest.min(floor));
        match self.try_step(shared, below) {
            Ok(()) => self.told = false,
            Err(error) if !self.told => {
                self.told = true;
                say(&error);
            }
            Err(_) => {}
        }
        shared.pending.store(self.records.len() as u64, Ordering::Relaxed);
    }

    fn try_step(&mut self, shared: &Shared, below: u64) -> Result<(), StoreError> {
        shared.journal.closing(self.closed.iter().map(|closed| (closed.trace, closed.mark)))?;
        if !self.records.is_empty() {
            let lost = append(&shared.history, &self.records)?;
            shared.unstorable.fetch_add(lost, Ordering::Relaxed);
            shared.stored.fetch_add(self.records.len() as u64, Ordering::Relaxed);
            let mut instruments = lock(&shared.instruments);
            self.records.iter().for_each(|record| instruments.observe(record));
            drop(instruments);
            self.records.clear();
            shared.changed.send_modify(|times| *times += 1);
        }
        self.closed.clear();
        shared.journal.stored(below)
    }
}

/// Stores records; what can never be stored is left out, and how many that were is given.
pub(super) fn append(history: &History, records: &[OperationRecord]) -> Result<u64, StoreError> {
    let (mut lost, mut failed) = (0, None);
    history.store().append_each(records, &mut |error| match error {
        StoreError::Unstorable { .. } => {
            lost += 1;
            say(&error);
        }
        other => failed = Some(other),
    })?;
    failed.map_or(Ok(lost), Err)
}

/// A server says on standard error what went wrong, as other servers do.
#[expect(clippy::print_stderr, reason = "it is the server's log")]
fn say(error: &StoreError) {
    eprintln!("taximeter: {error}");
}
