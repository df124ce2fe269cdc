//! A store as a program keeps it: appended to, sealed and rolled up as it goes; then a report and groups over all of it.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use cpu_time::ProcessTime;
use taximeter::history::{Ask, History, Period, Windows};
use taximeter_models::Name;
use taximeter_persistence::store::{Column, Query, SqliteStore, Store, Table};

use crate::hot::{BATCH, Took, room};
use crate::questions::add_up;
use crate::standard::{Form, Standard};

pub(crate) fn run(most: usize, json: bool) {
    let room = room();
    let store = SqliteStore::at(room.path()).summarize(Arc::new(Windows)).open();
    let store = Arc::new(store.expect("a store can be made"));
    let mut standard = Standard::new(Form::Tagged);
    let (mut took, mut size, mut look, mut now) =
        (Took::default(), 0, 10_000.min(most), DateTime::<Utc>::UNIX_EPOCH);
    while size < most {
        let batch = standard.batch(BATCH.min(most - size));
        now = batch.last().map(|record| record.started_at).expect("a batch is not empty");
        took.batch(&batch, |batch| {
            store.append(batch).expect("there is room");
            store.maintain(now).expect("there is room");
        });
        size += batch.len();
        if size >= look {
            let what = "append and maintain, Os with sums";
            std::mem::take(&mut took).print(what, size, store.path(), json);
            look = (look * 10).min(most.max(size + 1));
        }
    }
    let stats = store.stats().expect("it can be read");
    let (sealed, sums, all) = (stats.sealed_operations.max(1), stats.rollups, stats.bytes);
    let each = stats.sealed_bytes as f64 / sealed as f64;
    if json {
        let line = serde_json::json!({
            "what": "sealed in the store", "operations": sealed, "bytes": each, "sums": sums, "bytes_of_all": all,
        });
        println!("{line}");
    } else {
        println!(
            "sealed in the store: {sealed} operations, {each:.1} bytes each; {sums} sums; {all} bytes in all"
        );
    }
    report(&store, size, now, json);
    for (what, by) in [
        ("user", Column::User),
        ("tag", Column::Tag("team".into())),
        ("key of metadata", Column::Metadata("plan".into())),
    ] {
        groups(&store, what, &by, json);
    }
}

fn report(store: &Arc<SqliteStore>, size: usize, now: DateTime<Utc>, json: bool) {
    let history = History::new(Arc::clone(store) as Arc<dyn Store>);
    for round in ["first", "again"] {
        let (began, cpu) = (Instant::now(), ProcessTime::now());
        let ask = Ask::new(Period::ALL, now);
        history.report(&ask).expect("it can be read");
        said(&format!("a report, {round}"), size as u64, (began, cpu), json);
    }
}

/// A group by a column over everything, rows and blocks, as it comes from the disk.
fn groups(store: &Arc<SqliteStore>, what: &str, by: &Column, json: bool) {
    let columns = [by.clone(), Column::Duration, Column::InputTokens];
    let (began, cpu) = (Instant::now(), ProcessTime::now());
    let mut groups: HashMap<Name, [u64; 3]> = HashMap::new();
    let scanned = store.columns(Table::Operations, &Query::default(), &columns, &mut |block| {
        add_up(block, by, &mut groups);
        ControlFlow::Continue(())
    });
    let shown = scanned.expect("it can be read").shown;
    said(&format!("{} groups by {what}", groups.len()), shown, (began, cpu), json);
}

fn said(what: &str, operations: u64, (began, cpu): (Instant, ProcessTime), json: bool) {
    let (wall, cpu) = (began.elapsed().as_secs_f64(), cpu.elapsed().as_secs_f64());
    if json {
        let line = serde_json::json!({"what": what, "operations": operations, "seconds": wall, "cpu_seconds": cpu});
        println!("{line}");
    } else {
        let each = operations as f64 / cpu / 1e6;
        println!(
            "{what} of {operations} operations: {wall:.3} s, {cpu:.3} s of CPU ({each:.1} M operations/s of CPU)"
        );
    }
}
