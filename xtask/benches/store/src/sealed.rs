//! Sealed blocks: how many bytes an operation takes, where they are, and how long sealing and reading takes.

use std::collections::BTreeMap;
use std::time::Instant;

use cpu_time::ProcessTime;
use taximeter_persistence::store::block::{ColumnId, Reader, Rows, Sealed, seal};

use crate::out::{Bound, Out};
use crate::standard::{Form, Standard};

/// Operations in a block.
pub(crate) const BLOCK: usize = 16_384;

pub(crate) fn run(quick: bool, out: &Out) {
    for form in [Form::Durations, Form::Guards, Form::Tagged] {
        let found = measure(form, if quick { 4 } else { 24 });
        found.print(form, out);
        let what = format!("sealed, {form:?}: bytes of an operation");
        out.judge(what, found.bytes, "bytes", Bound::AtMost(150.0));
    }
}

struct Found {
    bytes: f64,
    meta: f64,
    /// Bytes of each column of an operation.
    columns: BTreeMap<ColumnId, f64>,
    seal: f64,
    read: f64,
    wall: f64,
}

/// Blocks after the first are timed; every record is compared with what went in.
fn measure(form: Form, blocks: usize) -> Found {
    let mut standard = Standard::new(form);
    let mut found =
        Found { bytes: 0.0, meta: 0.0, columns: BTreeMap::new(), seal: 0.0, read: 0.0, wall: 0.0 };
    let share = 1.0 / (blocks * BLOCK) as f64;
    seal(&standard.batch(BLOCK)).expect("standard operations can be sealed");
    for _ in 0..blocks {
        let records = standard.batch(BLOCK);
        let (began, wall) = (ProcessTime::now(), Instant::now());
        let sealed = seal(&records).expect("standard operations can be sealed");
        found.seal += began.elapsed().as_secs_f64() * share;
        found.wall += wall.elapsed().as_secs_f64() * share;
        found.bytes += sealed.bytes() as f64 * share;
        found.meta += sealed.meta.len() as f64 * share;
        for (column, bytes) in &sealed.columns {
            *found.columns.entry(*column).or_default() += bytes.len() as f64 * share;
        }
        let began = ProcessTime::now();
        let back = open(&sealed).records(&Rows::All(BLOCK)).expect("it was just sealed");
        found.read += began.elapsed().as_secs_f64() * share;
        assert!(back == records, "an operation came back otherwise");
    }
    found
}

/// Opens a block that lies in memory.
pub(crate) fn open(sealed: &Sealed) -> Reader<'_> {
    let columns: BTreeMap<ColumnId, &Vec<u8>> =
        sealed.columns.iter().map(|(column, bytes)| (*column, bytes)).collect();
    let fetch =
        move |column| columns.get(&column).map(|bytes| (*bytes).clone()).ok_or("no such column");
    Reader::open(&sealed.meta, fetch).expect("it was just sealed")
}

impl Found {
    fn print(&self, form: Form, out: &Out) {
        out.say(|| self.words(form), || self.object(form));
    }

    fn object(&self, form: Form) -> serde_json::Value {
        let Self { bytes, meta, columns, seal, read, .. } = self;
        let columns: BTreeMap<String, f64> =
            columns.iter().map(|(column, bytes)| (column.to_string(), *bytes)).collect();
        serde_json::json!({
            "what": format!("sealed, {form:?}"), "bytes": bytes, "meta_bytes": meta, "columns": columns,
            "seal_per_second": 1.0 / seal, "read_per_second": 1.0 / read,
        })
    }

    fn words(&self, form: Form) -> String {
        let Self { bytes, meta, columns, seal, read, wall } = self;
        let mut words = format!(
            "sealed, {form:?}: {bytes:.1} bytes an operation ({meta:.2} of metadata); sealed {:.0}/s of CPU ({:.0}/s of \
             wall clock), read whole {:.0}/s\n",
            1.0 / seal,
            1.0 / wall,
            1.0 / read
        );
        let mut largest: Vec<_> = columns.iter().collect();
        largest.sort_by(|a, b| b.1.total_cmp(a.1));
        for (column, bytes) in largest.iter().take(30) {
            words.push_str(&format!("  {column}: {bytes:.2}"));
        }
        words
    }
}
