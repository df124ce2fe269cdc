//! What a span stands for, by the words of its convention. The name of a span is never asked, save where nothing else
//! tells.

use super::alias::Field;
use super::slots::Slots;

/// What a span stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A call of an LLM: the only role whose usage counts, where there is any.
    Call,
    /// A call of a tool.
    Tool,
    /// An agent, a workflow, a request to either: an operation, whose own usage repeats that of its calls.
    Agent,
    /// A step of an operation: a chain, a task, a retrieval. Its own usage repeats that of its calls.
    Step,
    /// Nothing that has to do with LLMs, as far as the span says.
    Other,
}

/// The convention in whose words a span is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Convention {
    GenAi,
    OpenInference,
    OpenLlmetry,
    AiSdk,
    Langfuse,
    ClaudeCode,
    Mcp,
    Logfire,
}

impl Convention {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::GenAi => "gen_ai",
            Self::OpenInference => "openinference",
            Self::OpenLlmetry => "openllmetry",
            Self::AiSdk => "ai_sdk",
            Self::Langfuse => "langfuse",
            Self::ClaudeCode => "claude_code",
            Self::Mcp => "mcp",
            Self::Logfire => "logfire",
        }
    }
}

/// What a span stands for, and in whose words it says so.
pub(crate) fn role(name: &str, slots: &Slots<'_>) -> (Role, Option<Convention>) {
    // The narrow before the wide: who adds words of his own to those of OpenTelemetry means his own more exactly.
    let told = by(slots, Field::LangfuseType, Convention::Langfuse, langfuse)
        .or_else(|| by(slots, Field::AiOperation, Convention::AiSdk, ai_sdk))
        .or_else(|| by(slots, Field::OpenInferenceKind, Convention::OpenInference, openinference))
        .or_else(|| by(slots, Field::TraceloopKind, Convention::OpenLlmetry, traceloop))
        .or_else(|| by(slots, Field::Operation, Convention::GenAi, gen_ai))
        .or_else(|| by(slots, Field::RequestType, Convention::OpenLlmetry, request_type))
        .or_else(|| by(slots, Field::McpMethod, Convention::Mcp, mcp))
        .or_else(|| claude_code(name).map(|role| (role, Convention::ClaudeCode)));
    if let Some((role, convention)) = told {
        return (role, Some(convention));
    }
    if slots.has(Field::LogfireSpan) && slots.has(Field::ToolName) {
        return (Role::Tool, Some(Convention::Logfire));
    }
    (Role::Other, None)
}

fn by(
    slots: &Slots<'_>,
    field: Field,
    convention: Convention,
    role: fn(&str) -> Role,
) -> Option<(Role, Convention)> {
    slots.text(field).map(|word| (role(word), convention))
}

/// `gen_ai.operation.name`: the enum of OpenTelemetry, and what is seen outside of it.
fn gen_ai(word: &str) -> Role {
    match word {
        "chat"
        | "text_completion"
        | "generate_content"
        | "embeddings"
        | "embedding"
        | "completion"
        | "chat_streaming"
        | "interactions"
        | "interactions_streaming"
        | "rerank"
        | "llm_request"
        | "responses"
        | "audio_generation"
        | "image_generation"
        | "speech"
        | "transcription" => Role::Call,
        "execute_tool" => Role::Tool,
        "invoke_agent" | "invoke_workflow" | "create_agent" => Role::Agent,
        _ => Role::Step,
    }
}

fn openinference(word: &str) -> Role {
    match word {
        "LLM" | "EMBEDDING" | "RERANKER" => Role::Call,
        "TOOL" => Role::Tool,
        "AGENT" => Role::Agent,
        _ => Role::Step,
    }
}

fn traceloop(word: &str) -> Role {
    match word {
        "workflow" | "agent" => Role::Agent,
        "tool" => Role::Tool,
        _ => Role::Step,
    }
}

fn request_type(word: &str) -> Role {
    match word {
        "chat" | "completion" | "embedding" | "rerank" => Role::Call,
        _ => Role::Step,
    }
}

fn langfuse(word: &str) -> Role {
    match word {
        "generation" | "embedding" => Role::Call,
        "tool" => Role::Tool,
        "agent" => Role::Agent,
        _ => Role::Step,
    }
}

/// `ai.generateText` is the operation, `ai.generateText.doGenerate` the call within.
fn ai_sdk(word: &str) -> Role {
    match word.rsplit('.').next().unwrap_or_default() {
        "toolCall" => Role::Tool,
        inner if inner.starts_with("do") => Role::Call,
        _ => Role::Agent,
    }
}

fn mcp(word: &str) -> Role {
    if word == "tools/call" { Role::Tool } else { Role::Step }
}

fn claude_code(name: &str) -> Option<Role> {
    Some(match name.strip_prefix("claude_code.")? {
        "llm_request" => Role::Call,
        "tool" => Role::Tool,
        "interaction" => Role::Agent,
        _ => Role::Step,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::slots::Value;

    fn check(name: &str, attributes: &[(&str, &str)], expected: Role) {
        let mut slots = Slots::new();
        for (key, value) in attributes {
            slots.put_named(key.as_bytes(), Value::Text((*value).into()));
        }
        assert_eq!(role(name, &slots).0, expected, "{name} {attributes:?}");
    }

    #[test]
    fn the_words_of_every_convention() {
        check("chat gpt-4o", &[("gen_ai.operation.name", "chat")], Role::Call);
        check("step 1", &[("gen_ai.operation.name", "agent_step")], Role::Step);
        check("fetch", &[("gen_ai.operation.name", "fetch_response")], Role::Step);
        check("x", &[("openinference.span.kind", "EMBEDDING")], Role::Call);
        check("x", &[("openinference.span.kind", "CHAIN")], Role::Step);
        check("x.task", &[("traceloop.span.kind", "task")], Role::Step);
        check("x", &[("langfuse.observation.type", "generation")], Role::Call);
        check("x", &[("ai.operationId", "ai.streamText")], Role::Agent);
        check("x", &[("ai.operationId", "ai.embedMany.doEmbed")], Role::Call);
        check("x", &[("ai.operationId", "ai.toolCall")], Role::Tool);
        check("tools/call x", &[("mcp.method.name", "tools/call")], Role::Tool);
        check(
            "running tool",
            &[("logfire.span_type", "span"), ("gen_ai.tool.name", "x")],
            Role::Tool,
        );
        check("claude_code.llm_request", &[], Role::Call);
        check("claude_code.tool.execution", &[], Role::Step);
        check("POST /chat", &[("http.request.method", "POST")], Role::Other);
    }
}
