//! What holds for every input: nothing panics, every number is finite, parts sum to wholes, order does not matter.

mod drawn;
mod groups;
mod rollups;
mod time;
mod why;

use std::time::Duration;

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use drawn::{duration, moment, operations};
use proptest::prelude::*;
use taximeter_analysis::{
    NoPrices, SessionSummary, Thresholds, TrendConfig, Window, advise, bottlenecks, importance,
    measure_trend, summarize, time_spent, trend, why_cost, with_savings,
};
use taximeter_models::{CostTotals, Measure, Money, OperationRecord, PerformanceTrend, Rate};

/// JSON hides what is not finite behind `null`; the debug text shows it.
pub(crate) fn assert_finite(value: &impl std::fmt::Debug) {
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
        prop_assert_eq!(time_spent(&told, "a"), time_spent(&shuffled, "a"));
        prop_assert_eq!(why_cost(&told[..0], &told), why_cost(&shuffled[..0], &shuffled));
        let advice = |operations: &[OperationRecord]| {
            let found = advise(&bottlenecks(operations, &thresholds));
            with_savings(found, operations, &thresholds, &NoPrices)
        };
        prop_assert_eq!(advice(&told), advice(&shuffled));
    }

    #[test]
    fn noise_far_below_the_threshold_changes_no_verdict(
        noise in prop::collection::vec(-5_i64..=5, 60), rise in prop::sample::select(vec![0_i64, 10, -10]),
    ) {
        let directed = |noisy: bool| {
            let operation = |(at, noise): (i64, &i64)| {
                let mut operation = OperationRecord::new("a");
                operation.started_at = DateTime::UNIX_EPOCH + TimeDelta::minutes(at);
                let millis = 1_000 + rise * at + if noisy { *noise } else { 0 };
                operation.duration = Duration::from_millis(millis.unsigned_abs());
                operation
            };
            let operations: Vec<_> = (0..).zip(&noise).map(operation).collect();
            measure_trend(&operations, Measure::Duration, &TrendConfig::default()).direction
        };
        prop_assert_eq!(directed(true), directed(false));
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
