//! Columns gathered out of whole records, row by row.

use std::collections::HashMap;
use std::ops::{AddAssign, ControlFlow};
use std::time::Duration;

use serde_json::Value;
use taximeter_models::{
    Charge, ComponentTiming, CostOutcome, Currency, ErrorCategory, ErrorRecord, LlmCall, Money,
    Name, OperationRecord, TokenUsage, ToolCall, ToolStatus, Unit,
};

use super::columns::Values;
use super::rows::{cost_usd, duration_nanos, llm_error, nanos, outcome_number};
use super::{Block, Column, Keys, Scanned, Table};
use crate::StoreError;

/// Operations of which columns are gathered and shown together.
const TOGETHER: usize = 8_192;

/// Shows what records have in columns of several tables, some thousand operations at a time.
pub(super) fn tables(
    scan: impl FnOnce(&mut dyn FnMut(OperationRecord) -> ControlFlow<()>) -> Result<Scanned, StoreError>,
    tables: &[(Table, &[Column])],
    each: &mut dyn FnMut(&[Block<'_>]) -> ControlFlow<()>,
) -> Result<Scanned, StoreError> {
    let mut gathered = GatherAll::new(tables);
    let (mut shown, mut going) = (0, ControlFlow::Continue(()));
    let mut scanned = scan(&mut |record| {
        gathered.add(&record);
        if gathered.operations() >= TOGETHER {
            shown += gathered.rows();
            going = gathered.show(each);
        }
        going
    })?;
    if going.is_continue() && gathered.operations() > 0 {
        shown += gathered.rows();
        let _ = gathered.show(each);
    }
    scanned.shown = shown as u64;
    Ok(scanned)
}

/// Gathers columns of several tables.
#[derive(Debug)]
pub(crate) struct GatherAll<'a>(Vec<Gather<'a>>);

impl<'a> GatherAll<'a> {
    pub(crate) fn new(tables: &[(Table, &'a [Column])]) -> Self {
        Self(tables.iter().map(|(table, columns)| Gather::new(*table, columns)).collect())
    }

    /// Adds the rows that an operation has in each table.
    pub(crate) fn add(&mut self, record: &OperationRecord) {
        self.0.iter_mut().for_each(|table| table.add(record));
    }

    /// How many operations are there so far.
    pub(crate) fn operations(&self) -> usize {
        self.0.first().map_or(0, |table| table.operations)
    }

    /// How many rows the first table has so far.
    pub(crate) fn rows(&self) -> usize {
        self.0.first().map_or(0, |table| table.rows)
    }

    /// Shows what was gathered, and begins anew.
    pub(crate) fn show(
        &mut self,
        each: &mut dyn FnMut(&[Block<'_>]) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let taken: Vec<_> = self.0.iter_mut().map(Gather::take).collect();
        let blocks: Vec<_> = taken.iter().map(|(rows, values)| Block::new(*rows, values)).collect();
        each(&blocks)
    }
}

/// Gathers columns of records, row by row.
#[derive(Debug)]
pub(crate) struct Gather<'a> {
    table: Table,
    operations: usize,
    rows: usize,
    columns: Vec<(&'a Column, Gathered)>,
}

#[derive(Debug)]
enum Gathered {
    Numbers(Vec<u64>),
    Money(Vec<Money>),
    Keys { keys: Vec<u32>, names: Vec<Name>, places: HashMap<Name, u32> },
    Usage { told: Vec<bool>, units: Vec<(Unit, Vec<u64>)> },
    Charges(Vec<Charge>),
    Bills(Vec<(Unit, Vec<Money>)>),
}

impl<'a> Gather<'a> {
    pub(crate) fn new(table: Table, columns: &'a [Column]) -> Self {
        let columns = columns.iter().map(|column| (column, Gathered::of(column))).collect();
        Self { table, operations: 0, rows: 0, columns }
    }

    /// How many rows are there so far.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Adds the rows that an operation has in the table.
    pub(crate) fn add(&mut self, record: &OperationRecord) {
        let (table, owner) = (self.table, self.operations as u64);
        let add = &mut |row| self.row(&Seen { record, row, owner });
        match table {
            Table::Operations => add(Row::Operation),
            Table::ToolCalls => record.tool_calls.iter().map(Row::Tool).for_each(add),
            Table::LlmCalls => record.llm_calls.iter().map(Row::Llm).for_each(add),
            Table::Components => record.components.iter().map(Row::Component).for_each(add),
            Table::Errors => record.errors.iter().map(Row::Error).for_each(add),
        }
        self.operations += 1;
    }

    fn row(&mut self, seen: &Seen<'_>) {
        let rows = self.rows;
        self.rows += 1;
        for (column, gathered) in &mut self.columns {
            match gathered {
                Gathered::Numbers(numbers) => {
                    numbers.push(seen.number(column).unwrap_or(Block::NONE));
                }
                Gathered::Money(money) => money.push(seen.cost_usd()),
                Gathered::Keys { keys, names, places } => {
                    let key = seen.text(column).map_or(Keys::NONE, |name| {
                        *places.entry(name).or_insert_with_key(|name| {
                            names.push(name.clone());
                            u32::try_from(names.len() - 1).unwrap_or(Keys::NONE)
                        })
                    });
                    keys.push(key);
                }
                Gathered::Usage { told, units } => {
                    told.push(seen.usage().is_some());
                    let counts = seen.usage().into_iter().flat_map(TokenUsage::iter);
                    put_units(units, rows, counts);
                }
                Gathered::Bills(units) => put_units(units, rows, seen.bill()),
                Gathered::Charges(charges) => charges.push(seen.charge()),
            }
        }
    }

    /// Takes out what was gathered, for a [`Block`].
    pub(crate) fn take(&mut self) -> (usize, Vec<(Column, Values)>) {
        let taken = self.columns.iter_mut().map(|(column, gathered)| {
            let values = match std::mem::replace(gathered, Gathered::of(column)) {
                Gathered::Numbers(numbers) => Values::Numbers(numbers),
                Gathered::Money(money) => Values::Money(money),
                Gathered::Keys { keys, names, .. } => Values::Keys { keys, names },
                Gathered::Usage { told, units } => Values::Usage { told, units },
                Gathered::Charges(charges) => Values::Charges(charges),
                Gathered::Bills(bills) => Values::Bills(bills),
            };
            (column.clone(), values)
        });
        let taken = taken.collect();
        self.operations = 0;
        (std::mem::take(&mut self.rows), taken)
    }
}

impl Gathered {
    fn of(column: &Column) -> Self {
        match column {
            Column::CostUsd => Self::Money(Vec::new()),
            Column::Usage => Self::Usage { told: Vec::new(), units: Vec::new() },
            Column::Charge => Self::Charges(Vec::new()),
            Column::Bill => Self::Bills(Vec::new()),
            Column::Name
            | Column::Operation
            | Column::User
            | Column::Session
            | Column::Tag(_)
            | Column::Metadata(_)
            | Column::Provider
            | Column::FinishReason
            | Column::ErrorCategory => {
                Self::Keys { keys: Vec::new(), names: Vec::new(), places: HashMap::new() }
            }
            _ => Self::Numbers(Vec::new()),
        }
    }
}

/// Adds what a row has of each unit; all units have as many values as there are rows.
fn put_units<V: Copy + Default + AddAssign>(
    units: &mut Vec<(Unit, Vec<V>)>,
    rows: usize,
    values: impl Iterator<Item = (Unit, V)>,
) {
    for (unit, value) in values {
        if !units.iter().any(|(known, _)| *known == unit) {
            units.push((unit, vec![V::default(); rows]));
        }
        if let Some((_, all)) = units.iter_mut().find(|(known, _)| *known == unit) {
            all.resize(rows + 1, V::default());
            all[rows] += value;
        }
    }
    for (_, all) in units {
        all.resize(rows + 1, V::default());
    }
}

#[derive(Debug, Clone, Copy)]
enum Row<'a> {
    Operation,
    Tool(&'a ToolCall),
    Llm(&'a LlmCall),
    Component(&'a ComponentTiming),
    Error(&'a ErrorRecord),
}

/// A row of a table, with the operation to which it belongs.
struct Seen<'a> {
    record: &'a OperationRecord,
    row: Row<'a>,
    /// The place of the operation among those that were gathered.
    owner: u64,
}

impl Seen<'_> {
    fn number(&self, column: &Column) -> Option<u64> {
        match column {
            Column::StartedAt => Some(self.started_ns().cast_unsigned()),
            Column::Duration => self.duration().map(duration_nanos),
            Column::Outcome => Some(self.outcome()),
            Column::InputTokens => self.tokens(TokenUsage::input_tokens),
            Column::CacheReadTokens => self.tokens(cache_read_tokens),
            Column::OutputTokens => self.tokens(TokenUsage::output_tokens),
            Column::Unpriced => self.unpriced(),
            Column::FirstToken => match self.row {
                Row::Llm(call) => call.time_to_first_token.map(duration_nanos),
                _ => None,
            },
            Column::Attempt => match self.row {
                Row::Tool(call) => Some(call.attempt.into()),
                Row::Llm(call) => Some(call.attempt.into()),
                _ => None,
            },
            Column::Owner => Some(self.owner),
            Column::Errors => self.of_operation(OperationRecord::error_count),
            Column::Warnings => self.of_operation(OperationRecord::warning_count),
            Column::TimedOut => match self.row {
                Row::Tool(call) => Some((call.status == ToolStatus::Timeout).into()),
                _ => None,
            },
            Column::Runs => match self.row {
                Row::Component(timing) => Some(timing.count),
                _ => None,
            },
            _ => None,
        }
    }

    fn of_operation(&self, count: impl Fn(&OperationRecord) -> u64) -> Option<u64> {
        matches!(self.row, Row::Operation).then(|| count(self.record))
    }

    fn usage(&self) -> Option<&TokenUsage> {
        match self.row {
            Row::Llm(call) => call.usage.as_ref(),
            _ => None,
        }
    }

    fn charge(&self) -> Charge {
        match self.row {
            Row::Llm(call) => Charge::of(&call.cost, call.usage.as_ref()),
            _ => Charge::of(&CostOutcome::NoUsage, None),
        }
    }

    fn bill(&self) -> impl Iterator<Item = (Unit, Money)> {
        let estimate = match self.row {
            Row::Llm(call) => call.cost.estimate(),
            _ => None,
        };
        let dollars = estimate.filter(|estimate| estimate.currency == Currency::USD);
        let lines = dollars.into_iter().flat_map(|estimate| &estimate.lines);
        lines.map(|line| (line.unit, line.amount))
    }

    fn started_ns(&self) -> i64 {
        let operation = nanos(self.record.started_at);
        let told = match self.row {
            Row::Operation | Row::Error(_) => None,
            Row::Tool(call) => call.started_at.map(nanos),
            Row::Llm(call) => call.started_at.map(nanos),
            Row::Component(timing) => timing
                .offset
                .map(|offset| operation.saturating_add_unsigned(duration_nanos(offset))),
        };
        told.unwrap_or(operation)
    }

    fn duration(&self) -> Option<Duration> {
        match self.row {
            Row::Operation => Some(self.record.duration),
            Row::Tool(call) => call.duration,
            Row::Llm(call) => call.duration,
            Row::Component(timing) => Some(timing.duration),
            Row::Error(_) => None,
        }
    }

    fn outcome(&self) -> u64 {
        match self.row {
            Row::Tool(call) => (!call.is_success()).into(),
            Row::Llm(call) => (!call.is_success()).into(),
            Row::Operation | Row::Component(_) | Row::Error(_) => {
                outcome_number(self.record.outcome)
            }
        }
    }

    fn tokens(&self, count: impl Fn(&TokenUsage) -> u64) -> Option<u64> {
        let of = |call: &LlmCall| call.usage.as_ref().map_or(0, &count);
        match self.row {
            Row::Operation => {
                Some(self.record.llm_calls.iter().map(of).fold(0, u64::saturating_add))
            }
            Row::Llm(call) => Some(of(call)),
            _ => None,
        }
    }

    fn unpriced(&self) -> Option<u64> {
        let of = |call: &LlmCall| u64::from(call.cost.known_usd().is_none());
        match self.row {
            Row::Operation => Some(self.record.llm_calls.iter().map(of).sum()),
            Row::Llm(call) => Some(of(call)),
            _ => None,
        }
    }

    fn cost_usd(&self) -> Money {
        match self.row {
            Row::Operation => self.record.llm_calls.iter().map(cost_usd).sum(),
            Row::Llm(call) => cost_usd(call),
            _ => Money::ZERO,
        }
    }

    fn text(&self, column: &Column) -> Option<Name> {
        let record = self.record;
        match column {
            Column::Name => match self.row {
                Row::Operation => Some(record.name.clone()),
                Row::Tool(call) => Some(call.name.clone()),
                Row::Llm(call) => Some(llm_name(call)),
                Row::Component(timing) => Some(timing.name.clone()),
                Row::Error(error) => error.component.clone(),
            },
            Column::Operation => Some(record.name.clone()),
            Column::User => record.user.clone(),
            Column::Session => record.session.clone(),
            Column::Tag(key) => record.tags.get(key.as_str()).map(|tag| tag.as_str().into()),
            Column::Metadata(key) => record.metadata.get(key.as_str()).map(value_text),
            Column::Provider => match self.row {
                Row::Llm(call) => call.provider.clone(),
                _ => None,
            },
            Column::FinishReason => match self.row {
                Row::Llm(call) => call.finish_reason.clone(),
                _ => None,
            },
            Column::ErrorCategory => self.error_category().map(|category| category.as_str().into()),
            _ => None,
        }
    }

    fn error_category(&self) -> Option<ErrorCategory> {
        match self.row {
            Row::Operation => self.record.errors.first().map(|error| error.category),
            Row::Tool(call) => call.error_category(),
            Row::Llm(call) => llm_error(call),
            Row::Error(error) => Some(error.category),
            Row::Component(timing) => {
                let within = |component: &Option<Name>| component.as_ref() == Some(&timing.name);
                let mut errors = self.record.errors.iter();
                errors.find(|error| within(&error.component)).map(|error| error.category)
            }
        }
    }
}

fn cache_read_tokens(usage: &TokenUsage) -> u64 {
    use taximeter_models::Unit;
    let units = [
        Unit::CacheRead,
        Unit::CacheReadExplicit,
        Unit::CacheReadAudio,
        Unit::CacheReadImage,
        Unit::CacheReadVideo,
    ];
    units.into_iter().fold(0, |sum: u64, unit| sum.saturating_add(usage.get(unit)))
}

/// The name by which calls of LLMs are grouped, without a copy of its text where that can be.
fn llm_name(call: &LlmCall) -> Name {
    let told = call.request_model.as_ref().or(call.response_model.as_ref());
    told.cloned().unwrap_or_else(|| call.model().into())
}

fn value_text(value: &Value) -> Name {
    match value {
        Value::String(text) => text.as_str().into(),
        other => other.to_string().into(),
    }
}
