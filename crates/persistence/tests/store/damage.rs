//! Damaged files: never a panic, and never a record or a sum that is not what was stored.

use std::collections::HashMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use taximeter_models::{OperationId, OperationRecord};
use taximeter_persistence::StoreError;
use taximeter_persistence::store::{Keep, Query, Rollup, RollupQuery, SqliteStore, Store};

use crate::maintaining::{at, maintain, operations};
use crate::records::all;
use crate::summing::summing;

/// A store with rows, a block and sums, as one file; with what is in it.
fn made(room: &Path) -> (Vec<u8>, HashMap<OperationId, OperationRecord>, Vec<Rollup>) {
    let keep = Keep::default().block_operations(1).hot_operations(150).seal_at_once(1_000);
    let open = || SqliteStore::at(room.join("whole.db")).keep(keep).summarize(summing()).open();
    let store = open().unwrap();
    let mut records = operations(0, 300);
    for record in &mut records {
        record.add_component("retrieval", std::time::Duration::from_micros(17));
        let call = taximeter_models::LlmCall::new("openai", "gpt-4o");
        record.llm_calls.push(call.using(taximeter_models::TokenUsage::new(1_200, 350)));
    }
    store.append(&records[..150]).unwrap();
    // The next ones come into another extent, so that the first can be sealed.
    let filler = operations(10_000, 4_096);
    store.append(&filler).unwrap();
    maintain(&store, at(20_000));
    store.append(&records[150..]).unwrap();
    assert!(store.stats().unwrap().sealed_operations > 0);
    let kept = all(&store).into_iter().map(|record| (record.id, record)).collect();
    let sums = store.rollups(&RollupQuery::new("operation")).unwrap();
    store.vacuum().unwrap();
    let path = store.path().to_owned();
    drop(store);
    (fs::read(path).unwrap(), kept, sums)
}

#[test]
fn a_flipped_bit_or_a_cut_gives_no_wrong_answer() {
    let room = tempfile::tempdir().unwrap();
    let (bytes, kept, sums) = made(room.path());
    let path = room.path().join("damaged.db");
    let tries: usize =
        std::env::var("TAXIMETER_FLIPS").ok().map_or(32, |text| text.parse().unwrap());
    let (mut refused, mut told, mut silent) = (0, 0, 0);
    for number in 0..tries {
        let mut damaged = bytes.clone();
        // Spread over the file by a step that shares no factor with its length.
        let bit = (number * 7_368_787 + 13) % (8 * bytes.len());
        if number % 8 == 7 {
            damaged.truncate(bit / 8);
        } else {
            damaged[bit / 8] ^= 1 << (bit % 8);
        }
        for beside in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{beside}", path.display()));
        }
        fs::write(&path, &damaged).unwrap();
        match examined(&path, &kept, &sums) {
            Seen::Refused => refused += 1,
            Seen::Told => told += 1,
            Seen::Whole => silent += 1,
        }
    }
    println!("{tries} damages: {refused} refused, {told} told, {silent} without effect on records");
    assert!(refused + told > 0);
}

enum Seen {
    /// It was an error.
    Refused,
    /// Some operations are said to be damaged.
    Told,
    /// Every record is there as it was.
    Whole,
}

fn examined(path: &Path, kept: &HashMap<OperationId, OperationRecord>, sums: &[Rollup]) -> Seen {
    let Ok(store) = SqliteStore::at(path).summarize(summing()).open() else { return Seen::Refused };
    let mut shown = 0;
    let scanned = store.scan(&Query::default(), &mut |record| {
        assert_eq!(kept.get(&record.id), Some(&record));
        shown += 1;
        ControlFlow::Continue(())
    });
    if let Ok(stored) = store.rollups(&RollupQuery::new("operation")) {
        // Where a row is missing, a check tells it.
        if stored != sums {
            assert!(!store.check().unwrap().is_sound());
        }
    }
    for id in kept.keys().take(40) {
        if let Ok(Some(record)) = store.get(*id) {
            assert_eq!(kept.get(id), Some(&record));
        }
    }
    match scanned {
        Err(_) => Seen::Refused,
        Ok(scanned) if scanned.damaged > 0 => Seen::Told,
        Ok(_) if shown == kept.len() => Seen::Whole,
        Ok(_) => {
            assert!(!store.check().unwrap().is_sound(), "{shown} are shown, and nothing is told");
            Seen::Told
        }
    }
}

#[test]
fn what_can_be_saved_is_saved_and_what_not_is_said() {
    let room = tempfile::tempdir().unwrap();
    let (bytes, kept, sums) = made(room.path());
    let path = room.path().join("damaged.db");
    fs::write(&path, &bytes).unwrap();
    let sound = SqliteStore::at(&path).summarize(summing()).open().unwrap();
    let checked = sound.check().unwrap();
    assert!(checked.is_sound(), "{checked:?}");
    assert_eq!((checked.operations, checked.wrong_sums), (kept.len() as u64, 0));
    assert!(checked.sums > 0);
    let names: Vec<String> = sound.disk_use().unwrap().into_iter().map(|(name, _)| name).collect();
    assert!(names.iter().any(|name| name == "block_columns"), "{names:?}");
    drop(sound);

    // A number of an operation, a column of the block, and a sum are changed as no program of ours does it.
    let other = rusqlite::Connection::open(&path).unwrap();
    other
        .execute(
            "UPDATE operations SET duration_ns = 7 WHERE seq = (SELECT max(seq) FROM operations)",
            [],
        )
        .unwrap();
    drop(other);
    let store = SqliteStore::at(&path).summarize(summing()).open().unwrap();
    let checked = store.check().unwrap();
    assert_eq!((checked.damaged_operations, checked.problems.len()), (1, 1), "{checked:?}");
    let repaired = store.repair(room.path().join("saved.db")).unwrap();
    assert_eq!((repaired.operations, repaired.lost_operations), (kept.len() as u64 - 1, 1));
    assert!(repaired.sums_kept);
    let saved = SqliteStore::at(room.path().join("saved.db")).summarize(summing()).open().unwrap();
    assert_eq!(saved.rollups(&RollupQuery::new("operation")).unwrap(), sums);
    assert_eq!(all(&saved).len(), kept.len() - 1);
    let again = store.repair(room.path().join("saved.db"));
    assert!(matches!(again, Err(StoreError::Unfit { .. })));

    // Where sums are damaged, they are made of the operations that are there.
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute("UPDATE rollups SET window = x'00' WHERE dimension = 'all'", []).unwrap();
    drop(other);
    assert!(store.rollups(&RollupQuery::new("all")).is_err());
    assert!(store.check().unwrap().wrong_sums > 0);
    let repaired = store.repair(room.path().join("anew.db")).unwrap();
    assert!(!repaired.sums_kept);
    let anew = SqliteStore::at(room.path().join("anew.db")).summarize(summing()).open().unwrap();
    let count = anew.rollups(&RollupQuery::new("all")).unwrap()[0].window.numbers.count;
    assert_eq!(count, kept.len() as u64 - 1);
}
