//! How often something counts as out of the ordinary that is not, and how often what is does, on series drawn by lot.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, Exp1};
use taximeter_analysis::{AnomalyConfig, Series, Step, anomalies, error_jumps, slow_operations};
use taximeter_models::{OperationRecord, ToolCall, ToolStatus};

use crate::{NOISES, Noise, POINTS};

/// Draws the values of a series.
type Draw = Box<dyn Fn(&mut StdRng) -> Vec<f64>>;

/// Tools of a session whose error rates are compared.
const TOOLS: usize = 10;

/// Prints the shares for so many series of each kind.
pub(crate) fn run(series: u64, seed: u64, json: bool) {
    let mut rng = StdRng::seed_from_u64(seed);
    if !json {
        println!("\nOut of the ordinary, in {series} series of {POINTS} points each");
    }
    let mut kinds: Vec<(&str, Draw)> = NOISES
        .into_iter()
        .map(|(noise, name)| {
            let draw: Draw = Box::new(move |rng| noise.draw(rng));
            (name, draw)
        })
        .collect();
    kinds.push(("exponential", Box::new(|rng| (0..POINTS).map(|_| Exp1.sample(rng)).collect())));
    for (name, draw) in &kinds {
        let steps = |rng: &mut StdRng| flagged(&draw(rng), rng) > 0;
        report(&format!("false anomaly in a series, {name}"), series, steps, &mut rng, seed, json);
        let slow = |rng: &mut StdRng| slow(&draw(rng));
        report(&format!("false slow operation, {name}"), series, slow, &mut rng, seed, json);
    }
    for times in [5.0, 10.0, 20.0] {
        let found = |rng: &mut StdRng| {
            let mut values = Noise::LogNormal.draw(rng);
            let at = rng.random_range(0..POINTS);
            values[at] = times;
            flagged(&values, rng) > 0
        };
        let what = format!("found: a value of {times} times the median, log-normal");
        report(&what, series, found, &mut rng, seed, json);
    }
    for (before, after) in [(0.02, 0.02), (0.2, 0.2), (0.02, 0.05), (0.02, 0.1), (0.02, 0.2)] {
        let found = |rng: &mut StdRng| jumps(before, after, rng);
        let what = if before < after { "found" } else { "false" };
        let what = format!("{what}: error rate {before} to {after}, one of {TOOLS} tools");
        report(&what, series, found, &mut rng, seed, json);
    }
}

fn report(
    what: &str,
    of: u64,
    is_hit: impl Fn(&mut StdRng) -> bool,
    rng: &mut StdRng,
    seed: u64,
    json: bool,
) {
    let hits = (0..of).filter(|_| is_hit(rng)).count();
    if json {
        println!("{}", serde_json::json!({"what": what, "hits": hits, "of": of, "seed": seed}));
    } else {
        println!("{what:<72} {:6.2} % ({hits} of {of})", 100.0 * hits as f64 / of as f64);
    }
}

/// The anomalies of a series of hours.
fn flagged(values: &[f64], rng: &mut StdRng) -> usize {
    let hours = TimeDelta::hours(rng.random_range(0..24));
    let series =
        Series::new(start() + hours, Step::Hour, values.iter().copied().map(Some).collect());
    anomalies(&series, &AnomalyConfig::default()).expect("enough values").found.len()
}

fn start() -> DateTime<Utc> {
    "2026-11-02T00:00:00Z".parse().expect("a moment")
}

fn slow(seconds: &[f64]) -> bool {
    let operation = |seconds: &f64| {
        let mut operation = OperationRecord::new("op");
        operation.duration = Duration::from_secs_f64(*seconds);
        operation
    };
    let operations: Vec<_> = seconds.iter().map(operation).collect();
    !slow_operations(&operations, &AnomalyConfig::default()).is_empty()
}

/// A thousand calls of each tool before and two hundred after, where the rate of the first tool is another.
fn jumps(before: f64, after: f64, rng: &mut StdRng) -> bool {
    let since = start() + TimeDelta::hours(1);
    let mut operations = Vec::with_capacity(1_200);
    for at in 0..1_200 {
        let mut operation = OperationRecord::new("op");
        operation.started_at = if at < 1_000 { start() } else { since };
        for tool in 0..TOOLS {
            let rate = if at >= 1_000 && tool == 0 { after } else { before };
            let status =
                if rng.random_bool(rate) { ToolStatus::Failure } else { ToolStatus::Success };
            operation.tool_calls.push(ToolCall::new(format!("tool {tool}"), status));
        }
        operations.push(operation);
    }
    !error_jumps(&operations, since, &AnomalyConfig::default()).is_empty()
}
