//! Records put together again from columns.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use taximeter_models::{
    ComponentTiming, ErrorCategory, ErrorRecord, LlmCall, Name, OperationId, OperationRecord,
    Outcome, SpanId, TokenUsage, ToolCall, ToolStatus, TraceId, Unit, Warning,
};

use super::Rows;
use super::bytes::unzigzag;
use super::column::{ColumnId, ErrorColumns, Map, component, llm, operation, tool, warning};
use super::costs::Costs;
use super::error::{BlockError, Broken};
use super::numbers::Numbers;
use super::presence::{EVERY, Presence, Ranges, SomeNumbers, SomeTexts};
use super::read_maps::MapColumns;
use super::reader::Reader;
use super::sheets::halves;
use super::texts::Texts;

impl Reader<'_> {
    /// Whole records of these rows, in their order.
    ///
    /// # Errors
    /// Where a column is damaged or cannot be fetched.
    pub fn records(&mut self, rows: &Rows) -> Result<Vec<OperationRecord>, BlockError> {
        let operations = Operations::read(self)?;
        let components = Components::read(self)?;
        let tools = Tools::read(self)?;
        let llms = Llms::read(self)?;
        let warnings = Warnings::read(self)?;
        rows.iter()
            .map(|row| {
                let mut record = operations.record(row)?;
                let parts = |ranges: &Ranges| ranges.get(row);
                record.components =
                    parts(&operations.components).map(|at| components.timing(at)).collect();
                let call = |at| tools.call(at, operations.start.nanos(row));
                record.tool_calls = parts(&operations.tools).map(call).collect::<Result<_, _>>()?;
                let call = |at| llms.call(at, operations.start.nanos(row));
                record.llm_calls = parts(&operations.llms).map(call).collect::<Result<_, _>>()?;
                record.warnings =
                    parts(&operations.warnings).map(|at| warnings.warning(at)).collect();
                Ok(record)
            })
            .collect::<Result<_, Wrong>>()
            .map_err(|Wrong(column, broken)| broken.at(Some(column)))
    }
}

/// A value that no record can have, and its column.
#[derive(Debug)]
struct Wrong(ColumnId, Broken);

/// Times as they are kept: nanoseconds, and seconds where these do not reach.
#[derive(Debug)]
struct Times {
    column: ColumnId,
    nanos: SomeNumbers,
    far_seconds: SomeNumbers,
    far_nanos: SomeNumbers,
}

impl Times {
    /// Those of the rows whose mask has a bit; another bit says which are far.
    fn read(
        reader: &mut Reader<'_>,
        column: ColumnId,
        mask: &Numbers,
        bit: u64,
        far: u64,
    ) -> Result<Self, BlockError> {
        Ok(Self {
            column,
            nanos: reader.some_numbers(column, mask, bit)?,
            far_seconds: reader.some_numbers(column.far_seconds(), mask, far)?,
            far_nanos: reader.some_numbers(column.far_nanos(), mask, far)?,
        })
    }

    fn far(&self, row: usize) -> Option<(u64, u32)> {
        let nanos = u32::try_from(self.far_nanos.get(row)?).unwrap_or(u32::MAX);
        Some((self.far_seconds.get(row)?, nanos))
    }

    fn duration(&self, row: usize) -> Option<Duration> {
        let nanos = self.nanos.get(row)?;
        Some(match self.far(row) {
            // A duration whose nanoseconds run over has no more seconds than there can be.
            Some((seconds, nanos)) => {
                Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos.into()))
            }
            None => Duration::from_nanos(nanos),
        })
    }

    /// A moment, from so many nanoseconds.
    fn moment(&self, row: usize, nanos: i64) -> Result<DateTime<Utc>, Wrong> {
        match self.far(row) {
            Some((seconds, nanos)) => DateTime::from_timestamp(seconds.cast_signed(), nanos).ok_or(
                Wrong(self.column.far_seconds(), Broken("it holds a time that no calendar has")),
            ),
            None => Ok(DateTime::from_timestamp_nanos(nanos)),
        }
    }

    /// A moment that is kept as its distance from another.
    fn since(&self, row: usize, base: i64) -> Result<Option<DateTime<Utc>>, Wrong> {
        let Some(since) = self.nanos.get(row) else { return Ok(None) };
        self.moment(row, base.wrapping_add(unzigzag(since))).map(Some)
    }
}

/// When operations began.
#[derive(Debug)]
struct Starts {
    times: Times,
    first: i64,
}

impl Starts {
    fn nanos(&self, row: usize) -> i64 {
        self.first.wrapping_add(self.times.nanos.get(row).unwrap_or_default().cast_signed())
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
    fn read(reader: &mut Reader<'_>) -> Result<Self, BlockError> {
        use operation::bit;

        let rows = reader.meta.rows;
        let mask = reader.numbers_of(operation::MASK, rows)?;
        let start = Times::read(reader, operation::START, &mask, EVERY, bit::FAR_START)?;
        let duration = Times::read(reader, operation::DURATION, &mask, EVERY, bit::FAR_DURATION)?;
        let mut relative = |columns: [ColumnId; 2], bit| {
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
            metadata: MapColumns::read(reader, Map::Metadata, rows)?,
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

const JSON: Broken = Broken("a value is no JSON");

struct Components {
    name: Arc<Texts>,
    offset: Times,
    duration: Times,
    count: Arc<Numbers>,
}

impl Components {
    fn read(reader: &mut Reader<'_>) -> Result<Self, BlockError> {
        use component::bit;

        let rows = reader.count(component::MASK);
        let mask = reader.numbers_of(component::MASK, rows)?;
        Ok(Self {
            name: reader.texts_of(component::NAME, rows)?,
            offset: Times {
                nanos: reader.offsets()?,
                ..Times::read(reader, component::OFFSET, &mask, bit::OFFSET, bit::FAR_OFFSET)?
            },
            duration: Times::read(reader, component::DURATION, &mask, EVERY, bit::FAR_DURATION)?,
            count: reader.numbers_of(component::COUNT, rows)?,
        })
    }

    fn timing(&self, row: usize) -> ComponentTiming {
        ComponentTiming {
            name: self.name.name(row),
            offset: self.offset.duration(row),
            duration: self.duration.duration(row).unwrap_or_default(),
            count: self.count.get(row),
        }
    }
}

struct Tools {
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
    fn read(reader: &mut Reader<'_>) -> Result<Self, BlockError> {
        use tool::bit;

        let rows = reader.count(tool::MASK);
        let mask = reader.numbers_of(tool::MASK, rows)?;
        Ok(Self {
            name: reader.texts_of(tool::NAME, rows)?,
            start: Times::read(reader, tool::START, &mask, bit::START, bit::FAR_START)?,
            duration: Times::read(reader, tool::DURATION, &mask, bit::DURATION, bit::FAR_DURATION)?,
            attempt: reader.numbers_of(tool::ATTEMPT, rows)?,
            arguments: reader.some_numbers(tool::ARGUMENTS, &mask, bit::ARGUMENTS)?,
            errors: SomeErrors::read(reader, ErrorColumns::TOOL_CALLS, &mask, bit::ERROR)?,
            metadata: MapColumns::read(reader, Map::ToolMetadata, rows)?,
            mask,
        })
    }

    fn call(&self, row: usize, base: i64) -> Result<ToolCall, Wrong> {
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

fn attempt(attempts: &Numbers, row: usize, column: ColumnId) -> Result<u32, Wrong> {
    let wrong = Wrong(column, Broken("it holds an attempt that is too large"));
    u32::try_from(attempts.get(row)).map_err(|_| wrong)
}

struct Llms {
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
    fn read(reader: &mut Reader<'_>) -> Result<Self, BlockError> {
        use llm::bit;

        let rows = reader.count(llm::MASK);
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
            start: Times::read(reader, llm::START, &mask, bit::START, bit::FAR_START)?,
            duration: Times::read(reader, llm::DURATION, &mask, bit::DURATION, bit::FAR_DURATION)?,
            first_token: Times::read(
                reader,
                llm::FIRST_TOKEN,
                &mask,
                bit::FIRST_TOKEN,
                bit::FAR_FIRST_TOKEN,
            )?,
            attempt: reader.numbers_of(llm::ATTEMPT, rows)?,
            prefix: reader.some_numbers(llm::PREFIX, &mask, bit::PREFIX)?,
            arguments: reader.some_numbers(llm::ARGUMENTS, &mask, bit::ARGUMENTS)?,
            window: reader.some_numbers(llm::WINDOW, &mask, bit::WINDOW)?,
            errors: SomeErrors::read(reader, ErrorColumns::LLM_CALLS, &mask, bit::ERROR)?,
            usage: MapColumns::read(reader, Map::Usage, rows)?,
            served_as: MapColumns::read(reader, Map::ServedAs, rows)?,
            metadata: MapColumns::read(reader, Map::LlmMetadata, rows)?,
            costs: Costs::read(reader, rows)?,
            mask,
        })
    }

    fn call(&self, row: usize, base: i64) -> Result<LlmCall, Wrong> {
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

    fn usage(&self, row: usize) -> Result<TokenUsage, Wrong> {
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
fn summed(buckets: BTreeMap<Unit, u64>) -> Option<TokenUsage> {
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

struct Errors {
    columns: ErrorColumns,
    category: Arc<Texts>,
    message: Arc<Texts>,
    causes: Ranges,
    cause: Arc<Texts>,
    component: SomeTexts,
}

impl Errors {
    fn read(reader: &mut Reader<'_>, columns: ErrorColumns) -> Result<Self, BlockError> {
        let rows = reader.count(columns.mask());
        let mask = reader.numbers_of(columns.mask(), rows)?;
        let cause = reader.texts(columns.cause())?;
        Ok(Self {
            columns,
            category: reader.texts_of(columns.category(), rows)?,
            message: reader.texts_of(columns.message(), rows)?,
            causes: reader.ranges(columns.causes(), rows, cause.len())?,
            cause,
            component: reader.some_texts(
                columns.component(),
                &mask,
                ErrorColumns::COMPONENT_BIT,
            )?,
        })
    }

    fn error(&self, row: usize) -> Result<ErrorRecord, Wrong> {
        let category: Result<ErrorCategory, _> = self.category.text(row).parse();
        let unknown = Broken("it names a category that is not known");
        let category = category.map_err(|_| Wrong(self.columns.category(), unknown))?;
        let mut error = ErrorRecord::new(category, self.message.text(row));
        error.causes = self.causes.get(row).map(|at| self.cause.text(at).to_owned()).collect();
        error.component = self.component.name(row);
        Ok(error)
    }
}

/// The errors of those calls that have one.
struct SomeErrors {
    presence: Presence,
    errors: Errors,
}

impl SomeErrors {
    fn read(
        reader: &mut Reader<'_>,
        columns: ErrorColumns,
        mask: &Numbers,
        bit: u64,
    ) -> Result<Self, BlockError> {
        let (presence, count) = Presence::of(mask, bit);
        let errors = Errors::read(reader, columns)?;
        if errors.message.len() == count {
            Ok(Self { presence, errors })
        } else {
            Err(Broken("there are other errors than calls that have one").at(Some(columns.mask())))
        }
    }

    fn error(&self, row: usize) -> Result<Option<ErrorRecord>, Wrong> {
        self.presence.place(row).map(|place| self.errors.error(place)).transpose()
    }
}

struct Warnings {
    message: Arc<Texts>,
    component: SomeTexts,
}

impl Warnings {
    fn read(reader: &mut Reader<'_>) -> Result<Self, BlockError> {
        let rows = reader.count(warning::MASK);
        let mask = reader.numbers_of(warning::MASK, rows)?;
        Ok(Self {
            message: reader.texts_of(warning::MESSAGE, rows)?,
            component: reader.some_texts(warning::COMPONENT, &mask, warning::COMPONENT_BIT)?,
        })
    }

    fn warning(&self, row: usize) -> Warning {
        Warning { message: self.message.text(row).to_owned(), component: self.component.name(row) }
    }
}
