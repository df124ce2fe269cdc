//! `taximeter export`: records of the store as JSON lines, a session document, or a table.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use taximeter::history::{History, Line, Period, Selection};
use taximeter::store::Query;
use taximeter::{OperationRecord, Session};

use crate::Ended;
use crate::context::Context;
use crate::select::{Filters, PeriodArguments};

#[derive(Args)]
#[command(
    after_help = "JSON lines and session documents hold everything, and are imported again as they were; CSV has a row for each \
    operation.\n\n\
    Examples:\n  \
    taximeter export --since all > operations.jsonl\n  \
    taximeter export --format csv --since 7d --output week.csv\n  \
    taximeter export --format json --session s1 --since all --output session.json"
)]
pub(crate) struct Arguments {
    /// As what
    #[arg(long, value_enum, default_value = "jsonl")]
    format: As,
    /// Into this file, which is replaced when all is written [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    period: PeriodArguments,
    #[command(flatten)]
    only: Filters,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum As {
    /// One operation a line, as in a session document
    Jsonl,
    /// One session document
    Json,
    /// A row for each operation
    Csv,
}

pub(crate) fn run(
    arguments: &Arguments,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let period = arguments.period.read(context.now)?;
    let only: Selection = arguments.only.read()?;
    let history = context.history()?;
    let Some(path) = &arguments.output else {
        return export(arguments.format, &history, &only, period, output);
    };
    // Whole or not at all: written beside its place first.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut beside = tempfile::NamedTempFile::new_in(folder.unwrap_or(std::path::Path::new(".")))?;
    let ended = {
        let mut file: BufWriter<&mut File> = BufWriter::new(beside.as_file_mut());
        let ended = export(arguments.format, &history, &only, period, &mut file)?;
        file.flush()?;
        ended
    };
    beside.as_file().sync_all()?;
    beside.persist(path)?;
    Ok(ended)
}

fn export(
    format: As,
    history: &History,
    only: &Selection,
    period: Period,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let query = only.query(period);
    let damaged = match format {
        As::Jsonl => each(history, &query, |record| {
            serde_json::to_writer(&mut *output, record)?;
            Ok(writeln!(output)?)
        })?,
        As::Csv => {
            let mut table = csv::Writer::from_writer(&mut *output);
            let damaged = each(history, &query, |record| Ok(table.serialize(Line::of(record))?))?;
            table.flush()?;
            damaged
        }
        As::Json => {
            // A document has its totals before its end: here the operations are held.
            let mut session = Session::new("export", period.since.unwrap_or_default());
            let damaged = each(history, &query, |record| {
                session.operations.push(record.clone());
                Ok(())
            })?;
            if let Some(first) = session.operations.first() {
                session.started_at = first.started_at;
            }
            session.ended_at = session.operations.iter().map(OperationRecord::ended_at).max();
            serde_json::to_writer_pretty(&mut *output, &session)?;
            writeln!(output)?;
            damaged
        }
    };
    Ok(if damaged > 0 { Ended::SomeRowsUnread } else { Ended::Done })
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
