//! What a test cannot do, whose threads are never the main one: collectors end on the main thread, and are alive when
//! it returns. The program starts itself once for each case.

#[path = "../../collector_contexts/scene.rs"]
mod scene;

use std::cell::RefCell;
use std::io::Write;
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use scene::*;
use taximeter::{Collector, Limits, Metadata, Operation, OperationRecord, Sink, SinkError};

const CASE: &str = "TAXIMETER_TEST_CASE";

/// Every case, and how many lines it says at least and at most: the operations that were stored.
const CASES: [(&str, fn(), std::ops::RangeInclusive<usize>); 8] = [
    ("ended here", ended_here, 0..=0),
    ("ended by the first thread-local", ended_by_the_first_thread_local, 1..=1),
    ("ended by the last thread-local", ended_by_the_last_thread_local, 1..=1),
    ("alive, flushed", alive_flushed, 40..=40),
    ("alive, not flushed", alive_not_flushed, 40..=80),
    ("alive, with threads that go on", alive_with_threads_that_go_on, 40..=usize::MAX),
    ("alive, with a sink that hangs", alive_with_a_sink_that_hangs, 0..=0),
    ("left in the middle of a flush", left_in_the_middle_of_a_flush, 0..=0),
];

fn main() {
    if let Ok(wanted) = std::env::var(CASE) {
        let (_, case, _) = CASES.iter().find(|(name, ..)| *name == wanted).unwrap();
        return case();
    }
    for (name, _, lines) in CASES {
        let program = std::env::current_exe().unwrap();
        let said = run_to_its_end(Command::new(program).env(CASE, name));
        let count = said.lines().count();
        assert!(lines.contains(&count), "{name}: {count} lines: {said}");
        let apart: std::collections::BTreeSet<_> = said.lines().collect();
        assert_eq!(apart.len(), count, "{name}: stored twice: {said}");
    }
}

fn ended_here() {
    flush_shut_down_and_drop();
}

/// Ends collectors when the main thread's own data are destroyed, and says so.
struct OnDrop;

impl Drop for OnDrop {
    fn drop(&mut self) {
        flush_shut_down_and_drop();
        println!("done");
    }
}

thread_local! {
    static HELD: RefCell<Option<OnDrop>> = const { RefCell::new(None) };
}

fn ended_by_the_first_thread_local() {
    HELD.set(Some(OnDrop));
    flush_shut_down_and_drop();
}

fn ended_by_the_last_thread_local() {
    flush_shut_down_and_drop();
    HELD.set(Some(OnDrop));
}

/// Says the id of each operation that it is given.
struct Lines;

impl Sink for Lines {
    fn accept(&self, batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        // Line by line: the process may end in the middle of a batch, but not of a line.
        batch.iter().for_each(|record| writeln!(std::io::stdout(), "{}", record.id).unwrap());
        Ok(())
    }
}

static ALIVE: LazyLock<Collector> =
    LazyLock::new(|| Collector::builder().sink(Lines).build().unwrap());

fn alive_flushed() {
    static OPEN: LazyLock<Operation> = LazyLock::new(|| ALIVE.operation("open").start());
    record(&ALIVE, 40);
    OPEN.warn("it is never ended");
    let _ = ALIVE.start_operation("open by id", Metadata::new());
    within(TIMEOUT, || ALIVE.flush(TIMEOUT)).unwrap();
    let counts = ALIVE.counts();
    assert!(counts.adds_up() && (counts.stored, counts.open) == (40, 2), "{counts:?}");
}

fn alive_not_flushed() {
    record(&ALIVE, 40);
    within(TIMEOUT, || ALIVE.flush(TIMEOUT)).unwrap();
    record(&ALIVE, 40);
    assert!(ALIVE.counts().adds_up());
}

fn alive_with_threads_that_go_on() {
    record(&ALIVE, 40);
    for _ in 0..4 {
        std::thread::spawn(|| {
            loop {
                record(&ALIVE, 4);
                within(TIMEOUT, || ALIVE.flush(TIMEOUT)).unwrap();
            }
        });
    }
    within(TIMEOUT, || ALIVE.flush(TIMEOUT)).unwrap();
    assert!(ALIVE.counts().adds_up());
}

/// A sink from which nothing ever comes back.
struct Hangs;

impl Sink for Hangs {
    fn accept(&self, _batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        loop {
            std::thread::park();
        }
    }
}

static HANGING: LazyLock<Collector> = LazyLock::new(|| {
    let mut limits = Limits::default();
    limits.drop_timeout = Duration::from_millis(100);
    Collector::builder().sink(Hangs).limits(limits).build().unwrap()
});

fn alive_with_a_sink_that_hangs() {
    const SHORT: Duration = Duration::from_millis(100);
    record(&HANGING, 40);
    assert!(within(SHORT, || HANGING.flush(SHORT)).is_err());
    assert!(within(SHORT, || HANGING.shutdown(SHORT)).is_err());
    let counts = HANGING.counts();
    assert!(counts.adds_up() && (counts.stored, counts.queued) == (0, 40), "{counts:?}");
}

fn left_in_the_middle_of_a_flush() {
    record(&HANGING, 40);
    for _ in 0..4 {
        std::thread::spawn(|| HANGING.flush(Duration::MAX));
    }
    std::thread::spawn(|| std::process::exit(0)).join().unwrap();
}
