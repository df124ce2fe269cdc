//! Questions that have one document as their answer.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use taximeter::analysis::{Objective, Step};
use taximeter::history::{
    Advised, Compared, Found, Health, ObjectiveKept, Outlook, OutlookAsk, Report, Selection, Shown,
    Trend,
};
use taximeter::{StoreError, Window};

use super::lists::Written;
use super::rows;
use crate::inbox::Receiving;
use crate::pages::outlook;
use crate::questions::{Filter, QuestionError, Questions};

pub(super) type Answer<D> = Result<Json<D>, QuestionError>;
pub(super) type Shared = State<Arc<Questions>>;
/// What an address asks for, or why that is not understood.
pub(super) type Asked<Q> = Result<Query<Q>, QueryRejection>;

/// What was asked, where it was understood.
pub(super) fn asked<Q>(query: Asked<Q>) -> Result<Q, QuestionError> {
    query.map(|Query(query)| query).map_err(|why| QuestionError::Asked(why.body_text()))
}

/// As CSV where the time goes step by step, which no other path tells.
pub(super) async fn report(
    State(questions): Shared,
    query: Asked<Filter>,
    written: Written,
) -> Result<Response, QuestionError> {
    let found: Report = questions.report(&asked(query)?).await?;
    written.list("time-by-step", &found, &found.time_by_step)
}

pub(super) async fn operation(State(questions): Shared, Path(id): Path<String>) -> Answer<Shown> {
    Ok(Json(questions.ask(move |history| history.show(&id)).await?))
}

pub(super) async fn search(State(questions): Shared, query: Asked<Filter>) -> Answer<Found> {
    Ok(Json(questions.search(&asked(query)?).await?))
}

pub(super) async fn trend(
    State(questions): Shared,
    Path(operation): Path<String>,
    query: Asked<Filter>,
    written: Written,
) -> Result<Response, QuestionError> {
    let (filter, now) = (asked(query)?, Utc::now());
    let window = if filter.since.is_empty() { "7d" } else { &filter.since };
    let window: Window = window.parse().map_err(|why| QuestionError::Asked(format!("{why}")))?;
    let only = filter.selection(now)?;
    let found = questions.ask(move |history| history.trend(&operation, &window, &only, now));
    let found: Trend = found.await?;
    written.list("trend", &found, rows::trend(&found))
}

pub(super) async fn advice(State(questions): Shared, query: Asked<Filter>) -> Answer<Advised> {
    let (filter, now) = (asked(query)?, Utc::now());
    let (only, period) = (filter.selection(now)?, filter.period(now)?);
    Ok(Json(questions.ask(move |history| history.advice(&only, period)).await?))
}

pub(super) async fn forecast(
    State(questions): Shared,
    query: Asked<Filter>,
    written: Written,
) -> Result<Response, QuestionError> {
    let (filter, now) = (asked(query)?, Utc::now());
    let only = filter.selection(now)?;
    let mut ask = OutlookAsk::new(now);
    ask.budget = filter.budget()?;
    ask.steps = filter.limit.unwrap_or(ask.steps).min(MOST_STEPS);
    ask.step = match filter.by.as_str() {
        "" | "day" => Step::Day,
        "hour" => Step::Hour,
        other => return Err(QuestionError::Asked(format!("by={other}: expected day or hour"))),
    };
    let found = questions.ask(move |history| Ok::<_, StoreError>(outlook(history, &only, &ask)?.0));
    let found: Outlook = found.await?;
    let points = found.forecast.as_ref().map_or(&[][..], |forecast| forecast.points.as_slice());
    written.list("forecast", &found, points)
}

/// So many steps are forecast at most.
const MOST_STEPS: usize = 1_000;

/// A promise.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Promise {
    /// How many percent of the operations are to be good, such as 99.5.
    target: f64,
    /// They are good where they succeed within this time, such as `800ms`. Default: however long they take.
    #[serde(default)]
    within: String,
    /// Over how long. Default: `30d`.
    #[serde(default)]
    window: String,
}

pub(super) async fn slo(
    State(questions): Shared,
    promise: Asked<Promise>,
    query: Asked<Filter>,
) -> Answer<ObjectiveKept> {
    let (promise, filter, now) = (asked(promise)?, asked(query)?, Utc::now());
    let wrong = |why: String| QuestionError::Asked(why);
    let objective = Objective::new(promise.target / 100.0);
    let mut objective = objective.map_err(|why| wrong(format!("target: {why}")))?;
    if !promise.within.is_empty() {
        objective = objective.within(time(&promise.within)?);
    }
    let window = if promise.window.is_empty() { "30d" } else { &promise.window };
    let window: Window = window.parse().map_err(|why| wrong(format!("window: {why}")))?;
    let only = filter.selection(now)?;
    Ok(Json(
        questions.ask(move |history| history.objective(&objective, &only, &window, now)).await?,
    ))
}

/// A time of milliseconds or longer: `800ms`, `3s`, `5m`.
fn time(text: &str) -> Result<Duration, QuestionError> {
    if let Some(millis) = text.strip_suffix("ms").and_then(|number| number.parse().ok()) {
        return Ok(Duration::from_millis(millis));
    }
    let window = text.parse::<Window>();
    let wrong =
        |_| QuestionError::Asked(format!("within={text}: expected such as 800ms, 3s or 5m"));
    window.map(|window| window.length()).map_err(wrong)
}

/// The two sides of a comparison.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Sides {
    /// The first side: conditions, a period, or both, such as `llm=openai/gpt-4o,48h..24h`.
    a: String,
    /// The second side.
    b: String,
}

pub(super) async fn compare(
    State(questions): Shared,
    sides: Asked<Sides>,
    query: Asked<Filter>,
) -> Answer<Compared> {
    let (sides, filter, now) = (asked(sides)?, asked(query)?, Utc::now());
    let (a, b) = (Selection::read(&sides.a, now)?, Selection::read(&sides.b, now)?);
    let period = filter.period(now)?;
    Ok(Json(questions.ask(move |history| history.compare(&a, &b, period)).await?))
}

/// How far the numbers can be trusted, and what was done with what came.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Healthy {
    #[serde(flatten)]
    health: Health,
    /// What was done with what came since this server began; none where it takes nothing.
    receiver: Option<Receiving>,
}

pub(super) async fn health(State(questions): Shared, query: Asked<Filter>) -> Answer<Healthy> {
    let (filter, now) = (asked(query)?, Utc::now());
    let period = filter.period(now)?;
    let health = questions.ask(move |history| history.health(period, now)).await?;
    Ok(Json(Healthy { health, receiver: questions.receiving() }))
}

pub(super) async fn ready(State(questions): Shared) -> Response {
    match questions.ask(|history| history.store().span()).await {
        Ok(_) => "ready\n".into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}
