//! The one place where the rooms meet: every finished operation is priced, then observed.
//!
//! Live operations come from the collector's worker, loaded ones from a file; both take the same road.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use taximeter_collector::{Sink, SinkError};
use taximeter_models::{CostOutcome, OperationId, OperationRecord, Totals};
use taximeter_pricing::{LiveBook, PriceBook};

/// Prices and keeps what the collector hands over.
pub(crate) struct Pipeline {
    /// The prices; the embedded ones are decoded when the first call is priced.
    prices: LiveBook,
    observed: Mutex<Observed>,
    recent: usize,
    further: Option<Arc<dyn Sink>>,
}

/// What is known of a session so far. The totals hold every operation; the operations themselves are kept up to a
/// number, the oldest going first.
#[derive(Debug, Default)]
struct Observed {
    totals: Totals,
    operations: VecDeque<OperationRecord>,
    evicted: u64,
}

impl Pipeline {
    pub(crate) fn new(prices: LiveBook, recent: usize, further: Option<Arc<dyn Sink>>) -> Self {
        Self { prices, observed: Mutex::default(), recent, further }
    }

    pub(crate) fn prices(&self) -> &LiveBook {
        &self.prices
    }

    pub(crate) fn observe(&self, batch: Vec<OperationRecord>) {
        let mut observed = self.observed();
        for record in batch {
            observed.totals.add(&record);
            observed.operations.push_back(record);
            if observed.operations.len() > self.recent {
                observed.operations.pop_front();
                observed.evicted += 1;
            }
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        self.observed().totals.clone()
    }

    /// The operations that are kept, and how many are not any more.
    pub(crate) fn operations(&self) -> (Vec<OperationRecord>, u64) {
        let observed = self.observed();
        (observed.operations.iter().cloned().collect(), observed.evicted)
    }

    /// Looks at the operations that are kept, without a copy; the pipeline waits meanwhile.
    pub(crate) fn with_operations<R>(&self, look: impl FnOnce(&[OperationRecord]) -> R) -> R {
        look(self.observed().operations.make_contiguous())
    }

    pub(crate) fn last(&self, count: usize) -> Vec<OperationRecord> {
        let observed = self.observed();
        observed.operations.iter().rev().take(count).rev().cloned().collect()
    }

    pub(crate) fn find(&self, id: OperationId) -> Option<OperationRecord> {
        self.observed().operations.iter().rev().find(|record| record.id == id).cloned()
    }

    pub(crate) fn clear(&self) {
        *self.observed() = Observed::default();
    }

    fn observed(&self) -> MutexGuard<'_, Observed> {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives every LLM call a cost, or the reason why it has none. What has one keeps it.
pub(crate) fn price(record: &mut OperationRecord, book: &PriceBook) {
    let started_at = record.started_at;
    for call in record.llm_calls.iter_mut().filter(|call| call.cost == CostOutcome::Pending) {
        call.cost = book.price_call(call, call.started_at.unwrap_or(started_at));
    }
}

impl Sink for Pipeline {
    fn prepare(&self, record: &mut OperationRecord) {
        // The program waits for this one, so it does not look at the files of the prices; the worker does.
        price(record, &self.prices.in_force());
    }

    fn accept(&self, mut batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        let book = self.prices.book();
        for record in &mut batch {
            price(record, &book);
        }
        let result = match &self.further {
            Some(sink) => sink.accept(batch.clone()),
            None => Ok(()),
        };
        self.observe(batch);
        result
    }

    fn flush(&self) -> Result<(), SinkError> {
        self.further.as_ref().map_or(Ok(()), Sink::flush)
    }
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").field("recent", &self.recent).finish_non_exhaustive()
    }
}
