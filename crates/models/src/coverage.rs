//! An amount of money as far as it is known, and how far that is.

use std::fmt;
use std::iter::Sum;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::{CostOutcome, Currency, LlmCall, Money, OperationRecord, Rate, TokenUsage};

/// The LLM calls that a sum is of, and those of them that it leaves out, by the reason.
///
/// Each call is left out for one reason: what is unpriced is not looked at for its currency.
///
/// ```
/// use taximeter_models::Coverage;
///
/// let whole = Coverage { calls: 40, ..Coverage::default() };
/// assert!(whole.is_complete());
/// assert_eq!(whole.to_string(), "all 40 calls");
///
/// let part = Coverage { unpriced_calls: 3, calls_without_usage: 1, ..whole };
/// assert_eq!(part.left_out().to_string(), "10.0 % (4 of 40)");
/// assert_eq!(part.to_string(), "without 4 of 40 calls (3 unpriced, 1 without usage)");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Coverage {
    /// All calls: the denominator.
    pub calls: u64,
    /// Calls that consumed something whose price is not known, or only in part. Of the latter the sum holds that part.
    pub unpriced_calls: u64,
    /// Calls of which it is not known what they consumed: most of them failed.
    pub calls_without_usage: u64,
    /// Calls whose cost is known in another currency than that of the sum.
    pub other_currency_calls: u64,
}

impl Coverage {
    /// The calls that are left out, of all.
    pub const fn left_out(self) -> Rate {
        let priced = self.unpriced_calls.saturating_add(self.calls_without_usage);
        Rate { hits: priced.saturating_add(self.other_currency_calls), of: self.calls }
    }

    /// Whether no call is left out.
    pub const fn is_complete(self) -> bool {
        self.left_out().hits == 0
    }

    /// Whether there was no call to look at.
    pub const fn is_empty(&self) -> bool {
        self.left_out().of == 0 && self.is_complete()
    }
}

impl AddAssign for Coverage {
    fn add_assign(&mut self, other: Self) {
        let add = |sum: &mut u64, more| *sum = sum.saturating_add(more);
        add(&mut self.calls, other.calls);
        add(&mut self.unpriced_calls, other.unpriced_calls);
        add(&mut self.calls_without_usage, other.calls_without_usage);
        add(&mut self.other_currency_calls, other.other_currency_calls);
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left_out = self.left_out();
        if left_out.hits == 0 {
            return write!(f, "all {} calls", left_out.of);
        }
        let reasons: Vec<String> = [
            (self.unpriced_calls, "unpriced"),
            (self.calls_without_usage, "without usage"),
            (self.other_currency_calls, "in another currency"),
        ]
        .into_iter()
        .filter(|(calls, _)| *calls > 0)
        .map(|(calls, reason)| format!("{calls} {reason}"))
        .collect();
        write!(f, "without {} of {} calls ({})", left_out.hits, left_out.of, reasons.join(", "))
    }
}

/// US dollars as far as they are known, with the calls that they leave out. They are never too many, and never silently
/// too few.
///
/// ```
/// use taximeter_models::{CostOutcome, FreeReason, KnownUsd, LlmCall, Money};
///
/// let mut local = LlmCall::new("ollama", "llama3");
/// local.cost = CostOutcome::Free { reason: FreeReason::Local };
/// let mut unknown = LlmCall::new("somebody", "something");
/// unknown.cost = CostOutcome::UnknownModel { nearest: vec![] };
///
/// let both = KnownUsd::of(&[local, unknown.clone()]);
/// assert_eq!((both.usd, both.coverage.left_out().hits), (Money::ZERO, 1));
/// assert_eq!(both.to_string(), "at least $0, without 1 of 2 calls (1 unpriced)");
///
/// assert_eq!(KnownUsd::of(&[unknown]).known(), None); // nothing at all is known, which is not $0
/// assert_eq!(KnownUsd::default().known(), Some(Money::ZERO)); // no call costs nothing
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KnownUsd {
    /// The amount that is known; of a call that is priced in part, that part.
    pub usd: Money,
    /// The calls that it is of, and those that it leaves out.
    pub coverage: Coverage,
}

impl KnownUsd {
    /// The cost of these calls.
    pub fn of<'a>(calls: impl IntoIterator<Item = &'a LlmCall>) -> Self {
        let mut known = Self::default();
        for call in calls {
            known.add(&call.cost, call.usage.as_ref());
        }
        known
    }

    /// The cost of the calls of these operations.
    pub fn of_operations<'a>(operations: impl IntoIterator<Item = &'a OperationRecord>) -> Self {
        Self::of(operations.into_iter().flat_map(|operation| &operation.llm_calls))
    }

    /// Counts one call.
    pub fn add(&mut self, cost: &CostOutcome, usage: Option<&TokenUsage>) {
        let coverage = &mut self.coverage;
        coverage.calls = coverage.calls.saturating_add(1);
        let amount = cost.amount();
        let reason = match amount {
            _ if cost.is_without_usage(usage) => Some(&mut coverage.calls_without_usage),
            _ if !cost.is_known() => Some(&mut coverage.unpriced_calls),
            Some((_, currency)) if currency != Currency::USD => {
                Some(&mut coverage.other_currency_calls)
            }
            _ => None,
        };
        if let Some(calls) = reason {
            *calls = calls.saturating_add(1);
        }
        if let Some((amount, Currency::USD)) = amount {
            self.usd += amount;
        }
    }

    /// The amount; none where there were calls and nothing is known of any of them.
    pub fn known(&self) -> Option<Money> {
        let left_out = self.coverage.left_out();
        let nothing = left_out.hits > 0 && left_out.hits == left_out.of && self.usd.is_zero();
        (!nothing).then_some(self.usd)
    }
}

/// An amount that somebody else knows to be whole.
impl From<Money> for KnownUsd {
    fn from(usd: Money) -> Self {
        Self { usd, coverage: Coverage::default() }
    }
}

impl AddAssign for KnownUsd {
    fn add_assign(&mut self, other: Self) {
        self.usd += other.usd;
        self.coverage += other.coverage;
    }
}

impl Sum for KnownUsd {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        let mut sum = Self::default();
        parts.for_each(|part| sum += part);
        sum
    }
}

impl fmt::Display for KnownUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.coverage.is_complete() {
            return write!(f, "${}", self.usd);
        }
        write!(f, "at least ${}, {}", self.usd, self.coverage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CostTotals, FreeReason, ReportedCost};

    fn reported(amount: &str, currency: &str) -> CostOutcome {
        CostOutcome::ProviderReported(ReportedCost {
            total: amount.parse().unwrap(),
            input: None,
            output: None,
            currency: currency.parse().unwrap(),
        })
    }

    fn call(cost: CostOutcome, used: bool) -> LlmCall {
        let mut call = LlmCall::new("openai", "gpt-4o");
        if used {
            call = call.using(TokenUsage::new(10, 1));
        }
        call.cost = cost;
        call
    }

    /// One call of each kind, counted by hand; what both count, `CostTotals` counts alike.
    #[test]
    fn each_call_is_known_or_left_out_for_one_reason() {
        let calls = [
            call(reported("0.5", "USD"), true),
            call(reported("0.25", "USD"), true),
            call(reported("7", "EUR"), true),
            call(CostOutcome::Free { reason: FreeReason::Listed }, true),
            call(CostOutcome::UnknownModel { nearest: vec![] }, true),
            call(CostOutcome::Pending, true),
            call(CostOutcome::Pending, false),
            call(CostOutcome::NoUsage, false),
        ];
        let known = KnownUsd::of(&calls);
        let coverage = Coverage {
            calls: 8,
            unpriced_calls: 2,
            calls_without_usage: 2,
            other_currency_calls: 1,
        };
        assert_eq!(known, KnownUsd { usd: "0.75".parse().unwrap(), coverage });
        let mut totals = CostTotals::default();
        for call in &calls {
            totals.add(&call.cost, call.usage.as_ref());
        }
        assert_eq!((known.usd, coverage.calls), (totals.usd(), totals.calls()));
        assert_eq!(
            (coverage.unpriced_calls, coverage.calls_without_usage),
            (totals.unpriced_calls, totals.calls_without_usage)
        );
        assert_eq!(calls.iter().map(|call| KnownUsd::of([call])).sum::<KnownUsd>(), known);
    }

    #[test]
    fn nothing_known_is_none_and_a_known_part_is_some() {
        let euros = KnownUsd::of(&[call(reported("7", "EUR"), true)]);
        assert_eq!((euros.known(), euros.usd), (None, Money::ZERO));
        assert!(!euros.coverage.is_complete());
        let part = KnownUsd { usd: "0.1".parse().unwrap(), ..euros };
        assert_eq!(part.known(), Some("0.1".parse().unwrap()));
        let bill: Money = "12".parse().unwrap();
        assert_eq!(KnownUsd::from(bill).to_string(), "$12");
    }
}
