//! Whether an advice helped: what it was about, measured before and after.

use serde::Serialize;
use taximeter_models::{
    Advice, AdviceKind, ErrorCategory, Estimate, FindingKind, KnownUsd, Money, OperationRecord,
    Rate,
};

use super::savings::Mean;
use crate::bottlenecks::{calls, component_times};
use crate::compare::difference_of_shares;
use crate::statistics::Z_95;
use crate::{Thresholds, bottlenecks};

/// Whether it helped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It is sure that there is less of it.
    Helped,
    /// It is sure that there is more of it.
    Worse,
    /// The data do not say. More of them may.
    Inconclusive,
}

/// How much less there is of what an advice was about.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "of", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Saved {
    /// Seconds of an operation, in the mean.
    Seconds(Estimate<f64>),
    /// US dollars of an operation, in the mean.
    Usd(Estimate<Money>),
    /// A share of the calls or operations, 0 to 1.
    Share(Estimate<f64>),
}

/// An advice, measured again.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Remeasured {
    /// The operations before.
    pub operations_before: u64,
    /// The operations after.
    pub operations_after: u64,
    /// What was saved, with its 95 % interval; below zero where there is more of it.
    pub saved: Saved,
    /// Whether it helped.
    pub effect: Effect,
    /// Where it is about money: the operations before whose cost is not known in whole and that are left out, of all.
    pub left_out_before: Rate,
    /// The same after.
    pub left_out_after: Rate,
}

/// Whether an advice helped: what it was about, in the operations before it was followed and in those after. None
/// where one of the two has too few operations of the name, or where the advice is in another program's words.
///
/// What is compared is what stood out: the time of a component or operation, the time waited in vain, the cost of an operation, or the share
/// of calls that failed, repeated or were refused. Means are compared with the interval of B. L. Welch ("The
/// generalization of Student's problem when several different population variances are involved", Biometrika 34,
/// 1947), shares with that of R. G. Newcombe ("Interval estimation for the difference between independent proportions",
/// Statistics in Medicine 17, 1998, method 10).
///
/// Operations whose cost is not known in whole are left out of what was saved, and counted. That it helped is said only where
/// it did so even if each of them cost as much after as the dearest that is known, and before no more than the part that is
/// known; that it is worse, the other way round.
///
/// ```
/// use std::time::Duration;
/// use taximeter_analysis::{Effect, Thresholds, advise, bottlenecks, remeasure};
/// use taximeter_models::OperationRecord;
///
/// let answers = |millis: u64| (0..30).map(move |at| {
///     let mut answer = OperationRecord::new("qa_response");
///     answer.duration = Duration::from_millis(millis + at % 7 * 100);
///     answer
/// }).collect::<Vec<_>>();
/// let (before, after) = (answers(4_000), answers(2_000));
/// let thresholds = Thresholds::default();
/// let advice = advise(&bottlenecks(&before, &thresholds));
/// let told = remeasure(&advice[0], &before, &after, &thresholds).unwrap();
/// assert_eq!(told.effect, Effect::Helped);
/// assert_eq!(remeasure(&advice[0], &before, &before, &thresholds).unwrap().effect, Effect::Inconclusive);
/// assert!(remeasure(&advice[0], &before, &[], &thresholds).is_none());
/// ```
pub fn remeasure<'a>(
    advice: &Advice,
    before: impl IntoIterator<Item = &'a OperationRecord>,
    after: impl IntoIterator<Item = &'a OperationRecord>,
    thresholds: &Thresholds,
) -> Option<Remeasured> {
    let name = &advice.because.operation;
    let own = |operations: Vec<&'a OperationRecord>| {
        operations.into_iter().filter(|operation| operation.name == *name).collect::<Vec<_>>()
    };
    let (before, after) = (own(before.into_iter().collect()), own(after.into_iter().collect()));
    let saved = match &advice.because.kind {
        FindingKind::SlowOperation { .. } => {
            Saved::Seconds(of_means(&before, &after, |o| Some(o.duration.as_secs_f64()))?)
        }
        FindingKind::SlowComponent { component, .. } => {
            let time = |operation: &OperationRecord| {
                Some(component_times(operation).get(&**component)?.as_secs_f64())
            };
            Saved::Seconds(of_means(&before, &after, time)?)
        }
        FindingKind::Timeouts { target, .. } if advice.advice == AdviceKind::ShorterTimeout => {
            Saved::Seconds(of_means(&before, &after, |operation| Some(waited(operation, target)))?)
        }
        FindingKind::ExpensiveOperation { .. }
        | FindingKind::ColdCache { .. }
        | FindingKind::LongReplies { .. }
        | FindingKind::BackgroundWork { .. } => {
            return of_costs(&before, &after);
        }
        FindingKind::Noted { .. } => return None,
        kind => {
            // Where nothing stands out, all that can stand out is looked for.
            let mut all = thresholds.clone();
            all.find_everything();
            let rate = |operations: &[&OperationRecord]| {
                let findings = bottlenecks(operations.iter().copied(), &all);
                let same = findings.iter().find(|finding| is_same(&finding.kind, kind));
                same.map_or(Rate { hits: 0, of: operations.len() as u64 }, |found| {
                    cases(&found.kind)
                })
            };
            Saved::Share(of_shares(rate(&before), rate(&after))?)
        }
    };
    let (low, high) = match saved {
        Saved::Seconds(saved) | Saved::Share(saved) => (saved.low, saved.high),
        Saved::Usd(saved) => (saved.low.to_f64_lossy(), saved.high.to_f64_lossy()),
    };
    Some(Remeasured {
        operations_before: before.len() as u64,
        operations_after: after.len() as u64,
        saved,
        effect: effect(low, high),
        left_out_before: Rate { hits: 0, of: before.len() as u64 },
        left_out_after: Rate { hits: 0, of: after.len() as u64 },
    })
}

/// What it is sure of, of a saving between these bounds.
fn effect(low: f64, high: f64) -> Effect {
    match () {
        () if low > 0.0 => Effect::Helped,
        () if high < 0.0 => Effect::Worse,
        () => Effect::Inconclusive,
    }
}

/// What operations cost less.
fn of_costs(before: &[&OperationRecord], after: &[&OperationRecord]) -> Option<Remeasured> {
    let (first, second) = (Costs::of(before), Costs::of(after));
    let saved = difference_of_means(&first.known, &second.known)?;
    let dearest = first.known.iter().chain(&second.known).fold(0.0_f64, |most, usd| most.max(*usd));
    let low = difference_of_means(&first.at_least(), &second.with(dearest))?.low;
    let high = difference_of_means(&first.with(dearest), &second.at_least())?.high;
    let money = Money::from_f64_shortest;
    let (least, likely) = (money(saved.low)?, money(saved.likely)?);
    Some(Remeasured {
        operations_before: before.len() as u64,
        operations_after: after.len() as u64,
        saved: Saved::Usd(Estimate { low: least, likely, high: money(saved.high)? }),
        effect: effect(low, high),
        left_out_before: first.left_out(),
        left_out_after: second.left_out(),
    })
}

/// The costs of operations in US dollars: those that are known in whole, and the parts of the others.
struct Costs {
    known: Vec<f64>,
    parts: Vec<f64>,
}

impl Costs {
    fn of(operations: &[&OperationRecord]) -> Self {
        let mut costs = Self { known: Vec::new(), parts: Vec::new() };
        for operation in operations {
            let cost = KnownUsd::of(&operation.llm_calls);
            let whole = cost.coverage.is_complete();
            let list = if whole { &mut costs.known } else { &mut costs.parts };
            list.push(cost.usd.to_f64_lossy());
        }
        costs
    }

    fn left_out(&self) -> Rate {
        let hits = self.parts.len() as u64;
        Rate { hits, of: hits + self.known.len() as u64 }
    }

    fn at_least(&self) -> Vec<f64> {
        [&self.known[..], &self.parts].concat()
    }

    /// As if each that is not known in whole cost so much, or its part where that is more.
    fn with(&self, usd: f64) -> Vec<f64> {
        let unknown = self.parts.iter().map(|part| part.max(usd));
        self.known.iter().copied().chain(unknown).collect()
    }
}

/// The seconds for which a tool or an LLM was waited for in vain.
fn waited(operation: &OperationRecord, target: &str) -> f64 {
    let given_up = calls(operation).filter(|call| call.error == Some(ErrorCategory::Timeout));
    let own = given_up.filter(|call| call.target == target).filter_map(|call| call.duration);
    own.map(|wait| wait.as_secs_f64()).sum()
}

/// The interval of the difference of two means (Welch), with the normal quantile: the samples are large or say nothing.
fn of_means(
    before: &[&OperationRecord],
    after: &[&OperationRecord],
    value: impl Fn(&OperationRecord) -> Option<f64>,
) -> Option<Estimate<f64>> {
    let values = |operations: &[&OperationRecord]| {
        operations.iter().filter_map(|operation| value(operation)).collect::<Vec<_>>()
    };
    difference_of_means(&values(before), &values(after))
}

fn difference_of_means(before: &[f64], after: &[f64]) -> Option<Estimate<f64>> {
    let (before, after) = (Mean::of(before)?, Mean::of(after)?);
    let likely = before.mean - after.mean;
    let reach = Z_95 * before.error.hypot(after.error);
    Some(Estimate { low: likely - reach, likely, high: likely + reach })
}

/// The interval of the difference of two shares (Newcombe's method 10).
fn of_shares(before: Rate, after: Rate) -> Option<Estimate<f64>> {
    let (low, likely, high) = difference_of_shares(before, after)?;
    Some(Estimate { low, likely, high })
}

/// Whether two findings are about the same, at another time.
fn is_same(one: &FindingKind, other: &FindingKind) -> bool {
    let target = |kind: &FindingKind| match kind {
        FindingKind::RetryStorm { target, .. }
        | FindingKind::RateLimited { target, .. }
        | FindingKind::Timeouts { target, .. } => Some(target.clone()),
        FindingKind::ToolLoop { tool, .. } => Some(tool.clone()),
        FindingKind::TruncatedReplies { llm, .. } | FindingKind::ContextPressure { llm, .. } => {
            Some(llm.clone())
        }
        _ => None,
    };
    std::mem::discriminant(one) == std::mem::discriminant(other) && target(one) == target(other)
}

/// The cases that count, of all.
fn cases(kind: &FindingKind) -> Rate {
    match kind {
        FindingKind::HighErrorRate { errors: cases, .. }
        | FindingKind::RepeatedCalls { repeated: cases }
        | FindingKind::RetryStorm { retries: cases, .. }
        | FindingKind::RateLimited { refused: cases, .. }
        | FindingKind::Timeouts { timeouts: cases, .. }
        | FindingKind::ToolLoop { operations: cases, .. }
        | FindingKind::TruncatedReplies { truncated: cases, .. }
        | FindingKind::ContextPressure { above: cases, .. } => *cases,
        _ => Rate::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R. G. Newcombe 1998, table II, case (a): 56/70 against 48/80, method 10: 0.0524 to 0.3339.
    #[test]
    fn the_published_interval_of_a_difference_of_shares() {
        let found = of_shares(Rate { hits: 56, of: 70 }, Rate { hits: 48, of: 80 }).unwrap();
        assert!((found.low - 0.0524).abs() < 5e-5, "{found:?}");
        assert!((found.high - 0.3339).abs() < 5e-5, "{found:?}");
        assert!((found.likely - 0.2).abs() < 1e-12);
    }
}
