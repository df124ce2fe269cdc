//! `cargo xtask prices`: from the public price tables to the price book.

mod diff;
mod import;
mod pack;
mod report;
mod verify;

use std::error::Error;

use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Reads price tables and writes a book that `taximeter price --book` takes
    Import(Box<import::Arguments>),
    /// Shows what changed from one book to another; fails where a name vanished
    Diff(diff::Arguments),
    /// Checks the embedded book, or another: its table, the names of the price tables, calls with known costs
    Verify(Box<verify::Arguments>),
    /// Writes down where price tables differ, what is taken, and what is left out
    Report(Box<report::Arguments>),
    /// Makes the compact table that is compiled in from `crates/pricing/data/book.json`
    Pack,
}

pub(crate) fn run(task: &Task) -> Result<(), Box<dyn Error>> {
    match task {
        Task::Import(arguments) => import::run(arguments),
        Task::Diff(arguments) => diff::run(arguments),
        Task::Verify(arguments) => verify::run(arguments),
        Task::Report(arguments) => report::run(arguments),
        Task::Pack => pack::run(),
    }
}

/// The book in a file; `embedded` is the one that is compiled in.
fn open(book: &str) -> Result<taximeter::PriceBook, Box<dyn Error>> {
    match book {
        "embedded" => Ok(taximeter::PriceBook::embedded().clone()),
        path => Ok(taximeter::PriceBook::from_file(std::path::Path::new(path))?),
    }
}
