//! What goes in comes out.

use std::ops::ControlFlow;
use std::time::Duration;

use proptest::prelude::*;
use taximeter_models::OperationRecord;
use taximeter_persistence::store::{
    Condition, Keep, MemoryStore, Order, Query, SqliteStore, Store,
};

use crate::arbitrary::record;
use crate::maintaining::operations;

pub(crate) fn all(store: &dyn Store) -> Vec<OperationRecord> {
    scanned(store, &Query::default())
}

pub(crate) fn scanned(store: &dyn Store, query: &Query) -> Vec<OperationRecord> {
    let mut records = Vec::new();
    let scanned = store
        .scan(query, &mut |record| {
            records.push(record);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!((scanned.shown, scanned.damaged), (records.len() as u64, 0));
    records
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn any_record_comes_back_as_it_was(records in prop::collection::vec(record(), 1..6)) {
        let room = tempfile::tempdir().unwrap();
        let store = SqliteStore::at(room.path()).open().unwrap();
        store.append(&records).unwrap();
        let again = SqliteStore::at(room.path()).open_to_read().unwrap();
        for record in &records {
            let first = records.iter().find(|first| first.id == record.id).unwrap();
            prop_assert_eq!(store.get(record.id).unwrap(), Some(first.clone()));
            prop_assert_eq!(again.get(record.id).unwrap(), Some(first.clone()));
        }
        let twin = MemoryStore::new();
        twin.append(&records).unwrap();
        prop_assert_eq!(all(&store), all(&twin));
    }
}

/// Whoever looks for the slowest of some looks into the most promising rows first; those that are meant may be any.
#[test]
fn the_slowest_of_some_rows_are_found_wherever_they_stand() {
    let room = tempfile::tempdir().unwrap();
    let keep = Keep::default().seal_at_once(u64::MAX);
    let store = SqliteStore::at(room.path()).keep(keep).open().unwrap();
    let twin = MemoryStore::new();
    let mut records = operations(0, 500);
    for (number, record) in (0_u64..).zip(&mut records) {
        // Neither in the order of time nor against it.
        let rank = number * 211 % 500;
        record.duration = Duration::from_millis(rank);
        let user = match rank {
            0..3 => "fastest",
            100 | 200 => "two",
            _ if rank % 2 == 0 => "even",
            _ => "odd",
        };
        record.user = Some(user.into());
    }
    store.append(&records).unwrap();
    twin.append(&records).unwrap();
    assert_eq!(store.stats().unwrap().hot_operations, 500);
    for (user, found) in [("fastest", 3), ("two", 2), ("even", 5), ("odd", 5), ("nobody", 0)] {
        let mut query = Query::default().order(Order::Slowest).limit(5);
        query.conditions.push(Condition::User(user.into()));
        let slowest = scanned(&store, &query);
        assert_eq!(slowest.len(), found, "{user}");
        assert_eq!(slowest, scanned(&twin, &query), "{user}");
    }
}

/// Among equals the oldest come first: whoever looks for the slowest or the dearest of many that are alike has them with the
/// oldest block, and looks into no later one.
#[test]
fn the_first_of_many_equals_are_found_in_the_oldest_block() {
    let room = tempfile::tempdir().unwrap();
    let keep = Keep::default().block_operations(1_000).seal_at_once(1_000);
    let store = SqliteStore::at(room.path()).keep(keep).open().unwrap();
    let records = operations(0, 20_000);
    for batch in records.chunks(1_000) {
        store.append(batch).unwrap();
    }
    assert_eq!(store.stats().unwrap().sealed_operations, 20_000);
    for order in [Order::Slowest, Order::Dearest] {
        let query = Query::default().order(order).limit(5);
        assert_eq!(scanned(&store, &query), records[..5], "{order:?}");
        let looked_at = store.scan(&query, &mut |_| ControlFlow::Continue(())).unwrap().rows;
        assert_eq!(looked_at, 1_000, "{order:?}");
    }
}
