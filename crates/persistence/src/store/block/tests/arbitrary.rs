//! Records of every kind.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use taximeter_models::{
    CardBasis, ComponentTiming, CostEstimate, CostLine, CostOutcome, Currency, ErrorCategory,
    ErrorRecord, FreeReason, LlmCall, MatchKind, Metadata, Money, Name, OperationId,
    OperationRecord, Outcome, RateCardRef, ReportedCost, SpanId, TierHit, TokenUsage, ToolCall,
    ToolStatus, TraceId, Unit, Warning,
};

pub(super) fn records() -> impl Strategy<Value = Vec<OperationRecord>> {
    vec(record(), 0..12)
}

/// Short texts of which some come again, and arbitrary ones.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ab]{0,2}", "https://example.org/[0-9]{1,6}", "\\PC{0,12}"]
}

fn name() -> impl Strategy<Value = Name> {
    text().prop_map(Name::from)
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        4 => (0..10_000_000_000_u64).prop_map(Duration::from_nanos),
        1 => any::<Duration>(),
        1 => Just(Duration::MAX),
        1 => Just(Duration::from_nanos(u64::MAX)),
    ]
}

fn moment() -> impl Strategy<Value = DateTime<Utc>> {
    let extremes = [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC, DateTime::UNIX_EPOCH];
    let leap = DateTime::from_timestamp(59, 1_500_000_000).expect("a leap second");
    prop_oneof![
        4 => (0..1_000_000_000_000_i64).prop_map(|ns| base() + TimeDelta::nanoseconds(ns)),
        1 => any::<i64>().prop_map(DateTime::from_timestamp_nanos),
        1 => select(extremes.to_vec()),
        1 => Just(leap),
    ]
}

fn base() -> DateTime<Utc> {
    "2026-11-24T12:00:00Z".parse().expect("a moment")
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (0..5_u64).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0..5_u8).prop_map(|number| Value::from(f64::from(number) / 2.0)),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(text(), inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn metadata() -> impl Strategy<Value = Metadata> {
    prop_oneof![Just(Metadata::new()), btree_map("[a-d]{0,2}", value(), 0..5)]
}

fn error() -> impl Strategy<Value = ErrorRecord> {
    (select(ErrorCategory::ALL), text(), vec(text(), 0..3), option::of(name())).prop_map(
        |(category, message, causes, component)| {
            let mut error = ErrorRecord::new(category, message);
            (error.causes, error.component) = (causes, component);
            error
        },
    )
}

fn component() -> impl Strategy<Value = ComponentTiming> {
    let count = prop_oneof![Just(1), any::<u64>()];
    (name(), option::of(duration()), duration(), count).prop_map(
        |(name, offset, duration, count)| ComponentTiming { name, offset, duration, count },
    )
}

fn tool() -> impl Strategy<Value = ToolCall> {
    let status = select(vec![
        ToolStatus::Success,
        ToolStatus::Failure,
        ToolStatus::Timeout,
        ToolStatus::Error,
    ]);
    let times = (option::of(moment()), option::of(duration()));
    let rest = (option::of(error()), any::<u32>(), option::of(any::<u64>()), metadata());
    (name(), status, times, rest).prop_map(|(name, status, (start, duration), rest)| {
        let mut call = ToolCall::new(name, status);
        (call.started_at, call.duration) = (start, duration);
        (call.error, call.attempt, call.arguments_hash, call.metadata) = rest;
        call
    })
}

fn usage() -> impl Strategy<Value = TokenUsage> {
    let count = prop_oneof![0..5_000_u64, any::<u64>()];
    let buckets = btree_map(select(Unit::ALL), count, 0..6);
    // The sum of two usages may have a total above 64 bits, which no single one has.
    let plain = buckets.prop_map(|buckets| TokenUsage::try_from(buckets).unwrap_or_default());
    (plain.clone(), plain).prop_map(|(mut usage, more)| {
        usage += &more;
        usage
    })
}

fn money() -> impl Strategy<Value = Money> {
    prop_oneof![
        Just(Money::ZERO),
        (0..1_000_000_i128)
            .prop_map(|micros| Money::from_ticks(micros * 9_000_000_000_000_000_000)),
        ((i128::MIN + 1)..=i128::MAX).prop_map(Money::from_ticks),
        // A third is no finite decimal.
        (1..1_000_i128).prop_map(|n| Money::from_ticks(n * Money::TICKS_PER_UNIT / 3_600)),
    ]
}

fn line() -> impl Strategy<Value = CostLine> {
    let per = select(vec![1_u64, 1_000_000, 3_600, 0]);
    let multiplier = option::of((0..20_u64, 0..20_u64));
    (
        select(Unit::ALL),
        any::<u16>(),
        money(),
        per,
        multiplier,
        option::of(select(Unit::ALL)),
        money(),
    )
        .prop_map(|(unit, quantity, rate, per, multiplier, billed_as, amount)| CostLine {
            unit,
            quantity: quantity.into(),
            rate,
            per,
            multiplier,
            billed_as,
            amount,
        })
}

/// A line as a price book makes it.
fn billed(unit: Unit, quantity: u64, micros: i128) -> CostLine {
    let each = micros * Money::TICKS_PER_UNIT / 1_000_000_000_000;
    CostLine {
        unit,
        quantity,
        rate: Money::from_ticks(each * 1_000_000),
        per: 1_000_000,
        multiplier: None,
        billed_as: None,
        amount: Money::from_ticks(each * i128::from(quantity)),
    }
}

fn card() -> impl Strategy<Value = RateCardRef> {
    (text(), option::of(moment()), any::<bool>()).prop_map(|(model, valid_from, checked)| {
        RateCardRef {
            provider: "openai".into(),
            model: model.into(),
            valid_from,
            basis: CardBasis::SourceCommit,
            source: "https://example.org/prices".into(),
            checked_on: checked.then(|| NaiveDate::from_ymd_opt(2026, 11, 1).expect("a day")),
        }
    })
}

fn estimate(usage: Option<TokenUsage>) -> impl Strategy<Value = CostEstimate> {
    let derived = usage.into_iter().flat_map(|usage| {
        let lines: Vec<CostLine> = usage
            .iter()
            .filter(|(_, count)| *count < 1 << 40)
            .map(|(unit, count)| billed(unit, count, 2_500_000))
            .collect();
        lines
    });
    let derived: Vec<CostLine> = derived.collect();
    let lines = prop_oneof![Just(derived), vec(line(), 0..4)];
    let tier = option::of((name(), any::<u64>(), any::<u64>()));
    let rest = (tier, any::<bool>(), option::of(name()), vec(name(), 0..2));
    (lines, card(), rest).prop_map(|(lines, card, (tier, inferred, region, ignored))| {
        CostEstimate {
            currency: if inferred { Currency::USD } else { "CNY".parse().expect("a currency") },
            lines,
            card: card.into(),
            match_kind: MatchKind::Alias,
            tier: tier.map(|(metric, bound, value)| TierHit { metric, bound, value }),
            provider_inferred: inferred,
            region_assumed: region,
            context_ignored: ignored,
        }
    })
}

fn reported() -> impl Strategy<Value = ReportedCost> {
    let currency = select(vec![Currency::USD, "EUR".parse().expect("a currency")]);
    (money(), option::of(money()), option::of(money()), currency).prop_map(
        |(total, input, output, currency)| ReportedCost { total, input, output, currency },
    )
}

fn cost(usage: Option<TokenUsage>) -> impl Strategy<Value = CostOutcome> {
    let missing = vec((select(Unit::ALL), any::<u64>()), 1..3);
    let partly = (estimate(usage.clone()), missing).prop_map(|(priced, missing)| {
        CostOutcome::PartlyUnpriced { priced: Box::new(priced), missing }
    });
    prop_oneof![
        Just(CostOutcome::Pending),
        estimate(usage).prop_map(|cost| CostOutcome::Priced(Box::new(cost))),
        select(vec![FreeReason::Local, FreeReason::Listed])
            .prop_map(|reason| CostOutcome::Free { reason }),
        reported().prop_map(CostOutcome::ProviderReported),
        reported().prop_map(CostOutcome::Recorded),
        option::of(name()).prop_map(|provider| CostOutcome::UnknownProvider { provider }),
        vec(name(), 0..3).prop_map(|nearest| CostOutcome::UnknownModel { nearest }),
        option::of(moment()).prop_map(|first| CostOutcome::NoPriceAt { first }),
        partly,
        text().prop_map(|why| CostOutcome::InvalidUsage { why }),
        Just(CostOutcome::NoUsage),
    ]
}

fn llm() -> impl Strategy<Value = LlmCall> {
    let names = [(); 5].map(|()| option::of(name()));
    let times = (option::of(moment()), option::of(duration()), option::of(duration()));
    let hashes = (option::of(any::<u64>()), option::of(any::<u64>()), option::of(any::<u64>()));
    let usage = option::of(usage());
    let priced = usage.prop_flat_map(|usage| (Just(usage.clone()), cost(usage)));
    let rest = (
        any::<bool>(),
        any::<u32>(),
        btree_map(name(), name(), 0..3),
        option::of(error()),
        metadata(),
    );
    (names, times, hashes, priced, rest).prop_map(|(names, times, hashes, (usage, cost), rest)| {
        let mut call = LlmCall::default();
        [
            call.provider,
            call.request_model,
            call.response_model,
            call.finish_reason,
            call.served_tier,
        ] = names;
        (call.started_at, call.duration, call.time_to_first_token) = times;
        (call.prompt_prefix_hash, call.arguments_hash, call.context_window) = hashes;
        (call.usage, call.cost) = (usage, cost);
        (call.streamed, call.attempt, call.served_as, call.error, call.metadata) = rest;
        call
    })
}

/// Ids of a collector, of other sources, and relations between them.
fn record() -> impl Strategy<Value = OperationRecord> {
    let id = prop_oneof![any::<u128>(), (0..4_u128).prop_map(|n| 7 << 76 | 0b10 << 62 | n)];
    let remote = option::of(any::<u64>().prop_map(SpanId::from_bits));
    let relations = (id, option::of(any::<u128>()), remote, 0..3_u8, any::<u128>());
    let outcome = select(vec![Outcome::Success, Outcome::Failure, Outcome::Abandoned]);
    let times = (moment(), duration(), outcome);
    let parts = (vec(component(), 0..4), vec(tool(), 0..3), vec(llm(), 0..3));
    let warnings = vec((text(), option::of(name())), 0..2);
    let failures = (vec(error(), 0..3), warnings, 0..3_u64, any::<u64>());
    let keys =
        (option::of(name()), option::of(name()), btree_map("[a-c]{0,2}", text(), 0..3), metadata());
    (name(), relations, times, parts, failures, keys).prop_map(
        |(name, (id, parent, remote, kind, trace), times, parts, failures, keys)| {
            let mut record = OperationRecord::new(name);
            record.id = OperationId::from_bits(id);
            record.parent = parent.map(OperationId::from_bits);
            record.remote_parent = remote;
            record.trace_id = match (kind, record.parent) {
                (0, _) => record.id.into(),
                (1, Some(parent)) => parent.into(),
                _ => TraceId::from_bits(trace),
            };
            (record.started_at, record.duration, record.outcome) = times;
            (record.components, record.tool_calls, record.llm_calls) = parts;
            let (errors, warnings, unlisted_errors, unlisted_warnings) = failures;
            let warning = |(message, component)| Warning { message, component };
            record.errors = errors;
            record.warnings = warnings.into_iter().map(warning).collect();
            (record.unlisted_errors, record.unlisted_warnings) =
                (unlisted_errors, unlisted_warnings);
            (record.user, record.session, record.tags, record.metadata) = keys;
            record
        },
    )
}

/// A record with something in every field.
pub(super) fn full() -> OperationRecord {
    let mut record = OperationRecord::new("qa_response");
    record.id = "0193a1b2-c3d4-7abc-8def-0123456789ab".parse().expect("an id");
    record.trace_id = TraceId::from_bits(u128::MAX);
    record.parent = Some(OperationId::from_bits(9));
    record.remote_parent = Some(SpanId::from_bits(10));
    record.started_at = base();
    record.duration = Duration::from_millis(1_500);
    record.outcome = Outcome::Failure;
    record.user = Some("ünal".into());
    record.session = Some("s".into());
    record.tags.insert("env".into(), "prod".into());
    (record.unlisted_errors, record.unlisted_warnings) = (3, 4);
    record.metadata = [
        ("null", Value::Null),
        ("true", json!(true)),
        ("false", json!(false)),
        ("text", json!("t")),
        ("float", json!(0.1)),
        ("least", json!(i64::MIN)),
        ("most", json!(u64::MAX)),
        ("nested", json!([{"a": [1.5, true, false, null]}, "text", ""])),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    record.add_component("llm", Duration::from_millis(3));
    record.components.push(ComponentTiming {
        name: "late".into(),
        offset: Some(Duration::from_nanos(7)),
        duration: Duration::MAX,
        count: 300,
    });
    let mut tool = ToolCall::new("search", ToolStatus::Timeout).attempt(u32::MAX).with("k", -1);
    tool.started_at = Some(base() + TimeDelta::milliseconds(5));
    tool.error = Some(ErrorRecord::new(ErrorCategory::Timeout, "slow").within("net"));
    tool.arguments_hash = Some(u64::MAX);
    tool.duration = Some(Duration::from_nanos(8));
    record.tool_calls = vec![tool, ToolCall::new("", ToolStatus::Failure)];
    record.llm_calls = vec![full_llm(), LlmCall::default()];
    let mut error = ErrorRecord::new(ErrorCategory::Unknown, "it\nfailed");
    error.causes = vec!["because".into(), String::new()];
    record.errors.push(error);
    record.warnings.push(Warning { message: "w".into(), component: Some("llm".into()) });
    record
}

fn full_llm() -> LlmCall {
    let mut llm =
        LlmCall::new("openai", "gpt-4o").lasting(Duration::from_secs(2)).served_as("region", "eu");
    let usage = TokenUsage::inclusive(1_200, 350).cache_read(200).unit(Unit::Request, 1);
    llm.usage = Some(usage.reasoning(50).build().expect("a usage"));
    llm.cost = CostOutcome::PartlyUnpriced {
        priced: Box::new(CostEstimate {
            currency: Currency::USD,
            lines: vec![
                billed(Unit::Input, 1_000, 2_500_000),
                billed(Unit::Output, 300, 10_000_000),
                billed(Unit::Reasoning, 50, 10_000_000),
                CostLine { amount: Money::from_ticks(1), ..billed(Unit::CacheRead, 7, 3) },
            ],
            card: RateCardRef {
                provider: "openai".into(),
                model: "gpt-4o".into(),
                valid_from: Some(base()),
                basis: CardBasis::Documented,
                source: "s".into(),
                checked_on: None,
            }
            .into(),
            match_kind: MatchKind::Exact,
            tier: Some(TierHit { metric: "prompt_tokens".into(), bound: 1_000, value: 1_200 }),
            provider_inferred: false,
            region_assumed: Some("us".into()),
            context_ignored: vec!["mode=x".into()],
        }),
        missing: vec![(Unit::Request, 1), (Unit::WebSearch, 4)],
    };
    (llm.streamed, llm.attempt) = (true, 2);
    (llm.served_tier, llm.finish_reason) = (Some("flex".into()), Some("stop".into()));
    (llm.prompt_prefix_hash, llm.arguments_hash) = (Some(1), Some(2));
    (llm.context_window, llm.time_to_first_token) = (Some(128_000), Some(Duration::from_millis(7)));
    llm.response_model = Some("gpt-4o-2024-08-06".into());
    llm.started_at = Some(DateTime::<Utc>::MAX_UTC);
    llm.error = Some(ErrorRecord::new(ErrorCategory::Server, "503"));
    llm.metadata.insert("k".into(), json!({"a": 1}));
    llm
}

/// A record with every category, unit and status.
pub(super) fn every_kind() -> OperationRecord {
    let mut record = OperationRecord::new("all");
    let errors = ErrorCategory::ALL.iter().map(|category| ErrorRecord::new(*category, "e"));
    record.errors = errors.collect();
    for unit in Unit::ALL {
        let mut call = LlmCall::default();
        call.usage = TokenUsage::try_from(BTreeMap::from([(Unit::Output, 9), (*unit, 9)])).ok();
        record.llm_calls.push(call);
    }
    for status in [ToolStatus::Success, ToolStatus::Failure, ToolStatus::Timeout, ToolStatus::Error]
    {
        record.tool_calls.push(ToolCall::new("t", status));
    }
    record
}
