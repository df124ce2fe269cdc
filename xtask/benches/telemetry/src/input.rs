//! Requests as an instrumented application sends them: 512 spans of about 800 bytes.

use std::io::Write;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

pub(crate) const PROTOBUF: &str = "application/x-protobuf";
pub(crate) const JSON: &str = "application/json";

/// As many spans as SDKs put into a request by default.
pub(crate) const SPANS: usize = 512;

/// What the traces of a request look like.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// Calls of an LLM, each a trace of its own.
    Calls,
    /// Agents with three calls, two tools, a retrieval and a span of HTTP for each call.
    Agents,
}

pub(crate) struct Batch {
    pub(crate) protobuf: Vec<u8>,
    pub(crate) tokens: u64,
    json: Vec<u8>,
}

impl Batch {
    pub(crate) fn new(shape: Shape, number: usize) -> Self {
        let mut maker =
            Maker { spans: Vec::new(), next: (number * SPANS * 4) as u64 + 1, tokens: 0 };
        while maker.spans.len() < SPANS {
            match shape {
                Shape::Calls => {
                    let trace = maker.id();
                    maker.call(trace, 0);
                }
                Shape::Agents => maker.agent(),
            }
        }
        let attributes = vec![
            text("service.name", "checkout-assistant"),
            text("service.version", "1.42.0"),
            text("service.instance.id", "513e9c4e-2790-4ac6-b1d4-9f7cf4028ade"),
            text("telemetry.sdk.name", "opentelemetry"),
            text("telemetry.sdk.language", "python"),
        ];
        let scope = InstrumentationScope {
            name: "opentelemetry.instrumentation.genai.openai".into(),
            version: "1.3b0".into(),
            ..Default::default()
        };
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(Resource { attributes, ..Default::default() }),
                scope_spans: vec![ScopeSpans {
                    scope: Some(scope),
                    spans: maker.spans,
                    ..Default::default()
                }],
                ..Default::default()
            }],
        };
        Self {
            protobuf: request.encode_to_vec(),
            json: serde_json::to_vec(&request).expect("a request is JSON too"),
            tokens: maker.tokens,
        }
    }

    pub(crate) fn body(&self, content_type: &str, gzip: bool) -> Vec<u8> {
        let plain = if content_type == JSON { &self.json } else { &self.protobuf };
        if !gzip {
            return plain.clone();
        }
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(plain).expect("memory can be written to");
        encoder.finish().expect("memory can be written to")
    }
}

struct Maker {
    spans: Vec<Span>,
    next: u64,
    tokens: u64,
}

impl Maker {
    fn id(&mut self) -> u64 {
        self.next += 1;
        // Ids are random in life; this spreads them as well.
        self.next.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn agent(&mut self) {
        let trace = self.id();
        let agent = self.id();
        for step in 0..3 {
            let call = self.call(trace, agent);
            self.push(
                trace,
                call,
                "POST",
                vec![
                    text("http.request.method", "POST"),
                    text("url.full", "https://api.openai.com/v1/chat/completions"),
                    int("http.response.status_code", 200),
                ],
            );
            if step < 2 {
                let id = format!("call_{:024x}", self.next);
                self.push(
                    trace,
                    agent,
                    "execute_tool get_weather",
                    vec![
                        text("gen_ai.operation.name", "execute_tool"),
                        text("gen_ai.tool.name", "get_weather"),
                        text("gen_ai.tool.type", "function"),
                        text("gen_ai.tool.call.id", &id),
                        text(
                            "gen_ai.tool.description",
                            "Tells the weather of a city, today and in the days to come",
                        ),
                    ],
                );
            }
        }
        self.push(
            trace,
            agent,
            "retrieval docs",
            vec![text("gen_ai.operation.name", "retrieval"), text("gen_ai.data_source.id", "docs")],
        );
        let attributes = vec![
            text("gen_ai.operation.name", "invoke_agent"),
            text("gen_ai.agent.name", "weather_agent"),
            text("gen_ai.agent.id", "asst_5j66UpCpwteGg4YSxUnt7lPY"),
            text("gen_ai.conversation.id", "conv_5j66UpCpwteGg4YSxUnt7lPY"),
            int("gen_ai.usage.input_tokens", 3_600),
            int("gen_ai.usage.output_tokens", 900),
        ];
        self.push_as(trace, agent, 0, "invoke_agent weather_agent", attributes);
    }

    fn call(&mut self, trace: u64, parent: u64) -> u64 {
        let (input, output) = (1_200 + self.next as i64 % 100, 300);
        self.tokens += (input + output).unsigned_abs();
        let reply = format!("chatcmpl-{:029x}", self.next);
        let attributes = vec![
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.provider.name", "openai"),
            text("gen_ai.request.model", "gpt-4o-mini"),
            text("server.address", "api.openai.com"),
            int("server.port", 443),
            double("gen_ai.request.temperature", 0.2),
            int("gen_ai.request.max_tokens", 1_000),
            text("gen_ai.response.model", "gpt-4o-mini-2024-07-18"),
            text("gen_ai.response.id", &reply),
            list("gen_ai.response.finish_reasons", "stop"),
            int("gen_ai.usage.input_tokens", input),
            int("gen_ai.usage.output_tokens", output),
            int("gen_ai.usage.cache_read.input_tokens", 1_024),
            int("gen_ai.usage.reasoning.output_tokens", 128),
            text("gen_ai.conversation.id", "conv_5j66UpCpwteGg4YSxUnt7lPY"),
            text("openai.response.service_tier", "default"),
            text("openai.response.system_fingerprint", "fp_44709d6fcb"),
        ];
        self.push(trace, parent, "chat gpt-4o-mini", attributes)
    }

    fn push(&mut self, trace: u64, parent: u64, name: &str, attributes: Vec<KeyValue>) -> u64 {
        let id = self.id();
        self.push_as(trace, id, parent, name, attributes);
        id
    }

    fn push_as(&mut self, trace: u64, id: u64, parent: u64, name: &str, attributes: Vec<KeyValue>) {
        let start = 1_795_471_675_000_000_000 + self.next * 1_000;
        let trace = u128::from(trace) << 64 | u128::from(trace.rotate_left(7));
        self.spans.push(Span {
            trace_id: trace.to_be_bytes().to_vec(),
            span_id: id.to_be_bytes().to_vec(),
            parent_span_id: if parent == 0 { Vec::new() } else { parent.to_be_bytes().to_vec() },
            name: name.into(),
            kind: 3,
            start_time_unix_nano: start,
            end_time_unix_nano: start + 1_500_000_000,
            attributes,
            flags: 256,
            ..Default::default()
        });
    }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn double(key: &str, value: f64) -> KeyValue {
    attribute(key, Value::DoubleValue(value))
}

fn list(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Value::StringValue(value.into())) };
    attribute(key, Value::ArrayValue(ArrayValue { values: vec![value] }))
}
