//! How the durations of operations spread: how many took how long.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::Serialize;
use taximeter_persistence::StoreError;
use taximeter_persistence::store::{Block, Column, Query, Table};

use super::History;

/// How many operations took how long.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[non_exhaustive]
pub struct Spread {
    /// All operations that were counted.
    pub operations: u64,
    /// From the shortest to the longest, without gaps.
    pub stretches: Vec<Stretch>,
}

/// The operations that took from one time to another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Stretch {
    /// From so many seconds on.
    pub from_seconds: f64,
    /// To fewer than so many.
    pub to_seconds: f64,
    /// The operations.
    pub operations: u64,
    /// Those of them that did not succeed.
    pub failed: u64,
}

/// So many stretches make a factor of ten.
const EACH: i32 = 10;

impl History {
    /// How the durations of the operations spread that a query means, in ten stretches for each factor of ten. Its order and
    /// its limit mean nothing here.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn spread(&self, query: &Query) -> Result<Spread, StoreError> {
        let columns = [Column::Duration, Column::Outcome];
        let mut counts = BTreeMap::<i32, (u64, u64)>::new();
        let mut query = query.clone();
        query.limit = None;
        self.store.columns(Table::Operations, &query, &columns, &mut |block| {
            let (Some(nanos), outcomes) = (block.numbers(&columns[0]), block.numbers(&columns[1]))
            else {
                return ControlFlow::Continue(());
            };
            for (row, nanos) in nanos.iter().enumerate().filter(|(_, nanos)| **nanos != Block::NONE)
            {
                let count = counts.entry(place(*nanos)).or_default();
                let has_failed = outcomes.and_then(|all| all.get(row)).is_some_and(|one| *one != 0);
                (count.0, count.1) = (count.0 + 1, count.1 + u64::from(has_failed));
            }
            ControlFlow::Continue(())
        })?;
        let Some((first, last)) = counts.keys().next().zip(counts.keys().last()) else {
            return Ok(Spread::default());
        };
        let stretch = |place: i32| {
            let (operations, failed) = counts.get(&place).copied().unwrap_or_default();
            Stretch { from_seconds: edge(place), to_seconds: edge(place + 1), operations, failed }
        };
        Ok(Spread {
            operations: counts.values().map(|count| count.0).sum(),
            stretches: (*first..=*last).map(stretch).collect(),
        })
    }
}

/// The stretch of a duration; all below a microsecond are of one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a logarithm of 64 bits is small, and an edge need not be exact"
)]
fn place(nanos: u64) -> i32 {
    ((nanos.max(1_000) as f64).log10() * f64::from(EACH)).floor() as i32
}

fn edge(place: i32) -> f64 {
    10_f64.powf(f64::from(place) / f64::from(EACH)) * 1e-9
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use taximeter_models::{OperationId, OperationRecord, Outcome};
    use taximeter_persistence::store::MemoryStore;

    use super::super::{History, Windows};
    use super::*;

    #[test]
    fn every_operation_is_in_one_stretch() {
        let history = History::new(Arc::new(MemoryStore::summarizing(Arc::new(Windows))));
        assert_eq!(history.spread(&Query::default()).unwrap(), Spread::default());
        let record = |millis: u64| {
            let mut record = OperationRecord::new("answer");
            record.id = OperationId::from_bits(u128::from(millis));
            record.duration = Duration::from_millis(millis);
            record.outcome = if millis > 5_000 { Outcome::Failure } else { Outcome::Success };
            record
        };
        history.append([900, 1_100, 1_150, 9_000].map(record).into()).unwrap();
        let spread = history.spread(&Query::default().limit(1)).unwrap();
        assert_eq!(spread.operations, 4);
        assert_eq!(spread.stretches.iter().map(|one| one.operations).sum::<u64>(), 4);
        assert_eq!(spread.stretches.iter().map(|one| one.failed).sum::<u64>(), 1);
        let (first, last) = (spread.stretches[0], spread.stretches[spread.stretches.len() - 1]);
        assert!(first.from_seconds <= 0.9 && 0.9 < first.to_seconds);
        assert!(last.from_seconds <= 9.0 && 9.0 < last.to_seconds);
        let meet =
            |pair: &[Stretch]| pair[0].to_seconds.to_bits() == pair[1].from_seconds.to_bits();
        assert!(spread.stretches.windows(2).all(meet));
    }
}
