//! What is done by and by: sealing, rolling up, removing, giving room back.

use std::ops::ControlFlow;
use std::time::Duration;

use chrono::{DateTime, Utc};
use taximeter_models::{Money, OperationId, OperationRecord};
use taximeter_persistence::store::{
    Condition, Keep, Level, Maintained, MemoryStore, Order, Query, RollupQuery, SqliteStore, Store,
};

use crate::records::{all, scanned};
use crate::summing::{summing, summing_many};

const HOUR: Duration = Duration::from_secs(3_600);

pub(crate) fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_760_000_000 + second, 0).unwrap()
}

/// Operations one second apart.
pub(crate) fn operations(from: i64, count: i64) -> Vec<OperationRecord> {
    let operation = |number: i64| {
        let mut record = OperationRecord::new(if number % 3 == 0 { "a" } else { "b" });
        record.id = OperationId::from_bits(u128::from(number.unsigned_abs()) << 70 | 1);
        record.trace_id = record.id.into();
        record.started_at = at(number);
        record.duration = Duration::from_millis(5);
        record.metadata.insert("number".into(), number.into());
        record
    };
    (from..from + count).map(operation).collect()
}

/// Does all there is to do.
pub(crate) fn maintain(store: &SqliteStore, now: DateTime<Utc>) -> Maintained {
    let mut all = Maintained::default();
    for _ in 0..1_000 {
        let done = store.maintain(now).unwrap();
        all.rolled_up += done.rolled_up;
        all.sealed += done.sealed;
        all.merged += done.merged;
        all.removed_operations += done.removed_operations;
        all.removed_sums += done.removed_sums;
        all.freed_bytes += done.freed_bytes;
        if !done.more {
            return all;
        }
    }
    panic!("there is no end to it");
}

#[test]
fn old_operations_are_sealed_and_nothing_changes() {
    let room = tempfile::tempdir().unwrap();
    let keep = Keep::default().block_operations(5_000).hot_operations(6_000).hot_for(100 * HOUR);
    let keep = keep.seal_at_once(1_000);
    let store = SqliteStore::at(room.path()).keep(keep).summarize(summing()).open().unwrap();
    let operations = operations(0, 20_000);
    for batch in operations.chunks(999) {
        store.append(batch).unwrap();
    }
    let done = maintain(&store, at(20_000));
    let stats = store.stats().unwrap();
    assert_eq!(done.sealed, stats.sealed_operations);
    assert_eq!(stats.hot_operations + stats.sealed_operations, 20_000);
    assert!((6_000..14_192).contains(&stats.hot_operations), "{stats:?}");
    assert!(stats.sealed_bytes > 0 && stats.sealed_bytes < 60 * stats.sealed_operations);
    assert_eq!(all(&store), operations);
    // What is sealed is known, too.
    let appended = store.append(&operations).unwrap();
    assert_eq!((appended.stored, appended.known), (0, 20_000));
    assert_eq!(store.get(operations[0].id).unwrap(), Some(operations[0].clone()));
    let middle = Query::default().since(at(1_000)).until(at(1_010));
    assert_eq!(scanned(&store, &middle), operations[1_000..1_010]);
    drop(store);
    // Without the writer's memory of blocks it is the same.
    let store = SqliteStore::at(room.path()).keep(keep).open().unwrap();
    assert_eq!(store.append(&operations[..10]).unwrap().known, 10);
}

#[test]
fn an_hour_is_the_same_before_and_after_it_is_rolled_up() {
    let room = tempfile::tempdir().unwrap();
    let store = SqliteStore::at(room.path()).summarize(summing()).open().unwrap();
    let operations = operations(0, 20_000);
    let (late, timely): (Vec<_>, Vec<_>) = operations
        .into_iter()
        .partition(|record| record.metadata["number"].as_i64().unwrap() % 7 == 0);
    store.append(&timely).unwrap();
    let sums = || {
        let mut sums = Vec::new();
        for each in [None, Some(Level::Minute), Some(Level::Hour), Some(Level::Day)] {
            let mut query = RollupQuery::new("operation");
            query.each = each;
            query.resolution = each.unwrap_or(Level::Day);
            sums.push(store.rollups(&query).unwrap());
        }
        sums
    };
    let before = sums();
    assert_eq!(before[1].len(), 2 * 334);
    assert_eq!(before[0].iter().map(|sum| sum.window.numbers.count).sum::<u64>(), 17_142);
    let done = maintain(&store, at(100_000));
    assert!(done.rolled_up > 668, "{done:?}");
    assert_eq!(sums(), before);
    store.append(&late).unwrap();
    let after = sums();
    assert_eq!(after[0].iter().map(|sum| sum.window.numbers.count).sum::<u64>(), 20_000);
    assert!(maintain(&store, at(100_000)).rolled_up > 0);
    assert_eq!(sums(), after);
    assert_eq!(maintain(&store, at(100_000)), Maintained::default());
    // Those that come again change nothing.
    store.append(&timely).unwrap();
    assert_eq!(sums(), after);
    // The minutes are removed when they are old; the hours stay exact.
    assert!(maintain(&store, at(10 * 86_400)).removed_sums >= 668);
    let left = sums();
    assert_eq!((&left[0], left[1].len()), (&after[0], 0));
    assert_eq!(left[2], after[2]);
}

/// Of users, say: all that one batch adds to a minute is one row, and few such rows wait to be rolled up.
#[test]
fn what_has_many_keys_is_few_rows_until_it_is_rolled_up() {
    let room = tempfile::tempdir().unwrap();
    let store = SqliteStore::at(room.path()).summarize(summing_many()).open().unwrap();
    let twin = MemoryStore::summarizing(summing_many());
    let rows = |level: i64| -> i64 {
        let file = rusqlite::Connection::open(store.path()).unwrap();
        let sql = "SELECT count(*) FROM rollups WHERE dimension = 'many' AND level = ?1";
        file.query_row(sql, [level], |row| row.get(0)).unwrap()
    };
    let same = |when: &str| {
        for key in [None, Some("7".into())] {
            for each in [None, Some(Level::Minute), Some(Level::Hour), Some(Level::Day)] {
                let mut query = RollupQuery::new("many");
                (query.each, query.key) = (each, key.clone());
                query.resolution = each.unwrap_or(Level::Day);
                let (is, should) = (store.rollups(&query).unwrap(), twin.rollups(&query).unwrap());
                assert_eq!(is, should, "{when}, {each:?}");
            }
        }
    };
    // Of one minute, of which the second half comes when the first is rolled up.
    let minute = operations(40, 60);
    for batch in minute[..30].chunks(2) {
        assert_eq!(store.append(batch).unwrap(), twin.append(batch).unwrap());
        assert!(rows(0) <= 8, "{} rows wait", rows(0));
    }
    same("before");
    let done = maintain(&store, at(10_000));
    assert!(done.rolled_up >= 230, "{done:?}");
    assert_eq!((rows(0), rows(1)), (7, 230));
    same("rolled up");
    for batch in minute[30..].chunks(30) {
        assert_eq!(store.append(batch).unwrap(), twin.append(batch).unwrap());
    }
    same("late ones beside");
    maintain(&store, at(10_000));
    same("all rolled up");
    assert!(store.check().unwrap().is_sound());
    // By SQL they stand together.
    let file = rusqlite::Connection::open(store.path()).unwrap();
    let sql = "SELECT sum(count) FROM rollups_minute WHERE dimension = 'many' AND key = '_many'";
    assert_eq!(file.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap(), 60 * 70);
    // One that is damaged is left for a repair, and what comes then is not lost with it.
    store.append(&operations(200, 2)).unwrap();
    file.execute(
        "UPDATE rollups SET window = x'0100' WHERE rolled = 0 AND typeof(key) = 'integer'",
        [],
    )
    .unwrap();
    for second in 0..10 {
        store.append(&operations(210 + second, 1)).unwrap();
    }
    assert_eq!(store.check().unwrap().wrong_sums, 1);
    let repaired = store.repair(room.path().join("anew.db")).unwrap();
    assert!(!repaired.sums_kept && repaired.operations == 72, "{repaired:?}");
    let anew =
        SqliteStore::at(room.path().join("anew.db")).summarize(summing_many()).open().unwrap();
    let many = anew.rollups(&RollupQuery::new("many")).unwrap();
    assert_eq!(many.iter().map(|sum| sum.window.numbers.count).sum::<u64>(), 70 * 72);
}

#[test]
fn what_is_too_old_or_too_much_is_removed_and_its_room_given_back() {
    let room = tempfile::tempdir().unwrap();
    let keep = Keep::default().block_operations(4_096).hot_operations(8_192);
    let keep = keep.operations_for(5 * HOUR).seal_at_once(u64::MAX);
    let store = SqliteStore::at(room.path()).keep(keep).summarize(summing()).open().unwrap();
    store.append(&operations(0, 40_000)).unwrap();
    let whole = store.stats().unwrap();
    let done = maintain(&store, at(40_000));
    let left = all(&store);
    assert_eq!(left.len() as u64 + done.removed_operations, 40_000);
    assert!(left[0].started_at >= at(40_000 - 5 * 3_600 - 4_096), "{}", left[0].started_at);
    assert!(done.freed_bytes > 1 << 20, "{done:?}");
    drop(store);

    let keep = Keep::default().bytes(1 << 20);
    let store = SqliteStore::at(room.path()).keep(keep).summarize(summing()).open().unwrap();
    let done = maintain(&store, at(40_000));
    assert!(done.removed_operations > 0);
    let stats = store.stats().unwrap();
    assert!(stats.bytes < whole.bytes * 3 / 4, "{stats:?} of {whole:?}");
    assert!(stats.hot_operations + stats.sealed_operations > 0);
    let count: u64 = store
        .rollups(&RollupQuery::new("all"))
        .unwrap()
        .iter()
        .map(|sum| sum.window.numbers.count)
        .sum();
    assert_eq!(count, 40_000, "sums stay");
}

/// How many operations are in each block.
pub(crate) fn blocks(store: &SqliteStore) -> Vec<i64> {
    let file = rusqlite::Connection::open(store.path()).unwrap();
    let mut select = file.prepare("SELECT operations FROM blocks ORDER BY id").unwrap();
    select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn large_batches_are_sealed_as_they_come_and_put_together() {
    let room = tempfile::tempdir().unwrap();
    let keep = Keep::default().block_operations(5_000).seal_at_once(900).hot_operations(100);
    let open = || SqliteStore::at(room.path()).keep(keep).summarize(summing()).open().unwrap();
    let store = open();
    let operations = operations(0, 20_000);
    // The batches come in another order than their operations began, and overlap.
    for batch in operations.chunks(2_000) {
        let (odd, even): (Vec<_>, Vec<_>) =
            batch.iter().cloned().partition(|record| record.id.bits() >> 70 & 1 == 1);
        assert_eq!(store.append(&odd).unwrap().stored, 1_000);
        assert_eq!(store.append(&even).unwrap().stored, 1_000);
    }
    assert_eq!(blocks(&store), [1_000; 20]);
    assert_eq!(store.stats().unwrap().hot_operations, 0);
    // A few stay rows beside.
    store.append(&self::operations(20_000, 10)).unwrap();
    let before = store.rollups(&RollupQuery::new("operation")).unwrap();
    let done = maintain(&store, at(20_000));
    assert_eq!((done.merged, done.sealed), (20_000, 0), "{done:?}");
    assert_eq!(blocks(&store), [5_000; 4]);
    let expected = self::operations(0, 20_010);
    assert_eq!(all(&store), expected);
    assert_eq!(store.append(&operations).unwrap().known, 20_000);
    let middle = Query::default().since(at(1_000)).until(at(1_010));
    assert_eq!(scanned(&store, &middle), operations[1_000..1_010]);
    assert_eq!(store.get(operations[7].id).unwrap().as_ref(), Some(&operations[7]));
    assert!(store.check().unwrap().is_sound());
    drop(store);
    let store = open();
    assert_eq!(store.append(&operations[..1_000]).unwrap().known, 1_000);
    assert_eq!(store.rollups(&RollupQuery::new("operation")).unwrap(), before);
    assert_eq!(maintain(&store, at(20_000)).merged, 0);
}

#[test]
fn a_batch_that_is_many_blocks_is_cut_into_equal_ones() {
    let room = tempfile::tempdir().unwrap();
    let keep = Keep::default().block_operations(3_000).seal_at_once(1);
    let store = SqliteStore::at(room.path()).keep(keep).open().unwrap();
    store.append(&operations(0, 10_000)).unwrap();
    assert_eq!(blocks(&store), [2_500; 4]);
    assert_eq!(maintain(&store, at(10_000)).merged, 0);
    assert_eq!(all(&store), operations(0, 10_000));
}

#[test]
fn a_small_block_that_is_damaged_holds_up_no_other() {
    let room = tempfile::tempdir().unwrap();
    let keep = Keep::default().block_operations(50).seal_at_once(1);
    let store = SqliteStore::at(room.path()).keep(keep).open().unwrap();
    store.append(&operations(0, 20)).unwrap();
    let file = rusqlite::Connection::open(store.path()).unwrap();
    let change =
        "UPDATE block_columns SET bytes = x'00' WHERE part = (SELECT max(part) FROM block_columns)";
    assert_eq!(file.execute(change, []).unwrap(), 1);
    for batch in 1..6 {
        store.append(&operations(batch * 20, 20)).unwrap();
    }
    // The first of the three that are tried is left alone from then on.
    assert_eq!(store.maintain(at(1_000)).unwrap().merged, 0);
    assert_eq!(maintain(&store, at(1_000)).merged, 60);
    assert_eq!(blocks(&store), [20, 20, 20, 60]);
    let left = store.scan(&Query::default(), &mut |_| ControlFlow::Continue(()));
    let left = left.unwrap();
    assert_eq!((left.shown, left.damaged), (100, 20));
}

#[test]
fn what_comes_into_an_extent_after_it_was_sealed_is_sealed_too() {
    let room = tempfile::tempdir().unwrap();
    let keep = Keep::default().block_operations(1).hot_operations(0).hot_for(Duration::ZERO);
    let keep = keep.seal_at_once(1_000);
    let store = SqliteStore::at(room.path()).keep(keep).open().unwrap();
    for batch in 0..3 {
        store.append(&operations(batch * 100, 100)).unwrap();
        assert_eq!(maintain(&store, at(100_000)).sealed, 100);
    }
    assert_eq!(store.stats().unwrap().hot_operations, 0);
    assert_eq!(all(&store), operations(0, 300));
}

#[test]
fn what_cannot_be_sealed_stays_in_rows() {
    for at_once in [1, u64::MAX] {
        cannot_be_sealed(at_once);
    }
}

fn cannot_be_sealed(at_once: u64) {
    let room = tempfile::tempdir().unwrap();
    let keep = Keep::default().block_operations(1_000).hot_operations(0).hot_for(Duration::ZERO);
    let keep = keep.seal_at_once(at_once);
    let store = SqliteStore::at(room.path()).keep(keep).open().unwrap();
    let mut records = operations(0, 1_000);
    let mut call = taximeter_models::LlmCall::new("a", "b");
    call.cost = taximeter_models::CostOutcome::Recorded(taximeter_models::ReportedCost {
        total: Money::from_ticks(-i128::MAX),
        input: None,
        output: None,
        currency: taximeter_models::Currency::USD,
    });
    records[50].llm_calls.push(call);
    // A row holds a level more than a column does.
    let deep = (0..120).fold(serde_json::Value::Null, |value, _| vec![value].into());
    records[60].metadata.insert("deep".into(), deep);
    store.append(&records).unwrap();
    let before = all(&store);
    maintain(&store, at(100_000));
    let stats = store.stats().unwrap();
    assert_eq!((stats.hot_operations, stats.sealed_operations), (1, 999), "{at_once}");
    assert_eq!(all(&store), before);
    assert_eq!(store.append(&records).unwrap().known, 1_000);
}

#[test]
fn the_newest_are_looked_for_in_as_many_blocks_as_is_asked() {
    let room = tempfile::tempdir().unwrap();
    let keep = Keep::default().block_operations(1_000).seal_at_once(1);
    let store = SqliteStore::at(room.path()).keep(keep).open().unwrap();
    let operations = operations(0, 3_000);
    for batch in operations.chunks(1_000) {
        store.append(batch).unwrap();
    }
    let asked = |pieces: Option<usize>, limit: usize| {
        let mut query = Query::default().and(Condition::Operation("a".into()));
        query = query.order(Order::NewestFirst).limit(limit);
        query.pieces = pieces;
        let mut shown = Vec::new();
        let scanned = store.scan(&query, &mut |record| {
            shown.push(record);
            ControlFlow::Continue(())
        });
        (shown, scanned.unwrap().broken_off)
    };
    let is_a = |record: &&OperationRecord| *record.name == *"a";
    let newest = |from: usize| operations[from..].iter().rev().filter(is_a).cloned().collect();
    assert_eq!(asked(None, 5_000), (newest(0), false));
    assert_eq!(asked(Some(3), 5_000), (newest(0), false));
    assert_eq!(asked(Some(2), 5_000), (newest(1_000), true));
    // Where there are enough of them, nothing was left out.
    assert_eq!((asked(Some(1), 9).0.len(), asked(Some(1), 9).1), (9, false));
}
