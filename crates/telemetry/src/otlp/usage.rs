//! What a call consumed, from whatever names and by whatever convention it was counted.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use taximeter_models::{TokenUsage, Unit, UsageBuilder};

use super::alias::Field;
use super::raw::{Maker, Scope};
use super::role::Convention;
use super::slots::{Slots, Value};

/// What was assumed, left out or doubted when a usage was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Doubts {
    /// The input was read as without what is cached.
    pub(crate) exclusive: Option<&'static str>,
    /// A number was none that can be a count, and was left out.
    pub(crate) not_a_count: bool,
    /// Parts were above their whole, and were left out.
    pub(crate) parts_left_out: bool,
    /// The client guesses where the reply says nothing, and this may be such a guess.
    pub(crate) may_be_estimated: bool,
}

/// The numbers as they were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Counts {
    input: Option<u64>,
    output: Option<u64>,
    cache_read: u64,
    cache_write: u64,
    cache_write_5m: u64,
    cache_write_1h: u64,
    reasoning: u64,
    /// Whether reasoning is counted beside the output.
    reasoning_beside: bool,
    input_audio: u64,
    output_audio: u64,
    cache_read_audio: u64,
    input_image: u64,
    output_image: u64,
    cache_read_image: u64,
    /// Whether the source is known to count cached tokens beside the input.
    exclusive: Option<&'static str>,
}

/// The usage that the attributes tell; none where they tell none, which is not zero.
pub(crate) fn usage(
    slots: &Slots<'_>,
    scope: &Scope,
    convention: Option<Convention>,
    provider: Option<&str>,
) -> (Option<TokenUsage>, Doubts) {
    let mut doubts = Doubts::default();
    let mut counts = plain(slots, &mut doubts);
    if let Some(details) = slots.text(Field::UsageDetails).and_then(langfuse) {
        counts = details;
    }
    if counts.input.is_none() && counts.output.is_none() {
        return (None, doubts);
    }
    if counts.exclusive.is_none() {
        counts.exclusive = exclusive(&counts, scope, convention, provider);
    }
    doubts.exclusive = counts.exclusive;
    doubts.may_be_estimated = scope.maker == Maker::Openlit
        && slots.flag(Field::Streamed) == Some(true)
        && !slots.has(Field::CacheRead);
    let usage = build(counts).or_else(|| {
        doubts.parts_left_out = true;
        without_parts(counts)
    });
    (usage, doubts)
}

fn plain(slots: &Slots<'_>, doubts: &mut Doubts) -> Counts {
    let mut read = |field| match slots.get(field).map(Value::count) {
        Some(Ok(count)) => Some(count),
        Some(Err(_)) => {
            doubts.not_a_count = true;
            None
        }
        None => None,
    };
    Counts {
        input: read(Field::InputTokens),
        output: read(Field::OutputTokens),
        cache_read: read(Field::CacheRead).unwrap_or(0),
        cache_write: read(Field::CacheWrite).unwrap_or(0),
        cache_write_5m: read(Field::CacheWrite5m).unwrap_or(0),
        cache_write_1h: read(Field::CacheWrite1h).unwrap_or(0),
        reasoning: read(Field::Reasoning).unwrap_or(0),
        reasoning_beside: false,
        input_audio: read(Field::InputAudio).unwrap_or(0),
        output_audio: read(Field::OutputAudio).unwrap_or(0),
        cache_read_audio: read(Field::CacheReadAudio).unwrap_or(0),
        input_image: read(Field::InputImage).unwrap_or(0),
        output_image: read(Field::OutputImage).unwrap_or(0),
        cache_read_image: read(Field::CacheReadImage).unwrap_or(0),
        exclusive: None,
    }
}

/// Why the input is without what is cached; none where it is with it, as OpenTelemetry asks since 1.40.
fn exclusive(
    counts: &Counts,
    scope: &Scope,
    convention: Option<Convention>,
    provider: Option<&str>,
) -> Option<&'static str> {
    let cached = counts.cache_read.saturating_add(counts.cache_write.max(ttl_sum(counts)));
    if cached == 0 {
        return None;
    }
    if convention == Some(Convention::ClaudeCode) || scope.maker == Maker::ClaudeCode {
        return Some("Claude Code counts so");
    }
    let anthropic = matches!(provider, Some("anthropic" | "aws.bedrock"));
    if scope.maker == Maker::Openlit && anthropic {
        return Some("openlit counts so for this provider");
    }
    (cached > counts.input.unwrap_or(0)).then_some("more is cached than went in")
}

fn ttl_sum(counts: &Counts) -> u64 {
    counts.cache_write_5m.saturating_add(counts.cache_write_1h)
}

fn build(counts: Counts) -> Option<TokenUsage> {
    let of_audio = counts.cache_read_audio.min(counts.input_audio);
    let of_images = counts.cache_read_image.min(counts.input_image);
    let modalities = [
        (Unit::InputAudio, counts.input_audio - of_audio),
        (Unit::CacheReadAudio, of_audio),
        (Unit::InputImage, counts.input_image - of_images),
        (Unit::CacheReadImage, of_images),
        (Unit::OutputAudio, counts.output_audio),
        (Unit::OutputImage, counts.output_image),
    ];
    let builder = add(cached(counts, of_audio + of_images), modalities);
    // Some clients of Gemini send thoughts beside the output under the name of those within it.
    let beside = counts.reasoning_beside || counts.reasoning > counts.output.unwrap_or(0);
    let builder = if beside {
        builder.reasoning_beside(counts.reasoning)
    } else {
        add(builder, [(Unit::Reasoning, counts.reasoning)])
    };
    builder.build().ok()
}

/// The usage by input, output and cache alone: what is left where the finer parts contradict each other.
fn without_parts(counts: Counts) -> Option<TokenUsage> {
    cached(counts, 0).build().ok()
}

fn cached(counts: Counts, other_modalities: u64) -> UsageBuilder {
    let (input, output) = (counts.input.unwrap_or(0), counts.output.unwrap_or(0));
    let builder = if counts.exclusive.is_some() {
        TokenUsage::exclusive(input, output)
    } else {
        TokenUsage::inclusive(input, output)
    };
    let ttl = ttl_sum(&counts);
    let of_cache = [
        (Unit::CacheRead, counts.cache_read.saturating_sub(other_modalities)),
        (Unit::CacheWrite, counts.cache_write.saturating_sub(ttl)),
        (Unit::CacheWrite5m, counts.cache_write_5m),
        (Unit::CacheWrite1h, counts.cache_write_1h),
    ];
    add(builder, of_cache)
}

/// Adds what there is. A zero would take its place in the builder's map as well.
fn add<const N: usize>(builder: UsageBuilder, parts: [(Unit, u64); N]) -> UsageBuilder {
    let present = parts.into_iter().filter(|(_, count)| *count > 0);
    present.fold(builder, |builder, (unit, count)| builder.unit(unit, count))
}

/// Langfuse's `usage_details`: disjoint buckets of its own (`input`, `output`, …), or the provider's object as it is.
fn langfuse(json: &str) -> Option<Counts> {
    let details: BTreeMap<String, Json> = serde_json::from_str(json).ok()?;
    let get = |names: &[&str]| names.iter().find_map(|name| details.get(*name)?.as_u64());
    let cache_read = get(&[
        "cache_read_input_tokens",
        "input_cache_read",
        "input_cached_tokens",
        "cache_read",
        "input_cache_read_tokens",
    ]);
    let cache_write = get(&[
        "cache_creation_input_tokens",
        "input_cache_creation",
        "cache_creation",
        "input_cache_write",
    ]);
    let within = |object: &str, name: &str| details.get(object)?.get(name)?.as_u64();
    let mut counts = Counts {
        cache_read: cache_read
            .or_else(|| within("prompt_tokens_details", "cached_tokens"))
            .or_else(|| within("input_tokens_details", "cached_tokens"))
            .unwrap_or(0),
        cache_write: cache_write.unwrap_or(0),
        reasoning: get(&["output_reasoning_tokens", "output_reasoning", "reasoning_tokens"])
            .or_else(|| within("completion_tokens_details", "reasoning_tokens"))
            .or_else(|| within("output_tokens_details", "reasoning_tokens"))
            .unwrap_or(0),
        ..Counts::default()
    };
    if details.contains_key("prompt_tokens") || details.contains_key("completion_tokens") {
        (counts.input, counts.output) = (get(&["prompt_tokens"]), get(&["completion_tokens"]));
    } else if details.contains_key("input_tokens") || details.contains_key("output_tokens") {
        (counts.input, counts.output) = (get(&["input_tokens"]), get(&["output_tokens"]));
        // Anthropic's own names; OpenAI's Responses API has its cached tokens in `input_tokens_details`, within.
        if details.contains_key("cache_read_input_tokens")
            || details.contains_key("cache_creation_input_tokens")
        {
            counts.exclusive = Some("the object is Anthropic's");
        }
    } else {
        (counts.input, counts.output) = (get(&["input"]), get(&["output"]));
        counts.exclusive = Some("Langfuse's buckets are disjoint");
        counts.reasoning_beside = true;
    }
    (counts.input.is_some() || counts.output.is_some()).then_some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        attributes: &[(&str, i64)],
        scope: &str,
        provider: &str,
    ) -> (Option<TokenUsage>, Doubts) {
        let mut slots = Slots::new();
        for (key, value) in attributes {
            slots.put_named(key.as_bytes(), Value::Int(*value));
        }
        usage(&slots, &Scope::named(scope), None, Some(provider))
    }

    const READ: &str = "gen_ai.usage.cache_read.input_tokens";
    const WRITE: &str = "gen_ai.usage.cache_creation.input_tokens";
    const INPUT: &str = "gen_ai.usage.input_tokens";
    const OUTPUT: &str = "gen_ai.usage.output_tokens";

    #[test]
    fn both_conventions_come_to_the_same() {
        let inclusive =
            read(&[(INPUT, 3300), (OUTPUT, 50), (READ, 3000), (WRITE, 200)], "x", "anthropic");
        let exclusive =
            read(&[(INPUT, 100), (OUTPUT, 50), (READ, 3000), (WRITE, 200)], "x", "anthropic");
        assert_eq!(inclusive.0, exclusive.0);
        assert_eq!((inclusive.1.exclusive, exclusive.1.exclusive.is_some()), (None, true));
        // Where more went in than is cached, the numbers do not tell: the table does.
        let small = [(INPUT, 500), (OUTPUT, 50), (READ, 300)];
        assert_eq!(read(&small, "openlit.x", "anthropic").0.unwrap().input_tokens(), 800);
        assert_eq!(read(&small, "openlit.x", "openai").0.unwrap().input_tokens(), 500);
        assert_eq!(read(&small, "x", "anthropic").0.unwrap().input_tokens(), 500);
    }

    #[test]
    fn what_is_absent_is_unknown_and_what_is_no_count_is_left_out() {
        assert_eq!(read(&[(READ, 5)], "x", "openai"), (None, Doubts::default()));
        let (usage, doubts) = read(&[(INPUT, -3), (OUTPUT, 7)], "x", "openai");
        assert_eq!((usage.unwrap().total_tokens(), doubts.not_a_count), (7, true));
    }

    #[test]
    fn parts_above_the_whole_are_left_out_and_said_so() {
        let attributes =
            [(INPUT, 100), (OUTPUT, 10), (READ, 90), ("gen_ai.usage.audio.input_tokens", 50)];
        let (usage, doubts) = read(&attributes, "x", "openai");
        let usage = usage.unwrap();
        assert_eq!((usage.input_tokens(), usage.get(Unit::CacheRead)), (100, 90));
        assert!(doubts.parts_left_out);
    }

    #[test]
    fn times_to_live_of_a_cache_are_kept_apart() {
        let ttl = "anthropic.usage.cache_creation.ephemeral_5m_input_tokens";
        let usage = read(&[(INPUT, 3300), (WRITE, 200), (ttl, 150)], "x", "anthropic").0.unwrap();
        assert_eq!((usage.get(Unit::CacheWrite5m), usage.get(Unit::CacheWrite)), (150, 50));
        assert_eq!(usage.input_tokens(), 3300);
    }

    #[test]
    fn the_objects_of_langfuse() {
        for (json, input, output) in [
            (r#"{"input":100,"output":20,"cache_read_input_tokens":50,"total":170}"#, 150, 20),
            (
                r#"{"prompt_tokens":100,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":50}}"#,
                100,
                20,
            ),
            (r#"{"input_tokens":100,"output_tokens":20,"cache_read_input_tokens":50}"#, 150, 20),
            (
                r#"{"input_tokens":100,"output_tokens":20,"input_tokens_details":{"cached_tokens":50}}"#,
                100,
                20,
            ),
            (r#"{"input":100,"output":20,"output_reasoning_tokens":5}"#, 100, 25),
        ] {
            let usage = build(langfuse(json).unwrap()).unwrap();
            assert_eq!((usage.input_tokens(), usage.output_tokens()), (input, output), "{json}");
        }
        assert_eq!(langfuse("[]"), None);
    }
}
