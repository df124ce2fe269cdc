//! Single operations, a line each.

use std::ops::ControlFlow;

use chrono::{DateTime, Utc};
use serde::Serialize;
use taximeter_models::{ErrorCategory, Money, Name, OperationId, OperationRecord, Outcome};
use taximeter_persistence::StoreError;
use taximeter_persistence::store::{Detail, Query};

use super::windows::seconds;
use super::{History, LookedAt};

/// An operation in a line.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Line {
    /// Its id.
    pub operation_id: OperationId,
    /// What it is called.
    pub operation_name: Name,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// How long it took, in seconds.
    pub total_duration: f64,
    /// How it ended.
    pub outcome: Outcome,
    /// The category of its first error, or of the first of its calls that failed.
    pub error: Option<ErrorCategory>,
    /// What is known of its cost, in US dollars.
    pub total_cost: Money,
    /// Its LLM calls whose cost is not known, or not whole, or whose reply told no usage.
    pub unpriced_calls: u64,
    /// Its tokens.
    pub total_tokens: u64,
    /// Its LLM calls.
    pub llm_calls: u64,
    /// Its tool calls.
    pub tool_calls: u64,
    /// For whom it ran.
    pub user: Option<Name>,
    /// The conversation that it was part of.
    pub session: Option<Name>,
}

impl Line {
    /// The line of a record.
    pub fn of(record: &OperationRecord) -> Self {
        let cost = record.cost();
        Self {
            operation_id: record.id,
            operation_name: record.name.clone(),
            started_at: record.started_at,
            total_duration: seconds(record.duration),
            outcome: record.outcome,
            error: first_error(record),
            total_cost: cost.usd(),
            unpriced_calls: cost.unpriced_calls + cost.calls_without_usage,
            total_tokens: record.usage().total_tokens(),
            llm_calls: record.llm_calls.len() as u64,
            tool_calls: record.tool_calls.len() as u64,
            user: record.user.clone(),
            session: record.session.clone(),
        }
    }
}

fn first_error(record: &OperationRecord) -> Option<ErrorCategory> {
    let of_operation = record.errors.first().map(|error| error.category);
    let of_llms = || record.llm_calls.iter().find_map(|call| call.error.as_ref());
    let of_tools = || record.tool_calls.iter().find_map(taximeter_models::ToolCall::error_category);
    of_operation.or_else(|| of_llms().map(|error| error.category)).or_else(of_tools)
}

impl History {
    /// The operations that a query means, in its order.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn operations(&self, query: &Query) -> Result<(Vec<Line>, LookedAt), StoreError> {
        let mut lines = Vec::new();
        let query = query.clone().detail(Detail::Line);
        let scanned = self.store.scan(&query, &mut |record| {
            lines.push(Line::of(&record));
            ControlFlow::Continue(())
        })?;
        let looked = LookedAt { records: scanned.shown, more: false, damaged: scanned.damaged };
        Ok((lines, looked))
    }
}
