//! A store that is slower than its clients: they wait, what is held stays bounded, and nothing is lost.

use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use taximeter::history::{History, Windows};
use taximeter::store::{
    Appended, Block, Column, Maintained, Note, Query, Rollup, RollupQuery, Scanned, SqliteStore,
    Store, StoreStats, Table,
};
use taximeter::{OperationId, OperationRecord, StoreError};
use tempfile::tempdir;

use super::support::{Running, chat, config, until};

/// A store that takes nothing until its door is open.
#[derive(Debug)]
struct Closed {
    store: SqliteStore,
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Closed {
    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

impl Store for Closed {
    fn append(&self, records: &[OperationRecord]) -> Result<Appended, StoreError> {
        let is_open = self.is_open.lock().unwrap();
        drop(self.opened.wait_while(is_open, |is_open| !*is_open).unwrap());
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

    fn sums_since(&self) -> Result<[Option<DateTime<Utc>>; 3], StoreError> {
        self.store.sums_since()
    }

    fn notes(&self, beginning: &str) -> Result<Vec<Note>, StoreError> {
        self.store.notes(beginning)
    }

    fn stats(&self) -> Result<StoreStats, StoreError> {
        self.store.stats()
    }

    fn maintain(&self, now: DateTime<Utc>) -> Result<Maintained, StoreError> {
        self.store.maintain(now)
    }
}

#[test]
fn clients_wait_for_a_store_that_is_slow_and_what_is_held_is_bounded() {
    let folder = tempdir().unwrap();
    let mut config = config(folder.path());
    let store = SqliteStore::at(folder.path()).summarize(Arc::new(Windows)).open().unwrap();
    let store = Arc::new(Closed { store, is_open: Mutex::new(false), opened: Condvar::new() });
    config.history = History::new(Arc::<Closed>::clone(&store));
    config.receiver.window.most_spans = 100;
    config.receiver.most_ready = 100;
    config.limits.room_time = Duration::from_millis(20);
    let server = Running::start(config);
    let send = |request: u64| {
        let spans: Vec<_> = (20 * request..20 * (request + 1)).map(|at| chat(at, &[])).collect();
        server.send(&spans)
    };
    let held = |what: &str| server.json("/api/v1/health")["receiver"][what].as_u64().unwrap();

    assert_eq!(send(0), 200);
    until("the first lot waits for the store", || held("unstored_operations") == 20);
    // While it does, as much is taken as may be held, and no more.
    let (taken, refused): (Vec<_>, Vec<_>) = (1..=30).partition(|request| send(*request) == 200);
    assert_eq!((taken.len(), refused.len()), (10, 20));
    assert_eq!((held("waiting_spans"), held("unstored_operations")), (200, 20));

    store.open();
    for request in refused {
        until("there is room again", || send(request) == 200);
    }
    until("all of it is stored", || {
        server.json("/api/v1/report?since=1h")["total_operations"] == 620
    });
    server.shutdown();
}
