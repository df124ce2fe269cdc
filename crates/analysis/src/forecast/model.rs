//! A level that may wander, may return to its mean and may have a trend, fitted for every pair of a grid at once.
//!
//! The value is mean + trend + x, where x is forecast by φ times its level and the level takes the part α of each error:
//! x̂ = φ l, e = x − x̂, l ← φ l + α e. With φ = 1 it is exponential smoothing, with α = φ an autoregression, with
//! φ = 0 noise around a mean. None of them is chosen: each is weighed by how well it fits.

#![expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]

/// By how much a trend is less with each step that is forecast.
pub(crate) const DAMPING: f64 = 0.99;

/// One pair of the grid, with and without a trend.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) phi: f64,
    pub(crate) alpha: f64,
    pub(crate) trend: bool,
    /// The mean (or first level), and the trend over the whole series.
    pub(crate) coefficients: [f64; 2],
    /// The root of their covariance, in units of the deviation of an error.
    pub(crate) root: [f64; 3],
    /// The level at the end: of the values, of the ones, of the line.
    pub(crate) levels: [f64; 3],
    /// The sum of the squared errors.
    pub(crate) squares: f64,
    /// The part of the belief that is in it; together they are 1.
    pub(crate) weight: f64,
}

/// All models of the grid that are worth a thought, the heaviest first.
#[derive(Debug, Clone)]
pub(crate) struct Fit {
    pub(crate) models: Vec<Model>,
    /// The values that went in, less their mean.
    pub(crate) values: Vec<Option<f64>>,
    /// Their mean.
    pub(crate) center: f64,
    /// How many there are.
    pub(crate) count: f64,
}

/// A level that wanders is taken to be so many times as likely beforehand: to miss it makes ranges far too narrow.
const WANDERING: f64 = 4.0;
/// Whoever is so much less likely than the best changes nothing.
const LEAST_WEIGHT: f64 = 1e-3;

impl Fit {
    pub(crate) fn of(values: &[Option<f64>]) -> Self {
        let count = values.iter().flatten().count() as f64;
        let center = values.iter().flatten().sum::<f64>() / count.max(1.0);
        let largest = values.iter().flatten().fold(0.0_f64, |most, value| most.max(value.abs()));
        let values: Vec<_> = values.iter().map(|value| value.map(|value| value - center)).collect();
        // What differs by rounding alone is equal.
        let floor = count * (1e-13 * largest).powi(2) + f64::MIN_POSITIVE;
        let mut models: Vec<Model> =
            grid().flat_map(|(phi, alpha)| pair(&values, phi, alpha, count, floor)).collect();
        let best = models.iter().map(|model| model.weight).fold(f64::MIN, f64::max);
        for model in &mut models {
            model.weight = (model.weight - best).exp();
        }
        models.retain(|model| model.weight >= LEAST_WEIGHT);
        models.sort_by(|left, right| right.weight.total_cmp(&left.weight));
        let sum: f64 = models.iter().map(|model| model.weight).sum();
        for model in &mut models {
            model.weight /= sum;
        }
        Self { models, values, center, count }
    }

    /// The mean of what the models expect in so many steps, counted from 1.
    pub(crate) fn expected(&self, steps: usize) -> Vec<f64> {
        let mut sums = vec![self.center; steps];
        for model in &self.models {
            let [mean, trend] = model.coefficients;
            let mut level = model.level(model.coefficients);
            let mut line = 1.0;
            let mut rise = 1.0 / self.values.len() as f64;
            for sum in &mut sums {
                rise *= DAMPING;
                line += rise;
                level *= model.phi;
                *sum += model.weight * (mean + trend * line + level);
            }
        }
        sums
    }

    /// The sum of the squared errors of the best model.
    pub(crate) fn squares(&self) -> f64 {
        self.models.iter().map(|model| model.squares).fold(f64::INFINITY, f64::min)
    }
}

impl Model {
    /// The level at the end, with that mean and that trend.
    pub(crate) fn level(&self, coefficients: [f64; 2]) -> f64 {
        self.levels[0] - coefficients[0] * self.levels[1] - coefficients[1] * self.levels[2]
    }

    /// What the model could not foresee, in the order of time.
    pub(crate) fn errors(&self, values: &[Option<f64>]) -> Vec<f64> {
        let n = values.len() as f64;
        let (mut level, mut errors) = (0.0, Vec::with_capacity(values.len()));
        for (at, value) in values.iter().enumerate() {
            level *= self.phi;
            if let Some(value) = value {
                let line = (at + 1) as f64 / n;
                let error = value - self.coefficients[0] - self.coefficients[1] * line - level;
                level += self.alpha * error;
                errors.push(error);
            }
        }
        errors
    }
}

/// The pairs of φ and α.
fn grid() -> impl Iterator<Item = (f64, f64)> {
    let noise = [(0.0, 0.0), (-0.4, -0.4), (-0.2, -0.2)].into_iter();
    let returning = [0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.96].into_iter().flat_map(|phi| {
        [0.25, 0.5, 0.75, 1.0, 1.25].into_iter().map(move |part| (phi, phi * part))
    });
    let wandering = [0.01, 0.03, 0.06, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0, 1.2];
    noise.chain(returning).chain(wandering.into_iter().map(|alpha| (1.0, alpha)))
}

/// The sums of the products of the errors of values (0), ones (1) and line (2).
#[derive(Default)]
struct Products {
    of: [[f64; 3]; 3],
    levels: [f64; 3],
}

/// The same filter over the values, over ones and over a line: what it leaves of them is independent, so that the mean and
/// the trend are those of ordinary least squares.
fn products(values: &[Option<f64>], phi: f64, alpha: f64) -> Products {
    let n = values.len() as f64;
    let mut sums = Products::default();
    for (at, value) in values.iter().enumerate() {
        sums.levels = sums.levels.map(|level| level * phi);
        let Some(value) = value else { continue };
        let seen = [*value, 1.0, (at + 1) as f64 / n];
        let mut errors = [0.0; 3];
        for column in 0..3 {
            errors[column] = seen[column] - sums.levels[column];
            sums.levels[column] += alpha * errors[column];
        }
        for (row, sums) in sums.of.iter_mut().enumerate() {
            for (sum, error) in sums.iter_mut().zip(errors) {
                *sum += errors[row] * error;
            }
        }
    }
    sums
}

/// The model of a pair without and with a trend. As weight stands the logarithm of its likelihood: by the criterion of
/// Schwarz for the trend, and restricted (integrated over the mean) for the pair, which would else be too tame.
fn pair(values: &[Option<f64>], phi: f64, alpha: f64, count: f64, floor: f64) -> Vec<Model> {
    let sums = products(values, phi, alpha);
    let [[yy, y1, yt], [_, ones, ones_line], [_, _, lines]] = sums.of;
    let ones = ones.max(f64::MIN_POSITIVE);
    let mean = y1 / ones;
    let prior = if phi >= 1.0 { WANDERING.ln() } else { 0.0 };
    let restricted = 0.5 * (ones / count.max(1.0)).ln() - prior;
    let likelihood = |squares: f64, parameters: f64| {
        -0.5 * count * (squares + floor).ln() - 0.5 * parameters * count.max(2.0).ln() - restricted
    };
    let squares = (yy - y1 * mean).max(0.0);
    let level = Model {
        phi,
        alpha,
        trend: false,
        coefficients: [mean, 0.0],
        root: [ones.sqrt().recip(), 0.0, 0.0],
        levels: sums.levels,
        squares,
        weight: likelihood(squares, 1.0),
    };
    let own = lines - ones_line * ones_line / ones;
    if own <= 1e-9 * lines {
        return vec![level];
    }
    let trend = (yt - y1 * ones_line / ones) / own;
    let with_trend = (squares - trend * trend * own).max(0.0);
    let deviation = own.sqrt().recip();
    let sloping = Model {
        trend: true,
        coefficients: [mean - trend * ones_line / ones, trend],
        root: [ones.sqrt().recip(), -deviation * ones_line / ones, deviation],
        squares: with_trend,
        weight: likelihood(with_trend, 2.0),
        ..level.clone()
    };
    vec![level, sloping]
}
