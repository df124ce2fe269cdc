//! Where one measure of operations is going: duration, cost, error rate or tokens.

use chrono::{DateTime, Utc};
use taximeter_models::{LevelChange, Measure, MeasureTrend, OperationRecord, TrendDirection};

use crate::TrendConfig;
use crate::cost::known_usd;
use crate::statistics::{
    RobustLine, TheilSen, Z_95, change_points, least_squares, mann_kendall, variance_inflation,
};

/// Whether a measure of these operations grows or shrinks with time, and since when it is another.
///
/// The direction is `improving` or `declining` only where chance makes a change so consistent less often than `alpha`
/// and it is at least `minimum_change_percent` of the level at the beginning, else `stable`. The line is that of
/// [Theil and Sen](crate::statistics::theil_sen); of an error rate, whose points are zeros and ones, that of [least
/// squares](crate::statistics::least_squares). An operation whose cost or tokens are not known in whole, or whose cost is not
/// in US dollars, is left out: `data_points` are the others, of all `operations`.
///
/// ```
/// use chrono::{DateTime, TimeDelta};
/// use taximeter_analysis::{TrendConfig, measure_trend};
/// use taximeter_models::{Measure, OperationRecord, Outcome, TrendDirection};
///
/// // Of two hundred operations in as many minutes, the later fail more and more often.
/// let operations: Vec<OperationRecord> = (0..200)
///     .map(|at| {
///         let mut operation = OperationRecord::new("agent");
///         operation.started_at = DateTime::UNIX_EPOCH + TimeDelta::minutes(at);
///         operation.outcome = if at * at % 199 < at { Outcome::Failure } else { Outcome::Success };
///         operation
///     })
///     .collect();
/// let errors = measure_trend(&operations, Measure::ErrorRate, &TrendConfig::default());
/// assert_eq!(errors.direction, TrendDirection::Declining);
/// assert!((0.2..0.4).contains(&errors.slope_per_hour.unwrap())); // of all, in an hour
///
/// let few = measure_trend(&operations[..9], Measure::ErrorRate, &TrendConfig::default());
/// assert_eq!(few.direction, TrendDirection::InsufficientData);
/// ```
pub fn measure_trend<'a>(
    operations: impl IntoIterator<Item = &'a OperationRecord>,
    measure: Measure,
    config: &TrendConfig,
) -> MeasureTrend {
    trend_of(&Series::of(operations, measure), config)
}

/// The same of any values with their moments, such as a number in the metadata of operations. Whether more of it is better is
/// not known: `declining` says that it grows, and `improving` that it shrinks. What is not finite is left out.
///
/// ```
/// use chrono::{DateTime, TimeDelta};
/// use taximeter_analysis::{TrendConfig, value_trend};
/// use taximeter_models::TrendDirection;
///
/// // A hundred relevances, which fall by a quarter.
/// let relevance = |at: i64| 0.8 + at as f64 * 37.0 % 41.0 / 1_000.0 - 0.002 * at as f64;
/// let values = (0..100).map(|at| (DateTime::UNIX_EPOCH + TimeDelta::minutes(at), relevance(at)));
/// let found = value_trend(values, &TrendConfig::default());
/// assert_eq!(found.direction, TrendDirection::Improving); // which is to say that it shrinks
/// assert!((-26.0..-22.0).contains(&found.change_percent.unwrap()));
/// assert_eq!(value_trend([], &TrendConfig::default()).direction, TrendDirection::InsufficientData);
/// ```
pub fn value_trend(
    values: impl IntoIterator<Item = (DateTime<Utc>, f64)>,
    config: &TrendConfig,
) -> MeasureTrend {
    trend_of(&Series::of_values(values), config)
}

fn trend_of(series: &Series, config: &TrendConfig) -> MeasureTrend {
    let mut trend = MeasureTrend::default();
    trend.data_points = series.points.len() as u64;
    trend.operations = series.operations;
    if trend.data_points >= config.minimum_points {
        put_direction(&mut trend, series, config);
        trend.changes = changes(series, config);
    }
    trend
}

/// The points of a measure in the order of time.
struct Series {
    /// All operations, also those of which the measure is not known.
    operations: u64,
    at: Vec<DateTime<Utc>>,
    /// Hours after the first, and the value.
    points: Vec<(f64, f64)>,
    /// Whether they are zeros and ones.
    is_share: bool,
}

impl Series {
    fn of<'a>(operations: impl IntoIterator<Item = &'a OperationRecord>, measure: Measure) -> Self {
        let mut count = 0;
        let mut in_time: Vec<_> = operations
            .into_iter()
            .inspect(|_| count += 1)
            .filter_map(|operation| Some((operation, value(operation, measure)?)))
            .collect();
        in_time.sort_by_key(|(operation, _)| (operation.started_at, operation.id));
        let first = in_time.first().map(|(operation, _)| operation.started_at);
        let point = |(operation, value): &(&OperationRecord, f64)| {
            Some((hours_between(first?, operation.started_at), *value))
        };
        Self {
            operations: count,
            at: in_time.iter().map(|(operation, _)| operation.started_at).collect(),
            points: in_time.iter().filter_map(point).collect(),
            is_share: measure == Measure::ErrorRate,
        }
    }

    fn of_values(values: impl IntoIterator<Item = (DateTime<Utc>, f64)>) -> Self {
        let mut in_time: Vec<_> =
            values.into_iter().filter(|(_, value)| value.is_finite()).collect();
        in_time.sort_by(|(one, x), (other, y)| one.cmp(other).then_with(|| x.total_cmp(y)));
        let first = in_time.first().map_or(DateTime::UNIX_EPOCH, |(at, _)| *at);
        let point = |(at, value): &(DateTime<Utc>, f64)| (hours_between(first, *at), *value);
        Self {
            operations: in_time.len() as u64,
            at: in_time.iter().map(|(at, _)| *at).collect(),
            points: in_time.iter().map(point).collect(),
            is_share: false,
        }
    }

    fn line(&self) -> Option<Line> {
        if self.is_share {
            let line = least_squares(&self.points)?;
            let doubt = Doubt::Error(line.slope_error);
            return Some(Line { slope: line.slope, intercept: line.intercept, doubt });
        }
        let slopes = TheilSen::of(&self.points)?;
        let RobustLine { slope, intercept, .. } = slopes.line();
        Some(Line { slope, intercept, doubt: Doubt::Slopes(slopes) })
    }

    /// The least that a level can be said to be: no clock tells less than a nanosecond, and of so many operations one
    /// must fail to be seen.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    fn least(&self) -> f64 {
        if self.is_share { 1.0 / self.points.len().max(1) as f64 } else { 1e-9 }
    }
}

/// `value = intercept + slope × hours`.
struct Line {
    slope: f64,
    intercept: f64,
    doubt: Doubt,
}

/// From what it follows how far the slope may be wrong.
enum Doubt {
    /// From the slopes of all pairs.
    Slopes(TheilSen),
    /// From its standard error, where it has one.
    Error(Option<f64>),
}

impl Line {
    fn slope_interval(&mut self, inflation: f64) -> Option<(f64, f64)> {
        match &mut self.doubt {
            Doubt::Slopes(slopes) => slopes.interval(Z_95, inflation),
            Doubt::Error(error) => {
                let reach = Z_95 * (*error)? * inflation.sqrt();
                Some((self.slope - reach, self.slope + reach))
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a trend needs no more than 53 bits")]
/// None where it is not known.
pub(crate) fn value(operation: &OperationRecord, measure: Measure) -> Option<f64> {
    match measure {
        Measure::Duration => Some(operation.duration.as_secs_f64()),
        Measure::Cost => known_usd(&operation.cost()).map(taximeter_models::Money::to_f64_lossy),
        Measure::ErrorRate => Some(f64::from(u8::from(!operation.is_success()))),
        Measure::Tokens => {
            let told = operation.llm_calls.iter().all(|call| call.usage.is_some());
            told.then(|| operation.usage().total_tokens() as f64)
        }
        _ => None,
    }
}

fn put_direction(trend: &mut MeasureTrend, series: &Series, config: &TrendConfig) {
    let (Some(test), Some(mut line)) = (mann_kendall(&series.points), series.line()) else {
        return;
    };
    let inflation = variance_inflation(&without_line(&series.points, line.slope));
    let test = test.inflated(inflation);
    let percent = change_percent(series, &line);
    let counts = test.p_value < config.alpha && percent.abs() >= config.minimum_change_percent;
    trend.direction = match (counts, line.slope, test.s) {
        // The line and the test can differ in sign only where there is next to no trend.
        (true, slope, s) if slope > 0.0 && s > 0.0 => TrendDirection::Declining,
        (true, slope, s) if slope < 0.0 && s < 0.0 => TrendDirection::Improving,
        _ => TrendDirection::Stable,
    };
    trend.strength = test.tau_b;
    trend.slope_per_hour = Some(line.slope);
    trend.slope_interval_per_hour = line.slope_interval(inflation);
    trend.change_percent = Some(percent);
    trend.p_value = Some(test.p_value);
}

/// What the line leaves of the values, in billionths of the largest: what differs by rounding alone is equal.
fn without_line(points: &[(f64, f64)], slope: f64) -> Vec<f64> {
    let largest = points.iter().map(|point| point.1.abs()).fold(f64::MIN_POSITIVE, f64::max);
    points.iter().map(|(hours, y)| ((y - slope * hours) / largest * 1e9).round()).collect()
}

/// How far the line rises over the time that was observed; the first point lies at zero hours, where it has its
/// intercept. A line can begin below the smallest value, where nothing is.
fn change_percent(series: &Series, line: &Line) -> f64 {
    let hours = series.points.iter().map(|point| point.0).fold(0.0, f64::max);
    let smallest = series.points.iter().map(|point| point.1).fold(f64::MAX, f64::min);
    let beginning = line.intercept.max(smallest).abs().max(series.least());
    (line.slope * hours / beginning * 100.0).clamp(f64::MIN, f64::MAX)
}

/// Since when it is another, where chance makes so large a change less often than `alpha` and it is large enough.
fn changes(series: &Series, config: &TrendConfig) -> Vec<LevelChange> {
    let values: Vec<_> = series.points.iter().map(|point| point.1).collect();
    let shortest = usize::try_from(config.minimum_points.max(3)).unwrap_or(usize::MAX);
    let found = change_points(&values, config.alpha, shortest);
    let places: Vec<usize> =
        [0].into_iter().chain(found.iter().map(|change| change.at)).chain([values.len()]).collect();
    let mut changes = Vec::new();
    for (change, place) in found.iter().zip(places.windows(3)) {
        let (before, after) = if series.is_share {
            (mean(&values[place[0]..place[1]]), mean(&values[place[1]..place[2]]))
        } else {
            (change.before, change.after)
        };
        let percent = (after - before) / before.abs().max(series.least()) * 100.0;
        if percent.abs() >= config.minimum_change_percent {
            let mut found = LevelChange::new(series.at[change.at], before, after);
            (found.change_percent, found.p_value) = (percent, change.p_value);
            changes.push(found);
        }
    }
    changes
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
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
