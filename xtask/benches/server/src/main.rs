//! What `taximeter serve` takes: spans a second that are acknowledged once they are in the journal, the CPU time of each,
//! the memory over time; how soon its page is there, when it is empty and when it is full.
//!
//! The binary itself is started, with a store in the working directory, and asked over loopback as any client would ask.
//! The load is a number of connections that each send the next request of 512 spans once the last one was acknowledged,
//! so it is bounded by what the server takes. Every trace, span, reply and time is a new one. What was acknowledged is
//! compared with what the store holds in the end.
//!
//! Options: `--binary PATH` (told by `cargo xtask bench server`), `--seconds N` of load (60), `--connections N` (4),
//! `--shape calls|agents` (calls: each span is an operation of its own, the dearest case), `--rate N` spans a second at
//! most, `--operations N` to go on until so many are stored, `--room FOLDER` for the store (the working directory),
//! `--json`. It reads `/proc`, and so runs on Linux alone.

mod client;
#[path = "../../telemetry/src/input.rs"]
#[allow(dead_code, reason = "the bench of telemetry needs more of it")]
mod input;
mod load;
mod process;
mod screen;
mod stamp;

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::input::Shape;
use crate::process::Served;

/// What is asked for.
struct Options {
    binary: PathBuf,
    room: PathBuf,
    seconds: u64,
    connections: usize,
    shape: Shape,
    rate: Option<u64>,
    operations: u64,
    json: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    let folder = tempfile::tempdir_in(&options.room)?;
    let served = Served::start(&options.binary, folder.path())?;
    let page = served.first_page()?;
    std::thread::sleep(Duration::from_secs(2));
    let idle = served.looked_at();
    let size = std::fs::metadata(&options.binary)?.len();
    say(
        options.json,
        &serde_json::json!({
            "what": "start", "first_page_ms": millis(page), "idle_rss_mb": megabytes(idle.rss),
            "binary_mb": megabytes(size),
        }),
        &format!(
            "start to first page {:.0} ms; idle {:.1} MB; binary {:.1} MB as built",
            millis(page),
            megabytes(idle.rss),
            megabytes(size),
        ),
    );
    let sent = load::run(&served, &options)?;
    let begun = Instant::now();
    let stored = settled(&served, sent.operations)?;
    std::thread::sleep(Duration::from_secs(15));
    let after = served.looked_at();
    let lost = sent.operations.saturating_sub(stored);
    let seconds = begun.elapsed().as_secs_f64();
    say(
        options.json,
        &serde_json::json!({
            "what": "after", "acknowledged_operations": sent.operations, "stored_operations": stored,
            "lost": lost, "seconds_until_stored": seconds, "rss_mb": megabytes(after.rss),
            "rss_peak_mb": megabytes(after.peak), "store_mb": megabytes(served.bytes("taximeter.db")),
            "journal_mb": megabytes(served.bytes("taximeter.journal.db")),
        }),
        &format!(
            "acknowledged {} operations, stored {stored}, lost {lost}; idle again at {:.1} MB, at most {:.1} MB; store {:.0} MB, \
             journal {:.0} MB",
            sent.operations,
            megabytes(after.rss),
            megabytes(after.peak),
            megabytes(served.bytes("taximeter.db")),
            megabytes(served.bytes("taximeter.journal.db")),
        ),
    );
    screen::run(&served, stored, options.json)?;
    served.end();
    if !options.json {
        println!(
            "\nPeers on such a payload, measured apart: arize-phoenix 20.26 stores 100 to 127 spans/s and answers before it \
             stores, mlflow 3.17 stores 81 to 262."
        );
    }
    if lost > 0 {
        Err(format!("{lost} acknowledged operations are not in the store").into())
    } else {
        Ok(())
    }
}

/// Waits until the store holds as many operations as were acknowledged, or nothing comes any more.
fn settled(served: &Served, operations: u64) -> Result<u64, Box<dyn Error>> {
    let (mut last, mut moved) = (0, Instant::now());
    loop {
        let stored = served.json("/api/v1/health?since=all")?["operations"].as_u64().unwrap_or(0);
        if stored != last {
            (last, moved) = (stored, Instant::now());
        }
        if stored >= operations || moved.elapsed() > Duration::from_secs(90) {
            return Ok(stored);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn options() -> Result<Options, Box<dyn Error>> {
    let told = |name: &str| std::env::args().skip_while(|one| one != name).nth(1);
    let number = |name: &str| told(name).map(|text| text.parse::<u64>()).transpose();
    let quick = std::env::args().any(|one| one == "--quick");
    let shape = match told("--shape").as_deref() {
        None | Some("calls") => Shape::Calls,
        Some("agents") => Shape::Agents,
        Some(other) => return Err(format!("--shape {other}: expected calls or agents").into()),
    };
    Ok(Options {
        binary: told("--binary").ok_or("--binary PATH is needed: the binary `taximeter`")?.into(),
        room: told("--room").unwrap_or_else(|| ".".into()).into(),
        seconds: number("--seconds")?.unwrap_or(if quick { 10 } else { 60 }),
        connections: usize::try_from(number("--connections")?.unwrap_or(4))?.max(1),
        shape,
        rate: number("--rate")?,
        operations: number("--operations")?.unwrap_or(0),
        json: std::env::args().any(|one| one == "--json"),
    })
}

pub(crate) fn say(json: bool, document: &serde_json::Value, text: &str) {
    if json {
        println!("{document}");
    } else {
        println!("{text}");
    }
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
