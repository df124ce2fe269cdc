//! Whether advice that was given has helped: what it was about, measured before and after.

use chrono::{DateTime, Utc};
use serde::Serialize;
use taximeter_analysis::{Remeasured, remeasure};
use taximeter_models::{Advice, OperationRecord};
use taximeter_persistence::StoreError;

use super::{Advised, History, LookedAt, Period, Selection, VERSION};

/// The advice of a time, measured again after it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct AdviceRemeasured {
    /// The version of the document.
    pub taximeter_version: u32,
    /// `remeasured`.
    pub document: &'static str,
    /// The moment from which on it may have been followed.
    pub changed_at: DateTime<Utc>,
    /// The operations before that were looked at.
    pub looked_at_before: LookedAt,
    /// Those after.
    pub looked_at_after: LookedAt,
    /// Each advice that the operations before give, with what came of it.
    pub advice: Vec<Followed>,
}

/// An advice, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Followed {
    /// The advice, with what it would save.
    pub advice: Advice,
    /// What was saved; none where there are too few operations of its name before or after.
    pub remeasured: Option<Remeasured>,
}

/// The operations before or after a moment, and how many were looked at.
type Side = (Vec<OperationRecord>, LookedAt);

impl History {
    /// What came of the advice that the operations of a period before a moment give, by those of the period after it.
    ///
    /// # Errors
    /// Where the store cannot be read. That nothing was to be advised, or too little came after, is an answer.
    pub fn remeasure(
        &self,
        only: &Selection,
        period: Period,
        changed_at: DateTime<Utc>,
    ) -> Result<AdviceRemeasured, StoreError> {
        let only = only.whenever();
        let before = self.half(&only, period.since, Some(changed_at))?;
        let after = self.half(&only, Some(changed_at), period.until)?;
        Ok(self.came_of(period, changed_at, &before, &after))
    }

    /// What to do in a period, and what came in it of the advice of the one before; none where there is no such period. The
    /// operations of the period are read once for both.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn advice_and_effect(
        &self,
        only: &Selection,
        period: Period,
    ) -> Result<(Advised, Option<AdviceRemeasured>), StoreError> {
        let period = only.period.unwrap_or(period);
        let only = only.whenever();
        let now = self.half(&only, period.since, period.until)?;
        let again = match (period.previous(), period.since) {
            (Some(previous), Some(since)) => {
                let before = self.half(&only, previous.since, Some(since))?;
                let both = Period { since: previous.since, ..period };
                Some(self.came_of(both, since, &before, &now))
            }
            _ => None,
        };
        Ok((self.advice_of(&now.0, now.1, period), again))
    }

    fn half(
        &self,
        only: &Selection,
        since: Option<DateTime<Utc>>,
        until: Option<DateTime<Utc>>,
    ) -> Result<Side, StoreError> {
        self.records(only.query(Period { since, until }), super::MOST_RECORDS)
    }

    fn came_of(
        &self,
        period: Period,
        changed_at: DateTime<Utc>,
        (before, looked_at_before): &Side,
        (after, looked_at_after): &Side,
    ) -> AdviceRemeasured {
        let given = self.advice_of(before, *looked_at_before, period);
        let followed = |advice: Advice| {
            let remeasured = remeasure(&advice, before, after, &self.thresholds);
            Followed { advice, remeasured }
        };
        AdviceRemeasured {
            taximeter_version: VERSION,
            document: "remeasured",
            changed_at,
            looked_at_before: *looked_at_before,
            looked_at_after: *looked_at_after,
            advice: given.optimization_suggestions.into_iter().map(followed).collect(),
        }
    }
}
