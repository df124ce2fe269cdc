//! What was spent for nothing, operation by operation.

use std::time::Duration;

use taximeter_models::{
    Coverage, ErrorCategory, Finding, FindingKind, KnownUsd, LlmCall, Loss, Name, OperationRecord,
};

use super::worst;

/// What was spent for nothing in some operations.
#[derive(Default)]
pub(super) struct Waste<'a> {
    cases: Vec<(Duration, KnownUsd, &'a OperationRecord)>,
    /// Of calls of which nothing can be said.
    left_out: Coverage,
}

impl<'a> Waste<'a> {
    /// Adds what was spent in one operation; its cases follow one another.
    pub(super) fn add(&mut self, operation: &'a OperationRecord, time: Duration, usd: KnownUsd) {
        match self.cases.last_mut() {
            Some((sum, money, last)) if std::ptr::eq(*last, operation) => {
                *sum = sum.saturating_add(time);
                *money += usd;
            }
            _ => self.cases.push((time, usd, operation)),
        }
    }

    /// Counts a call of which nothing can be said, so that it proves nothing either.
    pub(super) fn leave_out(&mut self, coverage: Coverage) {
        self.left_out += coverage;
    }

    /// A finding about all these operations, of which those with the most waste prove it.
    pub(super) fn finding(
        self,
        name: &Name,
        kind: FindingKind,
        operations: &[&OperationRecord],
    ) -> Finding {
        let mut time = Duration::ZERO;
        let mut usd = KnownUsd { coverage: self.left_out, ..KnownUsd::default() };
        for (wasted, money, _) in &self.cases {
            time = time.saturating_add(*wasted);
            usd += *money;
        }
        let evidence = worst(self.cases.into_iter().map(|(time, spent, o)| ((time, spent.usd), o)));
        Finding::new(name, kind, evidence).losing(loss(time, usd, operations))
    }
}

/// What so much time and money are of these operations.
pub(super) fn loss(time: Duration, usd: KnownUsd, operations: &[&OperationRecord]) -> Loss {
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
    /// What it cost, as far as that is known; a tool has no price.
    pub(crate) usd: KnownUsd,
}

/// All calls of an operation.
pub(crate) fn calls(operation: &OperationRecord) -> impl Iterator<Item = Call<'_>> {
    let tools = operation.tool_calls.iter().map(|call| Call {
        target: &call.name,
        attempt: call.attempt,
        duration: call.duration,
        error: call.error_category(),
        usd: KnownUsd::default(),
    });
    let llms = operation.llm_calls.iter().map(|call| Call {
        target: call.model(),
        attempt: call.attempt,
        duration: call.duration,
        error: call.error.as_ref().map(|error| error.category),
        usd: KnownUsd::of([call]),
    });
    tools.chain(llms)
}

/// The time and the money of an LLM call.
pub(super) fn spent(call: &LlmCall) -> (Duration, KnownUsd) {
    (call.duration.unwrap_or_default(), KnownUsd::of([call]))
}
