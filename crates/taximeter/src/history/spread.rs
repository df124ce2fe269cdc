//! How the durations of operations spread: how many took how long.

use serde::Serialize;
use taximeter_persistence::StoreError;
use taximeter_persistence::store::{Block, Column, Query, Table};

use super::History;
use super::counting::Counting;

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
        let mut query = query.clone();
        query.limit = None;
        let places = Places::new();
        let counting = Counting {
            tables: &[(Table::Operations, &COLUMNS)],
            nothing: &|| vec![Count::default(); places.begins.len()],
            add: &|counts: &mut Vec<Count>, blocks: &[Block<'_>]| {
                for block in blocks {
                    places.count(block, counts);
                }
            },
            take: None,
        };
        let (counts, _) = counting.of(&*self.store, &query)?;
        let counts = counts.into_iter().reduce(|mut all, other| {
            for (one, more) in all.iter_mut().zip(other) {
                (one.operations, one.failed) =
                    (one.operations + more.operations, one.failed + more.failed);
            }
            all
        });
        let counts = counts.unwrap_or_default();
        let has_any = |count: &Count| count.operations > 0;
        let (Some(first), Some(last)) =
            (counts.iter().position(has_any), counts.iter().rposition(has_any))
        else {
            return Ok(Spread::default());
        };
        let stretch = |(place, count): (i32, &Count)| Stretch {
            from_seconds: edge(place),
            to_seconds: edge(place + 1),
            operations: count.operations,
            failed: count.failed,
        };
        let numbered = (FIRST..).zip(&counts);
        Ok(Spread {
            operations: counts.iter().map(|count| count.operations).sum(),
            stretches: numbered.skip(first).take(last + 1 - first).map(stretch).collect(),
        })
    }
}

const COLUMNS: [Column; 2] = [Column::Duration, Column::Outcome];

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    operations: u64,
    failed: u64,
}

/// In which stretch a duration lies, found without a logarithm.
struct Places {
    /// With how many nanoseconds each stretch begins, in its order.
    begins: Vec<u64>,
    /// The stretch in which the least number of so many bits lies.
    of_bits: [usize; 65],
}

/// The stretch of a microsecond, and of all that is shorter.
const FIRST: i32 = 30;

impl Places {
    fn new() -> Self {
        let mut begins = vec![0];
        for number in FIRST + 1..=place(u64::MAX) {
            begins.push(begin(number));
        }
        let mut of_bits = [0; 65];
        for (bits, of) in of_bits.iter_mut().enumerate().skip(1) {
            let least = 1_u64 << (bits - 1);
            *of = begins.partition_point(|begin| *begin <= least) - 1;
        }
        Self { begins, of_bits }
    }

    #[inline]
    fn of(&self, nanos: u64) -> usize {
        let bits = u64::BITS - nanos.leading_zeros();
        let mut place = self.of_bits[bits as usize];
        // There are three or four of them to a doubling.
        while self.begins.get(place + 1).is_some_and(|begin| *begin <= nanos) {
            place += 1;
        }
        place
    }

    fn count(&self, block: &Block<'_>, counts: &mut [Count]) {
        let nanos = block.numbers(&COLUMNS[0]).unwrap_or_default();
        let outcomes = block.numbers(&COLUMNS[1]).unwrap_or_default();
        for (row, nanos) in nanos.iter().enumerate().filter(|(_, nanos)| **nanos != Block::NONE) {
            let count = &mut counts[self.of(*nanos)];
            count.operations += 1;
            count.failed += u64::from(outcomes.get(row).is_some_and(|outcome| *outcome != 0));
        }
    }
}

/// The least number of nanoseconds that lies in a stretch.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is looked for from near there on"
)]
fn begin(number: i32) -> u64 {
    let near = 10_f64.powf(f64::from(number) / f64::from(EACH)) as u64;
    let mut nanos = near.saturating_sub(near >> 50).saturating_sub(2);
    while place(nanos) < number {
        nanos = nanos.saturating_add((near >> 52).max(1));
    }
    nanos
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
    fn a_stretch_is_found_without_a_logarithm() {
        let places = Places::new();
        let mut nanos = 1_u64;
        while nanos < u64::MAX / 3 {
            for at in [nanos - 1, nanos, nanos + 1] {
                assert_eq!(FIRST + i32::try_from(places.of(at)).unwrap(), place(at), "{at}");
            }
            nanos += nanos / 7 + 1;
        }
        for number in FIRST + 1..100 {
            let begin = begin(number);
            assert_eq!((place(begin - 1), place(begin)), (number - 1, number));
        }
    }

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
