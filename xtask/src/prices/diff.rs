//! `cargo xtask prices diff OLD NEW`: what changed.

use std::error::Error;
use std::io::Write;

use chrono::{NaiveDate, NaiveTime, Utc};
use clap::Args;
use taximeter_sources::diff::{difference, text};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The old book: a file, or `embedded`
    old: String,
    /// The new book: a file, or `embedded`
    new: String,
    /// The day whose prices are compared; that of the new book
    #[arg(long, value_name = "DATE")]
    at: Option<NaiveDate>,
    /// Write JSON
    #[arg(long)]
    json: bool,
    /// Do not fail where a name vanished
    #[arg(long)]
    allow_vanished: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let (old, new) = (super::open(&arguments.old)?, super::open(&arguments.new)?);
    let day = arguments.at.or(new.as_of()).unwrap_or_else(|| Utc::now().date_naive());
    let difference = difference(&old, &new, day.and_time(NaiveTime::MIN).and_utc());
    let output = if arguments.json {
        serde_json::to_string_pretty(&difference)? + "\n"
    } else {
        text(&difference)
    };
    // Who closes the pipe has read enough.
    let _ = std::io::stdout().write_all(output.as_bytes());
    match difference.vanished.len() {
        0 => Ok(()),
        _ if arguments.allow_vanished => Ok(()),
        names => Err(format!(
            "{names} names vanished; carry them over with `prices import --previous OLD`"
        )
        .into()),
    }
}
