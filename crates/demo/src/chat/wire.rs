//! The JSON of the chat completions API, as far as the application speaks it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A request for a completion.
#[derive(Debug, Serialize)]
pub(super) struct ChatRequest<'a> {
    pub(super) model: &'a str,
    pub(super) messages: &'a [Message],
    pub(super) stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_completion_tokens: Option<u32>,
}

#[derive(Debug, Serialize)]
pub(super) struct StreamOptions {
    pub(super) include_usage: bool,
}

/// One message of a conversation.
#[derive(Debug, Serialize)]
pub(crate) struct Message {
    role: &'static str,
    content: String,
}

impl Message {
    pub(crate) fn system(content: impl Into<String>) -> Self {
        Self { role: "system", content: content.into() }
    }

    pub(crate) fn user(content: impl Into<String>) -> Self {
        Self { role: "user", content: content.into() }
    }
}

/// A whole completion, or one chunk of a streamed one: they differ in the name of the part alone.
#[derive(Debug, Deserialize)]
pub(super) struct Completion {
    pub(super) model: Option<String>,
    #[serde(default)]
    pub(super) choices: Vec<Choice>,
    pub(super) usage: Option<Usage>,
    pub(super) error: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Choice {
    #[serde(alias = "delta")]
    pub(super) message: Option<Part>,
    pub(super) finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Part {
    pub(super) content: Option<String>,
}

/// The usage block; its details are left out by many servers.
#[derive(Debug, Deserialize)]
pub(super) struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Debug, Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
}

/// The tokens of one reply, as the server counted them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenCounts {
    /// All tokens of the prompt, the cached ones included.
    pub prompt: u64,
    /// Those of the prompt that came from the provider's cache.
    pub cached: u64,
    /// All tokens that were generated, the reasoning included.
    pub completion: u64,
    /// Those generated that are not part of the text.
    pub reasoning: u64,
}

impl From<Usage> for TokenCounts {
    fn from(usage: Usage) -> Self {
        let cached = usage.prompt_tokens_details.and_then(|details| details.cached_tokens);
        let reasoning =
            usage.completion_tokens_details.and_then(|details| details.reasoning_tokens);
        Self {
            prompt: usage.prompt_tokens,
            cached: cached.unwrap_or_default(),
            completion: usage.completion_tokens,
            reasoning: reasoning.unwrap_or_default(),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct ModelList {
    pub(super) data: Vec<Model>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Model {
    pub(super) id: String,
}

/// The code and message of an error's body; what is not OpenAI's JSON is its own message.
pub(super) fn error_of(body: &str) -> (Option<String>, String) {
    let json: Value = serde_json::from_str(body).unwrap_or_default();
    let error = &json["error"];
    let code = [&error["code"], &error["type"]].into_iter().find_map(text_of);
    let message = [&error["message"], error].into_iter().find_map(text_of);
    (code, message.unwrap_or_else(|| body.to_owned()))
}

/// Some gateways put numbers where OpenAI has words.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_read_in_every_shape() {
        for (body, code, message) in [
            (r#"{"error":{"message":"m","type":"t","code":"c"}}"#, Some("c"), "m"),
            (r#"{"error":{"message":"m","type":"t","code":null}}"#, Some("t"), "m"),
            (r#"{"error":{"message":"m","code":429}}"#, Some("429"), "m"),
            (r#"{"error":"m"}"#, None, "m"),
            ("<html>Bad Gateway</html>", None, "<html>Bad Gateway</html>"),
            ("", None, ""),
        ] {
            let (got_code, got_message) = error_of(body);
            assert_eq!((got_code.as_deref(), got_message.as_str()), (code, message), "{body}");
        }
    }

    #[test]
    fn a_usage_without_details_counts_none_of_them() {
        for details in ["", r#","prompt_tokens_details":null,"completion_tokens_details":{}"#] {
            let json = format!(r#"{{"prompt_tokens":7,"completion_tokens":3{details}}}"#);
            let usage: Usage = serde_json::from_str(&json).unwrap();
            let expected = TokenCounts { prompt: 7, completion: 3, ..TokenCounts::default() };
            assert_eq!(TokenCounts::from(usage), expected);
        }
    }

    #[test]
    fn a_chunk_and_a_whole_reply_are_read_alike() {
        for part in ["delta", "message"] {
            let json = format!(
                r#"{{"model":"m","choices":[{{"{part}":{{"content":"hi"}},"finish_reason":null}}]}}"#
            );
            let completion: Completion = serde_json::from_str(&json).unwrap();
            let text = completion.choices.into_iter().next().unwrap().message.unwrap().content;
            assert_eq!(text.as_deref(), Some("hi"));
        }
    }
}
