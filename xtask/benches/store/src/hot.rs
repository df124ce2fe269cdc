//! Appending: operations a second at each durability, bytes of a hot operation, and whether either grows with the store;
//! beside one row of JSON for each operation.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cpu_time::{ProcessTime, ThreadTime};
use taximeter::history::Windows;
use taximeter_persistence::store::{Durability, Keep, SqliteStore, Store};

use crate::out::{Bound, Out};
use crate::standard::{self, Standard};

/// Operations in a batch.
pub(crate) fn batch() -> usize {
    let batch = std::env::var("BATCH").ok().and_then(|batch| batch.parse().ok());
    batch.unwrap_or(4_096)
}

pub(crate) fn append(most: usize, out: &Out) {
    for durability in [Durability::Os, Durability::Fsync] {
        grow(durability, false, Form::Block, most, out);
    }
    grow(Durability::Os, false, Form::Rows, most, out);
}

pub(crate) fn append_with_sums(most: usize, out: &Out) {
    for durability in [Durability::Os, Durability::Fsync] {
        grow(durability, true, Form::Block, most, out);
    }
}

/// As what a batch is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As a block, which is what the store does with large ones.
    Block,
    /// As rows, which is what it does with small ones.
    Rows,
}

/// A store in the working directory: temporary ones often lie in memory, where nothing is brought to disk.
pub(crate) fn room() -> tempfile::TempDir {
    tempfile::tempdir_in(".").expect("there is room")
}

/// What appending took since the last look.
#[derive(Default)]
pub(crate) struct Took {
    pub(crate) operations: usize,
    pub(crate) wall: Duration,
    cpu: Duration,
    /// The part of it that the thread took which appends.
    own: Duration,
}

impl Took {
    /// What is done with so many operations, to its end.
    pub(crate) fn add(&mut self, operations: usize, work: impl FnOnce()) {
        let (began, cpu, own) = (Instant::now(), ProcessTime::now(), ThreadTime::now());
        work();
        self.wall += began.elapsed();
        self.cpu += cpu.elapsed();
        self.own += own.elapsed();
        self.operations += operations;
    }

    pub(crate) fn print(&self, what: &str, size: usize, path: &Path, out: &Out) -> Measured {
        let count = self.operations as f64;
        let each = |time: Duration| time.as_secs_f64() * 1e6 / count;
        let measured = Measured {
            per_second: count / self.wall.as_secs_f64(),
            cpu_us: each(self.cpu),
            bytes: bytes(path) / size as f64,
        };
        let (Measured { per_second, cpu_us, bytes }, own_us) = (measured, each(self.own));
        out.say(
            || {
                format!(
                    "{what}, up to {size}: {per_second:.0} operations/s, {cpu_us:.2} us of CPU each, {own_us:.2} of them on the thread that appends, {bytes:.1} bytes each"
                )
            },
            || {
                serde_json::json!({
                    "what": what, "operations": size, "per_second": per_second, "cpu_us": cpu_us,
                    "cpu_us_of_the_thread_that_appends": own_us, "bytes": bytes,
                })
            },
        );
        measured
    }
}

/// What an operation took between two looks, and of the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) per_second: f64,
    pub(crate) cpu_us: f64,
    pub(crate) bytes: f64,
}

/// Operations a second over all looks, and how much dearer one is in the last look than in the one at a hundredth of its
/// size: the first ones pay for what is made once.
pub(crate) fn judge(what: &str, least: f64, looks: &[Measured], took: f64, out: &Out) {
    out.judge(what, took, "operations/s", Bound::AtLeast(least));
    let [.., before, _, last] = looks else { return };
    let grown = last.cpu_us / before.cpu_us;
    out.judge(
        format!("{what}: CPU of one, beside a hundredth of the store"),
        grown,
        "times",
        Bound::AtMost(1.25),
    );
}

/// Bytes of the file; the log is emptied into it first.
fn bytes(path: &Path) -> f64 {
    let connection = rusqlite::Connection::open(path).expect("it is there");
    let emptied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    emptied.expect("nobody else has it");
    std::fs::metadata(path).expect("it is there").len() as f64
}

/// Appends until there are so many, and looks at every power of ten.
fn grow(durability: Durability, sums: bool, form: Form, most: usize, out: &Out) {
    let room = room();
    let mut open = SqliteStore::at(room.path()).durability(durability);
    if form == Form::Rows {
        open = open.keep(Keep::default().seal_at_once(u64::MAX));
    }
    if sums {
        open = open.summarize(Arc::new(Windows));
    }
    let store = open.open().expect("a store can be made");
    let form_of = if form == Form::Rows { " as rows" } else { "" };
    let what = format!("append{form_of}, {durability:?}{}", if sums { " with sums" } else { "" });
    let mut standard = Standard::new(standard::Form::Guards);
    let (mut took, mut size, mut look) = (Took::default(), 0, 10_000);
    let (mut looks, mut wall) = (Vec::new(), Duration::ZERO);
    while size < most {
        let batch = standard.batch(batch().min(most - size));
        took.add(batch.len(), || {
            store.append(&batch).expect("there is room");
        });
        size += batch.len();
        if size >= look {
            wall += took.wall;
            looks.push(std::mem::take(&mut took).print(&what, size, store.path(), out));
            look *= 10;
        }
    }
    if form == Form::Block {
        judge(&what, least(durability), &looks, size as f64 / wall.as_secs_f64(), out);
    } else if let Some(last) = looks.last() {
        out.judge(
            format!("{what}: bytes of a hot operation"),
            last.bytes,
            "bytes",
            Bound::AtMost(400.0),
        );
    }
}

/// Operations that are to be taken in a second.
pub(crate) fn least(durability: Durability) -> f64 {
    if durability == Durability::Os { 100_000.0 } else { 50_000.0 }
}

/// The peer: what a program does that keeps each operation as JSON in a row, with the same group of a transaction.
pub(crate) fn rows_of_json(most: usize, out: &Out) {
    let room = room();
    let path = room.path().join("rows.db");
    let connection = rusqlite::Connection::open(&path).expect("a file can be made");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
             CREATE TABLE operations (id TEXT PRIMARY KEY, name TEXT, started_ns INTEGER, record TEXT)",
        )
        .expect("a table can be made");
    let mut standard = Standard::new(standard::Form::Guards);
    let mut took = Took::default();
    while took.operations < most {
        let batch = standard.batch(batch().min(most - took.operations));
        took.add(batch.len(), || {
            connection.execute_batch("BEGIN").expect("nobody else has it");
            let mut insert = connection
                .prepare_cached("INSERT OR IGNORE INTO operations VALUES (?, ?, ?, ?)")
                .expect("the table is there");
            for record in &batch {
                let text = serde_json::to_string(record).expect("a record is JSON");
                let started = record.started_at.timestamp_nanos_opt();
                insert
                    .execute((record.id.to_string(), &*record.name, started, text))
                    .expect("there is room");
            }
            connection.execute_batch("COMMIT").expect("there is room");
        });
    }
    took.print("peer: rows of JSON, Os", most, &path, out);
}
