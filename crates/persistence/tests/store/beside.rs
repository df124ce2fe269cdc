//! Blocks that are put together on another thread, while batches come.

use taximeter_persistence::store::{Keep, RollupQuery, SqliteStore, Store};

use crate::maintaining::{at, blocks, maintain, operations};
use crate::records::all;
use crate::summing::summing;

/// So many operations in a block, and in a batch.
const BLOCK: i64 = 5_000;
const BATCH: i64 = 1_000;

fn open(room: &tempfile::TempDir) -> SqliteStore {
    let keep = Keep::default().block_operations(BLOCK.unsigned_abs()).seal_at_once(1);
    SqliteStore::at(room.path()).keep(keep).summarize(summing()).open().unwrap()
}

/// Appends so many batches.
fn append(store: &SqliteStore, batches: i64) {
    for batch in 0..batches {
        store.append(&operations(batch * BATCH, BATCH)).unwrap();
    }
}

/// Waits for all that is done on another thread; how many operations were put together.
fn finish(store: &SqliteStore) -> u64 {
    let mut merged = 0;
    loop {
        let done = store.maintain_beside(at(0)).unwrap();
        merged += done.merged;
        if !done.more {
            return merged;
        }
        std::thread::yield_now();
    }
}

#[test]
fn what_is_done_beside_is_what_is_done_at_once() {
    let (room, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (beside, at_once) = (open(&room), open(&other));
    append(&at_once, 22);
    maintain(&at_once, at(0));
    let mut merged = 0;
    for batch in 0..22 {
        beside.append(&operations(batch * BATCH, BATCH)).unwrap();
        merged += beside.maintain_beside(at(0)).unwrap().merged;
    }
    assert_eq!(merged + finish(&beside), 20_000);
    let mut sizes = blocks(&beside);
    sizes.sort_unstable();
    assert_eq!(sizes, [1_000, 1_000, 5_000, 5_000, 5_000, 5_000]);
    assert_eq!(all(&beside), all(&at_once));
    let sums = |store: &SqliteStore| store.rollups(&RollupQuery::new("operation")).unwrap();
    assert_eq!(sums(&beside), sums(&at_once));
    assert!(beside.check().unwrap().is_sound());
}

#[test]
fn small_blocks_do_not_become_more_than_they_may() {
    let room = tempfile::tempdir().unwrap();
    let store = open(&room);
    for batch in 0..60 {
        store.append(&operations(batch * BATCH, BATCH)).unwrap();
        store.maintain_beside(at(0)).unwrap();
        let small: i64 = blocks(&store).into_iter().filter(|size| *size < BLOCK).sum();
        assert!(small <= 4 * BLOCK, "{small} after batch {batch}");
    }
}

#[test]
fn what_another_process_did_meanwhile_is_not_done_again() {
    let room = tempfile::tempdir().unwrap();
    let (one, other) = (open(&room), open(&room));
    append(&one, 5);
    assert!(one.maintain_beside(at(0)).unwrap().more);
    assert_eq!(maintain(&other, at(0)).merged, 5_000);
    assert_eq!(finish(&one), 0);
    assert_eq!(blocks(&one), [5_000]);
    assert_eq!(all(&one), operations(0, 5_000));
}

/// The number of a block that was removed is given to no other, but another file may stand in the place of the store.
#[test]
fn what_was_made_of_another_file_is_not_put_in() {
    let (room, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(&room);
    append(&store, 5);
    assert!(store.maintain_beside(at(0)).unwrap().more);
    let later = open(&other);
    for batch in 10..15 {
        later.append(&operations(batch * BATCH, BATCH)).unwrap();
    }
    // Their blocks have the same numbers.
    let file = rusqlite::Connection::open(store.path()).unwrap();
    let attach = "ATTACH ?1 AS other";
    file.execute(attach, [later.path().to_str().unwrap()]).unwrap();
    file.execute_batch(
        "BEGIN; DELETE FROM blocks; DELETE FROM block_columns;
         INSERT INTO blocks SELECT * FROM other.blocks;
         INSERT INTO block_columns SELECT * FROM other.block_columns; COMMIT;",
    )
    .unwrap();
    finish(&store);
    assert_eq!(all(&open(&room)), operations(10 * BATCH, 5 * BATCH));
}

#[test]
fn a_store_that_is_closed_meanwhile_is_as_it_was() {
    let room = tempfile::tempdir().unwrap();
    let store = open(&room);
    append(&store, 5);
    assert!(store.maintain_beside(at(0)).unwrap().more);
    drop(store);
    let store = open(&room);
    assert_eq!(blocks(&store), [1_000; 5]);
    assert_eq!(finish(&store), 5_000);
    assert_eq!(all(&store), operations(0, 5_000));
}
