//! Models of what threads do to one another: each is run in thousands of orders of events, drawn by lot or by the PCT
//! algorithm (Burckhardt et al., "A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs", ASPLOS 2010).
//!
//! Time stands still in them: what waits is woken or hangs, and what hangs is found.

use std::sync::Arc;
use std::time::Duration;

use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::thread;
use taximeter_models::{OperationRecord, ToolStatus};

use crate::place::close_aged;
use crate::{
    Collector, Counts, Limits, LossReason, ManualClock, MemorySink, Sink, SinkError, WhenFull,
};

const SOON: Duration = Duration::from_secs(1);

/// Counts what it takes.
#[derive(Debug, Clone, Default)]
struct Counting(Arc<AtomicU64>);

impl Counting {
    fn taken(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Sink for Counting {
    fn accept(&self, batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        self.0.fetch_add(batch.len() as u64, Ordering::SeqCst);
        Ok(())
    }
}

fn collector(limits: Limits) -> (Collector, Counting) {
    let sink = Counting::default();
    let built = Collector::builder().sink(sink.clone()).limits(limits).build();
    (built.expect("a model has threads"), sink)
}

/// One whose sink keeps the records.
fn collecting() -> (Collector, MemorySink) {
    let sink = MemorySink::default();
    let collector = Collector::builder().sink(sink.clone()).build().expect("a model has threads");
    (collector, sink)
}

fn check(model: impl Fn() + Send + Sync + Clone + 'static) {
    shuttle::check_random(model.clone(), 2_000);
    shuttle::check_pct(model, 2_000, 3);
}

fn lost(counts: &Counts, reason: LossReason) -> u64 {
    counts.dropped.get(&reason).copied().unwrap_or_default()
}

#[test]
fn what_ended_before_a_flush_is_with_the_sink_after_it() {
    check(|| {
        let (collector, sink) = collector(Limits::default());
        let other = collector.clone();
        let recording = thread::spawn(move || {
            other.operation("a").start().succeed();
            other.flush(SOON).expect("the worker runs");
            assert!(other.counts().stored >= 1);
        });
        collector.operation("b").start().succeed();
        collector.flush(SOON).expect("the worker runs");
        assert!(sink.taken() >= 1);
        recording.join().expect("it does not panic");
        assert_eq!((sink.taken(), collector.counts().stored), (2, 2));
    });
}

#[test]
fn operations_that_end_while_the_collector_is_shut_down_are_stored_or_counted() {
    check(|| {
        let (collector, sink) = collector(Limits::default());
        let others: Vec<_> = (0..2)
            .map(|_| {
                let other = collector.clone();
                thread::spawn(move || {
                    let op = other.operation("op").start();
                    op.add_component("c", SOON);
                    op.succeed();
                })
            })
            .collect();
        collector.shutdown(SOON).expect("the worker ends");
        assert!(collector.counts().adds_up());
        for other in others {
            other.join().expect("it does not panic");
        }
        let counts = collector.counts();
        assert_eq!((counts.offered, counts.open, counts.queued), (2, 0, 0));
        assert_eq!(sink.taken() + lost(&counts, LossReason::AfterShutdown), 2);
    });
}

#[test]
fn of_all_who_end_an_operation_one_does() {
    check(|| {
        let (collector, sink) = collector(Limits::default());
        let op = collector.operation("op").start();
        let handle = op.handle();
        let by_id = collector.operation("by id").start_by_id();
        let ending: Vec<_> = [true, false]
            .map(|success| {
                let other = collector.clone();
                thread::spawn(move || u64::from(other.end_by_id(by_id, success).is_ok()))
            })
            .into();
        let late = thread::spawn(move || {
            handle.warn("as it ends");
            drop(handle);
        });
        op.succeed();
        let ended: u64 = ending.into_iter().map(|end| end.join().expect("no panic")).sum();
        late.join().expect("it does not panic");
        collector.shutdown(SOON).expect("the worker ends");
        let counts = collector.counts();
        assert_eq!((ended, sink.taken(), counts.offered), (1, 2, 2));
        assert!(counts.adds_up() && counts.open == 0, "{counts:?}");
    });
}

#[test]
fn an_operation_that_is_too_old_when_it_ends_ends_once() {
    for shares in [false, true] {
        check(move || {
            let sink = Counting::default();
            let clock = Arc::new(ManualClock::at("2026-11-23T12:00:00Z".parse().expect("a time")));
            let builder = Collector::builder().sink(sink.clone()).clock(Arc::clone(&clock) as _);
            let collector = builder.build().expect("a model has threads");
            let op = collector.operation("op").start();
            let other = shares.then(|| op.handle());
            clock.advance(Limits::default().open_age + SOON);
            let shared = Arc::clone(&collector.inner.as_ref().expect("it is on").shared);
            let now = shared.time.monotonic(&shared.intake);
            let looking = thread::spawn(move || close_aged(&shared.places, |_| now));
            op.add_component("c", SOON);
            drop(other);
            op.succeed();
            // Its place, if it was given back, is another's meanwhile, which is not old.
            collector.operation("next").start().succeed();
            looking.join().expect("it does not panic");
            collector.shutdown(SOON).expect("the worker ends");
            let counts = collector.counts();
            assert!(counts.adds_up() && counts.open == 0, "{counts:?}");
            assert_eq!((counts.offered, sink.taken()), (2, 2));
            // What the worker closed first is told by both, and by nothing else.
            assert!(counts.aged == counts.abandoned && counts.aged <= 1, "{counts:?}");
        });
    }
}

#[test]
fn a_place_that_is_used_again_is_nobody_elses() {
    check(|| {
        let (collector, sink) = collector(Limits::default());
        let first = collector.operation("first").start();
        let kept = first.handle();
        first.succeed();
        let other = collector.clone();
        let second = thread::spawn(move || {
            let op = other.operation("second").start();
            let id = op.id();
            op.finish().map(|record| (Some(record.id) == id, record.warnings.len()))
        });
        // To whoever ended: it must not reach the operation that took its place.
        kept.warn("too late");
        drop(kept);
        assert_eq!(second.join().expect("it does not panic"), Some((true, 0)));
        collector.shutdown(SOON).expect("the worker ends");
        assert_eq!((sink.taken(), collector.counts().late_parts), (2, 1));
    });
}

#[test]
fn a_part_that_meets_the_end_of_its_operation_is_in_the_record_or_counted_as_late() {
    check(|| {
        let (collector, sink) = collecting();
        let op = collector.operation("op").start();
        let handle = op.handle();
        // Another thread ends what this one writes.
        let ending = thread::spawn(move || op.succeed());
        handle.add_component("c", SOON);
        handle.tool("t").with("k", 1).took(SOON, ToolStatus::Success);
        drop(handle);
        ending.join().expect("it does not panic");
        collector.shutdown(SOON).expect("the worker ends");
        let parts = |record: &OperationRecord| record.components.len() + record.tool_calls.len();
        let kept: usize = sink.records().iter().map(parts).sum();
        let counts = collector.counts();
        assert_eq!((counts.stored, kept as u64 + counts.late_parts), (1, 2), "{counts:?}");
    });
}

#[test]
fn a_call_that_runs_while_others_record_is_in_the_record_once_and_whole() {
    check(|| {
        let (collector, sink) = collecting();
        let op = collector.operation("op").start();
        let handle = op.handle();
        let other = thread::spawn(move || handle.warn("meanwhile"));
        let first = op.tool("first").with("k", 1).start();
        op.add_component("c", SOON);
        let second = op.tool("second").with("k", 2).start().owned();
        // It ends on another thread than the one that writes.
        let second = thread::spawn(move || second.succeed());
        first.succeed();
        other.join().expect("it does not panic");
        second.join().expect("it does not panic");
        op.succeed();
        collector.shutdown(SOON).expect("the worker ends");
        let [record] = &*sink.records() else { panic!("one record") };
        let mut calls: Vec<_> =
            record.tool_calls.iter().map(|call| (&*call.name, &call.metadata["k"])).collect();
        calls.sort_by_key(|(name, _)| *name);
        assert_eq!(calls, [("first", &1.into()), ("second", &2.into())]);
        assert_eq!((record.components.len(), record.warnings.len()), (1, 1));
        assert_eq!(collector.counts().late_parts, 0);
    });
}

#[test]
fn a_call_that_runs_when_its_operation_ends_is_in_the_record_or_counted_as_late() {
    check(|| {
        let (collector, sink) = collecting();
        let op = collector.operation("op").start();
        let call = op.tool("t").with("k", 1).start().owned();
        let ending = thread::spawn(move || op.succeed());
        call.succeed();
        ending.join().expect("it does not panic");
        collector.shutdown(SOON).expect("the worker ends");
        let kept: usize = sink.records().iter().map(|record| record.tool_calls.len()).sum();
        let counts = collector.counts();
        assert_eq!((counts.stored, kept as u64 + counts.late_parts), (1, 1), "{counts:?}");
    });
}

#[test]
fn parts_of_all_threads_are_in_the_record_and_each_threads_in_their_order() {
    check(|| {
        let (collector, sink) = collecting();
        let op = collector.operation("op").start();
        let handle = op.handle();
        let other = thread::spawn(move || {
            handle.set("other", 1);
            handle.set("other", 2);
        });
        op.set("own", 1);
        op.set("own", 2);
        op.set("own", 3);
        other.join().expect("it does not panic");
        op.set("other", 3);
        op.succeed();
        collector.shutdown(SOON).expect("the worker ends");
        let [record] = &*sink.records() else { panic!("one record") };
        assert_eq!((&record.metadata["own"], &record.metadata["other"]), (&3.into(), &3.into()));
        assert!(collector.counts().late_parts == 0);
    });
}

#[test]
fn a_full_queue_counts_each_loss_whatever_its_policy() {
    for when_full in [WhenFull::DropNewest, WhenFull::DropOldest, WhenFull::Sample { one_in: 2 }] {
        check(move || {
            let mut limits = Limits::default();
            (limits.queued_records, limits.when_full) = (2, when_full);
            let (collector, sink) = collector(limits);
            let others: Vec<_> = (0..2)
                .map(|_| {
                    let other = collector.clone();
                    thread::spawn(move || {
                        for _ in 0..3 {
                            other.operation("op").start().succeed();
                        }
                    })
                })
                .collect();
            let between = collector.counts();
            assert!(between.adds_up(), "{between:?}");
            for other in others {
                other.join().expect("it does not panic");
            }
            collector.shutdown(SOON).expect("the worker ends");
            let counts = collector.counts();
            assert!(counts.adds_up(), "{counts:?}");
            assert_eq!((counts.offered, sink.taken() + counts.dropped_total()), (6, 6));
        });
    }
}
