//! Why operations take longer: which of their parts, and whose.

use std::collections::BTreeMap;

use taximeter_models::OperationRecord;

use super::{DurationChange, PartChange, drivers};
use crate::time::{Part, TimeSplit, time_spent};

/// Why the operations of one name take longer in the second of two periods, or less long; none where a period has none.
///
/// The parts are those of the critical path ([`time_spent`](crate::time_spent)), and sum to the change of the mean
/// duration. The drivers are found as in [`why_cost`](crate::why_cost), in the parts that the operations of each key have
/// of the mean duration; they too sum to it.
///
/// ```
/// use std::time::Duration;
/// use taximeter_analysis::why_duration;
/// use taximeter_models::OperationRecord;
///
/// let answer = |search, llm| {
///     let mut answer = OperationRecord::new("answer");
///     answer.duration = Duration::from_millis(search + llm + 50);
///     answer.add_component("vector_search", Duration::from_millis(search));
///     answer.add_component("llm_inference", Duration::from_millis(llm));
///     answer
/// };
/// let change = why_duration(&[answer(100, 800)], &[answer(400, 810)], "answer").unwrap();
/// assert_eq!(change.parts[0].part.to_string(), "vector_search");
/// assert!((change.parts[0].change_seconds - 0.3).abs() < 1e-9);
/// assert!(why_duration(&[answer(100, 800)], &[], "answer").is_none());
/// ```
pub fn why_duration<'a>(
    before: impl IntoIterator<Item = &'a OperationRecord>,
    after: impl IntoIterator<Item = &'a OperationRecord>,
    operation_name: &str,
) -> Option<DurationChange> {
    let (before, after): (Vec<_>, Vec<_>) =
        (before.into_iter().collect(), after.into_iter().collect());
    let first = time_spent(before.iter().copied(), operation_name)?.all;
    let second = time_spent(after.iter().copied(), operation_name)?.all;
    let own = |operations: &[&'a OperationRecord]| {
        let mut own = operations.to_vec();
        own.retain(|operation| operation.name == *operation_name);
        // Sums of floats depend on their order; the answers must not.
        own.sort_unstable_by_key(|operation| (operation.duration, operation.id));
        own
    };
    Some(DurationChange {
        operation: operation_name.into(),
        operations_before: first.operations,
        operations_after: second.operations,
        before_seconds: first.mean_seconds,
        after_seconds: second.mean_seconds,
        parts: parts(&first, &second),
        drivers: drivers::of_duration(&own(&before), &own(&after)),
    })
}

fn parts(first: &TimeSplit, second: &TimeSplit) -> Vec<PartChange> {
    let mut seconds = BTreeMap::<&Part, (f64, f64)>::new();
    for part in &first.parts {
        seconds.entry(&part.part).or_default().0 = part.critical_seconds;
    }
    for part in &second.parts {
        seconds.entry(&part.part).or_default().1 = part.critical_seconds;
    }
    let change = |(part, (before, after)): (&Part, (f64, f64))| PartChange {
        part: part.clone(),
        before_seconds: before,
        after_seconds: after,
        change_seconds: after - before,
    };
    let mut parts: Vec<PartChange> = seconds.into_iter().map(change).collect();
    parts.sort_by(|left, right| right.change_seconds.abs().total_cmp(&left.change_seconds.abs()));
    parts
}
