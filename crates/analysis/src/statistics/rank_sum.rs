//! Whether one group of values is larger than another, and by how much.

use super::dependence::mid_ranks;

/// How the values of a second group compare with those of a first.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct RankSum {
    /// The pairs, one of each group, of which the second is larger; those of equal ones count half.
    pub u: f64,
    /// The same, of all pairs: 0.5 where the groups are alike.
    pub share: f64,
    /// How likely so large a difference is by chance, in either direction.
    pub p_value: f64,
}

/// The test of Wilcoxon, Mann and Whitney; none where a group is empty or a value is not finite.
///
/// The p-value is two-sided, by the normal approximation with corrections for ties and for continuity; it is good from
/// ten values in each group on. It takes n log n time.
///
/// Source: H. B. Mann and D. R. Whitney, "On a test of whether one of two random variables is stochastically larger than
/// the other", Annals of Mathematical Statistics 18 (1947), pp. 50–60. E. L. Lehmann, "Nonparametrics" (1975), section
/// 1.4 (ties).
///
/// ```
/// use taximeter_analysis::statistics::rank_sum;
///
/// let (before, after) = ([1.0, 1.2, 0.9, 1.1, 1.0, 1.3], [2.0, 2.1, 1.9, 2.4, 2.2, 1.8]);
/// let test = rank_sum(&before, &after).unwrap();
/// assert!(test.share == 1.0 && test.p_value < 0.01);
/// assert_eq!(rank_sum(&before, &[]), None);
/// ```
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub fn rank_sum(first: &[f64], second: &[f64]) -> Option<RankSum> {
    let all = [first, second].concat();
    if first.is_empty() || second.is_empty() || !all.iter().all(|value| value.is_finite()) {
        return None;
    }
    let (n, m) = (first.len() as f64, second.len() as f64);
    let ranks = mid_ranks(&all);
    let sum: f64 = ranks[first.len()..].iter().sum();
    let u = sum - m * (m + 1.0) / 2.0;
    let ties = ties(ranks);
    let total = n + m;
    let variance = n * m / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)));
    let z = ((u - n * m / 2.0).abs() - 0.5).max(0.0);
    let p_value =
        if variance > 0.0 { libm::erfc(z / (2.0 * variance).sqrt()).min(1.0) } else { 1.0 };
    Some(RankSum { u, share: u / (n * m), p_value })
}

/// Σ t³ − t over groups of t equal ranks.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn ties(mut ranks: Vec<f64>) -> f64 {
    ranks.sort_unstable_by(f64::total_cmp);
    let groups = ranks.chunk_by(|left, right| left.total_cmp(right).is_eq());
    groups.map(|group| (group.len() as f64).powi(3) - group.len() as f64).sum()
}

/// By how much the values of a second group are larger than those of a first.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Shift {
    /// The median of the differences of all pairs.
    pub estimate: f64,
    /// The lower bound of where it truly lies.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
}

/// From groups with more values than this, so many quantiles stand for them.
const MOST: usize = 500;

/// The shift of Hodges and Lehmann between two groups, with bounds that hold with the confidence which `z` standard
/// deviations give (1.96 for 95 %); none where a group is empty or a value is not finite.
///
/// Where the groups are so small that nothing bounds it, the bounds are the smallest and the largest difference. Groups of
/// more than 500 values are represented by as many quantiles for the estimate; the bounds count all.
///
/// Source: J. L. Hodges and E. L. Lehmann, "Estimates of location based on rank tests", Annals of Mathematical
/// Statistics 34 (1963), pp. 598–611; the bounds are those of L. E. Moses, in H. M. Walker and J. Lev, "Statistical
/// inference" (1953), chapter 18.
///
/// ```
/// use taximeter_analysis::statistics::{Z_95, shift};
///
/// let before: Vec<_> = (0..40).map(|at| f64::from(at * 7 % 11)).collect();
/// let after: Vec<_> = before.iter().map(|value| value + 5.0).collect();
/// let found = shift(&before, &after, Z_95).unwrap();
/// assert!(found.estimate == 5.0 && found.low >= 3.0 && found.high <= 7.0);
/// ```
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "places among at most 250,000 pairs"
)]
pub fn shift(first: &[f64], second: &[f64], z: f64) -> Option<Shift> {
    let (some, others) = (represented(first)?, represented(second)?);
    let mut differences: Vec<f64> =
        some.iter().flat_map(|x| others.iter().map(move |y| super::finite(y - x))).collect();
    let (n, m) = (first.len() as f64, second.len() as f64);
    let pairs = differences.len() as f64;
    // The half width as a part of all pairs, whether all of them are here or quantiles stand for them.
    let half = z * ((n + m + 1.0) / (12.0 * n * m)).sqrt();
    let last = differences.len() - 1;
    let low = ((pairs * (0.5 - half)).round() - 1.0).max(0.0) as usize;
    let high = ((pairs * (0.5 + half)).round() as usize).min(last);
    differences.sort_unstable_by(f64::total_cmp);
    let estimate = super::quantile(&differences, 0.5)?;
    Some(Shift { estimate, low: differences[low.min(last)], high: differences[high] })
}

#[expect(clippy::cast_precision_loss, reason = "quantiles of at most 500")]
fn represented(values: &[f64]) -> Option<Vec<f64>> {
    if values.is_empty() || !values.iter().all(|value| value.is_finite()) {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    if sorted.len() <= MOST {
        return Some(sorted);
    }
    let place = |at: usize| (at as f64 + 0.5) / MOST as f64;
    (0..MOST).map(|at| super::quantile(&sorted, place(at))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::statistics::{Z_95, is_close};

    /// The depression scores of Hollander and Wolfe, "Nonparametric statistical methods" (1973), page 29.
    const BEFORE: [f64; 9] = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30];
    #[expect(clippy::approx_constant, reason = "a score, and not π")]
    const AFTER: [f64; 9] = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29];

    /// scipy 1.17.1: `mannwhitneyu(AFTER, BEFORE, method="asymptotic")`; relative tolerance 1e-12.
    #[test]
    fn the_answer_of_scipy_with_ties() {
        let test = rank_sum(&BEFORE, &AFTER).unwrap();
        assert!(
            is_close(test.u, 23.0, 1e-12)
                && is_close(test.p_value, 0.132_919_458_185_318_92, 1e-12),
            "{test:?}"
        );
    }

    #[test]
    fn the_shift_is_that_of_all_pairs() {
        let found = shift(&BEFORE, &AFTER, Z_95).unwrap();
        assert!(is_close(found.estimate, -0.56, 1e-9), "{found:?}");
        assert!(is_close(found.low, -1.183, 1e-9) && is_close(found.high, 0.37, 1e-9), "{found:?}");
        let one = shift(&[1.0], &[3.0], Z_95).unwrap();
        assert_eq!((one.estimate, one.low, one.high), (2.0, 2.0, 2.0));
        assert_eq!(shift(&[f64::NAN], &[1.0], Z_95), None);
    }

    #[test]
    fn many_values_give_the_shift_of_their_quantiles_and_tighter_bounds() {
        let some: Vec<f64> = (0..20_000).map(|at| f64::from(at * 7_919 % 20_011)).collect();
        let others: Vec<f64> = some.iter().map(|value| value + 300.0).collect();
        let found = shift(&some, &others, Z_95).unwrap();
        assert!(
            (found.estimate - 300.0).abs() < 5.0 && found.low > 150.0 && found.high < 450.0,
            "{found:?}"
        );
    }

    proptest! {
        #[test]
        fn the_other_way_round_it_is_the_opposite(
            some in prop::collection::vec(-50..50_i32, 1..30),
            others in prop::collection::vec(-50..50_i32, 1..30),
        ) {
            let some: Vec<_> = some.into_iter().map(f64::from).collect();
            let others: Vec<_> = others.into_iter().map(f64::from).collect();
            let (one, other) = (rank_sum(&some, &others).unwrap(), rank_sum(&others, &some).unwrap());
            prop_assert!((one.share + other.share - 1.0).abs() < 1e-12);
            prop_assert!((one.p_value - other.p_value).abs() < 1e-12);
            let (one, other) = (shift(&some, &others, Z_95).unwrap(), shift(&others, &some, Z_95).unwrap());
            prop_assert!(is_close(one.estimate, -other.estimate, 1e-12));
            prop_assert!(one.low <= one.estimate && one.estimate <= one.high);
        }
    }
}
