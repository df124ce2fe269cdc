//! What fires whatever was before: losses, a budget that will not do, thresholds that are exceeded.

use chrono::{DateTime, Utc};
use taximeter_analysis::{Dimension, When};
use taximeter_models::{Finding, FindingKind};

use super::attention::{quoted, thousands};
use super::numbers::month_of;
use super::{Advised, Attention, Concern, Health, Month};

/// Every alert, the most important first.
pub(super) fn alerts(health: &Health, month: Option<&Month>, advised: &Advised) -> Vec<Attention> {
    let thresholds = advised.bottlenecks.iter().filter_map(threshold);
    losses(health).into_iter().chain(month.and_then(budget)).chain(thresholds).collect()
}

fn losses(health: &Health) -> Option<Attention> {
    let losses = &health.losses;
    let look = losses.what_to_do().filter(|_| losses.lost > 0)?;
    Some(Attention {
        about: "meter".into(),
        by: None,
        concern: Concern::Lost {
            operations: losses.lost,
            by_reason: losses.lost_by_reason.clone(),
        },
        cause: None,
        text: format!(
            "{} of {} operations were lost and are in no number here: {}",
            thousands(losses.lost),
            thousands(losses.offered),
            losses.reasons()
        ),
        look: look.into(),
    })
}

/// A budget that is gone before the month is, as far as can be told; or is gone already.
fn budget(month: &Month) -> Option<Attention> {
    let budget = month.budget?;
    let first = month.month.and_hms_opt(0, 0, 0)?.and_utc();
    let (_, end) = month_of(month.month)?;
    let gone: Option<DateTime<Utc>> = if month.so_far >= budget {
        Some(first)
    } else {
        match month.exhaustion.as_ref()?.estimate {
            When::At(at) if at < end => Some(at),
            _ => return None,
        }
    };
    let text = if month.so_far >= budget {
        format!(
            "the budget of ${} is gone: ${} were spent",
            budget.rounded(2),
            month.so_far.rounded(2)
        )
    } else {
        let (_, expected, _) = month.expected();
        let at = gone.map_or_else(String::new, |at| at.format("%F").to_string());
        format!("the budget of ${} is gone on {at}; ${expected:.2} is expected", budget.rounded(2))
    };
    let look = format!("taximeter forecast --budget {}", budget.rounded(2));
    Some(Attention {
        about: "budget".into(),
        by: None,
        concern: Concern::Budget { budget, gone },
        cause: None,
        text,
        look,
    })
}

/// Findings that are measured against a threshold of the settings.
fn threshold(finding: &Finding) -> Option<Attention> {
    let sort = match finding.kind {
        FindingKind::SlowOperation { .. } | FindingKind::SlowComponent { .. } => "--slowest",
        FindingKind::HighErrorRate { .. } => "--failed",
        FindingKind::ExpensiveOperation { .. } => "--dearest",
        _ => return None,
    };
    let look = format!("taximeter ops --operation {} {sort}", quoted(&finding.operation));
    let text = finding.to_string();
    let concern = Concern::Threshold { finding: Box::new(finding.clone()) };
    let (about, by) = (finding.operation.clone(), Some(Dimension::Operation));
    Some(Attention { about, by, concern, cause: None, text, look })
}
