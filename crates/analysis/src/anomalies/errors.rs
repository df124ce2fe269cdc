//! Tools and LLMs that fail more often than before.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use taximeter_models::{Name, OperationId, OperationRecord, Rate};

use super::AnomalyConfig;
use crate::statistics::{fisher_exact, holm};

/// What is called by operations.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Callee {
    /// A tool.
    Tool {
        /// Its name.
        name: Name,
    },
    /// An LLM.
    Llm {
        /// Its provider; `unknown` where none was told.
        provider: Name,
        /// The LLM.
        model: Name,
    },
}

/// An error rate that is higher than before.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ErrorJump {
    /// What fails.
    pub callee: Callee,
    /// The calls that failed before.
    pub before: Rate,
    /// The calls that failed since.
    pub after: Rate,
    /// How likely so many failures are by chance (Fisher, one-sided).
    pub p_value: f64,
    /// The same, corrected for all tools and LLMs that were looked at (Holm).
    pub corrected_p_value: f64,
    /// The operations since then with the most failures of it, ten at most, the worst first.
    pub operations: Vec<OperationId>,
}

/// So many operations prove a jump.
const MOST_EVIDENCE: usize = 10;

/// The tools and LLMs whose calls fail more often in operations that ended at `since` or later than in those before, the
/// surest first.
///
/// Rates are compared by the exact test of Fisher, so that few calls are no obstacle and no false alarm; its p-values are
/// corrected for the number of tools and LLMs by Holm, so that any false alarm among all of them comes less often than
/// `alpha`. A tool that was not called before has no rate to compare with, and is not reported. Calls count as independent:
/// where an operation retries a call that fails, they are not, and the p-value is too small.
///
/// ```
/// use taximeter_analysis::{AnomalyConfig, error_jumps};
/// use taximeter_models::{OperationId, OperationRecord, ToolCall, ToolStatus};
///
/// let since = "2026-11-24T12:00:00Z".parse()?;
/// let mut operations = vec![OperationRecord::new("qa_response"); 120];
/// for (at, operation) in (0..).zip(&mut operations) {
///     operation.id = OperationId::from_bits(at);
///     let fails = if at < 100 { at % 50 == 0 } else { at % 3 == 0 };
///     let status = if fails { ToolStatus::Failure } else { ToolStatus::Success };
///     operation.tool_calls.push(ToolCall::new("vector_search", status));
///     operation.started_at = if at < 100 { "2026-11-24T11:00:00Z".parse()? } else { since };
/// }
/// let found = error_jumps(&operations, since, &AnomalyConfig::default());
/// assert_eq!(found[0].before.to_string(), "2.0 % (2 of 100)");
/// assert_eq!(found[0].after.to_string(), "30.0 % (6 of 20)");
/// assert_eq!((found[0].operations.len(), found[0].operations[0]), (6, operations[117].id));
/// // Two failures of five might be chance.
/// assert!(error_jumps(&operations[..105], since, &AnomalyConfig::default()).is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn error_jumps<'a>(
    operations: impl IntoIterator<Item = &'a OperationRecord>,
    since: DateTime<Utc>,
    config: &AnomalyConfig,
) -> Vec<ErrorJump> {
    let mut calls = BTreeMap::<Callee, Calls>::new();
    for operation in operations {
        for (callee, fails) in outcomes(operation) {
            calls.entry(callee).or_default().add(operation, fails, operation.ended_at() >= since);
        }
    }
    let tested: Vec<_> = calls.into_iter().filter_map(Tested::of).collect();
    let p_values: Vec<f64> = tested.iter().map(|tested| tested.p_value).collect();
    let corrected = holm(&p_values).into_iter().zip(tested);
    let mut found: Vec<ErrorJump> = corrected
        .filter(|(corrected, _)| *corrected < config.alpha)
        .map(|(corrected, tested)| tested.into_jump(corrected))
        .collect();
    found.sort_by(|one, other| {
        one.p_value.total_cmp(&other.p_value).then_with(|| one.callee.cmp(&other.callee))
    });
    found
}

/// What an operation called, and whether that failed.
fn outcomes(operation: &OperationRecord) -> impl Iterator<Item = (Callee, bool)> {
    let tools = operation
        .tool_calls
        .iter()
        .map(|call| (Callee::Tool { name: call.name.clone() }, !call.is_success()));
    let llms = operation.llm_calls.iter().map(|call| {
        let provider = call.provider.clone().unwrap_or_else(|| "unknown".into());
        (Callee::Llm { provider, model: call.model().into() }, !call.is_success())
    });
    tools.chain(llms)
}

/// The calls of one tool or LLM.
#[derive(Default)]
struct Calls {
    before: Rate,
    after: Rate,
    /// Since then: the failures of each operation, by what makes it the worse one.
    failing: BTreeMap<OperationId, u64>,
}

impl Calls {
    fn add(&mut self, operation: &OperationRecord, fails: bool, is_after: bool) {
        let rate = if is_after { &mut self.after } else { &mut self.before };
        rate.record(fails);
        if is_after && fails {
            *self.failing.entry(operation.id).or_default() += 1;
        }
    }

    /// The operations with the most failures; of equal ones the later, since it is the more likely to be at hand.
    fn worst(self) -> Vec<OperationId> {
        let mut failing: Vec<_> = self.failing.into_iter().map(|(id, count)| (count, id)).collect();
        failing.sort_unstable_by(|one, other| other.cmp(one));
        failing.into_iter().take(MOST_EVIDENCE).map(|(_, id)| id).collect()
    }
}

struct Tested {
    callee: Callee,
    calls: Calls,
    p_value: f64,
}

impl Tested {
    /// None where there is nothing to compare, or no failure that could say anything.
    fn of((callee, calls): (Callee, Calls)) -> Option<Self> {
        let failures = calls.before.hits.saturating_add(calls.after.hits);
        let p_value = fisher_exact(calls.before, calls.after)?.greater;
        (failures > 0).then_some(Self { callee, calls, p_value })
    }

    fn into_jump(self, corrected_p_value: f64) -> ErrorJump {
        ErrorJump {
            callee: self.callee,
            before: self.calls.before,
            after: self.calls.after,
            p_value: self.p_value,
            corrected_p_value,
            operations: self.calls.worst(),
        }
    }
}
