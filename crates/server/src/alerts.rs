//! Alerts and budgets: the loops that keep the watch going, and what is asked and told of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use axum::extract::{Form, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use http::{StatusCode, Uri};
use serde::{Deserialize, Serialize};
use taximeter::BudgetPlan;
use taximeter::history::Period;
use taximeter_alerts::{Alerts, Backtest, BudgetState, Overview, Rules, backtest, budgets};

use crate::pages::{self, Page};
use crate::questions::{Filter, QuestionError, Questions};
use crate::{Config, ServerError};

/// Rules over the history of a server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AlertsConfig {
    /// Rules, budgets and receivers.
    pub rules: Rules,
    /// The file that keeps what fires and what is to be told. Default: none, and a server that starts anew tells anew.
    pub state: Option<PathBuf>,
    /// Whether rules are looked at and receivers told. Else they are only shown, nothing can be muted, and the file is only
    /// read. Default: yes.
    pub watch: bool,
}

impl AlertsConfig {
    /// These rules, looked at, kept nowhere.
    pub fn new(rules: Rules) -> Self {
        Self { rules, state: None, watch: true }
    }
}

/// What the pages and the API of alerts need.
#[derive(Clone)]
pub(crate) struct Watched {
    questions: Arc<Questions>,
    alerts: Arc<Alerts>,
    watch: bool,
}

/// The threads of the watch. They end when this is dropped, each after what it is at.
#[derive(Debug)]
pub(crate) struct Watching {
    _stop: [Sender<()>; 2],
}

/// So often it is asked which rules are due, and which letters.
const LOOK: Duration = Duration::from_secs(1);
/// So many groups of a budget are shown.
const MOST_GROUPS: usize = 20;
/// What a back-test is of where nothing else is said.
const PAST: &str = "7d";
/// A mute is no longer than this.
const LONGEST_MUTE: chrono::TimeDelta = chrono::TimeDelta::days(366);

/// The watch, with what was known before; with no rules, it is empty.
///
/// # Errors
/// Where the file of what was known cannot be read.
pub(crate) fn open(config: &Config) -> Result<Arc<Alerts>, ServerError> {
    let history = config.history.clone();
    let alerts = match &config.alerts {
        None => Ok(Alerts::idle(history)),
        Some(alerts) => Alerts::open(alerts.rules.clone(), history, alerts.state.as_deref()),
    };
    alerts.map(Arc::new).map_err(ServerError::Alerts)
}

/// Begins to look and to tell, each on a thread of its own: a receiver that hangs holds up no look.
///
/// # Errors
/// Where there is no thread.
pub(crate) fn start(
    config: &Config,
    alerts: &Arc<Alerts>,
) -> Result<Option<Watching>, ServerError> {
    if !config.alerts.as_ref().is_some_and(|alerts| alerts.watch) {
        return Ok(None);
    }
    // What could not be done is shown on the page, and tried again.
    let looks = thread("taximeter-alerts", alerts, |alerts| drop(alerts.evaluate(Utc::now())))?;
    let tells = thread("taximeter-tells", alerts, |alerts| drop(alerts.deliver(Utc::now())))?;
    Ok(Some(Watching { _stop: [looks, tells] }))
}

fn thread(
    name: &str,
    alerts: &Arc<Alerts>,
    each: impl Fn(&Alerts) + Send + 'static,
) -> Result<Sender<()>, ServerError> {
    let (stop, stopped): (_, Receiver<()>) = channel();
    let alerts = Arc::clone(alerts);
    let run = move || {
        loop {
            each(&alerts);
            match stopped.recv_timeout(LOOK) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    };
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map(|_| stop).map_err(ServerError::Thread)
}

pub(crate) fn routes(watched: Watched) -> Router {
    Router::new()
        .route("/alerts", get(page))
        .route("/alerts/mute", post(mute))
        .route("/alerts/unmute", post(unmute))
        .route("/api/v1/alerts", get(overview))
        .route("/api/v1/alerts/backtest", get(past))
        .route("/api/v1/budgets", get(all_budgets))
        .with_state(watched)
}

/// Which rule is to be tried, over which past.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Trial {
    /// The name of a rule of the file.
    pub(crate) rule: String,
    /// A rule as TOML, which is tried in place of one of the file.
    pub(crate) toml: String,
    /// The past, such as `7d`.
    pub(crate) over: String,
}

/// The budgets.
#[derive(Debug, Serialize)]
pub(crate) struct Budgets {
    taximeter_version: u32,
    document: &'static str,
    #[serde(rename = "budgets")]
    pub(crate) states: Vec<BudgetState>,
    /// Groups for which there was no room.
    pub(crate) more: usize,
}

impl Watched {
    /// These alerts of what is asked, and whether they are looked at.
    pub(crate) fn new(questions: Arc<Questions>, alerts: Arc<Alerts>, watch: bool) -> Self {
        Self { questions, alerts, watch }
    }

    /// No rules.
    pub(crate) fn idle(questions: Arc<Questions>) -> Self {
        let alerts = Arc::new(Alerts::idle(questions.history().clone()));
        Self::new(questions, alerts, false)
    }

    pub(crate) fn questions(&self) -> &Arc<Questions> {
        &self.questions
    }

    async fn budgets(&self) -> Result<Budgets, QuestionError> {
        let plans = self.alerts.rules().budgets.clone();
        let found =
            self.questions.ask(move |history| budgets(&plans, history, Utc::now(), MOST_GROUPS));
        let mut all =
            Budgets { taximeter_version: 1, document: "budgets", states: Vec::new(), more: 0 };
        let found: Vec<(BudgetPlan, Vec<BudgetState>, usize)> = found.await?;
        for (_, states, more) in found {
            all.states.extend(states);
            all.more += more;
        }
        Ok(all)
    }

    async fn backtest(&self, trial: &Trial) -> Result<Backtest, QuestionError> {
        let now = Utc::now();
        let over = if trial.over.is_empty() { PAST } else { &trial.over };
        let period = Period::read(over, now)?;
        let asked = |why: String| QuestionError::Asked(why);
        let rules = if trial.toml.trim().is_empty() {
            self.alerts.rules().clone()
        } else {
            self.tried(&trial.toml)?
        };
        let name = if trial.toml.trim().is_empty() { trial.rule.as_str() } else { "" };
        let rule = match name {
            "" => rules.rules.first(),
            name => rules.rule(name),
        };
        let rule = rule
            .cloned()
            .ok_or_else(|| asked(format!("rule={}: there is none of this name", trial.rule)))?;
        self.questions.ask(move |history| backtest(&rule, &rules, history, period, now)).await
    }

    /// A rule that is tried: with the budgets of the file.
    fn tried(&self, toml: &str) -> Result<Rules, QuestionError> {
        let tried = self.alerts.rules().and_of(toml);
        let tried = tried.map_err(|why| QuestionError::Asked(why.to_string()))?;
        if tried.rules.len() != 1 {
            let why =
                format!("toml: one [[rule]] is expected, and there are {}", tried.rules.len());
            return Err(QuestionError::Asked(why));
        }
        Ok(tried)
    }
}

async fn overview(State(watched): State<Watched>) -> Json<Overview> {
    Json(watched.alerts.overview())
}

async fn past(
    State(watched): State<Watched>,
    Query(trial): Query<Trial>,
) -> Result<Json<Backtest>, QuestionError> {
    Ok(Json(watched.backtest(&trial).await?))
}

async fn all_budgets(State(watched): State<Watched>) -> Result<Json<Budgets>, QuestionError> {
    Ok(Json(watched.budgets().await?))
}

async fn page(
    State(watched): State<Watched>,
    Query(filter): Query<Filter>,
    Query(trial): Query<Trial>,
) -> Response {
    let tried = if trial == Trial::default() {
        None
    } else {
        Some(watched.backtest(&trial).await.map_err(|why| why.to_string()))
    };
    let made = watched.budgets().await.map(|budgets| {
        pages::alerts::page(&pages::alerts::Shown {
            overview: &watched.alerts.overview(),
            rules: watched.alerts.rules(),
            budgets: &budgets,
            trial: &trial,
            tried: tried.as_ref(),
            may_change: watched.watch,
            now: Utc::now(),
        })
    });
    pages::shown(&watched.questions, Page::Alerts, &filter, made)
}

/// What is to be muted, and for how long.
#[derive(Debug, Deserialize)]
struct Muting {
    rule: String,
    #[serde(default)]
    until: String,
}

async fn mute(State(watched): State<Watched>, Form(muting): Form<Muting>) -> Response {
    let until = match until(&muting.until, Utc::now()) {
        Ok(until) => until,
        Err(why) => return QuestionError::Asked(why).into_response(),
    };
    change(&watched, move |alerts| alerts.mute(&muting.rule, until)).await
}

async fn unmute(State(watched): State<Watched>, Form(muting): Form<Muting>) -> Response {
    change(&watched, move |alerts| alerts.unmute(&muting.rule)).await
}

async fn change(
    watched: &Watched,
    change: impl FnOnce(&Alerts) -> Result<(), taximeter_alerts::AlertsError> + Send + 'static,
) -> Response {
    if !watched.watch {
        let why = "this server only reads; nothing can be changed here\n";
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    let alerts = Arc::clone(&watched.alerts);
    // The file is written to the disk, which may take its time.
    match tokio::task::spawn_blocking(move || change(&alerts)).await {
        Ok(Ok(())) => Redirect::to(&Uri::from_static("/alerts").to_string()).into_response(),
        Ok(Err(why)) => QuestionError::Asked(why.to_string()).into_response(),
        Err(_) => QuestionError::Panicked.into_response(),
    }
}

/// A time from now on (`2h`), a day or a moment.
fn until(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, String> {
    let wrong = || format!("until={text}: expected a time such as 2h or 1d, a day or a moment");
    let until = match text.parse::<taximeter::Window>() {
        Ok(window) => chrono::TimeDelta::from_std(window.length())
            .ok()
            .and_then(|length| now.checked_add_signed(length)),
        Err(_) if text == "now" => None,
        Err(_) => Period::moment(text, now).ok().flatten(),
    };
    until.filter(|until| *until > now && *until - now <= LONGEST_MUTE).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mute_ends_some_time_from_now() {
        let now = "2026-11-26T12:00:00Z".parse().unwrap();
        let read = |text: &str| until(text, now).map(|until| until.to_rfc3339());
        assert_eq!(read("2h").unwrap(), "2026-11-26T14:00:00+00:00");
        assert_eq!(read("2026-11-27").unwrap(), "2026-11-27T00:00:00+00:00");
        for text in ["", "all", "2026-11-25", "400d", "soon", "now"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
