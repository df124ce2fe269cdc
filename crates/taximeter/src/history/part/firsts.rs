//! Which of the counted operations took the longest and which cost the most, as far as that is told without their records.

use std::cmp::Reverse;

use taximeter_models::Money;

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
