//! The buckets of the live windows and of what is kept, beside the sketches of two well-kept crates with the same error.

use std::hint::black_box;
use std::time::Instant;

use hdrhistogram::serialization::{Serializer, V2Serializer};
use rand::rngs::StdRng;
use rand_distr::{Distribution, LogNormal};
use serde_json::json;
use sketches_ddsketch::{Config, DDSketch};
use taximeter_analysis::{Histogram, Sums};

/// The median of so many rounds counts.
const ROUNDS: usize = 11;
/// So many values come to a window of a minute, an hour and a month.
const SIZES: [usize; 3] = [30, 3_000, 300_000];

/// What a sketch of whole numbers is asked for.
trait Sketch: Clone {
    const NAME: &str;
    fn empty() -> Self;
    fn add(&mut self, value: u64);
    fn merge(&mut self, other: &Self);
    /// The median and the 90th, 95th and 99th percentile.
    fn percentiles(&self) -> [f64; 4];
    /// How many bytes it comes to when it is kept.
    fn kept(&self) -> usize;
}

/// The sums of a group of which nothing is known but durations: their histogram, and some 20 bytes of the counts beside it.
#[derive(Clone)]
struct Ours(Sums, Histogram);

impl Sketch for Ours {
    const NAME: &str = "taximeter";

    fn empty() -> Self {
        Self(Sums::default(), Histogram::default())
    }

    fn add(&mut self, value: u64) {
        self.1.add(value);
    }

    fn merge(&mut self, other: &Self) {
        self.1.merge(&other.1);
    }

    fn percentiles(&self) -> [f64; 4] {
        let found = self.1.distribution(1.0).expect("values");
        [found.p50, found.p90, found.p95, found.p99]
    }

    fn kept(&self) -> usize {
        let mut sums = self.0.clone();
        sums.nanos = self.1.clone();
        sums.to_bytes().len()
    }
}

impl Sketch for DDSketch {
    const NAME: &str = "sketches-ddsketch";

    fn empty() -> Self {
        Self::new(Config::new(Histogram::ERROR, 4_096, 1.0))
    }

    fn add(&mut self, value: u64) {
        Self::add(self, value as f64);
    }

    fn merge(&mut self, other: &Self) {
        Self::merge(self, other).expect("of one configuration");
    }

    fn percentiles(&self) -> [f64; 4] {
        [0.5, 0.9, 0.95, 0.99].map(|share| self.quantile(share).expect("a share").expect("values"))
    }

    fn kept(&self) -> usize {
        self.to_java_bytes().len()
    }
}

/// Two significant digits, which are an error of 0.8 % at most too.
type Hdr = hdrhistogram::Histogram<u64>;

impl Sketch for Hdr {
    const NAME: &str = "hdrhistogram";

    fn empty() -> Self {
        Self::new(2).expect("two digits")
    }

    fn add(&mut self, value: u64) {
        self.record(value).expect("it grows");
    }

    fn merge(&mut self, other: &Self) {
        Self::add(self, other).expect("it grows");
    }

    fn percentiles(&self) -> [f64; 4] {
        [0.5, 0.9, 0.95, 0.99].map(|share| self.value_at_quantile(share) as f64)
    }

    fn kept(&self) -> usize {
        let mut bytes = Vec::new();
        V2Serializer::new().serialize(self, &mut bytes).expect("into memory");
        bytes.len()
    }
}

/// What one of them was measured to be: what, how much, and of which unit.
type Lines = Vec<(String, f64, &'static str)>;

/// Prints what adding, merging and keeping costs with each, and how far percentiles are from the exact ones.
pub(crate) fn measure(quick: bool, json: bool, rng: &mut StdRng) {
    let spread = LogNormal::new(0.0, 0.8).expect("a spread");
    let values: Vec<u64> = (0..SIZES[2]).map(|_| (spread.sample(rng) * 2e9) as u64).collect();
    let repeated = if quick { 1 } else { 20 };
    let all: [(&str, Lines); 3] = [
        (Ours::NAME, lines::<Ours>(&values, repeated)),
        (DDSketch::NAME, lines::<DDSketch>(&values, repeated)),
        (Hdr::NAME, lines::<Hdr>(&values, repeated)),
    ];
    if json {
        for (name, lines) in &all {
            for (what, value, unit) in lines {
                println!("{}", json!({"what": what, "by": name, "value": value, "unit": unit}));
            }
        }
        return;
    }
    println!("\nSketches of durations, one thread, median of {ROUNDS} rounds\n");
    println!("{:<44}{}", "", all.each_ref().map(|(name, _)| format!("{name:>20}")).concat());
    for (at, (what, _, unit)) in all[0].1.iter().enumerate() {
        let cells = all.each_ref().map(|(_, lines)| format!("{:>20.1}", lines[at].1));
        println!("{:<44}{}", format!("{what}, {unit}"), cells.concat());
    }
}

fn lines<S: Sketch>(values: &[u64], repeated: usize) -> Lines {
    let of = |values: &[u64]| {
        let mut sketch = S::empty();
        values.iter().for_each(|value| sketch.add(*value));
        sketch
    };
    let mut lines = Vec::new();
    for size in SIZES {
        let passes = repeated * SIZES[2] / size;
        let nanos = median_nanos(|| {
            (0..passes).for_each(|pass| {
                let from = pass * size % (values.len() - size + 1);
                black_box(of(&values[from..from + size]));
            });
        });
        let what = format!("adding a value to a new window of {size}");
        lines.push((what, nanos / (passes * size) as f64, "ns"));
    }
    for size in SIZES {
        let (all, one) = (of(values), of(&values[..size]));
        let nanos = median_nanos(|| {
            let mut all = all.clone();
            (0..100 * repeated).for_each(|_| all.merge(black_box(&one)));
            black_box(all);
        });
        lines.push((
            format!("merging a window of {size}"),
            nanos / (100 * repeated) as f64 / 1e3,
            "µs",
        ));
    }
    for size in SIZES {
        let kept = of(&values[..size]).kept();
        lines.push((format!("keeping a window of {size}"), kept as f64, "bytes"));
    }
    lines.push(("largest error of a percentile".into(), error(&of(values), values), "‰"));
    lines
}

/// In nanoseconds, after one round to warm up.
fn median_nanos(mut work: impl FnMut()) -> f64 {
    work();
    let mut nanos: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed().as_secs_f64() * 1e9
        })
        .collect();
    nanos.sort_by(f64::total_cmp);
    nanos[ROUNDS / 2]
}

/// In thousandths of the exact percentile.
fn error(sketch: &impl Sketch, values: &[u64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let exact = [0.5, 0.9, 0.95, 0.99].map(|share| sorted[(share * sorted.len() as f64) as usize]);
    let pairs = sketch.percentiles().into_iter().zip(exact);
    pairs.map(|(found, exact)| (found / exact as f64 - 1.0).abs()).fold(0.0, f64::max) * 1e3
}
