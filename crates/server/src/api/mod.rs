//! The API: the documents of the history as JSON, with the same numbers as the page and the command line.
//!
//! | Path | Document |
//! |---|---|
//! | `/api/v1/report` | the first screen |
//! | `/api/v1/operations`, `/api/v1/operations/{id}` | operations; one of them taken apart |
//! | `/api/v1/groups?by=` | the numbers of each operation, LLM, tool, user, tag, day and so on |
//! | `/api/v1/sessions?by=` | the dearest, slowest or newest sessions, or users |
//! | `/api/v1/search?q=` | what an id, a trace, a name or the words of an error lead to |
//! | `/api/v1/trend/{operation}` | how an operation did, since when it is another, and why |
//! | `/api/v1/advice`, `/api/v1/forecast`, `/api/v1/compare?a=&b=` | what to do, what comes, two sides |
//! | `/api/v1/slo?target=` | whether a promise is kept |
//! | `/api/v1/metrics`, `/api/v1/metrics/{name}?by=` | numbers of operations' and of programs' own, and one of them over time |
//! | `/api/v1/alerts`, `/api/v1/alerts/backtest`, `/api/v1/budgets` | what fires, what a rule would have done, what is left of budgets |
//! | `/api/v1/health` | how far the numbers can be trusted, and what was done with what came |
//! | `/api/v1/sql`, by POST | one question in SQL that reads |
//! | `/api/v1/openapi.json` | all of this as `OpenAPI` 3.1 |
//! | `/events` | an event whenever something was stored |
//! | `/metrics` | operations and the server itself, for Prometheus |
//! | `/healthz`, `/readyz` | whether the server lives; whether the store can be read |
//!
//! `since`, `only`, `by`, `order`, `limit` and `budget` mean the same as on the command line. Lists are CSV where
//! `format=csv` or `Accept: text/csv` asks for it. What cannot be answered is a problem by RFC 9457.

mod alerts;
mod answers;
mod events;
mod lists;
mod metrics;
#[cfg(test)]
mod openapi;
mod own;
mod problem;
mod rows;
mod sql;

use std::sync::Arc;

use axum::Router;
use axum::routing::{MethodRouter, get, post};
use http::header::CONTENT_TYPE;

pub(crate) use self::problem::Problem;
use crate::questions::{QuestionError, Questions};

/// The document of `OpenAPI`. A test makes it out of the types that are served, and fails where it is another.
const OPENAPI: &str = include_str!("openapi.json");

pub(crate) fn routes(questions: Arc<Questions>) -> Router {
    let mut routes = Router::new();
    for (path, method) in table() {
        routes = routes.route(path, method);
    }
    let nothing = async || QuestionError::NoPage;
    routes = routes.method_not_allowed_fallback(async || QuestionError::Method);
    routes.route("/api/{*rest}", get(nothing).post(nothing)).with_state(questions)
}

/// Every path that there is.
fn table() -> Vec<(&'static str, MethodRouter<Arc<Questions>>)> {
    let openapi = async || ([(CONTENT_TYPE, "application/json")], OPENAPI);
    vec![
        ("/api/v1/report", get(answers::report)),
        ("/api/v1/operations", get(lists::operations)),
        ("/api/v1/operations/{id}", get(answers::operation)),
        ("/api/v1/groups", get(lists::groups)),
        ("/api/v1/sessions", get(lists::sessions)),
        ("/api/v1/search", get(answers::search)),
        ("/api/v1/trend/{operation}", get(answers::trend)),
        ("/api/v1/advice", get(answers::advice)),
        ("/api/v1/forecast", get(answers::forecast)),
        ("/api/v1/compare", get(answers::compare)),
        ("/api/v1/slo", get(answers::slo)),
        ("/api/v1/metrics", get(own::all)),
        ("/api/v1/metrics/{name}", get(own::one)),
        ("/api/v1/alerts", get(alerts::overview)),
        ("/api/v1/alerts/backtest", get(alerts::backtest)),
        ("/api/v1/budgets", get(alerts::budgets)),
        ("/api/v1/health", get(answers::health)),
        ("/api/v1/sql", post(sql::ask)),
        ("/api/v1/openapi.json", get(openapi)),
        ("/events", get(events::events)),
        ("/metrics", get(metrics::scrape)),
        ("/healthz", get(async || "ok\n")),
        ("/readyz", get(answers::ready)),
    ]
}
