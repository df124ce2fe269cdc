//! What fires, what a rule would have done, and what is left of budgets.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use taximeter_alerts::Backtest;

use super::answers::{Answer, Asked, Shared, asked};
use super::lists::Written;
use super::rows;
use crate::alerts::Trial;
use crate::questions::QuestionError;

/// Which of the tables of alerts is meant, where CSV is asked for.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(super) struct Which {
    /// Of CSV, which holds one table: `rules`, `firing` or `log`. Default: `rules`.
    table: String,
}

pub(super) async fn overview(
    State(questions): Shared,
    which: Asked<Which>,
    written: Written,
) -> Result<Response, QuestionError> {
    let (which, overview) = (asked(which)?, questions.watch.alerts.overview());
    match which.table.as_str() {
        "" | "rules" => {
            written.list("rules", &overview, overview.rules.iter().map(rows::RuleRow::of))
        }
        "firing" => {
            written.list("firing", &overview, overview.firing.iter().map(rows::FiringRow::of))
        }
        "log" => written.list("told", &overview, &overview.log),
        other => {
            let known = "rules, firing or log";
            Err(QuestionError::Asked(format!("table={other}: expected {known}")))
        }
    }
}

pub(super) async fn backtest(State(questions): Shared, trial: Asked<Trial>) -> Answer<Backtest> {
    Ok(Json(questions.backtest(&asked(trial)?).await?))
}

pub(super) async fn budgets(
    State(questions): Shared,
    written: Written,
) -> Result<Response, QuestionError> {
    let budgets = questions.budgets().await?;
    written.list("budgets", &budgets, budgets.states.iter().map(rows::BudgetRow::of))
}
