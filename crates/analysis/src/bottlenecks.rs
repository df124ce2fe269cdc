//! What stands out: slow, failing, expensive and repeated work, with the operations that prove it and what it costs.

mod calls;
mod repeated;
mod replies;
mod waste;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use taximeter_models::{
    Finding, FindingKind, KnownUsd, Money, Name, OperationId, OperationRecord, Rate,
};

pub(crate) use self::calls::loops;
pub(crate) use self::repeated::question;
use self::repeated::repeated_calls;
pub(crate) use self::replies::{Prefixes, begin, is_background, is_batch, is_cut_off};
use self::waste::loss;
pub(crate) use self::waste::{Call, calls};
use crate::Thresholds;
use crate::cost::{KnownCosts, known_usd};
use crate::importance::by_importance;
use crate::statistics::{Z_95, wilson};
use crate::thresholds::is_limit;

/// At most so many operations prove a finding.
const MOST_EVIDENCE: usize = 10;

/// What stands out in these operations, by name of operation, the most [important](crate::importance()) first.
///
/// | Finding | It stands out where |
/// |---|---|
/// | `SlowOperation` | the mean duration is above the threshold of the name |
/// | `SlowComponent` | the mean time of a component, over the operations that have it, is above that of its name |
/// | `HighErrorRate` | the share that failed or was abandoned is above the threshold, and the sample is large enough |
/// | `ExpensiveOperation` | the mean cost is above the threshold, over the operations whose whole cost is known in US dollars |
/// | `RepeatedCalls` | the share of successful LLM calls whose provider, LLM and hash of arguments came before, in operations of the same name, is at least the threshold, and the sample is large enough |
/// | `RetryStorm` | of the calls of a tool or LLM, the share that tries again is at least the threshold |
/// | `RateLimited`, `Timeouts` | the share that is refused for a rate limit, or given up, is |
/// | `ToolLoop` | of the operations with hashed arguments, the share that calls a tool with the same ones `loop_calls` times is |
/// | `TruncatedReplies` | of the replies of an LLM that tell why they ended, the share that reached its limit is |
/// | `ContextPressure` | the share of prompts that fill more of the window than `context_filled`, or do not fit, is |
/// | `ColdCache` | prompts begin like one shortly before, and less than `cached_share` of their input comes from a cache |
/// | `LongReplies` | replies are long, and most of the money is for them |
/// | `BackgroundWork` | operations that are named under `background` or tagged `background=true` pay the full price |
///
/// Where calls are counted, there must be `minimum_calls` of them, and three that count. Each finding has the ids of up
/// to ten operations that prove it, the worst first, and what it costs: the time above the threshold, the failed
/// operations, the calls that were for nothing; the money as far as it is known, with the calls that it leaves out.
///
/// ```
/// use std::time::Duration;
/// use taximeter_analysis::{Thresholds, bottlenecks};
/// use taximeter_models::OperationRecord;
///
/// let mut slow = OperationRecord::new("qa_response");
/// slow.duration = Duration::from_secs(4);
/// let findings = bottlenecks([&slow], &Thresholds::default());
/// assert_eq!(
///     findings[0].to_string(),
///     "qa_response takes 4.000 s in the mean (threshold 3 s); above it: 100.0 % (1 of 1)"
/// );
/// assert_eq!(findings[0].evidence, [slow.id]);
/// ```
pub fn bottlenecks<'a>(
    operations: impl IntoIterator<Item = &'a OperationRecord>,
    thresholds: &Thresholds,
) -> Vec<Finding> {
    let mut by_name = BTreeMap::<&Name, Vec<&OperationRecord>>::new();
    for operation in operations {
        by_name.entry(&operation.name).or_default().push(operation);
    }
    let mut findings = Vec::new();
    for (name, operations) in by_name {
        findings.extend(slow_operation(name, &operations, thresholds));
        findings.extend(slow_components(name, &operations, thresholds));
        findings.extend(high_error_rate(name, &operations, thresholds));
        findings.extend(expensive_operation(name, &operations, thresholds));
        findings.extend(repeated_calls(name, &operations, thresholds));
        findings.extend(calls::failing_calls(name, &operations, thresholds));
        findings.extend(calls::tool_loops(name, &operations, thresholds));
        findings.extend(replies::llm_findings(name, &operations, thresholds));
    }
    findings.sort_by(by_importance);
    findings
}

fn slow_operation(
    name: &Name,
    operations: &[&OperationRecord],
    thresholds: &Thresholds,
) -> Option<Finding> {
    let threshold_seconds = thresholds.for_operation(name);
    let cases: Vec<_> =
        operations.iter().map(|operation| (operation.duration, *operation)).collect();
    let slow = Slow::of(&cases, threshold_seconds)?;
    let kind = FindingKind::SlowOperation {
        mean_seconds: slow.mean_seconds,
        threshold_seconds,
        above: slow.above,
    };
    Some(Finding::new(name, kind, slow.evidence).losing(loss(
        slow.excess,
        KnownUsd::default(),
        operations,
    )))
}

fn slow_components(
    name: &Name,
    operations: &[&OperationRecord],
    thresholds: &Thresholds,
) -> Vec<Finding> {
    let mut by_component = BTreeMap::<&str, Vec<(Duration, &OperationRecord)>>::new();
    for operation in operations {
        for (component, time) in component_times(operation) {
            by_component.entry(component).or_default().push((time, operation));
        }
    }
    let finding = |(component, cases): (&str, Vec<(Duration, &OperationRecord)>)| {
        let threshold_seconds = thresholds.for_component(component);
        let slow = Slow::of(&cases, threshold_seconds)?;
        let kind = FindingKind::SlowComponent {
            component: component.into(),
            mean_seconds: slow.mean_seconds,
            threshold_seconds,
            above: slow.above,
            share_of_time: share_of_time(&cases),
        };
        let lost = loss(slow.excess, KnownUsd::default(), operations);
        Some(Finding::new(name, kind, slow.evidence).losing(lost))
    };
    by_component.into_iter().filter_map(finding).collect()
}

/// The time of each component in one operation, its repetitions added up.
pub(crate) fn component_times(operation: &OperationRecord) -> BTreeMap<&str, Duration> {
    let mut times = BTreeMap::<&str, Duration>::new();
    for timing in &operation.components {
        let time = times.entry(&timing.name).or_default();
        *time = time.saturating_add(timing.duration);
    }
    times
}

/// Where operations took no time that a clock could see, what did take time is all of it.
fn share_of_time(cases: &[(Duration, &OperationRecord)]) -> f64 {
    let part = total_nanos(cases.iter().map(|(time, _)| *time));
    let whole = total_nanos(cases.iter().map(|(_, operation)| operation.duration));
    if whole > 0.0 { part / whole } else { 1.0 }
}

fn high_error_rate(
    name: &Name,
    operations: &[&OperationRecord],
    thresholds: &Thresholds,
) -> Option<Finding> {
    let threshold = thresholds.error_rate;
    let failed = || operations.iter().filter(|operation| !operation.is_success());
    let errors = Rate { hits: failed().count() as u64, of: operations.len() as u64 };
    let enough = errors.of >= thresholds.error_minimum_operations;
    let stands_out = enough && is_limit(threshold) && errors.fraction()? > threshold;
    let at_least = wilson(errors, Z_95)?.low;
    // The worst are those with the most errors; of equal ones the latest tells most of what is wrong now.
    let evidence = || {
        worst(
            failed().map(|operation| ((operation.error_count(), operation.started_at), *operation)),
        )
    };
    let kind = FindingKind::HighErrorRate { errors, threshold, at_least };
    let lost = || {
        let time = failed().fold(Duration::ZERO, |sum, o| sum.saturating_add(o.duration));
        loss(time, KnownUsd::of_operations(failed().copied()), operations)
    };
    stands_out.then(|| Finding::new(name, kind, evidence()).losing(lost()))
}

fn expensive_operation(
    name: &Name,
    operations: &[&OperationRecord],
    thresholds: &Thresholds,
) -> Option<Finding> {
    let threshold = thresholds.cost_usd;
    let known = KnownCosts::of(operations.iter().copied());
    if threshold.is_negative() || !known.mean_is_above(threshold) {
        return None;
    }
    let costs: Vec<(Money, &OperationRecord)> = operations
        .iter()
        .filter_map(|operation| Some((known_usd(&operation.cost())?, *operation)))
        .filter(|(cost, _)| *cost > threshold)
        .collect();
    let above = Rate { hits: costs.len() as u64, of: known.operations };
    let kind = FindingKind::ExpensiveOperation { mean_cost: known.mean()?, threshold, above };
    let excess = KnownUsd {
        usd: costs.iter().map(|(cost, _)| *cost - threshold).sum(),
        coverage: KnownUsd::of_operations(operations.iter().copied()).coverage,
    };
    Some(Finding::new(name, kind, worst(costs)).losing(loss(Duration::ZERO, excess, operations)))
}

/// What is slow in the mean.
struct Slow {
    mean_seconds: f64,
    above: Rate,
    evidence: Vec<OperationId>,
    /// The time above the threshold, of those that are.
    excess: Duration,
}

impl Slow {
    /// None where the mean is not above the threshold, or that is not one.
    #[expect(clippy::cast_precision_loss, reason = "a mean needs no more than 53 bits")]
    fn of(cases: &[(Duration, &OperationRecord)], threshold_seconds: f64) -> Option<Self> {
        let mean_seconds =
            total_nanos(cases.iter().map(|(time, _)| *time)) / (cases.len() as f64 * 1e9);
        if !is_limit(threshold_seconds) || mean_seconds <= threshold_seconds || cases.is_empty() {
            return None;
        }
        let above =
            || cases.iter().copied().filter(|(time, _)| time.as_secs_f64() > threshold_seconds);
        Some(Self {
            mean_seconds,
            above: Rate { hits: above().count() as u64, of: cases.len() as u64 },
            evidence: worst(above()),
            excess: above().fold(Duration::ZERO, |sum, (time, _)| {
                let limit = Duration::try_from_secs_f64(threshold_seconds).unwrap_or(Duration::MAX);
                sum.saturating_add(time.saturating_sub(limit))
            }),
        })
    }
}

/// Added up as whole numbers, so that the order does not change the last digit.
#[expect(clippy::cast_precision_loss, reason = "a sum of times needs no more than 53 bits")]
fn total_nanos(times: impl Iterator<Item = Duration>) -> f64 {
    times.fold(0_u128, |sum, time| sum.saturating_add(time.as_nanos())) as f64
}

/// The operations with the greatest keys, the greatest first; equal ones in the order of their start and id.
pub(crate) fn worst<'a, K: Ord + Copy>(
    cases: impl IntoIterator<Item = (K, &'a OperationRecord)>,
) -> Vec<OperationId> {
    let mut cases: Vec<_> = cases
        .into_iter()
        .map(|(key, operation)| (Reverse(key), operation.started_at, operation.id))
        .collect();
    if cases.len() > MOST_EVIDENCE {
        cases.select_nth_unstable(MOST_EVIDENCE);
        cases.truncate(MOST_EVIDENCE);
    }
    cases.sort_unstable();
    cases.into_iter().map(|(_, _, id)| id).collect()
}
