//! What comes, drawn onto the chart of what was spent: the range of the next steps, and what budgets allow in a step.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use taximeter::BudgetPlan;
use taximeter::analysis::{Dimension, Step};
use taximeter::history::{By, Outlook, OutlookAsk, Report};
use taximeter::report::money;
use taximeter::store::Level as Window;

use super::charts::{Ahead, Level};
use super::words::link;
use crate::questions::{Filter, QuestionError, Questions};

/// What stands on a chart of spending beside what was spent.
#[derive(Default)]
pub(super) struct Coming {
    /// None where nothing is forecast here.
    pub(super) ahead: Option<Ahead>,
    pub(super) levels: Vec<Level>,
    pub(super) note: Markup,
}

/// So many steps ahead at most, and as many as a third of those that were.
const MOST: usize = 48;

/// What comes after a report: of all operations alone, in whole hours and days, where the period goes on until now.
pub(super) async fn ask(
    questions: &Arc<Questions>,
    report: &Report,
    filter: &Filter,
    now: DateTime<Utc>,
) -> Result<Coming, QuestionError> {
    let (step, window) = match report.over_time.step {
        By::Time(Window::Hour) => (Step::Hour, Window::Hour),
        By::Time(Window::Day) => (Step::Day, Window::Day),
        _ => return Ok(Coming::said("Of minutes there is no forecast", filter)),
    };
    if report.only.is_some() {
        return Ok(Coming::said("The forecast of these operations alone", filter));
    }
    let begun = DateTime::from_timestamp(window.start(now.timestamp()), 0).unwrap_or(now);
    if report.period.until.is_some_and(|until| until < begun) {
        return Ok(Coming::default());
    }
    let mut ask = OutlookAsk::new(now);
    (ask.step, ask.steps) = (step, (report.over_time.moments.len() / 3).clamp(1, MOST));
    let outlook = questions.ask(move |history| history.forecast(&ask)).await?;
    let rules = questions.watch.alerts.rules();
    let mut levels: Vec<_> =
        rules.budgets.iter().filter_map(|plan| level(plan, window, now)).collect();
    if let Some(budget) = filter.budget()? {
        let month = BudgetPlan::new("of the month", budget, taximeter::BudgetPeriod::Month);
        levels.extend(month.ok().and_then(|month| level(&month, window, now)));
    }
    Ok(Coming { ahead: ahead(&outlook), levels, note: note(&outlook, step, filter) })
}

impl Coming {
    fn said(what: &str, filter: &Filter) -> Self {
        let note = html! { p.note { (what) ": under " a href=(link("/costs", filter, &[])) { "Costs" } "." } };
        Self { note, ..Self::default() }
    }
}

fn ahead(outlook: &Outlook) -> Option<Ahead> {
    let points = &outlook.forecast.as_ref()?.points;
    let of = |value: fn(&taximeter::analysis::ForecastPoint) -> f64| {
        points.iter().map(value).collect::<Vec<_>>()
    };
    Some(Ahead {
        starts: points.iter().map(|point| point.at).collect(),
        expected: of(|point| point.value),
        low: of(|point| point.low_80),
        high: of(|point| point.high_80),
        cell: |usd| format!("${usd:.4}"),
    })
}

/// What a budget of all operations allows in a step, where each of its steps may spend the same.
fn level(plan: &BudgetPlan, window: Window, now: DateTime<Utc>) -> Option<Level> {
    if *plan.dimension() != Dimension::All {
        return None;
    }
    let (since, until) = plan.per().around(now);
    let steps = u64::try_from((until - since).num_seconds() / window.seconds()).ok()?;
    let share = plan.amount().mean(steps)?;
    Some(Level {
        name: format!("budget {}, a {}", plan.name(), By::Time(window)),
        value: share.to_f64_lossy(),
        cell: money(share),
    })
}

/// How far it can be trusted, or why there is none.
fn note(outlook: &Outlook, step: Step, filter: &Filter) -> Markup {
    let step = match step {
        Step::Hour => "hour",
        Step::Day => "day",
    };
    let Some(forecast) = &outlook.forecast else {
        let why = outlook.not_enough.as_ref().map_or_else(String::new, ToString::to_string);
        return html! { p.note { "No forecast yet: " (why) "." } };
    };
    let (past, steps) = (&forecast.backtest, forecast.points.len().to_string());
    let others = [("since", ""), ("order", ""), ("compare", ""), ("live", "")];
    let json = [[("by", step), ("limit", steps.as_str())].as_slice(), &others].concat();
    html! {
        p.note {
            a href=(link("/api/v1/forecast", filter, &json)) { "Forecast" } " by " (step)
            @if let Some(error) = past.mean_absolute_error {
                "; such forecasts were off by " (format!("${error:.4}")) " in the mean"
            }
            @if forecast.coverage.is_some_and(|coverage| !coverage.is_complete()) { "; what comes is at least that much, for some calls have no price" }
            "."
        }
    }
}
