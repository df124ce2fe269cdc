//! Since when a series is higher or lower than before.

use super::dependence::{mid_ranks, variance_inflation};
use super::median;

/// A place at which a series changes.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ChangePoint {
    /// The index of the first value after the change.
    pub at: usize,
    /// The median from the change before (or the beginning) to this one.
    pub before: f64,
    /// The median from this change to the next (or the end).
    pub after: f64,
    /// How likely so large a change is by chance, in the piece of the series in which it was found.
    pub p_value: f64,
}

/// The places at which a series in the order of time changes its level, the first first; none of values that are not
/// finite.
///
/// In the whole series, the place is looked for at which the ranks before and after differ most (A. N. Pettitt, "A
/// non-parametric approach to the change-point problem", Applied Statistics 28 (1979), pp. 126–135); it counts where
/// chance makes one as large less often than `alpha`, by Pettitt's approximation `p = 2 exp(−6K² / (n³ + n²))`. The place
/// is where the difference is largest in units of its deviation, as in the test of Wilcoxon. Then the
/// two parts are searched in the same way. Ranks make it indifferent to skew and to single wild values. Values that
/// depend on those before them say less: K² is divided by their [inflation of variance](super::variance_inflation),
/// estimated from what is left when the step, and the largest on each side of it where that is beyond doubt, are taken
/// out; values that are often equal have less variance, and it is multiplied by that. No piece is shorter than `shortest`
/// values.
///
/// It takes n log n time for each level of the search. So that this has an end, a series of more than
/// [`MOST_CHANGE_POINT_VALUES`] is searched through the mean ranks of pieces, and each place is looked for again among the
/// values near it. In such a series slow swings count as dependence, and are no changes.
///
/// A slow trend shows as steps; what is a trend, [`mann_kendall`](super::mann_kendall) says.
///
/// ```
/// use taximeter_analysis::statistics::change_points;
///
/// let noise = |at: i32| f64::from(at * 37 % 11) / 20.0;
/// let series: Vec<_> = (0..80).map(|at| noise(at) + if at < 50 { 1.0 } else { 2.0 }).collect();
/// let changes = change_points(&series, 0.05, 10);
/// assert_eq!((changes.len(), changes[0].at), (1, 50));
/// assert!(changes[0].after - changes[0].before > 0.8 && changes[0].p_value < 0.001);
/// assert!(change_points(&series[..50], 0.05, 10).is_empty()); // nothing changes there
/// ```
pub fn change_points(values: &[f64], alpha: f64, shortest: usize) -> Vec<ChangePoint> {
    if !values.iter().all(|value| value.is_finite()) {
        return Vec::new();
    }
    let places = places(values, alpha, shortest.max(2));
    let ends: Vec<usize> = places.iter().map(|(at, _)| *at).chain([values.len()]).collect();
    let mut from = 0;
    let mut changes = Vec::with_capacity(places.len());
    for (number, (at, p_value)) in places.into_iter().enumerate() {
        let level = |piece: &[f64]| median(piece.iter().copied()).unwrap_or_default();
        let (before, after) = (level(&values[from..at]), level(&values[at..ends[number + 1]]));
        changes.push(ChangePoint { at, before, after, p_value });
        from = at;
    }
    changes
}

/// A longer series is searched through the mean ranks of so many pieces of equal length.
pub const MOST_CHANGE_POINT_VALUES: usize = 100_000;

/// The places with their p-values, the first first.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn places(values: &[f64], alpha: f64, shortest: usize) -> Vec<(usize, f64)> {
    let mut places = Vec::new();
    let length = values.len().div_ceil(MOST_CHANGE_POINT_VALUES);
    if length <= 1 {
        search(values, 0, alpha, shortest, &mut places);
        places.sort_unstable_by_key(|(at, _)| *at);
        return places;
    }
    let mean = |piece: &[f64]| piece.iter().sum::<f64>() / piece.len() as f64;
    let pieces: Vec<f64> = mid_ranks(values).chunks(length).map(mean).collect();
    search(&pieces, 0, alpha, shortest.div_ceil(length).max(2), &mut places);
    places.sort_unstable_by_key(|(at, _)| *at);
    // Two pieces to the left and to the right, the place is looked for again.
    for (at, _) in &mut places {
        let from = (*at - 2) * length;
        let to = ((*at + 2) * length).min(values.len());
        let near = mid_ranks(&values[from..to]);
        *at = from + best_place(&near, 1).map_or(2 * length, |(at, _)| at);
    }
    places.sort_unstable_by_key(|(at, _)| *at);
    places.dedup_by_key(|(at, _)| *at);
    places
}

fn search(values: &[f64], from: usize, alpha: f64, shortest: usize, found: &mut Vec<(usize, f64)>) {
    let Some((at, p_value)) = largest_step(values, shortest).filter(|(_, p)| *p < alpha) else {
        return;
    };
    found.push((from + at, p_value));
    let (left, right) = values.split_at(at);
    search(left, from, alpha, shortest, found);
    search(right, from + at, alpha, shortest, found);
}

/// The place at which the ranks differ most, and how likely that is by chance.
fn largest_step(values: &[f64], shortest: usize) -> Option<(usize, f64)> {
    let ranks = mid_ranks(values);
    let (at, k) = best_place(&ranks, shortest)?;
    Some((at, p_value(&ranks, k, variance_inflation(&without_steps(&ranks, at, shortest)))))
}

/// Pettitt's approximation.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn p_value(ranks: &[f64], k: f64, inflation: f64) -> f64 {
    let n = ranks.len() as f64;
    let variance = (n * n * n + n * n) * inflation * tied_variance(ranks);
    let p_value = 2.0 * (-6.0 * k * k / variance).exp();
    // Where all values are equal, nothing is divided by nothing.
    if p_value.is_nan() { 1.0 } else { p_value.min(1.0) }
}

/// The place of the largest step, and Pettitt's K; none where a side would be too short.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn best_place(ranks: &[f64], shortest: usize) -> Option<(usize, f64)> {
    let last = ranks.len().checked_sub(shortest).filter(|last| *last >= shortest)?;
    let n = ranks.len() as f64;
    let mean = ranks.iter().sum::<f64>() / n;
    let (mut sum, mut k, mut best) = (0.0, 0.0_f64, (shortest, 0.0));
    for (index, rank) in ranks.iter().enumerate().take(last) {
        sum += rank;
        let at = index + 1;
        if at >= shortest {
            // Pettitt's U: twice the sum of the first ranks, less what it would be without a change.
            let step = 2.0 * (sum - at as f64 * mean).abs();
            k = k.max(step);
            // In units of its deviation it points to the place, also where that is far from the middle.
            let deviations = step * step / (at as f64 * (n - at as f64));
            if deviations > best.1 {
                best = (at, deviations);
            }
        }
    }
    Some((best.0, k))
}

/// The variance of the ranks, as a part of that which ranks without ties have: values that are often equal, such as
/// those of failures and successes, differ less.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn tied_variance(ranks: &[f64]) -> f64 {
    let n = ranks.len() as f64;
    let middle = f64::midpoint(n, 1.0);
    let squares: f64 = ranks.iter().map(|rank| (rank - middle) * (rank - middle)).sum();
    squares / (n * (n * n - 1.0) / 12.0)
}

/// A second step is taken out, too, where chance makes one as large less often than this.
const BEYOND_DOUBT: f64 = 1e-9;

/// The ranks, less the mean of their piece. The pieces are the sides of the step, each cut once more at its own largest
/// step where that is beyond doubt: a series that rises and falls back has two, and the second would look as if values
/// depended on those before.
fn without_steps(ranks: &[f64], at: usize, shortest: usize) -> Vec<f64> {
    let (left, right) = ranks.split_at(at);
    let mut rest = Vec::with_capacity(ranks.len());
    for side in [left, right] {
        let ranks = mid_ranks(side);
        let second =
            best_place(&ranks, shortest).filter(|(_, k)| p_value(&ranks, *k, 1.0) < BEYOND_DOUBT);
        let (first, second) = side.split_at(second.map_or(side.len(), |(at, _)| at));
        center(first, &mut rest);
        center(second, &mut rest);
    }
    rest
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn center(piece: &[f64], to: &mut Vec<f64>) {
    let mean = piece.iter().sum::<f64>() / piece.len().max(1) as f64;
    to.extend(piece.iter().map(|rank| rank - mean));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::statistics::is_close;

    /// pyhomogeneity 1.1, `pettitt_test(values)`: cp 6, U 36. And by the definition: the signs of all pairs of which one
    /// stands before the place and one behind it.
    #[test]
    fn the_answer_of_pyhomogeneity_and_of_all_pairs() {
        let values = [3.1, 2.7, 3.4, 2.9, 3.0, 3.3, 4.1, 4.4, 3.9, 4.2, 4.0, 4.5];
        let k = |at: usize| {
            let pairs = values[..at].iter().flat_map(|x| values[at..].iter().map(move |y| y - x));
            pairs.map(f64::signum).sum::<f64>().abs()
        };
        let best = (2..=10).max_by(|left, right| k(*left).total_cmp(&k(*right))).unwrap();
        let (at, p_value) = largest_step(&values, 2).unwrap();
        assert_eq!((at, best, k(best)), (6, 6, 36.0));
        let inflation = variance_inflation(&without_steps(&mid_ranks(&values), at, 2));
        let expected = 2.0 * f64::exp(-6.0 * 36.0 * 36.0 / ((1728.0 + 144.0) * inflation));
        assert!(is_close(p_value, expected, 1e-12));
    }

    #[test]
    fn several_steps_are_found_and_wild_values_are_none() {
        let level = [1.0, 3.0, 2.0];
        let mut values: Vec<f64> = (0..180_u32)
            .map(|at| level[at as usize / 60] + f64::from(at * 29 % 13) / 20.0)
            .collect();
        values[30] = 1e9;
        let found: Vec<_> =
            change_points(&values, 0.01, 10).iter().map(|change| change.at).collect();
        assert_eq!(found, [60, 120]);
    }

    #[test]
    fn a_long_series_has_its_changes_at_their_places() {
        let noise = |at: u32| f64::from(at.wrapping_mul(2_654_435_761) >> 20) / 4_096.0;
        let values: Vec<f64> = (0..265_003)
            .map(|at| noise(at) + if (67_346..140_001).contains(&at) { 2.0 } else { 0.0 })
            .collect();
        let found: Vec<_> =
            change_points(&values, 0.01, 10).iter().map(|change| change.at).collect();
        let [first, second] = found[..] else { panic!("{found:?}") };
        assert!(first.abs_diff(67_346) <= 2 && second.abs_diff(140_001) <= 2, "{found:?}");
        // Of failures and successes, too: 1 of 16, then 1 of 4.
        let values: Vec<f64> = (0..265_003_u32)
            .map(|at| f64::from(u8::from(noise(at) < if at < 130_000 { 0.0625 } else { 0.25 })))
            .collect();
        let found = change_points(&values, 0.01, 10);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].at.abs_diff(130_000) < 200, "{found:?}");
    }

    #[test]
    fn too_few_values_and_values_that_are_none_do_not_change() {
        assert!(change_points(&[], 0.05, 10).is_empty());
        assert!(change_points(&[1.0, 9.0, 1.0, 9.0], 1.0, 10).is_empty());
        assert!(change_points(&[f64::NAN; 50], 1.0, 2).is_empty());
        assert!(change_points(&[5.0; 50], 0.05, 2).is_empty());
    }

    proptest! {
        #[test]
        fn a_larger_scale_changes_no_place(values in prop::collection::vec(0..40_i32, 20..120)) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let scaled: Vec<f64> = values.iter().map(|value| value * 8.0 + 3.0).collect();
            let (one, other) = (change_points(&values, 0.2, 5), change_points(&scaled, 0.2, 5));
            prop_assert_eq!(one.len(), other.len());
            for (one, other) in one.iter().zip(&other) {
                prop_assert_eq!((one.at, one.p_value), (other.at, other.p_value));
                prop_assert!(is_close(one.after * 8.0 + 3.0, other.after, 1e-12));
                prop_assert!(one.at >= 5 && one.at <= values.len() - 5);
            }
        }
    }
}
