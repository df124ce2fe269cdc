//! What one LLM call adds to sums: found once, and added in every place where the call counts.

use std::time::Duration;

use taximeter_models::{CostOutcome, CostTotals, Currency, LlmCall, Money};

use super::Sums;
use crate::bottlenecks::is_cut_off;

/// An LLM call with what has to be computed of it.
#[derive(Debug)]
pub(crate) struct CountedCall<'a> {
    pub(crate) call: &'a LlmCall,
    cost: CostTotals,
    /// None where it is not known in whole, or in another currency.
    known_usd: Option<Money>,
    is_in_another_currency: bool,
    first_token_nanos: Option<u64>,
    milli_tokens_per_second: Option<u64>,
    is_truncated: Option<bool>,
    is_tool_reply: bool,
}

impl<'a> CountedCall<'a> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a speed is not negative, and what no machine reaches is cut"
    )]
    pub(crate) fn of(call: &'a LlmCall) -> Self {
        let mut cost = CostTotals::default();
        cost.add(&call.cost, call.usage.as_ref());
        let speed = call.output_tokens_per_second();
        let reason = call.finish_reason.as_deref();
        Self {
            call,
            known_usd: (cost.is_complete() && !is_in_another_currency(&call.cost))
                .then(|| cost.usd()),
            is_in_another_currency: is_in_another_currency(&call.cost),
            cost,
            first_token_nanos: call.time_to_first_token.map(nanos),
            milli_tokens_per_second: speed.map(|speed| (speed * 1e3).round() as u64),
            is_truncated: reason.map(is_cut_off),
            is_tool_reply: reason.is_some_and(is_tool_reply),
        }
    }
}

impl Sums {
    /// What belongs together is known only as a whole.
    pub(super) fn add_calls(&mut self, calls: &[CountedCall<'_>], success: bool) {
        for counted in calls {
            if let Some(usage) = &counted.call.usage {
                self.usage += usage;
                self.calls_with_usage += 1;
            }
            self.cost += &counted.cost;
            self.other_currency_calls += u64::from(counted.is_in_another_currency);
            if let (false, Some(usd)) = (success, counted.known_usd) {
                self.failed_usd += usd;
            }
            self.retries += u64::from(counted.call.attempt > 1);
            if let Some(nanos) = counted.first_token_nanos {
                self.first_token_nanos.add(nanos);
            }
            if let Some(speed) = counted.milli_tokens_per_second {
                self.milli_tokens_per_second.add(speed);
            }
            if let Some(truncated) = counted.is_truncated {
                self.truncated.record(truncated);
            }
            self.tool_replies += u64::from(counted.is_tool_reply);
        }
        let known = calls.iter().map(|counted| counted.known_usd).sum::<Option<Money>>();
        self.known_costs.add_known(known);
    }
}

fn is_in_another_currency(cost: &CostOutcome) -> bool {
    cost.is_known() && cost.amount().is_some_and(|(_, currency)| currency != Currency::USD)
}

fn is_tool_reply(reason: &str) -> bool {
    ["tool_calls", "tool_use", "tool_call", "function_call"]
        .iter()
        .any(|word| reason.eq_ignore_ascii_case(word))
}

pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
