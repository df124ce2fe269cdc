//! LiteLLM's form, by small tables, and the known answers.

mod cards;
mod oracle;
mod units;

use taximeter_pricing::{ModelStatus, Selectors};

use crate::small_tables::{self, card, million, noted, only, rate, units};
use crate::{Import, ImportError, NoteKind, Origin, litellm};

const TODAY: &str = "2026-11-23T12:00:00Z";

fn origin() -> Origin {
    small_tables::origin("LiteLLM", "1.109.1", "2026-11-23")
}

fn read_table(entries: &str) -> Result<Import, ImportError> {
    litellm::read(&format!("{{{entries}}}"), &origin())
}

/// A table with one LLM of a provider and a mode.
fn read_as(provider: &str, mode: &str, fields: &str) -> Import {
    read_table(&format!(
        r#""mine": {{"litellm_provider": "{provider}", "mode": "{mode}", {fields}}}"#
    ))
    .unwrap()
}

fn read(fields: &str) -> Import {
    read_as("openai", "chat", fields)
}

fn check_name(key: &str, label: &str, provider: &str, id: &str) {
    let import = read_table(&format!(
        r#""{key}": {{"litellm_provider": "{label}", "input_cost_per_token": 1e-6}}"#
    ))
    .unwrap();
    let model = only(&import);
    assert_eq!((model.provider.as_str(), model.id.as_str()), (provider, id), "{key}");
}

#[test]
fn the_provider_is_taken_off_a_name_and_nothing_else() {
    check_name("gpt-4o", "openai", "openai", "gpt-4o");
    check_name("deepseek/deepseek-chat", "deepseek", "deepseek", "deepseek-chat");
    check_name("gemini/gemini-3-pro", "gemini", "google", "gemini-3-pro");
    check_name("vertex_ai/claude-x@1", "vertex_ai-anthropic_models", "vertex_ai", "claude-x@1");
    check_name("openrouter/openai/gpt-4o", "openrouter", "openrouter", "openai/gpt-4o");
    check_name("azure/eu/gpt-4o", "azure", "azure", "eu/gpt-4o");
    check_name("bedrock/us-east-1/mine", "bedrock_converse", "bedrock", "us-east-1/mine");
    check_name("1024-x-1024/dall-e-3", "openai", "openai", "1024-x-1024/dall-e-3");
    check_name("meta-llama/llama", "groq", "groq", "meta-llama/llama");
    check_name("openai/", "openai", "openai", "openai/");
}

#[test]
fn the_entry_that_names_its_provider_counts() {
    let import = read_table(
        r#""deepseek-chat": {"litellm_provider": "deepseek", "input_cost_per_token": 1e-6},
           "deepseek/deepseek-chat": {"litellm_provider": "deepseek", "input_cost_per_token": 2e-6}"#,
    )
    .unwrap();
    assert_eq!(rate(card(&import, 0), "input"), "2");
    assert_eq!(noted(&import, NoteKind::LeftOut).len(), 1);
}

#[test]
fn what_is_no_llm_is_left_out() {
    let import = read_table(
        r#""sample_spec": {"litellm_provider": "one of many", "file_search_cost_per_1k_calls": 0.0},
           "fallback_generalizations": {"rules": [], "cost": []},
           "nobodys": {"input_cost_per_token": 1e-6},
           "mine": {"litellm_provider": "openai", "input_cost_per_token": 1e-6}"#,
    )
    .unwrap();
    assert_eq!(only(&import).id, "mine");
    assert_eq!(noted(&import, NoteKind::LeftOut)[0].place, "nobodys");
}

#[test]
fn a_price_is_told_with_its_source() {
    let import = read(r#""input_cost_per_token": 2.5e-06, "max_tokens": "many""#);
    let card = card(&import, 0);
    assert_eq!((rate(card, "input"), units(card)), ("2.5".into(), vec!["input"]));
    assert_eq!(card.source.as_deref(), Some("LiteLLM 1.109.1"));
    assert_eq!((card.from.as_deref(), card.checked_on), (None, origin().checked_on));
}

#[test]
fn null_is_not_zero() {
    let import = read(
        r#""input_cost_per_token": 1e-6, "output_cost_per_token": null, "input_cost_per_smell": null,
           "cache_read_input_token_cost": 0, "tiered_pricing": null, "off_peak_pricing": null,
           "search_context_cost_per_query": null, "provider_specific_entry": null,
           "regional_endpoint_uplift_multiplier": null"#,
    );
    assert_eq!(only(&import).cards.len(), 1);
    assert_eq!(units(card(&import, 0)), ["cache_read", "input"]);
}

fn check_unknown(fields: &str, unknown: &str) {
    let result = read_table(&format!(r#""mine": {{"litellm_provider": "openai", {fields}}}"#));
    let Err(ImportError::UnknownField { place, field, .. }) = result else { panic!("{result:?}") };
    assert_eq!((place.as_str(), field.as_str()), ("mine", unknown));
}

#[test]
fn a_price_field_that_is_not_known_is_an_error() {
    check_unknown(r#""input_cost_per_smell": 1.0"#, "input_cost_per_smell");
    check_unknown(r#""smell_pricing": {}"#, "smell_pricing");
    check_unknown(r#""regional_uplift": 1.1"#, "regional_uplift");
    check_unknown(r#""input_cost_per_token_slow": 1e-6"#, "input_cost_per_token_slow");
    check_unknown(r#""tiered_pricing": [{"range": [0, 9], "smell": 1}]"#, "tiered_pricing.smell");
    check_unknown(r#""off_peak_pricing": {"smell": 1}"#, "off_peak_pricing.smell");
    check_unknown(r#""provider_specific_entry": {"eu": 1.1}"#, "provider_specific_entry.eu");
}

#[test]
fn a_price_that_is_no_number_is_an_error() {
    for fields in [
        r#""input_cost_per_token": "1e-6""#,
        r#""input_cost_per_token": {"usd": 1}"#,
        r#""tiered_pricing": {}"#,
        r#""search_context_cost_per_query": 1"#,
        r#""provider_specific_entry": {"fast": "yes"}"#,
    ] {
        let result = read_table(&format!(r#""mine": {{"litellm_provider": "openai", {fields}}}"#));
        assert!(matches!(result, Err(ImportError::Json { .. })), "{fields}");
    }
    assert!(matches!(litellm::read("[]", &origin()), Err(ImportError::Json { .. })));
}

#[test]
fn what_looks_like_a_price_and_is_none_is_noted() {
    let import = read(
        r#""input_cost_per_token": 1e-6, "input_dbu_cost_per_token": 1e-5, "web_search_billing_unit": "per_query",
           "search_free_requests": {"count": 1}, "provider_specific_entry": {"bedrock_invocation_schema": "x"}"#,
    );
    assert_eq!(noted(&import, NoteKind::LeftOut).len(), 4);
    assert_eq!(units(card(&import, 0)), ["input"]);
}

#[test]
fn prices_that_cannot_be_right_are_refused() {
    let import = read(
        r#""input_cost_per_token": -1e-6, "output_cost_per_token": 0.0500001,
           "cache_read_input_token_cost": 0.05, "input_cost_per_query": 9"#,
    );
    assert_eq!(units(card(&import, 0)), ["cache_read", "request"]);
    let refused = noted(&import, NoteKind::Refused);
    let places: Vec<_> = refused.iter().map(|note| note.place.as_str()).collect();
    assert_eq!(places, ["mine input_cost_per_token", "mine output_cost_per_token"]);
    // What has no believable price is not free.
    let import = read(r#""input_cost_per_token": -1e-6"#);
    assert!(only(&import).cards.is_empty());
    assert_eq!(million(&import, TODAY, &Selectors::new()), "no_price_at");
}

#[test]
fn the_noise_of_a_float_is_doubted_and_kept() {
    let import = read(r#""input_cost_per_token": 1.8000000000000002e-07"#);
    assert_eq!(rate(card(&import, 0), "input"), "0.18000000000000002");
    assert_eq!(noted(&import, NoteKind::Doubted)[0].place, "mine input_cost_per_token");
}

#[test]
fn two_fields_for_one_price_must_not_differ_in_silence() {
    let two = |first, second| {
        let fields = format!(
            r#""cache_read_input_audio_token_cost": {first}, "cache_read_input_token_cost_per_audio_token": {second}"#
        );
        noted(&read(&fields), NoteKind::Doubted).len()
    };
    assert_eq!((two("1e-6", "1e-6"), two("1e-6", "2e-6")), (0, 1));
}

fn check_status(date: &str, status: ModelStatus, retired_at: Option<&str>) {
    let import = read(&format!(r#""input_cost_per_token": 1e-6, "deprecation_date": "{date}""#));
    let retired = retired_at.map(|date| date.parse().unwrap());
    assert_eq!((only(&import).status, only(&import).retired_at), (status, retired), "{date}");
}

#[test]
fn an_llm_is_retired_on_the_day_of_its_deprecation() {
    check_status("2026-11-24", ModelStatus::Deprecated, Some("2026-11-24"));
    check_status("2026-11-23", ModelStatus::Retired, Some("2026-11-23"));
    check_status("2025-01-01", ModelStatus::Retired, Some("2025-01-01"));
    check_status("some day", ModelStatus::Active, None);
    assert_eq!(only(&read(r#""input_cost_per_token": 1e-6"#)).status, ModelStatus::Active);
}

#[test]
fn older_files_and_that_of_tokencost_have_the_same_form() {
    let import = read_table(
        r#""text-embedding-preview-0409": {"max_tokens": 3072, "input_cost_per_token": 6.25e-09,
               "input_cost_per_token_batch_requests": 5e-09, "output_cost_per_token": 0,
               "litellm_provider": "vertex_ai-embedding-models", "mode": "embedding"},
           "databricks/llama": {"input_cost_per_token": 5e-6, "input_dbu_cost_per_token": 7.1e-5,
               "output_cost_per_token": 1.5e-5, "output_db_cost_per_token": 0.000214286,
               "litellm_provider": "databricks", "metadata": {"notes": "…"}},
           "gemini/gemini-pro": {"rpd": 30000, "max_video_length": 1, "input_cost_per_token": 3.5e-7,
               "litellm_provider": "gemini"}"#,
    )
    .unwrap();
    let names: Vec<_> = import.book.models.iter().map(|model| model.id.as_str()).collect();
    assert_eq!(names, ["llama", "gemini-pro", "text-embedding-preview-0409"]);
    let [standard, batch] = import.book.models[2].cards.as_slice() else { panic!() };
    assert_eq!((rate(standard, "input"), rate(batch, "input")), ("0.00625".into(), "0.005".into()));
    assert_eq!(batch.when, Selectors::new().batch());
}

#[test]
fn a_provider_that_stands_there_a_hundred_thousand_times_too_dear_is_mended() {
    let at = |price: &str| {
        let entry = format!(
            r#""wandb/mine": {{"litellm_provider": "wandb", "mode": "chat", "input_cost_per_token": {price}}}"#
        );
        let import = read_table(&entry).unwrap();
        (million(&import, TODAY, &Selectors::new()), noted(&import, NoteKind::Doubted).len())
    };
    assert_eq!(at("0.055"), ("0.55".into(), 1));
    assert_eq!(at("0.135"), ("1.35".into(), 1));
    assert_eq!(at("5.5e-07"), ("0.55".into(), 0));
}
