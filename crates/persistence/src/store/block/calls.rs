//! Components and calls of records put together again from columns.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use taximeter_models::{ComponentTiming, LlmCall, Name, TokenUsage, ToolCall, ToolStatus, Unit};

use super::column::{ColumnId, ErrorColumns, Map, component, llm, tool};
use super::costs::Costs;
use super::error::{BlockError, Broken};
use super::faults::SomeErrors;
use super::numbers::Numbers;
use super::presence::{EVERY, SomeNumbers, SomeTexts};
use super::read_maps::MapColumns;
use super::reader::Reader;
use super::texts::Texts;
use super::times::{self, JSON, Times, Wrong};
use crate::store::Detail;

pub(super) struct Components {
    name: Arc<Texts>,
    offset: Times,
    duration: Times,
    count: Arc<Numbers>,
}

impl Components {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, BlockError> {
        use component::bit;

        let rows = reader.count(component::MASK);
        let mask = reader.numbers_of(component::MASK, rows)?;
        Ok(Self {
            name: reader.texts_of(component::NAME, rows)?,
            offset: Times::read(reader, component::OFFSET, &mask, bit::OFFSET, bit::FAR_OFFSET)?,
            duration: Times::read(reader, component::DURATION, &mask, EVERY, bit::FAR_DURATION)?,
            count: reader.numbers_of(component::COUNT, rows)?,
        })
    }

    /// The components of one operation.
    pub(super) fn timings(&self, rows: Range<usize>) -> Vec<ComponentTiming> {
        let took = |row| self.duration.nanos.get(row).unwrap_or_default();
        let offsets = times::offsets(rows, &self.offset.nanos, took);
        let timing = |(row, offset): (usize, Option<u64>)| ComponentTiming {
            name: self.name.name(row),
            offset: offset.map(|nanos| self.offset.duration_of(row, nanos)),
            duration: self.duration.duration(row).unwrap_or_default(),
            count: self.count.get(row),
        };
        offsets.map(timing).collect()
    }
}

pub(super) struct Tools {
    mask: Arc<Numbers>,
    name: Arc<Texts>,
    start: Times,
    duration: Times,
    attempt: Arc<Numbers>,
    arguments: SomeNumbers,
    errors: SomeErrors,
    metadata: MapColumns,
}

impl Tools {
    pub(super) fn read(reader: &mut Reader<'_>, detail: Detail) -> Result<Self, BlockError> {
        use tool::bit;

        let (rows, is_told) = (reader.count(tool::MASK), detail != Detail::Line);
        let mask = reader.numbers_of(tool::MASK, rows)?;
        Ok(Self {
            name: reader.texts_of(tool::NAME, rows)?,
            start: Times::read_if(
                is_told,
                reader,
                tool::START,
                &mask,
                (bit::START, bit::FAR_START),
            )?,
            duration: Times::read(reader, tool::DURATION, &mask, bit::DURATION, bit::FAR_DURATION)?,
            attempt: reader.numbers_of(tool::ATTEMPT, rows)?,
            arguments: reader.some_numbers(tool::ARGUMENTS, &mask, bit::ARGUMENTS)?,
            errors: SomeErrors::read(reader, ErrorColumns::TOOL_CALLS, &mask, bit::ERROR)?,
            metadata: MapColumns::read_if(
                detail == Detail::Whole,
                reader,
                Map::ToolMetadata,
                rows,
            )?,
            mask,
        })
    }

    pub(super) fn call(&self, row: usize, base: i64) -> Result<ToolCall, Wrong> {
        let status = match self.mask.get(row) & tool::bit::STATUS {
            0 => ToolStatus::Success,
            1 => ToolStatus::Failure,
            2 => ToolStatus::Timeout,
            _ => ToolStatus::Error,
        };
        let mut call = ToolCall::new(self.name.name(row), status);
        call.started_at = self.start.since(row, base)?;
        call.duration = self.duration.duration(row);
        call.error = self.errors.error(row)?;
        call.attempt = attempt(&self.attempt, row, tool::ATTEMPT)?;
        call.arguments_hash = self.arguments.get(row);
        call.metadata = self.metadata.values(row).ok_or(Wrong(Map::ToolMetadata.shape(), JSON))?;
        Ok(call)
    }
}

pub(super) fn attempt(attempts: &Numbers, row: usize, column: ColumnId) -> Result<u32, Wrong> {
    let wrong = Wrong(column, Broken("it holds an attempt that is too large"));
    u32::try_from(attempts.get(row)).map_err(|_| wrong)
}

pub(super) struct Llms {
    mask: Arc<Numbers>,
    names: [SomeTexts; 5],
    start: Times,
    duration: Times,
    first_token: Times,
    attempt: Arc<Numbers>,
    prefix: SomeNumbers,
    arguments: SomeNumbers,
    window: SomeNumbers,
    errors: SomeErrors,
    usage: MapColumns,
    served_as: MapColumns,
    metadata: MapColumns,
    costs: Costs,
}

impl Llms {
    pub(super) fn read(reader: &mut Reader<'_>, detail: Detail) -> Result<Self, BlockError> {
        use llm::bit;

        let (rows, is_told) = (reader.count(llm::MASK), detail != Detail::Line);
        let mask = reader.numbers_of(llm::MASK, rows)?;
        let mut names = |column, bit| reader.some_texts(column, &mask, bit);
        Ok(Self {
            names: [
                names(llm::PROVIDER, bit::PROVIDER)?,
                names(llm::REQUEST_MODEL, bit::REQUEST_MODEL)?,
                names(llm::RESPONSE_MODEL, bit::RESPONSE_MODEL)?,
                names(llm::FINISH, bit::FINISH)?,
                names(llm::TIER, bit::TIER)?,
            ],
            start: Times::read_if(
                is_told,
                reader,
                llm::START,
                &mask,
                (bit::START, bit::FAR_START),
            )?,
            duration: Times::read(reader, llm::DURATION, &mask, bit::DURATION, bit::FAR_DURATION)?,
            first_token: Times::read_if(
                is_told,
                reader,
                llm::FIRST_TOKEN,
                &mask,
                (bit::FIRST_TOKEN, bit::FAR_FIRST_TOKEN),
            )?,
            attempt: reader.numbers_of(llm::ATTEMPT, rows)?,
            prefix: reader.some_numbers(llm::PREFIX, &mask, bit::PREFIX)?,
            arguments: reader.some_numbers(llm::ARGUMENTS, &mask, bit::ARGUMENTS)?,
            window: reader.some_numbers(llm::WINDOW, &mask, bit::WINDOW)?,
            errors: SomeErrors::read(reader, ErrorColumns::LLM_CALLS, &mask, bit::ERROR)?,
            usage: MapColumns::read(reader, Map::Usage, rows)?,
            served_as: MapColumns::read(reader, Map::ServedAs, rows)?,
            metadata: MapColumns::read_if(detail == Detail::Whole, reader, Map::LlmMetadata, rows)?,
            costs: Costs::read(reader, rows)?,
            mask,
        })
    }

    pub(super) fn call(&self, row: usize, base: i64) -> Result<LlmCall, Wrong> {
        let mask = self.mask.get(row);
        let [provider, request, response, finish, tier] = &self.names;
        let mut call = LlmCall::default();
        call.provider = provider.name(row);
        call.request_model = request.name(row);
        call.response_model = response.name(row);
        call.finish_reason = finish.name(row);
        call.served_tier = tier.name(row);
        call.usage = if mask & llm::bit::USAGE == 0 { None } else { Some(self.usage(row)?) };
        let cost = self.costs.cost(row, call.usage.as_ref());
        call.cost = cost.ok_or(Wrong(llm::COST, Broken("a cost cannot be counted")))?;
        call.started_at = self.start.since(row, base)?;
        call.duration = self.duration.duration(row);
        call.time_to_first_token = self.first_token.duration(row);
        call.streamed = mask & llm::bit::STREAMED != 0;
        call.attempt = attempt(&self.attempt, row, llm::ATTEMPT)?;
        let served_as = self.served_as.texts::<Name>(row);
        call.served_as = served_as.ok_or(Wrong(Map::ServedAs.shape(), JSON))?;
        call.prompt_prefix_hash = self.prefix.get(row);
        call.arguments_hash = self.arguments.get(row);
        call.context_window = self.window.get(row);
        call.error = self.errors.error(row)?;
        call.metadata = self.metadata.values(row).ok_or(Wrong(Map::LlmMetadata.shape(), JSON))?;
        Ok(call)
    }

    pub(super) fn usage(&self, row: usize) -> Result<TokenUsage, Wrong> {
        let wrong = Wrong(Map::Usage.shape(), Broken("it holds a usage that cannot be"));
        let unit = |(key, count): (&str, u64)| Unit::named(key).map(|unit| (unit, count));
        let Some(buckets) = self.usage.numbers(row).map(unit).collect::<Option<BTreeMap<_, _>>>()
        else {
            return Err(wrong);
        };
        summed(buckets).ok_or(wrong)
    }
}

/// A usage of these buckets. One that is the sum of others may have buckets that no single call could have.
pub(super) fn summed(buckets: BTreeMap<Unit, u64>) -> Option<TokenUsage> {
    if let Ok(usage) = TokenUsage::try_from(buckets.clone()) {
        return Some(usage);
    }
    let count = |unit| buckets.get(&unit).copied().unwrap_or_default();
    let reasoning = count(Unit::Reasoning);
    let text = count(Unit::Output).checked_sub(reasoning)?;
    let mut usage = TokenUsage::try_from(BTreeMap::from([
        (Unit::Output, reasoning),
        (Unit::Reasoning, reasoning),
    ]))
    .ok()?;
    usage += &TokenUsage::new(0, text);
    for (unit, count) in
        buckets.into_iter().filter(|(unit, _)| !matches!(unit, Unit::Output | Unit::Reasoning))
    {
        usage += &TokenUsage::try_from(BTreeMap::from([(unit, count)])).ok()?;
    }
    Some(usage)
}
