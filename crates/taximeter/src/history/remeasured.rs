//! Whether advice that was given has helped: what it was about, measured before and after.

use chrono::{DateTime, Utc};
use serde::Serialize;
use taximeter_analysis::{Remeasured, remeasure};
use taximeter_models::Advice;
use taximeter_persistence::StoreError;

use super::{History, LookedAt, Period, Selection, VERSION};

/// The advice of a time, measured again after it.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
#[non_exhaustive]
pub struct Followed {
    /// The advice, with what it would save.
    pub advice: Advice,
    /// What was saved; none where there are too few operations of its name before or after.
    pub remeasured: Option<Remeasured>,
}

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
        let side =
            |since, until| self.records(only.query(Period { since, until }), super::MOST_RECORDS);
        let (before, looked_at_before) = side(period.since, Some(changed_at))?;
        let (after, looked_at_after) = side(Some(changed_at), period.until)?;
        let given = self.advice_of(&before, looked_at_before, period);
        let followed = |advice: Advice| {
            let remeasured = remeasure(&advice, &before, &after, &self.thresholds);
            Followed { advice, remeasured }
        };
        Ok(AdviceRemeasured {
            taximeter_version: VERSION,
            document: "remeasured",
            changed_at,
            looked_at_before,
            looked_at_after,
            advice: given.optimization_suggestions.into_iter().map(followed).collect(),
        })
    }
}
