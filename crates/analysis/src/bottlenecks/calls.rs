//! Calls that are tried again, refused, given up, or made again and again.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use taximeter_models::{
    ErrorCategory, Finding, FindingKind, KnownUsd, Name, OperationRecord, Rate,
};

use super::waste::{Call, Waste, calls};
use crate::Thresholds;
use crate::statistics::{mean, quantile};
use crate::thresholds::is_limit;

/// Fewer cases than this are chance.
const FEWEST: u64 = 3;

/// Whether so many of so many are worth a word.
pub(super) fn stands_out(rate: Rate, threshold: f64, thresholds: &Thresholds) -> bool {
    let enough = rate.of >= thresholds.minimum_calls && rate.hits >= FEWEST;
    enough && is_limit(threshold) && rate.fraction().is_some_and(|share| share >= threshold)
}

/// Retry storms, rate limits and timeouts, by tool and LLM.
pub(super) fn failing_calls(
    name: &Name,
    operations: &[&OperationRecord],
    thresholds: &Thresholds,
) -> Vec<Finding> {
    let mut targets = BTreeMap::<&str, Vec<(&OperationRecord, Call<'_>)>>::new();
    for operation in operations {
        for call in calls(operation) {
            targets.entry(call.target).or_default().push((operation, call));
        }
    }
    let mut findings = Vec::new();
    for (target, calls) in targets {
        let found = Callee { name, target, operations, calls: &calls, thresholds };
        findings.extend(found.retry_storm());
        findings.extend(found.rate_limited());
        findings.extend(found.timeouts());
    }
    findings
}

/// The calls of one tool or LLM.
struct Callee<'a> {
    name: &'a Name,
    target: &'a str,
    operations: &'a [&'a OperationRecord],
    calls: &'a [(&'a OperationRecord, Call<'a>)],
    thresholds: &'a Thresholds,
}

impl Callee<'_> {
    /// The calls for which this holds, of all, and what they cost.
    fn those(&self, holds: impl Fn(&Call<'_>) -> bool) -> (Rate, Waste<'_>) {
        let (mut rate, mut waste) = (Rate::default(), Waste::default());
        for (operation, call) in self.calls {
            let counts = holds(call);
            rate.record(counts);
            if counts {
                waste.add(operation, call.duration.unwrap_or_default(), call.usd);
            }
        }
        (rate, waste)
    }

    fn retry_storm(&self) -> Option<Finding> {
        let (retries, waste) = self.those(|call| call.attempt > 1);
        let most_attempts = self.calls.iter().map(|(_, call)| call.attempt).max()?;
        let kind = FindingKind::RetryStorm { target: self.target.into(), retries, most_attempts };
        let found = stands_out(retries, self.thresholds.retry_share, self.thresholds);
        found.then(|| waste.finding(self.name, kind, self.operations))
    }

    fn rate_limited(&self) -> Option<Finding> {
        let (refused, waste) = self.those(|call| call.error == Some(ErrorCategory::RateLimit));
        let kind = FindingKind::RateLimited { target: self.target.into(), refused };
        let found = stands_out(refused, self.thresholds.rate_limited_share, self.thresholds);
        found.then(|| waste.finding(self.name, kind, self.operations))
    }

    fn timeouts(&self) -> Option<Finding> {
        let (timeouts, waste) = self.those(|call| call.error == Some(ErrorCategory::Timeout));
        let seconds = |holds: fn(&Call<'_>) -> bool| {
            let held = self.calls.iter().filter(|(_, call)| holds(call));
            let mut told: Vec<f64> =
                held.filter_map(|(_, call)| Some(call.duration?.as_secs_f64())).collect();
            told.sort_unstable_by(f64::total_cmp);
            told
        };
        let waits = seconds(|call| call.error == Some(ErrorCategory::Timeout));
        let kind = FindingKind::Timeouts {
            target: self.target.into(),
            timeouts,
            mean_wait_seconds: mean(&waits),
            success_p99_seconds: quantile(&seconds(|call| call.error.is_none()), 0.99),
        };
        let found = stands_out(timeouts, self.thresholds.timeout_share, self.thresholds);
        found.then(|| waste.finding(self.name, kind, self.operations))
    }
}

/// Agents that call a tool with the same arguments again and again. A try after a failure is none of it.
pub(super) fn tool_loops(
    name: &Name,
    operations: &[&OperationRecord],
    thresholds: &Thresholds,
) -> Vec<Finding> {
    let mut tools = BTreeMap::<&str, (Rate, u64, Waste<'_>)>::new();
    for operation in operations {
        for (tool, found) in loops(operation) {
            let (looping, most, waste) = tools.entry(tool).or_default();
            let is_loop = found.most_calls >= thresholds.loop_calls.max(2);
            looping.record(is_loop);
            *most = (*most).max(found.most_calls);
            if is_loop {
                waste.add(operation, found.again, KnownUsd::default());
            }
        }
    }
    let finding = |(tool, (looping, most_calls, waste)): (&str, (Rate, u64, Waste<'_>))| {
        let kind = FindingKind::ToolLoop { tool: tool.into(), operations: looping, most_calls };
        let found = stands_out(looping, thresholds.loop_share, thresholds);
        found.then(|| waste.finding(name, kind, operations))
    };
    tools.into_iter().filter_map(finding).collect()
}

/// The calls of one tool in one operation.
#[derive(Default)]
pub(crate) struct Loop {
    /// The most that had the same arguments.
    pub(crate) most_calls: u64,
    /// The time of those that had them again.
    pub(crate) again: Duration,
}

/// Of each tool whose calls tell their arguments.
pub(crate) fn loops(operation: &OperationRecord) -> BTreeMap<&str, Loop> {
    let mut counts = HashMap::<(&str, u64), u64>::new();
    let mut loops = BTreeMap::<&str, Loop>::new();
    for call in operation.tool_calls.iter().filter(|call| call.attempt <= 1) {
        let Some(hash) = call.arguments_hash else { continue };
        let count = counts.entry((&call.name, hash)).or_default();
        *count += 1;
        let found = loops.entry(&call.name).or_default();
        found.most_calls = found.most_calls.max(*count);
        if *count > 1 {
            found.again = found.again.saturating_add(call.duration.unwrap_or_default());
        }
    }
    loops
}
