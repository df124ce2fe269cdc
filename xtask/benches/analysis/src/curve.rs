//! What the trend of one series costs, as the series grows.

use std::hint::black_box;
use std::time::Instant;

use rand::rngs::StdRng;
use rand_distr::{Distribution, LogNormal};
use serde_json::json;

use crate::{operations, trend_of};

/// The series whose cost is measured, with the level at a part of the way through.
const SHAPES: [(&str, fn(f64) -> f64); 4] = [
    ("no change", |_| 1.0),
    ("eight steps", |way| 1.0 + 0.5 * ((way * 8.0).floor() % 2.0)),
    ("a slow rise", |way| 1.0 + way),
    // The changes that are found first lie near the beginning: the search cannot halve the series.
    ("a swing that dies down", |way| 1.0 + (-8.0 * way).exp() * (way * 800.0).cos() / 2.0),
];

/// Measures series of ten thousand points, and of ten times as many up to the most.
pub(crate) fn measure(most: usize, json: bool, rng: &mut StdRng) {
    let noise = LogNormal::new(0.0, 0.47).expect("a spread");
    if !json {
        println!("\nThe trend of one series, with its changes\n");
    }
    for (shape, level) in SHAPES {
        let mut points = 10_000;
        while points <= most {
            let at = |index: usize| level(index as f64 / points as f64);
            let seconds: Vec<f64> = (0..points).map(|at_| at(at_) * noise.sample(rng)).collect();
            let operations = operations(&seconds, rng);
            let began = Instant::now();
            let found = black_box(trend_of(&operations));
            let seconds = began.elapsed().as_secs_f64();
            print(shape, points, seconds, found.changes.len(), json);
            points *= 10;
        }
    }
}

fn print(shape: &str, points: usize, seconds: f64, changes: usize, json: bool) {
    if json {
        let what = format!("trend of a series, {shape}");
        println!(
            "{}",
            json!({"what": what, "points": points, "seconds": seconds, "changes": changes})
        );
        return;
    }
    let each = seconds / points as f64 * 1e9;
    println!(
        "{shape:<24}{points:>10} points{:>12.1} ms{each:>9.0} ns a point, {changes} changes",
        seconds * 1e3
    );
}
