//! The snapshot's form, by small snapshots, and the known answers.

mod oracle;

use taximeter_models::{CardBasis, Name, TokenUsage};
use taximeter_pricing::{ModelStatus, Selectors};

use crate::small_tables::{self, card, cost, million, noted, only, rate, units};
use crate::{Import, ImportError, NoteKind, Origin, model_prices};

const TODAY: &str = "2026-10-26T12:00:00Z";

fn origin() -> Origin {
    small_tables::origin("model-prices", "0.0.5", "2026-10-26")
}

/// A snapshot: prices by provider, and what differs from having nothing else.
fn read_all(prices: &str, rest: &str) -> Result<Import, ImportError> {
    let mut snapshot: serde_json::Value = serde_json::from_str(&format!(
        r#"{{"schedules": {{"schedule": [], "holidays": {{}}}}, "status": {{}}, "aliases": {{"models": {{}}}},
            "bases": {{}}, "plans": [], "prices": {prices}}}"#
    ))
    .unwrap();
    let rest: serde_json::Map<_, _> = serde_json::from_str(&format!("{{{rest}}}")).unwrap();
    snapshot.as_object_mut().unwrap().extend(rest);
    model_prices::read(&snapshot.to_string(), &origin())
}

/// A snapshot with one LLM, whose ways of serving are given.
fn read_as(provider: &str, ways: &str, rest: &str) -> Import {
    read_all(&format!(r#"{{"{provider}": {{"mine": {{{ways}}}}}}}"#), rest).unwrap()
}

/// A snapshot with one LLM that is served in the standard way only.
fn read(intervals: &str) -> Import {
    read_as("openai", &format!(r#""standard": [{intervals}]"#), "")
}

/// One interval without an end.
fn read_rates(rates: &str) -> Import {
    read(&format!(r#"{{"start": null, "rates": {{{rates}}}}}"#))
}

fn standard() -> Selectors {
    Selectors::new()
}

const DATED: &str = r#"{"start": null, "rates": {"input": 1}},
    {"start": "2026-05-01T16:00:00Z", "rates": {"input": 2}},
    {"start": "2026-08-01T00:00:00Z", "rates": {"input": 3}}"#;

#[test]
fn an_interval_ends_where_the_next_one_begins_and_the_first_has_no_beginning() {
    let import = read(DATED);
    let at = |at| million(&import, at, &standard());
    assert_eq!(at("2020-01-01T00:00:00Z"), "1");
    assert_eq!(at("2026-05-01T15:59:59Z"), "1");
    assert_eq!(at("2026-05-01T16:00:00Z"), "2");
    assert_eq!(at("2026-07-31T23:59:59Z"), "2");
    assert_eq!(at("2026-08-01T00:00:00Z"), "3");
    let bounds =
        only(&import).cards.iter().map(|card| (card.from.as_deref(), card.until.as_deref()));
    let (second, third) = ("2026-05-01T16:00:00Z", "2026-08-01T00:00:00Z");
    let expected = [(None, Some(second)), (Some(second), Some(third)), (Some(third), None)];
    assert_eq!(bounds.collect::<Vec<_>>(), expected);
}

#[test]
fn where_an_interval_has_no_rates_there_is_no_price() {
    let import = read(
        r#"{"start": null, "rates": null}, {"start": "2026-05-01T00:00:00Z", "rates": {"input": 2}},
           {"start": "2026-08-01T00:00:00Z", "rates": null}"#,
    );
    let at = |at| million(&import, at, &standard());
    assert_eq!(at("2026-04-30T23:59:59Z"), "no_price_at");
    assert_eq!(at("2026-07-31T23:59:59Z"), "2");
    assert_eq!(at("2026-08-01T00:00:00Z"), "no_price_at");
    assert_eq!(only(&import).cards.len(), 1);
}

fn check_basis(start: &str, said: &str, basis: CardBasis) {
    let rates = format!(r#"{{"input": 1, "valid_from_basis": {said}}}"#);
    let import = read(&format!(r#"{{"start": {start}, "rates": {rates}}}"#));
    assert_eq!(card(&import, 0).basis, Some(basis), "{start} {said}");
}

#[test]
fn how_a_beginning_is_known() {
    let start = r#""2026-05-01T00:00:00Z""#;
    check_basis(start, r#""documented""#, CardBasis::Documented);
    check_basis(start, r#""first observed""#, CardBasis::FirstObserved);
    check_basis(start, r#""models.dev commit""#, CardBasis::SourceCommit);
    check_basis(start, "null", CardBasis::Unknown);
    // What has always held begins at no known moment.
    check_basis("null", r#""documented""#, CardBasis::Unknown);
}

#[test]
fn a_price_is_told_with_its_source() {
    let import = read_rates(r#""input": 1, "source": "https://example.com/prices""#);
    assert_eq!(card(&import, 0).source.as_deref(), Some("https://example.com/prices"));
    let import = read_rates(
        r#""input": 1, "output": 2.50, "model": "other", "valid_from": "2026-05-01T00:00:00Z""#,
    );
    assert_eq!(card(&import, 0).source.as_deref(), Some("model-prices 0.0.5"));
    assert_eq!(card(&import, 0).checked_on, origin().checked_on);
    assert_eq!(units(card(&import, 0)), ["input", "output"]);
    assert_eq!(rate(card(&import, 0), "output"), "2.5");
}

#[test]
fn a_tier_is_for_the_whole_request_above_its_bound() {
    let import = read_rates(
        r#""input": 1, "cache_read": 0.1, "tiers": [{"above": 200, "input": 2}, {"above": 400, "input": 4, "output": 9}]"#,
    );
    let price = |input, cached, output| {
        let usage = TokenUsage::inclusive(input, output).cache_read(cached).build().unwrap();
        cost(&import, TODAY, &usage, &standard())
    };
    assert_eq!(price(200, 0, 0), "0.0002");
    assert_eq!(price(201, 0, 0), "0.000402");
    assert_eq!(price(201, 200, 0), "0.000022");
    assert_eq!(price(401, 0, 0), "0.001604");
    // What only a tier has a price for has none below it.
    assert_eq!(price(401, 0, 1), "partly_unpriced");
}

#[test]
fn a_cache_that_only_a_tier_has_a_price_for_costs_what_input_does_below_it() {
    let import = read_rates(
        r#""input": 1, "cache_write_1h_multiple": 3,
            "tiers": [{"above": 200, "input": 2}, {"above": 400, "input": 4, "cache_write": 5}]"#,
    );
    let written = |tokens| {
        let usage = TokenUsage::inclusive(tokens, 0).cache_write_5m(tokens).build().unwrap();
        cost(&import, TODAY, &usage, &standard())
    };
    assert_eq!([written(200), written(201), written(401)], ["0.0002", "0.000402", "0.002005"]);
    assert_eq!(rate(card(&import, 0), "cache_write_1h"), "3");
    // Nothing stands in for output: the tier's price of it is left out, and told.
    let import = read_rates(r#""input": 1, "tiers": [{"above": 200, "output": 9}]"#);
    assert_eq!(noted(&import, NoteKind::LeftOut).len(), 2);
}

#[test]
fn a_write_to_the_cache_of_an_hour_is_a_multiple_of_input_in_tiers_too() {
    let import = read_rates(
        r#""input": 1.5, "cache_write": 2, "cache_write_1h_multiple": 2.0, "tiers": [{"above": 200, "input": 3}]"#,
    );
    let hour = |tokens| {
        let usage = TokenUsage::inclusive(tokens, 0).cache_write_1h(tokens).build().unwrap();
        cost(&import, TODAY, &usage, &standard())
    };
    assert_eq!(rate(card(&import, 0), "cache_write_1h"), "3");
    assert_eq!((hour(200), hour(201)), ("0.0006".into(), "0.001206".into()));
    // A multiple of nothing is nothing.
    let import = read_rates(r#""output": 1, "cache_write_1h_multiple": 2"#);
    assert_eq!(units(card(&import, 0)), ["output"]);
}

fn check_way(provider: &str, way: &str, when: &Selectors) {
    let import =
        read_as(provider, &format!(r#""{way}": [{{"start": null, "rates": {{"input": 1}}}}]"#), "");
    assert_eq!(card(&import, 0).when, *when, "{provider} {way}");
    // The snapshot's own word for it is understood too.
    let mode = Selectors::new().mode(way);
    assert_eq!(million(&import, TODAY, &mode), "1", "{provider} {way}");
}

#[test]
fn ways_of_serving_become_selectors() {
    check_way("openai", "standard", &Selectors::new());
    check_way("openai", "batch", &Selectors::new().batch());
    check_way("openai", "flex", &Selectors::new().service_tier("flex"));
    check_way("openai", "ultrafast", &Selectors::new().service_tier("ultrafast"));
    check_way("openai", "fast", &Selectors::new().service_tier("fast"));
    check_way("anthropic", "fast", &Selectors::new().speed("fast"));
    check_way("alibaba", "thinking", &Selectors::new().mode("thinking"));
}

/// Peak hours, and the fields that stand beside them.
fn peaks(fields: &str) -> String {
    format!(
        r#""schedules": {{"holidays": {{"cn": {{"dates": ["2026-10-02"]}}}},
            "schedule": [{{"provider": "deepseek", "valid_from": "2026-06-01T12:00:00Z", {fields}}}]}}"#
    )
}

const PEAK: &str =
    r#""peak_hours_utc": [["01:00", "04:00"], ["06:00", "10:00"]], "peak_multiplier": 2.0"#;
const RATES: &str = r#""standard": [{"start": null, "rates": {"input": 1, "tiers": [{"above": 2000000, "input": 3}]}}]"#;

#[test]
fn at_peak_hours_a_factor_holds_for_all_llms_of_the_provider() {
    let rest = peaks(&format!(
        r#"{PEAK}, "weekdays_only": true, "holidays": "cn", "valid_until": "2026-11-01T00:00:00Z""#
    ));
    let import = read_as("deepseek", RATES, &rest);
    let at = |at| million(&import, at, &standard());
    // A Tuesday.
    assert_eq!(at("2026-10-20T00:59:59Z"), "1");
    assert_eq!(at("2026-10-20T01:00:00Z"), "2");
    assert_eq!(at("2026-10-20T04:00:00Z"), "1");
    assert_eq!(at("2026-10-20T09:59:59Z"), "2");
    let large = TokenUsage::new(3_000_000, 0);
    assert_eq!(cost(&import, "2026-10-20T01:00:00Z", &large, &standard()), "18");
    // A Saturday, a Friday that is a holiday, and before and after it all.
    assert_eq!(at("2026-10-17T01:00:00Z"), "1");
    assert_eq!(at("2026-10-02T01:00:00Z"), "1");
    assert_eq!(at("2026-06-01T01:00:00Z"), "1");
    assert_eq!(at("2026-06-02T01:00:00Z"), "2");
    assert_eq!(at("2026-11-02T01:00:00Z"), "1");
    // Another provider has other hours.
    assert_eq!(only(&read_as("openai", RATES, &rest)).cards.len(), 1);
}

#[test]
fn at_off_peak_hours_a_factor_holds_for_some_llms() {
    let rest = |id| {
        peaks(&format!(
            r#""off_peak_hours_utc": [["16:30", "00:30"]], "off_peak_multiplier": {{"{id}": 0.25}}"#
        ))
    };
    let import = read_as("deepseek", RATES, &rest("mine"));
    assert_eq!(million(&import, "2026-10-20T16:29:59Z", &standard()), "1");
    assert_eq!(million(&import, "2026-10-21T00:29:59Z", &standard()), "0.25");
    assert_eq!(only(&read_as("deepseek", RATES, &rest("other"))).cards.len(), 1);
}

#[test]
fn hours_hold_within_an_interval_and_in_the_standard_way_only() {
    let intervals = r#"[{"start": null, "rates": {"input": 1}}, {"start": "2026-05-01T00:00:00Z", "rates": {"input": 2}},
        {"start": "2026-08-01T00:00:00Z", "rates": {"input": 3}}]"#;
    let ways = format!(r#""standard": {intervals}, "batch": {intervals}"#);
    let import = read_as("deepseek", &ways, &peaks(PEAK));
    let at = |at| million(&import, at, &standard());
    assert_eq!(at("2026-05-02T01:00:00Z"), "2");
    assert_eq!(at("2026-07-01T01:00:00Z"), "4");
    assert_eq!(at("2026-08-01T01:00:00Z"), "6");
    assert_eq!(million(&import, "2026-08-01T01:00:00Z", &Selectors::new().batch()), "3");
    let hours: Vec<_> = only(&import).cards.iter().filter(|card| card.schedule.is_some()).collect();
    let (begin, end) = ("2026-06-01T12:00:00Z", "2026-08-01T00:00:00Z");
    assert_eq!((hours[0].from.as_deref(), hours[0].until.as_deref()), (Some(begin), Some(end)));
    assert_eq!((hours[1].from.as_deref(), hours.len()), (Some(end), 2));
}

#[test]
fn hours_that_cannot_be_are_an_error() {
    let rest = peaks(r#""peak_hours_utc": [["1am", "2am"]], "peak_multiplier": 2"#);
    let result = read_all(&format!(r#"{{"deepseek": {{"mine": {{{RATES}}}}}}}"#), &rest);
    assert!(matches!(result, Err(ImportError::Json { .. })));
}

#[test]
fn aliases_and_bases_are_names_where_no_llm_has_them_for_itself() {
    let model = |id: &str| format!(r#""{id}": {{"standard": []}}"#);
    let prices = format!(
        r#"{{"openai": {{{}, {}, {}}}, "xai": {{{}}}}}"#,
        model("one"),
        model("two"),
        model("three"),
        model("one")
    );
    let import = read_all(
        &prices,
        r#""aliases": {"models": {"uno": "openai/one", "two": "openai/one", "ein": "xai/one", "un": "meta/one"}},
           "bases": {"openai": {"one-sol": "one", "three": "one"}, "xai": {"one-x": "two"}}"#,
    )
    .unwrap();
    let names = import.book.models.iter().map(|model| {
        let aliases: Vec<_> = model.aliases.iter().map(Name::as_str).collect();
        format!("{}/{}: {}", model.provider, model.id, aliases.join(" "))
    });
    let expected = ["openai/one: uno one-sol", "openai/three: ", "openai/two: ", "xai/one: ein"];
    assert_eq!(names.collect::<Vec<_>>(), expected);
}

fn check_status(status: &str, expected: ModelStatus) {
    let rest =
        format!(r#""status": {{"openai": {{"mine": "{status}"}}, "xai": {{"mine": "removed"}}}}"#);
    let import = read_as("openai", r#""standard": []"#, &rest);
    assert_eq!(only(&import).status, expected, "{status}");
}

#[test]
fn an_llm_that_was_removed_is_retired() {
    check_status("removed", ModelStatus::Retired);
    check_status("deprecated", ModelStatus::Deprecated);
    check_status("preview", ModelStatus::Active);
    assert_eq!(only(&read_rates(r#""input": 1"#)).status, ModelStatus::Active);
}

fn check_unknown(rates: &str, unknown: &str) {
    let prices =
        format!(r#"{{"xai": {{"mine": {{"batch": [{{"start": null, "rates": {{{rates}}}}}]}}}}}}"#);
    let result = read_all(&prices, "");
    let Err(ImportError::UnknownField { place, field, .. }) = result else { panic!("{result:?}") };
    assert_eq!((place.as_str(), field.as_str()), ("xai/mine batch", unknown));
}

#[test]
fn a_field_that_is_not_known_is_an_error() {
    check_unknown(r#""input": 1, "smell": 1"#, "smell");
    check_unknown(r#""tiers": [{"above": 9, "smell": 1}]"#, "smell");
    check_unknown(r#""tiers": [{"input": 1}]"#, "tiers");
    check_unknown(r#""tiers": [{"above": -9, "input": 1}]"#, "tiers");
    let result =
        read_all(r#"{"xai": {"mine": {"batch": [{"start": null, "rates": {"input": "1"}}]}}}"#, "");
    assert!(matches!(result, Err(ImportError::Json { .. })));
}

#[test]
fn prices_that_cannot_be_right_are_refused_and_noise_is_doubted() {
    let import = read_rates(
        r#""input": -1, "output": 50000.1, "cache_read": 0.18000000000000002, "cache_write": 50000"#,
    );
    assert_eq!(units(card(&import, 0)), ["cache_read", "cache_write"]);
    assert_eq!(rate(card(&import, 0), "cache_read"), "0.18000000000000002");
    assert_eq!(noted(&import, NoteKind::Refused).len(), 2);
    assert_eq!(noted(&import, NoteKind::Doubted)[0].place, "openai/mine standard");
}

#[test]
fn what_has_no_believable_price_is_not_free() {
    let import = read_rates(r#""input": -1"#);
    assert_eq!(million(&import, TODAY, &standard()), "no_price_at");
}
