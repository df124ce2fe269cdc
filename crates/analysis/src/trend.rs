//! How one kind of operation did over a window of time, and whether it gets slower, dearer or worse.

mod measure;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use taximeter_models::{KnownUsd, Measure, Name, OperationRecord, PerformanceTrend, Totals};

pub(crate) use self::measure::value;
pub use self::measure::{measure_trend, value_trend};
use crate::cost::KnownCosts;
use crate::statistics::Distribution;
use crate::{TrendConfig, Window, advise, bottlenecks};

/// How the operations of that name did that ended in the window before `now`, and whether their duration changes
/// with **time**.
///
/// The direction is `improving` or `declining` only where all of this holds, else `stable`:
/// - a change so consistent comes by chance less often than `alpha` (Mann–Kendall, two-sided, with the variance that
///   durations have which depend on those before them);
/// - it is at least `minimum_change_percent` of the duration at the beginning.
///
/// With fewer than `minimum_points` operations, or where all began at one moment, it is `insufficient_data`, and
/// strength, slope, change and p-value are none.
///
/// The change is that of the line of [Theil and Sen](crate::statistics::theil_sen) from the start of the first
/// operation to that of the last, in percent of its value at the first: what was not observed is not extrapolated,
/// however long the window is. Where the line begins below the shortest duration that was seen, that one is taken
/// instead. Operations of every outcome count. The mean cost is over the operations whose cost is known; of how many calls it
/// is not, `cost_coverage` says.
///
/// ```
/// use std::time::Duration;
/// use taximeter_analysis::{TrendConfig, Window, trend};
/// use taximeter_models::{OperationRecord, TrendDirection};
///
/// let few = [OperationRecord::new("qa_response")];
/// let window = Window::from(Duration::from_secs(60));
/// let found = trend(&few, "qa_response", &window, few[0].ended_at(), &TrendConfig::default());
/// assert_eq!((found.data_points, found.trend_direction), (1, TrendDirection::InsufficientData));
/// ```
pub fn trend<'a>(
    operations: impl IntoIterator<Item = &'a OperationRecord>,
    operation_name: &str,
    window: &Window,
    now: DateTime<Utc>,
    config: &TrendConfig,
) -> PerformanceTrend {
    let operations: Vec<&OperationRecord> = operations
        .into_iter()
        .filter(|operation| operation.name == *operation_name)
        .filter(|operation| window.contains(operation.ended_at(), now))
        .collect();
    let mut trend = PerformanceTrend::default();
    trend.operation_type = operation_name.into();
    trend.time_period = window.to_string();
    trend.analysis_timestamp = now;
    put_durations(&mut trend, &operations);
    put_totals(&mut trend, &operations);
    put_measures(&mut trend, &operations, config);
    trend.bottlenecks = bottlenecks(operations, &config.thresholds);
    trend.optimization_suggestions = advise(&trend.bottlenecks);
    trend
}

/// How each kind of operation did over a window that ends now, in the order of their names.
///
/// ```
/// use taximeter_analysis::{TrendConfig, Window, trends};
/// use taximeter_models::OperationRecord;
///
/// let operations = ["ask", "index", "ask"].map(OperationRecord::new);
/// let window: Window = "1h".parse()?;
/// let found = trends(&operations, &window, operations[0].ended_at(), &TrendConfig::default());
/// let names: Vec<_> = found.iter().map(|trend| trend.operation_type.as_str()).collect();
/// assert_eq!(names, ["ask", "index"]);
/// # Ok::<(), taximeter_analysis::WindowError>(())
/// ```
pub fn trends<'a>(
    operations: impl IntoIterator<Item = &'a OperationRecord>,
    window: &Window,
    now: DateTime<Utc>,
    config: &TrendConfig,
) -> Vec<PerformanceTrend> {
    let mut by_name = BTreeMap::<&Name, Vec<&OperationRecord>>::new();
    for operation in operations {
        by_name.entry(&operation.name).or_default().push(operation);
    }
    by_name.into_iter().map(|(name, own)| trend(own, name, window, now, config)).collect()
}

fn put_durations(trend: &mut PerformanceTrend, operations: &[&OperationRecord]) {
    let seconds = operations.iter().map(|operation| operation.duration.as_secs_f64()).collect();
    let Some(durations) = Distribution::of(seconds) else { return };
    trend.avg_duration = Some(durations.mean);
    trend.min_duration = Some(durations.min);
    trend.max_duration = Some(durations.max);
    trend.std_deviation = durations.std_deviation;
    trend.p50_duration = Some(durations.p50);
    trend.p90_duration = Some(durations.p90);
    trend.p95_duration = Some(durations.p95);
    trend.p99_duration = Some(durations.p99);
}

#[expect(clippy::cast_precision_loss, reason = "a mean needs no more than 53 bits")]
fn put_totals(trend: &mut PerformanceTrend, operations: &[&OperationRecord]) {
    let totals = Totals::of(operations.iter().copied());
    trend.data_points = totals.operations();
    trend.success_rate = totals.success_rate().percent();
    trend.error_rate = totals.success_rate().complement().percent();
    trend.avg_cost = KnownCosts::of(operations.iter().copied()).mean();
    trend.total_cost = totals.cost.usd();
    trend.unpriced_calls = totals.cost.unpriced_calls;
    trend.cost_coverage = KnownUsd::of_operations(operations.iter().copied()).coverage;
    trend.total_tokens = totals.usage.total_tokens();
    let mean_tokens = || trend.total_tokens as f64 / trend.data_points as f64;
    trend.avg_tokens = (trend.data_points > 0).then(mean_tokens);
}

/// The fields of the duration are those of the original system, and stand by themselves.
fn put_measures(
    trend: &mut PerformanceTrend,
    operations: &[&OperationRecord],
    config: &TrendConfig,
) {
    let mut of_measure: BTreeMap<_, _> = Measure::ALL
        .into_iter()
        .map(|measure| (measure, measure_trend(operations.iter().copied(), measure, config)))
        .collect();
    let durations = of_measure.remove(&Measure::Duration).unwrap_or_default();
    trend.trend_direction = durations.direction;
    trend.trend_strength = durations.strength;
    trend.slope_per_hour = durations.slope_per_hour;
    trend.slope_interval_per_hour = durations.slope_interval_per_hour;
    trend.change_percent = durations.change_percent;
    trend.p_value = durations.p_value;
    trend.changes = durations.changes;
    of_measure.retain(|_, found| found.data_points > 0);
    trend.measures = of_measure;
}
