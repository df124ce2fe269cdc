//! The other way round: operations and their calls as spans, for logs and flame graphs.

use std::sync::Arc;

use ::tracing::field::Empty;
use ::tracing::{Span, info_span};
use taximeter_collector::{Begun, Over, Show};
use taximeter_models::{ErrorRecord, LlmCall, OperationId, Outcome, ToolStatus, Unit};

/// Shows operations as spans of the target `taximeter`, in the words of OpenTelemetry's conventions for GenAI (1.41).
#[derive(Debug)]
pub(crate) struct AsSpans;

impl Show for AsSpans {
    fn begin(&self, begun: Begun<'_>) -> Arc<dyn Show> {
        // Whatever the program itself shows around it is its parent.
        Arc::new(AsSpan(span(&Span::current(), begun)))
    }

    fn end(&self, _: Over<'_>) {}
}

/// Something that is shown as a span.
#[derive(Debug)]
struct AsSpan(Span);

impl Show for AsSpan {
    fn begin(&self, begun: Begun<'_>) -> Arc<dyn Show> {
        Arc::new(Self(span(&self.0, begun)))
    }

    fn enter(&self) {
        self.0.with_subscriber(|(id, subscriber)| subscriber.enter(id));
    }

    fn exit(&self) {
        self.0.with_subscriber(|(id, subscriber)| subscriber.exit(id));
    }

    fn end(&self, over: Over<'_>) {
        match over {
            Over::Operation(outcome) => {
                self.0.record("taximeter.outcome", outcome.as_str());
                if outcome == Outcome::Failure {
                    self.0.record("otel.status_code", "ERROR");
                }
            }
            Over::Llm(call) => self.tell(call),
            Over::Tool(status, error) if status != ToolStatus::Success => {
                self.fail(error.map_or(status.as_str(), |error| error.category.as_str()));
            }
            _ => {}
        }
    }
}

fn span(parent: &Span, begun: Begun<'_>) -> Span {
    match begun {
        Begun::Operation(name, id) => operation(parent, name, id),
        Begun::Llm(call) => chat(parent, call),
        Begun::Tool(name) => tool(parent, name),
        Begun::Component(name) => {
            info_span!(target: "taximeter", parent: parent, "component", "otel.name" = name)
        }
        _ => Span::none(),
    }
}

fn operation(parent: &Span, name: &str, id: OperationId) -> Span {
    info_span!(
        target: "taximeter",
        parent: parent,
        "operation",
        "otel.name" = name,
        "otel.status_code" = Empty,
        "taximeter.operation.id" = %id,
        "taximeter.outcome" = Empty
    )
}

fn chat(parent: &Span, call: &LlmCall) -> Span {
    let span = info_span!(
        target: "taximeter",
        parent: parent,
        "chat",
        "otel.name" = %format_args!("chat {}", call.model()),
        "otel.kind" = "client",
        "otel.status_code" = Empty,
        "error.type" = Empty,
        "gen_ai.operation.name" = "chat",
        "gen_ai.provider.name" = Empty,
        "gen_ai.request.model" = Empty,
        "gen_ai.request.stream" = Empty,
        "gen_ai.response.model" = Empty,
        "gen_ai.response.finish_reasons" = Empty,
        "gen_ai.response.time_to_first_chunk" = Empty,
        "gen_ai.usage.input_tokens" = Empty,
        "gen_ai.usage.output_tokens" = Empty,
        "gen_ai.usage.cache_read.input_tokens" = Empty,
        "gen_ai.usage.cache_creation.input_tokens" = Empty,
        "gen_ai.usage.reasoning.output_tokens" = Empty
    );
    request(&span, call);
    span
}

fn tool(parent: &Span, name: &str) -> Span {
    info_span!(
        target: "taximeter",
        parent: parent,
        "execute_tool",
        "otel.name" = %format_args!("execute_tool {name}"),
        "otel.status_code" = Empty,
        "error.type" = Empty,
        "gen_ai.operation.name" = "execute_tool",
        "gen_ai.tool.name" = name
    )
}

fn request(span: &Span, call: &LlmCall) {
    text(span, "gen_ai.provider.name", call.provider.as_deref());
    text(span, "gen_ai.request.model", call.request_model.as_deref());
    if call.streamed {
        span.record("gen_ai.request.stream", true);
    }
}

fn text(span: &Span, field: &str, value: Option<&str>) {
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        span.record(field, value);
    }
}

impl AsSpan {
    fn tell(&self, call: &LlmCall) {
        let span = &self.0;
        request(span, call);
        text(span, "gen_ai.response.model", call.response_model.as_deref());
        text(span, "gen_ai.response.finish_reasons", call.finish_reason.as_deref());
        if let Some(first) = call.time_to_first_token {
            span.record("gen_ai.response.time_to_first_chunk", first.as_secs_f64());
        }
        if let Some(usage) = &call.usage {
            span.record("gen_ai.usage.input_tokens", usage.input_tokens());
            span.record("gen_ai.usage.output_tokens", usage.output_tokens());
            let written = [Unit::CacheWrite, Unit::CacheWrite5m, Unit::CacheWrite1h];
            let written = written.into_iter().map(|unit| usage.get(unit)).sum();
            for (field, count) in [
                ("gen_ai.usage.cache_read.input_tokens", usage.get(Unit::CacheRead)),
                ("gen_ai.usage.cache_creation.input_tokens", written),
                ("gen_ai.usage.reasoning.output_tokens", usage.get(Unit::Reasoning)),
            ] {
                if count > 0 {
                    span.record(field, count);
                }
            }
        }
        if let Some(ErrorRecord { category, .. }) = &call.error {
            self.fail(category.as_str());
        }
    }

    fn fail(&self, kind: &str) {
        self.0.record("otel.status_code", "ERROR");
        self.0.record("error.type", kind);
    }
}
