//! What a group of operations or calls adds up to, in a form that can be kept as bytes and merged later.

mod bytes;
mod histogram;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use taximeter_models::{
    CostTotals, ErrorCategory, LlmCall, Money, Name, OperationRecord, Outcome, Rate, TokenUsage,
    ToolCall, ToolStatus,
};

pub use self::bytes::SumsError;
pub use self::histogram::Histogram;
use crate::cost::KnownCosts;
use crate::groups::GroupSummary;
use crate::groups::per_hour;
use crate::statistics::Proportion;
use crate::summary::TokenSummary;

/// The sums of one group over one stretch of time: what a store keeps of each minute, hour and day.
///
/// All of it is whole numbers. Two of them can be merged, in any order: that is as if one had seen what both have seen.
/// As bytes they have a version; one that is newer is refused.
///
/// ```
/// use std::time::Duration;
/// use taximeter_analysis::Sums;
/// use taximeter_models::OperationRecord;
///
/// let mut answer = OperationRecord::new("answer");
/// answer.duration = Duration::from_secs(2);
/// let mut sums = Sums::default();
/// sums.add_operation(&answer);
///
/// let mut again = Sums::from_bytes(&sums.to_bytes())?;
/// again.merge(&sums);
/// assert_eq!(again.success.to_string(), "100.0 % (2 of 2)");
/// assert_eq!(again.duration().as_secs(), 4);
/// assert!(Sums::from_bytes(&[99]).unwrap_err().to_string().contains("version 99"));
/// # Ok::<(), taximeter_analysis::SumsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Sums {
    /// Those that succeeded, of all. Of a component: the operations in which no error arose in it.
    pub success: Rate,
    /// Operations that were abandoned.
    pub abandoned: u64,
    /// How many times a component ran; of all else, as many as there are.
    pub runs: u64,
    /// Tool calls that took too long.
    pub timeouts: u64,
    /// Calls that were not the first try.
    pub retries: u64,
    /// Errors of operations, those that were only counted included.
    pub errors: u64,
    /// Warnings of operations, those that were only counted included.
    pub warnings: u64,
    /// Errors by category, as far as they were kept.
    pub errors_by_category: BTreeMap<ErrorCategory, u64>,
    /// How long they took, in nanoseconds: of those that told it.
    pub nanos: Histogram,
    /// What their LLM calls consumed.
    pub usage: TokenUsage,
    /// LLM calls whose reply said what they consumed.
    pub calls_with_usage: u64,
    /// What their LLM calls cost.
    pub cost: CostTotals,
    /// The part of it, in US dollars, of what did not succeed.
    pub failed_usd: Money,
    /// How long the first token of their LLM calls took, in nanoseconds.
    pub first_token_nanos: Histogram,
    /// Thousandths of an output token in a second after the first.
    pub milli_tokens_per_second: Histogram,
    /// Replies of LLMs that were cut off by a limit of their length, of those that told why they ended.
    pub truncated: Rate,
    /// Replies of LLMs that ended to call a tool.
    pub tool_replies: u64,
    /// When the first and the last began.
    pub period: Option<(DateTime<Utc>, DateTime<Utc>)>,
    known_costs: KnownCosts,
}

impl Sums {
    /// Counts an operation with all its LLM calls.
    pub fn add_operation(&mut self, operation: &OperationRecord) {
        self.count(operation.started_at, operation.is_success(), 1, Some(operation.duration));
        self.abandoned += u64::from(operation.outcome == Outcome::Abandoned);
        self.errors = self.errors.saturating_add(operation.error_count());
        self.warnings = self.warnings.saturating_add(operation.warning_count());
        for error in &operation.errors {
            *self.errors_by_category.entry(error.category).or_default() += 1;
        }
        self.add_costs(&operation.llm_calls, operation.is_success());
    }

    /// Counts an operation that has this component.
    pub fn add_component(&mut self, operation: &OperationRecord, component: &str) {
        let own = operation.components.iter().filter(|timing| timing.name == *component);
        let (mut time, mut runs) = (Duration::ZERO, 0_u64);
        for timing in own {
            time = time.saturating_add(timing.duration);
            runs = runs.saturating_add(timing.count);
        }
        let errors = operation.errors.iter();
        let categories: Vec<_> = errors
            .filter(|error| error.component.as_deref() == Some(component))
            .map(|error| error.category)
            .collect();
        self.count(operation.started_at, categories.is_empty(), runs, Some(time));
        for category in categories {
            *self.errors_by_category.entry(category).or_default() += 1;
        }
    }

    /// Counts a tool call of an operation.
    pub fn add_tool_call(&mut self, operation: &OperationRecord, call: &ToolCall) {
        let at = call.started_at.unwrap_or(operation.started_at);
        self.count(at, call.is_success(), 1, call.duration);
        self.timeouts += u64::from(call.status == ToolStatus::Timeout);
        self.retries += u64::from(call.attempt > 1);
        if let Some(category) = call.error_category() {
            *self.errors_by_category.entry(category).or_default() += 1;
        }
    }

    /// Counts an LLM call of an operation.
    pub fn add_llm_call(&mut self, operation: &OperationRecord, call: &LlmCall) {
        let at = call.started_at.unwrap_or(operation.started_at);
        self.count(at, call.is_success(), 1, call.duration);
        if let Some(error) = &call.error {
            *self.errors_by_category.entry(error.category).or_default() += 1;
        }
        self.add_costs(std::slice::from_ref(call), call.is_success());
    }

    fn count(&mut self, at: DateTime<Utc>, success: bool, runs: u64, time: Option<Duration>) {
        self.success.record(success);
        self.runs = self.runs.saturating_add(runs);
        self.put_period((at, at));
        if let Some(time) = time {
            self.nanos.add(nanos(time));
        }
    }

    fn put_period(&mut self, (first, last): (DateTime<Utc>, DateTime<Utc>)) {
        let (from, to) = self.period.unwrap_or((first, last));
        self.period = Some((from.min(first), to.max(last)));
    }

    fn add_costs(&mut self, calls: &[LlmCall], success: bool) {
        for call in calls {
            if let Some(usage) = &call.usage {
                self.usage += usage;
                self.calls_with_usage += 1;
            }
            self.cost.add(&call.cost, call.usage.as_ref());
            if !success && let Some(usd) = call.cost.known_usd() {
                self.failed_usd += usd;
            }
            self.retries += u64::from(call.attempt > 1);
            self.add_reply(call);
        }
        self.known_costs.add_calls(calls);
    }

    /// How fast a reply came, and why it ended.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a speed is not negative, and what no machine reaches is cut"
    )]
    fn add_reply(&mut self, call: &LlmCall) {
        if let Some(first) = call.time_to_first_token {
            self.first_token_nanos.add(nanos(first));
        }
        if let Some(speed) = call.output_tokens_per_second() {
            self.milli_tokens_per_second.add((speed * 1e3).round() as u64);
        }
        if let Some(reason) = &call.finish_reason {
            self.truncated.record(is_truncated(reason));
            self.tool_replies += u64::from(is_tool_reply(reason));
        }
    }

    /// Adds all that another has counted.
    pub fn merge(&mut self, other: &Self) {
        self.success += other.success;
        self.abandoned += other.abandoned;
        self.runs = self.runs.saturating_add(other.runs);
        self.timeouts += other.timeouts;
        self.retries += other.retries;
        self.errors = self.errors.saturating_add(other.errors);
        self.warnings = self.warnings.saturating_add(other.warnings);
        for (category, count) in &other.errors_by_category {
            *self.errors_by_category.entry(*category).or_default() += count;
        }
        self.nanos.merge(&other.nanos);
        self.usage += &other.usage;
        self.calls_with_usage += other.calls_with_usage;
        self.cost += &other.cost;
        self.failed_usd += other.failed_usd;
        self.first_token_nanos.merge(&other.first_token_nanos);
        self.milli_tokens_per_second.merge(&other.milli_tokens_per_second);
        self.truncated += other.truncated;
        self.tool_replies += other.tool_replies;
        if let Some(period) = other.period {
            self.put_period(period);
        }
        self.known_costs.merge(&other.known_costs);
    }

    /// Their durations, added up.
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(u64::try_from(self.nanos.sum()).unwrap_or(u64::MAX))
    }

    /// The numbers of the group, as [`group`](crate::group) gives them; none where it is empty. Percentiles are within
    /// [`Percentiles::SKETCH_ERROR`](crate::Percentiles::SKETCH_ERROR) of the exact ones.
    pub fn summary(&self, key: Option<Name>) -> Option<GroupSummary> {
        let (first_at, last_at) = self.period?;
        Some(GroupSummary {
            key,
            success: Proportion::of(self.success),
            first_at,
            last_at,
            per_hour: per_hour(self.success.of, last_at - first_at),
            errors_by_category: self.errors_by_category.clone(),
            duration_seconds: self.nanos.distribution(1e-9),
            tokens: TokenSummary::of(&self.usage),
            cost: self.cost.clone(),
            mean_cost_usd: self.known_costs.mean(),
            time_to_first_token_seconds: self.first_token_nanos.distribution(1e-9),
            output_tokens_per_second: self.milli_tokens_per_second.distribution(1e-3),
        })
    }
}

/// The words of the providers for a reply that reached the limit of its length.
fn is_truncated(reason: &str) -> bool {
    ["length", "max_tokens", "max_output_tokens", "model_length"]
        .iter()
        .any(|word| reason.eq_ignore_ascii_case(word))
}

fn is_tool_reply(reason: &str) -> bool {
    ["tool_calls", "tool_use", "tool_call", "function_call"]
        .iter()
        .any(|word| reason.eq_ignore_ascii_case(word))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
