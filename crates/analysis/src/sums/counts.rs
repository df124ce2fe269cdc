//! How many values lie in each bucket, from the first bucket that has any to the last.

use crate::columns::buckets::{count, ends, place};

/// The logarithm of the buckets to each doubling: 64.
const BITS: u32 = 6;

/// How many buckets there are.
pub(super) const BUCKETS: usize = count::<BITS>();

/// How many values lie in each bucket.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    /// From this bucket on they stand side by side, so that two are added in one run, and a value is counted without a search.
    first: usize,
    run: Vec<u64>,
    /// Few buckets that are far apart, each with its count, as they were read: there may be many such. Then there is no run.
    apart: Vec<(u16, u64)>,
}

/// Equal values have equal counts, however they came.
impl PartialEq for Counts {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Counts {}

impl Counts {
    /// Of buckets that rise, with how many each has.
    pub(super) fn of(buckets: Vec<(u16, u64)>) -> Self {
        let most = 2 * buckets.len();
        let mut counts = Self { apart: buckets, ..Self::default() };
        if let Some((first, last)) = counts.range().filter(|(first, last)| last - first < most) {
            counts.reach(first, last);
        }
        counts
    }

    /// The smallest and the largest value of a bucket.
    pub(super) fn ends(bucket: usize) -> (u64, u64) {
        ends::<BITS>(bucket)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.range().is_none()
    }

    /// The first and the last bucket that have any.
    pub(super) fn range(&self) -> Option<(usize, usize)> {
        match (self.apart.as_slice(), self.run.len().checked_sub(1)) {
            ([first, .., last], _) => Some((first.0.into(), last.0.into())),
            ([one], _) => Some((one.0.into(), one.0.into())),
            ([], behind) => Some((self.first, self.first + behind?)),
        }
    }

    /// Counts values, of which these are the smallest and the largest.
    pub(super) fn add(&mut self, values: &[u64], smallest: u64, largest: u64) {
        if values.is_empty() {
            return;
        }
        self.reach(place::<BITS>(smallest), place::<BITS>(largest));
        for value in values {
            let count = &mut self.run[place::<BITS>(*value) - self.first];
            *count = count.saturating_add(1);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        let Some((first, last)) = other.range() else { return };
        self.reach(first, last);
        let ours = &mut self.run[first - self.first..];
        for (count, more) in ours.iter_mut().zip(&other.run) {
            *count = count.saturating_add(*more);
        }
        self.add_apart(&other.apart);
    }

    /// They are within the run.
    fn add_apart(&mut self, buckets: &[(u16, u64)]) {
        for (bucket, more) in buckets {
            let count = &mut self.run[usize::from(*bucket) - self.first];
            *count = count.saturating_add(*more);
        }
    }

    /// Puts all side by side, with room for these buckets.
    fn reach(&mut self, first: usize, last: usize) {
        let held = self.range();
        let first = held.map_or(first, |(held, _)| held.min(first));
        let last = held.map_or(last, |(_, held)| held.max(last));
        if self.run.is_empty() {
            self.first = first;
        }
        if first < self.first {
            self.run.splice(..0, std::iter::repeat_n(0, self.first - first));
            self.first = first;
        }
        self.run.resize(last - first + 1, 0);
        let apart = std::mem::take(&mut self.apart);
        self.add_apart(&apart);
    }

    /// Each bucket that has any, and how many it has, by bucket.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let run = (self.first..).zip(self.run.iter().copied()).filter(|(_, count)| *count > 0);
        self.apart.iter().map(|(bucket, count)| (usize::from(*bucket), *count)).chain(run)
    }

    pub(super) fn sum(&self) -> u64 {
        self.iter().fold(0, |sum: u64, (_, count)| sum.saturating_add(count))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counted(values: &[u64]) -> Counts {
        let mut counts = Counts::default();
        let ends = |values: &[u64]| Some((*values.iter().min()?, *values.iter().max()?));
        let (smallest, largest) = ends(values).unwrap_or_default();
        counts.add(values, smallest, largest);
        counts
    }

    /// As they are read from bytes.
    fn read(values: &[u64]) -> Counts {
        let number = |(bucket, count)| (u16::try_from(bucket).unwrap(), count);
        Counts::of(counted(values).iter().map(number).collect())
    }

    proptest! {
        /// Whichever of them stand side by side, and whether they are near or far apart.
        #[test]
        fn what_was_read_and_what_was_counted_add_up_alike(
            parts in prop::collection::vec((any::<bool>(), 0..64_u32, prop::collection::vec(any::<u64>(), 0..40)), 0..6),
        ) {
            let (mut merged, mut all) = (Counts::default(), Vec::new());
            for (is_read, shift, mut values) in parts {
                for value in &mut values {
                    *value >>= shift;
                }
                merged.merge(&if is_read { read(&values) } else { counted(&values) });
                all.extend(values);
            }
            prop_assert_eq!(&merged, &counted(&all));
            prop_assert_eq!(&merged, &read(&all));
            prop_assert_eq!(merged.range(), read(&all).range());
            prop_assert_eq!(merged.sum(), all.len() as u64);
        }
    }
}
