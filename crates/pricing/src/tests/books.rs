//! Hand-made books: every rule of a bill, what is refused, and how one book lies over another.

use chrono::{DateTime, TimeZone, Utc};
use taximeter_models::{CardBasis, CostOutcome, FreeReason, TokenUsage, Unit, UsageBuilder};

use crate::{PriceBook, Query, Selectors};

fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 20, 12, 0, 0).unwrap()
}

/// A book of one LLM, `p/m`, with these cards.
fn book(cards: &str) -> PriceBook {
    let text = format!(r#"{{"models": [{{"provider": "p", "id": "m", "cards": [{cards}]}}]}}"#);
    PriceBook::from_json(&text).unwrap_or_else(|error| panic!("{error}: {cards}"))
}

fn price(book: &PriceBook, usage: UsageBuilder, selectors: &Selectors) -> CostOutcome {
    let usage = usage.build().unwrap();
    book.price(&Query { provider: Some("p"), model: "m", at: noon(), usage: &usage, selectors })
}

/// The lines as text: `unit quantity amount`, with the unit whose price served behind `as`.
fn lines(outcome: &CostOutcome) -> Vec<String> {
    let cost = outcome.estimate().unwrap_or_else(|| panic!("{outcome:?}"));
    let line = |line: &taximeter_models::CostLine| {
        let served = line.billed_as.map_or_else(String::new, |unit| format!(" as {unit}"));
        format!("{} {} {}{served}", line.unit, line.quantity, line.amount)
    };
    cost.lines.iter().map(line).collect()
}

fn check(cards: &str, usage: UsageBuilder, expected: &[&str]) {
    assert_eq!(lines(&price(&book(cards), usage, &Selectors::new())), expected, "{cards}");
}

fn plain(input: u64, output: u64) -> UsageBuilder {
    TokenUsage::exclusive(input, output)
}

#[test]
fn what_has_no_price_of_its_own_is_billed_as_what_it_is_part_of() {
    let bare = r#"{"rates": {"input": "2", "output": "8"}}"#;
    check(
        bare,
        plain(1_000_000, 0).cache_read(500_000),
        &["input 1000000 2", "cache_read 500000 1 as input"],
    );
    check(bare, plain(0, 0).cache_write_1h(1_000_000), &["cache_write_1h 1000000 2 as input"]);
    check(bare, plain(0, 1_000_000).reasoning(400_000), &["output 1000000 8"]);
    let ttl = r#"{"rates": {"input": "2", "cache_write_5m": "2.5", "cache_write_1h": "4", "output": "8"}}"#;
    check(ttl, plain(0, 0).cache_write(1_000_000), &["cache_write 1000000 2.5 as cache_write_5m"]);
    check(ttl, plain(0, 0).cache_write_1h(1_000_000), &["cache_write_1h 1000000 4"]);
    let thinking = r#"{"rates": {"output": "8", "reasoning": "3"}}"#;
    check(
        thinking,
        plain(0, 1_000_000).reasoning(400_000),
        &["output 600000 4.8", "reasoning 400000 1.2"],
    );
}

#[test]
fn a_unit_without_a_price_is_named_and_the_rest_is_priced() {
    let outcome = price(
        &book(r#"{"rates": {"input": "2", "output": null}}"#),
        plain(1_000_000, 7).unit(Unit::WebSearch, 3),
        &Selectors::new(),
    );
    let CostOutcome::PartlyUnpriced { priced, missing } = outcome else { panic!("{outcome:?}") };
    assert_eq!(priced.total().to_string(), "2");
    assert_eq!(missing, [(Unit::Output, 7), (Unit::WebSearch, 3)]);
}

#[test]
fn zero_is_a_price_and_null_is_none() {
    let free =
        price(&book(r#"{"rates": {"input": 0, "output": "0"}}"#), plain(5, 5), &Selectors::new());
    assert_eq!(free, CostOutcome::Free { reason: FreeReason::Listed });
    let partly = price(&book(r#"{"rates": {"input": 0}}"#), plain(5, 5), &Selectors::new());
    assert!(matches!(partly, CostOutcome::PartlyUnpriced { .. }));
}

#[test]
fn tiers_begin_where_the_provider_says() {
    let tier = |begin: &str| {
        format!(
            r#"{{"rates": {{"input": "1", "cache_read": "0.1", "output": "4"}},
                "tiers": [{{"metric": "prompt_tokens", {begin}, "rates": {{"input": "2", "output": "8"}}}}]}}"#
        )
    };
    let (above, from) = (tier(r#""above": 200000"#), tier(r#""from": 200000"#));
    check(&above, plain(200_000, 1_000_000), &["input 200000 0.2", "output 1000000 4"]);
    check(&above, plain(200_001, 1_000_000), &["input 200001 0.400002", "output 1000000 8"]);
    check(&from, plain(200_000, 0), &["input 200000 0.4"]);
    // Cached tokens count for the tier; a price that the tier does not name stays.
    check(
        &above,
        plain(100_001, 0).cache_read(100_000),
        &["input 100001 0.200002", "cache_read 100000 0.01"],
    );
    let hit = price(&book(&above), plain(200_001, 0), &Selectors::new());
    let tier = hit.estimate().unwrap().tier.clone().unwrap();
    assert_eq!((tier.metric.as_str(), tier.bound, tier.value), ("prompt_tokens", 200_000, 200_001));
}

#[test]
fn marginal_tiers_price_only_what_lies_beyond() {
    let card = r#"{"rates": {"input": "1"}, "tiers": [
        {"metric": "prompt_tokens", "above": 1000000, "marginal": true, "rates": {"input": "2"}},
        {"metric": "prompt_tokens", "above": 2000000, "marginal": true, "rates": {"input": "3"}}]}"#;
    check(card, plain(500_000, 0), &["input 500000 0.5"]);
    check(card, plain(1_500_000, 0), &["input 1000000 1", "input 500000 1"]);
    check(card, plain(2_500_000, 0), &["input 1000000 1", "input 1000000 2", "input 500000 1.5"]);
}

#[test]
fn minimums_multipliers_and_thirds_are_exact() {
    let card = r#"{"rates": {"input_audio_ms": {"amount": "0.1", "per": 3600000}},
        "minimums": [{"unit": "input_audio_ms", "quantity": 10000}]}"#;
    check(card, plain(0, 0).unit(Unit::InputAudioMillisecond, 1), &["input_audio_ms 10000 1/3600"]);
    let card = r#"{"rates": {"input": "3"}, "multipliers": [{"num": 11, "den": 10}, {"num": 1, "den": 3}]}"#;
    check(card, plain(1_000_000, 0), &["input 1000000 1.1"]);
    check(
        r#"{"rates": {"input": "1", "request": "0.005"}}"#,
        plain(1_000_000, 0),
        &["input 1000000 1", "request 1 0.005"],
    );
}

#[test]
fn cards_follow_one_another_and_conditions_come_first() {
    let cards = r#"{"from": "2026-01-01", "until": "2026-06-01", "rates": {"input": "1"}},
        {"from": "2026-06-01", "rates": {"input": "2"}},
        {"from": "2026-02-01", "when": {"processing": "batch"}, "rates": {"input": "0.5"}}"#;
    let book = book(cards);
    let usage = TokenUsage::new(1_000_000, 0);
    let at = |month, day, selectors: &Selectors| {
        let at = Utc.with_ymd_and_hms(2026, month, day, 0, 0, 0).unwrap();
        let outcome =
            book.price(&Query { provider: Some("p"), model: "m", at, usage: &usage, selectors });
        outcome.amount().map(|(amount, _)| amount.to_string())
    };
    let (standard, batch) = (Selectors::new(), Selectors::new().batch());
    assert_eq!(at(5, 31, &standard).as_deref(), Some("1"));
    assert_eq!(at(6, 1, &standard).as_deref(), Some("2"));
    assert_eq!(at(6, 1, &batch).as_deref(), Some("0.5"));
    assert_eq!(at(1, 15, &batch).as_deref(), Some("1"));
    let before = Utc.with_ymd_and_hms(2025, 12, 31, 0, 0, 0).unwrap();
    let first = Some(Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap());
    let query =
        Query { provider: Some("p"), model: "m", at: before, usage: &usage, selectors: &standard };
    assert_eq!(book.price(&query), CostOutcome::NoPriceAt { first });
}

#[test]
fn what_cannot_be_counted_is_an_outcome() {
    let card = r#"{"rates": {"image": "1e12"}}"#;
    let outcome = price(&book(card), plain(0, 0).unit(Unit::Image, u64::MAX), &Selectors::new());
    assert!(matches!(outcome, CostOutcome::InvalidUsage { .. }), "{outcome:?}");
}

fn check_refused(cards: &str, says: &str) {
    let text = format!(r#"{{"models": [{{"provider": "p", "id": "m", "cards": [{cards}]}}]}}"#);
    let error = PriceBook::from_json(&text).expect_err(cards);
    assert!(error.is_invalid() && error.to_string().contains("p/m"), "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

#[test]
fn what_cannot_be_right_is_refused_with_its_place() {
    check_refused(r#"{"rates": {}}"#, "no prices");
    check_refused(r#"{"rates": {"input": "-1"}}"#, "below zero");
    check_refused(r#"{"rates": {"input": "NaN"}}"#, "input");
    check_refused(r#"{"rates": {"input": "50001"}}"#, "above 0.05 a token");
    check_refused(r#"{"rates": {"input": {"amount": "1", "per": 0}}}"#, "for 0 of them");
    check_refused(r#"{"rates": {"inputs": "1"}}"#, "there is no unit \"inputs\"");
    check_refused(r#"{"from": "soon", "rates": {"input": "1"}}"#, "not a moment");
    check_refused(
        r#"{"from": "2026-02-01", "until": "2026-02-01", "rates": {"input": "1"}}"#,
        "ends before",
    );
    check_refused(
        r#"{"rates": {"input": "1"}}, {"from": "2026-02-01", "rates": {"input": "2"}}"#,
        "overlaps",
    );
    check_refused(
        r#"{"rates": {"input": "1"}, "multipliers": [{"num": 1, "den": 0}]}"#,
        "denominator",
    );
    check_refused(
        r#"{"rates": {"input": "1"}, "tiers": [{"metric": "prompt_tokens", "rates": {"input": "2"}}]}"#,
        "`above`",
    );
}

#[test]
fn a_price_of_another_shape_is_refused_with_its_line() {
    for price in
        ["true", r#"{"price": "1"}"#, "[]", r#"{"amount": {"amount": "1", "per": 1}, "per": 1}"#]
    {
        let card = format!("{{\"rates\":\n{{\"input\": {price}}}}}");
        let text = format!(r#"{{"models": [{{"provider": "p", "id": "m", "cards": [{card}]}}]}}"#);
        let error = PriceBook::from_json(&text).expect_err(price).to_string();
        assert!(error.contains("line 2"), "{price}: {error}");
    }
}

#[test]
fn an_llm_without_a_price_is_known_and_has_none() {
    let outcome = price(&book(""), plain(5, 5), &Selectors::new());
    assert_eq!(outcome, CostOutcome::NoPriceAt { first: None });
}

#[test]
fn blanks_around_a_name_are_not_part_of_it() {
    let text = r#"{"models": [{"provider": "p", "id": " m ", "aliases": ["n "], "cards": [{"rates": {"input": "1"}}]}]}"#;
    let book = PriceBook::from_json(text).unwrap();
    let model = book.find_exact(" p", "n").unwrap();
    assert_eq!((model.id.as_str(), model.aliases[0].as_str()), ("m", "n"));
    let table = PriceBook::from_table(book.to_table().unwrap().leak()).unwrap();
    assert!(table.find_exact("p", " M").is_some());
}

#[test]
fn names_are_given_once_and_newer_books_are_refused() {
    let twice = r#"{"models": [
        {"provider": "p", "id": "a", "cards": [{"rates": {"input": "1"}}]},
        {"provider": "P", "id": "b", "aliases": ["A"], "cards": [{"rates": {"input": "1"}}]}]}"#;
    assert!(PriceBook::from_json(twice).unwrap_err().to_string().contains("\"A\""));
    let twice = r#"{"providers": [{"id": "p"}, {"id": "q", "aliases": ["P"]}]}"#;
    assert!(PriceBook::from_json(twice).unwrap_err().is_invalid());
    let newer = PriceBook::from_json(r#"{"schema": 99}"#).unwrap_err();
    assert!(newer.to_string().contains("99"));
    assert!(PriceBook::from_json("{").is_err());
}

#[test]
fn the_book_on_top_wins_where_it_knows_a_price() {
    let base = book(
        r#"{"rates": {"input": "10"}}, {"when": {"processing": "batch"}, "rates": {"input": "5"}}"#,
    );
    let mine = book(r#"{"from": "2026-06-01", "rates": {"input": "7"}}"#);
    let layered = base.with_overrides(mine);
    let usage = TokenUsage::new(1_000_000, 0);
    let at = |month, selectors: &Selectors| {
        let at = Utc.with_ymd_and_hms(2026, month, 1, 0, 0, 0).unwrap();
        let outcome =
            layered.price(&Query { provider: Some("p"), model: "m", at, usage: &usage, selectors });
        let cost = outcome.estimate().unwrap();
        (cost.total().to_string(), cost.card.basis, cost.context_ignored.len())
    };
    let (standard, batch) = (Selectors::new(), Selectors::new().batch());
    assert_eq!(at(5, &standard), ("10".into(), CardBasis::Unknown, 0));
    assert_eq!(at(5, &batch), ("5".into(), CardBasis::Unknown, 0));
    assert_eq!(at(7, &standard), ("7".into(), CardBasis::Override, 0));
    // One's own price holds for all calls that it does not tell apart, and the cost says what was not asked.
    assert_eq!(at(7, &batch), ("7".into(), CardBasis::Override, 1));
    assert_eq!(layered.models().count(), 1);
}

#[test]
fn an_override_reaches_every_name_of_the_embedded_llm() {
    let mine = r#"{"models": [{"provider": "x-ai", "id": "GROK-4", "cards": [{"rates": {"input": "1", "output": "1"}}]},
        {"provider": "ollama", "id": "big", "cards": [{"rates": {"input": "1", "output": "1"}}]}]}"#;
    let layered = PriceBook::embedded().with_overrides(PriceBook::from_json(mine).unwrap());
    let usage = TokenUsage::new(1_000_000, 0);
    let selectors = Selectors::new();
    let price = |provider, model| {
        let query = Query {
            provider: Some(provider),
            model,
            at: noon(),
            usage: &usage,
            selectors: &selectors,
        };
        layered.price(&query).amount().map(|(amount, _)| amount.to_string())
    };
    assert_eq!(price("xai", "grok-4").as_deref(), Some("1"));
    assert_eq!(price("ollama", "big").as_deref(), Some("1"));
    assert_eq!(price("ollama", "small").as_deref(), Some("0"));
    assert_eq!(price("openai", "gpt-4o").as_deref(), Some("2.5"));
    assert_eq!(layered.providers().count(), PriceBook::embedded().providers().count());
}

#[test]
fn what_decides_on_a_tier_and_has_a_price_is_billed_by_both_ways() {
    let json = r#"{"models": [{"provider": "p", "id": "m", "cards": [{"rates": {"input": "1", "request": "2"},
        "tiers": [{"above": 3, "metric": "request", "rates": {"input": "5"}}]}]}]}"#;
    let book = PriceBook::from_json(json).unwrap();
    let usage = TokenUsage::inclusive(1_000_000, 0).unit(Unit::Request, 2).build().unwrap();
    let selectors = Selectors::new();
    let query =
        Query { provider: Some("p"), model: "m", at: noon(), usage: &usage, selectors: &selectors };
    let explained = book.price(&query).amount();
    assert!(explained.is_some());
    assert_eq!(book.amount(&query), explained);
}
