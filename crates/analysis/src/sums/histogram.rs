//! Whole numbers of which sums are exact and percentiles are known within 0.4 %: counts in buckets.

use std::collections::BTreeMap;

use crate::Percentiles;
use crate::columns::buckets::{bounds, bucket};
use crate::statistics::{Distribution, Place};

/// How whole numbers spread, such as nanoseconds. Count, sum, smallest and largest are exact; percentiles are within
/// [`Percentiles::SKETCH_ERROR`] of the exact ones. Merged, it is to the last digit what one would be that had seen all.
///
/// ```
/// use taximeter_analysis::Histogram;
///
/// let mut nanos = Histogram::default();
/// (1..=1_000).for_each(|at| nanos.add(at * 1_000));
/// let seconds = nanos.distribution(1e-9).unwrap();
/// assert_eq!((seconds.count, seconds.max), (1_000, 0.001));
/// assert!((seconds.p90 - 0.0009).abs() <= 0.004 * 0.0009);
/// assert_eq!(Histogram::default().distribution(1.0), None); // of nothing
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Histogram {
    pub(super) sum: u128,
    /// The sum of the squares; at its limit the deviation is not told.
    pub(super) squares: u128,
    pub(super) min: u64,
    pub(super) max: u64,
    /// How many values lie in each bucket that has any.
    pub(super) counts: BTreeMap<u16, u64>,
}

impl Histogram {
    /// Counts a value.
    pub fn add(&mut self, value: u64) {
        self.min = if self.counts.is_empty() { value } else { self.min.min(value) };
        self.max = self.max.max(value);
        self.sum = self.sum.saturating_add(u128::from(value));
        self.squares = self.squares.saturating_add(u128::from(value) * u128::from(value));
        // There are 7,424 buckets.
        let place = u16::try_from(bucket(value)).unwrap_or(u16::MAX);
        *self.counts.entry(place).or_default() += 1;
    }

    /// Counts all values of another.
    pub fn merge(&mut self, other: &Self) {
        if other.counts.is_empty() {
            return;
        }
        self.min = if self.counts.is_empty() { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        self.sum = self.sum.saturating_add(other.sum);
        self.squares = self.squares.saturating_add(other.squares);
        for (place, count) in &other.counts {
            let own = self.counts.entry(*place).or_default();
            *own = own.saturating_add(*count);
        }
    }

    /// How many values came.
    pub fn count(&self) -> u64 {
        self.counts.values().fold(0, |sum, count| sum.saturating_add(*count))
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
            percentile_error: if self.min == self.max { 0.0 } else { Percentiles::SKETCH_ERROR },
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
        for (place, count) in &self.counts {
            if rest < *count {
                let (smallest, largest) = bounds(usize::from(*place));
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
