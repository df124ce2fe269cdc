//! Each rule of the table on a small one of its own, and the known answers.

mod names;
mod oracle;

use chrono::Utc;
use taximeter_models::{CardBasis, CostOutcome, TokenUsage, Unit};
use taximeter_pricing::{ModelStatus, PriceBook, Query, Selector, Selectors};

use crate::small_tables::{self, card, cost, million, only, rate};
use crate::{Import, ImportError, NoteKind, Origin, genai};

fn origin() -> Origin {
    small_tables::origin("genai-prices", "0.2.3", "2026-11-23")
}

/// A table with one provider.
fn read_at(provider: &str, models: &str) -> Result<Import, ImportError> {
    genai::read(&format!(r#"[{{"id": "{provider}", "models": [{models}]}}]"#), &origin())
}

/// A table with one LLM, whose `prices` and more are given.
fn read(fields: &str) -> Result<Import, ImportError> {
    read_at("openai", &format!(r#"{{"id": "mine", "match": {{"equals": "mine"}}, {fields}}}"#))
}

#[test]
fn a_price_is_told_with_its_source() {
    let import =
        read(r#""prices": {"input_mtok": 2.50, "output_mtok": 1, "requests_kcount": 12}"#).unwrap();
    let card = card(&import, 0);
    assert_eq!(rate(card, "input"), "2.5");
    assert_eq!(rate(card, "request"), serde_json::json!({"amount": "12", "per": 1_000}));
    assert_eq!(card.source.as_deref(), Some("genai-prices 0.2.3"));
    assert_eq!(card.checked_on, origin().checked_on);
    assert_eq!((card.from.as_deref(), card.basis), (None, None));
}

#[test]
fn hours_are_billed_by_the_millisecond() {
    let import = read(r#""prices": {"input_audio_hours": 0.36, "audio_hours": 0.36}"#).unwrap();
    let usage = |unit| TokenUsage::inclusive(0, 0).unit(unit, 125_000).build().unwrap();
    for unit in [Unit::InputAudioMillisecond, Unit::AudioMillisecond] {
        let cost = cost(&import, "2026-11-01T00:00:00Z", &usage(unit), &Selectors::new());
        assert_eq!(cost, "0.0125", "{unit}");
    }
}

#[test]
fn tiers_are_for_the_whole_request_above_their_start() {
    let import = read(
        r#""prices": {"input_mtok": {"base": 1, "tiers": [{"start": 100, "price": 2}, {"start": 200, "price": 4}]},
            "output_mtok": {"base": 10, "tiers": [{"start": 100, "price": 20}]}, "cache_read_mtok": 0.1}"#,
    )
    .unwrap();
    let price = |input, cached, output| {
        let usage = TokenUsage::inclusive(input, output).cache_read(cached).build().unwrap();
        cost(&import, "2026-11-01T00:00:00Z", &usage, &Selectors::new())
    };
    assert_eq!(price(100, 0, 1), "0.00011");
    assert_eq!(price(101, 0, 1), "0.000222");
    // Cached tokens count; their own price has no tiers.
    assert_eq!(price(101, 100, 0), "0.000012");
    // The second tier has no price of output of its own: that of the first goes on.
    assert_eq!(price(201, 0, 1), "0.000824");
}

const DATED: &str = r#""prices": [
    {"prices": {"input_mtok": 1}},
    {"constraint": {"start_date": "2026-05-01"}, "prices": {"input_mtok": 2}},
    {"constraint": {"start_date": "2026-08-01"}, "prices": {"input_mtok": 3}}
]"#;

#[test]
fn a_price_begins_on_its_day_and_ends_where_the_next_begins() {
    let import = read(DATED).unwrap();
    let at = |at| million(&import, at, &Selectors::new());
    assert_eq!(at("2020-01-01T00:00:00Z"), "1");
    assert_eq!(at("2026-04-30T23:59:59Z"), "1");
    assert_eq!(at("2026-05-01T00:00:00Z"), "2");
    assert_eq!(at("2026-08-01T00:00:00Z"), "3");
    let first = card(&import, 0);
    assert_eq!((first.from.as_deref(), first.until.as_deref()), (None, Some("2026-05-01")));
    assert_eq!(card(&import, 1).basis, Some(CardBasis::SourceCommit));
}

#[test]
fn an_entry_that_a_later_one_always_replaces_makes_no_card() {
    let import = read(
        r#""prices": [
            {"prices": {"input_mtok": 1}},
            {"constraint": {"start_date": "2026-08-01"}, "prices": {"input_mtok": 2}},
            {"constraint": {"start_date": "2026-05-01"}, "prices": {"input_mtok": 3}}
        ]"#,
    )
    .unwrap();
    assert_eq!(only(&import).cards.len(), 2);
    assert_eq!(million(&import, "2026-09-01T00:00:00Z", &Selectors::new()), "3");
}

#[test]
fn hours_go_before_days() {
    let import = read(
        r#""prices": [
            {"prices": {"input_mtok": 1}},
            {"constraint": {"start_date": "2026-05-01"}, "prices": {"input_mtok": 2}},
            {"constraint": {"start_time": "01:00:00+00:00", "end_time": "04:00:00+00:00"}, "prices": {"input_mtok": 4}},
            {"constraint": {"start_date": "2026-08-01"}, "prices": {"input_mtok": 3}}
        ]"#,
    )
    .unwrap();
    let at = |at| million(&import, at, &Selectors::new());
    assert_eq!(at("2026-04-01T00:59:59Z"), "1");
    assert_eq!(at("2026-04-01T01:00:00Z"), "4");
    assert_eq!(at("2026-06-01T03:59:59Z"), "4");
    assert_eq!(at("2026-06-01T04:00:00Z"), "2");
    assert_eq!(at("2026-08-01T01:00:00Z"), "3");
}

#[test]
fn a_constraint_that_is_not_known_is_an_error() {
    for constraint in [
        r#"{"start_date": "2026-05-01", "start_time": "01:00:00Z", "end_time": "02:00:00Z"}"#,
        r#"{"start_time": "01:00:00+08:00", "end_time": "02:00:00+08:00"}"#,
        r#"{"start_time": "01:00:30Z", "end_time": "02:00:00Z"}"#,
        r#"{"weekdays": ["mon"]}"#,
        "{}",
    ] {
        let entry = format!(r#"{{"constraint": {constraint}, "prices": {{"input_mtok": 1}}}}"#);
        let result = read(&format!(r#""prices": [{entry}]"#));
        assert!(matches!(result, Err(ImportError::Json { .. })), "{constraint}");
    }
}

#[test]
fn a_variant_replaces_some_prices_from_its_day_on() {
    let import = read(&format!(
        r#"{DATED}, "price_variants": [
            {{"when": {{"service_tier": "default"}}, "prices": {{}}}},
            {{"when": {{"processing": "batch"}}, "prices": {{"input_mtok": 0.5}}, "constraint": {{"start_date": "2026-09-01"}}}},
            {{"when": {{"processing": "batch"}}, "prices": {{"input_mtok": 0.7}}, "constraint": {{"start_date": "2026-07-01"}}}},
            {{"when": {{"search_type": "web"}}, "prices": {{}}}}
        ]"#
    ))
    .unwrap();
    let at = |at| million(&import, at, &Selectors::new().batch());
    assert_eq!(at("2026-06-30T23:59:59Z"), "2");
    assert_eq!(at("2026-07-01T00:00:00Z"), "0.7");
    assert_eq!(at("2026-08-31T23:59:59Z"), "0.7");
    assert_eq!(at("2026-09-01T00:00:00Z"), "0.5");
    assert_eq!(million(&import, "2026-09-01T00:00:00Z", &Selectors::new()), "3");
    // A variant without prices says that the usual ones hold, so that nobody is told that it was ignored.
    let web = Selectors::new().with(Selector::from("search_type"), "web");
    assert_eq!(million(&import, "2026-05-01T00:00:00Z", &web), "2");
    let whens: Vec<_> = only(&import).cards.iter().map(|card| card.when.clone()).collect();
    assert_eq!(whens.iter().filter(|when| **when == web).count(), 3);
    assert_eq!(import.notes.len(), 1, "{:?}", import.notes);
}

#[test]
fn a_variant_keeps_the_prices_that_it_does_not_name() {
    let import = read(
        r#""prices": {"input_mtok": {"base": 1, "tiers": [{"start": 100, "price": 2}]}, "output_mtok": 3},
           "price_variants": [{"when": {"speed": "fast"}, "prices": {"input_mtok": 6}}]"#,
    )
    .unwrap();
    let fast = card(&import, 1);
    assert_eq!((rate(fast, "input"), rate(fast, "output")), ("6".into(), "3".into()));
    assert!(fast.tiers.is_empty());
}

#[test]
fn an_llm_without_prices_is_free() {
    let import = read(r#""prices": {}"#).unwrap();
    assert_eq!(import.notes[0].kind, NoteKind::Doubted);
    let book = PriceBook::try_from(import.book).unwrap();
    let usage = TokenUsage::inclusive(100, 10).cache_read(50).build().unwrap();
    let selectors = Selectors::new();
    let at = Utc::now();
    let query =
        Query { provider: Some("openai"), model: "mine", at, usage: &usage, selectors: &selectors };
    assert!(matches!(book.price(&query), CostOutcome::Free { .. }));
}

#[test]
fn the_output_of_an_llm_that_bills_only_input_is_free() {
    let import = read(r#""prices": {"input_mtok": 2}"#).unwrap();
    assert_eq!(rate(card(&import, 0), "output"), "0");
    assert_eq!(import.notes[0].kind, NoteKind::Doubted);
    // What is billed by the hour or the page says nothing about tokens.
    let import = read(r#""prices": {"audio_hours": 2}"#).unwrap();
    assert_eq!(card(&import, 0).rates.len(), 1);
}

#[test]
fn a_field_that_is_not_known_is_an_error() {
    let result = read(r#""prices": {"input_mtok": 1, "smell_mtok": 1}"#);
    let Err(ImportError::UnknownField { place, field, .. }) = result else { panic!("{result:?}") };
    assert_eq!((place.as_str(), field.as_str()), ("openai/mine", "smell_mtok"));
    assert!(matches!(
        read(r#""prices": {"input_mtok": 1}, "price_spells": {}"#),
        Err(ImportError::Json { .. })
    ));
    assert!(matches!(read(r#""prices": {"input_mtok": "1"}"#), Err(ImportError::Json { .. })));
}

#[test]
fn prices_that_cannot_be_right_are_refused() {
    let import = read(
        r#""prices": {"input_mtok": -1, "output_mtok": {"base": 1, "tiers": [{"start": 9, "price": 50000.1}]},
            "cache_read_mtok": 50000}"#,
    )
    .unwrap();
    assert_eq!(card(&import, 0).rates.keys().collect::<Vec<_>>(), ["cache_read"]);
    let refused = import.notes.iter().filter(|note| note.kind == NoteKind::Refused);
    assert_eq!(refused.count(), 2);
    // What has no believable price is not free.
    let import = read(r#""prices": {"input_mtok": -1}"#).unwrap();
    assert!(only(&import).cards.is_empty());
    // A variant of which a price was refused holds for nobody.
    let import = read(
        r#""prices": {"input_mtok": 1}, "price_variants": [{"when": {"processing": "batch"}, "prices": {"input_mtok": -1}}]"#,
    )
    .unwrap();
    assert_eq!(only(&import).cards.len(), 1);
}

#[test]
fn the_noise_of_a_float_is_doubted_and_kept() {
    let import = read(r#""prices": {"input_mtok": 0.18000000000000002}"#).unwrap();
    assert_eq!(rate(card(&import, 0), "input"), "0.18000000000000002");
    assert_eq!(import.notes[0].kind, NoteKind::Doubted);
}

#[test]
fn google_is_vertex_ai_too_but_for_what_is_free() {
    let import = read_at(
        "google",
        r#"{"id": "gemini", "match": {"equals": "gemini"}, "prices": {"output_mtok": 1}},
           {"id": "gemma", "match": {"equals": "gemma"}, "prices": {}}"#,
    )
    .unwrap();
    let names = import.book.models.iter().map(|m| format!("{}/{}", m.provider, m.id));
    assert_eq!(names.collect::<Vec<_>>(), ["google/gemini", "google/gemma", "vertex_ai/gemini"]);
    let left_out = import.notes.iter().filter(|note| note.kind == NoteKind::LeftOut);
    assert_eq!(left_out.count(), 1);
}

#[test]
fn a_deprecated_llm_is_still_served() {
    let import = read(r#""prices": {"input_mtok": 1}, "deprecated": true"#).unwrap();
    assert_eq!(only(&import).status, ModelStatus::Deprecated);
}
