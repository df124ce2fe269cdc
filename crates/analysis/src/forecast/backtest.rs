//! How far forecasts were off that are made as if the end of the series had not been seen yet.

#![expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]

use serde::Serialize;

use super::scale::Scale;
use super::season::{Season, begun};
use super::{NEED, State};
use crate::Series;
use crate::statistics::finite;

/// How far such forecasts were off: from several origins in the second half of the series, each made from what was known
/// there, for the steps after it.
///
/// Source: R. J. Hyndman and A. B. Koehler, "Another look at measures of forecast accuracy", International Journal of
/// Forecasting 22 (2006), pp. 679–688.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Backtest {
    /// So many steps were forecast from each origin.
    pub horizon: usize,
    /// So many forecasts were made.
    pub origins: usize,
    /// The mean absolute error, in the unit of the series; none where no step that was forecast has a value.
    pub mean_absolute_error: Option<f64>,
    /// The mean absolute scaled error: the former in units of the mean change from a value to the next (of a season: to
    /// that one season later). Below 1 the forecast is better than one step of the naive one. None where the values do
    /// not change.
    pub mase: Option<f64>,
    /// The mean absolute error in percent of the true value; none where a true value is zero.
    pub mape: Option<f64>,
}

/// So many origins at most.
const ORIGINS: usize = 12;
/// Fewer steps than this are nothing to fit.
const LEAST_TRAINING: usize = 10;

/// The season that is shown to help, and the back-test with it.
pub(super) fn season(
    series: &Series,
    seen: &[Option<f64>],
    scale: Scale,
    steps: usize,
) -> (Option<Season>, Backtest) {
    let of = |season| Candidate::of(series, seen, scale, season, steps);
    let mut best = of(None);
    for season in Season::of_step(series.step()) {
        if seen.len() < 2 * season.period() {
            continue;
        }
        let other = of(Some(*season));
        if other.criterion < best.criterion && other.misses.mean() < best.misses.mean() {
            best = other;
        }
    }
    let backtest = best.misses.into_backtest(series, best.season);
    (best.season, backtest)
}

/// A season that might be, or none.
struct Candidate {
    season: Option<Season>,
    /// The criterion of Akaike; less is better.
    criterion: f64,
    misses: Misses,
}

impl Candidate {
    fn of(
        series: &Series,
        seen: &[Option<f64>],
        scale: Scale,
        season: Option<Season>,
        steps: usize,
    ) -> Self {
        let state = State::of(seen, season, begun(series));
        let largest = seen.iter().flatten().fold(0.0_f64, |most, value| most.max(value.abs()));
        let count = state.fit.count;
        let floor = count * (1e-12 * largest).powi(2) + f64::MIN_POSITIVE;
        let parameters = season.map_or(0, Season::parameters) as f64;
        let criterion = count * (state.fit.squares() + floor).ln() + 2.0 * parameters;
        Self { season, criterion, misses: Misses::of(series, seen, scale, season, steps) }
    }
}

/// What was forecast and what came.
#[derive(Default)]
struct Misses {
    horizon: usize,
    origins: usize,
    /// The forecast and the true value.
    pairs: Vec<(f64, f64)>,
}

impl Misses {
    fn of(
        series: &Series,
        seen: &[Option<f64>],
        scale: Scale,
        season: Option<Season>,
        steps: usize,
    ) -> Self {
        let count = seen.len();
        let horizon = steps.min(count / 4).max(1);
        let first = (count / 2).max(LEAST_TRAINING).min(count - horizon);
        let mut misses = Self { horizon, ..Self::default() };
        for origin in origins(first, count - horizon) {
            if seen[..origin].iter().flatten().count() < LEAST_TRAINING.min(NEED) {
                continue;
            }
            misses.origins += 1;
            let expected = State::of(&seen[..origin], season, begun(series)).expected(horizon);
            let came = &series.values()[origin..origin + horizon];
            for (expected, came) in expected.iter().zip(came) {
                misses.pairs.extend(came.map(|came| (scale.back(*expected), came)));
            }
        }
        misses
    }

    fn mean(&self) -> Option<f64> {
        // Each is divided before they are added up, so that no sum overflows.
        let count = self.pairs.len() as f64;
        let part = |(expected, came): &(f64, f64)| finite(expected - came).abs() / count;
        (!self.pairs.is_empty()).then(|| finite(self.pairs.iter().map(part).sum()))
    }

    fn into_backtest(self, series: &Series, season: Option<Season>) -> Backtest {
        let mean = self.mean();
        let naive = naive_change(series.values(), season.map_or(1, Season::period));
        let zero = self.pairs.iter().any(|(_, came)| came.abs() < f64::MIN_POSITIVE);
        let percent = || {
            let part = |(expected, came): &(f64, f64)| finite((expected - came) / came).abs();
            let count = self.pairs.len() as f64;
            finite(self.pairs.iter().map(|pair| part(pair) / count * 100.0).sum())
        };
        Backtest {
            horizon: self.horizon,
            origins: self.origins,
            mean_absolute_error: mean,
            mase: mean.zip(naive).map(|(mean, naive)| finite(mean / naive)),
            mape: (!zero && !self.pairs.is_empty()).then(percent),
        }
    }
}

/// Places from the first to the last, evenly.
fn origins(first: usize, last: usize) -> impl Iterator<Item = usize> {
    let count = (last - first + 1).min(ORIGINS);
    (0..count)
        .map(move |at| if count > 1 { first + at * (last - first) / (count - 1) } else { last })
}

/// The mean change from a value to that one period later; none where nothing changes.
fn naive_change(values: &[Option<f64>], period: usize) -> Option<f64> {
    let changes: Vec<f64> = values
        .iter()
        .zip(values.iter().skip(period))
        .filter_map(|(earlier, later)| earlier.zip(*later))
        .map(|(earlier, later)| finite(later - earlier).abs())
        .collect();
    let count = changes.len() as f64;
    let mean: f64 = changes.iter().map(|change| change / count).sum();
    (mean > 0.0).then(|| finite(mean))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Step;
    use crate::statistics::is_close;

    /// By hand, with the definition of Hyndman and Koehler: the naive errors 2, 1, 3, 2 have the mean 2; the errors 1 and 3
    /// of the forecasts have the mean 2, which is 1 scaled, and 10 % and 25 % of the true values.
    #[test]
    fn the_scaled_error_of_a_series_computed_by_hand() {
        let values = [9.0, 11.0, 10.0, 13.0, 11.0].map(Some).to_vec();
        assert_eq!(naive_change(&values, 1), Some(2.0));
        assert_eq!(naive_change(&values, 2), Some((1.0 + 2.0 + 1.0) / 3.0));
        let series = Series::new(chrono::DateTime::UNIX_EPOCH, Step::Day, values);
        let misses = Misses { horizon: 2, origins: 1, pairs: vec![(11.0, 10.0), (9.0, 12.0)] };
        let found = misses.into_backtest(&series, None);
        assert_eq!((found.mean_absolute_error, found.mase), (Some(2.0), Some(1.0)));
        assert!(is_close(found.mape.unwrap(), 17.5, 1e-12));
    }

    #[test]
    fn a_true_value_of_zero_has_no_percent_and_no_change_no_scale() {
        let still = Series::new(chrono::DateTime::UNIX_EPOCH, Step::Day, vec![Some(0.0); 20]);
        let misses = Misses { horizon: 1, origins: 1, pairs: vec![(1.0, 0.0)] };
        let found = misses.into_backtest(&still, None);
        assert_eq!((found.mean_absolute_error, found.mase, found.mape), (Some(1.0), None, None));
    }

    #[test]
    fn origins_are_even_and_end_at_the_last() {
        assert_eq!(origins(10, 13).collect::<Vec<_>>(), [10, 11, 12, 13]);
        assert_eq!(origins(50, 100).last(), Some(100));
        assert_eq!(origins(7, 7).collect::<Vec<_>>(), [7]);
    }
}
