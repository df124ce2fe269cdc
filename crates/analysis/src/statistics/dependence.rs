//! How much less a series says whose values depend on those before them.

use super::in_order;

/// By how much the variance of a sum of ranks grows because each value is like the one before it: 1 for values that are
/// independent, or that swing to and fro.
///
/// The values stand in the order of time, freed of their trend or step. Their ranks are taken for an autoregressive
/// process of the first order, whose coefficient is the correlation of neighbours, corrected for its bias and for being
/// one of ranks (2 sin(πr/6), as for normal values). A season in the values counts as such a likeness, which errs on the
/// side of silence.
///
/// Sources: G. V. Bayley and J. M. Hammersley, "The effective number of independent observations in an autocorrelated
/// time series", Supplement to the Journal of the Royal Statistical Society 8 (1946), pp. 184–197. M. G. Kendall, "Note
/// on bias in the estimation of autocorrelation", Biometrika 41 (1954), pp. 403–404. K. Pearson, "On further methods of
/// determining correlation", Drapers' Company Research Memoirs, Biometric Series 4 (1907). The use for the test of Mann and
/// Kendall: S. Yue and C. Wang, "The Mann-Kendall test modified by effective sample size", Water Resources Management
/// 18 (2004), pp. 201–218.
///
/// ```
/// use taximeter_analysis::statistics::variance_inflation;
///
/// let swinging: Vec<_> = (0..50).map(|at| f64::from(at % 2)).collect();
/// assert_eq!(variance_inflation(&swinging), 1.0);
/// let slow: Vec<_> = (0..50).map(|at| f64::from(at / 10 % 2)).collect();
/// assert!(variance_inflation(&slow) > 5.0);
/// ```
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub fn variance_inflation(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    if n < 10.0 {
        return 1.0;
    }
    let ranks = mid_ranks(values);
    let mean = f64::midpoint(n, 1.0);
    let square = |rank: &f64| (rank - mean) * (rank - mean);
    let spread: f64 = ranks.iter().map(square).sum();
    let together: f64 = ranks.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
    if spread <= 0.0 || together <= 0.0 {
        return 1.0;
    }
    let of_ranks = (n * together / spread + 1.0) / (n - 4.0);
    let likeness = (2.0 * (of_ranks.min(1.0) * std::f64::consts::FRAC_PI_6).sin()).min(0.99);
    inflation(likeness, n)
}

/// 1 + 2 Σ (1 − k/n) ρᵏ over k from 1 to n − 1, in closed form.
fn inflation(rho: f64, n: f64) -> f64 {
    let sum = rho / (1.0 - rho) - rho * (1.0 - rho.powf(n)) / (n * (1.0 - rho) * (1.0 - rho));
    (1.0 + 2.0 * sum).max(1.0)
}

/// The place of each value among all, from 1 on; equal values share the mean of their places.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub(super) fn mid_ranks(values: &[f64]) -> Vec<f64> {
    // Beside its value, a place is sorted without a look at another end of the memory.
    let mut order: Vec<(i64, usize)> =
        values.iter().enumerate().map(|(at, value)| (in_order(*value), at)).collect();
    order.sort_unstable();
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for equal in order.chunk_by(|left, right| left.0 == right.0) {
        let shared = before as f64 + f64::midpoint(equal.len() as f64, 1.0);
        for (_, at) in equal {
            ranks[*at] = shared;
        }
        before += equal.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::is_close;

    #[test]
    fn the_closed_form_is_the_sum() {
        for (rho, n) in [(0.5, 20_u32), (0.9, 200), (0.01, 50)] {
            let terms =
                (1..n).map(|k| (1.0 - f64::from(k) / f64::from(n)) * f64::powf(rho, f64::from(k)));
            let sum: f64 = terms.sum();
            assert!(is_close(inflation(rho, f64::from(n)), 1.0 + 2.0 * sum, 1e-12));
        }
    }

    /// scipy 1.17.1: `rankdata([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5])`.
    #[test]
    fn equal_values_share_their_rank() {
        let ranks = mid_ranks(&[3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0, 3.0, 5.0]);
        assert_eq!(ranks, [4.5, 1.5, 6.0, 1.5, 8.0, 11.0, 3.0, 10.0, 8.0, 4.5, 8.0]);
    }

    #[test]
    fn little_and_equal_values_are_not_said_to_depend() {
        assert_eq!((variance_inflation(&[1.0, 2.0]), variance_inflation(&[1.0; 30])), (1.0, 1.0));
    }
}
