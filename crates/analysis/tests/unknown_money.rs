//! Money that is not known is never taken for nothing: each answer about money says what it leaves out, of how much.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use taximeter_analysis::{
    AnomalyConfig, Effect, Gate, NoPrices, Quantity, Series, Step, Sums, Thresholds, TrendConfig,
    Verdict, Window, advise, anomalies, bottlenecks, compare_operations, forecast, measure_trend,
    remeasure, trend, why_cost, with_savings,
};
use taximeter_models::{
    CostOutcome, Coverage, Currency, ErrorCategory, ErrorRecord, FindingKind, KnownUsd, LlmCall,
    Measure, Money, OperationRecord, Outcome, Rate, ReportedCost, TokenUsage,
};

fn money(text: &str) -> Money {
    text.parse().expect("an amount")
}

fn costing(amount: &str, currency: &str) -> CostOutcome {
    CostOutcome::ProviderReported(ReportedCost {
        total: money(amount),
        input: None,
        output: None,
        currency: currency.parse().expect("a currency"),
    })
}

fn dollars(amount: &str) -> CostOutcome {
    costing(amount, Currency::USD.as_str())
}

fn unknown() -> CostOutcome {
    CostOutcome::UnknownModel { nearest: vec![] }
}

/// An operation with one call of a thousand tokens in and a hundred out.
fn asking(at: DateTime<Utc>, cost: CostOutcome) -> OperationRecord {
    let mut operation = OperationRecord::new("answer");
    (operation.started_at, operation.duration) = (at, Duration::from_secs(1));
    operation.id = taximeter_models::OperationId::from_bits(at.timestamp().unsigned_abs().into());
    let mut call = LlmCall::new("openai", "gpt-4o").using(TokenUsage::new(1_000, 100));
    call.cost = cost;
    operation.llm_calls.push(call);
    operation
}

fn hour(at: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::hours(at) + TimeDelta::minutes(1)
}

/// One operation an hour, from the first on.
fn hourly(costs: impl IntoIterator<Item = CostOutcome>) -> Vec<OperationRecord> {
    (0..).zip(costs).map(|(at, cost)| asking(hour(at), cost)).collect()
}

fn series(operations: &[OperationRecord], quantity: Quantity) -> Series {
    let end = hour(i64::try_from(operations.len()).expect("a count"));
    Series::of_records(operations, quantity, Step::Hour, end)
}

#[test]
fn an_hour_of_which_nothing_is_known_is_a_gap_and_not_nothing() {
    let mut failed = asking(hour(3), CostOutcome::NoUsage);
    failed.llm_calls[0].usage = None;
    let mut operations = hourly([dollars("2"), unknown(), costing("9", "EUR")]);
    operations.push(failed);
    operations.push(asking(hour(4), dollars("3")));
    operations.push(asking(hour(4) + TimeDelta::minutes(5), unknown()));
    let cost = Series::of_records(&operations, Quantity::CostUsd, Step::Hour, hour(6));
    assert_eq!(cost.values(), [Some(2.0), None, None, None, Some(3.0), Some(0.0)]);
    let coverage =
        Coverage { calls: 6, unpriced_calls: 2, calls_without_usage: 1, other_currency_calls: 1 };
    assert_eq!(cost.coverage(), Some(coverage));
    assert_eq!(cost.coverage_at(4).unwrap().left_out(), Rate { hits: 1, of: 2 });
    assert_eq!(cost.coverage_at(5), Some(Coverage::default()));
    // Made of the sums of each hour, it is the same.
    let at = |at: i64| {
        operations
            .iter()
            .filter(move |o| hour(at).timestamp() / 3_600 == o.started_at.timestamp() / 3_600)
    };
    let sums: Vec<_> = (0..6).map(|hour| KnownUsd::of_operations(at(hour))).collect();
    assert_eq!(Series::of_costs(DateTime::UNIX_EPOCH, Step::Hour, &sums), cost);

    // And of the sums that a store keeps of each hour.
    let kept: Vec<_> = (0..6)
        .map(|hour| {
            let mut sums = Sums::default();
            at(hour).for_each(|operation| sums.add_operation(operation));
            sums
        })
        .collect();
    for quantity in [
        Quantity::CostUsd,
        Quantity::Tokens,
        Quantity::Operations,
        Quantity::Calls,
        Quantity::MeanSeconds,
    ] {
        let of_records = Series::of_records(&operations, quantity, Step::Hour, hour(6));
        let of_sums = Series::of_sums(DateTime::UNIX_EPOCH, Step::Hour, quantity, &kept);
        assert_eq!(of_sums, of_records);
    }

    let tokens = Series::of_records(&operations, Quantity::Tokens, Step::Hour, hour(6));
    let thousand = Some(1_100.0);
    assert_eq!(tokens.values(), [thousand, thousand, thousand, None, Some(2_200.0), Some(0.0)]);
    assert_eq!(tokens.coverage().unwrap().to_string(), "without 1 of 6 calls (1 without usage)");
    let calls = Series::of_records(&operations, Quantity::Calls, Step::Hour, hour(6));
    let count = [1.0, 1.0, 1.0, 1.0, 2.0, 0.0].map(Some);
    assert_eq!((calls.values(), calls.coverage()), (&count[..], None));
}

#[test]
fn a_forecast_says_of_how_many_calls_it_does_not_know_the_cost() {
    // Forty hours at a dollar, of which four are not known: forecast is a dollar, and not nine tenths of one.
    let costs = (0..40).map(|at| if at % 10 == 5 { unknown() } else { dollars("1") });
    let found = forecast(&series(&hourly(costs), Quantity::CostUsd), 10).unwrap();
    assert!((found.points[0].value - 1.0).abs() < 1e-9, "{found:?}");
    let left_out = Rate { hits: 4, of: 40 };
    assert_eq!(found.coverage.unwrap().left_out(), left_out);
    let total = found.total_until(hour(45)).unwrap();
    assert_eq!(total.coverage.unwrap().left_out(), left_out);
    let gone = found.exhaustion(money("36"), money("40")).unwrap();
    assert_eq!(gone.coverage.unwrap().left_out(), left_out);
    assert!(!gone.is_complete());

    let whole = forecast(&series(&hourly((0..40).map(|_| dollars("1"))), Quantity::CostUsd), 10);
    let whole = whole.unwrap();
    assert!(whole.exhaustion(money("36"), money("40")).unwrap().is_complete());
    let spent = KnownUsd { usd: money("36"), coverage: found.coverage.unwrap() };
    assert!(!whole.exhaustion(spent, money("40")).unwrap().is_complete());
}

#[test]
fn where_no_cost_is_known_nothing_is_forecast() {
    let unpriced = series(&hourly((0..40).map(|_| unknown())), Quantity::CostUsd);
    let told = forecast(&unpriced, 10).unwrap_err();
    assert_eq!(
        told.to_string(),
        "0 steps with a value are too few; 14 are needed; 40 more hold only calls of which it is not known"
    );
    assert_eq!(anomalies(&unpriced, &AnomalyConfig::default()).unwrap_err().unknown, 40);
}

#[test]
fn an_hour_that_is_known_in_part_is_not_said_to_be_cheap() {
    let level =
        |at: i64| dollars(["9", "10", "11", "10.5", "9.5"][usize::try_from(at % 5).unwrap()]);
    let mut operations = hourly((0..60).map(level));
    operations[30].llm_calls[0].cost = dollars("0.01");
    let found = |operations: &[OperationRecord]| {
        anomalies(&series(operations, Quantity::CostUsd), &AnomalyConfig::default()).unwrap()
    };
    let all_known = found(&operations);
    assert!(all_known.found.len() == 1 && all_known.found[0].value < 0.011, "{all_known:?}");
    assert!(all_known.coverage.unwrap().is_complete());
    // With a call whose price is not known beside it, it may have cost as much as any other.
    operations[30]
        .llm_calls
        .push(LlmCall::new("somebody", "something").using(TokenUsage::new(9, 9)));
    let part_known = found(&operations);
    assert_eq!(part_known.found, []);
    assert_eq!(part_known.coverage.unwrap().left_out(), Rate { hits: 1, of: 61 });
    // Too much is too much, whatever comes on top.
    operations[30].llm_calls[0].cost = dollars("900");
    let dear = found(&operations);
    assert_eq!(dear.found[0].coverage.unwrap().left_out(), Rate { hits: 1, of: 2 });
}

#[test]
fn trends_say_how_many_operations_they_speak_of() {
    // Each hour a dollar; from the twentieth on every other one is not known.
    let costs = (0..40).map(|at| if at > 20 && at % 2 == 0 { unknown() } else { dollars("1") });
    let operations = hourly(costs);
    let config = TrendConfig::default();
    let cost = measure_trend(&operations, Measure::Cost, &config);
    assert_eq!((cost.data_points, cost.operations), (31, 40));
    assert_eq!(cost.slope_per_hour, Some(0.0), "what is not known is no fall");
    let window = Window::from(Duration::from_secs(1_000 * 3_600));
    let told = trend(&operations, "answer", &window, hour(50), &config);
    assert_eq!((told.total_cost, told.avg_cost), (money("31"), Some(money("1"))));
    assert_eq!(told.cost_coverage.left_out(), Rate { hits: 9, of: 40 });
}

#[test]
fn a_version_whose_price_is_not_known_does_not_pass_as_cheap() {
    let noise = |at: i64| format!("1.{:02}", at * 37 % 41);
    let known = |count: i64| hourly((0..count).map(|at| dollars(&noise(at))));
    let (before, mut after) = (known(100), known(100));
    let gate = Gate { max_ratio: 1.1, min_delta: 0.2 };
    let found = |after: &[OperationRecord]| {
        compare_operations(&before, after, Measure::Cost, &gate).unwrap()
    };
    assert_eq!(found(&after).verdict, Verdict::Pass);
    // One call that failed changes nothing; every other one might.
    after[0].llm_calls[0].cost = CostOutcome::NoUsage;
    let one = found(&after);
    assert_eq!((one.verdict, one.left_out_after), (Verdict::Pass, Rate { hits: 1, of: 100 }));
    after[..50].iter_mut().for_each(|operation| operation.llm_calls[0].cost = unknown());
    assert_eq!(found(&after).verdict, Verdict::Inconclusive);
    // What is dearer for sure fails, although a few are not known.
    let mut dearer = hourly((0..100).map(|_| dollars("3")));
    dearer[7].llm_calls[0].cost = unknown();
    assert_eq!(found(&dearer).verdict, Verdict::Fail);
}

#[test]
fn a_change_of_cost_counts_what_it_leaves_out_by_driver_too() {
    let of = |user: &str, cost: CostOutcome| {
        let mut operation = asking(hour(0), cost);
        operation.user = Some(user.into());
        operation
    };
    let before = [of("ann", dollars("4")), of("bob", dollars("4"))];
    let after = [of("ann", unknown()), of("bob", dollars("4"))];
    let change = why_cost(&before, &after);
    assert_eq!((change.before, change.after), (money("8"), money("4")));
    assert_eq!(change.left_out_after, Rate { hits: 1, of: 2 });
    assert!(!change.is_complete() && why_cost(&before, &before).is_complete());
    let driver = change.drivers.iter().flat_map(|driven| &driven.by);
    let ann = driver.clone().find(|driver| driver.key.as_deref() == Some("ann")).unwrap();
    assert_eq!(ann.left_out, Rate { hits: 1, of: 2 });
}

/// Twenty operations with a call that failed for a rate limit and one that succeeds; of the failed ones every other told
/// its cost, one cent.
fn refused() -> Vec<OperationRecord> {
    let with_refused = |(at, mut operation): (usize, OperationRecord)| {
        let mut call = LlmCall::new("openai", "gpt-4o");
        call.error = Some(ErrorRecord::new(ErrorCategory::RateLimit, "429"));
        call.duration = Some(Duration::from_millis(100));
        call.cost = if at % 2 == 0 { dollars("0.01") } else { CostOutcome::NoUsage };
        operation.llm_calls.push(call);
        operation
    };
    hourly((0..20).map(|_| dollars("0.05"))).into_iter().enumerate().map(with_refused).collect()
}

#[test]
fn findings_and_savings_count_the_calls_whose_cost_they_leave_out() {
    let operations = refused();
    let thresholds = Thresholds::default();
    let findings = bottlenecks(&operations, &thresholds);
    let limited = findings.iter().find(|f| matches!(f.kind, FindingKind::RateLimited { .. }));
    let lost = limited.unwrap().lost.unwrap();
    assert_eq!(lost.usd, money("0.1"));
    assert_eq!(lost.coverage.to_string(), "without 10 of 20 calls (10 without usage)");

    let advice = with_savings(advise(&findings), &operations, &thresholds, &NoPrices);
    let of = |advice: &taximeter_models::Advice| {
        matches!(advice.because.kind, FindingKind::RateLimited { .. })
    };
    let saving = advice.iter().find(|advice| of(advice)).unwrap().saving.as_ref().unwrap();
    assert_eq!(saving.usd.unwrap().likely, money("0.005"));
    assert_eq!(saving.coverage.left_out(), Rate { hits: 10, of: 20 });
}

#[test]
fn the_price_of_a_reply_in_another_currency_is_no_dollars() {
    let reply = |currency: &str| {
        let parts = ReportedCost {
            total: money("1"),
            input: Some(money("0.1")),
            output: Some(money("0.9")),
            currency: currency.parse().unwrap(),
        };
        CostOutcome::ProviderReported(parts)
    };
    let costs = (0..60).map(|at| reply(if at % 3 == 0 { "EUR" } else { "USD" }));
    let mut operations = hourly(costs);
    for operation in &mut operations {
        operation.llm_calls[0].usage = Some(TokenUsage::new(100, 2_000));
    }
    let findings = bottlenecks(&operations, &Thresholds::default());
    let long = findings.iter().find_map(|finding| match finding.kind {
        FindingKind::LongReplies { share_of_cost, .. } => Some((share_of_cost, finding.lost?)),
        _ => None,
    });
    let (share, lost) = long.unwrap();
    assert!((share - 0.9).abs() < 1e-12, "{share}");
    assert_eq!(lost.usd, money("36"));
    assert_eq!(lost.coverage.to_string(), "without 20 of 60 calls (20 in another currency)");
}

#[test]
fn the_mean_cost_is_over_what_is_known() {
    let mut operations = hourly([dollars("0.2"), unknown(), dollars("0.4"), costing("7", "EUR")]);
    for operation in &mut operations {
        operation.outcome = Outcome::Failure;
    }
    let groups = taximeter_analysis::group(&operations, "operation".parse().unwrap());
    assert_eq!(groups[0].mean_cost_usd, Some(money("0.3")));
    assert_eq!((groups[0].cost.usd(), groups[0].cost.unpriced_calls), (money("0.6"), 1));
}

#[test]
fn an_advice_has_not_helped_where_the_cost_after_is_not_known() {
    let varied = |low: u32, at: u32| dollars(&format!("{}.{}", low, at % 5));
    let before = hourly((0..40).map(|at| varied(9, at)));
    let mut after = hourly((0..40).map(|at| varied(4, at)));
    let thresholds = Thresholds::default();
    let findings = bottlenecks(&before, &thresholds);
    let advice = advise(&findings);
    let dear = advice
        .iter()
        .find(|advice| matches!(advice.because.kind, FindingKind::ExpensiveOperation { .. }));
    let told =
        |after: &[OperationRecord]| remeasure(dear.unwrap(), &before, after, &thresholds).unwrap();
    assert_eq!(told(&after).effect, Effect::Helped);
    after[3].llm_calls[0].cost = unknown();
    let one = told(&after);
    assert_eq!((one.effect, one.left_out_after), (Effect::Helped, Rate { hits: 1, of: 40 }));
    after[..39].iter_mut().for_each(|operation| operation.llm_calls[0].cost = unknown());
    after.push(asking(hour(90), dollars("4")));
    let hardly_any = told(&after);
    assert_eq!(hardly_any.left_out_after, Rate { hits: 39, of: 41 });
    assert_eq!(hardly_any.effect, Effect::Inconclusive);
}
