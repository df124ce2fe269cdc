//! Anthropic's messages: the whole reply, and the events of a streamed one.
//!
//! `input_tokens` excludes what was read from the cache and what was written to it.

use taximeter_models::{LlmCall, Name, TokenUsage, Unit, UsageBuilder, UsageError};

use super::draft::{Counted, Draft, Made, Stage, Summary, newer};
use super::part::Part;

pub(super) fn add(draft: &mut Draft, event: Part<'_>) {
    match event.at("type").text() {
        Some("message_start") => add_message(draft, event.at("message")),
        Some("message_delta") => {
            add_stop(draft, event.at("delta"));
            draft.report(event.at("usage"));
        }
        Some("content_block_start") => {
            add_block(
                draft,
                event.at("index").whole().unwrap_or_default(),
                event.at("content_block"),
            );
        }
        Some("content_block_delta") => {
            draft.made(Made::Token, true);
            let is_text = event.at("delta").at("type").text() == Some("text_delta");
            draft.made(Made::Content, is_text);
        }
        Some("message_stop") => draft.reached(Stage::Closed, true),
        Some("message") => add_message(draft, event),
        // A usage that stands alone.
        None if event.at("output_tokens").is_there() => draft.report(event),
        _ => {}
    }
}

fn add_message(draft: &mut Draft, message: Part<'_>) {
    newer(&mut draft.id, message.at("id"));
    newer(&mut draft.model, message.at("model"));
    add_stop(draft, message);
    for (place, block) in message.at("content").list().iter().enumerate() {
        add_block(draft, place as u64, Part::of(block));
    }
    draft.report(message.at("usage"));
}

fn add_stop(draft: &mut Draft, holder: Part<'_>) {
    newer(&mut draft.finish_reason, holder.at("stop_reason"));
    draft.reached(Stage::Finished, holder.at("stop_reason").text().is_some());
}

/// Tools that the provider runs itself (`server_tool_use`) are in the usage, as far as they are billed.
fn add_block(draft: &mut Draft, place: u64, block: Part<'_>) {
    if block.at("type").text() == Some("tool_use") {
        draft.tool((place, 0), block.at("name"), block.at("id"));
    }
}

pub(super) fn summary(usage: Part<'_>) -> Summary {
    let rounds = usage.at("iterations").list().iter().map(Part::of);
    let (others, own): (Vec<_>, Vec<_>) = rounds.partition(|round| round.at("model").is_there());
    let mut served_as = std::collections::BTreeMap::new();
    for (selector, field) in [("region", "inference_geo"), ("speed", "speed")] {
        let value = usage.at(field).name();
        // These say that nothing special was asked for.
        let value =
            value.filter(|value| !matches!(&**value, "global" | "not_available" | "standard"));
        served_as.extend(value.map(|value| (Name::from(selector), value)));
    }
    Summary {
        service_tier: usage.at("service_tier").name(),
        served_as,
        also: others.into_iter().filter_map(other_call).collect(),
        ..Summary::of(counted(usage, &own))
    }
}

/// The tokens of the answer, and those of the rounds in which the conversation was compacted, which the sum at the top
/// leaves out.
fn counted(usage: Part<'_>, rounds: &[Part<'_>]) -> Counted {
    let Some(answer) = tokens(usage)? else { return Ok(None) };
    let tools = usage.at("server_tool_use");
    let mut builder = answer.unit(Unit::WebSearch, tools.count_or_zero("web_search_requests")?);
    for round in rounds.iter().filter(|round| round.at("type").text() == Some("compaction")) {
        builder = add_tokens(builder, *round)?
            .unit(Unit::Input, round.count_or_zero("input_tokens")?)
            .unit(Unit::Output, round.count_or_zero("output_tokens")?);
    }
    Ok(Some(builder))
}

fn tokens(usage: Part<'_>) -> Counted {
    let (input, output) = (usage.count("input_tokens")?, usage.count("output_tokens")?);
    let (Some(input), Some(output)) = (input, output) else { return Ok(None) };
    add_tokens(TokenUsage::exclusive(input, output), usage).map(Some)
}

/// Adds what is not plain input and output. What was written to the cache is told apart by its time to live, or not.
fn add_tokens(builder: UsageBuilder, usage: Part<'_>) -> Result<UsageBuilder, UsageError> {
    let by_life = usage.at("cache_creation");
    let (short, long) = (
        by_life.count_or_zero("ephemeral_5m_input_tokens")?,
        by_life.count_or_zero("ephemeral_1h_input_tokens")?,
    );
    let told = short.checked_add(long).ok_or(UsageError::Overflow)?;
    let written = usage.count("cache_creation_input_tokens")?.unwrap_or(told);
    let untold = written
        .checked_sub(told)
        .ok_or(UsageError::CacheAboveInput { parts: told, input: written })?;
    let thinking = usage.at("output_tokens_details").count_or_zero("thinking_tokens")?;
    Ok(builder
        .cache_read(usage.count_or_zero("cache_read_input_tokens")?)
        .cache_write(untold)
        .cache_write_5m(short)
        .cache_write_1h(long)
        .reasoning(thinking))
}

/// What another LLM was asked on the way; its usage is billed at its own price.
fn other_call(round: Part<'_>) -> Option<LlmCall> {
    let usage = tokens(round).ok()??.build().ok()?;
    let model = round.at("model").name()?;
    let mut call = LlmCall::default().using(usage);
    (call.request_model, call.response_model) = (Some(model.clone()), Some(model));
    Some(call)
}
