//! What is left of a series without its level and its season, by medians: what is far off changes neither.

#![expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]

use crate::forecast::scale::Scale;
use crate::forecast::season::begun;
use crate::statistics::median;
use crate::{Season, Series, Step};

/// A series taken apart.
pub(super) struct Residuals {
    pub(super) scale: Scale,
    pub(super) season: Option<Season>,
    /// Level and season of each step, on the scale.
    pub(super) base: Vec<f64>,
    /// What is left of each value.
    pub(super) left: Vec<Option<f64>>,
}

impl Residuals {
    pub(super) fn of(series: &Series) -> Self {
        let scale = Scale::of(series.values(), true);
        let seen: Vec<_> =
            series.values().iter().map(|value| value.map(|value| scale.there(value))).collect();
        let mut best = Self::with(&seen, scale, series, None);
        for season in Season::of_step(series.step()) {
            if seen.len() >= 3 * season.period() {
                let other = Self::with(&seen, scale, series, Some(*season));
                if other.criterion() < best.criterion() {
                    best = other;
                }
            }
        }
        best
    }

    fn with(seen: &[Option<f64>], scale: Scale, series: &Series, season: Option<Season>) -> Self {
        let mut effects = vec![0.0; seen.len()];
        if let Some(season) = season {
            let short = if season == Season::Week { 7 } else { 24 };
            add_effects(seen, &mut effects, short, series.step(), |at| at % short);
            if season == Season::DayAndWeek {
                let begun = begun(series);
                add_effects(seen, &mut effects, 7, series.step(), |at| (at + begun) / 24 % 7);
            }
        }
        let levels = levels(&less(seen, &effects), series.step());
        let base: Vec<f64> = levels.iter().zip(&effects).map(|(level, own)| level + own).collect();
        let largest = seen.iter().flatten().fold(f64::MIN_POSITIVE, |most, x| most.max(x.abs()));
        // What differs by rounding alone is equal.
        let unit = (largest * 1e-11).max(f64::MIN_POSITIVE);
        let rounded = |left: f64| (left / unit).round() * unit;
        let left = less(seen, &base).into_iter().map(|left| left.map(rounded)).collect();
        Self { scale, season, base, left }
    }

    /// The criterion of Akaike for errors by the law of Laplace, whose likelihood is one of absolute errors.
    fn criterion(&self) -> f64 {
        let count = self.left.iter().flatten().count() as f64;
        let sum: f64 = self.left.iter().flatten().map(|left| left.abs()).sum();
        let parameters = self.season.map_or(0, Season::parameters) as f64;
        2.0 * count * (sum + f64::MIN_POSITIVE).ln() + 2.0 * parameters
    }
}

fn less(values: &[Option<f64>], base: &[f64]) -> Vec<Option<f64>> {
    values.iter().zip(base).map(|(value, base)| value.map(|value| value - base)).collect()
}

/// Adds to the effects the median at each place of what they and the level leave.
fn add_effects(
    seen: &[Option<f64>],
    effects: &mut [f64],
    places: usize,
    step: Step,
    place: impl Fn(usize) -> usize,
) {
    let rest = less(seen, effects);
    let rest = less(&rest, &levels(&rest, step));
    let mut by_place = vec![Vec::new(); places];
    for (at, left) in rest.iter().enumerate() {
        by_place[place(at)].extend(left);
    }
    let medians: Vec<f64> =
        by_place.into_iter().map(|own| median(own).unwrap_or_default()).collect();
    let mean = medians.iter().sum::<f64>() / places as f64;
    for (at, effect) in effects.iter_mut().enumerate() {
        *effect += medians[place(at)] - mean;
    }
}

/// The median of the steps around each one: two days of hours or four weeks of days, whole also at the ends.
fn levels(values: &[Option<f64>], step: Step) -> Vec<f64> {
    let half = match step {
        Step::Hour => 24,
        Step::Day => 14,
    };
    let all = median(values.iter().flatten().copied()).unwrap_or_default();
    let width = (2 * half + 1).min(values.len());
    let last = values.len() - width;
    let mut known: Option<(usize, f64)> = None;
    let level = |at: usize| {
        let from = at.saturating_sub(half).min(last);
        if let Some((_, level)) = known.filter(|(place, _)| *place == from) {
            return level;
        }
        let around: Vec<f64> = values[from..from + width].iter().flatten().copied().collect();
        let level = if around.len() < 5 { all } else { median(around).unwrap_or(all) };
        known = Some((from, level));
        level
    };
    (0..values.len()).map(level).collect()
}
