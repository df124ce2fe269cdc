//! taximeter: the forms of the standard operation, and that nothing of it is lost.

use std::hint::black_box;
use std::rc::Rc;
use std::time::Duration;

use taximeter::{
    Collector, Handle, MemorySink, Meter, OperationRecord, Settings, TokenUsage, ToolStatus,
};

use crate::{Case, Input};

pub const PATIENCE: Duration = Duration::from_secs(30);
pub const TOOK: Duration = Duration::from_millis(3);

pub const RUN_TIME: &str = "taximeter, durations, run-time strings";
pub const LITERALS: &str = "taximeter, durations, literal names";
pub const GUARDS: &str = "taximeter, guards, run-time strings";
pub const BY_ID: &str = "taximeter's collector, by id, no clock of one's own";
pub const OFF: &str = "taximeter switched off, durations";
pub const EMPTY: &str = "an empty loop with the same arguments";

/// The name of the operations whose names are literals.
const NAME: &str = "qa_response";

fn meter(settings: Settings) -> Meter {
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

pub fn calls(op: &Handle, input: &Input) {
    let words = &input.words;
    for (tool, url) in words.tools.iter().zip(&input.urls) {
        let call = op.tool(tool).with(&words.url, url.as_str()).with(&words.hits, input.number);
        call.took(TOOK, ToolStatus::Success);
    }
    op.record_usage(&words.provider, &words.model, TokenUsage::new(1_200, 350));
}

/// The same with names that are known where it is compiled.
#[inline(never)]
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

/// What the caller does before it calls, and no call: the three readings of its own, three durations, the texts. It is a
/// function of its own, as what is compared with it is: to call one costs as much as all the rest that is measured there.
#[inline(never)]
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

fn case(
    what: &'static str,
    settings: Settings,
    record: fn(&Meter, &quanta::Clock, &Input),
) -> Case {
    let (meter, clock) = (Rc::new(meter(settings)), quanta::Clock::new());
    let flushed = Rc::clone(&meter);
    Case {
        what,
        record: Box::new(move |input| record(&meter, &clock, input)),
        flush: Box::new(move || flushed.flush(PATIENCE).expect("the worker is not behind")),
        kept: "the record, priced",
    }
}

/// As [`RUN_TIME`], of a meter that keeps so many operations.
pub fn keeping(recent: usize) -> Case {
    let mut settings = Settings::default();
    settings.recent_operations = recent;
    case(RUN_TIME, settings, durations)
}

pub fn cases() -> Vec<Case> {
    let clock = Rc::new(quanta::Clock::new());
    let case = |what, record| case(what, Settings::default(), record);
    let collector = Rc::new(Collector::builder().build().expect("a thread"));
    let flushed = Rc::clone(&collector);
    let off = Meter::off();
    let off_clock = Rc::clone(&clock);
    let three = Rc::clone(&clock);
    vec![
        case(RUN_TIME, durations),
        case(LITERALS, literals),
        case(GUARDS, |meter, _, input| guards(meter, input)),
        Case {
            what: BY_ID,
            record: Box::new(move |input| by_id(&collector, input)),
            flush: Box::new(move || flushed.flush(PATIENCE).expect("the worker is not behind")),
            kept: "nothing",
        },
        Case {
            what: OFF,
            record: Box::new(move |input| literals(&off, &off_clock, input)),
            flush: Box::new(|| ()),
            kept: "nothing",
        },
        Case {
            what: EMPTY,
            record: Box::new(move |input| arguments(&three, input)),
            flush: Box::new(|| ()),
            kept: "nothing",
        },
    ]
}

/// So many operations of each form are read back.
const CHECKED: usize = 3_000;

/// Records operations in each form, and compares what is kept of them with what went in.
///
/// # Panics
/// Where something is not as it went in.
pub fn check(inputs: &[Input]) {
    let clock = quanta::Clock::new();
    check_form(inputs, |meter, input| durations(meter, &clock, input), |input| &input.name, TOOK);
    check_form(inputs, |meter, input| literals(meter, &clock, input), |_| NAME, TOOK);
    check_form(inputs, guards, |input| &input.name, Duration::ZERO);
    check_by_id(inputs);
}

fn check_form(
    inputs: &[Input],
    record: impl Fn(&Meter, &Input),
    name: impl Fn(&Input) -> &str,
    least: Duration,
) {
    let meter = meter(Settings::default());
    checked(inputs).for_each(|input| record(&meter, input));
    meter.flush(PATIENCE).expect("the worker is not behind");
    let records = meter.recent(CHECKED);
    compare(&records, inputs, name, least);
    for record in records {
        let cost = record.llm_calls[0].cost.amount().expect("gpt-4 has a price").0;
        assert_eq!(cost.to_string(), "0.057");
    }
}

/// Of a collector by itself, whose records come without a price.
fn check_by_id(inputs: &[Input]) {
    let sink = MemorySink::default();
    let collector = Collector::builder().sink(sink.clone()).build().expect("a thread");
    checked(inputs).for_each(|input| by_id(&collector, input));
    collector.flush(PATIENCE).expect("the worker is not behind");
    compare(&sink.records(), inputs, |input| &input.name, TOOK);
}

fn checked(inputs: &[Input]) -> impl Iterator<Item = &Input> {
    inputs.iter().cycle().take(CHECKED)
}

fn compare(
    records: &[OperationRecord],
    inputs: &[Input],
    name: impl Fn(&Input) -> &str,
    least: Duration,
) {
    assert_eq!(records.len(), CHECKED);
    for (record, input) in records.iter().zip(checked(inputs)) {
        assert_eq!(record.name, name(input));
        compare_parts(record, input, least);
    }
}

fn compare_parts(record: &OperationRecord, input: &Input, least: Duration) {
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
}
