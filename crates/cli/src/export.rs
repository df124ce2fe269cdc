//! `taximeter export`: records of the store as JSON lines, a session document, or tables.

use std::error::Error;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use taximeter::export::{ExportFormat, ExportOptions, ExportTable};
use taximeter::history::History;
use taximeter::store::{Block, Query, Table};
use taximeter::{OperationRecord, Session};

use crate::Ended;
use crate::context::Context;
use crate::select::{PeriodArguments, Which};
use crate::shield;

#[derive(Args)]
#[command(
    after_help = "JSON lines and session documents hold everything, and are imported again as they were. CSV is flat: a row for \
    each operation, tool call, LLM call or component.\n\n\
    Examples:\n  \
    taximeter export --since all > operations.jsonl\n  \
    taximeter export --format csv --since 7d --output week.csv\n  \
    taximeter export --since all --output all.jsonl --resume\n  \
    taximeter export --format csv --table llm_calls --since 7d > calls.csv\n  \
    taximeter export --format json --session s1 --since all --output session.json"
)]
pub(crate) struct Arguments {
    /// As what
    #[arg(long, value_enum, default_value = "jsonl")]
    format: As,
    /// Which table, of CSV: operations, `tool_calls`, `llm_calls`, components
    #[arg(long, default_value = "operations")]
    table: ExportTable,
    /// Into this file, which is there when all is written [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file where it is there
    #[arg(long, requires = "output")]
    overwrite: bool,
    /// Keep how far it came beside the file, and go on there where the same export was broken off; JSON lines and CSV
    #[arg(long, requires = "output")]
    resume: bool,
    #[command(flatten)]
    which: Which,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum As {
    /// One operation a line, as in a session document
    Jsonl,
    /// One session document
    Json,
    /// A table
    Csv,
    /// The operations as Parquet, where it was built with that feature
    Parquet,
}

const NO_RESUME: &str = "exporting as one session document: its totals stand before its operations, so that it cannot be gone on \
    with; --format jsonl can";
const NO_PARQUET: &str = "exporting as Parquet: this taximeter was built without it; \
    cargo install taximeter-cli --features parquet gives one that has it, and --format jsonl loses nothing either";

pub(crate) fn run(
    arguments: &Arguments,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let (period, only) = arguments.which.read(context.now)?;
    let mut query = only.query(period);
    let history = context.history()?;
    let format = match arguments.format {
        As::Jsonl => ExportFormat::Jsonl,
        As::Csv => ExportFormat::Csv(arguments.table),
        As::Parquet if cfg!(not(feature = "parquet")) => return Err(NO_PARQUET.into()),
        As::Parquet => ExportFormat::Parquet,
        As::Json if arguments.resume => return Err(NO_RESUME.into()),
        As::Json => return session(arguments, context, &history, &query, output),
    };
    let options = ExportOptions::new(format).overwrite(arguments.overwrite);
    let mut exporter = match &arguments.output {
        Some(path) if arguments.resume => options.resume(path, &words(arguments, &query))?,
        Some(path) => options.create(path)?,
        None => options.write_to(context.raw(output))?,
    };
    let before = exporter.mark();
    query.since = query.since.max(before.map(|mark| mark.started_at));
    let bar = arguments.output.as_ref().map(|_| bar(context, &history, &query)).transpose()?;
    let damaged = each(&history, &query, |record| {
        if let Some(bar) = &bar {
            bar.inc(1);
        }
        if before.is_none_or(|mark| mark.is_before(record)) {
            exporter.write(record)?;
        }
        Ok(())
    })?;
    exporter.finish()?;
    bar.iter().for_each(ProgressBar::finish_and_clear);
    Ok(ended(damaged))
}

/// What is exported, so that an export goes on with one of the same alone. A period is meant as it is written: that of an
/// export that goes on later ends later too.
fn words(arguments: &Arguments, query: &Query) -> String {
    let PeriodArguments { since, until } = &arguments.which.period;
    format!("{since} {until:?} {:?}", query.conditions)
}

/// A bar on a terminal, and nothing elsewhere.
fn bar(context: &Context, history: &History, query: &Query) -> Result<ProgressBar, Box<dyn Error>> {
    if !context.progress || context.json {
        return Ok(ProgressBar::hidden());
    }
    let none = &mut |_: &Block<'_>| ControlFlow::Continue(());
    let counted = history.store().columns(Table::Operations, query, &[], none)?;
    let bar = ProgressBar::new(counted.shown);
    let template = "{bar:30} {percent:>3} % {human_pos}/{human_len} operations, {eta} to go";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(250));
    Ok(bar)
}

fn ended(damaged: u64) -> Ended {
    if damaged > 0 { Ended::SomeRowsUnread } else { Ended::Done }
}

/// A document has its totals before its end, so that its operations are held.
fn session(
    arguments: &Arguments,
    context: &Context,
    history: &History,
    query: &Query,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let mut session = Session::new("export", query.since.unwrap_or_default());
    let bar = arguments.output.as_ref().map(|_| bar(context, history, query)).transpose()?;
    let damaged = each(history, query, |record| {
        if let Some(bar) = &bar {
            bar.inc(1);
        }
        session.operations.push(record.clone());
        Ok(())
    })?;
    if let Some(first) = session.operations.first() {
        session.started_at = first.started_at;
    }
    bar.iter().for_each(ProgressBar::finish_and_clear);
    session.ended_at = session.operations.iter().map(OperationRecord::ended_at).max();
    let Some(path) = &arguments.output else {
        shield::print(output, &session)?;
        return Ok(ended(damaged));
    };
    if path.exists() && !arguments.overwrite {
        return Err(format!(
            "exporting to {}: it is there already; --overwrite replaces it",
            path.display()
        )
        .into());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut beside = tempfile::NamedTempFile::new_in(folder.unwrap_or(std::path::Path::new(".")))?;
    serde_json::to_writer_pretty(io::BufWriter::new(&mut beside), &session)?;
    beside.as_file().sync_all()?;
    beside.persist(path)?;
    Ok(ended(damaged))
}

/// Writes record after record, and says how many could not be read.
fn each(
    history: &History,
    query: &Query,
    mut write: impl FnMut(&OperationRecord) -> Result<(), Box<dyn Error>>,
) -> Result<u64, Box<dyn Error>> {
    let mut failed = None;
    let scanned = history.store().scan(query, &mut |record| match write(&record) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })?;
    failed.map_or(Ok(scanned.damaged), Err)
}
