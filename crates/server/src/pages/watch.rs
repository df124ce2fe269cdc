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
use taximeter_alerts::{Entry, muted_until};

use super::alerts::Drafts;
use super::entries::{BudgetForm, ReceiverForm};
use super::rule::EXAMPLES;
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
        .route("/alerts/budget", post(put_budget))
        .route("/alerts/budget/remove", post(remove_budget))
        .route("/alerts/receiver", post(put_receiver))
        .route("/alerts/receiver/remove", post(remove_receiver))
        .route("/alerts/receiver/test", post(test_receiver))
}

/// What is written: something new, or something in place of another.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Writing {
    /// The rule of the file that is to be changed.
    edit: String,
    /// The budget that is to be changed.
    edit_budget: String,
    /// The receiver that is to be changed.
    edit_receiver: String,
    /// The receiver that was told that this is a test.
    tested: String,
    /// The kind of a new rule.
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
    let mut drafts = Drafts { tested: writing.tested, ..Drafts::default() };
    let draft = &mut drafts.rule;
    (draft.trial, draft.was, draft.mark) = (trial, writing.was, writing.mark);
    if !writing.edit.is_empty() {
        match text_of(&questions, Entry::Rule, &writing.edit).await {
            Ok((toml, mark)) => {
                (draft.trial.toml, draft.mark, draft.was) = (toml, mark, writing.edit);
            }
            Err(why) => draft.wrong = Some(why.to_string()),
        }
    } else if !draft.trial.toml.trim().is_empty() || !draft.trial.rule.is_empty() {
        let tried = questions.backtest(&draft.trial).await;
        draft.tried = Some(tried.map_err(|why| why.to_string()));
    } else if let Some((_, _, toml)) = EXAMPLES.iter().find(|(kind, ..)| *kind == writing.kind) {
        (*toml).clone_into(&mut draft.trial.toml);
    }
    let rules = questions.watch.alerts.rules();
    if let Some(plan) = rules.budget(&writing.edit_budget) {
        let name = writing.edit_budget;
        let opened = text_of(&questions, Entry::Budget, &name).await;
        drafts.budget = BudgetForm::of(plan, opened.map(|(_, mark)| mark));
    }
    let named = |name: &str| rules.receivers.iter().find(|one| *one.name == *name);
    if let Some(receiver) = named(&writing.edit_receiver) {
        let name = writing.edit_receiver;
        let opened = text_of(&questions, Entry::Receiver, &name).await;
        drafts.receiver = ReceiverForm::of(receiver, opened.map(|(_, mark)| mark));
    }
    with(&questions, &filter, &drafts).await
}

/// An entry of the file as it stands there, and its mark.
async fn text_of(
    questions: &Arc<Questions>,
    entry: Entry,
    name: &str,
) -> Result<(String, String), QuestionError> {
    let name = name.to_owned();
    let text = questions.change(move |alerts| alerts.text_of(entry, &name)).await?;
    Ok((text.toml, text.mark))
}

async fn with(questions: &Arc<Questions>, filter: &Filter, drafts: &Drafts) -> Response {
    let watch = &questions.watch;
    let made = questions.budgets().await.map(|budgets| {
        alerts::page(&alerts::Shown {
            overview: &watch.alerts.overview(),
            rules: &watch.alerts.rules(),
            budgets: &budgets,
            drafts,
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
    let (rule, old) = (toml.clone(), Old(was.clone(), mark.clone()));
    match questions.change(move |alerts| alerts.put_rule(old.get(), &rule)).await {
        Ok(_) => there("rules"),
        Err(why) => {
            let mut drafts = Drafts::default();
            drafts.rule.trial = Trial { toml, over, ..Trial::default() };
            (drafts.rule.was, drafts.rule.mark) = (was, mark);
            drafts.rule.wrong = Some(why.to_string());
            not_done(&questions, &why, &drafts).await
        }
    }
}

async fn remove(State(questions): Shared, Form(written): Form<Written>) -> Response {
    removed(&questions, Entry::Rule, written.was).await
}

async fn put_budget(State(questions): Shared, Form(mut form): Form<BudgetForm>) -> Response {
    let old = Old(form.was.clone(), form.mark.clone());
    let done = match form.plan() {
        Ok(plan) => questions.change(move |alerts| alerts.put_budget(old.get(), &plan)).await,
        Err(why) => Err(QuestionError::Asked(why)),
    };
    match done {
        Ok(()) => there("budgets"),
        Err(why) => {
            form.wrong = Some(why.to_string());
            not_done(&questions, &why, &Drafts { budget: form, ..Drafts::default() }).await
        }
    }
}

async fn remove_budget(State(questions): Shared, Form(form): Form<BudgetForm>) -> Response {
    removed(&questions, Entry::Budget, form.was).await
}

async fn put_receiver(State(questions): Shared, Form(mut form): Form<ReceiverForm>) -> Response {
    let old = Old(form.was.clone(), form.mark.clone());
    let done = match form.draft() {
        Ok(draft) => questions.change(move |alerts| alerts.put_receiver(old.get(), &draft)).await,
        Err(why) => Err(QuestionError::Asked(why)),
    };
    match done {
        Ok(()) => there("receivers"),
        Err(why) => {
            form.forget_secrets();
            form.wrong = Some(why.to_string());
            not_done(&questions, &why, &Drafts { receiver: form, ..Drafts::default() }).await
        }
    }
}

async fn remove_receiver(State(questions): Shared, Form(form): Form<ReceiverForm>) -> Response {
    removed(&questions, Entry::Receiver, form.was).await
}

/// Which receiver is to be told that this is a test.
#[derive(Debug, Deserialize)]
struct Tested {
    receiver: String,
}

async fn test_receiver(
    State(questions): Shared,
    Form(Tested { receiver }): Form<Tested>,
) -> Response {
    let name = receiver.clone();
    match questions.change(move |alerts| alerts.test(&name, Utc::now())).await {
        Ok(()) => {
            let told = super::words::encoded(&receiver);
            Redirect::to(&format!("/alerts?tested={told}#receivers")).into_response()
        }
        Err(why) => {
            let mut drafts = Drafts::default();
            drafts.receiver.wrong = Some(why.to_string());
            not_done(&questions, &why, &drafts).await
        }
    }
}

/// What was there: its name and its mark; none of something new.
struct Old(String, String);

impl Old {
    fn get(&self) -> Option<(&str, &str)> {
        Some((self.0.as_str(), self.1.as_str())).filter(|(name, _)| !name.is_empty())
    }
}

/// Takes an entry out of the file.
async fn removed(questions: &Arc<Questions>, entry: Entry, name: String) -> Response {
    let done: Result<(), QuestionError> =
        questions.change(move |alerts| alerts.remove(entry, &name)).await;
    let place = match entry {
        Entry::Budget => "budgets",
        Entry::Receiver => "receivers",
        _ => "rules",
    };
    let Err(why) = done else { return there(place) };
    let (mut drafts, wrong) = (Drafts::default(), Some(why.to_string()));
    match entry {
        Entry::Budget => drafts.budget.wrong = wrong,
        Entry::Receiver => drafts.receiver.wrong = wrong,
        _ => drafts.rule.wrong = wrong,
    }
    not_done(questions, &why, &drafts).await
}

/// The page again, with what was written and why it could not be done.
async fn not_done(questions: &Arc<Questions>, why: &QuestionError, drafts: &Drafts) -> Response {
    let mut response = with(questions, &Filter::default(), drafts).await;
    *response.status_mut() = why.status();
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
    done.map_or_else(IntoResponse::into_response, |()| there("rules"))
}

fn there(place: &str) -> Response {
    Redirect::to(&format!("/alerts#{place}")).into_response()
}
