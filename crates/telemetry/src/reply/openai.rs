//! OpenAI's chat completions, embeddings, images and transcriptions, and all who follow them.
//!
//! Cached tokens are within `prompt_tokens` (`input_tokens`), reasoning is within `completion_tokens`
//! (`output_tokens`). xAI counts its reasoning beside, which its `total_tokens` tells.

use std::time::Duration;

use serde_json::Value;
use taximeter_models::{
    Currency, Money, Name, ReportedCost, TokenUsage, Unit, UsageBuilder, UsageError,
};

use super::draft::{Counted, Draft, Made, Makes, Stage, Summary, above, newer};
use super::part::Part;

/// xAI reports its costs in units of so many to the dollar: <https://docs.x.ai/developers/cost-tracking>.
const TICKS_PER_DOLLAR: i128 = 10_000_000_000;

/// Takes in a whole reply, or a chunk of a streamed one: they differ in the name of the part alone.
pub(super) fn add(draft: &mut Draft, event: Part<'_>) {
    newer(&mut draft.id, event.at("id"));
    newer(&mut draft.model, event.at("model"));
    newer(&mut draft.service_tier, event.at("service_tier"));
    for (place, choice) in event.at("choices").list().iter().enumerate() {
        let choice = Part::of(choice);
        let place = choice.at("index").whole().unwrap_or(place as u64);
        add_choice(draft, place, choice);
    }
    if makes_images(event) {
        draft.makes = Makes::Images;
    }
    // Groq's streams have the usage in a field of its own; Mistral's OCR counts pages; a usage may stand alone.
    draft.report(event.at("x_groq").at("usage"));
    draft.report(event.at("usage_info"));
    draft.report(event.at("usage"));
    if ALONE.iter().any(|field| event.at(field).is_there()) {
        draft.report(event);
    }
    // Streams of images and transcriptions end with an event that has the usage.
    let is_last = event.at("type").is_there() && event.at("usage").is_there();
    draft.reached(Stage::Finished, is_last);
    groq_times(draft, event.at("usage"));
}

/// What a usage has that stands alone, as a client's type of it may be written.
const ALONE: [&str; 2] = ["prompt_tokens", "input_tokens_details"];

fn add_choice(draft: &mut Draft, place: u64, choice: Part<'_>) {
    newer(&mut draft.finish_reason, choice.at("finish_reason"));
    draft.reached(Stage::Finished, choice.at("finish_reason").text().is_some());
    for message in [choice.at("delta"), choice.at("message")] {
        let calls = message.at("tool_calls").list();
        for (at, call) in calls.iter().enumerate() {
            let call = Part::of(call);
            let at = call.at("index").whole().unwrap_or(at as u64);
            let function = [call.at("function"), call.at("custom")];
            for function in function {
                draft.tool((place, at), function.at("name"), call.at("id"));
            }
        }
        let function = message.at("function_call");
        draft.tool((place, 0), function.at("name"), Part::of(&Value::Null));
        draft.made(Made::Content, holds_text(message.at("content")));
        draft.made(Made::Token, !calls.is_empty() || function.is_there());
        let is_token = TOKENS.iter().any(|field| holds_text(message.at(field)));
        draft.made(Made::Token, is_token);
    }
    draft.made(Made::Content, choice.at("text").text().is_some());
}

/// The names of several servers for what an LLM thinks, says aloud or declines to say.
const TOKENS: [&str; 4] = ["reasoning_content", "reasoning", "reasoning_details", "refusal"];

/// Text, or as Mistral's reasoning LLMs send it, a list of parts.
fn holds_text(content: Part<'_>) -> bool {
    content.text().is_some() || !content.list().is_empty()
}

/// Whether it holds images that were made.
fn makes_images(event: Part<'_>) -> bool {
    let data = event.at("data").list();
    let is_image = |item: &Value| {
        let item = Part::of(item);
        item.at("b64_json").is_there() || item.at("url").is_there()
    };
    event.at("created").is_there() && !data.is_empty() && data.iter().all(is_image)
}

/// Groq says how long its server took, in seconds.
fn groq_times(draft: &mut Draft, usage: Part<'_>) {
    let seconds = |field| {
        let seconds = usage.at(field).value().and_then(Value::as_f64)?;
        Duration::try_from_secs_f64(seconds).ok()
    };
    let times = &mut draft.times;
    times.queue = seconds("queue_time").or(times.queue);
    times.prompt = seconds("prompt_time").or(times.prompt);
    times.output = seconds("completion_time").or(times.output);
    times.total = seconds("total_time").or(times.total);
}

pub(super) fn summary(usage: Part<'_>, makes: Makes) -> Summary {
    let mut unexplained = 0;
    let counted = counted(usage, makes, &mut unexplained);
    let context = usage.at("search_context_size").name();
    Summary {
        unexplained,
        cost: cost(usage),
        served_as: context
            .map(|size| (Name::from("search_context_size"), size))
            .into_iter()
            .collect(),
        ..Summary::of(counted)
    }
}

fn counted(usage: Part<'_>, makes: Makes, unexplained: &mut u64) -> Counted {
    if let Some(pages) = usage.count("pages_processed")? {
        return Ok(Some(TokenUsage::inclusive(0, 0).unit(Unit::Page, pages)));
    }
    if usage.at("type").text() == Some("duration") {
        return Ok(milliseconds(usage.at("seconds")));
    }
    let total = usage.count("total_tokens")?;
    let input = usage.first_count(&["prompt_tokens", "input_tokens"])?;
    let output = usage.first_count(&["completion_tokens", "output_tokens"])?;
    // An embedding has no output, and says so by its total alone.
    let output = output.or_else(|| total?.checked_sub(input?));
    let (Some(input), Some(output)) = (input, output) else { return Ok(None) };
    let whole = Whole { input, output, total };
    let builder = TokenUsage::inclusive(input, output);
    let builder = input_parts(builder, usage)?;
    let builder = output_parts(builder, usage, &whole, makes, unexplained)?;
    Ok(Some(searches(builder, usage)?))
}

/// The numbers that everybody reports.
struct Whole {
    input: u64,
    output: u64,
    total: Option<u64>,
}

fn milliseconds(seconds: Part<'_>) -> Option<UsageBuilder> {
    let seconds = Duration::try_from_secs_f64(seconds.value()?.as_f64()?).ok()?;
    let millis = u64::try_from(seconds.as_millis()).ok()?;
    Some(TokenUsage::inclusive(0, 0).unit(Unit::InputAudioMillisecond, millis))
}

fn input_parts(builder: UsageBuilder, usage: Part<'_>) -> Result<UsageBuilder, UsageError> {
    let details =
        first(usage, &["prompt_tokens_details", "input_tokens_details", "input_token_details"]);
    // DeepSeek and Moonshot have a field of their own, and so have proxies in front of Anthropic.
    let cached = match details.count("cached_tokens")? {
        Some(cached) => cached,
        None => usage
            .first_count(&["prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens"])?
            .unwrap_or_default(),
    };
    let written = match details.first_count(&["cache_write_tokens", "cache_creation_tokens"])? {
        Some(written) => written,
        None => usage.count_or_zero("cache_creation_input_tokens")?,
    };
    // Where something was cached, nothing says how many of the images were; they are left among the text then.
    let images = if cached == 0 { details.count_or_zero("image_tokens")? } else { 0 };
    Ok(builder
        .cache_read(cached)
        .cache_write(written)
        .unit(Unit::InputAudio, details.count_or_zero("audio_tokens")?)
        .unit(Unit::InputImage, images))
}

fn output_parts(
    builder: UsageBuilder,
    usage: Part<'_>,
    whole: &Whole,
    makes: Makes,
    unexplained: &mut u64,
) -> Result<UsageBuilder, UsageError> {
    let details = first(usage, &["completion_tokens_details", "output_tokens_details"]);
    let reasoning = details.count_or_zero("reasoning_tokens")?;
    // Perplexity's deep research counts its reasoning beside the completion, and outside of the total.
    let researched = usage.count_or_zero("reasoning_tokens")?;
    let within = whole.input.saturating_add(whole.output);
    let is_beside = reasoning > 0 && whole.total == within.checked_add(reasoning);
    let counted = if is_beside { reasoning } else { 0 };
    *unexplained = above(whole.total, &[within, counted]);
    let images = match (makes, details.is_there()) {
        (Makes::Images, false) => whole.output,
        _ => details.count_or_zero("image_tokens")?,
    };
    let builder = builder
        .unit(Unit::OutputAudio, details.count_or_zero("audio_tokens")?)
        .unit(Unit::OutputImage, images)
        .reasoning_beside(researched);
    Ok(if is_beside { builder.reasoning_beside(reasoning) } else { builder.reasoning(reasoning) })
}

/// What Perplexity bills beside tokens of input and output.
fn searches(builder: UsageBuilder, usage: Part<'_>) -> Result<UsageBuilder, UsageError> {
    Ok(builder
        .unit(Unit::Citation, usage.count_or_zero("citation_tokens")?)
        .unit(Unit::WebSearch, usage.count_or_zero("num_search_queries")?))
}

fn first<'v>(usage: Part<'v>, fields: &[&str]) -> Part<'v> {
    fields
        .iter()
        .map(|field| usage.at(field))
        .find(|part| part.is_there())
        .unwrap_or_else(|| usage.at(""))
}

/// What the provider says that it cost, in dollars: OpenRouter, Perplexity or xAI.
fn cost(usage: Part<'_>) -> Option<ReportedCost> {
    let whole = |total| ReportedCost { total, input: None, output: None, currency: Currency::USD };
    if let Some(ticks) = usage.at("cost_in_usd_ticks").whole() {
        return Money::ratio(ticks.into(), TICKS_PER_DOLLAR).map(|(total, _)| whole(total));
    }
    let cost = usage.at("cost");
    if let Some(total) = cost.at("total_cost").money() {
        return Some(ReportedCost {
            input: cost.at("input_tokens_cost").money(),
            output: cost.at("output_tokens_cost").money(),
            ..whole(total)
        });
    }
    let charged = cost.money()?;
    // With a key of one's own OpenRouter charges its fee, and the provider sends the bill for the rest.
    let own_key = usage.at("is_byok").value() == Some(&Value::Bool(true));
    if own_key {
        let upstream = usage.at("cost_details").at("upstream_inference_cost").money()?;
        return Some(whole(charged + upstream));
    }
    Some(whole(charged))
}
