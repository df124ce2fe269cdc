//! Gemini's `generateContent`.

use serde_json::{Value, json};

use super::{Dialect, check, said};
use crate::reply::read;
use taximeter_models::ErrorCategory;

fn content(usage: &Value) -> Value {
    json!({
        "candidates": [{"content": {"parts": [{"text": "42"}], "role": "model"}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": usage, "modelVersion": "gemini-2.5-flash", "responseId": "r1",
    })
}

#[test]
fn counts_of_contents() {
    for (what, usage, expected) in [
        (
            "the prompt includes the cached content, thoughts stand beside the candidates",
            json!({"promptTokenCount": 1000, "cachedContentTokenCount": 600, "candidatesTokenCount": 50,
                "thoughtsTokenCount": 200, "totalTokenCount": 1250,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1000}],
                "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 600}]}),
            "input 400, cache_read 600, output 250, reasoning 200",
        ),
        (
            "prompts of the provider's own tools stand beside the prompt",
            json!({"promptTokenCount": 100, "toolUsePromptTokenCount": 900, "candidatesTokenCount": 50,
                "thoughtsTokenCount": 10, "totalTokenCount": 1060}),
            "input 1000, output 60, reasoning 10",
        ),
        (
            "sounds and images, in and out, from the cache and not",
            json!({"promptTokenCount": 1000, "cachedContentTokenCount": 500, "candidatesTokenCount": 100,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 400},
                    {"modality": "AUDIO", "tokenCount": 300}, {"modality": "IMAGE", "tokenCount": 300}],
                "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 200},
                    {"modality": "AUDIO", "tokenCount": 200}, {"modality": "IMAGE", "tokenCount": 100}],
                "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 90}]}),
            "input 200, cache_read 200, output 10, input_audio 100, cache_read_audio 200, input_image 200, \
             cache_read_image 100, output_image 90",
        ),
        (
            "what of the images was cached is not told",
            json!({"promptTokenCount": 1000, "cachedContentTokenCount": 900, "candidatesTokenCount": 1,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 400},
                    {"modality": "IMAGE", "tokenCount": 600}]}),
            "input 100, cache_read 900, output 1",
        ),
        (
            "counts that are zero are left out: all was thought",
            json!({"promptTokenCount": 10, "thoughtsTokenCount": 90, "totalTokenCount": 100}),
            "input 10, output 90, reasoning 90",
        ),
        (
            "the live API",
            json!({"promptTokenCount": 10, "responseTokenCount": 20, "totalTokenCount": 30,
                "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 15}]}),
            "input 10, output 5, output_audio 15",
        ),
        (
            "documents are bought as text is",
            json!({"promptTokenCount": 300, "candidatesTokenCount": 1,
                "promptTokensDetails": [{"modality": "DOCUMENT", "tokenCount": 258},
                    {"modality": "TEXT", "tokenCount": 42}]}),
            "input 300, output 1",
        ),
        (
            "more cached than there is",
            json!({"promptTokenCount": 10, "cachedContentTokenCount": 11, "candidatesTokenCount": 1}),
            "reading a usage: 11 input tokens are cached or of another modality, but only 10 went in; if the source \
             counts cached tokens beside the input, as Anthropic does, use `exclusive`",
        ),
        (
            "more of a modality cached than of it went in",
            json!({"promptTokenCount": 50, "cachedContentTokenCount": 20, "candidatesTokenCount": 1,
                "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 5}],
                "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 20}]}),
            "reading a usage: 20 input tokens are cached or of another modality, but only 5 went in; if the source \
             counts cached tokens beside the input, as Anthropic does, use `exclusive`",
        ),
        ("no usage", Value::Null, "unknown"),
    ] {
        check(what, &content(&usage), Dialect::Gemini, expected);
    }
    let alone = json!({"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10});
    check("a usage that stands alone", &alone, Dialect::Gemini, "input 7, output 3");
}

#[test]
fn a_list_of_chunks_is_one_reply() {
    let chunks = json!([
        {"candidates": [{"content": {"parts": [{"text": "4"}]}, "index": 0}],
            "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 1, "totalTokenCount": 10}},
        {"candidates": [{"content": {"parts": [{"text": "2"}]}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 2, "totalTokenCount": 11}},
    ]);
    check("two chunks", &chunks, Dialect::Gemini, "input 9, output 2");
}

#[test]
fn what_else_is_said() {
    let call = |name| json!({"functionCall": {"name": name, "args": {}}});
    let reply = read(&json!({
        "candidates": [{"content": {"parts": [call("search"), call("search"), call("sum")]}, "finishReason": "STOP"}],
        "modelVersion": "gemini-3-pro",
        "usageMetadata": {"promptTokenCount": 1, "trafficType": "ON_DEMAND_FLEX"},
    }));
    assert_eq!(said(&reply), ["gemini-3-pro", "STOP", "flex", "search search sum", "-"]);

    let blocked = read(&json!({"promptFeedback": {"blockReason": "SAFETY"},
        "usageMetadata": {"promptTokenCount": 7, "totalTokenCount": 7}}));
    let error = blocked.error.expect("it was blocked");
    assert_eq!(
        (error.category, error.message.as_str()),
        (ErrorCategory::ContentFilter, "the prompt was blocked: SAFETY")
    );
}
