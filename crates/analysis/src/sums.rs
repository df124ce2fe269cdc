//! What a group of operations or calls adds up to, in a form that can be kept as bytes and merged later.

mod bytes;
mod call;
mod counts;
mod histogram;
mod varint;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Timelike, Utc};
use taximeter_models::{
    CostTotals, Coverage, ErrorCategory, KnownUsd, LlmCall, Money, Name, OperationRecord, Outcome,
    Rate, TokenUsage, ToolCall, ToolStatus,
};

pub use self::bytes::SumsError;
use self::call::nanos;
pub use self::call::{CountedCall, Reply};
pub use self::histogram::Histogram;
use crate::cost::KnownCosts;
use crate::groups::GroupSummary;
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
    /// LLM calls whose cost is known in another currency than the US dollar.
    pub other_currency_calls: u64,
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
    /// When the first and the last of them began, or the operations in which they did.
    pub period: Option<(DateTime<Utc>, DateTime<Utc>)>,
    known_costs: KnownCosts,
}

impl Sums {
    /// Counts an operation with all its LLM calls.
    pub fn add_operation(&mut self, operation: &OperationRecord) {
        self.record(
            operation.started_at,
            operation.is_success(),
            1,
            Some(nanos(operation.duration)),
        );
        self.abandoned += u64::from(operation.outcome == Outcome::Abandoned);
        let (errors, warnings) = (operation.error_count(), operation.warning_count());
        if errors > 0 || warnings > 0 {
            self.errors = self.errors.saturating_add(errors);
            self.warnings = self.warnings.saturating_add(warnings);
            for error in &operation.errors {
                *self.errors_by_category.entry(error.category).or_default() += 1;
            }
        }
        self.add_calls(&operation.llm_calls, operation.is_success());
    }

    /// Counts an operation that has this component.
    pub fn add_component(&mut self, operation: &OperationRecord, component: &str) {
        let (mut time, mut runs) = (Duration::ZERO, 0_u64);
        for timing in operation.components.iter().filter(|timing| timing.name == *component) {
            time = time.saturating_add(timing.duration);
            runs = runs.saturating_add(timing.count);
        }
        self.add_runs(operation, component, time, runs);
    }

    /// Counts an operation in which a component ran so many times, and took so long in all.
    #[inline]
    pub(crate) fn add_runs(
        &mut self,
        operation: &OperationRecord,
        component: &str,
        time: Duration,
        runs: u64,
    ) {
        let mut success = true;
        for error in &operation.errors {
            if error.component.as_deref() == Some(component) {
                success = false;
                *self.errors_by_category.entry(error.category).or_default() += 1;
            }
        }
        self.record(operation.started_at, success, runs, Some(nanos(time)));
    }

    /// Counts a tool call of an operation.
    pub fn add_tool_call(&mut self, operation: &OperationRecord, call: &ToolCall) {
        self.record(operation.started_at, call.is_success(), 1, call.duration.map(nanos));
        self.timeouts += u64::from(call.status == ToolStatus::Timeout);
        self.retries += u64::from(call.attempt > 1);
        if let Some(category) = call.error_category() {
            *self.errors_by_category.entry(category).or_default() += 1;
        }
    }

    /// Counts an LLM call of an operation.
    pub fn add_llm_call(&mut self, operation: &OperationRecord, call: &LlmCall) {
        self.record(operation.started_at, call.is_success(), 1, call.duration.map(nanos));
        if let Some(error) = &call.error {
            *self.errors_by_category.entry(error.category).or_default() += 1;
        }
        let usd = self.add_call(call, call.is_success());
        self.known_costs.add_known(usd);
    }

    #[inline]
    fn record(&mut self, at: DateTime<Utc>, success: bool, runs: u64, nanos: Option<u64>) {
        match &mut self.period {
            // Mostly a record is the newest, and then not older than the first.
            Some((_, last)) if compare(at, *last).is_ge() => *last = at,
            Some((first, _)) if compare(at, *first).is_lt() => *first = at,
            Some(_) => {}
            None => self.period = Some((at, at)),
        }
        self.count_case(success, runs, nanos);
    }

    /// Counts an operation, a call or the runs of a component, but for when it was: whether it succeeded, how many runs it
    /// is, and how many nanoseconds it took, if that was told.
    #[inline]
    pub fn count_case(&mut self, success: bool, runs: u64, nanos: Option<u64>) {
        self.success.record(success);
        self.runs = self.runs.saturating_add(runs);
        if let Some(nanos) = nanos {
            self.nanos.add(nanos);
        }
    }

    /// Adds all that another has counted. Counts that do not fit stay at the largest.
    pub fn merge(&mut self, other: &Self) {
        self.success += other.success;
        for (ours, theirs) in [
            (&mut self.abandoned, other.abandoned),
            (&mut self.runs, other.runs),
            (&mut self.timeouts, other.timeouts),
            (&mut self.errors, other.errors),
            (&mut self.warnings, other.warnings),
        ] {
            *ours = ours.saturating_add(theirs);
        }
        for (category, count) in &other.errors_by_category {
            let own = self.errors_by_category.entry(*category).or_default();
            *own = own.saturating_add(*count);
        }
        self.nanos.merge(&other.nanos);
        self.failed_usd += other.failed_usd;
        self.merge_calls(other);
        self.period = match (self.period, other.period) {
            (Some((first, last)), Some((from, to))) => Some((first.min(from), last.max(to))),
            (one, other) => one.or(other),
        };
        self.known_costs.merge(&other.known_costs);
    }

    /// Adds what the LLM calls that another has counted consumed and cost, and how they were replied to; not how many they
    /// are, how many failed and how long they took. So the sums of operations are put together out of those of their calls.
    pub fn merge_calls(&mut self, other: &Self) {
        self.truncated += other.truncated;
        for (ours, theirs) in [
            (&mut self.retries, other.retries),
            (&mut self.calls_with_usage, other.calls_with_usage),
            (&mut self.other_currency_calls, other.other_currency_calls),
            (&mut self.tool_replies, other.tool_replies),
        ] {
            *ours = ours.saturating_add(theirs);
        }
        self.usage += &other.usage;
        self.cost += &other.cost;
        self.first_token_nanos.merge(&other.first_token_nanos);
        self.milli_tokens_per_second.merge(&other.milli_tokens_per_second);
    }

    /// How many operations or calls there are.
    pub const fn count(&self) -> u64 {
        self.success.of
    }

    /// Those that did not succeed.
    pub fn failed(&self) -> u64 {
        self.success.complement().hits
    }

    /// What they cost in US dollars as far as it is known, with the calls that this leaves out.
    pub fn known_usd(&self) -> KnownUsd {
        let coverage = Coverage {
            calls: self.cost.calls(),
            unpriced_calls: self.cost.unpriced_calls,
            calls_without_usage: self.cost.calls_without_usage,
            other_currency_calls: self.other_currency_calls,
        };
        KnownUsd { usd: self.cost.usd(), coverage }
    }

    /// Their durations, added up.
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(u64::try_from(self.nanos.sum()).unwrap_or(u64::MAX))
    }

    /// The numbers of the group, as [`group`](crate::group) gives them; none where it is empty.
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

/// Which of two times is earlier. Most are of one day, and then one number tells.
#[inline]
fn compare(one: DateTime<Utc>, other: DateTime<Utc>) -> Ordering {
    let (one, other) = (one.naive_utc(), other.naive_utc());
    if one.date() != other.date() {
        return compare_dates(one.date(), other.date());
    }
    let nanos = |time: NaiveTime| {
        u64::from(time.num_seconds_from_midnight()) << 32 | u64::from(time.nanosecond())
    };
    nanos(one.time()).cmp(&nanos(other.time()))
}

#[cold]
#[inline(never)]
fn compare_dates(one: NaiveDate, other: NaiveDate) -> Ordering {
    one.cmp(&other)
}

/// The first is where the count begins, so that it is not counted itself.
#[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
fn per_hour(count: u64, period: TimeDelta) -> Option<f64> {
    let hours = period.to_std().ok()?.as_secs_f64() / 3_600.0;
    (hours > 0.0).then(|| count.saturating_sub(1) as f64 / hours)
}

#[cfg(test)]
mod tests;
