//! Questions in SQL over everything, hot and sealed: what is asked about is laid out in tables for as long as it takes.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, Utc};
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ToSql, params};
use serde_json::Value;
use taximeter_models::{
    ComponentTiming, ErrorCategory, ErrorRecord, LlmCall, OperationRecord, TokenUsage, ToolCall,
    Unit,
};

use super::error::failed;
use super::{SqliteStore, notes, open};
use crate::StoreError;
use crate::store::rows::{duration_nanos, nanos};
use crate::store::{Query, Store};

/// A question in SQL, with its limits.
///
/// The tables `operations`, `components`, `tool_calls` and `llm_calls` hold everything that began within the time, hot and
/// sealed; they are made for the question, and only those that it names. `metrics` holds what meters noted of metrics that
/// belong to no operation, of all of time. The tables and views of the file are there too.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sql {
    /// One statement that reads.
    pub text: String,
    /// The first moment; none is the beginning.
    pub since: Option<DateTime<Utc>>,
    /// The moment after the last; none is the end.
    pub until: Option<DateTime<Utc>>,
    /// How many rows are given at most. Default: 10,000.
    pub rows: usize,
    /// How many bytes of cells are given at most, rounded up to a row. Default: no limit.
    pub bytes: usize,
    /// How many operations the tables may hold; of more, the question is refused. Default: no limit.
    pub operations: Option<u64>,
    /// How long it may take, the tables aside. Default: ten seconds.
    pub timeout: Duration,
}

impl Sql {
    /// This question over all of time, with the usual limits.
    pub fn new(text: impl Into<String>) -> Self {
        let timeout = Duration::from_secs(10);
        Self {
            text: text.into(),
            since: None,
            until: None,
            rows: 10_000,
            bytes: usize::MAX,
            operations: None,
            timeout,
        }
    }
}

/// The answer to a question in SQL.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Answer {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows; bytes are hexadecimal text.
    pub rows: Vec<Vec<Value>>,
    /// Whether there were more rows than are given.
    pub cut: bool,
    /// Operations that could not be read, and are in no table.
    pub damaged: u64,
}

const TABLES: &str = include_str!("sql.sql");
/// What meters noted of metrics that belong to no operation, point by point.
const METRICS: &str = "CREATE TEMP VIEW metrics AS
    SELECT substr(n.key, 9, instr(substr(n.key, 9), '/') - 1) AS level,
      strftime('%Y-%m-%dT%H:%M:%SZ', n.at_ns / 1000000000, 'unixepoch') AS start,
      p.value ->> 'name' AS name, p.value ->> 'unit' AS unit, coalesce(p.value -> 'labels', '{}') AS labels,
      p.value ->> 'kind' AS kind, p.value ->> 'increase' AS increase, p.value ->> 'last' AS last,
      p.value ->> 'count' AS count, p.value ->> 'sum' AS sum
    FROM notes n, json_each(n.value, '$.points') p WHERE n.key LIKE 'metrics/%'";
const NO_METRICS: &str = "CREATE TEMP TABLE metrics (level TEXT, start TEXT, name TEXT, unit TEXT, labels TEXT, kind TEXT,
    increase REAL, last REAL, count INTEGER, sum REAL)";

impl SqliteStore {
    /// Answers a question in SQL. Nothing can be changed by it, whatever it says, and no other file be opened.
    ///
    /// # Errors
    /// Where the question is no SQL that reads, takes too long, or the store cannot be read; the cause says which.
    pub fn sql(&self, question: &Sql) -> Result<Answer, StoreError> {
        let said = failed("asking", &self.path);
        let (mut connection, _) = open::for_reading(&self.path, &self.how)?;
        connection.execute_batch(TABLES).map_err(said)?;
        // The notes are there as soon as there is one.
        let metrics =
            if notes::is_there(&connection).map_err(said)? { METRICS } else { NO_METRICS };
        connection.execute_batch(metrics).map_err(said)?;
        let damaged = self.lay_out(&connection, question)?;
        fence(&mut connection, question.timeout).map_err(said)?;
        let mut answer = ask(&connection, question, &self.path)?;
        answer.damaged = damaged;
        Ok(answer)
    }

    /// Fills the tables that the question names.
    fn lay_out(&self, connection: &Connection, question: &Sql) -> Result<u64, StoreError> {
        let said = failed("asking", &self.path);
        let text = question.text.to_lowercase();
        let names = |table: &str| {
            // A view of hot rows has the name of the table in its own.
            text.match_indices(table).any(|(at, _)| !text[..at].ends_with("hot_"))
        };
        let wanted = ["operations", "components", "tool_calls", "llm_calls"].map(names);
        if !wanted.contains(&true) {
            return Ok(0);
        }
        let mut query = Query::default();
        (query.since, query.until) = (question.since, question.until);
        connection.execute_batch("BEGIN").map_err(said)?;
        let (mut problem, mut count) = (None, 0);
        let most = question.operations.unwrap_or(u64::MAX);
        let scanned = self.scan(&query, &mut |record| {
            count += 1;
            if count > most {
                return ControlFlow::Break(());
            }
            problem = insert(connection, &record, wanted).err();
            if problem.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        problem.map_or(Ok(()), Err).map_err(said)?;
        if count > most {
            let source =
                format!("there are more than {most} operations; name a shorter period").into();
            return Err(StoreError::Failed { doing: "asking", path: self.path.clone(), source });
        }
        connection.execute_batch("COMMIT").map_err(said)?;
        Ok(scanned.damaged)
    }
}

/// An operation on its way into the tables that were asked for.
struct Told<'r> {
    connection: &'r Connection,
    record: &'r OperationRecord,
    id: String,
    started_ns: i64,
}

fn insert(
    connection: &Connection,
    record: &OperationRecord,
    [operations, components, tool_calls, llm_calls]: [bool; 4],
) -> rusqlite::Result<()> {
    let (id, started_ns) = (record.id.to_string(), nanos(record.started_at));
    let told = Told { connection, record, id, started_ns };
    if operations {
        told.operation()?;
    }
    if components {
        record.components.iter().try_for_each(|timing| told.component(timing))?;
    }
    if tool_calls {
        record.tool_calls.iter().try_for_each(|call| told.tool_call(call))?;
    }
    if llm_calls {
        record.llm_calls.iter().try_for_each(|call| told.llm_call(call))?;
    }
    Ok(())
}

impl Told<'_> {
    fn row(&self, table: &str, cells: &[&dyn ToSql]) -> rusqlite::Result<()> {
        let places = vec!["?"; cells.len()].join(",");
        let sql = format!("INSERT INTO temp.{table} VALUES ({places})");
        self.connection.prepare_cached(&sql)?.execute(cells).map(drop)
    }

    fn operation(&self) -> rusqlite::Result<()> {
        let record = self.record;
        let usage = record.usage();
        let unpriced = record.llm_calls.iter().filter(|call| call.cost.known_usd().is_none());
        let (category, message) = error(record.errors.first());
        self.row(
            "operations",
            params![
                self.id,
                &*record.name,
                record.started_at.to_rfc3339_opts(SecondsFormat::Nanos, true),
                self.started_ns,
                long(record.duration),
                record.outcome.as_str(),
                record.parent.map(|parent| parent.to_string()),
                record.trace_id.to_string(),
                record.remote_parent.map(|parent| parent.to_string()),
                record.user.as_deref(),
                record.session.as_deref(),
                json(&record.tags),
                json(&record.metadata),
                big(usage.input_tokens()),
                big(usage.output_tokens()),
                record.cost().usd().to_string(),
                big(unpriced.count() as u64),
                category,
                message,
            ],
        )
    }

    fn component(&self, timing: &ComponentTiming) -> rusqlite::Result<()> {
        let offset = timing.offset.map(long);
        self.row(
            "components",
            params![
                self.id,
                &*self.record.name,
                &*timing.name,
                self.started_ns.saturating_add(offset.unwrap_or(0)),
                offset,
                long(timing.duration),
                big(timing.count),
            ],
        )
    }

    fn tool_call(&self, call: &ToolCall) -> rusqlite::Result<()> {
        self.row(
            "tool_calls",
            params![
                self.id,
                &*self.record.name,
                &*call.name,
                call.status.as_str(),
                call.started_at.map_or(self.started_ns, nanos),
                call.duration.map(long),
                call.attempt,
                call.arguments_hash.map(u64::cast_signed),
                call.error_category().map(ErrorCategory::as_str),
                error(call.error.as_ref()).1,
                json(&call.metadata),
            ],
        )
    }

    fn llm_call(&self, call: &LlmCall) -> rusqlite::Result<()> {
        let usage = call.usage.as_ref();
        let tokens = |count: fn(&TokenUsage) -> u64| usage.map(|usage| big(count(usage)));
        let amount = call.cost.amount();
        let (category, message) = error(call.error.as_ref());
        self.row(
            "llm_calls",
            params![
                self.id,
                &*self.record.name,
                call.provider.as_deref(),
                call.model(),
                call.request_model.as_deref(),
                call.response_model.as_deref(),
                call.finish_reason.as_deref(),
                call.started_at.map_or(self.started_ns, nanos),
                call.duration.map(long),
                call.time_to_first_token.map(long),
                call.streamed,
                call.attempt,
                tokens(TokenUsage::input_tokens),
                usage.map(|usage| big(usage.get(Unit::CacheRead))),
                tokens(TokenUsage::output_tokens),
                amount.map(|(amount, _)| amount.to_string()),
                amount.map(|(_, currency)| currency.to_string()),
                call.cost.as_str(),
                category,
                message,
                json(&call.metadata),
            ],
        )
    }
}

/// The category and the message of an error.
fn error(error: Option<&ErrorRecord>) -> (Option<&'static str>, Option<&str>) {
    (error.map(|error| error.category.as_str()), error.map(|error| error.message.as_str()))
}

fn big(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn long(duration: Duration) -> i64 {
    big(duration_nanos(duration))
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// From here on, the connection reads and does nothing else, and not for ever.
fn fence(connection: &mut Connection, timeout: Duration) -> rusqlite::Result<()> {
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, 1 << 24)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, 1 << 20)?;
    connection.authorizer(Some(|context: AuthContext<'_>| match context.action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => {
            Authorization::Allow
        }
        AuthAction::Function { function_name } if function_name != "load_extension" => {
            Authorization::Allow
        }
        _ => Authorization::Deny,
    }))?;
    let began = Instant::now();
    connection.progress_handler(1_000, Some(move || began.elapsed() > timeout))
}

fn ask(connection: &Connection, question: &Sql, path: &Path) -> Result<Answer, StoreError> {
    let said = failed("asking", path);
    let mut select = connection.prepare(&question.text).map_err(said)?;
    let columns = select.column_names().map(str::to_owned).collect::<Vec<_>>();
    let mut answer = Answer { columns, ..Answer::default() };
    let mut rows = select.query([]).map_err(said)?;
    let mut bytes = 0_usize;
    while let Some(row) = rows.next().map_err(said)? {
        if answer.rows.len() >= question.rows || bytes >= question.bytes {
            answer.cut = true;
            break;
        }
        let cells = (0..answer.columns.len()).map(|place| {
            let cell = row.get_ref(place)?;
            bytes += size(cell);
            Ok(value(cell))
        });
        answer.rows.push(cells.collect::<rusqlite::Result<_>>().map_err(said)?);
    }
    Ok(answer)
}

/// About what a cell takes as text.
fn size(cell: ValueRef<'_>) -> usize {
    match cell {
        ValueRef::Text(text) => text.len() + 16,
        ValueRef::Blob(bytes) => 2 * bytes.len() + 16,
        _ => 16,
    }
}

fn value(cell: ValueRef<'_>) -> Value {
    match cell {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Blob(bytes) => {
            let mut text = String::with_capacity(2 * bytes.len());
            for byte in bytes {
                text.extend(
                    [byte >> 4, byte & 15]
                        .map(|digit| char::from_digit(digit.into(), 16).unwrap_or('?')),
                );
            }
            text.into()
        }
    }
}
