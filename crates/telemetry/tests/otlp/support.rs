//! What the tests share: captures, a receiver that is fed, and the sums of what comes out.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use taximeter_models::OperationRecord;
use taximeter_telemetry::otlp::{Receiver, Request, Response, Settings};

/// One request as a client sent it.
#[derive(Debug, Clone)]
pub(crate) struct Capture {
    pub(crate) path: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) content_encoding: Option<&'static str>,
    pub(crate) body: Vec<u8>,
}

/// An instant before everything that was captured.
pub(crate) fn before() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH
}

fn folder(client: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests-data").join(client)
}

fn path_of(file: &str) -> &'static str {
    match file {
        file if file.contains("-traces") => "/v1/traces",
        file if file.contains("-metrics") => "/v1/metrics",
        _ => "/v1/logs",
    }
}

/// The requests of a client as protobuf, in the order in which they came.
pub(crate) fn captured(client: &str) -> Vec<Capture> {
    files(client, "pb")
        .into_iter()
        .map(|(name, body)| Capture {
            path: path_of(&name),
            content_type: "application/x-protobuf",
            content_encoding: None,
            body,
        })
        .collect()
}

/// The requests of a client as they were on the wire: JSON, or protobuf compressed by gzip.
pub(crate) fn wire(client: &str) -> Vec<Capture> {
    files(client, "wire")
        .into_iter()
        .map(|(name, body)| {
            let json = client.starts_with("js-");
            Capture {
                path: path_of(&name),
                content_type: if json { "application/json" } else { "application/x-protobuf" },
                content_encoding: (!json).then_some("gzip"),
                body,
            }
        })
        .collect()
}

fn files(client: &str, extension: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder(client)).expect("the captures are there");
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), fs::read(path).unwrap())).collect()
}

pub(crate) fn post(receiver: &Receiver, capture: &Capture, now: DateTime<Utc>) -> Response {
    let request = Request {
        method: "POST",
        path: capture.path,
        content_type: Some(capture.content_type),
        content_encoding: capture.content_encoding,
        body: &capture.body,
    };
    receiver.handle(&request, now)
}

/// All records of these requests.
pub(crate) fn records(captures: &[Capture]) -> Vec<OperationRecord> {
    let receiver = Receiver::new(Settings::default(), before());
    for capture in captures {
        let response = post(&receiver, capture, before());
        assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
    }
    receiver.finish()
}

/// The sums of records, as the ground truth gives them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Sums {
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) calls: usize,
    pub(crate) calls_without_usage: usize,
    /// Errors of calls, by category.
    pub(crate) errors: BTreeMap<&'static str, usize>,
    pub(crate) tools: Vec<String>,
}

pub(crate) fn sums(records: &[OperationRecord]) -> Sums {
    let mut sums = Sums::default();
    for record in records {
        for call in &record.llm_calls {
            sums.calls += 1;
            match &call.usage {
                Some(usage) => {
                    sums.input += usage.input_tokens();
                    sums.output += usage.output_tokens();
                }
                None => sums.calls_without_usage += 1,
            }
            if let Some(error) = &call.error {
                *sums.errors.entry(error.category.as_str()).or_default() += 1;
            }
        }
        sums.tools.extend(record.tool_calls.iter().map(|call| call.name.as_str().to_owned()));
    }
    sums
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The trace of spans that are written by hand.
pub(crate) const TRACE: &str = "5b8efff798038103d269b633813fc60c";

/// A span written by hand: it begins at 1 s and ends at 2 s.
pub(crate) fn span_json(
    trace: &str,
    id: &str,
    parent: Option<&str>,
    attributes: &[(&str, Value)],
) -> Value {
    let typed = |value: &Value| match value {
        Value::String(text) => json!({"stringValue": text}),
        Value::Bool(value) => json!({"boolValue": value}),
        Value::Number(number) if number.is_f64() => json!({"doubleValue": number}),
        Value::Number(number) => json!({"intValue": number.to_string()}),
        other => json!({"arrayValue": {"values": [{"stringValue": other[0]}]}}),
    };
    let attributes: Vec<_> =
        attributes.iter().map(|(key, value)| json!({"key": key, "value": typed(value)})).collect();
    json!({
        "traceId": trace, "spanId": id, "parentSpanId": parent.unwrap_or_default(), "name": id,
        "startTimeUnixNano": "1000000000", "endTimeUnixNano": "2000000000", "attributes": attributes,
    })
}

/// A call of an LLM with 100 tokens in and 10 out, as OpenTelemetry writes it.
pub(crate) fn chat(id: &str, parent: Option<&str>) -> Value {
    let attributes = [
        ("gen_ai.operation.name", json!("chat")),
        ("gen_ai.provider.name", json!("openai")),
        ("gen_ai.request.model", json!("gpt-4o")),
        ("gen_ai.usage.input_tokens", json!(100)),
        ("gen_ai.usage.output_tokens", json!(10)),
    ];
    span_json(TRACE, id, parent, &attributes)
}

/// A request with these spans, of one service and one scope.
/// The same span in another trace.
pub(crate) fn with_trace(mut span: Value, trace: u64) -> Value {
    span["traceId"] = json!(format!("{trace:032x}"));
    span
}

pub(crate) fn json_request(spans: &[Value]) -> String {
    request_of("test", "test", spans)
}

pub(crate) fn request_of(service: &str, scope: &str, spans: &[Value]) -> String {
    let service =
        json!({"attributes": [{"key": "service.name", "value": {"stringValue": service}}]});
    let scopes = json!([{"scope": {"name": scope}, "spans": spans}]);
    json!({"resourceSpans": [{"scopeSpans": scopes, "resource": service}]}).to_string()
}

/// Posts JSON to a path, and expects that all of it is taken.
pub(crate) fn send(receiver: &Receiver, path: &'static str, json: &str, now: DateTime<Utc>) {
    let capture = Capture {
        path,
        content_type: "application/json",
        content_encoding: None,
        body: json.as_bytes().to_vec(),
    };
    let response = post(receiver, &capture, now);
    assert_eq!((response.status, String::from_utf8_lossy(&response.body).as_ref()), (200, "{}"));
}

/// The records of these spans alone.
pub(crate) fn records_of(spans: &[Value]) -> Vec<OperationRecord> {
    let receiver = Receiver::new(Settings::default(), before());
    send(&receiver, "/v1/traces", &json_request(spans), before());
    receiver.finish()
}
