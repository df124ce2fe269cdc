//! What a collector may hold, and what becomes of what is above that.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use taximeter::{
    Clock, Collector, Counts, Limits, LossReason, ManualClock, MemorySink, Metadata, Meter,
    OVERFLOW, OperationRecord, Outcome, Sink, SinkError, TokenUsage, ToolStatus, WhenFull,
};

const SOON: Duration = Duration::from_secs(20);

/// A sink that takes nothing until its gate is opened, and then remembers the names.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>, MemorySink);

impl Gate {
    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn names(&self) -> Vec<String> {
        self.1.records().iter().map(|record| record.name.to_string()).collect()
    }
}

impl Sink for Gate {
    fn accept(&self, batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        let open = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(open, |open| !*open).unwrap());
        self.1.accept(batch)
    }
}

/// A thousand operations into a queue of so many, whose sink takes none meanwhile.
fn pushed(when_full: WhenFull) -> (Gate, Counts) {
    let gate = Gate::default();
    let mut limits = Limits::default();
    (limits.queued_records, limits.when_full) = (100, when_full);
    let collector = Collector::builder().sink(gate.clone()).limits(limits).build().unwrap();
    for number in 0..1_000 {
        collector.operation(format!("op-{number}")).start().succeed();
        assert!(collector.counts().adds_up());
    }
    gate.open();
    collector.flush(SOON).unwrap();
    let counts = collector.counts();
    assert!(counts.adds_up() && counts.queued == 0, "{counts:?}");
    assert_eq!(gate.1.records().len() as u64, counts.stored);
    (gate, counts)
}

#[test]
fn the_newest_are_dropped_by_default() {
    let (gate, counts) = pushed(WhenFull::DropNewest);
    assert!(gate.names().contains(&"op-0".to_owned()), "{:?}", gate.names());
    // What the sink had in its hands besides, and nothing more, found room.
    assert!(counts.stored <= 300, "{counts:?}");
    assert_eq!(counts.dropped.keys().collect::<Vec<_>>(), [&LossReason::QueueFull]);
}

#[test]
fn the_oldest_are_dropped_where_that_is_asked() {
    let (gate, counts) = pushed(WhenFull::DropOldest);
    assert!(gate.names().contains(&"op-999".to_owned()), "{:?}", gate.names());
    assert!(counts.dropped[&LossReason::QueueFull] > 500, "{counts:?}");
}

#[test]
fn a_sample_is_kept_where_that_is_asked() {
    let (_, counts) = pushed(WhenFull::Sample { one_in: 10 });
    assert!(counts.dropped[&LossReason::Sampled] > 100, "{counts:?}");
    assert!(counts.stored >= 50, "{counts:?}");
}

#[test]
fn the_program_waits_for_room_where_that_is_asked() {
    let gate = Gate::default();
    let mut limits = Limits::default();
    (limits.queued_records, limits.when_full) = (10, WhenFull::Block { timeout: SOON });
    let collector = Collector::builder().sink(gate.clone()).limits(limits).build().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| (0..500).for_each(|_| collector.operation("op").start().succeed()));
        std::thread::sleep(Duration::from_millis(30));
        gate.open();
    });
    collector.flush(SOON).unwrap();
    let counts = collector.counts();
    assert_eq!((counts.stored, counts.dropped_total()), (500, 0), "{counts:?}");
}

#[test]
fn waiting_for_room_has_an_end_and_the_sink_never_waits_for_itself() {
    let gate = Gate::default();
    let mut limits = Limits::default();
    limits.queued_records = 1;
    limits.when_full = WhenFull::Block { timeout: Duration::from_millis(5) };
    let collector = Collector::builder().sink(gate.clone()).limits(limits).build().unwrap();
    (0..20).for_each(|_| collector.operation("op").start().succeed());
    assert!(collector.counts().dropped[&LossReason::QueueFull] >= 18, "{:?}", collector.counts());
    gate.open();
}

#[test]
fn what_is_open_for_too_long_is_closed_as_abandoned_with_what_it_gathered() {
    let sink = MemorySink::default();
    let clock = Arc::new(ManualClock::at("2026-11-24T12:00:00Z".parse().unwrap()));
    let mut limits = Limits::default();
    (limits.open_age, limits.interval) = (Duration::from_millis(80), Duration::from_millis(5));
    let builder = Collector::builder().sink(sink.clone()).limits(limits);
    let collector = builder.clock(Arc::clone(&clock) as Arc<dyn Clock>).build().unwrap();
    let forgotten = collector.operation("forgotten").start();
    forgotten.record_usage("openai", "gpt-4o", TokenUsage::new(10, 5));
    std::mem::forget(forgotten);
    let by_id = collector.start_operation("by id", Metadata::new());
    clock.advance(Duration::from_millis(81));
    let young = collector.operation("young").start();
    let mut tries = 0..2_000;
    while collector.counts().aged < 2 && tries.next().is_some() {
        std::thread::sleep(Duration::from_millis(5));
    }
    collector.flush(SOON).unwrap();
    let counts = collector.counts();
    assert_eq!((counts.aged, counts.abandoned, counts.open), (2, 2, 1), "{counts:?}");
    let records = sink.records();
    assert!(records.iter().all(|record| record.outcome == Outcome::Abandoned), "{records:?}");
    let kept = records.iter().find(|record| record.name == "forgotten").unwrap();
    assert_eq!(kept.usage().total_tokens(), 15);
    // What comes later is late, and said to be.
    collector.handle(by_id).unwrap().warn("too late");
    assert_eq!(collector.counts().late_parts, 1);
    young.succeed();
    assert!(collector.counts().adds_up());
}

#[test]
fn names_are_bounded_and_every_sum_stays_whole() {
    let sink = MemorySink::default();
    let mut limits = Limits::default();
    limits.names = 50;
    let collector = Collector::builder().sink(sink.clone()).limits(limits).build().unwrap();
    for number in 0..1_000 {
        let op = collector.operation(format!("name-{number}")).start();
        op.add_component("c", Duration::from_nanos(number));
        op.succeed();
    }
    collector.flush(SOON).unwrap();
    let mut sums = BTreeMap::<String, Duration>::new();
    for record in sink.records() {
        *sums.entry(record.name.to_string()).or_default() += record.components[0].duration;
    }
    // Fifty names, one of which is the component's, and the one for all others.
    assert_eq!(sums.len(), 50);
    assert_eq!(sums.values().sum::<Duration>(), Duration::from_nanos(999 * 1_000 / 2));
    assert!(sums.contains_key(OVERFLOW));
    assert_eq!(collector.counts().cardinality, 1_000 - 49);
}

#[test]
fn a_record_too_large_for_the_whole_queue_is_lost_and_said_to_be() {
    let mut limits = Limits::default();
    (limits.queued_bytes, limits.text_bytes) = (40_000, 20_000);
    let collector = Collector::builder().limits(limits).build().unwrap();
    let op = collector.operation("small").start();
    op.succeed();
    let op = collector.operation("large").start();
    for number in 0..10 {
        op.set(format!("key-{number}"), "x".repeat(19_000));
    }
    op.succeed();
    let counts = collector.counts();
    assert!(counts.adds_up(), "{counts:?}");
    // Either it did not grow beyond the budget, or it was lost as a whole; both are counted.
    assert!(counts.truncated + counts.dropped_total() > 0, "{counts:?}");
    assert!(counts.queue_bytes <= 40_000, "{counts:?}");
}

#[test]
fn a_record_longer_than_the_whole_queue_is_lost_as_too_large() {
    let mut limits = Limits::default();
    limits.queued_bytes = 4_096;
    let collector = Collector::builder().limits(limits).build().unwrap();
    let op = collector.operation("large").start();
    op.set("text", "x ".repeat(2_048));
    op.succeed();
    let counts = collector.counts();
    assert_eq!(counts.dropped, [(LossReason::TooLarge, 1)].into());
    assert!(counts.adds_up(), "{counts:?}");
}

#[test]
fn memory_stays_within_the_budget_whatever_is_left_open_or_queued() {
    let gate = Gate::default();
    let mut limits = Limits::default();
    (limits.queued_bytes, limits.open) = (1 << 20, 100_000);
    let collector = Collector::builder().sink(gate.clone()).limits(limits).build().unwrap();
    let mut open = Vec::new();
    for number in 0..5_000 {
        let op = collector.operation("op").with("number", number).start();
        if number % 2 == 0 {
            open.push(op);
        } else {
            op.succeed();
        }
        assert!(collector.counts().queue_bytes <= 1 << 20);
    }
    let counts = collector.counts();
    assert!(counts.dropped_total() > 0 && counts.adds_up(), "{counts:?}");
    drop(open);
    gate.open();
    collector.flush(SOON).unwrap();
    assert!(collector.counts().adds_up());
}

#[test]
fn beyond_its_limits_a_record_merges_and_replaces_and_loses_nothing_unseen() {
    let mut limits = Limits::default();
    (limits.keys, limits.components, limits.calls) = (4, 3, 2);
    let collector = Collector::builder().limits(limits).build().unwrap();
    let op = collector.operation("op").start();
    for round in 0..100_u64 {
        op.set("progress", round);
        op.add_component("step", Duration::from_secs(1));
        op.tool("tool").with("round", round).took(Duration::from_secs(1), ToolStatus::Success);
        op.record_usage("openai", "gpt-4o", TokenUsage::new(round, 0));
    }
    let record = op.finish().unwrap();
    assert_eq!(record.metadata["progress"], 99);
    let step = record.component_totals()["step"];
    assert_eq!((step.duration, step.count), (Duration::from_secs(100), 100));
    assert_eq!((record.tool_calls.len(), record.llm_calls.len()), (2, 2));
    assert_eq!(record.llm_calls[1].usage, Some(TokenUsage::new(1, 0)));
    // The calls that were left out, of tools and of LLMs.
    assert_eq!(collector.counts().truncated, 98 * 2);
}

#[test]
fn numbers_that_cannot_be_are_kept_as_null_or_as_the_most_and_counted() {
    let collector = Collector::builder().build().unwrap();
    let op = collector.operation("op").with("nan", f64::NAN).start();
    op.set("infinite", f64::INFINITY);
    op.set("fine", -0.5);
    op.add_component("for ever", Duration::MAX);
    let record = op.finish().unwrap();
    assert!(record.metadata["nan"].is_null() && record.metadata["infinite"].is_null());
    assert_eq!(record.metadata["fine"], -0.5);
    assert_eq!(record.components[0].duration, Duration::from_nanos(u64::MAX));
    assert_eq!(collector.counts().invalid_values, 3);
}

#[test]
fn an_operation_that_was_prepared_and_never_started_leaves_nothing() {
    let collector = Collector::builder().build().unwrap();
    drop(collector.operation("never"));
    let counts = collector.counts();
    assert_eq!((counts.offered, counts.open), (0, 0));
}

#[test]
fn places_are_used_again_only_when_nobody_looks_at_them() {
    let sink = MemorySink::default();
    let collector = Collector::builder().sink(sink.clone()).build().unwrap();
    let first = collector.operation("first").start();
    let handle = first.handle();
    let id = handle.id();
    first.succeed();
    let second = collector.operation("second").start();
    handle.warn("late");
    assert_eq!(handle.id(), id);
    second.succeed();
    let third = collector.operation("third").start();
    third.succeed();
    collector.flush(SOON).unwrap();
    assert!(sink.records().iter().all(|record| record.warnings.is_empty()));
    assert_eq!(collector.counts().late_parts, 1);
}

#[test]
fn the_collector_ends_although_its_places_know_it() {
    let sink = Arc::new(MemorySink::default());
    let weak = Arc::downgrade(&sink);
    let collector = Collector::builder().sink(Arc::clone(&sink)).build().unwrap();
    drop(sink);
    (0..10).for_each(|_| collector.operation("op").start().succeed());
    let id = collector.start_operation("open by id", Metadata::new());
    assert!(collector.handle(id).is_ok());
    drop(collector);
    let mut tries = 0..2_000;
    while weak.upgrade().is_some() && tries.next().is_some() {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(weak.upgrade().is_none(), "the collector is never freed");
}

#[test]
fn kept_operations_come_back_as_they_were_with_their_costs() {
    let meter = Meter::builder().persistence(false).build().unwrap();
    let op = meter.operation("qa").user("u").session("s").tag("k", "v").with("n", 1).start();
    op.tool("search").with("q", "taxi").took(Duration::from_millis(3), ToolStatus::Success);
    op.record_usage("openai", "gpt-4o", TokenUsage::new(1_000_000, 0));
    let finished = op.finish().unwrap();
    assert_eq!(meter.find(finished.id), Some(finished.clone()));
    assert_eq!(meter.recent(1).first(), Some(&finished));
    let total = meter.totals().cost;
    assert_eq!(total, finished.cost());
}
