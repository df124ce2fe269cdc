//! Streamed replies of every provider: what they come to, when their tokens came, and what is known if they are cut.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use proptest::prelude::*;
use serde_json::{Value, json};
use taximeter_models::{ErrorCategory, ErrorRecord, LlmCall};

use super::framing::frame;
use super::{said, usage_of};
use crate::reply::{Accumulator, Dialect, End, Framing, MeteredStream, Streamed, Watch};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn sse(events: &[Value]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

/// Feeds pieces, each 100 ms after the one before, and ends 100 ms after the last.
fn follow<B: AsRef<[u8]>>(framing: Framing, pieces: &[B]) -> Streamed {
    let mut reply = Accumulator::new(framing);
    let mut at = Duration::ZERO;
    for piece in pieces {
        at += ms(100);
        reply.push(piece.as_ref(), at);
    }
    reply.finish(at + ms(100))
}

/// Each event a piece of its own.
fn follow_events(events: &[Value]) -> Streamed {
    let pieces: Vec<_> = events.iter().map(|event| sse(std::slice::from_ref(event))).collect();
    follow(Framing::EventStream, &pieces)
}

fn chunk(delta: &Value, finish: Option<&str>) -> Value {
    json!({"id": "c", "object": "chat.completion.chunk", "model": "gpt-4o-2024-08-06", "service_tier": "default",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
}

fn usage_chunk() -> Value {
    json!({"id": "c", "object": "chat.completion.chunk", "model": "gpt-4o-2024-08-06", "choices": [],
        "usage": {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25,
            "prompt_tokens_details": {"cached_tokens": 16}}})
}

#[test]
fn openai_has_its_usage_in_a_chunk_without_choices() {
    let events = [
        chunk(&json!({"role": "assistant", "content": ""}), None),
        chunk(&json!({"content": "4"}), None),
        chunk(&json!({"content": "2"}), None),
        chunk(&json!({}), Some("stop")),
        usage_chunk(),
    ];
    let streamed = follow_events(&events);
    assert_eq!(usage_of(&streamed.reply), "input 4, cache_read 16, output 5");
    assert_eq!(said(&streamed.reply), ["gpt-4o-2024-08-06", "stop", "default", "", "-"]);
    assert_eq!(
        (streamed.time_to_first_token, streamed.time_to_first_content),
        (Some(ms(200)), Some(ms(200)))
    );
    assert_eq!((streamed.duration, streamed.cut, streamed.events), (ms(600), false, 5));
    assert_eq!(streamed.output_tokens_per_second(), Some(12.5));

    // Without `include_usage` the LLM comes to its end, and what it consumed is unknown.
    let without = follow_events(&events[..4]);
    assert_eq!((usage_of(&without.reply).as_str(), without.cut), ("unknown", false));
    assert_eq!(without.output_tokens_per_second(), None);
    // Left in the middle it is cut.
    assert!(follow_events(&events[..3]).cut);
}

#[test]
fn how_far_the_parts_were_apart_is_kept_with_the_call() {
    let said = |text: &str| sse(&[chunk(&json!({ "content": text }), None)]);
    let role = sse(&[chunk(&json!({"role": "assistant", "content": ""}), None)]);
    let pieces = [role, said("4"), said("2") + &said("!"), sse(&[usage_chunk()]), said("?")];
    let mut call = LlmCall::default();
    follow(Framing::EventStream, &pieces).put_on(&mut call);
    // Waited for were "2" (100 ms), "!" (which came with it) and "?" (200 ms); the rest holds nothing the LLM made.
    let mut buckets = [0; 15];
    (buckets[0], buckets[4], buckets[5]) = (1, 1, 1);
    let expected = json!({ "buckets": buckets, "sum_ns": 300_000_000 });
    assert_eq!(call.metadata["time_per_output_chunk"], expected);
    // One part is none after another.
    let mut call = LlmCall::default();
    follow(Framing::EventStream, &pieces[..2]).put_on(&mut call);
    assert!(!call.metadata.contains_key("time_per_output_chunk"));
}

#[test]
fn usage_that_counts_up_is_counted_once() {
    // vLLM with `continuous_usage_stats`.
    let events: Vec<_> = (1..=4)
        .map(|made| {
            let mut event = chunk(&json!({"content": "x"}), (made == 4).then_some("stop"));
            event["usage"] =
                json!({"prompt_tokens": 7, "completion_tokens": made, "total_tokens": 7 + made});
            event
        })
        .collect();
    assert_eq!(usage_of(&follow_events(&events).reply), "input 7, output 4");
    // Cut, what was known is given, and that it is cut.
    let cut = follow_events(&events[..2]);
    assert_eq!((usage_of(&cut.reply).as_str(), cut.cut), ("input 7, output 2", true));
}

#[test]
fn groq_has_its_usage_in_a_field_of_its_own() {
    let mut last = chunk(&json!({}), Some("stop"));
    last["x_groq"] = json!({"id": "req", "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}});
    let streamed = follow_events(&[chunk(&json!({"content": "42"}), None), last]);
    assert_eq!(usage_of(&streamed.reply), "input 9, output 2");
}

#[test]
fn reasoning_and_tool_calls_are_tokens_but_no_content() {
    let call = |index, name: Option<&str>| {
        json!({"tool_calls": [{"index": index, "id": "call",
        "function": {"name": name, "arguments": "{"}}]})
    };
    let streamed = follow_events(&[
        chunk(&json!({"reasoning_content": "hm"}), None),
        chunk(&call(0, Some("search")), None),
        chunk(&call(0, None), None),
        // Some servers repeat the name with every piece.
        chunk(&call(0, Some("search")), None),
        chunk(&call(1, Some("search")), None),
        chunk(&json!({"content": "x"}), Some("tool_calls")),
    ]);
    assert_eq!(said(&streamed.reply)[3], "search search");
    assert_eq!(
        (streamed.time_to_first_token, streamed.time_to_first_content),
        (Some(ms(100)), Some(ms(600)))
    );
}

fn responses() -> Vec<Value> {
    vec![
        json!({"type": "response.created", "response": {"id": "r", "object": "response", "status": "in_progress",
            "model": "gpt-5", "service_tier": "auto", "output": [], "usage": null}}),
        json!({"type": "response.reasoning_summary_text.delta", "delta": "hm"}),
        json!({"type": "response.output_text.delta", "output_index": 1, "delta": "42"}),
        json!({"type": "response.output_item.done", "output_index": 2,
            "item": {"type": "function_call", "name": "search", "call_id": "c"}}),
        json!({"type": "response.completed", "response": {"id": "r", "object": "response", "status": "completed",
            "model": "gpt-5-2025-08-07", "service_tier": "flex",
            "output": [{"type": "reasoning"}, {"type": "message"},
                {"type": "function_call", "name": "search", "call_id": "c"}],
            "usage": {"input_tokens": 30, "output_tokens": 12, "output_tokens_details": {"reasoning_tokens": 8},
                "input_tokens_details": {"cached_tokens": 0}, "total_tokens": 42}}}),
    ]
}

#[test]
fn responses_end_with_the_whole_reply() {
    let streamed = follow_events(&responses());
    assert_eq!(usage_of(&streamed.reply), "input 30, output 12, reasoning 8");
    assert_eq!(said(&streamed.reply), ["gpt-5-2025-08-07", "completed", "flex", "search", "-"]);
    assert_eq!(
        (streamed.time_to_first_token, streamed.time_to_first_content),
        (Some(ms(200)), Some(ms(300)))
    );

    let cut = follow_events(&responses()[..4]);
    assert_eq!((usage_of(&cut.reply).as_str(), cut.cut), ("unknown", true));
    assert_eq!(said(&cut.reply)[3], "search");
}

fn messages() -> Vec<Value> {
    vec![
        json!({"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant",
            "model": "claude-sonnet-4-5-20250929", "content": [], "stop_reason": null,
            "usage": {"input_tokens": 100, "cache_creation_input_tokens": 200, "cache_read_input_tokens": 3000,
                "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 0},
                "output_tokens": 1, "service_tier": "standard"}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "ping"}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "42"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1,
            "content_block": {"type": "tool_use", "id": "t", "name": "search", "input": {}}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null},
            "usage": {"output_tokens": 15}}),
        json!({"type": "message_stop"}),
    ]
}

#[test]
fn anthropics_last_count_is_not_added_to_the_first() {
    let expected = "input 100, cache_read 3000, cache_write_5m 200, output 15";
    let streamed = follow_events(&messages());
    assert_eq!(usage_of(&streamed.reply), expected);
    assert_eq!(
        said(&streamed.reply),
        ["claude-sonnet-4-5-20250929", "tool_use", "standard", "search", "-"]
    );
    assert_eq!((streamed.time_to_first_token, streamed.cut), (Some(ms(400)), false));

    // The event names stand beside the data; a count that is repeated, or zero, changes nothing.
    let mut repeated = messages();
    repeated[6]["usage"] =
        json!({"input_tokens": 0, "cache_read_input_tokens": 3000, "output_tokens": 15});
    let bytes: String = repeated
        .iter()
        .map(|event| format!("event: {}\r\ndata: {event}\r\n\r\n", event["type"].as_str().unwrap()))
        .collect();
    assert_eq!(usage_of(&follow(Framing::EventStream, &[bytes]).reply), expected);

    let cut = follow_events(&messages()[..4]);
    let known = "input 100, cache_read 3000, cache_write_5m 200, output 1";
    assert_eq!((usage_of(&cut.reply).as_str(), cut.cut), (known, true));
}

#[test]
fn gemini_counts_up_from_chunk_to_chunk() {
    let chunk = |text: &str, made: u64, thoughts: u64, finish: Option<&str>| {
        json!({"candidates": [{"content": {"parts": [{"text": text, "thought": text == "hm"}]}, "index": 0,
                "finishReason": finish}],
            "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": made, "thoughtsTokenCount": thoughts},
            "modelVersion": "gemini-2.5-flash"})
    };
    let events =
        [chunk("hm", 0, 30, None), chunk("4", 1, 40, None), chunk("2", 2, 40, Some("STOP"))];
    let streamed = follow_events(&events);
    assert_eq!(usage_of(&streamed.reply), "input 9, output 42, reasoning 40");
    assert_eq!(
        (streamed.time_to_first_token, streamed.time_to_first_content),
        (Some(ms(100)), Some(ms(200)))
    );
    assert!(!streamed.cut);
    // Where no event stream was asked for, the chunks are a list.
    let list = follow(Framing::Whole, &[Value::from(events.to_vec()).to_string()]);
    assert_eq!(usage_of(&list.reply), usage_of(&streamed.reply));
}

#[test]
fn ollama_has_its_counts_in_the_last_line() {
    let line =
        |content, done| json!({"model": "llama3.2", "message": {"content": content}, "done": done});
    let mut last = line("", true);
    (last["prompt_eval_count"], last["eval_count"]) = (26.into(), 9.into());
    last["done_reason"] = "length".into();
    let lines = [line("4", false), line("2", false), last].map(|line| format!("{line}\n"));
    let streamed = follow(Framing::Lines, &lines);
    assert_eq!(usage_of(&streamed.reply), "input 26, output 9");
    assert_eq!((streamed.time_to_first_content, streamed.cut), (Some(ms(100)), false));
    assert_eq!(streamed.reply.finish_reason.as_deref(), Some("length"));
    assert!(follow(Framing::Lines, &lines[..2]).cut);
}

#[test]
fn bedrock_has_its_usage_behind_the_end() {
    let event = |kind: &str, body: Value| {
        frame(&[(":message-type", "event"), (":event-type", kind)], body.to_string().as_bytes())
    };
    let frames = [
        event("messageStart", json!({"role": "assistant"})),
        event("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"text": "42"}})),
        event(
            "contentBlockStart",
            json!({"contentBlockIndex": 1, "start": {"toolUse": {"name": "search"}}}),
        ),
        event("messageStop", json!({"stopReason": "tool_use"})),
        event(
            "metadata",
            json!({"usage": {"inputTokens": 5, "outputTokens": 2, "totalTokens": 10,
            "cacheReadInputTokens": 3}, "metrics": {"latencyMs": 20}}),
        ),
    ];
    let streamed = follow(Framing::Amazon, &frames);
    assert_eq!(streamed.reply.dialect, Dialect::Bedrock);
    assert_eq!(usage_of(&streamed.reply), "input 5, cache_read 3, output 2");
    assert_eq!(said(&streamed.reply)[1..4], ["tool_use", "-", "search"].map(String::from));
    assert_eq!((streamed.time_to_first_token, streamed.cut), (Some(ms(200)), false));
}

#[test]
fn an_error_in_the_middle_is_the_end() {
    let mut events = messages();
    events.truncate(4);
    events.push(
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    );
    let streamed = follow_events(&events);
    let error = streamed.failure(&End::Finished).expect("it failed");
    assert_eq!((error.category, error.message.as_str()), (ErrorCategory::Server, "Overloaded"));
    assert_eq!(
        usage_of(&streamed.reply),
        "input 100, cache_read 3000, cache_write_5m 200, output 1"
    );
}

#[test]
fn how_a_reply_ends_says_whether_it_failed() {
    let lost = || End::Failed(ErrorRecord::new(ErrorCategory::Network, "reset"));
    let category = |streamed: &Streamed, end| streamed.failure(&end).map(|error| error.category);
    let whole = follow_events(&responses());
    for end in [End::Finished, End::Dropped, lost()] {
        assert_eq!(category(&whole, end), None); // the LLM came to its end; the rest is the connection's affair
    }
    let cut = follow_events(&responses()[..3]);
    assert_eq!(category(&cut, End::Finished), Some(ErrorCategory::Network));
    assert_eq!(category(&cut, lost()), Some(ErrorCategory::Network));
    assert_eq!(category(&cut, End::Dropped), Some(ErrorCategory::Cancelled));
    let unknown = follow_events(&[json!({"weather": "fine"})]);
    assert_eq!(category(&unknown, End::Finished), None);
    assert_eq!(category(&unknown, End::Dropped), Some(ErrorCategory::Cancelled));
    let half = follow(Framing::Whole, &["{\"object\":\"response\","]);
    assert_eq!((half.cut, category(&half, End::Dropped)), (true, Some(ErrorCategory::Cancelled)));
}

#[test]
fn what_is_not_read_is_counted_and_unknown() {
    let mut reply = Accumulator::new(Framing::Whole).limit(16);
    reply.push(messages()[0].to_string().as_bytes(), ms(1));
    let streamed = reply.finish(ms(2));
    assert_eq!(
        (streamed.unread, streamed.events, usage_of(&streamed.reply).as_str()),
        (1, 0, "unknown")
    );
    assert_eq!(streamed.failure(&End::Finished), None);
    let mut call = LlmCall::new("p", "m");
    streamed.put_on(&mut call);
    assert_eq!((call.metadata["unread_events"].as_u64(), call.usage), (Some(1), None));
}

#[test]
fn events_that_a_client_has_read_are_taken_too() {
    let mut reply = Accumulator::new(Framing::EventStream).dialect(Dialect::Anthropic);
    for (number, event) in messages().iter().enumerate() {
        assert!(!reply.is_closed());
        reply.push_event(event, ms(number as u64));
    }
    assert!(reply.is_closed());
    assert_eq!(reply.time_to_first_token(), Some(ms(3)));
    assert_eq!(
        usage_of(&reply.finish(ms(9)).reply),
        "input 100, cache_read 3000, cache_write_5m 200, output 15"
    );
}

/// Keeps what it is told.
#[derive(Clone, Default)]
struct Told(Rc<RefCell<Vec<String>>>);

impl Watch for Told {
    fn elapsed(&self) -> Duration {
        ms(1)
    }

    fn first_token(&mut self) {
        self.0.borrow_mut().push("first token".to_owned());
    }

    fn ended(self, streamed: Streamed, end: End) {
        self.0.borrow_mut().push(format!("{end:?}: {}", usage_of(&streamed.reply)));
    }
}

fn metered(
    pieces: Vec<Result<Vec<u8>, std::io::Error>>,
) -> (impl futures_util::Stream<Item = Result<Vec<u8>, std::io::Error>>, Told) {
    let told = Told::default();
    let stream = MeteredStream::new(
        stream::iter(pieces),
        Accumulator::new(Framing::EventStream),
        told.clone(),
    );
    (stream, told)
}

#[test]
fn a_metered_stream_tells_once_however_it_ends() {
    let pieces = || {
        responses()
            .iter()
            .map(|event| Ok(sse(std::slice::from_ref(event)).into_bytes()))
            .collect::<Vec<_>>()
    };
    // Read to its end, and beyond what the reply says is the end.
    let (stream, told) = metered(pieces());
    let passed: Vec<_> = futures_executor::block_on(stream.map(Result::unwrap).collect());
    assert_eq!(passed.concat(), sse(&responses()).into_bytes());
    assert_eq!(*told.0.borrow(), ["first token", "Finished: input 30, output 12, reasoning 8"]);
    // Left in the middle.
    let (mut stream, told) = metered(pieces());
    futures_executor::block_on(stream.next()).unwrap().unwrap();
    drop(stream);
    assert_eq!(*told.0.borrow(), ["Dropped: unknown"]);
    // Never looked at.
    let (stream, told) = metered(pieces());
    drop(stream);
    assert_eq!(*told.0.borrow(), ["Dropped: unknown"]);
    // Broken off.
    let mut broken = pieces();
    broken.insert(2, Err(std::io::ErrorKind::ConnectionReset.into()));
    let (stream, told) = metered(broken);
    let passed: Vec<_> = futures_executor::block_on(stream.collect());
    assert_eq!((passed.len(), passed[2].is_err()), (6, true));
    let told = told.0.borrow();
    assert_eq!(told.len(), 2);
    assert!(told[1].starts_with("Failed(ErrorRecord { category: Network"), "{told:?}");
}

proptest! {
    #[test]
    fn a_stream_passes_unchanged_and_comes_to_the_same_however_it_is_split(
        ends in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        which in 0..2_usize,
    ) {
        let bytes = sse(&[messages(), responses()][which]).into_bytes();
        let mut ends: Vec<_> = ends.iter().map(|end| end.index(bytes.len() + 1)).collect();
        ends.extend([0, bytes.len()]);
        ends.sort_unstable();
        let pieces: Vec<_> = ends.windows(2).map(|piece| bytes[piece[0]..piece[1]].to_vec()).collect();
        let told = Told::default();
        let items = stream::iter(pieces.clone()).map(Ok::<_, Infallible>);
        let metered = MeteredStream::new(items, Accumulator::new(Framing::EventStream), told.clone());
        let passed: Vec<_> = futures_executor::block_on(metered.map(Result::unwrap).collect());
        prop_assert_eq!(passed, pieces);
        let expected = ["input 100, cache_read 3000, cache_write_5m 200, output 15", "input 30, output 12, reasoning 8"];
        let said = format!("Finished: {}", expected[which]);
        prop_assert_eq!(told.0.borrow().last().cloned(), Some(said));
    }
}
