//! Whole numbers of which sums are exact and percentiles are known within 0.8 %: counts in buckets.

use crate::columns::buckets::{count, ends, place};
use crate::statistics::{Distribution, Place};

/// The logarithm of the buckets to each doubling: 64.
const BITS: u32 = 6;
/// How many buckets there are.
pub(super) const BUCKETS: usize = count::<BITS>();

/// How whole numbers spread, such as nanoseconds. Count, sum, smallest, largest and deviation are exact; percentiles are
/// within [`Histogram::ERROR`] of the exact ones. Merged, it is to the last digit what one would be that had seen all.
///
/// It is for what is kept: it takes little memory and few bytes. What is counted once and thrown away, and may be exact where
/// it is small, is a [`Spread`](crate::statistics::Spread). (The bins of the sketch in there are the secret of its crate, so
/// that they cannot be written sparsely.)
///
/// ```
/// use taximeter_analysis::Histogram;
///
/// let mut nanos = Histogram::default();
/// (1..=1_000).for_each(|at| nanos.add(at * 1_000));
/// let seconds = nanos.distribution(1e-9).unwrap();
/// assert_eq!((seconds.count, seconds.max), (1_000, 0.001));
/// assert!((seconds.p90 - 0.0009).abs() <= Histogram::ERROR * 0.0009);
/// assert_eq!(Histogram::default().distribution(1.0), None); // of nothing
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Histogram {
    pub(super) sum: u128,
    /// The sum of the squares; at its limit the deviation is not told.
    pub(super) squares: u128,
    pub(super) min: u64,
    pub(super) max: u64,
    /// How many values lie in each bucket that has any, by bucket.
    pub(super) counts: Vec<(u16, u64)>,
}

impl Histogram {
    /// How far a percentile is from the exact one at most, as a part of the exact one: 0.8 %.
    pub const ERROR: f64 = 0.008;

    /// Counts a value.
    pub fn add(&mut self, value: u64) {
        self.widen(value, value);
        self.sum = self.sum.saturating_add(u128::from(value));
        self.squares = self.squares.saturating_add(u128::from(value) * u128::from(value));
        // There are fewer than four thousand buckets.
        self.add_count(u16::try_from(place::<BITS>(value)).unwrap_or(u16::MAX), 1);
    }

    /// Counts all values of another.
    pub fn merge(&mut self, other: &Self) {
        if other.counts.is_empty() {
            return;
        }
        self.widen(other.min, other.max);
        self.sum = self.sum.saturating_add(other.sum);
        self.squares = self.squares.saturating_add(other.squares);
        if other.counts.len() < 4 {
            other.counts.iter().for_each(|(bucket, count)| self.add_count(*bucket, *count));
        } else {
            self.counts = merged(&self.counts, &other.counts);
        }
    }

    /// The smallest and the largest value of a bucket.
    pub(super) fn ends(bucket: u16) -> (u64, u64) {
        ends::<BITS>(usize::from(bucket))
    }

    /// Before the first value is counted.
    fn widen(&mut self, min: u64, max: u64) {
        self.min = if self.counts.is_empty() { min } else { self.min.min(min) };
        self.max = self.max.max(max);
    }

    fn add_count(&mut self, bucket: u16, more: u64) {
        match self.counts.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(at) => self.counts[at].1 = self.counts[at].1.saturating_add(more),
            Err(at) => self.counts.insert(at, (bucket, more)),
        }
    }

    /// How many values came.
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// The values, added up.
    pub const fn sum(&self) -> u128 {
        self.sum
    }

    /// The values times `unit`: 1e-9 makes seconds of nanoseconds. None where nothing came.
    #[expect(
        clippy::cast_precision_loss,
        reason = "an answer is a float; 53 bits are its precision"
    )]
    pub fn distribution(&self, unit: f64) -> Option<Distribution> {
        let count = self.count();
        let (min, max) = (self.min as f64, self.max as f64);
        let percentile = |share| Some(self.quantile(share, count)?.clamp(min, max) * unit);
        Some(Distribution {
            count,
            sum: self.sum as f64 * unit,
            mean: (self.sum as f64 / count as f64).clamp(min, max) * unit,
            std_deviation: self.std_deviation(count).map(|deviation| deviation * unit),
            min: min * unit,
            max: max * unit,
            p50: percentile(0.5)?,
            p90: percentile(0.9)?,
            p95: percentile(0.95)?,
            p99: percentile(0.99)?,
            percentile_error: if self.min == self.max { 0.0 } else { Self::ERROR },
        })
    }

    fn quantile(&self, share: f64, count: u64) -> Option<f64> {
        let place = Place::of(share, usize::try_from(count).ok()?)?;
        Some(place.between(self.value(place.below)?, self.value(place.above)?))
    }

    /// The middle of the bucket of the value that has this index when all are sorted.
    #[expect(
        clippy::cast_precision_loss,
        reason = "an answer is a float; 53 bits are its precision"
    )]
    fn value(&self, index: usize) -> Option<f64> {
        let mut rest = index as u64;
        for (bucket, count) in &self.counts {
            if rest < *count {
                let (smallest, largest) = Self::ends(*bucket);
                return Some(f64::midpoint(smallest as f64, largest as f64));
            }
            rest -= count;
        }
        None
    }

    /// Of the sample. The sum of squares less the square of the sum is taken in whole numbers, so that no digit is lost.
    #[expect(clippy::cast_precision_loss, reason = "what is left of it is rounded once")]
    fn std_deviation(&self, count: u64) -> Option<f64> {
        if count < 2 || self.squares == u128::MAX || self.sum == u128::MAX {
            return None;
        }
        let n = u128::from(count);
        let (mean, rest) = (self.sum / n, self.sum % n);
        let whole = mean.checked_mul(mean)?.checked_mul(n)?;
        let whole = whole.checked_add(mean.checked_mul(rest)?.checked_mul(2)?)?;
        let spread = self.squares.checked_sub(whole)? as f64 - rest as f64 * rest as f64 / n as f64;
        Some((spread.max(0.0) / (count - 1) as f64).sqrt())
    }
}

/// The counts of both, by bucket.
fn merged(left: &[(u16, u64)], right: &[(u16, u64)]) -> Vec<(u16, u64)> {
    let mut both = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    while let (Some(one), Some(other)) = (left.peek(), right.peek()) {
        let (from_left, from_right) = (one.0 <= other.0, other.0 <= one.0);
        let bucket = one.0.min(other.0);
        let mut sum = 0_u64;
        if from_left {
            sum = sum.saturating_add(left.next().map_or(0, |counted| counted.1));
        }
        if from_right {
            sum = sum.saturating_add(right.next().map_or(0, |counted| counted.1));
        }
        both.push((bucket, sum));
    }
    both.extend(left.chain(right));
    both
}
