//! Hand-made books and histories, and what holds for any of them.

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use proptest::prelude::*;
use taximeter_models::{CostOutcome, Currency, LlmCall, Money, ReportedCost, TokenUsage, Unit};

use super::{Change, Group, Kind, Repricer, Repricing, Span, Target};
use crate::PriceBook;

fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 20, 12, 0, 0).unwrap()
}

fn book(models: &str) -> PriceBook {
    PriceBook::from_json(&format!(r#"{{"models": [{models}]}}"#)).unwrap()
}

fn card(provider: &str, model: &str, rates: &str) -> String {
    format!(r#"{{"provider": "{provider}", "id": "{model}", "cards": [{{"rates": {{{rates}}}}}]}}"#)
}

fn old() -> PriceBook {
    book(&card("p", "m", r#""input": "2", "cache_read": "1", "output": "8""#))
}

/// A call of `p/m` with a cost of 2 + 0.5 + 8.
fn call() -> LlmCall {
    let usage = TokenUsage::exclusive(1_000_000, 1_000_000).cache_read(500_000).build().unwrap();
    priced(LlmCall::new("p", "m").using(usage))
}

fn priced(mut call: LlmCall) -> LlmCall {
    call.cost = old().price_call(&call, noon());
    call
}

fn at(provider: &str, model: &str) -> Target {
    Target::At { provider: provider.into(), model: model.into() }
}

fn report(book: &PriceBook, target: Target, calls: &[LlmCall]) -> Repricing {
    Repricer::new(book).target(target).report(calls.iter().map(|call| (call, noon())))
}

/// `before, after, difference`.
fn text(change: Change) -> String {
    let difference = change.difference().map_or_else(|| "none".into(), |span| span.to_string());
    format!("{}, {}, {difference}", change.before, change.after)
}

#[test]
fn another_book_changes_what_it_prices_otherwise() {
    let new = book(&card("p", "m", r#""input": "3", "output": "8""#));
    let report = report(&new, Target::SamePrices, &[call()]);
    assert_eq!(text(report.total.usd()), "10.5, 12.5, 2");
    assert_eq!(text(report.by_class[&Some(Unit::Input)].usd()), "2, 3, 1");
    assert_eq!(text(report.by_class[&Some(Unit::CacheRead)].usd()), "0.5, 1.5, 1");
    assert_eq!(text(report.by_class[&Some(Unit::Output)].usd()), "8, 8, 0");
    assert_eq!(report.stand_ins[&(Unit::CacheRead, Unit::Input)], 1);
    assert_eq!((report.calls(Kind::Changed), report.is_complete()), (1, true));
    assert_eq!(text(report.by_day[&noon().date_naive()].usd()), "10.5, 12.5, 2");
}

#[test]
fn a_price_that_is_not_known_is_never_zero() {
    let other = LlmCall::new("p", "other").using(TokenUsage::new(1_000_000, 0));
    let new = book(&card("p", "other", r#""input": "1""#));
    let report = report(&new, Target::SamePrices, &[call(), priced(other), LlmCall::new("p", "m")]);
    let calls = |kind| report.calls(kind);
    assert_eq!((calls(Kind::NoLongerPriced), calls(Kind::NewlyPriced)), (1, 1));
    assert_eq!((calls(Kind::WithoutUsage), report.is_complete()), (1, false));
    assert_eq!(text(report.by_kind[&Kind::NewlyPriced].usd()), "0, 1, none");
    assert_eq!(report.reasons.into_iter().collect::<Vec<_>>(), [("unknown_model", 1)]);
    assert!(report.by_kind[&Kind::WithoutUsage].amounts.is_empty());
    // 10.5 before and 1 after are of different calls.
    assert_eq!(text(report.total.usd()), "10.5, 1, none");
    assert_eq!((report.total.unpriced_before, report.total.unpriced_after), (1, 1));
}

#[test]
fn free_is_a_price_and_a_lack_is_compared_with_the_same_lack() {
    let free = book(&card("p", "m", r#""input": 0, "cache_read": 0, "output": 0"#));
    let to_free = report(&free, Target::SamePrices, &[call()]);
    assert_eq!(text(to_free.total.usd()), "10.5, 0, -10.5");
    assert_eq!(text(to_free.by_class[&Some(Unit::Output)].usd()), "8, 0, -8");
    let usage = TokenUsage::exclusive(1_000_000, 0).unit(Unit::WebSearch, 1).build().unwrap();
    let lacking = priced(LlmCall::new("p", "m").using(usage));
    let dearer = book(&card("p", "m", r#""input": "3", "output": "8""#));
    let lacks = report(&dearer, Target::SamePrices, &[lacking]);
    assert_eq!((lacks.calls(Kind::Unpriced), text(lacks.total.usd())), (1, "2, 3, 1".into()));
    assert_eq!((lacks.total.unpriced_after, lacks.missing[&Unit::WebSearch]), (1, 1));
}

#[test]
fn what_a_provider_reported_is_left_alone_unless_asked() {
    let whole = ReportedCost {
        total: "7".parse().unwrap(),
        input: None,
        output: None,
        currency: Currency::USD,
    };
    for cost in [CostOutcome::ProviderReported(whole), CostOutcome::Recorded(whole)] {
        let mut call = call();
        call.cost = cost.clone();
        let book = old();
        let repricer = Repricer::new(&book);
        let report = repricer.report([(&call, noon())]);
        assert_eq!(
            (report.calls(Kind::LeftAlone), text(report.total.usd())),
            (1, "7, 7, 0".into())
        );
        assert_eq!(repricer.apply(&mut call, noon()), Ok(Kind::LeftAlone));
        assert_eq!(call.cost, cost);
        let report = repricer.also_reported().report([(&call, noon())]);
        assert_eq!(text(report.total.usd()), "7, 10.5, 3.5");
        assert_eq!(text(report.by_class[&None].usd()), "7, 0, -7");
    }
}

#[test]
fn to_apply_sets_costs_but_forgets_none() {
    let new = book(&card("p", "m", r#""input": "3", "output": "8""#));
    let mut one = call();
    assert_eq!(Repricer::new(&new).apply(&mut one, noon()), Ok(Kind::Changed));
    assert_eq!(one.cost, new.price_call(&one, noon()));
    let knows_nothing = book(&card("p", "other", r#""input": "1""#));
    let kept = one.clone();
    assert_eq!(Repricer::new(&knows_nothing).apply(&mut one, noon()), Ok(Kind::NoLongerPriced));
    assert_eq!(one, kept);
    let what_if = Repricer::new(&new).target(at("p", "m"));
    assert!(what_if.apply(&mut one, noon()).unwrap_err().to_string().contains("what-if"));
}

#[test]
fn a_difference_between_currencies_is_not_computed() {
    let euros = book(
        r#"{"provider": "p", "id": "m", "cards": [{"currency": "EUR", "rates": {"input": "2", "cache_read": "1", "output": "8"}}]}"#,
    );
    let report = report(&euros, Target::SamePrices, &[call(), call()]);
    assert_eq!(text(report.total.usd()), "21, 0, none");
    let euro = report.total.amounts[&"EUR".parse().unwrap()];
    assert_eq!((text(euro).as_str(), euro.calls_before, euro.calls_after), ("0, 21, none", 0, 2));
}

#[test]
fn another_tokenizer_makes_a_range_and_the_same_none() {
    let rates = r#""input": "1", "output": "1""#;
    let models = ["gpt-4o", "gpt-5", "claude-opus-4-5", "x"].map(|name| card("p", name, rates));
    let book = book(&models.join(","));
    let usage = || TokenUsage::new(500_000, 500_000);
    let gpt = LlmCall::new("p", "gpt-4o").using(usage());
    let after = |call: &LlmCall, model: &str| {
        let report = report(&book, at("p", model), std::slice::from_ref(call));
        let named = report.tokens.len();
        (report.total.usd().after.to_string(), named)
    };
    assert_eq!(after(&gpt, "gpt-5"), ("1".into(), 0));
    assert_eq!(after(&gpt, "claude-opus-4-5"), ("1 to 1.35".into(), 1));
    assert_eq!(after(&gpt, "x"), ("0.714284 to 1.4".into(), 1));
    // Of the tokenizer of `x` nothing is known, but that it is its own.
    assert_eq!(after(&LlmCall::new("p", "x").using(usage()), "x"), ("1".into(), 0));
    // The LLM that answered counted the tokens, not the one that was asked for.
    let mut routed = LlmCall::new("p", "x").using(usage());
    routed.response_model = Some("gpt-5".into());
    assert_eq!(after(&routed, "gpt-4o"), ("1".into(), 0));
}

#[test]
fn a_what_if_says_what_has_no_price_there() {
    let there = book(&card("q", "n", r#""input": "1""#));
    let report = report(&there, at("q", "n"), &[call(), LlmCall::new("p", "m")]);
    assert_eq!(report.missing.keys().copied().collect::<Vec<_>>(), [Unit::Output]);
    assert_eq!(report.stand_ins[&(Unit::CacheRead, Unit::Input)], 1);
    assert_eq!((report.calls(Kind::NoLongerPriced), report.calls(Kind::WithoutUsage)), (1, 1));
}

#[test]
fn the_prices_of_another_moment_can_be_asked_for() {
    let later = book(
        r#"{"provider": "p", "id": "m", "cards": [{"from": "2026-12-01T00:00:00Z", "rates": {"input": "2", "output": "8"}}]}"#,
    );
    let call = call();
    let on = noon() + TimeDelta::days(30);
    for target in [Target::SamePrices, at("p", "m")] {
        let repricer = Repricer::new(&later).target(target);
        assert!(!repricer.report([(&call, noon())]).is_complete());
        assert_eq!(
            repricer.prices_of(on).report([(&call, noon())]).total.usd().after.to_string(),
            "11"
        );
    }
}

#[test]
fn sounds_and_pictures_are_taken_as_they_are_and_said_to_be() {
    let there = book(&card("q", "n", r#""input": "1", "input_audio": "1", "output": "1""#));
    let usage = TokenUsage::exclusive(0, 0).unit(Unit::InputAudio, 1_000_000).build().unwrap();
    let report = report(&there, at("q", "n"), &[LlmCall::new("p", "m").using(usage)]);
    assert_eq!(
        (report.other_modalities, report.total.usd().after.exact()),
        (1, Some("1".parse().unwrap()))
    );
}

/// Calls of known and unknown LLMs, priced by the embedded book, over some days.
fn histories() -> impl Strategy<Value = Vec<LlmCall>> {
    let names = [
        ("openai", "gpt-4o"),
        ("openai", "gpt-4-turbo"),
        ("anthropic", "claude-opus-4-5"),
        ("google", "gemini-2.5-pro"),
        ("ollama", "llama3.2"),
        ("nobody", "nothing"),
    ];
    let tokens = || 0..400_000_u64;
    let one =
        (prop::sample::select(names.to_vec()), tokens(), tokens(), tokens(), 0..5_i64, 0..8_u8);
    let one = one.prop_map(|((provider, model), input, cached, output, day, rare)| {
        let usage = TokenUsage::exclusive(input, output).cache_read(cached);
        let usage = if rare == 0 { usage.unit(Unit::WebSearch, 3) } else { usage };
        let mut call = LlmCall::new(provider, model);
        call.started_at = Some(noon() - TimeDelta::days(day));
        call.usage = (rare != 1).then(|| usage.build().unwrap());
        call.cost = PriceBook::embedded().price_call(&call, noon());
        if rare == 2 {
            let (total, currency) = (Money::from_ticks(i128::from(input)), Currency::USD);
            let whole = ReportedCost { total, input: None, output: None, currency };
            call.cost = CostOutcome::ProviderReported(whole);
        }
        call
    });
    prop::collection::vec(one, 0..12)
}

/// The money of all groups together, without their counts.
fn sum<'g>(groups: impl Iterator<Item = &'g Group>) -> Vec<(Currency, [Span; 3])> {
    let mut sum = std::collections::BTreeMap::<Currency, [Span; 3]>::new();
    for (currency, change) in groups.flat_map(|group| &group.amounts) {
        let all = sum.entry(*currency).or_default();
        all[0] += change.before.into();
        all[1] += change.after;
        all[2] += change.difference().unwrap_or_default();
    }
    sum.into_iter().collect()
}

proptest! {
    #[test]
    fn the_same_book_changes_nothing(calls in histories()) {
        let report = report(PriceBook::embedded(), Target::SamePrices, &calls);
        prop_assert_eq!(report.calls(Kind::Changed) + report.calls(Kind::NewlyPriced), 0);
        prop_assert_eq!(report.calls(Kind::NoLongerPriced), 0);
        prop_assert!(report.total.amounts.values().all(|change| change.difference().is_none_or(|span| span.exact() == Some(Money::ZERO))));
        for mut call in calls {
            let before = call.clone();
            Repricer::new(PriceBook::embedded()).apply(&mut call, noon()).unwrap();
            prop_assert_eq!(call, before);
        }
    }

    #[test]
    fn every_table_adds_up_to_the_total(
        calls in histories(),
        target in prop::sample::select(vec![
            Target::SamePrices, at("openai", "gpt-4o-mini"), at("anthropic", "claude-opus-4-7"), at("ollama", "x"), at("q", "n"),
        ]),
        other in any::<bool>(),
    ) {
        let other_book = book(&card("openai", "gpt-4o", r#""input": "1.1", "output": "3""#));
        let report = report(if other { &other_book } else { PriceBook::embedded() }, target, &calls);
        let total = sum(std::iter::once(&report.total));
        prop_assert_eq!(&sum(report.by_model.values()), &total);
        prop_assert_eq!(&sum(report.by_day.values()), &total);
        prop_assert_eq!(&sum(report.by_class.values()), &total);
        prop_assert_eq!(&sum(report.by_kind.values()), &total);
        let counted: u64 = Kind::ALL.iter().map(|kind| report.calls(*kind)).sum();
        prop_assert_eq!((counted, report.total.calls), (calls.len() as u64, calls.len() as u64));
        for change in report.total.amounts.values() {
            prop_assert!(change.after.low <= change.after.high);
        }
    }
}
