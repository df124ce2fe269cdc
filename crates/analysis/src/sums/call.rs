//! What one LLM call adds to sums, by its record or by its numbers alone.

use std::num::NonZero;
use std::time::Duration;

use taximeter_models::{Charge, LlmCall, Money, TokenUsage};

use super::Sums;
use crate::bottlenecks::is_cut_off;

/// What an LLM call adds to sums.
#[derive(Debug, Clone, Copy)]
pub struct CountedCall {
    charge: Charge,
    times: CallTimes,
    reply: Option<Reply>,
}

impl CountedCall {
    /// A call by its numbers: what it adds to costs, how long it and its first token took in nanoseconds, its output tokens,
    /// and how its reply ended; none is what was not told.
    pub fn told(
        charge: Charge,
        [nanos, first_token_nanos]: [Option<u64>; 2],
        output_tokens: Option<u64>,
        reply: Option<Reply>,
    ) -> Self {
        Self { charge, times: CallTimes::told(nanos, first_token_nanos, output_tokens), reply }
    }
}

/// How long an LLM call and its first token took, and how fast it was after that; none is what was not told.
#[derive(Debug, Clone, Copy)]
struct CallTimes {
    nanos: Option<u64>,
    first_token_nanos: Option<u64>,
    milli_tokens_per_second: Option<u64>,
}

impl CallTimes {
    #[inline]
    fn of(call: &LlmCall) -> Self {
        let (nanos, first) = (call.duration.map(nanos), call.time_to_first_token.map(nanos));
        Self::told(nanos, first, call.usage.as_ref().map(TokenUsage::output_tokens))
    }

    #[inline]
    fn told(nanos: Option<u64>, first: Option<u64>, output_tokens: Option<u64>) -> Self {
        let speed = || {
            let generating = NonZero::new(nanos?.checked_sub(first.unwrap_or(0))?)?;
            Some(milli_per_second(output_tokens?, generating))
        };
        Self { nanos, first_token_nanos: first, milli_tokens_per_second: speed() }
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
fn milli_per_second(tokens: u64, nanos: NonZero<u64>) -> u64 {
    const MILLI_NANOS: u64 = 1_000_000_000_000;
    let half = nanos.get() / 2;
    let product = tokens.checked_mul(MILLI_NANOS).and_then(|product| product.checked_add(half));
    product.map_or_else(
        || {
            let product = u128::from(tokens) * u128::from(MILLI_NANOS) + u128::from(half);
            u64::try_from(product / u128::from(nanos.get())).unwrap_or(u64::MAX)
        },
        |product| product / nanos,
    )
}

impl Sums {
    /// The calls of an operation, of which is known only as a whole what it cost.
    #[inline]
    pub(super) fn add_calls(&mut self, calls: &[LlmCall], success: bool) {
        let mut known = Some(Money::ZERO);
        for call in calls {
            let usd = self.add_call(call, success);
            known = known.zip(usd).map(|(known, usd)| known + usd);
        }
        self.known_costs.add_known(known);
    }

    /// Gives what it cost in US dollars, if that is known.
    pub(super) fn add_call(&mut self, call: &LlmCall, success: bool) -> Option<Money> {
        if let Some(usage) = &call.usage {
            self.usage += usage;
            self.calls_with_usage += 1;
        }
        self.retries += u64::from(call.attempt > 1);
        self.add_times(&CallTimes::of(call));
        if let Some(reason) = &call.finish_reason {
            self.add_reply(Reply::of(reason));
        }
        let usd = self.cost.add(&call.cost, call.usage.as_ref());
        self.add_usd(usd, success, || call.cost.is_known());
        usd
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
        self.count_case(success, 1, call.times.nanos);
        self.add_times(&call.times);
        if let Some(reply) = call.reply {
            self.add_reply(reply);
        }
        self.cost.add_charge(&call.charge);
        let usd = call.charge.known_usd();
        self.add_usd(usd, success, || call.charge.is_in_another_currency());
        self.count_known_usd(usd);
    }

    /// Counts the whole cost of an operation or call; none is one that is not known.
    pub fn count_known_usd(&mut self, cost: Option<Money>) {
        self.known_costs.add_known(cost);
    }

    /// A cost in US dollars, or none; then it may be known in another currency.
    #[inline]
    fn add_usd(&mut self, usd: Option<Money>, success: bool, is_known: impl Fn() -> bool) {
        match usd {
            Some(usd) if !success => self.failed_usd += usd,
            Some(_) => {}
            None => self.other_currency_calls += u64::from(is_known()),
        }
    }

    #[inline]
    fn add_times(&mut self, times: &CallTimes) {
        if let Some(nanos) = times.first_token_nanos {
            self.first_token_nanos.add(nanos);
        }
        if let Some(speed) = times.milli_tokens_per_second {
            self.milli_tokens_per_second.add(speed);
        }
    }

    fn add_reply(&mut self, reply: Reply) {
        self.truncated.record(reply.is_truncated);
        self.tool_replies += u64::from(reply.is_tool_reply);
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
