//! Whole numbers of which sums are exact, and percentiles too as long as they are few: beyond, counts in buckets.

use std::borrow::Cow;

use super::counts::Counts;
use crate::statistics::{Distribution, Place};

/// So many values are kept as they came, and their percentiles are exact.
const KEPT: usize = 1_024;
/// Beyond, so many wait at a time to be counted into their buckets together, which costs less than one by one.
const WAITING: usize = 256;

/// Below, the sum of as many values as are kept fits into 64 bits, and that of their squares into 128.
const SMALL: u64 = u64::MAX / KEPT as u64;

/// How whole numbers spread, such as nanoseconds. Count, sum, smallest, largest and deviation are exact. Percentiles are exact
/// up to 1,024 values that were seen one by one, and within [`Histogram::ERROR`] of the exact ones beyond and of what was
/// read from bytes. Merged, it is to the last digit what one would be that had seen all.
///
/// The buckets bound the error of a percentile as those of C. Masson, J. E. Rim and H. K. Lee do in "`DDSketch`: a fast and
/// fully-mergeable quantile sketch with relative-error guarantees", PVLDB 12 (2019), pp. 2195–2205; their logarithm is that of
/// the bits, so that a bucket is found without one.
///
/// ```
/// use taximeter_analysis::Histogram;
///
/// let mut nanos = Histogram::default();
/// (1..=1_000).for_each(|at| nanos.add(at * 1_000));
/// let few = nanos.distribution(1e-9).unwrap();
/// assert_eq!((few.count, few.max, few.percentile_error), (1_000, 0.001, 0.0));
///
/// (1..=1_000).for_each(|at| nanos.add(at * 1_000));
/// let many = nanos.distribution(1e-9).unwrap();
/// assert_eq!((many.count, many.max, many.percentile_error), (2_000, 0.001, Histogram::ERROR));
/// assert!((many.p90 - few.p90).abs() <= Histogram::ERROR * few.p90);
/// assert_eq!(Histogram::default().distribution(1.0), None); // of nothing
/// ```
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    /// Of the values that are in buckets.
    moments: Moments,
    /// How many values lie in each bucket.
    counts: Counts,
    /// Values that are in no bucket yet, and in no sum.
    waiting: Vec<u64>,
}

/// What is exact of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moments {
    pub(super) sum: u128,
    /// The sum of the squares; at its limit the deviation is not told.
    pub(super) squares: u128,
    pub(super) min: u64,
    pub(super) max: u64,
}

impl Default for Moments {
    fn default() -> Self {
        Self { sum: 0, squares: 0, min: u64::MAX, max: 0 }
    }
}

impl Moments {
    fn of(values: &[u64]) -> Self {
        let (mut sum, mut squares, mut min, mut max) = (0_u64, 0_u128, u64::MAX, 0);
        for value in values {
            sum = sum.wrapping_add(*value);
            squares = squares.wrapping_add(u128::from(*value) * u128::from(*value));
            min = min.min(*value);
            max = max.max(*value);
        }
        if max < SMALL && values.len() <= KEPT {
            return Self { sum: sum.into(), squares, min, max };
        }
        let wide = || values.iter().map(|value| u128::from(*value));
        // No memory holds so many values that their sum would not fit.
        let sum = wide().sum();
        let squares = wide().fold(0, |sum: u128, value| sum.saturating_add(value * value));
        Self { sum, squares, min, max }
    }

    fn merge(&mut self, other: &Self) {
        self.sum = self.sum.saturating_add(other.sum);
        self.squares = self.squares.saturating_add(other.squares);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }
}

impl Histogram {
    /// How far a percentile is from the exact one at most, as a part of the exact one: 0.8 %.
    pub const ERROR: f64 = 0.008;

    /// Counts a value.
    #[inline]
    pub fn add(&mut self, value: u64) {
        if self.waiting.len() >= WAITING && (!self.counts.is_empty() || self.waiting.len() >= KEPT)
        {
            self.count_waiting();
        }
        self.waiting.push(value);
    }

    /// Counts all values of another.
    pub fn merge(&mut self, other: &Self) {
        let few = self.waiting.len() + other.waiting.len() <= KEPT;
        if few && self.counts.is_empty() && other.counts.is_empty() {
            self.waiting.extend_from_slice(&other.waiting);
            return;
        }
        self.count_waiting();
        let moments = Moments::of(&other.waiting);
        self.counts.add(&other.waiting, moments.min, moments.max);
        self.counts.merge(&other.counts);
        self.moments.merge(&moments);
        self.moments.merge(&other.moments);
    }

    /// What was read from bytes.
    pub(super) fn of_counts(counts: Counts, moments: Moments) -> Self {
        Self { moments, counts, waiting: Vec::new() }
    }

    /// Of all values; of none, the smallest is above the largest.
    pub(super) fn moments(&self) -> Moments {
        let mut moments = Moments::of(&self.waiting);
        moments.merge(&self.moments);
        moments
    }

    /// How many values lie in each bucket.
    pub(super) fn counts(&self) -> Cow<'_, Counts> {
        if self.waiting.is_empty() {
            return Cow::Borrowed(&self.counts);
        }
        let (mut counts, moments) = (self.counts.clone(), Moments::of(&self.waiting));
        counts.add(&self.waiting, moments.min, moments.max);
        Cow::Owned(counts)
    }

    /// Puts the values that wait into their buckets.
    #[cold]
    fn count_waiting(&mut self) {
        let moments = Moments::of(&self.waiting);
        self.counts.add(&self.waiting, moments.min, moments.max);
        self.moments.merge(&moments);
        self.waiting.clear();
        self.waiting.shrink_to(WAITING);
    }

    /// How many values came.
    pub fn count(&self) -> u64 {
        self.counts.sum().saturating_add(self.waiting.len() as u64)
    }

    /// The values, added up.
    pub fn sum(&self) -> u128 {
        self.moments().sum
    }

    /// The values times `unit`: 1e-9 makes seconds of nanoseconds. None where nothing came.
    #[expect(
        clippy::cast_precision_loss,
        reason = "an answer is a float; 53 bits are its precision"
    )]
    pub fn distribution(&self, unit: f64) -> Option<Distribution> {
        if self.counts.is_empty() {
            return Distribution::of(self.waiting.iter().map(|v| *v as f64 * unit).collect());
        }
        let (count, counts, moments) = (self.count(), self.counts(), self.moments());
        let (min, max) = (moments.min as f64, moments.max as f64);
        let percentile = |share| Some(quantile(&counts, share, count)?.clamp(min, max) * unit);
        Some(Distribution {
            count,
            sum: moments.sum as f64 * unit,
            mean: (moments.sum as f64 / count as f64).clamp(min, max) * unit,
            std_deviation: moments.std_deviation(count).map(|deviation| deviation * unit),
            min: min * unit,
            max: max * unit,
            p50: percentile(0.5)?,
            p90: percentile(0.9)?,
            p95: percentile(0.95)?,
            p99: percentile(0.99)?,
            percentile_error: if moments.min == moments.max { 0.0 } else { Self::ERROR },
        })
    }
}

impl Moments {
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

/// These histograms count the same, whether or not it is in buckets yet.
impl PartialEq for Histogram {
    fn eq(&self, other: &Self) -> bool {
        self.moments() == other.moments() && self.counts() == other.counts()
    }
}

impl Eq for Histogram {}

fn quantile(counts: &Counts, share: f64, count: u64) -> Option<f64> {
    let place = Place::of(share, usize::try_from(count).ok()?)?;
    Some(place.between(counts.value(place.below)?, counts.value(place.above)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::statistics::{is_close, quantile};

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for value in values {
            histogram.add(*value);
        }
        histogram
    }

    fn floats(values: &[u64]) -> Vec<f64> {
        #[expect(clippy::cast_precision_loss, reason = "the tests need no more than 53 bits")]
        values.iter().map(|value| *value as f64).collect()
    }

    #[test]
    fn many_values_keep_their_sums_and_their_percentiles_within_the_error() {
        let draw = |at: u64| at.wrapping_mul(6_364_136_223_846_793_005) >> 33;
        for values in [
            (0..20_000).map(draw).collect::<Vec<_>>(),
            (0..5_000).map(|at| 1 << (at % 58)).collect(),
            vec![u64::MAX >> 8; 3_000],
            (0..3_000).map(|at| 10_000_000_000_000 + at % 7).collect(),
            vec![0; 2_000],
        ] {
            let found = of(&values).distribution(1.0).unwrap();
            let exact = Distribution::of(floats(&values)).unwrap();
            assert!(is_close(found.mean, exact.mean, 1e-12), "{found:?} {exact:?}");
            let deviations = (found.std_deviation.unwrap(), exact.std_deviation.unwrap());
            assert!(is_close(deviations.0, deviations.1, 1e-9), "{found:?} {exact:?}");
            let mut sorted = floats(&values);
            sorted.sort_by(f64::total_cmp);
            for (share, found) in [(0.5, found.p50), (0.9, found.p90), (0.99, found.p99)] {
                let exact = quantile(&sorted, share).unwrap();
                assert!(is_close(found, exact, Histogram::ERROR), "{share}: {found} {exact}");
            }
        }
    }

    #[test]
    fn few_values_have_their_exact_percentiles_and_one_more_than_few_has_not() {
        let mut few: Vec<u64> = (0..1_024).map(|at| at * at * 1_001).collect();
        let exact = Distribution::of(floats(&few));
        assert_eq!(of(&few).distribution(1.0), exact);
        few.push(7);
        assert!(of(&few).distribution(1.0).unwrap().percentile_error > 0.0);
    }

    proptest! {
        #[test]
        fn merged_is_as_if_one_had_seen_all(
            values in prop::collection::vec(0..u64::MAX / 4, 0..3_000),
            cut in any::<prop::sample::Index>(),
        ) {
            let cut = cut.index(values.len() + 1);
            let mut merged = of(&values[cut..]);
            merged.merge(&of(&values[..cut]));
            prop_assert_eq!(merged.count(), values.len() as u64);
            prop_assert_eq!(merged.distribution(1e-9), of(&values).distribution(1e-9));
            prop_assert_eq!(merged, of(&values));
        }
    }
}
