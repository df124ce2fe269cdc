//! `cargo xtask prices report`: what would be decided, as Markdown, without a book being written.

use std::error::Error;
use std::path::PathBuf;

use clap::Args;

use super::import::Tables;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    tables: Tables,
    /// Where to write the report; standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let text = taximeter_sources::report::markdown(&arguments.tables.merged()?);
    match &arguments.out {
        Some(path) => std::fs::write(path, text)?,
        None => print!("{text}"),
    }
    Ok(())
}
