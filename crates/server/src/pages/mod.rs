//! The pages: HTML made here, with live updates; what a chart shows stands below it as a table too.

mod advice;
mod ahead;
mod alerts;
mod asked;
mod bar;
mod charts;
mod compare;
mod costs;
mod entries;
mod flame;
mod frame;
mod health;
mod llms;
mod metrics;
mod operation;
mod operations;
mod outlook;
mod over_time;
mod overview;
mod prices;
mod rule;
mod search;
mod sessions;
mod tables;
mod tools;
mod trends;
mod watch;
mod what_if;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::middleware;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use chrono::{DateTime, Utc};
use maud::Markup;
use serde::Deserialize;
use taximeter::analysis::Dimension;
use taximeter::history::{By, History, OutlookAsk, OverTime, Period, Selection};
use taximeter::store::Level;

use self::compare::Sides;
use self::costs::Costs;
use self::frame::Frame;
use self::frame::Page;
pub(crate) use self::outlook::ask as outlook;
use self::overview::Spent;
pub(crate) use self::sessions::{by as sessions_by, order as sessions_order};
use crate::questions::{Filter, LINES, QuestionError, Questions};

type Shared = State<Arc<Questions>>;

pub(crate) fn routes(questions: Arc<Questions>) -> Router {
    Router::new()
        .route("/", get(overview))
        .route("/operations", get(operations))
        .route("/operations/{id}", get(operation))
        .route("/sessions", get(sessions))
        .route("/search", get(search::search))
        .route("/tools", get(tools))
        .route("/llms", get(llms))
        .route("/costs", get(costs))
        .route("/trends", get(trends))
        .route("/advice", get(advice))
        .route("/own-metrics", get(metrics))
        .route("/health", get(health))
        .route("/prices", get(prices))
        .merge(watch::routes())
        .fallback(nothing)
        .layer(middleware::from_fn(asked::sent_on))
        .with_state(questions)
}

/// A page within its frame, or why there is none, within the same.
fn shown(
    questions: &Questions,
    page: Page,
    filter: &Filter,
    made: Result<Markup, QuestionError>,
) -> Response {
    answered(&Frame::new(page, filter, questions), made)
}

fn answered(frame: &Frame<'_>, made: Result<Markup, QuestionError>) -> Response {
    match made {
        Ok(content) => Html(frame.around(&content).into_string()).into_response(),
        Err(error) => {
            let page = frame.around(&frame::wrong(&error)).into_string();
            (error.status(), Html(page)).into_response()
        }
    }
}

/// Asks of the operations of a page: of which period, which of them, and when.
async fn asked<A: Send + 'static>(
    questions: &Arc<Questions>,
    filter: &Filter,
    ask: impl FnOnce(&History, Period, &Selection, DateTime<Utc>) -> Result<A, QuestionError>
    + Send
    + 'static,
) -> Result<A, QuestionError> {
    let now = Utc::now();
    let (period, only) = (filter.period(now)?, filter.selection(now)?);
    questions.ask(move |history| ask(history, history.whole(period), &only, now)).await
}

async fn overview(State(questions): Shared, Query(filter): Query<Filter>) -> Response {
    let made = whole(&questions, &filter).await;
    shown(&questions, Page::Overview, &filter, made)
}

async fn whole(questions: &Arc<Questions>, filter: &Filter) -> Result<Markup, QuestionError> {
    let report = questions.report(filter).await?;
    let of = filter.clone();
    let sides = asked(questions, filter, move |history, period, _, now| {
        // What the numbers are against already needs no table of its own.
        if of.compare.is_empty() { Ok(Sides::Off) } else { compare::ask(history, &of, period, now) }
    });
    let coming = ahead::ask(questions, &report, filter, Utc::now());
    let (sides, coming) = (sides.await?, coming.await?);
    let kinds = match level(&report.over_time).filter(|_| filter.spend == over_time::COST) {
        Some(level) => {
            let period = report.period;
            let found = asked(questions, filter, move |history, _, only, _| {
                Ok(history.kinds(only, period, Some(level))?)
            });
            found.await?
        }
        None => Vec::new(),
    };
    let firing = questions.watch.alerts.overview().firing;
    let spent = Spent { kinds, coming };
    Ok(overview::page(&report, &sides, spent, &firing, questions, filter))
}

async fn operations(State(questions): Shared, Query(filter): Query<Filter>) -> Response {
    shown(&questions, Page::Operations, &filter, listed(&questions, &filter).await)
}

async fn listed(questions: &Arc<Questions>, filter: &Filter) -> Result<Markup, QuestionError> {
    let (lines, looked_at) = questions.lines(filter).await?;
    let spread = asked(questions, filter, |history, period, only, _| {
        Ok(history.spread(&only.query(period))?)
    });
    Ok(operations::page(&lines, looked_at, &spread.await?, filter))
}

async fn operation(State(questions): Shared, Path(id): Path<String>) -> Response {
    let made = questions.ask(move |history| history.show(&id)).await;
    let filter = Filter::default();
    let frame = Frame::new(Page::Operations, &filter, &questions).without_bar();
    answered(&frame, made.map(|shown| operation::page(&shown)))
}

async fn sessions(State(questions): Shared, Query(filter): Query<Filter>) -> Response {
    let made = questions.sessions(&filter, LINES).await;
    let endpoint = questions.endpoint.as_deref();
    let made = made.map(|found| sessions::page(&found, endpoint, &filter));
    shown(&questions, Page::Sessions, &filter, made)
}

async fn tools(State(questions): Shared, Query(filter): Query<Filter>) -> Response {
    let made = asked(&questions, &filter, |history, period, only, _| {
        let (part, looked_at) = history.selected(only, period)?;
        Ok((part.tools(period)?, part.over_time(period)?, looked_at))
    });
    let made =
        made.await.map(|(tools, over_time, at)| tools::page(&tools, &over_time, at, &filter));
    shown(&questions, Page::Tools, &filter, made)
}

async fn llms(State(questions): Shared, Query(filter): Query<Filter>) -> Response {
    let made = asked(&questions, &filter, |history, period, only, _| {
        let (part, looked_at) = history.selected(only, period)?;
        Ok((part.llms(period)?, part.over_time(period)?, period, looked_at))
    });
    let made = made.await;
    let made = made
        .map(|(rows, over_time, period, at)| llms::page(&rows, &over_time, period, at, &filter));
    shown(&questions, Page::Llms, &filter, made)
}

/// The metric that is shown over time.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
}

async fn metrics(
    State(questions): Shared,
    Query(filter): Query<Filter>,
    Query(named): Query<Named>,
) -> Response {
    let made = measured(&questions, &filter, named.name).await;
    shown(&questions, Page::Metrics, &filter, made)
}

async fn measured(
    questions: &Arc<Questions>,
    filter: &Filter,
    name: String,
) -> Result<Markup, QuestionError> {
    // Another page may have told apart by something else.
    let by = filter.by_of_metrics().unwrap_or(Dimension::Operation);
    let found = asked(questions, filter, move |history, period, only, now| {
        Ok(metrics::ask(history, only, period, &by, name.trim(), now)?)
    });
    Ok(metrics::page(&found.await?, filter))
}

async fn prices(State(questions): Shared, Query(filter): Query<Filter>) -> Response {
    let made = asked(&questions, &filter, |history, period, _, now| {
        Ok((prices::ask(history, period, now)?, period))
    });
    let made = made.await.map(|(prices, period)| prices::page(&prices, period, &filter));
    shown(&questions, Page::Prices, &filter, made)
}

/// The LLM that a page of costs is asked to price at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Target {
    r#as: String,
}

async fn costs(
    State(questions): Shared,
    Query(filter): Query<Filter>,
    Query(target): Query<Target>,
) -> Response {
    shown(&questions, Page::Costs, &filter, spent(&questions, &filter, target.r#as).await)
}

async fn spent(
    questions: &Arc<Questions>,
    filter: &Filter,
    target: String,
) -> Result<Markup, QuestionError> {
    let by: By = if filter.by.is_empty() { "model" } else { &filter.by }.parse()?;
    let budget = filter.budget()?;
    let of = filter.clone();
    let costs = asked(questions, filter, move |history, period, only, now| {
        let (part, looked_at) = history.selected(only, period)?;
        let mut ask = OutlookAsk::new(now);
        ask.budget = budget;
        let (outlook, outlook_of) = outlook::ask(history, only, &ask)?;
        let over_time = part.over_time(period)?;
        let each = level(&over_time).filter(|_| by == By::Kind);
        let kinds = match each {
            Some(level) => history.kinds(only, period, Some(level))?,
            None => Vec::new(),
        };
        Ok(Costs {
            period,
            looked_at,
            groups: part.groups(&by, period)?,
            over_time,
            kinds,
            sides: compare::ask(history, &of, period, now)?,
            outlook,
            outlook_of,
            elsewhere: what_if::ask(history, only, period, now, target.trim())?,
            by,
        })
    });
    let budgets = questions.budgets().await?;
    Ok(costs::page(&costs.await?, &budgets, questions.endpoint.as_deref(), filter))
}

/// How long a step is.
fn level(over_time: &OverTime) -> Option<Level> {
    match over_time.step {
        By::Time(level) => Some(level),
        _ => None,
    }
}

async fn trends(State(questions): Shared, Query(filter): Query<Filter>) -> Response {
    shown(&questions, Page::Trends, &filter, all_trends(&questions, &filter).await)
}

async fn all_trends(questions: &Arc<Questions>, filter: &Filter) -> Result<Markup, QuestionError> {
    let found = asked(questions, filter, |history, period, only, now| {
        Ok((trends::ask(history, period, only, now)?, period))
    });
    let (found, period) = found.await?;
    Ok(trends::page(&found, period, questions.endpoint.as_deref(), filter))
}

async fn advice(State(questions): Shared, Query(filter): Query<Filter>) -> Response {
    let made = asked(&questions, &filter, |history, period, only, _| {
        Ok(history.advice_and_effect(only, period)?)
    });
    let made = made.await.map(|(advised, again)| advice::page(&advised, again.as_ref(), &filter));
    shown(&questions, Page::Advice, &filter, made)
}

async fn health(State(questions): Shared, Query(filter): Query<Filter>) -> Response {
    shown(&questions, Page::Health, &filter, healthy(&questions, &filter).await)
}

async fn healthy(questions: &Arc<Questions>, filter: &Filter) -> Result<Markup, QuestionError> {
    let now = Utc::now();
    let period = filter.period(now)?;
    let health = questions.ask(move |history| history.health(period, now)).await?;
    Ok(health::page(&health, questions.receiving().as_ref()))
}

async fn nothing(State(questions): Shared) -> Response {
    let error = QuestionError::NoPage;
    shown(&questions, Page::Overview, &Filter::default(), Err(error))
}
