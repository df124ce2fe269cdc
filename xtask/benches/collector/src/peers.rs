//! The nearest that the peers have to the standard operation.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use fastrace::collector::{Config, Reporter, SpanRecord};
use fastrace::prelude::{LocalSpan, Span, SpanContext};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as OtelSpan, TraceContextExt, Tracer, TracerProvider};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, InMemorySpanExporter, SdkTracerProvider,
};

use tracing_subscriber::layer::SubscriberExt;

use crate::{Case, Input, WORDS};

pub const FASTRACE: &str = "fastrace 0.7, local spans, run-time strings";
pub const FASTRACE_LITERALS: &str = "fastrace 0.7, local spans, literal names";
pub const OPENTELEMETRY: &str = "opentelemetry_sdk, spans, run-time strings";

const COMPONENTS: [&str; 3] = WORDS.components;
const TOOLS: [&str; 2] = WORDS.tools;

pub fn cases() -> Vec<Case> {
    vec![
        fastrace_run_time(),
        fastrace_literals(),
        opentelemetry_run_time(),
        opentelemetry_literals(),
        opentelemetry_events(),
        tracing_opentelemetry(),
        tracing_registry(),
        metrics_prometheus(),
        straightforward(),
    ]
}

/// Takes the spans, and keeps the last batch of them.
struct Keeps(Vec<SpanRecord>);

impl Reporter for Keeps {
    fn report(&mut self, spans: Vec<SpanRecord>) {
        self.0 = spans;
    }
}

/// All of fastrace's cases share one reporter, which the first of them sets.
fn fastrace_run_time() -> Case {
    let config = Config::default().report_interval(Duration::from_millis(100));
    fastrace::set_reporter(Keeps(Vec::new()), config);
    let record = |input: &Input| {
        let words = &input.words;
        let root = Span::root(input.name.clone(), SpanContext::random());
        let _guard = root.set_local_parent();
        LocalSpan::add_properties(|| {
            [
                (words.user.clone(), input.user.clone()),
                (words.number.clone(), input.number.to_string()),
                ("provider".to_owned(), words.provider.clone()),
                ("model".to_owned(), words.model.clone()),
                ("input_tokens".to_owned(), "1200".to_owned()),
                ("output_tokens".to_owned(), "350".to_owned()),
            ]
        });
        for component in &words.components {
            let _span = LocalSpan::enter_with_local_parent(component.clone());
        }
        for (tool, url) in words.tools.iter().zip(&input.urls) {
            let _span = LocalSpan::enter_with_local_parent(tool.clone()).with_properties(|| {
                [(words.url.clone(), url.clone()), (words.hits.clone(), input.number.to_string())]
            });
        }
    };
    fastrace_case(FASTRACE, record)
}

fn fastrace_literals() -> Case {
    let record = |input: &Input| {
        let root = Span::root("qa_response", SpanContext::random());
        let _guard = root.set_local_parent();
        LocalSpan::add_properties(|| {
            [
                (WORDS.user, input.user.clone()),
                (WORDS.number, input.number.to_string()),
                ("provider", "openai".to_owned()),
                ("model", "gpt-4".to_owned()),
                ("input_tokens", "1200".to_owned()),
                ("output_tokens", "350".to_owned()),
            ]
        });
        for component in COMPONENTS {
            let _span = LocalSpan::enter_with_local_parent(component);
        }
        for (tool, url) in TOOLS.into_iter().zip(&input.urls) {
            let _span = LocalSpan::enter_with_local_parent(tool).with_properties(|| {
                [(WORDS.url, url.clone()), (WORDS.hits, input.number.to_string())]
            });
        }
    };
    fastrace_case(FASTRACE_LITERALS, record)
}

fn fastrace_case(what: &'static str, record: fn(&Input)) -> Case {
    let (record, flush) = (Box::new(record), Box::new(fastrace::flush));
    Case { what, record, flush, kept: "6 spans" }
}

/// A provider whose spans end in memory, in batches; what flushes it, and sees that each operation has its spans.
fn in_batches(spans_each: usize) -> (SdkTracerProvider, Box<dyn Fn()>) {
    let exporter = InMemorySpanExporter::default();
    let config = BatchConfigBuilder::default().with_max_queue_size(16_384).build();
    let processor = BatchSpanProcessor::builder(exporter.clone()).with_batch_config(config).build();
    let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
    let flushed = provider.clone();
    let flush = move || {
        // It waits for five seconds each time, which is too little where the machine stands still.
        let is_flushed = (0..12).any(|_| flushed.force_flush().is_ok());
        assert!(is_flushed, "the exporter is in memory");
        let spans = exporter.get_finished_spans().expect("the exporter is in memory").len();
        assert!(spans == 0 || spans == spans_each * crate::CHUNK, "{spans} spans came out");
        exporter.reset();
    };
    (provider, Box::new(flush))
}

fn put_attributes(span: &mut impl OtelSpan, input: &Input) {
    span.set_attribute(KeyValue::new("user_id", input.user.clone()));
    span.set_attribute(KeyValue::new("number", input.number as i64));
    span.set_attribute(KeyValue::new("gen_ai.provider.name", "openai"));
    span.set_attribute(KeyValue::new("gen_ai.request.model", "gpt-4"));
    span.set_attribute(KeyValue::new("gen_ai.usage.input_tokens", 1_200));
    span.set_attribute(KeyValue::new("gen_ai.usage.output_tokens", 350));
}

fn opentelemetry_run_time() -> Case {
    let (provider, flush) = in_batches(6);
    let tracer = provider.tracer("bench");
    let record = move |input: &Input| {
        let words = &input.words;
        let mut root = tracer.start(input.name.clone());
        root.set_attribute(KeyValue::new(words.user.clone(), input.user.clone()));
        root.set_attribute(KeyValue::new(words.number.clone(), input.number as i64));
        root.set_attribute(KeyValue::new("gen_ai.provider.name", words.provider.clone()));
        root.set_attribute(KeyValue::new("gen_ai.request.model", words.model.clone()));
        root.set_attribute(KeyValue::new("gen_ai.usage.input_tokens", 1_200));
        root.set_attribute(KeyValue::new("gen_ai.usage.output_tokens", 350));
        let context =
            opentelemetry::Context::new().with_remote_span_context(root.span_context().clone());
        for component in &words.components {
            tracer.start_with_context(component.clone(), &context).end();
        }
        for (tool, url) in words.tools.iter().zip(&input.urls) {
            let mut span = tracer.start_with_context(tool.clone(), &context);
            span.set_attribute(KeyValue::new(words.url.clone(), url.clone()));
            span.set_attribute(KeyValue::new(words.hits.clone(), input.number as i64));
            span.end();
        }
        root.end();
    };
    let what = OPENTELEMETRY;
    Case { what, record: Box::new(record), flush, kept: "6 spans" }
}

fn opentelemetry_literals() -> Case {
    let (provider, flush) = in_batches(6);
    let tracer = provider.tracer("bench");
    let record = move |input: &Input| {
        let mut root = tracer.start("qa_response");
        put_attributes(&mut root, input);
        let context =
            opentelemetry::Context::new().with_remote_span_context(root.span_context().clone());
        for component in COMPONENTS {
            tracer.start_with_context(component, &context).end();
        }
        for (tool, url) in TOOLS.into_iter().zip(&input.urls) {
            let mut span = tracer.start_with_context(tool, &context);
            span.set_attribute(KeyValue::new("url", url.clone()));
            span.set_attribute(KeyValue::new("hits", input.number as i64));
            span.end();
        }
        root.end();
    };
    let what = "opentelemetry_sdk, spans, literal names";
    Case { what, record: Box::new(record), flush, kept: "6 spans" }
}

fn opentelemetry_events() -> Case {
    let (provider, flush) = in_batches(1);
    let tracer = provider.tracer("bench");
    let record = move |input: &Input| {
        let mut root = tracer.start("qa_response");
        put_attributes(&mut root, input);
        for component in COMPONENTS {
            root.add_event(component, vec![KeyValue::new("duration_ns", 3_000_000)]);
        }
        for (tool, url) in TOOLS.into_iter().zip(&input.urls) {
            let url = KeyValue::new("url", url.clone());
            let hits = KeyValue::new("hits", input.number as i64);
            root.add_event(tool, vec![url, hits, KeyValue::new("duration_ns", 3_000_000)]);
        }
        root.end();
    };
    let what = "opentelemetry_sdk, one span with events, literals";
    Case { what, record: Box::new(record), flush, kept: "1 span" }
}

fn tracing_opentelemetry() -> Case {
    let (provider, flush) = in_batches(6);
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("bench"));
    let dispatch = tracing::Dispatch::new(tracing_subscriber::registry().with(layer));
    let what = "tracing + tracing-opentelemetry";
    Case { what, record: Box::new(traced(dispatch)), flush, kept: "6 spans" }
}

fn tracing_registry() -> Case {
    let dispatch = tracing::Dispatch::new(tracing_subscriber::registry());
    Case {
        what: "tracing, registry alone",
        record: Box::new(traced(dispatch)),
        flush: Box::new(|| ()),
        kept: "nothing",
    }
}

/// The standard operation as spans of `tracing`.
fn traced(dispatch: tracing::Dispatch) -> impl Fn(&Input) {
    move |input: &Input| {
        tracing::dispatcher::with_default(&dispatch, || {
            let root = tracing::info_span!(
                "operation",
                name = input.name.as_str(),
                user_id = input.user.as_str(),
                number = input.number,
                provider = "openai",
                model = "gpt-4",
                input_tokens = 1_200,
                output_tokens = 350
            );
            let _entered = root.enter();
            for component in COMPONENTS {
                drop(tracing::info_span!("component", component).entered());
            }
            for (tool, url) in TOOLS.into_iter().zip(&input.urls) {
                drop(
                    tracing::info_span!("tool", tool, url = url.as_str(), hits = input.number)
                        .entered(),
                );
            }
        });
    }
}

fn metrics_prometheus() -> Case {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let record = move |input: &Input| {
        metrics::with_local_recorder(&recorder, || {
            let began = Instant::now();
            for component in COMPONENTS {
                metrics::histogram!("component_seconds", "component" => component).record(0.003);
            }
            for tool in TOOLS {
                metrics::counter!("tool_calls", "tool" => tool, "status" => "success").increment(1);
                metrics::histogram!("tool_seconds", "tool" => tool).record(0.003);
            }
            metrics::counter!("input_tokens", "model" => "gpt-4").increment(1_200);
            metrics::counter!("output_tokens", "model" => "gpt-4").increment(350);
            metrics::counter!("operations", "name" => input.name.clone(), "status" => "success")
                .increment(1);
            metrics::histogram!("seconds", "name" => input.name.clone()).record(began.elapsed());
        });
    };
    Case {
        what: "metrics, Prometheus exporter",
        record: Box::new(record),
        flush: Box::new(move || handle.run_upkeep()),
        kept: "sums",
    }
}

/// Owned texts behind one mutex: what one writes in an afternoon.
fn straightforward() -> Case {
    type Pairs = Vec<(String, String)>;
    struct Record {
        _name: String,
        _metadata: Pairs,
        _components: Vec<(String, Duration)>,
        _tools: Vec<(String, Pairs)>,
        _usage: (String, String, u64, u64),
        _took: Duration,
    }
    let records = std::rc::Rc::new(Mutex::new(Vec::<Record>::new()));
    let flushed = std::rc::Rc::clone(&records);
    let record = move |input: &Input| {
        let began = Instant::now();
        let pair = |key: &str, value: String| (key.to_owned(), value);
        let number = || pair("number", input.number.to_string());
        let component = |name: &str| (name.to_owned(), began.elapsed());
        let tool = |(name, url): (&str, &String)| {
            (name.to_owned(), vec![pair("url", url.clone()), number()])
        };
        let record = Record {
            _name: input.name.clone(),
            _metadata: vec![pair("user_id", input.user.clone()), number()],
            _components: COMPONENTS.map(component).into(),
            _tools: TOOLS.into_iter().zip(&input.urls).map(tool).collect(),
            _usage: ("openai".to_owned(), "gpt-4".to_owned(), 1_200, 350),
            _took: began.elapsed(),
        };
        records.lock().expect("nobody panics here").push(record);
    };
    Case {
        what: "owned texts behind a mutex",
        record: Box::new(record),
        flush: Box::new(move || flushed.lock().expect("nobody panics here").clear()),
        kept: "the record, unpriced",
    }
}
