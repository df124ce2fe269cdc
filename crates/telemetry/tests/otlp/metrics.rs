//! Usage from metrics, where nothing else tells of it.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use taximeter_models::OperationRecord;
use taximeter_telemetry::otlp::{Receiver, Settings};

use super::support::{before, captured, chat, json_request, post, records, send, wire};

fn at(seconds: i64) -> DateTime<Utc> {
    before() + TimeDelta::seconds(seconds)
}

fn attributes(pairs: &[(&str, &str)]) -> Value {
    let one = |(key, value): &(&str, &str)| json!({"key": key, "value": {"stringValue": value}});
    Value::Array(pairs.iter().map(one).collect())
}

/// A request with one metric of one service.
fn metric(service: &str, name: &str, kind: &str, temporality: u8, points: &[Value]) -> String {
    let mut data = json!({"dataPoints": points, "aggregationTemporality": temporality});
    data["isMonotonic"] = json!(true);
    let mut metric = json!({"name": name, "unit": "{token}"});
    metric[kind] = data;
    json!({"resourceMetrics": [{
        "resource": {"attributes": attributes(&[("service.name", service)])},
        "scopeMetrics": [{"scope": {"name": "test"}, "metrics": [metric]}],
    }]})
    .to_string()
}

/// A point of a histogram of tokens, from one second to another.
fn tokens(kind: &str, sum: u64, from: u64, to: u64) -> Value {
    json!({
        "startTimeUnixNano": (from * 1_000_000_000).to_string(), "timeUnixNano": (to * 1_000_000_000).to_string(),
        "count": "1", "sum": sum,
        "attributes": attributes(&[
            ("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", "openai"),
            ("gen_ai.request.model", "gpt-4o"), ("gen_ai.token.type", kind),
        ]),
    })
}

fn histogram(temporality: u8, points: &[Value]) -> String {
    metric("x", "gen_ai.client.token.usage", "histogram", temporality, points)
}

/// Input and output tokens of all records.
fn sum(receiver: &Receiver) -> (u64, u64) {
    let records = receiver.finish();
    records.iter().map(OperationRecord::usage).fold((0, 0), |(input, output), usage| {
        (input + usage.input_tokens(), output + usage.output_tokens())
    })
}

#[test]
fn deltas_are_added_and_repeated_points_are_not() {
    let receiver = Receiver::new(Settings::default(), at(0));
    let first = histogram(1, &[tokens("input", 1_200, 1, 2), tokens("output", 300, 1, 2)]);
    send(&receiver, "/v1/metrics", &first, at(2));
    send(&receiver, "/v1/metrics", &first, at(2));
    send(&receiver, "/v1/metrics", &histogram(1, &[tokens("input", 10, 2, 3)]), at(3));
    let records = receiver.finish();
    assert_eq!(records.len(), 2);
    let call = &records[0].llm_calls[0];
    assert_eq!(
        (call.provider.as_deref(), call.request_model.as_deref()),
        (Some("openai"), Some("gpt-4o"))
    );
    assert_eq!(call.usage.as_ref().unwrap().total_tokens(), 1_500);
    assert_eq!(call.metadata["otlp.usage_from"], "metrics");
    assert_eq!(records[1].usage().input_tokens(), 10);
    assert_eq!(receiver.counts().points, 3);
}

#[test]
fn cumulative_points_count_what_was_added_and_restarts_begin_anew() {
    let receiver = Receiver::new(Settings::default(), at(0));
    for (value, from, to) in [(100, 1, 2), (150, 1, 3), (150, 1, 4), (30, 5, 6), (20, 5, 7)] {
        send(&receiver, "/v1/metrics", &histogram(2, &[tokens("input", value, from, to)]), at(7));
    }
    // 100, then 50 more, nothing, 30 after a restart; a sum that falls without one was started anew as well.
    assert_eq!(sum(&receiver).0, 100 + 50 + 30 + 20);
}

#[test]
fn what_was_counted_before_we_began_is_not_counted_again() {
    let receiver = Receiver::new(Settings::default(), at(100));
    send(&receiver, "/v1/metrics", &histogram(2, &[tokens("input", 1_000, 1, 101)]), at(101));
    send(&receiver, "/v1/metrics", &histogram(2, &[tokens("input", 1_040, 1, 102)]), at(102));
    assert_eq!((sum(&receiver).0, receiver.counts().baseline_points), (40, 1));
}

#[test]
fn sums_of_the_next_generation_and_what_is_no_point_of_ours() {
    let point = |value: Value| {
        let mut point = tokens("", 0, 1, 2);
        point.as_object_mut().unwrap().extend([("asInt".to_owned(), value)]);
        point
    };
    let receiver = Receiver::new(Settings::default(), at(0));
    for (name, value) in [
        ("input_tokens", 100),
        ("output_tokens", 20),
        ("cache_read.input_tokens", 60),
        ("reasoning.output_tokens", 5),
    ] {
        let name = format!("gen_ai.client.inference.usage.{name}");
        send(
            &receiver,
            "/v1/metrics",
            &metric("x", &name, "sum", 1, &[point(json!(value.to_string()))]),
            at(2),
        );
    }
    let mut unrecorded = point(json!(7));
    unrecorded["flags"] = json!(1);
    let name = "gen_ai.client.inference.usage.input_tokens";
    send(
        &receiver,
        "/v1/metrics",
        &metric("y", name, "sum", 1, &[unrecorded, point(json!(-5))]),
        at(2),
    );
    send(&receiver, "/v1/metrics", &metric("y", name, "gauge", 0, &[point(json!(7))]), at(2));
    send(
        &receiver,
        "/v1/metrics",
        &metric("y", "other", "summary", 0, &[tokens("", 1, 1, 2)]),
        at(2),
    );
    assert_eq!(sum(&receiver), (100, 20));
}

#[test]
fn metrics_beside_spans_count_nothing_whichever_came_first() {
    let points = histogram(1, &[tokens("input", 100, 1, 2)]).replace("\"x\"", "\"test\"");
    for spans_first in [true, false] {
        let receiver = Receiver::new(Settings::default(), at(0));
        let spans = || {
            send(&receiver, "/v1/traces", &json_request(&[chat("000000000000000a", None)]), at(1));
        };
        if spans_first {
            spans();
        }
        send(&receiver, "/v1/metrics", &points, at(2));
        if !spans_first {
            assert!(receiver.take(at(31)).is_empty());
            spans();
        }
        assert_eq!(sum(&receiver).0, 100);
        assert_eq!(receiver.counts().points_beside_spans, 1);
    }
    // After half a minute without spans they count.
    let receiver = Receiver::new(Settings::default(), at(0));
    send(&receiver, "/v1/metrics", &points, at(2));
    assert_eq!((receiver.take(at(31)).len(), receiver.take(at(32)).len()), (0, 1));
}

#[test]
fn claude_code_by_its_metrics() {
    let point = |kind: &str, session: &str, value: f64| {
        json!({
            "startTimeUnixNano": "1000000000", "timeUnixNano": "2000000000", "asDouble": value,
            "attributes": attributes(&[
                ("type", kind), ("session.id", session), ("model", "claude-sonnet-4-5"), ("user.id", "u1"),
            ]),
        })
    };
    let receiver = Receiver::new(Settings::default(), at(0));
    let usage =
        [("input", 100.0), ("output", 50.0), ("cacheRead", 3_000.0), ("cacheCreation", 200.0)];
    for session in ["s1", "s2"] {
        let points: Vec<_> =
            usage.iter().map(|(kind, value)| point(kind, session, *value)).collect();
        send(
            &receiver,
            "/v1/metrics",
            &metric("claude-code", "claude_code.token.usage", "sum", 1, &points),
            at(2),
        );
    }
    let cost = [point("", "s1", 0.0125)];
    send(
        &receiver,
        "/v1/metrics",
        &metric("claude-code", "claude_code.cost.usage", "sum", 1, &cost),
        at(2),
    );
    let records = receiver.finish();
    assert_eq!(records.len(), 2);
    let first = records.iter().find(|record| record.session.as_deref() == Some("s1")).unwrap();
    assert_eq!((first.usage().input_tokens(), first.usage().output_tokens()), (3_300, 50));
    assert_eq!(first.llm_calls[0].cost.known_usd().unwrap().to_string(), "0.0125");
    assert_eq!(first.user.as_deref(), Some("u1"));
}

#[test]
fn captured_metrics_alone_count_what_their_client_put_into_them() {
    // Explicit and exponential buckets, cumulative and delta, each sent more than once.
    for (client, input, output) in [
        ("py-otel-genai-default", 15_012, 2_200),
        ("py-otel-genai-delta-exphist", 15_012, 2_200),
        // It makes no metric of the stream that its span tells of.
        ("py-otel-openai-v2-semconv-old", 4_800, 1_200),
    ] {
        let receiver = Receiver::new(Settings::default(), before());
        for capture in captured(client).iter().filter(|capture| capture.path == "/v1/metrics") {
            assert_eq!(post(&receiver, capture, before()).status, 200);
        }
        assert_eq!(sum(&receiver), (input, output), "{client}");
    }
}

#[test]
fn metrics_and_logs_of_javascript() {
    for captures in [captured("js-metrics-logs-json-delta"), wire("js-metrics-logs-json-delta")] {
        // The log record tells of the call, so the metrics do not.
        let records = records(&captures);
        assert_eq!((records.len(), records[0].usage().input_tokens()), (1, 1_200));
        let metrics: Vec<_> =
            captures.into_iter().filter(|capture| capture.path == "/v1/metrics").collect();
        let receiver = Receiver::new(Settings::default(), before());
        for capture in &metrics {
            assert_eq!(post(&receiver, capture, before()).status, 200);
        }
        let records = receiver.finish();
        assert_eq!(records.len(), 2);
        let call = &records[0].llm_calls[0];
        assert_eq!(call.usage.as_ref().unwrap().total_tokens(), 1_500);
        assert_eq!(call.metadata["otlp.calls"], 1);
        assert_eq!(records[1].usage().total_tokens(), 10);
    }
}
