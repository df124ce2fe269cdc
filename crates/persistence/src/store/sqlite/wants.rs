//! What of an operation is needed to answer a question.

use crate::store::{Column, Condition, Query, Table};

/// The parts of a hot operation that are taken apart; the others stay empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each stands for a part")]
pub(super) struct Wants {
    pub(super) tags: bool,
    pub(super) metadata: bool,
    /// What it cost, out of its own cell.
    pub(super) cost: bool,
    pub(super) components: bool,
    pub(super) tool_calls: bool,
    pub(super) llm_calls: bool,
    /// The metadata of calls.
    pub(super) call_metadata: bool,
    /// What LLM calls cost, and why.
    pub(super) prices: bool,
    /// Errors and warnings; those of calls need the calls.
    pub(super) faults: bool,
}

impl Wants {
    pub(super) const ALL: Self = Self {
        tags: true,
        metadata: true,
        cost: false,
        components: true,
        tool_calls: true,
        llm_calls: true,
        call_metadata: true,
        prices: true,
        faults: true,
    };

    /// What the conditions of a query look at.
    pub(super) fn of(query: &Query) -> Self {
        let mut wants = Self::default();
        for condition in &query.conditions {
            match condition {
                Condition::Operation(_)
                | Condition::User(_)
                | Condition::Session(_)
                | Condition::Outcome(_)
                | Condition::AtLeastNanos(_) => {}
                Condition::Tag(..) => wants.tags = true,
                Condition::Metadata(..) => wants.metadata = true,
                Condition::Tool(_) => wants.tool_calls = true,
                Condition::Provider(_) | Condition::Llm(_) => wants.llm_calls = true,
                Condition::Component(_) => wants.components = true,
                Condition::Error(_) => wants.errors(),
            }
        }
        wants
    }

    /// And what columns of a table show.
    pub(super) fn and(mut self, table: Table, columns: &[Column]) -> Self {
        match table {
            Table::Operations => {}
            Table::ToolCalls => self.tool_calls = true,
            Table::LlmCalls => self.llm_calls = true,
            Table::Components => self.components = true,
            Table::Errors => self.errors(),
        }
        for column in columns {
            match column {
                Column::StartedAt
                | Column::Duration
                | Column::Name
                | Column::Operation
                | Column::User
                | Column::Owner
                | Column::Runs
                | Column::TimedOut
                | Column::Session => {}
                Column::Tag(_) => self.tags = true,
                Column::Metadata(_) => self.metadata = true,
                // Whether a call succeeded is told by its error.
                Column::Outcome if matches!(table, Table::Operations | Table::Errors) => {}
                Column::ErrorCategory if table == Table::Errors => {}
                Column::Outcome | Column::ErrorCategory | Column::Errors | Column::Warnings => {
                    self.errors();
                }
                Column::Provider
                | Column::InputTokens
                | Column::CacheReadTokens
                | Column::OutputTokens
                | Column::FirstToken
                | Column::FinishReason
                | Column::Usage
                | Column::Attempt => self.llm_calls = true,
                Column::CostUsd | Column::Unpriced | Column::Charge | Column::Bill => {
                    (self.llm_calls, self.prices) = (true, true);
                }
            }
        }
        self
    }

    fn errors(&mut self) {
        (self.faults, self.tool_calls, self.llm_calls) = (true, true, true);
    }
}
