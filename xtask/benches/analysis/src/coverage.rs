//! How often what comes lies within the ranges of a forecast, on series drawn by lot.

use chrono::{DateTime, Utc};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, Normal};
use taximeter_analysis::{Series, Step, forecast};

/// The steps to come that are looked at.
const HORIZONS: [usize; 3] = [1, 7, 24];
/// The coefficient of variation of the noise.
const VARIATION: f64 = 0.5;

/// What a series is made of.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    step: Step,
    /// Steps that are seen.
    seen: usize,
    draw: fn(usize, &mut StdRng) -> Vec<f64>,
}

const KINDS: [Kind; 9] = [
    Kind { name: "level, log-normal noise, 30 days", step: Step::Day, seen: 30, draw: level },
    Kind { name: "level, log-normal noise, 200 hours", step: Step::Hour, seen: 200, draw: level },
    Kind { name: "level and trend, 60 days", step: Step::Day, seen: 60, draw: trend },
    Kind { name: "season of the day, 336 hours", step: Step::Hour, seen: 336, draw: day },
    Kind { name: "season of the week, 84 days", step: Step::Day, seen: 84, draw: week },
    Kind { name: "AR(0.5), 60 days", step: Step::Day, seen: 60, draw: autoregressive },
    Kind { name: "AR(0.5), 200 hours", step: Step::Hour, seen: 200, draw: autoregressive },
    Kind { name: "local level, 60 days", step: Step::Day, seen: 60, draw: local_level },
    Kind { name: "local level, 200 hours", step: Step::Hour, seen: 200, draw: local_level },
];

fn sigma() -> f64 {
    (1.0 + VARIATION * VARIATION).ln().sqrt()
}

fn noise(sigma: f64, rng: &mut StdRng) -> f64 {
    Normal::new(0.0, sigma).expect("a spread").sample(rng)
}

fn level(count: usize, rng: &mut StdRng) -> Vec<f64> {
    (0..count).map(|_| noise(sigma(), rng).exp()).collect()
}

/// Up to three times or down to a third of the level over 60 steps, straight, with normal noise of 10 % of the level.
fn trend(count: usize, rng: &mut StdRng) -> Vec<f64> {
    let slope = rng.random_range(-0.01..0.033);
    (0..count).map(|at| (1.0 + slope * at as f64).max(0.0) + noise(0.1, rng)).collect()
}

/// Half as much again by day, half as much by night.
fn day(count: usize, rng: &mut StdRng) -> Vec<f64> {
    let start: f64 = rng.random();
    let wave = |at: usize| ((at as f64 / 24.0 + start) * std::f64::consts::TAU).sin();
    (0..count).map(|at| (1.0 + 0.5 * wave(at)) * noise(0.3, rng).exp()).collect()
}

/// Two days of seven with a third.
fn week(count: usize, rng: &mut StdRng) -> Vec<f64> {
    let start = rng.random_range(0..7_usize);
    let level = |at: usize| if (at + start) % 7 < 2 { 0.33 } else { 1.0 };
    (0..count).map(|at| level(at) * noise(0.3, rng).exp()).collect()
}

fn autoregressive(count: usize, rng: &mut StdRng) -> Vec<f64> {
    let mut last = noise(sigma(), rng);
    let fresh = (1.0 - 0.25_f64).sqrt();
    let next = |_| {
        last = 0.5 * last + fresh * noise(sigma(), rng);
        last.exp()
    };
    (0..count).map(next).collect()
}

/// A level that takes a step of 10 % each time, with noise of 20 % on top.
fn local_level(count: usize, rng: &mut StdRng) -> Vec<f64> {
    let mut level = 0.0;
    let next = |_| {
        level += noise(0.1, rng);
        (level + noise(0.2, rng)).exp()
    };
    (0..count).map(next).collect()
}

/// How many values lay within their range.
#[derive(Clone, Copy, Default)]
struct Hits {
    within_80: u64,
    within_95: u64,
    of: u64,
}

impl Hits {
    fn count(&mut self, came: f64, (low_80, high_80): (f64, f64), (low_95, high_95): (f64, f64)) {
        self.within_80 += u64::from(low_80 <= came && came <= high_80);
        self.within_95 += u64::from(low_95 <= came && came <= high_95);
        self.of += 1;
    }

    fn add(&mut self, other: Self) {
        self.within_80 += other.within_80;
        self.within_95 += other.within_95;
        self.of += other.of;
    }

    fn print(self, what: &str, seed: u64, json: bool) {
        let share = |hits: u64| 100.0 * hits as f64 / self.of.max(1) as f64;
        if json {
            let Self { within_80, within_95, of } = self;
            println!(
                "{}",
                serde_json::json!({"what": what, "within_80": within_80, "within_95": within_95, "of": of, "seed": seed})
            );
        } else {
            let (of_80, of_95) = (share(self.within_80), share(self.within_95));
            println!("{what:<62} {of_80:6.2} % {of_95:6.2} % (of {})", self.of);
        }
    }
}

/// Prints the shares for so many series of each kind.
pub(crate) fn run(series: u64, seed: u64, json: bool) {
    let start: DateTime<Utc> = "2026-09-07T00:00:00Z".parse().expect("a moment");
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut all, mut sums) = (Hits::default(), Hits::default());
    if !json {
        println!("\n{:<62} within 80 % / 95 % ranges, {series} series of each kind", "Forecasts");
    }
    for kind in KINDS {
        let mut by_horizon = [Hits::default(); 3];
        let mut sum = Hits::default();
        for _ in 0..series {
            let values = (kind.draw)(kind.seen + 24, &mut rng);
            let (seen, came) = values.split_at(kind.seen);
            let seen = Series::new(start, kind.step, seen.iter().copied().map(Some).collect());
            let found = forecast(&seen, 24).expect("enough values");
            for (hits, horizon) in by_horizon.iter_mut().zip(HORIZONS) {
                let point = found.points[horizon - 1];
                let (of_80, of_95) = ((point.low_80, point.high_80), (point.low_95, point.high_95));
                hits.count(came[horizon - 1], of_80, of_95);
            }
            let total = found.total_until(seen.at(kind.seen + 24)).expect("a total");
            let ranges = ((total.low_80, total.high_80), (total.low_95, total.high_95));
            sum.count(came.iter().sum(), ranges.0, ranges.1);
        }
        for (hits, horizon) in by_horizon.iter().zip(HORIZONS) {
            hits.print(&format!("{}, step {horizon}", kind.name), seed, json);
            all.add(*hits);
        }
        sum.print(&format!("{}, sum of 24", kind.name), seed, json);
        sums.add(sum);
    }
    all.print("all kinds and steps", seed, json);
    sums.print("all kinds, sums of 24", seed, json);
}
