//! Bedrock's Converse, and what LLMs answer to `InvokeModel` whose makers have no API of their own.
//!
//! `inputTokens` excludes what was read from the cache and what was written to it, as at Anthropic.

use std::time::Duration;

use taximeter_models::{TokenUsage, Unit, UsageError};

use super::draft::{Counted, Draft, Made, Stage, Summary, above, newer};
use super::part::Part;

/// What tells a reply of Bedrock's: the events of a stream, and the counts of several LLMs.
pub(super) const FIELDS: &[&str] = &[
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "stopReason",
    "inputTokens",
    "inputTextTokenCount",
    "generation_token_count",
    "amazon-bedrock-invocationMetrics",
];

pub(super) fn add(draft: &mut Draft, event: Part<'_>) {
    for holder in [event, event.at("messageStop"), event.at("metadata")] {
        newer(&mut draft.finish_reason, holder.at("stopReason"));
        newer(&mut draft.service_tier, holder.at("serviceTier").at("type"));
        draft.report(holder.at("usage"));
        let millis = holder.at("metrics").at("latencyMs").whole();
        draft.times.total = millis.map(Duration::from_millis).or(draft.times.total);
    }
    // Llama, then Titan: they say why they stopped in words of their own.
    newer(&mut draft.finish_reason, event.at("stop_reason"));
    for result in event.at("results").list().iter().map(Part::of) {
        newer(&mut draft.finish_reason, result.at("completionReason"));
        draft.report_fields(result, &["tokenCount"]);
    }
    draft.report(event.at("amazon-bedrock-invocationMetrics"));
    // Titan and Llama have their counts at the top, and so has a usage that stands alone.
    for fields in [&INPUT[..], &OUTPUT, &READ, &WRITTEN, &["totalTokens", "cacheDetails"]] {
        draft.report_fields(event, fields);
    }
    add_content(draft, event);
    draft.reached(Stage::Finished, draft.finish_reason.is_some());
    draft.reached(Stage::Closed, event.at("metadata").at("usage").is_there());
}

fn add_content(draft: &mut Draft, event: Part<'_>) {
    let blocks = event.at("output").at("message").at("content").list();
    for (place, block) in blocks.iter().enumerate() {
        let tool = Part::of(block).at("toolUse");
        draft.tool((place as u64, 0), tool.at("name"), tool.at("toolUseId"));
    }
    let start = event.at("contentBlockStart");
    let (tool, place) = (start.at("start").at("toolUse"), start.at("contentBlockIndex").whole());
    draft.tool((place.unwrap_or_default(), 0), tool.at("name"), tool.at("toolUseId"));
    let delta = event.at("contentBlockDelta").at("delta");
    draft.made(Made::Token, delta.is_there());
    let text = delta.at("text").text().or(event.at("generation").text());
    draft.made(Made::Content, text.is_some());
}

pub(super) fn summary(usage: Part<'_>) -> Summary {
    let mut unexplained = 0;
    let counted = counted(usage, &mut unexplained);
    Summary { unexplained, ..Summary::of(counted) }
}

/// The counts under the names of Converse, of the metrics at the end of a stream, of Titan and of Llama.
const INPUT: [&str; 4] =
    ["inputTokens", "inputTokenCount", "inputTextTokenCount", "prompt_token_count"];
const OUTPUT: [&str; 4] =
    ["outputTokens", "outputTokenCount", "tokenCount", "generation_token_count"];
const READ: [&str; 2] = ["cacheReadInputTokens", "cacheReadInputTokenCount"];
const WRITTEN: [&str; 2] = ["cacheWriteInputTokens", "cacheWriteInputTokenCount"];

fn counted(usage: Part<'_>, unexplained: &mut u64) -> Counted {
    let (input, output) = (usage.first_count(&INPUT)?, usage.first_count(&OUTPUT)?);
    let (Some(input), Some(output)) = (input, output) else { return Ok(None) };
    let (read, written) = (usage.first_count(&READ)?, usage.first_count(&WRITTEN)?);
    let (read, written) = (read.unwrap_or_default(), written.unwrap_or_default());
    *unexplained = above(usage.count("totalTokens")?, &[input, output, read, written]);
    let mut builder = TokenUsage::exclusive(input, output).cache_read(read);
    let mut untold = written;
    for detail in usage.at("cacheDetails").list().iter().map(Part::of) {
        let count = detail.count_or_zero("inputTokens")?;
        let unit = match detail.at("ttl").text() {
            Some("5m") => Unit::CacheWrite5m,
            Some("1h") => Unit::CacheWrite1h,
            _ => continue,
        };
        let above = UsageError::CacheAboveInput { parts: count, input: untold };
        untold = untold.checked_sub(count).ok_or(above)?;
        builder = builder.unit(unit, count);
    }
    Ok(Some(builder.cache_write(untold)))
}
