//! Operations drawn by lot, with the extremes that real ones reach once in a year.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use taximeter_models::{
    CostOutcome, Currency, ErrorCategory, ErrorRecord, LlmCall, Money, Name, OperationId,
    OperationRecord, Outcome, ReportedCost, TokenUsage, ToolCall, ToolStatus,
};

pub(crate) fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::from_nanos(1)),
        Just(Duration::from_secs(2)),
        Just(Duration::from_nanos(u64::MAX)),
        Just(Duration::MAX),
        (0..10_000_000_000_u64).prop_map(Duration::from_nanos),
    ]
}

pub(crate) fn moment() -> impl Strategy<Value = DateTime<Utc>> {
    let fixed = |text: &str| Just(text.parse::<DateTime<Utc>>().expect("a moment"));
    prop_oneof![
        fixed("1970-01-01T00:00:00Z"),
        fixed("9999-12-31T23:59:59.999999999Z"),
        fixed("2026-11-23T12:00:00Z"),
        Just(DateTime::<Utc>::MIN_UTC),
        Just(DateTime::<Utc>::MAX_UTC),
        (0..7_200_000_i64)
            .prop_map(|millis| DateTime::UNIX_EPOCH + TimeDelta::milliseconds(millis)),
    ]
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["qa_response", "vector_search", "a", "b"])
}

fn cost() -> impl Strategy<Value = CostOutcome> {
    let reported = (prop_oneof![0..i128::from(u64::MAX), Just(i128::MAX / 2)], any::<bool>())
        .prop_map(|(ticks, usd)| {
            let currency = if usd { Currency::USD } else { "EUR".parse().expect("a currency") };
            let total = Money::from_ticks(ticks);
            CostOutcome::ProviderReported(ReportedCost {
                total,
                input: None,
                output: None,
                currency,
            })
        });
    prop_oneof![reported, Just(CostOutcome::Pending)]
}

fn llm_call() -> impl Strategy<Value = LlmCall> {
    let times = (prop::option::of(duration()), prop::option::of(duration()));
    let tokens = (prop_oneof![0..9_u64, Just(u64::MAX / 2)], 0..9_u64);
    (name(), times, tokens, cost(), prop::option::of(0..4_u64), any::<bool>()).prop_map(
        |(model, times, tokens, cost, hash, failed)| {
            let mut call = LlmCall::new("p", model);
            call.usage =
                TokenUsage::exclusive(tokens.0, tokens.1).cache_read(tokens.1).build().ok();
            (call.duration, call.time_to_first_token) = times;
            call.cost = cost;
            call.arguments_hash = hash;
            call.error = failed.then(|| ErrorRecord::new(ErrorCategory::Server, "").within("a"));
            call
        },
    )
}

fn tool_call() -> impl Strategy<Value = ToolCall> {
    (name(), prop::option::of(duration()), any::<bool>()).prop_map(|(tool, duration, good)| {
        let status = if good { ToolStatus::Success } else { ToolStatus::Error };
        let mut call = ToolCall::new(tool, status);
        call.duration = duration;
        call
    })
}

pub(crate) fn operation() -> impl Strategy<Value = OperationRecord> {
    let outcome =
        prop::sample::select(vec![Outcome::Success, Outcome::Failure, Outcome::Abandoned]);
    (
        (name(), moment(), duration(), outcome),
        prop::collection::vec((name(), duration()), 0..4),
        prop::collection::vec(llm_call(), 0..3),
        prop::collection::vec(tool_call(), 0..3),
        (0..2_usize, prop::option::of(name()), prop::option::of(name())),
    )
        .prop_map(
            |(
                (name, started_at, duration, outcome),
                components,
                llms,
                tools,
                (errors, user, tag),
            )| {
                let mut operation = OperationRecord::new(name);
                operation.started_at = started_at;
                operation.duration = duration;
                operation.outcome = outcome;
                for (component, time) in components {
                    operation.add_component(component, time);
                }
                operation.llm_calls = llms;
                operation.tool_calls = tools;
                let error = ErrorRecord::new(ErrorCategory::Parse, "").within("b");
                operation.errors = vec![error; errors];
                operation.user = user.map(Name::from);
                operation.tags.extend(tag.map(|tag| ("team".to_owned(), tag.to_owned())));
                operation
            },
        )
}

/// Every operation has an id of its own, as the collector sees to.
pub(crate) fn operations(most: usize) -> impl Strategy<Value = Vec<OperationRecord>> {
    prop::collection::vec(operation(), 0..most).prop_map(|mut operations| {
        for (id, operation) in (0_u128..).zip(&mut operations) {
            operation.id = OperationId::from_bits(id);
        }
        operations
    })
}
