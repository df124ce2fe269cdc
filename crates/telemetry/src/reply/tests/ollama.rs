//! Ollama's own API.

use serde_json::json;

use super::{Dialect, check, said};
use crate::reply::read;

#[test]
fn counts_of_replies() {
    for (what, reply, expected) in [
        (
            "chat",
            json!({"model": "llama3.2", "created_at": "2026-01-01T00:00:00Z",
                "message": {"role": "assistant", "content": "42"}, "done": true, "done_reason": "stop",
                "total_duration": 5_000_000_000_u64, "load_duration": 1_000_000_000_u64, "prompt_eval_count": 26,
                "prompt_eval_duration": 500_000_000, "eval_count": 9, "eval_duration": 3_500_000_000_u64}),
            "input 26, output 9",
        ),
        (
            "generate",
            json!({"model": "llama3.2", "response": "42", "done": true, "prompt_eval_count": 2, "eval_count": 1}),
            "input 2, output 1",
        ),
        (
            "embed: no output",
            json!({"model": "all-minilm", "embeddings": [[0.1, 0.2]], "total_duration": 14,
                "prompt_eval_count": 8}),
            "input 8",
        ),
        (
            "an older server that had the prompt in its cache: half a usage is none",
            json!({"model": "llama2", "response": "42", "done": true, "eval_count": 9}),
            "unknown",
        ),
        (
            "not there yet",
            json!({"model": "llama3.2", "message": {"content": "4"}, "done": false}),
            "unknown",
        ),
    ] {
        check(what, &reply, Dialect::Ollama, expected);
    }
}

#[test]
fn what_else_is_said() {
    let reply = read(&json!({"model": "llama3.2", "done": true, "done_reason": "stop",
        "message": {"content": "", "tool_calls": [{"function": {"name": "search", "arguments": {}}},
            {"function": {"name": "sum", "arguments": {}}}]},
        "total_duration": 5_000_000_000_u64, "load_duration": 1_000_000_000_u64,
        "prompt_eval_count": 1, "eval_count": 1}));
    assert_eq!(said(&reply), ["llama3.2", "stop", "-", "search sum", "-"]);
    let seconds = [reply.times.total, reply.times.load].map(|time| time.map(|time| time.as_secs()));
    assert_eq!(seconds, [Some(5), Some(1)]);
}
