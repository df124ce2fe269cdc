//! Questions in SQL over the same tables as `taximeter sql`: one statement that reads, with limits.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use taximeter::StoreError;
use taximeter::history::{Period, VERSION};
use taximeter::store::{Answer as SqlAnswer, Sql};

use super::answers::{Answer, Shared};
use crate::questions::QuestionError;

/// So many rows where no number is named, and the most that may be.
const ROWS: usize = 1_000;
const MOST_ROWS: usize = 10_000;
/// So many bytes of an answer at most.
const MOST_BYTES: usize = 16 << 20;
/// So many operations at most are laid out for one question.
const MOST_OPERATIONS: u64 = 250_000;
/// So long it may take, the tables aside.
const TIME: Duration = Duration::from_secs(10);

/// A question in SQL.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    /// One `SELECT` over `operations`, `components`, `tool_calls` and `llm_calls`.
    sql: String,
    /// The period that the tables hold, such as `24h`. Default: 24 hours.
    #[serde(default)]
    since: String,
    /// So many rows at most, up to 10,000. Default: 1,000.
    #[serde(default)]
    limit: Option<usize>,
}

/// The answer, as `taximeter sql --json` gives it.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Table {
    taximeter_version: u32,
    document: &'static str,
    /// The names of the columns.
    columns: Vec<String>,
    /// The rows; a cell is null, a number or text.
    rows: Vec<Vec<Value>>,
    /// Whether there were more rows.
    cut: bool,
    /// Operations that could not be read, and are in no table.
    damaged: u64,
}

pub(super) async fn ask(
    State(questions): Shared,
    question: Result<Json<Question>, JsonRejection>,
) -> Answer<Table> {
    let Json(question) = question.map_err(|why| QuestionError::Asked(why.body_text()))?;
    let Some(store) = questions.sqlite.clone() else { return Err(QuestionError::NoSql) };
    let since = if question.since.is_empty() { crate::questions::PERIOD } else { &question.since };
    let period = Period::read(since, chrono::Utc::now())?;
    let mut sql = Sql::new(question.sql);
    (sql.since, sql.until, sql.timeout) = (period.since, period.until, TIME);
    sql.rows = question.limit.unwrap_or(ROWS).min(MOST_ROWS);
    (sql.bytes, sql.operations) = (MOST_BYTES, Some(MOST_OPERATIONS));
    let answer = questions.ask(move |_| store.sql(&sql).map_err(explained)).await?;
    let SqlAnswer { columns, rows, cut, damaged, .. } = answer;
    let (taximeter_version, document) = (VERSION, "sql");
    Ok(Json(Table { taximeter_version, document, columns, rows, cut, damaged }))
}

/// What is wrong with a statement is the asker's to know; a store that cannot be read is the server's.
fn explained(error: StoreError) -> QuestionError {
    let StoreError::Failed { source, .. } = &error else { return error.into() };
    let said = source.to_string();
    if said.contains("not authorized") || said.contains("authorization denied") {
        let why = "asking by SQL: nothing can be changed by it, and nothing read but operations, components, tool_calls \
                   and llm_calls; write one SELECT";
        return QuestionError::Asked(why.to_owned());
    }
    if said.contains("interrupted") {
        return QuestionError::TooLong(TIME);
    }
    let said = said.trim_end_matches(": Error code 1: SQL logic error");
    QuestionError::Asked(format!("asking by SQL: {said}"))
}
