//! A record as rows: whether a query means it, where it stands in an order, and what it has in each column.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use taximeter_models::{
    ComponentTiming, ErrorCategory, LlmCall, Money, Name, OperationId, OperationRecord, Outcome,
    TokenUsage, ToolCall,
};

use super::columns::Values;
use super::{Block, Column, Condition, Keys, Order, Query, Table};

/// An instant in nanoseconds since 1970; one beyond the years 1677 to 2262 is the nearest that fits.
pub(crate) fn nanos(instant: DateTime<Utc>) -> i64 {
    let beyond = if instant < DateTime::UNIX_EPOCH { i64::MIN } else { i64::MAX };
    instant.timestamp_nanos_opt().unwrap_or(beyond)
}

/// A duration in nanoseconds; the longest is one less than [`Block::NONE`].
pub(crate) fn duration_nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).min(Block::NONE - 1)
}

impl Query {
    /// Whether one that began between these moments, both included, may be meant.
    #[cfg(feature = "sqlite")]
    pub(crate) fn touches(&self, from_ns: i64, to_ns: i64) -> bool {
        self.since.is_none_or(|since| to_ns >= nanos(since))
            && self.until.is_none_or(|until| from_ns <= nanos(until))
    }

    /// Whether this operation is meant.
    pub(crate) fn holds(&self, record: &OperationRecord) -> bool {
        // By nanoseconds, as sealed operations are told apart: times that these do not hold are the nearest that fits.
        let started_ns = nanos(record.started_at);
        self.since.is_none_or(|since| started_ns >= nanos(since))
            && self.until.is_none_or(|until| started_ns < nanos(until))
            && self.conditions.iter().all(|condition| condition.holds(record))
    }
}

impl Condition {
    pub(crate) fn holds(&self, record: &OperationRecord) -> bool {
        match self {
            Self::Operation(name) => record.name == *name,
            Self::User(name) => record.user.as_ref() == Some(name),
            Self::Session(name) => record.session.as_ref() == Some(name),
            Self::Tag(key, value) => {
                record.tags.get(key.as_str()).is_some_and(|is| **is == **value)
            }
            Self::Metadata(key, value) => record.metadata.get(key.as_str()) == Some(value),
            Self::Outcome(outcome) => record.outcome == *outcome,
            Self::Tool(name) => record.tool_calls.iter().any(|call| call.name == *name),
            Self::Provider(name) => {
                record.llm_calls.iter().any(|call| call.provider.as_ref() == Some(name))
            }
            Self::Llm(name) => record.llm_calls.iter().any(|call| call.model() == name.as_str()),
            Self::Component(name) => record.components.iter().any(|timing| timing.name == *name),
            Self::Error(category) => has_error(record, *category),
            Self::AtLeastNanos(least) => duration_nanos(record.duration) >= *least,
        }
    }
}

fn has_error(record: &OperationRecord, category: ErrorCategory) -> bool {
    record.errors.iter().any(|error| error.category == category)
        || record.tool_calls.iter().any(|call| call.error_category() == Some(category))
        || record.llm_calls.iter().any(|call| llm_error(call) == Some(category))
}

fn llm_error(call: &LlmCall) -> Option<ErrorCategory> {
    call.error.as_ref().map(|error| error.category)
}

/// Where an operation stands in an order: the smaller comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank(i128, i64, OperationId);

impl Rank {
    pub(crate) fn of(record: &OperationRecord, order: Order) -> Self {
        let cost = if order == Order::Dearest { record.cost().usd() } else { Money::ZERO };
        let (started, duration) = (nanos(record.started_at), duration_nanos(record.duration));
        Self::new(order, started, duration, cost, record.id)
    }

    /// When the operation began, in nanoseconds since 1970.
    #[cfg(feature = "sqlite")]
    pub(crate) fn started_ns(&self) -> i64 {
        self.1
    }

    /// What does not come after any that took no longer and cost no more.
    #[cfg(feature = "sqlite")]
    pub(crate) fn first_of(order: Order, longest_ns: u64, dearest: Money) -> Self {
        Self::new(order, i64::MIN, longest_ns, dearest, OperationId::from_bits(0))
    }

    pub(crate) fn new(
        order: Order,
        started_ns: i64,
        duration_ns: u64,
        cost: Money,
        id: OperationId,
    ) -> Self {
        let first = match order {
            Order::OldestFirst => 0,
            Order::NewestFirst => -i128::from(started_ns),
            Order::Slowest => -i128::from(duration_ns),
            Order::Dearest => cost.ticks().saturating_neg(),
        };
        Self(first, started_ns, id)
    }
}

/// The best of many, without keeping the others: a limit needs no more memory than what it shows.
#[derive(Debug)]
pub(crate) struct Best<T> {
    limit: usize,
    kept: Vec<(Rank, T)>,
    /// What does not come before this is not among the best.
    bound: Option<Rank>,
}

impl<T> Best<T> {
    pub(crate) fn new(limit: Option<usize>) -> Self {
        Self { limit: limit.unwrap_or(usize::MAX), kept: Vec::new(), bound: None }
    }

    /// Whether what stands there, or after it, is not among the best.
    pub(crate) fn is_beyond(&self, rank: Rank) -> bool {
        self.limit == 0 || self.bound.is_some_and(|bound| rank >= bound)
    }

    pub(crate) fn offer(&mut self, rank: Rank, what: impl FnOnce() -> T) {
        if self.is_beyond(rank) {
            return;
        }
        self.kept.push((rank, what()));
        // Sorting when twice the limit is there costs less than keeping every one in its place.
        if self.kept.len() >= self.limit.saturating_mul(2).max(16) {
            self.cut();
        }
    }

    pub(crate) fn into_sorted(mut self) -> impl Iterator<Item = T> {
        self.cut();
        self.kept.into_iter().map(|(_, what)| what)
    }

    fn cut(&mut self) {
        self.kept.sort_by_key(|(rank, _)| *rank);
        self.kept.truncate(self.limit);
        if self.kept.len() == self.limit {
            self.bound = self.kept.last().map(|(rank, _)| *rank);
        }
    }
}

/// Gathers columns of records, row by row.
#[derive(Debug)]
pub(crate) struct Gather<'a> {
    table: Table,
    rows: usize,
    columns: Vec<(&'a Column, Gathered)>,
}

#[derive(Debug)]
enum Gathered {
    Numbers(Vec<u64>),
    Money(Vec<Money>),
    Keys { keys: Vec<u32>, names: Vec<Name>, places: HashMap<Name, u32> },
}

impl<'a> Gather<'a> {
    pub(crate) fn new(table: Table, columns: &'a [Column]) -> Self {
        let columns = columns.iter().map(|column| (column, Gathered::of(column))).collect();
        Self { table, rows: 0, columns }
    }

    /// How many rows are there so far.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Adds the rows that an operation has in the table.
    pub(crate) fn add(&mut self, record: &OperationRecord) {
        let table = self.table;
        let add = &mut |row| self.row(&Seen { record, row });
        match table {
            Table::Operations => add(Row::Operation),
            Table::ToolCalls => record.tool_calls.iter().map(Row::Tool).for_each(add),
            Table::LlmCalls => record.llm_calls.iter().map(Row::Llm).for_each(add),
            Table::Components => record.components.iter().map(Row::Component).for_each(add),
        }
    }

    fn row(&mut self, seen: &Seen<'_>) {
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
            };
            (column.clone(), values)
        });
        let taken = taken.collect();
        (std::mem::take(&mut self.rows), taken)
    }
}

impl Gathered {
    fn of(column: &Column) -> Self {
        match column {
            Column::CostUsd => Self::Money(Vec::new()),
            Column::Name
            | Column::Operation
            | Column::User
            | Column::Session
            | Column::Tag(_)
            | Column::Metadata(_)
            | Column::Provider
            | Column::ErrorCategory => {
                Self::Keys { keys: Vec::new(), names: Vec::new(), places: HashMap::new() }
            }
            _ => Self::Numbers(Vec::new()),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Row<'a> {
    Operation,
    Tool(&'a ToolCall),
    Llm(&'a LlmCall),
    Component(&'a ComponentTiming),
}

/// A row of a table, with the operation to which it belongs.
struct Seen<'a> {
    record: &'a OperationRecord,
    row: Row<'a>,
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
            _ => None,
        }
    }

    fn started_ns(&self) -> i64 {
        let operation = nanos(self.record.started_at);
        let told = match self.row {
            Row::Operation => None,
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
        }
    }

    fn outcome(&self) -> u64 {
        match self.row {
            Row::Tool(call) => (!call.is_success()).into(),
            Row::Llm(call) => (!call.is_success()).into(),
            Row::Operation | Row::Component(_) => outcome_number(self.record.outcome),
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
            Column::Name => Some(match self.row {
                Row::Operation => record.name.clone(),
                Row::Tool(call) => call.name.clone(),
                Row::Llm(call) => llm_name(call),
                Row::Component(timing) => timing.name.clone(),
            }),
            Column::Operation => Some(record.name.clone()),
            Column::User => record.user.clone(),
            Column::Session => record.session.clone(),
            Column::Tag(key) => record.tags.get(key.as_str()).map(|tag| tag.as_str().into()),
            Column::Metadata(key) => record.metadata.get(key.as_str()).map(value_text),
            Column::Provider => match self.row {
                Row::Llm(call) => call.provider.clone(),
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
            Row::Component(timing) => {
                let within = |component: &Option<Name>| component.as_ref() == Some(&timing.name);
                let mut errors = self.record.errors.iter();
                errors.find(|error| within(&error.component)).map(|error| error.category)
            }
        }
    }
}

pub(crate) fn outcome_number(outcome: Outcome) -> u64 {
    match outcome {
        Outcome::Success => 0,
        Outcome::Failure => 1,
        Outcome::Abandoned => 2,
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

/// What is known of the cost of a call in US dollars.
pub(crate) fn cost_usd(call: &LlmCall) -> Money {
    let dollars =
        call.cost.amount().filter(|(_, currency)| *currency == taximeter_models::Currency::USD);
    dollars.map_or(Money::ZERO, |(amount, _)| amount)
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
