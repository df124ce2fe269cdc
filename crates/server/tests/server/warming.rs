//! What is made ready for the next question, however that goes.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use taximeter::history::{History, Windows};
use taximeter::store::{
    Appended, Block, Column, MemoryStore, Query, Rollup, RollupQuery, Scanned, Store, StoreStats,
    Table,
};
use taximeter::{OperationId, OperationRecord, StoreError};
use tempfile::tempdir;

use super::support::{Running, config, until};

/// A store in memory that panics whenever it is to be made ready.
#[derive(Debug)]
struct Fragile {
    store: MemoryStore,
    tried: AtomicU64,
}

impl Store for Fragile {
    fn append(&self, records: &[OperationRecord]) -> Result<Appended, StoreError> {
        self.store.append(records)
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.store.flush()
    }

    fn get(&self, id: OperationId) -> Result<Option<OperationRecord>, StoreError> {
        self.store.get(id)
    }

    fn scan(
        &self,
        query: &Query,
        each: &mut dyn FnMut(OperationRecord) -> ControlFlow<()>,
    ) -> Result<Scanned, StoreError> {
        self.store.scan(query, each)
    }

    fn columns(
        &self,
        table: Table,
        query: &Query,
        columns: &[Column],
        each: &mut dyn FnMut(&Block<'_>) -> ControlFlow<()>,
    ) -> Result<Scanned, StoreError> {
        self.store.columns(table, query, columns, each)
    }

    fn rollups(&self, query: &RollupQuery) -> Result<Vec<Rollup>, StoreError> {
        self.store.rollups(query)
    }

    fn stats(&self) -> Result<StoreStats, StoreError> {
        self.store.stats()
    }

    fn warm(&self) -> Result<bool, StoreError> {
        panic!("made ready for the {}th time", self.tried.fetch_add(1, Ordering::SeqCst) + 1)
    }
}

#[test]
fn a_store_that_could_not_be_made_ready_is_made_ready_again() {
    let folder = tempdir().unwrap();
    let mut config = config(folder.path());
    let store = MemoryStore::summarizing(Arc::new(Windows));
    let store = Arc::new(Fragile { store, tried: AtomicU64::new(0) });
    config.history = History::new(Arc::<Fragile>::clone(&store));
    let server = Running::start(config);
    until("each answer tries it again", || {
        assert_eq!(server.json("/api/v1/report?since=1h")["total_operations"], 0);
        store.tried.load(Ordering::SeqCst) >= 3
    });
    server.shutdown();
}
