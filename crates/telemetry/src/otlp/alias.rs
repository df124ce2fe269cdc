//! The names under which the conventions say the same thing, as data: one row for each thing that taximeter reads.
//!
//! Within a row the first name that is present wins, from left to right. The sources and their versions stand in
//! `docs/FORMATS.md`, "OTLP in".

use std::collections::HashMap;
use std::sync::LazyLock;

use foldhash::fast::FixedState;

/// Declares [`Field`] and its names; the macro keeps the two in step.
macro_rules! fields {
    ($($(#[doc = $doc:literal])* $field:ident = [$($name:literal),* $(,)?],)+) => {
        /// A thing that a span, a log record or a point of a metric may say of a call.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub(crate) enum Field {
            $($(#[doc = $doc])* $field,)+
        }

        impl Field {
            pub(crate) const COUNT: usize = [$(Self::$field,)+].len();
        }

        /// Every field with its names, in the order in which they win.
        const NAMES: &[(Field, &[&str])] = &[$((Field::$field, &[$($name),*]),)+];
    };
}

fields! {
    // What kind of span it is: one field for each convention, since their words mean different things.
    Operation = ["gen_ai.operation.name"],
    OpenInferenceKind = ["openinference.span.kind"],
    TraceloopKind = ["traceloop.span.kind"],
    LangfuseType = ["langfuse.observation.type"],
    RequestType = ["llm.request.type"],
    AiOperation = ["ai.operationId"],
    McpMethod = ["mcp.method.name"],
    LogfireSpan = ["logfire.span_type"],
    LogEvent = ["event.name"],

    // Who was asked, and who answered.
    Provider = [
        "gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "ai.model.provider",
    ],
    RequestModel = [
        "gen_ai.request.model", "ai.model.id", "llm.model_name", "embedding.model_name", "reranker.model_name",
        "langfuse.observation.model.name", "model",
    ],
    ResponseModel = [
        "gen_ai.response.model", "ai.response.model", "llm.response.model", "llm.model_name",
    ],
    /// JSON, which holds the model that was asked for.
    InvocationParameters = ["llm.invocation_parameters"],
    ResponseId = ["gen_ai.response.id", "ai.response.id", "request_id"],
    FinishReason = [
        "gen_ai.response.finish_reasons", "gen_ai.response.finish_reason", "llm.finish_reason",
        "ai.response.finishReason", "stop_reason",
    ],
    ServiceTier = [
        "openai.response.service_tier", "gen_ai.openai.response.service_tier", "anthropic.response.service_tier",
    ],

    // Tokens.
    InputTokens = [
        "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt", "ai.usage.inputTokens",
        "ai.usage.promptTokens", "ai.usage.tokens", "input_tokens",
    ],
    OutputTokens = [
        "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion",
        "ai.usage.outputTokens", "ai.usage.completionTokens", "output_tokens",
    ],
    CacheRead = [
        "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.cache_read_tokens", "gen_ai.usage.details.cache_read_tokens",
        "gen_ai.usage.details.cache_read_input_tokens", "gen_ai.usage.input_tokens.cached",
        "llm.token_count.prompt_details.cache_read", "ai.usage.inputTokenDetails.cacheReadTokens",
        "ai.usage.cachedInputTokens", "gen_ai.usage.prompt_tokens_details.cached_tokens", "cache_read_tokens",
    ],
    CacheWrite = [
        "gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens", "gen_ai.usage.cache_creation_tokens",
        "gen_ai.usage.details.cache_write_tokens", "gen_ai.usage.details.cache_creation_input_tokens",
        "gen_ai.usage.input_tokens.cache_write", "llm.token_count.prompt_details.cache_write",
        "ai.usage.inputTokenDetails.cacheWriteTokens", "gen_ai.usage.prompt_tokens_details.cache_creation_tokens",
        "cache_creation_tokens",
    ],
    CacheWrite5m = ["anthropic.usage.cache_creation.ephemeral_5m_input_tokens"],
    CacheWrite1h = ["anthropic.usage.cache_creation.ephemeral_1h_input_tokens"],
    Reasoning = [
        "gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens", "llm.usage.reasoning_tokens",
        "gen_ai.usage.details.reasoning_tokens", "gen_ai.usage.completion_tokens_details.reasoning_tokens",
        "llm.token_count.completion_details.reasoning", "ai.usage.outputTokenDetails.reasoningTokens",
        "ai.usage.reasoningTokens", "gen_ai.usage.thinking_tokens",
    ],
    InputAudio = [
        "gen_ai.usage.audio.input_tokens", "gen_ai.usage.details.input_audio_tokens",
        "llm.token_count.prompt_details.audio", "gen_ai.usage.audio_input_tokens",
    ],
    OutputAudio = [
        "gen_ai.usage.audio.output_tokens", "gen_ai.usage.details.output_audio_tokens",
        "gen_ai.usage.details.audio_tokens", "llm.token_count.completion_details.audio",
        "gen_ai.usage.completion_tokens_details.audio_tokens", "gen_ai.usage.audio_output_tokens",
    ],
    CacheReadAudio = ["gen_ai.usage.audio.cache_read.input_tokens", "gen_ai.usage.details.cache_audio_read_tokens"],
    InputImage = ["gen_ai.usage.image.input_tokens"],
    OutputImage = ["gen_ai.usage.image.output_tokens"],
    CacheReadImage = ["gen_ai.usage.image.cache_read.input_tokens"],
    /// JSON: buckets of its own, or the provider's own object.
    UsageDetails = ["langfuse.observation.usage_details"],

    // Money, as somebody else computed it.
    CostTotal = ["gen_ai.usage.cost", "operation.cost", "llm.cost.total", "cost_usd"],
    CostInput = ["llm.cost.prompt"],
    CostOutput = ["llm.cost.completion"],
    /// JSON.
    CostDetails = ["langfuse.observation.cost_details"],

    // Streams.
    Streamed = ["gen_ai.request.stream", "gen_ai.is_streaming", "llm.is_streaming"],
    /// Seconds.
    FirstChunkSeconds = ["gen_ai.response.time_to_first_chunk", "gen_ai.client.operation.time_to_first_chunk"],
    /// Seconds; openlit writes it for whole replies too, where it is the whole time.
    FirstTokenSeconds = ["gen_ai.server.time_to_first_token"],
    FirstTokenMillis = ["ai.response.msToFirstChunk", "ai.stream.msToFirstChunk", "ttft_ms"],
    /// An instant in quotes.
    CompletionStart = ["langfuse.observation.completion_start_time"],
    /// Put by the readers of events: nanoseconds since 1970.
    FirstTokenAt = [],

    // Tools.
    ToolName = ["gen_ai.tool.name", "tool.name", "ai.toolCall.name", "tool_name"],
    ToolCallId = ["gen_ai.tool.call.id", "tool.id", "tool_call.id", "ai.toolCall.id", "tool_use_id"],
    ToolOutcome = ["gen_ai.tool.call.outcome"],

    // Errors.
    ErrorType = ["error.type", "gen_ai.tool.error.type", "error_type", "exception.type"],
    ErrorMessage = ["exception.message", "error.message", "langfuse.observation.status_message", "error"],
    StatusCode = ["http.response.status_code", "http.status_code", "status_code"],
    Level = ["langfuse.observation.level"],
    Success = ["success"],

    // For whom, and within what.
    Session = [
        "gen_ai.conversation.id", "session.id", "langfuse.session.id", "traceloop.association.properties.session_id",
        "ai.telemetry.metadata.sessionId",
    ],
    User = [
        "user.id", "enduser.id", "langfuse.user.id", "traceloop.association.properties.user_id", "gen_ai.user",
        "llm.user", "gen_ai.request.user", "ai.telemetry.metadata.userId",
    ],
    Agent = ["gen_ai.agent.name", "agent.name", "traceloop.entity.name", "agent_name"],
    EntityName = ["traceloop.entity.name"],
    Attempt = ["attempt"],
    DurationMillis = ["duration_ms"],
    Speed = ["speed"],

    // What only logs and points of metrics say.
    PromptId = ["prompt.id"],
    Sequence = ["event.sequence"],
    TokenType = ["gen_ai.token.type", "type"],
    TokenModality = ["gen_ai.token.modality"],

    // What taximeter says of its own operations.
    WorkflowName = ["gen_ai.workflow.name"],
    OwnId = ["taximeter.operation.id"],
    /// JSON.
    OwnMore = ["taximeter.more"],

    // The process: what tells one sender from another.
    ServiceName = ["service.name"],
    ServiceInstance = ["service.instance.id"],
    ServiceNamespace = ["service.namespace"],
    /// Where it runs: `production`, `staging`.
    Environment = ["deployment.environment.name", "deployment.environment"],
    Process = ["process.pid"],
    Host = ["host.id", "host.name"],
    Pod = ["k8s.pod.uid", "container.id"],
}

/// A name's place: its field, and how many names of that field win over it.
pub(crate) type Place = (Field, u8);

/// One name may speak for two fields: `llm.model_name` is asked for first, and the answer's later.
pub(crate) type Spoken = [Option<Place>; 2];

type Places = HashMap<&'static [u8], Spoken, FixedState>;

static PLACES: LazyLock<Places> = LazyLock::new(|| {
    let mut places = HashMap::<_, Spoken, _>::default();
    for (field, names) in NAMES {
        for (rank, name) in (0_u8..).zip(*names) {
            let entry = places.entry(name.as_bytes()).or_default();
            let free = entry.iter_mut().find(|place| place.is_none());
            *free.expect("no name speaks for three fields") = Some((*field, rank));
        }
    }
    places
});

/// The fields for which a name speaks; none for a name that is not known.
pub(crate) fn places(name: &[u8]) -> Option<Spoken> {
    PLACES.get(name).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_to_its_field() {
        for (field, names) in NAMES {
            for name in *names {
                let spoken = places(name.as_bytes()).unwrap();
                assert!(spoken.iter().flatten().any(|(found, _)| found == field), "{name}");
            }
        }
        assert_eq!(places(b"gen_ai.usage.total_tokens"), None);
    }
}
