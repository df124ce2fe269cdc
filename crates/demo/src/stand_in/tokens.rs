//! Counts tokens as OpenAI's current models do, with their own vocabulary (`o200k_base`).

use tiktoken_rs::{Rank, o200k_base_singleton};

use super::request::Message;

/// What stands around a message in the format that the models were trained on; no word has these numbers.
const MESSAGE_FRAME: [Rank; 3] = [Rank::MAX - 2, Rank::MAX - 1, Rank::MAX];

/// Loads the vocabulary, which is 4 MB and takes part of a second.
pub(super) fn load() {
    o200k_base_singleton();
}

pub(super) fn count(text: &str) -> usize {
    o200k_base_singleton().count_ordinary(text)
}

/// The first `limit` tokens of a text, as text.
pub(super) fn truncate(text: &str, limit: usize) -> String {
    let tokens = o200k_base_singleton().encode_ordinary(text);
    let kept = &tokens[..limit.min(tokens.len())];
    // A token may end within a character, which then is not whole.
    let bytes = o200k_base_singleton().decode_bytes(kept).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim_end_matches(char::REPLACEMENT_CHARACTER).to_owned()
}

/// All tokens of a prompt in order: three around each message, and three that open the reply.
pub(super) fn of_prompt(messages: &[Message]) -> Vec<Rank> {
    let tokenizer = o200k_base_singleton();
    let mut tokens = Vec::new();
    for message in messages {
        tokens.extend(MESSAGE_FRAME);
        tokens.extend(tokenizer.encode_ordinary(&message.role));
        tokens.extend(tokenizer.encode_ordinary(&message.text()));
    }
    tokens.extend(MESSAGE_FRAME);
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_openai() {
        // The example of OpenAI's cookbook on counting tokens, reduced to its plain messages.
        let messages: Vec<Message> = serde_json::from_str(
            r#"[{"role":"system","content":"You are a helpful, pattern-following assistant that translates corporate jargon into plain English."},
                {"role":"user","content":"This late pivot means we don't have time to boil the ocean for the client deliverable."}]"#,
        )
        .unwrap();
        let contents: usize = messages.iter().map(|message| count(&message.text())).sum();
        assert_eq!(of_prompt(&messages).len(), contents + 2 * (3 + 1) + 3);
        assert_eq!(count("tiktoken is great!"), 6);
    }

    #[test]
    fn truncation_keeps_whole_characters() {
        let text = "naïve café 🚕🚕🚕 here";
        for limit in 0..=count(text) {
            let kept = truncate(text, limit);
            assert!(text.starts_with(&kept), "{kept}");
        }
        assert_eq!(truncate(text, 1_000), text);
    }
}
