//! What columns and conditions say, told from whole records in the plainest way.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use taximeter_models::{
    Charge, ComponentTiming, CostOutcome, ErrorCategory, LlmCall, Money, OperationRecord, Outcome,
    TokenUsage, ToolCall, ToolStatus, Unit,
};

use crate::store::{Block, Column, Condition, Keys, Query, Table};

pub(super) fn matches(record: &OperationRecord, query: &Query) -> bool {
    query.since.is_none_or(|since| ns(record.started_at) >= ns(since))
        && query.until.is_none_or(|until| ns(record.started_at) < ns(until))
        && query.conditions.iter().all(|condition| holds(record, condition))
}

fn holds(record: &OperationRecord, condition: &Condition) -> bool {
    match condition {
        Condition::Operation(name) => record.name == *name,
        Condition::User(user) => record.user.as_ref() == Some(user),
        Condition::Session(session) => record.session.as_ref() == Some(session),
        Condition::Tag(key, value) => {
            record.tags.get(key.as_str()).is_some_and(|tag| *value == **tag)
        }
        Condition::Metadata(key, value) => record.metadata.get(key.as_str()) == Some(value),
        Condition::Outcome(outcome) => record.outcome == *outcome,
        Condition::Tool(name) => record.tool_calls.iter().any(|call| call.name == *name),
        Condition::Provider(name) => {
            record.llm_calls.iter().any(|call| call.provider.as_ref() == Some(name))
        }
        Condition::Llm(name) => record.llm_calls.iter().any(|call| *name == call.model()),
        Condition::Component(name) => record.components.iter().any(|timing| timing.name == *name),
        Condition::Error(category) => {
            record.errors.iter().any(|error| error.category == *category)
                || record.tool_calls.iter().any(|call| call.error_category() == Some(*category))
                || record.llm_calls.iter().any(|call| {
                    call.error.as_ref().is_some_and(|error| error.category == *category)
                })
        }
        Condition::AtLeastNanos(nanos) => nanos_of(record.duration) >= *nanos,
    }
}

/// Every column, with every key of tags and metadata that there is.
pub(super) fn columns(records: &[OperationRecord]) -> Vec<Column> {
    let mut columns = vec![
        Column::StartedAt,
        Column::Duration,
        Column::Outcome,
        Column::Name,
        Column::Operation,
        Column::User,
        Column::Session,
        Column::Provider,
        Column::ErrorCategory,
        Column::InputTokens,
        Column::CacheReadTokens,
        Column::OutputTokens,
        Column::FirstToken,
        Column::CostUsd,
        Column::Unpriced,
        Column::Attempt,
        Column::Owner,
        Column::Errors,
        Column::Warnings,
        Column::TimedOut,
        Column::Runs,
        Column::FinishReason,
        Column::Usage,
        Column::Charge,
        Column::Bill,
        Column::Tag("nobody".into()),
    ];
    for record in records {
        columns.extend(record.tags.keys().map(|key| Column::Tag(key.as_str().into())));
        columns.extend(record.metadata.keys().map(|key| Column::Metadata(key.as_str().into())));
    }
    columns
}

pub(super) fn rows(table: Table, record: &OperationRecord) -> usize {
    match table {
        Table::Operations => 1,
        Table::ToolCalls => record.tool_calls.len(),
        Table::LlmCalls => record.llm_calls.len(),
        Table::Components => record.components.len(),
        Table::Errors => record.errors.len(),
    }
}

/// What a row says in a column.
#[derive(Debug, PartialEq)]
enum Said {
    Number(u64),
    Money(Money),
    Text(Option<String>),
    Usage(Option<BTreeMap<Unit, u64>>),
    Charge(Charge),
    Bill(BTreeMap<Unit, Money>),
}

pub(super) fn check_block(
    table: Table,
    records: &[&OperationRecord],
    columns: &[Column],
    block: &Block<'_>,
) {
    for column in columns {
        let places = records.iter().enumerate().flat_map(|(owner, record)| {
            (0..rows(table, record)).map(move |at| (owner, *record, at))
        });
        for (row, (owner, record, at)) in places.enumerate() {
            let expected = match column {
                Column::Owner => Said::Number(owner as u64),
                column => said(table, record, at, column),
            };
            let found = match expected {
                Said::Number(_) => Said::Number(block.numbers(column).expect("numbers")[row]),
                Said::Money(_) => Said::Money(block.money(column).expect("money")[row]),
                Said::Text(_) => {
                    let texts = block.texts(column).expect("texts");
                    let key = texts.keys[row];
                    Said::Text((key != Keys::NONE).then(|| texts.names[key as usize].to_string()))
                }
                Said::Usage(_) => {
                    let usage = block.usage().expect("usage");
                    let counts = usage.units.iter().map(|(unit, counts)| (*unit, counts[row]));
                    let counts = counts.filter(|(_, count)| *count > 0).collect();
                    Said::Usage(usage.told[row].then_some(counts))
                }
                Said::Charge(_) => Said::Charge(block.charges().expect("charges")[row]),
                Said::Bill(_) => {
                    let bills = block.bills().expect("bills").iter();
                    let amounts = bills.map(|(unit, amounts)| (*unit, amounts[row]));
                    Said::Bill(amounts.filter(|(_, amount)| !amount.is_zero()).collect())
                }
            };
            assert_eq!(found, expected, "{column:?} of row {row} of {table:?}");
        }
    }
}

fn said(table: Table, record: &OperationRecord, at: usize, column: &Column) -> Said {
    let tool = (table == Table::ToolCalls).then(|| &record.tool_calls[at]);
    let llm = (table == Table::LlmCalls).then(|| &record.llm_calls[at]);
    let component = (table == Table::Components).then(|| &record.components[at]);
    let error = (table == Table::Errors).then(|| &record.errors[at]);
    let text = |text: Option<&str>| Said::Text(text.map(str::to_owned));
    let json = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match column {
        Column::StartedAt => {
            let own =
                tool.and_then(|call| call.started_at).or(llm.and_then(|call| call.started_at));
            let offset = component.and_then(|timing| timing.offset).map_or(0, nanos_of);
            Said::Number(
                ns(own.unwrap_or(record.started_at))
                    .saturating_add_unsigned(offset)
                    .cast_unsigned(),
            )
        }
        Column::Duration => Said::Number(duration(table, record, at).map_or(Block::NONE, nanos_of)),
        Column::FirstToken => {
            let told = llm.and_then(|call| call.time_to_first_token);
            Said::Number(told.map_or(Block::NONE, nanos_of))
        }
        Column::Outcome => Said::Number(match (tool, llm) {
            (Some(call), _) => u64::from(!call.is_success()),
            (_, Some(call)) => u64::from(!call.is_success()),
            _ => match record.outcome {
                Outcome::Success => 0,
                Outcome::Failure => 1,
                Outcome::Abandoned => 2,
            },
        }),
        Column::Name => match (tool, llm, component) {
            (Some(call), _, _) => text(Some(&call.name)),
            (_, Some(call), _) => text(Some(call.model())),
            (_, _, Some(timing)) => text(Some(&timing.name)),
            _ => text(error.map_or(Some(&*record.name), |error| error.component.as_deref())),
        },
        Column::Operation => text(Some(&record.name)),
        Column::User => text(record.user.as_deref()),
        Column::Session => text(record.session.as_deref()),
        Column::Tag(key) => text(record.tags.get(key.as_str()).map(String::as_str)),
        Column::Metadata(key) => Said::Text(record.metadata.get(key.as_str()).map(json)),
        Column::Provider => text(llm.and_then(|call| call.provider.as_deref())),
        Column::ErrorCategory => {
            let within = |timing: &ComponentTiming| {
                let name = Some(&timing.name);
                record.errors.iter().find(|error| error.component.as_ref() == name)
            };
            let category = match (tool, llm, component) {
                (Some(call), _, _) => call.error_category(),
                (_, Some(call), _) => call.error.as_ref().map(|error| error.category),
                (_, _, Some(timing)) => within(timing).map(|error| error.category),
                _ => error.or(record.errors.first()).map(|error| error.category),
            };
            text(category.map(ErrorCategory::as_str))
        }
        Column::InputTokens => sum_of(table, record, at, TokenUsage::input_tokens),
        Column::OutputTokens => sum_of(table, record, at, TokenUsage::output_tokens),
        Column::CacheReadTokens => sum_of(table, record, at, |usage| {
            let units = [
                Unit::CacheRead,
                Unit::CacheReadExplicit,
                Unit::CacheReadAudio,
                Unit::CacheReadImage,
                Unit::CacheReadVideo,
            ];
            units.iter().fold(0_u64, |sum, unit| sum.saturating_add(usage.get(*unit)))
        }),
        Column::CostUsd => Said::Money(match table {
            Table::Operations => record.llm_calls.iter().map(usd).sum(),
            Table::LlmCalls => usd(&record.llm_calls[at]),
            _ => Money::ZERO,
        }),
        Column::Unpriced => {
            let calls = record.llm_calls.iter().filter(|call| unpriced(call)).count() as u64;
            llm.map_or(of_operation(table, calls), |call| Said::Number(unpriced(call).into()))
        }
        Column::Attempt => {
            let attempt = tool.map(|call: &ToolCall| call.attempt).or(llm.map(|call| call.attempt));
            Said::Number(attempt.map_or(Block::NONE, u64::from))
        }
        Column::Owner => unreachable!("it is told by the place of the record"),
        Column::Errors => of_operation(table, record.error_count()),
        Column::Warnings => of_operation(table, record.warning_count()),
        Column::TimedOut => Said::Number(
            tool.map_or(Block::NONE, |call| u64::from(call.status == ToolStatus::Timeout)),
        ),
        Column::Runs => Said::Number(component.map_or(Block::NONE, |timing| timing.count)),
        Column::FinishReason => text(llm.and_then(|call| call.finish_reason.as_deref())),
        Column::Usage => {
            let usage = llm.and_then(|call| call.usage.as_ref());
            Said::Usage(usage.map(|usage| usage.iter().filter(|(_, count)| *count > 0).collect()))
        }
        Column::Charge => Said::Charge(match llm {
            Some(call) => Charge::of(&call.cost, call.usage.as_ref()),
            None => Charge::of(&CostOutcome::NoUsage, None),
        }),
        Column::Bill => Said::Bill(bill(llm)),
    }
}

fn bill(call: Option<&LlmCall>) -> BTreeMap<Unit, Money> {
    let mut bill = BTreeMap::<Unit, Money>::new();
    let estimate = call.and_then(|call| call.cost.estimate());
    let dollars = estimate.filter(|cost| cost.currency.as_str() == "USD");
    for line in dollars.iter().flat_map(|cost| &cost.lines) {
        *bill.entry(line.unit).or_default() += line.amount;
    }
    bill.retain(|_, amount| !amount.is_zero());
    bill
}

/// What is told of a record in a line.
pub(super) fn in_a_line(mut record: OperationRecord) -> OperationRecord {
    (record.parent, record.trace_id) = (None, record.id.into());
    record.metadata.clear();
    record.components.clear();
    record.warnings.clear();
    for call in &mut record.tool_calls {
        call.started_at = None;
        call.metadata.clear();
    }
    for call in &mut record.llm_calls {
        (call.started_at, call.time_to_first_token) = (None, None);
        call.metadata.clear();
    }
    record
}

fn duration(table: Table, record: &OperationRecord, at: usize) -> Option<Duration> {
    match table {
        Table::Operations => Some(record.duration),
        Table::Components => Some(record.components[at].duration),
        Table::ToolCalls => record.tool_calls[at].duration,
        Table::LlmCalls => record.llm_calls[at].duration,
        Table::Errors => None,
    }
}

fn of_operation(table: Table, count: u64) -> Said {
    Said::Number(if table == Table::Operations { count } else { Block::NONE })
}

fn sum_of(
    table: Table,
    record: &OperationRecord,
    at: usize,
    tokens: fn(&TokenUsage) -> u64,
) -> Said {
    let of = |call: &LlmCall| call.usage.as_ref().map_or(0, tokens);
    Said::Number(match table {
        Table::Operations => {
            record.llm_calls.iter().map(of).fold(0, |sum: u64, count| sum.saturating_add(count))
        }
        Table::LlmCalls => of(&record.llm_calls[at]),
        _ => Block::NONE,
    })
}

fn usd(call: &LlmCall) -> Money {
    let amount = call.cost.amount().filter(|(_, currency)| currency.as_str() == "USD");
    amount.map_or(Money::ZERO, |(amount, _)| amount)
}

fn unpriced(call: &LlmCall) -> bool {
    call.cost.known_usd().is_none()
}

fn nanos_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).min(Block::NONE - 1)
}

fn ns(at: DateTime<Utc>) -> i64 {
    let far = if at < DateTime::UNIX_EPOCH { i64::MIN } else { i64::MAX };
    at.timestamp_nanos_opt().unwrap_or(far)
}
