//! Arbitrary records, with everything that a record can hold.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;
use taximeter_models::*;

fn name() -> impl Strategy<Value = Name> {
    // Few names, so that some meet, and any text besides.
    prop_oneof![
        4 => select(vec!["a", "b", "größe 🚕", ""]).prop_map(Name::from),
        1 => any::<String>().prop_map(Name::from)
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
    let key = prop_oneof![select(vec!["k", "url"]).prop_map(String::from), any::<String>()];
    btree_map(key, value, 0..3)
}

/// Mostly instants of a few days, so that time ranges divide them, and now and then any that there is.
pub(crate) fn instant() -> impl Strategy<Value = DateTime<Utc>> {
    let seconds = prop_oneof![
        12 => 1_760_000_000..1_760_200_000_i64,
        1 => -8_334_601_228_800..8_210_266_876_799_i64,
    ];
    let nanos = prop_oneof![8 => 0..1_000_000_000_u32, 1 => 0..2_000_000_000_u32];
    (seconds, nanos).prop_filter_map("a leap second ends a minute", |(seconds, nanos)| {
        DateTime::from_timestamp(seconds, nanos)
    })
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![8 => 0..100_000_000_000_u64, 1 => 0..u64::MAX].prop_map(Duration::from_nanos)
}

fn money() -> impl Strategy<Value = Money> {
    (-(1_i128 << 90)..1 << 90).prop_map(Money::from_ticks)
}

fn currency() -> impl Strategy<Value = Currency> {
    select(vec![Currency::USD, Currency::USD, "EUR".parse().unwrap()])
}

fn usage() -> impl Strategy<Value = TokenUsage> {
    let plain = (0..10_000_u64, 0..10_000_u64).prop_map(|(i, o)| TokenUsage::new(i, o));
    let buckets = btree_map(select(Unit::ALL), 0..1_u64 << 40, 0..8);
    let any = buckets
        .prop_filter_map("reasoning is within the output", |buckets| buckets.try_into().ok());
    prop_oneof![2 => plain, 1 => any]
}

prop_compose! {
    fn error()(category in select(ErrorCategory::ALL), message: String, causes in vec(any::<String>(), 0..3), component in of(name())) -> ErrorRecord {
        let mut error = ErrorRecord::new(category, message);
        error.causes = causes;
        error.component = component;
        error
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
        valid_from in of(0..2_000_000_000_i64),
        basis in select(vec![CardBasis::Documented, CardBasis::SourceCommit, CardBasis::FirstObserved, CardBasis::Unknown, CardBasis::Override]),
        checked_on in of(0..2_000_000_000_i64),
    ) -> RateCardRef {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        RateCardRef { provider, model, valid_from: valid_from.map(at), basis, source, checked_on: checked_on.map(|seconds| at(seconds).date_naive()) }
    }
}

prop_compose! {
    fn estimate()(
        currency in currency(),
        lines in vec(line(), 0..4),
        card in card(),
        match_kind in select(vec![MatchKind::Exact, MatchKind::Alias, MatchKind::ProviderFallback]),
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
        of(0..2_000_000_000_i64).prop_map(|first| CostOutcome::NoPriceAt {
            first: first.and_then(|first| DateTime::from_timestamp(first, 0))
        }),
        (estimate(), vec((select(Unit::ALL), any::<u64>()), 0..3))
            .prop_map(|(priced, missing)| CostOutcome::PartlyUnpriced { priced, missing }),
        any::<String>().prop_map(|why| CostOutcome::InvalidUsage { why }),
        Just(CostOutcome::NoUsage),
    ]
}

/// The price of plain tokens, as the price book gives it: its numbers follow from the usage.
fn plain_cost(usage: &TokenUsage) -> CostOutcome {
    let line = |unit, rate: &str| {
        let (rate, quantity): (Money, u64) = (rate.parse().unwrap(), usage.get(unit));
        let amount = Money::from_ticks(rate.ticks() / 1_000_000 * i128::from(quantity));
        CostLine { unit, quantity, rate, per: 1_000_000, multiplier: None, billed_as: None, amount }
    };
    CostOutcome::Priced(Box::new(CostEstimate {
        currency: Currency::USD,
        lines: vec![line(Unit::Input, "2.5"), line(Unit::Output, "10")],
        card: Arc::new(RateCardRef {
            provider: "openai".into(),
            model: "gpt-4o".into(),
            valid_from: None,
            basis: CardBasis::Documented,
            source: "a page".into(),
            checked_on: None,
        }),
        match_kind: MatchKind::Exact,
        tier: None,
        provider_inferred: false,
        region_assumed: None,
        context_ignored: vec![],
    }))
}

prop_compose! {
    fn llm_call()(
        (provider, request_model, response_model) in (of(name()), of(name()), of(name())),
        (usage, cost, plain) in (of(usage()), cost(), any::<bool>()),
        (finish_reason, served_tier) in (of(name()), of(name())),
        (started_at, duration, first) in (of(instant()), of(duration()), of(duration())),
        (streamed, attempt) in (any::<bool>(), prop_oneof![Just(1), any::<u32>()]),
        served_as in btree_map(name(), name(), 0..2),
        (prefix, arguments, context_window) in any::<(Option<u64>, Option<u64>, Option<u64>)>(),
        error in of(error()),
        metadata in metadata(),
    ) -> LlmCall {
        let mut call = LlmCall::default();
        call.provider = provider;
        call.request_model = request_model;
        call.response_model = response_model;
        call.cost = match (&usage, plain) { (Some(usage), true) => plain_cost(usage), _ => cost };
        call.usage = usage;
        call.finish_reason = finish_reason;
        call.served_tier = served_tier;
        call.started_at = started_at;
        call.duration = duration;
        call.time_to_first_token = first;
        call.streamed = streamed;
        call.attempt = attempt;
        call.served_as = served_as;
        call.prompt_prefix_hash = prefix;
        call.arguments_hash = arguments;
        call.context_window = context_window;
        call.error = error;
        call.metadata = metadata;
        call
    }
}

prop_compose! {
    fn tool_call()(
        name in name(),
        status in select(vec![ToolStatus::Success, ToolStatus::Failure, ToolStatus::Timeout, ToolStatus::Error]),
        (started_at, duration) in (of(instant()), of(duration())),
        (error, attempt, arguments) in (of(error()), prop_oneof![Just(1), any::<u32>()], any::<Option<u64>>()),
        metadata in metadata(),
    ) -> ToolCall {
        let mut call = ToolCall::new(name, status).attempt(attempt);
        call.started_at = started_at;
        call.duration = duration;
        call.error = error;
        call.arguments_hash = arguments;
        call.metadata = metadata;
        call
    }
}

prop_compose! {
    fn component()(name in name(), offset in of(duration()), duration in duration(), count in prop_oneof![Just(1), any::<u64>()]) -> ComponentTiming {
        ComponentTiming { name, offset, duration, count }
    }
}

prop_compose! {
    pub(crate) fn record()(
        // Few ids, so that some are offered again.
        id in prop_oneof![3 => 0..200_u128, 1 => any::<u128>()],
        (name, parent, remote, trace) in (name(), of(any::<u128>()), of(any::<u64>()), of(any::<u128>())),
        (started_at, duration) in (instant(), duration()),
        components in vec(component(), 0..4),
        tool_calls in vec(tool_call(), 0..3),
        llm_calls in vec(llm_call(), 0..3),
        outcome in select(vec![Outcome::Success, Outcome::Failure, Outcome::Abandoned]),
        (errors, warnings) in (vec(error(), 0..2), vec((any::<String>(), of(name())), 0..2)),
        (unlisted_errors, unlisted_warnings) in (prop_oneof![Just(0), any::<u64>()], prop_oneof![Just(0), any::<u64>()]),
        (user, session) in (of(name()), of(name())),
        tags in btree_map(select(vec!["team", "x"]).prop_map(String::from), name().prop_map(|name| name.to_string()), 0..2),
        metadata in metadata(),
    ) -> OperationRecord {
        let mut record = OperationRecord::new(name);
        record.id = OperationId::from_bits(id);
        record.parent = parent.map(OperationId::from_bits);
        record.remote_parent = remote.map(SpanId::from_bits);
        record.trace_id = trace.map_or_else(|| record.id.into(), TraceId::from_bits);
        record.started_at = started_at;
        record.duration = duration;
        record.components = components;
        record.tool_calls = tool_calls;
        record.llm_calls = llm_calls;
        record.outcome = outcome;
        record.errors = errors;
        record.warnings = warnings.into_iter().map(|(message, component)| Warning { message, component }).collect();
        record.unlisted_errors = unlisted_errors;
        record.unlisted_warnings = unlisted_warnings;
        record.user = user;
        record.session = session;
        record.tags = tags;
        record.metadata = metadata;
        record
    }
}

/// A query of any kind.
pub(crate) fn query() -> impl Strategy<Value = taximeter_persistence::store::Query> {
    use taximeter_persistence::store::{Condition, Order, Query};
    let condition = prop_oneof![
        name().prop_map(Condition::Operation),
        name().prop_map(Condition::User),
        name().prop_map(Condition::Session),
        (select(vec!["team", "x"]), name())
            .prop_map(|(key, value)| Condition::Tag(key.into(), value)),
        select(vec![Value::Null, Value::Bool(true)])
            .prop_map(|value| Condition::Metadata("k".into(), value)),
        select(vec![Outcome::Success, Outcome::Failure, Outcome::Abandoned])
            .prop_map(Condition::Outcome),
        name().prop_map(Condition::Tool),
        name().prop_map(Condition::Provider),
        name().prop_map(Condition::Llm),
        name().prop_map(Condition::Component),
        select(ErrorCategory::ALL).prop_map(Condition::Error),
        (0..100_000_000_000_u64).prop_map(Condition::AtLeastNanos),
    ];
    let order =
        select(vec![Order::OldestFirst, Order::NewestFirst, Order::Slowest, Order::Dearest]);
    (of(instant()), of(instant()), vec(condition, 0..2), order, of(0..8_usize)).prop_map(
        |(since, until, conditions, order, limit)| {
            let mut query = Query::default().order(order);
            query.since = since;
            query.until = until;
            query.conditions = conditions;
            query.limit = limit;
            query
        },
    )
}

/// Tags of a record as a map of names: for sums by tag.
pub(crate) fn tags(record: &OperationRecord) -> BTreeMap<Name, Name> {
    record.tags.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect()
}
