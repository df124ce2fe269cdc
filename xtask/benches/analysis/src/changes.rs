//! Change points beside those of the families in use: energy statistics and PELT, on the same series.

use std::fs;
use std::time::Instant;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use taximeter_analysis::TrendConfig;
use taximeter_analysis::statistics::change_points;

use crate::{NOISES, Noise, POINTS, peers};

/// A change counts as found where one is told within so many points of it.
const NEAR: usize = 20;
/// By so many percent the second half of a series is higher.
const STEPS: [f64; 4] = [5.0, 10.0, 20.0, 50.0];

/// Where somebody sees changes in each series.
struct Found {
    what: String,
    milliseconds: f64,
    changes: Vec<Vec<usize>>,
}

/// Prints, for so many series of each kind, how often each sees a change where there is none, and where there is one.
pub(crate) fn run(series: usize, seed: u64, json: bool) {
    let mut rng = StdRng::seed_from_u64(seed);
    let still = NOISES.iter().map(|(noise, name)| (*noise, 0.0, format!("false, {name}")));
    let step = |percent| (Noise::LogNormal, percent, format!("found: a step of {percent} %"));
    let kinds: Vec<_> = still.chain(STEPS.map(step)).collect();
    let drawn: Vec<Vec<f64>> = kinds
        .iter()
        .flat_map(|(noise, percent, _)| {
            (0..series).map(|_| stepped(noise.draw(&mut rng), *percent)).collect::<Vec<_>>()
        })
        .collect();
    let mut all = vec![ours(&drawn)];
    match ask(&drawn) {
        Ok(peers) => all.extend(peers),
        Err(why) => eprintln!("energy statistics and PELT were skipped: {why}"),
    }
    let rates: Vec<Vec<usize>> = all
        .iter()
        .map(|found| {
            let of_kinds = found.changes.chunks(series).zip(&kinds);
            of_kinds.map(|(changes, (_, percent, _))| hits(changes, *percent)).collect()
        })
        .collect();
    if json {
        for (found, rates) in all.iter().zip(&rates) {
            for ((_, _, kind), hits) in kinds.iter().zip(rates) {
                let line = json!({"what": kind, "by": found.what, "hits": hits, "of": series, "seed": seed,
                    "milliseconds": found.milliseconds});
                println!("{line}");
            }
        }
        return;
    }
    println!(
        "\nChange points in {series} series of {POINTS} points each, seed {seed}: % in which one is seen; where there \
         is one, within {NEAR} points of it\n"
    );
    let row = |what: &str, cells: Vec<String>| {
        println!(
            "{what:<58}{}",
            cells.iter().map(|cell| format!("{cell:>14}")).collect::<String>()
        );
    };
    all.iter().enumerate().for_each(|(at, found)| println!("{} = {}", letter(at), found.what));
    row("", (0..all.len()).map(letter).collect());
    for (at, (_, _, kind)) in kinds.iter().enumerate() {
        let percent =
            |rates: &Vec<usize>| format!("{:.1}", 100.0 * rates[at] as f64 / series as f64);
        row(kind, rates.iter().map(percent).collect());
    }
    row("ms a series", all.iter().map(|found| format!("{:.2}", found.milliseconds)).collect());
}

fn letter(at: usize) -> String {
    char::from_u32('A' as u32 + at as u32).unwrap_or('?').to_string()
}

/// The second half is higher by so many percent.
fn stepped(mut values: Vec<f64>, percent: f64) -> Vec<f64> {
    values[POINTS / 2..].iter_mut().for_each(|value| *value *= 1.0 + percent / 100.0);
    values
}

fn hits(changes: &[Vec<usize>], percent: f64) -> usize {
    let is_hit = |at: &usize| percent == 0.0 || at.abs_diff(POINTS / 2) <= NEAR;
    changes.iter().filter(|changes| changes.iter().any(is_hit)).count()
}

/// As a trend looks for them by default.
fn ours(drawn: &[Vec<f64>]) -> Found {
    let config = TrendConfig::default();
    let shortest = config.minimum_points as usize;
    let began = Instant::now();
    let look = |values: &Vec<f64>| change_points(values, config.alpha, shortest);
    let changes =
        drawn.iter().map(|values| look(values).iter().map(|change| change.at).collect()).collect();
    let milliseconds = began.elapsed().as_secs_f64() * 1e3 / drawn.len() as f64;
    Found { what: "taximeter".into(), milliseconds, changes }
}

fn ask(drawn: &[Vec<f64>]) -> Result<Vec<Found>, String> {
    let folder = peers::folder("changes")?;
    let told = |error: std::io::Error| format!("{}: {error}", folder.display());
    let bytes: Vec<u8> = drawn.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    let config = TrendConfig::default();
    let asked = json!({"points": POINTS, "alpha": config.alpha, "shortest": config.minimum_points});
    fs::write(folder.join("series.f64"), bytes).map_err(told)?;
    fs::write(folder.join("asked.json"), asked.to_string()).map_err(told)?;
    peers::run_script("changes", &folder)?.lines().map(read).collect()
}

fn read(line: &str) -> Result<Found, String> {
    let found: Value = serde_json::from_str(line).map_err(|error| format!("{line}: {error}"))?;
    let changes = serde_json::from_value(found["found"].clone());
    Ok(Found {
        what: found["what"].as_str().unwrap_or_default().into(),
        milliseconds: found["milliseconds"].as_f64().ok_or("no time")?,
        changes: changes.map_err(|error| format!("changes.py: {error}"))?,
    })
}
