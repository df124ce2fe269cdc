//! Lists: operations and groups, as JSON or as CSV.

use axum::Json;
use axum::extract::{FromRequestParts, Query, State};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use http::header::{ACCEPT, CONTENT_DISPOSITION, CONTENT_TYPE};
use http::request::Parts;
use serde::{Deserialize, Serialize};
use taximeter::StoreError;
use taximeter::history::{By, Group, Line, LookedAt, Session, VERSION};
use taximeter::models::{Money, Name};

use super::answers::{Asked, Shared, asked};
use crate::questions::{Filter, LINES, QuestionError};

/// How a list is to be written.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(super) struct Format {
    /// `json` or `csv`. Default: what `Accept` asks for, and JSON where that names neither.
    format: String,
}

/// As what a list is to be written, as its address and `Accept` ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    Json,
    Csv,
}

impl<S: Sync> FromRequestParts<S> for Written {
    type Rejection = QuestionError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, QuestionError> {
        let format = asked(Query::<Format>::try_from_uri(&parts.uri))?.format;
        match format.as_str() {
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            "" => {
                let accepted = parts.headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
                let accepted = accepted.unwrap_or_default();
                let is_csv =
                    accepted.contains("text/csv") && !accepted.contains("application/json");
                Ok(if is_csv { Self::Csv } else { Self::Json })
            }
            other => Err(QuestionError::Asked(format!("format={other}: expected json or csv"))),
        }
    }
}

impl Written {
    /// A document, or its rows.
    pub(super) fn list<R: Serialize>(
        self,
        name: &'static str,
        document: &impl Serialize,
        rows: impl IntoIterator<Item = R>,
    ) -> Result<Response, QuestionError> {
        match self {
            Self::Json => Ok(Json(document).into_response()),
            Self::Csv => csv(name, rows),
        }
    }
}

/// Operations, as `taximeter ops --json` gives them.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Operations {
    taximeter_version: u32,
    document: &'static str,
    looked_at: LookedAt,
    #[serde(rename = "operations")]
    lines: Vec<Line>,
}

pub(super) async fn operations(
    State(questions): Shared,
    query: Asked<Filter>,
    written: Written,
) -> Result<Response, QuestionError> {
    let filter = asked(query)?;
    let (lines, looked_at) = questions.lines(&filter).await?;
    let (taximeter_version, document) = (VERSION, "operations");
    let found = Operations { taximeter_version, document, looked_at, lines };
    written.list("operations", &found, &found.lines)
}

/// The numbers of groups.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Groups {
    taximeter_version: u32,
    document: &'static str,
    by: By,
    /// Of how many operations, where conditions were named; else every one counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    looked_at: Option<LookedAt>,
    #[serde(rename = "groups")]
    rows: Vec<Group>,
}

/// A group as a row: no cell holds more than one number.
#[derive(Debug, Serialize)]
struct GroupRow<'g> {
    key: Option<&'g Name>,
    start: Option<DateTime<Utc>>,
    operations: u64,
    failed: u64,
    total_cost: Money,
    mean_cost: Option<Money>,
    unpriced_calls: u64,
    input_tokens: u64,
    cache_read_tokens: u64,
    output_tokens: u64,
    p50_seconds: Option<f64>,
    p95_seconds: Option<f64>,
}

impl<'g> GroupRow<'g> {
    fn of(group: &'g Group) -> Self {
        let took = group.duration_seconds.as_ref();
        Self {
            key: group.key.as_ref(),
            start: group.start,
            operations: group.count(),
            failed: group.errors().hits,
            total_cost: group.total_cost,
            mean_cost: group.mean_cost(),
            unpriced_calls: group.unpriced_calls,
            input_tokens: group.input_tokens,
            cache_read_tokens: group.cache_read.hits,
            output_tokens: group.output_tokens,
            p50_seconds: took.map(|took| took.p50),
            p95_seconds: took.map(|took| took.p95),
        }
    }
}

pub(super) async fn groups(
    State(questions): Shared,
    query: Asked<Filter>,
    written: Written,
) -> Result<Response, QuestionError> {
    let filter = asked(query)?;
    let by: By = if filter.by.is_empty() { "operation" } else { &filter.by }.parse()?;
    let now = Utc::now();
    let (period, only) = (filter.period(now)?, filter.selection(now)?);
    let of = by.clone();
    let found = questions.ask(move |history| {
        let period = history.whole(only.period.unwrap_or(period));
        let (part, looked_at) = history.selected(&only, period)?;
        Ok::<_, StoreError>((part.groups(&of, period)?, looked_at))
    });
    let (rows, looked_at) = found.await?;
    let (taximeter_version, document) = (VERSION, "groups");
    let found = Groups { taximeter_version, document, by, looked_at, rows };
    written.list("groups", &found, found.rows.iter().map(GroupRow::of))
}

/// A session as a row.
#[derive(Debug, Serialize)]
struct SessionRow<'s> {
    key: &'s Name,
    operations: u64,
    failed: u64,
    first_at: DateTime<Utc>,
    last_at: DateTime<Utc>,
    busy_seconds: f64,
    longest_seconds: f64,
    input_tokens: u64,
    output_tokens: u64,
    total_cost: Money,
    unpriced_calls: u64,
}

impl<'s> SessionRow<'s> {
    fn of(one: &'s Session) -> Self {
        Self {
            key: &one.key,
            operations: one.errors.of,
            failed: one.errors.hits,
            first_at: one.first_at,
            last_at: one.last_at,
            busy_seconds: one.busy_seconds,
            longest_seconds: one.longest_seconds,
            input_tokens: one.input_tokens,
            output_tokens: one.output_tokens,
            total_cost: one.total_cost,
            unpriced_calls: one.unpriced_calls,
        }
    }
}

pub(super) async fn sessions(
    State(questions): Shared,
    query: Asked<Filter>,
    written: Written,
) -> Result<Response, QuestionError> {
    let filter = asked(query)?;
    if !["", "session", "user"].contains(&filter.by.as_str()) {
        return Err(QuestionError::Asked(format!("by={}: expected session or user", filter.by)));
    }
    if !["", "dearest", "slowest", "newest"].contains(&filter.order.as_str()) {
        let known = "dearest, slowest or newest";
        return Err(QuestionError::Asked(format!("order={}: expected {known}", filter.order)));
    }
    let found = questions.sessions(&filter, LINES).await?;
    written.list("sessions", &found, found.sessions.iter().map(SessionRow::of))
}

/// Rows as CSV by RFC 4180, with the names of the columns first where there is a row.
fn csv<R: Serialize>(
    name: &'static str,
    rows: impl IntoIterator<Item = R>,
) -> Result<Response, QuestionError> {
    let failed = |why: String| QuestionError::Asked(format!("writing {name} as CSV: {why}"));
    let mut table = csv::Writer::from_writer(Vec::new());
    for row in rows {
        table.serialize(row).map_err(|why| failed(why.to_string()))?;
    }
    let text = table.into_inner().map_err(|why| failed(why.to_string()))?;
    let file = format!("attachment; filename=\"taximeter-{name}.csv\"");
    let kind = "text/csv; charset=utf-8; header=present".to_owned();
    Ok(([(CONTENT_TYPE, kind), (CONTENT_DISPOSITION, file)], text).into_response())
}
