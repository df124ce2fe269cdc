//! The metrics of programs' own, which belong to no operation: what their meters noted of each minute and each hour.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use taximeter_analysis::{
    Anomalies, AnomalyConfig, Forecast, NotEnough, Series, Step, TrendConfig, anomalies, forecast,
    value_trend,
};
use taximeter_models::{MeasureTrend, Name};
use taximeter_persistence::StoreError;

use super::{History, Period, VERSION};

/// How the keys of the notes of a minute begin; the meter and the minute follow.
pub(crate) const MINUTES: &str = "metrics/minute/";
/// The same of an hour.
pub(crate) const HOURS: &str = "metrics/hour/";
/// For so long there are minutes.
pub(crate) const MINUTES_KEPT: TimeDelta = TimeDelta::days(3);

/// What the metrics of one meter did in a minute or an hour.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Noted {
    pub(crate) points: Vec<NotedPoint>,
    /// Series that did something and for which there was no room.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) left_out: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What one series did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NotedPoint {
    pub(crate) name: Name,
    pub(crate) unit: Name,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: BTreeMap<Name, Name>,
    #[serde(flatten)]
    pub(crate) value: MetricValue,
}

/// What a metric came to over a stretch of time, in its own unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum MetricValue {
    /// A sum that only grows.
    Counter {
        /// By how much it grew.
        increase: f64,
    },
    /// A value that goes up and down.
    Gauge {
        /// The last value.
        last: f64,
    },
    /// How values are distributed.
    Histogram {
        /// How many came.
        count: u64,
        /// They added up.
        sum: f64,
        /// The upper bounds of the buckets, each within its bucket.
        bounds: Vec<f64>,
        /// How many lie in each, one more than there are bounds: the last is for what lies above all.
        counts: Vec<u64>,
    },
}

impl MetricValue {
    /// What a kind comes to in all; a histogram of other bounds, and another kind, is left out.
    fn add(&mut self, more: &Self) {
        match (self, more) {
            (Self::Counter { increase }, Self::Counter { increase: more }) => *increase += more,
            (Self::Gauge { last }, Self::Gauge { last: later }) => *last = *later,
            (
                Self::Histogram { count, sum, bounds, counts },
                Self::Histogram { count: more, sum: further, bounds: same, counts: theirs },
            ) if bounds == same => {
                *count += more;
                *sum += further;
                counts.iter_mut().zip(theirs).for_each(|(ours, theirs)| *ours += theirs);
            }
            _ => {}
        }
    }

    /// The increase, the value, or the mean; none of an empty histogram.
    ///
    /// ```
    /// use taximeter::history::MetricValue;
    ///
    /// assert_eq!(MetricValue::Counter { increase: 3.0 }.number(), Some(3.0));
    /// let none = MetricValue::Histogram { count: 0, sum: 0.0, bounds: vec![1.0], counts: vec![0, 0] };
    /// assert_eq!(none.number(), None);
    /// ```
    #[expect(clippy::cast_precision_loss, reason = "a mean needs no more than 53 bits")]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Counter { increase } => Some(*increase),
            Self::Gauge { last } => Some(*last),
            Self::Histogram { count, sum, .. } => (*count > 0).then(|| sum / *count as f64),
        }
    }

    /// A percentile of a histogram, by its share from 0 to 1: as far into its bucket as its place is among the values there,
    /// which is how Prometheus' `histogram_quantile` does it. Of what lies above all bounds it is the last bound. None of
    /// another kind, or where there are no values.
    ///
    /// ```
    /// use taximeter::history::MetricValue;
    ///
    /// let (bounds, counts) = (vec![1.0, 2.0], vec![2, 2, 0]);
    /// let values = MetricValue::Histogram { count: 4, sum: 5.0, bounds, counts };
    /// assert_eq!((values.percentile(0.5), values.percentile(0.75)), (Some(1.0), Some(1.5)));
    /// assert_eq!(MetricValue::Gauge { last: 1.0 }.percentile(0.5), None);
    /// ```
    #[expect(clippy::cast_precision_loss, reason = "a percentile needs no more than 53 bits")]
    pub fn percentile(&self, share: f64) -> Option<f64> {
        let Self::Histogram { count, bounds, counts, .. } = self else { return None };
        let rank = share.clamp(0.0, 1.0) * *count as f64;
        let mut below = 0_u64;
        for (place, bound) in bounds.iter().enumerate() {
            let own = *counts.get(place)?;
            if own > 0 && (below + own) as f64 >= rank {
                let from = if place == 0 { bound.min(0.0) } else { bounds[place - 1] };
                return Some(from + (bound - from) * ((rank - below as f64) / own as f64));
            }
            below += own;
        }
        (*count > 0).then(|| bounds.last().copied()).flatten()
    }
}

/// A metric of programs' own over a period.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct OwnMetric {
    /// The version of the document.
    pub taximeter_version: u32,
    /// `own_metric`.
    pub document: &'static str,
    /// Its name.
    pub name: Name,
    /// Its unit.
    pub unit: Name,
    /// The period.
    #[serde(flatten)]
    pub period: Period,
    /// What it came to, all series together; of a gauge the last that was set.
    pub value: MetricValue,
    /// The 50th and the 95th percentile of a histogram, out of its buckets.
    pub p50: Option<f64>,
    /// See there.
    pub p95: Option<f64>,
    /// How many seconds a step is of those below: 60, or 3,600 where the period began more than three days ago.
    pub step_seconds: i64,
    /// The increase, the mean of the series' values, or the mean of the values, of each step in which it did something.
    pub over_time: Vec<(DateTime<Utc>, f64)>,
    /// Where these are going. Whether more is better is not known: `declining` is growing.
    pub trend: MeasureTrend,
    /// Hours that are out of the ordinary; none where these are too few.
    pub unusual: Option<Anomalies>,
    /// The next hours; none where there are too few.
    pub forecast: Option<Forecast>,
    /// Why there is no forecast.
    pub not_enough: Option<NotEnough>,
    /// Each label set, the one with the most first.
    pub series: Vec<OwnSeries>,
}

/// One label set of a metric.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct OwnSeries {
    /// The labels.
    pub labels: BTreeMap<Name, Name>,
    /// What it came to.
    pub value: MetricValue,
}

/// So many hours are forecast.
const HOURS_AHEAD: usize = 24;

impl History {
    /// The metrics of programs' own in a period, by name.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn own_metrics(
        &self,
        period: Period,
        now: DateTime<Utc>,
    ) -> Result<Vec<OwnMetric>, StoreError> {
        let is_recent = period.since.is_some_and(|since| since >= now - MINUTES_KEPT);
        let hours = gathered(self.points(HOURS, period)?);
        let (steps, step_seconds) = if is_recent {
            (gathered(self.points(MINUTES, period)?), 60)
        } else {
            (hours.clone(), 3_600)
        };
        let found = |(name, gathered): (Name, Gathered)| {
            // An hour that began before the period is in it by its minutes alone.
            let hours = hours.get(&name).map_or_else(Vec::new, Gathered::means);
            gathered.metric(name, (period, step_seconds), &hours, now, &self.trends)
        };
        Ok(steps.into_iter().map(found).collect())
    }

    /// Those that can be read, in the order of time.
    fn points(
        &self,
        beginning: &str,
        period: Period,
    ) -> Result<Vec<(DateTime<Utc>, NotedPoint)>, StoreError> {
        let mut points = Vec::new();
        for note in self.store.notes(beginning)? {
            let is_in = period.since.is_none_or(|since| note.at >= since)
                && period.until.is_none_or(|until| note.at < until);
            // What a newer version notes may be something else.
            let noted = is_in.then(|| serde_json::from_value::<Noted>(note.value).ok()).flatten();
            points
                .extend(noted.unwrap_or_default().points.into_iter().map(|point| (note.at, point)));
        }
        points.sort_by_key(|(at, _)| *at);
        Ok(points)
    }
}

/// What was noted of one metric.
#[derive(Clone)]
struct Gathered {
    unit: Name,
    all: MetricValue,
    steps: BTreeMap<DateTime<Utc>, (MetricValue, f64, u32)>,
    series: BTreeMap<BTreeMap<Name, Name>, MetricValue>,
}

fn gathered(points: Vec<(DateTime<Utc>, NotedPoint)>) -> BTreeMap<Name, Gathered> {
    let mut metrics = BTreeMap::<Name, Gathered>::new();
    for (at, NotedPoint { name, unit, labels, value }) in points {
        if let Some(metric) = metrics.get_mut(&name) {
            metric.all.add(&value);
        } else {
            let (all, steps, series) = (value.clone(), BTreeMap::new(), BTreeMap::new());
            metrics.insert(name.clone(), Gathered { unit, all, steps, series });
        }
        let Some(metric) = metrics.get_mut(&name) else { continue };
        let number = value.number().unwrap_or_default();
        match metric.steps.get_mut(&at) {
            Some((step, sum, of)) => {
                step.add(&value);
                (*sum, *of) = (*sum + number, *of + 1);
            }
            None => drop(metric.steps.insert(at, (value.clone(), number, 1))),
        }
        match metric.series.get_mut(&labels) {
            Some(series) => series.add(&value),
            None => drop(metric.series.insert(labels, value)),
        }
    }
    metrics
}

impl Gathered {
    /// Of a gauge in several series the mean, else what all come to.
    fn means(&self) -> Vec<(DateTime<Utc>, f64)> {
        let number = |(at, (value, sum, of)): (&DateTime<Utc>, &(MetricValue, f64, u32))| {
            let number = match value {
                MetricValue::Gauge { .. } => Some(sum / f64::from(*of)),
                value => value.number(),
            };
            Some((*at, number?))
        };
        self.steps.iter().filter_map(number).collect()
    }

    fn metric(
        self,
        name: Name,
        (period, step_seconds): (Period, i64),
        hours: &[(DateTime<Utc>, f64)],
        now: DateTime<Utc>,
        trends: &TrendConfig,
    ) -> OwnMetric {
        let over_time = self.means();
        let series = hourly(hours, matches!(self.all, MetricValue::Counter { .. }), now);
        let told = forecast(&series, HOURS_AHEAD);
        let mut by_label: Vec<_> =
            self.series.into_iter().map(|(labels, value)| OwnSeries { labels, value }).collect();
        let size = |series: &OwnSeries| match &series.value {
            MetricValue::Histogram { sum, .. } => *sum,
            value => value.number().unwrap_or_default(),
        };
        by_label.sort_by(|one, other| size(other).total_cmp(&size(one)));
        OwnMetric {
            taximeter_version: VERSION,
            document: "own_metric",
            name,
            unit: self.unit,
            period,
            p50: self.all.percentile(0.5),
            p95: self.all.percentile(0.95),
            value: self.all,
            step_seconds,
            trend: value_trend(over_time.iter().copied(), trends),
            over_time,
            unusual: anomalies(&series, &AnomalyConfig::default()).ok(),
            not_enough: told.as_ref().err().copied(),
            forecast: told.ok(),
            series: by_label,
        }
    }
}

/// The hours that are over. In one without a point a counter did not grow; of all else it is not known.
fn hourly(hours: &[(DateTime<Utc>, f64)], is_counter: bool, now: DateTime<Utc>) -> Series {
    let place = |at: DateTime<Utc>| at.timestamp().div_euclid(3_600);
    let end = place(now);
    let known: BTreeMap<i64, f64> = hours.iter().map(|(at, value)| (place(*at), *value)).collect();
    let first = known.keys().next().copied().unwrap_or(end);
    let value = |at| known.get(&at).copied().or(is_counter.then_some(0.0));
    let start = DateTime::from_timestamp(first * 3_600, 0).unwrap_or(now);
    Series::new(start, Step::Hour, (first..end).map(value).collect())
}
