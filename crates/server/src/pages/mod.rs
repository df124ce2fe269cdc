//! The pages: HTML made here, with live updates; what a chart shows stands below it as a table too.

mod advice;
pub(crate) mod alerts;
mod charts;
mod costs;
mod frame;
mod health;
mod operation;
mod operations;
mod overview;
mod tables;
mod trends;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use chrono::Utc;
use maud::Markup;
use taximeter::history::By;

use self::frame::Frame;
pub(crate) use self::frame::Page;
use crate::questions::{Filter, QuestionError, Questions};

type Shared = State<Arc<Questions>>;

pub(crate) fn routes(questions: Arc<Questions>) -> Router {
    Router::new()
        .route("/", get(overview))
        .route("/operations", get(operations))
        .route("/operations/{id}", get(operation))
        .route("/costs", get(costs))
        .route("/trends", get(trends))
        .route("/advice", get(advice))
        .route("/health", get(health))
        .fallback(nothing)
        .with_state(questions)
}

/// A page within its frame, or why there is none, within the same.
pub(crate) fn shown(page: Page, filter: &Filter, made: Result<Markup, QuestionError>) -> Response {
    let frame = Frame::new(page, filter);
    match made {
        Ok(content) => Html(frame.around(&content).into_string()).into_response(),
        Err(error) => {
            let page = frame.around(&frame::wrong(&error)).into_string();
            (error.status(), Html(page)).into_response()
        }
    }
}

async fn overview(State(questions): Shared, Query(filter): Query<Filter>) -> Response {
    let made = questions.report(&filter).await.map(|report| overview::page(&report, &filter));
    shown(Page::Overview, &filter, made)
}

async fn operations(State(questions): Shared, Query(filter): Query<Filter>) -> Response {
    let made = questions.lines(&filter).await;
    let made = made.map(|(lines, looked_at)| operations::page(&lines, looked_at, &filter));
    shown(Page::Operations, &filter, made)
}

async fn operation(State(questions): Shared, Path(id): Path<String>) -> Response {
    let made = questions.ask(move |history| history.show(&id)).await;
    shown(Page::Operations, &Filter::default(), made.map(|shown| operation::page(&shown)))
}

async fn costs(State(questions): Shared, Query(filter): Query<Filter>) -> Response {
    shown(Page::Costs, &filter, groups(&questions, &filter).await)
}

async fn groups(questions: &Arc<Questions>, filter: &Filter) -> Result<Markup, QuestionError> {
    let by: By = if filter.by.is_empty() { "model" } else { &filter.by }.parse()?;
    let period = filter.period(Utc::now())?;
    let asked = by.clone();
    let groups = questions.ask(move |history| history.groups(&asked, period)).await?;
    Ok(costs::page(&groups, &by, filter))
}

async fn trends(State(questions): Shared, Query(filter): Query<Filter>) -> Response {
    shown(Page::Trends, &filter, all_trends(&questions, &filter).await)
}

async fn all_trends(questions: &Arc<Questions>, filter: &Filter) -> Result<Markup, QuestionError> {
    let now = Utc::now();
    let (period, only) = (filter.period(now)?, filter.selection(now)?);
    let found = questions.ask(move |history| trends::ask(history, period, &only, now)).await?;
    Ok(trends::page(&found, filter))
}

async fn advice(State(questions): Shared, Query(filter): Query<Filter>) -> Response {
    shown(Page::Advice, &filter, advised(&questions, &filter).await)
}

async fn advised(questions: &Arc<Questions>, filter: &Filter) -> Result<Markup, QuestionError> {
    let now = Utc::now();
    let (period, only) = (filter.period(now)?, filter.selection(now)?);
    let advised = questions.ask(move |history| history.advice(&only, period)).await?;
    Ok(advice::page(&advised))
}

async fn health(State(questions): Shared, Query(filter): Query<Filter>) -> Response {
    shown(Page::Health, &filter, healthy(&questions, &filter).await)
}

async fn healthy(questions: &Arc<Questions>, filter: &Filter) -> Result<Markup, QuestionError> {
    let now = Utc::now();
    let period = filter.period(now)?;
    let health = questions.ask(move |history| history.health(period, now)).await?;
    Ok(health::page(&health, questions.receiving().as_ref()))
}

async fn nothing() -> Response {
    let error = QuestionError::NoPage;
    shown(Page::Overview, &Filter::default(), Err(error))
}
