//! A quantity over equal steps of time: what a forecast goes on, and in which anomalies are looked for.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use taximeter_models::{Money, OperationRecord};
use thiserror::Error;

/// How long a step of a series is. Hours and days are those of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// One hour.
    Hour,
    /// One day of 24 hours.
    Day,
}

impl Step {
    /// The length of a step in seconds.
    pub const fn seconds(self) -> i64 {
        match self {
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }
}

/// What is counted or measured in each step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// The cost of all calls as far as it is known, in US dollars. Other currencies are left out.
    CostUsd,
    /// Tokens, of input and output.
    Tokens,
    /// Operations that ended.
    Operations,
    /// The mean duration of the operations, in seconds.
    MeanSeconds,
}

/// Too few values to say anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error, Serialize)]
#[error("{have} steps with a value are too few; {need} are needed")]
pub struct NotEnough {
    /// The steps that have a value.
    pub have: usize,
    /// The steps that would have to have one.
    pub need: usize,
}

/// Values at equal steps of time. A step may have none.
///
/// Where no value is below zero, the quantity is taken for one that never is.
///
/// ```
/// use std::time::Duration;
/// use taximeter_analysis::{Quantity, Series, Step};
/// use taximeter_models::OperationRecord;
///
/// let mut operations = vec![OperationRecord::new("qa_response"); 3];
/// operations[0].started_at = "2026-11-23T09:10:00Z".parse()?;
/// operations[1].started_at = "2026-11-23T11:20:00Z".parse()?;
/// operations[2].started_at = "2026-11-23T12:05:00Z".parse()?;
/// let now = "2026-11-23T12:30:00Z".parse()?;
///
/// let counts = Series::of_records(&operations, Quantity::Operations, Step::Hour, now);
/// assert_eq!(counts.values(), [Some(1.0), Some(0.0), Some(1.0)]); // the hour from 12 on is not over
/// let seconds = Series::of_records(&operations, Quantity::MeanSeconds, Step::Hour, now);
/// assert_eq!(seconds.values()[1], None); // an hour without operations has no mean
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    start: DateTime<Utc>,
    step: Step,
    values: Vec<Option<f64>>,
}

/// The most steps that are made of records: more than a hundred years of hours are a wrong clock.
const MOST_STEPS: i64 = 1_000_000;

impl Series {
    /// The values from that moment on, one a step. What is not finite is taken for missing.
    pub fn new(start: DateTime<Utc>, step: Step, values: Vec<Option<f64>>) -> Self {
        let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
        Self { start, step, values: values.into_iter().map(finite).collect() }
    }

    /// The quantity in each step from that of the first operation to the last one that was over at `until`. An operation
    /// counts where it ended.
    ///
    /// A step without operations counts as zero; of a mean it has none. Steps more than a million before `until` are left
    /// out.
    pub fn of_records<'a>(
        operations: impl IntoIterator<Item = &'a OperationRecord>,
        quantity: Quantity,
        step: Step,
        until: DateTime<Utc>,
    ) -> Self {
        let place = |moment: DateTime<Utc>| moment.timestamp().div_euclid(step.seconds());
        let end = place(until);
        let mut steps = BTreeMap::<i64, Gathered>::new();
        for operation in operations {
            let at = place(operation.ended_at());
            if at < end && at >= end - MOST_STEPS {
                steps.entry(at).or_default().add(operation, quantity);
            }
        }
        let first = steps.keys().next().copied().unwrap_or(end);
        let empty = Gathered::default();
        let value = |at| steps.get(&at).unwrap_or(&empty).value(quantity);
        let start = DateTime::from_timestamp(first * step.seconds(), 0).unwrap_or(until);
        Self::new(start, step, (first..end).map(value).collect())
    }

    /// When the first step begins.
    pub fn start(&self) -> DateTime<Utc> {
        self.start
    }

    /// How long a step is.
    pub fn step(&self) -> Step {
        self.step
    }

    /// The values in the order of time; none where a step has no value.
    pub fn values(&self) -> &[Option<f64>] {
        &self.values
    }

    /// When that step begins, counted from 0. The first one after the last value is where a forecast begins.
    pub fn at(&self, place: usize) -> DateTime<Utc> {
        after(self.start, self.step, place)
    }

    /// How many steps have a value.
    pub(crate) fn present(&self) -> usize {
        self.values.iter().flatten().count()
    }
}

/// The moment so many steps later; at the end of the calendar it stops.
pub(crate) fn after(start: DateTime<Utc>, step: Step, steps: usize) -> DateTime<Utc> {
    let seconds = i64::try_from(steps).ok().and_then(|steps| steps.checked_mul(step.seconds()));
    seconds
        .and_then(TimeDelta::try_seconds)
        .and_then(|later| start.checked_add_signed(later))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// What one step holds, in exact units: no order of records changes a digit.
#[derive(Debug, Default)]
struct Gathered {
    operations: u64,
    cost: Money,
    tokens: u64,
    duration: Duration,
}

impl Gathered {
    fn add(&mut self, operation: &OperationRecord, quantity: Quantity) {
        self.operations += 1;
        match quantity {
            Quantity::CostUsd => self.cost += operation.cost().usd(),
            Quantity::Tokens => {
                self.tokens = self.tokens.saturating_add(operation.usage().total_tokens());
            }
            Quantity::Operations => {}
            Quantity::MeanSeconds => {
                self.duration = self.duration.saturating_add(operation.duration);
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a forecast needs no more than 53 bits")]
    fn value(&self, quantity: Quantity) -> Option<f64> {
        match quantity {
            Quantity::CostUsd => Some(self.cost.to_f64_lossy()),
            Quantity::Tokens => Some(self.tokens as f64),
            Quantity::Operations => Some(self.operations as f64),
            Quantity::MeanSeconds => {
                (self.operations > 0).then(|| self.duration.as_secs_f64() / self.operations as f64)
            }
        }
    }
}
