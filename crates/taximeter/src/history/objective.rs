//! Whether a promise to users is kept, and how fast the rest of it goes.

use std::ops::ControlFlow;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use taximeter_analysis::{Keeping, Kept, Objective, Window};
use taximeter_persistence::StoreError;
use taximeter_persistence::store::{Block, Column, Table};

use super::{History, Period, Selection, VERSION};

/// How a promise is kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ObjectiveKept {
    /// The version of the document.
    pub taximeter_version: u32,
    /// `slo`.
    pub document: &'static str,
    /// Of which operations, as it was asked.
    pub only: String,
    /// The promise.
    pub objective: Objective,
    /// Over how long a period.
    pub window: Window,
    /// Until when.
    pub until: DateTime<Utc>,
    /// How it is kept.
    #[serde(flatten)]
    pub kept: Kept,
    /// Whether the budget goes so fast that somebody should look now.
    pub alarms: bool,
}

impl History {
    /// How a promise was kept by the operations of a selection in the window before a moment. It is counted over columns, so
    /// that all of them are looked at, however many.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn objective(
        &self,
        objective: &Objective,
        only: &Selection,
        window: &Window,
        now: DateTime<Utc>,
    ) -> Result<ObjectiveKept, StoreError> {
        let mut keeping = Keeping::new(*objective, window.length(), now);
        let columns = [Column::StartedAt, Column::Duration, Column::Outcome];
        // An operation counts when it ends, and may have begun before the window did.
        let query = only.whenever().query(Period::ALL);
        self.store.columns(Table::Operations, &query, &columns, &mut |block| {
            add(&mut keeping, block, &columns);
            ControlFlow::Continue(())
        })?;
        let kept = keeping.finish();
        Ok(ObjectiveKept {
            taximeter_version: VERSION,
            document: "slo",
            only: only.to_string(),
            objective: *objective,
            window: window.clone(),
            until: now,
            alarms: kept.alarms(),
            kept,
        })
    }
}

fn add(keeping: &mut Keeping, block: &Block<'_>, columns: &[Column; 3]) {
    let [started, took, outcome] = columns.each_ref().map(|column| block.numbers(column));
    let (Some(started), Some(took), Some(outcome)) = (started, took, outcome) else { return };
    for ((started, took), outcome) in started.iter().zip(took).zip(outcome) {
        let took = Duration::from_nanos(*took);
        let ended = DateTime::from_timestamp_nanos(started.cast_signed());
        keeping.add(ended + took, took, *outcome == 0);
    }
}
