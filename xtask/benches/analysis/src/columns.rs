//! How fast columns are grouped, beside DuckDB and polars, on the same rows and one thread.

use std::hint::black_box;
use std::time::Instant;

use rand::Rng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, LogNormal};
use serde_json::json;
use taximeter_analysis::{ColumnGroup, Columns, Percentiles};

use crate::peers;

/// The median of so many rounds counts.
const ROUNDS: usize = 5;

/// Operations, of which each comes up in proportion to one over its place.
pub(crate) const NAMES: [&str; 8] = [
    "qa_response",
    "summarise",
    "ingest_docs",
    "rerank_hits",
    "chat_turn",
    "plan_steps",
    "embed_batch",
    "route_query",
];

/// The rows that everybody is asked about.
pub(crate) struct Rows {
    pub(crate) keys: Vec<u16>,
    pub(crate) nanos: Vec<u64>,
    pub(crate) errors: Vec<bool>,
}

impl Rows {
    /// Log-normal durations, whose median differs from group to group; one in twenty failed.
    fn draw(count: usize, rng: &mut StdRng) -> Self {
        let weights: Vec<f64> = (1..=NAMES.len()).map(|place| 1.0 / place as f64).collect();
        let all: f64 = weights.iter().sum();
        let noise = LogNormal::new(0.0, 0.8).expect("a spread");
        let mut rows = Self { keys: Vec::new(), nanos: Vec::new(), errors: Vec::new() };
        for _ in 0..count {
            let mut lot = rng.random::<f64>() * all;
            let passed = |weight: &&f64| {
                lot -= **weight;
                lot >= 0.0
            };
            let key = weights.iter().take(NAMES.len() - 1).take_while(passed).count();
            rows.keys.push(key as u16);
            rows.nanos.push((noise.sample(rng) * 2e9 / (key + 1) as f64) as u64);
            rows.errors.push(rng.random_bool(0.05));
        }
        rows
    }

    /// Checked and summarised, as a caller does it.
    fn ours(&self, percentiles: Percentiles) -> Vec<ColumnGroup> {
        let columns = Columns::new(&self.keys, &self.nanos, NAMES.len()).expect("columns");
        columns.errors(&self.errors).expect("as many").summarize(percentiles)
    }
}

/// One line of the table.
struct Line {
    what: String,
    types: String,
    seconds: f64,
    difference: f64,
}

/// Measures, and prints a table or an object a line.
pub(crate) fn measure(count: usize, json: bool, rng: &mut StdRng) {
    let rows = Rows::draw(count, rng);
    let exact = rows.ours(Percentiles::Exact);
    let ours = |what: &str, percentiles| Line {
        what: what.into(),
        types: "u16 u64".into(),
        seconds: median_seconds(|| rows.ours(percentiles)),
        difference: difference(&rows.ours(percentiles), &exact),
    };
    let mut lines = vec![
        ours("taximeter, exact", Percentiles::Exact),
        ours("taximeter, sketch", Percentiles::Sketch),
    ];
    let mut fastest = None;
    match peers::ask(&rows, &exact, ROUNDS) {
        Ok(peers) => {
            let same = peers.iter().filter(|peer| peer.small_key && peer.percentiles == "exact");
            fastest = same.map(|peer| peer.seconds).min_by(f64::total_cmp);
            lines.extend(peers.into_iter().map(|peer| Line {
                what: format!("{}, {}", peer.what, peer.percentiles),
                types: peer.types,
                seconds: peer.seconds,
                difference: peer.difference,
            }));
        }
        Err(why) => eprintln!("DuckDB and polars were skipped: {why}"),
    }
    if json { print_json(count, &lines) } else { print_table(count, &lines, fastest) }
}

/// Once to warm up, and the median of the rounds.
fn median_seconds<T>(mut work: impl FnMut() -> T) -> f64 {
    black_box(work());
    let mut seconds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            black_box(work());
            began.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[ROUNDS / 2]
}

/// How far percentiles are from the exact ones at most, relative to them.
fn difference(found: &[ColumnGroup], exact: &[ColumnGroup]) -> f64 {
    let percentiles = |group: &ColumnGroup| [group.p50, group.p90, group.p95, group.p99];
    let pairs = found.iter().flat_map(percentiles).zip(exact.iter().flat_map(percentiles));
    pairs.map(|(found, exact)| (found - exact).abs() / exact).fold(0.0, f64::max)
}

fn print_json(count: usize, lines: &[Line]) {
    for Line { what, types, seconds, difference } in lines {
        println!(
            "{}",
            json!({"what": what, "types": types, "rows": count, "seconds": seconds, "largest_difference": difference})
        );
    }
}

fn print_table(count: usize, lines: &[Line], fastest: Option<f64>) {
    println!(
        "\nA column of {count} durations by a key of {} groups: count, sum, mean, extremes, deviation, p50, p90, p95, \
         p99, errors; one thread, columns in memory, median of {ROUNDS} rounds. Of the types \
         that a peer may have for the values, the fastest counts. The difference is the largest from our exact answers, \
         relative to them.\n",
        NAMES.len()
    );
    println!(
        "{:<40}{:<20}{:>9}{:>16}{:>9}{:>10}{:>12}",
        "", "key, value", "ms", "million rows/s", "× exact", "× sketch", "difference"
    );
    let ratio = |seconds: f64, of: &Line| seconds / of.seconds;
    for line in lines {
        println!(
            "{:<40}{:<20}{:>9.1}{:>16.1}{:>9.2}{:>10.2}{:>12.1e}",
            line.what,
            line.types,
            line.seconds * 1e3,
            count as f64 / line.seconds / 1e6,
            ratio(line.seconds, &lines[0]),
            ratio(line.seconds, &lines[1]),
            line.difference
        );
    }
    if let Some(fastest) = fastest {
        println!(
            "\nThe fastest peer with exact percentiles and a small integer as key takes {:.1} times as long as ours \
             exact and {:.1} times as long as our sketch",
            ratio(fastest, &lines[0]),
            ratio(fastest, &lines[1])
        );
    }
}
