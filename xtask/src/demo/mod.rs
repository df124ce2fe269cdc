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
use taximeter::{Meter, Settings, SystemMetrics, SystemSampler};
use taximeter_demo::RagConfig;

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
    let mut system = SystemSampler::new();
    system.sample();
    let meter = meter()?;
    let docs = arguments.docs.clone().unwrap_or_else(|| crate::root().join("docs"));
    let asked = questions::ask(arguments, &docs, &meter)?;
    let system = system.sample();
    let live = live::run(&meter)?;
    let saved = Saved::save(&meter)?;
    let seen = Seen { meter, asked, live, system, saved, took: begun.elapsed() };
    if arguments.json {
        println!("{:#}", document::document(&seen));
    } else {
        print!("{}", screen::screen(&seen, screen::style(arguments.plain)));
    }
    Ok(())
}

/// So many times is the stand-in as fast as a real LLM, and so are the thresholds.
const FASTER: f64 = 10.0;

/// The meter of the demo, with the settings of the environment.
fn meter() -> Result<Meter, Box<dyn Error>> {
    let mut settings = Settings::load()?;
    if RagConfig::from_env("").is_none() {
        let thresholds = &mut settings.thresholds;
        thresholds.named.values_mut().for_each(|seconds| *seconds /= FASTER);
        thresholds.operation_seconds /= FASTER;
        thresholds.component_seconds /= FASTER;
    }
    Ok(Meter::builder().settings(settings).data_dir(crate::root().join("data/metrics")).build()?)
}

/// All that the demo has to show.
struct Seen {
    meter: Meter,
    asked: questions::Asked,
    live: live::Live,
    /// The machine, with its CPUs over the time of the questions.
    system: SystemMetrics,
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
