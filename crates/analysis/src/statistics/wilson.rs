//! How sure a share is: the score interval of Wilson for a proportion.

use serde::Serialize;
use taximeter_models::Rate;

/// The two-sided 95 % quantile of the standard normal distribution.
pub const Z_95: f64 = 1.959_963_984_540_054;

/// A range in which the true value lies, at the confidence that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// A share with its denominator and its uncertainty.
///
/// ```
/// use taximeter_analysis::statistics::Proportion;
/// use taximeter_models::Rate;
///
/// let success = Proportion::of(Rate { hits: 39, of: 40 });
/// assert_eq!(success.share, Some(0.975));
/// assert!(success.interval_95.unwrap().low < 0.88); // forty operations do not prove 97.5 %
/// assert_eq!(Proportion::of(Rate::default()).share, None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Proportion {
    /// The hits and the cases, in JSON as `hits` and `of`.
    #[serde(flatten)]
    pub rate: Rate,
    /// The share, 0 to 1; none where there were no cases.
    pub share: Option<f64>,
    /// The 95 % interval of Wilson for the share; none where there were no cases.
    pub interval_95: Option<Interval>,
}

impl Proportion {
    /// The share of these cases.
    pub fn of(rate: Rate) -> Self {
        let rate = Rate { hits: rate.hits.min(rate.of), of: rate.of };
        Self { rate, share: rate.fraction(), interval_95: wilson(rate, Z_95) }
    }
}

/// The score interval of a proportion: with `p` the share of `n` cases,
/// `(p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n)`.
///
/// Unlike the textbook's `p ± z √(p(1−p)/n)` it stays within 0 and 1 and is not empty at 0 of 10 or at 10 of 10.
/// `z` is the quantile of the standard normal distribution, [`Z_95`] for 95 %. None where there were no cases or
/// where `z` is not a finite number of zero or more.
///
/// Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the
/// American Statistical Association 22 (1927), pp. 209–212.
///
/// ```
/// use taximeter_analysis::statistics::{Z_95, wilson};
/// use taximeter_models::Rate;
///
/// let one_of_two = wilson(Rate { hits: 1, of: 2 }, Z_95).unwrap();
/// assert!(one_of_two.low < 0.1 && one_of_two.high > 0.9); // it says next to nothing
/// ```
#[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
pub fn wilson(rate: Rate, z: f64) -> Option<Interval> {
    // A larger z is certainty; its square would leave the range of floats.
    let z = (z >= 0.0 && z.is_finite()).then(|| z.min(1e9))?;
    let share = rate.fraction()?.min(1.0);
    let cases = rate.of as f64;
    let spread = z * (share * (1.0 - share) / cases + z * z / (4.0 * cases * cases)).sqrt();
    let center = share + z * z / (2.0 * cases);
    let scale = 1.0 + z * z / cases;
    // The ends are exact at the ends of the scale, where rounding would leave a trace.
    let low = if rate.hits == 0 { 0.0 } else { ((center - spread) / scale).clamp(0.0, share) };
    let high =
        if rate.hits >= rate.of { 1.0 } else { ((center + spread) / scale).clamp(share, 1.0) };
    Some(Interval { low, high })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::is_close;

    /// statsmodels 0.15.0: `proportion_confint(hits, of, alpha=0.05, method="wilson")`; relative tolerance 1e-12.
    #[test]
    fn the_answers_of_statsmodels() {
        for (hits, of, low, high) in [
            (0, 10, 0.0, 0.277_532_799_862_889_26),
            (1, 10, 0.017_876_213_095_072_924, 0.404_150_026_795_238_54),
            (39, 40, 0.871_186_310_365_259_1, 0.995_573_168_497_318_6),
            (10, 10, 0.722_467_200_137_110_6, 1.0),
            (137, 1000, 0.117_073_130_632_994_72, 0.159_705_096_027_518_3),
        ] {
            let interval = wilson(Rate { hits, of }, Z_95).unwrap();
            assert!(is_close(interval.low, low, 1e-12), "{hits} of {of}: {interval:?}");
            assert!(is_close(interval.high, high, 1e-12), "{hits} of {of}: {interval:?}");
        }
    }

    #[test]
    fn nothing_is_said_of_no_cases_and_with_no_confidence() {
        assert_eq!(wilson(Rate::default(), Z_95), None);
        assert_eq!(wilson(Rate { hits: 1, of: 2 }, f64::NAN), None);
        assert_eq!(wilson(Rate { hits: 1, of: 2 }, -1.0), None);
    }

    #[test]
    fn it_stays_within_its_bounds() {
        for rate in [(0, 1), (1, 1), (5, 3), (1, u64::MAX), (u64::MAX, u64::MAX)] {
            for z in [0.0, Z_95, 1e300] {
                let interval = wilson(Rate { hits: rate.0, of: rate.1 }, z).unwrap();
                assert!(0.0 <= interval.low && interval.low <= interval.high);
                assert!(interval.high <= 1.0);
            }
        }
    }
}
