//! The name of a price field, taken apart: what is counted, and for which calls the price holds.

use taximeter_models::Unit;

use crate::Number;

/// What one price field says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Field {
    pub(super) unit: Unit,
    /// How the call was served, as a selector and its value.
    pub(super) when: Option<(&'static str, String)>,
    /// The size above which the price holds.
    pub(super) above: Option<Above>,
    /// A field that repeats another one under an older name: it counts only where that one is missing.
    pub(super) legacy: bool,
}

/// Where a tier begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Above {
    PromptTokens(u64),
    VideoSeconds(u64),
    SearchResults(u64),
}

impl Above {
    /// The beginning of a range of prompt tokens, which lies above the number, or of results, which begins with it;
    /// none where it begins with nothing.
    pub(super) fn begin(tokens: bool, number: Number) -> Option<Self> {
        let begin = u64::try_from(number.0).ok().filter(|begin| *begin > 0)?;
        Some(if tokens { Self::PromptTokens(begin) } else { Self::SearchResults(begin) })
            .filter(|_| begin > 1 || tokens)
    }

    /// The metric of the tier, and the number above which it begins.
    pub(super) fn metric(self) -> (&'static str, u64) {
        match self {
            Self::PromptTokens(bound) => ("prompt_tokens", bound),
            Self::VideoSeconds(bound) => (Unit::InputVideoMillisecond.as_str(), bound * 1_000),
            Self::SearchResults(begin) => (Unit::SearchResult.as_str(), begin - 1),
        }
    }
}

/// What the mode of an LLM says about fields that mean different things.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mode<'m> {
    pub(super) mode: &'m str,
    /// Whether images that come out have a price of their own.
    pub(super) prices_output_images: bool,
}

/// How calls are served, by the ending of the field.
const SERVED: [(&str, &str, &str); 7] = [
    ("_batch_requests", "processing", "batch"),
    ("_batches", "processing", "batch"),
    ("_flex", "service_tier", "flex"),
    ("_priority", "service_tier", "priority"),
    ("_balanced", "service_tier", "balanced"),
    ("_ultrafast", "service_tier", "ultrafast"),
    ("_decisions", "mode", "decisions"),
];

/// Sizes of what is made, by the ending of the field.
const RESOLUTIONS: [&str; 13] =
    ["480p", "720p", "768p", "1080p", "2k", "4k", "0.5K", "1K", "2K", "4K", "512", "1024", "1536"];

/// Images that cost more than the plain one, by the ending of the field.
const QUALITIES: [&str; 5] = [
    "premium_image",
    "above_512_and_512_pixels",
    "above_512_and_512_pixels_and_premium_image",
    "above_1024_and_1024_pixels",
    "above_1024_and_1024_pixels_and_premium_image",
];

/// Takes a name apart; none where it is no price that is known.
pub(super) fn parse(name: &str, mode: Mode<'_>) -> Option<Field> {
    let mut rest = name;
    let mut when = None;
    for (ending, selector, value) in SERVED {
        if let Some(head) = rest.strip_suffix(ending) {
            (rest, when) = (head, Some((selector, value.to_owned())));
            break;
        }
    }
    let mut above = None;
    if let Some((head, bound)) = rest.rsplit_once("_above_") {
        if let Some(thousands) = bound.strip_suffix("k_tokens") {
            (rest, above) = (
                head,
                Some(Above::PromptTokens(thousands.parse::<u64>().ok()?.checked_mul(1_000)?)),
            );
        } else if let Some(seconds) = bound.strip_suffix("s_interval") {
            (rest, above) = (head, Some(Above::VideoSeconds(seconds.parse().ok()?)));
        }
    }
    let resolution = RESOLUTIONS.iter().find_map(|size| {
        let head = rest.strip_suffix(size)?.strip_suffix('_')?;
        matches!(head, "output_cost_per_second" | "output_cost_per_image").then_some((head, *size))
    });
    if let Some((head, size)) = resolution {
        (rest, when) = (head, Some(("resolution", size.to_ascii_lowercase())));
    }
    if let Some(quality) = rest.strip_prefix("output_cost_per_image_")
        && QUALITIES.contains(&quality)
    {
        (rest, when) = ("output_cost_per_image", Some(("quality", quality.to_owned())));
    }
    let unit = unit(rest, mode)?;
    Some(Field { unit, when, above, legacy: rest == "input_cost_per_token_cache_hit" })
}

fn unit(name: &str, Mode { mode, prices_output_images }: Mode<'_>) -> Option<Unit> {
    let makes_images = matches!(mode, "image_generation" | "image_edit");
    Some(match name {
        "input_cost_per_token" => Unit::Input,
        "output_cost_per_token" => Unit::Output,
        "cache_read_input_token_cost" | "input_cost_per_token_cache_hit" => Unit::CacheRead,
        "explicit_cache_read_input_token_cost" => Unit::CacheReadExplicit,
        "cache_creation_input_token_cost" => Unit::CacheWrite,
        "cache_creation_input_token_cost_above_1hr" => Unit::CacheWrite1h,
        "cache_creation_input_token_cost_above_12hr" => Unit::CacheWrite12h,
        "output_cost_per_reasoning_token" => Unit::Reasoning,
        "citation_cost_per_token" => Unit::Citation,
        "input_cost_per_audio_token" => Unit::InputAudio,
        "output_cost_per_audio_token" => Unit::OutputAudio,
        "cache_read_input_audio_token_cost" | "cache_read_input_token_cost_per_audio_token" => {
            Unit::CacheReadAudio
        }
        "cache_creation_input_audio_token_cost" => Unit::CacheWriteAudio,
        "input_cost_per_image_token" => Unit::InputImage,
        "output_cost_per_image_token" => Unit::OutputImage,
        "cache_read_input_image_token_cost" => Unit::CacheReadImage,
        "input_cost_per_video_token" => Unit::InputVideo,
        "output_cost_per_video_token" => Unit::OutputVideo,
        // Before there was a field for images that come out, this one held their price.
        "input_cost_per_image" if makes_images && !prices_output_images => Unit::Image,
        "input_cost_per_image" => Unit::ImageIn,
        "output_cost_per_image" => Unit::Image,
        "input_cost_per_pixel" => Unit::InputPixel,
        "output_cost_per_pixel" => Unit::OutputPixel,
        "input_cost_per_character" => Unit::InputCharacter,
        "output_cost_per_character" => Unit::OutputCharacter,
        "input_cost_per_audio_per_second" => Unit::InputAudioMillisecond,
        "input_cost_per_video_per_second" => Unit::InputVideoMillisecond,
        "output_cost_per_video_per_second" => Unit::OutputVideoMillisecond,
        "input_cost_per_second" if hears(mode) => Unit::InputAudioMillisecond,
        "output_cost_per_second" if hears(mode) => Unit::OutputAudioMillisecond,
        "output_cost_per_second" if mode == "video_generation" => Unit::OutputVideoMillisecond,
        "input_cost_per_second" | "output_cost_per_second" | "cost_per_second" => {
            Unit::ComputeMillisecond
        }
        "input_cost_per_query" => match mode {
            "search" => Unit::WebSearch,
            "rerank" => Unit::RerankQuery,
            "vector_store" => Unit::StorageSearch,
            _ => Unit::Request,
        },
        "google_maps_grounding_cost_per_query" => Unit::MapQuery,
        "input_cost_per_request" => Unit::Request,
        "ocr_cost_per_page" => Unit::Page,
        "annotation_cost_per_page" => Unit::AnnotatedPage,
        "ocr_cost_per_credit" => Unit::Credit,
        "code_interpreter_cost_per_session" => Unit::Session,
        "input_cost_per_text_message" => Unit::TextMessage,
        _ => return None,
    })
}

fn hears(mode: &str) -> bool {
    matches!(mode, "audio_transcription" | "audio_speech" | "realtime")
}

/// Fields that look like a price and are none that a book could hold, each with the reason.
pub(super) fn no_price(name: &str) -> Option<&'static str> {
    Some(match name {
        "input_dbu_cost_per_token" | "output_dbu_cost_per_token" | "output_db_cost_per_token" => {
            "the same price in the provider's own units, which the table gives in US dollars too"
        }
        "web_search_billing_unit" => {
            "whether a search or a prompt with searches is billed; the price is per search"
        }
        "search_free_requests" => {
            "searches that are free each day; no single call knows whether it is one of them"
        }
        _ => return None,
    })
}

/// Whether a name looks like a price, so that it must not be passed over.
pub(super) fn looks_like_a_price(name: &str) -> bool {
    ["cost", "price", "pricing", "uplift", "fee", "billing", "free_requests"]
        .iter()
        .any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        name: &str,
        mode: &str,
        unit: Unit,
        when: Option<(&'static str, &str)>,
        above: Option<Above>,
    ) {
        let field = parse(name, Mode { mode, prices_output_images: false });
        let when = when.map(|(selector, value)| (selector, value.to_owned()));
        let legacy = name.contains("cache_hit");
        assert_eq!(field, Some(Field { unit, when, above, legacy }), "{name}");
    }

    #[test]
    fn names_are_taken_apart() {
        let tier = |thousands: u64| Some(Above::PromptTokens(thousands * 1_000));
        check("input_cost_per_token", "chat", Unit::Input, None, None);
        check("input_cost_per_token_above_200k_tokens", "chat", Unit::Input, None, tier(200));
        let flex = Some(("service_tier", "flex"));
        check(
            "cache_creation_input_token_cost_above_12hr_above_272k_tokens_flex",
            "chat",
            Unit::CacheWrite12h,
            flex,
            tier(272),
        );
        check("cache_creation_input_token_cost_above_1hr", "chat", Unit::CacheWrite1h, None, None);
        check(
            "output_cost_per_token_batches",
            "chat",
            Unit::Output,
            Some(("processing", "batch")),
            None,
        );
        check(
            "output_cost_per_second_1080p",
            "video_generation",
            Unit::OutputVideoMillisecond,
            Some(("resolution", "1080p")),
            None,
        );
        check(
            "output_cost_per_image_0.5K",
            "image_generation",
            Unit::Image,
            Some(("resolution", "0.5k")),
            None,
        );
        check(
            "input_cost_per_video_per_second_above_8s_interval",
            "embedding",
            Unit::InputVideoMillisecond,
            None,
            Some(Above::VideoSeconds(8)),
        );
        check(
            "input_cost_per_second",
            "audio_transcription",
            Unit::InputAudioMillisecond,
            None,
            None,
        );
        check("input_cost_per_second", "chat", Unit::ComputeMillisecond, None, None);
        check("input_cost_per_image", "image_edit", Unit::Image, None, None);
        check("input_cost_per_image", "embedding", Unit::ImageIn, None, None);
        check("input_cost_per_token_cache_hit", "chat", Unit::CacheRead, None, None);
        check("input_cost_per_query", "rerank", Unit::RerankQuery, None, None);
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        let mode = Mode { mode: "chat", prices_output_images: false };
        for name in [
            "input_cost_per_smell",
            "input_cost_per_token_above_xk_tokens",
            "input_cost_per_token_480p",
            "",
        ] {
            assert_eq!(parse(name, mode), None, "{name}");
        }
        assert!(looks_like_a_price("input_cost_per_smell") && !looks_like_a_price("max_tokens"));
    }
}
