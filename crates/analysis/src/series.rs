//! A quantity over equal steps of time: what a forecast goes on, and in which anomalies are looked for.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use taximeter_models::{Coverage, KnownUsd, OperationRecord};
use thiserror::Error;

use crate::Sums;

/// How long a step of a series is. Hours and days are those of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// The cost of all calls as far as it is known, in US dollars. What is unpriced, told no usage or is in another
    /// currency is left out, and counted in the [coverage](Series::coverage).
    CostUsd,
    /// Tokens, of input and output. Calls that told no usage are left out, and counted in the same way.
    Tokens,
    /// Operations that ended.
    Operations,
    /// The LLM calls of operations that ended.
    Calls,
    /// The mean duration of the operations, in seconds.
    MeanSeconds,
}

/// Too few values to say anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[error("{have} steps with a value are too few; {need} are needed{}", unknown_in_words(*.unknown))]
#[non_exhaustive]
pub struct NotEnough {
    /// The steps that have a value.
    pub have: usize,
    /// The steps that would have to have one.
    pub need: usize,
    /// The steps that have none because nothing is known of the calls in them.
    pub unknown: usize,
}

fn unknown_in_words(unknown: usize) -> String {
    match unknown {
        0 => String::new(),
        steps => format!("; {steps} more hold only calls of which it is not known"),
    }
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
///
/// Of a cost it says how much of it is not known, and what is not known at all is a gap and not $0:
///
/// ```
/// use taximeter_analysis::{Quantity, Series, Step};
/// use taximeter_models::{CostOutcome, Currency, LlmCall, OperationRecord, ReportedCost};
///
/// let known = CostOutcome::ProviderReported(ReportedCost {
///     total: "2.5".parse()?, input: None, output: None, currency: Currency::USD,
/// });
/// let unknown = CostOutcome::UnknownModel { nearest: vec![] };
/// let mut operations = Vec::new();
/// for (hour, cost) in [(9, &known), (9, &unknown), (10, &unknown), (12, &known)] {
///     let mut operation = OperationRecord::new("qa_response");
///     operation.started_at = format!("2026-11-23T{hour:02}:10:00Z").parse()?;
///     operation.llm_calls.push(LlmCall::new("somebody", "something"));
///     operation.llm_calls[0].cost = cost.clone();
///     operations.push(operation);
/// }
/// let now = "2026-11-23T13:00:00Z".parse()?;
/// let cost = Series::of_records(&operations, Quantity::CostUsd, Step::Hour, now);
/// assert_eq!(cost.values(), [Some(2.5), None, Some(0.0), Some(2.5)]); // from 11 on nothing ran, which costs nothing
/// assert_eq!(cost.coverage().unwrap().to_string(), "without 2 of 4 calls (2 unpriced)");
/// assert_eq!(cost.coverage_at(0).unwrap().left_out().to_string(), "50.0 % (1 of 2)"); // at least $2.50
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    start: DateTime<Utc>,
    step: Step,
    values: Vec<Option<f64>>,
    /// Of each step; empty where the quantity is none of calls, or nobody has counted.
    coverage: Vec<Coverage>,
}

/// The most steps that are made of records: more than a hundred years of hours are a wrong clock.
const MOST_STEPS: i64 = 1_000_000;

impl Series {
    /// The values from that moment on, one a step. What is not finite is taken for missing.
    pub fn new(start: DateTime<Utc>, step: Step, values: Vec<Option<f64>>) -> Self {
        let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
        let values = values.into_iter().map(finite).collect();
        Self { start, step, values, coverage: Vec::new() }
    }

    /// The cost in each step from that moment on, as far as it is known. Where there were calls and nothing of any is
    /// known, the step has no value.
    pub fn of_costs(start: DateTime<Utc>, step: Step, costs: &[KnownUsd]) -> Self {
        let usd = |cost: &KnownUsd| Some(cost.known()?.to_f64_lossy());
        let values = costs.iter().map(usd).collect();
        let coverage = costs.iter().map(|cost| cost.coverage).collect();
        Self { coverage, ..Self::new(start, step, values) }
    }

    /// The quantity in each step from that of the first operation to the last one that was over at `until`. An operation
    /// counts where it ended.
    ///
    /// A step without operations counts as zero; of a mean it has none. A step whose calls tell nothing of the quantity has
    /// none either; where some of them do not, it is what the others come to. Steps more than a million before `until` are
    /// left out.
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
        let start = DateTime::from_timestamp(first * step.seconds(), 0).unwrap_or(until);
        let all = (first..end).map(|at| steps.remove(&at).unwrap_or_default());
        Self::of_gathered(start, step, quantity, &all.collect::<Vec<_>>())
    }

    /// The quantity in each step from that moment on, out of the sums of the operations that count there, such as a store
    /// keeps. A step without operations has the sums of nothing.
    ///
    /// ```
    /// use taximeter_analysis::{Quantity, Series, Step, Sums};
    /// use taximeter_models::{LlmCall, OperationRecord};
    ///
    /// let mut asking = OperationRecord::new("answer");
    /// asking.llm_calls.push(LlmCall::new("somebody", "something"));
    /// let mut one = Sums::default();
    /// one.add_operation(&asking);
    /// let hours = [one, Sums::default()];
    /// let start = "2026-11-23T09:00:00Z".parse()?;
    /// let of = |quantity| Series::of_sums(start, Step::Hour, quantity, &hours);
    /// assert_eq!(of(Quantity::Operations).values(), [Some(1.0), Some(0.0)]);
    /// assert_eq!(of(Quantity::CostUsd).values(), [None, Some(0.0)]); // what the one call cost is not known
    /// # Ok::<(), chrono::ParseError>(())
    /// ```
    pub fn of_sums(start: DateTime<Utc>, step: Step, quantity: Quantity, sums: &[Sums]) -> Self {
        let gathered = |sums: &Sums| Gathered::of(sums, quantity);
        Self::of_gathered(start, step, quantity, &sums.iter().map(gathered).collect::<Vec<_>>())
    }

    fn of_gathered(
        start: DateTime<Utc>,
        step: Step,
        quantity: Quantity,
        steps: &[Gathered],
    ) -> Self {
        let values = steps.iter().map(|gathered| gathered.value(quantity)).collect();
        let mut series = Self::new(start, step, values);
        if matches!(quantity, Quantity::CostUsd | Quantity::Tokens) {
            series.coverage = steps.iter().map(|gathered| gathered.cost.coverage).collect();
        }
        series
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

    /// The calls that the values are of, and those that they leave out: where it is not complete, the values are too low.
    /// None where the quantity is none of calls, or the values were given without it.
    pub fn coverage(&self) -> Option<Coverage> {
        let mut sum = Coverage::default();
        self.coverage.iter().for_each(|step| sum += *step);
        (!self.coverage.is_empty()).then_some(sum)
    }

    /// The same of one step, counted from 0.
    pub fn coverage_at(&self, place: usize) -> Option<Coverage> {
        self.coverage.get(place).copied()
    }

    /// When that step begins, counted from 0. The first one after the last value is where a forecast begins.
    pub fn at(&self, place: usize) -> DateTime<Utc> {
        after(self.start, self.step, place)
    }

    /// How many steps have a value.
    pub(crate) fn present(&self) -> usize {
        self.values.iter().flatten().count()
    }

    /// That the steps with a value are too few.
    pub(crate) fn not_enough(&self, need: usize) -> NotEnough {
        let steps = self.values.iter().zip(&self.coverage);
        let unknown = steps.filter(|(value, calls)| value.is_none() && !calls.is_empty()).count();
        NotEnough { have: self.present(), need, unknown }
    }

    /// The last so many steps.
    pub(crate) fn last(&self, most: usize) -> Self {
        let skipped = self.values.len().saturating_sub(most);
        Self {
            start: self.at(skipped),
            step: self.step,
            values: self.values[skipped..].to_vec(),
            coverage: self.coverage.get(skipped..).unwrap_or_default().to_vec(),
        }
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
    /// Of tokens it is the coverage alone that counts.
    cost: KnownUsd,
    tokens: u64,
    calls: u64,
    duration: Duration,
}

impl Gathered {
    fn of(sums: &Sums, quantity: Quantity) -> Self {
        let mut cost = sums.known_usd();
        let calls = cost.coverage.calls;
        if quantity == Quantity::Tokens {
            let calls_without_usage = calls.saturating_sub(sums.calls_with_usage);
            let coverage = Coverage { calls, calls_without_usage, ..Coverage::default() };
            cost = KnownUsd { coverage, ..KnownUsd::default() };
        }
        Self {
            operations: sums.count(),
            cost,
            tokens: sums.usage.total_tokens(),
            calls,
            duration: sums.duration(),
        }
    }

    fn add(&mut self, operation: &OperationRecord, quantity: Quantity) {
        self.operations += 1;
        match quantity {
            Quantity::CostUsd => self.cost += KnownUsd::of(&operation.llm_calls),
            Quantity::Tokens => {
                self.tokens = self.tokens.saturating_add(operation.usage().total_tokens());
                let told = operation.llm_calls.iter().filter(|call| call.usage.is_some()).count();
                let calls = operation.llm_calls.len() as u64;
                let calls_without_usage = calls - told as u64;
                self.cost.coverage +=
                    Coverage { calls, calls_without_usage, ..Coverage::default() };
            }
            Quantity::Operations => {}
            Quantity::Calls => self.calls += operation.llm_calls.len() as u64,
            Quantity::MeanSeconds => {
                self.duration = self.duration.saturating_add(operation.duration);
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a forecast needs no more than 53 bits")]
    fn value(&self, quantity: Quantity) -> Option<f64> {
        match quantity {
            Quantity::CostUsd => Some(self.cost.known()?.to_f64_lossy()),
            // Where no call told its usage, no amount is known either.
            Quantity::Tokens => self.cost.known().map(|_| self.tokens as f64),
            Quantity::Operations => Some(self.operations as f64),
            Quantity::Calls => Some(self.calls as f64),
            Quantity::MeanSeconds => {
                (self.operations > 0).then(|| self.duration.as_secs_f64() / self.operations as f64)
            }
        }
    }
}
