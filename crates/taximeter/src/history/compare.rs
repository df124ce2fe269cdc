//! Two selections of operations side by side: which is slower, dearer, fails more often, and why.

use serde::Serialize;
use taximeter_analysis::{
    Comparison, CostChange, DurationChange, Gate, compare_operations, why_cost, why_duration,
};
use taximeter_models::{Measure, Name, OperationRecord};

use super::{History, HistoryError, LookedAt, MetricCompared, Period, Selection, VERSION, metrics};

/// Two selections side by side.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Compared {
    /// The version of the document.
    pub taximeter_version: u32,
    /// `compare`.
    pub document: &'static str,
    /// The first, as it was asked for.
    pub a: String,
    /// The second.
    pub b: String,
    /// The operations of the first that were looked at.
    pub looked_at_a: LookedAt,
    /// Those of the second.
    pub looked_at_b: LookedAt,
    /// How the second compares with the first, measure by measure.
    pub measures: Vec<Measured>,
    /// How the metrics compare that both have: the numbers in their metadata.
    pub metrics: Vec<MetricCompared>,
    /// Why the second costs more, or less.
    pub why_cost: CostChange,
    /// Why the operations of each name take longer, or less long, that both have; the largest change first.
    pub why_duration: Vec<DurationChange>,
}

/// How one measure compares.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Measured {
    /// What is measured.
    pub measure: Measure,
    /// How it compares; none where one side does not know it.
    pub comparison: Option<Comparison>,
}

impl History {
    /// Compares two selections of operations; what names no period itself is of the given one.
    ///
    /// # Errors
    /// Where a side has no operations, or the store cannot be read.
    pub fn compare(
        &self,
        a: &Selection,
        b: &Selection,
        period: Period,
    ) -> Result<Compared, HistoryError> {
        let (before, looked_at_a) = self.side(a, period)?;
        let (after, looked_at_b) = self.side(b, period)?;
        let measure = |measure: &Measure| Measured {
            measure: *measure,
            comparison: compare_operations(&before, &after, *measure, &Gate::default()),
        };
        Ok(Compared {
            taximeter_version: VERSION,
            document: "compare",
            a: a.to_string(),
            b: b.to_string(),
            looked_at_a,
            looked_at_b,
            measures: Measure::ALL.iter().map(measure).collect(),
            metrics: metrics::compared(&before, &after),
            why_cost: why_cost(&before, &after),
            why_duration: whys(&before, &after),
        })
    }

    pub(super) fn side(
        &self,
        side: &Selection,
        period: Period,
    ) -> Result<(Vec<OperationRecord>, LookedAt), HistoryError> {
        let found = self.records(side.query(period), super::MOST_RECORDS)?;
        if found.0.is_empty() {
            return Err(HistoryError::EmptySide { side: side.to_string() });
        }
        Ok(found)
    }
}

fn whys(before: &[OperationRecord], after: &[OperationRecord]) -> Vec<DurationChange> {
    let names: std::collections::BTreeSet<&Name> =
        after.iter().map(|record| &record.name).collect();
    let why = |name: &Name| why_duration(before, after, name);
    let mut whys: Vec<_> = names.into_iter().filter_map(why).collect();
    let size = |why: &DurationChange| (why.after_seconds - why.before_seconds).abs();
    whys.sort_by(|one, other| size(other).total_cmp(&size(one)));
    whys
}
