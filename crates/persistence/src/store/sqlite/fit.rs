//! Whether a record can be written so that it is read again as it was.

use serde_json::Value;
use taximeter_models::{CostOutcome, LlmCall, Metadata, Money, OperationRecord, ReportedCost};

/// Readers of JSON stop at 128 levels, and a list of values is one of them.
const MOST_LEVELS: usize = 120;

/// What of a record could not be read again; none where all of it can.
pub(super) fn unfit(record: &OperationRecord) -> Option<&'static str> {
    let metadata = std::iter::once(&record.metadata)
        .chain(record.tool_calls.iter().map(|call| &call.metadata))
        .chain(record.llm_calls.iter().map(|call| &call.metadata));
    let mut metadata = metadata;
    if metadata.any(is_deep) {
        return Some("metadata that is nested more than 120 levels deep");
    }
    let at_edge = record.llm_calls.iter().any(is_at_edge);
    at_edge.then_some("an amount of money at the edge of its range")
}

fn is_deep(metadata: &Metadata) -> bool {
    metadata.values().any(|value| !is_within(value, MOST_LEVELS))
}

fn is_within(value: &Value, levels: usize) -> bool {
    let below = |value: &Value| levels > 0 && is_within(value, levels - 1);
    match value {
        Value::Array(list) => list.iter().all(below),
        Value::Object(map) => map.values().all(below),
        _ => true,
    }
}

/// The least amount that there is has no text.
fn is_at_edge(call: &LlmCall) -> bool {
    let is_least = |amount: Money| amount.ticks() == i128::MIN;
    match &call.cost {
        CostOutcome::ProviderReported(cost) | CostOutcome::Recorded(cost) => {
            let ReportedCost { total, input, output, .. } = *cost;
            [Some(total), input, output].into_iter().flatten().any(is_least)
        }
        other => other.estimate().is_some_and(|estimate| {
            estimate.lines.iter().any(|line| is_least(line.rate) || is_least(line.amount))
        }),
    }
}
