//! A straight line through points that are many and tame, such as zeros and ones.

use super::{finite, sorted_points};

/// The line `y = intercept + slope × x` with the least squares of what is left.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct LeastSquares {
    /// How much `y` changes with one unit of `x`.
    pub slope: f64,
    /// `y` where `x` is zero.
    pub intercept: f64,
    /// The standard error of the slope; none of two points.
    pub slope_error: Option<f64>,
}

/// The line of least squares through points `(x, y)`, in any order; none where fewer than two `x` differ, or where a
/// coordinate is not finite.
///
/// Of zeros and ones it tells how a share changes, which the median of Theil and Sen cannot: most pairs of them are
/// equal. Formula: N. R. Draper and H. Smith, "Applied regression analysis" (3rd edition, 1998), sections 1.2 and 1.4.
///
/// ```
/// use taximeter_analysis::statistics::least_squares;
///
/// let line = least_squares(&[(0.0, 0.0), (1.0, 0.0), (2.0, 1.0), (3.0, 1.0)]).unwrap();
/// assert!((line.slope - 0.4).abs() < 1e-12 && (line.intercept + 0.1).abs() < 1e-12);
/// assert_eq!(least_squares(&[(1.0, 0.0), (1.0, 1.0)]), None); // all at one place
/// ```
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub fn least_squares(points: &[(f64, f64)]) -> Option<LeastSquares> {
    let points = sorted_points(points)?;
    let count = points.len() as f64;
    let mean =
        |of: fn(&(f64, f64)) -> f64| points.iter().map(|point| of(point) / count).sum::<f64>();
    let (x_mean, y_mean) = (mean(|point| point.0), mean(|point| point.1));
    let (mut xx, mut xy) = (0.0, 0.0);
    for (x, y) in &points {
        xx += (x - x_mean) * (x - x_mean);
        xy += (x - x_mean) * (y - y_mean);
    }
    let slope = xy / xx;
    if !(slope.is_finite() && xx.is_finite() && xx > 0.0) {
        return None;
    }
    let intercept = finite(y_mean - slope * x_mean);
    let rest = |(x, y): &(f64, f64)| (y - intercept - slope * x) * (y - intercept - slope * x);
    let rests: f64 = points.iter().map(rest).sum();
    let error = (rests / (count - 2.0) / xx).sqrt();
    Some(LeastSquares { slope, intercept, slope_error: error.is_finite().then_some(error) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::is_close;

    /// scipy 1.17.1: `scipy.stats.linregress(x, y)`: slope, intercept and stderr.
    #[test]
    fn the_answer_of_scipy() {
        let values = [1.2, 0.7, 3.1, 2.2, 4.9, 3.8, 5.1];
        let points: Vec<_> = (0..7_u8).map(f64::from).zip(values).collect();
        let line = least_squares(&points).unwrap();
        assert!(is_close(line.slope, 0.703_571_428_571_428_5, 1e-12), "{line:?}");
        assert!(is_close(line.intercept, 0.889_285_714_285_714_2, 1e-12), "{line:?}");
        assert!(is_close(line.slope_error.unwrap(), 0.168_600_179_146_296_52, 1e-12), "{line:?}");
        assert_eq!(least_squares(&points[..2]).unwrap().slope_error, None);
    }
}
