//! A record on its way into the tables of hot operations; [`read`](super::read) is the way back.

use chrono::{DateTime, Utc};
use rusqlite::Connection;
use taximeter_models::{
    ErrorRecord, LlmCall, Metadata, Money, OperationRecord, TokenUsage, ToolCall, ToolStatus, Unit,
};

use super::cells::{Rows, Sum, blob, int, text};
use super::more::{Far, MoreOfLlmCall, MoreOfOperation, MoreOfToolCall, json};
use super::names::Numbers;
use super::price::Explanations;
use crate::store::rows::{cost_usd, duration_nanos, nanos, outcome_number};

/// How many parts of a kind have a place under one number of an operation; above that, it takes several numbers.
pub(super) const PARTS: i64 = 4_096;

/// The tables into which records go; what waits is put in by [`finish`](Inserts::finish).
pub(super) struct Inserts<'c> {
    connection: &'c Connection,
    operations: Rows<'c>,
    components: Rows<'c>,
    tool_calls: Rows<'c>,
    llm_calls: Rows<'c>,
    faults: Rows<'c>,
    sum: Sum,
    parts: Sum,
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
            operations: Rows::into(connection, "operations", 16)?,
            components: Rows::into(connection, "components", 5)?,
            tool_calls: Rows::into(connection, "tool_calls", 10)?,
            llm_calls: Rows::into(connection, "llm_calls", 21)?,
            faults: Rows::into(connection, "faults", 7)?,
            sum: Sum::default(),
            parts: Sum::default(),
        })
    }

    /// Puts in what waits.
    pub(super) fn finish(mut self) -> rusqlite::Result<()> {
        self.operations.finish()?;
        self.components.finish()?;
        self.tool_calls.finish()?;
        self.llm_calls.finish()?;
        self.faults.finish()
    }

    /// Puts a record in under a number, and gives back how many numbers it takes.
    pub(super) fn record(
        &mut self,
        seq: i64,
        record: &OperationRecord,
        memory: &mut Memory,
    ) -> rusqlite::Result<i64> {
        let first = seq * PARTS;
        self.parts.clear();
        self.components(first, record, memory)?;
        self.tool_calls(first, record, memory)?;
        self.llm_calls(first, record, memory)?;
        let faults = self.faults(first, record, memory)?;
        let lists = [record.components.len(), record.tool_calls.len(), record.llm_calls.len()];
        let most = lists.into_iter().max().unwrap_or_default().max(faults);
        let room = whole(most.max(1)).saturating_add(PARTS - 1) / PARTS;
        self.operation(seq, room, record, memory)?;
        Ok(room)
    }

    fn operation(
        &mut self,
        seq: i64,
        room: i64,
        record: &OperationRecord,
        memory: &mut Memory,
    ) -> rusqlite::Result<()> {
        let (keys, metadata) = self.metadata(&record.metadata, memory)?;
        let name = memory.names.of(self.connection, &record.name)?;
        let id = record.id.bits().to_be_bytes();
        let parent = record.parent.map(|parent| parent.bits().to_be_bytes());
        let trace =
            (record.trace_id != record.id.into()).then(|| record.trace_id.bits().to_be_bytes());
        let tags = (!record.tags.is_empty())
            .then(|| serde_json::to_string(&record.tags).unwrap_or_default());
        let more = json(&MoreOfOperation::of(record, room.cast_unsigned()));
        let cost = cost_of_all(&record.llm_calls);
        self.sum.clear();
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
            // The checksum, when all else is known.
            int(None),
        ];
        self.sum.add_all(&cells[..15]);
        self.sum.add_bytes(self.parts.bytes());
        cells[15] = int(self.sum.checked());
        self.operations.put(&cells)
    }

    fn components(
        &mut self,
        first: i64,
        record: &OperationRecord,
        memory: &mut Memory,
    ) -> rusqlite::Result<()> {
        for (part, timing) in (first..).zip(&record.components) {
            let name = memory.names.of(self.connection, &timing.name)?;
            let cells = [
                int(part),
                int(name),
                int(timing.offset.map(|offset| duration_nanos(offset).cast_signed())),
                int(duration_nanos(timing.duration).cast_signed()),
                int((timing.count != 1).then(|| timing.count.cast_signed())),
            ];
            self.parts.add_all(&cells);
            self.components.put(&cells)?;
        }
        Ok(())
    }

    fn tool_calls(
        &mut self,
        first: i64,
        record: &OperationRecord,
        memory: &mut Memory,
    ) -> rusqlite::Result<()> {
        for (part, call) in (first..).zip(&record.tool_calls) {
            let name = memory.names.of(self.connection, &call.name)?;
            let (offset, far) = offset(record, call.started_at);
            let (keys, metadata) = self.metadata(&call.metadata, memory)?;
            let more = json(&MoreOfToolCall { started_at: far });
            let cells = [
                int(part),
                int(name),
                int(status_number(call)),
                int(offset),
                int(call.duration.map(|duration| duration_nanos(duration).cast_signed())),
                int((call.attempt != 1).then(|| call.attempt.into())),
                int(call.arguments_hash.map(u64::cast_signed)),
                int(keys),
                text(metadata.as_deref()),
                text(more.as_deref()),
            ];
            self.parts.add_all(&cells);
            self.tool_calls.put(&cells)?;
        }
        Ok(())
    }

    fn llm_calls(
        &mut self,
        first: i64,
        record: &OperationRecord,
        memory: &mut Memory,
    ) -> rusqlite::Result<()> {
        for (part, call) in (first..).zip(&record.llm_calls) {
            self.llm_call(part, record, call, memory)?;
        }
        Ok(())
    }

    fn llm_call(
        &mut self,
        part: i64,
        record: &OperationRecord,
        call: &LlmCall,
        memory: &mut Memory,
    ) -> rusqlite::Result<()> {
        let connection = self.connection;
        let mut name = |name: &Option<taximeter_models::Name>| {
            name.as_ref().map(|name| memory.names.of(connection, name)).transpose()
        };
        let (provider, asked) = (name(&call.provider)?, name(&call.request_model)?);
        let (answered, finish) = (name(&call.response_model)?, name(&call.finish_reason)?);
        let (offset, far) = offset(record, call.started_at);
        let (keys, metadata) = self.metadata(&call.metadata, memory)?;
        let usage = call.usage.as_ref();
        let bucket = |unit| usage.map(|usage| usage.get(unit).cast_signed());
        let other = usage.and_then(other_usage);
        let price = memory.explanations.split(&call.cost, usage);
        let explanation = price
            .explanation
            .map(|place| memory.names.of(connection, memory.explanations.text(place)));
        let amount = call.cost.amount();
        let cost = amount.map(|(amount, _)| amount.to_string());
        let currency = amount.map(|(_, currency)| currency);
        let currency = currency.filter(|currency| *currency != taximeter_models::Currency::USD);
        let more = json(&MoreOfLlmCall::of(call, far));
        let nanos = |duration: Option<std::time::Duration>| {
            int(duration.map(|duration| duration_nanos(duration).cast_signed()))
        };
        let cells = [
            int(part),
            int(provider),
            int(asked),
            int(answered),
            int(finish),
            int(offset),
            nanos(call.duration),
            nanos(call.time_to_first_token),
            int(call.streamed.then_some(1)),
            int((call.attempt != 1).then(|| call.attempt.into())),
            int(bucket(Unit::Input)),
            int(bucket(Unit::CacheRead)),
            int(bucket(Unit::Output)),
            text(other.as_deref()),
            int(explanation.transpose()?),
            text(price.numbers.as_deref()),
            text(cost.as_deref()),
            text(currency.as_ref().map(taximeter_models::Currency::as_str)),
            int(keys),
            text(metadata.as_deref()),
            text(more.as_deref()),
        ];
        self.parts.add_all(&cells);
        self.llm_calls.put(&cells)
    }

    /// Errors and warnings of the operation and of its calls; how many there are.
    fn faults(
        &mut self,
        first: i64,
        record: &OperationRecord,
        memory: &mut Memory,
    ) -> rusqlite::Result<usize> {
        let mut parts = first..;
        let mut count = 0;
        let mut put = |kind: i64, place: usize, error: Told<'_>| {
            count += 1;
            let component = error.component.map(|name| memory.names.of(self.connection, name));
            let causes = (!error.causes.is_empty())
                .then(|| serde_json::to_string(error.causes).unwrap_or_default());
            let cells = [
                int(parts.next()),
                int(kind),
                int(whole(place)),
                text(error.category),
                text(error.message),
                text(causes.as_deref()),
                int(component.transpose()?),
            ];
            self.parts.add_all(&cells);
            self.faults.put(&cells)
        };
        for (place, error) in record.errors.iter().enumerate() {
            put(0, place, error.into())?;
        }
        for (place, warning) in record.warnings.iter().enumerate() {
            let component = warning.component.as_deref();
            let told = Told { category: None, message: &warning.message, causes: &[], component };
            put(1, place, told)?;
        }
        for (place, call) in record.tool_calls.iter().enumerate() {
            call.error.as_ref().map_or(Ok(()), |error| put(2, place, error.into()))?;
        }
        for (place, call) in record.llm_calls.iter().enumerate() {
            call.error.as_ref().map_or(Ok(()), |error| put(3, place, error.into()))?;
        }
        Ok(count)
    }

    /// The number of the keys, and the values as a list in JSON: keys repeat, and values do not.
    fn metadata(
        &self,
        metadata: &Metadata,
        memory: &mut Memory,
    ) -> rusqlite::Result<(Option<i64>, Option<String>)> {
        if metadata.is_empty() {
            return Ok((None, None));
        }
        let list = |text: serde_json::Result<String>| text.unwrap_or_default();
        let keys = list(serde_json::to_string(&metadata.keys().collect::<Vec<_>>()));
        let values = list(serde_json::to_string(&metadata.values().collect::<Vec<_>>()));
        Ok((Some(memory.names.of(self.connection, &keys)?), Some(values)))
    }
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// What is told of an error or a warning.
struct Told<'a> {
    category: Option<&'static str>,
    message: &'a str,
    causes: &'a [String],
    component: Option<&'a str>,
}

impl<'a> From<&'a ErrorRecord> for Told<'a> {
    fn from(error: &'a ErrorRecord) -> Self {
        Self {
            category: Some(error.category.as_str()),
            message: &error.message,
            causes: &error.causes,
            component: error.component.as_deref(),
        }
    }
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

/// The buckets that have no column of their own, as JSON.
fn other_usage(usage: &TokenUsage) -> Option<String> {
    let own = |unit| matches!(unit, Unit::Input | Unit::CacheRead | Unit::Output);
    let other: std::collections::BTreeMap<Unit, u64> =
        usage.iter().filter(|(unit, _)| !own(*unit)).collect();
    (!other.is_empty()).then(|| serde_json::to_string(&other).unwrap_or_default())
}

/// The cost of all calls in US dollars, where it is not that of the one call there is.
fn cost_of_all(calls: &[LlmCall]) -> Option<String> {
    (calls.len() > 1).then(|| calls.iter().map(cost_usd).sum::<Money>().to_string())
}
