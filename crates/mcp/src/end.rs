//! How the call of a tool ended, by what came back.

use rmcp::model::{CallToolResult, ErrorCode, ErrorData, ServerResult};
use rmcp::service::ServiceError;
use taximeter::{ErrorCategory, ErrorRecord, Operation, ToolGuard, ToolStatus};

/// How the call of a tool ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The tool did what it was asked to, or goes on with it later.
    Success,
    /// The tool says that it could not do it.
    Failure,
    /// It did not come to the tool, or the tool broke.
    Error(ErrorRecord),
}

impl End {
    pub(crate) fn of_result(result: &CallToolResult) -> Self {
        if result.is_error == Some(true) { Self::Failure } else { Self::Success }
    }

    pub(crate) fn of_served(served: &Result<ServerResult, ErrorData>) -> Self {
        match served {
            Ok(ServerResult::CallToolResult(result)) => Self::of_result(result),
            // A task that was made, or a question back: the tool is at it.
            Ok(_) => Self::Success,
            Err(error) => Self::Error(record(error)),
        }
    }

    pub(crate) fn of_called(called: &Result<CallToolResult, ServiceError>) -> Self {
        match called {
            Ok(result) => Self::of_result(result),
            Err(ServiceError::McpError(error)) => Self::Error(record(error)),
            Err(error) => {
                let mut record = ErrorRecord::of(error);
                record.category = match error {
                    ServiceError::Timeout { .. } => ErrorCategory::Timeout,
                    ServiceError::Cancelled { .. } => ErrorCategory::Cancelled,
                    ServiceError::TransportClosed => ErrorCategory::Network,
                    ServiceError::UnexpectedResponse => ErrorCategory::Parse,
                    _ => record.category,
                };
                Self::Error(record)
            }
        }
    }

    pub(crate) fn end(self, tool: ToolGuard<'_>, operation: Option<Operation>) {
        match &self {
            Self::Success => tool.succeed(),
            Self::Failure => tool.end(ToolStatus::Failure),
            Self::Error(error) => tool.fail(error),
        }
        let Some(operation) = operation else { return };
        match self {
            Self::Success => operation.succeed(),
            Self::Failure => {
                operation.fail("the tool says that it could not do what it was asked to");
            }
            Self::Error(error) => operation.fail(&error),
        }
    }
}

/// An error of the protocol, by its JSON-RPC code (<https://www.jsonrpc.org/specification#error_object>).
fn record(error: &ErrorData) -> ErrorRecord {
    let category = match error.code {
        ErrorCode::METHOD_NOT_FOUND | ErrorCode::RESOURCE_NOT_FOUND => ErrorCategory::NotFound,
        ErrorCode::INVALID_PARAMS | ErrorCode::INVALID_REQUEST => ErrorCategory::Validation,
        ErrorCode::PARSE_ERROR => ErrorCategory::Parse,
        ErrorCode::INTERNAL_ERROR => ErrorCategory::Server,
        _ => ErrorCategory::from_message(&error.message),
    };
    ErrorRecord::new(category, error.message.clone())
}
