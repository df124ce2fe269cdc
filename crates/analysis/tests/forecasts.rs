//! What holds for every forecast and every anomaly: nothing panics, every number is finite, units and dates carry over.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use taximeter_analysis::{
    AnomalyConfig, Forecast, Quantity, Season, Series, Step, When, anomalies, error_jumps,
    forecast, slow_operations,
};
use taximeter_models::{
    CostOutcome, LlmCall, Money, OperationId, OperationRecord, ReportedCost, ToolCall, ToolStatus,
};

fn monday() -> DateTime<Utc> {
    "2026-11-02T00:00:00Z".parse().expect("a moment")
}

/// Numbers by lot from a seed, between 0 and 1.
fn lots(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        f64::from(u32::try_from(state >> 32).expect("32 bits")) / f64::from(u32::MAX)
    }
}

/// About standard normal: the sum of twelve lots.
fn normal(lot: &mut impl FnMut() -> f64) -> f64 {
    (0..12).map(|_| lot()).sum::<f64>() - 6.0
}

/// A day that swings between a fifth and nine fifths.
fn wave(hour: u32) -> f64 {
    1.0 + 0.8 * (f64::from(hour) / 24.0 * std::f64::consts::TAU).sin()
}

fn days(values: Vec<f64>) -> Series {
    Series::new(monday(), Step::Day, values.into_iter().map(Some).collect())
}

fn numbers(found: &Forecast) -> Vec<f64> {
    let of =
        |p: &taximeter_analysis::ForecastPoint| [p.low_95, p.low_80, p.value, p.high_80, p.high_95];
    found.points.iter().flat_map(of).collect()
}

/// Wide bounds, so that no luck breaks them; `cargo xtask bench analysis` measures the shares.
#[test]
fn ranges_hold_what_they_say() {
    for returning in [0.0, 0.5, 1.0] {
        let (mut within_80, mut within_95) = (0, 0);
        for seed in 1..=100 {
            let mut lot = lots(seed);
            let mut level = 0.0;
            let mut next = |_| {
                level = returning * level + 0.3 * normal(&mut lot);
                f64::exp(level)
            };
            let values: Vec<f64> = (0..87).map(&mut next).collect();
            let point = forecast(&days(values[..80].to_vec()), 7).unwrap().points[6];
            let came = values[86];
            within_80 += u32::from(point.low_80 <= came && came <= point.high_80);
            within_95 += u32::from(point.low_95 <= came && came <= point.high_95);
        }
        assert!((65..=95).contains(&within_80), "{returning}: {within_80} of 100");
        assert!((85..=100).contains(&within_95), "{returning}: {within_95} of 100");
    }
}

#[test]
fn noise_has_no_season_and_a_day_has_one() {
    let mut lot = lots(3);
    let noise: Vec<_> = (0..336).map(|_| Some(f64::exp(0.3 * normal(&mut lot)))).collect();
    assert_eq!(
        forecast(&Series::new(monday(), Step::Hour, noise.clone()), 24).unwrap().season,
        None
    );
    let by_day = (0..).zip(&noise).map(|(at, value)| value.map(|value| value * wave(at)));
    let found = forecast(&Series::new(monday(), Step::Hour, by_day.collect()), 24).unwrap();
    assert_eq!(found.season, Some(Season::Day));
    assert!(found.points[6].value > 3.0 * found.points[18].value);
    assert!(found.backtest.mase.unwrap() < 1.0 && found.backtest.mape.is_some());
}

#[test]
fn what_is_still_stays_so() {
    let found = forecast(&days(vec![5.0; 30]), 3).unwrap();
    for value in numbers(&found) {
        assert!((value - 5.0).abs() < 1e-6, "{found:?}");
    }
    assert_eq!((found.season, found.backtest.mase), (None, None));
    let nothing = forecast(&days(vec![0.0; 30]), 3).unwrap();
    assert!(numbers(&nothing).iter().all(|value| value.abs() < 1e-9), "{nothing:?}");
    assert_eq!(
        nothing.exhaustion(Money::ZERO, "1".parse().unwrap()).unwrap().estimate,
        When::Never
    );
    assert!(anomalies(&days(vec![5.0; 30]), &AnomalyConfig::default()).unwrap().found.is_empty());
}

#[test]
fn a_budget_that_is_gone_is_gone_at_once() {
    let found = forecast(&days(vec![5.0; 30]), 3).unwrap();
    let gone = found
        .exhaustion(Money::from_ticks(7 * Money::TICKS_PER_UNIT), "7".parse().unwrap())
        .unwrap();
    assert_eq!(
        (gone.estimate, gone.latest_95),
        (When::At(found.points[0].at), When::At(found.points[0].at))
    );
    assert_eq!(
        forecast(&days(vec![5.0; 30]), 0).unwrap().exhaustion(Money::ZERO, Money::ZERO),
        None
    );
}

#[test]
fn one_wild_hour_among_a_week_of_days_and_nights_is_found() {
    let mut lot = lots(5);
    let mut values: Vec<_> =
        (0..336).map(|at| Some(wave(at) * f64::exp(0.1 * normal(&mut lot)))).collect();
    let still = Series::new(monday(), Step::Hour, values.clone());
    assert!(anomalies(&still, &AnomalyConfig::default()).unwrap().found.is_empty());
    // What is usual at noon is not at night.
    values[200 + 10] = Some(1.8);
    let series = Series::new(monday(), Step::Hour, values);
    let found = anomalies(&series, &AnomalyConfig::default()).unwrap();
    assert_eq!((found.found.len(), found.season), (1, Some(Season::Day)));
    assert_eq!(found.found[0].at, series.at(210));
    assert!(found.found[0].high < 1.8 && found.found[0].low < found.found[0].expected);
}

fn operation((hours, millis, cents, fails): (i64, u64, i64, bool)) -> OperationRecord {
    let mut operation = OperationRecord::new("ask");
    operation.id = OperationId::from_bits(u128::from(millis));
    operation.started_at = monday() + TimeDelta::hours(hours);
    operation.duration = Duration::from_millis(millis);
    let mut call = LlmCall::new("openai", "gpt-4o");
    call.cost = CostOutcome::ProviderReported(ReportedCost {
        total: Money::ratio(cents.into(), 100).expect("in range").0,
        input: None,
        output: None,
        currency: taximeter_models::Currency::USD,
    });
    operation.llm_calls.push(call);
    let status = if fails { ToolStatus::Failure } else { ToolStatus::Success };
    operation.tool_calls.push(ToolCall::new("search", status));
    operation
}

fn value() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        4 => (0.0..100.0_f64).prop_map(Some),
        1 => Just(Some(0.0)),
        1 => Just(None),
        1 => prop::num::f64::NORMAL.prop_map(Some),
        1 => prop::sample::select(vec![f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, f64::NAN, f64::INFINITY])
            .prop_map(Some),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_goes_in_what_comes_out_is_finite(values in prop::collection::vec(value(), 0..90), hourly: bool) {
        let step = if hourly { Step::Hour } else { Step::Day };
        let series = Series::new(monday(), step, values);
        let not_negative = series.values().iter().flatten().all(|value| *value >= 0.0);
        if let Ok(found) = forecast(&series, 9) {
            for point in &found.points {
                let ends = [point.low_95, point.low_80, point.value, point.high_80, point.high_95];
                prop_assert!(ends.iter().all(|end| end.is_finite()) && ends.is_sorted(), "{:?}", point);
                prop_assert!(!not_negative || point.low_95 >= 0.0);
            }
            let errors = [found.backtest.mean_absolute_error, found.backtest.mase, found.backtest.mape];
            prop_assert!(errors.iter().flatten().all(|error| error.is_finite()) && found.trend.is_finite());
            let total = found.total_until(found.horizon().unwrap()).unwrap();
            prop_assert!([total.low_95, total.value, total.high_95].iter().all(|end| end.is_finite()));
            let gone = found.exhaustion(Money::ZERO, Money::from_ticks(i128::MAX)).unwrap();
            prop_assert!((0.0..=1.0).contains(&gone.probability));
        }
        if let Ok(found) = anomalies(&series, &AnomalyConfig { limit: 0.0, alpha: 1.0 }) {
            for found in found.found {
                let all = [found.expected, found.low, found.high, found.modified_z, found.p_value];
                prop_assert!(all.iter().all(|number| number.is_finite()), "{:?}", found);
            }
        }
    }

    #[test]
    fn another_unit_scales_the_forecast(seed in 1..1_000_u64, zeros: bool, factor in prop::sample::select(vec![0.25, 4.0, 1_048_576.0])) {
        let mut lot = lots(seed);
        let mut draw = |at: usize| if zeros && at.is_multiple_of(9) { 0.0 } else { f64::exp(0.5 * normal(&mut lot)) };
        let values: Vec<f64> = (0..50).map(&mut draw).collect();
        let scaled = values.iter().map(|value| value * factor).collect();
        let (one, other) = (forecast(&days(values), 5).unwrap(), forecast(&days(scaled), 5).unwrap());
        prop_assert_eq!(one.season, other.season);
        for (one, other) in numbers(&one).iter().zip(numbers(&other)) {
            prop_assert!((one * factor - other).abs() <= 1e-6 * other.abs().max(1e-9), "{} {}", one, other);
        }
    }

    #[test]
    fn another_date_shifts_the_dates_and_nothing_else(seed in 1..1_000_u64, weeks in -500..500_i64) {
        let mut lot = lots(seed);
        let values: Vec<_> = (0..60).map(|_| Some(f64::exp(0.5 * normal(&mut lot)))).collect();
        let later = TimeDelta::weeks(weeks);
        let one = forecast(&Series::new(monday(), Step::Day, values.clone()), 9).unwrap();
        let other = forecast(&Series::new(monday() + later, Step::Day, values), 9).unwrap();
        prop_assert_eq!(numbers(&one), numbers(&other));
        prop_assert!(one.points.iter().zip(&other.points).all(|(one, other)| one.at + later == other.at));
        let budget = |found: &Forecast| found.exhaustion(Money::ZERO, "5".parse().unwrap()).unwrap();
        if let (When::At(one), When::At(other)) = (budget(&one).estimate, budget(&other).estimate) {
            prop_assert_eq!(one + later, other);
        }
    }

    #[test]
    fn the_order_of_records_does_not_matter(
        parts in prop::collection::vec((0..60_i64, 1..90_000_u64, 0..500_i64, any::<bool>()), 1..120),
        turn in 0..100_usize,
    ) {
        let mut operations: Vec<_> = parts.into_iter().map(operation).collect();
        let (until, since) = (monday() + TimeDelta::hours(70), monday() + TimeDelta::hours(30));
        let config = AnomalyConfig { limit: 1.0, alpha: 0.9 };
        let all = |operations: &[OperationRecord]| {
            let series = [Quantity::CostUsd, Quantity::Tokens, Quantity::Operations, Quantity::MeanSeconds]
                .map(|quantity| Series::of_records(operations, quantity, Step::Hour, until));
            (series, slow_operations(operations, &config), error_jumps(operations, since, &config))
        };
        let before = all(&operations);
        let turn = turn % operations.len();
        operations.rotate_left(turn);
        operations.reverse();
        prop_assert_eq!(all(&operations), before);
    }
}

/// Busy by day and quiet at the weekend: four weeks of hours, with noise of a twentieth that repeats nowhere.
#[test]
fn the_hour_of_the_day_and_the_day_of_the_week_are_told_apart() {
    let busy = |at: u32| {
        let (hour, day) = (at % 24, at / 24 % 7);
        let by_hour = if (8..18).contains(&hour) { 60.0 } else { 20.0 };
        by_hour * if day >= 5 { 0.4 } else { 1.0 }
    };
    let noise = |at: u32| f64::from(at.wrapping_mul(2_654_435_761) >> 22) / 1_024.0 - 0.5;
    let value = |at: u32| Some(busy(at) * (1.0 + 0.1 * noise(at)));
    let monday = "2026-11-02T00:00:00Z".parse().unwrap();
    let series = Series::new(monday, Step::Hour, (0..672).map(value).collect());
    let week = forecast(&series, 168).unwrap();
    assert_eq!(week.season, Some(Season::DayAndWeek));
    for (at, point) in (672..).zip(&week.points) {
        assert!((point.value / busy(at) - 1.0).abs() < 0.15, "{at}: {} {}", busy(at), point.value);
    }
}
