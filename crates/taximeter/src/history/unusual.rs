//! What is out of the ordinary: hours or days, single operations, and tools and LLMs that fail more often than before.

use chrono::{DateTime, Utc};
use serde::Serialize;
use taximeter_analysis::{
    Anomalies, AnomalyConfig, ErrorJump, NotEnough, Quantity, Series, SlowOperation, Step,
    anomalies, error_jumps, slow_operations,
};
use taximeter_persistence::StoreError;

use super::{History, LookedAt, Period, Selection, VERSION};

/// Where to look for what is out of the ordinary.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct UnusualAsk {
    /// Of which operations. Default: all.
    pub selection: Selection,
    /// In which period. Default: the last day, or as it was asked.
    pub period: Period,
    /// Which steps of what. Default: the cost.
    pub quantity: Quantity,
    /// Hours or days. Default: hours.
    pub step: Step,
    /// Until when there are steps: that of this moment is not over.
    pub now: DateTime<Utc>,
    /// From where on something is out of the ordinary. Default: [`AnomalyConfig::default`].
    pub config: AnomalyConfig,
}

impl UnusualAsk {
    /// Hours of dear calls, slow operations and failing tools and LLMs in a period.
    pub fn new(period: Period, now: DateTime<Utc>) -> Self {
        let (quantity, step) = (Quantity::CostUsd, Step::Hour);
        let (selection, config) = (Selection::default(), AnomalyConfig::default());
        Self { selection, period, quantity, step, now, config }
    }
}

/// What is out of the ordinary in a period.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Unusual {
    /// The version of the document.
    pub taximeter_version: u32,
    /// `anomalies`.
    pub document: &'static str,
    /// The period.
    #[serde(flatten)]
    pub period: Period,
    /// The operations of the period that were looked at.
    pub looked_at: LookedAt,
    /// Those of the period of the same length before it, with which error rates are compared.
    pub looked_at_before: LookedAt,
    /// Of what the steps are.
    pub quantity: Quantity,
    /// The steps of the period that are out of the ordinary, by all that were before; none where these are too few.
    pub steps: Option<Anomalies>,
    /// Why there are none.
    pub not_enough: Option<NotEnough>,
    /// Operations that took out of the ordinary long for their name, the most surprising first.
    pub slow_operations: Vec<SlowOperation>,
    /// Tools and LLMs that fail more often than in the period before, the surest first.
    pub error_jumps: Vec<ErrorJump>,
}

impl History {
    /// What is out of the ordinary in a period: each by its own kind, with false alarms kept below the probability that the
    /// configuration names.
    ///
    /// # Errors
    /// Where the store cannot be read. That too little was recorded is an answer.
    pub fn unusual(&self, ask: &UnusualAsk) -> Result<Unusual, StoreError> {
        let period = ask.selection.period.unwrap_or(ask.period);
        let only = ask.selection.whenever();
        let (records, looked_at) = self.records(only.query(period), super::MOST_RECORDS)?;
        let (mut both, looked_at_before) = match period.previous() {
            Some(before) => self.records(only.query(before), super::MOST_RECORDS)?,
            None => (Vec::new(), LookedAt::default()),
        };
        let series = if only.conditions.is_empty() {
            self.series(ask.quantity, ask.step, ask.now)?
        } else {
            Series::of_records(both.iter().chain(&records), ask.quantity, ask.step, ask.now)
        };
        let (mut steps, not_enough) = match anomalies(&series, &ask.config) {
            Ok(found) => (Some(found), None),
            Err(not_enough) => (None, Some(not_enough)),
        };
        if let Some(steps) = &mut steps {
            steps.found.retain(|anomaly| period.since.is_none_or(|since| anomaly.at >= since));
        }
        let slow = slow_operations(&records, &ask.config);
        both.extend(records);
        let jumps = period.since.map(|since| error_jumps(&both, since, &ask.config));
        Ok(Unusual {
            taximeter_version: VERSION,
            document: "anomalies",
            period,
            looked_at,
            looked_at_before,
            quantity: ask.quantity,
            steps,
            not_enough,
            slow_operations: slow,
            error_jumps: jumps.unwrap_or_default(),
        })
    }
}
