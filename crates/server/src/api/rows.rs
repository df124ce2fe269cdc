//! What has no list of its own as rows of CSV: no cell holds more than one thing.

use chrono::{DateTime, Utc};
use serde::Serialize;
use taximeter::analysis::When;
use taximeter::history::Trend;
use taximeter::models::{Money, Name, TrendDirection};
use taximeter_alerts::{BudgetState, FiringNow, RuleNow, Severity};

/// How a measure of an operation goes.
#[derive(Debug, Serialize)]
pub(super) struct MeasureRow {
    measure: &'static str,
    direction: TrendDirection,
    change_percent: Option<f64>,
    p_value: Option<f64>,
    data_points: u64,
    operations: u64,
    last_change_at: Option<DateTime<Utc>>,
}

pub(super) fn trend(found: &Trend) -> Vec<MeasureRow> {
    let trend = &found.trend;
    let duration = MeasureRow {
        measure: "duration",
        direction: trend.trend_direction,
        change_percent: trend.change_percent,
        p_value: trend.p_value,
        data_points: trend.data_points,
        operations: trend.data_points,
        last_change_at: trend.changes.last().map(|change| change.since),
    };
    let others = trend.measures.iter().map(|(measure, one)| MeasureRow {
        measure: measure.as_str(),
        direction: one.direction,
        change_percent: one.change_percent,
        p_value: one.p_value,
        data_points: one.data_points,
        operations: one.operations,
        last_change_at: one.changes.last().map(|change| change.since),
    });
    [duration].into_iter().chain(others).collect()
}

/// A budget of a group.
#[derive(Debug, Serialize)]
pub(super) struct BudgetRow<'b> {
    budget: &'b Name,
    by: String,
    key: Option<&'b Name>,
    per: String,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    amount: Money,
    spent: Money,
    left: Money,
    calls: u64,
    calls_without_cost: u64,
    /// Empty where it lasts.
    gone_at: Option<DateTime<Utc>>,
    probability: Option<f64>,
    not_known: Option<&'b str>,
}

impl<'b> BudgetRow<'b> {
    pub(super) fn of(state: &'b BudgetState) -> Self {
        let (spent, gone) = (&state.spent, state.exhaustion.map(|gone| gone.estimate));
        let coverage = &spent.coverage;
        Self {
            budget: &state.budget,
            by: state.by.to_string(),
            key: state.key.as_ref(),
            per: state.per.to_string(),
            since: state.since,
            until: state.until,
            amount: state.amount,
            spent: spent.usd,
            left: state.left,
            calls: coverage.calls,
            calls_without_cost: coverage.unpriced_calls
                + coverage.calls_without_usage
                + coverage.other_currency_calls,
            gone_at: match gone {
                Some(When::At(at)) => Some(at),
                _ => None,
            },
            probability: state.probability(),
            not_known: state.not_known.as_deref(),
        }
    }
}

/// A rule and what was last seen.
#[derive(Debug, Serialize)]
pub(super) struct RuleRow<'r> {
    rule: &'r Name,
    kind: &'static str,
    says: &'r str,
    severity: Severity,
    looked_at: Option<DateTime<Utc>>,
    groups: usize,
    pending: usize,
    firing: usize,
    overflow: usize,
    muted_until: Option<DateTime<Utc>>,
    error: Option<&'r str>,
}

impl<'r> RuleRow<'r> {
    pub(super) fn of(now: &'r RuleNow) -> Self {
        Self {
            rule: &now.name,
            kind: now.kind,
            says: &now.says,
            severity: now.severity,
            looked_at: now.looked_at,
            groups: now.seen.len(),
            pending: now.pending,
            firing: now.firing,
            overflow: now.overflow,
            muted_until: now.muted_until,
            error: now.error.as_deref(),
        }
    }
}

/// Something that fires.
#[derive(Debug, Serialize)]
pub(super) struct FiringRow<'f> {
    rule: &'f Name,
    severity: Severity,
    key: Option<&'f Name>,
    since: DateTime<Utc>,
    fired_at: DateTime<Utc>,
    told: bool,
    text: &'f str,
    look: &'f str,
}

impl<'f> FiringRow<'f> {
    pub(super) fn of(now: &'f FiringNow) -> Self {
        Self {
            rule: &now.rule,
            severity: now.severity,
            key: now.key.as_ref(),
            since: now.since,
            fired_at: now.fired_at,
            told: now.told,
            text: &now.text,
            look: &now.look,
        }
    }
}
