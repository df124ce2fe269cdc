//! Files of every released version open for ever: what is in them is what was put there.

use std::path::{Path, PathBuf};

use taximeter_models::OperationRecord;
use taximeter_persistence::store::{Keep, RollupQuery, SqliteStore, Store};

use crate::maintaining::{at, maintain, operations};
use crate::records::all;
use crate::summing::summing;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/store_v1.db")
}

/// Sealed ones, and hot ones with some of everything.
fn records() -> (Vec<OperationRecord>, Vec<OperationRecord>) {
    (operations(0, 40), crate::sql::records().split_off(60))
}

/// Makes the file of this version; it is made once, and kept: `TAXIMETER_WRITE_GOLDEN=1 cargo test … golden`.
fn write() {
    let room = tempfile::tempdir().unwrap();
    let keep = Keep::default().block_operations(1).hot_operations(0);
    let path = room.path().join("store.db");
    let store = SqliteStore::at(&path).keep(keep).summarize(summing()).open().unwrap();
    let (sealed, hot) = records();
    store.append(&sealed).unwrap();
    maintain(&store, at(10_000));
    store.append(&hot).unwrap();
    store.vacuum().unwrap();
    drop(store);
    std::fs::create_dir_all(golden().parent().unwrap()).unwrap();
    std::fs::copy(path, golden()).unwrap();
}

#[test]
fn a_file_of_version_1_is_read_and_written_on() {
    if std::env::var_os("TAXIMETER_WRITE_GOLDEN").is_some() {
        write();
    }
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("store.db");
    std::fs::copy(golden(), &path).unwrap();
    let store = SqliteStore::at(&path).summarize(summing()).open().unwrap();
    let (sealed, hot) = records();
    let stats = store.stats().unwrap();
    assert_eq!((stats.sealed_operations, stats.hot_operations), (40, 40));
    let expected: Vec<_> = sealed.iter().chain(&hot).cloned().collect();
    assert_eq!(all(&store), expected);
    assert_eq!(store.append(&expected).unwrap().known, 80);
    assert_eq!(store.rollups(&RollupQuery::new("all")).unwrap()[0].window.numbers.count, 80);
    assert_eq!(store.append(&operations(1_000, 10)).unwrap().stored, 10);
    assert!(store.check().unwrap().is_sound());
}
