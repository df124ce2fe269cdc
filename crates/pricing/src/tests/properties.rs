//! What holds for any name, usage, moment and book.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use taximeter_models::{Charge, CostOutcome, LlmCall, Money, Name, TokenUsage, Unit};

use crate::{Charges, PriceBook, Query, Selectors};

fn names() -> impl Strategy<Value = String> {
    let known: Vec<String> = PriceBook::embedded()
        .models()
        .flat_map(|model| model.names().map(String::from).collect::<Vec<_>>())
        .collect();
    let known = prop::sample::select(known);
    prop_oneof![
        known.clone(),
        "\\PC{0,40}",
        (known, "([-@:/][0-9a-z-]{0,12}){0,2}").prop_map(|(name, more)| name + &more),
    ]
}

/// A provider that is not a machine of one's own.
fn providers() -> impl Strategy<Value = String> {
    let all = PriceBook::embedded().providers().filter(|provider| !provider.is_local);
    prop::sample::select(all.map(|provider| provider.id.to_string()).collect::<Vec<_>>())
}

fn usages() -> impl Strategy<Value = TokenUsage> {
    let bucket = (0..Unit::ALL.len(), prop_oneof![0..1_u64 << 30, any::<u64>()]);
    (any::<u32>(), any::<u32>(), prop::collection::vec(bucket, 0..5)).prop_map(
        |(input, output, more)| {
            let plain = TokenUsage::exclusive(input.into(), output.into());
            let all =
                more.iter().fold(plain, |usage, (at, count)| usage.unit(Unit::ALL[*at], *count));
            all.build().unwrap_or_default()
        },
    )
}

fn moments() -> impl Strategy<Value = DateTime<Utc>> {
    prop_oneof![1_600_000_000..2_000_000_000_i64, -8_000_000_000_000..8_000_000_000_000_i64]
        .prop_map(|seconds| {
            DateTime::from_timestamp(seconds, 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
        })
}

proptest! {
    #[test]
    fn no_call_makes_it_panic_and_no_cost_is_below_zero(
        provider in prop::option::of(prop_oneof![Just("openai"), Just("anthropic"), Just("google"), Just("ollama"), Just("?")]),
        model in names(), usage in usages(), at in moments(), tier in "[a-z]{0,8}", batch: bool,
    ) {
        let selectors = Selectors::new().service_tier(&tier);
        let selectors = if batch { selectors.batch() } else { selectors };
        let outcome = PriceBook::embedded().price(&Query { provider, model: &model, at, usage: &usage, selectors: &selectors });
        if let Some(cost) = outcome.estimate() {
            prop_assert_eq!(cost.lines.iter().map(|line| line.amount).sum::<Money>(), cost.total());
            prop_assert_eq!(cost.input() + cost.output(), cost.total());
            prop_assert!(cost.lines.iter().all(|line| !line.amount.is_negative()));
        }
    }

    #[test]
    fn a_cost_grows_with_its_tokens(model in names(), input in 0..500_000_u64, more in 0..500_000_u64, output in 0..10_000_u64) {
        let at = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        let cost = |input| {
            let (usage, selectors) = (TokenUsage::new(input, output), Selectors::new());
            let query = Query { provider: None, model: &model, at, usage: &usage, selectors: &selectors };
            PriceBook::embedded().price(&query).amount()
        };
        if let (Some((less, _)), Some((all, _))) = (cost(input), cost(input + more)) {
            prop_assert!(less <= all, "{model}: {less} > {all}");
        }
    }

    #[test]
    fn unknown_names_are_never_priced(provider in providers(), name in "[a-z]{1,8}-zzz[a-z0-9.-]{0,12}") {
        let (usage, selectors) = (TokenUsage::new(1_000, 1_000), Selectors::new());
        let at = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        let query = Query { provider: Some(&provider), model: &name, at, usage: &usage, selectors: &selectors };
        let outcome = PriceBook::embedded().price(&query);
        prop_assert!(matches!(outcome, CostOutcome::UnknownModel { .. }), "{outcome:?}");
    }

    #[test]
    fn an_amount_is_that_of_the_explained_price(
        provider in providers(), model in names(), usage in usages(), at in moments(), batch: bool,
    ) {
        let selectors = if batch { Selectors::new().batch() } else { Selectors::new() };
        for provider in [Some(provider.as_str()), None] {
            let query = Query { provider, model: &model, at, usage: &usage, selectors: &selectors };
            let explained = PriceBook::embedded().price(&query);
            let expected = explained.amount().filter(|_| explained.is_known());
            prop_assert_eq!(PriceBook::embedded().amount(&query), expected);
        }
    }

    #[test]
    fn what_a_call_adds_is_what_its_explained_cost_adds(
        llms in prop::collection::vec((prop::option::of(providers()), names(), prop::option::of(names())), 1..4),
        calls in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(usages()), moments(), 0..8_u8), 1..20),
    ) {
        let book = PriceBook::embedded();
        let mut charges = Charges::at(book);
        for (llm, usage, at, served) in calls {
            let (provider, asked, answered) = llm.get(&llms);
            let mut call = LlmCall::new("", asked.as_str());
            call.provider = provider.as_deref().map(Name::from);
            call.response_model = answered.as_deref().map(Name::from);
            call.usage = usage;
            call.started_at = (served == 1).then(|| at + TimeDelta::days(400));
            if served == 2 {
                call = call.served_as("processing", "batch");
            }
            let explained = book.price_call(&call, at);
            prop_assert_eq!(charges.of(&call, at), Charge::of(&explained, call.usage.as_ref()), "{:?}", call);
        }
    }

    #[test]
    fn no_text_makes_reading_panic(text in "\\PC{0,80}", amount in "\\PC{0,20}") {
        let _ = PriceBook::from_json(&text);
        let card = serde_json::json!({"from": text, "rates": {"input": amount}});
        let book = serde_json::json!({"models": [{"provider": "p", "id": text, "cards": [card]}]});
        let _ = PriceBook::from_json(&book.to_string());
    }
}
