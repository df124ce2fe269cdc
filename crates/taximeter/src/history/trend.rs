//! How an operation did over a window, since when it is another, and why.

use chrono::{DateTime, Utc};
use serde::Serialize;
use taximeter_analysis::{
    CostChange, DurationChange, Part, PartTime, TimeSpent, WhatIf, Window, time_spent, trend,
    what_if, why_cost, why_duration,
};
use taximeter_models::{OperationRecord, PerformanceTrend};
use taximeter_persistence::StoreError;
use taximeter_persistence::store::{Condition, Detail};

use super::{History, LookedAt, Period, Selection, VERSION};

/// How an operation did.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Trend {
    /// The version of the document.
    pub taximeter_version: u32,
    /// `trend`.
    pub document: &'static str,
    /// The operations that were looked at.
    pub looked_at: LookedAt,
    /// The trend, with the fields of the original system.
    #[serde(flatten)]
    pub trend: PerformanceTrend,
    /// The seconds that operations took, each with its moment: at most 500 of them, evenly taken.
    pub points: Vec<(DateTime<Utc>, f64)>,
    /// Where the time goes; none where there are no operations.
    pub time_spent: Option<TimeSpent>,
    /// What if each of the parts that take the most were twice as fast.
    pub what_if: Vec<WhatIf>,
    /// Why it takes longer, or less long, since the last change; none where there is none.
    pub why_duration: Option<DurationChange>,
    /// Why it costs more, or less, since then.
    pub why_cost: Option<CostChange>,
}

/// So many operations are looked at: the newest ones.
const MOST: usize = 5_000;
/// So many parts are asked what if they were faster.
const PARTS: usize = 3;
/// So many points are handed on for drawing.
const POINTS: usize = 500;

impl History {
    /// How the operations of a name did over a window that ends at a moment.
    ///
    /// # Errors
    /// Where the store cannot be read. That there is too little to say is an answer.
    pub fn trend(
        &self,
        operation: &str,
        window: &Window,
        only: &Selection,
        now: DateTime<Utc>,
    ) -> Result<Trend, StoreError> {
        let since = chrono::TimeDelta::from_std(window.length()).ok();
        let since = since.and_then(|length| now.checked_sub_signed(length));
        let selection = only.clone().and(Condition::Operation(operation.into()));
        let query = selection.query(Period::new(since, Some(now)));
        let query = query.detail(Detail::WithoutMetadata);
        let (records, looked_at) = self.records(query, MOST)?;
        let mut config = self.trends.clone();
        config.thresholds.clone_from(&self.thresholds);
        let found = trend(&records, operation, window, now, &config);
        let (why_duration, why_cost) = match found.changes.last() {
            Some(change) => {
                let since = change.since;
                let (before, after): (Vec<_>, Vec<_>) =
                    records.iter().partition(|record| record.started_at < since);
                let before = before.into_iter();
                let (one, other): (Vec<_>, Vec<_>) = (before.collect(), after);
                (
                    why_duration(one.iter().copied(), other.iter().copied(), operation),
                    Some(why_cost(one.iter().copied(), other.iter().copied())),
                )
            }
            None => (None, None),
        };
        let every = records.len().div_ceil(POINTS).max(1);
        let points = records.iter().step_by(every);
        let time_spent = time_spent(&records, operation);
        Ok(Trend {
            taximeter_version: VERSION,
            document: "trend",
            looked_at,
            points: points.map(|r| (r.started_at, r.duration.as_secs_f64())).collect(),
            what_if: time_spent
                .as_ref()
                .map_or_else(Vec::new, |spent| twice_as_fast(&records, spent)),
            time_spent,
            trend: found,
            why_duration,
            why_cost,
        })
    }
}

/// The operation's own time is nobody's to make faster but by knowing what is in it.
fn twice_as_fast(records: &[OperationRecord], spent: &TimeSpent) -> Vec<WhatIf> {
    let parts = spent.all.parts.iter().filter(|part| part.part != Part::Own && part.share > 0.0);
    let what_if = |part: &PartTime| what_if(records, &spent.operation, &part.part, 2.0);
    parts.take(PARTS).filter_map(what_if).collect()
}
