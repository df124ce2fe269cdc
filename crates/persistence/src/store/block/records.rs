//! Records put together again from columns.

use std::sync::Arc;

use taximeter_models::{OperationId, OperationRecord, Outcome, SpanId, TraceId};

use super::Rows;
use super::bytes::unzigzag;
use super::calls::{Components, Llms, Tools};
use super::column::{ColumnId, ErrorColumns, Map, component, llm, operation, tool, warning};
use super::error::{BlockError, Broken};
use super::faults::{Errors, Warnings};
use super::numbers::Numbers;
use super::presence::{EVERY, Ranges, SomeNumbers, SomeTexts};
use super::read_maps::MapColumns;
use super::reader::Reader;
use super::sheets::halves;
use super::texts::Texts;
use super::times::{JSON, Starts, Times, Wrong};
use crate::store::Detail;

impl Reader<'_> {
    /// Whole records of these rows, in their order.
    ///
    /// # Errors
    /// Where a column is damaged or cannot be fetched.
    pub fn records(&mut self, rows: &Rows) -> Result<Vec<OperationRecord>, BlockError> {
        self.records_of(rows, Detail::Whole)
    }

    /// So much of the records of these rows, in their order. What is not asked for is not fetched either.
    pub(in crate::store) fn records_of(
        &mut self,
        rows: &Rows,
        detail: Detail,
    ) -> Result<Vec<OperationRecord>, BlockError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let is_told = detail != Detail::Line;
        let operations = Operations::read(self, detail)?;
        let components = is_told.then(|| Components::read(self)).transpose()?;
        let tools = Tools::read(self, detail)?;
        let llms = Llms::read(self, detail)?;
        let warnings = is_told.then(|| Warnings::read(self)).transpose()?;
        rows.iter()
            .map(|row| {
                let mut record = operations.record(row)?;
                let parts = |ranges: &Ranges| ranges.get(row);
                if let Some(components) = &components {
                    record.components = components.timings(parts(&operations.components));
                }
                let call = |at| tools.call(at, operations.start.nanos(row));
                record.tool_calls = parts(&operations.tools).map(call).collect::<Result<_, _>>()?;
                let call = |at| llms.call(at, operations.start.nanos(row));
                record.llm_calls = parts(&operations.llms).map(call).collect::<Result<_, _>>()?;
                if let Some(warnings) = &warnings {
                    let all = parts(&operations.warnings).map(|at| warnings.warning(at));
                    record.warnings = all.collect();
                }
                Ok(record)
            })
            .collect::<Result<_, Wrong>>()
            .map_err(|Wrong(column, broken)| broken.at(Some(column)))
    }
}

struct Operations {
    mask: Arc<Numbers>,
    start: Starts,
    duration: Times,
    ids: Vec<OperationId>,
    name: Arc<Texts>,
    parent: [SomeNumbers; 2],
    trace: [SomeNumbers; 2],
    remote_parent: SomeNumbers,
    user: SomeTexts,
    session: SomeTexts,
    unlisted: [Arc<Numbers>; 2],
    components: Ranges,
    tools: Ranges,
    llms: Ranges,
    error_ranges: Ranges,
    errors: Errors,
    warnings: Ranges,
    tags: MapColumns,
    metadata: MapColumns,
}

impl Operations {
    fn read(reader: &mut Reader<'_>, detail: Detail) -> Result<Self, BlockError> {
        use operation::bit;

        let (rows, is_told) = (reader.meta.rows, detail != Detail::Line);
        let mask = reader.numbers_of(operation::MASK, rows)?;
        let start = Times::read(reader, operation::START, &mask, EVERY, bit::FAR_START)?;
        let duration = Times::read(reader, operation::DURATION, &mask, EVERY, bit::FAR_DURATION)?;
        let mut relative = |columns: [ColumnId; 2], bit| {
            if !is_told {
                return Ok([SomeNumbers::none(rows), SomeNumbers::none(rows)]);
            }
            let [high, low] = columns.map(|column| reader.some_numbers(column, &mask, bit));
            Ok([high?, low?])
        };
        let parent = relative([operation::PARENT_HIGH, operation::PARENT_LOW], bit::PARENT)?;
        let trace = relative([operation::TRACE_HIGH, operation::TRACE_LOW], bit::TRACE)?;
        let mut ranges = |column, of| reader.ranges(column, rows, reader.count(of));
        Ok(Self {
            components: ranges(operation::COMPONENTS, component::MASK)?,
            tools: ranges(operation::TOOL_CALLS, tool::MASK)?,
            llms: ranges(operation::LLM_CALLS, llm::MASK)?,
            error_ranges: ranges(operation::ERRORS, ErrorColumns::OPERATIONS.mask())?,
            warnings: ranges(operation::WARNINGS, warning::MASK)?,
            start: Starts { times: start, first: reader.meta.first_ns },
            duration,
            ids: reader.ids()?,
            name: reader.texts_of(operation::NAME, rows)?,
            parent,
            trace,
            remote_parent: reader.some_numbers(
                operation::REMOTE_PARENT,
                &mask,
                bit::REMOTE_PARENT,
            )?,
            user: reader.some_texts(operation::USER, &mask, bit::USER)?,
            session: reader.some_texts(operation::SESSION, &mask, bit::SESSION)?,
            unlisted: [
                reader.numbers_of(operation::UNLISTED_ERRORS, rows)?,
                reader.numbers_of(operation::UNLISTED_WARNINGS, rows)?,
            ],
            errors: Errors::read(reader, ErrorColumns::OPERATIONS)?,
            tags: MapColumns::read(reader, Map::Tags, rows)?,
            metadata: MapColumns::read_if(detail == Detail::Whole, reader, Map::Metadata, rows)?,
            mask,
        })
    }

    /// The record without its components, calls and warnings.
    fn record(&self, row: usize) -> Result<OperationRecord, Wrong> {
        let mask = self.mask.get(row);
        let mut record = OperationRecord::new(self.name.name(row));
        record.id = self.ids[row];
        record.parent = self.relative(&self.parent, row).map(OperationId::from_bits);
        record.trace_id = match record.parent {
            Some(parent) if mask & operation::bit::TRACE_IS_PARENT != 0 => parent.into(),
            _ => self.relative(&self.trace, row).map_or(record.id.into(), TraceId::from_bits),
        };
        record.remote_parent = self.remote_parent.get(row).map(SpanId::from_bits);
        record.started_at = self.start.times.moment(row, self.start.nanos(row))?;
        record.duration = self.duration.duration(row).unwrap_or_default();
        record.outcome = match mask & operation::bit::OUTCOME {
            0 => Outcome::Success,
            1 => Outcome::Failure,
            2 => Outcome::Abandoned,
            _ => {
                return Err(Wrong(
                    operation::MASK,
                    Broken("it holds an outcome that is not known"),
                ));
            }
        };
        record.errors =
            self.error_ranges.get(row).map(|at| self.errors.error(at)).collect::<Result<_, _>>()?;
        record.unlisted_errors = self.unlisted[0].get(row);
        record.unlisted_warnings = self.unlisted[1].get(row);
        record.user = self.user.name(row);
        record.session = self.session.name(row);
        record.tags = self.tags.texts(row).ok_or(Wrong(Map::Tags.shape(), JSON))?;
        record.metadata = self.metadata.values(row).ok_or(Wrong(Map::Metadata.shape(), JSON))?;
        Ok(record)
    }

    fn relative(&self, halves_of: &[SomeNumbers; 2], row: usize) -> Option<u128> {
        let own = halves(self.ids[row].bits());
        let high = own.0.wrapping_add(unzigzag(halves_of[0].get(row)?).cast_unsigned());
        let low = own.1.wrapping_add(unzigzag(halves_of[1].get(row)?).cast_unsigned());
        Some(u128::from(high) << 64 | u128::from(low))
    }
}
