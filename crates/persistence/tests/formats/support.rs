//! What the tests share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::DateTime;
use proptest::prelude::*;
use serde_json::Value;
use taximeter_models::{
    CostOutcome, Currency, ErrorCategory, ErrorRecord, LlmCall, Money, OperationId,
    OperationRecord, Outcome, ReportedCost, TokenUsage, ToolCall, ToolStatus, Totals,
};
use taximeter_persistence::{Importer, Rejected};

/// A file or folder of the test data.
pub(crate) fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests-data").join(path)
}

/// Everything that an import gives.
pub(crate) fn all(importer: &mut Importer) -> (Vec<OperationRecord>, Vec<Rejected>) {
    let (mut records, mut rejected) = (Vec::new(), Vec::new());
    for item in importer {
        match item.unwrap() {
            Ok(record) => records.push(record),
            Err(refused) => rejected.push(refused),
        }
    }
    (records, rejected)
}

pub(crate) fn totals(records: &[OperationRecord]) -> Totals {
    Totals::of(records)
}

pub(crate) fn usage(records: &[OperationRecord]) -> TokenUsage {
    totals(records).usage
}

/// The operations of that name, in the order in which they began.
pub(crate) fn named<'a>(records: &'a [OperationRecord], name: &str) -> Vec<&'a OperationRecord> {
    let mut found: Vec<_> = records.iter().filter(|record| record.name == *name).collect();
    found.sort_by_key(|record| record.started_at);
    found
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..3).prop_map(Value::from_iter),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[=+@\\-a-z,\"\n]{0,8}", any::<String>()]
}

prop_compose! {
    /// An operation with some of everything.
    pub(crate) fn operation()(
        (name, id, parent, user) in (name(), 1..u128::MAX, any::<Option<u128>>(), prop::option::of(name())),
        (seconds, nanos, duration) in (0..4_000_000_000_i64, 0..1_000_000_000_u32, any::<u64>()),
        parts in prop::collection::vec((name(), any::<u64>(), any::<Option<u64>>()), 0..3),
        tokens in prop::option::of((0..1_u64 << 40, 0..1_u64 << 40, 0..1_u64 << 30)),
        money in prop::option::of(-(1_i128 << 90)..1 << 90),
        outcome in prop::sample::select(vec![Outcome::Success, Outcome::Failure, Outcome::Abandoned]),
        (metadata, tags) in (
            prop::collection::btree_map(any::<String>(), value(), 0..3),
            prop::collection::btree_map(any::<String>(), any::<String>(), 0..3),
        ),
        (errors, unlisted) in (prop::collection::vec(name(), 0..2), any::<u32>()),
    ) -> OperationRecord {
        let mut operation = OperationRecord::new(name);
        operation.id = OperationId::from_bits(id);
        operation.trace_id = operation.id.into();
        operation.parent = parent.map(OperationId::from_bits);
        operation.remote_parent = parent.map(|parent| OperationId::from_bits(parent).span_id());
        operation.started_at = DateTime::from_timestamp(seconds, nanos).unwrap();
        operation.duration = Duration::from_nanos(duration);
        operation.outcome = outcome;
        operation.user = user.map(Into::into);
        for (name, nanos, hash) in parts {
            operation.add_component(name.clone(), Duration::from_nanos(nanos));
            let mut call = ToolCall::new(name.clone(), ToolStatus::Failure).failed_with(ErrorCategory::Parse, name);
            call.arguments_hash = hash;
            operation.tool_calls.push(call);
        }
        if let Some((input, output, read)) = tokens {
            let usage = TokenUsage::exclusive(input, output).cache_read(read).build().unwrap();
            let mut call = LlmCall::new("openai", "gpt-4o").using(usage);
            if let Some(ticks) = money {
                call.cost = CostOutcome::Recorded(ReportedCost {
                    total: Money::from_ticks(ticks),
                    input: None,
                    output: None,
                    currency: Currency::USD,
                });
            }
            operation.llm_calls.push(call);
        }
        operation.errors = errors.into_iter().map(|said| ErrorRecord::new(ErrorCategory::Server, said)).collect();
        operation.unlisted_errors = u64::from(unlisted);
        operation.metadata = metadata;
        operation.tags = tags;
        operation
    }
}
