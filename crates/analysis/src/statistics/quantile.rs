//! The value below which a given part of the values lies.

/// The quantile of values that are **sorted** upwards; none of no values, or where `share` is not within 0 and 1.
///
/// It is definition 7 of R. J. Hyndman and Y. Fan, "Sample quantiles in statistical packages", The American
/// Statistician 50 (1996), pp. 361–365: between the values at both sides of position `share × (n − 1)` it goes in a
/// straight line. numpy and R take it by default, so that their answers and ours can be compared.
///
/// ```
/// use taximeter_analysis::statistics::quantile;
///
/// assert_eq!(quantile(&[1.0, 3.0], 0.5), Some(2.0));
/// assert_eq!(quantile(&[], 0.5), None);
/// ```
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = Place::of(share, sorted.len())?;
    Some(place.between(sorted[place.below], sorted[place.above]))
}

/// Between which of the sorted values a quantile lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// The index of the value below it.
    pub(crate) below: usize,
    /// The index of the value above it; the same one at the end.
    pub(crate) above: usize,
    /// The part of the way from the one to the other.
    part: f64,
}

impl Place {
    /// None among no values, or where `share` is not within 0 and 1.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the position lies between 0 and n - 1, and n is far below 2^53"
    )]
    pub(crate) fn of(share: f64, count: usize) -> Option<Self> {
        let last = count.checked_sub(1)?;
        if !(0.0..=1.0).contains(&share) {
            return None;
        }
        let position = share * last as f64;
        let below = (position.floor() as usize).min(last);
        Some(Self { below, above: (below + 1).min(last), part: position - below as f64 })
    }

    /// The point between the two values, never outside of them: rounding must not put a percentile above the maximum.
    pub(crate) fn between(self, low: f64, high: f64) -> f64 {
        let way = high - low;
        let part = self.part;
        let point =
            if way.is_finite() { low + way * part } else { low * (1.0 - part) + high * part };
        point.max(low).min(high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::is_close;

    /// numpy 2.4.6: `numpy.quantile(values, share)`; relative tolerance 1e-14.
    #[test]
    fn the_answers_of_numpy() {
        let mut values = [0.31, 1.7, 0.92, 4.4, 0.05, 2.25, 0.92, 3.1, 0.6, 12.5, 0.77];
        values.sort_unstable_by(f64::total_cmp);
        for (share, expected) in [
            (0.0, 0.05),
            (0.25, 0.685),
            (0.5, 0.92),
            (0.9, 4.4),
            (0.95, 8.45),
            (0.99, 11.690_000_000_000_003),
            (1.0, 12.5),
        ] {
            let found = quantile(&values, share).unwrap();
            assert!(is_close(found, expected, 1e-14), "{share}: {found}");
        }
        for (share, expected) in [(0.1, 1.2), (0.5, 2.0), (0.9, 2.8)] {
            assert!(is_close(quantile(&[1.0, 3.0], share).unwrap(), expected, 1e-14));
        }
    }

    #[test]
    fn odd_questions_have_no_answer_and_large_values_one() {
        assert_eq!(quantile(&[1.0], f64::NAN), None);
        assert_eq!(quantile(&[1.0], 1.5), None);
        assert_eq!(quantile(&[7.0], 0.99), Some(7.0));
        assert_eq!(quantile(&[f64::MIN, f64::MAX], 0.5), Some(0.0));
    }
}
