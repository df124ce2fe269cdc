//! What the trend of one series costs, as the series grows.

use std::hint::black_box;
use std::time::Instant;

use rand::rngs::StdRng;
use rand_distr::{Distribution, LogNormal};
use serde_json::json;

use crate::{operations, trend_of};

/// A kind of series: the level at a part of the way through so many points, and the longest that is measured.
struct Shape {
    name: &'static str,
    level: fn(f64, f64) -> f64,
    most: usize,
}

const SHAPES: [Shape; 4] = [
    Shape { name: "no change", level: |_, _| 1.0, most: usize::MAX },
    Shape {
        name: "eight steps",
        level: |way, _| 1.0 + 0.5 * ((way * 8.0).floor() % 2.0),
        most: usize::MAX,
    },
    Shape { name: "a slow rise", level: |way, _| 1.0 + way, most: usize::MAX },
    // The hardest known: as many changes as the root of the points, the largest first, so that the search for changes
    // cannot halve the series. Ten million points of it would take minutes.
    Shape {
        name: "swings that die down",
        level: |way, points| 1.0 + (-2.0 * way).exp() * (way * points.sqrt()).cos() / 2.0,
        most: 1_000_000,
    },
];

/// Measures series of ten thousand points, and of ten times as many up to the most.
pub(crate) fn measure(most: usize, json: bool, rng: &mut StdRng) {
    let noise = LogNormal::new(0.0, 0.47).expect("a spread");
    if !json {
        println!("\nThe trend of one series, with its changes\n");
    }
    for Shape { name, level, most: own } in SHAPES {
        let mut points = 10_000;
        while points <= most.min(own) {
            let at = |index: usize| level(index as f64 / points as f64, points as f64);
            let seconds: Vec<f64> =
                (0..points).map(|index| at(index) * noise.sample(rng)).collect();
            let operations = operations(&seconds, rng);
            let began = Instant::now();
            let found = black_box(trend_of(&operations));
            let seconds = began.elapsed().as_secs_f64();
            print(name, points, seconds, found.changes.len(), json);
            points *= 10;
        }
    }
}

fn print(name: &str, points: usize, seconds: f64, changes: usize, json: bool) {
    if json {
        let what = format!("trend of a series, {name}");
        println!(
            "{}",
            json!({"what": what, "points": points, "seconds": seconds, "changes": changes})
        );
        return;
    }
    let each = seconds / points as f64 * 1e9;
    println!(
        "{name:<24}{points:>10} points{:>12.1} ms{each:>9.0} ns a point, {changes} changes",
        seconds * 1e3
    );
}
