//! What an hour of the day or a day of the week adds, by the classical decomposition.

#![expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]

use chrono::Timelike;
use serde::Serialize;

use crate::{Series, Step};

/// Which season a series has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Season {
    /// By the hour of the day.
    Day,
    /// By the hour of the day and by the day of the week.
    DayAndWeek,
    /// By the day of the week.
    Week,
}

impl Season {
    /// The seasons that a series with such steps may have, the simplest first.
    pub(crate) const fn of_step(step: Step) -> &'static [Self] {
        match step {
            Step::Hour => &[Self::Day, Self::DayAndWeek],
            Step::Day => &[Self::Week],
        }
    }

    /// After so many steps it begins anew.
    pub(crate) const fn period(self) -> usize {
        match self {
            Self::Day => 24,
            Self::DayAndWeek => 168,
            Self::Week => 7,
        }
    }

    /// So many numbers describe it.
    pub(crate) const fn parameters(self) -> usize {
        match self {
            Self::Day => 23,
            Self::DayAndWeek => 29,
            Self::Week => 6,
        }
    }
}

/// What each place of a season adds to the level.
#[derive(Debug, Clone, Default)]
pub(crate) struct Effects {
    /// By the hour of the day or by the day of the week; empty without a season.
    short: Vec<f64>,
    /// By the day of the week, of an hourly series; empty where there is no such season.
    days: Vec<f64>,
    /// How many hours of its day were over when the series began.
    begun: usize,
}

impl Effects {
    /// The effects in these values; none where not two whole seasons were seen.
    pub(crate) fn of(values: &[Option<f64>], season: Season, begun: usize) -> Option<Self> {
        if values.len() < 2 * season.period() {
            return None;
        }
        let short = if season == Season::Week { 7 } else { 24 };
        let mut effects =
            Self { short: by_place(values, short, |at| at % short), days: Vec::new(), begun };
        if season == Season::DayAndWeek {
            let rest: Vec<_> = without(values, &effects);
            effects.days = by_place(&rest, 168, |at| (at + begun) / 24 % 7);
        }
        Some(effects)
    }

    pub(crate) fn at(&self, place: usize) -> f64 {
        let short = self.short.get(place % self.short.len().max(1)).copied().unwrap_or_default();
        let day = self.days.get((place + self.begun) / 24 % 7).copied().unwrap_or_default();
        short + day
    }
}

/// How many hours of its day were over when the series began.
pub(crate) fn begun(series: &Series) -> usize {
    usize::try_from(series.start().hour()).unwrap_or_default()
}

pub(crate) fn without(values: &[Option<f64>], effects: &Effects) -> Vec<Option<f64>> {
    let rest = |(at, value): (usize, &Option<f64>)| value.map(|value| value - effects.at(at));
    values.iter().enumerate().map(rest).collect()
}

/// The mean distance from the moving mean over a whole period, by place; together they add nothing.
fn by_place(values: &[Option<f64>], period: usize, place: impl Fn(usize) -> usize) -> Vec<f64> {
    let places = period.min(24);
    let places = if period == 168 { 7 } else { places };
    let mut sums = vec![(0.0, 0.0); places];
    for (at, mean) in moving_means(values, period) {
        if let Some(value) = values[at] {
            let sum = &mut sums[place(at)];
            *sum = (sum.0 + value - mean, sum.1 + 1.0);
        }
    }
    let effects: Vec<f64> = sums.iter().map(|(sum, count)| sum / f64::max(*count, 1.0)).collect();
    let mean = effects.iter().sum::<f64>() / places as f64;
    effects.into_iter().map(|effect| effect - mean).collect()
}

/// The mean over a whole period around each place that has half of one at either side. Of an even period the ends count
/// half each, so that every place of the season weighs the same.
fn moving_means(values: &[Option<f64>], period: usize) -> Vec<(usize, f64)> {
    let half = period / 2;
    let end_weight = if period.is_multiple_of(2) { 0.5 } else { 1.0 };
    let mean = |center: usize| {
        let (mut sum, mut weights) = (0.0, 0.0);
        for (step, value) in values[center - half..=center + half].iter().enumerate() {
            if let Some(value) = value {
                let weight = if step == 0 || step == 2 * half { end_weight } else { 1.0 };
                sum += weight * value;
                weights += weight;
            }
        }
        (weights > 0.0).then(|| (center, sum / weights))
    };
    (half..values.len().saturating_sub(half)).filter_map(mean).collect()
}
