//! The one place where the rooms meet: every finished operation is priced, then stored, then observed.
//!
//! Live operations come from the collector's worker, loaded ones from a file; both take the same road.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use taximeter_collector::{Batch, Clock, PackedRecords, Sink, SinkError};
use taximeter_models::{Charge, CostOutcome, OperationId, OperationRecord, Totals};
use taximeter_persistence::store::Store;
use taximeter_pricing::{BookRef, Charges, LiveBook, PriceBook};

use crate::budget::Counter;
use crate::noted::Noter;
use crate::stored::Stored;

/// Prices and keeps what the collector hands over.
pub(crate) struct Pipeline {
    /// The prices; the embedded ones are decoded when the first call is priced.
    prices: LiveBook,
    observed: Mutex<Observed>,
    recent: usize,
    stored: Option<Stored>,
    further: Vec<Arc<dyn Sink>>,
    budgets: Counter,
    clock: Arc<dyn Clock>,
    #[cfg(feature = "prometheus")]
    metrics: crate::metrics::Metrics,
    #[cfg(feature = "tracing")]
    waiting: Arc<crate::tracing::Waiting>,
}

/// What is known of a session so far. The totals hold every operation; the operations themselves are kept up to a
/// number, the oldest going first.
#[derive(Default)]
struct Observed {
    totals: Totals,
    batches: VecDeque<Kept>,
    /// How many operations all batches hold that are not evicted.
    kept: usize,
    evicted: u64,
}

/// Operations that are kept, as bytes: a tenth of the memory. What a cost was is not written down, for it follows from
/// the record and the prices by which it was made, and these are kept with it.
struct Kept {
    records: PackedRecords,
    prices: BookRef,
    /// How many of them, from the first on, are evicted.
    evicted: usize,
}

impl Kept {
    fn operations(&self) -> impl Iterator<Item = OperationRecord> + '_ {
        self.records.iter_from(self.evicted).map(|record| self.priced(record))
    }

    /// Shows each one without the texts that are no names.
    fn for_each_lean(&self, mut see: impl FnMut(&OperationRecord)) {
        self.records.for_each_lean(self.evicted, |record| {
            price(record, &self.prices);
            see(record);
        });
    }

    fn find(&self, id: OperationId) -> Option<OperationRecord> {
        let place = self.records.position(id).filter(|place| *place >= self.evicted)?;
        self.records.iter_from(place).next().map(|record| self.priced(record))
    }

    fn priced(&self, mut record: OperationRecord) -> OperationRecord {
        price(&mut record, &self.prices);
        record
    }
}

impl Observed {
    fn operations(&self) -> impl DoubleEndedIterator<Item = OperationRecord> + '_ {
        self.batches.iter().flat_map(|kept| kept.operations().collect::<Vec<_>>())
    }

    fn keep(&mut self, records: PackedRecords, prices: BookRef, most: usize) {
        self.kept += records.len();
        self.batches.push_back(Kept { records, prices, evicted: 0 });
        while self.kept > most {
            let Some(oldest) = self.batches.front_mut() else { return };
            let goes = (self.kept - most).min(oldest.records.len() - oldest.evicted);
            oldest.evicted += goes;
            self.kept -= goes;
            self.evicted += goes as u64;
            if oldest.evicted == oldest.records.len() {
                self.batches.pop_front();
            }
        }
    }
}

impl Pipeline {
    pub(crate) fn new(
        prices: LiveBook,
        recent: usize,
        stored: Option<Stored>,
        further: Vec<Arc<dyn Sink>>,
        budgets: Counter,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            prices,
            observed: Mutex::default(),
            recent,
            stored,
            further,
            budgets,
            clock,
            #[cfg(feature = "prometheus")]
            metrics: crate::metrics::Metrics::default(),
            #[cfg(feature = "tracing")]
            waiting: Arc::new(crate::tracing::Waiting::new()),
        }
    }

    pub(crate) fn store(&self) -> Option<Arc<dyn Store>> {
        self.stored.as_ref().map(Stored::store)
    }

    #[cfg(feature = "prometheus")]
    pub(crate) fn metrics(&self) -> &crate::metrics::Metrics {
        &self.metrics
    }

    /// The spans of layers that are not read yet.
    #[cfg(feature = "tracing")]
    pub(crate) fn waiting(&self) -> &Arc<crate::tracing::Waiting> {
        &self.waiting
    }

    /// Notes from now on in the store what the meter has counted.
    pub(crate) fn note_by(&self, noter: Noter) {
        if let Some(stored) = &self.stored {
            stored.note_by(noter);
        }
    }

    pub(crate) fn budgets(&self) -> &Counter {
        &self.budgets
    }

    /// Keeps from now on in the store what the program's own metrics do, under this id of the meter.
    #[cfg(all(feature = "prometheus", feature = "store"))]
    pub(crate) fn keep_metrics(&self, meter: impl std::fmt::Display) {
        if let Some(stored) = &self.stored {
            let registry = self.metrics.registry().clone();
            stored.keep_metrics(crate::kept_metrics::MetricKeeper::new(registry, meter));
        }
    }

    pub(crate) fn prices(&self) -> &LiveBook {
        &self.prices
    }

    /// Takes operations that were stored before; they have their costs.
    pub(crate) fn observe(&self, batch: &[OperationRecord]) {
        let mut observed = self.observed();
        for record in batch {
            observed.totals.add(record);
        }
        observed.keep(PackedRecords::pack(batch), self.prices.in_force(), self.recent);
    }

    pub(crate) fn totals(&self) -> Totals {
        self.observed().totals.clone()
    }

    /// The operations that are kept, and how many are not any more.
    pub(crate) fn operations(&self) -> (Vec<OperationRecord>, u64) {
        let observed = self.observed();
        (observed.operations().collect(), observed.evicted)
    }

    /// Shows the operations that are kept, one by one and without the texts that are no names, to who needs no copy.
    pub(crate) fn for_each_lean(&self, mut see: impl FnMut(&OperationRecord)) {
        self.observed().batches.iter().for_each(|kept| kept.for_each_lean(&mut see));
    }

    /// The last operations, the newest last.
    pub(crate) fn last(&self, count: usize) -> Vec<OperationRecord> {
        let mut last: Vec<_> = self.observed().operations().rev().take(count).collect();
        last.reverse();
        last
    }

    pub(crate) fn find(&self, id: OperationId) -> Option<OperationRecord> {
        self.observed().batches.iter().rev().find_map(|kept| kept.find(id))
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

    #[cfg(feature = "tracing")]
    fn gather(&self) {
        self.waiting.gather();
    }

    fn accept(&self, mut batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        let book = self.prices.book();
        for record in &mut batch {
            price(record, &book);
        }
        let stored = self.append(&batch);
        self.observe(&batch);
        self.measure(&batch);
        let taken = self.hand_on(batch);
        stored.and(taken)
    }

    fn accept_packed(&self, batch: &Batch<'_>) -> Result<(), SinkError> {
        let book = self.prices.book();
        let mut records = Vec::new();
        if self.needs_records() {
            records.extend(batch.records());
            for record in &mut records {
                price(record, &book);
            }
        }
        let stored = self.append(&records);
        let mut observed = self.observed();
        let mut read = records.len();
        if records.is_empty() {
            let mut charges = Charges::at(&book);
            batch.for_each_lean(|record| {
                read += 1;
                let at = record.started_at;
                observed.totals.add_charged(record, |call| match call.cost {
                    CostOutcome::Pending => charges.of(call, at),
                    _ => Charge::of(&call.cost, call.usage.as_ref()),
                });
            });
        } else {
            for record in &records {
                observed.totals.add(record);
            }
        }
        observed.keep(batch.to_packed(), book, self.recent);
        drop(observed);
        self.measure(&records);
        let taken = self.hand_on(records);
        batch.settled(read, stored.and(taken))
    }

    fn flush(&self) -> Result<(), SinkError> {
        let stored = self.stored.as_ref().map_or(Ok(()), Stored::flush);
        self.further.iter().map(Sink::flush).fold(stored, Result::and)
    }
}

impl Pipeline {
    /// Who neither stores, nor measures, nor hands on needs no records.
    fn needs_records(&self) -> bool {
        cfg!(feature = "prometheus")
            || self.stored.is_some()
            || !self.further.is_empty()
            || !self.budgets.is_empty()
    }

    #[cfg(feature = "prometheus")]
    fn measure(&self, records: &[OperationRecord]) {
        self.metrics.observe(records);
    }

    #[cfg(not(feature = "prometheus"))]
    #[expect(clippy::unused_self, reason = "with the feature it is used")]
    fn measure(&self, _: &[OperationRecord]) {}

    /// What one of the further sinks does not take, the others get all the same.
    fn hand_on(&self, records: Vec<OperationRecord>) -> Result<(), SinkError> {
        let Some((last, others)) = self.further.split_last() else { return Ok(()) };
        let taken =
            others.iter().map(|sink| sink.accept(records.clone())).fold(Ok(()), Result::and);
        let last = last.accept(records);
        taken.and(last)
    }

    /// What the store does not take is lost for it, and counted; the totals of this session hold it all the same.
    fn append(&self, batch: &[OperationRecord]) -> Result<(), SinkError> {
        let _turn = self.budgets.turn();
        let stored = self.stored.as_ref().map_or(Ok(()), |stored| stored.append(batch));
        // What the store did not take was spent all the same.
        self.budgets.add(batch, self.clock.wall());
        stored
    }
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").field("recent", &self.recent).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use taximeter_collector::{LossReason, MemorySink};
    use taximeter_models::{Currency, LlmCall, Money, ReportedCost};

    use super::*;
    use crate::{Meter, MeterBuilder};

    /// Records an operation that cannot be read back between two that can.
    fn record(meter: MeterBuilder) {
        let meter = meter.build().unwrap();
        // The least amount that there is has no text, and costs that come with their call travel as text.
        let total = Money::from_ticks(i128::MIN);
        let reported = ReportedCost { total, input: None, output: None, currency: Currency::USD };
        for cost in
            [CostOutcome::Pending, CostOutcome::ProviderReported(reported), CostOutcome::Pending]
        {
            let op = meter.operation("qa_response").start();
            let mut call = LlmCall::new("openai", "gpt-4o");
            call.cost = cost;
            op.record_llm_call(call);
            op.succeed();
        }
        meter.flush(Duration::from_secs(30)).unwrap_err();
        let counts = meter.counts();
        assert_eq!((counts.stored, counts.dropped[&LossReason::Invalid]), (2, 1), "{counts:?}");
        assert_eq!((meter.totals().successful_operations, meter.recent(10).len()), (2, 2));
    }

    #[test]
    fn what_cannot_be_read_back_is_counted_whether_records_are_made_or_not() {
        record(Meter::builder());
        let sink = MemorySink::default();
        record(Meter::builder().sink(sink.clone()));
        assert_eq!(sink.records().len(), 2);
    }
}
