//! How many values lie in each bucket, from the first bucket that has any to the last.

use crate::columns::buckets::{count, ends, place};

/// The logarithm of the buckets to each doubling: 64.
const BITS: u32 = 6;

/// How many buckets there are.
pub(super) const BUCKETS: usize = count::<BITS>();

/// Counts side by side, so that two of them are added in one run, and a value is counted without a search. Equal values have
/// equal counts, however they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counts {
    first: usize,
    counts: Vec<u64>,
}

impl Counts {
    /// The smallest and the largest value of a bucket.
    pub(super) fn ends(bucket: usize) -> (u64, u64) {
        ends::<BITS>(bucket)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// The first and the last bucket that have any.
    pub(super) fn range(&self) -> Option<(usize, usize)> {
        Some((self.first, self.first + self.counts.len().checked_sub(1)?))
    }

    /// Counts values, of which these are the smallest and the largest.
    pub(super) fn add(&mut self, values: &[u64], smallest: u64, largest: u64) {
        if values.is_empty() {
            return;
        }
        self.reach(place::<BITS>(smallest), place::<BITS>(largest));
        for value in values {
            let count = &mut self.counts[place::<BITS>(*value) - self.first];
            *count = count.saturating_add(1);
        }
    }

    /// Counts so many values of one bucket.
    pub(super) fn add_bucket(&mut self, bucket: usize, more: u64) {
        self.reach(bucket, bucket);
        let count = &mut self.counts[bucket - self.first];
        *count = count.saturating_add(more);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        let Some((first, last)) = other.range() else { return };
        self.reach(first, last);
        let ours = &mut self.counts[first - self.first..];
        for (count, more) in ours.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
    }

    /// Makes room for these buckets and what lies between.
    fn reach(&mut self, first: usize, last: usize) {
        if self.counts.is_empty() {
            self.first = first;
        }
        if let Some(before) = self.first.checked_sub(first).filter(|before| *before > 0) {
            self.counts.splice(..0, std::iter::repeat_n(0, before));
            self.first = first;
        }
        let length = self.counts.len().max(last - self.first + 1);
        self.counts.resize(length, 0);
    }

    /// Each bucket that has any, and how many it has, by bucket.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let counts = (self.first..).zip(&self.counts);
        counts.filter(|(_, count)| **count > 0).map(|(bucket, count)| (bucket, *count))
    }

    pub(super) fn sum(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The middle of the bucket of the value that has this index when all are sorted.
    #[expect(
        clippy::cast_precision_loss,
        reason = "an answer is a float; 53 bits are its precision"
    )]
    pub(super) fn value(&self, index: usize) -> Option<f64> {
        let mut rest = index as u64;
        for (bucket, count) in self.iter() {
            if rest < count {
                let (smallest, largest) = Self::ends(bucket);
                return Some(f64::midpoint(smallest as f64, largest as f64));
            }
            rest -= count;
        }
        None
    }
}
