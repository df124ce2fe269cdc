//! What the sums of a batch cost, which a store makes of everything that it takes, and how many bytes they come to.

use std::sync::Arc;
use std::time::Instant;

use taximeter_analysis::{Dimension, RollupConfig, Rollups, Sums};
use taximeter_models::{
    CardBasis, CostEstimate, CostLine, CostOutcome, Currency, MatchKind, Money, OperationRecord,
    RateCardRef, Unit,
};

use crate::windows;

/// Operations of a batch, as a store takes them.
const BATCH: u64 = 1_000;

/// Prints what the sums cost, and how large they are.
pub(crate) fn measure(quick: bool, json: bool) {
    if !json {
        println!("\nSums of a batch of {BATCH} standard operations, one thread\n");
    }
    let rounds = if quick { 20 } else { 200 };
    for (what, value, unit) in costs(rounds).into_iter().chain(sizes(quick)) {
        if json {
            println!("{}", serde_json::json!({"what": what, "value": value, "unit": unit}));
        } else {
            println!("{what:<72} {value:9.1} {unit}");
        }
    }
}

type Row = (String, f64, &'static str);

fn costs(rounds: usize) -> Vec<Row> {
    let records: Vec<_> = (0..BATCH).map(record).collect();
    let mut config = RollupConfig::default();
    config.dimensions.push(Dimension::Tag("version".into()));
    let of = |records: &[OperationRecord]| {
        let mut rollups = Rollups::new(&config);
        records.iter().for_each(|record| rollups.add(record));
        rollups.finish()
    };
    let found = of(&records);
    let sums: Vec<&Sums> = found.iter().flat_map(|by| by.keys.iter().map(|(_, s)| s)).collect();
    let bytes: Vec<Vec<u8>> = sums.iter().map(|sums| sums.to_bytes()).collect();
    let windows = sums.len() as f64;
    let total: usize = bytes.iter().map(Vec::len).sum();
    let each = BATCH as f64;
    vec![
        (
            "adding an operation to all dimensions (and a tag)".into(),
            median(rounds, || of(&records)) / each,
            "ns",
        ),
        (
            "the same, and writing all sums as bytes, for an operation".into(),
            median(rounds, || {
                let found = of(&records);
                let keys = found.iter().flat_map(|by| &by.keys);
                keys.map(|(_, sums)| sums.to_bytes().len()).sum::<usize>()
            }) / each,
            "ns",
        ),
        (
            "writing the sums of one key".into(),
            median(rounds, || sums.iter().map(|sums| sums.to_bytes().len()).sum::<usize>())
                / windows,
            "ns",
        ),
        (
            "reading, merging and writing those of one key".into(),
            median(rounds, || {
                let again = |(bytes, more): (&Vec<u8>, &&Sums)| {
                    let mut read = Sums::from_bytes(bytes).expect("sums");
                    read.merge(more);
                    read.to_bytes().len()
                };
                bytes.iter().zip(&sums).map(again).sum::<usize>()
            }) / windows,
            "ns",
        ),
        ("keys of a batch".into(), windows, ""),
        ("bytes of one of them in the mean".into(), total as f64 / windows, "bytes"),
    ]
}

/// The standard operation, whose call was priced line by line.
fn record(at: u64) -> OperationRecord {
    let mut record = windows::record(at);
    let line = |unit, quantity: u64, cents: i128| {
        let rate = Money::from_ticks(cents * Money::TICKS_PER_UNIT / 100);
        let amount = Money::from_ticks(i128::from(quantity) * rate.ticks() / 1_000_000);
        CostLine { unit, quantity, rate, per: 1_000_000, multiplier: None, billed_as: None, amount }
    };
    record.llm_calls[0].cost = CostOutcome::Priced(Box::new(CostEstimate {
        currency: Currency::USD,
        lines: vec![
            line(Unit::Input, 800 + at % 99, 15),
            line(Unit::CacheRead, 200, 7),
            line(Unit::Output, 200, 60),
        ],
        card: Arc::new(RateCardRef {
            provider: "openai".into(),
            model: "gpt-4o-mini".into(),
            valid_from: None,
            basis: CardBasis::Documented,
            source: "a table".into(),
            checked_on: None,
        }),
        match_kind: MatchKind::Exact,
        tier: None,
        provider_inferred: false,
        region_assumed: None,
        context_ignored: vec![],
    }));
    record
}

/// Nanoseconds of the whole, in the median.
fn median<R>(rounds: usize, work: impl Fn() -> R) -> f64 {
    let mut nanos: Vec<f64> = (0..rounds)
        .map(|_| {
            let started = Instant::now();
            std::hint::black_box(work());
            started.elapsed().as_secs_f64() * 1e9
        })
        .collect();
    nanos.sort_by(f64::total_cmp);
    nanos[rounds / 2]
}

/// How many bytes the sums of so many operations take.
fn sizes(quick: bool) -> Vec<Row> {
    let most = if quick { 100_000 } else { 1_000_000 };
    let mut sums = Sums::default();
    let mut rows = Vec::new();
    for at in 0..most {
        sums.add_operation(&varied(at));
        if [1, 5, 100, 10_000, most].contains(&(at + 1)) {
            let what = format!("bytes of the sums of {} operations", at + 1);
            rows.push((what, sums.to_bytes().len() as f64, "bytes"));
        }
    }
    rows
}

/// A standard operation whose times spread as those of real ones do: over a factor of some hundreds.
fn varied(at: u64) -> OperationRecord {
    let mut record = record(at);
    let lot = |salt: u64| {
        let mixed = (at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_mul(salt | 1);
        (mixed >> 11) as f64 / (1_u64 << 53) as f64 + 1e-9
    };
    let normal = (-2.0 * lot(3).ln()).sqrt() * (std::f64::consts::TAU * lot(5)).cos();
    record.duration = record.duration.mul_f64((0.6 * normal).exp());
    let call = &mut record.llm_calls[0];
    call.duration = Some(record.duration.mul_f64(0.5 + 0.4 * lot(7)));
    call.time_to_first_token = Some(record.duration.mul_f64(0.1 + 0.2 * lot(9)));
    record
}
