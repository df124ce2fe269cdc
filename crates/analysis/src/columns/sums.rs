//! Sums over the values of a group, in integers: no digit is lost, and the order of the values does not matter.

use super::places::PERCENTILES;
use super::{ColumnGroup, to_float};

/// What is added up of a group, value by value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sums {
    sum: u128,
    /// The lower 128 bits of the sum of the squares.
    squares: u128,
    /// Its bits above them.
    carries: u64,
    min: u64,
    max: u64,
    errors: u64,
}

impl Default for Sums {
    fn default() -> Self {
        Self { sum: 0, squares: 0, carries: 0, min: u64::MAX, max: 0, errors: 0 }
    }
}

impl Sums {
    #[inline]
    pub(super) fn add(&mut self, value: u64, error: bool) {
        self.sum += u128::from(value);
        let (squares, carry) = self.squares.overflowing_add(u128::from(value) * u128::from(value));
        self.squares = squares;
        self.carries += u64::from(carry);
        // A new extreme is rare, and a branch that is foreseen costs less than a store: a fifth of the time of all.
        if value < self.min {
            self.min = value;
        }
        if value > self.max {
            self.max = value;
        }
        self.errors += u64::from(error);
    }

    /// The smallest and the largest value.
    pub(super) fn extremes(&self) -> (u64, u64) {
        (self.min, self.max)
    }

    /// What so many rows come to; none of none.
    pub(super) fn group(
        &self,
        key: usize,
        count: usize,
        [p50, p90, p95, p99]: [f64; PERCENTILES],
    ) -> Option<ColumnGroup> {
        let (count, min, max) = (count as u64, self.min, self.max);
        (count > 0).then(|| ColumnGroup {
            key,
            count,
            errors: self.errors,
            sum: self.sum,
            min,
            max,
            // Rounding must not put a mean outside of its values.
            mean: (float(self.sum) / to_float(count)).clamp(to_float(min), to_float(max)),
            std_deviation: (count > 1).then(|| (self.spread(count) / to_float(count - 1)).sqrt()),
            p50,
            p90,
            p95,
            p99,
        })
    }

    /// The sum of the squares of the distances from the mean.
    ///
    /// With the mean m + r/n, of which m is the integer part, it is Σv² − m(Σv + r) − r + r(n − r)/n. The first three
    /// are an integer and none of the two parts is negative: nothing cancels but in integers.
    fn spread(&self, count: u64) -> f64 {
        let n = u128::from(count);
        let (m, r) = (self.sum / n, self.sum % n);
        let shifted = self.sum + r;
        let (low, high) = (m * (shifted & LOWER), m * (shifted >> 64));
        let squares = Wide::of(self.squares, u128::from(self.carries) << 64);
        let integer = squares.less(Wide::of(low, high)).less(Wide::of(r, 0));
        integer.to_float() + float(r * (n - r)) / float(n)
    }
}

const LOWER: u128 = u64::MAX as u128;

/// An integer of 192 bits: the lower 64, and the upper 128.
#[derive(Clone, Copy)]
struct Wide {
    low: u128,
    high: u128,
}

impl Wide {
    /// `low + high × 2⁶⁴`
    fn of(low: u128, high: u128) -> Self {
        Self { low: low & LOWER, high: high + (low >> 64) }
    }

    /// Less what is not larger.
    fn less(self, other: Self) -> Self {
        let borrow = u128::from(self.low < other.low);
        Self {
            low: self.low + (borrow << 64) - other.low,
            high: self.high.saturating_sub(other.high + borrow),
        }
    }

    fn to_float(self) -> f64 {
        float(self.low) + float(self.high) * float(1 << 64)
    }
}

#[expect(clippy::cast_precision_loss, reason = "an answer is a float; 53 bits are its precision")]
fn float(value: u128) -> f64 {
    value as f64
}
