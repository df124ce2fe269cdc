//! The API: the documents of the history as JSON, with the same numbers as the page and the command line.
//!
//! | Path | Document |
//! |---|---|
//! | `/api/v1/report` | the first screen |
//! | `/api/v1/operations`, `/api/v1/operations/{id}` | operations; one of them taken apart |
//! | `/api/v1/groups?by=` | the numbers of each operation, LLM, tool, user, tag, day and so on |
//! | `/api/v1/trend/{operation}` | how an operation did, since when it is another, and why |
//! | `/api/v1/advice`, `/api/v1/forecast`, `/api/v1/compare?a=&b=` | what to do, what comes, two sides |
//! | `/api/v1/health` | how far the numbers can be trusted |
//! | `/events` | an event whenever something was stored |
//! | `/healthz`, `/readyz` | whether the server lives; whether the store can be read |
//!
//! `since`, `only`, `by`, `order`, `limit` and `budget` mean the same as on the command line.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use chrono::Utc;
use futures_util::stream::{self, Stream};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use taximeter::Window;
use taximeter::history::{By, Group, Health, Line, LookedAt, OutlookAsk, Selection, VERSION};
use tokio::sync::watch;

use crate::questions::{Filter, QuestionError, Questions};

type Asked<D> = Result<Json<D>, QuestionError>;
type Shared = State<Arc<Questions>>;

pub(crate) fn routes(questions: Arc<Questions>) -> Router {
    Router::new()
        .route("/api/v1/report", get(report))
        .route("/api/v1/operations", get(operations))
        .route("/api/v1/operations/{id}", get(operation))
        .route("/api/v1/groups", get(groups))
        .route("/api/v1/trend/{operation}", get(trend))
        .route("/api/v1/advice", get(advice))
        .route("/api/v1/forecast", get(forecast))
        .route("/api/v1/compare", get(compare))
        .route("/api/v1/health", get(health))
        .route("/events", get(events))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(questions)
}

async fn report(State(questions): Shared, Query(filter): Query<Filter>) -> Response {
    match questions.report(&filter).await {
        Ok(report) => Json(report).into_response(),
        Err(error) => error.into_response(),
    }
}

/// Operations, as `taximeter ops --json` gives them.
#[derive(Debug, Serialize)]
struct Operations {
    taximeter_version: u32,
    document: &'static str,
    looked_at: LookedAt,
    #[serde(rename = "operations")]
    lines: Vec<Line>,
}

async fn operations(State(questions): Shared, Query(filter): Query<Filter>) -> Asked<Operations> {
    let (lines, looked_at) = questions.lines(&filter).await?;
    let document = "operations";
    Ok(Json(Operations { taximeter_version: VERSION, document, looked_at, lines }))
}

async fn operation(
    State(questions): Shared,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, QuestionError> {
    Ok(Json(questions.ask(move |history| history.show(&id)).await?))
}

/// The numbers of groups.
#[derive(Debug, Serialize)]
struct Groups {
    taximeter_version: u32,
    document: &'static str,
    by: By,
    #[serde(rename = "groups")]
    rows: Vec<Group>,
}

async fn groups(State(questions): Shared, Query(filter): Query<Filter>) -> Asked<Groups> {
    let by: By = if filter.by.is_empty() { "operation" } else { &filter.by }.parse()?;
    let period = filter.period(Utc::now())?;
    let asked = by.clone();
    let rows = questions.ask(move |history| history.groups(&asked, period)).await?;
    Ok(Json(Groups { taximeter_version: VERSION, document: "groups", by, rows }))
}

async fn trend(
    State(questions): Shared,
    Path(operation): Path<String>,
    Query(filter): Query<Filter>,
) -> Result<impl IntoResponse, QuestionError> {
    let now = Utc::now();
    let window = if filter.since.is_empty() { "7d" } else { &filter.since };
    let window: Window = window.parse().map_err(|why| QuestionError::Asked(format!("{why}")))?;
    let only = filter.selection(now)?;
    Ok(Json(questions.ask(move |history| history.trend(&operation, &window, &only, now)).await?))
}

async fn advice(
    State(questions): Shared,
    Query(filter): Query<Filter>,
) -> Result<impl IntoResponse, QuestionError> {
    let now = Utc::now();
    let (only, period) = (filter.selection(now)?, filter.period(now)?);
    Ok(Json(questions.ask(move |history| history.advice(&only, period)).await?))
}

async fn forecast(State(questions): Shared) -> Result<impl IntoResponse, QuestionError> {
    let ask = OutlookAsk::new(Utc::now());
    Ok(Json(questions.ask(move |history| history.forecast(&ask)).await?))
}

/// The two sides of a comparison.
#[derive(Debug, Deserialize)]
struct Sides {
    a: String,
    b: String,
    #[serde(flatten)]
    filter: Filter,
}

async fn compare(
    State(questions): Shared,
    Query(sides): Query<Sides>,
) -> Result<impl IntoResponse, QuestionError> {
    let now = Utc::now();
    let (a, b) = (Selection::read(&sides.a, now)?, Selection::read(&sides.b, now)?);
    let period = sides.filter.period(now)?;
    Ok(Json(questions.ask(move |history| history.compare(&a, &b, period)).await?))
}

async fn health(State(questions): Shared, Query(filter): Query<Filter>) -> Asked<Health> {
    let now = Utc::now();
    let period = filter.period(now)?;
    Ok(Json(questions.ask(move |history| history.health(period, now)).await?))
}

async fn ready(State(questions): Shared) -> Response {
    match questions.ask(|history| history.store().stats()).await {
        Ok(_) => "ready\n".into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}

/// So often at most an event is sent.
const PAUSE: Duration = Duration::from_secs(1);

async fn events(State(questions): Shared) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let changed = questions.changed.subscribe();
    let events = stream::unfold(changed, |mut changed: watch::Receiver<u64>| async move {
        changed.changed().await.ok()?;
        tokio::time::sleep(PAUSE).await;
        let times = *changed.borrow_and_update();
        Some((Ok(Event::default().event("stored").data(times.to_string())), changed))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}
