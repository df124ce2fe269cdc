//! What one LLM call adds to sums: found once, and added in every place where the call counts.

use std::time::Duration;

use taximeter_models::{Charge, LlmCall, Money, TokenUsage};

use super::Sums;
use crate::bottlenecks::is_cut_off;

/// What has to be computed of an LLM call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CountedCall {
    charge: Charge,
    pub(super) nanos: Option<u64>,
    first_token_nanos: Option<u64>,
    milli_tokens_per_second: Option<u64>,
    is_truncated: Option<bool>,
    is_tool_reply: bool,
}

impl CountedCall {
    #[inline]
    pub(crate) fn of(call: &LlmCall) -> Self {
        let (time, first_token_nanos) =
            (call.duration.map(nanos), call.time_to_first_token.map(nanos));
        let tokens = call.usage.as_ref().map(TokenUsage::output_tokens);
        let generating = time.and_then(|time| time.checked_sub(first_token_nanos.unwrap_or(0)));
        let speed = tokens.zip(generating.filter(|nanos| *nanos > 0));
        let reason = call.finish_reason.as_deref();
        Self {
            charge: Charge::of(&call.cost, call.usage.as_ref()),
            nanos: time,
            first_token_nanos,
            milli_tokens_per_second: speed.map(|(tokens, nanos)| milli_per_second(tokens, nanos)),
            is_truncated: reason.map(is_cut_off),
            is_tool_reply: reason.is_some_and(is_tool_reply),
        }
    }
}

/// As [`LlmCall::output_tokens_per_second`], out of what is whole already: rounded, and cut at what no machine reaches.
fn milli_per_second(tokens: u64, nanos: u64) -> u64 {
    const MILLI_NANOS: u64 = 1_000_000_000_000;
    let product =
        tokens.checked_mul(MILLI_NANOS).and_then(|product| product.checked_add(nanos / 2));
    product.map_or_else(
        || {
            let product = u128::from(tokens) * u128::from(MILLI_NANOS) + u128::from(nanos / 2);
            u64::try_from(product / u128::from(nanos)).unwrap_or(u64::MAX)
        },
        |product| product / nanos,
    )
}

impl Sums {
    /// The calls of an operation, of which is known only as a whole what it cost.
    #[inline]
    pub(super) fn add_calls(
        &mut self,
        calls: &[LlmCall],
        counted: impl Fn(usize, &LlmCall) -> CountedCall,
        success: bool,
    ) {
        let (mut known, mut is_known) = (Money::ZERO, true);
        for (at, call) in calls.iter().enumerate() {
            let counted = counted(at, call);
            self.add_call(call, &counted, success);
            match counted.charge.known_usd() {
                Some(usd) => known += usd,
                None => is_known = false,
            }
        }
        self.known_costs.add_known(is_known.then_some(known));
    }

    /// One call that stands for itself.
    pub(super) fn add_single_call(&mut self, call: &LlmCall, counted: &CountedCall) {
        self.add_call(call, counted, call.is_success());
        self.known_costs.add_known(counted.charge.known_usd());
    }

    #[inline]
    fn add_call(&mut self, call: &LlmCall, counted: &CountedCall, success: bool) {
        if let Some(usage) = &call.usage {
            self.usage += usage;
            self.calls_with_usage += 1;
        }
        self.cost.add_charge(&counted.charge);
        self.other_currency_calls += u64::from(counted.charge.is_in_another_currency());
        if !success {
            self.failed_usd += counted.charge.known_usd().unwrap_or_default();
        }
        self.retries += u64::from(call.attempt > 1);
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
}

fn is_tool_reply(reason: &str) -> bool {
    ["tool_calls", "tool_use", "tool_call", "function_call"]
        .iter()
        .any(|word| reason.eq_ignore_ascii_case(word))
}

/// What no clock reaches is cut.
#[inline]
pub(super) fn nanos(time: Duration) -> u64 {
    let seconds = time.as_secs().saturating_mul(1_000_000_000);
    seconds.saturating_add(time.subsec_nanos().into())
}
