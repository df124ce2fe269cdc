//! Storing what is whole, and letting go of what the journal needs no longer.

use std::sync::atomic::Ordering;

use chrono::{DateTime, Utc};
use taximeter::history::History;
use taximeter::otlp_in::Closed;
use taximeter::{OperationRecord, StoreError};

use super::{Shared, lock};

/// So many operations are stored at a time: enough that a transaction costs little beside them, and few enough to hold, for
/// a record takes some four thousand bytes.
const AT_ONCE: usize = 8_192;

/// What waits to be stored, and what of the journal goes once it is. There is one such lot at most: until it is stored, all
/// else stays with the receiver, which takes so much and no more.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    records: Vec<OperationRecord>,
    closed: Vec<Closed>,
    /// Below this mark the journal is needed no longer, once all of it is stored.
    below: u64,
    /// Whether it was said that nothing can be stored now.
    told: bool,
}

/// What came of a step.
pub(super) enum Step {
    /// There is more that can be stored now.
    More,
    Done,
    /// Nothing can be stored now.
    Failed,
}

impl Keeper {
    /// Stores a lot of what is whole.
    pub(super) fn step(&mut self, shared: &Shared, now: DateTime<Utc>) -> Step {
        // What could not be stored goes first; there may be more behind it.
        let mut more = true;
        if self.is_empty() {
            more = self.fill(shared, now);
        }
        let stored = if self.is_empty() { Ok(()) } else { self.store(shared) };
        shared.pending.store(self.records.len() as u64, Ordering::Relaxed);
        match stored {
            Ok(()) => {
                self.told = false;
                if more { Step::More } else { Step::Done }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.told, true) {
                    say(&error);
                }
                Step::Failed
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.records.is_empty() && self.closed.is_empty()
    }

    fn fill(&mut self, shared: &Shared, now: DateTime<Utc>) -> bool {
        let floor = shared.floor();
        let mut marked = shared.receiver.take_marked(now, AT_ONCE);
        shared.taken.notify_waiters();
        shared.history.price(&mut marked.records);
        shared.pending.store(marked.records.len() as u64, Ordering::Relaxed);
        self.below = marked.oldest.map_or(floor, |oldest| oldest.min(floor));
        (self.records, self.closed) = (marked.records, marked.closed);
        marked.more
    }

    fn store(&mut self, shared: &Shared) -> Result<(), StoreError> {
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
        shared.journal.stored(self.below)
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
