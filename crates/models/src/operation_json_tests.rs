//! Tests of the JSON of operations and sessions: what is written is read again, its totals add up, and documents of
//! the original system load with exactly the numbers that are in them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use crate::*;

fn name() -> impl Strategy<Value = Name> {
    // Few names, so that some meet, and any text besides.
    prop_oneof![
        select(vec!["a", "b", "größe 🚕", ""]).prop_map(Name::from),
        any::<String>().prop_map(Name::from)
    ]
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            btree_map(any::<String>(), inner, 0..3).prop_map(Value::from_iter),
        ]
    });
    btree_map(any::<String>(), value, 0..3)
}

/// Any instant of the years that RFC 3339 has, to the nanosecond.
fn instant() -> impl Strategy<Value = DateTime<Utc>> {
    let seconds =
        prop_oneof![1_700_000_000..1_900_000_000_i64, -62_167_219_200..=253_402_300_799_i64];
    (seconds, 0..1_000_000_000_u32).prop_map(|(s, ns)| DateTime::from_timestamp(s, ns).unwrap())
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![0..100_000_000_000_u64, any::<u64>()].prop_map(Duration::from_nanos)
}

fn money() -> impl Strategy<Value = Money> {
    (-(1_i128 << 90)..1 << 90).prop_map(Money::from_ticks)
}

fn currency() -> impl Strategy<Value = Currency> {
    select(vec![Currency::USD, "EUR".parse().unwrap(), "CNY".parse().unwrap()])
}

fn category() -> impl Strategy<Value = ErrorCategory> {
    select(ErrorCategory::ALL)
}

fn usage() -> impl Strategy<Value = TokenUsage> {
    let buckets = btree_map(select(Unit::ALL), 0..1_u64 << 40, 0..8);
    buckets.prop_filter_map("reasoning is within the output", |buckets| buckets.try_into().ok())
}

prop_compose! {
    fn error()(category in category(), message: String, causes in vec(any::<String>(), 0..3), component in of(name())) -> ErrorRecord {
        ErrorRecord { category, message, causes, component }
    }
}

prop_compose! {
    fn line()(
        (unit, billed_as) in (select(Unit::ALL), of(select(Unit::ALL))),
        (quantity, per, multiplier) in any::<(u64, u64, Option<(u64, u64)>)>(),
        (rate, amount) in (money(), money()),
    ) -> CostLine {
        CostLine { unit, quantity, rate, per, multiplier, billed_as, amount }
    }
}

prop_compose! {
    fn card()(
        (provider, model, source) in (name(), name(), name()),
        valid_from in of(instant()),
        basis in select(vec![CardBasis::Documented, CardBasis::SourceCommit, CardBasis::FirstObserved, CardBasis::Unknown, CardBasis::Override]),
        checked_on in of(instant()),
    ) -> RateCardRef {
        RateCardRef { provider, model, valid_from, basis, source, checked_on: checked_on.map(|at| at.date_naive()) }
    }
}

prop_compose! {
    fn estimate()(
        currency in currency(),
        lines in vec(line(), 0..4),
        card in card(),
        match_kind in select(vec![MatchKind::Exact, MatchKind::Alias, MatchKind::Grammar, MatchKind::DateStripped, MatchKind::Pattern, MatchKind::ProviderFallback]),
        tier in of((name(), any::<u64>(), any::<u64>())),
        provider_inferred: bool,
        region_assumed in of(name()),
        context_ignored in vec(name(), 0..2),
    ) -> Box<CostEstimate> {
        let tier = tier.map(|(metric, bound, value)| TierHit { metric, bound, value });
        Box::new(CostEstimate { currency, lines, card: Arc::new(card), match_kind, tier, provider_inferred, region_assumed, context_ignored })
    }
}

prop_compose! {
    fn reported()(total in money(), input in of(money()), output in of(money()), currency in currency()) -> ReportedCost {
        ReportedCost { total, input, output, currency }
    }
}

fn cost() -> impl Strategy<Value = CostOutcome> {
    prop_oneof![
        Just(CostOutcome::Pending),
        estimate().prop_map(CostOutcome::Priced),
        select(vec![FreeReason::Local, FreeReason::Listed])
            .prop_map(|reason| CostOutcome::Free { reason }),
        reported().prop_map(CostOutcome::ProviderReported),
        reported().prop_map(CostOutcome::Recorded),
        of(name()).prop_map(|provider| CostOutcome::UnknownProvider { provider }),
        vec(name(), 0..3).prop_map(|nearest| CostOutcome::UnknownModel { nearest }),
        of(instant()).prop_map(|first| CostOutcome::NoPriceAt { first }),
        (estimate(), vec((select(Unit::ALL), any::<u64>()), 0..3))
            .prop_map(|(priced, missing)| CostOutcome::PartlyUnpriced { priced, missing }),
        any::<String>().prop_map(|why| CostOutcome::InvalidUsage { why }),
        Just(CostOutcome::NoUsage),
    ]
}

prop_compose! {
    fn llm_call()(
        (provider, request_model, response_model) in (of(name()), of(name()), of(name())),
        (usage, cost, error) in (of(usage()), cost(), of(error())),
        (finish_reason, served_tier) in (of(name()), of(name())),
        served_as in btree_map(name(), name(), 0..3),
        (started_at, duration, time_to_first_token) in (of(instant()), of(duration()), of(duration())),
        (streamed, attempt, context_window) in any::<(bool, u32, Option<u64>)>(),
        (prompt_prefix_hash, arguments_hash) in any::<(Option<u64>, Option<u64>)>(),
        metadata in metadata(),
    ) -> LlmCall {
        LlmCall {
            provider, request_model, response_model, usage, cost, finish_reason, started_at, duration,
            time_to_first_token, streamed, attempt, served_tier, served_as, prompt_prefix_hash, arguments_hash,
            context_window, error, metadata,
        }
    }
}

prop_compose! {
    fn tool_call()(
        name in name(),
        status in select(vec![ToolStatus::Success, ToolStatus::Failure, ToolStatus::Timeout, ToolStatus::Error]),
        (started_at, duration, error) in (of(instant()), of(duration()), of(error())),
        (attempt, arguments_hash) in any::<(u32, Option<u64>)>(),
        metadata in metadata(),
    ) -> ToolCall {
        ToolCall { name, status, started_at, duration, error, attempt, arguments_hash, metadata }
    }
}

prop_compose! {
    fn component()(name in name(), offset in of(duration()), duration in duration(), count in 0..1_u64 << 32) -> ComponentTiming {
        ComponentTiming { name, offset, duration, count }
    }
}

prop_compose! {
    fn operation()(
        (id, parent, remote, trace) in any::<(u128, Option<u128>, Option<u64>, u128)>(),
        (name, user, session) in (name(), of(name()), of(name())),
        (started_at, duration) in (instant(), duration()),
        (components, tool_calls, llm_calls) in (vec(component(), 0..4), vec(tool_call(), 0..3), vec(llm_call(), 0..3)),
        outcome in select(vec![Outcome::Success, Outcome::Failure, Outcome::Abandoned]),
        (errors, warnings) in (vec(error(), 0..3), vec((any::<String>(), of(name())), 0..3)),
        (unlisted_errors, unlisted_warnings) in (0..1_u64 << 60, 0..1_u64 << 60),
        tags in btree_map(any::<String>(), any::<String>(), 0..3),
        metadata in metadata(),
    ) -> OperationRecord {
        OperationRecord {
            id: OperationId::from_bits(id), name, parent: parent.map(OperationId::from_bits),
            remote_parent: remote.map(SpanId::from_bits),
            trace_id: TraceId::from_bits(trace), started_at, duration, components, tool_calls, llm_calls, outcome,
            errors, warnings: warnings.into_iter().map(|(message, component)| Warning { message, component }).collect(),
            unlisted_errors, unlisted_warnings, user, session, tags, metadata,
        }
    }
}

/// Any number but NaN and the infinities, which no JSON has.
fn finite() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("JSON has no such number", |number| number.is_finite())
}

fn rate() -> impl Strategy<Value = Rate> {
    any::<(u64, u64)>().prop_map(|(hits, of)| Rate { hits, of })
}

fn finding_kind() -> impl Strategy<Value = FindingKind> {
    prop_oneof![
        (finite(), finite(), rate()).prop_map(|(mean_seconds, threshold_seconds, above)| {
            FindingKind::SlowOperation { mean_seconds, threshold_seconds, above }
        }),
        (name(), finite(), finite(), rate(), finite()).prop_map(
            |(component, mean_seconds, threshold_seconds, above, share_of_time)| {
                FindingKind::SlowComponent {
                    component,
                    mean_seconds,
                    threshold_seconds,
                    above,
                    share_of_time,
                }
            }
        ),
        (rate(), finite(), finite()).prop_map(|(errors, threshold, at_least)| {
            FindingKind::HighErrorRate { errors, threshold, at_least }
        }),
        (money(), money(), rate()).prop_map(|(mean_cost, threshold, above)| {
            FindingKind::ExpensiveOperation { mean_cost, threshold, above }
        }),
        rate().prop_map(|repeated| FindingKind::RepeatedCalls { repeated }),
        (name(), rate(), 1..9_u32).prop_map(|(target, retries, most_attempts)| {
            FindingKind::RetryStorm { target, retries, most_attempts }
        }),
        (name(), rate()).prop_map(|(target, refused)| FindingKind::RateLimited { target, refused }),
        (name(), rate(), of(finite()), of(finite())).prop_map(
            |(target, timeouts, mean_wait_seconds, success_p99_seconds)| FindingKind::Timeouts {
                target,
                timeouts,
                mean_wait_seconds,
                success_p99_seconds
            }
        ),
        (name(), rate(), 2..9_u64).prop_map(|(tool, operations, most_calls)| {
            FindingKind::ToolLoop { tool, operations, most_calls }
        }),
        (name(), rate())
            .prop_map(|(llm, truncated)| FindingKind::TruncatedReplies { llm, truncated }),
        (name(), rate(), finite()).prop_map(|(llm, above, threshold)| {
            FindingKind::ContextPressure { llm, above, threshold }
        }),
        (name(), rate(), rate()).prop_map(|(llm, repeated, cached)| FindingKind::ColdCache {
            llm,
            repeated,
            cached
        }),
        (name(), finite(), finite()).prop_map(|(llm, mean_output_tokens, share_of_cost)| {
            FindingKind::LongReplies { llm, mean_output_tokens, share_of_cost }
        }),
        rate().prop_map(|calls| FindingKind::BackgroundWork { calls }),
        any::<String>().prop_map(|text| FindingKind::Noted { text }),
    ]
}

prop_compose! {
    fn coverage()(counts: [u64; 4]) -> Coverage {
        let [calls, unpriced_calls, calls_without_usage, other_currency_calls] = counts;
        Coverage { calls, unpriced_calls, calls_without_usage, other_currency_calls }
    }
}

prop_compose! {
    fn finding()(
        operation in name(), kind in finding_kind(), evidence in vec(any::<u128>(), 0..3),
        lost in of((finite(), of(finite()), money(), coverage())),
    ) -> Finding {
        let evidence = evidence.into_iter().map(OperationId::from_bits).collect();
        let lost = lost.map(|(seconds, share_of_time, usd, coverage)| Loss { seconds, share_of_time, usd, coverage });
        Finding { lost, ..Finding::new(operation, kind, evidence) }
    }
}

prop_compose! {
    fn saving()(
        operations: u64, assuming: String, coverage in coverage(),
        seconds in of((finite(), finite(), finite())), usd in of((money(), money(), money())),
    ) -> Saving {
        let seconds = seconds.map(|(low, likely, high)| Estimate { low, likely, high });
        let usd = usd.map(|(low, likely, high)| Estimate { low, likely, high });
        Saving { operations, assuming, seconds, usd, coverage }
    }
}

prop_compose! {
    fn advice()(kind in select(vec![AdviceKind::FasterLlmOrBetterPrompts, AdviceKind::InspectComponent, AdviceKind::Noted]), text: String, because in finding(),
        saving in of(saving()), verify: String,
    ) -> Advice {
        Advice { saving, verify, ..Advice::new(kind, text, because) }
    }
}

prop_compose! {
    fn measure_trend()(
        (data_points, operations) in any::<(u64, u64)>(), numbers in vec(of(finite()), 4),
        slope_interval_per_hour in of((finite(), finite())),
        direction in select(vec![TrendDirection::Improving, TrendDirection::Stable]),
    ) -> MeasureTrend {
        MeasureTrend {
            data_points, operations, direction, slope_interval_per_hour,
            strength: numbers[0], slope_per_hour: numbers[1], change_percent: numbers[2], p_value: numbers[3],
            changes: Vec::new(),
        }
    }
}

prop_compose! {
    fn trend()(
        (operation_type, time_period) in (name(), any::<String>()),
        (data_points, unpriced_calls, total_tokens) in any::<(u64, u64, u64)>(),
        numbers in vec(of(finite()), 15),
        (avg_cost, total_cost, cost_coverage) in (of(money()), money(), coverage()),
        trend_direction in select(vec![TrendDirection::Improving, TrendDirection::Declining, TrendDirection::Stable, TrendDirection::InsufficientData]),
        (bottlenecks, optimization_suggestions) in (vec(finding(), 0..3), vec(advice(), 0..2)),
        (analysis_timestamp, changed) in (instant(), of((instant(), 1e-6..1e6_f64, 0.0..1e6_f64))),
        slope_interval_per_hour in of((finite(), finite())),
        measured in of((select(Measure::ALL.to_vec()), measure_trend())),
    ) -> PerformanceTrend {
        let changes = changed.into_iter().map(|(since, before, after)| LevelChange::new(since, before, after));
        PerformanceTrend {
            operation_type, time_period, data_points, avg_cost, total_cost, unpriced_calls, total_tokens,
            cost_coverage, trend_direction, bottlenecks, optimization_suggestions, analysis_timestamp, slope_interval_per_hour,
            changes: changes.collect(),
            measures: measured.into_iter().collect(),
            avg_duration: numbers[0], min_duration: numbers[1], max_duration: numbers[2], std_deviation: numbers[3],
            p50_duration: numbers[4], p90_duration: numbers[5], p95_duration: numbers[6], p99_duration: numbers[7],
            success_rate: numbers[8], error_rate: numbers[9], avg_tokens: numbers[10], trend_strength: numbers[11],
            slope_per_hour: numbers[12], change_percent: numbers[13], p_value: numbers[14],
        }
    }
}

prop_compose! {
    fn session()(
        id in name(),
        (started_at, ended_at) in (instant(), of(instant())),
        (operations, trends) in (vec(operation(), 0..4), vec(trend(), 0..2)),
        notes in vec(any::<String>(), 0..2),
        collected in btree_map(name(), any::<u64>(), 0..3),
        metadata in metadata(),
    ) -> Session {
        Session { id, started_at, ended_at, operations, trends, notes, collected, metadata }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn an_operation_is_read_as_it_was_written(operation in operation()) {
        let text = serde_json::to_string(&operation).unwrap();
        prop_assert_eq!(&serde_json::from_str::<OperationRecord>(&text).unwrap(), &operation);
        prop_assert_eq!(&serde_json::from_reader::<_, OperationRecord>(text.as_bytes()).unwrap(), &operation);
        let value = serde_json::to_value(&operation).unwrap();
        prop_assert_eq!(&serde_json::from_value::<OperationRecord>(value).unwrap(), &operation);
    }

    #[test]
    fn a_session_is_read_as_it_was_written(session in session()) {
        let text = serde_json::to_string_pretty(&session).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Session>(&text).unwrap(), &session);
        let value = serde_json::to_value(&session).unwrap();
        prop_assert_eq!(&serde_json::from_value::<Session>(value).unwrap(), &session);
    }

    #[test]
    fn the_totals_in_the_document_are_the_sums_of_its_parts(session in session()) {
        totals::check(&serde_json::to_value(&session).unwrap());
    }

    #[test]
    fn totals_of_a_document_are_computed_and_not_believed(session in session()) {
        let mut document = serde_json::to_value(&session).unwrap();
        for (key, value) in document.as_object_mut().unwrap() {
            if key.contains("total") || key.contains("avg") || key.ends_with("_operations") {
                *value = 0.into();
            }
        }
        let read: Session = serde_json::from_value(document).unwrap();
        prop_assert_eq!(read.totals(), session.totals());
    }
}

#[test]
fn a_failed_call_without_an_error_stays_one() {
    for status in [ToolStatus::Success, ToolStatus::Failure, ToolStatus::Timeout, ToolStatus::Error]
    {
        let call = ToolCall::new("web_search", status);
        let text = serde_json::to_string(&call).unwrap();
        assert_eq!(serde_json::from_str::<ToolCall>(&text).unwrap(), call);
    }
    let told = r#"{"tool_name": "x", "status": "error", "error_category": "network"}"#;
    let call: ToolCall = serde_json::from_str(told).unwrap();
    assert_eq!(call.error, Some(ErrorRecord::new(ErrorCategory::Network, "")));
    let told = r#"{"tool_name": "x", "status": "timeout", "error_message": "too long"}"#;
    let call: ToolCall = serde_json::from_str(told).unwrap();
    assert_eq!(call.error_category(), Some(ErrorCategory::Timeout));
}

#[test]
fn what_could_not_be_written_again_is_refused_with_words() {
    let document =
        |more: &str| format!(r#"{{"operation_name": "qa", "start_time": 1760001017.5, {more}}}"#);
    for (more, words) in [
        (r#""token_usage": {"input_tokens": 18446744073709551615, "output_tokens": 1}"#, "2^64"),
        (r#""total_duration": -0.5"#, "total_duration of -0.5 s"),
        (r#""total_duration": 7043626308441162.0"#, "longer than the 584 years"),
        (r#""component_timing": {"search": 2e10}"#, "search of 20000000000 s: longer"),
        (r#""start_time": 1e300"#, "duplicate field"),
    ] {
        let error =
            serde_json::from_str::<OperationRecord>(&document(more)).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn the_ends_of_the_calendar_are_read_again() {
    for at in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
        let mut session = Session::new("ends", at);
        session.operations.push(OperationRecord { started_at: at, ..OperationRecord::new("qa") });
        let text = serde_json::to_string(&session).unwrap();
        assert_eq!(serde_json::from_str::<Session>(&text).unwrap(), session, "{text}");
    }
}

mod original;
mod totals;
