//! When things go wrong around the collector: nothing hangs, nothing panics, and what is lost is counted.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use taximeter::{
    Collector, ComponentGuard, ErrorCategory, FlushError, Limits, LossReason, ManualClock,
    MemorySink, Metadata, Operation, OperationRecord, Outcome, Sink, SinkError, TokenUsage,
    ToolGuard, ToolStatus, current,
};

const SOON: Duration = Duration::from_secs(10);

/// A sink that takes nothing until its gate is opened.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

impl Sink for Gate {
    fn accept(&self, _batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        let open = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(open, |open| !*open).unwrap());
        Ok(())
    }
}

#[test]
fn a_full_queue_drops_the_newest_and_counts_it() {
    let gate = Gate::default();
    let mut limits = Limits::default();
    limits.queued_records = 10;
    let collector = Collector::builder().sink(gate.clone()).limits(limits).build().unwrap();
    for _ in 0..1_000 {
        collector.operation("op").start().succeed();
    }
    let counts = collector.counts();
    assert!(counts.adds_up(), "{counts:?}");
    assert!(counts.dropped[&LossReason::QueueFull] >= 900, "{counts:?}");
    let flushed = collector.flush(Duration::from_millis(50));
    assert!(matches!(flushed, Err(FlushError::Timeout { queued: 1.., .. })), "{flushed:?}");
    gate.open();
    collector.flush(SOON).unwrap();
    let counts = collector.counts();
    assert_eq!(counts.stored + counts.dropped_total(), 1_000);
}

#[test]
fn the_queue_is_bounded_by_bytes_too() {
    let gate = Gate::default();
    let mut limits = Limits::default();
    limits.queued_bytes = 64 << 10;
    let collector = Collector::builder().sink(gate.clone()).limits(limits).build().unwrap();
    for _ in 0..100 {
        collector.operation("op").with("text", "x".repeat(4_000)).start().succeed();
    }
    let lost = collector.counts().dropped[&LossReason::QueueFull];
    assert!((60..100).contains(&lost), "{lost}");
    gate.open();
}

#[test]
fn a_panicking_sink_costs_its_batch_and_not_the_worker() {
    struct Panicking(AtomicBool, MemorySink);
    impl Sink for Panicking {
        fn accept(&self, batch: Vec<OperationRecord>) -> Result<(), SinkError> {
            assert!(self.0.swap(true, Ordering::SeqCst), "the first batch meets with a panic");
            self.1.accept(batch)
        }

        fn prepare(&self, _record: &mut OperationRecord) {
            panic!("no price today");
        }
    }

    let memory = MemorySink::default();
    let collector = Collector::builder()
        .sink(Panicking(AtomicBool::new(false), memory.clone()))
        .build()
        .unwrap();
    collector.operation("lost").start().succeed();
    let error = collector.flush(SOON).unwrap_err().to_string();
    assert!(error.contains("panicked"), "{error}");
    collector.operation("kept").start().succeed();
    collector.flush(SOON).unwrap();
    assert!(collector.operation("asked back").start().finish().is_some());
    let counts = collector.counts();
    assert_eq!((counts.internal_panics, counts.dropped[&LossReason::InternalPanic]), (2, 1));
    assert_eq!(memory.records()[0].name, "kept");
}

#[test]
fn a_sink_that_loses_some_says_how_many() {
    struct Full;
    impl Sink for Full {
        fn accept(&self, _batch: Vec<OperationRecord>) -> Result<(), SinkError> {
            Err(SinkError { lost: 1, reason: LossReason::DiskFull, source: "no space left".into() })
        }
    }

    let collector = Collector::builder().sink(Full).build().unwrap();
    let handles: Vec<_> = (0..3).map(|_| collector.operation("op").start()).collect();
    handles.into_iter().for_each(Operation::succeed);
    let error = collector.flush(SOON).unwrap_err().to_string();
    assert!(error.contains("no space left"), "{error}");
    let counts = collector.counts();
    assert!(counts.adds_up());
    assert!(counts.dropped[&LossReason::DiskFull] >= 1);
}

#[test]
fn a_sink_may_record_and_is_told_not_to_wait_for_itself() {
    #[derive(Default)]
    struct Recursive {
        collector: Mutex<Option<Collector>>,
        seen: AtomicU64,
        refused: AtomicBool,
    }
    impl Sink for Recursive {
        fn accept(&self, batch: Vec<OperationRecord>) -> Result<(), SinkError> {
            let first = self.seen.fetch_add(batch.len() as u64, Ordering::SeqCst) == 0;
            if let (true, Some(collector)) = (first, &*self.collector.lock().unwrap()) {
                collector.operation("within the sink").start().succeed();
                let flushed = collector.flush(SOON);
                self.refused.store(matches!(flushed, Err(FlushError::FromSink)), Ordering::SeqCst);
            }
            Ok(())
        }
    }

    let sink = Arc::new(Recursive::default());
    let collector = Collector::builder().sink(Arc::clone(&sink)).build().unwrap();
    *sink.collector.lock().unwrap() = Some(collector.clone());
    collector.operation("outer").start().succeed();
    collector.flush(SOON).unwrap();
    collector.flush(SOON).unwrap();
    assert_eq!(sink.seen.load(Ordering::SeqCst), 2);
    assert!(sink.refused.load(Ordering::SeqCst));
    *sink.collector.lock().unwrap() = None;
}

#[test]
fn what_comes_after_the_end_is_counted() {
    let sink = MemorySink::default();
    let collector = Collector::builder().sink(sink.clone()).build().unwrap();
    let op = collector.operation("op").start();
    let late = op.handle();
    let component = op.component("still running").owned();
    op.succeed();
    drop(component);
    late.warn("too late");
    assert_eq!(collector.counts().late_parts, 2);

    let open = collector.operation("outlives the collector").start();
    let by_id = collector.start_operation("forgotten", Metadata::new());
    collector.shutdown(SOON).unwrap();
    open.succeed();
    let counts = collector.counts();
    assert!(counts.adds_up(), "{counts:?}");
    assert_eq!((counts.dropped[&LossReason::AfterShutdown], counts.abandoned), (1, 1));
    assert!(collector.handle(by_id).is_err());
    assert_eq!(sink.records().len(), 2);
    // Shutting down again, flushing and starting are harmless.
    collector.shutdown(SOON).unwrap();
    collector.flush(SOON).unwrap();
    collector.operation("op").start().succeed();
    assert!(collector.counts().adds_up());
}

#[test]
fn dropping_the_last_collector_hands_over_what_is_queued() {
    let sink = MemorySink::default();
    let collector = Collector::builder().sink(sink.clone()).build().unwrap();
    let clone = collector.clone();
    collector.operation("op").start().succeed();
    drop(collector);
    clone.operation("op").start().succeed();
    drop(clone);
    assert_eq!(sink.records().len(), 2);
}

#[test]
fn switched_off_it_does_nothing_with_the_same_types() {
    let collector = Collector::off();
    let op = collector.operation("op").with("key", 1).user("u").tag("t", "v").start();
    assert_eq!((op.id(), op.is_recording()), (None, false));
    assert_eq!(op.time("component", || 7), 7);
    op.tool("tool").start().succeed();
    let mut call = op.llm_call("openai", "gpt-4o").start();
    call.usage(TokenUsage::inclusive(1, 2).cache_read(3));
    call.succeed();
    assert_eq!(op.finish(), None);
    let id = collector.start_operation("by id", Metadata::new());
    collector.record_token_usage(id, 1, 2, None).unwrap();
    assert_eq!(collector.end_operation(id, true, 0, 0, Metadata::new()).unwrap(), None);
    assert_eq!(collector.scope("scope", |_| Ok::<_, std::io::Error>(3)).unwrap(), 3);
    collector.flush(SOON).unwrap();
    assert_eq!(collector.counts(), taximeter::Counts::default());
}

#[test]
fn an_unknown_id_is_a_typed_error() {
    let collector = Collector::builder().build().unwrap();
    let id = collector.start_operation("op", Metadata::new());
    collector.end_operation(id, true, 2, 1, Metadata::new()).unwrap();
    let again = collector.end_operation(id, true, 0, 0, Metadata::new());
    let error = again.unwrap_err().to_string();
    assert!(error.contains(&id.to_string()) && error.contains("not open"), "{error}");
    assert!(collector.add_component_timing(id, "c", SOON).is_err());
}

#[test]
fn open_operations_by_id_are_bounded() {
    let mut limits = Limits::default();
    limits.open = 3;
    let collector = Collector::builder().limits(limits).build().unwrap();
    let ids: Vec<_> = (0..5).map(|_| collector.start_operation("leak", Metadata::new())).collect();
    assert_eq!(ids.iter().filter(|id| collector.handle(**id).is_ok()).count(), 3);
    let counts = collector.counts();
    assert_eq!((counts.open, counts.dropped[&LossReason::TooManyOpen]), (3, 2));
}

#[test]
fn texts_and_parts_are_bounded_and_the_cuts_counted() {
    let mut limits = Limits::default();
    (limits.name_bytes, limits.text_bytes, limits.keys) = (8, 10, 2);
    (limits.components, limits.calls, limits.messages) = (2, 1, 1);
    let collector = Collector::builder().limits(limits).build().unwrap();
    let op = collector
        .operation("a name that is too long")
        .with("a", "äöüäöüäöü")
        .with("b", 1)
        .with("c", 2)
        .start();
    for _ in 0..5 {
        op.add_component("same", Duration::from_secs(1));
        op.tool("tool").start().end(ToolStatus::Success);
        op.warn("a warning of many words");
        op.error("error");
    }
    let record = op.finish().unwrap();
    assert_eq!(record.name, "a name t");
    assert_eq!(record.metadata["a"], "äöüäö");
    assert_eq!(record.metadata.len(), 2);
    let same = record.component_totals()["same"];
    assert_eq!(
        (same.duration, same.count, record.components.len()),
        (Duration::from_secs(5), 5, 2)
    );
    assert_eq!((record.tool_calls.len(), record.warning_count(), record.error_count()), (1, 5, 5));
    assert_eq!(record.warnings[0].message.len(), 10);
    // The name, the text, the third key, four tool calls and five warnings.
    assert_eq!(collector.counts().truncated, 12);
}

#[test]
fn a_clock_that_jumps_hurts_no_duration() {
    let clock = Arc::new(ManualClock::at("2026-11-23T12:00:00Z".parse().unwrap()));
    let collector = Collector::builder().clock(clock.clone()).build().unwrap();
    let op = collector.operation("op").start();
    let component = op.component("c");
    clock.advance(Duration::from_secs(2));
    clock.step_wall(-86_400 * 365 * 60);
    drop(component);
    let mut call = op.llm_call("p", "m").streamed(true).start();
    clock.advance(Duration::from_secs(1));
    call.first_token();
    clock.advance(Duration::from_secs(3));
    call.usage(TokenUsage::new(10, 30));
    call.succeed();
    let record = op.finish().unwrap();
    assert_eq!(record.duration, Duration::from_secs(6));
    assert_eq!(record.components[0].duration, Duration::from_secs(2));
    let call = &record.llm_calls[0];
    assert_eq!((call.duration, call.time_to_first_token), (Some(SOON * 4 / 10), Some(SOON / 10)));
    assert_eq!(call.output_tokens_per_second(), Some(10.0));
    assert_eq!(record.started_at.to_rfc3339(), "2026-11-23T12:00:00+00:00");
}

#[test]
fn guards_that_are_dropped_say_so() {
    let collector = Collector::builder().build().unwrap();
    let op = collector.operation("op").start();
    drop(op.tool("tool").start());
    let mut stream = op.llm_call("p", "m").start();
    stream.usage(TokenUsage::new(100, 7));
    drop(stream); // nobody reads the stream to its end
    let timeout = std::io::Error::from(std::io::ErrorKind::TimedOut);
    op.tool("tool").start().fail(&timeout);
    let record = op.finish().unwrap();
    assert_eq!(record.tool_calls[0].error_category(), Some(ErrorCategory::Cancelled));
    assert_eq!(record.tool_calls[1].status, ToolStatus::Timeout);
    assert_eq!(record.llm_calls[0].error.as_ref().unwrap().category, ErrorCategory::Cancelled);
    assert_eq!(record.usage().total_tokens(), 107);
}

#[test]
fn guards_that_are_owned_may_be_kept_and_sent() {
    struct Kept {
        component: ComponentGuard<'static>,
        call: ToolGuard<'static>,
    }

    let timed = |op: &Operation| {
        let component = op.component("a name that is too long to be a number").owned();
        let call = op.tool("tool").with("here", 1).start().owned();
        let mut kept = Kept { component, call: call.owned() };
        std::thread::spawn(move || {
            kept.call.set("there", 2);
            kept.component.stop();
            kept.call.fail("a fault");
        })
        .join()
        .unwrap();
    };
    let collector = Collector::builder().build().unwrap();
    let op = collector.operation("op").start();
    timed(&op);
    let (late, ended) = (op.tool("late").start().owned(), op.component("ended").owned());
    drop(ended);
    let record = op.finish().unwrap();
    drop(late);
    assert_eq!((record.components.len(), record.tool_calls.len()), (2, 1));
    let call = &record.tool_calls[0];
    assert_eq!((&call.metadata["here"], &call.metadata["there"]), (&1.into(), &2.into()));
    assert!(!call.is_success());
    assert_eq!(collector.counts().late_parts, 1);

    let off = Collector::off().operation("op").start();
    timed(&off);
    off.succeed();
}

#[test]
fn scopes_nest_fail_and_unwind() {
    let sink = MemorySink::default();
    let collector = Collector::builder().sink(sink.clone()).build().unwrap();
    let failed: anyhow::Result<()> = collector.scope("outer", |_| {
        collector.scope("inner", |_| current().warn("seen"));
        Err(anyhow::Error::new(std::io::Error::from(std::io::ErrorKind::TimedOut))
            .context("asking the LLM"))
    });
    assert!(failed.is_err());
    let panicked = std::panic::catch_unwind(|| {
        collector.scope("panics", |op| {
            op.add_component("before", SOON);
            assert_eq!(1, 2, "sums do not match");
        });
    });
    assert!(panicked.is_err());
    assert!(!current().is_recording());
    collector.flush(SOON).unwrap();
    let records = sink.records();
    let [inner, outer, panics] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((inner.parent, inner.trace_id), (Some(outer.id), outer.trace_id));
    assert_eq!((inner.outcome, inner.warning_count()), (Outcome::Success, 1));
    assert_eq!(outer.errors[0].category, ErrorCategory::Timeout);
    assert_eq!(
        (outer.errors[0].message.as_str(), outer.errors[0].causes.len()),
        ("asking the LLM", 1)
    );
    assert_eq!((panics.outcome, panics.components.len()), (Outcome::Failure, 1));
    assert!(panics.errors[0].message.contains("sums do not match"), "{:?}", panics.errors);
}

#[test]
fn an_error_whose_own_text_records_or_panics_harms_nobody() {
    #[derive(Debug)]
    struct Chatty;
    impl std::fmt::Display for Chatty {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            current().warn("asked for its text");
            f.write_str("chatty")
        }
    }
    impl std::error::Error for Chatty {}

    #[derive(Debug)]
    struct Rude;
    impl std::fmt::Display for Rude {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("I say nothing")
        }
    }
    impl std::error::Error for Rude {}

    let collector = Collector::builder().build().unwrap();
    let op = collector.operation("op").start();
    let entered = op.enter();
    op.error(&Chatty);
    op.error(&Rude);
    op.tool("tool").start().fail(&Rude);
    let failed: Result<(), Rude> = collector.scope("inner", |_| Err(Rude));
    assert!(failed.is_err());
    drop(entered);
    let record = op.finish().unwrap();
    assert_eq!((record.error_count(), record.errors[0].message.as_str()), (2, "chatty"));
    assert!(record.warning_count() > 0);
    assert!(record.errors[1].message.contains("Rude"), "{:?}", record.errors);
    assert_eq!(record.tool_calls.len(), 1);
}
