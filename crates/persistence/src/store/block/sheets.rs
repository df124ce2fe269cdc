//! Records taken apart: what goes into each column, in the order of the rows.

use std::time::Duration;

use chrono::{DateTime, Utc};
use taximeter_models::{
    ComponentTiming, ErrorRecord, LlmCall, Metadata, OperationId, OperationRecord, Outcome, SpanId,
    TokenUsage, ToolCall, ToolStatus, TraceId, Warning,
};

use super::bytes::zigzag;
use super::column::{ColumnId, ErrorColumns, FIXED, Map, component, llm, operation, tool, warning};
use super::cost::CostSheet;
use super::error::SealError;
use super::ids::{Threads, expected_high};
use super::maps::{Item, Kind, MapSheet};
use super::texts::Gathered;

/// Columns of numbers that every operation has.
const EACH: [ColumnId; 13] = [
    operation::START,
    operation::DURATION,
    operation::MASK,
    operation::ID_TIME,
    operation::ID_THREAD,
    operation::ID_COUNTER,
    operation::UNLISTED_ERRORS,
    operation::UNLISTED_WARNINGS,
    operation::COMPONENTS,
    operation::TOOL_CALLS,
    operation::LLM_CALLS,
    operation::ERRORS,
    operation::WARNINGS,
];

/// The columns of a block, as they grow record by record.
#[derive(Debug)]
pub(super) struct Sheets<'r> {
    /// The columns of numbers, by the number of the column.
    pub(super) numbers: Vec<Vec<u64>>,
    /// The columns of texts, likewise.
    pub(super) texts: Vec<Gathered>,
    pub(super) maps: [MapSheet<'r>; Map::ALL.len()],
    pub(super) costs: CostSheet<'r>,
    /// When the first operation began, in nanoseconds since 1970.
    pub(super) base: i64,
    /// The least and the largest id.
    pub(super) ids: Option<(OperationId, OperationId)>,
    threads: Threads,
}

impl<'r> Sheets<'r> {
    /// Of no operation yet, the first of which begins then.
    pub(super) fn new(base: i64) -> Self {
        Self {
            numbers: vec![Vec::new(); FIXED],
            texts: vec![Gathered::default(); FIXED],
            maps: Default::default(),
            costs: CostSheet::default(),
            base,
            ids: None,
            threads: Threads::default(),
        }
    }

    /// Takes records apart, in this order.
    pub(super) fn of(records: &[&'r OperationRecord]) -> Result<Self, SealError> {
        let base = records.first().map_or(0, |record| moment(record.started_at).0);
        let mut sheets = Self::new(base);
        for column in EACH {
            sheets.numbers[usize::from(column.get())].reserve(records.len());
        }
        for record in records {
            let inexact = |what| SealError::NotExact { id: record.id, what };
            sheets.operation(record).map_err(inexact)?;
        }
        Ok(sheets)
    }

    /// How many operations there are.
    pub(super) fn rows(&self) -> usize {
        self.column(operation::MASK).len()
    }

    /// The numbers of a column.
    pub(super) fn column(&self, column: ColumnId) -> &[u64] {
        &self.numbers[usize::from(column.get())]
    }

    fn number(&mut self, column: ColumnId, number: u64) {
        self.numbers[usize::from(column.get())].push(number);
    }

    fn text(&mut self, column: ColumnId, text: &str) {
        self.texts[usize::from(column.get())].push(text);
    }

    /// Puts a text, if there is one, and hands back the bit that says so.
    fn optional(&mut self, column: ColumnId, text: Option<&str>, bit: u64) -> u64 {
        text.map_or(0, |text| {
            self.text(column, text);
            bit
        })
    }

    fn optional_number(&mut self, column: ColumnId, number: Option<u64>, bit: u64) -> u64 {
        number.map_or(0, |number| {
            self.number(column, number);
            bit
        })
    }

    fn far(&mut self, column: ColumnId, far: Option<(u64, u32)>, bit: u64) -> u64 {
        far.map_or(0, |(seconds, nanos)| {
            self.number(column.far_seconds(), seconds);
            self.number(column.far_nanos(), nanos.into());
            bit
        })
    }

    fn operation(&mut self, record: &'r OperationRecord) -> Result<(), &'static str> {
        use operation::bit;

        let (start, far_start) = moment(record.started_at);
        let (duration, far_duration) = nanos(record.duration);
        self.start(record.id, start);
        self.number(operation::DURATION, duration);
        let mask = outcome(record.outcome)
            | self.far(operation::START, far_start, bit::FAR_START)
            | self.far(operation::DURATION, far_duration, bit::FAR_DURATION)
            | self.relations(record)
            | self.optional(operation::USER, record.user.as_deref(), bit::USER)
            | self.optional(operation::SESSION, record.session.as_deref(), bit::SESSION);
        self.number(operation::MASK, mask);
        self.text(operation::NAME, &record.name);
        self.number(operation::UNLISTED_ERRORS, record.unlisted_errors);
        self.number(operation::UNLISTED_WARNINGS, record.unlisted_warnings);
        self.number(operation::COMPONENTS, record.components.len() as u64);
        self.number(operation::TOOL_CALLS, record.tool_calls.len() as u64);
        self.number(operation::LLM_CALLS, record.llm_calls.len() as u64);
        self.number(operation::ERRORS, record.errors.len() as u64);
        self.number(operation::WARNINGS, record.warnings.len() as u64);
        let tags = record.tags.iter().map(|(key, value)| (key.as_str(), Item::Text(value)));
        self.map(Map::Tags, tags)?;
        self.map(Map::Metadata, items(&record.metadata))?;
        let mut end = 0;
        record.components.iter().for_each(|timing| end = self.component(timing, end));
        record.tool_calls.iter().try_for_each(|call| self.tool(call, start))?;
        record.llm_calls.iter().try_for_each(|call| self.llm(call, start))?;
        record.errors.iter().for_each(|error| self.error(ErrorColumns::OPERATIONS, error));
        record.warnings.iter().for_each(|warning| self.warning(warning));
        Ok(())
    }

    /// When the next operation began, and its id.
    pub(super) fn start(&mut self, id: OperationId, start: i64) {
        self.number(operation::START, start.wrapping_sub(self.base).cast_unsigned());
        let (least, largest) = self.ids.unwrap_or((id, id));
        self.ids = Some((least.min(id), largest.max(id)));
        let (high, low) = halves(id.bits());
        let (thread, counter) = self.threads.step(low);
        self.number(operation::ID_TIME, high.wrapping_sub(expected_high(start)));
        self.number(operation::ID_THREAD, thread);
        self.number(operation::ID_COUNTER, counter);
    }

    /// The parent, here or remote, and the trace where it is not the operation's own.
    fn relations(&mut self, record: &OperationRecord) -> u64 {
        use operation::bit;

        let own = halves(record.id.bits());
        let mut relative = |high, low, bits: u128| {
            let other = halves(bits);
            self.number(high, zigzag(other.0.wrapping_sub(own.0).cast_signed()));
            self.number(low, zigzag(other.1.wrapping_sub(own.1).cast_signed()));
        };
        let parent = record.parent.map_or(0, |parent| {
            relative(operation::PARENT_HIGH, operation::PARENT_LOW, parent.bits());
            bit::PARENT
        });
        let trace = if record.trace_id == TraceId::from(record.id) {
            0
        } else if record.parent.is_some_and(|parent| TraceId::from(parent) == record.trace_id) {
            bit::TRACE_IS_PARENT
        } else {
            relative(operation::TRACE_HIGH, operation::TRACE_LOW, record.trace_id.bits());
            bit::TRACE
        };
        let remote = record.remote_parent.map(SpanId::bits);
        parent | trace | self.optional_number(operation::REMOTE_PARENT, remote, bit::REMOTE_PARENT)
    }

    fn map(
        &mut self,
        map: Map,
        items: impl Iterator<Item = (&'r str, Item<'r>)>,
    ) -> Result<(), &'static str> {
        self.maps[map as usize].push(items).map_err(|_| "JSON that is nested too deep")
    }

    /// Most components begin where the one before ended, so that their offset is kept as its distance from there. Hands
    /// back where this one ended.
    fn component(&mut self, timing: &ComponentTiming, end: u64) -> u64 {
        use component::bit;

        let (duration, far_duration) = nanos(timing.duration);
        let offset = timing.offset.map(nanos);
        let since = offset.map(|(ns, _)| zigzag(ns.wrapping_sub(end).cast_signed()));
        let mask = self.optional_number(component::OFFSET, since, bit::OFFSET)
            | self.far(component::OFFSET, offset.and_then(|(_, far)| far), bit::FAR_OFFSET)
            | self.far(component::DURATION, far_duration, bit::FAR_DURATION);
        self.number(component::MASK, mask);
        self.text(component::NAME, &timing.name);
        self.number(component::DURATION, duration);
        self.number(component::COUNT, timing.count);
        offset.map_or(end, |(ns, _)| ns).wrapping_add(duration)
    }

    fn tool(&mut self, call: &'r ToolCall, base: i64) -> Result<(), &'static str> {
        use tool::bit;

        let start = call.started_at.map(moment);
        let since = start.map(|(ns, _)| zigzag(ns.wrapping_sub(base)));
        let duration = call.duration.map(nanos);
        let mask = status(call.status)
            | self.optional_number(tool::START, since, bit::START)
            | self.far(tool::START, start.and_then(|(_, far)| far), bit::FAR_START)
            | self.optional_number(tool::DURATION, duration.map(|(ns, _)| ns), bit::DURATION)
            | self.far(tool::DURATION, duration.and_then(|(_, far)| far), bit::FAR_DURATION)
            | self.optional_number(tool::ARGUMENTS, call.arguments_hash, bit::ARGUMENTS)
            | if call.error.is_some() { bit::ERROR } else { 0 };
        self.number(tool::MASK, mask);
        self.text(tool::NAME, &call.name);
        self.number(tool::ATTEMPT, call.attempt.into());
        call.error.iter().for_each(|error| self.error(ErrorColumns::TOOL_CALLS, error));
        self.map(Map::ToolMetadata, items(&call.metadata))
    }

    fn llm(&mut self, call: &'r LlmCall, base: i64) -> Result<(), &'static str> {
        use llm::bit;

        let start = call.started_at.map(moment);
        let since = start.map(|(ns, _)| zigzag(ns.wrapping_sub(base)));
        let duration = call.duration.map(nanos);
        let first = call.time_to_first_token.map(nanos);
        let mask = self.optional(llm::PROVIDER, call.provider.as_deref(), bit::PROVIDER)
            | self.optional(llm::REQUEST_MODEL, call.request_model.as_deref(), bit::REQUEST_MODEL)
            | self.optional(
                llm::RESPONSE_MODEL,
                call.response_model.as_deref(),
                bit::RESPONSE_MODEL,
            )
            | self.optional(llm::FINISH, call.finish_reason.as_deref(), bit::FINISH)
            | self.optional(llm::TIER, call.served_tier.as_deref(), bit::TIER)
            | self.optional_number(llm::START, since, bit::START)
            | self.far(llm::START, start.and_then(|(_, far)| far), bit::FAR_START)
            | self.optional_number(llm::DURATION, duration.map(|(ns, _)| ns), bit::DURATION)
            | self.far(llm::DURATION, duration.and_then(|(_, far)| far), bit::FAR_DURATION)
            | self.optional_number(llm::FIRST_TOKEN, first.map(|(ns, _)| ns), bit::FIRST_TOKEN)
            | self.far(llm::FIRST_TOKEN, first.and_then(|(_, far)| far), bit::FAR_FIRST_TOKEN)
            | self.optional_number(llm::PREFIX, call.prompt_prefix_hash, bit::PREFIX)
            | self.optional_number(llm::ARGUMENTS, call.arguments_hash, bit::ARGUMENTS)
            | self.optional_number(llm::WINDOW, call.context_window, bit::WINDOW)
            | if call.usage.is_some() { bit::USAGE } else { 0 }
            | if call.streamed { bit::STREAMED } else { 0 }
            | if call.error.is_some() { bit::ERROR } else { 0 };
        self.number(llm::MASK, mask);
        self.number(llm::ATTEMPT, call.attempt.into());
        call.error.iter().for_each(|error| self.error(ErrorColumns::LLM_CALLS, error));
        let exact = self.costs.push(&call.cost, call.usage.as_ref());
        exact.map_err(|_| "the cost of an LLM call")?;
        let mut usage: Vec<_> = call.usage.iter().flat_map(TokenUsage::iter).collect();
        usage.sort_unstable();
        let usage = usage.into_iter();
        self.map(
            Map::Usage,
            usage.map(|(unit, count)| (unit.as_str(), Item::Number(Kind::Unsigned, count))),
        )?;
        let served = call.served_as.iter();
        self.map(Map::ServedAs, served.map(|(key, value)| (key.as_str(), Item::Text(value))))?;
        self.map(Map::LlmMetadata, items(&call.metadata))
    }

    fn error(&mut self, columns: ErrorColumns, error: &ErrorRecord) {
        let component = error.component.as_deref();
        let mask = self.optional(columns.component(), component, ErrorColumns::COMPONENT_BIT);
        self.number(columns.mask(), mask);
        self.text(columns.category(), error.category.as_str());
        self.text(columns.message(), &error.message);
        self.number(columns.causes(), error.causes.len() as u64);
        error.causes.iter().for_each(|cause| self.text(columns.cause(), cause));
    }

    fn warning(&mut self, warning: &Warning) {
        let component = warning.component.as_deref();
        let mask = self.optional(warning::COMPONENT, component, warning::COMPONENT_BIT);
        self.number(warning::MASK, mask);
        self.text(warning::MESSAGE, &warning.message);
    }
}

fn items(metadata: &Metadata) -> impl Iterator<Item = (&str, Item<'_>)> {
    metadata.iter().map(|(key, value)| (key.as_str(), Item::from(value)))
}

pub(super) const fn outcome(outcome: Outcome) -> u64 {
    match outcome {
        Outcome::Success => 0,
        Outcome::Failure => 1,
        Outcome::Abandoned => 2,
    }
}

pub(super) const fn status(status: ToolStatus) -> u64 {
    match status {
        ToolStatus::Success => 0,
        ToolStatus::Failure => 1,
        ToolStatus::Timeout => 2,
        ToolStatus::Error => 3,
    }
}

/// The upper and the lower half of an id.
#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is asked for")]
pub(super) const fn halves(bits: u128) -> (u64, u64) {
    ((bits >> 64) as u64, bits as u64)
}

/// Nanoseconds since 1970, or the nearest that 64 bits hold; and, where they do not tell the moment exactly, its seconds
/// and nanoseconds.
pub(super) fn moment(at: DateTime<Utc>) -> (i64, Option<(u64, u32)>) {
    let far = || Some((at.timestamp().cast_unsigned(), at.timestamp_subsec_nanos()));
    let exact = at.timestamp_nanos_opt().filter(|_| at.timestamp_subsec_nanos() < 1_000_000_000);
    match exact {
        Some(ns) => (ns, None),
        None if at < DateTime::UNIX_EPOCH => (at.timestamp_nanos_opt().unwrap_or(i64::MIN), far()),
        None => (at.timestamp_nanos_opt().unwrap_or(i64::MAX), far()),
    }
}

/// Nanoseconds, or as many as 64 bits hold; and, where that is not all, the seconds and nanoseconds.
pub(super) fn nanos(duration: Duration) -> (u64, Option<(u64, u32)>) {
    match u64::try_from(duration.as_nanos()) {
        Ok(ns) => (ns, None),
        Err(_) => (u64::MAX, Some((duration.as_secs(), duration.subsec_nanos()))),
    }
}
