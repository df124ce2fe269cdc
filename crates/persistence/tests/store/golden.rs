//! Files of every released version open for ever: what is in them is what was put there.

use std::path::{Path, PathBuf};

use taximeter_models::OperationRecord;
use taximeter_persistence::StoreError;
use taximeter_persistence::store::{Keep, RollupQuery, Sql, SqliteStore, Store};

use crate::maintaining::{at, maintain, operations};
use crate::records::all;
use crate::summing::{summing, summing_many};

fn golden(version: u8) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/store_v{version}.db"))
}

/// The version that is written.
const VERSION: u8 = 3;

/// Sealed ones, and hot ones with some of everything.
fn records() -> (Vec<OperationRecord>, Vec<OperationRecord>) {
    (operations(0, 40), crate::sql::records().split_off(60))
}

/// Makes the file of this version; it is made once, and kept: `TAXIMETER_WRITE_GOLDEN=1 cargo test … golden`.
fn write() {
    let room = tempfile::tempdir().unwrap();
    let keep = Keep::default().block_operations(1).hot_operations(0);
    let path = room.path().join("store.db");
    let store = SqliteStore::at(&path).keep(keep).summarize(summing_many()).open().unwrap();
    let (sealed, hot) = records();
    store.append(&sealed).unwrap();
    maintain(&store, at(10_000));
    store.append(&hot).unwrap();
    store.vacuum().unwrap();
    drop(store);
    std::fs::copy(path, golden(VERSION)).unwrap();
}

#[test]
fn a_file_of_this_version_is_read_and_written_on() {
    if std::env::var_os("TAXIMETER_WRITE_GOLDEN").is_some() {
        write();
    }
    is_read_and_written_on(VERSION);
}

/// A row holds the sums of many keys since then; what there was before is read as it is.
#[test]
fn a_file_of_version_2_is_read_as_it_is_and_brought_to_this_one() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("store.db");
    std::fs::copy(golden(2), &path).unwrap();
    let store = SqliteStore::at(&path).summarize(summing()).open_to_read().unwrap();
    let (sealed, hot) = records();
    assert_eq!(all(&store), sealed.into_iter().chain(hot).collect::<Vec<_>>());
    assert_eq!(store.rollups(&RollupQuery::new("all")).unwrap()[0].window.numbers.count, 80);
    drop(store);
    assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(golden(2)).unwrap());
    is_read_and_written_on(2);
}

#[test]
fn a_file_of_version_1_is_brought_to_this_one() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("store.db");
    std::fs::copy(golden(1), &path).unwrap();
    // Who only reads changes nothing, and says what to do.
    let refused = SqliteStore::at(&path).open_to_read().unwrap_err();
    assert!(matches!(refused, StoreError::OlderVersion { version: 1, .. }), "{refused}");
    let command = format!("taximeter store migrate --store {path:?}");
    assert!(refused.to_string().contains(&command), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(golden(1)).unwrap());
    is_read_and_written_on(1);
}

#[test]
fn what_was_damaged_in_version_1_is_not_made_whole() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("store.db");
    std::fs::copy(golden(1), &path).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    let changes =
        "UPDATE operations SET duration_ns = 7 WHERE seq = (SELECT max(seq) FROM operations);
                   UPDATE llm_calls SET output = 7 WHERE part = (SELECT min(part) FROM llm_calls);";
    other.execute_batch(changes).unwrap();
    drop(other);
    let store = SqliteStore::at(&path).open().unwrap();
    let checked = store.check().unwrap();
    assert_eq!((checked.operations, checked.damaged_operations), (78, 2), "{checked:?}");
}

fn is_read_and_written_on(version: u8) {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("store.db");
    std::fs::copy(golden(version), &path).unwrap();
    let summing = if version > 2 { summing_many() } else { summing() };
    let store = SqliteStore::at(&path).summarize(summing).open().unwrap();
    let (sealed, hot) = records();
    let stats = store.stats().unwrap();
    assert_eq!((stats.sealed_operations, stats.hot_operations), (40, 40));
    // Its views are those of today.
    let told = store.sql(&Sql::new("SELECT count(*), count(remote_parent_id) FROM hot_operations"));
    assert_eq!(told.unwrap().rows, [[serde_json::json!(40), serde_json::json!(0)]]);
    let expected: Vec<_> = sealed.iter().chain(&hot).cloned().collect();
    assert_eq!(all(&store), expected);
    assert_eq!(store.append(&expected).unwrap().known, 80);
    assert_eq!(store.rollups(&RollupQuery::new("all")).unwrap()[0].window.numbers.count, 80);
    assert_eq!(store.append(&operations(1_000, 10)).unwrap().stored, 10);
    if version > 2 {
        let many = store.rollups(&RollupQuery::new("many")).unwrap();
        assert_eq!(many.iter().map(|sum| sum.window.numbers.count).sum::<u64>(), 70 * 90);
    }
    assert!(store.check().unwrap().is_sound());
}
