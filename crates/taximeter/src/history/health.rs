//! How far the numbers can be trusted: what is there, what has no price, how old the prices are.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use taximeter_models::CostTotals;
use taximeter_persistence::StoreError;

use super::{History, Losses, Period};

/// How far the numbers can be trusted.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Health {
    /// Operations in the store, of all time.
    pub operations: u64,
    /// When the first of them began.
    pub first_at: Option<DateTime<Utc>>,
    /// When the last of them began.
    pub last_at: Option<DateTime<Utc>>,
    /// Bytes of the store on disk.
    pub bytes: u64,
    /// Records of which a second copy came, and was not counted again.
    pub known_again: u64,
    /// Records that were met with and could not be read.
    pub damaged: u64,
    /// LLM calls of the period whose cost is not known, or only in part.
    pub unpriced_calls: u64,
    /// LLM calls of the period whose reply told no usage.
    pub calls_without_usage: u64,
    /// LLM calls of the period in whose cost something was assumed.
    pub estimated_calls: u64,
    /// The day of which the prices are.
    pub prices_as_of: Option<NaiveDate>,
    /// Whether these are old.
    pub late_book: Option<LateBook>,
    /// What the meters of the store lost within the period.
    pub losses: Losses,
}

/// Prices that are old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LateBook {
    /// By how many days.
    pub days: i64,
}

/// After so many days prices are said to be old.
const OLD_DAYS: i64 = 90;

impl History {
    /// How far the numbers of a period can be trusted.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn health(&self, period: Period, now: DateTime<Utc>) -> Result<Health, StoreError> {
        let cost = self.all(self.whole(period))?.cost;
        self.health_of(&cost, period, now)
    }

    pub(super) fn health_of(
        &self,
        cost: &CostTotals,
        period: Period,
        now: DateTime<Utc>,
    ) -> Result<Health, StoreError> {
        let span = self.store.span()?;
        let at = |nanos: Option<i64>| nanos.map(DateTime::from_timestamp_nanos);
        let prices_as_of = self.prices.as_of();
        let days = prices_as_of.map(|day| (now.date_naive() - day).num_days());
        Ok(Health {
            operations: span.operations,
            first_at: at(span.first_ns),
            last_at: at(span.last_ns),
            bytes: span.bytes,
            known_again: span.known,
            damaged: 0,
            unpriced_calls: cost.unpriced_calls,
            calls_without_usage: cost.calls_without_usage,
            estimated_calls: cost.estimated_calls,
            prices_as_of,
            late_book: days.filter(|days| *days > OLD_DAYS).map(|days| LateBook { days }),
            losses: self.losses(period)?,
        })
    }
}
