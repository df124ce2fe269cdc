//! What one LLM call adds to sums: found once, and added in every place where the call counts.

use std::time::Duration;

use taximeter_models::{Charge, LlmCall, Money, TokenUsage};

use super::Sums;
use crate::bottlenecks::is_cut_off;

/// What has to be computed of an LLM call, so that sums can count it.
#[derive(Debug, Clone, Copy)]
pub struct CountedCall {
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
        Self::told(
            Charge::of(&call.cost, call.usage.as_ref()),
            [call.duration.map(nanos), call.time_to_first_token.map(nanos)],
            call.usage.as_ref().map(TokenUsage::output_tokens),
            call.finish_reason.as_deref().map(Reply::of),
        )
    }

    /// A call by its numbers: what it adds to costs, how long it and its first token took in nanoseconds, its output tokens,
    /// and how its reply ended; none is what was not told.
    #[inline]
    pub fn told(
        charge: Charge,
        [nanos, first_token_nanos]: [Option<u64>; 2],
        output_tokens: Option<u64>,
        reply: Option<Reply>,
    ) -> Self {
        let generating = nanos.and_then(|nanos| nanos.checked_sub(first_token_nanos.unwrap_or(0)));
        let speed = output_tokens.zip(generating.filter(|nanos| *nanos > 0));
        Self {
            charge,
            nanos,
            first_token_nanos,
            milli_tokens_per_second: speed.map(|(tokens, nanos)| milli_per_second(tokens, nanos)),
            is_truncated: reply.map(|reply| reply.is_truncated),
            is_tool_reply: reply.is_some_and(|reply| reply.is_tool_reply),
        }
    }
}

/// How a reply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    is_truncated: bool,
    is_tool_reply: bool,
}

impl Reply {
    /// By the reason that the provider gave.
    pub fn of(finish_reason: &str) -> Self {
        let is_truncated = is_cut_off(finish_reason);
        Self { is_truncated, is_tool_reply: is_tool_reply(finish_reason) }
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
        self.retries += u64::from(call.attempt > 1);
        self.add_numbers(counted, success);
    }

    /// Counts an LLM call, but for when it was and what it consumed.
    ///
    /// ```
    /// use taximeter_analysis::{CountedCall, Reply, Sums};
    /// use taximeter_models::{Charge, CostOutcome};
    ///
    /// let charge = Charge::of(&CostOutcome::NoUsage, None);
    /// let call = CountedCall::told(charge, [Some(2_000), None], None, Some(Reply::of("length")));
    /// let mut sums = Sums::default();
    /// sums.count_call(&call, false);
    /// assert_eq!((sums.count(), sums.failed(), sums.truncated.hits), (1, 1, 1));
    /// ```
    #[inline]
    pub fn count_call(&mut self, call: &CountedCall, success: bool) {
        self.count_case(success, 1, call.nanos);
        self.add_numbers(call, success);
        self.count_known_usd(call.charge.known_usd());
    }

    /// Counts the whole cost of an operation or call; none is one that is not known.
    pub fn count_known_usd(&mut self, cost: Option<Money>) {
        self.known_costs.add_known(cost);
    }

    #[inline]
    fn add_numbers(&mut self, counted: &CountedCall, success: bool) {
        self.cost.add_charge(&counted.charge);
        self.other_currency_calls += u64::from(counted.charge.is_in_another_currency());
        if !success {
            self.failed_usd += counted.charge.known_usd().unwrap_or_default();
        }
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
