//! What one group adds up.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use taximeter_models::{
    CostTotals, ErrorCategory, LlmCall, Name, OperationRecord, Rate, TokenUsage, ToolCall,
};

use super::GroupSummary;
use crate::cost::KnownCosts;
use crate::statistics::{Proportion, Spread};
use crate::summary::TokenSummary;

/// The sums of one group. Everything in it is whole numbers, so that their order does not matter.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    success: Rate,
    /// When the first and the last began.
    period: Option<(DateTime<Utc>, DateTime<Utc>)>,
    errors: BTreeMap<ErrorCategory, u64>,
    nanos: Spread,
    usage: TokenUsage,
    cost: CostTotals,
    known_costs: KnownCosts,
    first_token_nanos: Spread,
    /// Thousandths of a token in a second.
    milli_tokens_per_second: Spread,
}

impl Tally {
    pub(super) fn add_operation(&mut self, operation: &OperationRecord) {
        self.count(operation, operation.is_success(), Some(operation.duration));
        for error in &operation.errors {
            self.add_error(Some(error.category));
        }
        self.add_cost(&operation.llm_calls);
    }

    pub(super) fn add_component(
        &mut self,
        operation: &OperationRecord,
        name: &str,
        time: Duration,
    ) {
        let own = || operation.errors.iter().filter(|e| e.component.as_deref() == Some(name));
        self.count(operation, own().next().is_none(), Some(time));
        own().for_each(|error| self.add_error(Some(error.category)));
    }

    pub(super) fn add_tool_call(&mut self, operation: &OperationRecord, call: &ToolCall) {
        self.count(operation, call.is_success(), call.duration);
        self.add_error(call.error_category());
    }

    pub(super) fn add_llm_call(&mut self, operation: &OperationRecord, call: &LlmCall) {
        self.count(operation, call.is_success(), call.duration);
        self.add_error(call.error.as_ref().map(|error| error.category));
        self.add_cost(std::slice::from_ref(call));
    }

    fn count(&mut self, operation: &OperationRecord, success: bool, time: Option<Duration>) {
        self.success.record(success);
        let at = operation.started_at;
        self.put_period((at, at));
        if let Some(time) = time {
            self.nanos.add(nanos(time));
        }
    }

    fn put_period(&mut self, (first, last): (DateTime<Utc>, DateTime<Utc>)) {
        let (from, to) = self.period.unwrap_or((first, last));
        self.period = Some((from.min(first), to.max(last)));
    }

    fn add_error(&mut self, category: Option<ErrorCategory>) {
        if let Some(category) = category {
            *self.errors.entry(category).or_default() += 1;
        }
    }

    /// Tokens, and how fast they came.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a speed is not negative, and what no machine reaches is cut"
    )]
    fn add_speed(&mut self, call: &LlmCall) {
        if let Some(usage) = &call.usage {
            self.usage += usage;
        }
        if let Some(first) = call.time_to_first_token {
            self.first_token_nanos.add(nanos(first));
        }
        if let Some(speed) = call.output_tokens_per_second() {
            self.milli_tokens_per_second.add((speed * 1e3).round() as u64);
        }
    }

    /// What belongs together is known only as a whole.
    fn add_cost(&mut self, calls: &[LlmCall]) {
        for call in calls {
            self.cost.add(&call.cost, call.usage.as_ref());
            self.add_speed(call);
        }
        self.known_costs.add_calls(calls);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.success += other.success;
        if let Some(period) = other.period {
            self.put_period(period);
        }
        for (category, count) in &other.errors {
            *self.errors.entry(*category).or_default() += count;
        }
        self.nanos.merge(&other.nanos);
        self.usage += &other.usage;
        self.cost += &other.cost;
        self.known_costs.merge(&other.known_costs);
        self.first_token_nanos.merge(&other.first_token_nanos);
        self.milli_tokens_per_second.merge(&other.milli_tokens_per_second);
    }

    /// None where the group is empty.
    pub(super) fn summary(&self, key: Option<Name>) -> Option<GroupSummary> {
        let (first_at, last_at) = self.period?;
        Some(GroupSummary {
            key,
            success: Proportion::of(self.success),
            first_at,
            last_at,
            per_hour: per_hour(self.success.of, last_at - first_at),
            errors_by_category: self.errors.clone(),
            duration_seconds: self.nanos.distribution(1e-9),
            tokens: TokenSummary::of(&self.usage),
            cost: self.cost.clone(),
            mean_cost_usd: self.known_costs.mean(),
            time_to_first_token_seconds: self.first_token_nanos.distribution(1e-9),
            output_tokens_per_second: self.milli_tokens_per_second.distribution(1e-3),
        })
    }
}

/// The first is where the count begins, so that it is not counted itself.
#[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
pub(crate) fn per_hour(count: u64, period: chrono::TimeDelta) -> Option<f64> {
    let hours = period.to_std().ok()?.as_secs_f64() / 3_600.0;
    (hours > 0.0).then(|| count.saturating_sub(1) as f64 / hours)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
