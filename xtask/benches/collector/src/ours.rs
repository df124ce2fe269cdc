//! taximeter: the forms of the standard operation, what is kept of it, and what is lost under pressure.

use std::hint::black_box;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use cpu_time::ThreadTime;
use taximeter::{
    Batch, Collector, Handle, Limits, Meter, OperationRecord, Settings, Sink, SinkError, TokenUsage,
    ToolStatus,
};

use crate::{CHUNK, Case, Input};

const PATIENCE: Duration = Duration::from_secs(30);
const TOOK: Duration = Duration::from_millis(3);

/// The name of the operations whose names are literals.
const NAME: &str = "qa_response";

fn meter() -> Meter {
    let mut settings = Settings::default();
    settings.recent_operations = 100_000;
    let builder = Meter::builder().settings(settings).persistence(false);
    builder.build().expect("a meter needs a thread and no more")
}

/// Components and calls as durations that the program measured itself: five readings of the clock.
fn durations(meter: &Meter, clock: &quanta::Clock, input: &Input) {
    let op = meter
        .operation(&input.name)
        .with(&input.words.user, input.user.as_str())
        .with(&input.words.number, input.number)
        .start();
    let moments = [clock.raw(), clock.raw(), clock.raw()];
    let took = |from: usize, to: usize| {
        TOOK + Duration::from_nanos(clock.delta_as_nanos(moments[from], moments[to]))
    };
    let [first, second, third] = &input.words.components;
    op.add_component(first, took(0, 1));
    op.add_component(second, took(1, 2));
    op.add_component(third, took(0, 2));
    calls(&op, input);
    op.succeed();
}

fn calls(op: &Handle, input: &Input) {
    let words = &input.words;
    for (tool, url) in words.tools.iter().zip(&input.urls) {
        let call = op.tool(tool).with(&words.url, url.as_str()).with(&words.hits, input.number);
        call.took(TOOK, ToolStatus::Success);
    }
    op.record_usage(&words.provider, &words.model, TokenUsage::new(1_200, 350));
}

/// The same with names that are known where it is compiled.
fn literals(meter: &Meter, clock: &quanta::Clock, input: &Input) {
    let op = meter
        .operation(NAME)
        .with("user_id", input.user.as_str())
        .with("number", input.number)
        .start();
    let moments = [clock.raw(), clock.raw(), clock.raw()];
    let took = |from: usize, to: usize| {
        TOOK + Duration::from_nanos(clock.delta_as_nanos(moments[from], moments[to]))
    };
    op.add_component("retrieval", took(0, 1));
    op.add_component("prompt_build", took(1, 2));
    op.add_component("llm_inference", took(0, 2));
    let [first, second] = &input.urls;
    let web = op.tool("web_search").with("url", first.as_str()).with("hits", input.number);
    web.took(TOOK, ToolStatus::Success);
    let db = op.tool("vector_db").with("url", second.as_str()).with("hits", input.number);
    db.took(TOOK, ToolStatus::Success);
    op.record_usage("openai", "gpt-4", TokenUsage::new(1_200, 350));
    op.succeed();
}

/// What the caller does before it calls, and no call: the three readings of its own, three durations, the texts.
fn arguments(clock: &quanta::Clock, input: &Input) {
    black_box((input.user.as_str(), input.number));
    let moments = [clock.raw(), clock.raw(), clock.raw()];
    let took = |from: usize, to: usize| {
        TOOK + Duration::from_nanos(clock.delta_as_nanos(moments[from], moments[to]))
    };
    black_box(took(0, 1));
    black_box(took(1, 2));
    black_box(took(0, 2));
    let [first, second] = &input.urls;
    black_box((first.as_str(), input.number));
    black_box((second.as_str(), input.number));
}

/// Components and calls as guards: twelve readings of the clock.
fn guards(meter: &Meter, input: &Input) {
    let op = meter
        .operation(&input.name)
        .with(&input.words.user, input.user.as_str())
        .with(&input.words.number, input.number)
        .start();
    let words = &input.words;
    for component in &words.components {
        op.component(component).stop();
    }
    for (tool, url) in words.tools.iter().zip(&input.urls) {
        let call = op.tool(tool).with(&words.url, url.as_str());
        call.with(&words.hits, input.number).start().succeed();
    }
    op.record_usage(&words.provider, &words.model, TokenUsage::new(1_200, 350));
    op.succeed();
}

fn by_id(collector: &Collector, input: &Input) {
    let words = &input.words;
    let operation = collector.operation(&input.name).with(&words.user, input.user.as_str());
    let id = operation.with(&words.number, input.number).start_by_id();
    let op = || collector.handle(id).expect("it is open");
    for component in &words.components {
        op().add_component(component, TOOK);
    }
    for (tool, url) in words.tools.iter().zip(&input.urls) {
        op().tool(tool)
            .with(&words.url, url.as_str())
            .with(&words.hits, input.number)
            .took(TOOK, ToolStatus::Success);
    }
    op().record_usage(&words.provider, &words.model, TokenUsage::new(1_200, 350));
    collector.end_by_id(id, true).expect("it is open");
}

pub(crate) fn cases() -> Vec<Case> {
    let clock = Rc::new(quanta::Clock::new());
    let case = |what, record: fn(&Meter, &quanta::Clock, &Input)| {
        let (meter, clock) = (Rc::new(meter()), Rc::clone(&clock));
        let flushed = Rc::clone(&meter);
        Case {
            what,
            record: Box::new(move |input| record(&meter, &clock, input)),
            flush: Box::new(move || flushed.flush(PATIENCE).expect("the worker is not behind")),
            kept: "the record, priced",
        }
    };
    let collector = Rc::new(Collector::builder().build().expect("a thread"));
    let flushed = Rc::clone(&collector);
    let off = Meter::off();
    let off_clock = Rc::clone(&clock);
    let three = Rc::clone(&clock);
    vec![
        case("taximeter, durations, run-time strings", durations),
        case("taximeter, durations, literal names", literals),
        case("taximeter, guards, run-time strings", |meter, _, input| guards(meter, input)),
        Case {
            what: "taximeter's collector, by id, no clock of one's own",
            record: Box::new(move |input| by_id(&collector, input)),
            flush: Box::new(move || flushed.flush(PATIENCE).expect("the worker is not behind")),
            kept: "nothing",
        },
        Case {
            what: "taximeter switched off, durations",
            record: Box::new(move |input| literals(&off, &off_clock, input)),
            flush: Box::new(|| ()),
            kept: "nothing",
        },
        Case {
            what: "an empty loop with the same arguments",
            record: Box::new(move |input| arguments(&three, input)),
            flush: Box::new(|| ()),
            kept: "nothing",
        },
    ]
}

/// Records 3,000 operations in each form, and compares what is kept of them with what went in.
///
/// # Panics
/// Where something is not as it went in.
pub(crate) fn check(inputs: &[Input]) {
    let clock = quanta::Clock::new();
    check_form(inputs, |meter, input| durations(meter, &clock, input), |input| &input.name, TOOK);
    check_form(inputs, |meter, input| literals(meter, &clock, input), |_| NAME, TOOK);
    check_form(inputs, guards, |input| &input.name, Duration::ZERO);
}

fn check_form(
    inputs: &[Input],
    record: impl Fn(&Meter, &Input),
    name: impl Fn(&Input) -> &str,
    least: Duration,
) {
    let meter = meter();
    for number in 0..3_000 {
        record(&meter, &inputs[number % inputs.len()]);
    }
    meter.flush(PATIENCE).expect("the worker is not behind");
    let records = meter.recent(3_000);
    assert_eq!(records.len(), 3_000);
    for (number, record) in records.iter().enumerate() {
        let input = &inputs[number % inputs.len()];
        assert_eq!(record.name, name(input));
        compare(record, input, least);
    }
}

fn compare(record: &OperationRecord, input: &Input, least: Duration) {
    assert!(record.is_success() && record.duration < Duration::from_secs(1));
    assert_eq!(record.metadata["user_id"], input.user.as_str());
    assert_eq!(record.metadata["number"], input.number);
    let names: Vec<_> = record.components.iter().map(|timing| timing.name.as_str()).collect();
    assert_eq!(names, ["retrieval", "prompt_build", "llm_inference"]);
    assert!(record.components.iter().all(|timing| timing.duration >= least));
    assert_eq!(record.tool_calls.len(), 2);
    for (call, url) in record.tool_calls.iter().zip(&input.urls) {
        assert!(call.is_success() && call.duration.is_some_and(|took| took >= least));
        assert_eq!(call.metadata["url"], url.as_str());
        assert_eq!(call.metadata["hits"], input.number);
    }
    assert_eq!(record.usage(), TokenUsage::new(1_200, 350));
    let cost = record.llm_calls[0].cost.amount().expect("gpt-4 has a price").0;
    assert_eq!(cost.to_string(), "0.057");
}

/// A sink that takes nothing until its gate is opened.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Sink for Gate {
    fn accept(&self, _batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        let (open, changed) = &*self.0;
        let open = open.lock().expect("nobody panics here");
        drop(changed.wait_while(open, |open| !*open).expect("nobody panics here"));
        Ok(())
    }
}

/// A sink that keeps records as the meter does, packed; it counts their bytes.
#[derive(Clone, Default)]
struct Kept(Arc<AtomicUsize>);

impl Sink for Kept {
    fn accept(&self, _batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        unreachable!("batches come packed")
    }

    fn accept_packed(&self, batch: &Batch<'_>) -> Result<(), SinkError> {
        self.0.fetch_add(batch.to_packed().bytes(), Ordering::Relaxed);
        Ok(())
    }
}

/// What the table cannot say: bytes kept, two threads, a frozen sink, losses.
pub(crate) fn print_facts(inputs: &[Input]) {
    let kept = Kept::default();
    let collector = Collector::builder().sink(kept.clone()).build().expect("a thread");
    for number in 0..CHUNK {
        by_guard(&collector, &inputs[number % inputs.len()]);
    }
    collector.flush(PATIENCE).expect("the worker is not behind");
    let bytes = kept.0.load(Ordering::Relaxed) as f64 / CHUNK as f64;
    println!("kept of an operation, ids included: {bytes:.0} bytes");

    let alone = on_threads(1, inputs);
    let both = on_threads(2, inputs);
    println!(
        "two threads: {both:.0} ns of each caller's CPU for an operation, alone {alone:.0} ({:.2})",
        both / alone
    );

    let gate = Gate::default();
    let limits = Limits::default();
    let budget = limits.queued_bytes;
    let frozen = Collector::builder().sink(gate.clone()).limits(limits).build().expect("a thread");
    let began = ThreadTime::now();
    for number in 0..300_000 {
        by_guard(&frozen, &inputs[number % inputs.len()]);
    }
    let each = began.elapsed().as_nanos() as f64 / 300_000.0;
    let counts = frozen.counts();
    println!(
        "a frozen sink: {each:.0} ns for the caller; {} offered = {} stored + {} queued + {} dropped + {} open; {} of \
         {budget} bytes held",
        counts.offered,
        counts.stored,
        counts.queued,
        counts.dropped_total(),
        counts.open,
        counts.queue_bytes
    );
    *gate.0.0.lock().expect("nobody panics here") = true;
    gate.0.1.notify_all();
}

fn by_guard(collector: &Collector, input: &Input) {
    let words = &input.words;
    let operation = collector.operation(&input.name).with(&words.user, input.user.as_str());
    let op = operation.with(&words.number, input.number).start();
    for component in &words.components {
        op.add_component(component, TOOK);
    }
    calls(&op, input);
    op.succeed();
}

/// The caller's CPU for an operation on so many threads at once, and losses at full push.
fn on_threads(threads: usize, inputs: &[Input]) -> f64 {
    const EACH: usize = 400_000;
    let collector = Collector::builder().build().expect("a thread");
    let times: Vec<f64> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let began = ThreadTime::now();
                    for number in 0..EACH {
                        by_guard(&collector, &inputs[number % inputs.len()]);
                    }
                    began.elapsed().as_nanos() as f64 / EACH as f64
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
    });
    collector.flush(PATIENCE).expect("the worker is not behind");
    let counts = collector.counts();
    println!(
        "full push on {threads} thread(s): {} offered, {} stored, {} dropped and counted",
        counts.offered,
        counts.stored,
        counts.dropped_total()
    );
    times.iter().sum::<f64>() / times.len() as f64
}
