//! Replies that are cut off or long, prompts that hardly fit or are never cached, and work that nobody waits for.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use taximeter_models::{
    ErrorCategory, Finding, FindingKind, KnownUsd, LlmCall, Money, Name, OperationRecord, Rate,
    Unit,
};

use super::calls::stands_out;
use super::waste::{Waste, spent};
use crate::Thresholds;
use crate::summary::TokenSummary;
use crate::thresholds::is_limit;

/// What stands out in the calls of each LLM.
pub(super) fn llm_findings(
    name: &Name,
    operations: &[&OperationRecord],
    thresholds: &Thresholds,
) -> Vec<Finding> {
    let mut llms = BTreeMap::<String, Vec<(&OperationRecord, &LlmCall)>>::new();
    for operation in operations {
        for call in &operation.llm_calls {
            llms.entry(call.llm_key()).or_default().push((operation, call));
        }
    }
    let mut findings = Vec::new();
    for (llm, calls) in llms {
        let llm = Asked { name, llm: llm.into(), operations, calls, thresholds };
        findings.extend(llm.truncated());
        findings.extend(llm.context_pressure());
        findings.extend(llm.cold_cache());
        findings.extend(llm.long_replies());
    }
    findings.extend(background(name, operations, thresholds));
    findings
}

/// The calls of one LLM.
struct Asked<'a> {
    name: &'a Name,
    llm: Name,
    operations: &'a [&'a OperationRecord],
    calls: Vec<(&'a OperationRecord, &'a LlmCall)>,
    thresholds: &'a Thresholds,
}

impl<'a> Asked<'a> {
    /// The calls for which this holds, of those that tell.
    fn those(&self, holds: impl Fn(&LlmCall) -> Option<bool>) -> (Rate, Waste<'a>) {
        let (mut rate, mut waste) = (Rate::default(), Waste::default());
        for (operation, call) in &self.calls {
            let Some(counts) = holds(call) else { continue };
            rate.record(counts);
            if counts {
                let (time, usd) = spent(call);
                waste.add(operation, time, usd);
            }
        }
        (rate, waste)
    }

    fn truncated(&self) -> Option<Finding> {
        let (truncated, waste) =
            self.those(|call| Some(is_cut_off(call.finish_reason.as_deref()?)));
        let kind = FindingKind::TruncatedReplies { llm: self.llm.clone(), truncated };
        let found = stands_out(truncated, self.thresholds.truncated_share, self.thresholds);
        found.then(|| waste.finding(self.name, kind, self.operations))
    }

    fn context_pressure(&self) -> Option<Finding> {
        let threshold = self.thresholds.context_filled;
        let (above, waste) = self.those(|call| is_above(call, threshold));
        let kind = FindingKind::ContextPressure { llm: self.llm.clone(), above, threshold };
        let found = stands_out(above, self.thresholds.context_share, self.thresholds);
        found.then(|| waste.finding(self.name, kind, self.operations))
    }

    /// The loss is what the calls cost that could have read from a cache and did not.
    fn cold_cache(&self) -> Option<Finding> {
        let seconds = self.thresholds.cache_seconds;
        let mut in_time = self.calls.clone();
        in_time.sort_by_key(|(operation, call)| (begin(operation, call), operation.id));
        let mut seen = Prefixes::default();
        let (mut repeated, mut cached, mut waste) =
            (Rate::default(), Rate::default(), Waste::default());
        for (operation, call) in &in_time {
            let Some(again) = seen.again(operation, call, seconds) else { continue };
            repeated.record(again);
            if let (true, Some(usage)) = (again, &call.usage) {
                let tokens = TokenSummary::of(usage);
                let explicit = usage.get(Unit::CacheReadExplicit);
                cached += tokens.cache_read;
                cached.hits = cached.hits.saturating_add(explicit);
                waste.add(operation, Duration::ZERO, spent(call).1);
            }
        }
        let kind = FindingKind::ColdCache { llm: self.llm.clone(), repeated, cached };
        let cold = cached.fraction().is_some_and(|share| share < self.thresholds.cached_share);
        let found = stands_out(repeated, self.thresholds.prefix_share, self.thresholds) && cold;
        // Below it no provider caches.
        let long = cached.of / repeated.hits.max(1) >= self.thresholds.cache_minimum_tokens;
        (found && long).then(|| waste.finding(self.name, kind, self.operations))
    }

    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
    fn long_replies(&self) -> Option<Finding> {
        let (mut output, mut usd, mut tokens, mut calls) = (Money::ZERO, Money::ZERO, 0_u64, 0_u64);
        let mut waste = Waste::default();
        for (operation, call) in &self.calls {
            // Only where the whole is known, in dollars, the part of the reply is one of it.
            let parts = call.cost.known_usd().zip(call.cost.input_and_output());
            let mut coverage = KnownUsd::of([*call]).coverage;
            let (Some(usage), Some((whole, (_, out)))) = (&call.usage, parts) else {
                // What the reply costs is not known where the whole is not told apart either.
                coverage.unpriced_calls += u64::from(coverage.is_complete());
                waste.leave_out(coverage);
                continue;
            };
            calls += 1;
            tokens = tokens.saturating_add(usage.output_tokens());
            output += out;
            usd += whole;
            waste.add(operation, Duration::ZERO, KnownUsd { usd: out, coverage });
        }
        let share_of_cost = output.to_f64_lossy() / usd.to_f64_lossy();
        let mean_output_tokens = tokens as f64 / calls.max(1) as f64;
        let limits = self.thresholds;
        let found = calls >= limits.minimum_calls
            && is_limit(limits.reply_cost_share)
            && share_of_cost >= limits.reply_cost_share
            && mean_output_tokens >= limits.reply_tokens as f64;
        let llm = self.llm.clone();
        let kind = FindingKind::LongReplies { llm, mean_output_tokens, share_of_cost };
        found.then(|| waste.finding(self.name, kind, self.operations))
    }
}

/// Whether a provider says by this that a reply reached its limit.
pub(crate) fn is_cut_off(finish_reason: &str) -> bool {
    ["length", "max_tokens", "max_output_tokens", "model_length"]
        .iter()
        .any(|word| finish_reason.eq_ignore_ascii_case(word))
}

/// Whether a prompt fills more of the window than that; none where that is not known.
#[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
pub(crate) fn is_above(call: &LlmCall, filled: f64) -> Option<bool> {
    if call.error.as_ref().is_some_and(|error| error.category == ErrorCategory::ContextLength) {
        return Some(true);
    }
    let (window, usage) = (call.context_window?, call.usage.as_ref()?);
    Some(is_limit(filled) && usage.input_tokens() as f64 > window as f64 * filled)
}

/// When a call began, or its operation.
pub(crate) fn begin(operation: &OperationRecord, call: &LlmCall) -> DateTime<Utc> {
    call.started_at.unwrap_or(operation.started_at)
}

/// How prompts began, and when.
#[derive(Default)]
pub(crate) struct Prefixes<'a> {
    last: HashMap<(Option<&'a str>, &'a str, u64), DateTime<Utc>>,
}

impl<'a> Prefixes<'a> {
    /// Whether a prompt begins as one did shortly before, as caches live; none where its beginning was not hashed.
    /// The calls come in the order of time.
    pub(crate) fn again(
        &mut self,
        operation: &OperationRecord,
        call: &'a LlmCall,
        cache_seconds: u64,
    ) -> Option<bool> {
        let hash = call.prompt_prefix_hash.filter(|_| call.is_success())?;
        let at = begin(operation, call);
        let last = self.last.insert((call.provider.as_deref(), call.model(), hash), at);
        let live = TimeDelta::try_seconds(i64::try_from(cache_seconds).ok()?)?;
        Some(last.is_some_and(|last| at.signed_duration_since(last) <= live))
    }
}

/// Whether nobody waits for an operation: it is named in the settings, or tagged `background=true`.
pub(crate) fn is_background(operation: &OperationRecord, thresholds: &Thresholds) -> bool {
    thresholds.background.contains(&operation.name)
        || operation.tags.get("background").is_some_and(|value| value == "true")
}

/// Whether a call is paid at the price of a batch already.
pub(crate) fn is_batch(call: &LlmCall) -> bool {
    call.served_as.get("processing").is_some_and(|how| **how == *"batch")
        || call.served_tier.as_ref().is_some_and(|tier| matches!(&**tier, "batch" | "flex"))
}

fn background(
    name: &Name,
    operations: &[&OperationRecord],
    thresholds: &Thresholds,
) -> Option<Finding> {
    let (mut calls, mut waste) = (Rate::default(), Waste::default());
    for operation in operations.iter().filter(|operation| is_background(operation, thresholds)) {
        for call in operation.llm_calls.iter().filter(|call| call.usage.is_some()) {
            let full_price = !is_batch(call);
            calls.record(full_price);
            if full_price {
                waste.add(operation, Duration::ZERO, spent(call).1);
            }
        }
    }
    let kind = FindingKind::BackgroundWork { calls };
    let found = stands_out(calls, 0.0, thresholds);
    found.then(|| waste.finding(name, kind, operations))
}
