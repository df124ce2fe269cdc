//! What a price costs to look up: time and allocations, in the same rounds as the crate genai-prices does the same.
//!
//! One thread. Each case is measured in rounds of many look-ups; ours and the peer's rounds take turns, and the median
//! of the rounds counts, with the fifth and the ninety-fifth per cent beside it. The first use is measured in processes
//! of their own.

use std::env;
use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

use chrono::{DateTime, TimeZone, Utc};
use genai_prices::{PriceRequest, Usage, UsageKey};
use taximeter_models::TokenUsage;
use taximeter_pricing::{PriceBook, Query, Selectors};

/// How often each case is measured.
const ROUNDS: usize = 101;
/// About how long a round takes, in nanoseconds.
const ROUND: u64 = 2_000_000;
/// How many processes show the first use.
const PROCESSES: usize = 15;

/// A name that is asked for, and whether the peer can be asked the same.
struct Case {
    what: &'static str,
    provider: Option<&'static str>,
    model: &'static str,
    peer: Option<(&'static str, &'static str)>,
    /// The target in nanoseconds for the amount, and for the full explanation.
    targets: (u64, u64),
}

const CASES: &[Case] = &[
    Case {
        what: "exact",
        provider: Some("openai"),
        model: "gpt-4o",
        peer: Some(("openai", "gpt-4o")),
        targets: (200, 1_000),
    },
    Case {
        what: "exact, tiers and history",
        provider: Some("anthropic"),
        model: "claude-opus-4-6",
        peer: Some(("anthropic", "claude-opus-4-6")),
        targets: (200, 1_000),
    },
    Case {
        what: "exact, one of many at openrouter",
        provider: Some("openrouter"),
        model: "openai/gpt-4o-mini",
        peer: Some(("openrouter", "openai/gpt-4o-mini")),
        targets: (200, 1_000),
    },
    Case {
        what: "alias",
        provider: Some("openai"),
        model: "gpt-5-mini-2025-08-07",
        peer: Some(("openai", "gpt-5-mini-2025-08-07")),
        targets: (200, 1_000),
    },
    Case {
        what: "upper case",
        provider: Some("OpenAI"),
        model: "GPT-4o",
        peer: Some(("openai", "GPT-4o")),
        targets: (1_000, 1_000),
    },
    Case {
        what: "a date behind the name",
        provider: Some("openai"),
        model: "gpt-4o-mini-2026-01-31",
        peer: None,
        targets: (1_000, 1_000),
    },
    Case {
        what: "Bedrock, us. prefix",
        provider: Some("bedrock"),
        model: "us.anthropic.claude-opus-5",
        peer: Some(("aws", "us.anthropic.claude-opus-5")),
        targets: (1_000, 1_000),
    },
    Case {
        what: "Bedrock, ARN",
        provider: Some("bedrock"),
        model: "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        peer: Some((
            "aws",
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        )),
        targets: (1_000, 1_000),
    },
    Case {
        what: "Vertex, @date",
        provider: Some("vertex_ai"),
        model: "claude-opus-4-5@20260101",
        peer: None,
        targets: (1_000, 1_000),
    },
    Case {
        what: "Azure, region",
        provider: Some("azure"),
        model: "eu/gpt-4o",
        peer: None,
        targets: (1_000, 1_000),
    },
    Case {
        what: "OpenRouter, variant",
        provider: Some("openrouter"),
        model: "openai/gpt-4o-mini:nitro",
        peer: None,
        targets: (1_000, 1_000),
    },
    Case {
        what: "fine-tuned",
        provider: Some("openai"),
        model: "ft:gpt-4o-2024-08-06:acme:support:abc123",
        peer: None,
        targets: (1_000, 1_000),
    },
    Case {
        what: "provider inferred",
        provider: None,
        model: "gpt-4o",
        peer: None,
        targets: (1_000, 1_000),
    },
    Case {
        what: "miss, again",
        provider: Some("openai"),
        model: "gpt-4oo",
        peer: Some(("openai", "gpt-4oo")),
        targets: (1_000, 1_000),
    },
    Case {
        what: "unknown provider",
        provider: Some("nobody"),
        model: "gpt-4o",
        peer: Some(("nobody", "gpt-4o")),
        targets: (1_000, 1_000),
    },
];

/// Nanoseconds a look-up: the median of the rounds, and the fifth and the ninety-fifth per cent.
#[derive(Clone, Copy)]
struct Time {
    median: f64,
    low: f64,
    high: f64,
}

fn main() {
    match env::args().nth(1).as_deref() {
        Some("--first-use") => println!("{}", first_use()),
        Some("--first-use-of-peer") => println!("{}", first_use_of_peer()),
        Some("--json") => print(true),
        _ => print(false),
    }
}

fn print(json: bool) {
    if !json {
        println!(
            "one thread, {ROUNDS} rounds; nanoseconds, median (5 % to 95 %); allocations a look-up\n"
        );
        println!(
            "{:34} {:>24} {:>6} {:>24} {:>6} {:>10} {:>8}",
            "look-up", "amount", "alloc", "explained", "alloc", "peer", "ratio"
        );
    }
    let mut missed = Vec::new();
    for case in CASES {
        measure(case, json, &mut missed);
    }
    misses_that_are_new(json);
    first_uses(json, &mut missed);
    let size = include_bytes!("../../../../crates/pricing/data/book.bin").len();
    if json {
        println!(
            "{}",
            serde_json::json!({"what": "embedded table", "bytes": size, "target_bytes": 600_000})
        );
    } else {
        println!("embedded table: {size} bytes, at most 600,000");
        println!(
            "{}",
            if missed.is_empty() {
                "every target is reached".to_owned()
            } else {
                format!("missed: {}", missed.join(", "))
            }
        );
    }
}

fn at() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 20, 12, 0, 0).unwrap()
}

fn usage() -> TokenUsage {
    TokenUsage::inclusive(12_345, 678).cache_read(2_345).build().expect("parts within the whole")
}

fn usage_of_peer() -> Usage {
    Usage::from([
        (UsageKey::INPUT_TOKENS, 12_345.0),
        (UsageKey::CACHE_READ_TOKENS, 2_345.0),
        (UsageKey::OUTPUT_TOKENS, 678.0),
    ])
}

fn measure(case: &Case, json: bool, missed: &mut Vec<String>) {
    let (book, usage, selectors, at) = (PriceBook::embedded(), usage(), Selectors::new(), at());
    let query = Query {
        provider: case.provider,
        model: case.model,
        at,
        usage: &usage,
        selectors: &selectors,
    };
    let usage_of_peer = usage_of_peer();
    let ask_peer = || {
        let (provider, model) = case.peer?;
        let request = PriceRequest::new(model, &usage_of_peer).with_provider_id(provider);
        genai_prices::calculate(&request.with_timestamp(at)).ok().map(|price| price.total_price)
    };
    let mut amount = || _ = black_box(book.amount(black_box(&query)));
    let mut explained = || _ = black_box(book.price(black_box(&query)));
    let mut peer = || _ = black_box(ask_peer());
    let mut subjects: Vec<&mut dyn FnMut()> = vec![&mut amount, &mut explained];
    if case.peer.is_some() {
        subjects.push(&mut peer);
    }
    let times = rounds(&mut subjects);
    let allocations = |run: &mut dyn FnMut()| {
        run();
        allocation_counter::measure(run).count_total
    };
    let counts = (allocations(&mut amount), allocations(&mut explained));
    let ratio = times.get(2).map(|peer| peer.median / times[1].median);
    for (time, target, way) in
        [(times[0], case.targets.0, "amount"), (times[1], case.targets.1, "explained")]
    {
        if time.median > target as f64 {
            missed.push(format!("{} ({way})", case.what));
        }
    }
    if json {
        let time = |time: &Time| serde_json::json!({"median_ns": time.median, "low_ns": time.low, "high_ns": time.high});
        println!(
            "{}",
            serde_json::json!({
                "what": case.what, "amount": time(&times[0]), "explained": time(&times[1]),
                "peer": times.get(2).map(time), "peer_over_explained": ratio,
                "amount_allocations": counts.0, "explained_allocations": counts.1,
                "target_amount_ns": case.targets.0, "target_explained_ns": case.targets.1,
            })
        );
        return;
    }
    let shown = |time: Time| format!("{:.0} ({:.0} to {:.0})", time.median, time.low, time.high);
    println!(
        "{:34} {:>24} {:>6} {:>24} {:>6} {:>10} {:>8}",
        case.what,
        shown(times[0]),
        counts.0,
        shown(times[1]),
        counts.1,
        times.get(2).map_or_else(|| "–".to_owned(), |peer| format!("{:.0}", peer.median)),
        ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.1}x")),
    );
}

/// Runs all subjects in turns, so that what disturbs one disturbs all.
fn rounds(subjects: &mut [&mut dyn FnMut()]) -> Vec<Time> {
    let counts: Vec<u64> = subjects.iter_mut().map(|subject| calibrated(*subject)).collect();
    let mut times = vec![Vec::with_capacity(ROUNDS); subjects.len()];
    for _ in 0..ROUNDS {
        for (at, subject) in subjects.iter_mut().enumerate() {
            let start = Instant::now();
            (0..counts[at]).for_each(|_| subject());
            times[at].push(start.elapsed().as_nanos() as f64 / counts[at] as f64);
        }
    }
    times.into_iter().map(summary).collect()
}

/// How many runs fill a round.
fn calibrated(subject: &mut dyn FnMut()) -> u64 {
    (0..100).for_each(|_| subject());
    let start = Instant::now();
    (0..100).for_each(|_| subject());
    let each = (start.elapsed().as_nanos() as u64 / 100).max(1);
    (ROUND / each).clamp(1, 1_000_000)
}

fn summary(mut times: Vec<f64>) -> Time {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    Time { median: at(0.5), low: at(0.05), high: at(0.95) }
}

/// Names that were never asked for: the nearest known names are looked for each time.
fn misses_that_are_new(json: bool) {
    let (book, usage, selectors, at) = (PriceBook::embedded(), usage(), Selectors::new(), at());
    for provider in ["openai", "openrouter"] {
        let mut number = 0;
        let mut explained = || {
            number += 1;
            let model = format!("gpt-4o-{number}");
            let query = Query {
                provider: Some(provider),
                model: &model,
                at,
                usage: &usage,
                selectors: &selectors,
            };
            black_box(book.price(&query));
        };
        let time = rounds(&mut [&mut explained])[0];
        if json {
            println!(
                "{}",
                serde_json::json!({"what": "miss, ever new", "provider": provider, "explained_ns": time.median})
            );
        } else {
            println!(
                "miss, ever new, at {provider}: {:.0} ns explained, with the nearest names",
                time.median
            );
        }
    }
}

/// Microseconds from the start of a process to its first price, without the start of the process itself.
fn first_uses(json: bool, missed: &mut Vec<String>) {
    let (ours, peer) = (in_processes("--first-use"), in_processes("--first-use-of-peer"));
    if ours.median > 5_000.0 {
        missed.push("first use".to_owned());
    }
    let ratio = peer.median / ours.median;
    if json {
        println!(
            "{}",
            serde_json::json!({"what": "first use", "median_us": ours.median, "peer_us": peer.median, "ratio": ratio, "target_us": 5_000})
        );
    } else {
        println!(
            "\nfirst use, {PROCESSES} processes: {:.0} µs ({:.0} to {:.0}), at most 5,000; peer {:.0} µs: {ratio:.0}x",
            ours.median, ours.low, ours.high, peer.median
        );
    }
}

fn in_processes(argument: &str) -> Time {
    let me = env::current_exe().expect("the path of this program");
    let one = || {
        let output = Command::new(&me).arg(argument).output().expect("a process");
        String::from_utf8_lossy(&output.stdout).trim().parse::<f64>().expect("a number")
    };
    summary((0..PROCESSES).map(|_| one()).collect())
}

fn first_use() -> f64 {
    let (usage, selectors) = (usage(), Selectors::new());
    let start = Instant::now();
    let query = Query {
        provider: Some("openai"),
        model: "gpt-4o",
        at: at(),
        usage: &usage,
        selectors: &selectors,
    };
    black_box(PriceBook::embedded().price(&query));
    start.elapsed().as_nanos() as f64 / 1_000.0
}

fn first_use_of_peer() -> f64 {
    let usage = usage_of_peer();
    let start = Instant::now();
    let request = PriceRequest::new("gpt-4o", &usage).with_provider_id("openai");
    _ = black_box(genai_prices::calculate(&request.with_timestamp(at())));
    start.elapsed().as_nanos() as f64 / 1_000.0
}
