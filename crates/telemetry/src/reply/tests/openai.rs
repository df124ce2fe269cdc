//! OpenAI and those who follow it.

use serde_json::{Value, json};

use super::{Dialect, check, said, usage_of};
use crate::reply::{ServerTimes, read};

fn chat(usage: &Value) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "42"}, "finish_reason": "stop"}],
        "usage": usage,
    })
}

#[test]
fn counts_of_chat_completions() {
    for (what, usage, expected) in [
        (
            "OpenAI: cached tokens and reasoning are parts",
            json!({"prompt_tokens": 1200, "completion_tokens": 350, "total_tokens": 1550,
                "prompt_tokens_details": {"cached_tokens": 200, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 50, "audio_tokens": 0,
                    "accepted_prediction_tokens": 3, "rejected_prediction_tokens": 2}}),
            "input 1000, cache_read 200, output 350, reasoning 50",
        ),
        (
            "OpenAI: audio in and out",
            json!({"prompt_tokens": 100, "completion_tokens": 60, "total_tokens": 160,
                "prompt_tokens_details": {"audio_tokens": 30},
                "completion_tokens_details": {"audio_tokens": 40}}),
            "input 70, output 20, input_audio 30, output_audio 40",
        ),
        (
            "vLLM: no details",
            json!({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10, "prompt_tokens_details": null}),
            "input 7, output 3",
        ),
        (
            "DeepSeek: what the cache had, in fields of its own",
            json!({"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120,
                "prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 36,
                "prompt_tokens_details": {"cached_tokens": 64},
                "completion_tokens_details": {"reasoning_tokens": 15}}),
            "input 36, cache_read 64, output 20, reasoning 15",
        ),
        (
            "DeepSeek, before it had details",
            json!({"prompt_tokens": 100, "completion_tokens": 20, "prompt_cache_hit_tokens": 64,
                "prompt_cache_miss_tokens": 36}),
            "input 36, cache_read 64, output 20",
        ),
        (
            "Moonshot: cached tokens at the top",
            json!({"prompt_tokens": 50, "completion_tokens": 5, "total_tokens": 55, "cached_tokens": 40}),
            "input 10, cache_read 40, output 5",
        ),
        (
            "xAI: reasoning beside the completion, as the total tells",
            json!({"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135,
                "prompt_tokens_details": {"text_tokens": 32, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": 6},
                "completion_tokens_details": {"reasoning_tokens": 94}, "num_sources_used": 0}),
            "input 26, cache_read 6, output 103, reasoning 94",
        ),
        (
            "xAI: images are within the prompt, and what of them was cached is not told",
            json!({"prompt_tokens": 300, "completion_tokens": 9, "total_tokens": 309,
                "prompt_tokens_details": {"text_tokens": 44, "image_tokens": 256, "cached_tokens": 200}}),
            "input 100, cache_read 200, output 9",
        ),
        (
            "images in a prompt of which nothing was cached",
            json!({"prompt_tokens": 300, "completion_tokens": 9,
                "prompt_tokens_details": {"text_tokens": 44, "image_tokens": 256, "cached_tokens": 0}}),
            "input 44, output 9, input_image 256",
        ),
        (
            "OpenRouter: what was written to the cache",
            json!({"prompt_tokens": 3300, "completion_tokens": 10, "total_tokens": 3310,
                "prompt_tokens_details": {"cached_tokens": 3000, "cache_write_tokens": 200}}),
            "input 100, cache_read 3000, cache_write 200, output 10",
        ),
        (
            "a proxy in front of Anthropic",
            json!({"prompt_tokens": 3300, "completion_tokens": 10, "total_tokens": 3310,
                "cache_read_input_tokens": 3000, "cache_creation_input_tokens": 200,
                "prompt_tokens_details": {"cached_tokens": 3000}}),
            "input 100, cache_read 3000, cache_write 200, output 10",
        ),
        (
            "Perplexity's deep research: reasoning, citations and searches beside",
            json!({"prompt_tokens": 33, "completion_tokens": 7163, "total_tokens": 7196,
                "citation_tokens": 20016, "num_search_queries": 18, "reasoning_tokens": 73305}),
            "input 33, output 80468, reasoning 73305, citation 20016, web_search 18",
        ),
        (
            "a gateway that writes counts as floats and as text",
            json!({"prompt_tokens": 7.0, "completion_tokens": "3"}),
            "input 7, output 3",
        ),
        ("no usage", Value::Null, "unknown"),
        ("half a usage", json!({"prompt_tokens": 7}), "unknown"),
        ("zeros are zeros", json!({"prompt_tokens": 0, "completion_tokens": 0}), ""),
        (
            "more cached than there is",
            json!({"prompt_tokens": 100, "completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": 200}}),
            "reading a usage: 200 input tokens are cached or of another modality, but only 100 went in; if the \
             source counts cached tokens beside the input, as Anthropic does, use `exclusive`",
        ),
        (
            "more reasoning than output, and no total to tell",
            json!({"prompt_tokens": 1, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 6}}),
            "reading a usage: 6 output tokens are reasoning or of another modality, but only 5 came out; if the \
             source counts reasoning beside the output, use `reasoning_beside`",
        ),
        (
            "a count that is none",
            json!({"prompt_tokens": -7, "completion_tokens": 3}),
            "reading a usage: what stands in \"prompt_tokens\" is not a count",
        ),
        (
            "counts that fit no sum",
            json!({"prompt_tokens": u64::MAX, "completion_tokens": u64::MAX}),
            "reading a usage: the sum of its tokens is above 2^64 - 1",
        ),
    ] {
        check(what, &chat(&usage), Dialect::OpenAi, expected);
    }
}

#[test]
fn counts_of_the_other_apis() {
    for (what, reply, expected) in [
        (
            "responses",
            json!({"id": "resp_1", "object": "response", "status": "completed", "model": "gpt-5", "output": [],
                "usage": {"input_tokens": 500, "input_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 50},
                    "output_tokens": 90, "output_tokens_details": {"reasoning_tokens": 64}, "total_tokens": 590}}),
            "input 350, cache_read 100, cache_write 50, output 90, reasoning 64",
        ),
        (
            "responses: searches of the web and of files",
            json!({"object": "response", "status": "completed", "output": [
                    {"type": "web_search_call", "action": {"type": "search", "query": "q"}},
                    {"type": "web_search_call", "action": {"type": "open_page", "url": "u"}},
                    {"type": "file_search_call"}, {"type": "message", "content": []}],
                "usage": {"input_tokens": 5, "output_tokens": 1}}),
            "input 5, output 1, web_search 1, storage_search 1",
        ),
        (
            "responses in the background: not there yet",
            json!({"object": "response", "status": "queued", "usage": null}),
            "unknown",
        ),
        (
            "embeddings: no output",
            json!({"object": "list", "model": "text-embedding-3-small",
                "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}],
                "usage": {"prompt_tokens": 8, "total_tokens": 8}}),
            "input 8",
        ),
        (
            "legacy completions",
            json!({"object": "text_completion", "model": "m", "choices": [{"text": "42", "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}}),
            "input 5, output 1",
        ),
        (
            "images: what came out are images",
            json!({"created": 1, "data": [{"b64_json": "aGk="}],
                "usage": {"input_tokens": 50, "output_tokens": 4160, "total_tokens": 4210,
                    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40}}}),
            "input 10, input_image 40, output_image 4160",
        ),
        (
            "images, with text among what came out",
            json!({"created": 1, "data": [{"b64_json": "aGk="}],
                "usage": {"input_tokens": 10, "output_tokens": 100, "input_tokens_details": {"text_tokens": 10},
                    "output_tokens_details": {"text_tokens": 20, "image_tokens": 80}}}),
            "input 10, output 20, output_image 80",
        ),
        (
            "a transcription by tokens",
            json!({"text": "hello", "usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 4,
                "total_tokens": 18, "input_token_details": {"text_tokens": 0, "audio_tokens": 14}}}),
            "output 4, input_audio 14",
        ),
        (
            "a transcription by time",
            json!({"text": "hello", "usage": {"type": "duration", "seconds": 9.5}}),
            "input_audio_ms 9500",
        ),
        (
            "Mistral's OCR: pages",
            json!({"model": "mistral-ocr", "pages": [{}], "usage_info": {"pages_processed": 3, "doc_size_bytes": 9}}),
            "page 3",
        ),
        (
            "a usage that stands alone, as a client's type is written",
            json!({"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15, "prompt_tokens_details": null}),
            "input 12, output 3",
        ),
    ] {
        check(what, &reply, Dialect::OpenAi, expected);
    }
}

#[test]
fn costs_that_providers_report() {
    for (what, usage, expected) in [
        (
            "OpenRouter",
            json!({"cost": 0.000_951_5, "is_byok": false,
            "cost_details": {"upstream_inference_cost": 0.000_951_5}}),
            Some("0.0009515"),
        ),
        (
            "OpenRouter with a key of one's own: the fee, and the bill of the provider",
            json!({"cost": 0.05, "is_byok": true, "cost_details": {"upstream_inference_cost": 1}}),
            Some("1.05"),
        ),
        ("that, where the bill is not told", json!({"cost": 0.05, "is_byok": true}), None),
        ("OpenRouter, a free LLM", json!({"cost": 0}), Some("0")),
        (
            "Perplexity",
            json!({"cost": {"input_tokens_cost": 0.002, "output_tokens_cost": 0.003,
            "request_cost": 0.006, "total_cost": 0.011}}),
            Some("0.011"),
        ),
        ("xAI, in ticks", json!({"cost_in_usd_ticks": 37_756_000_u64}), Some("0.0037756")),
        ("nobody", json!({}), None),
        ("nonsense", json!({"cost": -1}), None),
    ] {
        let cost = read(&chat(&with_tokens(usage))).cost;
        assert_eq!(cost.map(|cost| cost.total.to_string()).as_deref(), expected, "{what}");
    }
    let parts = read(&chat(&with_tokens(
        json!({"cost": {"input_tokens_cost": 0.002, "total_cost": 0.011}}),
    )));
    let cost = parts.cost.expect("it is told");
    assert_eq!(cost.input.map(|input| input.to_string()).as_deref(), Some("0.002"));
}

fn with_tokens(mut usage: Value) -> Value {
    usage["prompt_tokens"] = 10.into();
    usage["completion_tokens"] = 2.into();
    usage
}

#[test]
fn what_else_is_said() {
    let reply = read(&json!({
        "id": "chatcmpl-2", "object": "chat.completion", "model": "gpt-4o-2024-08-06", "service_tier": "flex",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": null,
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "search", "arguments": "{}"}},
                {"id": "call_2", "type": "custom", "custom": {"name": "run", "input": "x"}}]}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }));
    assert_eq!(said(&reply), ["gpt-4o-2024-08-06", "tool_calls", "flex", "search run", "-"]);
    assert_eq!(reply.id.as_deref(), Some("chatcmpl-2"));
    assert_eq!(reply.tools[0].id.as_deref(), Some("call_1"));

    let reply = read(
        &json!({"object": "response", "model": "o3", "status": "incomplete", "service_tier": "priority",
        "incomplete_details": {"reason": "max_output_tokens"},
        "output": [{"type": "function_call", "name": "search", "call_id": "c"}]}),
    );
    assert_eq!(said(&reply), ["o3", "max_output_tokens", "priority", "search", "-"]);

    let legacy = read(&json!({"choices": [{"finish_reason": "function_call",
        "message": {"function_call": {"name": "search", "arguments": "{}"}}}]}));
    assert_eq!(said(&legacy), ["-", "function_call", "-", "search", "-"]);
}

#[test]
fn tokens_that_no_part_explains_are_told() {
    // Google's endpoint in OpenAI's dialect counts thoughts in the total alone.
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 130});
    let reply = read(&chat(&usage));
    assert_eq!((usage_of(&reply).as_str(), reply.unexplained_tokens), ("input 10, output 20", 100));
}

#[test]
fn groq_says_how_long_its_server_took() {
    let reply = read(&chat(&json!({"queue_time": 0.25, "prompt_tokens": 1, "prompt_time": 0.5,
        "completion_tokens": 1, "completion_time": 1.5, "total_tokens": 2, "total_time": 2.25})));
    let ServerTimes { queue, prompt, output, total, load } = reply.times;
    let millis = [queue, prompt, output, total].map(|time| time.map(|time| time.as_millis()));
    assert_eq!((millis, load), ([Some(250), Some(500), Some(1500), Some(2250)], None));
}

#[test]
fn azure_says_what_its_filters_saw() {
    let reply = json!({
        "object": "chat.completion", "model": "gpt-4o-2024-08-06", "prompt_filter_results": [{"prompt_index": 0}],
        "choices": [{"index": 0, "finish_reason": "content_filter", "content_filter_results": {}, "message": {}}],
        "usage": {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6},
    });
    let reply = check("Azure", &reply, Dialect::OpenAi, "input 4, output 2");
    assert_eq!(reply.finish_reason.as_deref(), Some("content_filter"));
    assert_eq!(reply.error, None);
}
