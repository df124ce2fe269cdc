//! What the tests share: sessions to save, and looks at directories.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use taximeter_models::{
    ErrorCategory, LlmCall, OperationId, OperationRecord, Outcome, Session, TokenUsage, ToolCall,
    ToolStatus,
};

pub(crate) fn noon() -> DateTime<Utc> {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

/// A session with so many operations that have some of everything.
pub(crate) fn session(id: &str, operations: u32) -> Session {
    let mut session = Session::new(id, noon());
    session.operations = (0..operations).map(operation).collect();
    session
}

fn operation(number: u32) -> OperationRecord {
    let mut operation = OperationRecord::new("qa_response");
    operation.id = OperationId::from_bits(u128::from(number) + 1);
    operation.trace_id = operation.id.into();
    operation.started_at = noon() + Duration::from_nanos(u64::from(number) * 1_234_567);
    operation.duration = Duration::from_nanos(1_000_000_001);
    operation.outcome = if number.is_multiple_of(3) { Outcome::Failure } else { Outcome::Success };
    operation.add_component("llm_inference", Duration::from_millis(800));
    operation.tool_calls.push(
        ToolCall::new("web_search", ToolStatus::Timeout)
            .failed_with(ErrorCategory::Timeout, "no answer")
            .with("größe", 1.25),
    );
    operation
        .llm_calls
        .push(LlmCall::new("openai", "gpt-4o").using(TokenUsage::new(1_200, u64::from(number))));
    operation
}

/// The names of all that is in a directory, hidden files too.
pub(crate) fn names_in(directory: &Path) -> Vec<String> {
    let names = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> =
        names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
