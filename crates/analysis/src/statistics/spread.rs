//! How values spread that come one by one and are not kept: sums that are exact, and percentiles of a sketch.

use std::fmt;

use sketches_ddsketch::{Config, DDSketch};

use super::Distribution;

/// So many values are kept, and their percentiles are exact.
const KEPT: usize = 1_024;
/// Above, a percentile is at most this part of itself away from a value that has its rank.
pub const SKETCH_ERROR: f64 = 0.01;
/// Bins of 2 % each for every number that 64 bits can hold: none is ever put together with another.
const BINS: u32 = 4_096;

/// Whole numbers, such as nanoseconds, of which count, sum, extremes, mean and standard deviation are exact however
/// many they are, and percentiles are exact up to 1,024 and within [`SKETCH_ERROR`] beyond.
///
/// Two of them can be merged: that gives, to the last digit, what one would have that had seen all values, in any
/// order. The sketch is that of C. Masson, J. E. Rim and H. K. Lee, "`DDSketch`: a fast and fully-mergeable quantile
/// sketch with relative-error guarantees", PVLDB 12 (2019), pp. 2195–2205.
///
/// ```
/// use taximeter_analysis::statistics::Spread;
///
/// let mut nanos = Spread::default();
/// (1..=100_000).for_each(|at| nanos.add(at * 1_000));
/// let seconds = nanos.distribution(1e-9).unwrap();
/// assert_eq!((seconds.count, seconds.max, seconds.percentile_error), (100_000, 0.1, 0.01));
/// assert!((seconds.p90 - 0.09).abs() <= 0.01 * 0.09);
/// assert_eq!(Spread::default().distribution(1.0), None); // of nothing
/// ```
#[derive(Debug, Clone, Default)]
pub struct Spread {
    count: u64,
    sum: u128,
    squares: u128,
    /// How many times the squares went over 128 bits.
    carried: u64,
    min: u64,
    max: u64,
    values: Values,
}

#[derive(Clone)]
enum Values {
    Kept(Vec<u64>),
    Sketched(Box<DDSketch>),
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept(values) => write!(f, "Kept({})", values.len()),
            Self::Sketched(sketch) => write!(f, "Sketched({})", sketch.count()),
        }
    }
}

impl Default for Values {
    fn default() -> Self {
        Self::Kept(Vec::new())
    }
}

impl Values {
    fn add(&mut self, value: u64) {
        match self {
            Self::Kept(values) if values.len() < KEPT => values.push(value),
            Self::Kept(values) => {
                let mut sketch = sketch(values);
                sketch.add(as_float(value));
                *self = Self::Sketched(sketch);
            }
            Self::Sketched(sketch) => sketch.add(as_float(value)),
        }
    }

    fn merge(&mut self, other: &Self) {
        match (&mut *self, other) {
            (_, Self::Kept(values)) => values.iter().for_each(|value| self.add(*value)),
            (Self::Kept(values), Self::Sketched(theirs)) => {
                let mut merged = theirs.clone();
                add_all(&mut merged, values);
                *self = Self::Sketched(merged);
            }
            (Self::Sketched(ours), Self::Sketched(theirs)) => {
                // It refuses sketches of another precision only, and all of ours have the same.
                let _same_precision = ours.merge(theirs);
            }
        }
    }
}

fn sketch(values: &[u64]) -> Box<DDSketch> {
    let mut sketch = DDSketch::new(Config::new(SKETCH_ERROR, BINS, 0.5));
    add_all(&mut sketch, values);
    Box::new(sketch)
}

fn add_all(sketch: &mut DDSketch, values: &[u64]) {
    for value in values {
        sketch.add(as_float(*value));
    }
}

#[expect(clippy::cast_precision_loss, reason = "a percentile needs no more than 53 bits")]
fn as_float(value: u64) -> f64 {
    value as f64
}

impl Spread {
    /// Counts a value.
    pub fn add(&mut self, value: u64) {
        self.min = if self.count == 0 { value } else { self.min.min(value) };
        self.max = self.max.max(value);
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(u128::from(value));
        self.add_squares(u128::from(value) * u128::from(value), 0);
        self.values.add(value);
    }

    /// Counts all values of another.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.min = if self.count == 0 { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
        self.add_squares(other.squares, other.carried);
        self.values.merge(&other.values);
    }

    /// How many values came.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The values times `unit`: 1e-9 makes seconds of nanoseconds. None where nothing came.
    #[expect(clippy::cast_precision_loss, reason = "a distribution needs no more than 53 bits")]
    pub fn distribution(&self, unit: f64) -> Option<Distribution> {
        let sketch = match &self.values {
            Values::Kept(values) => {
                return Distribution::of(values.iter().map(|v| as_float(*v) * unit).collect());
            }
            Values::Sketched(sketch) => sketch,
        };
        let (min, max) = (as_float(self.min), as_float(self.max));
        let percentile = |share| Some(sketch.quantile(share).ok()??.clamp(min, max) * unit);
        Some(Distribution {
            count: self.count,
            sum: self.sum as f64 * unit,
            mean: (self.sum as f64 / self.count as f64).clamp(min, max) * unit,
            std_deviation: Some(self.std_deviation() * unit),
            min: min * unit,
            max: max * unit,
            p50: percentile(0.5)?,
            p90: percentile(0.9)?,
            p95: percentile(0.95)?,
            p99: percentile(0.99)?,
            percentile_error: SKETCH_ERROR,
        })
    }

    fn add_squares(&mut self, squares: u128, carried: u64) {
        let (sum, over) = self.squares.overflowing_add(squares);
        self.squares = sum;
        self.carried = self.carried.saturating_add(carried).saturating_add(u64::from(over));
    }

    /// Of the sample.
    #[expect(clippy::cast_precision_loss, reason = "a deviation needs no more than 53 bits")]
    fn std_deviation(&self) -> f64 {
        let count = self.count as f64;
        let spread = self.exact_spread().unwrap_or_else(|| {
            let squares = self.carried as f64 * 2_f64.powi(128) + self.squares as f64;
            squares - self.sum as f64 * (self.sum as f64 / count)
        });
        (spread.max(0.0) / (count - 1.0)).sqrt()
    }

    /// The squared distances from the mean. The square of the sum over the count is taken apart, so that what is
    /// subtracted are whole numbers, and no digit is lost where the values lie close together. None where the numbers
    /// do not fit into 128 bits.
    #[expect(clippy::cast_precision_loss, reason = "what is left of it is rounded once")]
    fn exact_spread(&self) -> Option<f64> {
        let count = u128::from(self.count);
        let (mean, rest) = (self.sum / count, self.sum % count);
        let whole = mean.checked_mul(mean)?.checked_mul(count)?;
        let whole = whole.checked_add(mean.checked_mul(rest)?.checked_mul(2)?)?;
        let fraction = rest as f64 * rest as f64 / count as f64;
        let plain = self.carried == 0;
        plain.then(|| Some(self.squares.checked_sub(whole)? as f64 - fraction))?
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::statistics::{is_close, quantile};

    fn of(values: &[u64]) -> Spread {
        let mut spread = Spread::default();
        for value in values {
            spread.add(*value);
        }
        spread
    }

    fn exact(values: &[u64]) -> Distribution {
        Distribution::of(values.iter().map(|value| as_float(*value)).collect()).unwrap()
    }

    #[test]
    fn many_values_keep_their_sums_and_their_percentiles_within_the_error() {
        let draw = |at: u64| at.wrapping_mul(6_364_136_223_846_793_005) >> 33;
        for values in [
            (0..20_000).map(draw).collect::<Vec<_>>(),
            (0..5_000).map(|at| 1 << (at % 64)).collect(),
            vec![u64::MAX / 2; 3_000],
            (0..3_000).map(|at| 10_000_000_000_000 + at % 7).collect(),
            vec![0; 2_000],
        ] {
            let (found, exact) = (of(&values).distribution(1.0).unwrap(), exact(&values));
            assert!(is_close(found.mean, exact.mean, 1e-12), "{found:?} {exact:?}");
            assert!(
                is_close(found.std_deviation.unwrap(), exact.std_deviation.unwrap(), 1e-9),
                "{found:?} {exact:?}"
            );
            let mut sorted: Vec<f64> = values.iter().map(|value| as_float(*value)).collect();
            sorted.sort_by(f64::total_cmp);
            let step = 1.0 / as_float(values.len() as u64 - 1);
            for (share, found) in [(0.5, found.p50), (0.9, found.p90), (0.99, found.p99)] {
                // Between the values at both sides of the rank, and the error on top.
                let low = quantile(&sorted, share - step).unwrap() * (1.0 - SKETCH_ERROR - 1e-9);
                let high = quantile(&sorted, share + step).unwrap() * (1.0 + SKETCH_ERROR + 1e-9);
                assert!(low <= found && found <= high, "{share}: {low} {found} {high}");
            }
        }
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
            prop_assert_eq!(merged.distribution(1e-9), of(&values).distribution(1e-9));
        }
    }
}
