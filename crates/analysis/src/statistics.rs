//! The formulas, each in a file of its own with its source and the answers of other programs as tests.
//!
//! None of them fails: where a number cannot be said of so few data it is none, and what is said is finite.

mod change_point;
mod dependence;
mod distribution;
mod fisher;
mod kendall;
mod least_squares;
mod quantile;
mod rank_sum;
pub(crate) mod tails;
mod theil_sen;
mod wilson;

pub use change_point::{ChangePoint, MOST_CHANGE_POINT_VALUES, change_points};
pub use dependence::variance_inflation;
pub use distribution::Distribution;
pub use fisher::{FisherExact, fisher_exact, holm};
pub use kendall::{MannKendall, mann_kendall};
pub use least_squares::{LeastSquares, least_squares};
pub(crate) use quantile::Place;
pub use quantile::quantile;
pub use rank_sum::{RankSum, Shift, rank_sum, shift};
pub use theil_sen::{MOST_THEIL_SEN_POINTS, RobustLine, TheilSen, theil_sen, theil_sen_interval};
pub use wilson::{Interval, Proportion, Z_95, wilson};

/// The mean of values in any order; none of no values.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The median of values in any order, in linear time; none of no values.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut places: Vec<i64> = values.into_iter().map(in_order).collect();
    settle_median(&mut places)
}

/// The median of values that are [in order](in_order), and puts what is not larger before the middle and what is not smaller
/// behind it.
fn settle_median(places: &mut [i64]) -> Option<f64> {
    if places.is_empty() {
        return None;
    }
    let middle = places.len() / 2;
    let upper = *places.select_nth_unstable(middle).1;
    if places.len() % 2 == 1 {
        return Some(out_of_order(upper));
    }
    let lower = *places[..middle].iter().max()?;
    quantile(&[out_of_order(lower), out_of_order(upper)], 0.5)
}

/// A number that is in the same order as the value, which is compared in half of the time: the bits of negative floats
/// count downwards. Zero has one sign.
pub(crate) fn in_order(value: f64) -> i64 {
    turned((value + 0.0).to_bits().cast_signed())
}

/// The value of its number.
fn out_of_order(place: i64) -> f64 {
    f64::from_bits(turned(place).cast_unsigned())
}

fn turned(bits: i64) -> i64 {
    bits ^ ((bits >> 63) & i64::MAX)
}

/// A number within the range of floats: an overflow becomes the largest one.
pub(crate) fn finite(value: f64) -> f64 {
    value.clamp(f64::MIN, f64::MAX)
}

/// The points by `x`, then by `y`; none where a coordinate is not finite. Zero has one sign, so that equal
/// coordinates also sort as equal.
fn sorted_points(points: &[(f64, f64)]) -> Option<Vec<(f64, f64)>> {
    if !points.iter().all(|(x, y)| x.is_finite() && y.is_finite()) {
        return None;
    }
    let mut sorted: Vec<_> = points.iter().map(|(x, y)| (x + 0.0, y + 0.0)).collect();
    sorted.sort_unstable_by(|left, right| {
        left.0.total_cmp(&right.0).then_with(|| left.1.total_cmp(&right.1))
    });
    Some(sorted)
}

/// Whether two floats are equal but for rounding; the tests state `relative`.
#[cfg(test)]
pub(crate) fn is_close(left: f64, right: f64, relative: f64) -> bool {
    (left - right).abs() <= relative * left.abs().max(right.abs())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_median_is_the_quantile_of_a_half(values in prop::collection::vec(any::<f64>(), 0..40)) {
            prop_assume!(values.iter().all(|value| value.is_finite()));
            let mut sorted = values.clone();
            sorted.sort_unstable_by(f64::total_cmp);
            prop_assert_eq!(median(values), quantile(&sorted, 0.5));
        }
    }
}
