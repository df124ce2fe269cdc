//! The program's own code calls the collector from where the collector calls it: nothing waits for itself, nothing is
//! lost, and nothing goes on without an end.

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use taximeter::{
    Batch, Clock, Collector, FlushError, Handle, IdSource, Limits, MemorySink, Metadata,
    OperationId, OperationRecord, Outcome, Sink, SinkError, SystemIds, ToolStatus, WhenFull,
    current,
};

use super::{SOON, watched};

/// Uses the collector in every way; six operations, which are stored with what comes next.
fn use_it(collector: &Collector) {
    collector.operation("inner").start().succeed();
    collector.operation("inner").start().fail("inner");
    drop(collector.operation("inner").start());
    let id = collector.start_operation("inner", Metadata::new());
    collector.handle(id).unwrap().warn("by id");
    collector.end_by_id(id, true).unwrap();
    collector.scope("inner", |op| op.add_component("part", Duration::from_nanos(1)));
    let op = collector.operation("inner").start();
    op.tool("search").took(Duration::from_nanos(1), ToolStatus::Success);
    op.succeed();
    assert!(collector.counts().adds_up());
}

/// So many operations `use_it` ends.
const INNER: u64 = 6;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Prepare,
    Accept,
    AcceptPacked,
    Flush,
}

/// A sink that uses its collector in one place.
struct Recursive {
    place: Place,
    collector: Mutex<Option<Collector>>,
    called: AtomicU64,
    refused: AtomicU64,
    memory: MemorySink,
}

impl Recursive {
    fn pass(&self, place: Place) {
        if self.place != place {
            return;
        }
        let Some(collector) = self.collector.lock().unwrap().clone() else { return };
        self.called.fetch_add(1, Ordering::SeqCst);
        use_it(&collector);
        match collector.flush(SOON) {
            Err(FlushError::FromSink) => _ = self.refused.fetch_add(1, Ordering::SeqCst),
            flushed => flushed.unwrap(),
        }
    }
}

impl Sink for Recursive {
    fn prepare(&self, _record: &mut OperationRecord) {
        self.pass(Place::Prepare);
    }

    fn accept(&self, batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        self.pass(Place::Accept);
        self.memory.accept(batch)
    }

    fn accept_packed(&self, batch: &Batch<'_>) -> Result<(), SinkError> {
        self.pass(Place::AcceptPacked);
        self.accept(batch.records().collect())
    }

    fn flush(&self) -> Result<(), SinkError> {
        self.pass(Place::Flush);
        Ok(())
    }
}

#[test]
fn a_sink_that_records_and_flushes() {
    for place in [Place::Prepare, Place::Accept, Place::AcceptPacked, Place::Flush] {
        watched(move || {
            let sink = Arc::new(Recursive {
                place,
                collector: Mutex::default(),
                called: AtomicU64::new(0),
                refused: AtomicU64::new(0),
                memory: MemorySink::default(),
            });
            let mut limits = Limits::default();
            // The worker looks when it is told to, so that the calls can be counted.
            limits.interval = Duration::from_hours(1);
            let builder = Collector::builder().sink(Arc::clone(&sink)).limits(limits);
            let collector = builder.build().unwrap();
            *sink.collector.lock().unwrap() = Some(collector.clone());
            for _ in 0..50 {
                assert!(collector.operation("outer").start().finish().is_some());
                collector.flush(SOON).unwrap();
            }
            let called = sink.called.load(Ordering::SeqCst);
            // For each flush one batch of the outer operation, and one of what came before the worker was done.
            assert!((50..=150).contains(&called), "{place:?}: {called} calls");
            let refused = sink.refused.load(Ordering::SeqCst);
            assert_eq!(refused, if place == Place::Prepare { 0 } else { called });
            *sink.collector.lock().unwrap() = None;
            collector.flush(SOON).unwrap();
            let counts = collector.counts();
            assert!(counts.adds_up(), "{counts:?}");
            assert_eq!(counts.stored, 50 + called * INNER, "{place:?}");
            assert_eq!((counts.queued, counts.open, counts.internal_panics), (0, 0, 0));
            assert_eq!(sink.memory.records().len() as u64, counts.stored);
            collector.shutdown(SOON).unwrap();
        });
    }
}

/// A sink that makes three of each: without bounds this has no end.
struct Amplifies(Mutex<Option<Collector>>);

impl Sink for Amplifies {
    fn accept(&self, batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        let Some(collector) = self.0.lock().unwrap().clone() else { return Ok(()) };
        for _ in 0..3 * batch.len() {
            collector.operation("again").start().succeed();
        }
        Ok(())
    }
}

#[test]
fn a_sink_that_records_more_than_it_takes_fills_the_queue_and_no_more() {
    let policies = [
        WhenFull::DropNewest,
        WhenFull::DropOldest,
        WhenFull::Sample { one_in: 2 },
        // A worker that waited for itself would be at it for hours.
        WhenFull::Block { timeout: Duration::from_hours(1) },
    ];
    for when_full in policies {
        watched(move || {
            let mut limits = Limits::default();
            (limits.queued_records, limits.when_full) = (1_000, when_full);
            let sink = Arc::new(Amplifies(Mutex::default()));
            let builder = Collector::builder().sink(Arc::clone(&sink)).limits(limits);
            let collector = builder.build().unwrap();
            *sink.0.lock().unwrap() = Some(collector.clone());
            collector.operation("first").start().succeed();
            for _ in 0..40 {
                collector.flush(SOON).unwrap();
                let counts = collector.counts();
                assert!(counts.adds_up(), "{counts:?}");
                // Those in the batch that the sink is at count as queued too.
                assert!(counts.queued <= 2 * 1_000, "{when_full:?}: {counts:?}");
            }
            assert!(collector.counts().dropped_total() > 0, "{:?}", collector.counts());
            *sink.0.lock().unwrap() = None;
            collector.shutdown(SOON).unwrap();
            let counts = collector.counts();
            assert!(counts.adds_up() && counts.queued == 0, "{counts:?}");
        });
    }
}

/// What listens to the events of a program, as a subscriber of `tracing` does.
type Listener = Box<dyn Fn(&str) + Send + Sync>;

/// An error whose text is an event, to which somebody listens.
struct Traced(Listener);

impl fmt::Debug for Traced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Traced")
    }
}

impl fmt::Display for Traced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)("asked for its text");
        f.write_str("traced")
    }
}

impl Error for Traced {}

/// Records an error everywhere into one operation, the current one; gives the record.
fn fail_in_every_way(collector: &Collector, error: impl Fn(&Handle) -> Traced) -> OperationRecord {
    let op = collector.operation("outer").start();
    let entered = op.enter();
    let make = || error(&op);
    op.error(&make());
    op.tool("search").start().fail(&make());
    assert!(op.tool("search").run(|| Err::<(), _>(make())).is_err());
    op.llm_call("p", "m").start().fail(&make());
    let last = make();
    drop(entered);
    op.finish_with(Some(taximeter::ErrorRecord::of(&last))).unwrap()
}

#[test]
fn an_error_whose_text_records_into_the_operation_that_it_is_recorded_into() {
    watched(|| {
        let collector = Collector::builder().build().unwrap();
        let record = fail_in_every_way(&collector, |op| {
            let op = op.clone();
            Traced(Box::new(move |event| {
                op.warn(event);
                op.add_component("said", Duration::from_nanos(1));
                op.set("event", event);
                op.error("within its text");
                op.tool("log").took(Duration::from_nanos(1), ToolStatus::Success);
            }))
        });
        // The text is asked for a few times for each of five errors, and each time all of it is recorded.
        let asked = record.warning_count();
        assert!((5..=20).contains(&asked), "{asked}");
        assert_eq!(record.errors.iter().filter(|error| error.message == "traced").count(), 2);
        assert_eq!(record.error_count(), 2 + asked);
        assert_eq!(record.components.len() as u64, asked);
        assert_eq!(record.tool_calls.len() as u64, 2 + asked);
        assert_eq!((record.outcome, collector.counts().late_parts), (Outcome::Failure, 0));
        assert!(collector.counts().adds_up());
    });
}

#[test]
fn an_error_whose_text_is_an_event_that_is_metered_and_flushed() {
    watched(|| {
        let sink = MemorySink::default();
        let collector = Collector::builder().sink(sink.clone()).build().unwrap();
        let record = fail_in_every_way(&collector, |_| {
            let collector = collector.clone();
            Traced(Box::new(move |event| {
                current().warn(event);
                use_it(&collector);
                collector.flush(SOON).unwrap();
            }))
        });
        collector.flush(SOON).unwrap();
        let counts = collector.counts();
        assert!(counts.adds_up(), "{counts:?}");
        let asked = (counts.stored - 1) / INNER;
        assert_eq!((counts.stored, counts.open), (1 + asked * INNER, 0), "{counts:?}");
        assert!((5..=20).contains(&asked), "{asked}");
        // The last error was made after the operation was left.
        assert!((4..asked).contains(&record.warning_count()), "{}", record.warning_count());
        // What begins in an event belongs to the operation in which it arose.
        let children = sink.records().iter().filter(|r| r.parent == Some(record.id)).count();
        assert_eq!(children as u64, record.warning_count() * INNER);
    });
}

thread_local! {
    static WITHIN: Cell<bool> = const { Cell::new(false) };
}

/// Does something, but not within itself: a clock that records would ask itself for the time without an end.
fn once(work: impl FnOnce()) {
    if !WITHIN.replace(true) {
        work();
        WITHIN.set(false);
    }
}

/// A clock, and a source of ids, that use the collector whenever they are asked.
#[derive(Debug, Default)]
struct Curious {
    collector: Mutex<Option<Collector>>,
    asked: AtomicU64,
}

impl Curious {
    fn look(&self) {
        once(|| {
            let Some(collector) = self.collector.lock().unwrap().clone() else { return };
            self.asked.fetch_add(1, Ordering::SeqCst);
            use_it(&collector);
            current().warn("asked");
        });
    }
}

impl Clock for Curious {
    fn monotonic(&self) -> Duration {
        self.look();
        Duration::from_secs(1)
    }

    fn wall(&self) -> DateTime<Utc> {
        self.look();
        DateTime::UNIX_EPOCH
    }
}

impl IdSource for Curious {
    fn next(&self, now: DateTime<Utc>) -> OperationId {
        self.look();
        SystemIds.next(now)
    }
}

#[test]
fn a_clock_and_a_source_of_ids_that_record() {
    watched(|| {
        let (curious, sink) = (Arc::new(Curious::default()), MemorySink::default());
        let builder = Collector::builder().sink(sink.clone()).clock(Arc::clone(&curious) as _);
        let collector = builder.ids(Arc::clone(&curious) as _).build().unwrap();
        *curious.collector.lock().unwrap() = Some(collector.clone());
        collector.scope("outer", |op| {
            op.time("part", || ());
            op.tool("search").start().succeed();
            op.llm_call("p", "m").start().succeed();
        });
        let asked = curious.asked.load(Ordering::SeqCst);
        *curious.collector.lock().unwrap() = None;
        collector.flush(SOON).unwrap();
        let counts = collector.counts();
        // At its start for both times and the id, twice for the part and the call of the tool, three times for that of the
        // LLM, once at the end.
        assert_eq!((asked, counts.stored), (3 + 2 + 2 + 3 + 1, 1 + asked * INNER), "{counts:?}");
        assert!(counts.adds_up() && counts.open == 0, "{counts:?}");
        let records = sink.records();
        let outer = records.iter().find(|record| record.name == "outer").unwrap();
        // Those that were asked while it was entered.
        assert_eq!(outer.warning_count(), 7);
    });
}

/// Asks for an operation that is open by id whenever it is asked for the time.
#[derive(Debug, Default)]
struct AsksById(Mutex<Option<(Collector, OperationId)>>);

impl Clock for AsksById {
    fn monotonic(&self) -> Duration {
        let known = self.0.lock().unwrap().clone();
        if let Some((collector, id)) = known {
            once(|| _ = collector.handle(id));
        }
        Duration::ZERO
    }

    fn wall(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }
}

#[test]
fn a_clock_that_asks_for_an_operation_by_id_during_a_shutdown() {
    watched(|| {
        let clock = Arc::new(AsksById::default());
        let collector = Collector::builder().clock(Arc::clone(&clock) as _).build().unwrap();
        let id = collector.start_operation("open until the end", Metadata::new());
        *clock.0.lock().unwrap() = Some((collector.clone(), id));
        collector.shutdown(SOON).unwrap();
        *clock.0.lock().unwrap() = None;
        assert_eq!((collector.counts().stored, collector.counts().open), (1, 0));
    });
}

/// A key that records when it is read.
struct Key<'a>(&'a Handle, &'a str);

impl AsRef<str> for Key<'_> {
    fn as_ref(&self) -> &str {
        self.0.warn("read");
        self.1
    }
}

#[test]
fn a_key_that_records_when_it_is_read() {
    watched(|| {
        let collector = Collector::builder().build().unwrap();
        let op = collector.operation("op").start();
        op.set(Key(&op, "key"), 1);
        op.tag(Key(&op, "key"), Key(&op, "key"));
        op.set_user(Key(&op, "key"));
        op.set_session(Key(&op, "key"));
        assert_eq!(op.finish().unwrap().warning_count(), 5);
    });
}
