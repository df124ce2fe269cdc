//! Ways of serving, sizes, hours and factors.

use taximeter_models::{TokenUsage, Unit};
use taximeter_pricing::{Selector, Selectors};

use super::{TODAY, read, read_as};
use crate::small_tables::{card, cost, million, noted, only};
use crate::{Import, NoteKind};

fn input(import: &Import, tokens: u64) -> String {
    cost(import, TODAY, &TokenUsage::new(tokens, 0), &Selectors::new())
}

fn standard() -> Selectors {
    Selectors::new()
}

fn of(selector: &str, value: &str) -> Selectors {
    Selectors::new().with(Selector::from(selector), value)
}

/// The cost of so many of a unit.
fn of_unit(import: &Import, unit: Unit, quantity: u64, selectors: &Selectors) -> String {
    let usage = TokenUsage::inclusive(0, 0).unit(unit, quantity).build().unwrap();
    cost(import, TODAY, &usage, selectors)
}

const TIERS: &str = r#""input_cost_per_token": 1e-6, "input_cost_per_token_above_200k_tokens": 2e-6,
    "input_cost_per_token_above_1000k_tokens": 4e-6, "cache_read_input_token_cost": 1e-7"#;

#[test]
fn a_tier_begins_above_its_bound_and_holds_for_the_whole_request() {
    let import = read(TIERS);
    assert_eq!(input(&import, 200_000), "0.2");
    assert_eq!(input(&import, 200_001), "0.400002");
    assert_eq!(input(&import, 1_000_001), "4.000004");
    // Cached tokens count; their own price has no tiers.
    let usage = TokenUsage::inclusive(200_001, 0).cache_read(200_000).build().unwrap();
    assert_eq!(cost(&import, TODAY, &usage, &standard()), "0.020002");
}

#[test]
fn a_tier_of_xai_begins_with_its_bound() {
    let import = read_as("xai", "chat", TIERS);
    assert_eq!(input(&import, 199_999), "0.199999");
    assert_eq!(input(&import, 200_000), "0.4");
}

#[test]
fn a_price_that_only_a_tier_has_is_no_price_below_it() {
    let import =
        read(r#""input_cost_per_token": 1e-6, "output_cost_per_token_above_9k_tokens": 1e-6"#);
    assert!(card(&import, 0).tiers.is_empty());
    let usage = TokenUsage::new(10_000, 1);
    assert_eq!(cost(&import, TODAY, &usage, &standard()), "partly_unpriced");
    let import = read(r#""input_cost_per_token_above_9k_tokens": 1e-6"#);
    assert_eq!(input(&import, 10_000), "no_price_at");
}

#[test]
fn a_way_of_serving_takes_the_standard_price_for_what_it_does_not_say() {
    let import = read(
        r#""input_cost_per_token": 1e-6, "input_cost_per_token_above_200k_tokens": 2e-6,
           "output_cost_per_token": 4e-6, "output_cost_per_token_above_200k_tokens": 8e-6,
           "input_cost_per_token_flex": 5e-7, "output_cost_per_token_batches": 2e-6,
           "input_cost_per_token_priority": 3e-6, "output_cost_per_token_above_200k_tokens_priority": 9e-6,
           "input_cost_per_token_decisions": 1e-7"#,
    );
    let price = |input, selectors: &Selectors| {
        cost(&import, TODAY, &TokenUsage::new(input, 1_000), selectors)
    };
    let tier = |tier| Selectors::new().service_tier(tier);
    assert_eq!(price(1_000, &standard()), "0.005");
    assert_eq!(price(1_000, &tier("flex")), "0.0045");
    assert_eq!(price(1_000, &tier("batch")), "0.003");
    assert_eq!(price(1_000, &tier("priority")), "0.007");
    assert_eq!(price(1_000, &of("mode", "decisions")), "0.0041");
    // The tiers that are not said are the standard ones too.
    assert_eq!(price(300_000, &standard()), "0.608");
    assert_eq!(price(300_000, &tier("flex")), "0.608");
    assert_eq!(price(300_000, &tier("priority")), "0.609");
}

#[test]
fn a_list_of_tiers_is_by_ranges_of_prompt_tokens() {
    let import = read(
        r#""tiered_pricing": [
            {"range": [0, 32000.0], "input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6},
            {"range": [32000.0, 128000], "input_cost_per_token": 2e-6, "output_cost_per_token": 3e-6}
        ]"#,
    );
    assert_eq!(input(&import, 32_000), "0.032");
    assert_eq!(input(&import, 32_001), "0.064002");
    // What lies beyond the last range is billed as the last one.
    assert_eq!(input(&import, 500_000), "1");
    let usage = TokenUsage::new(32_001, 1_000);
    assert_eq!(cost(&import, TODAY, &usage, &standard()), "0.067002");
}

#[test]
fn a_search_costs_by_the_results_that_it_is_asked_for() {
    for first in [0, 1] {
        let import = read_as(
            "exa_ai",
            "search",
            &format!(
                r#""tiered_pricing": [
                    {{"max_results_range": [{first}, 25], "input_cost_per_query": 0.005}},
                    {{"max_results_range": [26, 100], "input_cost_per_query": 0.025}}
                ]"#
            ),
        );
        let price = |results| {
            let usage = TokenUsage::inclusive(0, 0).unit(Unit::WebSearch, 1);
            let usage = usage.unit(Unit::SearchResult, results).build().unwrap();
            cost(&import, TODAY, &usage, &standard())
        };
        assert_eq!((price(25), price(26)), ("0.005".into(), "0.025".into()));
        assert_eq!(of_unit(&import, Unit::WebSearch, 2, &standard()), "0.01");
    }
}

#[test]
fn other_prices_at_some_hours() {
    let import = read(
        r#""input_cost_per_token": 3e-6, "cache_read_input_token_cost": 1e-6, "off_peak_pricing": {
            "input_cost_per_token": 1e-6, "windows": [
                {"hours_utc": ["04:00-06:00", "10:00-00:00"], "weekdays": [1, 2, 3, 4, 5]},
                {"hours_utc": "00:00-00:00", "weekdays": [6, 7]}
            ]}"#,
    );
    let at = |at| million(&import, at, &standard());
    // A Friday.
    assert_eq!(at("2026-11-20T03:59:59Z"), "3");
    assert_eq!(at("2026-11-20T04:00:00Z"), "1");
    assert_eq!(at("2026-11-20T06:00:00Z"), "3");
    assert_eq!(at("2026-11-20T23:59:59Z"), "1");
    // The whole of Saturday and Sunday, and then Monday.
    assert_eq!(at("2026-11-21T00:00:00Z"), "1");
    assert_eq!(at("2026-11-22T23:59:59Z"), "1");
    assert_eq!(at("2026-11-23T00:00:00Z"), "3");
    // What the hours say nothing of costs what it always costs.
    let cached = TokenUsage::inclusive(1_000_000, 0).cache_read(1_000_000).build().unwrap();
    assert_eq!(cost(&import, "2026-11-21T00:00:00Z", &cached, &standard()), "1");
}

#[test]
fn hours_without_weekdays_are_of_every_day_and_a_time_zone_is_doubted() {
    let import = read(
        r#""input_cost_per_token": 3e-6, "off_peak_pricing": {"input_cost_per_token": 1e-6,
            "weekday_timezone": "Asia/Shanghai", "windows": [{"hours_utc": "16:30-00:30"}]}"#,
    );
    assert_eq!(million(&import, "2026-11-22T00:29:59Z", &standard()), "1");
    assert_eq!(noted(&import, NoteKind::Doubted).len(), 1);
}

#[test]
fn hours_and_days_that_cannot_be_are_an_error() {
    for windows in [
        r#"{"hours_utc": "25:00-26:00"}"#,
        r#"{"hours_utc": "1am"}"#,
        r#"{"hours_utc": "01:00-02:00", "weekdays": [0]}"#,
        r#"{"hours_utc": "01:00-02:00", "weekdays": [8]}"#,
        r#"{"hours_utc": "01:00-02:00", "smell": 1}"#,
    ] {
        let result = super::read_table(&format!(
            r#""mine": {{"litellm_provider": "openai", "input_cost_per_token": 1e-6,
                "off_peak_pricing": {{"input_cost_per_token": 1e-7, "windows": [{windows}]}}}}"#
        ));
        assert!(matches!(result, Err(crate::ImportError::Json { .. })), "{windows}");
    }
}

#[test]
fn a_search_costs_by_the_size_of_its_context() {
    let searches = |low, high| {
        read(&format!(
            r#""input_cost_per_token": 1e-6, "search_context_cost_per_query": {{"search_context_size_low": {low},
                "search_context_size_medium": 0.01, "search_context_size_high": {high}}}"#
        ))
    };
    let import = searches("0.005", "0.02");
    let price = |selectors: &Selectors| of_unit(&import, Unit::WebSearch, 1, selectors);
    assert_eq!(price(&standard()), "0.01");
    assert_eq!(price(&of("search_context_size", "low")), "0.005");
    assert_eq!(price(&of("search_context_size", "medium")), "0.01");
    assert_eq!(price(&of("search_context_size", "high")), "0.02");
    assert_eq!(only(&import).cards.len(), 3);
    // Sizes that cost the same need no cards.
    assert_eq!(only(&searches("0.01", "0.01")).cards.len(), 1);
}

#[test]
fn a_guardrail_costs_by_its_policy() {
    let import = read_as(
        "bedrock",
        "guardrail",
        r#""guardrail_cost_per_unit": {"topicPolicyUnits": 0.00015, "wordPolicyUnits": 0.0}"#,
    );
    let price = |policy| of_unit(&import, Unit::GuardrailUnit, 2, &of("policy", policy));
    assert_eq!(price("topicPolicyUnits"), "0.0003");
    assert_eq!(price("wordPolicyUnits"), "0");
    assert_eq!(of_unit(&import, Unit::GuardrailUnit, 2, &standard()), "no_price_at");
}

#[test]
fn factors_hold_in_regions_at_endpoints_and_for_speed() {
    let import = read(
        r#""input_cost_per_token": 1e-6, "input_cost_per_token_flex": 5e-7,
           "provider_specific_entry": {"us": 1.1, "fast": 6, "minimax_free_input_images": 2},
           "regional_processing_uplift_multiplier_eu": 1.2, "regional_endpoint_uplift_multiplier": 1.3"#,
    );
    let price = |selectors: &Selectors| million(&import, TODAY, selectors);
    assert_eq!(price(&standard()), "1");
    assert_eq!(price(&Selectors::new().region("us")), "1.1");
    assert_eq!(price(&Selectors::new().region("eu")), "1.2");
    assert_eq!(price(&Selectors::new().region("mars")), "1");
    assert_eq!(price(&of("endpoint", "regional")), "1.3");
    assert_eq!(price(&Selectors::new().speed("fast")), "6");
    assert_eq!(price(&Selectors::new().speed("fast").region("us")), "6.6");
    assert_eq!(price(&Selectors::new().service_tier("flex").region("us")), "0.55");
}

#[test]
fn sizes_and_qualities_of_what_is_made() {
    let import = read_as(
        "fal_ai",
        "video_generation",
        r#""output_cost_per_second": 0.1, "output_cost_per_second_1080p": 0.2"#,
    );
    let second =
        |selectors: &Selectors| of_unit(&import, Unit::OutputVideoMillisecond, 1_500, selectors);
    assert_eq!(second(&standard()), "0.15");
    assert_eq!(second(&of("resolution", "1080P")), "0.3");
    let import = read_as(
        "stability",
        "image_generation",
        r#""output_cost_per_image": 0.01, "output_cost_per_image_premium_image": 0.03, "output_cost_per_image_4K": 0.04"#,
    );
    let image = |selectors: &Selectors| of_unit(&import, Unit::Image, 1, selectors);
    assert_eq!(image(&standard()), "0.01");
    assert_eq!(image(&of("quality", "premium_image")), "0.03");
    assert_eq!(image(&of("resolution", "4k")), "0.04");
}

#[test]
fn longer_videos_cost_more_a_second() {
    let import = read_as(
        "vertex_ai",
        "embedding",
        r#""input_cost_per_video_per_second": 0.0005, "input_cost_per_video_per_second_above_8s_interval": 0.001"#,
    );
    let price = |ms| of_unit(&import, Unit::InputVideoMillisecond, ms, &standard());
    assert_eq!((price(8_000), price(10_000)), ("0.004".into(), "0.01".into()));
}
