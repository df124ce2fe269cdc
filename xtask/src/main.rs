//! The tasks of the workspace: `cargo xtask demo`, `prices`, `bench`, `check`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a task talks to the person who runs it"
)]

mod bench;
mod check;
mod demo;
mod prices;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The tasks of the taximeter workspace")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Runs a real RAG application over real files, metered, and shows what the meter has seen.
    ///
    /// `OPENAI_BASE_URL`, `OPENAI_API_KEY` and `OPENAI_MODEL` point it at a real server; without them it starts a
    /// stand-in on this machine.
    Demo(demo::Arguments),
    /// Reads the public price tables, and makes and checks the price book.
    #[command(subcommand)]
    Prices(prices::Task),
    /// Measures what taximeter costs, beside its peers in the same run.
    #[command(subcommand)]
    Bench(bench::Task),
    /// Runs formatter, linter, tests and documentation, as the continuous integration does.
    Check,
}

fn main() -> ExitCode {
    let result: Result<(), Box<dyn Error>> = match Arguments::parse().task {
        Task::Demo(arguments) => demo::run(&arguments),
        Task::Prices(task) => prices::run(&task),
        Task::Bench(task) => bench::run(&task),
        Task::Check => check::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            let causes = std::iter::successors(error.source(), |&cause| cause.source());
            causes.for_each(|cause| eprintln!("  because: {cause}"));
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or_else(|| here.clone(), Into::into)
}
