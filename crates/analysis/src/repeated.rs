//! Questions that were asked before: what a cache of answers could have saved.

use std::collections::HashSet;

use taximeter_models::{Finding, FindingKind, LlmCall, Name, OperationRecord, Rate};

use crate::Thresholds;
use crate::bottlenecks::worst;
use crate::thresholds::is_limit;

/// Whether these operations ask an LLM what they have asked it before.
///
/// A call that failed is left out: it gave nothing that a cache could keep, and the try after it is no waste.
pub(crate) fn repeated_calls(
    name: &Name,
    operations: &[&OperationRecord],
    thresholds: &Thresholds,
) -> Option<Finding> {
    let mut in_time = operations.to_vec();
    in_time.sort_by_key(|operation| (operation.started_at, operation.id));
    let mut seen = HashSet::new();
    let mut repeated = Rate::default();
    let mut repeating = Vec::new();
    for operation in in_time {
        let before = repeated.hits;
        for question in operation.llm_calls.iter().filter_map(question) {
            repeated.record(!seen.insert(question));
        }
        if repeated.hits > before {
            repeating.push((repeated.hits - before, operation));
        }
    }
    let share = repeated.fraction()?;
    let enough = repeated.of >= thresholds.repeated_minimum_calls && repeated.hits > 0;
    let stands_out =
        enough && is_limit(thresholds.repeated_share) && share >= thresholds.repeated_share;
    let kind = FindingKind::RepeatedCalls { repeated };
    stands_out.then(|| Finding::new(name, kind, worst(repeating)))
}

/// Who was asked what; none where that is not known.
fn question(call: &LlmCall) -> Option<(Option<&str>, &str, u64)> {
    let hash = call.arguments_hash.filter(|_| call.is_success())?;
    Some((call.provider.as_deref(), call.model(), hash))
}
