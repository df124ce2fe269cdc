//! `cargo xtask demo`: a real RAG application is metered, and then the meter is read aloud.

mod charts;
mod document;
mod live;
mod questions;
mod screen;

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use taximeter::Meter;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The folder of Markdown files to ask [default: the docs of this repository]
    #[arg(long, value_name = "DIR")]
    docs: Option<PathBuf>,
    /// How many questions to ask
    #[arg(long, default_value_t = 300, value_name = "N")]
    questions: usize,
    /// How many threads ask
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: u16,
    /// What the questions and the faults of the stand-in follow from
    #[arg(long, default_value_t = 7, value_name = "SEED")]
    seed: u64,
    /// Print one JSON document instead of the screen
    #[arg(long)]
    json: bool,
    /// No colour, also on a terminal
    #[arg(long)]
    plain: bool,
}

/// Runs the demo.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    let meter = Meter::builder().data_dir(crate::root().join("data/metrics")).build()?;
    let docs = arguments.docs.clone().unwrap_or_else(|| crate::root().join("docs"));
    let asked = questions::ask(arguments, &docs, &meter)?;
    let live = live::run(&meter)?;
    let saved = Saved::save(&meter)?;
    let seen = Seen { meter, asked, live, saved, took: begun.elapsed() };
    if arguments.json {
        println!("{:#}", document::document(&seen));
    } else {
        print!("{}", screen::screen(&seen, screen::style(arguments.plain)));
    }
    Ok(())
}

/// All that the demo has to show.
struct Seen {
    meter: Meter,
    asked: questions::Asked,
    live: live::Live,
    saved: Saved,
    took: Duration,
}

/// The session on disk.
struct Saved {
    path: PathBuf,
    bytes: u64,
    /// Whether what was loaded is what was saved.
    equal: bool,
}

impl Saved {
    fn save(meter: &Meter) -> Result<Self, Box<dyn Error>> {
        let session = meter.session();
        let path = meter.save(None)?.ok_or("persistence is switched off")?;
        let loaded = meter.load_path(&path)?;
        // The session ends with the moment at which it is looked at, so that is all that may differ.
        let equal = loaded.operations == session.operations && loaded.totals() == session.totals();
        let bytes = std::fs::metadata(&path)?.len();
        Ok(Self { path, bytes, equal })
    }
}
