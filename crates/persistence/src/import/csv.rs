//! Reading our table of operations as CSV: flat, so that an operation has one call with its sums.

mod beside;

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use csv::{ByteRecord, Reader, ReaderBuilder};
use taximeter_models::{
    CostOutcome, LlmCall, Metadata, Money, Name, OperationRecord, Outcome, TokenUsage,
};

pub(crate) use self::beside::Beside;
use super::error::{ImportError, Why};
use super::frame::Place;
use super::id::operation_id;
use super::json::{moment, shortened};
use super::output::Output;
use super::parts::reported;
use super::{Format, Source};
use crate::export::csv::unguarded;

/// Reads a row each.
pub(crate) struct CsvRows {
    reader: Reader<Metered>,
    names: Vec<String>,
    row: ByteRecord,
    /// Where the part of the file begins that the reader sees.
    base: Place,
    limit: usize,
    left: Rc<Cell<usize>>,
    /// The tables of parts that go with it.
    beside: Vec<Beside>,
}

/// A stream of which no more than so much is read at a time. A quote that is never closed would fill the memory.
struct Metered {
    inner: Box<dyn BufRead>,
    left: Rc<Cell<usize>>,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        let most = buffer.len().min(left);
        let read = self.inner.read(&mut buffer[..most])?;
        self.left.set(left - read);
        Ok(read)
    }
}

impl CsvRows {
    /// Reads the names of the columns.
    pub(crate) fn new(
        inner: Box<dyn BufRead>,
        limit: usize,
        path: Option<&Path>,
    ) -> Result<Self, ImportError> {
        let mut rows = Self::over(inner, limit, Place::START);
        rows.refill();
        let failed = |error: csv::Error| ImportError::io("reading it", path)(error.into());
        rows.reader.read_byte_record(&mut rows.row).map_err(failed)?;
        rows.names = names(&rows.row);
        rows.refuse_parts(path)?;
        Ok(rows)
    }

    /// Rows of the tables of parts name their operation, and would be taken for it.
    fn refuse_parts(&self, path: Option<&Path>) -> Result<(), ImportError> {
        let has = |column: &str| self.names.iter().any(|name| name == column);
        let is_of_parts = ["tool_name", "request_model", "component"].into_iter().any(has);
        if is_of_parts && has("operation_id") {
            return Err(ImportError::Unsupported {
                path: path.map(Into::into),
                format: Format::Csv,
                what: "of this kind holds parts of operations: it is read beside these (--beside); or export as jsonl",
            });
        }
        Ok(())
    }

    /// With the tables of parts that were exported beside it.
    pub(crate) fn with(mut self, beside: Vec<Beside>) -> Self {
        self.beside = beside;
        self
    }

    /// Goes on in another stream of the same file that stands at that place.
    pub(crate) fn resume(self, inner: Box<dyn BufRead>, place: Place) -> Self {
        Self { names: self.names, ..Self::over(inner, self.limit, place) }
    }

    fn over(inner: Box<dyn BufRead>, limit: usize, base: Place) -> Self {
        let left = Rc::new(Cell::new(0));
        let metered = Metered { inner, left: Rc::clone(&left) };
        let reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(metered);
        let (names, row, beside) = (Vec::new(), ByteRecord::new(), Vec::new());
        Self { reader, names, row, base, limit, left, beside }
    }

    fn refill(&mut self) {
        self.left.set(room(self.limit));
    }
}

/// How much may be read for a row: the reader takes a buffer at once, in which several may be.
const fn room(limit: usize) -> usize {
    limit.saturating_add(1 << 16)
}

impl Source for CsvRows {
    fn advance(&mut self, out: &mut Output) -> Result<bool, ImportError> {
        self.refill();
        let place = self.place();
        match self.reader.read_byte_record(&mut self.row) {
            Ok(false) => {
                for table in &mut self.beside {
                    if let Some(why) = table.end()? {
                        out.reject(place, why);
                    }
                }
                return Ok(false);
            }
            Ok(true) => match record(&self.names, &self.row) {
                Ok(mut record) => {
                    for table in &mut self.beside {
                        for why in table.attach(&mut record)? {
                            out.reject(place, why);
                        }
                    }
                    out.record(record);
                }
                Err(why) => out.reject(place, why),
            },
            Err(error) => {
                let error = match error.into_kind() {
                    csv::ErrorKind::Io(error) => error,
                    other => io::Error::other(format!("{other:?}")),
                };
                if error.kind() != io::ErrorKind::FileTooLarge {
                    return Err(ImportError::io("reading it", out.path.as_deref())(error));
                }
                // What follows is within the row, as far as quotes can tell.
                out.reject(place, Why::TooLong { limit: self.limit });
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn place(&self) -> Place {
        let position = self.reader.position();
        Place {
            line: self.base.line + position.line() - 1,
            offset: self.base.offset + position.byte(),
            index: self.base.index + position.record(),
        }
    }

    fn restart(&self) -> Place {
        self.place()
    }
}

/// The names of the columns.
fn names(head: &ByteRecord) -> Vec<String> {
    let text = |name: &[u8]| {
        String::from_utf8_lossy(name).trim().trim_start_matches('\u{feff}').to_owned()
    };
    head.iter().map(text).collect()
}

/// A row by the names of its columns.
struct Row<'a> {
    names: &'a [String],
    cells: &'a ByteRecord,
}

impl<'a> Row<'a> {
    fn text(&self, name: &str) -> Result<Option<&'a str>, Why> {
        let Some(at) = self.names.iter().position(|known| known == name) else { return Ok(None) };
        let text = std::str::from_utf8(self.cells.get(at).unwrap_or_default())
            .map_err(|_| Why::Unreadable(format!("{name} is not UTF-8")))?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    fn read<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Why> {
        let wrong = |text| Why::DoesNotFit(format!("{name} cannot be {:?}", shortened(text)));
        self.text(name)?.map(|text| text.parse().map_err(|_| wrong(text))).transpose()
    }

    fn json<T: serde::de::DeserializeOwned + Default>(&self, name: &str) -> Result<T, Why> {
        let text = self.text(name)?;
        let value = text.map(serde_json::from_str).transpose();
        value
            .map(Option::unwrap_or_default)
            .map_err(|error| Why::DoesNotFit(format!("{name}: {error}")))
    }

    fn name(&self, name: &str) -> Result<Option<Name>, Why> {
        Ok(self.text(name)?.map(unguarded).map(Into::into))
    }

    fn count(&self, name: &str) -> Result<u64, Why> {
        Ok(self.read(name)?.unwrap_or_default())
    }
}

fn record(names: &[String], cells: &ByteRecord) -> Result<OperationRecord, Why> {
    let row = Row { names, cells };
    let name = row.name("operation_name")?.ok_or_else(|| missing("operation_name"))?;
    let mut record = OperationRecord::new(name);
    record.started_at = started_at(&row)?;
    record.duration = Duration::from_nanos(row.count("duration_ns")?);
    record.id = match row.read("operation_id")? {
        Some(id) => id,
        None => operation_id(record.started_at, &["csv", &record.name, &row_text(cells)]),
    };
    record.trace_id = row.read("trace_id")?.unwrap_or_else(|| record.id.into());
    record.parent = row.read("parent_id")?;
    record.remote_parent = row.read("remote_parent_id")?;
    record.outcome = outcome(&row)?;
    record.user = row.name("user")?;
    record.session = row.name("session")?;
    record.tags = row.json("tags")?;
    record.metadata = row.json::<Metadata>("metadata")?;
    record.unlisted_errors = row.count("error_count")?;
    record.unlisted_warnings = row.count("warning_count")?;
    record.llm_calls = llm_call(&row)?.into_iter().collect();
    Ok(record)
}

fn missing(column: &str) -> Why {
    Why::DoesNotFit(format!("the column `{column}` is empty or missing"))
}

fn started_at(row: &Row<'_>) -> Result<DateTime<Utc>, Why> {
    let text = row
        .text("started_at")?
        .ok_or(Why::NoTime("the column `started_at` is empty or missing"))?;
    moment(text)
        .ok_or_else(|| Why::DoesNotFit(format!("started_at cannot be {:?}", shortened(text))))
}

fn outcome(row: &Row<'_>) -> Result<Outcome, Why> {
    match row.text("outcome")? {
        None | Some("success") => Ok(Outcome::Success),
        Some("failure") => Ok(Outcome::Failure),
        Some("abandoned") => Ok(Outcome::Abandoned),
        Some(other) => Err(Why::DoesNotFit(format!("outcome cannot be {:?}", shortened(other)))),
    }
}

/// The one call that stands for all, where there was one. Several LLMs or providers have no name in common.
fn llm_call(row: &Row<'_>) -> Result<Option<LlmCall>, Why> {
    let (input, output) = (row.count("input_tokens")?, row.count("output_tokens")?);
    let one = |name: Option<Name>| name.filter(|name| !name.contains(';'));
    let model = one(row.name("model")?);
    if row.read::<u64>("llm_calls")? == Some(0) || (model.is_none() && input + output == 0) {
        return Ok(None);
    }
    let mut call = LlmCall::default();
    call.provider = one(row.name("provider")?);
    call.request_model = model.filter(|model| *model != *"unknown");
    let usage = TokenUsage::inclusive(input, output)
        .cache_read(row.count("cache_read_tokens")?)
        .cache_write(row.count("cache_write_tokens")?)
        .reasoning(row.count("reasoning_tokens")?);
    call.usage = Some(usage.build()?);
    if let Some(total) = row.read::<Money>("cost_usd")? {
        call.cost = CostOutcome::Recorded(reported(total));
    }
    Ok(Some(call))
}

/// All of a row: what names it where it has no id.
fn row_text(cells: &ByteRecord) -> String {
    let cells: Vec<_> = cells.iter().map(String::from_utf8_lossy).collect();
    cells.join("\u{1f}")
}
