//! The numbers of operations' own, in their metadata, and the metrics of programs' own.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use chrono::Utc;
use serde::Serialize;
use taximeter::history::{Metric, MetricSummary, Metrics, OwnMetric};
use taximeter::models::{Name, TrendDirection};

use super::answers::{Answer, Asked, Shared, asked};
use super::lists::Written;
use crate::questions::{Filter, QuestionError};

/// A metric of operations as a row.
#[derive(Debug, Serialize)]
struct Row<'m> {
    name: &'m Name,
    operations: u64,
    of: u64,
    mean: f64,
    p50: f64,
    p95: f64,
    min: f64,
    max: f64,
    trend: TrendDirection,
    change_percent: Option<f64>,
}

impl<'m> Row<'m> {
    fn of(metric: &'m MetricSummary) -> Self {
        let (values, trend) = (&metric.values, &metric.trend);
        Self {
            name: &metric.name,
            operations: metric.operations.hits,
            of: metric.operations.of,
            mean: values.mean,
            p50: values.p50,
            p95: values.p95,
            min: values.min,
            max: values.max,
            trend: trend.direction,
            change_percent: trend.change_percent,
        }
    }
}

/// As CSV the metrics of operations alone: those of programs have no row of the same columns.
pub(super) async fn all(
    State(questions): Shared,
    query: Asked<Filter>,
    written: Written,
) -> Result<Response, QuestionError> {
    let (filter, now) = (asked(query)?, Utc::now());
    let (period, only) = (filter.period(now)?, filter.selection(now)?);
    let found: Metrics = questions.ask(move |history| history.metrics(&only, period, now)).await?;
    written.list("metrics", &found, found.metrics.iter().map(Row::of))
}

/// One metric: of operations, or where none has it, of programs' own.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub(super) enum OneMetric {
    /// A number in the metadata of operations.
    OfOperations(Box<Metric>),
    /// A metric of a program's own, which belongs to no operation.
    Own(Box<OwnMetric>),
}

pub(super) async fn one(
    State(questions): Shared,
    Path(name): Path<String>,
    query: Asked<Filter>,
) -> Answer<OneMetric> {
    let (filter, now) = (asked(query)?, Utc::now());
    let (period, only) = (filter.period(now)?, filter.selection(now)?);
    let by = filter.by_of_metrics()?;
    let found = questions.ask(move |history| {
        let metric = history.metric(&name, &only, period, &by, now)?;
        if metric.values.is_some() {
            return Ok::<_, taximeter::StoreError>(OneMetric::OfOperations(Box::new(metric)));
        }
        let own = history.own_metrics(period, now)?.into_iter().find(|own| *own.name == *name);
        Ok(own
            .map_or(OneMetric::OfOperations(Box::new(metric)), |own| OneMetric::Own(Box::new(own))))
    });
    Ok(Json(found.await?))
}
