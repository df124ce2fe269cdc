//! How one kind of operation did over a window of time, and whether it gets slower.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use taximeter_models::{
    DurationChange, Name, OperationRecord, PerformanceTrend, Totals, TrendDirection,
};

use crate::cost::KnownCosts;
use crate::statistics::{
    Distribution, Z_95, change_points, mann_kendall, theil_sen, theil_sen_interval,
    variance_inflation,
};
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
/// instead. Operations of every outcome count. The mean cost is over the operations whose cost is known.
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
    put_direction(&mut trend, &operations, config);
    put_changes(&mut trend, &operations, config);
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
    trend.total_tokens = totals.usage.total_tokens();
    let mean_tokens = || trend.total_tokens as f64 / trend.data_points as f64;
    trend.avg_tokens = (trend.data_points > 0).then(mean_tokens);
}

fn put_direction(
    trend: &mut PerformanceTrend,
    operations: &[&OperationRecord],
    config: &TrendConfig,
) {
    if trend.data_points < config.minimum_points {
        return;
    }
    let points = duration_by_hour(operations);
    let (Some(test), Some(line)) = (mann_kendall(&points), theil_sen(&points)) else { return };
    let inflation = variance_inflation(&without_line(&points, line.slope));
    let test = test.inflated(inflation);
    let change = Change::over(&points, line.slope, line.intercept);
    let counts =
        test.p_value < config.alpha && change.percent.abs() >= config.minimum_change_percent;
    trend.trend_direction = match (counts, line.slope, test.s) {
        // The line and the test can differ in sign only where there is next to no trend.
        (true, slope, s) if slope > 0.0 && s > 0.0 => TrendDirection::Declining,
        (true, slope, s) if slope < 0.0 && s < 0.0 => TrendDirection::Improving,
        _ => TrendDirection::Stable,
    };
    trend.trend_strength = test.tau_b;
    trend.slope_per_hour = Some(line.slope);
    trend.slope_interval_per_hour = theil_sen_interval(&points, Z_95, inflation);
    trend.change_percent = Some(change.percent);
    trend.p_value = Some(test.p_value);
}

/// The start of each operation in hours after the first, and its duration in seconds.
fn duration_by_hour(operations: &[&OperationRecord]) -> Vec<(f64, f64)> {
    let Some(first) = operations.iter().map(|operation| operation.started_at).min() else {
        return Vec::new();
    };
    in_time(operations)
        .into_iter()
        .map(|operation| {
            (hours_between(first, operation.started_at), operation.duration.as_secs_f64())
        })
        .collect()
}

/// What the line leaves of the durations, in billionths of the longest: what differs by rounding alone is equal.
fn without_line(points: &[(f64, f64)], slope: f64) -> Vec<f64> {
    let longest = points.iter().map(|point| point.1).fold(f64::MIN_POSITIVE, f64::max);
    points.iter().map(|(hours, y)| ((y - slope * hours) / longest * 1e9).round()).collect()
}

fn in_time<'a>(operations: &[&'a OperationRecord]) -> Vec<&'a OperationRecord> {
    let mut in_time = operations.to_vec();
    in_time.sort_by_key(|operation| (operation.started_at, operation.id));
    in_time
}

/// Since when the duration is another, where chance makes so large a change less often than `alpha` and it is large
/// enough.
fn put_changes(
    trend: &mut PerformanceTrend,
    operations: &[&OperationRecord],
    config: &TrendConfig,
) {
    if trend.data_points < config.minimum_points {
        return;
    }
    let in_time = in_time(operations);
    let seconds: Vec<_> =
        in_time.iter().map(|operation| operation.duration.as_secs_f64()).collect();
    let shortest = usize::try_from(config.minimum_points.max(3)).unwrap_or(usize::MAX);
    for change in change_points(&seconds, config.alpha, shortest) {
        // No clock tells less than a nanosecond.
        let percent = (change.after - change.before) / change.before.max(1e-9) * 100.0;
        if percent.abs() >= config.minimum_change_percent {
            let since = in_time[change.at].started_at;
            let mut found = DurationChange::new(since, change.before, change.after);
            (found.change_percent, found.p_value) = (percent, change.p_value);
            trend.changes.push(found);
        }
    }
}

/// Seconds and nanoseconds apart: all nanoseconds from 1970 to 9999 do not fit into 64 bits.
#[expect(
    clippy::cast_precision_loss,
    reason = "eight thousand years of seconds are exact in a float"
)]
fn hours_between(first: DateTime<Utc>, later: DateTime<Utc>) -> f64 {
    let nanos =
        f64::from(later.timestamp_subsec_nanos()) - f64::from(first.timestamp_subsec_nanos());
    ((later.timestamp() - first.timestamp()) as f64 + nanos / 1e9) / 3_600.0
}

/// How far a line rises over the time that was observed.
struct Change {
    percent: f64,
}

impl Change {
    /// The first point lies at zero hours, where the line has its intercept.
    fn over(points: &[(f64, f64)], slope: f64, intercept: f64) -> Self {
        let hours = points.iter().map(|point| point.0).fold(0.0, f64::max);
        let shortest = points.iter().map(|point| point.1).fold(f64::MAX, f64::min);
        // A line can begin below zero, where no duration is; and no clock tells less than a nanosecond.
        let beginning = intercept.max(shortest).max(1e-9);
        Self { percent: (slope * hours / beginning * 100.0).clamp(f64::MIN, f64::MAX) }
    }
}
