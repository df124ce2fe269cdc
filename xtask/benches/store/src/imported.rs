//! Importing a large file of lines: how fast, and in how much memory.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use cpu_time::ProcessTime;
use taximeter::history::Windows;
use taximeter_persistence::store::{SqliteStore, Store};
use taximeter_persistence::{ExportFormat, ExportOptions, Importer};

use crate::hot::room;
use crate::out::{Bound, Out};
use crate::standard::{Form, Standard};

/// Records go into the store by the thousand, as `taximeter import` puts them in.
const BATCH: usize = 1_000;

/// A tenth of the file first: whatever grows with it is seen in the memory of the whole.
pub(crate) fn run(bytes: u64, out: &Out) {
    let tenth = import(bytes / 10, out);
    let whole = import(bytes, out);
    if tenth > 0 {
        let grown = whole as f64 / tenth as f64;
        out.judge("import: peak memory, beside a tenth of the file", grown, "times", Bound::AtMost(1.25));
    }
}

/// The most memory that it took, in KiB.
fn import(bytes: u64, out: &Out) -> u64 {
    let room = room();
    let file = room.path().join("operations.jsonl");
    let operations = write(&file, bytes);
    let bytes = std::fs::metadata(&file).expect("it was written").len();
    let store = SqliteStore::at(room.path().join("store")).summarize(Arc::new(Windows)).open();
    let store = store.expect("a store can be made");
    forget_peak();
    let before = peak_kib();
    let (began, cpu) = (Instant::now(), ProcessTime::now());
    let (mut batch, mut stored) = (Vec::with_capacity(BATCH), 0);
    for item in &mut Importer::open(&file).expect("it is there") {
        batch.push(item.expect("it can be read").expect("it fits"));
        if batch.len() == BATCH {
            stored += store.append(&batch).expect("there is room").stored;
            batch.clear();
        }
    }
    stored += store.append(&batch).expect("there is room").stored;
    assert_eq!(stored, operations, "everything is stored");
    let (wall, cpu, after) =
        (began.elapsed().as_secs_f64(), cpu.elapsed().as_secs_f64(), peak_kib());
    out.say(
        || {
            format!(
                "import of {bytes} bytes, {operations} operations: {wall:.1} s, {cpu:.1} s of CPU; at most {after} KiB \
                 of memory, {before} KiB before it"
            )
        },
        || {
            serde_json::json!({
                "what": "import", "bytes": bytes, "operations": operations, "seconds": wall, "cpu_seconds": cpu,
                "peak_kib": after, "peak_kib_before": before,
            })
        },
    );
    after
}

/// Lets the peak begin anew at what is used now, where the system can do that.
fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn write(file: &Path, bytes: u64) -> u64 {
    let mut standard = Standard::new(Form::Tagged);
    let mut exporter =
        ExportOptions::new(ExportFormat::Jsonl).create(file).expect("a file can be made");
    let mut written = 0;
    while written < bytes {
        let batch = standard.batch(BATCH);
        let line = serde_json::to_string(&batch[0]).expect("a record is JSON").len();
        exporter.write_all(&batch).expect("there is room");
        written += (line * BATCH) as u64;
    }
    exporter.finish().expect("there is room")
}

/// The most memory that this process had so far; 0 where the system does not say.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
