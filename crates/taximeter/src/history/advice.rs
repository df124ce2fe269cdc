//! What stands out in a period, what to do about it, and what that would save in a month.

use chrono::TimeDelta;
use serde::Serialize;
use taximeter_analysis::{TimeSpent, bottlenecks, time_spent};
use taximeter_models::{Advice, Finding, LlmCall, Money, Name, OperationRecord};
use taximeter_persistence::StoreError;

use super::{History, LookedAt, Period, Selection, VERSION};

/// What stands out, and what to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Advised {
    /// The version of the document.
    pub taximeter_version: u32,
    /// `advice`.
    pub document: &'static str,
    /// The period.
    #[serde(flatten)]
    pub period: Period,
    /// The records that were looked at.
    pub looked_at: LookedAt,
    /// What stands out, the most important first.
    pub bottlenecks: Vec<Finding>,
    /// What to do about it, in the same order.
    pub optimization_suggestions: Vec<Advice>,
    /// What each of these would save in a month; none where that cannot be told.
    pub per_month: Vec<Option<PerMonth>>,
}

/// What an advice would save in thirty days, if as many operations run as did.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PerMonth {
    /// In US dollars; none where no money is saved, or prices are not known.
    pub usd: Option<Money>,
    /// In seconds, those that run in parallel added up; none where no time is saved.
    pub seconds: Option<f64>,
}

impl History {
    /// What stands out in the operations of a selection, what to do about it and what it would save.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn advice(&self, selection: &Selection, period: Period) -> Result<Advised, StoreError> {
        let period = selection.period.unwrap_or(period);
        let query = selection.query(period);
        let (records, looked_at) = self.records(query, super::MOST_RECORDS)?;
        Ok(self.advice_of(&records, looked_at, period))
    }

    pub(super) fn advice_of(
        &self,
        records: &[OperationRecord],
        looked_at: LookedAt,
        period: Period,
    ) -> Advised {
        let found = bottlenecks(records, &self.thresholds);
        let advice = taximeter_analysis::advise(&found);
        let advice =
            taximeter_analysis::with_savings(advice, records, &self.thresholds, &Book(self));
        let days = days(records);
        let per_month = advice.iter().map(|advice| per_month(advice, days)).collect();
        Advised {
            taximeter_version: VERSION,
            document: "advice",
            period,
            looked_at,
            bottlenecks: found,
            optimization_suggestions: advice,
            per_month,
        }
    }
}

/// Where the time of the operations goes that take the most of it: of so many names.
pub(super) fn where_time_goes(records: &[OperationRecord], names: usize) -> Vec<TimeSpent> {
    let mut times = std::collections::BTreeMap::<&Name, u128>::new();
    for record in records.iter().filter(|record| record.parent.is_none()) {
        *times.entry(&record.name).or_default() += record.duration.as_nanos();
    }
    let mut times: Vec<_> = times.into_iter().collect();
    times.sort_by_key(|(name, nanos)| (std::cmp::Reverse(*nanos), *name));
    times.into_iter().take(names).filter_map(|(name, _)| time_spent(records, name)).collect()
}

/// The days over which the records reach; none where these are too few to speak of a month.
#[expect(clippy::cast_precision_loss, reason = "seconds of years stay far below 2^53")]
fn days(records: &[OperationRecord]) -> Option<f64> {
    let starts = || records.iter().map(|record| record.started_at);
    let reach = starts().max()? - starts().min()?;
    (reach >= TimeDelta::hours(1)).then(|| reach.num_seconds() as f64 / 86_400.0)
}

fn per_month(advice: &Advice, days: Option<f64>) -> Option<PerMonth> {
    let (saving, days) = (advice.saving.as_ref()?, days?);
    let times = scale(saving.operations, days);
    let usd = saving.usd.and_then(|usd| usd.likely.checked_mul(times));
    #[expect(clippy::cast_precision_loss, reason = "a saving needs no more than 53 bits")]
    let seconds = saving.seconds.map(|seconds| seconds.likely * times as f64);
    (usd.is_some() || seconds.is_some()).then_some(PerMonth { usd, seconds })
}

/// How many operations there would be in thirty days.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a number of operations stays far below 2^53"
)]
fn scale(operations: u64, days: f64) -> i128 {
    (operations as f64 * 30.0 / days).round() as i128
}

/// The price book, asked what calls would cost if they were others.
struct Book<'a>(&'a History);

impl taximeter_analysis::Prices for Book<'_> {
    fn usd(&self, call: &LlmCall, at: chrono::DateTime<chrono::Utc>) -> Option<Money> {
        let mut asked = call.clone();
        asked.cost = taximeter_models::CostOutcome::Pending;
        self.0.prices.price_call(&asked, at).known_usd()
    }
}
