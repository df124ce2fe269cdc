//! Whose fields a reply has.

use std::fmt;

use serde_json::Value;

use super::part::Part;

/// The family of APIs whose fields a reply has. Many providers speak another one's dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum Dialect {
    /// OpenAI's chat completions, responses, embeddings, images and transcriptions, and all who follow them: Azure,
    /// OpenRouter, DeepSeek, Groq, Mistral, xAI, Perplexity, vLLM and so on.
    OpenAi,
    /// Anthropic's messages, at Anthropic, Bedrock, Vertex AI and elsewhere.
    Anthropic,
    /// Gemini's `generateContent`, at the Gemini API and at Vertex AI.
    Gemini,
    /// Bedrock's Converse, and what Amazon's own LLMs and others answer to Bedrock's `InvokeModel`.
    Bedrock,
    /// Ollama's own API.
    Ollama,
    /// None of them, or none that can be told.
    #[default]
    Unknown,
}

impl Dialect {
    /// The name in texts, such as `openai`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Bedrock => "bedrock",
            Self::Ollama => "ollama",
            Self::Unknown => "unknown",
        }
    }

    /// The provider whose dialect it is, as the price book calls it; none for the unknown.
    pub const fn provider(self) -> Option<&'static str> {
        match self {
            Self::Gemini => Some("google"),
            Self::Unknown => None,
            other => Some(other.as_str()),
        }
    }

    /// Tells the dialect of a reply, of an event of a streamed one, or of a usage that stands alone, by its fields.
    ///
    /// ```
    /// use serde_json::json;
    /// use taximeter_telemetry::reply::Dialect;
    ///
    /// assert_eq!(Dialect::of(&json!({"choices": [], "usage": null})), Dialect::OpenAi);
    /// assert_eq!(Dialect::of(&json!({"promptTokenCount": 7})), Dialect::Gemini);
    /// assert_eq!(Dialect::of(&json!({"input_tokens": 7})), Dialect::Unknown); // two dialects have such a field
    /// ```
    pub fn of(reply: &Value) -> Self {
        let reply = Part::of(reply);
        RULES.iter().find(|(_, holds)| holds(reply)).map_or(Self::Unknown, |(dialect, _)| *dialect)
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

type Rule = (Dialect, fn(Part<'_>) -> bool);

/// The first rule that holds decides: the narrow ones come first.
const RULES: &[Rule] = &[
    (Dialect::Anthropic, is_anthropic),
    (Dialect::Gemini, |reply| {
        has_any(reply, &["candidates", "usageMetadata", "promptFeedback", "promptTokenCount"])
            || reply.at("error").at("status").is_there()
    }),
    (Dialect::Ollama, |reply| {
        let is_chunk = has_any(reply, &["done", "embeddings"]) && has_any(reply, &["model"]);
        is_chunk || has_any(reply, &["prompt_eval_count", "eval_count"])
    }),
    (Dialect::OpenAi, is_openai),
    (Dialect::Bedrock, |reply| {
        let usage = reply.at("usage");
        has_any(reply, super::bedrock::FIELDS)
            || has_any(usage, &["inputTokens", "outputTokens"])
            || has_any(reply.at("output"), &["message"])
            || has_any(reply.at("metadata").at("usage"), &["inputTokens"])
    }),
];

fn has_any(part: Part<'_>, fields: &[&str]) -> bool {
    fields.iter().any(|field| part.at(field).is_there())
}

fn is_anthropic(reply: Part<'_>) -> bool {
    let told_by_type = match reply.at("type").text() {
        Some("message") => has_any(reply, &["usage", "content", "stop_reason", "role"]),
        Some("message_start" | "message_delta" | "message_stop" | "ping") => true,
        Some("error") => reply.at("error").at("type").is_there(),
        Some(kind) => kind.starts_with("content_block_"),
        None => false,
    };
    told_by_type
        || has_any(reply, &["cache_read_input_tokens", "cache_creation_input_tokens"])
            && has_any(reply, &["input_tokens", "output_tokens"])
}

fn is_openai(reply: Part<'_>) -> bool {
    let object = reply.at("object").text().unwrap_or_default();
    let kind = reply.at("type").text().unwrap_or_default();
    let usage = reply.at("usage");
    matches!(object, "response" | "list" | "text_completion")
        || object.starts_with("chat.completion")
        || kind.starts_with("response.")
        || kind == "error"
        || has_any(reply, &["choices", "prompt_tokens", "input_tokens_details", "usage_info"])
        || has_any(usage, &["prompt_tokens", "completion_tokens", "input_tokens_details"])
        || (has_any(reply, &["text"]) && has_any(usage, &["type"]))
        || (has_any(reply, &["created"]) && has_any(reply, &["data"]))
        || has_any(reply.at("error"), &["param", "type"])
}
