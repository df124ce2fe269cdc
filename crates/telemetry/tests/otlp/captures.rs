//! Captures of real clients, against what their stand-in provider really reported: input and output tokens, calls,
//! errors, tools. `tests-data/README.md` tells how they were made.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use taximeter_models::{OperationRecord, Outcome, Unit};

use super::support::{Capture, Sums, captured, records, sums, wire};

/// A client, what it must come to, and which calls it told no usage of.
struct Expected {
    client: &'static str,
    /// Input and output tokens.
    tokens: (u64, u64),
    calls: usize,
    without_usage: usize,
    operations: usize,
    errors: &'static [(&'static str, usize)],
    tools: usize,
}

const THREE: &[(&str, usize)] = &[("authentication", 1), ("network", 1), ("server", 1)];

/// The scenario of the Python clients asks 8 times OpenAI (one without usage for want of `include_usage`), makes an
/// embedding, fails three times, and asks twice Anthropic: 15,012 and 2,200 tokens.
const EXPECTED: &[Expected] = &[
    python("py-otel-genai-default", (15_012, 2_200)),
    python("py-otel-genai-grpc-content", (15_012, 2_200)),
    python("py-otel-genai-delta-exphist", (15_012, 2_200)),
    python("py-openinference", (15_012, 2_200)),
    // Its stream of Anthropic comes out one token too high: it adds up what is cumulative.
    python("py-openllmetry-http-gzip", (15_012, 2_201)),
    // It loses the cached tokens of Anthropic's stream (100 for 3,300), and guesses the stream without usage (20 and 6).
    Expected { without_usage: 3, ..python("py-openlit", (15_012 - 3_200 + 20, 2_200 + 6)) },
    // It knows no Responses API, no embeddings, no usage of streams and no Anthropic.
    Expected { calls: 9, operations: 9, ..python("py-otel-openai-v2-semconv-old", (6_000, 1_500)) },
    // A workflow with an agent, two calls and a tool more than the others; the token too high as above.
    Expected { calls: 16, operations: 16, tools: 1, ..python("py-traceloop-sdk", (17_412, 2_801)) },
    Expected {
        client: "py-openai-agents-both",
        tokens: (2_400, 600),
        calls: 3,
        without_usage: 1,
        operations: 4,
        errors: &[("server", 1)],
        tools: 1,
    },
    // It tells of no usage and no call at all.
    Expected {
        client: "py-openai-agents",
        tokens: (0, 0),
        calls: 0,
        without_usage: 0,
        operations: 4,
        errors: &[],
        tools: 1,
    },
    // One span for each try of a call: the two that failed tell neither a status nor a type.
    Expected {
        calls: 10,
        without_usage: 2,
        errors: &[("unknown", 2)],
        ..javascript("js-ai-sdk-v6-json")
    },
    Expected {
        calls: 9,
        without_usage: 1,
        errors: &[("unknown", 1)],
        ..javascript("js-ai-sdk-v7-legacy-grpc")
    },
];

const fn python(client: &'static str, tokens: (u64, u64)) -> Expected {
    Expected {
        client,
        tokens,
        calls: 14,
        without_usage: 4,
        operations: 14,
        errors: THREE,
        tools: 0,
    }
}

const fn javascript(client: &'static str) -> Expected {
    Expected {
        client,
        tokens: (8_412, 2_100),
        calls: 0,
        without_usage: 0,
        operations: 7,
        errors: &[],
        tools: 2,
    }
}

fn check(expected: &Expected, records: &[OperationRecord], how: &str) {
    let sums: Sums = sums(records);
    let client = expected.client;
    assert_eq!((sums.input, sums.output), expected.tokens, "tokens of {client}, {how}");
    assert_eq!(sums.calls, expected.calls, "calls of {client}, {how}");
    assert_eq!(
        sums.calls_without_usage, expected.without_usage,
        "calls without usage of {client}, {how}"
    );
    assert_eq!(records.len(), expected.operations, "operations of {client}, {how}");
    let errors: BTreeMap<_, _> = expected.errors.iter().copied().collect();
    assert_eq!(sums.errors, errors, "errors of {client}, {how}");
    assert_eq!(sums.tools, vec!["get_weather"; expected.tools], "tools of {client}, {how}");
}

#[test]
fn every_client_comes_to_the_truth() {
    for expected in EXPECTED {
        check(expected, &records(&captured(expected.client)), "as it came");
    }
}

#[test]
fn as_they_were_on_the_wire() {
    for client in ["js-ai-sdk-v6-json", "py-openllmetry-http-gzip"] {
        let expected = EXPECTED.iter().find(|expected| expected.client == client).unwrap();
        let (wire, protobuf) = (records(&wire(client)), records(&captured(client)));
        check(expected, &wire, "on the wire");
        assert_eq!(by_id(wire), by_id(protobuf), "{client}");
    }
}

#[test]
fn json_and_protobuf_say_the_same() {
    for expected in EXPECTED {
        let captures = captured(expected.client);
        let json: Vec<_> = captures.iter().map(as_json).collect();
        assert_eq!(by_id(records(&json)), by_id(records(&captures)), "{}", expected.client);
    }
}

#[test]
fn twice_and_in_any_order_they_are_the_same() {
    for expected in EXPECTED {
        let captures = captured(expected.client);
        let twice: Vec<_> = captures.iter().chain(&captures).cloned().collect();
        check(expected, &records(&twice), "twice");
        let backwards: Vec<_> = captures.iter().rev().cloned().collect();
        check(expected, &records(&backwards), "backwards");
        let whole = by_id(records(&captures));
        for step in [1, 7, 13] {
            let shuffled = one_by_one(&captures, step);
            assert_eq!(by_id(records(&shuffled)), whole, "{} by steps of {step}", expected.client);
        }
    }
}

fn by_id(records: Vec<OperationRecord>) -> Vec<OperationRecord> {
    let mut records = records;
    for record in &mut records {
        // Parts that ended at the same nanosecond have no order among each other.
        record.llm_calls.sort_by_key(|call| (call.started_at, call.duration));
    }
    records.sort_by_key(|record| record.id);
    records
}

fn as_json(capture: &Capture) -> Capture {
    let body = capture.body.as_slice();
    let json = match capture.path {
        "/v1/traces" => serde_json::to_vec(&ExportTraceServiceRequest::decode(body).unwrap()),
        "/v1/metrics" => serde_json::to_vec(&ExportMetricsServiceRequest::decode(body).unwrap()),
        _ => serde_json::to_vec(&ExportLogsServiceRequest::decode(body).unwrap()),
    };
    Capture { content_type: "application/json", body: json.unwrap(), ..capture.clone() }
}

/// Every span in a request of its own, in an order that has nothing to do with theirs.
fn one_by_one(captures: &[Capture], step: usize) -> Vec<Capture> {
    let mut single = Vec::new();
    for capture in captures.iter().filter(|capture| capture.path == "/v1/traces") {
        let request = ExportTraceServiceRequest::decode(capture.body.as_slice()).unwrap();
        for resource_spans in &request.resource_spans {
            for scope_spans in &resource_spans.scope_spans {
                for span in &scope_spans.spans {
                    let mut alone = resource_spans.clone();
                    alone.scope_spans = vec![scope_spans.clone()];
                    alone.scope_spans[0].spans = vec![span.clone()];
                    let request = ExportTraceServiceRequest { resource_spans: vec![alone] };
                    single.push(Capture { body: request.encode_to_vec(), ..capture.clone() });
                }
            }
        }
    }
    let count = single.len();
    // A step that shares no factor with the number reaches each of them.
    let step = (step..step + count).find(|step| gcd(*step, count) == 1).unwrap();
    let mut order: Vec<_> = (0..count).map(|at| single[at * step % count].clone()).collect();
    order.extend(captures.iter().filter(|capture| capture.path != "/v1/traces").cloned());
    order
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[test]
fn details_of_one_call_to_the_last() {
    let records = records(&captured("py-otel-genai-default"));
    let call = records.iter().flat_map(|record| &record.llm_calls).find(|call| {
        call.metadata.get("gen_ai.response.id").is_some_and(|id| id == "chatcmpl-fake0001")
    });
    let call = call.expect("the first call is there");
    assert_eq!(call.provider.as_deref(), Some("openai"));
    assert_eq!(call.request_model.as_deref(), Some("gpt-4o-mini"));
    assert_eq!(call.response_model.as_deref(), Some("gpt-4o-mini-2024-07-18"));
    assert_eq!(call.finish_reason.as_deref(), Some("stop"));
    let usage = call.usage.as_ref().unwrap();
    let buckets = [
        (Unit::Input, 1_200 - 1_024 - 16),
        (Unit::CacheRead, 1_024),
        (Unit::InputAudio, 16),
        (Unit::Output, 300 - 8),
        (Unit::OutputAudio, 8),
        (Unit::Reasoning, 128),
    ];
    for (unit, count) in buckets {
        assert_eq!(usage.get(unit), count, "{unit}");
    }
    assert!(call.duration.unwrap().as_nanos() > 0 && call.error.is_none());
}

#[test]
fn the_sdk_of_anthropic_lends_its_finer_buckets_to_the_call_around_it() {
    for client in ["py-otel-genai-default", "py-openinference"] {
        let records = records(&captured(client));
        let calls = records.iter().flat_map(|record| &record.llm_calls);
        let anthropic: Vec<_> = calls
            .filter(|call| call.request_model.as_deref() == Some("claude-sonnet-4-5"))
            .collect();
        assert_eq!(anthropic.len(), 2, "{client}");
        for call in anthropic {
            let usage = call.usage.as_ref().unwrap();
            assert_eq!(usage.input_tokens(), 3_300);
            assert_eq!(usage.get(Unit::CacheRead), 3_000);
            assert_eq!(usage.cache_write_tokens(), 200);
        }
    }
}

#[test]
fn a_workflow_is_an_operation_with_its_agent_within() {
    let records = records(&captured("py-traceloop-sdk"));
    let workflow = records.iter().find(|record| record.name == "trip_workflow.workflow").unwrap();
    let agent = records.iter().find(|record| record.name == "weather_agent.agent").unwrap();
    assert_eq!(agent.parent, Some(workflow.id));
    let named = [workflow, agent].map(|record| record.metadata.get("gen_ai.agent.name").cloned());
    assert_eq!(named, [None, Some("weather_agent".into())]);
    assert_eq!((agent.llm_calls.len(), agent.tool_calls.len()), (2, 1));
    assert_eq!(workflow.components[0].name, "prep.task");
    assert_eq!(workflow.user.as_deref(), Some("user-42"));
    assert_eq!(agent.session.as_deref(), Some("sess-7"));
    assert_eq!(agent.tags["service.name"], "capture-traceloop");
}

#[test]
fn a_failed_agent_fails_and_a_retried_one_does_not() {
    let records = records(&captured("js-ai-sdk-v6-json"));
    let outcomes = |outcome| records.iter().filter(|record| record.outcome == outcome).count();
    assert_eq!((outcomes(Outcome::Success), outcomes(Outcome::Failure)), (6, 1));
    let retried = records
        .iter()
        .find(|record| record.llm_calls.len() == 2 && !record.llm_calls[0].is_success());
    let retried = retried.expect("the call that was tried again is there");
    assert!(retried.is_success() && retried.llm_calls[1].is_success());
    assert_eq!(retried.llm_calls[0].error.as_ref().unwrap().message, "slow down");
}

#[test]
fn what_openlit_guesses_and_leaves_out_is_said() {
    let records = records(&captured("py-openlit"));
    let calls: Vec<_> = records.iter().flat_map(|record| &record.llm_calls).collect();
    let noted = |key: &str| calls.iter().filter(|call| call.metadata.contains_key(key)).count();
    // Of its two streams of OpenAI one is a guess, and nothing in them tells which.
    assert_eq!(noted("otlp.usage_estimated"), 2);
    assert_eq!(noted("otlp.input_exclusive"), 1);
}
