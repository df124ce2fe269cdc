//! What a receiver must answer, and what it must take: line by line.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use serde_json::{Value, json};
use taximeter_models::OperationRecord;
use taximeter_telemetry::otlp::{Code, Limits, Receiver, Request, Response, Settings, Signal};

use super::support::{
    TRACE, before, captured, chat, gzip, json_request, records_of, send, span_json,
};

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";

fn receiver() -> Receiver {
    Receiver::new(Settings::default(), before())
}

fn post<'a>(path: &'a str, content_type: &'a str, body: &'a [u8]) -> Request<'a> {
    Request { method: "POST", path, content_type: Some(content_type), content_encoding: None, body }
}

fn answer(request: &Request<'_>) -> Response {
    receiver().handle(request, before())
}

fn json_of(response: &Response) -> Value {
    serde_json::from_slice(&response.body).expect("the body is JSON")
}

/// Line 1: three paths, for protobuf and JSON alike; a base path; nothing else.
#[test]
fn paths_and_methods() {
    for path in
        ["/v1/traces", "/v1/metrics", "/v1/logs", "/api/public/otel/v1/traces", "/v1/traces/"]
    {
        assert_eq!(answer(&post(path, JSON, b"{}")).status, 200, "{path}");
        assert_eq!(answer(&post(path, PROTOBUF, b"")).status, 200, "{path}");
        let get = answer(&Request { method: "GET", ..post(path, JSON, b"") });
        assert_eq!((get.status, get.header("allow")), (405, Some("POST")), "{path}");
    }
    for path in ["/", "/v1/profiles", "/v1development/profiles", "/other/v1/traces", "v1/traces"] {
        assert_eq!(answer(&post(path, JSON, b"{}")).status, 404, "{path}");
    }
    let mut settings = Settings::default();
    settings.base_paths = vec!["/otel".to_owned()];
    let moved = Receiver::new(settings, before());
    assert_eq!(moved.handle(&post("/otel/v1/logs", JSON, b"{}"), before()).status, 200);
    assert_eq!(moved.handle(&post("/v1/logs", JSON, b"{}"), before()).status, 404);
}

/// Line 2: two types, with parameters and in either case; the answer is of the same type.
#[test]
fn content_types() {
    for (sent, answered) in [
        (PROTOBUF, PROTOBUF),
        ("Application/X-Protobuf", PROTOBUF),
        (JSON, JSON),
        ("application/json; charset=utf-8", JSON),
    ] {
        let body: &[u8] = if answered == JSON { b"{}" } else { b"" };
        let response = answer(&post("/v1/traces", sent, body));
        assert_eq!(
            (response.status, response.header("content-type")),
            (200, Some(answered)),
            "{sent}"
        );
    }
    for refused in ["text/plain", "application/protobuf", "application/jsonl", ""] {
        assert_eq!(answer(&post("/v1/traces", refused, b"{}")).status, 415, "{refused}");
    }
    let none = Request { content_type: None, ..post("/v1/traces", JSON, b"{}") };
    assert_eq!(answer(&none).status, 415);
}

/// Line 3: gzip, deflate and zstd; others are refused by name. A body without a length is whole when it comes here.
#[test]
fn content_encodings() {
    let body = json_request(&[chat("00f067aa0ba902b7", None)]);
    let compressed = gzip(body.as_bytes());
    let request = |encoding, body| Request {
        content_encoding: Some(encoding),
        ..post("/v1/traces", JSON, body)
    };
    for (encoding, body) in
        [("gzip", &compressed[..]), ("GZIP", &compressed), ("identity", body.as_bytes())]
    {
        let receiver = receiver();
        assert_eq!(receiver.handle(&request(encoding, body), before()).status, 200, "{encoding}");
        assert_eq!(receiver.finish().len(), 1, "{encoding}");
    }
    for encoding in ["br", "snappy", "lz4", "gzip, gzip"] {
        let refused = answer(&request(encoding, body.as_bytes()));
        assert_eq!(refused.status, 415, "{encoding}");
        assert!(refused.header("accept-encoding").unwrap().contains("gzip"));
    }
    assert_eq!(answer(&request("gzip", b"not compressed")).status, 400);
}

/// Line 4: a limit before and after decompression.
#[test]
fn bodies_that_are_too_large() {
    let mut settings = Settings::default();
    settings.limits.body = 1_000;
    let receiver = Receiver::new(settings, before());
    let zeros = gzip(&vec![b' '; 100_000]);
    assert!(zeros.len() < 1_000);
    let request = Request { content_encoding: Some("gzip"), ..post("/v1/traces", JSON, &zeros) };
    let response = receiver.handle(&request, before());
    assert_eq!((response.status, json_of(&response)["code"].as_u64()), (413, Some(8)));
    let plain = vec![b' '; 1_001];
    assert_eq!(receiver.handle(&post("/v1/traces", JSON, &plain), before()).status, 413);
    assert_eq!(Limits::default().body, 16 << 20);
}

/// Line 5: success says nothing more than that; what is empty is well.
#[test]
fn success_and_empty_requests() {
    for body in [
        "{}",
        r#"{"resourceSpans": []}"#,
        r#"{"resourceSpans": [{}]}"#,
        r#"{"resourceSpans": [{"scopeSpans": [{"spans": []}, {}, null]}, null]}"#,
        r#"{"resourceSpans": null}"#,
    ] {
        let response = answer(&post("/v1/traces", JSON, body.as_bytes()));
        assert_eq!((response.status, json_of(&response)), (200, json!({})), "{body}");
    }
    for body in [&b""[..], &[0x0a, 0], &[0x0a, 2, 0x12, 0]] {
        let response = answer(&post("/v1/traces", PROTOBUF, body));
        assert_eq!(response.status, 200);
        let message = ExportTraceServiceResponse::decode(response.body.as_slice()).unwrap();
        assert_eq!(message.partial_success, None);
    }
}

/// Line 6: what is refused is counted and said, in the words of each signal; a warning refuses nothing.
#[test]
fn partial_success() {
    let body = json_request(&[chat("00f067aa0ba902b7", None), chat("not hexadecimal!", None)]);
    let receiver = receiver();
    let response = receiver.handle(&post("/v1/traces", JSON, body.as_bytes()), before());
    let partial = &json_of(&response)["partialSuccess"];
    assert_eq!((response.status, &partial["rejectedSpans"]), (200, &json!("1")));
    assert!(partial["errorMessage"].as_str().unwrap().contains("8 bytes"));
    assert_eq!((receiver.finish().len(), receiver.counts().rejected), (1, 1));

    // Two spans without ids, in protobuf.
    let spans = [0x0a, 6, 0x12, 4, 0x12, 0, 0x12, 0];
    let response = answer(&post("/v1/traces", PROTOBUF, &spans));
    let partial =
        ExportTraceServiceResponse::decode(response.body.as_slice()).unwrap().partial_success;
    assert_eq!(partial.unwrap().rejected_spans, 2);

    let mut settings = Settings::default();
    settings.limits.items = 3;
    let small = Receiver::new(settings, before());
    let spans: Vec<_> = (1..=5).map(|at| chat(&format!("{at:016x}"), None)).collect();
    let response =
        small.handle(&post("/v1/traces", JSON, json_request(&spans).as_bytes()), before());
    assert_eq!(json_of(&response)["partialSuccess"]["rejectedSpans"], "2");
    assert_eq!(small.finish().len(), 3);

    let many: Vec<_> = (0..200).map(|at| json!({"key": format!("k{at}"), "value": {}})).collect();
    let mut span = chat("00f067aa0ba902b7", None);
    span["attributes"].as_array_mut().unwrap().extend(many);
    let warned = answer(&post("/v1/traces", JSON, json_request(&[span]).as_bytes()));
    let partial = &json_of(&warned)["partialSuccess"];
    assert_eq!(partial["rejectedSpans"], "0");
    assert!(partial["errorMessage"].as_str().unwrap().contains("128"));
}

/// Line 7: what cannot be read is 400 with a status in the same encoding; only what may be tried again says so.
#[test]
fn refusals() {
    for body in ["", "{", "[]", "nonsense", r#"{"resourceSpans": 5}"#, "{\"resourceSpans\": [5]}"] {
        let response = answer(&post("/v1/traces", JSON, body.as_bytes()));
        let status = json_of(&response);
        assert_eq!((response.status, status["code"].as_u64()), (400, Some(3)), "{body}");
        assert!(!status["message"].as_str().unwrap().is_empty());
        assert_eq!(response.header("retry-after"), None);
    }
    let response = answer(&post("/v1/traces", PROTOBUF, b"{}"));
    assert_eq!((response.status, response.header("content-type")), (400, Some(PROTOBUF)));
    assert_eq!(response.body[..2], [0x08, 3]);

    let mut settings = Settings::default();
    settings.most_ready = 0;
    let full = Receiver::new(settings, before());
    let response = full.handle(&post("/v1/traces", JSON, b"{}"), before());
    assert_eq!((response.status, response.header("retry-after")), (503, Some("5")));
    assert!(response.body.len() < 4 << 20);
}

/// Line 8: JSON as it is really sent.
#[test]
fn json_in_all_its_forms() {
    let span = json!({
        "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "eee19b7EC3C1B174",
        "name": "na\u{ef}ve \"x\"", "kind": "SPAN_KIND_CLIENT", "flags": 257,
        "startTimeUnixNano": 1_795_471_675_000_000_000_u64, "endTimeUnixNano": "1795471676000000000",
        "status": {"code": "STATUS_CODE_ERROR", "message": null},
        "somethingNew": {"a": [1, {"b": null}]},
        "parent_span_id": "ffffffffffffffff",
        "attributes": [
            {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
            {"value": {"intValue": 1200}, "key": "gen_ai.usage.input_tokens"},
            {"key": "gen_ai.usage.output_tokens", "value": {"doubleValue": 300.0}},
            {"key": "gen_ai.response.finish_reasons", "value": {"arrayValue": {"values": [{"stringValue": "stop"}, {}]}}},
            {"key": "gen_ai.response.time_to_first_chunk", "value": {"doubleValue": "NaN"}},
            {"key": "x", "value": {"doubleValue": "-Infinity"}},
            {"key": "gen_ai.request.model", "value": {"bytesValue": "AAECAw=="}},
            {"key": "y", "value": null}, {"key": "z"}, null,
            {"key": "nested", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": true}}]}}},
        ],
    });
    let receiver = receiver();
    let body = json_request(&[span]);
    let response = receiver.handle(&post("/v1/traces", JSON, body.as_bytes()), before());
    assert_eq!(json_of(&response), json!({}));
    let records = receiver.finish();
    let (record, call) = (&records[0], &records[0].llm_calls[0]);
    assert_eq!(record.trace_id.to_string(), "5b8efff798038103d269b633813fc60c");
    assert_eq!((record.name.as_str(), record.duration.as_secs()), ("na\u{ef}ve \"x\"", 1));
    let usage = call.usage.as_ref().unwrap();
    assert_eq!((usage.input_tokens(), usage.output_tokens()), (1_200, 300));
    assert_eq!(call.finish_reason.as_deref(), Some("stop"));
    assert_eq!((call.time_to_first_token, call.request_model.as_ref()), (None, None));
    assert!(!record.is_success());
    // Names in snake_case are unknown ones.
    assert_eq!(record.remote_parent, None);
}

/// Fields of an object come in any order: what a span belongs to may stand behind it.
#[test]
fn resource_and_scope_may_come_after_their_spans() {
    let span = span_json(
        "5b8efff798038103d269b633813fc60c",
        "00f067aa0ba902b7",
        None,
        &[("gen_ai.operation.name", json!("chat"))],
    );
    let resource =
        r#""resource":{"attributes":[{"key":"service.name","value":{"stringValue":"late"}}]}"#;
    let scope = r#""scope":{"name":"of the spans"}"#;
    let spans = format!(r#""spans":[{span}]"#);
    let mut read = Vec::new();
    for scope_spans in [format!("{{{scope},{spans}}}"), format!("{{{spans},{scope}}}")] {
        let scope_spans = format!(r#""scopeSpans":[{scope_spans}]"#);
        for of_resource in
            [format!("{resource},{scope_spans}"), format!("{scope_spans},{resource}")]
        {
            let receiver = receiver();
            let body = format!(r#"{{"resourceSpans":[{{{of_resource}}}]}}"#);
            assert_eq!(
                receiver.handle(&post("/v1/traces", JSON, body.as_bytes()), before()).status,
                200
            );
            read.extend(receiver.finish());
        }
    }
    assert_eq!(read.len(), 4);
    assert_eq!(
        (read[0].tags["service.name"].as_str(), &read[0].metadata["otlp.scope"]),
        ("late", &json!("of the spans"))
    );
    assert!(read.iter().all(|record| record == &read[0]), "{read:?}");
    // What breaks behind the spans leaves none of them behind.
    let receiver = receiver();
    let body = format!(
        r#"{{"resourceSpans":[{{{resource},"scopeSpans":[{{{scope},{spans}}}]}}],"resourceLogs":[1]}}"#
    );
    assert_eq!(receiver.handle(&post("/v1/traces", JSON, body.as_bytes()), before()).status, 400);
    assert!(receiver.finish().is_empty());
}

/// Line 9: ids are refused span by span, and other signals do not become spans.
#[test]
fn ids_and_other_signals_on_the_path_of_traces() {
    let zeros = span_json("00000000000000000000000000000000", "00f067aa0ba902b7", None, &[]);
    let short = span_json("5b8efff798038103", "00f067aa0ba902b7", None, &[]);
    let good = span_json("5b8efff798038103d269b633813fc60c", "00f067aa0ba902b7", None, &[]);
    let no_parent = span_json(
        "5b8efff798038103d269b633813fc60c",
        "00f067aa0ba902b8",
        Some("0000000000000000"),
        &[],
    );
    let body = json_request(&[zeros, short, good, no_parent]);
    let response = answer(&post("/v1/traces", JSON, body.as_bytes()));
    assert_eq!(json_of(&response)["partialSuccess"]["rejectedSpans"], "3");

    for capture in captured("py-openlit").iter().filter(|capture| capture.path != "/v1/traces") {
        let receiver = receiver();
        let response = receiver.handle(&post("/v1/traces", PROTOBUF, &capture.body), before());
        // By luck the bytes read as spans without ids; else they cannot be read at all.
        if response.status == 200 {
            let told = ExportTraceServiceResponse::decode(response.body.as_slice()).unwrap();
            assert!(told.partial_success.unwrap().rejected_spans > 0);
        } else {
            assert_eq!(response.status, 400);
        }
        assert_eq!((receiver.finish().len(), receiver.counts().spans), (0, 0));
    }
    for body in [r#"{"resourceLogs": []}"#, r#"{"resourceMetrics": [{}]}"#] {
        assert_eq!(answer(&post("/v1/traces", JSON, body.as_bytes())).status, 400);
    }
}

/// Line 10: the same span counts once, and the spans of a trace may come in any order, in any number of requests.
#[test]
fn duplicates_and_spans_in_any_order() {
    let agent = [("gen_ai.operation.name", json!("invoke_agent"))];
    let tool =
        [("gen_ai.operation.name", json!("execute_tool")), ("gen_ai.tool.name", json!("search"))];
    let (root, within) = ("000000000000000a", Some("000000000000000a"));
    let spans = [
        span_json(TRACE, root, None, &agent),
        chat("000000000000000b", within),
        span_json(TRACE, "000000000000000c", within, &tool),
        // Its parent never arrives.
        chat("000000000000000d", Some("00000000000000ff")),
    ];
    let whole = records_of(&spans);
    let calls = |records: &[OperationRecord]| -> usize {
        records.iter().map(|record| record.llm_calls.len()).sum()
    };
    assert_eq!((whole.len(), calls(&whole), whole[0].tool_calls.len()), (2, 2, 1));
    for order in 0..24 {
        let (mut left, mut place) = (spans.to_vec(), order);
        let receiver = receiver();
        while !left.is_empty() {
            let span = left.remove(place % left.len());
            place /= left.len() + 1;
            // Each in a request of its own, in which it stands twice; and that request comes again.
            let request = json_request(&[span.clone(), span]);
            for _ in 0..2 {
                send(&receiver, "/v1/traces", &request, before());
            }
        }
        assert_eq!(receiver.counts().duplicate_spans, 12);
        assert_eq!(receiver.finish(), whole, "order {order}");
    }
}

/// The tokens that points of one kind and temporality count, as JSON and as protobuf.
fn counted(kind: &str, temporality: u8, points: &[Value]) -> u64 {
    let mut data = json!({"dataPoints": points});
    if temporality > 0 {
        data["aggregationTemporality"] = json!(temporality);
    }
    let mut metric = json!({"name": "gen_ai.client.token.usage", "unit": "{token}"});
    metric[kind] = data;
    let request = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]});
    let message: ExportMetricsServiceRequest = serde_json::from_value(request.clone()).unwrap();
    let bodies = [(JSON, request.to_string().into_bytes()), (PROTOBUF, message.encode_to_vec())];
    let [json, protobuf] = bodies.map(|(content_type, body)| {
        let receiver = receiver();
        let response = receiver.handle(&post("/v1/metrics", content_type, &body), before());
        assert_eq!(response.status, 200);
        let records = receiver.finish();
        records.iter().map(|record| record.usage().input_tokens()).sum::<u64>()
    });
    assert_eq!(json, protobuf, "{kind} {points:?}");
    json
}

/// A point from one second to another, with more fields.
fn point(from: u64, to: u64, more: Value) -> Value {
    let mut point = json!({
        "startTimeUnixNano": (from * 1_000_000_000).to_string(),
        "timeUnixNano": (to * 1_000_000_000).to_string(),
        "attributes": [{"key": "gen_ai.token.type", "value": {"stringValue": "input"}}],
    });
    let Value::Object(more) = more else { panic!("it is no object") };
    point.as_object_mut().unwrap().extend(more);
    point
}

/// Line 11: points of every kind and temporality count what was added, once.
#[test]
fn points_of_every_kind() {
    const DELTA: u8 = 1;
    const CUMULATIVE: u8 = 2;

    let explicit = |from, to, sum: f64| {
        let exemplar = json!({
            "timeUnixNano": "1500000000", "asDouble": 3.0, "spanId": "00f067aa0ba902b7", "traceId": TRACE,
        });
        point(
            from,
            to,
            json!({
                "count": 2, "sum": sum, "min": 1.0, "max": sum, "bucketCounts": [1, 1], "explicitBounds": [5.0],
                "exemplars": [exemplar],
            }),
        )
    };
    let exponential = |scale: i32, from, to, sum: f64| {
        let buckets = json!({"offset": -3, "bucketCounts": [1, 0, 1]});
        point(
            from,
            to,
            json!({"count": 2, "sum": sum, "scale": scale, "zeroCount": 0, "positive": buckets}),
        )
    };
    let number = |from, to, value: u64| point(from, to, json!({"asInt": value.to_string()}));
    let float = |from, to, value: f64| point(from, to, json!({"asDouble": value}));

    // What is a moment's value, or a summary, counts nothing.
    assert_eq!(counted("gauge", 0, &[number(1, 2, 7)]), 0);
    let summary =
        json!({"count": 1, "sum": 7.0, "quantileValues": [{"quantile": 0.5, "value": 7.0}]});
    assert_eq!(counted("summary", 0, &[point(1, 2, summary)]), 0);
    // Deltas are added; of what runs up the difference is; the same point again adds nothing.
    assert_eq!(counted("sum", DELTA, &[number(1, 2, 7), float(2, 3, 2.0)]), 9);
    assert_eq!(counted("sum", CUMULATIVE, &[number(1, 2, 7), number(1, 3, 9)]), 9);
    assert_eq!(counted("histogram", DELTA, &[explicit(1, 2, 7.0), explicit(2, 3, 2.0)]), 9);
    assert_eq!(counted("histogram", CUMULATIVE, &[explicit(1, 2, 7.0), explicit(1, 3, 9.0)]), 9);
    for scale in [-10, 0, 20] {
        let at = |from, to, sum| exponential(scale, from, to, sum);
        let kind = "exponentialHistogram";
        assert_eq!(counted(kind, DELTA, &[at(1, 2, 7.0), at(2, 3, 2.0)]), 9, "{scale}");
        assert_eq!(counted(kind, CUMULATIVE, &[at(1, 2, 7.0), at(1, 3, 9.0)]), 9, "{scale}");
    }
    // Python sends its last points when it flushes and when it ends.
    for temporality in [DELTA, CUMULATIVE] {
        let twice = [explicit(1, 2, 7.0), explicit(1, 2, 7.0)];
        assert_eq!(counted("histogram", temporality, &twice), 7, "{temporality}");
    }
    // A sender that began anew counts from zero, told by its start or by a value that fell.
    assert_eq!(counted("sum", CUMULATIVE, &[number(1, 2, 7), number(3, 4, 9)]), 16);
    assert_eq!(counted("sum", CUMULATIVE, &[number(1, 2, 7), number(1, 4, 2)]), 9);
    // A point whose sender says that it has no value, has none.
    let none = point(1, 2, json!({"asInt": "7", "flags": 1}));
    assert_eq!(counted("sum", CUMULATIVE, &[none]), 0);
    // No sum of a histogram is none of tokens.
    assert_eq!(counted("histogram", DELTA, &[point(1, 2, json!({"count": 2}))]), 0);
}

/// Line 12: flags with bits beyond the eight of W3C are read over.
#[test]
fn flags_of_python_and_javascript() {
    for flags in [256, 257, 0x301, u32::MAX] {
        let mut span = chat("00f067aa0ba902b7", None);
        span["flags"] = json!(flags);
        let response = answer(&post("/v1/traces", JSON, json_request(&[span]).as_bytes()));
        assert_eq!(json_of(&response), json!({}));
    }
}

/// The same over gRPC: its methods, its codes, and which of them may be tried again.
#[test]
fn grpc() {
    for (method, signal) in [
        ("/opentelemetry.proto.collector.trace.v1.TraceService/Export", Some(Signal::Traces)),
        ("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", Some(Signal::Metrics)),
        ("/opentelemetry.proto.collector.logs.v1.LogsService/Export", Some(Signal::Logs)),
        ("/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export", None),
        ("/opentelemetry.proto.collector.trace.v1.TraceService/Import", None),
    ] {
        assert_eq!(Signal::of_grpc(method), signal, "{method}");
    }
    let receiver = receiver();
    for capture in captured("py-otel-genai-grpc-content") {
        let signal = [Signal::Traces, Signal::Metrics, Signal::Logs]
            .into_iter()
            .find(|signal| signal.path() == capture.path)
            .unwrap();
        let compressed = gzip(&capture.body);
        let taken = receiver.grpc(signal, "gzip", &compressed, before()).unwrap();
        assert_eq!(taken.rejected, 0);
    }
    assert_eq!(receiver.finish().len(), 14);
    let refused =
        |encoding, body: &[u8]| receiver.grpc(Signal::Logs, encoding, body, before()).unwrap_err();
    assert_eq!(refused("identity", b"{}").code, Code::InvalidArgument);
    assert_eq!(refused("snappy", b"").code, Code::Unimplemented);
    let large = vec![0; (16 << 20) + 1];
    let too_large = refused("identity", &large);
    assert_eq!((too_large.code, too_large.retry_after), (Code::ResourceExhausted, None));

    let mut settings = Settings::default();
    settings.most_ready = 0;
    let full = Receiver::new(settings, before());
    let busy = full.grpc(Signal::Logs, "", b"", before()).unwrap_err();
    assert_eq!((busy.code, busy.retry_after), (Code::Unavailable, Some(5)));
    let details = busy.encode(taximeter_telemetry::otlp::Format::Protobuf);
    assert!(String::from_utf8_lossy(&details).contains("google.rpc.RetryInfo"));
}

/// The responses of metrics and logs are those of their own services.
#[test]
fn responses_of_every_signal() {
    let metrics = answer(&post("/v1/metrics", PROTOBUF, b""));
    assert!(ExportMetricsServiceResponse::decode(metrics.body.as_slice()).is_ok());
    let logs = answer(&post("/v1/logs", PROTOBUF, b""));
    assert!(ExportLogsServiceResponse::decode(logs.body.as_slice()).is_ok());
}
