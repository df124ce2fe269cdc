//! Ways on which a series could go on, drawn from the models with their doubts; the same for the same series.

#![expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]

use super::model::{DAMPING, Fit, Model};

/// So many ways are drawn.
pub(crate) const PATHS: usize = 1_000;

/// Numbers by lot from a fixed seed: `SplitMix64` (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", OOPSLA 2014).
#[derive(Debug)]
struct Lot(u64);

impl Lot {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Above 0 and below 1.
    fn part(&mut self) -> f64 {
        ((self.next() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
    }

    fn below(&mut self, count: usize) -> usize {
        let count = u64::try_from(count.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % count).unwrap_or_default()
    }

    /// Standard normal, by Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.part().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.part()).cos()
    }
}

/// Ways of so many steps on the scale of the fit. Each takes a model by its weight, a mean and a trend by their
/// covariance, a deviation by that of so few errors, and then errors that were seen, in blocks, so that what is left of
/// their dependence stays.
///
/// `parameters` have been fitted before by a season; its doubt widens the errors.
pub(crate) fn paths(fit: &Fit, steps: usize, season: Option<(usize, usize)>) -> Vec<Vec<f64>> {
    let mut lot = Lot(7);
    let mut ways = Vec::with_capacity(PATHS);
    let mut below = 0.0;
    for model in &fit.models {
        below += model.weight;
        // The ways are shared out evenly, not by lot: that is one source of noise less.
        let until = (below * PATHS as f64).round();
        let source = Source::of(model, fit, season);
        while (ways.len() as f64) < until && ways.len() < PATHS {
            ways.push(source.draw(fit, steps, &mut lot));
        }
    }
    ways
}

/// What the ways of one model are drawn from.
struct Source<'a> {
    model: &'a Model,
    /// The errors, centred and widened by what fitting has taken from them.
    errors: Vec<f64>,
    deviation: f64,
    freedom: f64,
    block: usize,
    /// The width of the kernel that fills the gaps between the errors.
    kernel: f64,
}

impl<'a> Source<'a> {
    fn of(model: &'a Model, fit: &Fit, season: Option<(usize, usize)>) -> Self {
        let mut errors = model.errors(&fit.values);
        let count = fit.count.max(1.0);
        let mean = errors.iter().sum::<f64>() / count;
        let (parameters, period) = season.unwrap_or_default();
        let freedom = (count - 2.0 - f64::from(u8::from(model.trend)) - parameters as f64).max(1.0);
        let widened = (count / freedom * (1.0 + period.min(24) as f64 / count)).sqrt();
        for error in &mut errors {
            *error = (*error - mean) * widened;
        }
        let deviation = (model.squares / freedom).sqrt();
        Self {
            model,
            deviation,
            freedom,
            block: (1..=100).find(|block| 8 * block * block * block >= errors.len()).unwrap_or(100),
            kernel: 0.5 * deviation * count.powf(-0.2),
            errors,
        }
    }

    fn draw(&self, fit: &Fit, steps: usize, lot: &mut Lot) -> Vec<f64> {
        let wider = self.deviation_by_lot(lot);
        let (first, second) = (lot.normal(), lot.normal());
        let [mean, trend] = self.model.coefficients;
        let [root, cross, own] = self.model.root.map(|entry| entry * self.deviation * wider);
        let coefficients = [mean + root * first + cross * second, trend + own * second];
        let mut level = self.model.level(coefficients);
        let damping = DAMPING + (1.0 - DAMPING) * (2.0 * lot.part() - 1.0);
        let (mut line, mut rise, mut place) = (1.0, 1.0 / fit.values.len() as f64, 0);
        let next = |step: usize| {
            place = if step.is_multiple_of(self.block) {
                lot.below(self.errors.len())
            } else {
                place + 1
            };
            let seen =
                self.errors.get(place % self.errors.len().max(1)).copied().unwrap_or_default();
            let error = (seen + self.kernel * lot.normal()) * wider;
            rise *= damping;
            line += rise;
            level *= self.model.phi;
            let value = fit.center + coefficients[0] + coefficients[1] * line + level + error;
            level += self.model.alpha * error;
            value
        };
        (0..steps).map(next).collect()
    }

    /// By how much the true deviation may be larger than the one seen: the root of freedom / χ², by Wilson and Hilferty.
    fn deviation_by_lot(&self, lot: &mut Lot) -> f64 {
        let part = 2.0 / (9.0 * self.freedom);
        let ratio = (1.0 - part + lot.normal() * part.sqrt()).powi(3);
        ratio.max(0.05).sqrt().recip().min(3.0)
    }
}
