//! Bedrock: Converse, and what `InvokeModel` passes.

use serde_json::json;

use super::{Dialect, check, said};
use crate::reply::read;

#[test]
fn counts_of_replies() {
    for (what, reply, expected) in [
        (
            "Converse: input excludes what was cached",
            json!({"output": {"message": {"role": "assistant", "content": [{"text": "42"}]}}, "stopReason": "end_turn",
                "usage": {"inputTokens": 100, "outputTokens": 50, "totalTokens": 3350, "cacheReadInputTokens": 3000,
                    "cacheWriteInputTokens": 200}, "metrics": {"latencyMs": 551}}),
            "input 100, cache_read 3000, cache_write 200, output 50",
        ),
        (
            "Converse: what was written, by its time to live",
            json!({"stopReason": "end_turn", "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 203,
                "cacheWriteInputTokens": 200, "cacheDetails": [
                    {"ttl": "1h", "inputTokens": 150}, {"ttl": "5m", "inputTokens": 50}]}}),
            "input 1, cache_write_5m 50, cache_write_1h 150, output 2",
        ),
        (
            "Nova's own shape",
            json!({"output": {"message": {"content": [{"text": "42"}]}}, "stopReason": "end_turn",
                "usage": {"inputTokens": 5, "outputTokens": 1, "totalTokens": 6, "cacheReadInputTokenCount": 4}}),
            "input 5, cache_read 4, output 1",
        ),
        (
            "Titan",
            json!({"inputTextTokenCount": 5, "results": [
                {"tokenCount": 61, "outputText": "42", "completionReason": "FINISH"}]}),
            "input 5, output 61",
        ),
        (
            "Llama",
            json!({"generation": "42", "prompt_token_count": 7, "generation_token_count": 3,
                "stop_reason": "stop"}),
            "input 7, output 3",
        ),
        (
            "the end of a stream",
            json!({"amazon-bedrock-invocationMetrics": {"inputTokenCount": 8,
                "outputTokenCount": 2, "invocationLatency": 700, "firstByteLatency": 300}}),
            "input 8, output 2",
        ),
        (
            "a usage that stands alone",
            json!({"inputTokens": 3, "outputTokens": 4, "totalTokens": 7}),
            "input 3, output 4",
        ),
        (
            "no usage",
            json!({"stopReason": "end_turn", "output": {"message": {"content": []}}}),
            "unknown",
        ),
        (
            "more written by life than in all",
            json!({"usage": {"inputTokens": 1, "outputTokens": 2, "cacheWriteInputTokens": 10,
                "cacheDetails": [{"ttl": "1h", "inputTokens": 11}]}}),
            "reading a usage: 11 input tokens are cached or of another modality, but only 10 went in; if the source \
             counts cached tokens beside the input, as Anthropic does, use `exclusive`",
        ),
    ] {
        check(what, &reply, Dialect::Bedrock, expected);
    }
}

#[test]
fn what_invoke_model_passes_is_the_makers_dialect() {
    let claude = json!({"type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929", "content": [],
        "stop_reason": "end_turn", "usage": {"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 1}});
    check("Claude", &claude, Dialect::Anthropic, "input 10, cache_read 90, output 1");
}

#[test]
fn what_else_is_said() {
    let reply = read(&json!({"output": {"message": {"content": [
            {"toolUse": {"toolUseId": "t1", "name": "search", "input": {}}}]}},
        "stopReason": "tool_use", "serviceTier": {"type": "flex"},
        "usage": {"inputTokens": 1, "outputTokens": 1}, "metrics": {"latencyMs": 551}}));
    assert_eq!(said(&reply), ["-", "tool_use", "flex", "search", "-"]);
    assert_eq!(reply.times.total.map(|total| total.as_millis()), Some(551));
}
