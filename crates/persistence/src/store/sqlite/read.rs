//! Records on their way out of the tables of hot operations; [`write`](super::write) is the way in.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::Connection;
use taximeter_models::{
    ComponentTiming, ErrorCategory, ErrorRecord, LlmCall, Metadata, Name, OperationId,
    OperationRecord, Outcome, TokenUsage, ToolCall, ToolStatus, TraceId, Unit, Warning,
};

use super::cells::{Cells, Sum, Wrong, checked};
use super::more::{Far, MoreOfLlmCall, MoreOfOperation, MoreOfToolCall, parse};
use super::names::Texts;
use super::price;
use super::write::PARTS;

/// A hot operation as it was read: its record, or what is wrong with it.
pub(super) struct Read {
    pub(super) seq: i64,
    pub(super) record: Result<OperationRecord, Wrong>,
}

/// Reads the operations whose numbers are in a range, both ends included.
pub(super) fn range(
    connection: &Connection,
    texts: &mut Texts,
    (first, last): (i64, i64),
) -> rusqlite::Result<Vec<Read>> {
    let mut from = From { connection, texts };
    let heads = from.rows("operations", "seq", (first, last), 15, From::head)?;
    let Some(end) = heads.lines.iter().map(Line::end).max() else { return Ok(Vec::new()) };
    let parts = (first.saturating_mul(PARTS), end - 1);
    let mut components = from.rows("components", "part", parts, 5, From::component)?;
    let mut tool_calls = from.rows("tool_calls", "part", parts, 10, From::tool_call)?;
    let mut llm_calls = from.rows("llm_calls", "part", parts, 21, From::llm_call)?;
    let mut faults = from.rows("faults", "part", parts, 7, From::fault)?;
    let read = |head: Line<Head>| {
        let mut sum = heads.bytes[head.bytes.clone()].to_vec();
        let places = head.key * PARTS..head.end();
        // All are taken out before any of them is looked at: what is wrong with one operation is not so with the next.
        let parts = (
            components.within(&places, &mut sum),
            tool_calls.within(&places, &mut sum),
            llm_calls.within(&places, &mut sum),
            faults.within(&places, &mut sum),
        );
        Read { seq: head.key, record: head.value.and_then(|head| whole(head, parts, &sum)) }
    };
    Ok(heads.lines.into_iter().map(read).collect())
}

type Parts = (
    Result<Vec<ComponentTiming>, Wrong>,
    Result<Vec<(ToolCall, Begun)>, Wrong>,
    Result<Vec<(LlmCall, Begun)>, Wrong>,
    Result<Vec<Fault>, Wrong>,
);

/// When a call began, as it is kept: so long after its operation.
type Begun = Option<i64>;

fn whole(head: Head, parts: Parts, sum: &[u8]) -> Result<OperationRecord, Wrong> {
    let (components, tool_calls, llm_calls, faults) = parts;
    if checked(sum) != head.checked {
        return Err("it does not fit its checksum".into());
    }
    let Head { mut record, started_ns, .. } = head;
    let begun = |offset: i64| {
        let nanos = started_ns.checked_add(offset).ok_or("a call began at no time")?;
        Ok::<_, Wrong>(DateTime::from_timestamp_nanos(nanos))
    };
    record.components = components?;
    for (mut call, offset) in tool_calls? {
        call.started_at = offset.map(begun).transpose()?.or(call.started_at);
        record.tool_calls.push(call);
    }
    for (mut call, offset) in llm_calls? {
        call.started_at = offset.map(begun).transpose()?.or(call.started_at);
        record.llm_calls.push(call);
    }
    for fault in faults? {
        fault.put_into(&mut record)?;
    }
    Ok(record)
}

/// Rows of a table that were read in one go.
struct Lines<T> {
    lines: VecDeque<Line<T>>,
    /// The bytes over which the sums go.
    bytes: Vec<u8>,
}

struct Line<T> {
    /// The number of the operation, or of the part.
    key: i64,
    value: Result<T, Wrong>,
    bytes: Range<usize>,
}

impl Line<Head> {
    /// The number of the first part that does not belong to it any more.
    fn end(&self) -> i64 {
        let room = self.value.as_ref().map_or(1, |head| head.room);
        self.key.saturating_add(room).saturating_mul(PARTS)
    }
}

impl<T> Lines<T> {
    /// Takes the rows out whose numbers are in a range, and what has a lower number, which belongs to nothing.
    fn within(&mut self, places: &Range<i64>, sum: &mut Vec<u8>) -> Result<Vec<T>, Wrong> {
        let mut taken = Ok(Vec::new());
        while self.lines.front().is_some_and(|line| line.key < places.end) {
            let Some(line) = self.lines.pop_front() else { break };
            if line.key >= places.start {
                sum.extend(&self.bytes[line.bytes]);
                match (&mut taken, line.value) {
                    (Ok(taken), Ok(value)) => taken.push(value),
                    (Ok(_), Err(wrong)) => taken = Err(wrong),
                    (Err(_), _) => {}
                }
            }
        }
        taken
    }
}

struct Head {
    record: OperationRecord,
    started_ns: i64,
    room: i64,
    checked: i64,
}

/// An error or a warning, with the kind and place of what it belongs to.
struct Fault {
    kind: i64,
    place: usize,
    error: ErrorRecord,
}

impl Fault {
    fn put_into(self, record: &mut OperationRecord) -> Result<(), Wrong> {
        let (place, error) = (self.place, self.error);
        let gone = || Wrong::from("an error belongs to a call that is not there");
        match self.kind {
            0 => record.errors.push(error),
            1 => {
                let ErrorRecord { message, component, .. } = error;
                record.warnings.push(Warning { message, component });
            }
            2 => record.tool_calls.get_mut(place).ok_or_else(gone)?.error = Some(error),
            3 => record.llm_calls.get_mut(place).ok_or_else(gone)?.error = Some(error),
            other => return Err(format!("an error is of the kind {other}")),
        }
        Ok(())
    }
}

struct From<'c> {
    connection: &'c Connection,
    texts: &'c mut Texts,
}

impl From<'_> {
    fn rows<T>(
        &mut self,
        table: &str,
        key: &str,
        range: (i64, i64),
        summed: usize,
        decode: impl Fn(&mut Self, &mut Cells<'_>) -> Result<T, Wrong>,
    ) -> rusqlite::Result<Lines<T>> {
        let sql = format!("SELECT * FROM {table} WHERE {key} BETWEEN ?1 AND ?2 ORDER BY {key}");
        let mut select = self.connection.prepare_cached(&sql)?;
        let mut rows = select.query(range)?;
        let (mut lines, mut sum) = (VecDeque::new(), Sum::default());
        while let Some(row) = rows.next()? {
            let first = sum.bytes().len();
            let mut cells = Cells::summed(row, summed, &mut sum)?;
            let key = row.get(0)?;
            let value = cells.number().and_then(|_| decode(self, &mut cells));
            lines.push_back(Line { key, value, bytes: first..sum.bytes().len() });
        }
        Ok(Lines { lines, bytes: sum.into_bytes() })
    }

    fn name(&mut self, number: i64) -> Result<Name, Wrong> {
        self.texts.name(self.connection, number)
    }

    fn optional_name(&mut self, number: Option<i64>) -> Result<Option<Name>, Wrong> {
        number.map(|number| self.name(number)).transpose()
    }

    fn head(&mut self, cells: &mut Cells<'_>) -> Result<Head, Wrong> {
        let mut record = OperationRecord::default();
        record.id = OperationId::from_bits(bits(cells.blob()?.unwrap_or_default())?);
        record.name = self.name(cells.number()?)?;
        let started_ns = cells.number()?;
        record.duration = duration(cells.number()?);
        record.outcome = outcome(cells.number()?)?;
        record.parent = cells.blob()?.map(bits).transpose()?.map(OperationId::from_bits);
        let trace = cells.blob()?.map(bits).transpose()?;
        record.trace_id = trace.map_or_else(|| record.id.into(), TraceId::from_bits);
        record.user = cells.text()?.map(Into::into);
        record.session = cells.text()?.map(Into::into);
        record.tags = parse(cells.text()?)?;
        record.metadata = self.metadata(cells)?;
        let _cost_usd = cells.text()?;
        let more: MoreOfOperation = parse(cells.text()?)?;
        record.started_at = instant(started_ns, more.started_at)?;
        record.remote_parent = more.remote_parent;
        record.unlisted_errors = more.unlisted_errors;
        record.unlisted_warnings = more.unlisted_warnings;
        let room = i64::try_from(more.room.max(1)).map_err(|error| error.to_string())?;
        Ok(Head { record, started_ns, room, checked: cells.number()? })
    }

    fn component(&mut self, cells: &mut Cells<'_>) -> Result<ComponentTiming, Wrong> {
        Ok(ComponentTiming {
            name: self.name(cells.number()?)?,
            offset: cells.int()?.map(duration),
            duration: duration(cells.number()?),
            count: cells.int()?.map_or(1, i64::cast_unsigned),
        })
    }

    fn tool_call(&mut self, cells: &mut Cells<'_>) -> Result<(ToolCall, Begun), Wrong> {
        let name = self.name(cells.number()?)?;
        let mut call = ToolCall::new(name, status(cells.number()?)?);
        let offset = cells.int()?;
        call.duration = cells.int()?.map(duration);
        call.attempt = attempt(cells.int()?)?;
        call.arguments_hash = cells.int()?.map(i64::cast_unsigned);
        call.metadata = self.metadata(cells)?;
        let more: MoreOfToolCall = parse(cells.text()?)?;
        call.started_at = more.started_at.map(Far::instant).transpose()?;
        Ok((call, offset))
    }

    fn llm_call(&mut self, cells: &mut Cells<'_>) -> Result<(LlmCall, Begun), Wrong> {
        let mut call = LlmCall::default();
        call.provider = self.optional_name(cells.int()?)?;
        call.request_model = self.optional_name(cells.int()?)?;
        call.response_model = self.optional_name(cells.int()?)?;
        call.finish_reason = self.optional_name(cells.int()?)?;
        let offset = cells.int()?;
        call.duration = cells.int()?.map(duration);
        call.time_to_first_token = cells.int()?.map(duration);
        call.streamed = cells.int()?.is_some();
        call.attempt = attempt(cells.int()?)?;
        call.usage = usage([cells.int()?, cells.int()?, cells.int()?], cells.text()?)?;
        let explanation = cells.int()?;
        let explanation = explanation.map(|number| self.texts.price(self.connection, number));
        call.cost =
            price::join(explanation.transpose()?.as_deref(), cells.text()?, call.usage.as_ref())?;
        let (_cost, _currency) = (cells.text()?, cells.text()?);
        call.metadata = self.metadata(cells)?;
        parse::<MoreOfLlmCall>(cells.text()?)?.put_into(&mut call)?;
        Ok((call, offset))
    }

    fn fault(&mut self, cells: &mut Cells<'_>) -> Result<Fault, Wrong> {
        let (kind, place) = (cells.number()?, cells.number()?);
        let category = cells.text()?.map(str::parse::<ErrorCategory>).transpose();
        let mut error = ErrorRecord::default();
        error.category = category.map_err(|error| error.to_string())?.unwrap_or_default();
        cells.text()?.unwrap_or_default().clone_into(&mut error.message);
        error.causes = parse(cells.text()?)?;
        error.component = self.optional_name(cells.int()?)?;
        let place = usize::try_from(place).map_err(|error| error.to_string())?;
        Ok(Fault { kind, place, error })
    }

    /// Two cells: the number of the keys, and the values.
    fn metadata(&mut self, cells: &mut Cells<'_>) -> Result<Metadata, Wrong> {
        let (number, values) = (cells.int()?, cells.text()?);
        let Some(number) = number else { return Ok(Metadata::new()) };
        let keys = self.texts.keys(self.connection, number)?;
        let values: Vec<serde_json::Value> = parse(values)?;
        if keys.len() != values.len() {
            return Err("metadata has more keys than values, or fewer".into());
        }
        Ok(keys.iter().cloned().zip(values).collect())
    }
}

fn bits(bytes: &[u8]) -> Result<u128, Wrong> {
    let bytes = bytes.try_into().map_err(|_| format!("an id has {} bytes", bytes.len()))?;
    Ok(u128::from_be_bytes(bytes))
}

fn duration(nanos: i64) -> Duration {
    Duration::from_nanos(nanos.cast_unsigned())
}

fn instant(nanos: i64, far: Option<Far>) -> Result<DateTime<Utc>, Wrong> {
    far.map_or_else(|| Ok(DateTime::from_timestamp_nanos(nanos)), Far::instant)
}

fn outcome(number: i64) -> Result<Outcome, Wrong> {
    match number {
        0 => Ok(Outcome::Success),
        1 => Ok(Outcome::Failure),
        2 => Ok(Outcome::Abandoned),
        other => Err(format!("{other} is no outcome")),
    }
}

fn status(number: i64) -> Result<ToolStatus, Wrong> {
    match number {
        0 => Ok(ToolStatus::Success),
        1 => Ok(ToolStatus::Failure),
        2 => Ok(ToolStatus::Timeout),
        3 => Ok(ToolStatus::Error),
        other => Err(format!("{other} is no status of a call")),
    }
}

fn attempt(number: Option<i64>) -> Result<u32, Wrong> {
    number.map_or(Ok(1), |number| u32::try_from(number).map_err(|error| error.to_string()))
}

/// A usage out of its three columns and the JSON of the others; none where it was not told.
fn usage(columns: [Option<i64>; 3], other: Option<&str>) -> Result<Option<TokenUsage>, Wrong> {
    let [Some(input), Some(cache_read), Some(output)] = columns else { return Ok(None) };
    let mut buckets: BTreeMap<Unit, u64> = parse(other)?;
    let own = [(Unit::Input, input), (Unit::CacheRead, cache_read), (Unit::Output, output)];
    buckets.extend(own.map(|(unit, count)| (unit, count.cast_unsigned())));
    TokenUsage::try_from(buckets).map(Some).map_err(|error| error.to_string())
}
