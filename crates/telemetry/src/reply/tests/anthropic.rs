//! Anthropic's messages.

use serde_json::{Value, json};

use super::{Dialect, check, said, usage_of};
use crate::reply::read;

fn message(usage: &Value) -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929",
        "content": [{"type": "text", "text": "42"}], "stop_reason": "end_turn", "usage": usage,
    })
}

#[test]
fn counts_of_messages() {
    for (what, usage, expected) in [
        (
            "input excludes what was cached",
            json!({"input_tokens": 100, "cache_creation_input_tokens": 200, "cache_read_input_tokens": 3000,
                "output_tokens": 50}),
            "input 100, cache_read 3000, cache_write 200, output 50",
        ),
        (
            "what was written, by its time to live",
            json!({"input_tokens": 100, "cache_creation_input_tokens": 200, "cache_read_input_tokens": 0,
                "cache_creation": {"ephemeral_5m_input_tokens": 50, "ephemeral_1h_input_tokens": 150},
                "output_tokens": 50}),
            "input 100, cache_write_5m 50, cache_write_1h 150, output 50",
        ),
        (
            "some of what was written is of no known life",
            json!({"input_tokens": 1, "cache_creation_input_tokens": 200,
                "cache_creation": {"ephemeral_5m_input_tokens": 50}, "output_tokens": 5}),
            "input 1, cache_write 150, cache_write_5m 50, output 5",
        ),
        (
            "searches of the web",
            json!({"input_tokens": 10, "output_tokens": 5,
                "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1}}),
            "input 10, output 5, web_search 2",
        ),
        (
            "thinking, where it is told",
            json!({"input_tokens": 10, "output_tokens": 500, "output_tokens_details": {"thinking_tokens": 450}}),
            "input 10, output 500, reasoning 450",
        ),
        (
            "rounds of compaction stand beside the sum",
            json!({"input_tokens": 23000, "output_tokens": 1000, "iterations": [
                {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3500},
                {"type": "message", "input_tokens": 23000, "output_tokens": 1000}]}),
            "input 203000, output 4500",
        ),
        (
            "more written by life than in all",
            json!({"input_tokens": 1, "cache_creation_input_tokens": 10,
                "cache_creation": {"ephemeral_1h_input_tokens": 50}, "output_tokens": 5}),
            "reading a usage: 50 input tokens are cached or of another modality, but only 10 went in; if the source \
             counts cached tokens beside the input, as Anthropic does, use `exclusive`",
        ),
        ("no usage", Value::Null, "unknown"),
    ] {
        check(what, &message(&usage), Dialect::Anthropic, expected);
    }
    let alone = json!({"input_tokens": 1, "cache_read_input_tokens": 2, "output_tokens": 3});
    check(
        "a usage that stands alone",
        &alone,
        Dialect::Anthropic,
        "input 1, cache_read 2, output 3",
    );
}

#[test]
fn an_adviser_is_a_call_of_its_own() {
    let reply = read(&message(&json!({"input_tokens": 10, "output_tokens": 5, "iterations": [
        {"type": "message", "input_tokens": 10, "output_tokens": 5},
        {"type": "advisor_message", "model": "claude-opus-4-6", "input_tokens": 700, "output_tokens": 90,
            "cache_read_input_tokens": 0}]})));
    assert_eq!(usage_of(&reply), "input 10, output 5");
    let [adviser] = reply.also.as_slice() else { panic!("{:?}", reply.also) };
    assert_eq!(adviser.model(), "claude-opus-4-6");
    assert_eq!(adviser.usage.as_ref().map(taximeter_models::TokenUsage::total_tokens), Some(790));
}

#[test]
fn what_else_is_said() {
    let mut reply =
        message(&json!({"input_tokens": 1, "output_tokens": 1, "service_tier": "priority",
        "inference_geo": "us", "speed": "fast"}));
    reply["stop_reason"] = "tool_use".into();
    reply["content"] = json!([{"type": "tool_use", "id": "toolu_1", "name": "search", "input": {}},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}]);
    let reply = read(&reply);
    assert_eq!(said(&reply), ["claude-sonnet-4-5-20250929", "tool_use", "priority", "search", "-"]);
    let served: Vec<_> = reply.served_as.iter().map(|(by, how)| format!("{by} {how}")).collect();
    assert_eq!(served, ["region us", "speed fast"]);

    let plain = read(&message(
        &json!({"input_tokens": 1, "output_tokens": 1, "inference_geo": "not_available",
        "speed": "standard"}),
    ));
    assert!(plain.served_as.is_empty());
}
