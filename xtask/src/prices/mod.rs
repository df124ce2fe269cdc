//! `cargo xtask prices`: from the public price tables to the price book.

mod import;
mod pack;

use std::error::Error;

use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Reads price tables and writes a book that `taximeter price --book` takes
    Import(import::Arguments),
    /// Makes the compact table that is compiled in from `crates/pricing/data/book.json`
    Pack,
}

pub(crate) fn run(task: &Task) -> Result<(), Box<dyn Error>> {
    match task {
        Task::Import(arguments) => import::run(arguments),
        Task::Pack => pack::run(),
    }
}
