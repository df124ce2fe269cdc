//! Where ended records wait for the worker, and where every operation is counted.
//!
//! The intake is split into shards, each behind a mutex of its own, and a thread uses always the same shard: the lock
//! is as good as never waited for. Each step in an operation's life (started, ended, stored, lost) changes the counts
//! of one shard under its lock, so a snapshot that holds all locks at once is exact.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use taximeter_models::OperationRecord;

use crate::counts::{Counts, LossReason};
use crate::limits::Limits;

const SHARDS: usize = 16;

#[derive(Debug)]
pub(crate) struct Intake {
    shards: [Mutex<Shard>; SHARDS],
    // Relaxed throughout: the two budgets guard memory, not data, and each is corrected by whoever oversteps it.
    queued_records: AtomicUsize,
    queued_bytes: AtomicUsize,
    // Set before the worker's last drain and read under a shard's lock: a record is either in that drain or refused.
    closed: AtomicBool,
    limits: Limits,
}

/// On its own cache lines, so that two threads do not slow one another by being neighbours.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    records: Vec<OperationRecord>,
    ledger: Ledger,
}

/// Counts of one shard. An operation may start in one shard and end in another, so only their sums mean something,
/// and those that go down are signed.
#[derive(Debug, Default)]
struct Ledger {
    offered: u64,
    open: i64,
    queued: i64,
    stored: u64,
    dropped: BTreeMap<LossReason, u64>,
    abandoned: u64,
    late_parts: u64,
    truncated: u64,
    invalid_usages: u64,
    internal_panics: u64,
}

/// Something of an operation that was not kept as it came.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Flaw {
    LatePart,
    Truncated(u64),
    InvalidUsage,
    InternalPanic,
}

/// What became of a record that was handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It waits.
    Queued,
    /// It waits, and enough others do for the worker to be woken.
    Pressing,
    /// It was lost.
    Lost,
}

/// So many records in one shard are worth waking the worker for.
const PRESSING: usize = 512;

impl Intake {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            shards: Default::default(),
            queued_records: AtomicUsize::new(0),
            queued_bytes: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            limits,
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn started(&self) {
        let mut shard = self.own_shard();
        shard.ledger.offered += 1;
        shard.ledger.open += 1;
    }

    /// Counts an operation that is lost before it is open.
    pub(crate) fn refused(&self, reason: LossReason) {
        let mut shard = self.own_shard();
        shard.ledger.offered += 1;
        *shard.ledger.dropped.entry(reason).or_default() += 1;
    }

    pub(crate) fn flaw(&self, flaw: Flaw) {
        let mut shard = self.own_shard();
        let ledger = &mut shard.ledger;
        match flaw {
            Flaw::LatePart => ledger.late_parts += 1,
            Flaw::Truncated(count) => ledger.truncated += count,
            Flaw::InvalidUsage => ledger.invalid_usages += 1,
            Flaw::InternalPanic => ledger.internal_panics += 1,
        }
    }

    /// Takes the record of an operation that has ended, if the budget allows.
    pub(crate) fn ended(&self, record: OperationRecord) -> Taken {
        let abandoned = record.outcome == taximeter_models::Outcome::Abandoned;
        let bytes = approximate_bytes(&record);
        let reserved = self.reserve(bytes);
        let mut shard = self.own_shard();
        shard.ledger.open -= 1;
        shard.ledger.abandoned += u64::from(abandoned);
        let loss = if self.closed.load(Ordering::Acquire) {
            Some(LossReason::AfterShutdown)
        } else {
            (!reserved).then_some(LossReason::QueueFull)
        };
        if let Some(reason) = loss {
            *shard.ledger.dropped.entry(reason).or_default() += 1;
            drop(shard);
            if reserved {
                self.release(1, bytes);
            }
            return Taken::Lost;
        }
        shard.ledger.queued += 1;
        shard.records.push(record);
        if shard.records.len().is_multiple_of(PRESSING) { Taken::Pressing } else { Taken::Queued }
    }

    fn reserve(&self, bytes: usize) -> bool {
        let records = self.queued_records.fetch_add(1, Ordering::Relaxed) + 1;
        let total = self.queued_bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let fits = records <= self.limits.queued_records && total <= self.limits.queued_bytes;
        if !fits {
            self.release(1, bytes);
        }
        fits
    }

    fn release(&self, records: usize, bytes: usize) {
        self.queued_records.fetch_sub(records, Ordering::Relaxed);
        self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Takes out all that waits, in batches of one shard each. They still count as queued.
    pub(crate) fn drain(&self) -> impl Iterator<Item = Vec<OperationRecord>> + '_ {
        self.shards.iter().filter_map(|shard| {
            let records = std::mem::take(&mut lock(shard).records);
            (!records.is_empty()).then_some(records)
        })
    }

    /// Gives the budget of a batch back: it is the sink's from here on.
    pub(crate) fn handed_over(&self, batch: &[OperationRecord]) {
        self.release(batch.len(), batch.iter().map(approximate_bytes).sum());
    }

    /// Counts what became of a batch.
    pub(crate) fn settled(&self, stored: u64, lost: u64, reason: Option<LossReason>) {
        let mut shard = self.own_shard();
        shard.ledger.queued -= i64::try_from(stored + lost).unwrap_or(i64::MAX);
        shard.ledger.stored += stored;
        if let (Some(reason), true) = (reason, lost > 0) {
            *shard.ledger.dropped.entry(reason).or_default() += lost;
        }
    }

    /// From here on, ended operations are refused.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// The counts at one instant: all shards are held at once, in order.
    pub(crate) fn counts(&self) -> Counts {
        let shards: Vec<_> = self.shards.iter().map(lock).collect();
        let mut counts = Counts::default();
        let (mut open, mut queued) = (0_i64, 0_i64);
        for Ledger { offered, dropped, stored, abandoned, late_parts, truncated, .. } in
            shards.iter().map(|shard| &shard.ledger)
        {
            counts.offered += offered;
            counts.stored += stored;
            counts.abandoned += abandoned;
            counts.late_parts += late_parts;
            counts.truncated += truncated;
            for (reason, count) in dropped {
                *counts.dropped.entry(*reason).or_default() += count;
            }
        }
        for ledger in shards.iter().map(|shard| &shard.ledger) {
            open += ledger.open;
            queued += ledger.queued;
            counts.invalid_usages += ledger.invalid_usages;
            counts.internal_panics += ledger.internal_panics;
        }
        counts.open = u64::try_from(open).unwrap_or_default();
        counts.queued = u64::try_from(queued).unwrap_or_default();
        counts
    }

    fn own_shard(&self) -> MutexGuard<'_, Shard> {
        lock(&self.shards[shard_of_thread()])
    }
}

/// A panic while a lock is held can only come from a failing allocation; what the lock guards is still sound.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn shard_of_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        // Relaxed: the number only spreads threads over the shards.
        static SHARD: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
    }
    // A thread that is being torn down may still end an operation; any shard will do.
    SHARD.try_with(|shard| *shard).unwrap_or(0)
}

/// About how much memory a record holds.
fn approximate_bytes(record: &OperationRecord) -> usize {
    use std::mem::size_of;

    let texts: usize =
        record.metadata.iter().map(|(key, value)| key.len() + value_bytes(value)).sum();
    let tags: usize = record.tags.iter().map(|(key, value)| key.len() + value.len() + 48).sum();
    let errors: usize = record
        .errors
        .iter()
        .map(|error| {
            size_of_val(error)
                + error.message.len()
                + error.causes.iter().map(String::len).sum::<usize>()
        })
        .sum();
    let warnings: usize =
        record.warnings.iter().map(|warning| size_of_val(warning) + warning.message.len()).sum();
    let calls_metadata: usize = record
        .tool_calls
        .iter()
        .map(|call| &call.metadata)
        .chain(record.llm_calls.iter().map(|call| &call.metadata))
        .flatten()
        .map(|(key, value)| key.len() + value_bytes(value))
        .sum();
    size_of::<OperationRecord>()
        + record.components.len() * size_of::<taximeter_models::ComponentTiming>()
        + record.tool_calls.len() * size_of::<taximeter_models::ToolCall>()
        + record.llm_calls.len() * size_of::<taximeter_models::LlmCall>()
        + texts
        + tags
        + errors
        + warnings
        + calls_metadata
}

fn value_bytes(value: &serde_json::Value) -> usize {
    use serde_json::Value;

    let inside = match value {
        Value::String(text) => text.len(),
        Value::Array(list) => list.iter().map(value_bytes).sum(),
        Value::Object(map) => map.iter().map(|(key, value)| key.len() + value_bytes(value)).sum(),
        _ => 0,
    };
    size_of::<Value>() + inside
}
