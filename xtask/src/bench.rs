//! `cargo xtask bench`: what taximeter costs, beside its peers in the same run.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Recording an operation, beside fastrace, OpenTelemetry, tracing and metrics
    Collector {
        /// Write JSON, an object a line
        #[arg(long)]
        json: bool,
        /// Fewer rounds
        #[arg(long)]
        quick: bool,
    },
    /// False alarms and missed changes of the analysis, and its speed beside DuckDB and polars
    Analysis {
        /// Write JSON, an object a line
        #[arg(long)]
        json: bool,
        /// A tenth of the series and rows
        #[arg(long)]
        quick: bool,
    },
    /// Keeping operations: appending and sealing, bytes, speed, and questions beside DuckDB on Parquet
    Store {
        /// Write JSON, an object a line
        #[arg(long)]
        json: bool,
        /// A tenth of the operations
        #[arg(long)]
        quick: bool,
        /// Stores of ten million operations, which takes some gigabytes and many minutes
        #[arg(long, conflicts_with = "quick")]
        large: bool,
    },
    /// Reading OTLP and spans of tracing, beside prost and tracing-opentelemetry
    Telemetry {
        /// Write JSON, an object a line
        #[arg(long)]
        json: bool,
        /// Fewer rounds
        #[arg(long)]
        quick: bool,
    },
    /// `taximeter serve` under load: spans a second acknowledged, CPU of each, memory, pages; options as the bench's `main.rs`
    /// tells them
    Server {
        /// What is handed on, such as `--seconds 600 --shape agents`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Looking up prices, beside the crate genai-prices
    Prices {
        /// Write JSON, an object a line
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(task: &Task) -> Result<(), Box<dyn Error>> {
    match task {
        Task::Collector { json, quick } => {
            measure("collector", &[("--json", *json), ("--quick", *quick)])
        }
        Task::Analysis { json, quick } => {
            measure("analysis", &[("--json", *json), ("--quick", *quick)])
        }
        Task::Store { json, quick, large } => {
            measure("store", &[("--json", *json), ("--quick", *quick), ("--large", *large)])
        }
        Task::Telemetry { json, quick } => {
            measure("telemetry", &[("--json", *json), ("--quick", *quick)])
        }
        Task::Server { options } => {
            let mut options = options.clone();
            options.extend(["--binary".to_owned(), binary()?.display().to_string()]);
            start("server", &options)
        }
        Task::Prices { json } => measure("prices", &[("--json", *json)]),
    }
}

/// The command line as it is published, built beside the benches.
fn binary() -> Result<PathBuf, Box<dyn Error>> {
    let target = crate::root().join("target/benches");
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--release", "--quiet", "--locked", "--package", "taximeter-cli"]);
    command.arg("--target-dir").arg(&target).current_dir(crate::root());
    let status = command.status()?;
    let binary = target.join("release").join(format!("taximeter{}", std::env::consts::EXE_SUFFIX));
    if status.success() { Ok(binary) } else { Err("the command line cannot be built".into()) }
}

/// Builds and runs a bench.
fn measure(name: &str, options: &[(&str, bool)]) -> Result<(), Box<dyn Error>> {
    let asked = options.iter().filter(|(_, asked)| *asked);
    start(name, &asked.map(|(option, _)| (*option).to_owned()).collect::<Vec<_>>())
}

fn start(name: &str, options: &[String]) -> Result<(), Box<dyn Error>> {
    // A bench may start another program of its own.
    cargo("build", name, &["--bins".to_owned()])?;
    cargo("run", name, &[&["--".to_owned()][..], options].concat())
}

/// Runs cargo for a bench, which is a workspace of its own, so that nobody who only tests builds the peers.
fn cargo(task: &str, name: &str, options: &[String]) -> Result<(), Box<dyn Error>> {
    let manifest = crate::root().join("xtask/benches").join(name).join("Cargo.toml");
    let mut command = Command::new(env!("CARGO"));
    command.args([task, "--release", "--quiet", "--locked", "--manifest-path"]).arg(manifest);
    command.arg("--target-dir").arg(crate::root().join("target/benches"));
    command.args(options);
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("the bench {name} failed: {status}").into()) }
}
