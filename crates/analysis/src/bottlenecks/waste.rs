//! What was spent for nothing, operation by operation.

use std::time::Duration;

use taximeter_models::{
    CostOutcome, Currency, ErrorCategory, Finding, FindingKind, LlmCall, Loss, Money, Name,
    OperationRecord,
};

use super::worst;

/// What was spent for nothing in some operations.
#[derive(Default)]
pub(super) struct Waste<'a> {
    cases: Vec<(Duration, Money, &'a OperationRecord)>,
}

impl<'a> Waste<'a> {
    /// Adds what was spent in one operation; its cases follow one another.
    pub(super) fn add(&mut self, operation: &'a OperationRecord, time: Duration, usd: Money) {
        match self.cases.last_mut() {
            Some((sum, money, last)) if std::ptr::eq(*last, operation) => {
                *sum = sum.saturating_add(time);
                *money += usd;
            }
            _ => self.cases.push((time, usd, operation)),
        }
    }

    /// A finding about all these operations, of which those with the most waste prove it.
    pub(super) fn finding(
        self,
        name: &Name,
        kind: FindingKind,
        operations: &[&OperationRecord],
    ) -> Finding {
        let (mut time, mut usd) = (Duration::ZERO, Money::ZERO);
        for (wasted, money, _) in &self.cases {
            time = time.saturating_add(*wasted);
            usd += *money;
        }
        let evidence = worst(self.cases.into_iter().map(|(time, usd, o)| ((time, usd), o)));
        Finding::new(name, kind, evidence).losing(loss(time, usd, operations))
    }
}

/// What so much time and money are of these operations.
pub(super) fn loss(time: Duration, usd: Money, operations: &[&OperationRecord]) -> Loss {
    let whole = operations.iter().fold(Duration::ZERO, |sum, o| sum.saturating_add(o.duration));
    Loss::new(time.as_secs_f64(), whole.as_secs_f64(), usd)
}

/// A call of a tool or of an LLM, as far as both are alike.
pub(crate) struct Call<'a> {
    pub(crate) target: &'a str,
    pub(crate) attempt: u32,
    pub(crate) duration: Option<Duration>,
    /// None where it succeeded.
    pub(crate) error: Option<ErrorCategory>,
    /// What it cost, as far as that is known.
    pub(crate) usd: Money,
}

/// All calls of an operation.
pub(crate) fn calls(operation: &OperationRecord) -> impl Iterator<Item = Call<'_>> {
    let tools = operation.tool_calls.iter().map(|call| Call {
        target: &call.name,
        attempt: call.attempt,
        duration: call.duration,
        error: call.error_category(),
        usd: Money::ZERO,
    });
    let llms = operation.llm_calls.iter().map(|call| Call {
        target: call.model(),
        attempt: call.attempt,
        duration: call.duration,
        error: call.error.as_ref().map(|error| error.category),
        usd: known_usd(&call.cost),
    });
    tools.chain(llms)
}

/// As far as it is known; nothing else can be said to be lost.
pub(crate) fn known_usd(cost: &CostOutcome) -> Money {
    let usd = cost.amount().filter(|(_, currency)| *currency == Currency::USD);
    usd.map_or(Money::ZERO, |(amount, _)| amount)
}

/// The time and the money of an LLM call.
pub(super) fn spent(call: &LlmCall) -> (Duration, Money) {
    (call.duration.unwrap_or_default(), known_usd(&call.cost))
}
