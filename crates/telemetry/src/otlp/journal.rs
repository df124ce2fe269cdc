//! What a journal of requests needs to know: from where on it is still needed, and which traces are done with.
//!
//! A server answers 200 once a request is written down, which is long before its traces are whole. If it dies, it reads
//! the journal again. A request may hold spans of traces that were stored and of others that were not, so the traces
//! that are closed are written down too, before their records are stored and for as long as requests that name them are
//! kept.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use taximeter_models::OperationRecord;

/// Records that are to be stored, and what may be forgotten once they are.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Marked {
    /// The records.
    pub records: Vec<OperationRecord>,
    /// The traces that these records tell of, and others of which nothing is to be told.
    pub closed: Vec<Closed>,
    /// The mark of the earliest request of which something is still held; none where nothing is.
    pub oldest: Option<u64>,
    /// Whether more is whole by now than was asked for.
    pub more: bool,
}

/// A trace that was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Closed {
    /// Its id.
    pub trace: u128,
    /// The mark of the last request that had a span of it.
    pub mark: u64,
}

impl Closed {
    /// The trace of an id, closed with what requests up to a mark told of it.
    pub const fn new(trace: u128, mark: u64) -> Self {
        Self { trace, mark }
    }
}

/// Traces that an earlier receiver was done with.
#[derive(Debug, Default)]
pub(super) struct Done(HashMap<u128, u64, RandomState>);

impl Done {
    pub(super) fn add(&mut self, closed: Closed) {
        let mark = self.0.entry(closed.trace).or_default();
        *mark = closed.mark.max(*mark);
    }

    /// Whether what a request of that mark says of a trace was stored before.
    pub(super) fn has(&self, trace: u128, mark: u64) -> bool {
        mark > 0 && self.0.get(&trace).is_some_and(|last| mark <= *last)
    }
}
