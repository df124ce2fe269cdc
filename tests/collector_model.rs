//! The collector against a plain model: whatever is called in whatever order, the records hold what was put in.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use taximeter::{
    Collector, Limits, MemorySink, Metadata, Operation, OperationId, OperationRecord, Outcome,
    Sink, SinkError, TokenUsage, ToolCall, ToolStatus, WhenFull,
};

/// One call of the API. Operations are named by a small number; the model says which are open.
#[derive(Debug, Clone)]
enum Action {
    Start { slot: usize, by_id: bool },
    Component { slot: usize, name: u8, millis: u16 },
    Tool { slot: usize, success: bool },
    Usage { slot: usize, input: u32, output: u32, cached: u32 },
    Warn { slot: usize },
    Error { slot: usize },
    Succeed { slot: usize },
    Fail { slot: usize },
    Abandon { slot: usize },
    Flush,
}

const SLOTS: usize = 6;

fn action() -> impl Strategy<Value = Action> {
    let slot = 0..SLOTS;
    prop_oneof![
        4 => (slot.clone(), any::<bool>()).prop_map(|(slot, by_id)| Action::Start { slot, by_id }),
        4 => (slot.clone(), 0..3_u8, any::<u16>())
            .prop_map(|(slot, name, millis)| Action::Component { slot, name, millis }),
        3 => (slot.clone(), any::<bool>()).prop_map(|(slot, success)| Action::Tool { slot, success }),
        3 => (slot.clone(), any::<u32>(), any::<u32>(), any::<u32>())
            .prop_map(|(slot, input, output, cached)| Action::Usage { slot, input, output, cached }),
        1 => slot.clone().prop_map(|slot| Action::Warn { slot }),
        1 => slot.clone().prop_map(|slot| Action::Error { slot }),
        2 => slot.clone().prop_map(|slot| Action::Succeed { slot }),
        1 => slot.clone().prop_map(|slot| Action::Fail { slot }),
        1 => slot.prop_map(|slot| Action::Abandon { slot }),
        1 => Just(Action::Flush),
    ]
}

/// What the model knows of one operation.
#[derive(Debug, Clone, PartialEq, Default)]
struct Expected {
    components: BTreeMap<String, (Duration, u64)>,
    tools: Vec<bool>,
    calls: usize,
    input: u64,
    output: u64,
    warnings: u64,
    errors: u64,
    outcome: Option<Outcome>,
}

enum Open {
    Guard(Operation),
    Id(OperationId),
}

/// Runs a sequence against a collector and the model at once.
struct Run<'a> {
    collector: &'a Collector,
    open: [Option<(Open, OperationId)>; SLOTS],
    model: BTreeMap<OperationId, Expected>,
    invalid: u64,
}

impl<'a> Run<'a> {
    fn new(collector: &'a Collector) -> Self {
        Self { collector, open: Default::default(), model: BTreeMap::new(), invalid: 0 }
    }

    fn step(&mut self, action: &Action) {
        match *action {
            Action::Start { slot, by_id } => self.start(slot, by_id),
            Action::Flush => {
                self.collector.flush(Duration::from_secs(10)).expect("the sink is quick");
            }
            Action::Component { slot, name, millis } => {
                let (name, time) =
                    (format!("component-{name}"), Duration::from_millis(millis.into()));
                self.record(slot, |handle, expected| {
                    handle.add_component(name.as_str(), time);
                    let total = expected.components.entry(name).or_default();
                    *total = (total.0 + time, total.1 + 1);
                });
            }
            Action::Tool { slot, success } => self.record(slot, |handle, expected| {
                let status = if success { ToolStatus::Success } else { ToolStatus::Failure };
                handle.record_tool_call(ToolCall::new("tool", status));
                expected.tools.push(success);
            }),
            Action::Usage { slot, input, output, cached } => {
                let (input, output, cached) = (input.into(), output.into(), cached.into());
                let mut invalid = 0;
                self.record(slot, |handle, expected| {
                    handle.record_usage(
                        "p",
                        "m",
                        TokenUsage::inclusive(input, output).cache_read(cached),
                    );
                    expected.calls += 1;
                    if cached <= input {
                        expected.input += input;
                        expected.output += output;
                    } else {
                        invalid = 1;
                    }
                });
                self.invalid += invalid;
            }
            Action::Warn { slot } => self.record(slot, |handle, expected| {
                handle.warn("w");
                expected.warnings += 1;
            }),
            Action::Error { slot } => self.record(slot, |handle, expected| {
                handle.error("e");
                expected.errors += 1;
            }),
            Action::Succeed { slot } => self.end(slot, Outcome::Success),
            Action::Fail { slot } => self.end(slot, Outcome::Failure),
            Action::Abandon { slot } => self.end(slot, Outcome::Abandoned),
        }
    }

    /// Starts an operation in a slot; one that was there is abandoned, as dropping it does.
    fn start(&mut self, slot: usize, by_id: bool) {
        self.end(slot, Outcome::Abandoned);
        let (open, id) = if by_id {
            let id = self.collector.start_operation("op", Metadata::new());
            (Open::Id(id), id)
        } else {
            let operation = self.collector.operation("op").start();
            let id = operation.id().expect("it is switched on");
            (Open::Guard(operation), id)
        };
        assert!(self.model.insert(id, Expected::default()).is_none(), "an id was given twice");
        self.open[slot] = Some((open, id));
    }

    fn record(&mut self, slot: usize, part: impl FnOnce(&taximeter::Handle, &mut Expected)) {
        let Some((open, id)) = &self.open[slot] else { return };
        let expected = self.model.get_mut(id).expect("every open operation is in the model");
        match open {
            Open::Guard(operation) => part(operation, expected),
            Open::Id(id) => part(&self.collector.handle(*id).expect("it is open"), expected),
        }
    }

    fn end(&mut self, slot: usize, outcome: Outcome) {
        let Some((open, id)) = self.open[slot].take() else { return };
        let expected = self.model.get_mut(&id).expect("every open operation is in the model");
        expected.errors += u64::from(outcome == Outcome::Failure);
        expected.outcome = Some(outcome);
        match (open, outcome) {
            (Open::Guard(operation), Outcome::Success) => operation.succeed(),
            (Open::Guard(operation), Outcome::Failure) => operation.fail("failed"),
            (Open::Guard(operation), Outcome::Abandoned) => drop(operation),
            (Open::Id(id), outcome) => {
                // What is addressed by id can only be abandoned by ending the collector; here it fails instead.
                let success = outcome == Outcome::Success;
                expected.outcome = Some(if success { Outcome::Success } else { Outcome::Failure });
                expected.errors += u64::from(outcome == Outcome::Abandoned);
                let errors = u64::from(!success);
                let ended = self.collector.end_operation(id, success, errors, 0, Metadata::new());
                assert_eq!(ended.expect("it was open").expect("it is switched on").id, id);
                assert!(self.collector.handle(id).is_err(), "an ended id is open");
            }
        }
    }

    /// Ends everything and gives the model.
    fn finish(mut self) -> (BTreeMap<OperationId, Expected>, u64) {
        (0..SLOTS).for_each(|slot| self.end(slot, Outcome::Success));
        (self.model, self.invalid)
    }
}

fn seen(record: &OperationRecord) -> Expected {
    let totals = record.component_totals();
    let usage = record.usage();
    Expected {
        components: totals
            .iter()
            .map(|(name, total)| (name.to_string(), (total.duration, total.count)))
            .collect(),
        tools: record.tool_calls.iter().map(ToolCall::is_success).collect(),
        calls: record.llm_calls.len(),
        input: usage.input_tokens(),
        output: usage.output_tokens(),
        warnings: record.warning_count(),
        errors: record.error_count(),
        outcome: Some(record.outcome),
    }
}

fn check(sink: &MemorySink, model: &BTreeMap<OperationId, Expected>) {
    let records = sink.records();
    assert_eq!(records.len(), model.len());
    for record in &records {
        assert_eq!(&seen(record), &model[&record.id]);
    }
}

/// Whether this is an extended run.
fn is_extended() -> bool {
    std::env::var_os("TAXIMETER_EXTENDED").is_some()
}

/// So many cases, and more of them in an extended run.
fn cases(few: u32, extended: u32) -> ProptestConfig {
    ProptestConfig::with_cases(if is_extended() { extended } else { few })
}

proptest! {
    // Sixty actions each: a million in an extended run.
    #![proptest_config(cases(200, 17_000))]

    #[test]
    fn records_hold_what_was_put_in(actions in prop::collection::vec(action(), 0..120)) {
        let sink = MemorySink::default();
        let collector = Collector::builder().sink(sink.clone()).build().unwrap();
        let mut run = Run::new(&collector);
        for action in &actions {
            run.step(action);
            prop_assert!(collector.counts().adds_up());
        }
        let (model, invalid) = run.finish();
        collector.flush(Duration::from_secs(10)).unwrap();
        check(&sink, &model);
        let counts = collector.counts();
        prop_assert!(counts.adds_up());
        prop_assert_eq!((counts.offered, counts.stored), (model.len() as u64, model.len() as u64));
        prop_assert_eq!((counts.queued, counts.open, counts.dropped_total()), (0, 0, 0));
        prop_assert_eq!(counts.invalid_usages, invalid);
        let abandoned = model.values().filter(|op| op.outcome == Some(Outcome::Abandoned)).count();
        prop_assert_eq!(counts.abandoned, abandoned as u64);
    }
}

proptest! {
    #![proptest_config(cases(20, 1_000))]

    #[test]
    fn from_many_threads_too_and_every_snapshot_adds_up(
        sequences in prop::collection::vec(prop::collection::vec(action(), 0..150), 2..6),
    ) {
        let sink = MemorySink::default();
        let collector = Collector::builder().sink(sink.clone()).build().unwrap();
        let done = AtomicBool::new(false);
        let model = std::thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let mut snapshots = 0_u64;
                while !done.load(Ordering::Relaxed) || snapshots == 0 {
                    let counts = collector.counts();
                    assert!(counts.adds_up(), "{counts:?}");
                    snapshots += 1;
                }
            });
            let threads: Vec<_> = sequences
                .iter()
                .map(|actions| {
                    let collector = &collector;
                    scope.spawn(move || {
                        let mut run = Run::new(collector);
                        actions.iter().for_each(|action| run.step(action));
                        run.finish().0
                    })
                })
                .collect();
            let mut model = BTreeMap::new();
            for thread in threads {
                for (id, expected) in thread.join().unwrap() {
                    assert!(model.insert(id, expected).is_none(), "an id was given twice");
                }
            }
            done.store(true, Ordering::Relaxed);
            watcher.join().unwrap();
            model
        });
        collector.flush(Duration::from_secs(10)).unwrap();
        check(&sink, &model);
    }
}

/// Adds up what it is given.
#[derive(Clone, Default)]
struct Sums(Arc<Mutex<Sum>>);

#[derive(Debug, Default, PartialEq)]
struct Sum {
    operations: u64,
    input: u128,
    output: u128,
    tool_calls: u64,
    component_nanos: u128,
}

impl Sink for Sums {
    fn accept(&self, batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        let mut sum = self.0.lock().unwrap();
        for record in batch {
            sum.operations += 1;
            let usage = record.usage();
            sum.input += u128::from(usage.input_tokens());
            sum.output += u128::from(usage.output_tokens());
            sum.tool_calls += record.tool_calls.len() as u64;
            sum.component_nanos += record.components[0].duration.as_nanos();
        }
        Ok(())
    }
}

/// With `TAXIMETER_EXTENDED=1` eighty million operations, else as many as a test may take time for.
#[test]
fn eight_threads_lose_nothing_every_sum_is_exact_and_every_snapshot_adds_up() {
    let each: u64 = if is_extended() { 10_000_000 } else { 5_000 };
    let sums = Sums::default();
    let mut limits = Limits::default();
    limits.when_full = WhenFull::Block { timeout: Duration::from_secs(50) };
    let collector = Collector::builder().sink(sums.clone()).limits(limits).build().unwrap();
    let record = |thread: u64| {
        for at in 0..each {
            let op = collector.operation("qa_response").start();
            op.add_component("retrieval", Duration::from_nanos(at));
            op.tool("search").with("at", at).took(Duration::ZERO, ToolStatus::Success);
            op.record_usage("p", "m", TokenUsage::new(thread, at));
            op.succeed();
        }
    };
    let record = &record;
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let counts = collector.counts();
                assert!(counts.adds_up(), "{counts:?}");
                std::thread::sleep(Duration::from_micros(500));
            }
        });
        let threads: Vec<_> = (0..8).map(|thread| scope.spawn(move || record(thread))).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        over.store(true, Ordering::Relaxed);
    });
    collector.flush(Duration::from_secs(50)).unwrap();
    let counts = collector.counts();
    assert_eq!((counts.offered, counts.stored), (8 * each, 8 * each), "{counts:?}");
    let wide = u128::from(each);
    let expected = Sum {
        operations: 8 * each,
        input: 28 * wide,
        output: 8 * (wide * (wide - 1) / 2),
        tool_calls: 8 * each,
        component_nanos: 8 * (wide * (wide - 1) / 2),
    };
    assert_eq!(*sums.0.lock().unwrap(), expected);
}
