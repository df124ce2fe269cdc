//! Where finished records go: a small trait, and a twin in memory.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use taximeter_models::OperationRecord;
use thiserror::Error;

use crate::{Batch, LossReason};

/// Takes finished records, in batches, on the collector's worker thread.
///
/// A sink may record operations itself; they take the next batch. A sink that panics costs its batch and is called
/// again with the next one.
pub trait Sink: Send + Sync {
    /// Completes a record in place, for the callers who want it back at once: a pipeline prices it here. Called on
    /// the caller's thread, and for those records alone. Default: leaves it as it is.
    fn prepare(&self, record: &mut OperationRecord) {
        let _ = record;
    }

    /// Called by the worker each time before it takes what waits: who has put something off that is to be recorded
    /// records it now. Default: nothing to do.
    fn gather(&self) {}

    /// Takes a batch.
    ///
    /// # Errors
    /// Where some of the batch could not be taken; the error says how many and why, and they count as lost.
    fn accept(&self, batch: Vec<OperationRecord>) -> Result<(), SinkError>;

    /// Takes a batch as the worker has it: packed. A sink that keeps many records, or needs few of them, does so for
    /// less. Default: makes the records, and [accepts](Sink::accept) them.
    ///
    /// # Errors
    /// As for `accept`; and where a record could not be read back, which then counts as lost.
    fn accept_packed(&self, batch: &Batch<'_>) -> Result<(), SinkError> {
        let records: Vec<_> = batch.records().collect();
        batch.settled(records.len(), self.accept(records))
    }

    /// Makes everything taken so far as safe as the sink can. Default: nothing to do.
    ///
    /// # Errors
    /// Where that failed.
    fn flush(&self) -> Result<(), SinkError> {
        Ok(())
    }
}

impl<S: Sink + ?Sized> Sink for Arc<S> {
    fn prepare(&self, record: &mut OperationRecord) {
        (**self).prepare(record);
    }

    fn gather(&self) {
        (**self).gather();
    }

    fn accept(&self, batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        (**self).accept(batch)
    }

    fn accept_packed(&self, batch: &Batch<'_>) -> Result<(), SinkError> {
        (**self).accept_packed(batch)
    }

    fn flush(&self) -> Result<(), SinkError> {
        (**self).flush()
    }
}

/// A sink could not take some records.
#[derive(Debug, Error)]
#[error("storing operations: {lost} were lost ({reason})")]
pub struct SinkError {
    /// How many records of the batch were lost; the others count as stored.
    pub lost: u64,
    /// Why.
    pub reason: LossReason,
    /// What happened.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

/// Forgets every record: for those who only want what [`finish`](crate::Operation::finish) returns.
#[derive(Debug, Clone, Copy, Default)]
pub struct NullSink;

impl Sink for NullSink {
    fn accept(&self, _batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        Ok(())
    }

    fn accept_packed(&self, _batch: &Batch<'_>) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Keeps every record in memory: for tests. Clones share what they keep.
#[derive(Debug, Clone, Default)]
pub struct MemorySink {
    records: Arc<Mutex<Vec<OperationRecord>>>,
}

impl MemorySink {
    /// The records that it has taken so far.
    pub fn records(&self) -> Vec<OperationRecord> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Sink for MemorySink {
    fn accept(&self, mut batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).append(&mut batch);
        Ok(())
    }
}
