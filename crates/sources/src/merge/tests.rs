//! Small tables that differ, and what becomes of them.

use chrono::NaiveDate;
use taximeter_models::{CostOutcome, TokenUsage, Unit};
use taximeter_pricing::{ModelStatus, PriceBook, Query, Selectors};

use super::*;
use crate::{genai, litellm, model_prices};

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn origin(id: &str) -> crate::Origin {
    crate::Origin { id: id.into(), version: None, url: None, checked_on: Some(day("2026-11-01")) }
}

/// LiteLLM's entry of `openai/m` with these fields.
fn of_litellm(fields: &str) -> Import {
    let table = format!(r#"{{"m": {{"litellm_provider": "openai", "mode": "chat", {fields}}}}}"#);
    litellm::read(&table, &origin("LiteLLM")).unwrap()
}

fn of_genai(prices: &str) -> Import {
    of_genai_at("openai", prices)
}

fn of_genai_at(provider: &str, prices: &str) -> Import {
    let table = format!(
        r#"[{{"id": "{provider}", "name": "x", "api_pattern": "x", "pricing_urls": [],
            "models": [{{"id": "m", "match": {{"equals": "m"}}, "prices": {prices}}}]}}]"#
    );
    genai::read(&table, &origin("genai-prices")).unwrap()
}

fn of_model_prices(intervals: &str) -> (NaiveDate, Import) {
    let table = format!(
        r#"{{"prices": {{"openai": {{"m": {{"standard": [{intervals}]}}}}}},
            "schedules": {{"schedule": [], "holidays": {{}}}}, "status": {{}}, "aliases": {{"models": {{}}}}, "bases": {{}}}}"#
    );
    (day("2026-10-26"), model_prices::read(&table, &origin("model-prices")).unwrap())
}

fn interval(start: &str, input: &str) -> String {
    let start = if start.is_empty() { "null".into() } else { format!("\"{start}T00:00:00Z\"") };
    format!(
        r#"{{"start": {start}, "rates": {{"input": {input}, "output": 8.0, "source": "https://x", "valid_from_basis": "documented"}}}}"#
    )
}

fn merged(tables: Tables) -> Merged {
    merge(tables, day("2026-11-23")).unwrap()
}

/// What a million input tokens cost on a day.
fn input(merged: &Merged, provider: &str, at: &str, selectors: &Selectors) -> Option<String> {
    let book = PriceBook::try_from(merged.book.clone()).unwrap();
    let at = day(at).and_time(NaiveTime::MIN).and_utc();
    let usage = TokenUsage::new(1_000_000, 0);
    let query = Query { provider: Some(provider), model: "m", at, usage: &usage, selectors };
    match book.price(&query) {
        CostOutcome::Priced(cost) => Some(cost.total().to_string()),
        CostOutcome::Free { .. } => Some("0".into()),
        _ => None,
    }
}

fn check(tables: Tables, rule: Option<Rule>, costs: &str) {
    let merged = merged(tables);
    assert_eq!(merged.conflicts.first().map(|conflict| conflict.rule), rule);
    let cost = input(&merged, "openai", "2026-11-23", &Selectors::new());
    assert_eq!(cost.as_deref(), Some(costs), "{rule:?}");
}

const TWO: &str = r#""input_cost_per_token": 2e-06, "output_cost_per_token": 8e-06"#;

#[test]
fn each_rule_decides_where_it_should() {
    let litellm = || Some(of_litellm(TWO));
    let genai =
        |input: &str| Some(of_genai(&format!(r#"{{"input_mtok": {input}, "output_mtok": 8}}"#)));
    let snapshot = |input: &str| Some(of_model_prices(&interval("", input)));
    let tables = |genai, model_prices| Tables {
        litellm: litellm(),
        genai,
        model_prices,
        ..Tables::default()
    };

    check(tables(None, None), None, "2");
    check(tables(genai("3"), None), Some(Rule::MoreOftenRight), "3");
    let zero = Some(of_genai(r#"{"input_mtok": 0, "output_mtok": 0}"#));
    check(tables(zero, None), Some(Rule::NotZero), "2");
    check(tables(genai("2"), snapshot("5.0")), Some(Rule::Majority), "2");
    check(tables(genai("3"), snapshot("2.0")), Some(Rule::Confirmed), "2");
    check(tables(genai("3"), snapshot("3.0")), Some(Rule::Confirmed), "3");
    check(tables(genai("3"), snapshot("5.0")), Some(Rule::Documented), "5");
    check(tables(None, snapshot("5.0")), Some(Rule::Documented), "5");
    let dated = r#"[{"prices": {"input_mtok": 5, "output_mtok": 8}},
        {"constraint": {"start_date": "2026-11-10"}, "prices": {"input_mtok": 4, "output_mtok": 8}}]"#;
    check(tables(Some(of_genai(dated)), snapshot("5.0")), Some(Rule::DatedLater), "4");
}

#[test]
fn a_price_that_is_known_to_be_wrong_is_corrected() {
    let table = r#"{"ovhcloud/m": {"litellm_provider": "ovhcloud", "mode": "chat", "input_cost_per_token": 2e-06}}"#;
    let tables = Tables {
        litellm: Some(litellm::read(table, &origin("LiteLLM")).unwrap()),
        genai: Some(of_genai_at("ovhcloud", r#"{"input_mtok": 2.2}"#)),
        ..Tables::default()
    };
    let merged = merged(tables);
    assert_eq!(merged.conflicts[0].rule, Rule::Corrected);
    assert_eq!(input(&merged, "ovhcloud", "2026-11-23", &Selectors::new()).as_deref(), Some("2.2"));
}

#[test]
fn the_prices_of_yesterday_stand_before_those_of_today() {
    let intervals =
        [interval("", "9.0"), interval("2026-03-01", "5.0"), interval("2026-06-01", "2.0")]
            .join(",");
    let merged = merged(Tables {
        litellm: Some(of_litellm(TWO)),
        model_prices: Some(of_model_prices(&intervals)),
        ..Tables::default()
    });
    let at = |at| input(&merged, "openai", at, &Selectors::new());
    assert_eq!(at("2025-01-01").as_deref(), Some("9"));
    assert_eq!(at("2026-05-31").as_deref(), Some("5"));
    assert_eq!(at("2026-06-01").as_deref(), Some("2"));
    let last = merged.book.models[0].cards.last().unwrap();
    assert_eq!(last.source.as_deref(), Some("https://x"));
}

#[test]
fn older_tables_show_when_a_price_changed_and_what_is_retired() {
    let older = |text: &str, price: &str| {
        let table = format!(
            r#"{{"m": {{"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": {price}}},
                "gone": {{"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-06}}}}"#
        );
        (day(text), litellm::read(&table, &origin("LiteLLM")).unwrap())
    };
    let merged = merged(Tables {
        litellm: Some(of_litellm(TWO)),
        older: vec![
            older("2025-06-01", "4e-06"),
            older("2025-01-01", "5e-06"),
            older("2025-09-01", "4e-06"),
        ],
        ..Tables::default()
    });
    let at = |at| input(&merged, "openai", at, &Selectors::new());
    assert_eq!(at("2024-01-01").as_deref(), Some("5"));
    assert_eq!(at("2025-06-01").as_deref(), Some("4"));
    assert_eq!(at("2026-10-31").as_deref(), Some("4"));
    assert_eq!(at("2026-11-01").as_deref(), Some("2"));
    let gone = merged.book.models.iter().find(|model| *model.id == *"gone").unwrap();
    assert_eq!((gone.status, gone.cards.len()), (ModelStatus::Retired, 1));
}

#[test]
fn a_table_of_an_unknown_day_follows_the_older_ones() {
    let undated = crate::Origin { checked_on: None, ..origin("LiteLLM") };
    let table = |price: &str| {
        format!(
            r#"{{"m": {{"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": {price}}}}}"#
        )
    };
    let merged = merged(Tables {
        litellm: Some(litellm::read(&table("2e-06"), &undated).unwrap()),
        older: vec![(day("2020-01-01"), litellm::read(&table("4e-06"), &undated).unwrap())],
        ..Tables::default()
    });
    let at = |at| input(&merged, "openai", at, &Selectors::new());
    assert_eq!((at("2019-12-31").as_deref(), at("2026-11-23").as_deref()), (Some("4"), Some("2")));
}

#[test]
fn tables_that_agree_complete_each_other() {
    let batch = r#""input_cost_per_token": 2e-06, "output_cost_per_token": 8e-06,
        "input_cost_per_token_batches": 1e-06, "provider_specific_entry": {"us": 1.1}"#;
    let later = r#"[{"prices": {"input_mtok": 2, "output_mtok": 8}},
        {"constraint": {"start_date": "2027-01-01"}, "prices": {"input_mtok": 7, "output_mtok": 8}}]"#;
    let merged = merged(Tables {
        litellm: Some(of_litellm(batch)),
        genai: Some(of_genai(later)),
        ..Tables::default()
    });
    let at = |at, selectors: Selectors| input(&merged, "openai", at, &selectors);
    assert_eq!(at("2026-12-31", Selectors::new()).as_deref(), Some("2"));
    assert_eq!(at("2026-12-31", Selectors::new().batch()).as_deref(), Some("1"));
    assert_eq!(at("2026-12-31", Selectors::new().region("us")).as_deref(), Some("2.2"));
    assert_eq!(at("2027-01-01", Selectors::new()).as_deref(), Some("7"));
}

#[test]
fn an_hours_cache_at_openai_has_no_price() {
    let rates = r#"{"start": null, "rates": {"input": 2.0, "output": 8.0, "cache_write_1h_multiple": 2.5}}"#;
    let merged = merged(Tables {
        genai: Some(of_genai(r#"{"input_mtok": 2, "output_mtok": 8}"#)),
        model_prices: Some(of_model_prices(rates)),
        ..Tables::default()
    });
    assert!(
        merged.book.models[0].cards.iter().all(|card| !card.rates.contains_key("cache_write_1h"))
    );
}

#[test]
fn noise_is_cleaned_and_differences_of_twenty_are_told() {
    let noise = r#""input_cost_per_token": 4.0000000000000003e-07, "output_cost_per_token": 8e-06"#;
    let merged = merged(Tables {
        litellm: Some(of_litellm(noise)),
        genai: Some(of_genai(r#"{"input_mtok": 40, "output_mtok": 8}"#)),
        model_prices: Some(of_model_prices(&interval("", "0.40000000000000003"))),
        ..Tables::default()
    });
    assert_eq!(input(&merged, "openai", "2026-11-23", &Selectors::new()).as_deref(), Some("0.4"));
    let conflict = &merged.conflicts[0];
    assert_eq!(conflict.rule, Rule::Confirmed);
    assert_eq!((conflict.factor, conflict.outlier), (Some(100), Some(Table::Genai)));
    assert_eq!(conflict.prices[&Table::Litellm][&Unit::Input], "0.4");
}

#[test]
fn a_table_that_both_others_contradict_beyond_belief_does_not_decide() {
    let genai = |price: &str| {
        of_genai(&format!(
            r#"[{{"prices": {{"input_mtok": 1, "output_mtok": 8}}}},
                {{"constraint": {{"start_date": "2026-11-10"}}, "prices": {price}}}]"#
        ))
    };
    let tables = |price, snapshot| Tables {
        litellm: Some(of_litellm(TWO)),
        genai: Some(genai(price)),
        model_prices: Some(of_model_prices(&interval("", snapshot))),
        ..Tables::default()
    };
    // It would be the price that is dated later, or the documented one.
    check(tables(r#"{"input_mtok": 300, "output_mtok": 8}"#, "3.0"), Some(Rule::Documented), "3");
    check(tables(r#"{"input_mtok": 3, "output_mtok": 800}"#, "2.0"), Some(Rule::Confirmed), "2");
    check(
        tables(r#"{"input_mtok": 3, "output_mtok": 8}"#, "300.0"),
        Some(Rule::MoreOftenRight),
        "3",
    );
    check(tables(r#"{"input_mtok": 0, "output_mtok": 0}"#, "3.0"), Some(Rule::Documented), "3");
}

#[test]
fn two_tables_that_differ_beyond_belief_have_no_third_to_ask() {
    let merged = merged(Tables {
        litellm: Some(of_litellm(TWO)),
        genai: Some(of_genai(r#"{"input_mtok": 2, "output_mtok": 800}"#)),
        ..Tables::default()
    });
    let conflict = &merged.conflicts[0];
    assert_eq!((conflict.factor, conflict.outlier), (Some(100), None));
    assert_eq!((conflict.rule, conflict.taken), (Rule::MoreOftenRight, Table::Genai));
}

#[test]
fn a_unit_that_one_table_gives_away_is_told() {
    let merged = merged(Tables {
        litellm: Some(of_litellm(TWO)),
        genai: Some(of_genai(r#"{"input_mtok": 2, "output_mtok": 0}"#)),
        ..Tables::default()
    });
    assert_eq!(merged.conflicts[0].zero, [Unit::Output]);
}

#[test]
fn names_of_one_llm_are_one_and_those_with_other_prices_are_not() {
    let genai = r#"[{"id": "openai", "name": "x", "api_pattern": "x", "pricing_urls": [],
        "models": [{"id": "m", "match": {"or": [{"equals": "m"}, {"equals": "m-1"}, {"equals": "m-2"}]},
            "prices": {"input_mtok": 2}}]}]"#;
    let table =
        r#"{"m-2": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 9e-06}}"#;
    let merged = merged(Tables {
        genai: Some(genai::read(genai, &origin("genai-prices")).unwrap()),
        litellm: Some(litellm::read(table, &origin("LiteLLM")).unwrap()),
        older: vec![(day("2025-01-01"), litellm::read("{}", &origin("LiteLLM")).unwrap())],
        ..Tables::default()
    });
    let told: Vec<_> =
        merged.book.models.iter().map(|model| (model.id.as_str(), model.aliases.len())).collect();
    assert_eq!(told, [("m", 2)]);
    assert_eq!(merged.conflicts[0].name, "m-2");
}
