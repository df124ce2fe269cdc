//! How much there is to gain where something stands out: the order of findings and of advice.

use std::cmp::Ordering;

use taximeter_models::{Finding, FindingKind};

/// The share, 0 to 1, of the time, money or operations of its kind that would be saved if the finding were remedied
/// just as far as its threshold asks.
///
/// | Finding | Share |
/// |---|---|
/// | slow operation | of its time: the part of the mean above the threshold |
/// | slow component | of the operation's time: its share of it, times the part of its mean above the threshold |
/// | expensive operation | of its money: the part of the mean above the threshold |
/// | high error rate | of the operations: those that do not succeed |
/// | repeated calls, retries, refused and timed-out calls, loops, replies cut off, prompts that hardly fit | of the calls or operations: those |
/// | a cold cache | of the input: what is repeated and not cached, of which a half is taken to be alike |
/// | long replies | of the money: a quarter of what is for replies |
/// | work that nobody waits for | of the calls: half of those at the full price, which is what a batch saves |
///
/// What another program noted in words has no numbers, and the importance 0.
pub fn importance(finding: &Finding) -> f64 {
    let share = match &finding.kind {
        FindingKind::SlowOperation { mean_seconds, threshold_seconds, .. } => {
            part_above(*mean_seconds, *threshold_seconds)
        }
        FindingKind::SlowComponent { mean_seconds, threshold_seconds, share_of_time, .. } => {
            share_of_time.min(1.0) * part_above(*mean_seconds, *threshold_seconds)
        }
        FindingKind::HighErrorRate { errors, .. } => errors.fraction().unwrap_or_default(),
        FindingKind::ExpensiveOperation { mean_cost, threshold, .. } => {
            part_above(mean_cost.to_f64_lossy(), threshold.to_f64_lossy())
        }
        FindingKind::RepeatedCalls { repeated: cases }
        | FindingKind::RetryStorm { retries: cases, .. }
        | FindingKind::RateLimited { refused: cases, .. }
        | FindingKind::Timeouts { timeouts: cases, .. }
        | FindingKind::ToolLoop { operations: cases, .. }
        | FindingKind::TruncatedReplies { truncated: cases, .. }
        | FindingKind::ContextPressure { above: cases, .. } => cases.fraction().unwrap_or_default(),
        FindingKind::ColdCache { repeated, cached, .. } => {
            let cold = cached.complement().fraction().unwrap_or_default();
            repeated.fraction().unwrap_or_default() * cold / 2.0
        }
        FindingKind::LongReplies { share_of_cost, .. } => share_of_cost / 4.0,
        FindingKind::BackgroundWork { calls } => calls.fraction().unwrap_or_default() / 2.0,
        _ => 0.0,
    };
    // Findings can be read from files, and those can hold anything.
    if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
}

/// The more important first; equal ones by the name of the operation, then of the component, then by their words.
pub(crate) fn by_importance(left: &Finding, right: &Finding) -> Ordering {
    importance(right)
        .total_cmp(&importance(left))
        .then_with(|| left.operation.cmp(&right.operation))
        .then_with(|| component(left).cmp(&component(right)))
        .then_with(|| left.to_string().cmp(&right.to_string()))
}

fn component(finding: &Finding) -> Option<&str> {
    match &finding.kind {
        FindingKind::SlowComponent { component, .. } => Some(component),
        _ => None,
    }
}

fn part_above(mean: f64, threshold: f64) -> f64 {
    1.0 - threshold / mean
}

#[cfg(test)]
mod tests {
    use taximeter_models::Rate;

    use super::*;

    #[test]
    fn it_is_the_share_to_be_gained() {
        let of = |kind| importance(&Finding::new("x", kind, vec![]));
        let component = FindingKind::SlowComponent {
            component: "y".into(),
            mean_seconds: 4.0,
            threshold_seconds: 2.0,
            above: Rate::default(),
            share_of_time: 0.8,
        };
        assert!((of(component) - 0.4).abs() < 1e-15);
        let nonsense = FindingKind::SlowOperation {
            mean_seconds: 0.0,
            threshold_seconds: 0.0,
            above: Rate::default(),
        };
        assert!(of(nonsense).abs() < f64::EPSILON);
    }
}
