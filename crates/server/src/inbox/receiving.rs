//! What was done with all that came: counted, so that nothing is lost without being told.

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use serde::Serialize;
use taximeter::otlp_in::Refusal;

use super::Shared;

/// Requests and what became of them.
#[derive(Debug, Default)]
pub(super) struct Requests {
    taken: AtomicU64,
    refused: AtomicU64,
    bytes: AtomicU64,
}

impl Requests {
    /// Counts a request of so many bytes by what is answered to it.
    pub(super) fn count<T>(&self, bytes: u64, answer: &Result<T, Refusal>) {
        let count = if answer.is_ok() { &self.taken } else { &self.refused };
        count.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// What was done with what came since the server began, and what is held now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Receiving {
    /// When the server began.
    pub(crate) since: DateTime<Utc>,
    /// Requests that were acknowledged.
    pub(crate) requests: u64,
    /// Requests that were refused, for good or for now; the client was told so.
    pub(crate) refused_requests: u64,
    /// Bytes of all requests, as they came.
    pub(crate) bytes: u64,
    /// Spans that were taken.
    pub(crate) spans: u64,
    /// Log records that stand for a call.
    pub(crate) logs: u64,
    /// Points of metrics that were counted.
    pub(crate) points: u64,
    /// Spans, records and points of requests that were acknowledged which were refused all the same; the client was told so.
    pub(crate) rejected: u64,
    /// Spans and log records that came again, and count once.
    pub(crate) duplicates: u64,
    /// Spans that have nothing to do with LLMs.
    pub(crate) unrelated_spans: u64,
    /// Spans that came after their trace was stored, and are operations of their own.
    pub(crate) late_spans: u64,
    /// Traces that were stored before their time because too many waited.
    pub(crate) closed_early: u64,
    /// Points of metrics that were dropped because too many waited.
    pub(crate) dropped_points: u64,
    /// Operations that were made of all that.
    pub(crate) operations: u64,
    /// Traces that wait to be whole.
    pub(crate) waiting_traces: u64,
    /// Spans that wait with them.
    pub(crate) waiting_spans: u64,
    /// Operations that are whole and could not be stored yet.
    pub(crate) unstored_operations: u64,
    /// Operations that no store can hold, and are lost.
    pub(crate) unstorable_operations: u64,
    /// Requests that are in the journal.
    pub(crate) journal_requests: u64,
    /// Bytes of the journal and its log.
    pub(crate) journal_bytes: u64,
}

impl Receiving {
    pub(super) fn of(shared: &Shared) -> Self {
        let (counts, held) = (shared.receiver.counts(), shared.receiver.held());
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Self {
            since: shared.since,
            requests: get(&shared.requests.taken),
            refused_requests: get(&shared.requests.refused),
            bytes: get(&shared.requests.bytes),
            spans: counts.spans,
            logs: counts.logs,
            points: counts.points,
            rejected: counts.rejected,
            duplicates: counts.duplicate_spans + counts.duplicate_logs,
            unrelated_spans: counts.unrelated_spans,
            late_spans: counts.late_spans,
            closed_early: counts.closed_early,
            dropped_points: counts.points_dropped,
            operations: counts.records,
            waiting_traces: held.traces,
            waiting_spans: held.spans,
            unstored_operations: get(&shared.pending),
            unstorable_operations: get(&shared.unstorable),
            journal_requests: shared.journal.len().unwrap_or_default(),
            journal_bytes: shared.journal.bytes(),
        }
    }
}
