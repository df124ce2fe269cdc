//! The embedded book: that it is valid, and what well-known names lead to.

use chrono::{DateTime, TimeZone, Utc};
use taximeter_models::{CostOutcome, FreeReason, LlmCall, MatchKind, TokenUsage};

use crate::{PriceBook, Query, Selectors};

fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 20, 12, 0, 0).unwrap()
}

fn price(
    provider: Option<&str>,
    model: &str,
    usage: &TokenUsage,
    selectors: &Selectors,
) -> CostOutcome {
    price_at(provider, model, usage, selectors, noon())
}

fn price_at(
    provider: Option<&str>,
    model: &str,
    usage: &TokenUsage,
    selectors: &Selectors,
    at: DateTime<Utc>,
) -> CostOutcome {
    PriceBook::embedded().price(&Query { provider, model, at, usage, selectors })
}

fn check_match(provider: Option<&str>, model: &str, leads_to: Option<(&str, MatchKind)>) {
    let outcome = price(provider, model, &TokenUsage::new(1_000, 100), &Selectors::new());
    let found = outcome.estimate().map(|cost| (cost.card.model.as_str(), cost.match_kind));
    assert_eq!(found, leads_to, "{provider:?} {model:?}: {outcome:?}");
}

#[test]
fn embedded_is_valid() {
    let read = PriceBook::from_json(include_str!("../../data/book.json"));
    let book = read.unwrap_or_else(|error| panic!("{error}"));
    assert!(book.models().map(|model| model.names().count()).sum::<usize>() > 6_000);
    assert!(crate::book::EMBEDDED.len() <= 600_000);
    assert!(book.to_table().unwrap() == crate::book::EMBEDDED, "run `cargo xtask prices pack`");
    assert!(book.as_of().is_some());
    for model in book.models() {
        for card in &model.cards {
            assert!(!card.reference.source.is_empty(), "{} has a card without source", model.id);
            assert!(!card.rates.is_empty(), "{} has a card without prices", model.id);
        }
    }
}

#[test]
fn the_table_says_what_the_book_says() {
    let book = PriceBook::from_json(include_str!("../../data/book.json")).unwrap();
    let embedded = PriceBook::embedded();
    assert_eq!((embedded.as_of(), embedded.sources()), (book.as_of(), book.sources()));
    assert!(embedded.providers().eq(book.providers()));
    assert_eq!(embedded.models().count(), book.models().count());
    for (provider, described) in book.providers().enumerate() {
        let of_provider: Vec<_> =
            book.models().filter(|model| model.provider == described.id).collect();
        let names: usize = of_provider.iter().map(|model| model.names().count()).sum();
        assert_eq!(embedded.names_of(provider).count(), names, "{}", described.id);
        for model in of_provider {
            for (number, name) in model.names().enumerate() {
                let (found, at) = embedded.named(provider, &name.to_ascii_lowercase()).unwrap();
                assert_eq!((found, at.alias), (model, number > 0), "{name}");
            }
        }
    }
}

#[test]
fn well_known_names_are_there() {
    for (provider, names) in [
        (
            "openai",
            "gpt-4 gpt-4-turbo gpt-3.5-turbo gpt-4o gpt-4o-mini gpt-4.1 o1 o1-mini o3 o3-mini o4-mini",
        ),
        (
            "openai",
            "gpt-5 gpt-5-mini gpt-5-nano gpt-5.1 gpt-5.4 text-embedding-3-small text-embedding-3-large",
        ),
        ("openai", "text-embedding-ada-002 gpt-4o-2024-05-13 gpt-4o-2024-11-20"),
        ("anthropic", "claude-3-haiku-20240307 claude-3-opus-20240229 claude-3-5-sonnet-20241022"),
        (
            "anthropic",
            "claude-3-7-sonnet-20250219 claude-sonnet-4-20250514 claude-opus-4-1 claude-sonnet-4-5",
        ),
        ("anthropic", "claude-haiku-4-5 claude-opus-4-5 claude-opus-4-6 claude-opus-5"),
        (
            "google",
            "gemini-1.5-pro gemini-1.5-flash gemini-2.0-flash gemini-2.5-pro gemini-2.5-flash",
        ),
        ("google", "gemini-3-flash-preview gemini-embedding-001"),
        ("mistral", "mistral-large-latest mistral-small-latest codestral-latest mistral-embed"),
        ("deepseek", "deepseek-chat deepseek-reasoner deepseek-v4-pro"),
        ("xai", "grok-3 grok-3-mini grok-4 grok-4.5"),
    ] {
        for name in names.split(' ') {
            let usage = TokenUsage::new(1_000, 0);
            let outcome = price(Some(provider), name, &usage, &Selectors::new());
            assert!(outcome.is_known(), "{provider}/{name}: {outcome:?}");
        }
    }
}

#[test]
fn names_lead_where_they_should() {
    check_match(Some("openai"), "gpt-4o-mini", Some(("gpt-4o-mini", MatchKind::Exact)));
    check_match(Some(" OpenAI "), " GPT-4o-Mini ", Some(("gpt-4o-mini", MatchKind::Exact)));
    check_match(
        Some("openai"),
        "gpt-4o-mini-2026-01-31",
        Some(("gpt-4o-mini", MatchKind::DateStripped)),
    );
    check_match(Some("openai"), "openai/gpt-4o-mini", Some(("gpt-4o-mini", MatchKind::Grammar)));
    check_match(None, "openai/gpt-4o-mini", Some(("gpt-4o-mini", MatchKind::Grammar)));
    check_match(
        Some("gemini"),
        "models/gemini-2.5-pro",
        Some(("gemini-2.5-pro", MatchKind::Grammar)),
    );
    check_match(
        Some("openai"),
        "ft:gpt-4o-2024-08-06:acme:support:abc123",
        Some(("ft:gpt-4o-2024-08-06", MatchKind::Grammar)),
    );
    check_match(
        Some("claude"),
        "claude-opus-5@20260901",
        Some(("claude-opus-5", MatchKind::DateStripped)),
    );
    // No LLM is dated after the call, at a day that does not exist, or by a part of a name.
    check_match(Some("openai"), "gpt-4o-mini-2099-01-01", None);
    check_match(Some("openai"), "gpt-4o-mini-2026-02-30", None);
    check_match(Some("openai"), "gpt-4o-minimal", None);
    check_match(Some("openai"), "my-gpt-4o", None);
    check_match(Some("anthropic"), "gpt-4o", None);
    check_match(Some("azure"), "claude-sonnet-4-5", None);
}

#[test]
fn a_provider_is_inferred_where_only_one_can_be() {
    let usage = TokenUsage::new(1, 1);
    let inferred = price(None, "gpt-4o", &usage, &Selectors::new());
    assert!(
        inferred.estimate().is_some_and(|cost| cost.provider_inferred) && inferred.is_estimated()
    );
    // Others resell Claude and GLM; who made them is meant.
    for (name, maker) in
        [("claude-haiku-4-5", "anthropic"), ("glm-5.2", "zai"), ("deepseek-v4-pro", "deepseek")]
    {
        let outcome = price(None, name, &usage, &Selectors::new());
        assert_eq!(
            outcome.estimate().map(|cost| cost.card.provider.as_str()),
            Some(maker),
            "{name}"
        );
    }
    // A name that one provider alone has leads there, but not to a server of one's own or to what is free.
    let at_bedrock = price(None, "ai21.j2-mid-v1", &usage, &Selectors::new());
    let told =
        at_bedrock.estimate().map(|cost| (cost.card.provider.as_str(), cost.provider_inferred));
    assert_eq!(told, Some(("bedrock", true)));
    for free in ["llama3:8b", "qwen3:8b", "gpt-4o-mini-audio-preview-nobody"] {
        let outcome = price(None, free, &usage, &Selectors::new());
        assert_eq!(outcome, CostOutcome::UnknownProvider { provider: None }, "{free}");
    }
    assert_eq!(
        price(None, "nobody-knows", &usage, &Selectors::new()),
        CostOutcome::UnknownProvider { provider: None }
    );
    assert_eq!(
        price(Some("Nobody"), "gpt-4o", &usage, &Selectors::new()),
        CostOutcome::UnknownProvider { provider: Some("Nobody".into()) }
    );
}

#[test]
fn local_servers_are_free_for_any_name() {
    let free = CostOutcome::Free { reason: FreeReason::Local };
    for provider in ["ollama", "vLLM", "llama.cpp", "lm_studio", "localai"] {
        assert_eq!(
            price(Some(provider), "qwen3:8b", &TokenUsage::new(9, 9), &Selectors::new()),
            free
        );
    }
    assert_eq!(price(None, "ollama/qwen3:8b", &TokenUsage::new(9, 9), &Selectors::new()), free);
}

#[test]
fn service_changes_the_price_and_what_is_not_known_is_said() {
    let usage = TokenUsage::new(1_000_000, 0);
    let cost = |selectors: Selectors| {
        let outcome = price(Some("openai"), "gpt-4o", &usage, &selectors);
        let cost = outcome.estimate().unwrap();
        (
            cost.total().to_string(),
            cost.context_ignored.iter().map(ToString::to_string).collect::<Vec<_>>(),
        )
    };
    assert_eq!(cost(Selectors::new()), ("2.5".into(), vec![]));
    assert_eq!(cost(Selectors::new().batch()), ("1.25".into(), vec![]));
    assert_eq!(cost(Selectors::new().service_tier("priority")), ("4.25".into(), vec![]));
    assert_eq!(cost(Selectors::new().service_tier("default")), ("2.5".into(), vec![]));
    assert_eq!(cost(Selectors::new().region("eu")), ("2.5".into(), vec!["region=eu".into()]));
}

#[test]
fn a_region_may_cost_more() {
    let usage = TokenUsage::new(1_000_000, 0);
    let outcome =
        price(Some("anthropic"), "claude-opus-4-6", &usage, &Selectors::new().region("us"));
    let cost = outcome.estimate().unwrap();
    assert_eq!(
        (cost.total().to_string().as_str(), cost.lines[0].multiplier),
        ("5.5", Some((11, 10)))
    );
    assert!(cost.context_ignored.is_empty());
}

#[test]
fn peak_hours_cost_more() {
    let usage = TokenUsage::new(1_000_000, 0);
    // The 20th of November 2026 is a Friday.
    let at = |day, hour| {
        let at = Utc.with_ymd_and_hms(2026, 11, day, hour, 0, 0).unwrap();
        let outcome = price_at(Some("deepseek"), "deepseek-v4-pro", &usage, &Selectors::new(), at);
        outcome.amount().unwrap().0.to_string()
    };
    assert_eq!(
        (at(20, 12).as_str(), at(20, 2).as_str(), at(21, 2).as_str()),
        ("0.66", "1.32", "0.66")
    );
}

#[test]
fn the_served_llm_decides_where_it_is_known() {
    let book = PriceBook::embedded();
    let mut call = LlmCall::new("openai", "gpt-4o").using(TokenUsage::new(1_000_000, 0));
    let total = |call: &LlmCall| {
        book.price_call(call, noon()).amount().map(|(amount, _)| amount.to_string())
    };
    assert_eq!(total(&call).as_deref(), Some("2.5"));
    call.response_model = Some("gpt-4o-mini".into());
    assert_eq!(total(&call).as_deref(), Some("0.15"));
    call.response_model = Some("a-private-name".into());
    assert_eq!(total(&call).as_deref(), Some("2.5"));
    call.served_tier = Some("priority".into());
    assert_eq!(total(&call).as_deref(), Some("4.25"));
    call.usage = None;
    assert_eq!(book.price_call(&call, noon()), CostOutcome::NoUsage);
    assert_eq!(
        book.price_call(&LlmCall::default(), noon()),
        CostOutcome::UnknownModel { nearest: vec![] }
    );
}
