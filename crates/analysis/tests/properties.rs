//! What holds for every input: nothing panics, every number is finite, parts sum to wholes, order does not matter.

use std::time::Duration;

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use proptest::prelude::*;
use taximeter_analysis::{
    SessionSummary, Thresholds, TrendConfig, Window, advise, bottlenecks, importance, summarize,
    trend,
};
use taximeter_models::{
    CostOutcome, CostTotals, Currency, ErrorCategory, ErrorRecord, LlmCall, Money, OperationId,
    OperationRecord, Outcome, PerformanceTrend, Rate, ReportedCost, TokenUsage, ToolCall,
    ToolStatus,
};

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::from_nanos(1)),
        Just(Duration::from_secs(2)),
        Just(Duration::from_nanos(u64::MAX)),
        Just(Duration::MAX),
        (0..10_000_000_000_u64).prop_map(Duration::from_nanos),
    ]
}

fn moment() -> impl Strategy<Value = DateTime<Utc>> {
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

fn operation() -> impl Strategy<Value = OperationRecord> {
    let outcome =
        prop::sample::select(vec![Outcome::Success, Outcome::Failure, Outcome::Abandoned]);
    (
        (name(), moment(), duration(), outcome),
        prop::collection::vec((name(), duration()), 0..4),
        prop::collection::vec(llm_call(), 0..3),
        prop::collection::vec(tool_call(), 0..3),
        0..2_usize,
    )
        .prop_map(
            |((name, started_at, duration, outcome), components, llms, tools, errors)| {
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
                operation
            },
        )
}

/// Every operation has an id of its own, as the collector sees to.
fn operations(most: usize) -> impl Strategy<Value = Vec<OperationRecord>> {
    prop::collection::vec(operation(), 0..most).prop_map(|mut operations| {
        for (id, operation) in (0_u128..).zip(&mut operations) {
            operation.id = OperationId::from_bits(id);
        }
        operations
    })
}

/// JSON hides what is not finite behind `null`; the debug text shows it.
fn assert_finite(value: &impl std::fmt::Debug) {
    let text = format!("{value:?}");
    let odd =
        text.split(|c: char| !c.is_alphanumeric()).find(|word| matches!(*word, "NaN" | "inf"));
    assert_eq!(odd, None, "{text}");
}

fn everything(
    operations: &[OperationRecord],
    window: &Window,
    now: DateTime<Utc>,
) -> Vec<PerformanceTrend> {
    let mut eager = TrendConfig::default();
    eager.minimum_points = 0;
    eager.thresholds.error_minimum_operations = 0;
    let names = ["qa_response", "a", "absent"];
    names.map(|name| trend(operations, name, window, now, &eager)).to_vec()
}

fn sum<'a, T: 'a>(parts: impl IntoIterator<Item = &'a T>, of: impl Fn(&T) -> Rate) -> Rate {
    let mut sum = Rate::default();
    parts.into_iter().for_each(|part| sum += of(part));
    sum
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_number_is_finite(operations in operations(30), length in duration(), now in moment()) {
        let summary = summarize(&operations);
        assert_finite(&summary);
        serde_json::to_string(&summary).unwrap();
        let trends = everything(&operations, &Window::from(length), now);
        assert_finite(&trends);
        let json = serde_json::to_string(&trends).unwrap();
        // JSON writes years as RFC 3339 does, which ends at 9999.
        if (0..=9999).contains(&now.year()) {
            prop_assert_eq!(serde_json::from_str::<Vec<PerformanceTrend>>(&json).unwrap(), trends);
        }
        let findings = bottlenecks(&operations, &Thresholds::default());
        assert_finite(&findings);
        prop_assert!(advise(&findings).len() <= findings.len());
        for finding in &findings {
            prop_assert!((0.0..=1.0).contains(&importance(finding)));
            prop_assert!((1..=10).contains(&finding.evidence.len()));
        }
    }

    #[test]
    fn no_setting_makes_it_panic(operations in operations(12), limit: f64, cost: i64, alpha: f64) {
        let mut config = TrendConfig::default();
        (config.alpha, config.minimum_change_percent, config.minimum_points) = (alpha, limit, 0);
        config.thresholds.named.clear();
        config.thresholds.operation_seconds = limit;
        config.thresholds.component_seconds = limit;
        config.thresholds.error_rate = limit;
        config.thresholds.repeated_share = limit;
        config.thresholds.cost_usd = Money::from_ticks(i128::from(cost));
        let window = Window::from(Duration::MAX);
        assert_finite(&trend(&operations, "a", &window, DateTime::<Utc>::MAX_UTC, &config));
    }

    #[test]
    fn parts_sum_to_wholes(operations in operations(30)) {
        let summary: SessionSummary = summarize(&operations);
        let of_operations = sum(summary.operations.values(), |part| part.success.rate);
        prop_assert_eq!(of_operations, summary.success.rate);
        prop_assert_eq!(of_operations.of, operations.len() as u64);
        prop_assert_eq!(sum(summary.tools.values(), |part| part.success.rate), summary.totals.tool_success());
        prop_assert_eq!(sum(&summary.llms, |part| part.success.rate), summary.totals.llm_success());
        let (mut by_operation, mut by_llm) = (CostTotals::default(), CostTotals::default());
        summary.operations.values().for_each(|part| by_operation += &part.cost);
        summary.llms.iter().for_each(|part| by_llm += &part.cost);
        prop_assert_eq!(&by_operation, &summary.totals.cost);
        prop_assert_eq!(&by_llm, &summary.totals.cost);
        let distributed: u64 =
            summary.operations.values().filter_map(|part| part.duration_seconds).map(|d| d.count).sum();
        prop_assert_eq!(distributed, operations.len() as u64);
    }

    #[test]
    fn order_does_not_matter(
        (told, shuffled) in operations(25).prop_flat_map(|told| (Just(told.clone()), Just(told).prop_shuffle())),
    ) {
        prop_assert_eq!(summarize(&told), summarize(&shuffled));
        let window = Window::from(Duration::MAX);
        let now = DateTime::<Utc>::MAX_UTC;
        prop_assert_eq!(everything(&told, &window, now), everything(&shuffled, &window, now));
        let thresholds = Thresholds::default();
        prop_assert_eq!(bottlenecks(&told, &thresholds), bottlenecks(&shuffled, &thresholds));
    }

    #[test]
    fn scaling_durations_scales_the_answers(millis in prop::collection::vec(1..100_000_u64, 10..60), factor in 2..50_u32) {
        let scaled = |factor: u32| {
            let operation = |(at, millis): (u32, &u64)| {
                let mut operation = OperationRecord::new("a");
                operation.started_at = DateTime::UNIX_EPOCH + TimeDelta::seconds(i64::from(at));
                operation.duration = Duration::from_millis(*millis) * factor;
                operation
            };
            let operations: Vec<_> = (0..).zip(&millis).map(operation).collect();
            let window = Window::from(Duration::MAX);
            trend(&operations, "a", &window, DateTime::<Utc>::MAX_UTC, &TrendConfig::default())
        };
        let (one, many) = (scaled(1), scaled(factor));
        let close = |left: Option<f64>, right: Option<f64>, factor: f64| {
            let (left, right) = (left.unwrap() * factor, right.unwrap());
            (left - right).abs() <= 1e-9 * left.abs().max(right.abs()) + 1e-12
        };
        let times = f64::from(factor);
        prop_assert!(close(one.avg_duration, many.avg_duration, times));
        prop_assert!(close(one.std_deviation, many.std_deviation, times));
        prop_assert!(close(one.p95_duration, many.p95_duration, times));
        prop_assert!(close(one.slope_per_hour, many.slope_per_hour, times));
        prop_assert!(close(one.change_percent, many.change_percent, 1.0));
        prop_assert!(close(one.p_value, many.p_value, 1.0));
        prop_assert_eq!(one.trend_strength, many.trend_strength);
        prop_assert_eq!(one.trend_direction, many.trend_direction);
    }
}
