//! Gemini's `generateContent`: the whole reply, and the chunks of a streamed one, which count up.
//!
//! `promptTokenCount` includes the cached content. Thoughts and the prompts of the provider's own tools stand beside
//! it and beside `candidatesTokenCount`. A count that is zero is left out.

use serde_json::Value;
use taximeter_models::{
    ErrorCategory, ErrorRecord, Name, TokenUsage, Unit, UsageBuilder, UsageError,
};

use super::draft::{Counted, Draft, Made, Stage, Summary, above, newer};
use super::part::Part;

pub(super) fn add(draft: &mut Draft, event: Part<'_>) {
    newer(&mut draft.id, event.at("responseId"));
    newer(&mut draft.model, event.at("modelVersion"));
    let candidates = event.at("candidates").list();
    for (place, candidate) in candidates.iter().enumerate() {
        let candidate = Part::of(candidate);
        add_candidate(draft, candidate.at("index").whole().unwrap_or(place as u64), candidate);
    }
    if let Some(reason) = event.at("promptFeedback").at("blockReason").text() {
        let message = format!("the prompt was blocked: {reason}");
        draft.error = Some(ErrorRecord::new(ErrorCategory::ContentFilter, message));
        draft.reached(Stage::Finished, true);
    }
    draft.report(event.at("usageMetadata"));
    if event.at("promptTokenCount").is_there() {
        draft.report(event);
    }
}

fn add_candidate(draft: &mut Draft, place: u64, candidate: Part<'_>) {
    newer(&mut draft.finish_reason, candidate.at("finishReason"));
    draft.reached(Stage::Finished, candidate.at("finishReason").text().is_some());
    for part in candidate.at("content").at("parts").list().iter().map(Part::of) {
        let call = part.at("functionCall");
        draft.tool((place, draft.next_in(place)), call.at("name"), call.at("id"));
        let is_thought = part.at("thought").value() == Some(&Value::Bool(true));
        draft.made(Made::Token, true);
        draft.made(Made::Content, part.at("text").text().is_some() && !is_thought);
    }
}

pub(super) fn summary(usage: Part<'_>) -> Summary {
    let mut unexplained = 0;
    let counted = counted(usage, &mut unexplained);
    Summary { unexplained, service_tier: tier(usage), ..Summary::of(counted) }
}

/// The tier, in the words of the price book; Vertex AI has it in the type of the traffic.
fn tier(usage: Part<'_>) -> Option<Name> {
    let traffic = match usage.at("trafficType").text() {
        Some("ON_DEMAND_PRIORITY") => Some("priority"),
        Some("ON_DEMAND_FLEX") => Some("flex"),
        Some("PROVISIONED_THROUGHPUT") => Some("provisioned_throughput"),
        _ => None,
    };
    traffic.map(Name::from).or_else(|| usage.at("serviceTier").name())
}

fn counted(usage: Part<'_>, unexplained: &mut u64) -> Counted {
    let Some(prompt) = usage.count("promptTokenCount")? else { return Ok(None) };
    let made = usage.first_count(&["candidatesTokenCount", "responseTokenCount"])?;
    let made = made.unwrap_or_default();
    let thoughts = usage.count_or_zero("thoughtsTokenCount")?;
    let tool_prompts = usage.count_or_zero("toolUsePromptTokenCount")?;
    *unexplained = above(usage.count("totalTokenCount")?, &[prompt, made, thoughts, tool_prompts]);
    let builder = TokenUsage::inclusive(prompt, made)
        .unit(Unit::Input, tool_prompts)
        .reasoning_beside(thoughts);
    let builder = input_parts(builder, usage)?;
    output_parts(builder, usage).map(Some)
}

/// A modality, and the buckets of what went in and came out of it: plain, from the cache, made.
const MODALITIES: [(&str, Unit, Unit, Unit); 3] = [
    ("AUDIO", Unit::InputAudio, Unit::CacheReadAudio, Unit::OutputAudio),
    ("IMAGE", Unit::InputImage, Unit::CacheReadImage, Unit::OutputImage),
    ("VIDEO", Unit::InputVideo, Unit::CacheReadVideo, Unit::OutputVideo),
];

fn input_parts(mut builder: UsageBuilder, usage: Part<'_>) -> Result<UsageBuilder, UsageError> {
    let cached = usage.count_or_zero("cachedContentTokenCount")?;
    let cached_parts = usage.at("cacheTokensDetails");
    let mut cached_text = cached;
    for (modality, plain, from_cache, _) in MODALITIES {
        let went_in = of_modality(usage.at("promptTokensDetails"), modality)?
            .checked_add(of_modality(usage.at("toolUsePromptTokensDetails"), modality)?)
            .ok_or(UsageError::Overflow)?;
        let read = of_modality(cached_parts, modality)?;
        let above = |input| UsageError::CacheAboveInput { parts: read, input };
        cached_text = cached_text.checked_sub(read).ok_or_else(|| above(cached))?;
        // Where the cached tokens are not told apart, nothing says how many of the images and films were cached; they
        // are left among the text then, whose price is theirs. Sound has a price of its own.
        let is_told = cached == 0 || cached_parts.is_there() || plain == Unit::InputAudio;
        let fresh = went_in.checked_sub(read).ok_or_else(|| above(went_in))?;
        builder = builder.unit(from_cache, read).unit(plain, if is_told { fresh } else { 0 });
    }
    Ok(builder.cache_read(cached_text))
}

fn output_parts(mut builder: UsageBuilder, usage: Part<'_>) -> Result<UsageBuilder, UsageError> {
    for (modality, _, _, made) in MODALITIES {
        let mut count = of_modality(usage.at("candidatesTokensDetails"), modality)?;
        if count == 0 {
            count = of_modality(usage.at("responseTokensDetails"), modality)?;
        }
        builder = builder.unit(made, count);
    }
    Ok(builder)
}

/// The tokens of one modality in a list of them.
fn of_modality(details: Part<'_>, modality: &str) -> Result<u64, UsageError> {
    let entries = details.list().iter().map(Part::of);
    let mut of_it = entries.filter(|entry| entry.at("modality").text() == Some(modality));
    of_it.try_fold(0_u64, |sum, entry| {
        sum.checked_add(entry.count_or_zero("tokenCount")?).ok_or(UsageError::Overflow)
    })
}
