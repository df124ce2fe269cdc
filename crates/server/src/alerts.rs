//! Alerts and budgets: the loops that keep the watch going, and what is asked of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use chrono::Utc;
use serde::{Deserialize, Serialize};
use taximeter::BudgetPlan;
use taximeter::history::{History, Period};
use taximeter_alerts::{Alerts, Backtest, BudgetState, ChangeError, Rules, backtest, budgets};

use crate::questions::{QuestionError, Questions};
use crate::{Config, ServerError};

/// Rules over the history of a server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AlertsConfig {
    /// Rules, budgets and receivers. Where they are of a file, they can be changed there from the page.
    pub rules: Rules,
    /// The file that keeps what fires and what is to be told. Default: none, and a server that starts anew tells anew.
    pub state: Option<PathBuf>,
    /// Whether rules are looked at and receivers told. Else they are only shown, nothing can be muted or changed, and the
    /// files are only read. Default: yes.
    pub watch: bool,
}

impl AlertsConfig {
    /// These rules, looked at, kept nowhere.
    pub fn new(rules: Rules) -> Self {
        Self { rules, state: None, watch: true }
    }
}

/// The watch of a server.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    pub(crate) alerts: Arc<Alerts>,
    /// Whether rules are looked at, and something may be changed.
    pub(crate) may_change: bool,
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
pub(crate) const PAST: &str = "7d";

impl Watch {
    /// No rules.
    pub(crate) fn idle(history: History) -> Self {
        Self { alerts: Arc::new(Alerts::idle(history)), may_change: false }
    }
}

/// The watch, with what was known before; with no rules, it is empty.
///
/// # Errors
/// Where the file of what was known cannot be read.
pub(crate) fn open(config: &Config) -> Result<Watch, ServerError> {
    let history = config.history.clone();
    let Some(set) = &config.alerts else { return Ok(Watch::idle(history)) };
    let alerts = Alerts::open(set.rules.clone(), history, set.state.as_deref());
    let alerts = alerts.map_err(ServerError::Alerts)?;
    Ok(Watch { alerts: Arc::new(alerts), may_change: set.watch })
}

/// Begins to look and to tell, each on a thread of its own: a receiver that hangs holds up no look.
///
/// # Errors
/// Where there is no thread.
pub(crate) fn start(watch: &Watch) -> Result<Option<Watching>, ServerError> {
    if !watch.may_change {
        return Ok(None);
    }
    let alerts = &watch.alerts;
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

/// Which rule is to be tried, over which past.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Budgets {
    taximeter_version: u32,
    document: &'static str,
    #[serde(rename = "budgets")]
    pub(crate) states: Vec<BudgetState>,
    /// Groups for which there was no room.
    pub(crate) more: usize,
}

impl Questions {
    pub(crate) async fn budgets(self: &Arc<Self>) -> Result<Budgets, QuestionError> {
        let plans = self.watch.alerts.rules().budgets.clone();
        let found = self.ask(move |history| budgets(&plans, history, Utc::now(), MOST_GROUPS));
        let mut all =
            Budgets { taximeter_version: 1, document: "budgets", states: Vec::new(), more: 0 };
        let found: Vec<(BudgetPlan, Vec<BudgetState>, usize)> = found.await?;
        for (_, states, more) in found {
            all.states.extend(states);
            all.more += more;
        }
        Ok(all)
    }

    pub(crate) async fn backtest(
        self: &Arc<Self>,
        trial: &Trial,
    ) -> Result<Backtest, QuestionError> {
        let now = Utc::now();
        let over = if trial.over.is_empty() { PAST } else { &trial.over };
        let period = Period::read(over, now)?;
        let asked = |why: String| QuestionError::Asked(why);
        let rules = self.watch.alerts.rules();
        let (rules, name) = if trial.toml.trim().is_empty() {
            ((*rules).clone(), trial.rule.as_str())
        } else {
            (tried(&rules, &trial.toml)?, "")
        };
        let rule = match name {
            "" => rules.rules.first(),
            name => rules.rule(name),
        };
        let none = || asked(format!("rule={}: there is none of this name", trial.rule));
        let rule = rule.cloned().ok_or_else(none)?;
        self.ask(move |history| backtest(&rule, &rules, history, period, now)).await
    }

    /// Changes something of the watch, where it may be: on a thread that may wait for the disk.
    pub(crate) async fn change<A, E>(
        &self,
        change: impl FnOnce(&Alerts) -> Result<A, E> + Send + 'static,
    ) -> Result<A, QuestionError>
    where
        A: Send + 'static,
        E: Into<QuestionError> + Send + 'static,
    {
        if !self.watch.may_change {
            return Err(QuestionError::OnlyReads);
        }
        let alerts = Arc::clone(&self.watch.alerts);
        let changed = tokio::task::spawn_blocking(move || change(&alerts)).await;
        changed.map_err(|_| QuestionError::Panicked)?.map_err(Into::into)
    }

    /// Whether rules can be made and changed here: they are of a file, and more than read.
    pub(crate) fn may_write_rules(&self) -> bool {
        self.watch.may_change && self.watch.alerts.rules().path.is_some()
    }
}

/// A rule that is tried: with the budgets of the file.
fn tried(rules: &Rules, toml: &str) -> Result<Rules, QuestionError> {
    let tried = rules.and_of(toml).map_err(|why| QuestionError::Change(why.into()))?;
    if tried.rules.len() != 1 {
        let (found, budgets) = (tried.rules.len(), tried.budgets.len() - rules.budgets.len());
        return Err(ChangeError::NotOne { found, budgets }.into());
    }
    Ok(tried)
}
