//! What `taximeter serve` takes: spans a second that are acknowledged once they are in the journal, the CPU time of each,
//! the memory over time; how soon its page is there, when it is empty and when it is full.
//!
//! The binary itself is started, with a store in the working directory, and asked over loopback as any client would ask.
//! The load is a number of connections that each send the next request of 512 spans once the last one was acknowledged,
//! so it is bounded by what the server takes. Every trace, span, reply and time is a new one. What was acknowledged is
//! compared with what the store holds in the end.
//!
//! Options: `--binary PATH` (told by `cargo xtask bench server`), `--seconds N` of load (60; 0 for none), `--connections N`
//! (4), `--shape calls|agents` (calls: each span is an operation of its own, the dearest case), `--rate N` spans a second at
//! most, `--operations N` to go on until so many are stored, `--room FOLDER` for the store (the working directory),
//! `--json`. It looks twenty times and tells of each tenth in the end: `--seconds 600` prints the memory each half minute.
//!
//! `--slow N` keeps N connections that send a byte now and then, and N that say nothing, for as long as the load lasts.
//! `--fill N` first stores N operations, spread over the last `--days N` (30), starts anew and asks for the pages over these
//! before the load begins; where there is a Chromium, it visits the first screen as well. It reads `/proc`, and so runs on
//! Linux alone.

mod browser;
mod client;
mod crowd;
#[path = "../../telemetry/src/input.rs"]
#[allow(dead_code, reason = "the bench of telemetry needs more of it")]
mod input;
mod load;
mod process;
mod screen;
mod stamp;
mod tenths;

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
    /// So many slow connections, and as many silent ones.
    slow: usize,
    /// So many operations are stored before the load, over so many days.
    fill: u64,
    days: u64,
    json: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    let folder = tempfile::tempdir_in(&options.room)?;
    let mut served = Served::start(&options.binary, folder.path())?;
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
    let mut acknowledged = 0;
    if options.fill > 0 {
        acknowledged += load::fill(&served, &options)?;
        let stored = settled(&served, acknowledged)?;
        // What it remembers of filling it, one that begins does not.
        served.end();
        served = Served::start(&options.binary, folder.path())?;
        let page = served.first_page()?;
        say(
            options.json,
            &serde_json::json!({"what": "start again", "operations": stored, "first_page_ms": millis(page)}),
            &format!("start to first page over {stored} operations {:.0} ms", millis(page)),
        );
        screen::run(&served, stored, options.days, options.json);
        browser::run(&served, options.days, options.json)?;
    }
    if options.seconds > 0 || options.operations > 0 {
        let crowd = crowd::Crowd::gather(served.otlp, options.slow);
        acknowledged += load::run(&served, &options)?;
        crowd.disperse(options.json);
    }
    let begun = Instant::now();
    let stored = settled(&served, acknowledged)?;
    std::thread::sleep(Duration::from_secs(15));
    let after = served.looked_at();
    let lost = acknowledged.saturating_sub(stored);
    let seconds = begun.elapsed().as_secs_f64();
    say(
        options.json,
        &serde_json::json!({
            "what": "after", "acknowledged_operations": acknowledged, "stored_operations": stored,
            "lost": lost, "seconds_until_stored": seconds, "rss_mb": megabytes(after.rss),
            "rss_peak_mb": megabytes(after.peak), "store_mb": megabytes(served.bytes("taximeter.db")),
            "journal_mb": megabytes(served.bytes("taximeter.journal.db")),
        }),
        &format!(
            "acknowledged {acknowledged} operations, stored {stored}, lost {lost}; idle again at {:.1} MB, at most {:.1} MB; store {:.0} MB, \
             journal {:.0} MB",
            megabytes(after.rss),
            megabytes(after.peak),
            megabytes(served.bytes("taximeter.db")),
            megabytes(served.bytes("taximeter.journal.db")),
        ),
    );
    screen::run(&served, stored, 1, options.json);
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
        slow: usize::try_from(number("--slow")?.unwrap_or(0))?,
        fill: number("--fill")?.unwrap_or(0),
        days: number("--days")?.unwrap_or(30).max(1),
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
