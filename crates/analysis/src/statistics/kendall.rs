//! Whether one thing goes up with another: the test of Mann and Kendall, and Kendall's τ.

use super::{finite, in_order, sorted_points};

/// How consistently `y` goes up or down with `x`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct MannKendall {
    /// Kendall's S: the pairs that go up together, less those of which one goes up and the other down.
    pub s: f64,
    /// Kendall's τ-b, from −1 to 1; none where all `x` or all `y` are equal.
    pub tau_b: Option<f64>,
    /// The variance of S where nothing goes up with anything.
    pub variance: f64,
    /// How likely so large an S is by chance, in either direction.
    pub p_value: f64,
}

impl MannKendall {
    /// The same test of values that depend on those before them, by how much that [inflates the
    /// variance](super::variance_inflation) of S.
    ///
    /// ```
    /// use taximeter_analysis::statistics::mann_kendall;
    ///
    /// let upwards: Vec<_> = (0..20).map(|at| (f64::from(at), f64::from(at / 4))).collect();
    /// let test = mann_kendall(&upwards).unwrap();
    /// assert!(test.inflated(4.0).p_value > test.p_value);
    /// assert_eq!(test.inflated(0.5), test); // dependence never makes more of little
    /// ```
    pub fn inflated(self, inflation: f64) -> Self {
        let variance = self.variance * inflation.max(1.0);
        Self { variance, p_value: p_value(self.s, variance), ..self }
    }
}

/// The Mann–Kendall test of points `(x, y)`, in any order; none of fewer than three points, or where a coordinate
/// is not finite.
///
/// The p-value is two-sided, by the normal approximation with the correction for continuity, `z = (|S| − 1) / √V`,
/// and with the variance V that is corrected for ties in both coordinates. The approximation is good from ten
/// points on. Points that depend on those before them (autocorrelation) make p too small; that is mended by
/// [`MannKendall::inflated`]. It takes n log n time: pairs are counted by a merge sort.
///
/// Sources: H. B. Mann, "Nonparametric tests against trend", Econometrica 13 (1945), pp. 245–259. M. G. Kendall,
/// "Rank correlation methods", 4th edition (1975), chapters 3 (τ-b) and 4 (continuity, ties in both). The counting:
/// W. R. Knight, "A computer method for calculating Kendall's tau with ungrouped data", Journal of the American
/// Statistical Association 61 (1966), pp. 436–439.
///
/// ```
/// use taximeter_analysis::statistics::mann_kendall;
///
/// let upwards: Vec<_> = (0..20).map(|at| (f64::from(at), f64::from(at * at))).collect();
/// let test = mann_kendall(&upwards).unwrap();
/// assert_eq!(test.tau_b, Some(1.0));
/// assert!(test.p_value < 1e-8);
/// ```
pub fn mann_kendall(points: &[(f64, f64)]) -> Option<MannKendall> {
    if points.len() < 3 {
        return None;
    }
    let sorted = sorted_points(points)?;
    let x_ties = Ties::of(sorted.iter().map(|point| point.0));
    let both = Ties::of(sorted.iter().copied());
    let mut y: Vec<i64> = sorted.into_iter().map(|point| in_order(point.1)).collect();
    let discordant = sort_and_count_inversions(&mut y);
    let y_ties = Ties::of(y);

    let all = pairs(points.len());
    let s = all - x_ties.pairs - y_ties.pairs + both.pairs - 2.0 * discordant;
    let variance = variance(points.len(), &x_ties, &y_ties);
    Some(MannKendall {
        s,
        tau_b: tau_b(s, all - x_ties.pairs, all - y_ties.pairs),
        variance,
        p_value: p_value(s, variance),
    })
}

/// S over the geometric mean of the pairs that differ in x and of those that differ in y.
fn tau_b(s: f64, x_pairs: f64, y_pairs: f64) -> Option<f64> {
    let scale = (x_pairs * y_pairs).sqrt();
    (scale > 0.0).then(|| (s / scale).clamp(-1.0, 1.0))
}

fn p_value(s: f64, variance: f64) -> f64 {
    if variance <= 0.0 {
        return 1.0;
    }
    let z = (s.abs() - 1.0).max(0.0) / variance.sqrt();
    libm::erfc(z * std::f64::consts::FRAC_1_SQRT_2).clamp(0.0, 1.0)
}

/// The variance of S where nothing goes up with anything, with ties in both coordinates.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn variance(count: usize, x: &Ties, y: &Ties) -> f64 {
    let n = count as f64;
    let untied = n * (n - 1.0) * (2.0 * n + 5.0);
    let pairs_of_pairs = (2.0 * x.pairs) * (2.0 * y.pairs) / (2.0 * n * (n - 1.0));
    let triples = x.triples * y.triples / (9.0 * n * (n - 1.0) * (n - 2.0));
    finite((untied - x.fives - y.fives) / 18.0 + triples + pairs_of_pairs)
}

/// What groups of equal values take from the number of pairs and from its variance; `t` is the size of a group.
#[derive(Default)]
struct Ties {
    /// Σ t(t − 1)/2
    pairs: f64,
    /// Σ t(t − 1)(t − 2)
    triples: f64,
    /// Σ t(t − 1)(2t + 5)
    fives: f64,
}

impl Ties {
    /// The ties among values of which equal ones stand together.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    fn of<T: PartialEq>(values: impl IntoIterator<Item = T>) -> Self {
        let mut ties = Self::default();
        let mut values = values.into_iter();
        let Some(mut current) = values.next() else { return ties };
        let mut size = 1_u64;
        for value in values {
            if value == current {
                size += 1;
            } else {
                ties.add(size as f64);
                (current, size) = (value, 1);
            }
        }
        ties.add(size as f64);
        ties
    }

    fn add(&mut self, t: f64) {
        self.pairs += t * (t - 1.0) / 2.0;
        self.triples += t * (t - 1.0) * (t - 2.0);
        self.fives += t * (t - 1.0) * (2.0 * t + 5.0);
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn pairs(count: usize) -> f64 {
    let n = count as f64;
    n * (n - 1.0) / 2.0
}

/// Sorts, and counts the pairs of which the larger value stood first.
#[expect(clippy::cast_precision_loss, reason = "pairs stay below 2^53 up to 134 million points")]
fn sort_and_count_inversions(values: &mut Vec<i64>) -> f64 {
    let mut inversions = 0_u64;
    let mut merged = Vec::with_capacity(values.len());
    let mut width = 1;
    while width < values.len() {
        merged.clear();
        for run in values.chunks(width * 2) {
            let (left, right) = run.split_at(width.min(run.len()));
            inversions += merge(left, right, &mut merged);
        }
        std::mem::swap(values, &mut merged);
        width *= 2;
    }
    inversions as f64
}

/// Which of two values is the smaller cannot be foretold, so nothing is decided by it: the places go on by what it is.
fn merge(left: &[i64], right: &[i64], merged: &mut Vec<i64>) -> u64 {
    let (mut l, mut r, mut inversions) = (0, 0, 0);
    while l < left.len() && r < right.len() {
        let (one, other) = (left[l], right[r]);
        let is_inversion = other < one;
        merged.push(one.min(other));
        inversions += (left.len() - l) as u64 * u64::from(is_inversion);
        (l, r) = (l + usize::from(!is_inversion), r + usize::from(is_inversion));
    }
    merged.extend_from_slice(&left[l..]);
    merged.extend_from_slice(&right[r..]);
    inversions
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::statistics::is_close;

    const PLAIN: [f64; 12] = [1.0, 1.3, 0.9, 1.6, 1.4, 1.8, 1.7, 2.2, 1.9, 2.5, 2.1, 2.9];
    const TIED: [f64; 12] = [1.0, 1.0, 1.2, 1.0, 1.5, 1.2, 1.2, 1.5, 1.8, 1.5, 1.2, 1.8];
    const TIED_IN_BOTH: [(f64, f64); 12] = [
        (0.0, 2.0),
        (0.0, 1.8),
        (1.0, 1.8),
        (1.0, 1.9),
        (1.0, 1.5),
        (3.0, 1.5),
        (3.0, 1.6),
        (4.0, 1.2),
        (6.0, 1.5),
        (7.0, 1.0),
        (7.0, 1.2),
        (9.0, 1.0),
    ];

    fn by_index(values: [f64; 12]) -> Vec<(f64, f64)> {
        (0..).map(f64::from).zip(values).collect()
    }

    fn check(points: &[(f64, f64)], s: f64, tau_b: f64, p_value: f64) {
        let found = mann_kendall(points).unwrap();
        assert!((found.s - s).abs() < 1e-9, "{found:?}");
        assert!(is_close(found.tau_b.unwrap(), tau_b, 1e-13), "{found:?}");
        assert!(is_close(found.p_value, p_value, 1e-12), "{found:?}");
    }

    /// S and p: pymannkendall 1.4.3, `original_test(y)`. τ-b: scipy 1.17.1, `kendalltau(x, y)`. Relative tolerances
    /// 1e-13 for τ-b and 1e-12 for p.
    #[test]
    fn the_answers_of_pymannkendall_and_scipy() {
        check(&by_index(PLAIN), 52.0, 0.787_878_787_878_787_7, 0.000_470_169_279_313_870_1);
        check(&by_index(TIED), 37.0, 0.625_592_914_873_626_1, 0.010_064_133_540_636_4);
    }

    /// Ties in time too, of which pymannkendall knows nothing. scipy 1.17.1, `kendalltau(x, y,
    /// method="asymptotic")`, has no correction for continuity: its variance was recovered from its p-value, and
    /// the correction applied to that.
    #[test]
    fn the_answer_of_scipy_with_ties_in_both() {
        check(&TIED_IN_BOTH, -48.0, -0.8, 0.000_886_140_189_404_293_2);
    }

    #[test]
    fn nothing_is_said_of_too_few_points_and_no_trend_of_equal_ones() {
        assert_eq!(mann_kendall(&[(0.0, 1.0), (1.0, 2.0)]), None);
        assert_eq!(mann_kendall(&[(0.0, 1.0), (1.0, 2.0), (f64::NAN, 1.0)]), None);
        let flat = mann_kendall(&[(0.0, 1.0); 5]).unwrap();
        assert_eq!((flat.s, flat.tau_b, flat.p_value), (0.0, None, 1.0));
    }

    fn sign(value: f64) -> f64 {
        if value == 0.0 { 0.0 } else { value.signum() }
    }

    proptest! {
        #[test]
        fn s_is_what_counting_every_pair_gives(points in prop::collection::vec((0..9_i32, 0..9_i32), 3..40)) {
            let points: Vec<_> = points.into_iter().map(|(x, y)| (f64::from(x), f64::from(y))).collect();
            let mut s = 0.0;
            for (at, one) in points.iter().enumerate() {
                for other in &points[at + 1..] {
                    s += sign(other.0 - one.0) * sign(other.1 - one.1);
                }
            }
            let found = mann_kendall(&points).unwrap();
            prop_assert!((found.s - s).abs() < 1e-9);
            prop_assert!((0.0..=1.0).contains(&found.p_value));
        }
    }
}
