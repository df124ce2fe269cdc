//! What is out of the ordinary: steps of a series, single operations, and error rates that have jumped.

mod durations;
mod errors;
mod residuals;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use taximeter_models::Coverage;
use thiserror::Error;

pub use durations::{SlowOperation, slow_operations};
pub use errors::{Callee, ErrorJump, error_jumps};

use crate::statistics::tails::{Tails, normal_quantile, upper_tail};
use crate::thresholds::is_limit;
use crate::{NotEnough, Season, Series};
use residuals::Residuals;

/// When something counts as out of the ordinary.
///
/// ```
/// use taximeter_analysis::AnomalyConfig;
///
/// let config = AnomalyConfig::default();
/// assert_eq!((config.limit, config.alpha, config.check()), (3.5, 0.05, Ok(())));
/// let wrong = AnomalyConfig { alpha: 5.0, ..config }; // percent were meant
/// assert!(wrong.check().unwrap_err().to_string().contains("0.05 for 5 %"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnomalyConfig {
    /// The modified z-score that must be exceeded. What is not a number is exceeded by nothing. Default: 3.5.
    pub limit: f64,
    /// The probability of any false alarm in one answer: the limit rises with the number of values that are looked at.
    /// What is not a number alarms never. Default: 0.05.
    pub alpha: f64,
}

/// A setting that cannot be.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum AnomalyConfigError {
    /// The limit is no distance.
    #[error(
        "anomaly setting limit: {0} is not a distance; a finite number, 0 or more, is expected"
    )]
    Limit(f64),
    /// The probability of a false alarm is none.
    #[error(
        "anomaly setting alpha: {0} is not a probability; a number from 0 to 1 is expected (0.05 for 5 %)"
    )]
    Alpha(f64),
}

impl AnomalyConfig {
    /// Looks whether both settings can be meant.
    ///
    /// # Errors
    /// Names the first setting that is out of its range.
    pub fn check(&self) -> Result<(), AnomalyConfigError> {
        if !is_limit(self.limit) {
            return Err(AnomalyConfigError::Limit(self.limit));
        }
        let is_probability = (0.0..=1.0).contains(&self.alpha);
        is_probability.then_some(()).ok_or(AnomalyConfigError::Alpha(self.alpha))
    }
}

impl Default for AnomalyConfig {
    fn default() -> Self {
        Self { limit: 3.5, alpha: 0.05 }
    }
}

/// A step of a series whose value is out of the ordinary. Values are in the unit of the series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Anomaly {
    /// When the step begins.
    pub at: DateTime<Utc>,
    /// What was seen.
    pub value: f64,
    /// What was to be expected of the level at that time and of the season.
    pub expected: f64,
    /// Values from this ...
    pub low: f64,
    /// ... to this are none to wonder at.
    pub high: f64,
    /// The distance from what is expected in robust deviations, on the scale of the series.
    pub modified_z: f64,
    /// How likely one so far off is by chance in **all** of the series.
    pub p_value: f64,
    /// The calls of the step, and those that its value leaves out: then it is more than it seems. None where the quantity is
    /// none of calls.
    pub coverage: Option<Coverage>,
}

/// The anomalies of a series, and what they were measured by.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Anomalies {
    /// The anomalies in the order of time.
    pub found: Vec<Anomaly>,
    /// The steps with a value that were looked at.
    pub of: usize,
    /// The season that was taken out; none where none was shown to help.
    pub season: Option<Season>,
    /// The calls of all steps that were looked at, and those whose cost or tokens are not known: where it is not complete,
    /// what is expected is too low. None where the quantity is none of calls.
    pub coverage: Option<Coverage>,
}

/// The fewest values in which something can be out of the ordinary.
const NEED: usize = 20;
/// From longer series the last so many steps are looked at: twelve weeks of hours.
const MOST: usize = 2_016;

/// The steps of a series whose value is out of the ordinary for their place in the season and the level around them.
///
/// The level is the median of two days of hours, or four weeks of days; the season is the median at each place, where three
/// seasons were seen and it helps by the criterion of Akaike. What is left, on the scale of logarithms where all values
/// are above zero and of roots where some are zero, is measured by its own median distance. A step counts only where
/// **both** hold:
/// - its modified z-score is above `limit` (Iglewicz and Hoaglin);
/// - one so far off comes less often than `alpha` by chance among **all** steps (Bonferroni), with tails as heavy as those
///   of the series itself (g-and-h) and the doubt about them counted against the alarm.
///
/// A step whose cost is not known in whole can be out of the ordinary only by being too much: it costs at least that.
/// From more than 2,016 steps the last ones are looked at. A level that has changed for good is none of these: see
/// [`trend`](crate::trend()).
///
/// Sources: B. Iglewicz and D. C. Hoaglin, "How to detect and handle outliers" (1993). D. C. Hoaglin, "Summarizing shape
/// numerically: the g-and-h distributions", in "Exploring data tables, trends, and shapes" (1985), chapter 11.
///
/// # Errors
/// Where fewer than 20 steps have a value.
///
/// ```
/// use taximeter_analysis::{AnomalyConfig, Series, Step, anomalies};
///
/// let mut dollars: Vec<_> = (0..60).map(|day: u32| Some(f64::from(20 + day * 7 % 5))).collect();
/// dollars[40] = Some(400.0);
/// let first = "2026-09-01T00:00:00Z".parse()?;
/// let found = anomalies(&Series::new(first, Step::Day, dollars.clone()), &AnomalyConfig::default())?;
/// assert_eq!(found.found.len(), 1);
/// assert_eq!(found.found[0].at.to_string(), "2026-10-11 00:00:00 UTC");
/// assert!(found.found[0].expected < 25.0 && found.found[0].high < 400.0);
///
/// let few = Series::new(first, Step::Day, dollars[..10].to_vec());
/// assert!(anomalies(&few, &AnomalyConfig::default()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn anomalies(series: &Series, config: &AnomalyConfig) -> Result<Anomalies, NotEnough> {
    let series = series.last(MOST);
    let too_few = series.not_enough(NEED);
    if series.present() < NEED {
        return Err(too_few);
    }
    let residuals = Residuals::of(&series);
    let tails = Tails::of(residuals.left.iter().flatten().copied().collect()).ok_or(too_few)?;
    let judge = Judge::new(tails, config, series.present(), 2.0);
    let mut found = Vec::new();
    for (at, value) in series.values().iter().enumerate() {
        let (Some(value), Some(left)) = (*value, residuals.left[at]) else { continue };
        let coverage = series.coverage_at(at);
        // Of what is not known in whole it cannot be said that it is too little.
        if left < tails.median && coverage.is_some_and(|calls| !calls.is_complete()) {
            continue;
        }
        if let Some(p_value) = judge.alarm(left) {
            let place = |left: f64| residuals.scale.back(residuals.base[at] + left);
            let (low, high) = judge.range();
            found.push(Anomaly {
                at: series.at(at),
                value,
                expected: place(tails.median),
                low: place(low),
                high: place(high),
                modified_z: tails.modified_z(left),
                p_value,
                coverage,
            });
        }
    }
    let coverage = series.coverage();
    Ok(Anomalies { found, of: series.present(), season: residuals.season, coverage })
}

/// Who decides what is out of the ordinary among so many.
struct Judge<'a> {
    tails: Tails,
    config: &'a AnomalyConfig,
    /// How many tests are made: one for each value and side.
    tests: f64,
}

impl<'a> Judge<'a> {
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    fn new(tails: Tails, config: &'a AnomalyConfig, count: usize, sides: f64) -> Self {
        Self { tails, config, tests: sides * count as f64 }
    }

    /// The p-value of a value that is out of the ordinary.
    fn alarm(&self, value: f64) -> Option<f64> {
        if self.tails.modified_z(value).abs() > self.config.limit {
            let p_value = (self.tests * upper_tail(self.tails.normal_score(value).abs())).min(1.0);
            return (p_value < self.config.alpha).then_some(p_value);
        }
        None
    }

    /// From where to where nothing is out of the ordinary.
    fn range(&self) -> (f64, f64) {
        let share = (self.config.alpha / self.tests).clamp(f64::MIN_POSITIVE, 0.5);
        let z = normal_quantile(share);
        let far = self.config.limit.max(0.0) * self.tails.deviation;
        let (low, high) = (self.tails.value(-z), self.tails.value(z));
        (low.min(self.tails.median - far), high.max(self.tails.median + far))
    }
}
