//! What goes in comes out.

use std::ops::ControlFlow;

use proptest::prelude::*;
use taximeter_models::OperationRecord;
use taximeter_persistence::store::{MemoryStore, Query, SqliteStore, Store};

use crate::arbitrary::record;

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
