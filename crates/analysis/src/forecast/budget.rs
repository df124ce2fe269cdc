//! Sums of what is to come: the total until a date, and when a budget is gone.

#![expect(clippy::cast_precision_loss, reason = "steps stay far below 2^53")]

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use taximeter_models::{Coverage, KnownUsd, Money};

use super::{Forecast, ranges};
use crate::series::after;
use crate::statistics::{finite, quantile};

/// What all steps until a moment come to, with the ranges in which that lies. In the unit of the series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Total {
    /// Until when.
    pub until: DateTime<Utc>,
    /// What is expected: the sum is as likely above as below.
    pub value: f64,
    /// With a probability of 80 % it is not below this ...
    pub low_80: f64,
    /// ... and not above this.
    pub high_80: f64,
    /// With a probability of 95 % it is not below this ...
    pub low_95: f64,
    /// ... and not above this.
    pub high_95: f64,
    /// What the forecast knew of: where it is not complete, the true total is higher by what these calls cost or consume.
    pub coverage: Option<Coverage>,
}

/// A moment, or that it is not within the horizon of the forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Then.
    At(DateTime<Utc>),
    /// Never within the horizon.
    Never,
}

/// When a budget is gone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Exhaustion {
    /// When it is to be expected: as likely before as after.
    pub estimate: When,
    /// With a probability of 80 % not before ...
    pub earliest_80: When,
    /// ... and not after.
    pub latest_80: When,
    /// With a probability of 95 % not before ...
    pub earliest_95: When,
    /// ... and not after.
    pub latest_95: When,
    /// How likely it is that it happens within the horizon at all, 0 to 1.
    pub probability: f64,
    /// Where the horizon ends.
    pub horizon: DateTime<Utc>,
    /// What the forecast knew of: where it is not complete, the budget is gone earlier than this.
    pub coverage: Option<Coverage>,
    /// The calls for which the money was spent so far, and those whose cost is not in it: then, too, it is gone earlier.
    pub spent: Coverage,
}

impl Exhaustion {
    /// Whether the cost of every call is known, of those from which it was forecast and of those that are paid. Else the
    /// budget is gone earlier.
    ///
    /// None of it can be told of a series whose values were given without their calls: they are taken at their word.
    pub fn is_complete(&self) -> bool {
        self.spent.is_complete() && self.coverage.is_none_or(Coverage::is_complete)
    }
}

impl Forecast {
    /// When the last step that is forecast is over; none where no step was asked for.
    pub fn horizon(&self) -> Option<DateTime<Utc>> {
        self.points.last().map(|point| after(point.at, self.step, 1))
    }

    /// What the steps from the end of the series until that moment come to; of a step that is not over, its part. None
    /// where that is beyond the horizon.
    ///
    /// The ranges are those of sums: they are narrower than the sum of the ranges where steps are independent, and as wide
    /// where they go together. It makes sense for what adds up: cost, tokens, operations.
    ///
    /// ```
    /// use taximeter_analysis::{Series, Step, forecast};
    ///
    /// let dollars = |day: u32| Some(f64::from(10 + day * 7 % 5));
    /// let first = "2026-11-01T00:00:00Z".parse()?;
    /// let month = forecast(&Series::new(first, Step::Day, (0..21).map(dollars).collect()), 9)?;
    /// let rest = month.total_until("2026-12-01T00:00:00Z".parse()?).unwrap();
    /// assert!(rest.low_95 < 9.0 * 12.0 && 9.0 * 12.0 < rest.high_95);
    /// assert!(rest.high_95 - rest.low_95 < 9.0 * (month.points[0].high_95 - month.points[0].low_95));
    /// assert_eq!(month.total_until("2026-12-02T00:00:00Z".parse()?), None); // nine days end before
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn total_until(&self, until: DateTime<Utc>) -> Option<Total> {
        let begins = self.points.first()?.at;
        if until > self.horizon()? {
            return None;
        }
        let steps = (seconds(until - begins) / self.step.seconds() as f64).max(0.0);
        let mut sums: Vec<f64> = self.paths.iter().map(|path| sum(path, steps)).collect();
        sums.sort_unstable_by(f64::total_cmp);
        let value = quantile(&sums, 0.5)?;
        let [low_95, low_80, high_80, high_95] = ranges(&sums, value);
        let coverage = self.coverage;
        Some(Total { until, value, low_80, high_80, low_95, high_95, coverage })
    }

    /// When a budget in US dollars is gone of which so much was spent by the end of the series, which must be one of cost.
    /// None where no step was asked for.
    ///
    /// What was spent is a sum as [`KnownUsd`] with what it leaves out, or a plain amount that is known to be whole. What is
    /// not known on either side makes the budget last shorter than is said, and stands in the answer.
    ///
    /// ```
    /// use taximeter_analysis::{Series, Step, When, forecast};
    /// use taximeter_models::{Coverage, KnownUsd, Money};
    ///
    /// let dollars = |day: u32| Some(f64::from(10 + day * 7 % 5)); // twelve dollars a day
    /// let first = "2026-11-01T00:00:00Z".parse()?;
    /// let month = forecast(&Series::new(first, Step::Day, (0..20).map(dollars).collect()), 10)?;
    ///
    /// let spent: Money = "240".parse()?;
    /// let gone = month.exhaustion(spent, "300".parse()?).unwrap();
    /// let When::At(day) = gone.estimate else { panic!("sixty dollars are gone in five days") };
    /// assert_eq!(day.format("%F").to_string(), "2026-11-25");
    /// assert!(gone.earliest_95 <= gone.earliest_80 && gone.earliest_80 < gone.latest_80);
    ///
    /// let enough = month.exhaustion(spent, "1000".parse()?).unwrap();
    /// assert_eq!((enough.estimate, enough.probability), (When::Never, 0.0));
    ///
    /// // Of what was spent, the price of some calls is not known: it is gone on that day at the latest.
    /// let coverage = Coverage { calls: 900, unpriced_calls: 45, ..Coverage::default() };
    /// let earlier = month.exhaustion(KnownUsd { usd: spent, coverage }, "300".parse()?).unwrap();
    /// assert!(gone.is_complete() && !earlier.is_complete());
    /// assert_eq!(earlier.spent.to_string(), "without 45 of 900 calls (45 unpriced)");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn exhaustion(&self, spent: impl Into<KnownUsd>, budget: Money) -> Option<Exhaustion> {
        let (begins, horizon) = (self.points.first()?.at, self.horizon()?);
        let spent: KnownUsd = spent.into();
        let left = (budget - spent.usd).to_f64_lossy();
        let mut steps: Vec<Option<f64>> =
            self.paths.iter().map(|path| steps_until(path, left)).collect();
        // Whoever never gets there comes last.
        steps.sort_unstable_by(|one, other| {
            one.unwrap_or(f64::INFINITY).total_cmp(&other.unwrap_or(f64::INFINITY))
        });
        let length = self.step.seconds() as f64;
        let when = |share: f64| {
            let place = place(share, steps.len());
            let moment = |steps: f64| After(begins).seconds(steps * length).min(horizon);
            steps.get(place).copied().flatten().map_or(When::Never, |steps| When::At(moment(steps)))
        };
        Some(Exhaustion {
            estimate: when(0.5),
            earliest_80: when(0.1),
            latest_80: when(0.9),
            earliest_95: when(0.025),
            latest_95: when(0.975),
            probability: steps.iter().flatten().count() as f64 / steps.len().max(1) as f64,
            horizon,
            coverage: self.coverage,
            spent: spent.coverage,
        })
    }
}

/// The sum of so many steps, of the last one its part.
fn sum(path: &[f64], steps: f64) -> f64 {
    let mut sum = 0.0;
    for (at, value) in path.iter().enumerate() {
        let part = (steps - at as f64).clamp(0.0, 1.0);
        sum = finite(sum + part * value);
    }
    sum
}

/// After how many steps the sum reaches an amount, the last of them in part; none where it does not.
fn steps_until(path: &[f64], amount: f64) -> Option<f64> {
    if amount <= 0.0 {
        return Some(0.0);
    }
    let mut sum = 0.0;
    for (at, value) in path.iter().enumerate() {
        let next = finite(sum + value);
        if next >= amount {
            return Some(at as f64 + ((amount - sum) / (next - sum)).clamp(0.0, 1.0));
        }
        sum = next;
    }
    None
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a thousand ways"
)]
fn place(share: f64, count: usize) -> usize {
    (share * count as f64).floor() as usize
}

fn seconds(span: TimeDelta) -> f64 {
    span.num_seconds() as f64 + f64::from(span.subsec_nanos()) / 1e9
}

/// A moment to count from.
struct After(DateTime<Utc>);

impl After {
    /// To the whole second: nothing finer is meant by a forecast.
    #[expect(clippy::cast_possible_truncation, reason = "a year of seconds")]
    fn seconds(self, seconds: f64) -> DateTime<Utc> {
        let later = TimeDelta::try_seconds(seconds as i64);
        later.and_then(|later| self.0.checked_add_signed(later)).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}
