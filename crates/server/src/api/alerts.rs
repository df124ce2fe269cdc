//! What fires, what a rule would have done, and what is left of budgets.

use axum::Json;
use axum::extract::State;
use taximeter_alerts::{Backtest, Overview};

use super::answers::{Answer, Asked, Shared, asked};
use crate::alerts::{Budgets, Trial};

pub(super) async fn overview(State(questions): Shared) -> Json<Overview> {
    Json(questions.watch.alerts.overview())
}

pub(super) async fn backtest(State(questions): Shared, trial: Asked<Trial>) -> Answer<Backtest> {
    Ok(Json(questions.backtest(&asked(trial)?).await?))
}

pub(super) async fn budgets(State(questions): Shared) -> Answer<Budgets> {
    Ok(Json(questions.budgets().await?))
}
