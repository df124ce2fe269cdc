//! A forked child of a metered process: it neither hangs, nor hands anything over twice.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use taximeter::{Collector, FlushError, LossReason, OperationRecord, Sink, SinkError};

const FILE: &str = "TAXIMETER_TEST_FORK_FILE";

/// Appends the id of each operation to a file.
struct Ids(std::fs::File);

impl Ids {
    fn at(path: &Path) -> Self {
        Self(OpenOptions::new().create(true).append(true).open(path).unwrap())
    }
}

impl Sink for Ids {
    fn accept(&self, batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        let mut lines: Vec<_> = batch.iter().map(|record| record.id.to_string()).collect();
        lines.push(String::new());
        (&self.0).write_all(lines.join("\n").as_bytes()).unwrap();
        Ok(())
    }
}

/// The scenario, in a process of its own: the tests' own process has too many threads to be forked.
#[test]
fn scenario() {
    let Ok(path) = std::env::var(FILE) else { return };
    let collector = Collector::builder().sink(Ids::at(Path::new(&path))).build().unwrap();
    let (stop, recorded) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    collector.operation("parent").with("key", "value").start().succeed();
                    recorded.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_micros(50));
                }
            });
        }
        for _ in 0..20 {
            match fork::fork().unwrap() {
                fork::Fork::Child => in_the_child(&collector),
                fork::Fork::Parent(child) => wait_for(child),
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    collector.shutdown(Duration::from_secs(10)).unwrap();
    let (counts, recorded) = (collector.counts(), recorded.into_inner());
    assert_eq!((counts.stored, counts.dropped_total()), (recorded, 0), "{counts:?}");
    println!("recorded {recorded}.");
}

fn in_the_child(collector: &Collector) -> ! {
    for _ in 0..10 {
        collector.operation("child").start().succeed();
    }
    let flushed = collector.flush(Duration::from_secs(1));
    let before = collector.counts();
    collector.operation("after").start().succeed();
    let after = collector.counts();
    let shut = collector.shutdown(Duration::from_secs(1));
    let good = matches!((flushed, shut), (Err(FlushError::Forked), Err(FlushError::Forked)))
        && before.dropped.get(&LossReason::Fork) >= Some(&10)
        && after.dropped[&LossReason::Fork] == before.dropped[&LossReason::Fork] + 1;
    // No destructor of the parent's threads shall run here.
    std::process::exit(if good { 0 } else { 7 })
}

fn wait_for(child: i32) {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match fork::waitpid_nohang(child).unwrap() {
            Some(status) => return assert_eq!(status, 0, "the child did not end well"),
            None => assert!(Instant::now() < until, "the child hangs"),
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_forked_child_neither_hangs_nor_hands_anything_over_twice() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ids");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "forks::scenario", "--nocapture"]).env(FILE, &path);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let mut times = BTreeMap::<String, u32>::new();
    for id in std::fs::read_to_string(&path).unwrap().lines() {
        *times.entry(id.to_owned()).or_default() += 1;
    }
    assert!(times.values().all(|count| *count == 1), "some operation was handed over twice");
    assert!(said.contains(&format!("recorded {}.", times.len())), "{said}: {}", times.len());
}
