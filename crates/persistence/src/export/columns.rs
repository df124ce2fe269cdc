//! The columns of the tables that operations are flattened into.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, Utc};
use taximeter_models::{ComponentTiming, LlmCall, Money, OperationRecord, ToolCall, Unit};

/// A cell of a table.
pub(crate) enum Cell<'a> {
    /// A text that came from a program or a person, and may be anything.
    Text(Cow<'a, str>),
    /// A text that we made: a number, a time, an id, a word of ours.
    Plain(String),
    /// Nothing is known.
    None,
}

/// A table of what operations left behind.
///
/// ```
/// use taximeter_persistence::ExportTable;
///
/// assert_eq!("tool_calls".parse(), Ok(ExportTable::ToolCalls));
/// assert!("tools".parse::<ExportTable>().unwrap_err().to_string().contains("tool_calls"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum ExportTable {
    /// A row for each operation, with sums over its calls.
    #[default]
    Operations,
    /// A row for each call of a tool.
    ToolCalls,
    /// A row for each call of an LLM.
    LlmCalls,
    /// A row for each timing of a component.
    Components,
}

/// A text that names no table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("reading {text:?} as a table: there is operations, tool_calls, llm_calls, components")]
pub struct UnknownExportTable {
    text: String,
}

impl ExportTable {
    /// Every table.
    pub const ALL: &'static [Self] =
        &[Self::Operations, Self::ToolCalls, Self::LlmCalls, Self::Components];

    /// The name, such as `tool_calls`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operations => "operations",
            Self::ToolCalls => "tool_calls",
            Self::LlmCalls => "llm_calls",
            Self::Components => "components",
        }
    }

    /// The names of its columns.
    pub const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Operations => OPERATIONS,
            Self::ToolCalls => TOOL_CALLS,
            Self::LlmCalls => LLM_CALLS,
            Self::Components => COMPONENTS,
        }
    }

    /// Gives each row of an operation in this table to a function.
    pub(crate) fn rows<E>(
        self,
        operation: &OperationRecord,
        mut row: impl FnMut(Vec<Cell<'_>>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Operations => row(of_operation(operation)),
            Self::ToolCalls => {
                operation.tool_calls.iter().try_for_each(|call| row(of_tool_call(operation, call)))
            }
            Self::LlmCalls => {
                operation.llm_calls.iter().try_for_each(|call| row(of_llm_call(operation, call)))
            }
            Self::Components => operation
                .components
                .iter()
                .try_for_each(|timing| row(of_component(operation, timing))),
        }
    }
}

impl std::fmt::Display for ExportTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for ExportTable {
    type Err = UnknownExportTable;

    fn from_str(text: &str) -> Result<Self, UnknownExportTable> {
        let mut all = Self::ALL.iter().copied();
        all.find(|table| table.as_str() == text)
            .ok_or_else(|| UnknownExportTable { text: text.chars().take(64).collect() })
    }
}

const OPERATIONS: &[&str] = &[
    "operation_id",
    "parent_id",
    "trace_id",
    "remote_parent_id",
    "operation_name",
    "started_at",
    "duration_ns",
    "outcome",
    "user",
    "session",
    "tags",
    "error_count",
    "warning_count",
    "llm_calls",
    "tool_calls",
    "failed_tool_calls",
    "provider",
    "model",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_usd",
    "unpriced_calls",
    "metadata",
];

fn of_operation(operation: &OperationRecord) -> Vec<Cell<'_>> {
    let (usage, cost) = (operation.usage(), operation.cost());
    let failed = operation.tool_calls.iter().filter(|call| !call.is_success()).count();
    let models = operation.models().into_iter().collect::<Vec<_>>().join(";");
    let mut providers: Vec<_> =
        operation.llm_calls.iter().filter_map(|call| call.provider.as_deref()).collect();
    providers.sort_unstable();
    providers.dedup();
    let known = !cost.amounts.is_empty() || cost.free_calls > 0;
    vec![
        plain(operation.id),
        operation.parent.map_or(Cell::None, plain),
        plain(operation.trace_id),
        operation.remote_parent.map_or(Cell::None, plain),
        text(&operation.name),
        plain(instant(operation.started_at)),
        plain(operation.duration.as_nanos()),
        plain(operation.outcome.as_str()),
        optional(operation.user.as_deref()),
        optional(operation.session.as_deref()),
        json(&operation.tags, operation.tags.is_empty()),
        plain(operation.error_count()),
        plain(operation.warning_count()),
        plain(operation.llm_calls.len()),
        plain(operation.tool_calls.len()),
        plain(failed),
        Cell::Text(providers.join(";").into()),
        Cell::Text(models.into()),
        plain(usage.input_tokens()),
        plain(usage.output_tokens()),
        plain(usage.total_tokens()),
        plain(usage.get(Unit::CacheRead)),
        plain(usage.cache_write_tokens()),
        plain(usage.get(Unit::Reasoning)),
        if known { money(cost.usd()) } else { Cell::None },
        plain(cost.unpriced_calls),
        json(&operation.metadata, operation.metadata.is_empty()),
    ]
}

const TOOL_CALLS: &[&str] = &[
    "operation_id",
    "operation_name",
    "tool_name",
    "status",
    "started_at",
    "duration_ns",
    "attempt",
    "error_category",
    "error_message",
    "arguments_hash",
    "metadata",
];

fn of_tool_call<'a>(operation: &'a OperationRecord, call: &'a ToolCall) -> Vec<Cell<'a>> {
    vec![
        plain(operation.id),
        text(&operation.name),
        text(&call.name),
        plain(call.status.as_str()),
        call.started_at.map_or(Cell::None, |at| plain(instant(at))),
        call.duration.map_or(Cell::None, |duration| plain(duration.as_nanos())),
        plain(call.attempt),
        call.error_category().map_or(Cell::None, plain),
        optional(call.error.as_ref().map(|error| error.message.as_str())),
        call.arguments_hash.map_or(Cell::None, |hash| plain(format!("{hash:016x}"))),
        json(&call.metadata, call.metadata.is_empty()),
    ]
}

const LLM_CALLS: &[&str] = &[
    "operation_id",
    "operation_name",
    "provider",
    "request_model",
    "response_model",
    "started_at",
    "duration_ns",
    "time_to_first_token_ns",
    "streamed",
    "attempt",
    "finish_reason",
    "served_tier",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "usage",
    "cost_outcome",
    "cost",
    "currency",
    "error_category",
    "error_message",
    "metadata",
];

fn of_llm_call<'a>(operation: &'a OperationRecord, call: &'a LlmCall) -> Vec<Cell<'a>> {
    let used = |count: &dyn Fn(&taximeter_models::TokenUsage) -> u64| {
        call.usage.as_ref().map_or(Cell::None, |usage| plain(count(usage)))
    };
    let amount = call.cost.amount();
    vec![
        plain(operation.id),
        text(&operation.name),
        optional(call.provider.as_deref()),
        optional(call.request_model.as_deref()),
        optional(call.response_model.as_deref()),
        call.started_at.map_or(Cell::None, |at| plain(instant(at))),
        call.duration.map_or(Cell::None, |duration| plain(duration.as_nanos())),
        call.time_to_first_token.map_or(Cell::None, |duration| plain(duration.as_nanos())),
        plain(call.streamed),
        plain(call.attempt),
        optional(call.finish_reason.as_deref()),
        optional(call.served_tier.as_deref()),
        used(&|usage| usage.input_tokens()),
        used(&|usage| usage.output_tokens()),
        used(&|usage| usage.get(Unit::CacheRead)),
        used(&|usage| usage.cache_write_tokens()),
        used(&|usage| usage.get(Unit::Reasoning)),
        call.usage.as_ref().map_or(Cell::None, |usage| json(usage, false)),
        plain(call.cost.as_str()),
        amount.map_or(Cell::None, |(amount, _)| money(amount)),
        amount.map_or(Cell::None, |(_, currency)| plain(currency)),
        call.error.as_ref().map_or(Cell::None, |error| plain(error.category)),
        optional(call.error.as_ref().map(|error| error.message.as_str())),
        json(&call.metadata, call.metadata.is_empty()),
    ]
}

const COMPONENTS: &[&str] =
    &["operation_id", "operation_name", "component", "offset_ns", "duration_ns", "count"];

fn of_component<'a>(operation: &'a OperationRecord, timing: &'a ComponentTiming) -> Vec<Cell<'a>> {
    vec![
        plain(operation.id),
        text(&operation.name),
        text(&timing.name),
        timing.offset.map_or(Cell::None, |offset| plain(offset.as_nanos())),
        plain(timing.duration.as_nanos()),
        plain(timing.count),
    ]
}

fn text(text: &str) -> Cell<'_> {
    Cell::Text(Cow::Borrowed(text))
}

fn optional(text: Option<&str>) -> Cell<'_> {
    text.map_or(Cell::None, |text| Cell::Text(Cow::Borrowed(text)))
}

#[expect(clippy::needless_pass_by_value, reason = "numbers and ids are copied anyway")]
fn plain(value: impl ToString) -> Cell<'static> {
    Cell::Plain(value.to_string())
}

/// An amount as a decimal: a fraction would be computed by a spreadsheet, as a float.
fn money(amount: Money) -> Cell<'static> {
    Cell::Plain(amount.to_decimal(28))
}

/// A value as JSON; it begins with a bracket, and can be no formula.
fn json(value: &impl serde::Serialize, is_empty: bool) -> Cell<'static> {
    match serde_json::to_string(value) {
        Ok(json) if !is_empty => Cell::Plain(json),
        _ => Cell::None,
    }
}

fn instant(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
