//! Appending: operations a second at each durability, bytes of a hot operation, and whether either grows with the store;
//! beside one row of JSON for each operation.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;
use taximeter::history::Windows;
use taximeter_models::OperationRecord;
use taximeter_persistence::store::{Durability, SqliteStore, Store};

use crate::standard::{Form, Standard};

/// Operations in a batch.
pub(crate) const BATCH: usize = 4_096;

pub(crate) fn append(most: usize, json: bool) {
    for durability in [Durability::Os, Durability::Fsync] {
        grow(durability, false, most, json);
    }
}

pub(crate) fn append_with_sums(most: usize, json: bool) {
    for durability in [Durability::Os, Durability::Fsync] {
        grow(durability, true, most, json);
    }
}

/// A store in the working directory: temporary ones often lie in memory, where nothing is brought to disk.
pub(crate) fn room() -> tempfile::TempDir {
    tempfile::tempdir_in(".").expect("there is room")
}

/// What appending took since the last look.
#[derive(Default)]
pub(crate) struct Took {
    pub(crate) operations: usize,
    wall: Duration,
    cpu: Duration,
}

impl Took {
    pub(crate) fn batch(
        &mut self,
        records: &[OperationRecord],
        append: impl FnOnce(&[OperationRecord]),
    ) {
        let (began, cpu) = (Instant::now(), ProcessTime::now());
        append(records);
        self.wall += began.elapsed();
        self.cpu += cpu.elapsed();
        self.operations += records.len();
    }

    pub(crate) fn print(&self, what: &str, size: usize, path: &Path, json: bool) {
        let count = self.operations as f64;
        let per_second = count / self.wall.as_secs_f64();
        let (cpu, bytes) = (self.cpu.as_secs_f64() * 1e6 / count, bytes(path) / size as f64);
        if json {
            println!(
                "{}",
                serde_json::json!({
                    "what": what, "operations": size, "per_second": per_second, "cpu_us": cpu, "bytes": bytes,
                })
            );
        } else {
            println!(
                "{what}, up to {size}: {per_second:.0} operations/s, {cpu:.2} us of CPU each, {bytes:.1} bytes each"
            );
        }
    }
}

/// Bytes of the file; the log is emptied into it first.
fn bytes(path: &Path) -> f64 {
    let connection = rusqlite::Connection::open(path).expect("it is there");
    let emptied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    emptied.expect("nobody else has it");
    std::fs::metadata(path).expect("it is there").len() as f64
}

/// Appends until there are so many, and looks at every power of ten.
fn grow(durability: Durability, sums: bool, most: usize, json: bool) {
    let room = room();
    let mut open = SqliteStore::at(room.path()).durability(durability);
    if sums {
        open = open.summarize(Arc::new(Windows));
    }
    let store = open.open().expect("a store can be made");
    let mut standard = Standard::new(Form::Guards);
    let (mut took, mut size, mut look) = (Took::default(), 0, 10_000);
    while size < most {
        let batch = standard.batch(BATCH.min(most - size));
        took.batch(&batch, |batch| {
            store.append(batch).expect("there is room");
        });
        size += batch.len();
        if size >= look {
            let with = if sums { " with sums" } else { "" };
            let what = format!("append, {durability:?}{with}");
            std::mem::take(&mut took).print(&what, size, store.path(), json);
            look *= 10;
        }
    }
}

/// The peer: what a program does that keeps each operation as JSON in a row, with the same group of a transaction.
pub(crate) fn rows_of_json(most: usize, json: bool) {
    let room = room();
    let path = room.path().join("rows.db");
    let connection = rusqlite::Connection::open(&path).expect("a file can be made");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
             CREATE TABLE operations (id TEXT PRIMARY KEY, name TEXT, started_ns INTEGER, record TEXT)",
        )
        .expect("a table can be made");
    let mut standard = Standard::new(Form::Guards);
    let mut took = Took::default();
    while took.operations < most {
        let batch = standard.batch(BATCH.min(most - took.operations));
        took.batch(&batch, |batch| {
            connection.execute_batch("BEGIN").expect("nobody else has it");
            let mut insert = connection
                .prepare_cached("INSERT OR IGNORE INTO operations VALUES (?, ?, ?, ?)")
                .expect("the table is there");
            for record in batch {
                let text = serde_json::to_string(record).expect("a record is JSON");
                let started = record.started_at.timestamp_nanos_opt();
                insert
                    .execute((record.id.to_string(), &*record.name, started, text))
                    .expect("there is room");
            }
            connection.execute_batch("COMMIT").expect("there is room");
        });
    }
    took.print("peer: rows of JSON, Os", most, &path, json);
}
