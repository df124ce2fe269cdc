//! What fires, what a rule would have done, and what is left of budgets.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use serde::Deserialize;
use taximeter_alerts::Backtest;

use super::answers::{Answer, Asked, Shared, asked};
use super::lists::{Format, csv};
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
    format: Asked<Format>,
    headers: HeaderMap,
) -> Result<Response, QuestionError> {
    let (which, is_csv) = (asked(which)?, asked(format)?.is_csv(&headers)?);
    let overview = questions.watch.alerts.overview();
    if !is_csv {
        return Ok(Json(overview).into_response());
    }
    match which.table.as_str() {
        "" | "rules" => {
            csv("rules", &overview.rules.iter().map(rows::RuleRow::of).collect::<Vec<_>>())
        }
        "firing" => {
            csv("firing", &overview.firing.iter().map(rows::FiringRow::of).collect::<Vec<_>>())
        }
        "log" => csv("told", &overview.log),
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
    format: Asked<Format>,
    headers: HeaderMap,
) -> Result<Response, QuestionError> {
    let is_csv = asked(format)?.is_csv(&headers)?;
    let budgets = questions.budgets().await?;
    if is_csv {
        return csv("budgets", &budgets.states.iter().map(rows::BudgetRow::of).collect::<Vec<_>>());
    }
    Ok(Json(budgets).into_response())
}
