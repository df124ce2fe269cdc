//! What a receiver must answer, and what it must take: line by line.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use serde_json::{Value, json};
use taximeter_telemetry::otlp::{Code, Limits, Receiver, Request, Response, Settings, Signal};

use super::support::{before, captured, chat, gzip, json_request, span_json};

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
