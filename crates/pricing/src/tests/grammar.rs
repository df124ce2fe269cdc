//! Names of LLMs as calls give them: what each grammar reads, and what none may read.

use chrono::{DateTime, TimeZone, Utc};
use proptest::prelude::*;
use taximeter_models::{CostOutcome, FreeReason, MatchKind, TokenUsage};

use crate::{PriceBook, Query, Selectors};

fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 20, 12, 0, 0).unwrap()
}

/// What LiteLLM writes before the slash, as far as it is not the name of the grammar.
const LABELS: [&str; 5] =
    ["mine", "text-completion-openai", "bedrock_converse", "vertex_ai", "fireworks_ai"];

/// A book of one provider, which has the name of its grammar; all of its LLMs have dated names.
fn book(grammar: &str, names: &[&str]) -> PriceBook {
    let model = |name: &&str| {
        let cards = serde_json::json!([{"rates": {"input": "2", "output": "8"}}]);
        serde_json::json!({"provider": grammar, "id": name, "dated_ids": true, "cards": cards})
    };
    let models: Vec<_> = names.iter().map(model).collect();
    let providers = serde_json::json!([{"id": grammar, "aliases": LABELS, "grammar": grammar}]);
    let text = serde_json::json!({"providers": providers, "models": models}).to_string();
    PriceBook::from_json(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What a name leads to: the id, with ` in region` behind it where the name said one that was taken off.
fn led_to(book: &PriceBook, grammar: &str, asked: &str) -> Option<(String, MatchKind)> {
    let found = book.look_up(Some(grammar), asked, noon()).ok()?;
    let (model, kind) = found.model?;
    let region = found.region.map_or_else(String::new, |region| format!(" in {region}"));
    Some((format!("{}{region}", model.id), kind))
}

/// Whether the grammar leads these names to an LLM of the book; one without an LLM is unknown.
fn check(grammar: &str, names: &[&str], cases: &[(&str, Option<&str>)]) {
    let book = book(grammar, names);
    for (asked, expected) in cases {
        let found = led_to(&book, grammar, asked);
        let expected = expected.map(|id| (id.to_owned(), MatchKind::Grammar));
        assert_eq!(found, expected, "{asked} at {grammar}");
    }
}

#[test]
fn the_name_itself_comes_first_and_then_its_date() {
    let book = book("bedrock", &["us.a.b-v1:0", "a.b-v1:0", "bedrock/a.c", "a.c"]);
    let check = |asked, id: &str, kind| {
        assert_eq!(led_to(&book, "bedrock", asked), Some((id.to_owned(), kind)), "{asked}");
    };
    check("us.a.b-v1:0", "us.a.b-v1:0", MatchKind::Exact);
    check("US.A.B-v1:0", "us.a.b-v1:0", MatchKind::Exact);
    check("eu.a.b-v1:0", "a.b-v1:0 in eu", MatchKind::Grammar);
    check(" EU.a.B-v1:0 ", "a.b-v1:0 in EU", MatchKind::Grammar);
    check("bedrock/a.c", "bedrock/a.c", MatchKind::Exact);
    check("mine/a.c", "a.c", MatchKind::Grammar);
    check("a.c-20260131", "a.c", MatchKind::DateStripped);
    check("bedrock_converse/a.c-2026-01-31", "a.c", MatchKind::Grammar);
    assert_eq!(led_to(&book, "bedrock", "a.c-20991231"), None);
    assert_eq!(led_to(&book, "bedrock", "other/a.c"), None);
}

#[test]
fn openai_and_plain() {
    let names = ["gpt-4o", "ft:gpt-4o", "ft:gpt-4.1-2025-04-14"];
    let cases = [
        ("ft:gpt-4o:me::1", Some("ft:gpt-4o")),
        ("ft:gpt-4o-2024-08-06:me:mine:1", Some("ft:gpt-4o")),
        ("ft:gpt-4.1-2025-04-14:me:mine:1:ckpt-step-80", Some("ft:gpt-4.1-2025-04-14")),
        ("openai/ft:gpt-4o:me::1", Some("ft:gpt-4o")),
        ("text-completion-openai/gpt-4o", Some("gpt-4o")),
        // Which of the dated ones the undated one was is not known.
        ("ft:gpt-4.1:me::1", None),
        ("ft:gpt-4o-mini:me::1", None),
        ("ft:", None),
        ("ft::", None),
        ("azure/gpt-4o", None),
    ];
    check("openai", &names, &cases);
    check("plain", &["a"], &[("plain/a", Some("a")), ("mine/a", Some("a")), ("x/a", None)]);
}

#[test]
fn gemini() {
    let names = ["gemini-2.5-flash", "gemini-flash-latest"];
    let cases = [
        ("models/gemini-2.5-flash", Some("gemini-2.5-flash")),
        ("gemini/models/gemini-2.5-flash", Some("gemini-2.5-flash")),
        ("gemini/gemini-flash-latest", Some("gemini-flash-latest")),
        ("tunedModels/gemini-2.5-flash", None),
        ("gemini-2.5-flash-001", None),
        ("gemini-2.5-flash-latest", None),
        ("models/models/gemini-2.5-flash", None),
    ];
    check("gemini", &names, &cases);
}

#[test]
fn bedrock_places() {
    let names =
        ["anthropic.claude-v2:1", "us.meta.llama-v1:0", "meta.llama-v1:0", "a.b", "sa-east-1/a.b"];
    let cases = [
        ("arn:aws:bedrock:eu-central-1::foundation-model/a.b", Some("a.b in eu-central-1")),
        ("arn:aws:bedrock:::foundation-model/a.b", Some("a.b")),
        (
            "ARN:aws-us-gov:bedrock:us-gov-west-1::foundation-model/a.b",
            Some("a.b in us-gov-west-1"),
        ),
        (
            "bedrock/arn:aws-cn:bedrock:cn-north-1:123:foundation-model/a.b",
            Some("a.b in cn-north-1"),
        ),
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.meta.llama-v1:0",
            Some("us.meta.llama-v1:0 in us-east-1"),
        ),
        (
            "arn:aws:bedrock:eu-west-3:123456789012:inference-profile/eu.meta.llama-v1:0",
            Some("meta.llama-v1:0 in eu-west-3"),
        ),
        (
            "arn:aws:bedrock:eu-west-3:123456789012:inference-profile/global.meta.llama-v1:0",
            Some("meta.llama-v1:0 in global"),
        ),
        ("arn:aws:bedrock:sa-east-1::foundation-model/a.b", Some("sa-east-1/a.b")),
        ("bedrock/converse/sa-east-1/a.b", Some("sa-east-1/a.b")),
        ("arn:aws:bedrock:sa-east-1:123:inference-profile/us.a.b", Some("sa-east-1/a.b")),
        ("arn:aws:bedrock:sa-east-1:123:inference-profile/global.a.b", Some("a.b in global")),
        ("us-gov.a.b", Some("a.b in us-gov")),
        ("apac.a.b", Some("a.b in apac")),
        ("us-gov-west-1/a.b", Some("a.b in us-gov-west-1")),
        (
            "bedrock/eu-central-1/anthropic.claude-v2:1",
            Some("anthropic.claude-v2:1 in eu-central-1"),
        ),
        ("bedrock/converse/eu.a.b", Some("a.b in eu")),
        ("invoke/us-east-1/a.b", Some("a.b in us-east-1")),
        // A commitment is billed by the hour, and what is of one's own does not say what it is.
        ("us-east-1/1-month-commitment/a.b", None),
        ("1-month-commitment/a.b", None),
        ("arn:aws:bedrock:us-east-1:123:application-inference-profile/a.b", None),
        ("arn:aws:bedrock:us-east-1:123:provisioned-model/a.b", None),
        ("arn:aws:bedrock:us-east-1:123:custom-model/a.b", None),
        ("arn:aws:bedrock:us-east-1:123:imported-model/a.b", None),
        ("arn:aws:sagemaker:us-east-1:123:foundation-model/a.b", None),
        ("arn:gcp:bedrock:us-east-1:123:foundation-model/a.b", None),
        ("arn:aws:bedrock:us-east-1:foundation-model/a.b", None),
        ("mars.a.b", None),
        ("us.eu.a.b", None),
        ("us-east/a.b", None),
        ("us-east-1a/a.b", None),
    ];
    check("bedrock", &names, &cases);
}

#[test]
fn bedrock_versions() {
    let names =
        ["a.long-v1:0", "a.short-v1", "a.bare", "a.dated-20250514", "a.two-v2:0", "a.oss-1:0"];
    let cases = [
        ("a.long", Some("a.long-v1:0")),
        ("a.long-v1", Some("a.long-v1:0")),
        ("eu.a.long", Some("a.long-v1:0 in eu")),
        ("a.short", Some("a.short-v1")),
        ("a.short-v1:0", Some("a.short-v1")),
        ("a.bare:0", Some("a.bare")),
        ("a.bare-v1", Some("a.bare")),
        ("a.bare-v1:0", Some("a.bare")),
        ("a.bare-20250514-v2:0", Some("a.bare")),
        ("a.dated-20250514-v2:0", Some("a.dated-20250514")),
        ("a.oss-1", Some("a.oss-1:0")),
        ("a.two-v2", Some("a.two-v2:0")),
        // Another version is another LLM, and a context length is sold by the hour.
        ("a.two", None),
        ("a.bare-v2:0", None),
        ("a.bare-v14", None),
        ("a.bare:1", None),
        ("a.long-v1:1", None),
        ("a.long-v2:0", None),
        ("a.long-v1:0:200k", None),
        ("a.lon", None),
    ];
    check("bedrock", &names, &cases);
}

#[test]
fn vertex() {
    let names =
        ["claude-4", "claude-3@20250805", "claude-2-20240101", "meta/llama-maas", "g@default"];
    let cases = [
        ("claude-4@20250805", None),
        ("claude-4@default", Some("claude-4")),
        ("claude-4@latest", Some("claude-4")),
        ("claude-4@001", Some("claude-4")),
        ("claude-4@002", None),
        ("claude-4@20991231", None),
        ("claude-4@20251301", None),
        ("anthropic/claude-4@20250805", Some("claude-4")),
        ("anthropic/claude-4@default", Some("claude-4")),
        ("nobody/claude-4", None),
        ("vertex_ai/claude-3-20250805", Some("claude-3@20250805")),
        ("claude-2@20240101", Some("claude-2-20240101")),
        ("claude-2@20240102", None),
        ("g", Some("g@default")),
        ("publishers/anthropic/models/claude-4", Some("claude-4")),
        ("publishers/meta/models/llama-maas", Some("meta/llama-maas")),
        ("meta/llama-maas@default", Some("meta/llama-maas")),
        (
            "projects/me/locations/us-east5/publishers/anthropic/models/claude-4@20250805",
            Some("claude-4 in us-east5"),
        ),
        ("projects/me/locations/global/publishers/x/models/claude-4", Some("claude-4 in global")),
        ("projects/me/locations/us-east5/models/claude-4", None),
        ("projects/me/locations/us-east5/endpoints/123", None),
        ("publishers/anthropic/claude-4", None),
    ];
    // A date behind the name itself is no matter of grammar.
    let dated = (String::from("claude-4"), MatchKind::DateStripped);
    assert_eq!(led_to(&book("vertex", &names), "vertex", cases[0].0), Some(dated));
    check("vertex", &names, &cases[1..]);
}

#[test]
fn azure() {
    let names = ["gpt-4o", "eu/gpt-4o", "gpt-35-turbo", "gpt-3.5-other"];
    let cases = [
        ("us/gpt-4o", Some("gpt-4o in us")),
        ("azure/us/gpt-4o", Some("gpt-4o in us")),
        ("azure/eu/gpt-4o", Some("eu/gpt-4o")),
        ("azure/eu/gpt-4o-2024-08-06", Some("eu/gpt-4o")),
        ("global/gpt-4o-2024-08-06", Some("gpt-4o in global")),
        ("global-standard/gpt-4o", Some("gpt-4o in global")),
        ("gpt-3.5-turbo", Some("gpt-35-turbo")),
        ("gpt-35-other", Some("gpt-3.5-other")),
        ("us/gpt-3.5-turbo", Some("gpt-35-turbo in us")),
        ("my-deployment", None),
        ("my-gpt-4o", None),
        ("mars/gpt-4o", None),
        ("gpt-4o-2024-08-06.ft-0e208cf33a6a466994aff31a08aba678", None),
    ];
    check("azure", &names, &cases);
}

#[test]
fn open_router() {
    let names = ["v/paid", "v/both", "v/both:free", "v/gratis:free", "v/beta:beta"];
    let cases = [
        ("openrouter/v/paid", Some("v/paid")),
        ("v/paid:nitro", Some("v/paid")),
        ("v/paid:floor", Some("v/paid")),
        ("openrouter/v/paid:exacto", Some("v/paid")),
        ("~v/paid", Some("v/paid")),
        ("openrouter/v/both:free", Some("v/both:free")),
        ("v/both:free:nitro", Some("v/both:free")),
        // What is free is never the paid one, nor the other way round.
        ("v/paid:free", None),
        ("v/gratis", None),
        ("v/gratis:nitro", None),
        ("v/paid:batch", None),
        ("v/paid:beta", None),
        ("v/paid:extended", None),
        ("v/paid:thinking", None),
        ("v/paid:online", None),
        ("v/beta", None),
        ("paid", None),
        ("@preset/paid", None),
        ("v/paid@preset/mine", None),
    ];
    check("openrouter", &names, &cases);
}

#[test]
fn fireworks() {
    let names = ["short", "accounts/fireworks/models/long", "accounts/fireworks/routers/fast"];
    let cases = [
        ("accounts/fireworks/models/short", Some("short")),
        ("fireworks_ai/accounts/fireworks/models/short", Some("short")),
        ("fireworks/short", Some("short")),
        ("long", Some("accounts/fireworks/models/long")),
        ("fireworks_ai/long", Some("accounts/fireworks/models/long")),
        ("fast", Some("accounts/fireworks/routers/fast")),
        ("accounts/fireworks/routers/short", None),
        ("accounts/me/models/short", None),
        ("accounts/fireworks/models/short#accounts/me/deployments/1", None),
        ("accounts/fireworks/models/long#accounts/me/deployments/1", None),
        ("fireworks/short#me/1", None),
        ("me/1", None),
    ];
    check("fireworks", &names, &cases);
}

/// A book whose LLMs have patterns.
fn patterned(grammar: &str, patterns: &[(&str, &str)]) -> PriceBook {
    let model = |(id, pattern): &(&str, &str)| {
        let cards = serde_json::json!([{"rates": {"input": "2"}}]);
        serde_json::json!({"provider": "p", "id": id, "patterns": [pattern], "cards": cards})
    };
    let models: Vec<_> = patterns.iter().map(model).collect();
    let providers = serde_json::json!([{"id": "p", "grammar": grammar}]);
    PriceBook::from_json(&serde_json::json!({"providers": providers, "models": models}).to_string())
        .unwrap()
}

#[test]
fn patterns_come_last_and_the_most_exact_one_wins() {
    let patterns = [("any", "gpt-*"), ("mini", "gpt-*-mini"), ("exact", "gpt-x-m*"), ("y", "ya*")];
    let book = patterned("openai", &patterns);
    let check = |asked, expected: Option<&str>| {
        let expected = expected.map(|id| (id.to_owned(), MatchKind::Pattern));
        assert_eq!(led_to(&book, "p", asked), expected, "{asked}");
    };
    check("GPT-9", Some("any"));
    check("gpt-9-mini", Some("mini"));
    check("gpt-x-mini", Some("mini"));
    check("gpt-x-medium", Some("exact"));
    check("p/gpt-9", Some("any"));
    check("ya", Some("y"));
    check("my-gpt-9", None);
    check("gpt", None);
    check("ft:gpt-9:me::1", None);
}

#[test]
fn the_embedded_book_needs_no_patterns() {
    // Only LLMs that were read have their patterns in the index; those of the compact table would be passed over.
    assert!(PriceBook::embedded().models().all(|model| model.patterns.is_empty()));
}

#[test]
fn a_pattern_does_not_cross_into_another_product() {
    let check = |grammar: &str, asked: &str, known: bool| {
        let patterns =
            [("a", "v/a*"), ("free", "v/free*:free"), ("acc", "accounts/fireworks/models/a*")];
        let book = patterned(grammar, &patterns);
        assert_eq!(led_to(&book, "p", asked).is_some(), known, "{asked} at {grammar}");
    };
    check("openrouter", "v/a-1", true);
    check("openrouter", "v/a-1:free", false);
    check("openrouter", "v/a@preset/x", false);
    check("openrouter", "v/free-1:free", true);
    check("plain", "v/a-1:free", true);
    check("fireworks", "accounts/fireworks/models/a-1", true);
    check("fireworks", "accounts/fireworks/models/a-1#accounts/me/deployments/1", false);
}

/// The estimate of a call at a book whose cards are these, as `total region_assumed context_ignored`.
fn estimate(cards: &str, asked: &str, selectors: &Selectors) -> String {
    let text = format!(
        r#"{{"providers": [{{"id": "bedrock", "grammar": "bedrock", "default_region": "us-east-1"}}],
            "models": [{{"provider": "bedrock", "id": "a.b", "cards": [{cards}]}}]}}"#
    );
    let book = PriceBook::from_json(&text).unwrap();
    let usage = TokenUsage::exclusive(1_000_000, 0).build().unwrap();
    let query =
        Query { provider: Some("bedrock"), model: asked, at: noon(), usage: &usage, selectors };
    let outcome = book.price(&query);
    let cost = outcome.estimate().unwrap_or_else(|| panic!("{outcome:?}"));
    let assumed = cost.region_assumed.as_deref().unwrap_or("-");
    format!("{} {assumed} {:?}", cost.total(), cost.context_ignored)
}

#[test]
fn the_region_of_a_name_selects_the_price_or_is_said_to_be_ignored() {
    let none = Selectors::new();
    let cards = r#"{"rates": {"input": "2"}}, {"when": {"region": "eu"}, "rates": {"input": "3"}}"#;
    let check = |asked, selectors: &Selectors, expected: &str| {
        assert_eq!(estimate(cards, asked, selectors), expected, "{asked}");
    };
    check("a.b", &none, "2 us-east-1 []");
    check("eu.a.b", &none, "3 - []");
    check("EU.A.B", &none, "3 - []");
    check("jp.a.b", &none, r#"2 - ["region=jp"]"#);
    // The default region is the one whose price asks for no region.
    check("us-east-1/a.b", &none, "2 - []");
    check("a.b", &none.clone().region("us-east-1"), "2 - []");
    // What the call says comes before what the name says.
    check("jp.a.b", &none.clone().region("eu"), "3 - []");
    check("eu.a.b", &none.clone().region("mars"), r#"2 - ["region=mars"]"#);
}

#[test]
fn another_providers_price_is_taken_only_where_it_is_asked_for() {
    let book = PriceBook::embedded();
    let usage = TokenUsage::new(1_000, 100);
    let none = Selectors::new();
    let price = |provider, model, others: &[&str]| {
        book.price_or_at(
            &Query { provider: Some(provider), model, at: noon(), usage: &usage, selectors: &none },
            others,
        )
    };
    let outcome = price("my-proxy", "gpt-4o", &["nobody", "anthropic", "openai"]);
    let cost = outcome.estimate().unwrap();
    assert_eq!(cost.match_kind, MatchKind::ProviderFallback);
    assert_eq!((cost.card.provider.as_str(), cost.is_estimate()), ("openai", true));
    let own = price("openai", "gpt-4o", &["anthropic"]);
    assert_eq!(own.estimate().unwrap().match_kind, MatchKind::Exact);
    // Where nobody knows it, the own provider's word stands.
    assert!(matches!(price("openai", "zzz", &["anthropic"]), CostOutcome::UnknownModel { .. }));
    assert!(matches!(price("?", "zzz", &["openai"]), CostOutcome::UnknownProvider { .. }));
    assert!(matches!(price("?", "gpt-4o", &[]), CostOutcome::UnknownProvider { .. }));
    let local = price("?", "gpt-4o", &["ollama"]);
    assert_eq!(local, CostOutcome::Free { reason: FreeReason::Local });
}

const GRAMMARS: [&str; 8] =
    ["plain", "openai", "gemini", "bedrock", "vertex", "azure", "openrouter", "fireworks"];

proptest! {
    #[test]
    fn no_name_makes_a_grammar_panic(
        begin in "(arn:|aws|bedrock|us\\.|eu-west-1|projects/|/locations/|publishers/|/models/|accounts/fireworks/models/|ft:|~|[a-z.:/]){0,5}",
        middle in "\\PC{0,12}",
        end in "(-v[0-9]|:[0-9a-z]|@[0-9]{8}|@default|-20250805|-2025-08-05|#|:free|[-@:]){0,3}",
    ) {
        let name = begin + &middle + &end;
        for grammar in GRAMMARS {
            led_to(&book(grammar, &["a.b-v1:0"]), grammar, &name);
        }
    }

    #[test]
    fn a_name_is_never_read_as_one_that_is_not_part_of_it(name in "[a-z0-9.:/@#~-]{0,24}") {
        for grammar in GRAMMARS {
            let found = led_to(&book(grammar, &["quite-another"]), grammar, &name);
            prop_assert!(found.is_none() || name.contains("quite-another"));
        }
    }
}

#[test]
fn a_version_at_vertex_pins_the_llm_before_it() {
    let text = r#"{"providers": [{"id": "vertex_ai", "grammar": "vertex"}],
        "models": [{"provider": "vertex_ai", "id": "claude-4", "cards": [{"rates": {"input": "1"}}]},
            {"provider": "plain", "id": "claude-4", "cards": [{"rates": {"input": "1"}}]}]}"#;
    let book = PriceBook::from_json(text).unwrap();
    let (usage, selectors) = (TokenUsage::new(1_000_000, 0), Selectors::new());
    let price = |provider, model| {
        let query = Query {
            provider: Some(provider),
            model,
            at: noon(),
            usage: &usage,
            selectors: &selectors,
        };
        book.amount(&query).map(|(amount, _)| amount.to_string())
    };
    assert_eq!(price("vertex_ai", "claude-4@20250805").as_deref(), Some("1"));
    assert_eq!(price("vertex_ai", "claude-4@20991231"), None);
    assert_eq!(price("vertex_ai", "claude-4-20250805").as_deref(), Some("1"));
    assert_eq!(price("plain", "claude-4@20250805"), None);
}
