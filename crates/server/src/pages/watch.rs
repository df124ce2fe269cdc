//! The page of alerts as it is asked for, and what its forms change.
//!
//! They are plain forms, which need no script; what they send is refused where it comes from another server's page.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use chrono::Utc;
use serde::Deserialize;
use taximeter_alerts::muted_until;

use super::rule::{Draft, EXAMPLES};
use super::words::encoded;
use super::{Page, Shared, alerts, shown};
use crate::alerts::Trial;
use crate::questions::{Filter, QuestionError, Questions};

pub(super) fn routes() -> Router<Arc<Questions>> {
    Router::new()
        .route("/alerts", get(page))
        .route("/alerts/mute", post(mute))
        .route("/alerts/unmute", post(unmute))
        .route("/alerts/rule", post(put))
        .route("/alerts/rule/remove", post(remove))
}

/// The rule that is written: a new one, or one in place of another.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Writing {
    /// The rule of the file that is to be changed.
    edit: String,
    /// The kind of a new one.
    kind: String,
    was: String,
    mark: String,
}

async fn page(
    State(questions): Shared,
    Query(filter): Query<Filter>,
    Query(trial): Query<Trial>,
    Query(writing): Query<Writing>,
) -> Response {
    let mut draft = Draft { trial, was: writing.was, mark: writing.mark, ..Draft::default() };
    if !writing.edit.is_empty() {
        open(&questions, &writing.edit, &mut draft).await;
    } else if !draft.trial.toml.trim().is_empty() || !draft.trial.rule.is_empty() {
        let tried = questions.backtest(&draft.trial).await;
        draft.tried = Some(tried.map_err(|why| why.to_string()));
    } else if let Some((_, _, toml)) = EXAMPLES.iter().find(|(kind, ..)| *kind == writing.kind) {
        draft.trial.toml = (*toml).to_owned();
    }
    with(&questions, &filter, &draft).await
}

/// Opens a rule of the file to be changed.
async fn open(questions: &Arc<Questions>, name: &str, draft: &mut Draft) {
    let asked = name.to_owned();
    match questions.change(move |alerts| alerts.rule_text(&asked)).await {
        Ok(text) => {
            (draft.trial.toml, draft.mark) = (text.toml, text.mark);
            name.clone_into(&mut draft.was);
        }
        Err(why) => draft.wrong = Some(why.to_string()),
    }
}

async fn with(questions: &Arc<Questions>, filter: &Filter, draft: &Draft) -> Response {
    let watch = &questions.watch;
    let made = questions.budgets().await.map(|budgets| {
        alerts::page(&alerts::Shown {
            overview: &watch.alerts.overview(),
            rules: &watch.alerts.rules(),
            budgets: &budgets,
            draft,
            may_mute: watch.may_change,
            may_write: questions.may_write_rules(),
            now: Utc::now(),
        })
    });
    shown(questions, Page::Alerts, filter, made)
}

/// A rule as the form sends it.
#[derive(Debug, Deserialize)]
struct Written {
    toml: String,
    #[serde(default)]
    was: String,
    #[serde(default)]
    mark: String,
    #[serde(default)]
    over: String,
}

async fn put(State(questions): Shared, Form(written): Form<Written>) -> Response {
    let Written { toml, was, mark, over } = written;
    // A browser ends lines as the web does; the file ends them as files do.
    let toml = toml.replace("\r\n", "\n");
    let (rule, old) = (toml.clone(), (was.clone(), mark.clone()));
    let done = questions.change(move |alerts| {
        let was = Some((old.0.as_str(), old.1.as_str())).filter(|(name, _)| !name.is_empty());
        alerts.put_rule(was, &rule)
    });
    match done.await {
        Ok(_) => there(),
        Err(why) => {
            let trial = Trial { toml, over, ..Trial::default() };
            not_done(&questions, &why, Draft { trial, was, mark, ..Draft::default() }).await
        }
    }
}

async fn remove(State(questions): Shared, Form(written): Form<Written>) -> Response {
    let name = written.was.clone();
    match questions.change(move |alerts| alerts.remove_rule(&name)).await {
        Ok(()) => there(),
        Err(why) => not_done(&questions, &why, Draft::default()).await,
    }
}

/// The page again, with what was written and why it could not be done.
async fn not_done(questions: &Arc<Questions>, why: &QuestionError, mut draft: Draft) -> Response {
    let status = why.status();
    draft.wrong = Some(why.to_string());
    let mut response = with(questions, &Filter::default(), &draft).await;
    *response.status_mut() = status;
    response
}

/// What is to be muted, and until when.
#[derive(Debug, Deserialize)]
struct Muting {
    rule: String,
    #[serde(default)]
    until: String,
}

async fn mute(State(questions): Shared, Form(muting): Form<Muting>) -> Response {
    let until = match muted_until(&muting.until, Utc::now()) {
        Ok(until) => until,
        Err(why) => return QuestionError::Asked(why).into_response(),
    };
    changed(questions.change(move |alerts| alerts.mute(&muting.rule, until)).await)
}

async fn unmute(State(questions): Shared, Form(muting): Form<Muting>) -> Response {
    changed(questions.change(move |alerts| alerts.unmute(&muting.rule)).await)
}

fn changed(done: Result<(), QuestionError>) -> Response {
    done.map_or_else(IntoResponse::into_response, |()| there())
}

fn there() -> Response {
    Redirect::to(&format!("/alerts#{}", encoded("rules"))).into_response()
}
