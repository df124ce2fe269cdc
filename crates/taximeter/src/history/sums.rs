//! The sums of a period that its numbers and tables are made of, each read once.

use taximeter_analysis::Sums;
use taximeter_persistence::StoreError;

use super::{History, Period, Summed, windows};

/// The sums of a period, of all operations and by what calls and operations are told apart.
pub(super) struct PeriodSums {
    pub(super) all: Sums,
    pub(super) operations: Vec<Summed>,
    pub(super) tools: Vec<Summed>,
    pub(super) llms: Vec<Summed>,
}

impl PeriodSums {
    pub(super) fn read(history: &History, period: Period) -> Result<Self, StoreError> {
        let by = |dimension| history.sums(dimension, period, None);
        Ok(Self {
            all: history.all(period)?,
            operations: by(windows::OPERATION)?,
            tools: by(windows::TOOL)?,
            llms: by(windows::LLM)?,
        })
    }

    /// Those of the period before; none where there is none, or nothing was recorded then.
    pub(super) fn before(history: &History, period: Period) -> Result<Option<Self>, StoreError> {
        let Some(previous) = period.previous() else { return Ok(None) };
        Ok(Some(Self::read(history, previous)?).filter(|sums| sums.all.success.of > 0))
    }
}
