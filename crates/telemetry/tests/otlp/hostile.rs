//! Every decoder with what no client sends: broken bytes, deep nesting, huge counts, invalid UTF-8, bombs.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::prelude::*;
use prost::Message;
use serde_json::json;
use taximeter_telemetry::otlp::{Receiver, Request, Response, Settings};

use super::support::{before, captured, chat, gzip, json_request, wire};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";
const PATHS: [&str; 3] = ["/v1/traces", "/v1/metrics", "/v1/logs"];

fn post(
    receiver: &Receiver,
    path: &str,
    content_type: &str,
    encoding: Option<&str>,
    body: &[u8],
) -> Response {
    let request = Request {
        method: "POST",
        path,
        content_type: Some(content_type),
        content_encoding: encoding,
        body,
    };
    receiver.handle(&request, before())
}

fn receiver() -> Receiver {
    Receiver::new(Settings::default(), before())
}

/// Whatever comes is answered, by a status that is no retry, and what was taken comes out.
fn survives(path: &str, content_type: &str, encoding: Option<&str>, body: &[u8]) {
    let receiver = receiver();
    let response = post(&receiver, path, content_type, encoding, body);
    assert!(matches!(response.status, 200 | 400 | 413), "{}", response.status);
    let _ = receiver.finish();
}

/// 10 GiB of zeros, compressed to 10 MB in parts of 64 MiB, one after the other.
fn bomb() -> Vec<u8> {
    let part = gzip(&vec![0; 64 << 20]);
    part.repeat((10 << 30) / (64 << 20))
}

#[test]
fn ten_gibibytes_of_zeros_are_refused_in_little_memory() {
    let (bomb, receiver) = (bomb(), receiver());
    assert!(bomb.len() < 16 << 20, "it would be refused before it is decompressed");
    for (content_type, path) in [(PROTOBUF, "/v1/traces"), (JSON, "/v1/logs")] {
        let mut status = 0;
        let memory = allocation_counter::measure(|| {
            status = post(&receiver, path, content_type, Some("gzip"), &bomb).status;
        });
        assert_eq!(status, 413);
        assert!(memory.bytes_max < 64 << 20, "{} bytes", memory.bytes_max);
    }
}

#[cfg(feature = "zstd")]
#[test]
fn a_bomb_of_zstd_is_refused_too() {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    let part = compress_to_vec(&vec![0_u8; 4 << 20][..], CompressionLevel::Fastest);
    let bomb = part.repeat(64);
    let mut status = 0;
    let memory = allocation_counter::measure(|| {
        status = post(&receiver(), "/v1/traces", PROTOBUF, Some("zstd"), &bomb).status;
    });
    assert_eq!(status, 413);
    assert!(memory.bytes_max < 64 << 20, "{} bytes", memory.bytes_max);
    // A frame that asks for a window of 1 GiB is refused before it gets it.
    let greedy = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 20 << 3, 0x01, 0x00, 0x00];
    let memory = allocation_counter::measure(|| {
        status = post(&receiver(), "/v1/traces", PROTOBUF, Some("zstd"), &greedy).status;
    });
    assert_eq!((status, memory.bytes_max < 1 << 20), (400, true));
}

/// A body of nothing but the smallest things there are: memory stays within a few times the body.
#[test]
fn millions_of_empty_things_stay_small() {
    let most = 1 << 20;
    let within = |number: u8, inner: &[u8]| {
        let mut message = vec![number << 3 | 2];
        let mut length = inner.len();
        while length >= 0x80 {
            message.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        message.push(u8::try_from(length).unwrap());
        message.extend_from_slice(inner);
        message
    };
    let empty = [0x12, 0].repeat((most - 64) / 2);
    let attributes = [0x4a, 0].repeat((most - 64) / 2);
    let bodies = [
        [0x0a, 0].repeat(most / 2),
        within(1, &within(2, &empty)),
        within(1, &within(2, &within(2, &attributes))),
    ];
    for body in &bodies {
        let memory = allocation_counter::measure(|| survives("/v1/traces", PROTOBUF, None, body));
        assert!(memory.bytes_max < 4 << 20, "{} bytes", memory.bytes_max);
    }
    let list = |item: &str| item.repeat((most - 200) / item.len()) + "{}";
    let bodies = [
        format!(r#"{{"resourceSpans":[{}]}}"#, list("{},")),
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{}]}}]}}"#, list("{},")),
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, list("{},")),
        format!(
            r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"attributes":[{}]}}]}}]}}]}}"#,
            list("{},")
        ),
        format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{}]}}]}}]}}"#, list("{},")),
        format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{}]}}]}}]}}"#, list("{},")),
    ];
    for body in &bodies {
        let path = PATHS[["Spans", "Metrics", "Logs"]
            .iter()
            .position(|name| body[..20].contains(name))
            .unwrap()];
        let memory = allocation_counter::measure(|| survives(path, JSON, None, body.as_bytes()));
        assert!(memory.bytes_max < 16 << 20, "{} bytes of {}", memory.bytes_max, &body[..60]);
    }
}

#[test]
fn nesting_is_allowed_to_a_depth_and_no_further() {
    let nested = |depth: usize| {
        let mut value = AnyValue { value: Some(Any::StringValue("x".into())) };
        for _ in 0..depth {
            value = AnyValue { value: Some(Any::ArrayValue(ArrayValue { values: vec![value] })) };
        }
        let attribute = KeyValue { key: "x".into(), value: Some(value), ..KeyValue::default() };
        let span = Span {
            trace_id: vec![1; 16],
            span_id: vec![1; 8],
            attributes: vec![attribute],
            ..Span::default()
        };
        request(vec![span]).encode_to_vec()
    };
    let status = |depth| post(&receiver(), "/v1/traces", PROTOBUF, None, &nested(depth)).status;
    assert_eq!((status(29), status(30), status(40)), (200, 400, 400));

    let json = |depth: usize| {
        let value = format!(r#"{{"v":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"resourceSpans":[{{"new":{value}}}]}}"#)
    };
    let status = |depth| post(&receiver(), "/v1/traces", JSON, None, json(depth).as_bytes()).status;
    assert_eq!((status(60), status(61), status(100_000)), (200, 400, 400));
    // Brackets within a text are no structure.
    let text = format!(r#"{{"x":"{}\"{}"}}"#, "[".repeat(1_000), "{".repeat(1_000));
    assert_eq!(post(&receiver(), "/v1/traces", JSON, None, text.as_bytes()).status, 200);
}

#[test]
fn bytes_that_are_no_text_cost_their_characters_and_not_the_request() {
    let mut bytes = request(vec![Span {
        trace_id: vec![1; 16],
        span_id: vec![1; 8],
        name: "Zebra".into(),
        attributes: vec![
            attribute("gen_ai.operation.name", "chat"),
            attribute("gen_ai.request.model", "Yak"),
        ],
        ..Span::default()
    }])
    .encode_to_vec();
    for text in [&b"Zebra"[..], b"Yak"] {
        let at = bytes.windows(text.len()).rposition(|window| window == text).unwrap();
        bytes[at] = 0xff;
    }
    let receiver = receiver();
    assert_eq!(post(&receiver, "/v1/traces", PROTOBUF, None, &bytes).status, 200);
    let records = receiver.finish();
    assert_eq!(records[0].name, "\u{fffd}ebra");
    assert_eq!(records[0].llm_calls[0].model(), "\u{fffd}ak");
    let json = json_request(&[chat("00f067aa0ba902b7", None)]).replace("gpt", "\u{1}");
    assert_eq!(post(&receiver, "/v1/traces", JSON, None, json.as_bytes()).status, 400);
    assert_eq!(post(&receiver, "/v1/traces", JSON, None, b"{\"x\":\"\xff\"}").status, 400);
}

#[test]
fn huge_numbers_are_no_tokens_and_times_out_of_range_are_no_panic() {
    for value in [
        json!({"intValue": i64::MAX.to_string()}),
        json!({"doubleValue": 1e300}),
        json!({"intValue": "-1"}),
    ] {
        let mut span = chat("00f067aa0ba902b7", None);
        span["attributes"][3]["value"] = value;
        span["endTimeUnixNano"] = json!(u64::MAX.to_string());
        let receiver = receiver();
        assert_eq!(
            post(&receiver, "/v1/traces", JSON, None, json_request(&[span]).as_bytes()).status,
            200
        );
        let records = receiver.finish();
        let call = &records[0].llm_calls[0];
        assert_eq!(call.usage.as_ref().unwrap().input_tokens(), 0);
        assert!(call.metadata.contains_key("otlp.usage_doubt"));
        let _ = records[0].ended_at();
    }
    let mut backwards = chat("00f067aa0ba902b7", None);
    backwards["endTimeUnixNano"] = json!("1");
    let receiver = receiver();
    post(&receiver, "/v1/traces", JSON, None, json_request(&[backwards]).as_bytes());
    let records = receiver.finish();
    assert_eq!(
        (records[0].duration.as_nanos(), &records[0].metadata["otlp.ends_before_start"]),
        (0, &json!(true))
    );
}

#[test]
fn a_chain_of_100_000_spans_and_a_circle_are_trees_too() {
    let span = |id: u64, parent: u64| Span {
        trace_id: vec![1; 16],
        span_id: id.to_be_bytes().to_vec(),
        parent_span_id: parent.to_be_bytes().to_vec(),
        attributes: vec![attribute("gen_ai.operation.name", "chat")],
        ..Span::default()
    };
    let chain: Vec<_> = (2..100_002).map(|id| span(id, id - 1)).collect();
    let circle: Vec<_> = (1..=1_000).map(|id| span(id, id % 1_000 + 1)).collect();
    for spans in [chain, circle, vec![span(7, 7)]] {
        let receiver = receiver();
        let body = request(spans).encode_to_vec();
        assert_eq!(post(&receiver, "/v1/traces", PROTOBUF, None, &body).status, 200);
        let calls: usize = receiver.finish().iter().map(|record| record.llm_calls.len()).sum();
        assert_eq!(calls, 1);
    }
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Any::StringValue(value.into())) };
    KeyValue { key: key.into(), value: Some(value), ..KeyValue::default() }
}

fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans {
        resource: Some(Resource::default()),
        scope_spans,
        ..ResourceSpans::default()
    }];
    ExportTraceServiceRequest { resource_spans }
}

/// Values of every kind, some of them within others.
fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        "\\PC{0,12}".prop_map(Any::StringValue),
        any::<bool>().prop_map(Any::BoolValue),
        any::<i64>().prop_map(Any::IntValue),
        any::<f64>().prop_map(Any::DoubleValue),
        prop::collection::vec(any::<u8>(), 0..8).prop_map(Any::BytesValue),
    ];
    let wrap = |value| AnyValue { value: Some(value) };
    leaf.prop_map(wrap).prop_recursive(3, 16, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(move |values| wrap(Any::ArrayValue(ArrayValue { values }))),
            prop::collection::vec(inner, 0..4).prop_map(move |values| {
                let one =
                    |value| KeyValue { key: "k".into(), value: Some(value), ..KeyValue::default() };
                let values = values.into_iter().map(one).collect();
                wrap(Any::KvlistValue(KeyValueList { values }))
            }),
        ]
    })
}

const KEYS: &[&str] = &[
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.response.id",
    "gen_ai.response.finish_reasons",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.cost",
    "gen_ai.request.stream",
    "gen_ai.response.time_to_first_chunk",
    "error.type",
    "llm.model_name",
    "openinference.span.kind",
    "traceloop.span.kind",
    "langfuse.observation.usage_details",
    "attempt",
    "session.id",
    "something.else",
];

const WORDS: &[&str] = &[
    "chat",
    "embeddings",
    "execute_tool",
    "invoke_agent",
    "LLM",
    "TOOL",
    "agent",
    "workflow",
    "other",
];

fn random_span() -> impl Strategy<Value = Span> {
    let word = prop::sample::select(WORDS)
        .prop_map(|word| AnyValue { value: Some(Any::StringValue(word.into())) });
    let count = (0..5_000_i64).prop_map(|count| AnyValue { value: Some(Any::IntValue(count)) });
    let value = prop_oneof![any_value(), word, count];
    let attributes = prop::collection::vec((prop::sample::select(KEYS), value), 0..12);
    (1..9_u8, 0..9_u8, "\\PC{0,12}", any::<(u64, u64)>(), 0..3_i32, attributes).prop_map(
        |(id, parent, name, (start, end), code, attributes)| Span {
            trace_id: vec![7; 16],
            span_id: vec![id; 8],
            parent_span_id: if parent == 0 { Vec::new() } else { vec![parent; 8] },
            name,
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            attributes: attributes
                .into_iter()
                .map(|(key, value)| KeyValue {
                    key: key.into(),
                    value: Some(value),
                    ..KeyValue::default()
                })
                .collect(),
            status: Some(Status { code, message: "it failed".into() }),
            ..Span::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// What prost writes is read as it was meant, and its JSON says the same.
    #[test]
    fn prost_is_read_as_it_was_meant(spans in prop::collection::vec(random_span(), 0..12)) {
        let request = request(spans);
        let finish = |content_type: &str, body: &[u8]| {
            let receiver = receiver();
            let response = post(&receiver, "/v1/traces", content_type, None, body);
            assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
            receiver.finish()
        };
        let protobuf = finish(PROTOBUF, &request.encode_to_vec());
        let json = finish(JSON, &serde_json::to_vec(&request).unwrap());
        prop_assert_eq!(protobuf, json);
    }

    #[test]
    fn no_bytes_make_it_panic(path in prop::sample::select(&PATHS[..]), body in prop::collection::vec(any::<u8>(), 0..300)) {
        survives(path, PROTOBUF, None, &body);
        survives(path, JSON, None, &body);
        survives(path, PROTOBUF, Some("gzip"), &body);
        survives(path, PROTOBUF, Some("deflate"), &body);
        survives(path, PROTOBUF, Some("zstd"), &body);
    }

    #[test]
    fn no_mutation_of_a_capture_makes_it_panic(
        client in prop::sample::select(&["py-openlit", "py-otel-genai-grpc-content", "js-metrics-logs-json-delta"][..]),
        file in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut captures = captured(client);
        if client.starts_with("js") {
            captures.extend(wire(client));
        }
        let capture = &captures[file.index(captures.len())];
        let mut body = capture.body.clone();
        for (at, byte) in &changes {
            let at = at.index(body.len());
            body[at] = *byte;
        }
        survives(capture.path, capture.content_type, None, &body);
        body.truncate(cut.index(body.len()));
        survives(capture.path, capture.content_type, None, &body);
        for path in PATHS {
            survives(path, capture.content_type, None, &body);
        }
    }
}
