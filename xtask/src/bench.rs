//! `cargo xtask bench`: what taximeter costs, beside its peers in the same run.

use std::error::Error;
use std::process::Command;

use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Looking up prices, beside the crate genai-prices
    Prices {
        /// Write JSON, an object a line
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(task: &Task) -> Result<(), Box<dyn Error>> {
    match task {
        Task::Prices { json } => measure("prices", *json),
    }
}

/// Builds and runs a bench, which is a workspace of its own, so that nobody who only tests builds the peers.
fn measure(name: &str, json: bool) -> Result<(), Box<dyn Error>> {
    let manifest = crate::root().join("xtask/benches").join(name).join("Cargo.toml");
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--release", "--quiet", "--locked", "--manifest-path"]).arg(manifest);
    command.arg("--target-dir").arg(crate::root().join("target/benches"));
    if json {
        command.args(["--", "--json"]);
    }
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("the bench {name} failed: {status}").into()) }
}
