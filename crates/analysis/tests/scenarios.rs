//! Small situations with known answers: what must stand out does, and nothing else.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use taximeter_analysis::{Thresholds, TrendConfig, Window, advise, bottlenecks, summarize, trend};
use taximeter_models::{
    AdviceKind, CostOutcome, Currency, ErrorCategory, ErrorRecord, Finding, FindingKind,
    FreeReason, KnownUsd, LlmCall, Loss, Measure, Money, OperationId, OperationRecord, Outcome,
    PerformanceTrend, Rate, ReportedCost, TokenUsage, ToolCall, ToolStatus, TrendDirection,
};

fn start() -> DateTime<Utc> {
    "2026-11-23T00:00:00Z".parse().expect("a moment")
}

/// An operation of its own id that began so many seconds after the start.
fn operation(name: &str, at: u32, millis: u64) -> OperationRecord {
    let mut operation = OperationRecord::new(name);
    operation.id = OperationId::from_bits(u128::from(at) + 1);
    operation.started_at = start() + TimeDelta::seconds(i64::from(at));
    operation.duration = Duration::from_millis(millis);
    operation
}

fn costing(usd: &str) -> CostOutcome {
    let total = usd.parse().expect("an amount");
    let currency = Currency::USD;
    CostOutcome::ProviderReported(ReportedCost { total, input: None, output: None, currency })
}

fn priced(mut operation: OperationRecord, cost: CostOutcome) -> OperationRecord {
    let mut call = LlmCall::new("openai", "gpt-4o");
    call.cost = cost;
    operation.llm_calls.push(call);
    operation
}

fn found(operations: &[OperationRecord]) -> Vec<Finding> {
    bottlenecks(operations, &Thresholds::default())
}

// Bottlenecks.

#[test]
fn the_thresholds_are_those_of_the_original() {
    for (name, limit) in [
        ("qa_response", 3_000),
        ("vector_search", 500),
        ("llm_inference", 2_000),
        ("embedding_generation", 1_000),
        ("import", 5_000),
    ] {
        assert_eq!(found(&[operation(name, 0, limit)]), [], "{name}");
        let slow = found(&[operation(name, 0, limit + 1)]);
        assert!(matches!(slow[..], [Finding { kind: FindingKind::SlowOperation { .. }, .. }]));
    }
    for (component, limit) in
        [("vector_search", 500), ("llm_inference", 2_000), ("citations", 1_000)]
    {
        let mut whole = operation("import", 0, 4_000);
        // Two runs of one component add up.
        whole.add_component(component, Duration::from_millis(limit / 2));
        whole.add_component(component, Duration::from_millis(limit / 2));
        assert_eq!(found(std::slice::from_ref(&whole)), [], "{component}");
        whole.add_component(component, Duration::from_millis(1));
        let slow = found(&[whole]);
        assert!(matches!(slow[..], [Finding { kind: FindingKind::SlowComponent { .. }, .. }]));
    }
}

#[test]
fn the_evidence_is_the_ten_worst_the_worst_first() {
    let operations: Vec<_> =
        (0..30).map(|at| operation("import", at, 6_000 + u64::from(at))).collect();
    let worst: Vec<_> = (20..30).rev().map(|at| operations[at].id).collect();
    assert_eq!(found(&operations)[0].evidence, worst);
}

#[test]
fn one_failure_of_two_alarms_nobody() {
    let failing = |of: u32, failures: u32| {
        let operations: Vec<_> = (0..of)
            .map(|at| {
                let mut operation = operation("import", at, 1);
                if at < failures {
                    operation.outcome = Outcome::Failure;
                }
                operation
            })
            .collect();
        found(&operations)
    };
    assert_eq!(failing(2, 1), []);
    assert_eq!(failing(9, 9), []);
    assert_eq!(failing(10, 1), []);
    let findings = failing(10, 2);
    let [Finding { kind: FindingKind::HighErrorRate { errors, at_least, .. }, evidence, .. }] =
        &findings[..]
    else {
        panic!("{findings:?}")
    };
    assert_eq!((*errors, evidence.len()), (Rate { hits: 2, of: 10 }, 2));
    assert!(*at_least > 0.05 && *at_least < 0.06);
}

#[test]
fn costs_are_compared_to_the_tick_and_unknown_ones_left_out() {
    let mut operations: Vec<_> =
        (0..3).map(|at| priced(operation("import", at, 1), costing("0.1"))).collect();
    operations
        .push(priced(operation("import", 3, 1), CostOutcome::UnknownModel { nearest: vec![] }));
    assert_eq!(found(&operations), []);

    let mut call = LlmCall::new("openai", "gpt-4o");
    // One part in 10^18 above, on average over three.
    call.cost = costing("0.000000000000000003");
    operations[0].llm_calls.push(call);
    let findings = found(&operations);
    let [
        Finding {
            kind: FindingKind::ExpensiveOperation { mean_cost, above, .. }, evidence, ..
        },
    ] = &findings[..]
    else {
        panic!("{findings:?}")
    };
    assert_eq!(mean_cost.to_string(), "0.100000000000000001");
    assert_eq!((*above, &evidence[..]), (Rate { hits: 1, of: 3 }, &[operations[0].id][..]));
}

#[test]
fn questions_asked_before_are_found_and_retries_are_not() {
    let asking = |at: u32, hash: u64, provider: &str, failed: bool| {
        let mut asking = operation("chat_turn", at, 1);
        let mut call = LlmCall::new(provider, "gpt-4o");
        call.arguments_hash = Some(hash);
        call.error = failed.then(|| ErrorRecord::new(ErrorCategory::RateLimit, "429"));
        asking.llm_calls.push(call);
        asking
    };
    let mut operations: Vec<_> =
        (0..10).map(|at| asking(at, u64::from(at) % 8, "openai", false)).collect();
    let findings = found(&operations);
    let repeated = FindingKind::RepeatedCalls { repeated: Rate { hits: 2, of: 10 } };
    let evidence = vec![operations[8].id, operations[9].id];
    let again = operations[8..].iter();
    let lost = Loss::new(0.0, 0.01, KnownUsd::of_operations(again)); // nobody told what these two cost
    assert_eq!(findings, [Finding::new("chat_turn", repeated, evidence).losing(lost)]);

    assert_eq!(found(&operations[1..]), [], "nine calls are too few");
    operations[9] = asking(9, 1, "azure", false);
    assert_eq!(found(&operations), [], "another provider is another question");
    let retries: Vec<_> =
        (0..20).map(|at| asking(at, u64::from(at / 2), "openai", at % 2 == 0)).collect();
    let kinds: Vec<_> = found(&retries).into_iter().map(|finding| finding.kind).collect();
    let refused = Rate { hits: 10, of: 20 };
    let limited = FindingKind::RateLimited { target: "gpt-4o".into(), refused };
    assert_eq!(kinds, [limited], "a try after a failure repeats nothing");
}

#[test]
fn a_threshold_that_is_none_alarms_nobody() {
    let slow = [operation("import", 0, u64::MAX)];
    for limit in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
        let mut thresholds = Thresholds::default();
        thresholds.operation_seconds = limit;
        assert_eq!(bottlenecks(&slow, &thresholds), [], "{limit}");
        assert!(thresholds.check().is_err());
    }
}

#[test]
fn the_advice_with_most_to_gain_comes_first() {
    let mut answer = operation("qa_response", 0, 4_000);
    answer.add_component("vector_search", Duration::from_millis(600)); // 100 ms above: 2.5 % of the time
    answer.add_component("llm_inference", Duration::from_secs(3)); // 1 s above: 25 %
    let answer = priced(answer, costing("0.4")); // 0.3 above: 75 % of the money
    let advice = advise(&found(&[answer]));
    let kinds: Vec<_> = advice.iter().map(|advice| advice.advice).collect();
    assert_eq!(
        kinds,
        [
            AdviceKind::CheaperLlmOrFewerTokens,
            AdviceKind::FasterLlmOrBetterPrompts,
            AdviceKind::BetterIndexOrChunking
        ]
    );
    assert_eq!(
        advice[1].text,
        "Use a faster LLM or better prompts: llm_inference in qa_response takes 3.000 s in the mean \
         (threshold 2 s), 75 % of the time; above it: 100.0 % (1 of 1)"
    );
}

// Trends.

fn over_a_day(operations: &[OperationRecord]) -> PerformanceTrend {
    let now = start() + TimeDelta::hours(24);
    trend(operations, "answer", &"24h".parse().expect("a window"), now, &TrendConfig::default())
}

/// Operations one minute apart, of durations in milliseconds that depend on their number.
fn by_minute(count: u32, millis: impl Fn(u32) -> u64) -> Vec<OperationRecord> {
    (0..count).map(|at| operation("answer", at * 60, millis(at))).collect()
}

/// A spread that has nothing to do with time: up to 0.4 s, from the number's bits.
fn noise(at: u32) -> u64 {
    u64::from(at.wrapping_mul(2_654_435_761) >> 8) % 400
}

#[test]
fn a_latency_that_doubles_is_declining_in_whatever_order_it_is_told() {
    let mut operations = by_minute(1_000, |at| 1_000 + u64::from(at) + noise(at));
    let told = over_a_day(&operations);
    assert_eq!(told.trend_direction, TrendDirection::Declining);
    assert!((told.slope_per_hour.unwrap() - 0.06).abs() < 0.002, "{told:?}");
    assert!((told.change_percent.unwrap() - 83.0).abs() < 5.0, "{told:?}");
    assert!(told.trend_strength.unwrap() > 0.7 && told.p_value.unwrap() < 1e-9);
    operations.sort_by_key(|operation| noise(u32::try_from(operation.id.bits()).unwrap()));
    assert_eq!(over_a_day(&operations), told);
}

#[test]
fn a_latency_that_halves_is_improving() {
    let told = over_a_day(&by_minute(500, |at| 1_000 - u64::from(at)));
    assert_eq!(told.trend_direction, TrendDirection::Improving);
    assert!((told.trend_strength.unwrap() + 1.0).abs() < 1e-12);
    assert!((told.change_percent.unwrap() + 49.9).abs() < 0.5);
}

#[test]
fn what_is_not_both_significant_and_large_is_stable() {
    let noisy = over_a_day(&by_minute(1_000, |at| 1_000 + noise(at)));
    assert_eq!(noisy.trend_direction, TrendDirection::Stable, "{noisy:?}");
    let small = over_a_day(&by_minute(1_000, |at| 10_000 + u64::from(at) / 5));
    assert_eq!(small.trend_direction, TrendDirection::Stable, "2 % are significant but small");
    assert!(small.p_value.unwrap() < 1e-9);
    let flat = over_a_day(&by_minute(100, |_| 1_000));
    assert_eq!((flat.trend_direction, flat.p_value), (TrendDirection::Stable, Some(1.0)));
}

#[test]
fn a_step_has_its_moment_and_its_size() {
    let operations =
        by_minute(120, |at| if at < 80 { 1_000 + noise(at) } else { 1_500 + noise(at) });
    let trend = over_a_day(&operations);
    let [change] = trend.changes[..] else { panic!("{:?}", trend.changes) };
    assert_eq!(change.since, operations[80].started_at);
    assert!((35.0..65.0).contains(&change.change_percent) && change.p_value < 1e-6, "{change:?}");
    let (low, high) = trend.slope_interval_per_hour.expect("points enough");
    let slope = trend.slope_per_hour.expect("points enough");
    assert!(low <= slope && slope <= high && low < high);
    // Nothing changes in either part, nor where there are too few.
    assert!(over_a_day(&operations[..80]).changes.is_empty());
    assert!(over_a_day(&operations[..9]).changes.is_empty());
}

#[test]
fn every_measure_has_its_trend_and_its_steps() {
    let mut operations = by_minute(600, |at| 1_000 + noise(at));
    for (at, operation) in (0_u32..).zip(&mut operations) {
        let late = at >= 400;
        // 5 % fail, and then 25 %; the tokens grow by half in the ten hours; the cost stays.
        let lot = at.wrapping_mul(2_654_435_761).rotate_left(13).wrapping_mul(0x9E37_79B9) >> 16;
        let failing = lot % 100 < if late { 25 } else { 5 };
        operation.outcome = if failing { Outcome::Failure } else { Outcome::Success };
        let tokens = u64::from(1_000 + at * 5 / 6) + noise(at);
        let mut call = LlmCall::new("openai", "gpt-4o").using(TokenUsage::new(tokens, 0));
        call.cost = CostOutcome::Free { reason: FreeReason::Local };
        operation.llm_calls.push(call);
    }
    let trend = over_a_day(&operations);
    let of = |measure| &trend.measures[&measure];
    let errors = of(Measure::ErrorRate);
    assert_eq!(errors.direction, TrendDirection::Declining, "{errors:?}");
    let [change] = errors.changes[..] else { panic!("{errors:?}") };
    let minutes = (change.since - operations[400].started_at).num_minutes();
    assert!(minutes.abs() <= 20 && change.p_value < 0.01, "{minutes} {change:?}");
    assert!(
        (0.02..0.09).contains(&change.before) && (0.2..0.33).contains(&change.after),
        "{change:?}"
    );
    let tokens = of(Measure::Tokens);
    assert_eq!(tokens.direction, TrendDirection::Declining, "{tokens:?}");
    assert!((tokens.change_percent.unwrap() - 50.0).abs() < 15.0, "{tokens:?}");
    assert_eq!(of(Measure::Cost).direction, TrendDirection::Stable);
    assert_eq!(trend.trend_direction, TrendDirection::Stable);
}

#[test]
fn the_time_counts_and_not_the_number() {
    // A thousand in the first minutes and ten later: by number nearly all of the rise lies in the last percent.
    let mut operations: Vec<_> = (0..1_000).map(|at| operation("answer", at / 4, 1_000)).collect();
    operations.extend((1..=10).map(|hour| operation("answer", hour * 3_600, 1_000)));
    for operation in &mut operations {
        let seconds = (operation.started_at - start()).num_seconds();
        operation.duration += Duration::from_secs(u64::try_from(seconds).unwrap()) / 36;
    }
    let told = over_a_day(&operations);
    assert!((told.slope_per_hour.unwrap() - 100.0).abs() < 2.0, "{told:?}");
}

#[test]
fn too_few_data_are_said_to_be() {
    let few = over_a_day(&by_minute(9, |at| 1_000 * u64::from(at + 1)));
    assert_eq!((few.trend_direction, few.p_value), (TrendDirection::InsufficientData, None));
    assert_eq!(few.data_points, 9);
    let together: Vec<_> = (0..50).map(|at| operation("answer", 0, at)).collect();
    assert_eq!(over_a_day(&together).trend_direction, TrendDirection::InsufficientData);
    let none = over_a_day(&[]);
    assert_eq!((none.data_points, none.avg_duration, none.success_rate), (0, None, None));
}

#[test]
fn only_what_ended_in_the_window_and_has_the_name_counts() {
    let now = start() + TimeDelta::hours(1);
    let window: Window = "30m".parse().unwrap();
    let config = TrendConfig::default();
    let operations = [
        operation("answer", 1_790, 10_000), // ends exactly at the beginning
        operation("answer", 1_790, 10_001),
        operation("answer", 3_590, 10_000), // ends exactly now
        operation("answer", 3_590, 10_001),
        operation("other", 3_000, 10),
    ];
    let told = trend(&operations, "answer", &window, now, &config);
    assert_eq!((told.data_points, told.time_period.as_str()), (2, "30m"));
    assert_eq!(told.analysis_timestamp, now);
}

#[test]
fn a_trend_lists_what_stands_out_and_what_to_do() {
    let mut operations = by_minute(20, |_| 6_000);
    let costs =
        [costing("0.02"), CostOutcome::Pending, CostOutcome::Free { reason: FreeReason::Local }];
    for (operation, cost) in operations.iter_mut().zip(costs) {
        let mut call = LlmCall::new("x", "y").using(TokenUsage::default());
        call.cost = cost;
        operation.llm_calls.push(call);
    }
    operations[2].llm_calls[0].usage = Some(TokenUsage::new(30, 10));
    operations[2].outcome = Outcome::Abandoned;
    let told = over_a_day(&operations);
    assert_eq!(told.bottlenecks, found(&operations));
    assert_eq!(told.optimization_suggestions[0].because, told.bottlenecks[0]);
    assert_eq!((told.success_rate, told.error_rate), (Some(95.0), Some(5.0)));
    assert_eq!((told.total_tokens, told.avg_tokens), (40, Some(2.0)));
    assert_eq!(told.total_cost.to_string(), "0.02");
    // Of the twenty, the cost of one is not known.
    assert_eq!(told.avg_cost, "0.02".parse::<Money>().unwrap().mean(19));
    assert_eq!(told.unpriced_calls, 1);
}

// Summaries.

#[test]
fn a_summary_has_the_numbers_of_its_parts() {
    let mut one = operation("answer", 0, 4_000);
    one.add_component("search", Duration::from_secs(1));
    one.add_component("search", Duration::from_secs(1));
    one.tool_calls.push(ToolCall::new("web", ToolStatus::Timeout).lasting(Duration::from_secs(1)));
    let mut call = LlmCall::new("openai", "gpt-4o")
        .using(TokenUsage::inclusive(100, 60).cache_read(40).build().unwrap())
        .lasting(Duration::from_millis(2_500));
    call.time_to_first_token = Some(Duration::from_millis(500));
    call.cost = costing("0.25");
    one.llm_calls.push(call);
    let mut two = operation("import", 1, 1_000);
    two.add_component("search", Duration::from_millis(500));
    two.outcome = Outcome::Failure;
    two.errors.push(ErrorRecord::new(ErrorCategory::Network, "down").within("search"));

    let summary = summarize(&[one, two]);
    let search = &summary.components["search"];
    assert_eq!((search.success.rate, search.runs), (Rate { hits: 1, of: 2 }, 3));
    assert_eq!(search.duration_seconds.unwrap().max.to_string(), "2");
    assert_eq!(
        (search.share_of_time, search.errors_by_category[&ErrorCategory::Network]),
        (Some(0.5), 1)
    );
    assert_eq!((summary.tools["web"].timeouts, summary.tools["web"].share_of_time), (1, Some(0.2)));
    assert_eq!(summary.operations["answer"].share_of_time, Some(0.8));
    assert_eq!(summary.operations["import"].errors, 1);
    let llm = &summary.llms[0];
    assert_eq!(llm.output_tokens_per_second.unwrap().mean.to_string(), "30");
    assert_eq!(llm.time_to_first_token_seconds.unwrap().p50.to_string(), "0.5");
    assert_eq!(
        (llm.tokens.cache_read, llm.tokens.cache_read_share),
        (Rate { hits: 40, of: 100 }, Some(0.4))
    );
    assert_eq!(summary.mean_cost_usd, Some("0.125".parse().unwrap()));

    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(json["totals"]["total_operations"], 2);
    assert_eq!(json["operations"]["answer"]["duration_seconds"]["p99"], 4.0);
    assert_eq!(json["operations"]["answer"]["success"]["hits"], 1);
    assert_eq!(json["llms"][0]["tokens"]["by_kind"]["cache_read"], 40);
    assert_eq!(json["llms"][0]["cost"]["amounts"]["USD"]["exact"], "0.25");
    assert_eq!(json["tools"]["web"]["errors_by_category"]["timeout"], 1);
}
