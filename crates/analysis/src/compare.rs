//! Two groups of operations side by side: two versions, two LLMs, two periods. Is the second one worse, and is that sure?

use serde::{Deserialize, Serialize};
use thiserror::Error;

use taximeter_models::{Measure, OperationRecord, Rate};

use crate::statistics::{Distribution, Z_95, rank_sum, shift, wilson};
use crate::trend::value;

/// What a comparison may show before it fails.
///
/// A change fails only where it is too large in both ways: a tenth of a millisecond is no reason to stop, and neither is
/// one percent.
///
/// ```
/// use taximeter_analysis::Gate;
///
/// assert_eq!((Gate::default().max_ratio, Gate::default().min_delta), (1.1, 0.0));
/// let wrong = Gate { max_ratio: 0.0, ..Gate::default() };
/// assert!(wrong.check().unwrap_err().to_string().contains("max_ratio"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gate {
    /// So many times as much as before is still well. Default: 1.1.
    pub max_ratio: f64,
    /// So much more than before is still well, in the unit of the values. Default: 0.
    pub min_delta: f64,
}

/// A limit that cannot be.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("gate {name}: {value} cannot be; a finite number {wanted} is expected")]
#[non_exhaustive]
pub struct GateError {
    /// The limit.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
    /// What it must be.
    pub wanted: &'static str,
}

impl Default for Gate {
    fn default() -> Self {
        Self { max_ratio: 1.1, min_delta: 0.0 }
    }
}

impl Gate {
    /// Looks whether both limits can be meant.
    ///
    /// # Errors
    /// Names the one that is out of its range.
    pub fn check(&self) -> Result<(), GateError> {
        let (name, value, wanted) = if !(self.max_ratio.is_finite() && self.max_ratio > 0.0) {
            ("max_ratio", self.max_ratio, "above 0")
        } else if !(self.min_delta.is_finite() && self.min_delta >= 0.0) {
            ("min_delta", self.min_delta, "of 0 or more")
        } else {
            return Ok(());
        };
        Err(GateError { name, value, wanted })
    }
}

/// What a comparison comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is sure that the change is within the limits.
    Pass,
    /// It is sure that it is above both.
    Fail,
    /// The data do not say. More of them may.
    Inconclusive,
}

/// How a second group of values compares with a first.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Comparison {
    /// The values before.
    pub before: Distribution,
    /// The values after.
    pub after: Distribution,
    /// How much more they are after: the median of the differences of all pairs.
    pub difference: f64,
    /// Between what it lies with a confidence of 95 %.
    pub difference_interval: (f64, f64),
    /// How many times as much: the median of the ratios of all pairs. None where a value is not above zero.
    pub ratio: Option<f64>,
    /// Between what it lies with a confidence of 95 %.
    pub ratio_interval: Option<(f64, f64)>,
    /// Of all pairs, the part in which the second is larger: 0.5 where nothing has changed.
    pub share_larger: f64,
    /// How likely so large a difference is by chance (Wilcoxon, Mann and Whitney; two-sided).
    pub p_value: f64,
    /// Whether that is within the limits.
    pub verdict: Verdict,
    /// The operations before whose measure is not known and that are left out, of all; none of plain values.
    pub left_out_before: Rate,
    /// The same after.
    pub left_out_after: Rate,
}

/// Compares two groups of values of which less is better: seconds, dollars, tokens. None where a group is empty or a value
/// is not finite.
///
/// The verdict is about the intervals and not about the estimates: it fails where even the lower bounds of ratio and
/// difference are above their limits, passes where the upper bound of one of them is within its limit, and is
/// inconclusive else. So a change of nothing in few noisy data does not pass by luck, and one large value does not fail.
///
/// ```
/// use taximeter_analysis::{Gate, Verdict, compare};
///
/// let noise = |at: i32| f64::from(at * 37 % 41) / 400.0;
/// let before: Vec<_> = (0..100).map(|at| 1.0 + noise(at)).collect();
/// let slower: Vec<_> = before.iter().map(|seconds| seconds * 1.3).collect();
/// let found = compare(&before, &slower, &Gate::default()).unwrap();
/// assert_eq!(found.verdict, Verdict::Fail);
/// assert!((found.ratio.unwrap() - 1.3).abs() < 0.01);
///
/// assert_eq!(compare(&before, &before, &Gate::default()).unwrap().verdict, Verdict::Pass);
/// assert_eq!(compare(&before[..2], &slower[..2], &Gate::default()).unwrap().verdict, Verdict::Inconclusive);
/// assert!(compare(&before, &[], &Gate::default()).is_none());
/// ```
pub fn compare(before: &[f64], after: &[f64], gate: &Gate) -> Option<Comparison> {
    let test = rank_sum(before, after)?;
    let difference = shift(before, after, Z_95)?;
    let logarithms = |values: &[f64]| {
        let positive = values.iter().all(|value| *value > 0.0);
        positive.then(|| values.iter().map(|value| value.ln()).collect::<Vec<_>>())
    };
    let ratio = logarithms(before)
        .zip(logarithms(after))
        .and_then(|(before, after)| shift(&before, &after, Z_95));
    let ratio_interval = ratio.map(|ratio| (ratio.low.exp(), ratio.high.exp()));
    let difference_interval = (difference.low, difference.high);
    Some(Comparison {
        before: Distribution::of(before.to_vec())?,
        after: Distribution::of(after.to_vec())?,
        difference: difference.estimate,
        difference_interval,
        ratio: ratio.map(|ratio| ratio.estimate.exp()),
        ratio_interval,
        share_larger: test.share,
        p_value: test.p_value,
        verdict: verdict(before.len().min(after.len()), ratio_interval, difference_interval, gate),
        left_out_before: Rate { hits: 0, of: before.len() as u64 },
        left_out_after: Rate { hits: 0, of: after.len() as u64 },
    })
}

/// Compares a measure of two groups of operations: two periods, two versions, those with two tags or LLMs. None where
/// a group has none of which the measure is known.
///
/// Durations, costs and tokens are compared as by [`compare`]. Error rates are compared as shares: their difference with
/// the interval of R. G. Newcombe (Statistics in Medicine 17, 1998, method 10), their ratio with that of the logarithm
/// (D. Katz and others, Biometrics 34, 1978; half a case is added to each), and the rank sum test of failures.
///
/// ```
/// use taximeter_analysis::{Gate, Verdict, compare_operations};
/// use taximeter_models::{Measure, OperationRecord, Outcome};
///
/// let version = |failing: u32| (0..400).map(move |at| {
///     let mut operation = OperationRecord::new("agent");
///     operation.outcome = if at % 100 < failing { Outcome::Failure } else { Outcome::Success };
///     operation
/// }).collect::<Vec<_>>();
/// let (one, two) = (version(2), version(12));
/// let found = compare_operations(&one, &two, Measure::ErrorRate, &Gate::default()).unwrap();
/// assert_eq!(found.verdict, Verdict::Fail);
/// assert!((found.difference - 0.1).abs() < 1e-9);
/// assert!(compare_operations(&one, &[], Measure::Duration, &Gate::default()).is_none());
///
/// // Nothing more is spent, as far as it is known; of half of the operations it is not.
/// let mut three = two.clone();
/// for operation in &mut three[..200] {
///     operation.llm_calls.push(taximeter_models::LlmCall::new("somebody", "something"));
/// }
/// let found = compare_operations(&two, &three, Measure::Cost, &Gate::default()).unwrap();
/// assert_eq!(found.left_out_after.to_string(), "50.0 % (200 of 400)");
/// assert_eq!((found.difference, found.verdict), (0.0, Verdict::Inconclusive));
/// ```
pub fn compare_operations<'a>(
    before: impl IntoIterator<Item = &'a OperationRecord>,
    after: impl IntoIterator<Item = &'a OperationRecord>,
    measure: Measure,
    gate: &Gate,
) -> Option<Comparison> {
    let (first, second) = (Known::of(before, measure), Known::of(after, measure));
    let (before, after) = (&first.values, &second.values);
    let mut found = compare(before, after, gate)?;
    (found.left_out_before, found.left_out_after) = (first.left_out, second.left_out);
    if first.left_out.hits + second.left_out.hits > 0 {
        let largest = before.iter().chain(after).fold(f64::MIN_POSITIVE, |most, x| most.max(*x));
        let (much, little) = (largest * BEYOND, largest / BEYOND);
        let (before, after) = match found.verdict {
            Verdict::Fail => (first.with(much), second.with(little)),
            _ => (first.with(little), second.with(much)),
        };
        if compare(&before, &after, gate)?.verdict != found.verdict {
            found.verdict = Verdict::Inconclusive;
        }
    }
    if measure == Measure::ErrorRate {
        let rate = |values: &[f64]| {
            let mut rate = Rate::default();
            for value in values {
                rate.record(*value > 0.5);
            }
            rate
        };
        let (first, second) = (rate(before), rate(after));
        let (low, likely, high) = difference_of_shares(second, first)?;
        (found.difference, found.difference_interval) = (likely, (low, high));
        let (ratio, interval) = ratio_of_shares(first, second);
        (found.ratio, found.ratio_interval) = (Some(ratio), Some(interval));
        let count = before.len().min(after.len());
        found.verdict = verdict(count, found.ratio_interval, found.difference_interval, gate);
    }
    Some(found)
}

/// What is not known is taken for so many times as much as all that is, or for so small a part of it: where answers go by
/// ranks, that is as good as without end.
const BEYOND: f64 = 1e9;

/// The values of a measure, as far as they are known.
struct Known {
    values: Vec<f64>,
    left_out: Rate,
}

impl Known {
    fn of<'a>(operations: impl IntoIterator<Item = &'a OperationRecord>, measure: Measure) -> Self {
        let mut known = Self { values: Vec::new(), left_out: Rate::default() };
        for operation in operations {
            let value = value(operation, measure);
            known.left_out.record(value.is_none());
            known.values.extend(value);
        }
        known
    }

    /// All values, where those that are not known are this.
    fn with(&self, unknown: f64) -> Vec<f64> {
        let unknown =
            std::iter::repeat_n(unknown, usize::try_from(self.left_out.hits).unwrap_or(0));
        self.values.iter().copied().chain(unknown).collect()
    }
}

/// The difference of two shares, the first less the second, between its bounds with 95 % confidence.
pub(crate) fn difference_of_shares(first: Rate, second: Rate) -> Option<(f64, f64, f64)> {
    let (one, other) = (wilson(first, Z_95)?, wilson(second, Z_95)?);
    let (first, second) = (first.fraction()?, second.fraction()?);
    let likely = first - second;
    let low = likely - (first - one.low).hypot(other.high - second);
    let high = likely + (one.high - first).hypot(second - other.low);
    Some((low, likely, high))
}

/// How many times as large the second share is, and between what that lies with 95 % confidence.
#[expect(clippy::cast_precision_loss, reason = "a ratio needs no more than 53 bits")]
fn ratio_of_shares(first: Rate, second: Rate) -> (f64, (f64, f64)) {
    let parts = |rate: Rate| (rate.hits as f64 + 0.5, rate.of as f64 + 0.5);
    let ((hits, of), (then, of_then)) = (parts(first), parts(second));
    let ratio = (then / of_then) / (hits / of);
    let error = (1.0 / hits - 1.0 / of + 1.0 / then - 1.0 / of_then).max(0.0).sqrt();
    let reach = (Z_95 * error).exp();
    (ratio, (ratio / reach, ratio * reach))
}

/// With fewer values than this in a group, the bounds hold with less confidence than they say.
const ENOUGH: usize = 5;

fn verdict(
    count: usize,
    ratio: Option<(f64, f64)>,
    difference: (f64, f64),
    gate: &Gate,
) -> Verdict {
    let within = ratio.is_some_and(|(_, high)| high <= gate.max_ratio);
    let above = ratio.is_none_or(|(low, _)| low > gate.max_ratio);
    match count {
        0..ENOUGH => Verdict::Inconclusive,
        _ if within || difference.1 <= gate.min_delta => Verdict::Pass,
        _ if above && difference.0 > gate.min_delta => Verdict::Fail,
        _ => Verdict::Inconclusive,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn noisy(level: f64, count: u32) -> Vec<f64> {
        (0..count).map(|at| level * (1.0 + f64::from(at * 2_654_435 % 1_009) / 2_018.0)).collect()
    }

    #[test]
    fn a_change_must_be_too_large_in_both_ways() {
        let (before, after) = (noisy(0.001, 200), noisy(0.0013, 200));
        let by = |max_ratio, min_delta| {
            compare(&before, &after, &Gate { max_ratio, min_delta }).unwrap().verdict
        };
        assert_eq!(by(1.1, 0.0), Verdict::Fail);
        assert_eq!(by(1.1, 0.1), Verdict::Pass); // a third of a millisecond is less than a tenth of a second
        assert_eq!(by(2.0, 0.0), Verdict::Pass);
        assert_eq!(by(1.3, 0.0), Verdict::Inconclusive); // just there, and the data cannot tell
    }

    #[test]
    fn what_is_free_has_a_difference_and_no_ratio() {
        let found = compare(&[0.0; 20], &noisy(1.0, 20), &Gate::default()).unwrap();
        assert_eq!((found.ratio, found.ratio_interval, found.verdict), (None, None, Verdict::Fail));
        assert!(found.difference >= 1.0 && found.p_value < 0.001);
        assert!(compare(&[1.0], &[f64::NAN], &Gate::default()).is_none());
    }

    proptest! {
        #[test]
        fn a_larger_unit_changes_no_verdict(
            before in prop::collection::vec(1..1_000_u32, 1..40),
            after in prop::collection::vec(1..1_000_u32, 1..40),
            max_ratio in 0.5..3.0_f64,
        ) {
            let numbers = |values: &[u32], unit: f64| values.iter().map(|value| f64::from(*value) * unit).collect::<Vec<_>>();
            let gate = Gate { max_ratio, min_delta: 4.0 };
            let one = compare(&numbers(&before, 1.0), &numbers(&after, 1.0), &gate).unwrap();
            let larger = Gate { min_delta: 4.0 * 1024.0, ..gate };
            let many = compare(&numbers(&before, 1024.0), &numbers(&after, 1024.0), &larger).unwrap();
            prop_assert_eq!((one.verdict, one.p_value), (many.verdict, many.p_value));
            prop_assert_eq!(one.difference.to_bits(), (many.difference / 1024.0).to_bits());
        }
    }
}
