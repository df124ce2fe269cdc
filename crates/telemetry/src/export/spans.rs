//! Operations as spans: each one, and its calls and components within it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, status};
use taximeter_models::{
    ComponentTiming, Currency, ErrorCategory, ErrorRecord, LlmCall, OperationRecord, Outcome,
    SpanId, TokenUsage, ToolCall, Unit,
};

use super::attributes::Attributes;
use super::resource::{SCHEMA, scope};
use super::{Encoding, Resource};
use crate::otlp::{join, keys, provider_name};
use crate::own::{self, MoreOfLlmCall, MoreOfOperation, MoreOfToolCall};

/// In whose words spans are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Convention {
    /// The semantic conventions for generative AI v1.41.
    #[default]
    Current,
    /// Those before v1.37, with `gen_ai.system` in the place of `gen_ai.provider.name`, and what is cached by the older
    /// names.
    Older,
}

/// The body of a request with operations as spans, in protobuf; none where there are none.
pub fn traces(
    records: &[OperationRecord],
    resource: &Resource,
    convention: Convention,
) -> Option<Vec<u8>> {
    traces_as(Encoding::Protobuf, records, resource, convention)
}

/// As [`traces`], in that encoding.
pub fn traces_as(
    encoding: Encoding,
    records: &[OperationRecord],
    resource: &Resource,
    convention: Convention,
) -> Option<Vec<u8>> {
    if records.is_empty() {
        return None;
    }
    let mut spans = Vec::with_capacity(records.len() * 4);
    for record in records {
        Writer { record, convention, spans: &mut spans, parts: 0 }.operation();
    }
    let schema_url = match convention {
        Convention::Current => SCHEMA.to_owned(),
        Convention::Older => "https://opentelemetry.io/schemas/1.36.0".to_owned(),
    };
    let of_scope = ScopeSpans { scope: Some(scope()), spans, schema_url };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource.to_proto()),
            scope_spans: vec![of_scope],
            ..ResourceSpans::default()
        }],
    };
    encoding.write(&request)
}

struct Writer<'w> {
    record: &'w OperationRecord,
    convention: Convention,
    spans: &'w mut Vec<Span>,
    /// How many spans within the operation's own there are.
    parts: u64,
}

impl Writer<'_> {
    fn operation(&mut self) {
        let record = self.record;
        let mut attributes = Attributes::default();
        let (what, key, name) = match own::agent(record) {
            Some(agent) => ("invoke_agent", keys::AGENT, agent),
            None => ("invoke_workflow", "gen_ai.workflow.name", record.name.as_str()),
        };
        attributes.text("gen_ai.operation.name", what);
        attributes.text(key, name);
        attributes.some_text("gen_ai.conversation.id", record.session.as_deref());
        attributes.some_text("user.id", record.user.as_deref());
        attributes.text(own::OPERATION_ID, &record.id.to_string());
        attributes.some_text(own::MORE, own::json(&MoreOfOperation::of(record)).as_deref());
        let failed = record.outcome == Outcome::Failure;
        let error = record.errors.first().filter(|_| failed);
        if failed {
            attributes.text("error.type", error.map_or("_OTHER", |error| type_of(error.category)));
        }
        let parent = record.parent.map(taximeter_models::OperationId::span_id);
        let mut span = Span {
            name: format!("{what} {name}"),
            kind: SpanKind::Internal.into(),
            attributes: attributes.into_inner(),
            status: failed.then(|| failure(error)),
            ..self.span(record.id.span_id(), parent.or(record.remote_parent))
        };
        // Bits 8 and 9 say that it is known whether the parent is remote, and that it is.
        span.flags = 1 | 1 << 8 | u32::from(record.remote_parent.is_some()) << 9;
        time(&mut span, record.started_at, record.duration);
        self.spans.push(span);
        record
            .components
            .iter()
            .filter(|timing| own::is_span(timing))
            .for_each(|timing| self.component(timing));
        record.tool_calls.iter().for_each(|call| self.tool(call));
        record.llm_calls.iter().for_each(|call| self.llm(call));
    }

    fn component(&mut self, timing: &ComponentTiming) {
        let offset = timing.offset.unwrap_or_default();
        let mut span =
            Span { name: timing.name.to_string(), kind: SpanKind::Internal.into(), ..self.part() };
        time(&mut span, self.record.started_at, Duration::ZERO);
        span.start_time_unix_nano = span.start_time_unix_nano.saturating_add(nanos(offset));
        span.end_time_unix_nano = span.start_time_unix_nano.saturating_add(nanos(timing.duration));
        self.spans.push(span);
    }

    fn tool(&mut self, call: &ToolCall) {
        let mut attributes = Attributes::default();
        attributes.text("gen_ai.operation.name", "execute_tool");
        attributes.text("gen_ai.tool.name", &call.name);
        let id = call.metadata.get(keys::TOOL_CALL_ID).and_then(|id| id.as_str());
        attributes.some_text("gen_ai.tool.call.id", id);
        if !call.is_success() {
            attributes.text("error.type", call.error_category().map_or("_OTHER", type_of));
        }
        attributes.some_text(own::MORE, own::json(&MoreOfToolCall::of(call)).as_deref());
        let mut span = Span {
            name: format!("execute_tool {}", call.name),
            kind: SpanKind::Internal.into(),
            attributes: attributes.into_inner(),
            status: (!call.is_success()).then(|| failure(call.error.as_ref())),
            ..self.part()
        };
        let begun = call.started_at.unwrap_or(self.record.started_at);
        time(&mut span, begun, call.duration.unwrap_or_default());
        self.spans.push(span);
    }

    fn llm(&mut self, call: &LlmCall) {
        let asked = call.metadata.get(keys::OPERATION).and_then(|asked| asked.as_str());
        let asked = asked.filter(|asked| !asked.is_empty()).unwrap_or("chat");
        let mut attributes = self.of_llm(call, asked);
        let told =
            call.usage.as_ref().is_none_or(|usage| usage.iter().all(|(unit, _)| is_told(unit)));
        if let Some(usage) = &call.usage {
            self.usage(usage, &mut attributes);
        }
        let more = MoreOfLlmCall::of(call, told, &[keys::RESPONSE_ID, keys::OPERATION]);
        attributes.some_text(own::MORE, own::json(&more).as_deref());
        let name = call.request_model.as_ref().or(call.response_model.as_ref());
        let mut span = Span {
            name: name.map_or_else(|| asked.to_owned(), |model| format!("{asked} {model}")),
            kind: SpanKind::Client.into(),
            attributes: attributes.into_inner(),
            status: call.error.is_some().then(|| failure(call.error.as_ref())),
            ..self.part()
        };
        let begun = call.started_at.unwrap_or(self.record.started_at);
        time(&mut span, begun, call.duration.unwrap_or_default());
        self.spans.push(span);
    }

    fn of_llm(&self, call: &LlmCall, asked: &str) -> Attributes {
        let mut attributes = Attributes::default();
        attributes.text("gen_ai.operation.name", asked);
        let provider = call.provider.as_deref().map(provider_name);
        let key = match self.convention {
            Convention::Current => "gen_ai.provider.name",
            Convention::Older => "gen_ai.system",
        };
        attributes.some_text(key, provider.as_deref());
        attributes.some_text("gen_ai.request.model", call.request_model.as_deref());
        attributes.some_text("gen_ai.response.model", call.response_model.as_deref());
        let id = call.metadata.get(keys::RESPONSE_ID).and_then(|id| id.as_str());
        attributes.some_text("gen_ai.response.id", id);
        if let Some(reason) = &call.finish_reason {
            attributes.list("gen_ai.response.finish_reasons", reason);
        }
        if call.streamed {
            attributes.flag("gen_ai.request.stream", true);
        }
        if let Some(first) = call.time_to_first_token {
            attributes.number("gen_ai.response.time_to_first_chunk", first.as_secs_f64());
        }
        if let Some((amount, Currency::USD)) = call.cost.amount() {
            attributes.number("gen_ai.usage.cost", amount.to_f64_lossy());
        }
        if let Some(error) = &call.error {
            attributes.text("error.type", type_of(error.category));
        }
        attributes
    }

    /// Input includes what is cached, and output what was reasoned, as the conventions ask.
    fn usage(&self, usage: &TokenUsage, attributes: &mut Attributes) {
        let [read, write, reasoning] = match self.convention {
            Convention::Current => [
                "gen_ai.usage.cache_read.input_tokens",
                "gen_ai.usage.cache_creation.input_tokens",
                "gen_ai.usage.reasoning.output_tokens",
            ],
            Convention::Older => [
                "gen_ai.usage.cache_read_input_tokens",
                "gen_ai.usage.cache_creation_input_tokens",
                "gen_ai.usage.reasoning_tokens",
            ],
        };
        attributes.count("gen_ai.usage.input_tokens", usage.input_tokens());
        attributes.count("gen_ai.usage.output_tokens", usage.output_tokens());
        let parts = [
            (read, usage.get(Unit::CacheRead)),
            (write, usage.cache_write_tokens()),
            (reasoning, usage.get(Unit::Reasoning)),
        ];
        for (key, count) in parts.into_iter().filter(|(_, count)| *count > 0) {
            attributes.count(key, count);
        }
    }

    /// A span within that of the operation.
    fn part(&mut self) -> Span {
        self.parts += 1;
        let own = self.record.id.span_id();
        // The same operation has the same spans, whenever it is sent.
        let id = SpanId::from_bits(join(own.bits(), self.parts).max(1));
        Span { flags: 1 | 1 << 8, ..self.span(id, Some(own)) }
    }

    fn span(&self, id: SpanId, parent: Option<SpanId>) -> Span {
        let bytes = |id: SpanId| id.bits().to_be_bytes().to_vec();
        Span {
            trace_id: self.record.trace_id.bits().to_be_bytes().to_vec(),
            span_id: bytes(id),
            parent_span_id: parent.map(bytes).unwrap_or_default(),
            ..Span::default()
        }
    }
}

/// Whether the conventions have a name for a unit.
fn is_told(unit: Unit) -> bool {
    matches!(
        unit,
        Unit::Input | Unit::Output | Unit::CacheRead | Unit::CacheWrite | Unit::Reasoning
    )
}

/// The type of an error by its category; `_OTHER` where that is not known, as the conventions ask.
fn type_of(category: ErrorCategory) -> &'static str {
    if category == ErrorCategory::Unknown { "_OTHER" } else { category.as_str() }
}

fn failure(error: Option<&ErrorRecord>) -> Status {
    let message = error.map(|error| error.message.clone()).unwrap_or_default();
    Status { message, code: status::StatusCode::Error.into() }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn time(span: &mut Span, begun: DateTime<Utc>, took: Duration) {
    let begun = begun.timestamp_nanos_opt().and_then(|nanos| u64::try_from(nanos).ok());
    span.start_time_unix_nano = begun.unwrap_or_default();
    span.end_time_unix_nano = span.start_time_unix_nano.saturating_add(nanos(took));
}
