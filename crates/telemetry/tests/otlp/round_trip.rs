//! What goes out comes back through our own receiver as it was.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use proptest::prelude::*;
use prost::Message;
use taximeter_models::{
    ComponentTiming, CostOutcome, Currency, ErrorCategory, ErrorRecord, LlmCall, Name, OperationId,
    OperationRecord, Outcome, ReportedCost, SpanId, TokenUsage, ToolCall, ToolStatus, TraceId,
    Unit, Warning,
};
use taximeter_telemetry::export::{Convention, Resource, metrics, traces};
use taximeter_telemetry::metrics::{DURATION_SECONDS, Instruments, TOKENS};
use taximeter_telemetry::otlp::{Receiver, Settings};

use crate::support::{Capture, post};

fn start() -> DateTime<Utc> {
    "2026-11-26T12:00:00.123456789Z".parse().unwrap()
}

fn id(number: u64) -> OperationId {
    let millis = u128::try_from(start().timestamp_millis()).unwrap();
    OperationId::from_bits(millis << 80 | 7 << 76 | 0b10 << 62 | u128::from(number))
}

/// Sends operations as they go out, and gives what comes back, by id.
fn back(records: &[OperationRecord], convention: Convention) -> Vec<OperationRecord> {
    let body = traces(records, &Resource::named("app"), convention).unwrap();
    let receiver = Receiver::new(Settings::default(), start());
    let capture = Capture {
        path: "/v1/traces",
        content_type: "application/x-protobuf",
        content_encoding: None,
        body,
    };
    let response = post(&receiver, &capture, start());
    assert_eq!(
        (response.status, response.body.len()),
        (200, 0),
        "{:?}",
        String::from_utf8_lossy(&response.body)
    );
    let mut back = receiver.take(start() + TimeDelta::hours(1));
    back.sort_by_key(|record| record.id);
    back
}

/// The one thing that is added: the service that sent it.
fn with_service(mut record: OperationRecord) -> OperationRecord {
    record.tags.entry("service.name".into()).or_insert_with(|| "app".into());
    record
}

fn full() -> OperationRecord {
    let mut record = OperationRecord::new("qa_response");
    record.id = id(1);
    record.trace_id = TraceId::from_bits(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
    record.remote_parent = Some(SpanId::from_bits(0xf0_67aa_0ba9_02b7));
    record.started_at = start();
    record.duration = Duration::from_nanos(1_500_000_001);
    record.outcome = Outcome::Failure;
    record.user = Some("ünal".into());
    record.session = Some("conversation 7".into());
    record.tags.insert("team".into(), "search".into());
    record.metadata.insert("passages".into(), 12.into());
    record.metadata.insert("nested".into(), serde_json::json!({"a": [1.5, null]}));
    record.components.push(ComponentTiming {
        name: "retrieval".into(),
        offset: Some(Duration::from_millis(3)),
        duration: Duration::from_millis(20),
        count: 1,
    });
    let mut error = ErrorRecord::new(ErrorCategory::RateLimit, "slow down").within("llm");
    error.causes.push("429".into());
    record.errors = vec![error.clone(), ErrorRecord::new(ErrorCategory::Unknown, "")];
    record
        .warnings
        .push(Warning { message: "no passage".into(), component: Some("retrieval".into()) });
    (record.unlisted_errors, record.unlisted_warnings) = (2, 3);
    let mut tool = ToolCall::new("search", ToolStatus::Failure).lasting(Duration::from_millis(9));
    tool.started_at = Some(start() + TimeDelta::milliseconds(30));
    (tool.attempt, tool.arguments_hash, tool.error) = (3, Some(u64::MAX), Some(error.clone()));
    tool.metadata.insert("gen_ai.tool.call.id".into(), "call_1".into());
    record.tool_calls.push(tool);
    let mut call = LlmCall::new("openai", "gpt-4o").lasting(Duration::from_nanos(800_000_001));
    call.usage = Some(
        TokenUsage::inclusive(1_200, 350)
            .cache_read(200)
            .cache_write(100)
            .reasoning(50)
            .build()
            .unwrap(),
    );
    call.response_model = Some("gpt-4o-2024-08-06".into());
    call.started_at = Some(start() + TimeDelta::milliseconds(50));
    call.finish_reason = Some("stop".into());
    call.time_to_first_token = Some(Duration::from_nanos(123_456_789));
    (call.streamed, call.attempt) = (true, 2);
    call.served_tier = Some("flex".into());
    call.served_as.insert("region".into(), "eu".into());
    (call.prompt_prefix_hash, call.arguments_hash, call.context_window) =
        (Some(1), Some(2), Some(128_000));
    call.cost = CostOutcome::ProviderReported(ReportedCost {
        total: "0.00625".parse().unwrap(),
        input: Some("0.001".parse().unwrap()),
        output: None,
        currency: Currency::USD,
    });
    call.metadata.insert("gen_ai.response.id".into(), "chatcmpl-1".into());
    let mut buckets = [0_u64; 15];
    (buckets[1], buckets[14]) = (40, 2);
    let waited = serde_json::json!({ "buckets": buckets, "sum_ns": 200_700_000_000_u64 });
    call.metadata.insert("time_per_output_chunk".into(), waited);
    let mut embedding = LlmCall::new("bedrock", "titan");
    embedding.usage = Some(TokenUsage::inclusive(8, 0).unit(Unit::InputImage, 3).build().unwrap());
    embedding.metadata.insert("gen_ai.operation.name".into(), "embeddings".into());
    embedding.started_at = Some(start() + TimeDelta::seconds(1));
    embedding.cost = CostOutcome::UnknownModel { nearest: vec!["titan-v2".into()] };
    let mut failed = LlmCall::new("anthropic", "claude-sonnet-4-5");
    (failed.error, failed.cost) = (Some(error), CostOutcome::NoUsage);
    failed.started_at = Some(start() + TimeDelta::milliseconds(1_200));
    failed.duration = Some(Duration::from_millis(1));
    record.llm_calls = vec![call, embedding, failed];
    record
}

#[test]
fn an_operation_with_everything_comes_back_as_it_was() {
    let mut within = OperationRecord::new("plan");
    (within.id, within.parent, within.trace_id) = (id(2), Some(id(1)), full().trace_id);
    (within.started_at, within.outcome) = (start(), Outcome::Abandoned);
    within.llm_calls.push(LlmCall::default());
    within.add_component("untold", Duration::from_millis(5));
    for convention in [Convention::Current, Convention::Older] {
        let sent = [full(), within.clone()];
        let back = back(&sent, convention);
        let expected = sent.map(with_service);
        assert_eq!(back, expected, "{convention:?}");
    }
}

/// An agent within the operation with everything.
fn agent() -> OperationRecord {
    let mut agent = OperationRecord::new("finds the passages");
    (agent.id, agent.parent, agent.trace_id) = (id(3), Some(id(1)), full().trace_id);
    (agent.started_at, agent.duration) = (start(), Duration::from_millis(250));
    agent.metadata.insert("gen_ai.agent.name".into(), "finder".into());
    agent.tool_calls = full().tool_calls;
    agent
}

#[test]
fn an_agent_goes_out_as_one_and_comes_back_as_it_was() {
    let body = traces(&[agent()], &Resource::named("app"), Convention::Current).unwrap();
    let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
    assert_eq!(request.resource_spans[0].scope_spans[0].spans[0].name, "invoke_agent finder");
    let sent = [full(), agent()];
    assert_eq!(back(&sent, Convention::Current), sent.map(with_service));
}

#[test]
fn a_price_comes_back_as_its_sum() {
    let mut record = full();
    let json = serde_json::json!({"outcome": "priced", "currency": "USD", "lines": [], "card": {
        "provider": "p", "model": "m", "basis": "documented", "source": "s"}, "match_kind": "exact"});
    let Ok(priced) = serde_json::from_value::<CostOutcome>(json.clone()) else {
        panic!("{:?}", serde_json::from_value::<CostOutcome>(json));
    };
    record.llm_calls[0].cost = priced.clone();
    let (total, currency) = priced.amount().unwrap();
    let recorded = ReportedCost { total, input: None, output: None, currency };
    let cost = &back(&[record], Convention::Current)[0].llm_calls[0].cost;
    assert_eq!(*cost, CostOutcome::Recorded(recorded));
}

#[test]
fn spans_have_the_names_kinds_and_attributes_of_their_convention() {
    let spans = |convention| {
        let body = traces(&[full()], &Resource::named("app"), convention).unwrap();
        let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        request.resource_spans[0].scope_spans[0].spans.clone()
    };
    let current = spans(Convention::Current);
    let names: Vec<_> = current.iter().map(|span| (span.name.as_str(), span.kind)).collect();
    let expected = [
        ("invoke_workflow qa_response", 1),
        ("retrieval", 1),
        ("execute_tool search", 1),
        ("chat gpt-4o", 3),
        ("embeddings titan", 3),
        ("chat claude-sonnet-4-5", 3),
    ];
    assert_eq!(names, expected);
    assert_eq!((current[0].flags, current[0].parent_span_id.len()), (0x301, 8));
    assert!(current[1..].iter().all(|span| span.parent_span_id == current[0].span_id));
    let keys =
        |span: usize, spans: &[opentelemetry_proto::tonic::trace::v1::Span]| -> Vec<String> {
            spans[span].attributes.iter().map(|attribute| attribute.key.clone()).collect()
        };
    let (new, old) = (keys(3, &current), keys(3, &spans(Convention::Older)));
    for key in [
        "gen_ai.provider.name",
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.input_tokens",
    ] {
        assert!(new.iter().any(|known| known == key), "{key} in {new:?}");
    }
    assert!(
        old.iter().any(|key| key == "gen_ai.system")
            && !old.iter().any(|key| key == "gen_ai.provider.name")
    );
    assert!(current[3].attributes.iter().all(|attribute| attribute.value.is_some()));
    assert_eq!((current[5].status.as_ref().unwrap().code, &current[3].status), (2, &None));
}

#[test]
fn metrics_have_the_boundaries_of_the_convention_and_the_sums_of_the_instruments() {
    let mut instruments = Instruments::default();
    instruments.observe(&full());
    instruments.observe(&agent());
    let body = metrics(instruments.families(), &Resource::named("app"), start(), start()).unwrap();
    let request = ExportMetricsServiceRequest::decode(body.as_slice()).unwrap();
    let found = &request.resource_metrics[0].scope_metrics[0].metrics;
    let histogram = |name: &str| {
        let metric =
            found.iter().find(|metric| metric.name == name).unwrap_or_else(|| panic!("{name}"));
        let Some(Data::Histogram(histogram)) = &metric.data else { panic!("{metric:?}") };
        (metric.unit.clone(), histogram.data_points.clone())
    };
    let agents = (0..13).map(|at| 0.1 * f64::from(1 << at)).collect();
    let workflows =
        vec![1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0];
    let calls: Vec<_> = (0..8).map(|at| f64::from(1 << at)).collect();
    for (name, unit, bounds) in [
        ("gen_ai.client.token.usage", "{token}", TOKENS.to_vec()),
        ("gen_ai.client.operation.duration", "s", DURATION_SECONDS.to_vec()),
        ("gen_ai.client.operation.time_to_first_chunk", "s", DURATION_SECONDS.to_vec()),
        ("gen_ai.client.operation.time_per_output_chunk", "s", DURATION_SECONDS.to_vec()),
        ("gen_ai.execute_tool.duration", "s", DURATION_SECONDS.to_vec()),
        ("gen_ai.invoke_agent.duration", "s", agents),
        ("gen_ai.invoke_agent.inference_calls", "{inference_call}", calls.clone()),
        ("gen_ai.invoke_agent.tool_calls", "{tool_call}", calls),
        ("gen_ai.invoke_workflow.duration", "s", workflows),
    ] {
        let (told, points) = histogram(name);
        assert_eq!((told.as_str(), &points[0].explicit_bounds), (unit, &bounds), "{name}");
        assert_eq!(points[0].bucket_counts.iter().sum::<u64>(), points[0].count);
        // When the parts of a reply came was counted before.
        let exemplar = points[0].exemplars.first().map(|exemplar| exemplar.trace_id.clone());
        let trace = full().trace_id.bits().to_be_bytes().to_vec();
        assert_eq!(exemplar, (!name.contains("output_chunk")).then_some(trace), "{name}");
    }
    let only = |name: &str| {
        let (_, points) = histogram(name);
        assert_eq!(points.len(), 1, "{name}");
        (points[0].count, points[0].sum.unwrap())
    };
    for (name, count, sum) in [
        ("gen_ai.client.operation.time_per_output_chunk", 42, 200.7),
        ("gen_ai.invoke_agent.duration", 1, 0.25),
        ("gen_ai.invoke_agent.inference_calls", 1, 0.0),
        ("gen_ai.invoke_agent.tool_calls", 1, 1.0),
        ("gen_ai.invoke_workflow.duration", 1, 1.500_000_001),
    ] {
        let (counted, summed) = only(name);
        assert!(counted == count && (summed - sum).abs() < 1e-9, "{name}: {counted}, {summed}");
    }
    let tokens: f64 =
        histogram("gen_ai.client.token.usage").1.iter().filter_map(|point| point.sum).sum();
    #[expect(clippy::cast_precision_loss, reason = "there are few tokens")]
    let expected = full().usage().total_tokens() as f64;
    assert!((tokens - expected).abs() < 1e-9);
    let cost = found.iter().find(|metric| metric.name == "taximeter.cost").unwrap();
    assert!(
        matches!(&cost.data, Some(Data::Sum(sum)) if sum.is_monotonic && sum.aggregation_temporality == 2)
    );
}

prop_compose! {
    fn call()(
        (model, answered, provider) in (prop::option::of("[a-z0-9-]{1,9}"), prop::option::of("[a-z]{1,5}"), prop::option::of("[A-Za-z._]{1,12}")),
        tokens in prop::option::of((0..1_u64 << 40, 0..1_u64 << 40, 0..1_u64 << 20)),
        (offset, nanos, first) in (0..1_u64 << 33, prop::option::of(0..1_u64 << 40), prop::option::of(any::<u64>())),
        (streamed, attempt, hash) in (any::<bool>(), 1..5_u32, prop::option::of(any::<u64>())),
    ) -> LlmCall {
        let mut call = LlmCall::default();
        let name = |text: Option<String>| text.as_deref().map(Name::from);
        (call.request_model, call.response_model, call.provider) = (name(model), name(answered), name(provider));
        call.usage = tokens.map(|(input, output, cached)| TokenUsage::exclusive(input, output).cache_read(cached).build().unwrap());
        call.started_at = Some(start() + Duration::from_nanos(offset));
        call.duration = nanos.map(Duration::from_nanos);
        call.time_to_first_token = first.map(Duration::from_nanos);
        (call.streamed, call.attempt, call.arguments_hash) = (streamed, attempt, hash);
        call
    }
}

proptest! {
    #[test]
    fn whatever_is_recorded_comes_back(calls in prop::collection::vec(call(), 0..5), name in ".{1,20}", nanos in any::<u32>()) {
        let mut record = OperationRecord::new(name.trim());
        prop_assume!(!record.name.is_empty());
        (record.id, record.trace_id, record.started_at) = (id(9), id(9).into(), start());
        record.duration = Duration::from_nanos(nanos.into());
        record.llm_calls = calls;
        let ended = |call: &LlmCall| call.started_at.unwrap() + call.duration.unwrap_or_default();
        record.llm_calls.sort_by_key(|call| (ended(call), call.started_at));
        let back = back(std::slice::from_ref(&record), Convention::Current);
        prop_assert_eq!(&back[0], &with_service(record));
    }
}
