//! Several processes at one store, and processes that are killed.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use chrono::{DateTime, Utc};
use taximeter_models::OperationId;
use taximeter_persistence::store::{
    Durability, Keep, Level, Query, RollupQuery, SqliteStore, Store,
};

use crate::maintaining::{at, operations};
use crate::records::{all, scanned};
use crate::summing::summing;

/// Starts this program again, as a process that appends batch by batch and says each that was taken. The batches of every
/// other one are sealed as they come.
fn appending(folder: &Path, from: i64, batches: i64, durability: &str, with: &[&str]) -> Child {
    let exe = std::env::current_exe().unwrap();
    let mut command = match with {
        [] => Command::new(exe),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(exe);
            command
        }
    };
    command
        .args(["--exact", "processes::the_other_process", "--nocapture", "--test-threads=1"])
        .env("TAXIMETER_CHILD", format!("{from} {batches} {durability}"))
        .env("TAXIMETER_FOLDER", folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Between the first operations of two processes that are killed one after the other.
const STEP: i64 = 1_010_000;

/// So many operations in a batch of the other process.
const BATCH: i64 = 20;

#[test]
fn the_other_process() {
    let Ok(order) = std::env::var("TAXIMETER_CHILD") else { return };
    let folder = std::env::var("TAXIMETER_FOLDER").unwrap();
    let words: Vec<&str> = order.split(' ').collect();
    let (from, batches): (i64, i64) = (words[0].parse().unwrap(), words[1].parse().unwrap());
    let durability = if words[2] == "fsync" { Durability::Fsync } else { Durability::Os };
    let wait = Duration::from_secs(60);
    let at_once = if from / 10_000 % 2 == 1 { 20 } else { 1_000 };
    let keep = Keep::default().block_operations(200).seal_at_once(at_once);
    let open = SqliteStore::at(folder).durability(durability).wait(wait).keep(keep);
    let store = open.summarize(summing()).open().unwrap();
    for batch in 0..batches {
        let first = from + batch * BATCH;
        store.append(&operations(first, BATCH)).unwrap();
        // One write, so that what is read of it is whole.
        std::io::stdout().write_all(format!("\nacknowledged {first}\n").as_bytes()).unwrap();
        if batch % 8 == 7 {
            store.maintain_beside(at(1_000_000)).unwrap();
        }
    }
}

/// The batches that a process said were taken.
fn acknowledged(child: &mut Child) -> Vec<i64> {
    let output = BufReader::new(child.stdout.take().unwrap());
    let lines = output.lines().map_while(Result::ok);
    lines.filter_map(|line| line.strip_prefix("acknowledged ")?.parse().ok()).collect()
}

/// How many operations there are by the sums of days: those of minutes are removed when they are old.
pub(crate) fn summed(store: &SqliteStore) -> u64 {
    let mut query = RollupQuery::new("all");
    query.resolution = Level::Day;
    store.rollups(&query).unwrap().first().map_or(0, |sum| sum.window.numbers.count)
}

pub(crate) fn ids(first: i64) -> impl Iterator<Item = OperationId> {
    operations(first, BATCH).into_iter().map(|record| record.id)
}

#[test]
fn two_processes_make_one_store_and_both_write_it() {
    let room = tempfile::tempdir().unwrap();
    let mut children: Vec<Child> =
        (0..3).map(|number| appending(room.path(), number * 10_000, 20, "os", &[])).collect();
    let said: Vec<i64> = children.iter_mut().flat_map(acknowledged).collect();
    assert_eq!(said.len(), 60);
    assert!(children.iter_mut().all(|child| child.wait().unwrap().success()));
    let store = SqliteStore::at(room.path()).summarize(summing()).open().unwrap();
    let there: HashSet<OperationId> = all(&store).iter().map(|record| record.id).collect();
    assert_eq!(there.len(), 1_200);
    assert!(said.into_iter().flat_map(ids).all(|id| there.contains(&id)));
    assert_eq!(summed(&store), 1_200);
    assert!(store.check().unwrap().is_sound());
}

#[test]
fn what_was_acknowledged_is_there_when_the_process_is_killed() {
    let kills: u32 = std::env::var("TAXIMETER_KILLS").ok().map_or(12, |text| text.parse().unwrap());
    let room = tempfile::tempdir().unwrap();
    let (mut said, mut from) = (Vec::new(), 0);
    for kill in 0..kills {
        let mut child = appending(room.path(), from, 1_000_000, "os", &[]);
        std::thread::sleep(Duration::from_micros(40_000 + u64::from(kill) * 7_919 % 60_000));
        child.kill().unwrap();
        said.extend(acknowledged(&mut child));
        child.wait().unwrap();
        if !room.path().join("taximeter.db").exists() {
            from += STEP;
            continue;
        }
        let store = SqliteStore::at(room.path()).summarize(summing()).open().unwrap();
        let stats = store.stats().unwrap();
        let operations = stats.hot_operations + stats.sealed_operations;
        assert_eq!(operations % 20, 0, "batches whole or not at all");
        assert_eq!(summed(&store), operations);
        // Those of the last process, and now and then all: reading all at each kill would take as long as kills do.
        let whole = kill % 100 == 11 || kill + 1 == kills;
        let since = if whole { DateTime::<Utc>::MIN_UTC } else { at(from) };
        let records = scanned(&store, &Query::default().since(since));
        let there: HashSet<OperationId> = records.iter().map(|record| record.id).collect();
        assert_eq!(there.len(), records.len(), "each once");
        let last = said.iter().copied().filter(|first| whole || *first >= from);
        assert!(last.flat_map(ids).all(|id| there.contains(&id)));
        from += STEP;
    }
    println!("{kills} kills, {} batches were acknowledged", said.len());
    let store = SqliteStore::at(room.path()).summarize(summing()).open().unwrap();
    let checked = store.check().unwrap();
    assert!(checked.is_sound(), "{checked:?}");
    // What an interrupted making leaves beside is hidden, and little.
    let names = std::fs::read_dir(room.path()).unwrap();
    let left = names
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains(".tmp"));
    assert!(left.count() <= kills as usize * 3);
}

#[test]
fn fsync_acknowledges_when_the_disk_has_it() {
    let room = tempfile::tempdir().unwrap();
    let trace = room.path().join("trace");
    let arguments = [
        "strace",
        "-f",
        "-o",
        trace.to_str().unwrap(),
        "-e",
        "trace=pwrite64,write,fdatasync,fsync",
    ];
    if !Command::new("strace").arg("-V").output().is_ok_and(|output| output.status.success()) {
        println!("skipped: there is no strace");
        return;
    }
    let folder = room.path().join("store");
    let mut child = appending(&folder, 0, 5, "fsync", &arguments);
    let said = acknowledged(&mut child);
    if !child.wait().unwrap().success() || said.is_empty() {
        println!("skipped: strace may not trace here");
        return;
    }
    assert_eq!(said.len(), 5);
    let calls = std::fs::read_to_string(&trace).unwrap();
    let (mut unsynced, mut synced, mut acknowledged) = (0, 0, 0);
    for call in calls.lines() {
        if call.contains("pwrite64(") {
            unsynced += 1;
        } else if (call.contains("fdatasync(") || call.contains("fsync(")) && call.ends_with("= 0")
        {
            (unsynced, synced) = (0, synced + 1);
        } else if call.contains("write(1") && call.contains("acknowledged") {
            assert_eq!(unsynced, 0, "a batch was acknowledged before it was on the disk");
            assert!(synced > 0);
            (synced, acknowledged) = (0, acknowledged + 1);
        }
    }
    assert_eq!(acknowledged, 5, "{calls}");
}
