//! How values spread: count, mean, standard deviation, extremes and percentiles.

use serde::Serialize;

use super::{finite, quantile};

/// How values spread. It has no unit of its own: the name of the field that holds it says which.
///
/// ```
/// use taximeter_analysis::statistics::Distribution;
///
/// let seconds = Distribution::of(vec![0.4, 0.2, 0.9]).unwrap();
/// assert_eq!((seconds.count, seconds.min, seconds.p50, seconds.max), (3, 0.2, 0.4, 0.9));
/// assert_eq!(Distribution::of(vec![0.4]).unwrap().std_deviation, None); // of one value there is none
/// assert_eq!(Distribution::of(vec![]), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Distribution {
    /// How many values there are.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, of the sample (with n − 1); none of fewer than two values.
    pub std_deviation: Option<f64>,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// The median.
    pub p50: f64,
    /// 90 % are not above this.
    pub p90: f64,
    /// 95 % are not above this.
    pub p95: f64,
    /// 99 % are not above this.
    pub p99: f64,
    /// How far the percentiles can be away from the truth, as a part of them: 0 where they are exact.
    #[serde(skip_serializing_if = "is_exact")]
    pub percentile_error: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_exact(error: &f64) -> bool {
    *error <= 0.0
}

impl Distribution {
    /// The distribution of these values, in any order; none of no values. What is not finite is left out.
    ///
    /// Percentiles are those of [`quantile`](super::quantile), exact. The values are sorted before they are added
    /// up, so that their order does not change the last digit of a sum.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.retain(|value| value.is_finite());
        values.sort_unstable_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let moments = Moments::of(&values);
        Some(Self {
            count: values.len() as u64,
            sum: moments.sum,
            // Rounding must not put a mean outside of its values.
            mean: moments.mean.clamp(min, max),
            std_deviation: moments.std_deviation,
            min,
            max,
            p50: quantile(&values, 0.5)?,
            p90: quantile(&values, 0.9)?,
            p95: quantile(&values, 0.95)?,
            p99: quantile(&values, 0.99)?,
            percentile_error: 0.0,
        })
    }
}

struct Moments {
    sum: f64,
    mean: f64,
    std_deviation: Option<f64>,
}

impl Moments {
    /// In two passes, the second correcting the rounding of the first: the "corrected two-pass algorithm" of
    /// T. F. Chan, G. H. Golub and others, "Algorithms for computing the sample variance: analysis and
    /// recommendations", The American Statistician 37 (1983), pp. 242–247. The sum of squares minus the square of
    /// the sum would lose all digits of values that lie close together.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let sum = finite(values.iter().sum());
        let rough = sum / count;
        let (mut squares, mut rest) = (0.0_f64, 0.0_f64);
        for value in values {
            let distance = finite(value - rough);
            squares += distance * distance;
            rest = finite(rest + distance);
        }
        let spread = finite(squares) - finite(rest * rest) / count;
        let std_deviation = (values.len() > 1).then(|| (spread.max(0.0) / (count - 1.0)).sqrt());
        Self { sum, mean: finite(rough + rest / count), std_deviation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::is_close;

    /// numpy 2.4.6: `numpy.mean(values)`, `numpy.std(values, ddof=1)`; relative tolerance 1e-14.
    #[test]
    fn the_answers_of_numpy() {
        let values = vec![0.31, 1.7, 0.92, 4.4, 0.05, 2.25, 0.92, 3.1, 0.6, 12.5, 0.77];
        let found = Distribution::of(values).unwrap();
        assert!(is_close(found.mean, 2.501_818_181_818_182, 1e-14), "{found:?}");
        assert!(is_close(found.std_deviation.unwrap(), 3.564_642_529_572_406_5, 1e-14));
    }

    /// The textbook's case for stability: four values close together and far from zero; their variance is 30.
    #[test]
    fn values_far_from_zero_keep_their_spread() {
        let found = Distribution::of([4.0, 7.0, 13.0, 16.0].map(|x| 1e9 + x).to_vec()).unwrap();
        assert!(is_close(found.std_deviation.unwrap(), 30_f64.sqrt(), 1e-14), "{found:?}");
        assert!(is_close(found.mean, 1e9 + 10.0, 1e-15));
    }

    #[test]
    fn extremes_stay_finite() {
        for values in [
            vec![f64::MAX, f64::MAX, f64::MIN],
            vec![f64::MIN, f64::MAX],
            vec![f64::NAN, 1.0, f64::INFINITY],
            vec![0.0; 5],
            vec![f64::MIN_POSITIVE, 5e-324],
        ] {
            let found = Distribution::of(values).unwrap();
            let numbers = [found.sum, found.mean, found.std_deviation.unwrap_or_default()];
            assert!(numbers.into_iter().all(f64::is_finite), "{found:?}");
            assert!(found.min <= found.mean && found.mean <= found.max, "{found:?}");
        }
    }
}
