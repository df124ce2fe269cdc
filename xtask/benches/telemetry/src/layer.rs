//! What a layer costs for each span of an instrumented library, beside that of tracing-opentelemetry.
//!
//! The spans are those of rig 0.44, with its fields, most of them recorded late. Both layers end where a span leaves the
//! threads of the program: theirs as `SpanData`, ours as what a worker reads; both are dropped. What the reading costs
//! stands below, as if the program did it at once. In the second pair ours go through a meter, and theirs through the batch
//! processor; what the threads behind do is in the column of all threads. What the registry costs by itself stands last.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, InMemorySpanExporter, SdkTracerProvider, SpanData, SpanExporter,
    SpanProcessor,
};
use taximeter::models::{OperationRecord, Unit};
use taximeter::{Clock, Meter, SystemClock};
use taximeter_telemetry::layer::{Recorder, Unread, layer};
use tracing::field::Empty;
use tracing::subscriber::with_default;
use tracing::{Subscriber, info_span};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;

use crate::Case;

/// Runs of an agent in a round; each is an agent, three calls and two tools.
const RUNS: u64 = 2_000;
const SPANS: u64 = RUNS * 6;

/// What ours may take of theirs.
pub(crate) const BOUND: f64 = 1.0 / 3.0;

pub(crate) const OURS: &str = "our layer";
pub(crate) const THEIRS: &str = "tracing-opentelemetry";

pub(crate) fn cases() -> Vec<Case> {
    let case = |what, run: Box<dyn Fn() -> u64>| Case {
        what,
        bound: None,
        run,
        spans: SPANS,
        bytes_per_span: 0,
    };
    vec![
        case(OURS, Box::new(|| under(registry().with(layer(Dropped::new(false)))))),
        case(
            THEIRS,
            Box::new(|| {
                let provider = SdkTracerProvider::builder().with_span_processor(Drops).build();
                under(registry().with(opentelemetry_layer(&provider)))
            }),
        ),
        case("our layer, and all is read at once", {
            Box::new(|| under(registry().with(layer(Dropped::new(true)))))
        }),
        case(
            "our layer, and a meter",
            Box::new(|| {
                let meter = Meter::builder().build().expect("the worker starts");
                let spans = under(registry().with(taximeter::tracing::layer(&meter)));
                meter.flush(Duration::from_secs(60)).expect("it is taken");
                spans
            }),
        ),
        case(
            "tracing-opentelemetry, and the batch processor",
            Box::new(|| {
                let processor = BatchSpanProcessor::builder(Drops).build();
                let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
                let spans = under(registry().with(opentelemetry_layer(&provider)));
                provider.shutdown().expect("it is taken");
                spans
            }),
        ),
        case("the registry alone", Box::new(|| under(registry()))),
    ]
}

fn opentelemetry_layer<S>(
    provider: &SdkTracerProvider,
) -> tracing_opentelemetry::OpenTelemetryLayer<S, opentelemetry_sdk::trace::SdkTracer>
where
    S: Subscriber + for<'span> tracing_subscriber::registry::LookupSpan<'span>,
{
    // The attributes of the spans and no others: neither places in the source nor threads nor idle times.
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("bench"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_target(false)
}

/// Runs the program under a subscriber of its own, made and dropped within: two at a time would ask each other.
fn under(subscriber: impl Subscriber + Send + Sync + 'static) -> u64 {
    with_default(subscriber, || (0..RUNS).for_each(agent));
    SPANS
}

fn agent(run: u64) {
    let agent = info_span!(
        target: "rig_agent::agent::telemetry",
        parent: None,
        "invoke_agent",
        gen_ai.operation.name = "invoke_agent",
        gen_ai.agent.name = "assistant",
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        gen_ai.usage.cache_creation.input_tokens = Empty
    );
    let entered = agent.enter();
    for turn in 0..3 {
        call(run, turn);
        if turn < 2 {
            tool(turn);
        }
    }
    drop(entered);
    agent.record("gen_ai.usage.input_tokens", 3 * (1_000 + run));
    agent.record("gen_ai.usage.output_tokens", 900_u64);
}

fn call(run: u64, turn: u64) {
    let span = info_span!(
        target: "rig::agent_chat",
        "chat",
        rig.completion_parent = true,
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = Empty,
        gen_ai.request.model = Empty,
        gen_ai.request.stream = Empty,
        gen_ai.response.id = Empty,
        gen_ai.response.model = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        gen_ai.usage.cache_creation.input_tokens = Empty,
        gen_ai.usage.tool_use_prompt_tokens = Empty,
        gen_ai.usage.reasoning_tokens = Empty,
        gen_ai.input.messages = Empty,
        gen_ai.output.messages = Empty,
        gen_ai.agent.name = "assistant"
    );
    let _entered = span.enter();
    span.record("gen_ai.provider.name", "openai");
    span.record("gen_ai.request.model", "gpt-4o-mini");
    span.record("gen_ai.request.stream", turn == 2);
    span.record("gen_ai.response.id", "chatcmpl-00000000000000000000000000000");
    span.record("gen_ai.response.model", "gpt-4o-mini-2024-07-18");
    span.record("gen_ai.usage.input_tokens", 1_000 + run);
    span.record("gen_ai.usage.output_tokens", 300_u64);
    span.record("gen_ai.usage.cache_read.input_tokens", 512_u64);
    span.record("gen_ai.usage.reasoning_tokens", 64_u64);
}

fn tool(turn: u64) {
    let span = info_span!(
        target: "rig_agent::agent::telemetry",
        "execute_tool",
        gen_ai.operation.name = "execute_tool",
        gen_ai.tool.r#type = "function",
        gen_ai.tool.name = Empty,
        gen_ai.tool.call.id = Empty,
        gen_ai.tool.call.arguments = Empty,
        gen_ai.tool.call.result = Empty,
        gen_ai.tool.call.outcome = Empty
    );
    let _entered = span.enter();
    span.record("gen_ai.tool.name", if turn == 0 { "search" } else { "fetch" });
    span.record("gen_ai.tool.call.id", "call_000000000000000000000000");
    span.record("gen_ai.tool.call.outcome", "success");
}

/// Drops what our layer hands over, or what it reads of it.
struct Dropped {
    /// That of a meter.
    clock: SystemClock,
    tokens: Arc<AtomicU64>,
    kept: Arc<Mutex<Vec<OperationRecord>>>,
    reads: bool,
    keeps: bool,
}

impl Dropped {
    fn new(reads: bool) -> Self {
        let (tokens, kept) = (Arc::default(), Arc::default());
        Self { clock: SystemClock::default(), tokens, kept, reads, keeps: false }
    }
}

impl Recorder for Dropped {
    type Within = ();

    fn current(&self) -> Option<()> {
        None
    }

    fn llm_guards(&self, (): &()) -> (u64, u64) {
        (0, 0)
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    fn wall(&self) -> u64 {
        let now = self.clock.wall().timestamp_nanos_opt();
        now.and_then(|now| u64::try_from(now).ok()).unwrap_or_default()
    }

    fn record(&self, records: Vec<OperationRecord>, _: Option<&()>) {
        for record in &records {
            self.tokens.fetch_add(record.usage().total_tokens(), Ordering::Relaxed);
        }
        if self.keeps {
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).extend(records);
        }
    }

    fn later(&self, unread: Unread) {
        if self.reads {
            self.record(unread.read(), None);
        }
    }
}

/// Drops what their layer reads.
#[derive(Debug)]
struct Drops;

impl SpanProcessor for Drops {
    fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &opentelemetry::Context) {}

    fn on_end(&self, _: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl SpanExporter for Drops {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }
}

/// Both layers have the same spans with the same attributes, as they were made.
pub(crate) fn check() {
    let dropped = Dropped { keeps: true, ..Dropped::new(true) };
    let kept = Arc::clone(&dropped.kept);
    with_default(registry().with(layer(dropped)), || agent(7));
    let ours = std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner));
    let [ours] = ours.as_slice() else { panic!("one operation, and not {}", ours.len()) };

    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    with_default(registry().with(opentelemetry_layer(&provider)), || agent(7));
    let theirs = exporter.get_finished_spans().expect("they are in memory");
    assert_eq!(theirs.len(), 6, "an agent, three calls, two tools");

    let attribute = |span: &SpanData, key: &str| {
        let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == key);
        found.map(|attribute| attribute.value.to_string()).unwrap_or_default()
    };
    let calls: Vec<_> = theirs.iter().filter(|span| span.name == "chat").collect();
    assert_eq!((ours.llm_calls.len(), calls.len()), (3, 3));
    for (ours, theirs) in ours.llm_calls.iter().zip(calls) {
        let usage = ours.usage.as_ref().expect("it is told");
        let name = |name: &Option<taximeter::Name>| name.as_deref().unwrap_or_default().to_owned();
        for (key, value) in [
            ("gen_ai.provider.name", name(&ours.provider)),
            ("gen_ai.request.model", name(&ours.request_model)),
            ("gen_ai.response.model", name(&ours.response_model)),
            (
                "gen_ai.response.id",
                ours.metadata["gen_ai.response.id"].as_str().unwrap().to_owned(),
            ),
            ("gen_ai.request.stream", ours.streamed.to_string()),
            ("gen_ai.usage.input_tokens", usage.input_tokens().to_string()),
            ("gen_ai.usage.output_tokens", usage.output_tokens().to_string()),
            ("gen_ai.usage.cache_read.input_tokens", usage.get(Unit::CacheRead).to_string()),
            ("gen_ai.usage.reasoning_tokens", usage.get(Unit::Reasoning).to_string()),
        ] {
            assert_eq!(attribute(theirs, key), value, "{key}");
        }
    }
    let tools: Vec<_> = theirs.iter().filter(|span| span.name == "execute_tool").collect();
    assert_eq!((ours.tool_calls.len(), tools.len()), (2, 2));
    for (ours, theirs) in ours.tool_calls.iter().zip(tools) {
        assert_eq!(attribute(theirs, "gen_ai.tool.name"), ours.name.as_str());
        assert_eq!(attribute(theirs, "gen_ai.tool.call.id"), ours.metadata["gen_ai.tool.call.id"]);
    }
    assert_eq!(ours.usage().input_tokens(), 3_021);
}
