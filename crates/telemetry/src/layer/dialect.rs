//! Libraries whose spans do not speak as OpenTelemetry does: by which names they are known, and what they mean.
//!
//! Read from their published sources: langchain-rust 7.0.0, swiftide 0.33.0, adk-telemetry 2.3.0.

use crate::otlp::alias::Field;

/// The spans of one name that a library makes.
#[derive(Debug)]
pub(super) struct Dialect {
    /// How the target begins: the name of a crate, or the beginning of several.
    library: &'static str,
    name: &'static str,
    /// The word of OpenTelemetry for it.
    pub(super) operation: &'static str,
    fields: &'static [(&'static str, Field)],
}

const LANGCHAIN: &str = "langchain_rust";
const SWIFTIDE: &str = "swiftide";
const ADK: &str = "adk";

const CALL: &[(&str, Field)] = &[
    ("provider", Field::Provider),
    ("model", Field::RequestModel),
    ("stream", Field::Streamed),
    ("prompt_tokens", Field::InputTokens),
    ("completion_tokens", Field::OutputTokens),
];
const LANGFUSE: &[(&str, Field)] =
    &[("langfuse.model", Field::RequestModel), ("langfuse.usage", Field::UsageDetails)];

const fn says(
    library: &'static str,
    name: &'static str,
    operation: &'static str,
    fields: &'static [(&'static str, Field)],
) -> Dialect {
    Dialect { library, name, operation, fields }
}

static DIALECTS: [Dialect; 19] = [
    says(LANGCHAIN, "llm.generate", "chat", CALL),
    says(LANGCHAIN, "embed.documents", "embeddings", CALL),
    says(LANGCHAIN, "embed.query", "embeddings", CALL),
    says(LANGCHAIN, "chain.call", "chain", &[]),
    says(LANGCHAIN, "agent.run", "invoke_agent", &[]),
    says(LANGCHAIN, "agent.plan", "plan", &[]),
    says(LANGCHAIN, "tool.call", "execute_tool", &[("tool", Field::ToolName)]),
    says(SWIFTIDE, "agent.query", "invoke_agent", &[]),
    says(SWIFTIDE, "agent.query_once", "invoke_agent", &[]),
    says(SWIFTIDE, "agent.run", "invoke_agent", &[]),
    says(SWIFTIDE, "agent.run_once", "invoke_agent", &[]),
    says(SWIFTIDE, "step", "agent_step", &[]),
    says(SWIFTIDE, "tool", "execute_tool", &[]),
    says(SWIFTIDE, "complete", "chat", LANGFUSE),
    says(SWIFTIDE, "stream", "chat", LANGFUSE),
    says(SWIFTIDE, "responses_stream", "chat", LANGFUSE),
    says(ADK, "gen_ai.generate", "chat", &[]),
    says(ADK, "agent.run", "invoke_agent", &[]),
    says(ADK, "tool.execute", "execute_tool", &[]),
];

/// What swiftide tells of a call in an event.
static SWIFTIDE_EVENT: Dialect = says(SWIFTIDE, "", "", LANGFUSE);

/// What spans and events of this target and name mean, if a library is known by them.
pub(super) fn dialect(target: &str, name: &str) -> Option<&'static Dialect> {
    // The name of an event is where it stands in the source.
    if target.starts_with(SWIFTIDE) && name.starts_with("event ") {
        return Some(&SWIFTIDE_EVENT);
    }
    DIALECTS.iter().find(|dialect| dialect.name == name && target.starts_with(dialect.library))
}

impl Dialect {
    pub(super) fn field(&self, name: &str) -> Option<Field> {
        self.fields.iter().find(|(known, _)| *known == name).map(|(_, field)| *field)
    }
}
