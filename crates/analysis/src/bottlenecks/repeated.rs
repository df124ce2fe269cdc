//! Questions that were asked before: what a cache of answers could have saved.

use std::collections::HashSet;

use taximeter_models::{Finding, FindingKind, LlmCall, Name, OperationRecord, Rate};

use super::waste::{Waste, spent};
use crate::Thresholds;
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
    let mut waste = Waste::default();
    for operation in in_time {
        for (call, question) in operation.llm_calls.iter().filter_map(question) {
            let again = !seen.insert(question);
            repeated.record(again);
            if again {
                let (time, usd) = spent(call);
                waste.add(operation, time, usd);
            }
        }
    }
    let share = repeated.fraction()?;
    let enough = repeated.of >= thresholds.repeated_minimum_calls && repeated.hits > 0;
    let stands_out =
        enough && is_limit(thresholds.repeated_share) && share >= thresholds.repeated_share;
    let kind = FindingKind::RepeatedCalls { repeated };
    stands_out.then(|| waste.finding(name, kind, operations))
}

/// Who is asked: the provider, the LLM, and the hash of the arguments.
pub(crate) type Question<'a> = (Option<&'a str>, &'a str, u64);

/// A call, and who was asked what; none where that is not known.
pub(crate) fn question(call: &LlmCall) -> Option<(&LlmCall, Question<'_>)> {
    let hash = call.arguments_hash.filter(|_| call.is_success())?;
    Some((call, (call.provider.as_deref(), call.model(), hash)))
}
