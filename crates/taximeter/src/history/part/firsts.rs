//! Which of the counted operations took the longest and which cost the most, as far as that is told without their records.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use taximeter_models::Money;
use taximeter_persistence::store::Order;

/// So many of each are told.
pub(in super::super) const NAMED: usize = 5;

/// The first in each order of those that began within some time.
#[derive(Debug)]
pub(super) struct Firsts {
    /// From when to when, both included, in nanoseconds since 1970.
    within_ns: (i64, i64),
    pub(super) slowest: Top,
    pub(super) dearest: Top,
}

/// The largest of many; of equals the oldest.
#[derive(Debug, Default)]
pub(super) struct Top(Vec<(i128, Reverse<i64>)>);

/// Of no time at all.
impl Default for Firsts {
    fn default() -> Self {
        Self::within((i64::MAX, i64::MIN))
    }
}

/// The greatest of operations that are known by their sums alone: how long the slowest took, in nanoseconds, and what the
/// dearest cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Peak(pub(super) u64, pub(super) Money);

/// That of each block of some; none where none of the operations is in the block.
pub(super) type Peaks = Vec<Option<Peak>>;

/// That of all that began between two moments, both included, in nanoseconds since 1970.
pub(super) type PeaksInTime = BTreeMap<(i64, i64), Peak>;

impl Peak {
    /// The greatest of both.
    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0.max(other.0), self.1.max(other.1))
    }

    fn height(&self, order: Order) -> i128 {
        if order == Order::Dearest { self.1.ticks() } else { self.0.into() }
    }
}

/// Raises what is known of some blocks to what others of them have there.
pub(super) fn raise(known: &mut Peaks, others: &[Option<Peak>]) {
    if known.len() < others.len() {
        known.resize(others.len(), None);
    }
    for (known, other) in known.iter_mut().zip(others) {
        *known = match (*known, *other) {
            (Some(one), Some(other)) => Some(one.and(other)),
            (one, other) => one.or(other),
        };
    }
}

/// Where those are to be looked for that come first in an order.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Promising {
    /// When they began that were counted one by one, in nanoseconds since 1970: with them may others have begun.
    pub(in super::super) moments: Vec<i64>,
    /// The others, the most promising first.
    pub(in super::super) stretches: Vec<Stretch>,
}

/// Operations between two moments, both included, in nanoseconds since 1970, none of which is larger.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Stretch {
    pub(in super::super) began_ns: (i64, i64),
    pub(in super::super) largest: i128,
}

impl Promising {
    /// Of those that were counted one by one the first, and of the others what they are at most, as far as they began within
    /// some time; sums are of operations that all did, or none.
    pub(super) fn of(
        counted: &Firsts,
        others: &PeaksInTime,
        order: Order,
        (first, last): (i64, i64),
    ) -> Self {
        let top = if order == Order::Dearest { &counted.dearest } else { &counted.slowest };
        let others = others.iter().filter(|(began, _)| first <= began.0 && began.1 <= last);
        let mut stretches: Vec<_> = others
            .map(|(began, peak)| Stretch { began_ns: *began, largest: peak.height(order) })
            .collect();
        stretches.sort_by_key(|stretch| (Reverse(stretch.largest), stretch.began_ns));
        Self { moments: top.moments(), stretches }
    }
}

impl Firsts {
    pub(super) fn within(within_ns: (i64, i64)) -> Self {
        Self { within_ns, slowest: Top::default(), dearest: Top::default() }
    }

    #[inline]
    pub(super) fn offer(&mut self, started_ns: i64, nanos: u64, usd: Money) {
        if self.within_ns.0 <= started_ns && started_ns <= self.within_ns.1 {
            self.slowest.offer(nanos.into(), started_ns);
            self.dearest.offer(usd.ticks(), started_ns);
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.slowest.merge(other.slowest);
        self.dearest.merge(other.dearest);
    }
}

impl Top {
    #[inline]
    fn offer(&mut self, value: i128, started_ns: i64) {
        let one = (value, Reverse(started_ns));
        if self.0.len() < NAMED || self.0.last().is_some_and(|last| one > *last) {
            self.put(one);
        }
    }

    #[cold]
    fn put(&mut self, one: (i128, Reverse<i64>)) {
        let place = self.0.partition_point(|known| *known >= one);
        self.0.insert(place, one);
        self.0.truncate(NAMED);
    }

    fn merge(&mut self, other: Self) {
        other.0.into_iter().for_each(|(value, Reverse(started_ns))| self.offer(value, started_ns));
    }

    /// When they began, each moment once: in nanoseconds since 1970.
    pub(super) fn moments(&self) -> Vec<i64> {
        let mut moments: Vec<_> =
            self.0.iter().map(|(_, Reverse(started_ns))| *started_ns).collect();
        moments.sort_unstable();
        moments.dedup();
        moments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_are_kept_and_of_equals_the_oldest() {
        let mut firsts = Firsts::within((10, 100));
        for at in 0..60 {
            // Two of each, of which those before 10 do not count.
            firsts.offer(at, u64::try_from(at / 2 % 20).unwrap(), Money::ZERO);
        }
        assert_eq!(firsts.slowest.moments(), [34, 36, 37, 38, 39]);
        assert_eq!(firsts.dearest.moments(), [10, 11, 12, 13, 14]);
        let mut other = Firsts::within((10, 100));
        other.offer(99, 1_000, Money::ZERO);
        other.merge(firsts);
        assert_eq!(other.slowest.moments(), [36, 37, 38, 39, 99]);
    }
}
