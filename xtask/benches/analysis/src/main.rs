//! How often the analysis is wrong: false alarms on series that do not change, changes that it misses, and what comes
//! outside of a forecast's ranges. And how fast it is: columns by key beside DuckDB and polars, live windows, and the
//! trend of a series that grows.
//!
//! `SEED=n` draws other series; the default is 7. `ONLY=columns,windows` runs these parts alone, of `errors`, `changes`,
//! `coverage`, `alarms`, `columns`, `windows`, `sketches`, `rollups` and `curve`.

mod alarms;
mod changes;
mod columns;
mod coverage;
mod curve;
mod peers;
mod rollups;
mod sketches;
mod windows;

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, LogNormal, Normal, StudentT};
use taximeter_analysis::statistics::{
    TheilSen, Z_95, change_points, mann_kendall, variance_inflation,
};
use taximeter_analysis::{TrendConfig, Window, trend};
use taximeter_models::{OperationRecord, PerformanceTrend, TrendDirection};

/// Points of a series.
const POINTS: usize = 400;
/// The coefficient of variation of all series but the heavy-tailed ones, whose variance is larger.
const VARIATION: f64 = 0.5;

/// How the points of a series scatter around one.
#[derive(Clone, Copy)]
enum Noise {
    LogNormal,
    HeavyTailed,
    Autocorrelated,
    Seasonal,
}

const NOISES: [(Noise, &str); 4] = [
    (Noise::LogNormal, "log-normal"),
    (Noise::HeavyTailed, "heavy-tailed (log of Student t, 3 degrees)"),
    (Noise::Autocorrelated, "autocorrelated (AR 0.5, log-normal)"),
    (Noise::Seasonal, "seasonal (a day of 24 points, ±30 %)"),
];

impl Noise {
    fn draw(self, rng: &mut StdRng) -> Vec<f64> {
        let sigma = (1.0 + VARIATION * VARIATION).ln().sqrt();
        let normal = Normal::new(0.0, sigma).expect("a spread");
        match self {
            Self::LogNormal => {
                let values = LogNormal::new(0.0, sigma).expect("a spread");
                (0..POINTS).map(|_| values.sample(rng)).collect()
            }
            Self::HeavyTailed => {
                let values = StudentT::new(3.0).expect("degrees");
                (0..POINTS).map(|_| f64::exp(0.3 * values.sample(rng)).min(1e6)).collect()
            }
            Self::Autocorrelated => {
                let mut last: f64 = normal.sample(rng);
                let fresh = (1.0 - 0.25_f64).sqrt();
                let next = |_| {
                    last = 0.5 * last + fresh * normal.sample(rng);
                    last.exp()
                };
                (0..POINTS).map(next).collect()
            }
            Self::Seasonal => {
                let start: f64 = rng.random();
                let day = |at: usize| (at as f64 / 24.0 + start) * std::f64::consts::TAU;
                (0..POINTS)
                    .map(|at| (1.0 + 0.3 * day(at).sin()) * normal.sample(rng).exp())
                    .collect()
            }
        }
    }
}

/// The operations of a series: one a minute, give or take half of one.
fn operations(seconds: &[f64], rng: &mut StdRng) -> Vec<OperationRecord> {
    let first: DateTime<Utc> = "2026-11-01T00:00:00Z".parse().expect("a moment");
    let operation = |(at, seconds): (usize, &f64)| {
        let mut operation = OperationRecord::new("op");
        let millis = at as i64 * 60_000 + rng.random_range(0..30_000);
        operation.started_at = first + TimeDelta::milliseconds(millis);
        operation.duration = Duration::from_secs_f64(*seconds);
        operation
    };
    seconds.iter().enumerate().map(operation).collect()
}

fn analyse(seconds: &[f64], rng: &mut StdRng) -> PerformanceTrend {
    trend_of(&operations(seconds, rng))
}

fn trend_of(operations: &[OperationRecord]) -> PerformanceTrend {
    let now = operations.last().expect("points").ended_at() + TimeDelta::hours(1);
    let window = Window::from(Duration::from_secs(86_400 * 365 * 30));
    trend(operations, "op", &window, now, &TrendConfig::default())
}

struct Rate {
    what: String,
    hits: u64,
    of: u64,
    delay: Option<f64>,
}

fn false_alarms(series: u64, rng: &mut StdRng) -> Vec<Rate> {
    let mut rates = Vec::new();
    for (noise, name) in NOISES {
        let (mut trends, mut changes) = (0, 0);
        for _ in 0..series {
            let values = noise.draw(rng);
            let found = analyse(&values, rng);
            trends += u64::from(found.trend_direction != TrendDirection::Stable);
            changes += u64::from(!found.changes.is_empty());
        }
        let rate = |kind, hits| Rate {
            what: format!("false {kind}, {name}"),
            hits,
            of: series,
            delay: None,
        };
        rates.extend([rate("trend", trends), rate("change", changes)]);
    }
    rates
}

/// A step in the middle counts as found where a change upwards is; how far from the step, stands beside it.
fn detections(series: u64, rng: &mut StdRng) -> Vec<Rate> {
    let step: DateTime<Utc> = "2026-11-01T03:20:00Z".parse().expect("a moment");
    let away = |since: DateTime<Utc>| (since - step).num_seconds().abs() as f64 / 60.0;
    let mut rates = Vec::new();
    for percent in [5.0, 10.0, 20.0, 50.0] {
        let mut distances = Vec::new();
        for _ in 0..series {
            let mut values = Noise::LogNormal.draw(rng);
            values[POINTS / 2..].iter_mut().for_each(|value| *value *= 1.0 + percent / 100.0);
            let found = analyse(&values, rng);
            let upwards = found.changes.iter().filter(|change| change.change_percent > 0.0);
            distances.extend(upwards.map(|change| away(change.since)).min_by(f64::total_cmp));
        }
        distances.sort_by(f64::total_cmp);
        let what = format!("found: a step of {percent} % in the middle, log-normal");
        let (hits, delay) = (distances.len() as u64, distances.get(distances.len() / 2).copied());
        rates.push(Rate { what, hits, of: series, delay });
    }
    rates
}

/// Trend and changes of a thousand series of a thousand points, in seconds, without making them.
fn thousand_by_thousand(rng: &mut StdRng) -> f64 {
    let values = LogNormal::new(0.0, 0.47).expect("a spread");
    let draw = |_| (0..1_000).map(|_| values.sample(rng)).collect();
    let series: Vec<Vec<f64>> = (0..1_000).map(draw).collect();
    let began = Instant::now();
    for values in &series {
        let points: Vec<_> = (0..).map(f64::from).zip(values.iter().copied()).collect();
        let test = mann_kendall(&points).expect("points").inflated(variance_inflation(values));
        let mut slopes = TheilSen::of(&points).expect("points");
        std::hint::black_box((test, slopes.line(), slopes.interval(Z_95, 1.0)));
        std::hint::black_box(change_points(values, 0.05, 10));
    }
    began.elapsed().as_secs_f64()
}

fn main() {
    let asked = |option: &str| std::env::args().any(|argument| argument == option);
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    let (quick, json) = (asked("--quick"), asked("--json"));
    let only = std::env::var("ONLY").ok();
    let many = |few: u64, many: u64| if quick { few } else { many };
    let drawn = || StdRng::seed_from_u64(seed);
    let parts: [(&str, &dyn Fn()); 9] = [
        ("errors", &|| errors(many(1_000, 10_000), seed, json, &mut drawn())),
        ("changes", &|| changes::run(many(10, 100) as usize, seed, json)),
        ("coverage", &|| coverage::run(many(100, 1_000), seed, json)),
        ("alarms", &|| alarms::run(many(100, 1_000), seed, json)),
        ("columns", &|| columns::measure(many(1_000_000, 10_000_000) as usize, json, &mut drawn())),
        ("windows", &|| windows::measure(quick, json)),
        ("sketches", &|| sketches::measure(quick, json, &mut drawn())),
        ("rollups", &|| rollups::measure(quick, json)),
        ("curve", &|| curve::measure(many(100_000, 10_000_000) as usize, json, &mut drawn())),
    ];
    for (name, run) in parts {
        if only.as_deref().is_none_or(|only| only.split(',').any(|one| one == name)) {
            run();
        }
    }
}

/// How often so many series are taken for what they are not.
fn errors(series: u64, seed: u64, json: bool, rng: &mut StdRng) {
    let began = Instant::now();
    let mut rates = false_alarms(series, rng);
    rates.extend(detections(series / 10, rng));
    let each = began.elapsed().as_secs_f64() / (4.4 * series as f64);
    let seconds = thousand_by_thousand(rng);
    if json {
        println!(
            "{}",
            serde_json::json!({"what": "trend and changes, 1,000 series of 1,000 points", "seconds": seconds})
        );
        for Rate { what, hits, of, delay } in rates {
            println!(
                "{}",
                serde_json::json!({"what": what, "hits": hits, "of": of, "points_away": delay, "seed": seed})
            );
        }
        return;
    }
    println!("Series of {POINTS} points, coefficient of variation {VARIATION}, seed {seed}\n");
    for Rate { what, hits, of, delay } in rates {
        let away = delay
            .map_or_else(String::new, |points| format!(", {points:.1} points away in the median"));
        println!("{what:<62} {:6.2} % ({hits} of {of}){away}", 100.0 * hits as f64 / of as f64);
    }
    println!("\n{:.0} µs for a series, making it included", each * 1e6);
    println!("{seconds:.2} s for trend and changes of 1,000 series of 1,000 points");
}
