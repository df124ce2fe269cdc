//! Single operations that took much longer than others of their name.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use taximeter_models::{Name, OperationId, OperationRecord};

use super::{AnomalyConfig, Judge, NEED};
use crate::statistics::tails::Tails;

/// An operation that took out of the ordinary long.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SlowOperation {
    /// The operation.
    pub id: OperationId,
    /// Its name.
    pub name: Name,
    /// When it began.
    pub at: DateTime<Utc>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// How long one of its name takes: the median, in seconds.
    pub expected_seconds: f64,
    /// Up to so many seconds it would be none to wonder at.
    pub high_seconds: f64,
    /// The distance from the median in robust deviations, of logarithms.
    pub modified_z: f64,
    /// How likely one so slow is by chance among **all** operations that were looked at.
    pub p_value: f64,
    /// So many operations of its name were looked at.
    pub of: usize,
}

/// Operations that took out of the ordinary long, the most surprising first. A name with fewer than 20 operations has none.
///
/// Durations are compared by their logarithm with those of the same name, by the rule of [`anomalies`](super::anomalies()):
/// the modified z-score must be above `limit`, and a duration so long must come less often than `alpha` by chance among
/// all operations, with tails as heavy as the durations of that name have. So where one in a hundred calls always takes ten
/// times as long, those are no alarm.
///
/// ```
/// use std::time::Duration;
/// use taximeter_analysis::{AnomalyConfig, slow_operations};
/// use taximeter_models::OperationRecord;
///
/// let mut operations = vec![OperationRecord::new("qa_response"); 100];
/// for (at, operation) in (0..).zip(&mut operations) {
///     operation.duration = Duration::from_millis(1_000 + at * 37 % 500);
/// }
/// assert!(slow_operations(&operations, &AnomalyConfig::default()).is_empty());
/// operations[17].duration = Duration::from_secs(60);
/// let found = slow_operations(&operations, &AnomalyConfig::default());
/// assert_eq!((found.len(), found[0].seconds), (1, 60.0));
/// assert!(found[0].high_seconds < 10.0);
/// ```
pub fn slow_operations<'a>(
    operations: impl IntoIterator<Item = &'a OperationRecord>,
    config: &AnomalyConfig,
) -> Vec<SlowOperation> {
    let mut by_name = BTreeMap::<&Name, Vec<&OperationRecord>>::new();
    for operation in operations {
        by_name.entry(&operation.name).or_default().push(operation);
    }
    by_name.retain(|_, own| own.len() >= NEED);
    let all = by_name.values().map(Vec::len).sum();
    let mut found: Vec<_> = by_name.values().flat_map(|own| slow(own, all, config)).collect();
    found.sort_by(|one, other| {
        let surprise = one.p_value.total_cmp(&other.p_value);
        let longer = || other.seconds.total_cmp(&one.seconds);
        surprise.then_with(longer).then_with(|| (one.at, one.id).cmp(&(other.at, other.id)))
    });
    found
}

fn slow(own: &[&OperationRecord], all: usize, config: &AnomalyConfig) -> Vec<SlowOperation> {
    let Some(tails) = Tails::of(own.iter().map(|operation| logarithm(operation)).collect()) else {
        return Vec::new();
    };
    let judge = Judge::new(tails, config, all, 1.0);
    let longer = own.iter().filter(|operation| logarithm(operation) > tails.median);
    let slow = |operation: &&OperationRecord| {
        let p_value = judge.alarm(logarithm(operation))?;
        Some(SlowOperation {
            id: operation.id,
            name: operation.name.clone(),
            at: operation.started_at,
            seconds: operation.duration.as_secs_f64(),
            expected_seconds: seconds(tails.median),
            high_seconds: seconds(judge.range().1),
            modified_z: tails.modified_z(logarithm(operation)),
            p_value,
            of: own.len(),
        })
    };
    longer.filter_map(slow).collect()
}

/// No clock tells less than a nanosecond. To the millionth, so that what differs by rounding alone is equal.
fn logarithm(operation: &OperationRecord) -> f64 {
    (operation.duration.as_secs_f64().max(1e-9).ln() * 1e9).round() / 1e9
}

fn seconds(logarithm: f64) -> f64 {
    logarithm.min(700.0).exp()
}
