//! `taximeter store`: looks after the store.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde::Serialize;
use taximeter::history::VERSION;
use taximeter::report::count;
use taximeter::store::{Store as _, StoreStats};

use crate::Ended;
use crate::context::Context;
use crate::draw::{Column, Grid, NONE, Screen, minute};

#[derive(Args)]
#[command(
    subcommand_required = true,
    after_help = "Examples:\n  \
    taximeter store stats\n  \
    taximeter store migrate --store data/metrics"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Says what is there, and what it takes
    Stats,
    /// Brings a store of an older version to this one
    Migrate,
}

/// What is there.
#[derive(Debug, Serialize)]
struct Stats {
    taximeter_version: u32,
    document: &'static str,
    store: PathBuf,
    operations: u64,
    hot_operations: u64,
    sealed_operations: u64,
    first_at: Option<DateTime<Utc>>,
    last_at: Option<DateTime<Utc>>,
    rollups: u64,
    bytes: u64,
    sealed_bytes: u64,
    bytes_per_operation: Option<u64>,
    known_again: u64,
}

pub(crate) fn run(
    arguments: &Arguments,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    match arguments.command {
        Command::Stats => {}
        // A store of an older version is brought to this one when it is opened for writing.
        Command::Migrate => drop(context.writable(false)?),
    }
    let store = context.sqlite()?;
    let stats = Stats::of(store.path().to_owned(), &store.stats()?);
    context.print(output, &stats, draw)?;
    Ok(Ended::Done)
}

impl Stats {
    fn of(store: PathBuf, stats: &StoreStats) -> Self {
        let at = |nanos: Option<i64>| nanos.map(DateTime::from_timestamp_nanos);
        let operations = stats.hot_operations + stats.sealed_operations;
        Self {
            taximeter_version: VERSION,
            document: "store",
            store,
            operations,
            hot_operations: stats.hot_operations,
            sealed_operations: stats.sealed_operations,
            first_at: at(stats.first_ns),
            last_at: at(stats.last_ns),
            rollups: stats.rollups,
            bytes: stats.bytes,
            sealed_bytes: stats.sealed_bytes,
            bytes_per_operation: stats.bytes.checked_div(operations),
            known_again: stats.known,
        }
    }
}

fn draw(screen: &mut Screen, stats: &Stats) {
    screen.heading(&stats.store.display().to_string());
    let at = |at: Option<DateTime<Utc>>| at.map_or_else(|| NONE.into(), minute);
    let mut grid = Grid::new([Column::name(""), Column::number("", 0)]);
    grid.row(["operations".into(), count(stats.operations)]);
    grid.row(["  in rows".into(), count(stats.hot_operations)]);
    grid.row(["  in sealed columns".into(), count(stats.sealed_operations)]);
    grid.row(["the first began (UTC)".into(), at(stats.first_at)]);
    grid.row(["the last began (UTC)".into(), at(stats.last_at)]);
    grid.row(["sums of minutes, hours, days".into(), count(stats.rollups)]);
    grid.row(["bytes".into(), count(stats.bytes)]);
    grid.row(["  of sealed columns".into(), count(stats.sealed_bytes)]);
    let each = stats.bytes_per_operation.map_or_else(|| NONE.into(), count);
    grid.row(["  an operation".into(), each]);
    grid.row(["came again, and count once".into(), count(stats.known_again)]);
    screen.grid(&grid);
}
