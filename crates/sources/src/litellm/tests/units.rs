//! Which unit a price is for, as the mode of the LLM says it.

use serde_json::{Value, json};
use taximeter_models::TokenUsage;
use taximeter_pricing::Selectors;

use super::{TODAY, read, read_as};
use crate::small_tables::{card, cost, million, only, rate, units};

/// The one price that a field becomes.
fn check(mode: &str, field: &str, unit: &str, price: &Value) {
    let import = read_as("openai", mode, &format!(r#""{field}": 2e-3"#));
    assert_eq!(units(card(&import, 0)), [unit], "{mode} {field}");
    assert_eq!(&rate(card(&import, 0), unit), price, "{mode} {field}");
}

#[test]
fn seconds_are_of_what_the_llm_hears_says_shows_or_computes() {
    let second = &json!({"amount": "0.002", "per": 1_000});
    check("audio_transcription", "input_cost_per_second", "input_audio_ms", second);
    check("realtime", "output_cost_per_second", "output_audio_ms", second);
    check("audio_speech", "output_cost_per_second", "output_audio_ms", second);
    check("video_generation", "output_cost_per_second", "output_video_ms", second);
    check("video_generation", "output_cost_per_video_per_second", "output_video_ms", second);
    check("chat", "input_cost_per_second", "compute_ms", second);
    check("chat", "output_cost_per_second", "compute_ms", second);
    check("completion", "cost_per_second", "compute_ms", second);
    check("embedding", "input_cost_per_audio_per_second", "input_audio_ms", second);
    check("embedding", "input_cost_per_video_per_second", "input_video_ms", second);
}

#[test]
fn images_come_out_where_the_llm_makes_them() {
    check("image_generation", "output_cost_per_image", "image", &"0.002".into());
    check("image_generation", "input_cost_per_image", "image", &"0.002".into());
    check("image_edit", "input_cost_per_image", "image", &"0.002".into());
    check("chat", "input_cost_per_image", "image_in", &"0.002".into());
    check("embedding", "input_cost_per_image", "image_in", &"0.002".into());
    // Where there is a price of images that come out, the other one is for those that go in.
    let both = r#""input_cost_per_image": 0.01, "output_cost_per_image": 0.04"#;
    let import = read_as("openai", "image_edit", both);
    assert_eq!(rate(card(&import, 0), "image"), "0.04");
    assert_eq!(rate(card(&import, 0), "image_in"), "0.01");
}

#[test]
fn a_query_is_what_the_llm_does() {
    check("search", "input_cost_per_query", "web_search", &"0.002".into());
    check("rerank", "input_cost_per_query", "rerank_query", &"0.002".into());
    check("vector_store", "input_cost_per_query", "storage_search", &"0.002".into());
    check("chat", "input_cost_per_query", "request", &"0.002".into());
    check("chat", "google_maps_grounding_cost_per_query", "map_query", &"0.002".into());
}

#[test]
fn prices_are_of_the_usual_number() {
    check("chat", "input_cost_per_token", "input", &"2000".into());
    check("audio_speech", "input_cost_per_character", "input_character", &"2000".into());
    check("image_generation", "output_cost_per_pixel", "output_pixel", &"0.002".into());
    check("ocr", "ocr_cost_per_page", "page", &"0.002".into());
    check("ocr", "annotation_cost_per_page", "annotated_page", &"0.002".into());
    check("chat", "code_interpreter_cost_per_session", "session", &"0.002".into());
    check("chat", "citation_cost_per_token", "citation", &"2000".into());
}

#[test]
fn a_second_is_billed_by_its_thousandths() {
    let import = read_as("openai", "audio_transcription", r#""input_cost_per_second": 0.0001"#);
    let usage = |ms| {
        let unit = taximeter_models::Unit::InputAudioMillisecond;
        TokenUsage::inclusive(0, 0).unit(unit, ms).build().unwrap()
    };
    assert_eq!(cost(&import, TODAY, &usage(12_500), &Selectors::new()), "0.00125");
}

#[test]
fn what_embeds_has_no_output_that_is_billed() {
    let usage = TokenUsage::new(1_000_000, 5);
    let price =
        |mode, fields| cost(&read_as("openai", mode, fields), TODAY, &usage, &Selectors::new());
    for mode in ["embedding", "rerank", "moderation"] {
        assert_eq!(price(mode, r#""input_cost_per_token": 1e-6"#), "1", "{mode}");
    }
    assert_eq!(price("chat", r#""input_cost_per_token": 1e-6"#), "partly_unpriced");
    let own = r#""input_cost_per_token": 1e-6, "output_cost_per_token": 2e-2"#;
    assert_eq!(price("embedding", own), "1.1");
    // What bills nothing by the token says nothing about tokens that come out.
    let import = read_as("openai", "rerank", r#""input_cost_per_query": 0.001"#);
    assert_eq!(units(card(&import, 0)), ["rerank_query"]);
}

#[test]
fn the_older_name_of_cached_tokens_counts_where_the_newer_one_is_missing() {
    let older = r#""input_cost_per_token": 1e-6, "input_cost_per_token_cache_hit": 1e-7"#;
    let newer = format!(r#"{older}, "cache_read_input_token_cost": 2e-7"#);
    let cached = |fields: &str| rate(card(&read(fields), 0), "cache_read");
    assert_eq!((cached(older), cached(&newer)), ("0.1".into(), "0.2".into()));
    assert!(read(&newer).notes.is_empty());
    // It is a price even where it is the only one.
    assert_eq!(only(&read(r#""input_cost_per_token_cache_hit": 1e-7"#)).cards.len(), 1);
}

#[test]
fn cache_writes_by_their_time_to_live() {
    let import = read(
        r#""input_cost_per_token": 1e-6, "cache_creation_input_token_cost": 1.25e-6,
           "cache_creation_input_token_cost_above_1hr": 2e-6,
           "cache_creation_input_token_cost_above_12hr": 4e-6"#,
    );
    let card = card(&import, 0);
    assert_eq!(units(card), ["cache_write", "cache_write_12h", "cache_write_1h", "input"]);
    assert_eq!(rate(card, "cache_write_12h"), "4");
    assert_eq!(million(&import, TODAY, &Selectors::new()), "1");
}
