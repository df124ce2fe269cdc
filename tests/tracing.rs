//! Guards of the meter and the layer in one program: each call is counted once, where it belongs.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use taximeter::models::ToolStatus;
use taximeter::tracing::{Check, check, counts, layer};
use taximeter::{ManualClock, MemorySink, Meter, TokenUsage, context};
use tracing::field::{Empty, Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Span, Subscriber, dispatcher, info_span};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

fn call(tokens: u64) -> Span {
    info_span!(
        "chat",
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = "openai",
        gen_ai.request.model = "gpt-4o-mini",
        gen_ai.usage.input_tokens = tokens,
        gen_ai.usage.output_tokens = 10_u64
    )
}

fn tool(name: &str) -> Span {
    info_span!("execute_tool", gen_ai.operation.name = "execute_tool", gen_ai.tool.name = name)
}

fn agent() -> Span {
    info_span!("invoke_agent", gen_ai.operation.name = "invoke_agent", gen_ai.agent.name = Empty)
}

/// Runs a program under a layer, and gives its meter.
fn metered(program: impl FnOnce(&Meter)) -> Meter {
    let meter = Meter::builder().build().expect("the worker starts");
    let subscriber = tracing_subscriber::registry().with(layer(&meter));
    tracing::subscriber::with_default(subscriber, || program(&meter));
    assert!(meter.counts().adds_up());
    meter
}

#[test]
fn spans_alone_make_operations_with_costs() {
    let meter = metered(|_| {
        agent().in_scope(|| {
            drop(call(1_000));
            drop(tool("search"));
            drop(call(2_000));
        });
    });
    let totals = meter.totals();
    assert_eq!((totals.operations(), totals.usage.input_tokens()), (1, 3_000));
    assert_eq!(totals.cost.usd().to_string(), "0.000462");
    assert_eq!(meter.recent(1)[0].tool_calls[0].name, "search");
    assert_eq!((meter.counts().offered, meter.counts().stored), (1, 1));
}

#[test]
fn what_runs_within_a_guard_is_put_into_its_operation() {
    let meter = metered(|meter| {
        let _ = meter.scope("qa_response", |op| {
            drop(call(100));
            agent().in_scope(|| {
                drop(tool("search"));
                agent().in_scope(|| drop(call(200)));
                drop(call(300));
            });
            op.set("answered", true);
            Ok::<_, std::io::Error>(())
        });
    });
    let records = meter.recent(10);
    assert_eq!(records.len(), 2, "{records:#?}");
    let guard = records.iter().find(|record| record.name == "qa_response").expect("it is there");
    assert_eq!((guard.llm_calls.len(), guard.usage().input_tokens()), (2, 400));
    assert_eq!(guard.tool_calls[0].status, ToolStatus::Success);
    assert_eq!(guard.components[0].name, "invoke_agent");
    let inner = records.iter().find(|record| record.name == "invoke_agent").expect("it is there");
    assert_eq!((inner.parent, inner.trace_id), (Some(guard.id), guard.trace_id));
    assert_eq!(inner.usage().input_tokens(), 200);
}

#[test]
fn a_call_with_a_guard_of_its_own_is_counted_by_that_alone() {
    let meter = metered(|meter| {
        let op = meter.operation("qa_response").start();
        let _entered = op.enter();
        // The guard around the span, and the guard within it.
        let mut guard = op.llm_call("openai", "gpt-4o-mini").start();
        drop(call(100));
        guard.usage(TokenUsage::inclusive(100, 10));
        guard.succeed();
        call(200).in_scope(|| {
            let mut guard = op.llm_call("openai", "gpt-4o-mini").start();
            guard.usage(TokenUsage::inclusive(200, 10));
            guard.succeed();
        });
        // The layer alone.
        drop(call(300));
        assert_eq!(counts().expect("there is a layer").guarded_calls, 2);
        op.succeed();
    });
    let record = &meter.recent(1)[0];
    assert_eq!((record.llm_calls.len(), record.usage().input_tokens()), (3, 600));
}

#[test]
fn a_span_that_outlives_its_guard_is_an_operation_of_its_own() {
    let meter = metered(|meter| {
        let op = meter.operation("qa_response").start();
        let entered = op.enter();
        let stream = call(100);
        drop(entered);
        op.succeed();
        drop(stream);
    });
    let names: Vec<_> = meter.recent(2).iter().map(|record| record.name.to_string()).collect();
    assert_eq!(names, ["qa_response", "chat gpt-4o-mini"]);
    assert_eq!((meter.totals().usage.input_tokens(), meter.counts().late_parts), (100, 0));
}

#[test]
fn the_check_says_where_there_is_no_layer() {
    let without = tracing_subscriber::registry();
    tracing::subscriber::with_default(without, || {
        assert_eq!(check(), Check::NoLayer);
        assert_eq!(counts(), None);
        assert!(check().to_string().contains(".with(layer)"));
    });
}

#[test]
fn the_layer_does_not_keep_its_meter_and_counts_what_comes_after() {
    let sink = MemorySink::default();
    let meter = Meter::builder().sink(sink.clone()).build().expect("the worker starts");
    let subscriber = tracing_subscriber::registry().with(layer(&meter));
    tracing::subscriber::with_default(subscriber, || {
        drop(call(100));
        let open = call(200);
        drop(meter);
        assert_eq!(sink.records().len(), 1, "what has closed before is handed over");
        assert_eq!(check(), Check::Ended);
        assert!(check().to_string().contains("keep the meter"));
        drop(open);
        drop(call(300));
        assert_eq!(counts().expect("there is a layer").lost_spans, 2);
    });
    assert_eq!(sink.records().len(), 1);
}

#[test]
fn what_closes_after_a_shutdown_is_lost_and_counted() {
    let meter = metered(|meter| {
        drop(call(100));
        meter.shutdown(Duration::from_secs(5)).expect("nothing fails");
        drop(call(200));
        assert_eq!(counts().expect("there is a layer").lost_spans, 1);
    });
    assert_eq!(meter.totals().usage.input_tokens(), 100);
}

#[test]
fn a_reader_waits_for_what_is_not_read_yet() {
    // A reader waits for two seconds at most, and a busy machine reads some thousand spans a second.
    let meter = metered(|meter| {
        let dispatch = dispatcher::get_default(dispatcher::Dispatch::clone);
        thread::scope(|scope| {
            for _ in 0..4 {
                let dispatch = dispatch.clone();
                let work = || (0..250).for_each(|_| drop(call(1)));
                scope.spawn(move || dispatcher::with_default(&dispatch, work));
            }
        });
        assert_eq!(meter.totals().usage.input_tokens(), 1_000);
        let again = agent();
        again.in_scope(|| drop(call(1)));
        drop(again);
        meter.flush(Duration::from_mins(1)).expect("it is in time");
        assert_eq!(meter.counts().stored, 1_001);
    });
    assert_eq!(meter.totals().usage.input_tokens(), 1_001);
}

#[test]
fn a_call_that_a_guard_claims_is_counted_by_that_guard_alone() {
    let meter = metered(|meter| {
        let around = info_span!(
            "invoke_agent",
            gen_ai.operation.name = "invoke_agent",
            // The sum of its calls, as agents tell it.
            gen_ai.usage.input_tokens = 300_u64
        );
        around.in_scope(|| {
            call(100).in_scope(|| {
                let within = context::claim_call();
                let op = meter.operation("chat").remote_parent(within).start();
                op.record_usage("openai", "gpt-4o-mini", TokenUsage::new(100, 10));
            });
            // Nobody claims this one.
            drop(call(200));
        });
        drop(around);
        assert_eq!(context::claim_call(), None, "nothing is around");
        meter.totals();
        assert_eq!(counts().expect("there is a layer").guarded_calls, 1);
    });
    assert_eq!((meter.totals().usage.input_tokens(), meter.totals().operations()), (300, 2));
    let records = meter.recent(2);
    assert_eq!(records[0].trace_id, records[1].trace_id);
    assert!(records.iter().any(|record| record.name == "chat" && record.remote_parent.is_some()));
}

/// The warnings of taximeter.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "taximeter" {
            let mut shown = Shown::default();
            event.record(&mut shown);
            self.0.lock().unwrap().extend(shown.fields.remove("message"));
        }
    }
}

#[test]
fn a_layer_that_can_see_nothing_is_told_of_once() {
    let (meter, warnings) = (Meter::builder().build().unwrap(), Warnings::default());
    let subscriber = tracing_subscriber::registry()
        .with(layer(&meter))
        .with(warnings.clone())
        .with(LevelFilter::WARN);
    tracing::subscriber::with_default(subscriber, || {
        drop(call(100));
        meter.flush(Duration::from_secs(5)).expect("nothing fails");
        meter.totals();
        let notes = meter.session().notes;
        assert!(notes.iter().any(|note| note.contains("a filter over all layers")), "{notes:?}");
    });
    let warnings = warnings.0.lock().unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("give the filter to the layer it is meant for"), "{warnings:?}");
}

#[test]
fn a_layer_that_sees_is_not_told_of() {
    let (meter, warnings) = (Meter::builder().build().unwrap(), Warnings::default());
    let subscriber = tracing_subscriber::registry().with(layer(&meter)).with(warnings.clone());
    tracing::subscriber::with_default(subscriber, || {
        (0..100).for_each(|_| drop(info_span!("GET /health")));
        drop(call(100));
        meter.flush(Duration::from_secs(5)).expect("nothing fails");
        assert_eq!(meter.session().notes, Vec::<String>::new());
    });
    assert!(warnings.0.lock().unwrap().is_empty());
}

#[test]
fn a_meter_that_is_off_records_nothing() {
    let subscriber = tracing_subscriber::registry().with(layer(&Meter::off()));
    tracing::subscriber::with_default(subscriber, || agent().in_scope(|| drop(call(1))));
}

/// The spans of the target `taximeter`, as another layer sees them: name, parent, and fields.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<BTreeMap<u64, Shown>>>);

#[derive(Debug, Clone, Default, PartialEq)]
struct Shown {
    name: &'static str,
    parent: Option<&'static str>,
    fields: BTreeMap<String, String>,
    entered: u32,
}

impl Visit for Shown {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name().to_owned(), format!("{value:?}").replace('"', ""));
    }
}

impl Seen {
    fn change(&self, id: &Id, change: impl FnOnce(&mut Shown)) {
        change(self.0.lock().unwrap().entry(id.into_u64()).or_default());
    }
}

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for Seen {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let parent = context.span(id).and_then(|span| span.parent()).map(|parent| parent.name());
        self.change(id, |shown| {
            (shown.name, shown.parent) = (attributes.metadata().name(), parent);
            attributes.record(shown);
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        self.change(id, |shown| values.record(shown));
    }

    fn on_enter(&self, id: &Id, _: Context<'_, S>) {
        self.change(id, |shown| shown.entered += 1);
    }
}

#[test]
fn operations_are_spans_too_and_are_not_metered_again() {
    let seen = Seen::default();
    let meter = Meter::builder().tracing_spans(true).build().expect("the worker starts");
    let subscriber = tracing_subscriber::registry().with(layer(&meter)).with(seen.clone());
    tracing::subscriber::with_default(subscriber, || {
        let result: Result<(), _> = meter.scope("qa_response", |op| {
            let mut call = op.llm_call("openai", "gpt-4o").start();
            call.usage(TokenUsage::inclusive(1_200, 350).cache_read(200));
            call.succeed();
            op.tool("search").start().end(ToolStatus::Timeout);
            op.time("ranking", || drop(meter.operation("within").start()));
            Err(std::io::Error::from(std::io::ErrorKind::TimedOut))
        });
        result.expect_err("it is given on");
        assert!(matches!(check(), Check::NoSource | Check::NotCalled), "{:?}", check());
    });
    let totals = meter.totals();
    assert_eq!((totals.operations(), totals.usage.input_tokens()), (2, 1_200));
    assert!(meter.counts().adds_up());

    let seen = seen.0.lock().unwrap();
    let of = |name: &str, otel: &str| {
        let found =
            seen.values().find(|shown| shown.name == name && shown.fields["otel.name"] == otel);
        found.unwrap_or_else(|| panic!("{name} {otel} of {seen:#?}")).clone()
    };
    let operation = of("operation", "qa_response");
    assert_eq!((operation.parent, operation.entered), (None, 1));
    assert_eq!(operation.fields["otel.status_code"], "ERROR");
    assert_eq!(operation.fields["taximeter.outcome"], "failure");
    assert_eq!(of("operation", "within").parent, Some("operation"));
    let call = of("chat", "chat gpt-4o");
    assert_eq!((call.parent, call.entered), (Some("operation"), 0));
    for (field, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "gpt-4o"),
        ("gen_ai.usage.input_tokens", "1200"),
        ("gen_ai.usage.output_tokens", "350"),
        ("gen_ai.usage.cache_read.input_tokens", "200"),
    ] {
        assert_eq!(call.fields[field], value, "{field}");
    }
    let tool = of("execute_tool", "execute_tool search");
    assert_eq!((tool.parent, &*tool.fields["error.type"]), (Some("operation"), "timeout"));
    assert_eq!(of("component", "ranking").entered, 1);
}

/// A field that a span does not declare is dropped by `tracing`, whoever records it.
#[test]
fn all_that_a_call_tells_stands_on_its_span() {
    let seen = Seen::default();
    let clock = Arc::new(ManualClock::at(chrono::DateTime::UNIX_EPOCH));
    let meter = Meter::builder()
        .tracing_spans(true)
        .clock(clock.clone())
        .build()
        .expect("the worker starts");
    tracing::subscriber::with_default(tracing_subscriber::registry().with(seen.clone()), || {
        let op = meter.operation("qa_response").start();
        let mut call = op.llm_call("anthropic", "claude-sonnet-4-5").streamed(true).start();
        clock.advance(Duration::from_millis(250));
        call.first_token();
        call.served_model("claude-sonnet-4-5-20250929");
        call.finish_reason("end_turn");
        let usage = TokenUsage::inclusive(1_200, 350).cache_read(200);
        call.usage(usage.cache_write_5m(300).cache_write_1h(100).reasoning(50));
        call.fail(&std::io::Error::from(std::io::ErrorKind::TimedOut));
        op.succeed();
    });
    let seen = seen.0.lock().unwrap();
    let chat = seen.values().find(|shown| shown.name == "chat").expect("it is shown");
    for (field, value) in [
        ("otel.name", "chat claude-sonnet-4-5"),
        ("otel.kind", "client"),
        ("otel.status_code", "ERROR"),
        ("error.type", "timeout"),
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "anthropic"),
        ("gen_ai.request.model", "claude-sonnet-4-5"),
        ("gen_ai.request.stream", "true"),
        ("gen_ai.response.model", "claude-sonnet-4-5-20250929"),
        ("gen_ai.response.finish_reasons", "end_turn"),
        ("gen_ai.response.time_to_first_chunk", "0.25"),
        ("gen_ai.usage.input_tokens", "1200"),
        ("gen_ai.usage.output_tokens", "350"),
        ("gen_ai.usage.cache_read.input_tokens", "200"),
        ("gen_ai.usage.cache_creation.input_tokens", "400"),
        ("gen_ai.usage.reasoning.output_tokens", "50"),
    ] {
        assert_eq!(chat.fields.get(field).map(String::as_str), Some(value), "{field}");
    }
}
