//! The store behind the pipeline: batches go in on the worker's thread, and between them what is done by and by.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use taximeter_collector::{Clock, LossReason, SinkError};
use taximeter_models::OperationRecord;
use taximeter_persistence::StoreError;
use taximeter_persistence::store::{Maintained, Store};

use crate::global;
#[cfg(all(feature = "prometheus", feature = "store"))]
use crate::kept_metrics::MetricKeeper;
use crate::noted::Noter;

/// Stores what the pipeline hands over.
pub(crate) struct Stored {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// When the store is looked after again.
    next: Mutex<DateTime<Utc>>,
    /// What the store said when it last refused something, and when.
    last_error: Mutex<Option<(DateTime<Utc>, String)>>,
    noter: OnceLock<Noter>,
    #[cfg(all(feature = "prometheus", feature = "store"))]
    metrics: OnceLock<MetricKeeper>,
}

/// How often the store is looked after where there was nothing to do the last time.
const EVERY: TimeDelta = TimeDelta::seconds(10);
/// How often where there was: small batches come in quick succession, and looking costs as much as one of them.
const SOON: TimeDelta = TimeDelta::milliseconds(20);

impl Stored {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        let next = Mutex::new(DateTime::<Utc>::MIN_UTC);
        Self {
            store,
            clock,
            next,
            last_error: Mutex::default(),
            noter: OnceLock::new(),
            #[cfg(all(feature = "prometheus", feature = "store"))]
            metrics: OnceLock::new(),
        }
    }

    /// Notes from now on what the meter has counted.
    pub(crate) fn note_by(&self, noter: Noter) {
        // A meter has one collector, and so this is called once.
        let _ = self.noter.set(noter);
    }

    /// Keeps from now on what the program's own metrics do.
    #[cfg(all(feature = "prometheus", feature = "store"))]
    pub(crate) fn keep_metrics(&self, keeper: MetricKeeper) {
        let _ = self.metrics.set(keeper);
    }

    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// Stores a batch, and does a small piece of what is to be done by and by.
    pub(crate) fn append(&self, batch: &[OperationRecord]) -> Result<(), SinkError> {
        // What is wrong with one operation is not so with the others.
        let mut refused = Vec::new();
        let appended = self.store.append_each(batch, &mut |error| refused.push(error));
        appended.map_err(|error| {
            self.remember(&error);
            lost(batch.len(), error)
        })?;
        self.maintain();
        let many = refused.len();
        refused.pop().map_or(Ok(()), |error| Err(lost(many, error)))
    }

    fn remember(&self, error: &StoreError) {
        let mut last_error = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        *last_error = Some((self.clock.wall(), error.to_string()));
    }

    /// Writes down what the meter has counted, and what was recorded into its metrics. Where that fails, the next one has
    /// the same and more.
    fn note(&self) {
        #[cfg(all(feature = "prometheus", feature = "store"))]
        if let Some(metrics) = self.metrics.get() {
            let _ = metrics.keep(&*self.store, self.clock.wall());
        }
        let Some(noter) = self.noter.get() else { return };
        let last_error = self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let _ = noter.note(&*self.store, self.clock.wall(), last_error);
    }

    pub(crate) fn flush(&self) -> Result<(), SinkError> {
        self.note();
        self.store.flush().map_err(|error| lost(0, error))
    }

    /// What fails here fails again at the next batch, or was passing; nothing is lost by it.
    fn maintain(&self) {
        let now = self.clock.wall();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back does not keep the store waiting.
        if now < *next && *next - now <= EVERY {
            return;
        }
        let done = self.store.maintain_beside(now);
        let more = matches!(done, Ok(Maintained { more: true, .. }));
        *next = now + if more { SOON } else { EVERY };
        if let Err(error) = done {
            self.remember(&error);
            global::warn(&format!("{error}; it is tried again"));
        }
        drop(next);
        self.note();
    }
}

fn lost(records: usize, error: StoreError) -> SinkError {
    let reason = match &error {
        StoreError::Unstorable { .. } => LossReason::Invalid,
        full if full.is_full() => LossReason::DiskFull,
        _ => LossReason::IoError,
    };
    SinkError { lost: records as u64, reason, source: Box::new(error) }
}

#[cfg(all(test, feature = "store"))]
mod tests {
    use taximeter_collector::SystemClock;
    use taximeter_persistence::store::{Query, SqliteStore};

    use super::*;

    #[test]
    fn an_operation_that_cannot_be_stored_is_lost_alone_as_invalid() {
        let room = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::at(room.path()).open().unwrap());
        let stored = Stored::new(Arc::clone(&store), Arc::new(SystemClock::default()));
        let mut batch = ["a", "too deep", "c"].map(OperationRecord::new);
        let deep = (0..130).fold(serde_json::json!(1), |value, _| serde_json::json!([value]));
        batch[1].metadata.insert("deep".into(), deep);
        for (id, record) in (1..).zip(&mut batch) {
            record.id = taximeter_models::OperationId::from_bits(id);
        }

        let error = stored.append(&batch).expect_err("one is too deep");
        assert_eq!((error.lost, error.reason), (1, LossReason::Invalid), "{error:?}");
        let mut kept = Vec::new();
        let each = &mut |record: OperationRecord| {
            kept.push(record.name.to_string());
            std::ops::ControlFlow::Continue(())
        };
        store.scan(&Query::default(), each).unwrap();
        kept.sort();
        assert_eq!(kept, ["a", "c"]);
    }
}
