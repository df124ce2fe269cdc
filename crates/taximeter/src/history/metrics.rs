//! The metrics of operations: numbers in their metadata, such as `retrieved_documents` or `answer_relevance`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use taximeter_analysis::statistics::Distribution;
use taximeter_analysis::{
    Anomalies, AnomalyConfig, Comparison, Dimension, Forecast, Gate, NotEnough, Series, Step,
    anomalies, compare, forecast, value_trend,
};
use taximeter_models::{MeasureTrend, Name, OperationRecord, Rate};
use taximeter_persistence::StoreError;
use taximeter_persistence::store::{Block, Column, Keys, Table};

use super::{History, LookedAt, OwnMetric, Period, Selection, VERSION};

/// The metrics that the operations of a period have.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Metrics {
    /// The version of the document.
    pub taximeter_version: u32,
    /// `metrics`.
    pub document: &'static str,
    /// The period.
    #[serde(flatten)]
    pub period: Period,
    /// The operations that were looked at.
    pub looked_at: LookedAt,
    /// Each metric of these, by name.
    pub metrics: Vec<MetricSummary>,
    /// Metrics of programs' own, which belong to no operation.
    pub own: Vec<OwnMetric>,
}

/// One metric of some operations.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MetricSummary {
    /// The key of the metadata.
    pub name: Name,
    /// The operations that have it as a number, of all.
    pub operations: Rate,
    /// How its values spread.
    pub values: Distribution,
    /// Where they are going.
    pub trend: MeasureTrend,
}

/// One metric over a period.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Metric {
    /// The version of the document.
    pub taximeter_version: u32,
    /// `metric`.
    pub document: &'static str,
    /// The key of the metadata.
    pub name: Name,
    /// The period.
    #[serde(flatten)]
    pub period: Period,
    /// The operations that have it as a number, of all that were meant.
    pub operations: Rate,
    /// How its values spread; none where there are none.
    pub values: Option<Distribution>,
    /// Where they are going, and since when they are others. Whether more is better is not known: `declining` is growing.
    pub trend: MeasureTrend,
    /// How long a step is of those below.
    pub step: Step,
    /// The mean of each step; none where no operation had it.
    pub over_time: Vec<(DateTime<Utc>, Option<f64>)>,
    /// Steps that are out of the ordinary; none where these are too few.
    pub unusual: Option<Anomalies>,
    /// What the mean of the next steps will be; none where there are too few.
    pub forecast: Option<Forecast>,
    /// Why there is no forecast.
    pub not_enough: Option<NotEnough>,
    /// By what the groups are.
    pub by: Dimension,
    /// The values of each group, those with the most first; what has no key is in one of its own.
    pub groups: Vec<MetricGroup>,
}

/// The values of one group.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MetricGroup {
    /// What the operations have in common; none for those that did not tell it.
    pub key: Option<Name>,
    /// How their values spread.
    pub values: Distribution,
}

/// How a metric of two selections compares.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MetricCompared {
    /// The key of the metadata.
    pub name: Name,
    /// How the values of the second compare with those of the first.
    pub comparison: Comparison,
}

/// So many steps are forecast.
const STEPS: usize = 7;
/// Up to so many days the steps are hours.
const DAYS_OF_HOURS: i64 = 7;
/// From more steps the last ones are drawn.
const MOST_STEPS: i64 = 2_016;

impl History {
    /// The metrics of operations: every key of their metadata under which there are numbers, with how these spread and where
    /// they are going.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use taximeter::history::{History, Period, Selection};
    /// use taximeter::store::MemoryStore;
    /// use taximeter::OperationRecord;
    ///
    /// let history = History::new(Arc::new(MemoryStore::new()));
    /// let mut answer = OperationRecord::new("answer");
    /// answer.metadata.insert("answer_relevance".into(), 0.75.into());
    /// answer.metadata.insert("language".into(), "fr".into()); // no number, and so no metric
    /// history.append(vec![answer])?;
    /// let found = history.metrics(&Selection::default(), Period::ALL, chrono::Utc::now())?;
    /// assert_eq!(found.metrics.len(), 1);
    /// assert_eq!((found.metrics[0].name.as_str(), found.metrics[0].values.mean), ("answer_relevance", 0.75));
    /// # Ok::<(), taximeter::StoreError>(())
    /// ```
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn metrics(
        &self,
        only: &Selection,
        period: Period,
        now: DateTime<Utc>,
    ) -> Result<Metrics, StoreError> {
        let period = only.period.unwrap_or(period);
        let (records, looked_at) = self.records(only.query(period), super::MOST_RECORDS)?;
        let metric = |(name, values): (&str, Vec<(DateTime<Utc>, f64)>)| {
            let operations = Rate { hits: values.len() as u64, of: looked_at.records };
            let spread = Distribution::of(values.iter().map(|(_, value)| *value).collect())?;
            let trend = value_trend(values, &self.trends);
            Some(MetricSummary { name: name.into(), operations, values: spread, trend })
        };
        Ok(Metrics {
            taximeter_version: VERSION,
            document: "metrics",
            period,
            looked_at,
            metrics: numbers_of(&records).into_iter().filter_map(metric).collect(),
            own: self.own_metrics(period, now)?,
        })
    }

    /// One metric of all operations that are meant, told apart by operation, user, session or tag: another dimension is
    /// taken for all together. It is counted over columns, however many they are.
    ///
    /// # Errors
    /// Where the store cannot be read. That no operation has it is an answer.
    pub fn metric(
        &self,
        name: &str,
        only: &Selection,
        period: Period,
        by: &Dimension,
        now: DateTime<Utc>,
    ) -> Result<Metric, StoreError> {
        let period = only.period.unwrap_or(period);
        let mut gathered = Gathered::default();
        let (key, metric) = (column(by), Column::Metadata(name.into()));
        let columns = [Column::StartedAt, metric, key];
        self.store.columns(Table::Operations, &only.query(period), &columns, &mut |block| {
            gathered.add(block, &columns);
            ControlFlow::Continue(())
        })?;
        let until = period.until.map_or(now, |until| until.min(now));
        let (step, series) = gathered.series(until);
        let told = forecast(&series, STEPS);
        let over_time = series.values().iter().enumerate();
        let spread = gathered.values.iter().map(|(_, value)| *value).collect();
        Ok(Metric {
            taximeter_version: VERSION,
            document: "metric",
            name: name.into(),
            period,
            operations: Rate { hits: gathered.values.len() as u64, of: gathered.rows },
            values: Distribution::of(spread),
            step,
            over_time: over_time.map(|(place, mean)| (series.at(place), *mean)).collect(),
            unusual: anomalies(&series, &AnomalyConfig::default()).ok(),
            not_enough: told.as_ref().err().copied(),
            forecast: told.ok(),
            by: by.clone(),
            groups: gathered.groups(),
            trend: value_trend(gathered.values, &self.trends),
        })
    }
}

/// The metrics that both have, side by side.
pub(super) fn compared(
    before: &[OperationRecord],
    after: &[OperationRecord],
) -> Vec<MetricCompared> {
    let (before, mut after) = (numbers_of(before), numbers_of(after));
    let plain = |values: Vec<(DateTime<Utc>, f64)>| -> Vec<f64> {
        values.into_iter().map(|(_, value)| value).collect()
    };
    let both = before.into_iter().filter_map(|(name, one)| Some((name, one, after.remove(name)?)));
    both.filter_map(|(name, one, other)| {
        let comparison = compare(&plain(one), &plain(other), &Gate::default())?;
        Some(MetricCompared { name: name.into(), comparison })
    })
    .collect()
}

/// The numbers in the metadata of these, by their keys.
fn numbers_of(records: &[OperationRecord]) -> BTreeMap<&str, Vec<(DateTime<Utc>, f64)>> {
    let mut numbers = BTreeMap::<&str, Vec<_>>::new();
    for record in records {
        for (key, value) in &record.metadata {
            let number = match value {
                Value::String(text) => number(text),
                value => value.as_f64(),
            };
            if let Some(number) = number {
                numbers.entry(key).or_default().push((record.started_at, number));
            }
        }
    }
    numbers
}

/// A text that is a number is one, as it is in a column.
fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn column(by: &Dimension) -> Column {
    match by {
        Dimension::User => Column::User,
        Dimension::Session => Column::Session,
        Dimension::Tag(tag) => Column::Tag(tag.clone()),
        _ => Column::Operation,
    }
}

#[derive(Default)]
struct Gathered {
    rows: u64,
    values: Vec<(DateTime<Utc>, f64)>,
    by_key: BTreeMap<Option<Name>, Vec<f64>>,
}

impl Gathered {
    fn add(&mut self, block: &Block<'_>, [started, metric, key]: &[Column; 3]) {
        self.rows += block.rows() as u64;
        let (Some(started), Some(texts), Some(keys)) =
            (block.numbers(started), block.texts(metric), block.texts(key))
        else {
            return;
        };
        // A block tells each text once, so each is read once.
        let numbers: Vec<_> = texts.names.iter().map(|text| number(text)).collect();
        for ((started, text), key) in started.iter().zip(texts.keys).zip(keys.keys) {
            let number = numbers.get(*text as usize).copied().flatten();
            let Some(number) = number.filter(|_| *text != Keys::NONE) else { continue };
            let at = DateTime::from_timestamp_nanos(started.cast_signed());
            self.values.push((at, number));
            let key = keys.names.get(*key as usize).cloned();
            self.by_key.entry(key).or_default().push(number);
        }
    }

    fn groups(&mut self) -> Vec<MetricGroup> {
        let group = |(key, values)| Some(MetricGroup { key, values: Distribution::of(values)? });
        let all = std::mem::take(&mut self.by_key);
        let mut groups: Vec<_> = all.into_iter().filter_map(group).collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.values.count));
        groups
    }

    /// The mean of each step that is over, from the first on.
    #[expect(clippy::cast_precision_loss, reason = "a mean needs no more than 53 bits")]
    fn series(&self, until: DateTime<Utc>) -> (Step, Series) {
        let first = self.values.iter().map(|(at, _)| *at).min();
        let reach = first.map_or(0, |first| (until - first).num_days());
        let step = if reach <= DAYS_OF_HOURS { Step::Hour } else { Step::Day };
        let place = |at: DateTime<Utc>| at.timestamp().div_euclid(step.seconds());
        let end = place(until);
        let mut sums = BTreeMap::<i64, (f64, u64)>::new();
        for (at, value) in &self.values {
            let step = place(*at);
            if step < end && step >= end - MOST_STEPS {
                let (sum, count) = sums.entry(step).or_default();
                *sum += value;
                *count += 1;
            }
        }
        let first = sums.keys().next().copied().unwrap_or(end);
        let mean = |at| sums.get(&at).map(|(sum, count)| sum / *count as f64);
        let start = DateTime::from_timestamp(first * step.seconds(), 0).unwrap_or(until);
        (step, Series::new(start, step, (first..end).map(mean).collect()))
    }
}
