//! What every convention says, read from spans and logs written by hand as their clients write them.

use std::time::Duration;

use serde_json::{Value, json};
use taximeter_models::{CostOutcome, LlmCall, OperationRecord, ToolStatus, Unit};
use taximeter_telemetry::otlp::{Receiver, Settings};

use super::support::{TRACE, before, records_of, request_of, send, span_json};

const A: &str = "000000000000000a";
const B: &str = "000000000000000b";

fn call(attributes: &[(&str, Value)]) -> LlmCall {
    let records = records_of(&[span_json(TRACE, A, None, attributes)]);
    assert_eq!(records.len(), 1, "{attributes:?}");
    records[0].llm_calls[0].clone()
}

/// Input and output tokens, cache reads, cache writes, reasoning.
fn buckets(call: &LlmCall) -> [u64; 5] {
    let usage = call.usage.as_ref().expect("it tells its usage");
    let cache = [usage.get(Unit::CacheRead), usage.cache_write_tokens()];
    [usage.input_tokens(), usage.output_tokens(), cache[0], cache[1], usage.get(Unit::Reasoning)]
}

#[test]
fn opentelemetry_in_three_generations() {
    let oldest = call(&[
        ("gen_ai.operation.name", json!("chat")),
        ("gen_ai.system", json!("az.ai.openai")),
        ("gen_ai.request.model", json!("gpt-4o")),
        ("gen_ai.usage.prompt_tokens", json!(100)),
        ("gen_ai.usage.completion_tokens", json!(20)),
    ]);
    assert_eq!(
        (buckets(&oldest), oldest.provider.as_deref()),
        ([100, 20, 0, 0, 0], Some("azure.ai.openai"))
    );
    let current = call(&[
        ("gen_ai.operation.name", json!("chat")),
        ("gen_ai.provider.name", json!("anthropic")),
        ("gen_ai.usage.input_tokens", json!(100)),
        ("gen_ai.usage.output_tokens", json!(20)),
        ("gen_ai.usage.cache_read.input_tokens", json!(60)),
        ("gen_ai.usage.cache_creation.input_tokens", json!(30)),
        ("gen_ai.usage.reasoning.output_tokens", json!(5)),
        ("gen_ai.request.stream", json!(true)),
        ("gen_ai.response.time_to_first_chunk", json!(0.25)),
    ]);
    assert_eq!(buckets(&current), [100, 20, 60, 30, 5]);
    assert_eq!(
        (current.streamed, current.time_to_first_token),
        (true, Some(Duration::from_millis(250)))
    );
    let newest = call(&[
        ("gen_ai.operation.name", json!("chat")),
        ("gen_ai.usage.input_tokens", json!(100)),
        ("gen_ai.usage.cache_write.input_tokens", json!(30)),
        ("gen_ai.usage.cache_read.input_tokens", json!(50)),
        ("gen_ai.usage.audio.input_tokens", json!(20)),
        ("gen_ai.usage.audio.cache_read.input_tokens", json!(8)),
    ]);
    let usage = newest.usage.unwrap();
    let found =
        [Unit::Input, Unit::CacheRead, Unit::CacheWrite, Unit::InputAudio, Unit::CacheReadAudio]
            .map(|unit| usage.get(unit));
    assert_eq!(found, [8, 42, 30, 12, 8]);
}

#[test]
fn openinference() {
    let call = call(&[
        ("openinference.span.kind", json!("LLM")),
        ("llm.system", json!("openai")),
        ("llm.model_name", json!("gpt-4o-2024-08-06")),
        ("llm.invocation_parameters", json!(r#"{"model": "gpt-4o", "temperature": 0.2}"#)),
        ("llm.token_count.prompt", json!(100)),
        ("llm.token_count.completion", json!(20)),
        ("llm.token_count.prompt_details.cache_read", json!(40)),
        ("llm.token_count.completion_details.reasoning", json!(7)),
        ("llm.cost.total", json!(0.0125)),
        ("llm.cost.prompt", json!(0.01)),
        ("llm.cost.completion", json!(0.0025)),
        ("session.id", json!("s1")),
        ("user.id", json!("u1")),
    ]);
    assert_eq!(buckets(&call), [100, 20, 40, 0, 7]);
    assert_eq!(call.request_model.as_deref(), Some("gpt-4o"));
    assert_eq!(call.response_model.as_deref(), Some("gpt-4o-2024-08-06"));
    assert_eq!(call.cost.as_str(), "recorded");
    assert_eq!(call.cost.known_usd().unwrap().to_string(), "0.0125");
}

#[test]
fn costs_that_others_computed() {
    let with = |key: &str, value: Value| {
        call(&[
            ("gen_ai.operation.name", json!("chat")),
            ("gen_ai.usage.input_tokens", json!(1)),
            (key, value),
        ])
        .cost
    };
    for (key, value) in [("operation.cost", json!(0.25)), ("gen_ai.usage.cost", json!("0.25"))] {
        assert_eq!(with(key, value).known_usd().unwrap().to_string(), "0.25", "{key}");
    }
    let details =
        with("langfuse.observation.cost_details", json!(r#"{"input": 0.2, "output": 0.05}"#));
    assert_eq!(details.known_usd().unwrap().to_string(), "0.25");
    // Zero is written where no price is known, and what is negative or no number is no cost.
    for value in [json!(0), json!(0.0), json!(-1.0), json!("free")] {
        assert_eq!(with("gen_ai.usage.cost", value), CostOutcome::Pending);
    }
}

#[test]
fn the_ai_sdk_in_versions_4_to_7() {
    let old = call(&[
        ("ai.operationId", json!("ai.streamText.doStream")),
        ("ai.model.provider", json!("openai.responses")),
        ("ai.model.id", json!("gpt-4o")),
        ("ai.usage.promptTokens", json!(100)),
        ("ai.usage.completionTokens", json!(20)),
        ("ai.response.msToFirstChunk", json!(111.5)),
        ("ai.response.finishReason", json!("tool-calls")),
    ]);
    assert_eq!(
        (buckets(&old), old.provider.as_deref(), old.streamed),
        ([100, 20, 0, 0, 0], Some("openai"), true)
    );
    assert_eq!(old.time_to_first_token, Some(Duration::from_micros(111_500)));
    // In version 7 the outer span of embeddings tells nothing, and the inner one its usage.
    let embeddings = |id, parent, usage: Option<u64>| {
        let mut attributes = vec![("gen_ai.operation.name", json!("embeddings"))];
        attributes.extend(usage.map(|usage| ("gen_ai.usage.input_tokens", json!(usage))));
        span_json(TRACE, id, parent, &attributes)
    };
    let records = records_of(&[embeddings(A, None, None), embeddings(B, Some(A), Some(12))]);
    assert_eq!(records[0].llm_calls.len(), 1);
    assert_eq!(records[0].llm_calls[0].metadata["otlp.usage_from"], "inner_call");
}

#[test]
fn langfuse() {
    let generation = call(&[
        ("langfuse.observation.type", json!("generation")),
        ("langfuse.observation.model.name", json!("claude-sonnet-4-5")),
        (
            "langfuse.observation.usage_details",
            json!(r#"{"input": 100, "output": 20, "cache_read_input_tokens": 50}"#),
        ),
        ("langfuse.observation.completion_start_time", json!("\"1970-01-01T00:00:01.250Z\"")),
        ("langfuse.session.id", json!("s1")),
    ]);
    assert_eq!(buckets(&generation), [150, 20, 50, 0, 0]);
    assert_eq!(generation.time_to_first_token, Some(Duration::from_millis(250)));
    assert!(generation.metadata.contains_key("otlp.input_exclusive"));
    let failed = records_of(&[span_json(
        TRACE,
        A,
        None,
        &[
            ("langfuse.observation.type", json!("tool")),
            ("langfuse.observation.level", json!("ERROR")),
            ("langfuse.observation.status_message", json!("request timed out")),
        ],
    )]);
    assert_eq!(failed[0].tool_calls[0].status, ToolStatus::Timeout);
    // A tool of Langfuse has no name but that of its span.
    assert_eq!(failed[0].tool_calls[0].name, A);
}

#[test]
fn pydantic_ai_and_logfire() {
    let agent = span_json(
        TRACE,
        A,
        None,
        &[
            ("gen_ai.operation.name", json!("invoke_agent")),
            ("gen_ai.aggregated_usage.input_tokens", json!(200)),
            ("gen_ai.agent.name", json!("planner")),
        ],
    );
    let chat = span_json(
        TRACE,
        B,
        Some(A),
        &[
            ("gen_ai.operation.name", json!("chat")),
            ("gen_ai.system", json!("openai")),
            ("gen_ai.provider.name", json!("openai")),
            ("gen_ai.usage.input_tokens", json!(200)),
            ("gen_ai.usage.output_tokens", json!(20)),
            ("gen_ai.usage.details.cache_read_tokens", json!(50)),
            ("gen_ai.usage.details.reasoning_tokens", json!(5)),
            ("operation.cost", json!(0.001)),
        ],
    );
    let tool = span_json(
        TRACE,
        "000000000000000c",
        Some(A),
        &[
            ("logfire.span_type", json!("span")),
            ("gen_ai.tool.name", json!("lookup")),
            ("gen_ai.tool.call.id", json!("call_1")),
        ],
    );
    let records = records_of(&[agent, chat, tool]);
    assert_eq!((records.len(), records[0].tool_calls[0].name.as_str()), (1, "lookup"));
    assert_eq!(records[0].metadata["gen_ai.agent.name"], "planner");
    assert_eq!(buckets(&records[0].llm_calls[0]), [200, 20, 50, 0, 5]);
}

/// Logs of one session of Claude Code, as its documentation describes them.
fn claude_code_logs(events: &[(&str, &[(&str, Value)])]) -> String {
    let typed = |value: &Value| match value {
        Value::String(text) => json!({"stringValue": text}),
        Value::Number(number) if number.is_f64() => json!({"doubleValue": number}),
        other => json!({"intValue": other}),
    };
    let records: Vec<_> = (1..)
        .zip(events)
        .map(|(at, (event, attributes))| {
            let common = [
                ("event.name", json!(event)),
                ("session.id", json!("session-1")),
                ("prompt.id", json!("prompt-1")),
                ("event.sequence", json!(at)),
                ("user.id", json!("u1")),
            ];
            let attributes: Vec<_> = common
                .iter()
                .chain(*attributes)
                .map(|(key, value)| json!({"key": key, "value": typed(value)}))
                .collect();
            json!({
                "timeUnixNano": (5_000_000_000_u64 + at).to_string(),
                "body": {"stringValue": format!("claude_code.{event}")}, "attributes": attributes,
            })
        })
        .collect();
    let service =
        json!({"attributes": [{"key": "service.name", "value": {"stringValue": "claude-code"}}]});
    let scope =
        json!([{"scope": {"name": "com.anthropic.claude_code.events"}, "logRecords": records}]);
    json!({"resourceLogs": [{"resource": service, "scopeLogs": scope}]}).to_string()
}

fn claude_code() -> String {
    claude_code_logs(&[
        ("user_prompt", &[("prompt_length", json!(12))]),
        (
            "api_request",
            &[
                ("model", json!("claude-sonnet-4-5")),
                ("input_tokens", json!(100)),
                ("output_tokens", json!("50")),
                ("cache_read_tokens", json!(3_000)),
                ("cache_creation_tokens", json!(200)),
                ("cost_usd", json!(0.0125)),
                ("duration_ms", json!(1_500)),
                ("request_id", json!("req_1")),
            ],
        ),
        (
            "tool_result",
            &[
                ("tool_name", json!("Bash")),
                ("success", json!("false")),
                ("error", json!("command timed out")),
                ("duration_ms", json!(250)),
                ("tool_use_id", json!("toolu_1")),
            ],
        ),
        (
            "api_error",
            &[
                ("model", json!("claude-sonnet-4-5")),
                ("status_code", json!("429")),
                ("error", json!("rate limited")),
                ("attempt", json!(2)),
            ],
        ),
    ])
}

#[test]
fn claude_code_by_its_logs() {
    let receiver = Receiver::new(Settings::default(), before());
    send(&receiver, "/v1/logs", &claude_code(), before());
    send(&receiver, "/v1/logs", &claude_code(), before());
    let records = receiver.finish();
    assert_eq!((records.len(), receiver.counts().duplicate_logs), (3, 3));
    let by_name = |name: &str| records.iter().find(|record| record.name == name).unwrap();
    let request = by_name("claude_code.api_request");
    let call = &request.llm_calls[0];
    assert_eq!(buckets(call), [3_300, 50, 3_000, 200, 0]);
    assert_eq!(
        (call.provider.as_deref(), call.duration),
        (Some("anthropic"), Some(Duration::from_millis(1_500)))
    );
    assert_eq!(call.cost.known_usd().unwrap().to_string(), "0.0125");
    let tool = &by_name("claude_code.tool_result").tool_calls[0];
    assert_eq!((tool.name.as_str(), tool.status), ("Bash", ToolStatus::Timeout));
    let failed = &by_name("claude_code.api_error").llm_calls[0];
    let error = failed.error.as_ref().unwrap();
    assert_eq!(
        (error.category.as_str(), failed.attempt, failed.usage.as_ref()),
        ("rate_limit", 2, None)
    );
    // What belongs to one prompt has one trace.
    assert!(records.iter().all(|record| record.trace_id == request.trace_id));
    assert_eq!(
        (request.session.as_deref(), request.user.as_deref()),
        (Some("session-1"), Some("u1"))
    );
}

#[test]
fn claude_code_by_its_spans_counts_its_logs_no_more() {
    let spans = |name: &str, id, parent, attributes: &[(&str, Value)]| {
        let mut span = span_json(TRACE, id, parent, attributes);
        span["name"] = json!(name);
        span
    };
    let session = ("session.id", json!("session-1"));
    let request = request_of(
        "claude-code",
        "com.anthropic.claude_code.tracing",
        &[
            spans("claude_code.interaction", A, None, std::slice::from_ref(&session)),
            spans(
                "claude_code.llm_request",
                B,
                Some(A),
                &[
                    session.clone(),
                    ("gen_ai.system", json!("anthropic")),
                    ("gen_ai.request.model", json!("claude-sonnet-4-5")),
                    ("input_tokens", json!(100)),
                    ("output_tokens", json!(50)),
                    ("cache_read_tokens", json!(3_000)),
                    ("ttft_ms", json!(420)),
                ],
            ),
            spans(
                "claude_code.tool",
                "000000000000000c",
                Some(A),
                &[session.clone(), ("tool_name", json!("Bash"))],
            ),
        ],
    );
    let receiver = Receiver::new(Settings::default(), before());
    send(&receiver, "/v1/logs", &claude_code(), before());
    send(&receiver, "/v1/traces", &request, before());
    let records: Vec<OperationRecord> = receiver.finish();
    assert_eq!((records.len(), records[0].name.as_str()), (1, "claude_code.interaction"));
    let call = &records[0].llm_calls[0];
    assert_eq!(buckets(call), [3_100, 50, 3_000, 0, 0]);
    assert_eq!(call.time_to_first_token, Some(Duration::from_millis(420)));
    assert_eq!(records[0].tool_calls.len(), 1);
}

#[test]
fn details_of_a_span_that_is_not_sent_are_a_call_and_of_one_that_is_are_none() {
    let log = |trace: &str| {
        let attribute = |key: &str, value: Value| json!({"key": key, "value": value});
        json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{
            "timeUnixNano": "2000000000", "traceId": trace, "spanId": A,
            "eventName": "gen_ai.client.inference.operation.details",
            "attributes": [
                attribute("gen_ai.operation.name", json!({"stringValue": "chat"})),
                attribute("gen_ai.usage.input_tokens", json!({"intValue": "100"})),
            ],
        }]}]}]})
        .to_string()
    };
    let receiver = Receiver::new(Settings::default(), before());
    send(&receiver, "/v1/logs", &log(TRACE), before());
    let alone = receiver.finish();
    assert_eq!(
        (alone.len(), &alone[0].llm_calls[0].metadata["otlp.usage_from"]),
        (1, &json!("log"))
    );
    assert_eq!(alone[0].llm_calls[0].duration, None);

    let chat = span_json(
        TRACE,
        A,
        None,
        &[("gen_ai.operation.name", json!("chat")), ("gen_ai.usage.input_tokens", json!(100))],
    );
    for log_first in [true, false] {
        let receiver = Receiver::new(Settings::default(), before());
        if log_first {
            send(&receiver, "/v1/logs", &log(TRACE), before());
        }
        send(&receiver, "/v1/traces", &request_of("x", "x", std::slice::from_ref(&chat)), before());
        send(&receiver, "/v1/logs", &log(TRACE), before());
        let records = receiver.finish();
        assert_eq!((records.len(), records[0].usage().input_tokens()), (1, 100));
        assert!(!records[0].llm_calls[0].metadata.contains_key("otlp.usage_from"));
    }
}

/// The environment of a sender is told by its resource, and its operations can be chosen by it.
#[test]
fn the_environment_is_a_tag_under_its_name_of_today() {
    let environments = |attributes: Value| {
        let resource = json!({ "attributes": attributes });
        let span = span_json(TRACE, A, None, &[("gen_ai.operation.name", json!("chat"))]);
        let point = json!({
            "timeUnixNano": "2000000000", "sum": 5.0, "count": "1",
            "attributes": [{"key": "gen_ai.token.type", "value": {"stringValue": "input"}}],
        });
        let metric = json!({
            "name": "gen_ai.client.token.usage",
            "histogram": {"aggregationTemporality": 1, "dataPoints": [point]},
        });
        let spans =
            json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]});
        let points = json!({
            "resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [metric]}]}],
        });
        [("/v1/traces", spans), ("/v1/metrics", points)].map(|(path, request)| {
            let receiver = Receiver::new(Settings::default(), before());
            send(&receiver, path, &request.to_string(), before());
            let records = receiver.finish();
            assert_eq!(records.len(), 1, "{path}");
            let tags = &records[0].tags;
            assert!(!tags.keys().any(|tag| tag.starts_with("deployment.")));
            tags.get("environment").map(|name| name.as_str().to_owned())
        })
    };
    let attribute = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let now = attribute("deployment.environment.name", "production");
    let older = attribute("deployment.environment", "staging");
    assert_eq!(environments(json!([now])), [Some("production".into()), Some("production".into())]);
    assert_eq!(environments(json!([older])), [Some("staging".into()), Some("staging".into())]);
    assert_eq!(
        environments(json!([older, now])),
        [Some("production".into()), Some("production".into())]
    );
    assert_eq!(environments(json!([])), [None, None]);
}
