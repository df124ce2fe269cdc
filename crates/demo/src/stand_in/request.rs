//! The request of the chat completions API, as the stand-in reads it.

use serde::Deserialize;

/// A request for a completion; fields that change nothing here are ignored.
#[derive(Debug, Deserialize)]
pub(super) struct ChatRequest {
    pub(super) model: String,
    pub(super) messages: Vec<Message>,
    #[serde(default)]
    pub(super) stream: bool,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    /// `max_tokens` is the older name of the same limit.
    #[serde(default, alias = "max_tokens")]
    pub(super) max_completion_tokens: Option<usize>,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

/// One message of the conversation.
#[derive(Debug, Deserialize)]
pub(super) struct Message {
    pub(super) role: String,
    #[serde(default)]
    content: Content,
}

#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
    #[default]
    Nothing,
}

/// A part of a message; pictures and sound have no text and count for nothing here.
#[derive(Debug, Deserialize)]
struct Part {
    #[serde(default)]
    text: String,
}

impl ChatRequest {
    pub(super) fn wants_usage_in_stream(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|options| options.include_usage)
    }

    /// What is to be answered: the last message of the user.
    pub(super) fn last_question(&self) -> String {
        let asked = self.messages.iter().rev().find(|message| message.role == "user");
        asked.map(Message::text).unwrap_or_default()
    }
}

impl Message {
    pub(super) fn text(&self) -> String {
        match &self.content {
            Content::Text(text) => text.clone(),
            Content::Parts(parts) => parts.iter().map(|part| part.text.as_str()).collect(),
            Content::Nothing => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_read_in_every_shape() {
        let json = r#"{"model":"m","temperature":0,"max_tokens":5,"messages":[
            {"role":"user","content":"first"},
            {"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{}},{"type":"text","text":"b"}]},
            {"role":"assistant","content":null}, {"role":"tool"}]}"#;
        let request: ChatRequest = serde_json::from_str(json).unwrap();
        assert_eq!(request.last_question(), "ab");
        assert_eq!((request.stream, request.max_completion_tokens), (false, Some(5)));
        assert!(!request.wants_usage_in_stream());
    }
}
