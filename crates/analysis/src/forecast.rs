//! What is to come: cost, tokens, operations or latency over the next hours or days, and when a budget is gone.

mod backtest;
mod budget;
mod model;
mod paths;
pub(crate) mod scale;
pub(crate) mod season;

use chrono::{DateTime, Utc};
use serde::Serialize;
use taximeter_models::Coverage;

pub use backtest::Backtest;
pub use budget::{Exhaustion, Total, When};
pub use season::Season;

use crate::series::after;
use crate::statistics::quantile;
use crate::{NotEnough, Series, Step};
use model::Fit;
use scale::{Scale, Shape};
use season::{Effects, begun, without};

/// The fewest steps with a value that are forecast from: two weeks of days.
const NEED: usize = 14;
/// From no more steps than these a forecast is made: twelve weeks of hours. What is older says little of tomorrow.
const MOST: usize = 2_016;
/// Further than that nothing is forecast: a year of hours.
const FURTHEST: usize = 8_784;

/// The value of one step to come, with the ranges in which it lies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ForecastPoint {
    /// When the step begins.
    pub at: DateTime<Utc>,
    /// What is expected: the value is as likely above as below. In the unit of the series.
    pub value: f64,
    /// With a probability of 80 % it is not below this ...
    pub low_80: f64,
    /// ... and not above this.
    pub high_80: f64,
    /// With a probability of 95 % it is not below this ...
    pub low_95: f64,
    /// ... and not above this.
    pub high_95: f64,
}

/// How a series goes on, and how good such forecasts of it were.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Forecast {
    /// How long a step is.
    pub step: Step,
    /// The steps to come, beginning where the series ends.
    pub points: Vec<ForecastPoint>,
    /// The season that is counted on; none where none was shown to help.
    pub season: Option<Season>,
    /// How sure it is that there is a trend, 0 to 1: the part of the models with one.
    pub trend: f64,
    /// How far such forecasts were off in the past of the series.
    pub backtest: Backtest,
    /// The calls that it was made from, and those whose cost or tokens are not known: where it is not complete, the series
    /// was too low, and so is what is forecast. None where the quantity is none of calls.
    pub coverage: Option<Coverage>,
    /// Ways on which the series could go on, the values of one after the other.
    #[serde(skip)]
    paths: Vec<Vec<f64>>,
}

/// How a series goes on for so many steps.
///
/// - **Level and trend**: many models are fitted, from noise around a mean through autoregression to exponential smoothing,
///   each with and without a trend that is damped by up to 2 % a step, and weighed by their likelihood. So the range is
///   narrow where the series returns to a mean and widens with the horizon where it wanders.
/// - **Season**: hour of the day, or hour of the day and day of the week, for hourly series; day of the week for daily ones.
///   It is used where two whole seasons were seen **and** it makes the fit better by the criterion of Akaike **and** the
///   back-tested error smaller.
/// - **Scale**: where all values are above zero and ratios scatter more evenly than differences (by the likelihood of Box
///   and Cox), the logarithm; where some are zero and none is below, the square root. So what is never negative is not
///   forecast to be.
/// - **Ranges**: quantiles of a thousand ways on which the series could go on. Each is drawn from a model by its weight, with
///   the doubt of its mean, trend and deviation, and from errors that were seen, in blocks. The lots have a fixed seed:
///   the same series has the same forecast.
///
/// Of series drawn by lot 81 % and 95 % of what came lay within the ranges (`cargo xtask bench analysis`). They are too
/// narrow where a level wanders, few steps were seen and the horizon is long: of 60 days and 24 days ahead they hold 68 %
/// and 88 %; and somewhat too wide for noise around a level in 30 days. What a range cannot know is what was never seen: a
/// new customer, a new price. A cost that is not known in whole goes on as not known: what is forecast is at least that,
/// and `coverage` says of how many calls. From more than 2,016 steps the last ones
/// are taken, and no more than 8,784 are forecast.
///
/// Sources: R. J. Hyndman, A. B. Koehler, J. K. Ord and R. D. Snyder, "Forecasting with exponential smoothing" (2008),
/// chapters 2 and 6 (the models in innovations form, ranges by simulation). G. E. P. Box and D. R. Cox, "An analysis of
/// transformations", Journal of the Royal Statistical Society B 26 (1964), pp. 211–252. D. Draper, "Assessment and
/// propagation of model uncertainty", Journal of the Royal Statistical Society B 57 (1995), pp. 45–97 (weighed models).
///
/// # Errors
/// Where fewer than 14 steps have a value.
///
/// ```
/// use taximeter_analysis::{Season, Series, Step, forecast};
///
/// // Four weeks of days, ten dollars each, and twice as much on each seventh.
/// let dollars = |day: usize| Some(if day % 7 == 2 { 20.0 } else { 10.0 } + day as f64 % 3.0 / 10.0);
/// let monday = "2026-11-02T00:00:00Z".parse()?;
/// let series = Series::new(monday, Step::Day, (0..28).map(dollars).collect());
/// let week = forecast(&series, 7)?;
/// assert_eq!(week.season, Some(Season::Week));
/// assert!(week.points[2].low_80 > 19.0 && week.points[3].high_80 < 11.0);
/// assert_eq!(week.points[0].at.to_string(), "2026-11-30 00:00:00 UTC");
///
/// let few = Series::new(monday, Step::Day, vec![Some(10.0); 5]);
/// assert_eq!(forecast(&few, 7).unwrap_err().to_string(), "5 steps with a value are too few; 14 are needed");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn forecast(series: &Series, steps: usize) -> Result<Forecast, NotEnough> {
    let series = series.last(MOST);
    if series.present() < NEED {
        return Err(series.not_enough(NEED));
    }
    let steps = steps.min(FURTHEST);
    let scale = scale(series.values());
    let seen: Vec<_> =
        series.values().iter().map(|value| value.map(|value| scale.there(value))).collect();
    let (season, backtest) = backtest::season(&series, &seen, scale, steps);
    let state = State::of(&seen, season, begun(&series));
    let ends = seen.len();
    let middle = state.expected(steps);
    let back = |(step, point): (usize, &f64)| scale.back(point + state.effects.at(ends + step));
    let taken = state.season.map(|season| (season.parameters(), season.period()));
    let ways = paths::paths(&state.fit, steps, taken);
    let paths: Vec<Vec<f64>> =
        ways.iter().map(|way| way.iter().enumerate().map(back).collect()).collect();
    let at = |step: usize| {
        let own = paths.iter().map(|path| path[step]).collect();
        point(after(series.start(), series.step(), ends + step), scale.back(middle[step]), own)
    };
    let points = (0..steps).map(at).collect();
    let with_trend = state.fit.models.iter().filter(|model| model.trend);
    let trend = with_trend.map(|model| model.weight).sum::<f64>().clamp(0.0, 1.0);
    Ok(Forecast {
        step: series.step(),
        points,
        season: state.season,
        trend,
        backtest,
        coverage: series.coverage(),
        paths,
    })
}

/// Whether ratios or differences scatter more evenly: the larger likelihood of the values themselves.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn scale(values: &[Option<f64>]) -> Scale {
    let ratio = Scale::of(values, true);
    if ratio.shape != Shape::Ratio {
        return ratio;
    }
    let plain = Scale::of(values, false);
    let on = |scale: Scale| -> Vec<Option<f64>> {
        values.iter().map(|value| value.map(|value| scale.there(value))).collect()
    };
    let logarithms = on(ratio);
    let (count, sum) =
        (values.iter().flatten().count() as f64, logarithms.iter().flatten().sum::<f64>());
    let half =
        |seen: &[Option<f64>]| 0.5 * count * (Fit::of(seen).squares() + f64::MIN_POSITIVE).ln();
    if half(&on(plain)) < half(&logarithms) + sum { plain } else { ratio }
}

/// What a series is taken to be at one moment: a season and what is left of it.
struct State {
    season: Option<Season>,
    effects: Effects,
    fit: Fit,
}

impl State {
    fn of(seen: &[Option<f64>], season: Option<Season>, begun: usize) -> Self {
        let effects = season.and_then(|season| Effects::of(seen, season, begun));
        let season = season.filter(|_| effects.is_some());
        let effects = effects.unwrap_or_default();
        let fit = Fit::of(&without(seen, &effects));
        Self { season, effects, fit }
    }

    /// What is expected of the next steps, on the scale of the fit.
    fn expected(&self, steps: usize) -> Vec<f64> {
        let mut expected = self.fit.expected(steps);
        let ends = self.fit.values.len();
        for (step, point) in expected.iter_mut().enumerate() {
            *point += self.effects.at(ends + step);
        }
        expected
    }
}

fn point(at: DateTime<Utc>, value: f64, mut own: Vec<f64>) -> ForecastPoint {
    own.sort_unstable_by(f64::total_cmp);
    let [low_95, low_80, high_80, high_95] = ranges(&own, value);
    ForecastPoint { at, value, low_80, high_80, low_95, high_95 }
}

/// The ends of both ranges of values that are sorted; the expected value is never outside.
fn ranges(sorted: &[f64], value: f64) -> [f64; 4] {
    let end = |share| quantile(sorted, share).unwrap_or(value);
    [end(0.025).min(value), end(0.1).min(value), end(0.9).max(value), end(0.975).max(value)]
}
