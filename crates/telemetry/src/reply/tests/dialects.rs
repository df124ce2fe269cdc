//! Telling dialects apart, and whatever else somebody may hand in.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Dialect, usage_of};
use crate::reply::{read, read_as};

#[test]
fn what_cannot_be_told_is_unknown() {
    for reply in [
        json!(null),
        json!(7),
        json!([]),
        json!({}),
        json!({"weather": "fine"}),
        json!("usage"),
        json!({"input_tokens": 7, "output_tokens": 3}),
        json!({"usage": {"input_tokens": 7, "output_tokens": 3}}),
    ] {
        let read = read(&reply);
        assert_eq!(
            (read.dialect, usage_of(&read).as_str()),
            (Dialect::Unknown, "unknown"),
            "{reply}"
        );
    }
}

#[test]
fn a_dialect_that_is_given_is_not_told() {
    let ambiguous = json!({"usage": {"input_tokens": 7, "output_tokens": 3}});
    assert_eq!(usage_of(&read_as(Dialect::OpenAi, &ambiguous)), "input 7, output 3");
    let other = json!({"promptTokenCount": 7});
    assert_eq!(usage_of(&read_as(Dialect::Ollama, &other)), "unknown");
}

/// Documents that are made of the fields that are looked for, with anything in them.
fn any_reply() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z0-9_.%-]{0,8}".prop_map(Value::from),
    ];
    let field = prop::sample::select(vec![
        "usage",
        "choices",
        "type",
        "message",
        "delta",
        "error",
        "usageMetadata",
        "candidates",
        "model",
        "done",
        "prompt_tokens",
        "completion_tokens",
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "promptTokenCount",
        "candidatesTokenCount",
        "thoughtsTokenCount",
        "cachedContentTokenCount",
        "promptTokensDetails",
        "modality",
        "tokenCount",
        "inputTokens",
        "outputTokens",
        "cacheDetails",
        "prompt_eval_count",
        "eval_count",
        "content",
        "iterations",
        "cache_creation",
        "ephemeral_5m_input_tokens",
        "cache_creation_input_tokens",
        "cost",
        "prompt_tokens_details",
        "cached_tokens",
        "completion_tokens_details",
        "reasoning_tokens",
        "output",
        "index",
        "tool_calls",
        "function",
        "name",
        "code",
        "status",
        "details",
        "metadata",
        "messageStop",
        "response",
    ]);
    leaf.prop_recursive(5, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((field.clone(), inner), 0..8).prop_map(|fields| {
                Value::Object(
                    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
                )
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_is_read_is_a_usage_that_adds_up_or_none(reply in any_reply(), dialect in 0..5_usize) {
        let dialects =
            [Dialect::OpenAi, Dialect::Anthropic, Dialect::Gemini, Dialect::Bedrock, Dialect::Ollama];
        for reply in [read(&reply), read_as(dialects[dialect], &reply)] {
            if let Some(Ok(usage)) = reply.usage {
                prop_assert_eq!(usage.input_tokens() + usage.output_tokens(), usage.total_tokens());
            }
        }
    }
}
