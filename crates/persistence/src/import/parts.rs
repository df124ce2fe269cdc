//! Parts of operations that several formats tell in the same way.

use taximeter_models::{
    Currency, ErrorRecord, Money, Name, OperationRecord, ReportedCost, ToolCall, ToolStatus,
};

/// A total in US dollars that another program wrote down.
pub(crate) fn reported(total: Money) -> ReportedCost {
    ReportedCost { total, input: None, output: None, currency: Currency::USD }
}

/// The call of a tool that a whole operation was.
pub(crate) fn tool_call(
    name: impl Into<Name>,
    operation: &OperationRecord,
    error: Option<ErrorRecord>,
) -> ToolCall {
    let category = error.as_ref().map(|error| error.category);
    let status = category.map_or(ToolStatus::Success, ToolStatus::of_error);
    let mut call = ToolCall::new(name, status).lasting(operation.duration);
    call.started_at = Some(operation.started_at);
    call.error = error;
    call
}
