//! How surprising a value is among its like, whatever their tails: robust against a few that are far off.

#![expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]

use super::quantile;

/// The upper quartile of the standard normal distribution: the median distance from the mean, in deviations.
pub(crate) const QUARTILE: f64 = 0.674_489_750_196_081_7;

/// Values that stand at `median ± deviation × z exp(h z² / 2)`, where z is standard normal: with h = 0 they are normal, and
/// the larger it is, the heavier are their tails.
///
/// Source: D. C. Hoaglin, "Summarizing shape numerically: the g-and-h distributions", in "Exploring data tables, trends,
/// and shapes" (1985), chapter 11, after J. W. Tukey.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tails {
    pub(crate) median: f64,
    /// The median distance from the median, in units of a normal deviation.
    pub(crate) deviation: f64,
    /// The deviation of the middle, where the tails do not reach.
    inner: f64,
    h: f64,
}

/// The doubt of a tail is counted against the alarm by so many of its deviations.
const DOUBT: f64 = 1.2;

impl Tails {
    /// Of values in any order; none of fewer than eight. All must be finite.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        if values.len() < 8 {
            return None;
        }
        values.sort_unstable_by(f64::total_cmp);
        let median = quantile(&values, 0.5)?;
        let mut distances: Vec<f64> =
            values.iter().map(|value| super::finite(value - median).abs()).collect();
        distances.sort_unstable_by(f64::total_cmp);
        let deviation = deviation(&distances)?;
        let share = tail_share(distances.len());
        let far = quantile(&distances, 1.0 - share)?;
        let z = normal_quantile(share / 2.0);
        let heavier = (far / (deviation * z)).clamp(f64::MIN_POSITIVE, f64::MAX).ln();
        let doubt = DOUBT * doubt(share, z, distances.len() as f64);
        let h = 2.0 * (heavier + doubt) / (z * z - QUARTILE * QUARTILE);
        let h = h.clamp(0.0, 2.0);
        let inner = deviation / (h * QUARTILE * QUARTILE / 2.0).exp();
        Some(Self { median, deviation, inner, h })
    }

    /// How many standard normal deviations a value is as surprising as; below the median it is negative.
    pub(crate) fn normal_score(&self, value: f64) -> f64 {
        let distance = super::finite(value - self.median);
        let (mut low, mut high) = (0.0, 40.0);
        // z exp(h z² / 2) only rises with z, so that halving finds it.
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if self.distance(middle) < distance.abs() { low = middle } else { high = middle }
        }
        f64::copysign(low, distance)
    }

    /// The value that is as surprising as so many standard normal deviations.
    pub(crate) fn value(&self, score: f64) -> f64 {
        super::finite(self.median + self.distance(score.abs()).copysign(score))
    }

    /// The robust z of Iglewicz and Hoaglin: 0.6745 times the distance from the median, in median distances.
    pub(crate) fn modified_z(&self, value: f64) -> f64 {
        let z = (value - self.median) / self.deviation.max(f64::MIN_POSITIVE);
        if value.total_cmp(&self.median).is_eq() { 0.0 } else { super::finite(z) }
    }

    fn distance(&self, z: f64) -> f64 {
        super::finite(self.inner * z * (self.h * z * z / 2.0).min(700.0).exp())
    }
}

/// The median distance in units of a normal deviation. Where more than half of the values are equal it is zero, and the
/// mean distance stands for it.
///
/// Source: B. Iglewicz and D. C. Hoaglin, "How to detect and handle outliers" (1993), section 3.3.
fn deviation(distances: &[f64]) -> Option<f64> {
    let middle = quantile(distances, 0.5)?;
    let count = distances.len() as f64;
    let mean: f64 = distances.iter().map(|distance| distance / count).sum();
    let half_of_pi = std::f64::consts::FRAC_PI_2;
    Some(if middle > 0.0 { middle / QUARTILE } else { mean * half_of_pi.sqrt() })
}

/// The part of the values beyond the distance by which the tails are measured: eight values, so that fewer outliers do not
/// move it.
fn tail_share(count: usize) -> f64 {
    (8.0 / count as f64).clamp(0.005, 0.1)
}

/// The deviation of the logarithm of the far distance by the median one, for normal values: that of each quantile,
/// √(p (1−p) / n) by density and place.
fn doubt(share: f64, z: f64, count: f64) -> f64 {
    let density = |z: f64| 2.0 * (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
    let own = |p: f64, z: f64| p * (1.0 - p) / count / (density(z) * z).powi(2);
    (own(share, z) + own(0.5, QUARTILE)).sqrt()
}

/// The value above which so small a part of standard normal values lies, at most a half; by halving.
pub(crate) fn normal_quantile(share: f64) -> f64 {
    let (mut low, mut high) = (0.0, 40.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if upper_tail(middle) > share { low = middle } else { high = middle }
    }
    low
}

/// The part of standard normal values above this.
pub(crate) fn upper_tail(z: f64) -> f64 {
    0.5 * libm::erfc(z / std::f64::consts::SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::is_close;

    /// scipy 1.17.1: `norm.isf(share)`; relative tolerance 1e-12.
    #[test]
    fn the_quantiles_of_scipy() {
        for (share, z) in [
            (0.1, 1.281_551_565_544_600_4),
            (0.025, 1.959_963_984_540_054_5),
            (0.000_1, 3.719_016_485_455_680_4),
            (1e-9, 5.997_807_015_007_686_5),
        ] {
            assert!(is_close(normal_quantile(share), z, 1e-12), "{share}");
        }
    }

    #[test]
    fn a_value_has_the_score_that_it_was_made_of() {
        let values: Vec<f64> = (1..400).map(|at| normal_score_of(at, 400)).collect();
        let tails = Tails::of(values).unwrap();
        for score in [-6.0, -2.0, 0.5, 4.0] {
            assert!(is_close(tails.normal_score(tails.value(score)), score, 1e-9));
        }
        assert!(is_close(tails.deviation, 1.0, 0.02), "{tails:?}");
        assert!(tails.modified_z(5.0) > 4.8 && tails.normal_score(5.0) > 3.5, "{tails:?}");
    }

    fn normal_score_of(at: u32, count: u32) -> f64 {
        let part = f64::from(at) / f64::from(count);
        if part > 0.5 { normal_quantile(1.0 - part) } else { -normal_quantile(part) }
    }

    #[test]
    fn equal_values_and_few_values_stay_finite() {
        assert_eq!(Tails::of(vec![1.0; 7]), None);
        let still = Tails::of(vec![3.0; 50]).unwrap();
        assert_eq!((still.normal_score(3.0), still.modified_z(3.0)), (0.0, 0.0));
        assert!(still.modified_z(4.0).is_finite() && still.normal_score(1e300).is_finite());
    }
}
