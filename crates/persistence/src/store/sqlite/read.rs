//! Records on their way out of the table of hot operations; [`write`](super::write) is the way in.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::value::RawValue;
use taximeter_models::{
    ComponentTiming, ErrorCategory, ErrorRecord, LlmCall, Metadata, Money, Name, OperationId,
    OperationRecord, Outcome, TokenUsage, ToolCall, ToolStatus, TraceId, Unit, Warning,
};

use super::cells::{Cells, Sum, Wrong};
use super::more::{Far, MoreOfOperation, parse};
use super::names::Texts;
use super::parts::{Component, Fault, LlmRow, ToolRow, Values};
use super::price;
use super::wants::Wants;
use super::write::COLUMNS;
use crate::store::Query;

/// A hot operation as it was read: its record, or what is wrong with it.
pub(super) struct Read {
    pub(super) seq: i64,
    pub(super) record: Result<OperationRecord, Wrong>,
    /// What it cost in US dollars, where that is wanted.
    pub(super) cost_usd: Money,
}

/// Reads the operations whose numbers are in a range, both ends included.
pub(super) fn range(
    connection: &Connection,
    texts: &mut Texts,
    range: (i64, i64),
) -> rusqlite::Result<Vec<Read>> {
    let (_, read) = parts_of(connection, texts, range, Wants::ALL, &Query::default())?;
    Ok(read)
}

/// The same with some parts alone, and without the operations that a query does not mean as far as can be told before their
/// parts are taken apart, since that is most of the work. Says first how many there are in all.
pub(super) fn parts_of(
    connection: &Connection,
    texts: &mut Texts,
    range: (i64, i64),
    wants: Wants,
    query: &Query,
) -> rusqlite::Result<(u64, Vec<Read>)> {
    let mut select = connection
        .prepare_cached("SELECT * FROM operations WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq")?;
    let mut rows = select.query(range)?;
    let (mut all, mut read, mut sum) = (0, Vec::new(), Sum::default());
    let mut from = From { connection, texts, wants, query };
    while let Some(row) = rows.next()? {
        all += 1;
        sum.clear();
        let mut cells = Cells::summed(row, COLUMNS - 1, &mut sum)?;
        let fits = row.get_ref(COLUMNS - 1)?.as_i64() == Ok(sum.checked());
        let seq = row.get(0)?;
        let mut cost_usd = Money::ZERO;
        let record = if fits {
            from.record(&mut cells, &mut cost_usd)
        } else {
            Err("it does not fit its checksum".into())
        };
        if let Some(record) = record.transpose() {
            read.push(Read { seq, record, cost_usd });
        }
    }
    Ok((all, read))
}

struct From<'c> {
    connection: &'c Connection,
    texts: &'c mut Texts,
    wants: Wants,
    query: &'c Query,
}

impl From<'_> {
    /// None where it is not meant.
    fn record(
        &mut self,
        cells: &mut Cells<'_>,
        cost_usd: &mut Money,
    ) -> Result<Option<OperationRecord>, Wrong> {
        let wants = self.wants;
        let _seq = cells.number()?;
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
        record.tags = parse(cells.text()?.filter(|_| wants.tags))?;
        let keys = cells.int()?.filter(|_| wants.metadata);
        let values = parse(cells.text()?.filter(|_| wants.metadata))?;
        record.metadata = self.metadata(keys, values)?;
        if let Some(text) = cells.text()?.filter(|_| wants.cost) {
            *cost_usd = text.parse().map_err(|_| format!("{text:?} is no money"))?;
        }
        let more: MoreOfOperation = parse(cells.text()?)?;
        record.started_at = instant(started_ns, more.started_at)?;
        record.remote_parent = more.remote_parent;
        record.unlisted_errors = more.unlisted_errors;
        record.unlisted_warnings = more.unlisted_warnings;
        if !self.query.may_hold(&record) {
            return Ok(None);
        }
        for component in list(cells, wants.components)? {
            record.components.push(self.component(&component)?);
        }
        for call in list(cells, wants.tool_calls)? {
            record.tool_calls.push(self.tool_call(call, started_ns)?);
        }
        for call in list(cells, wants.llm_calls)? {
            record.llm_calls.push(self.llm_call(call, started_ns)?);
        }
        for fault in list(cells, wants.faults)? {
            self.put_fault(fault, &mut record)?;
        }
        Ok(Some(record))
    }

    fn name(&mut self, number: i64) -> Result<Name, Wrong> {
        self.texts.name(self.connection, number)
    }

    fn optional_name(&mut self, number: Option<i64>) -> Result<Option<Name>, Wrong> {
        number.map(|number| self.name(number)).transpose()
    }

    fn component(&mut self, component: &Component) -> Result<ComponentTiming, Wrong> {
        Ok(ComponentTiming {
            name: self.name(component.name)?,
            offset: component.offset_ns.map(duration),
            duration: duration(component.duration_ns),
            count: component.count.map_or(1, i64::cast_unsigned),
        })
    }

    fn tool_call(&mut self, row: ToolRow<'_>, started_ns: i64) -> Result<ToolCall, Wrong> {
        let mut call = ToolCall::new(self.name(row.name)?, status(row.status)?);
        let far = row.more.unwrap_or_default().started_at;
        call.started_at = began(row.offset_ns, far, started_ns)?;
        call.duration = row.duration_ns.map(duration);
        call.attempt = attempt(row.attempt)?;
        call.arguments_hash = row.arguments_hash.map(i64::cast_unsigned);
        if self.wants.call_metadata {
            call.metadata = self.metadata(row.keys, values(row.metadata))?;
        }
        Ok(call)
    }

    fn llm_call(&mut self, row: LlmRow<'_>, started_ns: i64) -> Result<LlmCall, Wrong> {
        let mut call = LlmCall::default();
        call.provider = self.optional_name(row.provider)?;
        call.request_model = self.optional_name(row.request_model)?;
        call.response_model = self.optional_name(row.response_model)?;
        call.finish_reason = self.optional_name(row.finish_reason)?;
        call.duration = row.duration_ns.map(duration);
        call.time_to_first_token = row.first_token_ns.map(duration);
        call.streamed = row.streamed.is_some();
        call.attempt = attempt(row.attempt)?;
        let buckets = [row.uncached_input, row.cache_read, row.output];
        call.usage = usage(buckets, row.other_usage.unwrap_or_default())?;
        if self.wants.prices {
            let explanation = row.price.map(|number| self.texts.price(self.connection, number));
            let (explanation, usage) = (explanation.transpose()?, call.usage.as_ref());
            let numbers = row.price_numbers.as_deref().map(RawValue::get);
            call.cost = price::join(explanation.as_deref(), numbers, usage)?;
        }
        if self.wants.call_metadata {
            call.metadata = self.metadata(row.keys, values(row.metadata))?;
        }
        let more = row.more.unwrap_or_default();
        call.started_at = began(row.offset_ns, more.started_at, started_ns)?;
        more.put_into(&mut call)?;
        Ok(call)
    }

    fn put_fault(&mut self, fault: Fault<'_>, record: &mut OperationRecord) -> Result<(), Wrong> {
        let category = fault.category.map(|text| text.parse::<ErrorCategory>()).transpose();
        let mut error = ErrorRecord::default();
        error.category = category.map_err(|error| error.to_string())?.unwrap_or_default();
        error.message = fault.message.into_owned();
        error.causes = fault.causes.unwrap_or_default().into_owned();
        error.component = self.optional_name(fault.component)?;
        let place = fault.place;
        let gone = || Wrong::from("an error belongs to a call that is not there");
        match fault.kind {
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

    /// Metadata out of the number of its keys, and its values.
    fn metadata(
        &mut self,
        keys: Option<i64>,
        values: Vec<serde_json::Value>,
    ) -> Result<Metadata, Wrong> {
        let Some(number) = keys else { return Ok(Metadata::new()) };
        let keys = self.texts.keys(self.connection, number)?;
        if keys.len() != values.len() {
            return Err("metadata has more keys than values, or fewer".into());
        }
        Ok(keys.iter().cloned().zip(values).collect())
    }
}

/// The parts that the next cell holds.
fn list<'r, T: Deserialize<'r>>(cells: &mut Cells<'r>, wanted: bool) -> Result<Vec<T>, Wrong> {
    let text = cells.text()?.filter(|_| wanted);
    text.map_or_else(|| Ok(Vec::new()), serde_json::from_str).map_err(|error| error.to_string())
}

fn values(values: Option<Values<'_>>) -> Vec<serde_json::Value> {
    match values {
        Some(Values::Read(values)) => values,
        Some(Values::Of(_)) | None => Vec::new(),
    }
}

/// When a call began: so long after its operation, or at a far time, or it was not told.
fn began(
    offset_ns: Option<i64>,
    far: Option<Far>,
    started_ns: i64,
) -> Result<Option<DateTime<Utc>>, Wrong> {
    let Some(offset) = offset_ns else { return far.map(Far::instant).transpose() };
    let nanos = started_ns.checked_add(offset).ok_or("a call began at no time")?;
    Ok(Some(DateTime::from_timestamp_nanos(nanos)))
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

/// A usage out of its three cells and the other buckets; none where it was not told.
fn usage(
    cells: [Option<i64>; 3],
    mut buckets: BTreeMap<Unit, u64>,
) -> Result<Option<TokenUsage>, Wrong> {
    let [Some(input), Some(cache_read), Some(output)] = cells else { return Ok(None) };
    let own = [(Unit::Input, input), (Unit::CacheRead, cache_read), (Unit::Output, output)];
    buckets.extend(own.map(|(unit, count)| (unit, count.cast_unsigned())));
    TokenUsage::try_from(buckets).map(Some).map_err(|error| error.to_string())
}
