//! A record on its way into the table of hot operations; [`read`](super::read) is the way back.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::Connection;
use taximeter_models::{
    Currency, ErrorRecord, LlmCall, Metadata, Money, Name, OperationRecord, TokenUsage, ToolCall,
    ToolStatus, Unit,
};

use super::cells::{Rows, Sum, blob, int, text};
use super::more::{Far, MoreOfLlmCall, MoreOfOperation, MoreOfToolCall, json, some};
use super::names::Numbers;
use super::parts::{Component, Fault, List, LlmRow, ToolRow, Values};
use super::price::Explanations;
use crate::store::rows::{cost_usd, duration_nanos, nanos, outcome_number};

/// The columns of an operation, the checksum among them, which is the last.
pub(super) const COLUMNS: usize = 20;

/// The table into which records go; what waits is put in by [`finish`](Inserts::finish).
pub(super) struct Inserts<'c> {
    connection: &'c Connection,
    operations: Rows<'c>,
    sum: Sum,
    components: List,
    tool_calls: List,
    llm_calls: List,
    faults: List,
}

/// What is remembered from batch to batch.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) names: Numbers,
    explanations: Explanations,
}

impl<'c> Inserts<'c> {
    pub(super) fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            operations: Rows::into(connection, "operations", COLUMNS)?,
            sum: Sum::default(),
            components: List::default(),
            tool_calls: List::default(),
            llm_calls: List::default(),
            faults: List::default(),
        })
    }

    /// Puts in what waits.
    pub(super) fn finish(mut self) -> rusqlite::Result<()> {
        self.operations.finish()
    }

    /// Puts a record in under a number.
    pub(super) fn record(
        &mut self,
        seq: i64,
        record: &OperationRecord,
        memory: &mut Memory,
    ) -> rusqlite::Result<()> {
        self.components(record, memory)?;
        self.tool_calls(record, memory)?;
        self.llm_calls(record, memory)?;
        self.faults(record, memory)?;
        self.operation(seq, record, memory)
    }

    fn operation(
        &mut self,
        seq: i64,
        record: &OperationRecord,
        memory: &mut Memory,
    ) -> rusqlite::Result<()> {
        let keys = keys(self.connection, &record.metadata, memory)?;
        let metadata = keys.map(|_| {
            // Values of JSON always can be written.
            serde_json::to_string(&Values::Of(&record.metadata)).unwrap_or_default()
        });
        let name = memory.names.of(self.connection, &record.name)?;
        let id = record.id.bits().to_be_bytes();
        let parent = record.parent.map(|parent| parent.bits().to_be_bytes());
        let trace =
            (record.trace_id != record.id.into()).then(|| record.trace_id.bits().to_be_bytes());
        let tags = (!record.tags.is_empty())
            .then(|| serde_json::to_string(&record.tags).unwrap_or_default());
        let more = json(&MoreOfOperation::of(record));
        let cost = cost_of_all(&record.llm_calls);
        let mut cells = [
            int(seq),
            blob(&id[..]),
            int(name),
            int(nanos(record.started_at)),
            int(duration_nanos(record.duration).cast_signed()),
            int(outcome_number(record.outcome).cast_signed()),
            blob(parent.as_ref().map(|bytes| &bytes[..])),
            blob(trace.as_ref().map(|bytes| &bytes[..])),
            text(record.user.as_deref()),
            text(record.session.as_deref()),
            text(tags.as_deref()),
            int(keys),
            text(metadata.as_deref()),
            text(cost.as_deref()),
            text(more.as_deref()),
            self.components.end(),
            self.tool_calls.end(),
            self.llm_calls.end(),
            self.faults.end(),
            // The checksum, when all else is known.
            int(None),
        ];
        self.sum.clear();
        self.sum.add_all(&cells[..COLUMNS - 1]);
        cells[COLUMNS - 1] = int(self.sum.checked());
        self.operations.put(&cells)
    }

    fn components(
        &mut self,
        record: &OperationRecord,
        memory: &mut Memory,
    ) -> rusqlite::Result<()> {
        self.components.clear();
        for timing in &record.components {
            self.components.push(&Component {
                name: memory.names.of(self.connection, &timing.name)?,
                offset_ns: signed(timing.offset),
                duration_ns: duration_nanos(timing.duration).cast_signed(),
                count: (timing.count != 1).then(|| timing.count.cast_signed()),
            });
        }
        Ok(())
    }

    fn tool_calls(
        &mut self,
        record: &OperationRecord,
        memory: &mut Memory,
    ) -> rusqlite::Result<()> {
        self.tool_calls.clear();
        for call in &record.tool_calls {
            let (offset_ns, started_at) = offset(record, call.started_at);
            let keys = keys(self.connection, &call.metadata, memory)?;
            self.tool_calls.push(&ToolRow {
                name: memory.names.of(self.connection, &call.name)?,
                status: status_number(call),
                offset_ns,
                duration_ns: signed(call.duration),
                keys,
                metadata: keys.map(|_| Values::Of(&call.metadata)),
                attempt: (call.attempt != 1).then(|| call.attempt.into()),
                arguments_hash: call.arguments_hash.map(u64::cast_signed),
                more: some(MoreOfToolCall { started_at }),
            });
        }
        Ok(())
    }

    fn llm_calls(&mut self, record: &OperationRecord, memory: &mut Memory) -> rusqlite::Result<()> {
        self.llm_calls.clear();
        for call in &record.llm_calls {
            let row = llm_row(self.connection, record, call, memory)?;
            self.llm_calls.push(&row);
        }
        Ok(())
    }

    /// Errors and warnings of the operation and of its calls.
    fn faults(&mut self, record: &OperationRecord, memory: &mut Memory) -> rusqlite::Result<()> {
        self.faults.clear();
        for (place, error) in record.errors.iter().enumerate() {
            self.fault((0, place), error, memory)?;
        }
        for (place, warning) in record.warnings.iter().enumerate() {
            let component = warning.component.as_ref();
            self.faults.push(&Fault {
                kind: 1,
                place,
                message: Cow::Borrowed(&warning.message),
                component: component
                    .map(|name| memory.names.of(self.connection, name))
                    .transpose()?,
                ..Fault::default()
            });
        }
        for (place, call) in record.tool_calls.iter().enumerate() {
            call.error.as_ref().map_or(Ok(()), |error| self.fault((2, place), error, memory))?;
        }
        for (place, call) in record.llm_calls.iter().enumerate() {
            call.error.as_ref().map_or(Ok(()), |error| self.fault((3, place), error, memory))?;
        }
        Ok(())
    }

    fn fault(
        &mut self,
        (kind, place): (i64, usize),
        error: &ErrorRecord,
        memory: &mut Memory,
    ) -> rusqlite::Result<()> {
        let component = error.component.as_ref();
        self.faults.push(&Fault {
            kind,
            place,
            message: Cow::Borrowed(&error.message),
            category: Some(Cow::Borrowed(error.category.as_str())),
            component: component.map(|name| memory.names.of(self.connection, name)).transpose()?,
            causes: (!error.causes.is_empty()).then_some(Cow::Borrowed(&*error.causes)),
        });
        Ok(())
    }
}

fn llm_row<'r>(
    connection: &Connection,
    record: &OperationRecord,
    call: &'r LlmCall,
    memory: &mut Memory,
) -> rusqlite::Result<LlmRow<'r>> {
    let mut name = |name: &Option<Name>| {
        name.as_ref().map(|name| memory.names.of(connection, name)).transpose()
    };
    let (provider, request_model) = (name(&call.provider)?, name(&call.request_model)?);
    let (response_model, finish_reason) = (name(&call.response_model)?, name(&call.finish_reason)?);
    let (offset_ns, far) = offset(record, call.started_at);
    let keys = keys(connection, &call.metadata, memory)?;
    let usage = call.usage.as_ref();
    let bucket = |unit| usage.map(|usage| usage.get(unit).cast_signed());
    let price = memory.explanations.split(&call.cost, usage);
    let explanation =
        price.explanation.map(|place| memory.names.of(connection, memory.explanations.text(place)));
    let amount = call.cost.amount();
    let currency = amount.map(|(_, currency)| currency);
    let currency = currency.filter(|currency| *currency != Currency::USD);
    // That of the only call is the cost of the operation.
    let written = amount.filter(|_| record.llm_calls.len() > 1 || currency.is_some());
    Ok(LlmRow {
        provider,
        request_model,
        response_model,
        finish_reason,
        offset_ns,
        duration_ns: signed(call.duration),
        first_token_ns: signed(call.time_to_first_token),
        uncached_input: bucket(Unit::Input),
        cache_read: bucket(Unit::CacheRead),
        output: bucket(Unit::Output),
        price: explanation.transpose()?,
        cost: written.map(|(amount, _)| amount.to_string().into()),
        streamed: call.streamed.then_some(1),
        attempt: (call.attempt != 1).then(|| call.attempt.into()),
        keys,
        metadata: keys.map(|_| Values::Of(&call.metadata)),
        other_usage: usage.and_then(other_usage),
        currency: currency.map(|currency| currency.as_str().to_owned().into()),
        price_numbers: price.numbers,
        more: some(MoreOfLlmCall::of(call, far)),
    })
}

/// The number of the keys of metadata: they repeat, and values do not. None where there are none.
fn keys(
    connection: &Connection,
    metadata: &Metadata,
    memory: &mut Memory,
) -> rusqlite::Result<Option<i64>> {
    if metadata.is_empty() {
        return Ok(None);
    }
    memory.names.of_keys(connection, metadata).map(Some)
}

fn signed(duration: Option<Duration>) -> Option<i64> {
    duration.map(|duration| duration_nanos(duration).cast_signed())
}

/// How long after its operation a call began, or when, where that cannot be told so.
fn offset(
    record: &OperationRecord,
    started_at: Option<DateTime<Utc>>,
) -> (Option<i64>, Option<Far>) {
    let Some(started_at) = started_at else { return (None, None) };
    let plain = Far::of(started_at).is_none() && Far::of(record.started_at).is_none();
    let offset = nanos(started_at).checked_sub(nanos(record.started_at)).filter(|_| plain);
    match offset {
        Some(offset) => (Some(offset), None),
        None => (None, Some(Far::exactly(started_at))),
    }
}

pub(super) fn status_number(call: &ToolCall) -> i64 {
    match call.status {
        ToolStatus::Success => 0,
        ToolStatus::Failure => 1,
        ToolStatus::Timeout => 2,
        ToolStatus::Error => 3,
    }
}

/// The buckets that have no cell of their own.
fn other_usage(usage: &TokenUsage) -> Option<BTreeMap<Unit, u64>> {
    let own = |unit| matches!(unit, Unit::Input | Unit::CacheRead | Unit::Output);
    let other: BTreeMap<Unit, u64> = usage.iter().filter(|(unit, _)| !own(*unit)).collect();
    (!other.is_empty()).then_some(other)
}

/// The cost of all calls in US dollars, where any is known.
fn cost_of_all(calls: &[LlmCall]) -> Option<String> {
    let is_known =
        |call: &LlmCall| call.cost.amount().is_some_and(|(_, currency)| currency == Currency::USD);
    calls.iter().any(is_known).then(|| calls.iter().map(cost_usd).sum::<Money>().to_string())
}
