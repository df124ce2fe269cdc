//! Questions to the history: a few at a time, each within its time, none on a thread that serves others.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::StatusCode;
use serde::Deserialize;
use taximeter::StoreError;
use taximeter::analysis::Dimension;
use taximeter::history::{
    Ask, By, Found, History, HistoryError, Line, LookedAt, Period, PeriodError, Report, Selection,
    SelectionError, Sessions, UnknownBy,
};
use taximeter::store::{Condition, Order, Query, SqliteStore};
use taximeter::{Money, Outcome};
use taximeter_alerts::{AlertsError, BacktestError, ChangeError};
use thiserror::Error;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::Config;
use crate::alerts::Watch;
use crate::demo::Demo;
use crate::inbox::{Inbox, Receiving};
use crate::pages::{sessions_by, sessions_order};

/// What answers.
#[derive(Debug)]
pub(crate) struct Questions {
    history: History,
    room: Arc<Semaphore>,
    time: Duration,
    /// Whether what answers is played.
    pub(crate) demo: Demo,
    /// Whether the store is being made ready for what is asked next.
    warming: AtomicBool,
    /// How often something was stored.
    pub(crate) changed: watch::Sender<u64>,
    /// The store's file, for questions in SQL.
    pub(crate) sqlite: Option<Arc<SqliteStore>>,
    /// Where telemetry goes; none where none is taken.
    pub(crate) inbox: Option<Arc<Inbox>>,
    /// Where programs send their telemetry, as their setting has it; none where none is taken.
    pub(crate) endpoint: Option<String>,
    /// The rules, budgets and what fires.
    pub(crate) watch: Watch,
}

/// What a page or an answer is of, as its address says it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct Filter {
    /// The period, such as `24h` or `2026-11-01..2026-11-08`.
    pub(crate) since: String,
    /// Conditions, such as `llm=openai/gpt-4o,user=ann`.
    pub(crate) only: String,
    /// By what a table tells apart.
    pub(crate) by: String,
    /// What comes first: `newest`, `slowest`, `dearest`.
    pub(crate) order: String,
    /// So many lines at most.
    pub(crate) limit: Option<usize>,
    /// The budget of the month, in US dollars.
    pub(crate) budget: String,
    /// With what a page compares: nothing for the period before, `off`, or conditions such as `tag:version=1`.
    pub(crate) compare: String,
    /// `off` where a page is not to follow what is stored.
    pub(crate) live: String,
    /// So many lines are left out before the first.
    pub(crate) skip: Option<usize>,
    /// What is looked for: an id, a trace, a name, or words of an error.
    pub(crate) q: String,
    /// What the chart of spending shows: nothing for the cost by LLM, `cost` of kinds of tokens, `tokens` by LLM, or `kinds`
    /// of tokens.
    pub(crate) spend: String,
    /// What the chart of latency shows: nothing for percentiles, or by LLM `calls`, `first` token or `speed`.
    pub(crate) latency: String,
}

/// The period where none is named.
pub(crate) const PERIOD: &str = "24h";
/// So many lines where no number is named, and the most that may be.
pub(crate) const LINES: usize = 50;
pub(crate) const MOST_LINES: usize = 1_000;
/// So many are left out at most.
const MOST_SKIPPED: usize = 10_000;

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum QuestionError {
    #[error(transparent)]
    Period(#[from] PeriodError),
    #[error(transparent)]
    Selection(#[from] SelectionError),
    #[error(transparent)]
    By(#[from] UnknownBy),
    #[error("{0}")]
    Asked(String),
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Backtest(#[from] BacktestError),
    #[error(transparent)]
    Alerts(#[from] AlertsError),
    #[error(transparent)]
    Change(#[from] ChangeError),
    #[error("this server only reads; nothing can be changed here")]
    OnlyReads,
    #[error("the answer took longer than {} s; ask for a shorter period, or less", .0.as_secs())]
    TooLong(Duration),
    #[error("there is no such page; the navigation names those that there are")]
    NoPage,
    #[error("this is asked in another way; Allow names it")]
    Method,
    #[error("this server answers no questions in SQL: its store is not in a file")]
    NoSql,
    #[error("something went wrong with this question; the server goes on")]
    Panicked,
}

impl QuestionError {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Period(_)
            | Self::Selection(_)
            | Self::By(_)
            | Self::Asked(_)
            | Self::Backtest(BacktestError::Period { .. })
            | Self::Alerts(AlertsError::NoRule { .. } | AlertsError::NoReceiver { .. })
            | Self::History(HistoryError::NoId { .. } | HistoryError::SeveralOperations { .. }) => {
                StatusCode::BAD_REQUEST
            }
            Self::NoPage | Self::NoSql | Self::History(HistoryError::NoOperation { .. }) => {
                StatusCode::NOT_FOUND
            }
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::OnlyReads => StatusCode::FORBIDDEN,
            Self::Change(ChangeError::File { .. }) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Change(ChangeError::Meanwhile { .. }) => StatusCode::CONFLICT,
            Self::Change(_) => StatusCode::BAD_REQUEST,
            Self::Alerts(AlertsError::NotTaken { .. }) => StatusCode::BAD_GATEWAY,
            Self::TooLong(_) => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl Questions {
    pub(crate) fn new(
        config: &Config,
        changed: watch::Sender<u64>,
        inbox: Option<Arc<Inbox>>,
        endpoint: Option<String>,
        watch: Watch,
    ) -> Arc<Self> {
        Arc::new(Self {
            history: config.history.clone(),
            room: Arc::new(Semaphore::new(config.limits.questions)),
            time: config.limits.answer_time,
            demo: config.demo,
            warming: AtomicBool::new(false),
            changed,
            sqlite: config.sqlite.clone(),
            inbox,
            endpoint,
            watch,
        })
    }

    /// What is asked.
    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    /// What was done with what came; none where nothing is taken.
    pub(crate) fn receiving(&self) -> Option<Receiving> {
        self.inbox.as_ref().map(|inbox| inbox.receiving())
    }

    /// Asks the history, on a thread that may wait.
    pub(crate) async fn ask<A, E>(
        self: &Arc<Self>,
        question: impl FnOnce(&History) -> Result<A, E> + Send + 'static,
    ) -> Result<A, QuestionError>
    where
        A: Send + 'static,
        E: Into<QuestionError> + Error + Send + 'static,
    {
        let answer = async {
            let turn = Arc::clone(&self.room).acquire_owned().await;
            let turn = turn.map_err(|_| QuestionError::Panicked)?;
            let history = self.history.clone();
            let asked = tokio::task::spawn_blocking(move || {
                // A question goes on when nobody waits for it any more, and so does its turn.
                let _turn = turn;
                question(&history)
            });
            asked.await.map_err(|_| QuestionError::Panicked)?.map_err(Into::into)
        };
        timeout(self.time, answer).await.map_err(|_| QuestionError::TooLong(self.time))?
    }

    /// The first screen.
    pub(crate) async fn report(self: &Arc<Self>, filter: &Filter) -> Result<Report, QuestionError> {
        let ask = filter.ask(Utc::now())?;
        let report = self.ask(move |history| history.report(&ask)).await;
        self.warm();
        report
    }

    /// Makes the store ready for the next report, which may be of some operations alone; nobody waits for that.
    fn warm(self: &Arc<Self>) {
        if self.warming.swap(true, Ordering::AcqRel) {
            return;
        }
        let warming = Warming(Arc::clone(self));
        tokio::task::spawn_blocking(move || {
            // What cannot be read says so to who asks.
            while warming.0.history.store().warm().unwrap_or(false) {}
        });
    }

    /// Sessions or users, so many where no number is named.
    pub(crate) async fn sessions(
        self: &Arc<Self>,
        filter: &Filter,
        lines: usize,
    ) -> Result<Sessions, QuestionError> {
        let now = Utc::now();
        let (period, only) = (filter.period(now)?, filter.selection(now)?);
        let (by, order) = (sessions_by(filter), sessions_order(filter));
        let most = filter.limit.unwrap_or(lines).min(MOST_LINES);
        self.ask(move |history| history.sessions(&by, history.whole(period), &only, order, most))
            .await
    }

    /// What a text leads to.
    pub(crate) async fn search(self: &Arc<Self>, filter: &Filter) -> Result<Found, QuestionError> {
        let (period, text) = (filter.period(Utc::now())?, filter.q.clone());
        self.ask(move |history| history.search(&text, history.whole(period))).await
    }

    /// Lines of operations.
    pub(crate) async fn lines(
        self: &Arc<Self>,
        filter: &Filter,
    ) -> Result<(Vec<Line>, LookedAt), QuestionError> {
        let mut query = filter.query(Utc::now())?;
        let skip = filter.skip.unwrap_or(0).min(MOST_SKIPPED);
        query.limit = query.limit.map(|limit| limit.saturating_add(skip));
        self.ask(move |history| {
            let (mut lines, looked_at) = history.operations(&query)?;
            lines.drain(..skip.min(lines.len()));
            Ok::<_, StoreError>((lines, looked_at))
        })
        .await
    }
}

/// Whoever makes the store ready. However that ends, a panic included, it can be done again.
struct Warming(Arc<Questions>);

impl Drop for Warming {
    fn drop(&mut self) {
        self.0.warming.store(false, Ordering::Release);
    }
}

impl Filter {
    pub(crate) fn period(&self, now: DateTime<Utc>) -> Result<Period, QuestionError> {
        let text = if self.since.is_empty() { PERIOD } else { &self.since };
        Ok(Period::read(text, now)?)
    }

    pub(crate) fn selection(&self, now: DateTime<Utc>) -> Result<Selection, QuestionError> {
        Ok(Selection::read(&self.only, now)?)
    }

    fn ask(&self, now: DateTime<Utc>) -> Result<Ask, QuestionError> {
        let mut ask = Ask::new(self.period(now)?, now);
        ask.only = self.selection(now)?;
        ask.by = if self.by.is_empty() { None } else { Some(self.by.parse::<By>()?) };
        ask.budget = self.budget()?;
        Ok(ask)
    }

    /// What may be spent in a month; none where that is not named.
    pub(crate) fn budget(&self) -> Result<Option<Money>, QuestionError> {
        let wrong = |why| QuestionError::Asked(format!("budget={}: {why}", self.budget));
        let read = |text: &str| text.parse::<Money>().map_err(|why| wrong(why.to_string()));
        Some(self.budget.trim()).filter(|text| !text.is_empty()).map(read).transpose()
    }

    /// By what the metrics of operations are told apart: these alone tell it.
    pub(crate) fn by_of_metrics(&self) -> Result<Dimension, QuestionError> {
        let text = if self.by.is_empty() { "operation" } else { &self.by };
        let tells = |by: &Dimension| {
            use Dimension::{Operation, Session, Tag, User};
            matches!(by, Operation | User | Session | Tag(_))
        };
        let wrong = || {
            let known = "operation, user, session or tag:NAME";
            QuestionError::Asked(format!("by={text}: expected {known}"))
        };
        text.parse().ok().filter(tells).ok_or_else(wrong)
    }

    fn query(&self, now: DateTime<Utc>) -> Result<Query, QuestionError> {
        let mut query = self.selection(now)?.query(self.period(now)?);
        query = query.limit(self.limit.unwrap_or(LINES).min(MOST_LINES));
        Ok(match self.order.as_str() {
            "" | "newest" => query.order(Order::NewestFirst),
            "slowest" => query.order(Order::Slowest),
            "dearest" => query.order(Order::Dearest),
            "failed" => {
                query.conditions.push(Condition::Outcome(Outcome::Failure));
                query.order(Order::NewestFirst)
            }
            other => {
                let known = "newest, slowest, dearest or failed";
                return Err(QuestionError::Asked(format!("order={other}: expected {known}")));
            }
        })
    }
}
