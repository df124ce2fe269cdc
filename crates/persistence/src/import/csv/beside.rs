//! The tables of parts that an export wrote beside its operations: each row goes to its operation, which comes in the
//! same order.

use std::cell::Cell;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use csv::{ByteRecord, Reader, ReaderBuilder};
use taximeter_models::{
    ComponentTiming, CostOutcome, Currency, ErrorCategory, ErrorRecord, LlmCall, Money,
    OperationRecord, ReportedCost, TokenUsage, ToolCall, ToolStatus,
};

use super::{Metered, Row, moment, room, shortened};
use crate::export::ExportTable;
use crate::import::error::{ImportError, Why};

/// One table of parts, read as far as the operations were.
pub(crate) struct Beside {
    path: PathBuf,
    table: ExportTable,
    reader: Reader<Metered>,
    limit: usize,
    left: Rc<Cell<usize>>,
    names: Vec<String>,
    /// The row that waits for its operation; none at the end of the table.
    row: Option<ByteRecord>,
}

impl Beside {
    /// Opens a table of parts.
    pub(crate) fn open(path: &Path, limit: usize) -> Result<Self, ImportError> {
        let file = File::open(path).map_err(ImportError::io("opening it", Some(path)))?;
        let left = Rc::new(Cell::new(room(limit)));
        let metered = Metered { inner: Box::new(BufReader::new(file)), left: Rc::clone(&left) };
        let mut reader =
            ReaderBuilder::new().has_headers(false).flexible(true).from_reader(metered);
        let failed = |error: csv::Error| ImportError::io("reading it", Some(path))(error.into());
        let mut head = ByteRecord::new();
        reader.read_byte_record(&mut head).map_err(failed)?;
        let names = super::names(&head);
        let parts = [ExportTable::ToolCalls, ExportTable::LlmCalls, ExportTable::Components];
        let is = |table: &ExportTable| {
            // The first column that no other table has tells which one it is.
            let column = match table {
                ExportTable::ToolCalls => "tool_name",
                ExportTable::LlmCalls => "request_model",
                _ => "component",
            };
            names.iter().any(|name| name == column)
        };
        let Some(table) = parts.into_iter().find(is) else {
            let what = "a table of tool_calls, llm_calls or components was expected";
            return Err(ImportError::UnknownFormat { path: Some(path.into()), what });
        };
        let mut beside = Self { path: path.into(), table, reader, limit, left, names, row: None };
        beside.next()?;
        Ok(beside)
    }

    fn next(&mut self) -> Result<(), ImportError> {
        let mut row = self.row.take().unwrap_or_default();
        self.left.set(room(self.limit));
        let read = self.reader.read_byte_record(&mut row);
        let there =
            read.map_err(|error| ImportError::io("reading it", Some(&self.path))(error.into()))?;
        self.row = there.then_some(row);
        Ok(())
    }

    /// Gives an operation the rows that are its own, and what does not fit of them.
    pub(crate) fn attach(&mut self, record: &mut OperationRecord) -> Result<Vec<Why>, ImportError> {
        let mut wrong = Vec::new();
        let mut stood_for_all = std::mem::take(&mut record.llm_calls);
        let id = record.id.to_string();
        while let Some(cells) = &self.row {
            let row = Row { names: &self.names, cells };
            if row.text("operation_id").ok().flatten() != Some(id.as_str()) {
                break;
            }
            if let Err(why) = put(self.table, &row, record) {
                wrong.push(Why::DoesNotFit(format!("{} of operation {id}: {why}", self.table)));
            }
            self.next()?;
        }
        // Where the calls themselves are there, the one that has their sums goes.
        if self.table != ExportTable::LlmCalls || record.llm_calls.is_empty() {
            record.llm_calls.append(&mut stood_for_all);
        }
        Ok(wrong)
    }

    /// How many rows are left when all operations were read: they are of others, or the tables are of several exports.
    pub(crate) fn end(&mut self) -> Result<Option<Why>, ImportError> {
        let mut left = 0_u64;
        while self.row.is_some() {
            left += 1;
            self.next()?;
        }
        let why = format!(
            "{left} rows of {} are of no operation that followed; export all tables of the same operations",
            self.path.display()
        );
        Ok((left > 0).then_some(Why::DoesNotFit(why)))
    }
}

fn put(table: ExportTable, row: &Row<'_>, record: &mut OperationRecord) -> Result<(), Why> {
    match table {
        ExportTable::ToolCalls => record.tool_calls.push(tool_call(row)?),
        ExportTable::LlmCalls => record.llm_calls.push(llm_call(row)?),
        _ => record.components.push(component(row)?),
    }
    Ok(())
}

fn tool_call(row: &Row<'_>) -> Result<ToolCall, Why> {
    let all = [ToolStatus::Success, ToolStatus::Failure, ToolStatus::Timeout, ToolStatus::Error];
    let status = row.text("status")?.unwrap_or("success");
    let status = all.into_iter().find(|known| known.as_str() == status);
    let status = status.ok_or_else(|| wrong("status", row.text("status")))?;
    let name = row.name("tool_name")?.ok_or_else(|| super::missing("tool_name"))?;
    let mut call = ToolCall::new(name, status);
    call.started_at = instant(row)?;
    call.duration = nanos(row, "duration_ns")?;
    call.attempt = row.read("attempt")?.unwrap_or(1);
    call.error = error(row)?;
    call.metadata = row.json("metadata")?;
    if let Some(hash) = row.text("arguments_hash")? {
        let hash = u64::from_str_radix(hash, 16);
        call.arguments_hash =
            Some(hash.map_err(|_| wrong("arguments_hash", row.text("arguments_hash")))?);
    }
    Ok(call)
}

fn llm_call(row: &Row<'_>) -> Result<LlmCall, Why> {
    let mut call = LlmCall::default();
    call.provider = row.name("provider")?;
    call.request_model = row.name("request_model")?;
    call.response_model = row.name("response_model")?;
    call.started_at = instant(row)?;
    call.duration = nanos(row, "duration_ns")?;
    call.time_to_first_token = nanos(row, "time_to_first_token_ns")?;
    call.streamed = row.read("streamed")?.unwrap_or_default();
    call.attempt = row.read("attempt")?.unwrap_or(1);
    call.finish_reason = row.name("finish_reason")?;
    call.served_tier = row.name("served_tier")?;
    call.usage = row.json::<Option<TokenUsage>>("usage")?;
    call.error = error(row)?;
    call.metadata = row.json("metadata")?;
    call.cost = cost(row)?;
    Ok(call)
}

/// An amount without the lines that it was made of. What had no price, or was free, is priced again.
fn cost(row: &Row<'_>) -> Result<CostOutcome, Why> {
    let Some(total) = row.read::<Money>("cost")? else { return Ok(CostOutcome::Pending) };
    let currency = row.read("currency")?.unwrap_or(Currency::USD);
    let told = ReportedCost { total, input: None, output: None, currency };
    Ok(match row.text("cost_outcome")? {
        Some("provider_reported") => CostOutcome::ProviderReported(told),
        Some("priced" | "recorded") => CostOutcome::Recorded(told),
        _ => CostOutcome::Pending,
    })
}

fn component(row: &Row<'_>) -> Result<ComponentTiming, Why> {
    Ok(ComponentTiming {
        name: row.name("component")?.ok_or_else(|| super::missing("component"))?,
        offset: nanos(row, "offset_ns")?,
        duration: nanos(row, "duration_ns")?.unwrap_or_default(),
        count: row.read("count")?.unwrap_or(1),
    })
}

fn error(row: &Row<'_>) -> Result<Option<ErrorRecord>, Why> {
    let category: Option<ErrorCategory> = row.read("error_category")?;
    let message = row.text("error_message")?.map(super::unguarded);
    Ok(category.map(|category| ErrorRecord::new(category, message.unwrap_or_default())))
}

fn nanos(row: &Row<'_>, column: &str) -> Result<Option<Duration>, Why> {
    Ok(row.read(column)?.map(Duration::from_nanos))
}

fn instant(row: &Row<'_>) -> Result<Option<DateTime<Utc>>, Why> {
    let text = row.text("started_at")?;
    let read = |text| moment(text).ok_or_else(|| wrong("started_at", Ok(Some(text))));
    text.map(read).transpose()
}

fn wrong(column: &str, text: Result<Option<&str>, Why>) -> Why {
    let text = text.ok().flatten().unwrap_or_default();
    Why::DoesNotFit(format!("{column} cannot be {:?}", shortened(text)))
}
